//! Records in the system keyring. The logs of the keyring client must not contain a secret either.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use mcp_startup::auth::{CredentialKey, CredentialRecord, CredentialStore, KeyringStore};
use serde_json::{Map, Value};

use crate::echo_server::{echo_servers, serve};
use crate::echoes::{ECHOES, Echo};
use crate::findings::Findings;
use crate::harness::cases::skip;
use crate::harness::run::Run;
use crate::harness::user::User;
use crate::places::{NOT_ECHOED, PLACES};
use crate::run::Setup;
use crate::secrets::{NEEDS_ESCAPING, VERBATIM};

const TEST: &str = "keyring::record_in_the_keyring_does_not_leak";
/// The environment variable with the path of the records to put into the keyring. It is set only if this test program runs a
/// second time, inside the keyring session.
const RECORDS: &str = "LEAKS_TEST_RECORDS";
const SESSION: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/e2e/secret-service/session"
);

#[test]
fn record_in_the_keyring_does_not_leak() {
    if let Some(file) = std::env::var_os(RECORDS) {
        put_into_the_keyring(Path::new(&file));
        return;
    }
    let session = Command::new(SESSION).args(["unlocked", "true"]).status();
    if session.unwrap().code() == Some(69) {
        skip(TEST, "gnome-keyring is not installed");
        return;
    }
    // This echo rejects both the stored token and the new token.
    let rejects = |echo: &&Echo| echo.name == "the realm of a challenge";
    let rejection = ECHOES.iter().find(rejects).unwrap();
    let servers = Arc::new(echo_servers(&PLACES, &[NEEDS_ESCAPING], &[VERBATIM]));
    let server = serve(&servers, rejection);
    let setup = Setup {
        keyring: Some(in_a_session),
        ..Setup::of(&servers, server.base())
    };
    let findings = Findings::default();
    findings.add(rejection.name, &servers, setup.leaks("json"));
    findings.assert_none(&PLACES, &NOT_ECHOED);
}

fn in_a_session(run: Run, user: &User) -> Run {
    let records = user.path("records.json");
    std::fs::rename(user.path("home/.codex/.credentials.json"), &records).unwrap();
    let (records, this) = (records.display(), std::env::current_exe().unwrap());
    let prepare = format!("{RECORDS}='{records}' '{}' --exact {TEST}", this.display());
    run.through(&[SESSION, "unlocked", "--prepare", &prepare])
}

fn put_into_the_keyring(file: &Path) {
    let records = std::fs::read(file).unwrap();
    let records: Map<String, Value> = serde_json::from_slice(&records).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        let store = KeyringStore::new(file.parent().unwrap());
        for record in records.values() {
            let text = |field: &str| record[field].as_str().unwrap();
            let key = CredentialKey::new(text("server_name"), text("server_url"));
            let record = CredentialRecord::from_json(record).unwrap();
            store.replace(&key, None, Some(&record)).await.unwrap();
        }
    });
}
