//! No secret of a sign-in comes out: not in an error, not in `Debug`, not in the log at its finest.

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

/// From here on everything is logged that the program would log, were it asked for all. The SDK's targets are held at `error`, as
/// the program holds them: they quote what servers say.
pub fn listen() {
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

/// What every secret in the rows begins with, and every one that the lab makes.
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

/// The texts by which a secret of this sign-in is found.
pub fn secrets_of(pending: &PendingSignIn) -> Vec<String> {
    let json: Value = serde_json::from_str(pending.to_json().expose_secret()).unwrap();
    let verifier = json["state"]["pkce_verifier"].as_str().unwrap();
    assert!(verifier.len() >= 43, "RFC 7636, section 4.1: {verifier}");
    let secrets = SECRETS.into_iter().map(str::to_owned);
    secrets.chain([verifier.to_owned()]).collect()
}

/// Whether the `Debug` of something says one.
pub fn told_by(what: &impl Debug, secrets: &[String]) -> Result<(), String> {
    let text = format!("{what:?} {what:#?}");
    match secrets.iter().find(|secret| text.contains(*secret)) {
        None => Ok(()),
        Some(secret) => Err(format!("`{secret}` is told: {text}")),
    }
}

/// Whether the log says one.
pub fn logged(secrets: &[String]) -> Result<(), String> {
    let log = LOG.lock().unwrap_or_else(PoisonError::into_inner);
    let text = String::from_utf8_lossy(&log);
    assert!(text.contains("TRACE"), "nothing is logged");
    let lines = || text.lines();
    let found = secrets
        .iter()
        .find_map(|secret| lines().find(|line| line.contains(secret)));
    match found {
        None => Ok(()),
        Some(line) => Err(format!("the log says: {line}")),
    }
}
