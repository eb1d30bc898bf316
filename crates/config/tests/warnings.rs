//! Warnings: parts of a file that are read, or left out, in a way that the user may not expect. They do not prevent a start.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::Path;

use mcp_startup_config::*;

/// Parses a file with one server. Returns it, and its warnings as `key (line): problem`.
fn only_server(text: &str) -> (ServerConfig, Vec<String>) {
    let configuration = parse(text, Path::new("file"), &BTreeMap::new())
        .unwrap_or_else(|error| panic!("{text}: {error}"));
    let [entry] = configuration.servers.as_slice() else {
        panic!("{text}: {configuration:?}");
    };
    let config = entry.config.clone();
    let config = config.unwrap_or_else(|problem| panic!("{text}: {problem}"));
    let warnings = entry.warnings.iter().map(ToString::to_string).collect();
    (config, warnings)
}

#[test]
fn other_clients_words_for_the_url_and_the_transport_are_read() {
    // The entry, whether it is an HTTP server, and the beginning of the warning.
    #[rustfmt::skip]
    let cases: &[(&str, bool, &str)] = &[
        (r#"{"type": "http", "url": "https://example.com"}"#, true, ""),
        (r#"{"type": "streamable-http", "url": "https://example.com"}"#, true, ""),
        (r#"{"type": "streamableHttp", "url": "https://example.com"}"#, true, "mcpServers.x.type (line 1): `streamableHttp` is read as `http`"),
        (r#"{"type": "streamable_http", "url": "https://example.com"}"#, true, "mcpServers.x.type (line 1): `streamable_http` is read as `http`"),
        (r#"{"type": "HTTP", "url": "https://example.com"}"#, true, "mcpServers.x.type (line 1): `HTTP` is read as `http`"),
        (r#"{"transport": "http", "url": "https://example.com"}"#, true, ""),
        (r#"{"transportType": "streamableHttp", "url": "https://example.com"}"#, true, "mcpServers.x.transportType (line 1): `streamableHttp`"),
        (r#"{"serverUrl": "https://example.com"}"#, true, "mcpServers.x.serverUrl (line 1): read as `url`"),
        (r#"{"type": "http", "httpUrl": "https://example.com"}"#, true, "mcpServers.x.httpUrl (line 1): read as `url`"),
        (r#"{"type": "stdio", "command": "a"}"#, false, ""),
        (r#"{"type": "STDIO", "command": "a"}"#, false, "mcpServers.x.type (line 1): `STDIO` is read as `stdio`"),
    ];
    for (entry, is_http, warning) in cases {
        let (config, warnings) = only_server(&format!("{{\"mcpServers\": {{\"x\": {entry}}}}}"));
        let found = matches!(config.transport, TransportConfig::Http(_));
        assert_eq!(found, *is_http, "{entry}");
        match *warning {
            "" => assert!(warnings.is_empty(), "{entry}: {warnings:?}"),
            expected => {
                assert_eq!(warnings.len(), 1, "{entry}: {warnings:?}");
                assert!(warnings[0].starts_with(expected), "{entry}: {warnings:?}");
            }
        }
    }
}

#[test]
fn the_servers_of_vs_code_are_read_with_a_warning() {
    let text = "{\n\"inputs\": [],\n\"servers\": {\"a\": {\"command\": \"x\"}}}";
    let configuration = parse(text, Path::new("mcp.json"), &BTreeMap::new()).unwrap();
    assert_eq!(configuration.servers[0].name, "a");
    let [warning] = configuration.warnings.as_slice() else {
        panic!("{:?}", configuration.warnings);
    };
    assert_eq!((warning.key.as_str(), warning.line), ("servers", Some(3)));
    assert!(warning.to_string().contains("read as `mcpServers`"));
}

#[test]
fn a_misspelled_table_of_servers_beside_the_right_one_is_a_warning() {
    let text = "[mcp_servers.a]\ncommand = 'x'\n[mcpServers.b]\ncommand = 'y'";
    let configuration = parse(text, Path::new("config.toml"), &BTreeMap::new()).unwrap();
    assert_eq!(configuration.servers.len(), 1);
    let warnings: Vec<_> = configuration
        .warnings
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        warnings,
        ["mcpServers (line 3): not read; write `mcp_servers`"]
    );
}
