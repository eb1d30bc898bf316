//! Text for `config.toml`: entries of `mcp_servers` and their bodies.

use serde_json::Value;

/// Keeps credentials in `.credentials.json` instead of the system keyring.
pub const FILE_STORE: &str = "mcp_oauth_credentials_store = \"file\"\n";

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

/// The body of an entry for a server that is a shell script.
pub fn shell(script: &str) -> String {
    format!("command = \"/bin/sh\"\nargs = [\"-c\", {}]", quoted(script))
}
