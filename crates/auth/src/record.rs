//! One stored sign-in, as Codex keeps it.

use mcp_startup_core::CredentialFacts;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
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
#[derive(Clone, Debug)]
pub struct CredentialRecord {
    issuer: Option<String>,
    client_id: Option<String>,
    access_token: Option<SecretString>,
    refresh_token: Option<SecretString>,
    expires_at_ms: Option<i64>,
    scopes: Vec<String>,
}

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
    /// 64 bits as the last moment that 64 bits hold. Fields that are not known here are left alone.
    ///
    /// # Errors
    ///
    /// [`CorruptRecord`] where it is no object, or a field that is known has another type.
    pub fn from_json(value: &Value) -> Result<Self, CorruptRecord> {
        let object = value.as_object().ok_or(CorruptRecord {
            field: "value",
            wanted: "an object",
        })?;
        let text = |field: &'static str| match object.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(CorruptRecord {
                field,
                wanted: "a string",
            }),
        };
        let token = |field| {
            Ok(text(field)?
                .filter(|token| !token.trim().is_empty())
                .map(SecretString::from))
        };
        let expires_at_ms = match object.get("expires_at") {
            None | Some(Value::Null) => None,
            Some(Value::Number(number)) => Some(match number.as_i64() {
                Some(ms) => ms,
                // `as` from a float keeps to the range of i64.
                None => number.as_f64().map_or(i64::MAX, |ms| ms as i64),
            }),
            Some(_) => {
                return Err(CorruptRecord {
                    field: "expires_at",
                    wanted: "a number",
                });
            }
        };
        let scopes = match object.get("scopes") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(scopes)) => scopes
                .iter()
                .filter_map(|scope| scope.as_str().map(str::to_owned))
                .collect(),
            Some(_) => {
                return Err(CorruptRecord {
                    field: "scopes",
                    wanted: "an array",
                });
            }
        };
        let non_blank = |text: Option<&str>| {
            text.filter(|text| !text.trim().is_empty())
                .map(str::to_owned)
        };
        Ok(Self {
            issuer: non_blank(text("issuer")?),
            client_id: non_blank(text("client_id")?),
            access_token: token("access_token")?,
            refresh_token: token("refresh_token")?,
            expires_at_ms,
            scopes,
        })
    }

    /// What is known of it without a secret: for [`assess`](mcp_startup_core::assess). A refresh token goes to the issuer
    /// that granted it and to no other: where the record does not say which that was, it is as good as none.
    pub fn facts(&self) -> CredentialFacts {
        CredentialFacts {
            access_token: self.access_token.is_some(),
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

    /// The access token, if it is not blank.
    pub fn access_token(&self) -> Option<&SecretString> {
        self.access_token.as_ref()
    }

    /// The scopes that were granted.
    pub fn scopes(&self) -> &[String] {
        &self.scopes
    }

    /// Every secret in it, to be masked wherever foreign text is shown.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        [&self.access_token, &self.refresh_token]
            .into_iter()
            .flatten()
            .map(ExposeSecret::expose_secret)
    }
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
            &json!({"access_token": "at-canary", "refresh_token": "rt-canary"}),
        )
        .unwrap();
        assert!(!format!("{record:?}").contains("canary"));
        assert_eq!(
            record.secrets().collect::<Vec<_>>(),
            ["at-canary", "rt-canary"]
        );
    }
}
