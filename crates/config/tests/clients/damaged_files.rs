//! Files that are damaged, huge or hostile. Each is an error with its place, in bounded time, and the other files are read anyway.

use std::fmt::Write;
use std::fs;
use std::time::{Duration, Instant};

use mcp_startup_config::clients::{
    Client, ClientFile, ClientServer, System, ThisMachine, discover_client,
};
use mcp_startup_config::{ConfigurationErrorKind as Kind, TransportConfig};

use crate::fake_machine::{FakeMachine, check, servers};

const SHOP: &str = "/work/shop";
const STATE: &str = "/home/sam/.claude.json";
const CURSOR: &str = "/home/sam/.cursor/mcp.json";
const ENTRY: &str = r#"{"mcpServers": {"a": {"command": "a"}}}"#;

/// Runs a step that must not take long, also on a busy machine without optimization. Quadratic time would take minutes.
fn timed<T>(case: &str, step: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = step();
    let took = start.elapsed();
    assert!(took < Duration::from_secs(60), "{case}: {took:?}");
    result
}

fn cursor(text: impl Into<Vec<u8>>) -> Vec<ClientFile> {
    FakeMachine::linux()
        .with(CURSOR, text)
        .files_of(Client::Cursor, SHOP)
}

#[test]
fn an_unreadable_file_of_a_project_is_not_called_approved() {
    let machine = FakeMachine::linux()
        .with("/home/sam/.claude.json", "{}")
        .with("/work/shop/.mcp.json", "{");
    let files = machine.files_of(Client::ClaudeCode, SHOP);
    let file = files.iter().find(|file| file.error.is_some()).unwrap();
    assert_eq!(file.approved, None);
}

#[test]
fn a_huge_state_file_is_read() {
    let mut text = String::from("{\"history\": [\n");
    let line = format!(
        "{{\"display\": \"{}\"}},\n",
        "x \\\"mcpServers\\\": {} ".repeat(45)
    );
    while text.len() < 60 * 1024 * 1024 {
        text += &line;
    }
    text += r#"0], "mcpServers": {"a": {"command": "a"}, "b": {"type": "http", "url": "https://b.example.com"}},
        "projects": {"/work/shop": {"mcpServers": {"c": {"command": "c"}}}}}"#;
    let machine = FakeMachine::linux().with(STATE, text);
    let files = timed("60 MB", || machine.files_of(Client::ClaudeCode, SHOP));
    check(
        &files,
        "60 MB",
        &format!(
            "
        user {STATE}
            a stdio
            b http
        local {STATE}
            c stdio"
        ),
    );
    let line = files[0].servers[1]
        .entry
        .config
        .as_ref()
        .unwrap()
        .problem("url", "")
        .line;
    assert!(line > Some(50_000), "{line:?}");
    // A file beyond the limit of 128 MiB is an error with that limit.
    let machine = FakeMachine::linux().with(STATE, vec![b' '; 128 * 1024 * 1024 + 1]);
    let files = machine.files_of(Client::ClaudeCode, SHOP);
    check(
        &files,
        "too large",
        &format!("user {STATE}\nerror: larger than 128 MiB"),
    );
}

#[test]
fn one_damaged_file_leaves_the_others() {
    let machine = FakeMachine::linux()
        .with(
            CURSOR,
            format!("{{\"a\": \"{}\"}}", "x".repeat(5 * 1024 * 1024)),
        )
        .with("/work/shop/.cursor/mcp.json", ENTRY)
        .with("/home/sam/.codex/config.toml", "[mcp_servers.a")
        .with("/etc/codex/config.toml", "[mcp_servers.b]\ncommand = 'b'\n");
    let files = machine.files_of(Client::Cursor, SHOP);
    check(
        &files,
        "Cursor",
        &format!(
            "
        user {CURSOR}
        error: larger than 4 MiB
        project /work/shop/.cursor/mcp.json
            a stdio"
        ),
    );
    assert_eq!(files[0].error.as_ref().unwrap().kind(), Kind::TooLarge);
    check(
        &machine.files_of(Client::Codex, SHOP),
        "Codex",
        "
        system /etc/codex/config.toml
            b stdio
        user /home/sam/.codex/config.toml
        error: line 1",
    );
}

#[test]
fn texts_that_are_no_json() {
    // The text, the kind of the error, its line and column, and a part of the message.
    #[rustfmt::skip]
    let cases: &[(&[u8], Kind, Option<u32>, Option<u32>, &str)] = &[
        (b"", Kind::Syntax, Some(1), Some(1), "not valid JSON"),
        (b"{\"mcpServers\": {\"a\":", Kind::Syntax, Some(1), None, "not valid JSON"),
        (b"{\n  \"mcpServers\": {\n    \"a\": {\"command\": \"secr", Kind::Syntax, Some(3), None, "not valid JSON"),
        (b"[]", Kind::Syntax, Some(1), None, "not valid JSON"),
        (b"\0\0\0\0", Kind::Syntax, Some(1), None, "not valid JSON"),
        (b"{\"mcpServers\": []}", Kind::NotAConfiguration, Some(1), None, "must be an object"),
        (b"{\n\"mcpServers\": \"secret\"}", Kind::NotAConfiguration, Some(2), None, "must be an object"),
        (b"\xff\xfe{\0}\0", Kind::NotUtf8, Some(1), None, "UTF-16"),
        (b"\xfe\xff\0{\0}", Kind::NotUtf8, Some(1), None, "UTF-16"),
        (b"{\n\"a\": \"\xe9\"}", Kind::NotUtf8, Some(2), None, "UTF-8"),
    ];
    for (text, kind, line, column, part) in cases {
        let files = timed("damaged", || cursor(*text));
        let case = String::from_utf8_lossy(text);
        assert!(files[0].servers.is_empty(), "{case}");
        let error = files[0].error.as_ref().unwrap();
        assert_eq!(
            (error.kind(), error.line()),
            (*kind, *line),
            "{case}: {error}"
        );
        if column.is_some() {
            assert_eq!(error.column(), *column, "{case}");
        }
        let message = format!("{error} {error:?}");
        assert!(
            message.contains(part) && !message.contains("secr"),
            "{message}"
        );
    }
    // Texts without servers, and an empty text, which an editor accepts.
    for text in ["{}", "{\"mcpServers\": {}}", "{\"mcpServers\": null}"] {
        check(&cursor(text), text, &format!("user {CURSOR}"));
    }
    for text in ["", " \n", "{}"] {
        let path = "/home/sam/.config/Code/User/mcp.json";
        let files = FakeMachine::linux()
            .with(path, text)
            .files_of(Client::VsCode, SHOP);
        check(&files, text, &format!("user {path}"));
    }
}

#[test]
fn a_file_that_is_being_rewritten_is_read_again() {
    let whole = r#"{"mcpServers": {"é": {"command": "a"}}}"#;
    let in_character = whole.find('é').unwrap() + 1;
    for end in [0, 1, 20, in_character, whole.len() - 1] {
        for (client, path) in [(Client::ClaudeCode, STATE), (Client::Cursor, CURSOR)] {
            let machine = FakeMachine::linux().with(path, whole);
            let half = whole.as_bytes()[..end].to_vec();
            machine.first.borrow_mut().insert(path.to_owned(), half);
            let files = machine.files_of(client, SHOP);
            check(
                &files,
                &format!("{client} {end}"),
                &format!("user {path}\né stdio"),
            );
        }
    }
}

#[test]
fn comments_and_commas_are_refused_where_the_client_refuses_them() {
    let comment = "{\n  // note\n  \"KEY\": {\"a\": ENTRY}\n}";
    let comma = "{\n  \"KEY\": {\"a\": ENTRY},\n}";
    let (no_comment, no_comma) = ("line 2, column 3: ", "line 2, column ");
    #[rustfmt::skip]
    let cases = [
        (Client::ClaudeCode, STATE, true, true),
        (Client::ClaudeDesktop, "/home/sam/.config/Claude/claude_desktop_config.json", true, true),
        (Client::Cursor, CURSOR, true, true),
        (Client::RooCode, "/work/shop/.roo/mcp.json", true, true),
        (Client::Cline, "/home/sam/.cline/data/settings/cline_mcp_settings.json", true, true),
        (Client::GeminiCli, "/home/sam/.gemini/settings.json", false, true),
        (Client::QwenCode, "/home/sam/.qwen/settings.json", false, true),
        (Client::VsCode, "/home/sam/.config/Code/User/mcp.json", false, false),
        (Client::Zed, "/home/sam/.config/zed/settings.json", false, false),
        (Client::Opencode, "/home/sam/.config/opencode/opencode.json", false, false),
    ];
    for (client, path, refuses_comments, refuses_commas) in cases {
        let (key, entry) = match client {
            Client::VsCode => ("servers", "{\"command\": \"a\"}"),
            Client::Zed => ("context_servers", "{\"command\": \"a\", \"args\": []}"),
            Client::Opencode => ("mcp", "{\"type\": \"local\", \"command\": [\"a\"]}"),
            _ => ("mcpServers", "{\"command\": \"a\"}"),
        };
        for (text, is_refused, place, name) in [
            (
                comment,
                refuses_comments,
                no_comment,
                "does not accept comments",
            ),
            (
                comma,
                refuses_commas,
                no_comma,
                "does not accept trailing commas",
            ),
        ] {
            let text = text.replace("KEY", key).replace("ENTRY", entry);
            // With the line endings and the byte order mark of an editor on Windows, too.
            for text in [
                text.clone(),
                format!("\u{feff}{}", text.replace('\n', "\r\n")),
            ] {
                let files = FakeMachine::linux().with(path, text).files_of(client, SHOP);
                let case = format!("{client} {name}");
                match is_refused {
                    true => {
                        let error = files[0].error.as_ref().unwrap();
                        let message = error.to_string();
                        assert!(
                            message.contains(place) && message.contains(name),
                            "{message}"
                        );
                        assert_eq!(error.line(), Some(2), "{case}");
                    }
                    false => assert_eq!(servers(&files[0]), ["a stdio"], "{case}"),
                }
            }
        }
    }
    let windows = format!(
        "\u{feff}{}",
        "{\n\"mcpServers\": {\n\"a\": {\"command\": 5}\n}\n}".replace('\n', "\r\n")
    );
    check(
        &cursor(windows),
        "CRLF",
        &format!("user {CURSOR}\na stdio | refused: (line 3): must be a string"),
    );
    let toml = "\u{feff}[mcp_servers.a]\r\ncommand = 'a'\r\n";
    let path = "/home/sam/.codex/config.toml";
    let files = FakeMachine::linux()
        .with(path, toml)
        .files_of(Client::Codex, SHOP);
    check(&files, "TOML", &format!("user {path}\na stdio"));
}

#[test]
fn the_last_of_several_keys_counts() {
    let text = r#"{
        "mcpServers": {"never": {"command": "never"}},
        "mcpServers": {"a": {"command": "1"}, "b": {"command": "b", "command": 5}, "a": {"command": "2", "command": "3"}}
    }"#;
    let files = cursor(text);
    check(
        &files,
        "repeated",
        &format!(
            "
        user {CURSOR}
            a stdio
            b stdio | refused: must be a string"
        ),
    );
    let TransportConfig::Stdio(stdio) =
        &files[0].servers[0].entry.config.as_ref().unwrap().transport
    else {
        panic!()
    };
    assert_eq!(stdio.command, "3");
}

#[test]
fn deep_nesting_is_no_problem() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let objects = format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
    let cases = [
        (
            format!(r#"{{"x": {deep}, "mcpServers": {{"a": {{"command": "a"}}}}}}"#),
            "a stdio",
        ),
        (
            format!(r#"{{"x": {objects}, "mcpServers": {{"a": {{"command": "a"}}}}}}"#),
            "a stdio",
        ),
        (
            format!(r#"{{"mcpServers": {{"a": {{"command": "a", "x": {deep}}}}}}}"#),
            "a stdio",
        ),
        (
            format!(r#"{{"mcpServers": {{"a": {{"command": "a", "args": {deep}}}}}}}"#),
            "a stdio | refused: must be a string",
        ),
        (
            format!(r#"{{"mcpServers": {{"a": {objects}}}}}"#),
            "a unknown | refused: neither",
        ),
    ];
    for (text, expected) in cases {
        let files = timed("deep", || cursor(text));
        check(&files, expected, &format!("user {CURSOR}\n{expected}"));
    }
    // Without an end.
    let files = timed("deep", || cursor("{\"a\":".repeat(100_000)));
    assert_eq!(files[0].error.as_ref().unwrap().kind(), Kind::Syntax);
    let path = "/home/sam/.codex/config.toml";
    let deep = "[".repeat(90_000);
    let machine = FakeMachine::linux().with(
        path,
        format!("x = {deep}\n[mcp_servers.a]\ncommand = 'a'\n"),
    );
    let files = timed("deep TOML", || machine.files_of(Client::Codex, SHOP));
    assert_eq!(files[0].error.as_ref().unwrap().kind(), Kind::Syntax);
}

#[test]
fn many_servers_and_long_lists_cost_linear_time() {
    let names: Vec<String> = (0..10_000)
        .map(|number| format!("server-{number}"))
        .collect();
    let entries = |extra: &str| {
        let mut text = String::new();
        // As many as are read.
        for name in &names[..2_000] {
            let _ = write!(
                text,
                r#"{}"{name}": {{"type": "stdio", "command": "a"{extra}}}"#,
                if text.is_empty() { "" } else { ", " }
            );
        }
        text
    };
    let table = format!(r#"{{"mcpServers": {{{}}}}}"#, entries(""));
    let list = format!("{:?}", names);
    let rules: Vec<String> = names
        .iter()
        .map(|name| format!(r#"{{"serverName": "{name}"}}"#))
        .collect();
    let plugins: Vec<String> = (0..100_000)
        .map(|number| format!(r#""p{number}@m": false"#))
        .collect();
    let settings = |plugins: &[String]| {
        format!(
            r#"{{"enabledMcpjsonServers": {list}, "disabledMcpjsonServers": {list}, "deniedMcpServers": [{}], "enabledPlugins": {{{}}}}}"#,
            rules.join(", "),
            plugins.join(", ")
        )
    };
    let projects: Vec<String> = (0..100_000)
        .map(|number| format!(r#""/p/{number}": {{}}"#))
        .collect();
    let state = format!(
        r#"{{"mcpServers": {{{}}}, "projects": {{{}}}}}"#,
        entries(""),
        projects.join(", ")
    );
    let toml: String = names[..2_000]
        .iter()
        .map(|name| format!("[mcp_servers.{name}]\ncommand = 'a'\n"))
        .collect();
    let lists = format!(
        r#"{{"mcpServers": {{{}}}, "mcp": {{"allowed": {list}, "excluded": {list}}}}}"#,
        entries("")
    );
    let patterns: Vec<String> = (0..100_000)
        .map(|number| format!("\"*a*a*a*{number}\""))
        .collect();
    let globs = format!(
        r#"{{"mcpServers": {{{}}}, "mcp": {{"excluded": [{}]}}}}"#,
        entries(""),
        patterns.join(", ")
    );
    let switches: Vec<String> = (0..100_000)
        .map(|number| format!(r#""s{number}": {{"enabled": false}}"#))
        .collect();
    let machine = FakeMachine::linux()
        .with("/work/shop/.git/HEAD", "")
        .with(STATE, state)
        .with(
            "/work/shop/.mcp.json",
            format!("{{{}}}", entries(""))
                .replace("{\"server-0\"", "{\"mcpServers\": {\"server-0\"")
                + "}",
        )
        // The files of a project have fewer values.
        .with("/work/shop/.claude/settings.json", settings(&[]))
        .with("/home/sam/.claude/settings.json", settings(&plugins))
        .with(CURSOR, table.clone())
        .with("/work/shop/.cursor/mcp.json", table.clone())
        .with(
            "/home/sam/.codex/config.toml",
            format!("[projects.'{SHOP}']\ntrust_level = 'trusted'\n{toml}"),
        )
        .with("/work/shop/.codex/config.toml", toml)
        .with("/home/sam/.gemini/settings.json", lists.clone())
        .with("/work/shop/.gemini/settings.json", lists)
        .with(
            "/home/sam/.gemini/mcp-server-enablement.json",
            format!("{{{}}}", switches.join(", ")),
        )
        .with("/home/sam/.qwen/settings.json", globs)
        .with(
            "/home/sam/.config/opencode/opencode.json",
            format!(
                r#"{{"mcp": {{{}}}}}"#,
                entries("")
                    .replace("stdio", "local")
                    .replace("\"a\"", "[\"a\"]")
            ),
        )
        .with(
            "/work/shop/opencode.json",
            format!(
                r#"{{"mcp": {{{}}}}}"#,
                entries("")
                    .replace("stdio", "local")
                    .replace("\"a\"", "[\"a\"]")
            ),
        );
    for (client, count) in [
        (Client::ClaudeCode, 4_000),
        (Client::Cursor, 6_000),
        (Client::Codex, 4_000),
        (Client::GeminiCli, 4_000),
        (Client::QwenCode, 4_000),
        (Client::Opencode, 4_000),
    ] {
        let files = timed(client.id(), || machine.files_of(client, SHOP));
        let found: usize = files.iter().map(|file| file.servers.len()).sum();
        assert_eq!(found, count, "{client}");
    }
    // A bare map, without `mcpServers`.
    let machine = FakeMachine::linux().with("/work/shop/.mcp.json", format!("{{{}}}", entries("")));
    let files = timed("bare", || machine.files_of(Client::VsCode, SHOP));
    assert_eq!(files[0].servers.len(), 2_000);
}

#[test]
fn a_short_text_does_not_grow_without_limit() {
    let value = "v".repeat(100_000);
    let reference = "${LONG}".repeat(10_000);
    let many: Vec<String> = vec!["\"{file:big}\"".to_owned(); 10_000];
    let mut machine = FakeMachine::linux()
        .with(
            STATE,
            format!(
                r#"{{"mcpServers": {{
            "a": {{"command": "a", "args": ["{reference}"]}},
            "b": {{"command": "b"}}
        }}}}"#
            ),
        )
        .with(
            "/home/sam/.qwen/settings.json",
            format!(
                r#"{{"mcpServers": {{"a": {{"command": "a", "args": ["{}"]}}}}}}"#,
                "${SHORT}".repeat(100_000)
            ),
        )
        .with(
            "/home/sam/.config/opencode/opencode.json",
            format!(
                r#"{{"mcp": {{"a": {{"type": "local", "command": ["a", {}]}}}}}}"#,
                many.join(", ")
            ),
        )
        .with("/home/sam/.config/opencode/big", " ".repeat(1000 * 1000));
    machine.environment.insert("LONG".to_owned(), value);
    machine
        .environment
        .insert("SHORT".to_owned(), "v".to_owned());
    let files = timed("long", || machine.files_of(Client::ClaudeCode, SHOP));
    check(
        &files,
        "long",
        &format!("user {STATE}\na stdio | refused: too long\nb stdio"),
    );
    let files = timed("short", || machine.files_of(Client::QwenCode, SHOP));
    let config = files[0].servers[0].entry.config.as_ref().unwrap();
    let TransportConfig::Stdio(stdio) = &config.transport else {
        panic!()
    };
    assert_eq!(stdio.args[0].len(), 100_000);
    assert_eq!(config.expanded_variables.len(), 1);
    let files = timed("included", || machine.files_of(Client::Opencode, SHOP));
    assert!(files[0].servers[0].entry.config.is_err());
    // Beginnings of variables without an end, and missing variables.
    for text in [
        "${", "${A", "${A:-", "{env:", "{file:", "$A", "${env:", "${input:", "$(", "%A", "{{ ",
    ] {
        // One kind is long, to show that the time is linear.
        let text = text.repeat(if text == "${A" { 100_000 } else { 5_000 });
        let entry = format!(
            r#"{{"a": {{"type": "stdio", "command": "a", "args": ["{text}"], "env": {{"A": "{text}"}}}}}}"#
        );
        let table = format!(r#"{{"mcpServers": {entry}}}"#);
        let machine = FakeMachine::linux()
            .with(STATE, table.clone())
            .with(CURSOR, table.clone())
            .with("/home/sam/.gemini/settings.json", table.clone())
            .with("/home/sam/.copilot/mcp-config.json", table.clone())
            .with("/home/sam/.kiro/settings/mcp.json", table.clone())
            .with("/home/sam/.warp/.mcp.json", table.clone())
            .with(
                "/home/sam/.config/crush/crush.json",
                format!(r#"{{"mcp": {entry}}}"#),
            )
            .with(
                "/home/sam/.config/opencode/opencode.json",
                format!(r#"{{"mcp": {entry}}}"#)
                    .replace("stdio", "local")
                    .replace("\"command\": \"a\", \"args\"", "\"command\""),
            );
        for client in [
            Client::ClaudeCode,
            Client::Cursor,
            Client::GeminiCli,
            Client::CopilotCli,
            Client::Kiro,
            Client::Warp,
            Client::Crush,
            Client::Opencode,
        ] {
            let files = timed(&format!("{client} {}", &text[..8]), || {
                machine.files_of(client, SHOP)
            });
            for server in files.iter().flat_map(|file| &file.servers) {
                assert!(
                    format!("{server:?}").len() < 20_000,
                    "{client} {}",
                    &text[..8]
                );
            }
        }
    }
}

/// The files of several clients with the same servers.
fn everywhere(entries: &str) -> FakeMachine {
    let table = format!(r#"{{"mcpServers": {entries}}}"#);
    FakeMachine::linux()
        .with("/work/shop/.mcp.json", table.clone())
        .with(STATE, table.clone())
        .with(CURSOR, table.clone())
        .with("/home/sam/.gemini/settings.json", table.clone())
        .with("/home/sam/.warp/.mcp.json", table.clone())
        .with("/home/sam/.qwen/settings.json", table.clone())
        .with(
            "/home/sam/.cline/data/settings/cline_mcp_settings.json",
            table.clone(),
        )
        .with(
            "/home/sam/.claude/plugins/cache/m\u{1b}/p\u{1b}/1/.mcp.json",
            table,
        )
        .with(
            "/home/sam/.config/crush/crush.json",
            format!(r#"{{"mcp": {entries}}}"#),
        )
        .with(
            "/home/sam/.config/opencode/opencode.json",
            format!(r#"{{"mcp": {entries}}}"#),
        )
}

/// Every text about a server that a user sees.
fn texts_about(server: &ClientServer) -> Vec<String> {
    let entry = &server.entry;
    let warnings = entry.warnings.iter().chain(&entry.compatibility_warnings);
    let mut texts: Vec<String> = warnings.map(ToString::to_string).collect();
    texts.extend(server.not_checked.clone());
    match &entry.config {
        Ok(config) => texts.extend(config.possible_causes.iter().map(ToString::to_string)),
        Err(problem) => texts.push(problem.to_string()),
    }
    texts
}

/// A user can write a secret in place of a key, of a word or of the name of a variable.
#[test]
fn a_misplaced_secret_is_not_shown() {
    let token = "aB3dEfGhIjKlMnOpQrStUv";
    let json = [
        r#"{"type": "Bearer SECRET", "url": "https://a.example.com"}"#,
        r#"{"type": "http", "url": "https://a.example.com", "headers": {"Authorization: Bearer SECRET": ""}}"#,
        r#"{"type": "http", "url": "https://a.example.com", "headers": {"X": "${SECRET}"}}"#,
        r#"{"type": "http", "url": "https://a.example.com", "headers": {"Authorization": "${SECRET}"}}"#,
        r#"{"type": "http", "url": "https://a.example.com", "headers": {"Authorization": "${env:SECRET}"}}"#,
        r#"{"type": "http", "url": "https://a.example.com", "headers": {"Authorization": "${input:SECRET}"}}"#,
        r#"{"type": "http", "url": "https://a.example.com", "headers": {"Authorization": "{env:SECRET}"}}"#,
        r#"{"type": "http", "url": "https://a.example.com", "headers": {"Authorization": "{{SECRET}}"}}"#,
        r#"{"type": "http", "url": "https://a.example.com", "headers": {"Authorization": "$SECRET"}}"#,
        r#"{"type": "http", "url": "https://a.example.com", "oauth": {"clientId: SECRET": "", "clientSecret": "${SECRET}"}}"#,
        r#"{"type": "http", "url": "https://a.example.com", "protocol_era": "SECRET"}"#,
        r#"{"type": "stdio", "command": "a", "API_KEY=SECRET": 1}"#,
        r#"{"type": "stdio", "command": "a", "env": {"API_KEY=SECRET": ""}}"#,
        r#"{"type": "stdio", "command": "a", "env": {"API_KEY: SECRET": ""}, "args": ["${env:SECRET}", "%SECRET%"]}"#,
        r#"{"type": "local", "command": ["a"], "environment": {"API_KEY=SECRET": ""}}"#,
        r#"{"type": "stdio", "command": "a", "env": {"API_KEY=SECRET": {}}}"#,
    ];
    let toml = [
        "url = 'https://a.example.com'\nhttp_headers = { 'Authorization: Bearer SECRET' = '' }",
        "url = 'https://a.example.com'\nenv_http_headers = { Authorization = 'Bearer SECRET' }",
        "url = 'https://a.example.com'\nbearer_token_env_var = 'SECRET'",
        "command = 'a'\nenv = { 'API_KEY=SECRET' = '' }",
        "command = 'a'\nenv_vars = ['API_KEY=SECRET']",
        "command = 'a'\n'API_KEY=SECRET' = 1",
    ];
    let vibe = [
        "transport = 'Bearer SECRET'\nurl = 'https://a.example.com'",
        "transport = 'http'\nurl = 'https://a.example.com'\napi_key_env = 'SECRET'",
        "transport = 'http'\nurl = 'https://a.example.com'\nheaders = { 'X: SECRET' = '' }",
    ];
    let goose = [
        "type: Bearer SECRET\n    uri: https://a.example.com",
        "type: streamable_http\n    uri: https://a.example.com\n    env_keys: [SECRET]",
        "type: streamable_http\n    uri: https://a.example.com\n    headers:\n      'X: SECRET': ''",
        "type: stdio\n    cmd: a\n    args: []\n    envs:\n      API_KEY=SECRET: ''",
    ];
    let blocks = [
        "type: Bearer SECRET\n    url: https://a.example.com",
        "url: https://a.example.com\n    apiKey: ${{ secrets.SECRET }}",
        "url: https://a.example.com\n    apiKey: ${{ inputs.SECRET }}",
        "url: https://a.example.com\n    requestOptions:\n      headers:\n        'X: SECRET': ''",
        "command: a\n    env:\n      API_KEY=SECRET: ''",
    ];
    let numbered = |entries: &[&str], row: &dyn Fn(usize, &str) -> String| -> String {
        let entries = entries.iter().enumerate();
        entries.map(|(at, entry)| row(at, entry)).collect()
    };
    let json = numbered(&json, &|at, entry| format!("\"s{at}\": {entry},"));
    let codex = numbered(&toml, &|at, entry| {
        format!("[mcp_servers.s{at}]\n{entry}\n")
    });
    let vibe = numbered(&vibe, &|at, entry| {
        format!("[[mcp_servers]]\nname = 's{at}'\n{entry}\n")
    });
    let goose = numbered(&goose, &|at, entry| {
        format!("  s{at}:\n    name: s{at}\n    enabled: true\n    {entry}\n")
    });
    let blocks = numbered(&blocks, &|at, entry| {
        format!("  - name: s{at}\n    {entry}\n")
    });
    let of_secret = |text: String| text.replace("SECRET", token);
    let machine = everywhere(&of_secret(format!("{{{}}}", json.trim_end_matches(','))))
        .with("/home/sam/.codex/config.toml", of_secret(codex))
        .with("/home/sam/.vibe/config.toml", of_secret(vibe))
        .with(
            "/home/sam/.config/goose/config.yaml",
            of_secret(format!("extensions:\n{goose}")),
        )
        .with(
            "/home/sam/.continue/config.yaml",
            of_secret(format!("mcpServers:\n{blocks}")),
        );
    let mut clients = Vec::new();
    let mut leaks = Vec::new();
    for client in Client::ALL {
        for file in machine.files_of(*client, SHOP) {
            assert!(file.error.is_none(), "{client}: {:?}", file.error);
            let servers = file.servers.iter();
            let texts = servers.flat_map(|server| {
                let mut texts = texts_about(server);
                texts.push(format!("{:?}", server.entry));
                texts
            });
            leaks.extend(
                texts
                    .filter(|text| text.contains(token))
                    .map(|text| format!("{client}: {text}")),
            );
            if file
                .servers
                .iter()
                .any(|server| server.entry.config.is_err())
            {
                clients.push(*client);
            }
        }
    }
    assert!(leaks.is_empty(), "{}", leaks.join("\n"));
    for client in [
        Client::Codex,
        Client::MistralVibe,
        Client::Goose,
        Client::Continue,
        Client::Cursor,
    ] {
        assert!(clients.contains(&client), "{client}: {clients:?}");
    }
    assert!(clients.len() >= 10, "{clients:?}");
}

#[test]
fn hostile_names_are_escaped() {
    let escape = "\\u001b[31m\\u202e\\u0000";
    let long = "x".repeat(1_000_000);
    let entries = format!(
        r#"{{
            "{escape}": {{"command": "a"}}, "": {{"command": "a"}}, "..": {{"command": "a"}}, "../../a": {{"command": "a"}},
            "{long}": {{"command": "a"}},
            "a": {{"type": "{escape}{long}", "command": "a\\u0000"}},
            "b": {{"type": "http", "url": "https://b.example.com/${{{escape}}}", "headers": {{"{escape}": "{escape}"}}}},
            "c": {{"command": "c", "{escape}": 1, "env": {{"{escape}": "{{env:{escape}}}"}}, "args": ["{{file:{escape}}}", "${{env:{escape}}}", "${{input:{escape}}}"]}},
            "d": {{"type": "local", "command": ["{{env:{escape}}}{{file:{escape}}}", "${{{long}}}"]}}
        }}"#
    );
    let machine = everywhere(&entries);
    for client in Client::ALL {
        for file in machine.files_of(*client, SHOP) {
            for server in &file.servers {
                let entry = &server.entry;
                for text in texts_about(server) {
                    assert!(
                        !text
                            .chars()
                            .any(|character| character.is_control() || character == '\u{202e}'),
                        "{client}: {text:?}"
                    );
                    assert!(text.len() < 3000, "{client}: {} bytes", text.len());
                }
                let is_hostile = entry.name.chars().any(char::is_control)
                    || entry.name.len() > 200
                    || entry.name.contains("..")
                    || entry.name.is_empty();
                assert!(
                    !is_hostile || entry.config.is_err(),
                    "{client}: {:?}",
                    entry.name
                );
            }
        }
    }
}

/// Nothing in a configuration is run or written, and no file is read that no client's rules name.
#[test]
fn nothing_is_run_or_written() {
    let folder = tempfile::tempdir().unwrap();
    let canary = folder.path().join("canary");
    let command = format!("touch {}", canary.display());
    let entry = format!(
        r#"{{"a": {{"type": "http", "url": "https://a.example.com/$({command})", "headersHelper": "{command}",
            "headers": {{"Authorization": "Bearer `{command}`"}}, "authProviderType": "google_credentials"}},
            "b": {{"type": "stdio", "command": "{command}", "args": ["$({command})", "${{A:-$({command})}}", "${{command:x}}"],
                "env": {{"A": "`{command}`"}}, "envFile": "env"}}}}"#
    );
    let home = folder.path().join("home");
    let project = folder.path().join("project");
    let files = [
        ("home/.claude.json", format!(r#"{{"mcpServers": {entry}}}"#)),
        (
            "home/.claude/settings.json",
            format!(r#"{{"apiKeyHelper": "{command}", "enableAllProjectMcpServers": true}}"#),
        ),
        (
            "home/.config/crush/crush.json",
            format!(r#"{{"mcp": {entry}}}"#),
        ),
        ("home/.config/crush/crushrc", command.clone()),
        (
            "home/.codex/config.toml",
            format!(
                "[mcp_servers.a]\nurl = 'https://a.example.com'\nhttp_headers_helper = '{command}'\n"
            ),
        ),
        (
            "home/.gemini/settings.json",
            format!(r#"{{"mcpServers": {entry}, "mcp": {{"serverCommand": "{command}"}}}}"#),
        ),
        (
            "home/.config/Code/User/mcp.json",
            format!(
                r#"{{"servers": {entry}, "inputs": [{{"type": "command", "id": "x", "command": "{command}"}}]}}"#
            ),
        ),
        ("project/.git/HEAD", String::new()),
        ("project/.mcp.json", format!(r#"{{"mcpServers": {entry}}}"#)),
        ("project/crush.json", format!(r#"{{"mcp": {entry}}}"#)),
        ("project/.crushrc", command.clone()),
        ("project/crushrc", command.clone()),
        ("project/env", format!("A=$({command})\n")),
    ];
    for (path, text) in &files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let home_text = home.to_str().unwrap().to_owned();
    let environment = std::collections::BTreeMap::from([
        ("HOME".to_owned(), home_text.clone()),
        ("USERPROFILE".to_owned(), home_text),
    ]);
    let machine = ThisMachine::with_environment(&environment);
    let mut found = 0;
    for client in Client::ALL {
        let files = discover_client(*client, &machine, &project);
        found += files.len();
        for server in files.iter().flat_map(|file| &file.servers) {
            // A value with a command that the client runs is not sent unchanged.
            if *client == Client::Crush {
                assert!(
                    server.not_checked.as_ref().unwrap().contains("command"),
                    "{server:?}"
                );
            }
        }
    }
    assert!(found > 8, "{found}");
    assert!(!canary.exists());
    for (path, text) in &files {
        assert_eq!(
            fs::read_to_string(folder.path().join(path)).unwrap(),
            *text,
            "{path}"
        );
    }
    let mut left: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["home", "project"]);

    let mut machine = FakeMachine::linux();
    for (path, text) in &files {
        let path = path
            .replace("home/", "/home/sam/")
            .replace("project/", "/work/shop/");
        machine = machine.with(&path, text.as_str());
    }
    for client in Client::ALL {
        machine.files_of(*client, SHOP);
    }
    for path in machine.reads.borrow().iter() {
        let ends = [
            ".json",
            ".jsonc",
            ".toml",
            ".yaml",
            ".yml",
            "/.env",
            "/.git",
            "/shop/env",
        ];
        let is_known = ends.iter().any(|end| path.ends_with(end));
        assert!(is_known, "{path}");
        for store in ["credential", "oauth", "token", "auth", "secret"] {
            // The values of goose's variables are in this file.
            let is_allowed = path.ends_with("/goose/secrets.yaml");
            assert!(is_allowed || !path.contains(store), "{path}");
        }
    }
}

#[cfg(unix)]
#[test]
fn folders_and_pipes_are_not_read() {
    let home = tempfile::tempdir().unwrap();
    let at = |path: &str| {
        let path = home.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    };
    fs::create_dir_all(at(".cursor/mcp.json/x")).unwrap();
    let made = std::process::Command::new("mkfifo")
        .arg(at(".lmstudio/mcp.json"))
        .status();
    fs::write(at(".codeium"), "no folder").unwrap();
    fs::write(at(".factory/mcp.json"), ENTRY).unwrap();
    std::os::unix::fs::symlink("loop", at(".junie/mcp/mcp.json")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", at(".kiro/settings/mcp.json")).unwrap();
    let text = home.path().to_str().unwrap().to_owned();
    let environment = std::collections::BTreeMap::from([("HOME".to_owned(), text)]);
    let machine = ThisMachine::with_environment(&environment);
    let folder = home.path().join("work");
    let kind = |client| {
        let files = timed("special", || discover_client(client, &machine, &folder));
        files
            .first()
            .map(|file| file.error.as_ref().map(|error| error.kind()))
    };
    assert_eq!(kind(Client::Cursor), Some(Some(Kind::NotAFile)));
    if made.is_ok_and(|status| status.success()) {
        assert_eq!(kind(Client::LmStudio), Some(Some(Kind::NotAFile)));
    }
    assert_eq!(kind(Client::Kiro), Some(Some(Kind::NotAFile)));
    assert_eq!(kind(Client::Windsurf), None);
    assert_eq!(kind(Client::Junie), None);
    assert_eq!(kind(Client::Factory), Some(None));
}

#[test]
fn without_a_home_folder_only_the_files_of_the_machine_and_of_the_project_are_found() {
    for system in [System::Linux, System::MacOs, System::Windows] {
        for client in Client::ALL {
            assert!(
                FakeMachine::new(system, &[])
                    .files_of(*client, SHOP)
                    .is_empty()
            );
        }
    }
}
