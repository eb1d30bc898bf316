//! Checks a bad server together with a working one. Only the bad server may fail.

use crate::harness::cases::for_each_case;
use crate::harness::configuration::{FILE_STORE, entry, url};
use crate::harness::lab::lab;
use crate::harness::user::User;
use crate::memory::assert_memory_limit;

/// The name of the working server.
pub const WORKING: &str = "working";

/// A bad server, and the failure that its start must have.
pub struct BadServer {
    name: &'static str,
    /// The body of its configuration entry.
    body: String,
    /// The kind of its failure. Several kinds are separated by `|`; the empty string means that the server is ready.
    kind: &'static str,
    /// A part of the failure's message.
    message: &'static str,
}

pub fn bad(
    name: &'static str,
    body: impl Into<String>,
    kind: &'static str,
    message: &'static str,
) -> BadServer {
    BadServer {
        name,
        body: body.into(),
        kind,
        message,
    }
}

impl BadServer {
    pub fn entry(&self) -> String {
        entry(self.name, &self.body)
    }
}

/// Checks each bad server in a separate configuration that also has a working server.
pub fn check_each_with_a_working_server(servers: &[BadServer]) {
    let lab = lab();
    for_each_case(servers, |bad| {
        let working_entry = entry(WORKING, &url(&lab.url("ready")));
        let bad_entry = bad.entry();
        let user = User::with(&format!("{FILE_STORE}{bad_entry}{working_entry}"));
        let finished = user.check("json").finish();
        let finished = finished.assert_exit(match bad.kind {
            "" => 0,
            "signInRequired" => 3,
            _ => 1,
        });
        assert_eq!(finished.server(WORKING)["status"], "ready", "{finished:#?}");
        let server = finished.json()["servers"][0].clone();
        let kind = server["failure"]["kind"].as_str().unwrap_or_default();
        let message = server["failure"]["message"].as_str().unwrap_or_default();
        println!("{}: {kind}: {message}", bad.name);
        assert!(
            bad.kind.split('|').any(|allowed| allowed == kind),
            "{}: {server:#}",
            bad.name
        );
        assert!(message.contains(bad.message), "{}: {server:#}", bad.name);
        let evidence = server["failure"]["evidence"].to_string();
        assert!(
            evidence.len() < 64 * 1024,
            "{}: {} bytes",
            bad.name,
            evidence.len()
        );
        assert_memory_limit(&finished, bad.name);
        assert_eq!(
            std::fs::read_dir(user.path("temporary")).unwrap().count(),
            0
        );
    });
}
