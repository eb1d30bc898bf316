//! The program and its credential file under fire: many processes at once, killed at random moments, against a real
//! authorization server that rotates refresh tokens and takes a used one for theft (npm `oidc-provider`).
//!
//! The longer form is `scripts/stress`, which also says what the numbers are.

#![cfg(unix)]
#![allow(clippy::print_stderr, clippy::unwrap_used)]

mod harness;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use harness::oidc::Oidc;
use harness::{Run, User, entry, now_ms, others, skip, url};
use serde_json::{Value, json};

/// How often sixteen programs are let loose; more of them with this variable.
const ROUNDS: &str = "STRESS_ROUNDS";
/// How often a program is killed; more of them with this variable.
const KILLS: &str = "STRESS_KILLS";
const PROGRAMS: usize = 16;

fn times(variable: &str, usually: usize) -> usize {
    std::env::var(variable).map_or(usually, |times| times.parse().unwrap())
}

impl Oidc {
    /// A user's sign-in to the MCP server of this name, as it is stored: its access token has expired.
    fn sign_in(&self, name: &str) -> SignIn {
        let grant = self.ask(
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

    /// How often this sign-in was refreshed.
    fn refreshes(&self, sign_in: &SignIn) -> u64 {
        let of_all = self.stats();
        of_all["perGrant"][&sign_in.grant]
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
    User::with(&format!(
        "mcp_oauth_credentials_store = \"file\"\n{}",
        entry(name, &server)
    ))
}

/// What a check of this one server comes to: its kind of failure, if it is not ready.
fn comes_to(run: Run, name: &str) -> Option<String> {
    let done = run.done();
    let server = done.server(name);
    match server["status"].as_str() {
        Some("ready") => None,
        _ => Some(server["failure"]["kind"].as_str().unwrap().to_owned()),
    }
}

#[test]
fn sixteen_programs_at_once_refresh_once_and_nobody_is_signed_out() {
    let Some(oidc) = Oidc::start("sixteen_programs_at_once_refresh_once_and_nobody_is_signed_out")
    else {
        return;
    };
    let rounds = times(ROUNDS, 3);
    let mut record = oidc.sign_in("linear").record;
    let user = user_with("linear", &record["server_url"]);
    let began = Instant::now();
    for round in 1..=rounds {
        // The record that the round before has left, an hour later.
        record["expires_at"] = json!(now_ms() - 60_000);
        user.store(others().into_iter().chain([record.clone()]));
        let running: Vec<_> = (0..PROGRAMS)
            .map(|_| {
                let run = user.check("json");
                std::thread::spawn(move || comes_to(run, "linear"))
            })
            .collect();
        let came_to: Vec<_> = running.into_iter().map(|run| run.join().unwrap()).collect();
        assert!(
            came_to.iter().all(Option::is_none),
            "round {round}: {came_to:?}"
        );
        let stats = oidc.stats();
        assert_eq!(stats["refreshes"], round, "{stats}");
        assert_eq!(
            (&stats["refused"], &stats["reuses"]),
            (&json!(0), &json!(0))
        );
        let stored = user.records().remove("linear").unwrap();
        assert_ne!(stored["refresh_token"], record["refresh_token"]);
        user.assert_others_untouched();
        record = stored;
    }
    eprintln!(
        "{rounds} rounds of {PROGRAMS} programs: {rounds} refreshes, 0 refused, 0 reused, nobody signed out ({:.1} s)",
        began.elapsed().as_secs_f64()
    );
}

/// A kill between the rotation at the server and the sync of the record can't be mended by anybody. How rare it is, is told.
#[test]
fn a_program_that_is_killed_leaves_the_file_whole_and_says_the_truth_afterwards() {
    let test = "a_program_that_is_killed_leaves_the_file_whole_and_says_the_truth_afterwards";
    let Some(oidc) = Oidc::start(test) else {
        return;
    };
    let kills = times(KILLS, 25);
    // How long it takes when nobody kills it.
    let whole = (0..5).map(|_| {
        let SignIn { record, .. } = oidc.sign_in("linear");
        let user = user_with("linear", &record["server_url"]);
        user.store([record]);
        let began = Instant::now();
        assert_eq!(comes_to(user.check("json"), "linear"), None);
        began.elapsed()
    });
    let whole = whole.min().unwrap();
    let (mut not_sent, mut lost, mut saved, mut ended) = (0, 0, 0, 0);
    for _ in 0..kills {
        let sign_in = oidc.sign_in("linear");
        let user = user_with("linear", &sign_in.record["server_url"]);
        user.store(others().into_iter().chain([sign_in.record.clone()]));
        let mut running = user.check("ndjson").spawn();
        std::thread::sleep(whole.mul_f64(random()));
        running.0.kill().unwrap();
        let status = running.0.wait().unwrap();

        user.assert_others_untouched();
        let is_old = user.records()["linear"] == sign_in.record;
        // A request that was just sent may still be on its way: what it comes to counts.
        let mut refreshed = oidc.refreshes(&sign_in) > 0;
        if is_old && !refreshed {
            std::thread::sleep(Duration::from_millis(20));
            refreshed = oidc.refreshes(&sign_in) > 0;
        }
        let came_to = comes_to(user.check("json"), "linear");
        match (refreshed, is_old) {
            (true, true) => {
                lost += 1;
                assert_eq!(came_to.as_deref(), Some("reauthenticationRequired"));
            }
            (_, false) => {
                saved += 1;
                assert_eq!(came_to, None);
            }
            (false, true) => {
                not_sent += 1;
                assert_eq!(came_to, None);
            }
        }
        ended += usize::from(status.signal() != Some(9));
        // What a killed writer left is gone with the next write.
        let names: Vec<_> = std::fs::read_dir(user.path("home/.codex"))
            .unwrap()
            .collect();
        assert!(names.len() <= 4, "{names:?}");
    }
    let window = whole.as_secs_f64() * 1000.0 * f64::from(lost) / kills as f64;
    eprintln!(
        "{kills} kills within {:.1} ms: {not_sent} before the refresh, {lost} between rotation and sync (a window of about {window:.2} ms), {saved} after; {ended} had ended by themselves",
        whole.as_secs_f64() * 1000.0,
    );
}

/// The window, held open: the server has rotated, and its answer is on its way.
#[test]
fn a_kill_between_rotation_and_sync_leaves_the_old_record_and_the_next_start_says_so() {
    let test = "a_kill_between_rotation_and_sync_leaves_the_old_record_and_the_next_start_says_so";
    let Some(oidc) = Oidc::start(test) else {
        return;
    };
    oidc.ask(
        "POST",
        "/test/delay",
        json!({"beforeMs": 0, "afterMs": 60_000}),
    );
    let sign_in = oidc.sign_in("linear");
    let user = user_with("linear", &sign_in.record["server_url"]);
    user.store(others().into_iter().chain([sign_in.record.clone()]));
    let mut running = user.check("ndjson").spawn();
    let began = Instant::now();
    while oidc.refreshes(&sign_in) == 0 {
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "it does not refresh"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    running.0.kill().unwrap();
    running.0.wait().unwrap();
    assert_eq!(user.records()["linear"], sign_in.record);
    user.assert_others_untouched();
    oidc.ask("POST", "/test/delay", json!({"beforeMs": 0, "afterMs": 0}));
    assert_eq!(
        comes_to(user.check("json"), "linear").as_deref(),
        Some("reauthenticationRequired")
    );
    assert_eq!(
        user.records()["linear"],
        sign_in.record,
        "nothing is deleted"
    );
}

/// Codex refreshes, or writes the file: whoever waits for it sends nothing, and loses nothing.
#[test]
fn while_another_program_holds_a_lock_of_codex_nothing_is_sent() {
    let test = "while_another_program_holds_a_lock_of_codex_nothing_is_sent";
    let Some(oidc) = Oidc::start(test) else {
        return;
    };
    if Command::new("flock").arg("--version").output().is_err() {
        return skip("under_fire", test, "there is no `flock` (util-linux)");
    }
    for lock in ["record", "file-store"] {
        let sign_in = oidc.sign_in("linear");
        let user = user_with("linear", &sign_in.record["server_url"]);
        user.store(others().into_iter().chain([sign_in.record.clone()]));
        let name = match lock {
            "record" => digest_of(&user),
            name => name.to_owned(),
        };
        let folder = user.path("home/.codex/mcp-oauth-locks");
        std::fs::create_dir_all(&folder).unwrap();
        let mut holder = Command::new("flock")
            .arg(folder.join(format!("{name}.lock")))
            .args(["sh", "-c", "echo held; read _"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(holder.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert_eq!(line, "held\n");
        let run = user.check("json").arg("--timeout").arg("1");
        assert_eq!(
            comes_to(run, "linear").as_deref(),
            Some("timedOut"),
            "{lock}"
        );
        assert_eq!(oidc.refreshes(&sign_in), 0, "{lock}");
        assert_eq!(user.records()["linear"], sign_in.record);
        drop(holder.stdin.take());
        holder.wait().unwrap();
        assert_eq!(comes_to(user.check("json"), "linear"), None, "{lock}");
        assert_eq!(oidc.refreshes(&sign_in), 1, "{lock}");
        user.assert_others_untouched();
    }
}

/// The name of the lock of the user's record of `linear`: by `sha256sum`, and not by what is tested.
fn digest_of(user: &User) -> String {
    let file = std::fs::read(user.path("home/.codex/.credentials.json")).unwrap();
    let records: BTreeMap<String, Value> = serde_json::from_slice(&file).unwrap();
    let key = records
        .keys()
        .find(|key| key.starts_with("linear|"))
        .unwrap();
    let mut command = Command::new("sha256sum");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(key.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap()[..64].to_owned()
}

/// From 0 to 1.
fn random() -> f64 {
    use std::hash::{BuildHasher, Hasher};
    // Every one of them has keys of its own.
    let hasher = std::collections::hash_map::RandomState::new().build_hasher();
    (hasher.finish() >> 11) as f64 / (1_u64 << 53) as f64
}
