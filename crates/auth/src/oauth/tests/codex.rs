//! Every record that a sign-in or a refresh writes is read with a copy of Codex's types. Codex cannot read any record of a
//! file that has one with another type.

use std::collections::BTreeMap;

use rmcp::transport::auth::OAuthTokenResponse;
use serde::Deserialize;

use super::*;
use crate::store::FileStore;

/// A record in Codex's file: `FallbackTokenEntry` of codex-rs/rmcp-client, with the fields of all versions.
#[allow(dead_code, reason = "only their types matter")]
#[derive(Deserialize)]
struct FileEntry {
    server_name: String,
    server_url: String,
    #[serde(default)]
    issuer: Option<String>,
    client_id: String,
    access_token: String,
    #[serde(default)]
    expires_at: Option<u64>,
    #[serde(default)]
    refresh_token: Option<String>,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    executor_owned: bool,
}

/// An entry of Codex's keyring: `StoredOAuthTokens` of codex-rs/rmcp-client, with the fields of all versions.
#[allow(dead_code, reason = "only their types matter")]
#[derive(Deserialize)]
struct KeyringEntry {
    server_name: String,
    url: String,
    #[serde(default)]
    issuer: Option<String>,
    client_id: String,
    token_response: OAuthTokenResponse,
    #[serde(default)]
    expires_at: Option<u64>,
}

/// Reads the record with Codex's types, in the text of each store.
async fn assert_codex_reads(record: &CredentialRecord, about: &str) {
    let check = |expires_at: Option<u64>, store: &str| {
        assert!(
            expires_at.is_none_or(|at| at < 1 << 53),
            "{about}: {store}: {expires_at:?}"
        );
    };
    let home = tempfile::tempdir().unwrap();
    let key = CredentialKey::new("server", SERVER);
    let file = FileStore::new(home.path());
    file.replace(&key, None, Some(record)).await.unwrap();
    let text = std::fs::read_to_string(home.path().join(".credentials.json")).unwrap();
    let entries: Result<BTreeMap<String, FileEntry>, _> = serde_json::from_str(&text);
    match entries {
        Ok(entries) => check(entries[key.as_str()].expires_at, "file"),
        Err(error) => panic!("{about}: file: {error}"),
    }
    // The text that a host's store receives.
    match serde_json::from_str::<FileEntry>(record.to_json().expose_secret()) {
        Ok(entry) => check(entry.expires_at, "host"),
        Err(error) => panic!("{about}: host: {error}"),
    }
    #[cfg(feature = "keyring")]
    {
        let text = crate::store::keyring_entry::write(record);
        match serde_json::from_str::<KeyringEntry>(text.expose_secret()) {
            Ok(entry) => check(entry.expires_at, "keyring"),
            Err(error) => panic!("{about}: keyring: {error}"),
        }
    }
}

/// JSON texts of replies, some of which a `Value` cannot represent.
fn replies() -> Vec<String> {
    let expiries = [
        "null",
        "3600",
        "-1",
        "0",
        "0.5",
        "-0.0",
        "1e30",
        "-1e30",
        "1e400",
        "-9223372036854775808",
        "18446744073709551615",
        "9007199254740991",
        "9007199254740992",
        r#""3600""#,
        r#""NaN""#,
        r#""inf""#,
        r#""-5""#,
        r#""1e30""#,
        "true",
        "{}",
        "[1]",
        r#""\ud800""#,
    ];
    let expiries = expiries.map(|expiry| format!(r#""expires_in":{expiry}"#));
    let others = [
        r#""scope":null"#,
        r#""scope":7"#,
        r#""scope":[1,"a"]"#,
        r#""scope":"""#,
        r#""scope":"a  b""#,
        r#""refresh_token":null"#,
        r#""refresh_token":7"#,
        r#""refresh_token":"""#,
        r#""token_type":7"#,
        r#""expires_at":-5"#,
        r#""issuer":7,"client_id":7,"scopes":7"#,
        r#""x":1"#,
    ];
    let fields = expiries.into_iter().chain(others.map(str::to_owned));
    fields
        .map(|fields| format!(r#"{{"access_token":"t",{fields}}}"#))
        .collect()
}

#[tokio::test]
async fn codex_reads_every_record_that_a_sign_in_writes() {
    for reply in replies() {
        let pages = Pages::default().authorization_server(METADATA, &json!({}));
        let case = Case::with(pages.post(TOKEN_ENDPOINT, &reply)).await;
        let begun = case.begin().await.unwrap();
        assert_codex_reads(&case.finish(&begun.pending).await, &reply).await;
    }
}

#[tokio::test]
async fn codex_reads_every_record_that_a_refresh_writes() {
    let usual = r#"{"access_token":"t","expires_in":3600}"#;
    let stored = [
        "",
        r#""expires_at":-5"#,
        r#""expires_at":1e300"#,
        r#""expires_at":1500.9"#,
        r#""expires_at":18446744073709551615"#,
        r#""expires_at":-9223372036854775808"#,
        r#""scopes":null"#,
        r#""scopes":[1,"a",null]"#,
        r#""client_id":null"#,
        r#""client_id":"", "scopes":[]"#,
        r#""unknown":{"y":[1e400,-5]}"#,
        r#""executor_owned":true"#,
    ];
    let replies = replies();
    let with_replies = replies.iter().map(|reply| ("", reply.as_str()));
    for (stored, reply) in stored
        .map(|stored| (stored, usual))
        .into_iter()
        .chain(with_replies)
    {
        let about = format!("{stored} {reply}");
        let internet = {
            let reply = response(200, "", reply);
            TestInternet::new(move |_| reply.clone())
        };
        let server: Url = SERVER.parse().unwrap();
        let network = internet.network("", Vec::new());
        let guarded = network.guarded_client(&server).await;
        let odd = match stored {
            "" => r#""client_id":"c""#.to_owned(),
            odd if odd.contains("client_id") => odd.to_owned(),
            odd => format!(r#""client_id":"c",{odd}"#),
        };
        let record = format!(
            r#"{{"server_name":"server","server_url":"{SERVER}","issuer":"http://mcp.example","access_token":"old","refresh_token":"r",{odd}}}"#
        );
        let record = CredentialRecord::parse(&record).unwrap();
        let key = CredentialKey::new("server", SERVER);
        let store = Arc::new(MemoryStore::default());
        store.replace(&key, None, Some(&record)).await.unwrap();
        let metadata = json!({
            "issuer": "http://mcp.example", "token_endpoint": TOKEN_ENDPOINT,
            "authorization_endpoint": "https://auth.example/authorize",
        });
        let request = RefreshRequest {
            key: key.clone(),
            rejected: Some("old".into()),
            server,
            configured_resource: None,
            published_resource: None,
            metadata: serde_json::from_value(metadata).unwrap(),
            client: None,
            scopes: None,
        };
        let log = RequestLog::default();
        let refreshed = refresh(store.clone(), guarded, request, log, &TaskTracker::new()).await;
        let RefreshOutcome::Token {
            access_token,
            not_saved: None,
        } = refreshed
        else {
            panic!("{about}: {refreshed:?}");
        };
        assert_eq!(access_token.expose_secret(), "t", "{about}");
        let written = store.load(&key).await.unwrap().unwrap();
        assert_codex_reads(&written, &about).await;
    }
}
