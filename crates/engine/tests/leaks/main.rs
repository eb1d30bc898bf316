//! No secret leaks: not through the `Debug` of any public type that holds one, and not through a store of a host that exposes its
//! secrets or panics. The tests of the program cover its output and its logs.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

mod configuration;
mod host_store;
mod starts;
mod stored_credentials;

use std::error::Error;
use std::fmt::Debug;

use mcp_startup::config::{ServerConfig, ServerEntry};
use mcp_startup::{StartupEvent, StartupFailure};
use mcp_startup_lab::{Lab, parse_scenarios};
use serde_json::json;

/// Every secret of this test begins with this text.
const MARK: &str = "ZqKvWxHtP";

fn secret(what: &str) -> String {
    format!("{MARK}-{what}+/=\"é")
}

/// Inspects texts and collects the secrets in them.
#[derive(Default)]
struct Leaks {
    inspected: usize,
    found: Vec<String>,
}

impl Leaks {
    fn inspect(&mut self, what: &str, text: &str) {
        self.inspected += 1;
        // A host name is lower-cased.
        let place = text.find(MARK).or_else(|| text.find(&MARK.to_lowercase()));
        if let Some(at) = place {
            let from = text[..at]
                .char_indices()
                .rev()
                .nth(80)
                .map_or(0, |(from, _)| from);
            let around: String = text[from..].chars().take(160).collect();
            self.found.push(format!("{what}: {around}"));
        }
    }

    /// Checks that a foreign text contains no control characters, which could change a terminal.
    fn check_printable(&mut self, what: &str, text: Option<&str>) {
        if text.is_some_and(|text| text.contains(char::is_control)) {
            self.found.push(format!("{what}: {text:?}"));
        }
    }

    fn debug(&mut self, what: &str, value: &dyn Debug) {
        self.inspect(what, &format!("{value:?}{value:#?}"));
    }

    /// Inspects `Display` and `Debug` of an error and of its causes.
    fn error(&mut self, what: &str, error: &dyn Error) {
        let mut cause = Some(error);
        while let Some(error) = cause {
            self.inspect(what, &format!("{error}{error:?}"));
            cause = error.source();
        }
    }

    fn assert_none(self) {
        println!("{} texts inspected", self.inspected);
        let found = self.found;
        assert!(
            found.is_empty(),
            "{} times something comes out:\n{}",
            found.len(),
            found.join("\n")
        );
    }
}

fn inspect_event(leaks: &mut Leaks, what: &str, event: &StartupEvent) {
    leaks.debug(&format!("{what}: StartupEvent"), event);
    let notification = serde_json::to_string(&event.notification).unwrap();
    leaks.inspect(&format!("{what}: the notification"), &notification);
    if let Some(failure) = &event.failure {
        inspect_failure(leaks, what, failure);
    }
}

fn inspect_failure(leaks: &mut Leaks, what: &str, failure: &StartupFailure) {
    leaks.debug(&format!("{what}: StartupFailure"), failure);
    leaks.inspect(&format!("{what}: the message"), failure.message());
    let evidence = serde_json::to_string(failure.evidence()).unwrap();
    leaks.inspect(&format!("{what}: the evidence"), &evidence);
}

/// A server that repeats the header it receives, one that is ready, and one whose token has expired.
async fn lab() -> Lab {
    let rows = json!([
        { "name": "echoes", "about": "", "mcp": { "respond": [{ "reply": { "body": { "text": secret("header") } } }] },
          "expect": { "state": "failed" } },
        { "name": "ready", "about": "", "expect": { "state": "ready" }, "mcp": {} },
        { "name": "host", "about": "", "expect": { "state": "ready" }, "mcp": { "serves": { "tokens": [secret("new-access")] } },
          "token": { "respond": [{ "reply": { "body": { "json": {
              "access_token": secret("new-access"), "refresh_token": secret("new-refresh"), "token_type": "Bearer",
          } } } }] },
          "stored": { "issuer": "{issuer}", "clientId": "client-1", "clientSecret": secret("client"), "scopes": [],
              "accessToken": secret("access"), "refreshToken": secret("refresh"), "expiresInSeconds": -3600 } },
    ]);
    Lab::start_with(parse_scenarios(&rows.to_string()).unwrap(), 0)
        .await
        .unwrap()
}

fn server(lab: &Lab, name: &str) -> ServerEntry {
    let server = ServerConfig::http(name, &lab.url(name)).unwrap();
    server
        .with_header("X-Key", secret("header"))
        .unwrap()
        .into()
}
