//! The records of the model: their keys, their tokens and their texts.

use std::sync::OnceLock;

use mcp_startup_auth::{CredentialKey, CredentialRecord};
use secrecy::ExposeSecret;
use serde_json::json;

use crate::authorization_server::grant_of;

/// The key of the record that the actors use.
pub fn key() -> &'static CredentialKey {
    static KEY: OnceLock<CredentialKey> = OnceLock::new();
    KEY.get_or_init(|| CredentialKey::new("server", "http://127.0.0.1/mcp"))
}

/// The key of a record that no actor may change.
pub fn other_key() -> &'static CredentialKey {
    static KEY: OnceLock<CredentialKey> = OnceLock::new();
    KEY.get_or_init(|| CredentialKey::new("other", "http://127.0.0.1/other"))
}

/// The record of a sign-in. Each sign-in registers a client of its own, so `family` is its number.
pub fn record(grant: usize, family: usize) -> CredentialRecord {
    CredentialRecord::from_json(&json!({
        "server_name": "server", "issuer": crate::http::issuer(), "client_id": client(family), "scopes": ["mcp:tools"],
        "access_token": format!("access-{grant}"), "refresh_token": format!("refresh-{grant}"),
        "from_another_version": {"kept": true}
    }))
    .unwrap()
}

/// The client of a sign-in.
pub fn client(family: usize) -> String {
    format!("client-{family}")
}

/// The names of the tokens of a record.
pub fn tokens(record: &CredentialRecord) -> (String, String) {
    let name = |token: Option<&secrecy::SecretString>| {
        token.map_or_else(String::new, |token| token.expose_secret().to_owned())
    };
    (name(record.access_token()), name(record.refresh_token()))
}

/// The name of a record's access token.
pub fn short(record: Option<&CredentialRecord>) -> String {
    record.map_or_else(|| "nothing".to_owned(), |record| tokens(record).0)
}

/// A record as text, without the values that differ between two explorations: the expiry depends on the clock, and the issuer has a
/// free port.
pub fn text(record: Option<&CredentialRecord>) -> String {
    let Some(record) = record else {
        return "nothing".to_owned();
    };
    let json = record.to_json();
    let mut text = json.expose_secret().replace(&crate::http::issuer(), "");
    if let Some(at) = text.find(r#""expires_at":"#) {
        let length = text[at..].find([',', '}']).unwrap_or_default();
        text.replace_range(at..at + length, "");
    }
    text
}

/// The grant of a record's access token.
pub fn grant(record: &CredentialRecord) -> Option<usize> {
    grant_of(&tokens(record).0)
}
