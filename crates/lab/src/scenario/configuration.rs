//! The client's configuration: the authorization that it contains, and scenarios written as Codex's `config.toml`.

use std::fmt::Write;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Scenario, ScenarioUrls};

/// The authorization in a client's configuration.
///
/// ```
/// let rows = mcp_startup_lab::scenarios();
/// let row = rows.iter().find(|row| row.name == "bearer-rejected").unwrap();
/// assert_eq!(row.configured.as_ref().unwrap().bearer.as_deref(), Some("wrong-token"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ConfiguredAuthorization {
    /// A bearer token.
    pub bearer: Option<String>,
    /// Any other header.
    pub header: Option<ConfiguredHeader>,
    /// The id of an OAuth client.
    pub client_id: Option<String>,
    /// The secret of that client.
    pub client_secret: Option<String>,
}

/// A header in a client's configuration.
///
/// ```
/// let json = r#"{ "name": "X-Api-Key", "value": "good-key" }"#;
/// assert_eq!(serde_json::from_str::<mcp_startup_lab::ConfiguredHeader>(json).unwrap().name, "X-Api-Key");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConfiguredHeader {
    /// The header's name.
    pub name: String,
    /// The header's value.
    pub value: String,
}

/// Writes scenarios as a `config.toml` that stores credentials in a file.
///
/// `base` is the lab's [`base_url`](crate::Lab::base_url). `program` is a command and its first arguments. A scenario that is a
/// program runs this command with the further arguments `lab --stdio NAME`.
///
/// ```
/// let text = mcp_startup_lab::config_toml(mcp_startup_lab::scenarios(), "http://127.0.0.1:9", &["mcp-startup"]);
/// assert!(text.contains("[mcp_servers.\"ready\"]\nurl = \"http://127.0.0.1:9/ready/mcp\"\n"));
/// ```
pub fn config_toml<'a>(
    rows: impl IntoIterator<Item = &'a Scenario>,
    base: &str,
    program: &[impl AsRef<str>],
) -> String {
    let mut text = String::from("mcp_oauth_credentials_store = \"file\"\n");
    // A JSON string is a valid basic string of TOML. Writing to a `String` never fails.
    let quote = |value: &str| Value::from(value).to_string();
    for row in rows {
        let name = quote(&row.name);
        let _ = writeln!(text, "\n[mcp_servers.{name}]");
        let _ = match row.stdio {
            Some(_) => {
                let mut words = program.iter().map(|word| quote(word.as_ref()));
                let command = words.next().unwrap_or_else(|| quote(""));
                let first_args: String = words.map(|word| word + ", ").collect();
                writeln!(
                    text,
                    "command = {command}\nargs = [{first_args}\"lab\", \"--stdio\", {name}]",
                )
            }
            None => {
                let url = quote(&ScenarioUrls::new(base, &row.name).resource);
                writeln!(text, "url = {url}")
            }
        };
        if let Some(seconds) = row.startup_timeout_sec {
            let _ = writeln!(text, "startup_timeout_sec = {seconds}");
        }
        let Some(configured) = &row.configured else {
            continue;
        };
        let bearer = configured.bearer.iter();
        let bearer = bearer.map(|token| ("Authorization", format!("Bearer {token}")));
        let header = configured.header.iter();
        let header = header.map(|header| (header.name.as_str(), header.value.clone()));
        let headers: Vec<_> = bearer
            .chain(header)
            .map(|(name, value)| format!("{} = {}", quote(name), quote(&value)))
            .collect();
        if !headers.is_empty() {
            let _ = writeln!(text, "http_headers = {{ {} }}", headers.join(", "));
        }
        let client = [
            ("client_id", &configured.client_id),
            ("client_secret", &configured.client_secret),
        ];
        let client: Vec<_> = client
            .into_iter()
            .filter_map(|(key, value)| Some(format!("{key} = {}", quote(value.as_deref()?))))
            .collect();
        if !client.is_empty() {
            let _ = writeln!(text, "oauth = {{ {} }}", client.join(", "));
        }
    }
    text
}
