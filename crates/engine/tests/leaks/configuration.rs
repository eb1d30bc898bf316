//! `Debug` and the errors of configurations.

use std::collections::BTreeMap;
use std::path::Path;

use mcp_startup::config::{self, Configuration, ServerConfig, ServerEntry, TransportConfig};
use serde_json::{Value, json};

use crate::{Leaks, MARK, secret};

fn parse(text: &str, file: &str) -> Result<Configuration, config::ConfigurationError> {
    let names = ["BEARER", "HEADER", "CLIENT", "COPIED", "FILLED"];
    let mut environment: BTreeMap<_, _> = names.map(|name| (name.to_owned(), secret(name))).into();
    // It can be the host of a URL.
    environment.insert("WORD".to_owned(), MARK.to_owned());
    config::parse(text, Path::new(file), &environment)
}

/// Configurations with a secret in every place that accepts one, and in places that reject one.
fn configurations() -> [Configuration; 2] {
    let quoted = |what| Value::from(secret(what)).to_string();
    let toml = format!(
        r#"
        [mcp_servers.http]
        url = "https://mcp.example/mcp?key={MARK}"
        bearer_token_env_var = "BEARER"
        http_headers = {{ X-Key = {header}, Authorization = {header} }}
        env_http_headers = {{ X-Other = "HEADER" }}
        oauth = {{ client_id = "client-1", client_secret = {client} }}
        [mcp_servers.http-2]
        url = "https://mcp.example/mcp"
        oauth = {{ client_id = "client-1", client_secret_env_var = "CLIENT" }}
        oauth_resource = "https://mcp.example/mcp?key={MARK}"
        [mcp_servers.stdio]
        command = "true"
        args = ["--api-key", {argument}]
        env = {{ SECRET = {variable} }}
        env_vars = ["COPIED"]
        [mcp_servers.password]
        url = "https://me:{MARK}@mcp.example/mcp"
        [mcp_servers.no-url]
        url = "https//me:{MARK}@mcp.example/mcp"
        [mcp_servers.token]
        url = "https://mcp.example/mcp"
        bearer_token = {argument}
        [mcp_servers.header]
        url = "https://mcp.example/mcp"
        http_headers = {{ X-Key = "{MARK}\n" }}
        [mcp_servers.types]
        command = ["{MARK}"]
        "#,
        header = quoted("header"),
        client = quoted("client"),
        argument = quoted("argument"),
        variable = quoted("variable"),
    );
    let json = json!({ "mcpServers": {
        "http": { "url": "https://mcp.example/${FILLED}/mcp?key=${FILLED}", "headers": { "X-Key": "${FILLED}" } },
        "host": { "url": "https://${FILLED}/mcp" },
        "any-part": { "url": "https:///x${WORD}/${WORD}?${WORD}=${WORD}#${WORD}" },
        "oauth": { "url": "https://mcp.example", "oauth": { "clientId": "client-1", "clientSecret": "${WORD}" } },
        "stdio": { "command": "/opt/${FILLED}", "args": ["a${FILLED}"], "env": { "X": "${FILLED}" } },
    }});
    [
        parse(&toml, "config.toml").unwrap(),
        parse(&json.to_string(), "servers.json").unwrap(),
    ]
}

#[test]
fn debug_of_a_configuration_shows_no_secret() {
    let mut leaks = Leaks::default();
    for configuration in configurations() {
        leaks.debug("Configuration", &configuration);
        for entry in &configuration.servers {
            let name = format!("{} of {}", entry.name, configuration.path.display());
            if ["any-part", "oauth"].contains(&entry.name.as_str()) {
                assert!(entry.config.is_ok(), "{entry:?}");
            }
            leaks.debug(&format!("ServerEntry {name}"), entry);
            match &entry.config {
                Ok(server) => {
                    leaks.debug(&format!("ServerConfig {name}"), server);
                    leaks.debug(&format!("OAuthClient {name}"), &server.oauth);
                    match &server.transport {
                        TransportConfig::Http(http) => {
                            leaks.debug(&format!("HttpConfig {name}"), http);
                            leaks.debug(&format!("BearerToken {name}"), &http.bearer);
                            leaks.debug(&format!("ConfiguredHeader {name}"), &http.headers);
                        }
                        TransportConfig::Stdio(stdio) => {
                            leaks.debug(&format!("StdioConfig {name}"), stdio);
                        }
                    }
                }
                Err(problem) => leaks.error(&format!("EntryProblem {name}"), problem),
            }
        }
    }
    for (name, text) in [
        ("config.toml", format!("a = {MARK} oops")),
        ("config.toml", format!("{MARK} oops")),
        ("config.toml", format!("mcp_servers = \"{MARK}\"")),
        ("servers.json", format!("{{\"mcpServers\": {MARK}}}")),
        ("servers.json", format!("{{\"mcpServers\": [\"{MARK}\"]}}")),
        (
            "servers.json",
            format!("{{\"mcpServers\": {{\"a\": \"{MARK}"),
        ),
    ] {
        leaks.error(
            &format!("ConfigurationError of {text}"),
            &parse(&text, name).unwrap_err(),
        );
    }
    let built = ServerConfig::http("built", "https://mcp.example/mcp").unwrap();
    let built = built.with_bearer_token("TOKEN", secret("bearer")).unwrap();
    let built = built.with_header("X-Key", secret("header")).unwrap();
    leaks.debug("ServerConfig::http", &built);
    let built = ServerConfig::stdio("built", "true", [secret("argument")]).unwrap();
    let built = built.with_env("SECRET", secret("variable")).unwrap();
    leaks.debug("ServerConfig::stdio", &built);
    leaks.debug("ServerEntry::from", &ServerEntry::from(built));
    leaks.assert_none();
}
