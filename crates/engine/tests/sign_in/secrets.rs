//! Checks that no secret of a sign-in appears in an error, in `Debug` output, or in the log at its most detailed level.

use std::fmt::Debug;
use std::io::{self, Write};
use std::sync::{Mutex, Once, PoisonError};

use mcp_startup::auth::PendingSignIn;
use secrecy::ExposeSecret;
use serde_json::Value;
use tracing_subscriber::filter::{FilterExt, LevelFilter, filter_fn};
use tracing_subscriber::prelude::*;

static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Log;

impl Write for Log {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let mut log = LOG.lock().unwrap_or_else(PoisonError::into_inner);
        log.extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Captures the log at the level `trace`. The SDK's targets are limited to `error`, as in the program, because they
/// quote servers.
pub fn capture_log() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let quotes_servers = filter_fn(|metadata| {
            *metadata.level() <= tracing::Level::ERROR || !metadata.target().starts_with("rmcp")
        });
        let layer = tracing_subscriber::fmt::layer()
            .with_writer(|| Log)
            .with_ansi(false)
            .with_filter(LevelFilter::TRACE.and(quotes_servers));
        tracing_subscriber::registry().with(layer).init();
    });
}

/// The prefixes of every secret in the rows and of every secret that the lab creates.
const SECRETS: [&str; 9] = [
    "configured-secret",
    "expired-token",
    "fresh-code",
    "fresh-refresh",
    "fresh-token",
    "good-refresh",
    "granted-",
    "issued-secret",
    "old-",
];

/// The texts that identify a secret of this sign-in.
pub fn secrets_of(pending: &PendingSignIn) -> Vec<String> {
    let json: Value = serde_json::from_str(pending.to_json().expose_secret()).unwrap();
    let verifier = json["state"]["pkce_verifier"].as_str().unwrap();
    assert!(verifier.len() >= 43, "RFC 7636, section 4.1: {verifier}");
    let secrets = SECRETS.into_iter().map(str::to_owned);
    secrets.chain([verifier.to_owned()]).collect()
}

/// Returns an error if the `Debug` output of `value` contains a secret.
pub fn check_debug(value: &impl Debug, secrets: &[String]) -> Result<(), String> {
    let text = format!("{value:?} {value:#?}");
    match secrets.iter().find(|secret| text.contains(*secret)) {
        None => Ok(()),
        Some(secret) => Err(format!("`{secret}` appears in: {text}")),
    }
}

/// Returns an error if the log contains a secret.
pub fn check_log(secrets: &[String]) -> Result<(), String> {
    let log = LOG.lock().unwrap_or_else(PoisonError::into_inner);
    let text = String::from_utf8_lossy(&log);
    assert!(text.contains("TRACE"), "the log is empty");
    let lines = || text.lines();
    let found = secrets
        .iter()
        .find_map(|secret| lines().find(|line| line.contains(secret)));
    match found {
        None => Ok(()),
        Some(line) => Err(format!("a secret is in the log: {line}")),
    }
}

/// The authorization server repeats a key of the entry in the callback.
#[tokio::test]
async fn a_callback_that_repeats_a_key_shows_it_in_no_process() {
    const KEY: &str = "Zq7-KvWxHtP9fQ2xZ7rT4wB8nM3v";
    let lab = crate::lab_of(vec![crate::row("server", &serde_json::json!({}))]).await;
    let user = crate::User::new(&lab, "server");
    let config = user.server.config.clone().unwrap();
    let server = config.with_header("X-Key", KEY).unwrap().into();
    let begun = user.startup.begin_sign_in(&server, crate::REDIRECT_URI);
    let pending = begun.await.unwrap().pending;
    let callback = format!(
        "{}?state={}&error=access_denied&error_description=no+{KEY}",
        crate::REDIRECT_URI,
        pending.state()
    );
    let (same, other) = (&user.startup, user.next_startup());
    for (finished, shown) in [
        (
            same.finish_sign_in(&pending, &callback).await,
            "no [masked]",
        ),
        (
            other.finish_sign_in_to(&server, &pending, &callback).await,
            "no [masked]",
        ),
        // It does not know the entry.
        (
            other.finish_sign_in(&pending, &callback).await,
            "[withheld: it may contain a secret]",
        ),
    ] {
        let error = finished.unwrap_err();
        let shown = format!("(access_denied: {shown})");
        assert!(error.message().contains(&shown), "{error}");
    }
}
