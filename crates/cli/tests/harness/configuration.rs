//! Text for `config.toml`: entries of `mcp_servers` and their bodies.

use serde_json::{Value, json};

use super::run::test_program;

/// Keeps credentials in `.credentials.json` instead of the system keyring.
pub const FILE_STORE: &str = "mcp_oauth_credentials_store = \"file\"\n";

/// The quotation mark of the shells of this system in a suggested command.
pub const QUOTE: char = if cfg!(windows) { '"' } else { '\'' };

/// A quoted string, valid in both TOML and JSON.
pub fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// An entry of `mcp_servers`.
pub fn entry(name: &str, body: &str) -> String {
    format!("[mcp_servers.{}]\n{body}\n\n", quoted(name))
}

/// The body of an entry for a server at a URL.
pub fn url(url: &str) -> String {
    format!("url = {}", quoted(url))
}

/// The body of an entry for a server that takes these steps (see `test_program.rs`).
pub fn steps(steps: &[&str]) -> String {
    format!(
        "command = {}\nargs = {}",
        quoted(test_program()),
        json!(steps)
    )
}

/// The body of an entry for a server that is a shell script.
#[cfg(unix)]
pub fn shell(script: &str) -> String {
    format!("command = \"/bin/sh\"\nargs = [\"-c\", {}]", quoted(script))
}
