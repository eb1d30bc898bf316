//! The JSON object in the credential file: one record under each key. It parses no record.

use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;

use crate::store::CredentialKey;

/// The entries of the file in their order. Each record is the unparsed text of its JSON.
pub(crate) struct Document<'a>(pub(super) Vec<(String, &'a RawValue)>);

impl Document<'_> {
    /// Returns the text of the file after the record under `key` is replaced, or removed if `record` is `None`. The other entries
    /// keep their text and their order.
    pub(crate) fn with(
        &self,
        key: &CredentialKey,
        record: Option<&SecretString>,
    ) -> serde_json::Result<Zeroizing<Vec<u8>>> {
        let record: Option<&RawValue> = record
            .map(|json| serde_json::from_str(json.expose_secret()))
            .transpose()?;
        let mut entries = Vec::with_capacity(self.0.len() + 1);
        let mut record = record;
        for (name, json) in &self.0 {
            if name != key.as_str() {
                entries.push((name.as_str(), *json));
            } else if let Some(record) = record.take() {
                entries.push((name.as_str(), record));
            }
        }
        entries.extend(record.map(|record| (key.as_str(), record)));
        // The capacity suffices for the names with every character escaped, the texts, and the punctuation: a buffer that grows
        // leaves copies of secrets in memory.
        let length = entries
            .iter()
            .map(|(name, json)| 6 * name.len() + json.get().len() + 8);
        let mut content = Zeroizing::new(Vec::with_capacity(length.sum::<usize>() + 8));
        serde_json::to_writer_pretty(&mut *content, &Entries(&entries))?;
        Ok(content)
    }
}

impl<'de> Deserialize<'de> for Document<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Document<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Document(entries))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

/// Why a file that can't be parsed is no text in UTF-8: another program has written it. `None` if it is such a text.
pub(super) fn problem_of_text(bytes: &[u8]) -> Option<&'static str> {
    // After a power failure, some file systems leave bytes that are zero.
    let is_blank = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0;
    match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [b'{', 0, ..] | [0, b'{', ..] => {
            Some("is encoded in UTF-16; save it as UTF-8")
        }
        [0xef, 0xbb, 0xbf, ..] => {
            Some("begins with a byte order mark; save it as UTF-8 without one")
        }
        _ => bytes
            .iter()
            .all(is_blank)
            .then_some("is empty; write {} into it"),
    }
}

struct Entries<'a>(&'a [(&'a str, &'a RawValue)]);

impl Serialize for Entries<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, json) in self.0 {
            map.serialize_entry(name, json)?;
        }
        map.end()
    }
}
