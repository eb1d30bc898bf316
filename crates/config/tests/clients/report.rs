//! The report of clients' files for JSON, the names of servers, and where sign-ins are stored.

use std::collections::BTreeMap;
use std::path::Path;

use mcp_startup_config::clients::{
    Client, ClientFile, ServerName, credentials, discover_clients, report, require_known,
};
use mcp_startup_config::{ConfigurationErrorKind, CredentialStoreMode};
use serde_json::json;

use crate::fake_machine::{FakeMachine, normal};

fn files() -> Vec<ClientFile> {
    let cursor = r#"{"mcpServers": {"docs": {"url": "https://docs.example.com/mcp"}, "bad": {"url": "not a URL"}}}"#;
    let machine = FakeMachine::linux()
        .with("/home/sam/.cursor/mcp.json", cursor)
        .with("/home/sam/.codeium/windsurf/mcp_config.json", "{\n");
    let clients = [Client::Windsurf, Client::Zed, Client::Cursor];
    discover_clients(&clients, &machine, Path::new("/home/sam/project"))
}

#[test]
fn a_report_has_every_file_and_server() {
    let files = files();
    let mut report = serde_json::to_value(report(&files)).unwrap();
    let message = files[0].error.as_ref().unwrap().to_string();
    for file in report.as_array_mut().unwrap() {
        file["path"] = normal(Path::new(file["path"].as_str().unwrap())).into();
    }
    let why = report[1]["servers"][1]["why"].take();
    assert!(why.as_str().unwrap().contains("url"), "{why}");
    let expected = json!([
        {
            "client": "windsurf",
            "scope": "user",
            "path": "/home/sam/.codeium/windsurf/mcp_config.json",
            "format": files[0].format.as_str(),
            "approved": null,
            "notRead": null,
            "error": {"line": files[0].error.as_ref().unwrap().line(), "column": files[0].error.as_ref().unwrap().column(), "message": message},
            "warnings": [],
            "servers": [],
        },
        {
            "client": "cursor",
            "scope": "user",
            "path": "/home/sam/.cursor/mcp.json",
            "format": files[1].format.as_str(),
            "approved": null,
            "error": null,
            "notRead": null,
            "warnings": [],
            "servers": [
                {"name": "docs", "transport": "http", "enabled": true, "checkable": true, "why": null, "approved": null},
                {"name": "bad", "transport": "http", "enabled": true, "checkable": false, "why": null, "approved": null},
            ],
        },
    ]);
    assert_eq!(report, expected);
}

#[test]
fn an_unknown_name_is_reported_with_the_known_ones() {
    let files = files();
    let names = |names: &[&str]| -> Vec<ServerName> {
        names.iter().map(|name| ServerName::parse(name)).collect()
    };
    assert!(require_known(&names(&["docs", "cursor:bad"]), &files).is_ok());
    let error = require_known(&names(&["docs", "zed:docs"]), &files).unwrap_err();
    assert_eq!(error.kind(), ConfigurationErrorKind::UnknownServer);
    assert_eq!(
        error.to_string(),
        "no client has a server `zed:docs`; did you mean `docs`? 1 other server is configured."
    );
    let error = require_known(&names(&["docs"]), &[]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no client has a server `docs`; no client with servers was found"
    );
}

#[test]
fn sign_ins_are_stored_in_the_place_that_codex_specifies() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().to_str().unwrap().to_owned();
    let environment = BTreeMap::from([("CODEX_HOME".to_owned(), path)]);
    let settings = credentials(&[], &environment);
    assert_eq!(
        (settings.home.as_path(), settings.mode),
        (home.path(), CredentialStoreMode::File)
    );
    let text = "mcp_oauth_credentials_store = \"keyring\"\n";
    std::fs::write(home.path().join("config.toml"), text).unwrap();
    let settings = credentials(&[], &environment);
    assert_eq!(
        (settings.home.as_path(), settings.mode),
        (home.path(), CredentialStoreMode::Keyring)
    );
}
