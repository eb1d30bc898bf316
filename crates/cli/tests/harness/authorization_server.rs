//! The real authorization server of the end-to-end tests (npm `oidc-provider`), and the MCP servers that accept its tokens.

use std::env::consts::EXE_SUFFIX;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::cases::skip;
use super::http_client::send;
use super::run::Running;

/// The folder of the installed end-to-end programs; `None` if this part of them is not installed completely.
pub fn installed(part: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("MCP_STARTUP_E2E").map(PathBuf::from)?;
    let is_complete = folder.join(part).join(".installed-from").exists();
    is_complete.then_some(folder)
}

pub struct AuthorizationServer {
    /// The server exits when its stdin closes.
    _process: Running,
    pub issuer: String,
}

impl AuthorizationServer {
    /// Starts the server. If Node or its packages are not installed, records the test as skipped and returns `None`.
    pub fn start(test: &str) -> Option<Self> {
        let Some(folder) = installed("npm") else {
            skip(test, "the Node packages are not installed");
            return None;
        };
        let mut child = Command::new(folder.join(format!("bin/node{EXE_SUFFIX}")))
            .arg(folder.join("npm/oidc.mjs"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let issuer = line.trim().strip_prefix("listening ").unwrap().to_owned();
        Some(Self {
            _process: Running { child },
            issuer,
        })
    }

    /// The URL of the MCP server with this name.
    pub fn mcp_url(&self, name: &str) -> String {
        format!("{}/{name}/mcp", self.issuer)
    }

    /// Sends a request to one of the endpoints that exist only for tests.
    pub fn control(&self, method: &str, path: &str, body: Value) -> Value {
        let body = match method {
            "GET" => String::new(),
            _ => body.to_string(),
        };
        let url = format!("{}{path}", self.issuer);
        let response = send(method, &url, &[("Content-Type", "application/json")], &body);
        assert!(
            (200..300).contains(&response.status),
            "{method} {path}: {response:?}"
        );
        serde_json::from_str(&response.body).unwrap_or_default()
    }

    pub fn stats(&self) -> Value {
        self.control("GET", "/test/stats", Value::Null)
    }

    /// The number of requests received, excluding those of the tests.
    pub fn request_count(&self) -> u64 {
        self.stats()["requests"].as_u64().unwrap()
    }

    /// Revokes the grant of this record.
    pub fn revoke(&self, record: &Value) {
        let body = json!({"refreshToken": record["refresh_token"]});
        let revoked = self.control("POST", "/test/revoke", body);
        assert_eq!(revoked["found"], true, "{record:#}");
    }

    /// The HTTP status of a request with this token to the MCP server at `url`.
    pub fn status_with_token(&self, url: &str, token: &str) -> u16 {
        let bearer = format!("Bearer {token}");
        let headers = [
            ("Authorization", bearer.as_str()),
            ("Content-Type", "application/json"),
        ];
        send(
            "POST",
            url,
            &headers,
            r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#,
        )
        .status
    }
}
