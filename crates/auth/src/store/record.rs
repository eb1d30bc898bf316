//! One stored sign-in in Codex's format: its key, its fields and its equality. It does no I/O.

use std::fmt;

use indexmap::IndexMap;
use mcp_startup_core::CredentialFacts;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// The key of a record: the name of the server and a hash of its URL. A server with the same name and another URL has another
/// key, so it never receives the token.
///
/// ```
/// use mcp_startup_auth::CredentialKey;
///
/// assert_eq!(CredentialKey::new("linear", "https://mcp.linear.app/mcp").as_str(), "linear|638130d5ab3558f4");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CredentialKey(String);

impl CredentialKey {
    /// Creates the key of the server `name`. `url` is its URL exactly as the configuration writes it.
    pub fn new(name: &str, url: &str) -> Self {
        // The hash is over this text, so the order of its fields must be Codex's.
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

    /// Reads the text of a key: the name, `|`, and 16 hexadecimal digits. Returns `None` for any other text.
    ///
    /// ```
    /// use mcp_startup_auth::CredentialKey;
    ///
    /// let key = CredentialKey::parse("linear|638130d5ab3558f4").unwrap();
    /// assert_eq!(key, CredentialKey::new("linear", "https://mcp.linear.app/mcp"));
    /// assert_eq!(key.server(), "linear");
    /// assert!(CredentialKey::parse("linear").is_none());
    /// ```
    pub fn parse(text: &str) -> Option<Self> {
        let (_, hash) = text.rsplit_once('|')?;
        let is_digit = |c: char| matches!(c, '0'..='9' | 'a'..='f');
        (hash.len() == 16 && hash.chars().all(is_digit)).then(|| Self(text.to_owned()))
    }

    /// The name of the server.
    pub fn server(&self) -> &str {
        self.0.rsplit_once('|').map_or(&self.0, |(name, _)| name)
    }

    /// The text of the key, as the credential file writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One stored sign-in. Its `Debug` output contains no token.
///
/// A record keeps the JSON text of every field, including unknown fields, so writing a record back loses nothing. Equality
/// compares the meaning: it ignores the order of the fields, the whitespace, and the difference between `null` and an absent
/// field.
///
/// ```
/// use mcp_startup_auth::CredentialRecord;
/// use serde_json::{Map, json};
///
/// let record = CredentialRecord::from_json(&json!({"access_token": "old", "vendor_field": [1, 2]}))?;
/// let mut renewed = Map::new();
/// renewed.insert("access_token".to_owned(), json!("new"));
/// let record = record.with(&renewed)?;
/// assert_eq!(record, CredentialRecord::from_json(&json!({"vendor_field": [1, 2], "access_token": "new", "issuer": null}))?);
/// # Ok::<(), mcp_startup_auth::CorruptRecord>(())
/// ```
#[derive(Clone)]
pub struct CredentialRecord {
    /// Every field with its JSON text, in the order of the store.
    fields: Fields,
    issuer: Option<String>,
    client_id: Option<String>,
    client_secret: Option<SecretString>,
    access_token: Option<SecretString>,
    refresh_token: Option<SecretString>,
    expires_at_ms: Option<i64>,
    scopes: Vec<String>,
}

/// The fields that `PartialEq` compares by their parsed value.
const PARSED: [&str; 6] = [
    "issuer",
    "client_id",
    "access_token",
    "refresh_token",
    "expires_at",
    "scopes",
];

/// A stored record has a field of the wrong type, or is not a JSON object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the record's `{field}` is not {expected}")]
pub struct CorruptRecord {
    /// The name of the field; `value` for the record itself. Never the value of the field.
    pub field: &'static str,
    /// The expected type with its article, such as `a string`.
    pub expected: &'static str,
}

impl CredentialRecord {
    /// Reads a record from its JSON.
    ///
    /// A blank token counts as absent. `expires_at` is in ms since the Unix epoch; a value beyond 64 bits becomes the greatest
    /// or least 64-bit number. Unknown fields are kept unchanged.
    ///
    /// # Errors
    ///
    /// [`CorruptRecord`] if `value` is not an object, or if a known field has the wrong type.
    pub fn from_json(value: &Value) -> Result<Self, CorruptRecord> {
        let object = value.as_object().ok_or(NOT_AN_OBJECT)?;
        let mut fields = Fields::default();
        for (name, value) in object {
            fields.set(name, value.to_string().into());
        }
        Self::from_fields(fields)
    }

    /// Reads a record from a JSON text, by the rules of [`from_json`](Self::from_json). Numbers that a [`Value`] cannot
    /// represent are kept too.
    ///
    /// # Errors
    ///
    /// [`CorruptRecord`] if the text is not a JSON object, or if a known field has the wrong type.
    pub fn parse(json: &str) -> Result<Self, CorruptRecord> {
        Self::from_fields(Fields::parse(json)?)
    }

    pub(crate) fn from_fields(fields: Fields) -> Result<Self, CorruptRecord> {
        // An error of serde_json can quote the value, which is secret.
        let value = |field: &'static str, expected| match fields.find(field) {
            None => Ok(Value::Null),
            Some(json) => serde_json::from_str(json.expose_secret())
                .map_err(|_| CorruptRecord { field, expected }),
        };
        let text = |field: &'static str| {
            let expected = "a string";
            match value(field, expected)? {
                Value::Null => Ok(None),
                Value::String(text) => Ok(Some(text).filter(|text| !text.trim().is_empty())),
                _ => Err(CorruptRecord { field, expected }),
            }
        };
        let token = |field| Ok(text(field)?.map(SecretString::from));
        let expires_at_ms = match value("expires_at", "a number")? {
            Value::Null => None,
            Value::Number(number) => Some(match number.as_i64() {
                Some(ms) => ms,
                // `as` saturates at the bounds of i64.
                None => number.as_f64().map_or(i64::MAX, |ms| ms as i64),
            }),
            _ => {
                return Err(CorruptRecord {
                    field: "expires_at",
                    expected: "a number",
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
                    expected: "an array",
                });
            }
        };
        Ok(Self {
            issuer: text("issuer")?,
            client_id: text("client_id")?,
            // Codex has no such field. A value of another type belongs to another program and is ignored.
            client_secret: token("client_secret").unwrap_or_default(),
            access_token: token("access_token")?,
            refresh_token: token("refresh_token")?,
            expires_at_ms,
            scopes,
            fields,
        })
    }

    /// Returns the record as JSON, with every field that was read.
    pub fn to_json(&self) -> SecretString {
        self.fields.to_json()
    }

    /// Every field with its JSON text, in the order of the store.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&str, &SecretString)> {
        self.fields.iter()
    }

    /// Returns a copy of the record in which `changes` replace the fields with the same names. The other fields stay unchanged.
    ///
    /// # Errors
    ///
    /// [`CorruptRecord`] if a known field would get the wrong type.
    pub fn with(&self, changes: &Map<String, Value>) -> Result<Self, CorruptRecord> {
        let mut fields = self.fields.clone();
        for (name, value) in changes {
            fields.set(name, value.to_string().into());
        }
        Self::from_fields(fields)
    }

    /// Whether both records have the same access token and the same refresh token. If they do but the records are not equal,
    /// they are still the same sign-in: another program has rewritten the record with fewer fields.
    pub fn has_same_tokens(&self, other: &Self) -> bool {
        is_same_secret(self.access_token.as_ref(), other.access_token.as_ref())
            && is_same_secret(self.refresh_token.as_ref(), other.refresh_token.as_ref())
    }

    /// The fields that `PartialEq` compares by their JSON.
    fn unparsed_fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields()
            .map(|(name, json)| (name, json.expose_secret()))
            .filter(|(name, json)| *json != "null" && !PARSED.contains(name))
    }

    /// The facts about the record for [`assess`](mcp_startup_core::assess), without a secret. A refresh token may be sent only to
    /// the issuer that granted it, so it counts as absent if the record names no issuer.
    pub fn facts(&self) -> CredentialFacts {
        CredentialFacts {
            access_token: self.access_token().is_some(),
            refresh_token: self.refresh_token.is_some() && self.issuer.is_some(),
            expires_at_ms: self.expires_at_ms,
        }
    }

    /// The issuer that granted the tokens, if the record names it.
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// The ID of the OAuth client that received the tokens.
    pub fn client_id(&self) -> Option<&str> {
        self.client_id.as_deref()
    }

    /// The secret of the OAuth client, if it has one.
    pub fn client_secret(&self) -> Option<&SecretString> {
        self.client_secret.as_ref()
    }

    /// The access token, if it is not blank and has no control character, so that a header can carry it.
    pub fn access_token(&self) -> Option<&SecretString> {
        let token = self.access_token.as_ref();
        token.filter(|token| !token.expose_secret().contains(char::is_control))
    }

    /// The refresh token, if it is not blank. It may be sent only if [`facts`](Self::facts) reports a refresh token.
    pub fn refresh_token(&self) -> Option<&SecretString> {
        self.refresh_token.as_ref()
    }

    /// The granted scopes.
    pub fn scopes(&self) -> &[String] {
        &self.scopes
    }

    /// Every secret of the record. Text from a server must be masked with them before it is shown.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        [&self.access_token, &self.refresh_token, &self.client_secret]
            .into_iter()
            .flatten()
            .map(ExposeSecret::expose_secret)
    }
}

impl PartialEq for CredentialRecord {
    fn eq(&self, other: &Self) -> bool {
        let has_same_field = |(name, mine): (&str, &str)| {
            let theirs = other.fields.find(name);
            theirs.is_some_and(|theirs| same_json(mine, theirs.expose_secret()))
        };
        self.has_same_tokens(other)
            && self.issuer == other.issuer
            && self.client_id == other.client_id
            && self.expires_at_ms == other.expires_at_ms
            && self.scopes == other.scopes
            && self.unparsed_fields().count() == other.unparsed_fields().count()
            && self.unparsed_fields().all(has_same_field)
    }
}

impl fmt::Debug for CredentialRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.fields().map(|(name, _)| name).collect();
        f.debug_struct("CredentialRecord")
            .field("issuer", &self.issuer)
            .field("client_id", &self.client_id)
            .field("expires_at_ms", &self.expires_at_ms)
            .field("scopes", &self.scopes)
            .field("fields", &names)
            .finish_non_exhaustive()
    }
}

const NOT_AN_OBJECT: CorruptRecord = CorruptRecord {
    field: "value",
    expected: "an object",
};

/// The fields of a JSON object, each with its JSON text, in their order. The last of several fields with one name is kept. A
/// foreign object can have a hundred thousand fields, so they are indexed by name.
#[derive(Clone, Default)]
pub(crate) struct Fields(Box<IndexMap<String, SecretString>>);

impl Fields {
    pub fn parse(json: &str) -> Result<Self, CorruptRecord> {
        serde_json::from_str(json).map_err(|_| NOT_AN_OBJECT)
    }

    #[cfg(any(feature = "keyring", fuzzing))]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &SecretString)> {
        self.0.iter().map(|(name, json)| (name.as_str(), json))
    }

    pub fn find(&self, name: &str) -> Option<&SecretString> {
        self.0.get(name)
    }

    pub fn set(&mut self, name: &str, json: SecretString) {
        match self.0.get_mut(name) {
            Some(known) => *known = json,
            None => drop(self.0.insert(name.to_owned(), json)),
        }
    }

    pub fn to_json(&self) -> SecretString {
        let names: Vec<String> = self
            .0
            .keys()
            .map(|name| Value::from(name.as_str()).to_string())
            .collect();
        // The buffer has its full capacity from the start: a buffer that grows leaves copies of secrets in memory.
        let lengths = names.iter().zip(self.0.values());
        let length = lengths.map(|(name, json)| name.len() + json.expose_secret().len() + 2);
        let mut text = String::with_capacity(length.sum::<usize>() + 2);
        text.push('{');
        for (name, json) in names.iter().zip(self.0.values()) {
            if text.len() > 1 {
                text.push(',');
            }
            text.push_str(name);
            text.push(':');
            text.push_str(json.expose_secret());
        }
        text.push('}');
        text.into()
    }
}

impl IntoIterator for Fields {
    type Item = (String, SecretString);
    type IntoIter = indexmap::map::IntoIter<String, SecretString>;

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

fn is_same_secret(a: Option<&SecretString>, b: Option<&SecretString>) -> bool {
    a.map(ExposeSecret::expose_secret) == b.map(ExposeSecret::expose_secret)
}

/// Whether both texts are the same JSON. A text that a [`Value`] cannot represent is compared as text.
fn same_json(a: &str, b: &str) -> bool {
    a == b
        || matches!(
            (serde_json::from_str::<Value>(a), serde_json::from_str::<Value>(b)),
            (Ok(a), Ok(b)) if a == b
        )
}

#[cfg(test)]
mod tests;
