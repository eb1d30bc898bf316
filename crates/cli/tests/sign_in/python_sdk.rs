//! A sign-in to a server of the Python SDK, which does its own OAuth. Its authorization server is on another host.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::json;

use crate::harness::authorization_server::{AuthorizationServer, installed};
use crate::harness::cases::skip;
use crate::harness::run::Running;
use crate::session::{failure_kind, sign_in, status_of, user_of};

#[test]
fn sign_in_to_a_server_of_the_python_sdk() {
    let test = "python_sdk::sign_in_to_a_server_of_the_python_sdk";
    let Some(auth_server) = AuthorizationServer::start(test) else {
        return;
    };
    let Some(server) = ProtectedServer::start(&auth_server, test) else {
        return;
    };
    let user = user_of(&[("python", &server.url)]);
    assert_eq!(
        status_of(&user, "python", &["--online"])["authStatus"],
        "notLoggedIn"
    );
    assert_eq!(
        failure_kind(&user, "python").as_deref(),
        Some("signInRequired")
    );
    sign_in(&user, "python");
    assert_eq!(failure_kind(&user, "python"), None);
    let record = user.records().remove("python").unwrap();
    assert_eq!(record["issuer"], auth_server.issuer);
    // The server rejects tokens for other resources of the same authorization server, so the sign-in named this resource.
    let elsewhere = auth_server.control("POST", "/test/grant", json!({"name": "linear"}));
    assert_eq!(
        auth_server.status_with_token(&server.url, elsewhere["accessToken"].as_str().unwrap()),
        401
    );

    auth_server.revoke(&record);
    assert_eq!(
        failure_kind(&user, "python").as_deref(),
        Some("reauthenticationRequired")
    );
    sign_in(&user, "python");
    assert_eq!(failure_kind(&user, "python"), None);
}

/// `tests/e2e/python/protected.py`. It exits when its stdin closes.
struct ProtectedServer {
    _process: Running,
    url: String,
}

impl ProtectedServer {
    fn start(auth_server: &AuthorizationServer, test: &str) -> Option<Self> {
        let Some(folder) = installed("venv") else {
            skip(test, "the Python SDK is not installed");
            return None;
        };
        let script = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/e2e/python/protected.py"
        );
        let mut child = Command::new(folder.join("venv/bin/python"))
            .args([script, "--issuer", &auth_server.issuer])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        stderr.read_line(&mut line).unwrap();
        let url = line
            .trim()
            .strip_prefix("listening on ")
            .unwrap_or_else(|| panic!("{line}"))
            .to_owned();
        Some(Self {
            _process: Running { child },
            url,
        })
    }
}
