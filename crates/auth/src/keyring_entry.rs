//! The JSON that Codex keeps in the system's keyring: another shape than in its file, for the same record.
//!
//! `{"server_name", "url", "client_id", "token_response": {"access_token", "token_type", "expires_in", "refresh_token",
//! "scope"}, "expires_at"}`: the answer of the token endpoint (RFC 6749, section 5.1) as it is serialised by the `oauth2` crate,
//! `scope` one text, and `expires_at` in ms since the Unix epoch.

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::record::{CorruptRecord, CredentialRecord, Fields};

const TOKENS: &str = "token_response";

/// Reads an entry as the record that it stands for. What is not known of the answer of the token endpoint stays in a field
/// `token_response`, to be written back.
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
        wanted: "an object",
    };
    let mut others = Fields::default();
    for (name, json) in Fields::parse(json).map_err(not_an_object)? {
        match name.as_str() {
            "access_token" | "refresh_token" => record.set(&name, json),
            "scope" => record.set("scopes", scopes(json.expose_secret())),
            // What is left of the time that `expires_at` says.
            "expires_in" => {}
            // What every entry has, and no file.
            "token_type" if json.expose_secret().eq_ignore_ascii_case("\"bearer\"") => {}
            name => others.set(name, json),
        }
    }
    if !others.is_empty() {
        record.set(TOKENS, others.to_json());
    }
    Ok(())
}

/// `"a b"` as `["a","b"]`; what is no text stays what it is, and is found wanting with the record.
fn scopes(json: &str) -> SecretString {
    match serde_json::from_str(json) {
        Ok(Value::String(scope)) => {
            let scopes: Vec<&str> = scope.split_whitespace().collect();
            Value::from(scopes).to_string().into()
        }
        _ => json.into(),
    }
}

/// The entry for a record.
pub(crate) fn write(record: &CredentialRecord) -> SecretString {
    let text = |text: &str| SecretString::from(Value::from(text).to_string());
    let mut entry = Fields::default();
    let mut tokens = Fields::default();
    for (name, json) in record.fields() {
        match name.as_str() {
            "server_url" => entry.set("url", json.clone()),
            "access_token" | "refresh_token" if json.expose_secret() != "null" => {
                tokens.set(name, json.clone());
            }
            TOKENS => {
                for (name, json) in Fields::parse(json.expose_secret()).unwrap_or_default() {
                    // The record's own go before.
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
    // Codex reads no entry without these two.
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

    /// As Codex 0.169 writes it.
    const CODEX: &str = r#"{"server_name":"linear","url":"https://mcp.linear.app/mcp","issuer":"https://linear.app","client_id":"c1","token_response":{"access_token":"at","token_type":"bearer","expires_in":3599,"refresh_token":"rt","scope":"read write"},"expires_at":1700000000000}"#;

    fn value(json: &SecretString) -> Value {
        serde_json::from_str(json.expose_secret()).unwrap()
    }

    #[test]
    fn an_entry_of_codex_is_the_record_that_its_file_would_hold() {
        let record = read(CODEX).unwrap();
        let wanted = json!({
            "server_name": "linear", "server_url": "https://mcp.linear.app/mcp", "issuer": "https://linear.app", "client_id": "c1",
            "access_token": "at", "refresh_token": "rt", "scopes": ["read", "write"], "expires_at": 1_700_000_000_000_i64,
        });
        assert_eq!(record, CredentialRecord::from_json(&wanted).unwrap());
        let mut wanted: Value = serde_json::from_str(CODEX).unwrap();
        wanted["token_response"]
            .as_object_mut()
            .unwrap()
            .remove("expires_in");
        assert_eq!(value(&write(&record)), wanted);
    }

    #[test]
    fn a_record_of_the_file_becomes_an_entry_that_codex_reads() {
        let record = json!({
            "server_name": "s", "server_url": "https://s", "access_token": "at", "refresh_token": null, "scopes": [],
            "expires_at": null, "client_secret": "cs", "odd": {"x": 12345},
        });
        let record = CredentialRecord::from_json(&record).unwrap();
        let wanted = json!({
            "server_name": "s", "url": "https://s", "client_id": "", "expires_at": null, "client_secret": "cs", "odd": {"x": 12345},
            "token_response": {"access_token": "at", "token_type": "bearer"},
        });
        assert_eq!(value(&write(&record)), wanted);
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
    fn what_is_not_known_is_kept_and_what_is_read_twice_is_the_same() {
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
    fn a_damaged_entry_is_corrupt_and_its_error_shows_nothing_of_it() {
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
