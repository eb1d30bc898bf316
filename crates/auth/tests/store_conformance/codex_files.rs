//! Credential files of the supported Codex versions: a refresh and a sign-out keep every field that they need not change.

use mcp_startup_auth::{CredentialKey, CredentialRecord, CredentialStores, StoreSelection};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

/// A file with two sign-ins, as Codex 0.169 writes it.
const CODEX_0_169: &str = r#"{
  "linear|638130d5ab3558f4": {
    "server_name": "linear",
    "server_url": "https://mcp.linear.app/mcp",
    "client_id": "client-1",
    "access_token": "at-1",
    "expires_at": 1790000000000,
    "refresh_token": "rt-1",
    "scopes": [
      "read",
      "write"
    ]
  },
  "notion|0123456789abcdef": {
    "server_name": "notion",
    "server_url": "https://mcp.notion.com/mcp",
    "client_id": "client-2",
    "access_token": "at-2",
    "expires_at": null,
    "refresh_token": null,
    "scopes": []
  }
}"#;

/// The same sign-ins, as Codex 0.171 writes them: with `issuer`, and with `executor_owned` if that is true.
const CODEX_0_171: &str = r#"{
  "linear|638130d5ab3558f4": {
    "server_name": "linear",
    "server_url": "https://mcp.linear.app/mcp",
    "issuer": "https://linear.app",
    "client_id": "client-1",
    "access_token": "at-1",
    "expires_at": 1790000000000,
    "refresh_token": "rt-1",
    "scopes": [
      "read",
      "write"
    ],
    "executor_owned": true
  },
  "notion|0123456789abcdef": {
    "server_name": "notion",
    "server_url": "https://mcp.notion.com/mcp",
    "issuer": "https://api.notion.com",
    "client_id": "client-2",
    "access_token": "at-2",
    "expires_at": null,
    "refresh_token": null,
    "scopes": []
  }
}"#;

fn linear() -> CredentialKey {
    CredentialKey::new("linear", "https://mcp.linear.app/mcp")
}

/// The changes of a refresh.
fn renewed(record: &CredentialRecord) -> CredentialRecord {
    let changes = json!({"access_token": "at-9", "refresh_token": "rt-9", "expires_at": 1_800_000_000_000_i64});
    record.with(changes.as_object().unwrap()).unwrap()
}

#[tokio::test]
async fn a_refresh_keeps_every_field_of_both_codex_versions() {
    for (version, content) in [("0.169", CODEX_0_169), ("0.171", CODEX_0_171)] {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join(".credentials.json");
        std::fs::write(&file, content).unwrap();
        let stores = CredentialStores::new(home.path(), StoreSelection::File);
        let found = stores.find(&linear()).await.unwrap().unwrap();
        let entry: Value =
            serde_json::from_str::<Value>(content).unwrap()[linear().as_str()].take();
        let json: Value = serde_json::from_str(found.record.to_json().expose_secret()).unwrap();
        assert_eq!(json, entry, "{version}");

        let new = renewed(&found.record);
        let replaced = found
            .store
            .replace(&linear(), Some(&found.record), Some(&new))
            .await;
        assert_eq!(replaced, Ok(mcp_startup_auth::ReplaceOutcome::Stored));
        // Only the values of the refresh differ: the order of the entries and of their fields is the same.
        let compact = |text: &str| text.replace([' ', '\n'], "");
        let expected = content
            .replace("at-1", "at-9")
            .replace("rt-1", "rt-9")
            .replace("1790000000000", "1800000000000");
        let written = std::fs::read_to_string(&file).unwrap();
        assert_eq!(compact(&written), compact(&expected), "{version}");

        // A sign-out removes one entry.
        assert_eq!(stores.remove(&linear()).await, Ok(true));
        let written = std::fs::read_to_string(&file).unwrap();
        let mut expected: Value = serde_json::from_str(content).unwrap();
        expected.as_object_mut().unwrap().remove(linear().as_str());
        assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), expected);
    }
}

/// A record of the newer version that the older one has rewritten, without the fields that it does not know, is the same sign-in.
#[test]
fn a_record_that_an_older_codex_has_rewritten_is_the_same_sign_in() {
    let record = |content: &str| {
        let entry = serde_json::from_str::<Value>(content).unwrap()[linear().as_str()].take();
        CredentialRecord::from_json(&entry).unwrap()
    };
    let (older, newer) = (record(CODEX_0_169), record(CODEX_0_171));
    assert_eq!(
        (older.issuer(), newer.issuer()),
        (None, Some("https://linear.app"))
    );
    assert!(older.has_same_tokens(&newer));
    assert_ne!(older, newer);
    // A refresh token is sent only to the issuer that the record names.
    assert!(newer.facts().refresh_token && !older.facts().refresh_token);
}
