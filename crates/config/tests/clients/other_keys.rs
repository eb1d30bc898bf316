//! Files whose servers are below the key of another client: an error if the file has no other servers, and a warning otherwise. Files
//! without such a key have neither.

use mcp_startup_config::clients::{Client, ClientFile};

use crate::fake_machine::FakeMachine;

const SHOP: &str = "/work/shop";
const JSON: &str = r#"{"a": {"command": "a"}}"#;

/// The client, its file, the text for a file with servers below another key, that key, and the own key.
fn cases() -> Vec<(Client, &'static str, String, &'static str, &'static str)> {
    let json = |key: &str| format!("{{\"{key}\": {JSON}}}");
    let nested = |first: &str, second: &str| format!("{{\"{first}\": {{\"{second}\": {JSON}}}}}");
    let vs_code = "/home/sam/.config/Code/User/mcp.json";
    let cursor = "/home/sam/.cursor/mcp.json";
    let desktop = "/home/sam/.config/Claude/claude_desktop_config.json";
    let gemini = "/home/sam/.gemini/settings.json";
    let opencode = "/home/sam/.config/opencode/opencode.json";
    let zed = "/home/sam/.config/zed/settings.json";
    let goose = "/home/sam/.config/goose/config.yaml";
    let codex = "/home/sam/.codex/config.toml";
    let grok = "/home/sam/.grok/config.toml";
    let vibe = "/home/sam/.vibe/config.toml";
    let state = "/home/sam/.claude.json";
    let chat = "/work/shop/librechat.yaml";
    let yaml = |key: &str| format!("{key}:\n  a:\n    command: a\n");
    vec![
        (
            Client::VsCode,
            vs_code,
            json("mcpServers"),
            "mcpServers",
            "servers",
        ),
        (
            Client::VsCode,
            vs_code,
            nested("mcp", "servers"),
            "mcp.servers",
            "servers",
        ),
        (
            Client::Cursor,
            cursor,
            json("servers"),
            "servers",
            "mcpServers",
        ),
        (
            Client::Cursor,
            cursor,
            json("mcp-servers"),
            "mcp-servers",
            "mcpServers",
        ),
        (
            Client::ClaudeDesktop,
            desktop,
            json("servers"),
            "servers",
            "mcpServers",
        ),
        (
            Client::ClaudeCode,
            state,
            json("servers"),
            "servers",
            "mcpServers",
        ),
        (
            Client::GeminiCli,
            gemini,
            json("mcp_servers"),
            "mcp_servers",
            "mcpServers",
        ),
        (
            Client::GeminiCli,
            gemini,
            nested("mcp", "servers"),
            "mcp.servers",
            "mcpServers",
        ),
        (
            Client::Opencode,
            opencode,
            json("mcpServers"),
            "mcpServers",
            "mcp",
        ),
        (
            Client::Zed,
            zed,
            json("mcpServers"),
            "mcpServers",
            "context_servers",
        ),
        (
            Client::Goose,
            goose,
            yaml("mcpServers"),
            "mcpServers",
            "extensions",
        ),
        (
            Client::LibreChat,
            chat,
            yaml("mcp_servers"),
            "mcp_servers",
            "mcpServers",
        ),
        (
            Client::Codex,
            codex,
            "[mcp.servers.a]\ncommand = \"a\"\n".to_owned(),
            "mcp.servers",
            "mcp_servers",
        ),
        (
            Client::Codex,
            codex,
            "[mcpServers.a]\ncommand = \"a\"\n".to_owned(),
            "mcpServers",
            "mcp_servers",
        ),
        (
            Client::GrokBuild,
            grok,
            "[mcpServers.a]\ncommand = \"a\"\n".to_owned(),
            "mcpServers",
            "mcp_servers",
        ),
        (
            Client::MistralVibe,
            vibe,
            "[mcp_server.a]\ncommand = \"a\"\n".to_owned(),
            "mcp_server",
            "mcp_servers",
        ),
    ]
}

fn files(client: Client, path: &str, text: &str) -> Vec<ClientFile> {
    FakeMachine::linux().with(path, text).files_of(client, SHOP)
}

#[test]
fn servers_below_the_key_of_another_client_are_an_error_with_both_keys() {
    for (client, path, text, key, own) in cases() {
        let files = files(client, path, &text);
        let errors: Vec<_> = files
            .iter()
            .filter_map(|file| file.error.as_ref())
            .collect();
        let [error] = errors.as_slice() else {
            panic!("{client}, {text}: {errors:?}");
        };
        assert_eq!(error.line(), Some(1), "{text}");
        let found = error.to_string().replace('\\', "/");
        assert_eq!(
            found,
            format!("{path}, line 1: {client} does not read `{key}`; write its servers in `{own}`"),
        );
    }
}

#[test]
fn servers_below_two_keys_are_a_warning() {
    for (client, path, text) in [
        (
            Client::VsCode,
            "/home/sam/.config/Code/User/mcp.json",
            format!("{{\"servers\": {JSON}, \"mcpServers\": {JSON}}}"),
        ),
        (
            Client::Opencode,
            "/home/sam/.config/opencode/opencode.json",
            format!(
                "{{\"mcp\": {{\"a\": {{\"type\": \"local\", \"command\": [\"a\"]}}}}, \"mcpServers\": {JSON}}}"
            ),
        ),
        (
            Client::Codex,
            "/home/sam/.codex/config.toml",
            "[mcp_servers.a]\ncommand = \"a\"\n[mcpServers.a]\ncommand = \"a\"\n".to_owned(),
        ),
        (
            Client::Goose,
            "/home/sam/.config/goose/config.yaml",
            "extensions:\n  a:\n    name: a\n    type: stdio\n    cmd: a\n    args: []\n    enabled: true\nmcpServers:\n  a:\n    command: a\n"
                .to_owned(),
        ),
    ] {
        let files = files(client, path, &text);
        assert_eq!(files.len(), 1, "{client}");
        assert!(files[0].error.is_none(), "{:?}", files[0].error);
        let server = &files[0].servers[0].entry;
        assert!(server.config.is_ok(), "{:?}", server.config);
        // The warning is about the file, and not about each of its servers.
        assert!(server.warnings.is_empty(), "{:?}", server.warnings);
        let warnings = files[0].warnings.iter();
        let warnings: Vec<String> = warnings.map(ToString::to_string).collect();
        let [warning] = warnings.as_slice() else {
            panic!("{client}: {warnings:?}");
        };
        assert!(warning.starts_with("mcpServers (line "), "{warning}");
        assert!(
            warning.contains(&format!("{client} does not read it; write its servers in `")),
            "{warning}"
        );
    }
}

#[test]
fn other_keys_of_a_file_have_no_effect() {
    let cursor = "/home/sam/.cursor/mcp.json";
    let gemini = "/home/sam/.gemini/settings.json";
    let kiro = "/home/sam/.kiro/settings/mcp.json";
    for (client, path, text) in [
        (Client::Cursor, cursor, "{}".to_owned()),
        (Client::Cursor, cursor, r#"{"servers": {}}"#.to_owned()),
        (
            Client::Cursor,
            cursor,
            r#"{"servers": {"a": {"host": "a"}}, "mcp": {"command": "a"}, "mcpServers": {}}"#
                .to_owned(),
        ),
        (
            Client::GeminiCli,
            gemini,
            r#"{"mcp": {"allowed": ["a"], "serverCommand": "a"}, "theme": {"command": "a"}}"#
                .to_owned(),
        ),
        // Both keys are read.
        (
            Client::Kiro,
            kiro,
            format!("{{\"mcpServers\": {JSON}, \"powers\": {{\"mcpServers\": {JSON}}}}}"),
        ),
        (
            Client::Opencode,
            "/home/sam/.config/opencode/opencode.json",
            r#"{"mcp": {"servers": {"a": {"type": "local", "command": ["a"]}}}}"#.to_owned(),
        ),
        (
            Client::Warp,
            "/home/sam/.warp/.mcp.json",
            format!("{{\"servers\": {JSON}}}"),
        ),
    ] {
        for file in files(client, path, &text) {
            assert!(file.error.is_none(), "{text}: {:?}", file.error);
            for server in &file.servers {
                assert!(
                    server.entry.warnings.is_empty(),
                    "{text}: {:?}",
                    server.entry.warnings
                );
            }
        }
    }
}

/// The JSON clients that read their servers in different ways: their file, the path of the servers, and an entry.
fn json_clients() -> [(Client, &'static str, &'static str, &'static str); 7] {
    let entry = r#"{"command": "a", "args": []}"#;
    [
        (
            Client::Cursor,
            "/home/sam/.cursor/mcp.json",
            "mcpServers",
            entry,
        ),
        (
            Client::ClaudeDesktop,
            "/home/sam/.config/Claude/claude_desktop_config.json",
            "mcpServers",
            entry,
        ),
        (
            Client::ClaudeCode,
            "/home/sam/.claude.json",
            "mcpServers",
            entry,
        ),
        (
            Client::ClaudeCode,
            "/work/shop/.mcp.json",
            "mcpServers",
            entry,
        ),
        (
            Client::VsCode,
            "/home/sam/.config/Code/User/mcp.json",
            "servers",
            entry,
        ),
        (
            Client::Zed,
            "/home/sam/.config/zed/settings.json",
            "context_servers",
            entry,
        ),
        (
            Client::Opencode,
            "/home/sam/.config/opencode/opencode.json",
            "mcp",
            r#"{"type": "local", "command": ["a"]}"#,
        ),
    ]
}

#[test]
fn servers_below_the_first_of_two_equal_keys_are_not_lost_silently() {
    for (client, path, key, entry) in json_clients() {
        let twice =
            format!("{{\n\"{key}\": {{\"lost\": {entry}}},\n\"{key}\": {{\"a\": {entry}}}}}");
        let files = files(client, path, &twice);
        let names = files[0].servers.iter().map(|server| &server.entry.name);
        assert_eq!(names.collect::<Vec<_>>(), ["a"], "{path}");
        let warnings = files[0].warnings.iter();
        let warnings: Vec<String> = warnings.map(ToString::to_string).collect();
        let expected = format!(
            "{key} (line 3): this key is in line 2 and in line 3; only the value in line 3 is read"
        );
        assert_eq!(warnings, [expected], "{path}");
    }
}

/// The text of an error, with the separators of paths as on Unix.
fn with_slashes(error: &impl ToString) -> String {
    error.to_string().replace('\\', "/")
}

#[test]
fn servers_that_an_empty_key_replaces_are_an_error() {
    for (client, path, key, entry) in json_clients() {
        for last in ["{}", "{ }", "null"] {
            let text = format!("{{\n\"{key}\": {{\"lost\": {entry}}},\n\"{key}\": {last}}}");
            let files = files(client, path, &text);
            let error = files[0].error.as_ref().map(with_slashes);
            let expected = format!(
                "{path}, line 3: `{key}` is in line 2 and in line 3; only the value in line 3 is read, and it has no servers: write all servers below one `{key}`"
            );
            assert_eq!(error, Some(expected), "{text}");
        }
        // Nothing is lost.
        let text = format!("{{\"{key}\": {{}},\n\"{key}\": {{}}}}");
        let files = files(client, path, &text);
        assert!(files.iter().all(|file| file.error.is_none()), "{text}");
    }
}

#[test]
fn a_server_outside_of_the_table_is_named() {
    for (client, path, key, entry) in json_clients() {
        let outside = r#"{"command": "b", "args": ["c"]}"#;
        let text = format!("{{\"{key}\": {{\"a\": {entry}}},\n\"b\": {outside}}}");
        let found = files(client, path, &text);
        let warnings = found[0].warnings.iter();
        let warnings: Vec<String> = warnings.map(ToString::to_string).collect();
        let expected =
            format!("b (line 2): {client} does not read this server; move it into `{key}`");
        assert_eq!(warnings, [expected], "{path}");
        let text = format!("{{\"x\": 1,\n\"b\": {outside}}}");
        let found = files(client, path, &text);
        let error = found[0].error.as_ref().map(with_slashes);
        let expected =
            format!("{path}, line 2: {client} does not read the server `b`; move it into `{key}`");
        assert_eq!(error, Some(expected), "{path}");
        // Other settings that start a program, or have an address.
        for other in [
            r#"{"type": "command", "command": "b", "args": ["c"]}"#,
            r#"{"command": "b"}"#,
            r#"{"url": "https://b.example.com"}"#,
        ] {
            let text = format!("{{\"{key}\": {{\"a\": {entry}}}, \"b\": {other}}}");
            let found = files(client, path, &text);
            let warnings = &found[0].warnings;
            assert!(warnings.is_empty(), "{text}: {warnings:?}");
        }
    }
}

/// The keys and the problems of the warnings of a server.
fn warnings_of(files: &[ClientFile], name: &str) -> Vec<String> {
    let servers = files.iter().flat_map(|file| &file.servers);
    let server = servers.into_iter().find(|server| server.entry.name == name);
    let warnings = server.unwrap().entry.warnings.iter();
    warnings
        .map(|warning| format!("{}: {}", warning.key, warning.problem))
        .collect()
}

#[test]
fn a_repeated_server_of_claude_code_is_named_also_in_a_project() {
    let entry = r#"{"command": "a"}"#;
    let twice = format!("{{\n\"a\": {entry},\n\"a\": {entry}, \"b\": {entry}}}");
    let project = format!("\"projects\": {{\"{SHOP}\": {{\"mcpServers\": {twice}}}}}");
    let state = "/home/sam/.claude.json";
    let files = files(Client::ClaudeCode, state, &format!("{{{project}}}"));
    let expected = format!(
        "projects.{SHOP:?}.mcpServers.a: this key is in line 2 and in line 3; only the value in line 3 is read"
    );
    assert_eq!(warnings_of(&files, "a").len(), 1, "{files:?}");
    assert_eq!(warnings_of(&files, "a"), [expected]);
    assert!(warnings_of(&files, "b").is_empty());
}

#[test]
fn an_entry_with_a_program_and_a_url_names_the_one_that_is_used() {
    let both = r#""a": {"command": "a", "args": ["b"], "url": "https://a.example.com/mcp"}"#;
    const BY_COMMAND: &str =
        "this key has no effect, because the server is started by its `command`";
    const BY_URL: &str = "this key has no effect, because the server is started by its `url`";
    let servers = |entry: &str| format!("{{\"mcpServers\": {{{entry}}}}}");
    #[rustfmt::skip]
    let rows: Vec<(Client, &str, String, &'static [(&'static str, &'static str)])> = vec![
        (Client::Cursor, "/home/sam/.cursor/mcp.json", servers(both), &[("url", BY_COMMAND)]),
        (Client::ClaudeCode, "/home/sam/.claude.json", servers(both), &[("url", BY_COMMAND)]),
        (Client::ClaudeDesktop, "/home/sam/.config/Claude/claude_desktop_config.json", servers(both), &[("url", BY_COMMAND)]),
        (Client::VsCode, "/home/sam/.config/Code/User/mcp.json", format!("{{\"servers\": {{{both}}}}}"), &[("url", BY_COMMAND)]),
        (Client::Zed, "/home/sam/.config/zed/settings.json", format!("{{\"context_servers\": {{{both}}}}}"), &[("url", BY_COMMAND)]),
        (Client::Windsurf, "/home/sam/.codeium/windsurf/mcp_config.json", servers(both), &[("url", BY_COMMAND)]),
        // This client uses the URL.
        (Client::GeminiCli, "/home/sam/.gemini/settings.json", servers(both), &[("command", BY_URL), ("args", BY_URL)]),
        // The word for the transport decides.
        (Client::Cursor, "/home/sam/.cursor/mcp.json", servers(&both.replace("\"command\"", "\"type\": \"http\", \"command\"")), &[("command", BY_URL), ("args", BY_URL)]),
        (Client::Cursor, "/home/sam/.cursor/mcp.json", servers(r#""a": {"url": "https://a.example.com/mcp"}"#), &[]),
        (Client::Cursor, "/home/sam/.cursor/mcp.json", servers(r#""a": {"command": "a"}"#), &[]),
    ];
    for (client, path, text, expected) in rows {
        let files = files(client, path, &text);
        let found = warnings_of(&files, "a");
        assert_eq!(found.len(), expected.len(), "{client}: {found:?}");
        for (found, (key, problem)) in found.iter().zip(expected) {
            assert!(
                found.ends_with(&format!(".a.{key}: {problem}")),
                "{client}: {found}"
            );
        }
    }
}
