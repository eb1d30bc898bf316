//! The keyring store on a real Secret Service, each test in a D-Bus session of its own: this program again, with the one test
//! that starts it, which then plays its role there.

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
    CredentialKey, CredentialRecord, CredentialStore, CredentialStores, KeyringStore, Replaced,
    StoreSelection, conformance,
};
use mcp_startup::config::ServerConfig;
use mcp_startup::{CredentialStoreTrouble, Startup, StartupFailureKind, StartupOptions};
use mcp_startup_lab::{Lab, Scenario};
use secret_service::{EncryptionType, SecretService};
use serde_json::{Value, json};

const ROLE: &str = "KEYRING_TEST_ROLE";
/// A keyring that can't be used is said to be so by then.
const SOON: Duration = Duration::from_secs(5);

fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// Runs the test of this name again in a session of this mode, as `role`; before that as `prepare`, if the mode has a keyring to
/// prepare. `false`, and noted as skipped, where the programs for it are not installed.
fn played_in(mode: &str, test: &str, role: &str) -> bool {
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
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.code() == Some(69) {
        let line = format!("keyring {test}: {}\n", said.trim().replace('\n', "; "));
        eprint!("skipped: {line}");
        if let Some(file) = std::env::var_os("MCP_STARTUP_E2E_SKIPPED") {
            let mut options = std::fs::OpenOptions::new();
            let mut file = options.append(true).create(true).open(file).unwrap();
            file.write_all(line.as_bytes()).unwrap();
        }
        return false;
    }
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{mode}, {role}:\n{stdout}\n{said}");
    assert!(
        stdout.contains("1 passed"),
        "no test of this name: {stdout}"
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
async fn it_passes_the_suite_that_every_store_passes() {
    match role().as_deref() {
        None => {
            played_in(
                "unlocked",
                "it_passes_the_suite_that_every_store_passes",
                "run",
            );
        }
        Some("run") => conformance::run(&KeyringStore::new(home().path())).await,
        Some(_) => {}
    }
}

/// The attributes by which Codex looks for its entry, and those that it gives one.
fn attributes_of_codex() -> HashMap<&'static str, &'static str> {
    HashMap::from([
        ("application", "rust-keyring"),
        ("service", "Codex MCP Credentials"),
        ("target", "default"),
        ("username", "linear|638130d5ab3558f4"),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_of_codex_is_read_and_written_in_its_place() {
    const CODEX: &str = r#"{"server_name":"linear","url":"https://mcp.linear.app/mcp","issuer":"https://linear.app","client_id":"c1","token_response":{"access_token":"at","token_type":"bearer","expires_in":3599,"refresh_token":"rt","scope":"read write"},"expires_at":1700000000000}"#;
    match role().as_deref() {
        None => {
            let test = "an_entry_of_codex_is_read_and_written_in_its_place";
            played_in("unlocked", test, "run");
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
    let wanted = json!({
        "server_name": "linear", "server_url": "https://mcp.linear.app/mcp", "issuer": "https://linear.app", "client_id": "c1",
        "access_token": "at", "refresh_token": "rt", "scopes": ["read", "write"], "expires_at": 1_700_000_000_000_i64,
    });
    assert_eq!(found, CredentialRecord::from_json(&wanted).unwrap());

    let renewed =
        json!({"access_token": "at2", "refresh_token": "rt2", "expires_at": 1_800_000_000_000_i64});
    let renewed = found.with(renewed.as_object().unwrap()).unwrap();
    let replaced = store.replace(&key(), Some(&found), Some(&renewed)).await;
    assert_eq!(replaced, Ok(Replaced::Stored));
    let text = item.get_secret().await.unwrap();
    let mut wanted: Value = serde_json::from_str(CODEX).unwrap();
    wanted["token_response"] = json!({"access_token": "at2", "token_type": "bearer", "refresh_token": "rt2", "scope": "read write"});
    wanted["expires_at"] = json!(1_800_000_000_000_i64);
    assert_eq!(serde_json::from_slice::<Value>(&text).unwrap(), wanted);
    let mut search = attributes_of_codex();
    search.remove("application");
    let items = service.search_items(search.clone()).await.unwrap();
    assert_eq!((items.unlocked.len(), items.locked.len()), (1, 0));

    // One that is made here is found as Codex looks for it.
    let replaced = store.replace(&key(), Some(&renewed), None).await;
    assert_eq!(replaced, Ok(Replaced::Stored));
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
    assert_eq!(replaced, Ok(Replaced::Stored));
    assert_eq!(
        service.search_items(search).await.unwrap().unlocked.len(),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keyring_goes_before_the_file_and_is_written_where_it_was_read() {
    match role().as_deref() {
        None => {
            let test = "the_keyring_goes_before_the_file_and_is_written_where_it_was_read";
            played_in("unlocked", test, "run");
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
    assert_eq!(stored, Ok(Replaced::Stored));
    // What the file has is older.
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
    let wanted = expired.with(renewed.as_object().unwrap()).unwrap();
    assert!(found.same_tokens(&wanted), "{found:?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), older);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyring_that_cannot_be_used_is_said_to_be_so_soon_and_is_never_nothing_stored() {
    let test = "a_keyring_that_cannot_be_used_is_said_to_be_so_soon_and_is_never_nothing_stored";
    let Some(role) = role() else {
        for mode in ["locked", "hanging", "absent", "no-bus"] {
            let began = Instant::now();
            if !played_in(mode, test, mode) {
                return;
            }
            // Nothing waits for a keyring that hangs, the end of the process neither.
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
        assert_eq!(stored, Ok(Replaced::Stored));
        return;
    }
    let wanted = match role.as_str() {
        "locked" | "hanging" => CredentialStoreTrouble::Locked,
        _ => CredentialStoreTrouble::Unreadable,
    };
    let began = Instant::now();
    let store = KeyringStore::new(home.path());
    let guard = store.lock(&key()).await.unwrap();
    // As many as there are servers.
    let key = key();
    let asked = join_all((0..50).map(|_| store.load(&key))).await;
    for answer in asked {
        let error = answer.unwrap_err();
        assert_eq!(
            (error.store.as_str(), error.trouble),
            ("keyring", wanted),
            "{error}"
        );
    }
    assert!(store.prove_writable(&key).await.is_err());
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    drop(guard);

    // Which entries a locked keyring has is known all the same, and it has none for this server.
    let unknown = match role.as_str() {
        "locked" => StartupFailureKind::SignInRequired,
        _ => StartupFailureKind::CredentialStoreUnavailable,
    };
    for (selection, in_file, wanted) in [
        (StoreSelection::Auto, false, Some(unknown)),
        (StoreSelection::Keyring, true, Some(unknown)),
        // Codex looks into the file then.
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
        assert_eq!(kind, wanted, "{role}, {selection:?}, {in_file}");
        assert!(began.elapsed() < SOON, "{role}: {:?}", began.elapsed());
    }
}
