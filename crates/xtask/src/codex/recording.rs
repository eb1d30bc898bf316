//! Records what the app-server of Codex writes when it starts servers of the lab.
//!
//! Codex needs no account for this. It sends notifications only after `thread/start`, and the thread also connects to its model,
//! so the configuration names a model that is unreachable.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use mcp_startup_core::METHOD;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::Result;

/// The scenarios of the lab that are recorded: each state, and each way to a reason or to none.
const SCENARIOS: &[&str] = &[
    "ready",
    "ready-stored-token",
    "expired-but-served",
    "expired-refreshes",
    "first-sign-in",
    "expired-no-refresh",
    "revoked-no-refresh",
    "refresh-invalid-grant",
    "bearer-ok",
    "bearer-rejected",
    "insufficient-scope",
    "access-denied",
    "server-500",
    "html-page",
    "stdio-ready",
    "stdio-exits-3",
];

/// The time for all servers. Codex gives each server 30 s.
const DEADLINE: Duration = Duration::from_secs(90);

const SETTINGS: &str = r#"
model = "none"
model_provider = "none"
mcp_oauth_credentials_store = "file"

[features]
plugins = false
shell_snapshot = false

[model_providers.none]
name = "none"
base_url = "http://127.0.0.1:9"
"#;

/// A child that ends with this value.
struct Owned(Child);

impl Drop for Owned {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns the notifications of `codex app-server` as it wrote them, until each server is ready or has failed.
pub fn record(codex: &Path, lab: &Path, home: &Path) -> Result<Vec<String>> {
    let lab = lab
        .canonicalize()
        .map_err(|error| format!("{}: {error}", lab.display()))?;
    let serving = Command::new(&lab)
        .arg("lab")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut serving = Owned(serving);
    let stdout = serving.0.stdout.take().ok_or("the lab has no stdout")?;
    let mut url = String::new();
    BufReader::new(stdout).read_line(&mut url)?;
    let environment = configure(home, &lab, &scenarios(url.trim())?)?;

    let app_server = super::command(codex, home)
        .arg("app-server")
        .envs(environment)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut app_server = Owned(app_server);
    let mut stdin = app_server.0.stdin.take().ok_or("no stdin")?;
    for request in [
        json!({"id": 1, "method": "initialize", "params": {"clientInfo": {"name": "xtask", "version": "1.0.0"}}}),
        json!({"method": "initialized"}),
        json!({"id": 2, "method": "thread/start", "params": {"ephemeral": true}}),
    ] {
        writeln!(stdin, "{request}")?;
    }
    let stdout = app_server.0.stdout.take().ok_or("no stdout")?;
    let (send, lines) = mpsc::channel();
    // Ends when the app-server ends, which closes its stdout.
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(|line| line.ok()) {
            if send.send(line).is_err() {
                break;
            }
        }
    });
    let began = Instant::now();
    let mut waiting: BTreeSet<&str> = SCENARIOS.iter().copied().collect();
    let mut recorded = Vec::new();
    while !waiting.is_empty() {
        let left = DEADLINE.saturating_sub(began.elapsed());
        let line = lines
            .recv_timeout(left)
            .map_err(|error| format!("no result for {waiting:?}: {error}"))?;
        let message: Value = serde_json::from_str(&line)?;
        if !message["error"].is_null() {
            return Err(format!("the app-server returned an error: {message}").into());
        }
        if message["method"] != METHOD {
            continue;
        }
        if message["params"]["status"] != "starting"
            && let Some(name) = message["params"]["name"].as_str()
        {
            waiting.remove(name);
        }
        recorded.push(line);
    }
    Ok(recorded)
}

/// Returns the recorded scenarios of the lab at `url`.
fn scenarios(url: &str) -> Result<Vec<Value>> {
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(address)?;
    write!(
        stream,
        "GET / HTTP/1.0\r\nHost: {address}\r\nAccept: application/json\r\n\r\n"
    )?;
    let mut response = String::new();
    stream.read_to_string(&mut response)?;
    let (_, body) = response.split_once("\r\n\r\n").ok_or("no body")?;
    let rows: Vec<Value> = serde_json::from_str(body)?;
    SCENARIOS
        .iter()
        .map(|name| {
            let row = rows.iter().find(|row| row["name"] == *name);
            let row = row.ok_or_else(|| format!("the lab has no scenario `{name}`"))?;
            Ok(row.clone())
        })
        .collect()
}

/// Writes the configuration and the stored sign-ins of Codex. Returns the variables with tokens.
fn configure(home: &Path, lab: &Path, rows: &[Value]) -> Result<Vec<(String, String)>> {
    let mut config = SETTINGS.to_owned();
    let mut records = Map::new();
    let mut environment = Vec::new();
    for row in rows {
        let name = row["name"].as_str().ok_or("a scenario has no name")?;
        writeln!(config, "\n[mcp_servers.{}]", json!(name))?;
        // Strings and arrays of strings have the same syntax in JSON and in TOML.
        if row["stdio"].is_null() {
            writeln!(config, "url = {}", row["url"])?;
        } else {
            writeln!(config, "command = {}", json!(lab))?;
            writeln!(config, "args = {}", json!(["lab", "--stdio", name]))?;
        }
        if let Some(token) = row["configured"]["bearer"].as_str() {
            let variable = name.to_uppercase().replace('-', "_");
            writeln!(config, "bearer_token_env_var = {}", json!(variable))?;
            environment.push((variable, token.to_owned()));
        }
        if !row["stored"].is_null() {
            let url = row["url"].as_str().ok_or("a scenario has no URL")?;
            records.insert(key_of(name, url), record_of(name, url, &row["stored"])?);
        }
    }
    fs::write(home.join("config.toml"), config)?;
    fs::write(
        home.join(".credentials.json"),
        Value::from(records).to_string(),
    )?;
    Ok(environment)
}

/// Returns the key of a record, as Codex computes it.
fn key_of(name: &str, url: &str) -> String {
    let hashed = format!(r#"{{"type":"http","url":{},"headers":{{}}}}"#, json!(url));
    let hash = Sha256::digest(hashed.as_bytes());
    let hex: String = hash.iter().take(8).fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    format!("{name}|{hex}")
}

fn record_of(name: &str, url: &str, stored: &Value) -> Result<Value> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let expires_at = match stored["expiresInSeconds"].as_i64() {
        Some(seconds) => {
            json!(i64::try_from(now.as_millis())?.saturating_add(seconds.saturating_mul(1000)))
        }
        None => stored["expiresAt"].clone(),
    };
    Ok(json!({
        "server_name": name,
        "server_url": url,
        "client_id": stored["clientId"],
        "access_token": stored["accessToken"],
        "refresh_token": stored["refreshToken"],
        "expires_at": expires_at,
        "scopes": stored["scopes"],
        "issuer": stored["issuer"],
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_a_record_is_that_of_codex() {
        // From the tests of `mcp-startup-auth`.
        assert_eq!(
            key_of("linear", "https://mcp.linear.app/mcp"),
            "linear|638130d5ab3558f4"
        );
    }
}
