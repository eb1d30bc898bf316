//! A reload while a client's file can't be read.

use serde_json::{Value, json};

use crate::client::Client;
use crate::harness::configuration::{FILE_STORE, entry, url};
use crate::harness::lab::lab;
use crate::harness::user::User;

#[test]
fn a_file_that_cannot_be_read_leaves_its_servers_and_the_other_files_are_reloaded() {
    let lab = lab();
    let codex = [
        FILE_STORE.to_owned(),
        entry("codex", &url(&lab.url("ready"))),
    ]
    .concat();
    let user = User::with(&codex);
    std::fs::create_dir(user.path("home/.cursor")).unwrap();
    let cursor = |servers: &[&str]| {
        let url = lab.url("ready");
        let entries = servers.iter().map(|name| {
            (
                (*name).to_owned(),
                json!({ "url": format!("{url}?{name}") }),
            )
        });
        let entries: serde_json::Map<String, Value> = entries.collect();
        user.write(
            "home/.cursor/mcp.json",
            json!({ "mcpServers": entries }).to_string(),
        );
    };
    cursor(&["first"]);
    let none = json!({});
    let mut client = Client::start(user.program(&["app-server"]));
    for name in ["codex", "first"] {
        client.wait_for(name, "ready");
    }

    user.write("home/.codex/config.toml", "[mcp_servers.codex\n");
    cursor(&["first", "second"]);
    let reloaded = client.request("config/mcpServer/reload", &none);
    let error = &reloaded["error"];
    assert_eq!(
        error["data"]["reason"], "configurationUnreadable",
        "{reloaded}"
    );
    let message = error["message"].as_str().unwrap();
    assert!(
        message.contains("config.toml") && !message.contains("mcp.json"),
        "{message}"
    );
    client.wait_for("second", "ready");
    let states = |client: &mut Client| {
        let list = client.request("mcpServerStatus/list", &none);
        let servers = list["result"]["data"].as_array().unwrap().clone();
        let state = |server: &Value| {
            let text = |field: &str| server[field].as_str().unwrap().to_owned();
            (text("name"), text("runtimeStatus"))
        };
        servers.iter().map(state).collect::<Vec<_>>()
    };
    let connected = |names: &[&str]| {
        let names = names.iter();
        names
            .map(|name| ((*name).to_owned(), "connected".to_owned()))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        states(&mut client),
        connected(&["codex", "first", "second"])
    );
    let listed = client.request("mcpStartup/servers/list", &none);
    let unreadable = listed["result"]["unreadable"].as_array().unwrap();
    assert!(
        unreadable.len() == 1 && unreadable[0].as_str().unwrap().contains("config.toml"),
        "{listed}"
    );

    // The file can be read again, and has not changed.
    user.write("home/.codex/config.toml", &codex);
    cursor(&["second"]);
    let reloaded = client.request("config/mcpServer/reload", &none);
    assert_eq!(reloaded["result"], none, "{reloaded}");
    assert_eq!(states(&mut client), connected(&["codex", "second"]));
    let starts = |name: &str| {
        let of_name = |message: &&Value| {
            message["params"]["name"] == name && message["params"]["status"] == "starting"
        };
        client.rest().iter().filter(of_name).count()
    };
    assert_eq!(["codex", "first", "second"].map(starts), [1, 1, 1]);
}

#[test]
fn the_app_server_starts_with_the_files_that_can_be_read() {
    let lab = lab();
    let user = User::with("[mcp_servers.codex\n");
    std::fs::create_dir(user.path("home/.cursor")).unwrap();
    let servers = json!({ "mcpServers": { "cursor": { "url": lab.url("ready") } } });
    user.write("home/.cursor/mcp.json", servers.to_string());
    let mut client = Client::start(user.program(&["app-server"]));
    client.wait_for("cursor", "ready");
    let listed = client.request("mcpStartup/servers/list", &json!({}));
    assert_eq!(
        listed["result"]["unreadable"].as_array().unwrap().len(),
        1,
        "{listed}"
    );
}
