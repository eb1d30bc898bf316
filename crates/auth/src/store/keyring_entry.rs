//! The JSON of a record in the system keyring, which Codex writes in another shape than in its file:
//!
//! `{"server_name", "url", "client_id", "token_response": {"access_token", "token_type", "expires_in", "refresh_token",
//! "scope"}, "expires_at"}`
//!
//! `token_response` is the response of the token endpoint (RFC 6749, section 5.1) as the `oauth2` crate serializes it. `scope`
//! is one string, and `expires_at` is in ms since the Unix epoch.

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::store::{CorruptRecord, CredentialRecord, Fields};

const TOKENS: &str = "token_response";

/// Reads the record in a keyring entry. Unknown fields of the token response stay in the field `token_response`, so that
/// [`write()`] can write them back.
pub(crate) fn read(json: &str) -> Result<CredentialRecord, CorruptRecord> {
    let mut record = Fields::default();
    for (name, json) in Fields::parse(json)? {
        match name.as_str() {
            "url" => record.set("server_url", json),
            TOKENS => read_tokens(json.expose_secret(), &mut record)?,
            name => record.set(name, json),
        }
    }
    CredentialRecord::from_fields(record)
}

fn read_tokens(json: &str, record: &mut Fields) -> Result<(), CorruptRecord> {
    let not_an_object = |_| CorruptRecord {
        field: TOKENS,
        expected: "an object",
    };
    let mut others = Fields::default();
    for (name, json) in Fields::parse(json).map_err(not_an_object)? {
        match name.as_str() {
            "access_token" | "refresh_token" => record.set(&name, json),
            "scope" => record.set("scopes", scopes(json.expose_secret())),
            // Redundant: `expires_at` has the absolute time.
            "expires_in" => {}
            // Every keyring entry has this field; the file never has it.
            "token_type" if json.expose_secret().eq_ignore_ascii_case("\"bearer\"") => {}
            name => others.set(name, json),
        }
    }
    if !others.is_empty() {
        record.set(TOKENS, others.to_json());
    }
    Ok(())
}

/// Converts `"a b"` to `["a","b"]`. Any other type stays unchanged, and parsing the record reports it.
fn scopes(json: &str) -> SecretString {
    match serde_json::from_str(json) {
        Ok(Value::String(scope)) => {
            let scopes: Vec<&str> = scope.split_whitespace().collect();
            Value::from(scopes).to_string().into()
        }
        _ => json.into(),
    }
}

/// The JSON of the keyring entry for a record.
pub(crate) fn write(record: &CredentialRecord) -> SecretString {
    let text = |text: &str| SecretString::from(Value::from(text).to_string());
    let mut entry = Fields::default();
    let mut tokens = Fields::default();
    for (name, json) in record.fields() {
        match name {
            "server_url" => entry.set("url", json.clone()),
            "access_token" | "refresh_token" if json.expose_secret() != "null" => {
                tokens.set(name, json.clone());
            }
            TOKENS => {
                for (name, json) in Fields::parse(json.expose_secret()).unwrap_or_default() {
                    // The fields of the record take precedence.
                    if !matches!(name.as_str(), "access_token" | "refresh_token" | "scope") {
                        tokens.set(&name, json);
                    }
                }
            }
            "access_token" | "refresh_token" | "scopes" | "url" => {}
            name => entry.set(name, json.clone()),
        }
    }
    if !record.scopes().is_empty() {
        tokens.set("scope", text(&record.scopes().join(" ")));
    }
    // Codex requires these two fields.
    if tokens.find("token_type").is_none() {
        tokens.set("token_type", text("bearer"));
    }
    if entry.find("client_id").is_none() {
        entry.set("client_id", text(""));
    }
    entry.set(TOKENS, tokens.to_json());
    entry.to_json()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// An entry that Codex 0.169 wrote.
    const CODEX: &str = r#"{"server_name":"linear","url":"https://mcp.linear.app/mcp","issuer":"https://linear.app","client_id":"c1","token_response":{"access_token":"at","token_type":"bearer","expires_in":3599,"refresh_token":"rt","scope":"read write"},"expires_at":1700000000000}"#;

    fn value(json: &SecretString) -> Value {
        serde_json::from_str(json.expose_secret()).unwrap()
    }

    #[test]
    fn an_entry_of_codex_equals_its_record_in_the_file() {
        let record = read(CODEX).unwrap();
        let expected = json!({
            "server_name": "linear", "server_url": "https://mcp.linear.app/mcp", "issuer": "https://linear.app", "client_id": "c1",
            "access_token": "at", "refresh_token": "rt", "scopes": ["read", "write"], "expires_at": 1_700_000_000_000_i64,
        });
        assert_eq!(record, CredentialRecord::from_json(&expected).unwrap());
        let mut expected: Value = serde_json::from_str(CODEX).unwrap();
        expected["token_response"]
            .as_object_mut()
            .unwrap()
            .remove("expires_in");
        assert_eq!(value(&write(&record)), expected);
    }

    #[test]
    fn a_record_from_the_file_becomes_an_entry_that_codex_accepts() {
        let record = json!({
            "server_name": "s", "server_url": "https://s", "access_token": "at", "refresh_token": null, "scopes": [],
            "expires_at": null, "client_secret": "cs", "odd": {"x": 12345},
        });
        let record = CredentialRecord::from_json(&record).unwrap();
        let expected = json!({
            "server_name": "s", "url": "https://s", "client_id": "", "expires_at": null, "client_secret": "cs", "odd": {"x": 12345},
            "token_response": {"access_token": "at", "token_type": "bearer"},
        });
        assert_eq!(value(&write(&record)), expected);
        assert_eq!(
            read(write(&record).expose_secret())
                .unwrap()
                .access_token()
                .unwrap()
                .expose_secret(),
            "at"
        );
    }

    #[test]
    fn unknown_fields_survive_a_round_trip() {
        let json = r#"{"url":"u","big":123456789012345678901234567890,"token_response":{"access_token":"a","id_token":"i","scope":"  "},"client_id":"c"}"#;
        let record = read(json).unwrap();
        let written = write(&record);
        assert_eq!(record, read(written.expose_secret()).unwrap());
        assert!(
            written
                .expose_secret()
                .contains(r#""big":123456789012345678901234567890"#)
        );
        assert_eq!(value(&written)["token_response"]["id_token"], "i");
    }

    #[test]
    fn a_damaged_entry_is_corrupt_and_the_error_shows_no_value() {
        for (json, field) in [
            ("", "value"),
            ("[]", "value"),
            (r#"{"token_response":"secret"}"#, "token_response"),
            (r#"{"token_response":{"access_token":42}}"#, "access_token"),
            (
                r#"{"token_response":{"access_token":"secret","scope":7}}"#,
                "scopes",
            ),
            (
                r#"{"token_response":{"access_token":"secret"},"expires_at":"soon"}"#,
                "expires_at",
            ),
        ] {
            let error = read(json).unwrap_err();
            assert_eq!(error.field, field, "{json}");
            assert!(!error.to_string().contains("secret"));
        }
    }
}
