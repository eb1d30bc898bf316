//! The program and its credential file under load: many processes at once, and processes killed at random moments, against a
//! real authorization server that rotates refresh tokens and treats a reused one as stolen (npm `oidc-provider`).
//!
//! `scripts/stress` runs the same tests for longer. Its help explains the numbers.

#![allow(clippy::print_stderr, clippy::unwrap_used)]

mod harness;

#[cfg(unix)]
use std::collections::BTreeMap;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use harness::authorization_server::AuthorizationServer;
#[cfg(unix)]
use harness::cases::skip;
use harness::configuration::{FILE_STORE, entry, url};
#[cfg(unix)]
use harness::lock_holder::{LockHolder, record_lock};
use harness::run::Run;
use harness::time::now_ms;
use harness::user::{User, unrelated_records};
use serde_json::{Value, json};

/// The environment variable with the number of rounds of concurrent programs.
const ROUNDS: &str = "STRESS_ROUNDS";
/// The environment variable with the number of programs to kill.
const KILLS: &str = "STRESS_KILLS";
const PROGRAMS: usize = 16;

fn count_from(variable: &str, default: usize) -> usize {
    std::env::var(variable).map_or(default, |count| count.parse().unwrap())
}

impl AuthorizationServer {
    /// Grants a sign-in to the MCP server with this name. The access token of the record has expired.
    fn sign_in(&self, name: &str) -> SignIn {
        let grant = self.control(
            "POST",
            "/test/grant",
            json!({"name": name, "accessTtl": -60}),
        );
        let record = json!({
            "server_name": name, "server_url": grant["resource"], "issuer": grant["issuer"],
            "client_id": grant["clientId"], "access_token": grant["accessToken"], "expires_at": now_ms() - 60_000,
            "refresh_token": grant["refreshToken"], "scopes": ["mcp:tools"],
        });
        SignIn {
            record,
            grant: grant["grantId"].as_str().unwrap().to_owned(),
        }
    }

    /// The number of refreshes of this sign-in.
    fn refreshes(&self, sign_in: &SignIn) -> u64 {
        let stats = self.stats();
        stats["perGrant"][&sign_in.grant]
            .as_u64()
            .unwrap_or_default()
    }
}

struct SignIn {
    record: Value,
    grant: String,
}

fn user_with(name: &str, server: &Value) -> User {
    let server = url(server.as_str().unwrap());
    User::with(&format!("{FILE_STORE}{}", entry(name, &server)))
}

/// Runs a check of one server. Returns the kind of its failure, or `None` if it is ready.
fn failure_kind(run: Run, name: &str) -> Option<String> {
    let finished = run.finish();
    let server = finished.server(name);
    match server["status"].as_str() {
        Some("ready") => None,
        _ => Some(server["failure"]["kind"].as_str().unwrap().to_owned()),
    }
}

#[test]
fn sixteen_concurrent_programs_refresh_once_and_stay_signed_in() {
    let Some(auth_server) =
        AuthorizationServer::start("sixteen_concurrent_programs_refresh_once_and_stay_signed_in")
    else {
        return;
    };
    let rounds = count_from(ROUNDS, 3);
    let mut record = auth_server.sign_in("linear").record;
    let user = user_with("linear", &record["server_url"]);
    let began = Instant::now();
    for round in 1..=rounds {
        // The record that the previous round left, with its access token expired again.
        record["expires_at"] = json!(now_ms() - 60_000);
        user.store(unrelated_records().into_iter().chain([record.clone()]));
        let running: Vec<_> = (0..PROGRAMS)
            .map(|_| {
                let run = user.check("json");
                std::thread::spawn(move || failure_kind(run, "linear"))
            })
            .collect();
        let failures: Vec<_> = running.into_iter().map(|run| run.join().unwrap()).collect();
        assert!(
            failures.iter().all(Option::is_none),
            "round {round}: {failures:?}"
        );
        let stats = auth_server.stats();
        assert_eq!(stats["refreshes"], round, "{stats}");
        assert_eq!(
            (&stats["refused"], &stats["reuses"]),
            (&json!(0), &json!(0))
        );
        let stored = user.records().remove("linear").unwrap();
        assert_ne!(stored["refresh_token"], record["refresh_token"]);
        user.assert_unrelated_records_unchanged();
        record = stored;
    }
    eprintln!(
        "{rounds} rounds of {PROGRAMS} programs: {rounds} refreshes, 0 refused, 0 reused, no user signed out ({:.1} s)",
        began.elapsed().as_secs_f64()
    );
}

/// No client can recover from a kill between the rotation at the server and the save of the record. The test prints how often
/// that happened.
#[test]
fn killed_program_leaves_the_file_intact_and_the_next_check_reports_the_true_state() {
    let test = "killed_program_leaves_the_file_intact_and_the_next_check_reports_the_true_state";
    let Some(auth_server) = AuthorizationServer::start(test) else {
        return;
    };
    let kills = count_from(KILLS, 25);
    // The duration of a run that is not killed.
    let full_run = (0..5).map(|_| {
        let SignIn { record, .. } = auth_server.sign_in("linear");
        let user = user_with("linear", &record["server_url"]);
        user.store([record]);
        let began = Instant::now();
        assert_eq!(failure_kind(user.check("json"), "linear"), None);
        began.elapsed()
    });
    let full_run = full_run.min().unwrap();
    let (mut not_sent, mut lost, mut saved, mut exited) = (0, 0, 0, 0);
    for _ in 0..kills {
        let sign_in = auth_server.sign_in("linear");
        let user = user_with("linear", &sign_in.record["server_url"]);
        user.store(
            unrelated_records()
                .into_iter()
                .chain([sign_in.record.clone()]),
        );
        let mut running = user.check("ndjson").spawn();
        std::thread::sleep(full_run.mul_f64(random()));
        running.child.kill().unwrap();
        let status = running.child.wait().unwrap();

        user.assert_unrelated_records_unchanged();
        let is_old = user.records()["linear"] == sign_in.record;
        // A request that was sent just before the kill may still be in transit.
        let mut refreshed = auth_server.refreshes(&sign_in) > 0;
        if is_old && !refreshed {
            std::thread::sleep(Duration::from_millis(20));
            refreshed = auth_server.refreshes(&sign_in) > 0;
        }
        let failure = failure_kind(user.check("json"), "linear");
        match (refreshed, is_old) {
            (true, true) => {
                lost += 1;
                assert_eq!(failure.as_deref(), Some("reauthenticationRequired"));
            }
            (_, false) => {
                saved += 1;
                assert_eq!(failure, None);
            }
            (false, true) => {
                not_sent += 1;
                assert_eq!(failure, None);
            }
        }
        exited += usize::from(!was_killed(status));
        // The next write removes the temporary file of a killed writer.
        let names: Vec<_> = std::fs::read_dir(user.path("home/.codex"))
            .unwrap()
            .collect();
        assert!(names.len() <= 4, "{names:?}");
    }
    let window = full_run.as_secs_f64() * 1000.0 * f64::from(lost) / kills as f64;
    eprintln!(
        "{kills} kills within {:.1} ms: {not_sent} before the refresh, {lost} between rotation and save (a window of about {window:.2} ms), {saved} after; {exited} had already exited",
        full_run.as_secs_f64() * 1000.0,
    );
}

/// Keeps the window open: the server rotates the token, and delays its response.
#[test]
fn kill_between_rotation_and_save_leaves_the_old_record_and_the_next_check_asks_to_sign_in_again() {
    let test = "kill_between_rotation_and_save_leaves_the_old_record_and_the_next_check_asks_to_sign_in_again";
    let Some(auth_server) = AuthorizationServer::start(test) else {
        return;
    };
    auth_server.control(
        "POST",
        "/test/delay",
        json!({"beforeMs": 0, "afterMs": 60_000}),
    );
    let sign_in = auth_server.sign_in("linear");
    let user = user_with("linear", &sign_in.record["server_url"]);
    user.store(
        unrelated_records()
            .into_iter()
            .chain([sign_in.record.clone()]),
    );
    let mut running = user.check("ndjson").spawn();
    let began = Instant::now();
    while auth_server.refreshes(&sign_in) == 0 {
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "the program does not refresh"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    running.child.kill().unwrap();
    running.child.wait().unwrap();
    assert_eq!(user.records()["linear"], sign_in.record);
    user.assert_unrelated_records_unchanged();
    auth_server.control("POST", "/test/delay", json!({"beforeMs": 0, "afterMs": 0}));
    assert_eq!(
        failure_kind(user.check("json"), "linear").as_deref(),
        Some("reauthenticationRequired")
    );
    assert_eq!(
        user.records()["linear"],
        sign_in.record,
        "nothing is deleted"
    );
}

/// Codex holds a lock while it refreshes a token or writes the file. The program waits for the lock before it sends a refresh.
/// The lock of this test is `flock` of Unix; the tests of the store have another program as well.
#[cfg(unix)]
#[test]
fn nothing_is_sent_while_another_program_holds_a_lock_of_codex() {
    let test = "nothing_is_sent_while_another_program_holds_a_lock_of_codex";
    let Some(auth_server) = AuthorizationServer::start(test) else {
        return;
    };
    if !LockHolder::is_possible() {
        return skip(test, "`flock` (util-linux) is not installed");
    }
    for lock in ["record", "file-store"] {
        let sign_in = auth_server.sign_in("linear");
        let user = user_with("linear", &sign_in.record["server_url"]);
        user.store(
            unrelated_records()
                .into_iter()
                .chain([sign_in.record.clone()]),
        );
        let name = match lock {
            "record" => lock_of_linear(&user),
            name => format!("{name}.lock"),
        };
        let holder = LockHolder::of(&user, &name);
        // The wait ends before the start does.
        let run = user.check("json").arg("--timeout").arg("1");
        let kind = failure_kind(run, "linear");
        assert_eq!(
            kind.as_deref(),
            Some("credentialStoreUnavailable"),
            "{lock}"
        );
        assert_eq!(auth_server.refreshes(&sign_in), 0, "{lock}");
        assert_eq!(user.records()["linear"], sign_in.record);
        drop(holder);
        assert_eq!(failure_kind(user.check("json"), "linear"), None, "{lock}");
        assert_eq!(auth_server.refreshes(&sign_in), 1, "{lock}");
        user.assert_unrelated_records_unchanged();
    }
}

/// The file name of the lock of the user's record of `linear`.
#[cfg(unix)]
fn lock_of_linear(user: &User) -> String {
    let records: BTreeMap<String, Value> =
        serde_json::from_slice(&std::fs::read(user.path("home/.codex/.credentials.json")).unwrap())
            .unwrap();
    let mut keys = records.keys();
    record_lock(keys.find(|key| key.starts_with("linear|")).unwrap())
}

#[cfg(unix)]
fn was_killed(status: ExitStatus) -> bool {
    std::os::unix::process::ExitStatusExt::signal(&status) == Some(9)
}

/// The exit code of a killed program is that of a failed one.
#[cfg(windows)]
fn was_killed(status: ExitStatus) -> bool {
    status.code() == Some(1)
}

/// A random number from 0 to 1.
fn random() -> f64 {
    use std::hash::{BuildHasher, Hasher};
    // Every `RandomState` has random keys.
    let hasher = std::collections::hash_map::RandomState::new().build_hasher();
    (hasher.finish() >> 11) as f64 / (1_u64 << 53) as f64
}
