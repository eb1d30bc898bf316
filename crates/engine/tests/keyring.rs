//! The keyring store with a real Secret Service.
//!
//! Each test starts a separate D-Bus session and runs this program again in it, with only the same test and a role.

#![cfg(target_os = "linux")]
#![allow(clippy::print_stderr, clippy::unwrap_used)]

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::future::join_all;
use mcp_startup::auth::{
    CredentialKey, CredentialRecord, CredentialStore, CredentialStores, KeyringStore,
    ReplaceOutcome, StoreSelection, conformance,
};
use mcp_startup::config::ServerConfig;
use mcp_startup::{CredentialStoreTrouble, Startup, StartupFailureKind, StartupOptions};
use mcp_startup_lab::{Lab, Scenario};
use secret_service::{EncryptionType, SecretService};
use serde_json::{Value, json};

const ROLE: &str = "KEYRING_TEST_ROLE";
/// The limit for reporting a keyring that can't be used.
const REPORT_LIMIT: Duration = Duration::from_secs(5);

fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// Runs the test named `test` again as `role`, in a session of this mode. If the mode has a keyring, runs the test as `prepare`
/// first. If the required programs are not installed, records the test as skipped and returns `false`.
fn run_in_session(mode: &str, test: &str, role: &str) -> bool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .unwrap();
    let program = std::env::current_exe().unwrap();
    let itself = format!(
        "{ROLE}=prepare '{}' --exact {test} --nocapture",
        program.display()
    );
    let mut command = Command::new(root.join("tests/e2e/secret-service/session"));
    command.arg(mode);
    if !matches!(mode, "absent" | "no-bus") {
        command.args(["--prepare", &itself]);
    }
    let command = command.arg(program).args(["--exact", test, "--nocapture"]);
    let output = command.env(ROLE, role).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.code() == Some(69) {
        let line = format!("keyring {test}: {}\n", stderr.trim().replace('\n', "; "));
        eprint!("skipped: {line}");
        if let Some(file) = std::env::var_os("MCP_STARTUP_E2E_SKIPPED") {
            let mut options = std::fs::OpenOptions::new();
            let mut file = options.append(true).create(true).open(file).unwrap();
            file.write_all(line.as_bytes()).unwrap();
        }
        return false;
    }
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{mode}, {role}:\n{stdout}\n{stderr}"
    );
    assert!(
        stdout.contains("1 passed"),
        "no test has this name: {stdout}"
    );
    true
}

fn key() -> CredentialKey {
    CredentialKey::new("linear", "https://mcp.linear.app/mcp")
}

fn record(token: &str) -> CredentialRecord {
    CredentialRecord::from_json(&json!({
        "server_name": "linear", "server_url": "https://mcp.linear.app/mcp", "client_id": "c1", "access_token": token,
    }))
    .unwrap()
}

fn home() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keyring_store_passes_the_conformance_suite() {
    match role().as_deref() {
        None => {
            run_in_session(
                "unlocked",
                "the_keyring_store_passes_the_conformance_suite",
                "run",
            );
        }
        Some("run") => conformance::run(&KeyringStore::new(home().path())).await,
        Some(_) => {}
    }
}

/// The attributes of an entry of Codex.
fn attributes_of_codex() -> HashMap<&'static str, &'static str> {
    HashMap::from([
        ("application", "rust-keyring"),
        ("service", "Codex MCP Credentials"),
        ("target", "default"),
        ("username", "linear|638130d5ab3558f4"),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_of_codex_is_read_and_updated_in_place() {
    const CODEX: &str = r#"{"server_name":"linear","url":"https://mcp.linear.app/mcp","issuer":"https://linear.app","client_id":"c1","token_response":{"access_token":"at","token_type":"bearer","expires_in":3599,"refresh_token":"rt","scope":"read write"},"expires_at":1700000000000}"#;
    match role().as_deref() {
        None => {
            let test = "an_entry_of_codex_is_read_and_updated_in_place";
            run_in_session("unlocked", test, "run");
            return;
        }
        Some("run") => {}
        Some(_) => return,
    }
    let service = SecretService::connect(EncryptionType::Dh).await.unwrap();
    let collection = service.get_default_collection().await.unwrap();
    let label = "linear|638130d5ab3558f4@Codex MCP Credentials:default (keyring v3.6.3)";
    let item = collection
        .create_item(
            label,
            attributes_of_codex(),
            CODEX.as_bytes(),
            true,
            "text/plain",
        )
        .await
        .unwrap();
    let home = home();
    let store = KeyringStore::new(home.path());
    let found = store.load(&key()).await.unwrap().unwrap();
    let expected = json!({
        "server_name": "linear", "server_url": "https://mcp.linear.app/mcp", "issuer": "https://linear.app", "client_id": "c1",
        "access_token": "at", "refresh_token": "rt", "scopes": ["read", "write"], "expires_at": 1_700_000_000_000_i64,
    });
    assert_eq!(found, CredentialRecord::from_json(&expected).unwrap());

    let renewed =
        json!({"access_token": "at2", "refresh_token": "rt2", "expires_at": 1_800_000_000_000_i64});
    let renewed = found.with(renewed.as_object().unwrap()).unwrap();
    let replaced = store.replace(&key(), Some(&found), Some(&renewed)).await;
    assert_eq!(replaced, Ok(ReplaceOutcome::Stored));
    let text = item.get_secret().await.unwrap();
    let mut expected: Value = serde_json::from_str(CODEX).unwrap();
    expected["token_response"] = json!({"access_token": "at2", "token_type": "bearer", "refresh_token": "rt2", "scope": "read write"});
    expected["expires_at"] = json!(1_800_000_000_000_i64);
    assert_eq!(serde_json::from_slice::<Value>(&text).unwrap(), expected);
    let mut search = attributes_of_codex();
    search.remove("application");
    let items = service.search_items(search.clone()).await.unwrap();
    assert_eq!((items.unlocked.len(), items.locked.len()), (1, 0));

    // Codex finds an entry that this store has created, by the attributes with which Codex searches.
    let replaced = store.replace(&key(), Some(&renewed), None).await;
    assert_eq!(replaced, Ok(ReplaceOutcome::Stored));
    assert_eq!(
        service
            .search_items(search.clone())
            .await
            .unwrap()
            .unlocked
            .len(),
        0
    );
    let replaced = store.replace(&key(), None, Some(&renewed)).await;
    assert_eq!(replaced, Ok(ReplaceOutcome::Stored));
    assert_eq!(
        service.search_items(search).await.unwrap().unlocked.len(),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keyring_takes_precedence_over_the_file_and_receives_the_new_tokens() {
    match role().as_deref() {
        None => {
            let test = "the_keyring_takes_precedence_over_the_file_and_receives_the_new_tokens";
            run_in_session("unlocked", test, "run");
            return;
        }
        Some("run") => {}
        Some(_) => return,
    }
    let lab = Lab::start(0).await.unwrap();
    let name = "expired-rotates";
    let is_it = |row: &&Scenario| row.name == name;
    let row = lab.scenarios().iter().find(is_it).unwrap();
    let home = home();
    let key = CredentialKey::new(name, &lab.url(name));
    let expired = row.stored_record(&lab.base_url(), 1_000_000_000).unwrap();
    let expired = CredentialRecord::from_json(&expired).unwrap();
    let keyring = KeyringStore::new(home.path());
    let stored = keyring.replace(&key, None, Some(&expired)).await;
    assert_eq!(stored, Ok(ReplaceOutcome::Stored));
    // The file has an older record.
    let file = home.path().join(".credentials.json");
    let older = format!(
        r#"{{"{}":{{"access_token":"older","expires_at":1}}}}"#,
        key.as_str()
    );
    std::fs::write(&file, &older).unwrap();

    let mut options = StartupOptions::default();
    options.stores = Some(CredentialStores::new(home.path(), StoreSelection::Auto));
    let server = ServerConfig::http(name, &lab.url(name)).unwrap();
    let check = Startup::new(options).unwrap().check(vec![server.into()]);
    let events: Vec<_> = check.collect().await;
    assert!(events[1].failure.is_none(), "{:?}", events[1]);
    assert_eq!(lab.tokens_sent(name), ["fresh-token-1"]);
    let renewed = json!({"access_token": "fresh-token-1", "refresh_token": "fresh-refresh-1"});
    let found = keyring.load(&key).await.unwrap().unwrap();
    let expected = expired.with(renewed.as_object().unwrap()).unwrap();
    assert!(found.has_same_tokens(&expected), "{found:?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), older);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unusable_keyring_is_reported_soon_and_not_as_a_missing_record() {
    let test = "an_unusable_keyring_is_reported_soon_and_not_as_a_missing_record";
    let Some(role) = role() else {
        for mode in ["locked", "hanging", "absent", "no-bus"] {
            let began = Instant::now();
            if !run_in_session(mode, test, mode) {
                return;
            }
            // Not even the end of the process waits for a keyring that hangs.
            assert!(
                began.elapsed() < Duration::from_secs(30),
                "{mode}: {:?}",
                began.elapsed()
            );
        }
        return;
    };
    let home = home();
    if role == "prepare" {
        let stored = KeyringStore::new(home.path())
            .replace(&key(), None, Some(&record("there")))
            .await;
        assert_eq!(stored, Ok(ReplaceOutcome::Stored));
        return;
    }
    let expected = match role.as_str() {
        "locked" | "hanging" => CredentialStoreTrouble::Locked,
        _ => CredentialStoreTrouble::Absent,
    };
    let began = Instant::now();
    let store = KeyringStore::new(home.path());
    let guard = store.lock(&key()).await.unwrap();
    // A user with 50 servers.
    let key = key();
    let loaded = join_all((0..50).map(|_| store.load(&key))).await;
    for result in loaded {
        let error = result.unwrap_err();
        assert_eq!(
            (error.store.as_str(), error.trouble),
            ("keyring", expected),
            "{error}"
        );
    }
    assert!(store.prove_writable(&key).await.is_err());
    assert!(began.elapsed() < REPORT_LIMIT, "{:?}", began.elapsed());
    drop(guard);

    let unavailable = StartupFailureKind::CredentialStoreUnavailable;
    let [unknown, only_keyring] = match role.as_str() {
        // A locked keyring still lists its entries, and it has none for this server.
        "locked" => [StartupFailureKind::SignInRequired; 2],
        "hanging" => [unavailable; 2],
        // Nothing is stored in a keyring that does not exist, and a sign-in is stored in the file, if that is allowed.
        _ => [StartupFailureKind::SignInRequired, unavailable],
    };
    let is_absent = expected == CredentialStoreTrouble::Absent;
    assert_eq!(store.warnings().len(), usize::from(is_absent));
    for (selection, in_file, expected) in [
        (StoreSelection::Auto, false, Some(unknown)),
        (StoreSelection::Keyring, true, Some(only_keyring)),
        // Like Codex, the store uses the file instead.
        (StoreSelection::Auto, true, None),
    ] {
        let lab = Lab::start(0).await.unwrap();
        let server = ServerConfig::http("first-sign-in", &lab.url("first-sign-in")).unwrap();
        let file = home.path().join(".credentials.json");
        let key = CredentialKey::new("first-sign-in", &lab.url("first-sign-in"));
        let content = match in_file {
            true => format!(r#"{{"{}":{{"access_token":"good-token"}}}}"#, key.as_str()),
            false => "{}".to_owned(),
        };
        std::fs::write(&file, content).unwrap();
        let mut options = StartupOptions::default();
        options.stores = Some(CredentialStores::new(home.path(), selection.clone()));
        let began = Instant::now();
        let check = Startup::new(options).unwrap().check(vec![server.into()]);
        let events: Vec<_> = check.collect().await;
        let kind = events[1].failure.as_ref().map(|failure| failure.kind());
        assert_eq!(
            kind, expected,
            "{role}, {selection:?}, {in_file}: {:?}",
            events[1].failure
        );
        assert!(
            began.elapsed() < REPORT_LIMIT,
            "{role}: {:?}",
            began.elapsed()
        );
    }
}
