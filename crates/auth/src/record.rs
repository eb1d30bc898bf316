//! One stored sign-in, as Codex keeps it.

use std::collections::BTreeMap;
use std::fmt;

use mcp_startup_core::CredentialFacts;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// The key of a record: the server's name, and its URL as a hash. Another URL under the same name is another key, so that
/// a token never goes to a server that has merely taken over a name.
///
/// ```
/// use mcp_startup_auth::CredentialKey;
///
/// assert_eq!(CredentialKey::new("linear", "https://mcp.linear.app/mcp").as_str(), "linear|638130d5ab3558f4");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CredentialKey(String);

impl CredentialKey {
    /// The key for a server of this name at this URL, the URL as it stands in the configuration.
    pub fn new(name: &str, url: &str) -> Self {
        // The order of the keys is Codex's: the hash is over the text.
        let hashed = format!(
            r#"{{"type":"http","url":{},"headers":{{}}}}"#,
            Value::from(url)
        );
        let digest = Sha256::digest(hashed.as_bytes());
        let hash: String = digest[..8]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Self(format!("{name}|{hash}"))
    }

    /// The key as it stands in the file.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One stored sign-in. Its tokens do not print.
///
/// Every field that is stored is kept with the text it has there, those that are not known here too: what is written back
/// has lost nothing. Two records are equal when they mean the same: the order of the fields, the layout, and whether an
/// absent field is spelled out as `null` make no difference.
///
/// ```
/// use mcp_startup_auth::CredentialRecord;
/// use serde_json::{Map, json};
///
/// let record = CredentialRecord::from_json(&json!({"access_token": "old", "of_the_vendor": [1, 2]}))?;
/// let mut renewed = Map::new();
/// renewed.insert("access_token".to_owned(), json!("new"));
/// let record = record.with(&renewed)?;
/// assert_eq!(record, CredentialRecord::from_json(&json!({"of_the_vendor": [1, 2], "access_token": "new", "issuer": null}))?);
/// # Ok::<(), mcp_startup_auth::CorruptRecord>(())
/// ```
#[derive(Clone)]
pub struct CredentialRecord {
    /// Every field with its JSON text, in the order they have in the store.
    fields: Fields,
    issuer: Option<String>,
    client_id: Option<String>,
    client_secret: Option<SecretString>,
    access_token: Option<SecretString>,
    refresh_token: Option<SecretString>,
    expires_at_ms: Option<i64>,
    scopes: Vec<String>,
}

/// The fields that `PartialEq` compares by what is read of them.
const READ: [&str; 6] = [
    "issuer",
    "client_id",
    "access_token",
    "refresh_token",
    "expires_at",
    "scopes",
];

/// A stored record is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the record's `{field}` is not {wanted}")]
pub struct CorruptRecord {
    /// The field that is wrong; never its value.
    pub field: &'static str,
    /// What it should be.
    pub wanted: &'static str,
}

impl CredentialRecord {
    /// Reads a record from its JSON. A blank token is no token; an expiry is taken as ms since the Unix epoch, and one beyond
    /// 64 bits as the last moment that 64 bits hold. Fields that are not known here are kept as they are.
    ///
    /// # Errors
    ///
    /// [`CorruptRecord`] where it is no object, or a field that is known has another type.
    pub fn from_json(value: &Value) -> Result<Self, CorruptRecord> {
        let object = value.as_object().ok_or(NO_OBJECT)?;
        let mut fields = Fields::default();
        for (name, value) in object {
            fields.set(name, value.to_string().into());
        }
        Self::from_fields(fields)
    }

    /// Reads a record from the text of its JSON, as [`from_json`](Self::from_json) does; numbers that no `Value` can hold
    /// are kept too.
    ///
    /// # Errors
    ///
    /// [`CorruptRecord`] where it is no object, or a field that is known has another type.
    pub fn parse(json: &str) -> Result<Self, CorruptRecord> {
        Self::from_fields(Fields::parse(json)?)
    }

    pub(crate) fn from_fields(fields: Fields) -> Result<Self, CorruptRecord> {
        // The error of serde_json may quote what it met.
        let value = |field: &'static str, wanted| match fields.find(field) {
            None => Ok(Value::Null),
            Some(json) => serde_json::from_str(json.expose_secret())
                .map_err(|_| CorruptRecord { field, wanted }),
        };
        let text = |field: &'static str| {
            let wanted = "a string";
            match value(field, wanted)? {
                Value::Null => Ok(None),
                Value::String(text) => Ok(Some(text).filter(|text| !text.trim().is_empty())),
                _ => Err(CorruptRecord { field, wanted }),
            }
        };
        let token = |field| Ok(text(field)?.map(SecretString::from));
        let expires_at_ms = match value("expires_at", "a number")? {
            Value::Null => None,
            Value::Number(number) => Some(match number.as_i64() {
                Some(ms) => ms,
                // `as` from a float keeps to the range of i64.
                None => number.as_f64().map_or(i64::MAX, |ms| ms as i64),
            }),
            _ => {
                return Err(CorruptRecord {
                    field: "expires_at",
                    wanted: "a number",
                });
            }
        };
        let scopes = match value("scopes", "an array")? {
            Value::Null => Vec::new(),
            Value::Array(scopes) => scopes
                .iter()
                .filter_map(|scope| scope.as_str().map(str::to_owned))
                .collect(),
            _ => {
                return Err(CorruptRecord {
                    field: "scopes",
                    wanted: "an array",
                });
            }
        };
        Ok(Self {
            issuer: text("issuer")?,
            client_id: text("client_id")?,
            // Not one of Codex's: one of another shape is another program's, and left alone.
            client_secret: token("client_secret").unwrap_or_default(),
            access_token: token("access_token")?,
            refresh_token: token("refresh_token")?,
            expires_at_ms,
            scopes,
            fields,
        })
    }

    /// Its JSON, with every field it was read with.
    pub fn to_json(&self) -> SecretString {
        self.fields.to_json()
    }

    /// Every field with its JSON text, in the order they have in the store.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &(String, SecretString)> {
        self.fields.iter()
    }

    /// The record with `changes` written over the fields of the same names; all others stay as they are.
    ///
    /// # Errors
    ///
    /// [`CorruptRecord`] where a field that is known gets another type.
    pub fn with(&self, changes: &Map<String, Value>) -> Result<Self, CorruptRecord> {
        let mut fields = self.fields.clone();
        for (name, value) in changes {
            fields.set(name, value.to_string().into());
        }
        Self::from_fields(fields)
    }

    /// Whether both hold the same tokens. Of two records that do and yet are not equal, one was written by a program that
    /// keeps fewer fields: the sign-in is the same.
    pub fn same_tokens(&self, other: &Self) -> bool {
        same(self.access_token.as_ref(), other.access_token.as_ref())
            && same(self.refresh_token.as_ref(), other.refresh_token.as_ref())
    }

    /// The fields that `PartialEq` compares by their JSON.
    fn others(&self) -> BTreeMap<&str, &str> {
        self.fields()
            .map(|(name, json)| (name.as_str(), json.expose_secret()))
            .filter(|(name, json)| *json != "null" && !READ.contains(name))
            .collect()
    }

    /// What is known of it without a secret: for [`assess`](mcp_startup_core::assess). A refresh token goes to the issuer
    /// that granted it and to no other: where the record does not say which that was, it is as good as none.
    pub fn facts(&self) -> CredentialFacts {
        CredentialFacts {
            access_token: self.access_token().is_some(),
            refresh_token: self.refresh_token.is_some() && self.issuer.is_some(),
            expires_at_ms: self.expires_at_ms,
        }
    }

    /// The issuer that granted it, where the record says.
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// The OAuth client that it was granted to.
    pub fn client_id(&self) -> Option<&str> {
        self.client_id.as_deref()
    }

    /// The secret of that client, where one was issued.
    pub fn client_secret(&self) -> Option<&SecretString> {
        self.client_secret.as_ref()
    }

    /// The access token, if it is not blank and can be sent in a header.
    pub fn access_token(&self) -> Option<&SecretString> {
        let token = self.access_token.as_ref();
        token.filter(|token| !token.expose_secret().contains(char::is_control))
    }

    /// The refresh token, if it is not blank. Whether it may be sent is another question: [`facts`](Self::facts).
    pub fn refresh_token(&self) -> Option<&SecretString> {
        self.refresh_token.as_ref()
    }

    /// The scopes that were granted.
    pub fn scopes(&self) -> &[String] {
        &self.scopes
    }

    /// Every secret in it, to be masked wherever foreign text is shown.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        [&self.access_token, &self.refresh_token, &self.client_secret]
            .into_iter()
            .flatten()
            .map(ExposeSecret::expose_secret)
    }
}

impl PartialEq for CredentialRecord {
    fn eq(&self, other: &Self) -> bool {
        let (mine, theirs) = (self.others(), other.others());
        self.same_tokens(other)
            && self.issuer == other.issuer
            && self.client_id == other.client_id
            && self.expires_at_ms == other.expires_at_ms
            && self.scopes == other.scopes
            && mine.len() == theirs.len()
            && mine
                .iter()
                .zip(&theirs)
                .all(|(mine, theirs)| mine.0 == theirs.0 && same_json(mine.1, theirs.1))
    }
}

impl fmt::Debug for CredentialRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.fields().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("CredentialRecord")
            .field("issuer", &self.issuer)
            .field("client_id", &self.client_id)
            .field("expires_at_ms", &self.expires_at_ms)
            .field("scopes", &self.scopes)
            .field("fields", &names)
            .finish_non_exhaustive()
    }
}

const NO_OBJECT: CorruptRecord = CorruptRecord {
    field: "value",
    wanted: "an object",
};

/// The fields of a JSON object as they stand; of one that is there twice, the last.
#[derive(Clone, Default)]
pub(crate) struct Fields(Vec<(String, SecretString)>);

impl Fields {
    pub fn parse(json: &str) -> Result<Self, CorruptRecord> {
        serde_json::from_str(json).map_err(|_| NO_OBJECT)
    }

    #[cfg(any(feature = "keyring", fuzzing))]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &(String, SecretString)> {
        self.0.iter()
    }

    pub fn find(&self, name: &str) -> Option<&SecretString> {
        let mut fields = self.0.iter();
        fields.find_map(|(known, json)| (known == name).then_some(json))
    }

    pub fn set(&mut self, name: &str, json: SecretString) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = json,
            None => self.0.push((name.to_owned(), json)),
        }
    }

    pub fn to_json(&self) -> SecretString {
        let mut json = String::from("{");
        for (name, value) in &self.0 {
            if json.len() > 1 {
                json.push(',');
            }
            json.push_str(&Value::from(name.as_str()).to_string());
            json.push(':');
            json.push_str(value.expose_secret());
        }
        json.push('}');
        json.into()
    }
}

impl IntoIterator for Fields {
    type Item = (String, SecretString);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Fields::default();
                while let Some((name, json)) = map.next_entry::<String, &RawValue>()? {
                    fields.set(&name, json.get().into());
                }
                Ok(fields)
            }
        }

        deserializer.deserialize_map(Object)
    }
}

fn same(a: Option<&SecretString>, b: Option<&SecretString>) -> bool {
    a.map(ExposeSecret::expose_secret) == b.map(ExposeSecret::expose_secret)
}

/// Whether both texts are the same JSON. What no `Value` can hold is compared as text.
fn same_json(a: &str, b: &str) -> bool {
    a == b
        || matches!(
            (serde_json::from_str::<Value>(a), serde_json::from_str::<Value>(b)),
            (Ok(a), Ok(b)) if a == b
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn facts_follow_the_record() {
        let fact = |access_token, refresh_token, expires_at_ms| CredentialFacts {
            access_token,
            refresh_token,
            expires_at_ms,
        };
        let cases = [
            (
                json!({"access_token": "a", "refresh_token": "r", "expires_at": 5, "issuer": "https://a"}),
                fact(true, true, Some(5)),
            ),
            (
                json!({"access_token": "a", "refresh_token": null, "expires_at": null}),
                fact(true, false, None),
            ),
            (
                json!({"access_token": "  ", "refresh_token": ""}),
                fact(false, false, None),
            ),
            (
                json!({"access_token": "a", "expires_at": -7}),
                fact(true, false, Some(-7)),
            ),
            (
                json!({"access_token": "a", "expires_at": 1e300}),
                fact(true, false, Some(i64::MAX)),
            ),
            (
                json!({"access_token": "a", "expires_at": 18446744073709551615u64}),
                fact(true, false, Some(i64::MAX)),
            ),
            (
                json!({"access_token": "a", "expires_at": 1500.9}),
                fact(true, false, Some(1500)),
            ),
            (
                json!({"access_token": "a", "from_the_future": {"x": 1}}),
                fact(true, false, None),
            ),
        ];
        for (value, wanted) in cases {
            assert_eq!(
                CredentialRecord::from_json(&value).unwrap().facts(),
                wanted,
                "{value}"
            );
        }
    }

    #[test]
    fn a_record_of_another_shape_is_corrupt_and_its_error_shows_no_value() {
        for (value, field) in [
            (json!("secret"), "value"),
            (json!({"access_token": 42_424_242}), "access_token"),
            (json!({"refresh_token": ["secret"]}), "refresh_token"),
            (json!({"expires_at": "secret"}), "expires_at"),
            (json!({"scopes": "secret"}), "scopes"),
        ] {
            let error = CredentialRecord::from_json(&value).unwrap_err();
            assert_eq!(error.field, field);
            assert!(!error.to_string().contains("secret") && !error.to_string().contains("4242"));
        }
    }

    #[test]
    fn tokens_do_not_print() {
        let record = CredentialRecord::from_json(
            &json!({"access_token": "at-canary", "refresh_token": "rt-canary", "client_secret": "cs-canary", "x": "x-canary"}),
        )
        .unwrap();
        assert!(!format!("{record:?}").contains("canary"));
        assert_eq!(
            record.secrets().collect::<Vec<_>>(),
            ["at-canary", "rt-canary", "cs-canary"]
        );
    }

    #[test]
    fn every_field_is_written_back_as_it_was_read() {
        let json = r#"{"access_token":"t","big":123456789012345678901234567890.10,"issuer":null,"client_secret":"cs","odd\n":{"b":[1.0, 2e5],"a":"\u00e9"},"expires_at":1500.0}"#;
        let record = CredentialRecord::parse(json).unwrap();
        assert_eq!(record.to_json().expose_secret(), json);

        let change = json!({"access_token": "t2", "issuer": "https://a", "added": 1});
        let changed = record.with(change.as_object().unwrap()).unwrap();
        assert_eq!(
            changed.to_json().expose_secret(),
            json.replace("\"t\"", "\"t2\"")
                .replace("null", "\"https://a\"")
                .replace("1500.0}", "1500.0,\"added\":1}")
        );
        assert_eq!(changed.issuer(), Some("https://a"));
        let wrong = json!({"access_token": 1});
        assert_eq!(
            record.with(wrong.as_object().unwrap()).unwrap_err().field,
            "access_token"
        );
    }

    #[test]
    fn records_are_equal_when_they_mean_the_same() {
        let record = |json: &str| CredentialRecord::parse(json).unwrap();
        let one = record(r#"{"access_token":"a","expires_at":1500,"x":{"y":1,"z":[2]}}"#);
        for same in [
            r#"{"x": {"z":[ 2 ],"y":1}, "expires_at":1500.0, "access_token": "a"}"#,
            r#"{"access_token":"a","refresh_token":null,"scopes":[],"unknown":null,"expires_at":1500,"x":{"y":1,"z":[2]}}"#,
            r#"{"access_token":"b","access_token":"a","expires_at":1500,"x":{"y":1,"z":[2]}}"#,
        ] {
            assert_eq!(one, record(same));
        }
        for (other, same_tokens) in [
            (r#"{"access_token":"a","expires_at":1500}"#, true),
            (
                r#"{"access_token":"a","expires_at":1500,"x":{"y":1,"z":[3]}}"#,
                true,
            ),
            (
                r#"{"access_token":"a","expires_at":1501,"x":{"y":1,"z":[2]}}"#,
                true,
            ),
            (
                r#"{"access_token":"a","expires_at":1500,"x":{"y":1,"z":[2]},"scopes":["s"]}"#,
                true,
            ),
            (
                r#"{"access_token":"b","expires_at":1500,"x":{"y":1,"z":[2]}}"#,
                false,
            ),
            (
                r#"{"access_token":"a","refresh_token":"r","expires_at":1500,"x":{"y":1,"z":[2]}}"#,
                false,
            ),
        ] {
            assert_ne!(one, record(other));
            assert_eq!(one.same_tokens(&record(other)), same_tokens);
        }
    }
}
