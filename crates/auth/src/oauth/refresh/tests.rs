use serde_json::json;

use super::*;
use crate::MemoryStore;
use crate::network::test_internet::{TestInternet, network, response};

const SERVER: &str = "http://mcp.example/mcp";

/// Refreshes an expired token of a public server at this token endpoint.
async fn refreshed(guarded: GuardedClient, endpoint: &str, log: &RequestLog) -> RefreshOutcome {
    let record = CredentialRecord::from_json(&json!({
        "issuer": "https://auth.example", "client_id": "client-1", "access_token": "expired-token",
        "expires_at": 1, "refresh_token": "good-refresh",
    }));
    let record = record.unwrap();
    let key = CredentialKey::new("server", SERVER);
    let store = Arc::new(MemoryStore::default());
    store.replace(&key, None, Some(&record)).await.unwrap();
    let metadata = json!({
        "issuer": "https://auth.example", "token_endpoint": endpoint,
        "authorization_endpoint": "https://auth.example/authorize",
    });
    let request = RefreshRequest {
        key: key.clone(),
        rejected: Some("expired-token".into()),
        server: SERVER.parse().unwrap(),
        configured_resource: None,
        published_resource: None,
        metadata: serde_json::from_value(metadata).unwrap(),
        client: None,
        scopes: None,
    };
    let tasks = TaskTracker::new();
    let outcome = refresh(store.clone(), guarded, request, log.clone(), &tasks).await;
    assert_eq!(store.load(&key).await.unwrap(), Some(record), "{endpoint}");
    // The lock is free again.
    drop(store.lock(&key).await.unwrap());
    outcome
}

#[tokio::test]
async fn a_public_server_cannot_send_a_refresh_token_into_a_private_network() {
    let internet = TestInternet::new(|_| response(200, "", "{}"));
    let port = internet.address.port();
    let network = network(vec![
        ("mcp.example", "1.1.1.1"),
        ("auth.example", "127.0.0.1"),
    ]);
    let guarded = network.guarded_client(&SERVER.parse().unwrap()).await;
    for endpoint in [
        // The address is known only once it connects.
        format!("https://auth.example:{port}/token"),
        format!("https://127.0.0.1:{port}/token"),
        format!("https://localhost:{port}/token"),
        format!("https://[::ffff:127.0.0.1]:{port}/token"),
    ] {
        let log = RequestLog::default();
        match refreshed(guarded.clone(), &endpoint, &log).await {
            RefreshOutcome::Blocked(blocked) => {
                assert_eq!(blocked.url(), Url::parse(&endpoint).unwrap().as_str())
            }
            other => panic!("{endpoint}: {other:?}"),
        }
        assert!(log.is_empty(), "{endpoint}");
    }
    assert!(internet.requests().is_empty());
}

#[test]
fn the_first_request_names_the_granted_scopes_only_for_entra() {
    let record = json!({ "access_token": "a", "scopes": ["api://app/read", "b"] });
    let record = CredentialRecord::from_json(&record).unwrap();
    let all = Some("api://app/read b".to_owned());
    for (issuer, is_entra) in [
        ("https://login.microsoftonline.com/tenant/v2.0", true),
        ("https://tenant.ciamlogin.com/tenant/v2.0", true),
        (
            "https://login.microsoftonline.com.example/tenant/v2.0",
            false,
        ),
        ("https://notciamlogin.com/", false),
        ("https://auth.example", false),
        ("http://127.0.0.1", false),
    ] {
        let found = requested_scopes(&record, None, &issuer.parse().unwrap());
        let expected = match is_entra {
            true => [all.clone(), None],
            false => [None, all.clone()],
        };
        assert_eq!(found, expected, "{issuer}");
    }
}
