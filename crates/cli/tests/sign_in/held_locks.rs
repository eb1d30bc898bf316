//! `login`, `logout` and `check` while another program holds the lock of the record, or the lock of the whole file.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mcp_startup::auth::CredentialKey;
use serde_json::{Value, json};

use crate::harness::cases::skip;
use crate::harness::http_server::{Request, Responder, Server};
use crate::harness::lock_holder::{LockHolder, record_lock};
use crate::harness::user::unrelated_records;
use crate::session::user_of;

#[test]
fn commands_name_the_program_that_holds_a_lock_and_send_nothing_that_cannot_be_undone() {
    if !LockHolder::is_possible() {
        let test = "held_locks::commands_name_the_program_that_holds_a_lock_and_send_nothing_that_cannot_be_undone";
        return skip(test, "`flock` (util-linux) is not installed");
    }
    let paths = Arc::new(Mutex::new(Vec::new()));
    let seen = paths.clone();
    let server = Server::start(move |request: &Request, responder: &mut Responder<'_>| {
        let issuer = format!("http://{}", request.header("host"));
        seen.lock().unwrap().push(request.path.clone());
        match request.path.as_str() {
            "/.well-known/oauth-authorization-server" => responder.json(&json!({
                "issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"),
                "token_endpoint": format!("{issuer}/token"), "revocation_endpoint": format!("{issuer}/revoke"),
                "registration_endpoint": format!("{issuer}/register"), "response_types_supported": ["code"],
                "code_challenge_methods_supported": ["S256"],
            })),
            "/mcp" => {
                responder.head(401, "text/plain", "WWW-Authenticate: Bearer\r\n")
            }
            _ => responder.text(404, "text/plain", ""),
        }
    });
    let record = json!({
        "server_name": "linear", "server_url": server.url(), "issuer": server.base(), "client_id": "c",
        "access_token": "a", "refresh_token": "r", "scopes": [], "expires_at": 1,
    });
    let key = CredentialKey::new("linear", &server.url());
    for (lock, commands) in [
        (
            record_lock(key.as_str()),
            vec![
                // Before the consent, and in time.
                (
                    &["login", "linear", "--no-browser", "--timeout", "5"][..],
                    5,
                ),
                (&["logout", "linear"], 25),
            ],
        ),
        (
            "file-store.lock".to_owned(),
            vec![
                // The file store waits for up to 10 s, and `--timeout` is less.
                (
                    &["login", "linear", "--no-browser", "--timeout", "5"][..],
                    8,
                ),
                (&["login", "linear", "--no-browser", "--timeout", "15"], 15),
                (&["logout", "linear"], 25),
            ],
        ),
    ] {
        let user = user_of(&[("linear", &server.url())]);
        user.store(unrelated_records().into_iter().chain([record.clone()]));
        let holder = LockHolder::of(&user, &lock);
        let named = format!("(process {})", holder.id());
        for (command, limit) in commands {
            let began = Instant::now();
            let finished = user.program(command).finish().assert_exit(1);
            let took = began.elapsed();
            assert!(
                took < Duration::from_secs(limit),
                "{lock} {command:?}: {took:?}"
            );
            let stderr = &finished.stderr;
            assert!(
                stderr.contains("in use by another program"),
                "{lock}: {stderr}"
            );
            assert!(stderr.contains(&named), "{lock} {command:?}: {stderr}");
            assert!(
                stderr.contains("try again later"),
                "{lock} {command:?}: {stderr}"
            );
            for wrong in ["make this store writable", "/authorize"] {
                assert!(!stderr.contains(wrong), "{lock} {command:?}: {stderr}");
            }
        }
        let checked = user.check("json").arg("--timeout").arg("3").finish();
        let failure: Value = checked.server("linear")["failure"].clone();
        assert_eq!(
            failure["kind"], "credentialStoreUnavailable",
            "{lock}: {failure}"
        );
        let message = failure["message"].as_str().unwrap();
        assert!(message.contains(&named), "{lock}: {message}");
        let records: BTreeMap<String, Value> = user.records();
        assert_eq!(records["linear"], record);
    }
    let paths = paths.lock().unwrap();
    let sent = paths
        .iter()
        .filter(|path| path.as_str() == "/token" || path.as_str() == "/revoke");
    assert_eq!(sent.count(), 0, "{paths:?}");
}
