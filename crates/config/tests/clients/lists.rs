//! Approvals, the lists with which users and administrators turn servers on and off, and the order of a client's files.

use mcp_startup_config::TransportConfig;
use std::path::{Path, PathBuf};

use mcp_startup_config::clients::{Client, ClientFile, discover_on};

use crate::fake_machine::{FakeMachine, check, normal, servers};

const SHOP: &str = "/work/shop";
const STATE: &str = "/home/sam/.claude.json";

fn shop() -> FakeMachine {
    FakeMachine::linux().with("/work/shop/.git/HEAD", "")
}

/// A table `mcpServers` of programs.
fn programs(names: &[&str]) -> String {
    let entries: Vec<String> = names
        .iter()
        .map(|name| format!(r#""{name}": {{"type": "stdio", "command": "{name}-program"}}"#))
        .collect();
    format!(r#"{{"mcpServers": {{{}}}}}"#, entries.join(", "))
}

#[test]
fn servers_in_files_that_a_client_does_not_read_are_listed() {
    let home = "/home/sam";
    let machine = shop()
        .with(
            &format!("{home}/.copilot/mcp-config.json"),
            programs(&["known"]),
        )
        .with(
            &format!("{home}/.copilot/mcp.json"),
            programs(&["known", "lost"]),
        )
        .with(&format!("{home}/.codex/mcp.json"), programs(&["lost"]))
        .with("/work/shop/.gemini/mcp.json", programs(&["lost"]))
        .with(&format!("{home}/.kiro/mcp.json"), "not JSON");
    for (client, last) in [
        (
            Client::CopilotCli,
            format!("user {home}/.copilot/mcp.json\n            lost stdio | skipped: move it to `~/.copilot/mcp-config.json`"),
        ),
        (
            Client::Codex,
            format!("user {home}/.codex/mcp.json\n            lost stdio | skipped: move it to `[mcp_servers]` in `~/.codex/config.toml`"),
        ),
        (
            Client::GeminiCli,
            "project /work/shop/.gemini/mcp.json\n            lost stdio | skipped: move it to `mcpServers` in `.gemini/settings.json`".to_owned(),
        ),
    ] {
        let files = machine.files_of(client, SHOP);
        check(&files[files.len() - 1..], client.id(), &last);
    }
    assert!(machine.files_of(Client::Kiro, SHOP).is_empty());
}

fn of_project(machine: &FakeMachine, client: Client) -> Vec<String> {
    let files = machine.files_of(client, SHOP);
    let file = files.iter().find(|file| file.scope.as_str() == "project");
    servers(file.unwrap())
}

#[test]
fn approvals_of_claude_code() {
    const ALL: &str = r#"{"enableAllProjectMcpServers": true}"#;
    const A: &str = r#"{"enabledMcpjsonServers": ["a"]}"#;
    const NOT_A: &str = r#"{"disabledMcpjsonServers": ["a"]}"#;
    const USER: &str = "/home/sam/.claude/settings.json";
    const PROJECT: &str = "/work/shop/.claude/settings.json";
    const LOCAL: &str = "/work/shop/.claude/settings.local.json";
    const MANAGED: &str = "/etc/claude-code/managed-settings.json";
    let (yes, no, off) = ("approved", "unapproved", "off unapproved");
    // The settings, whether the folder is trusted, and the state of the servers `a` and `b`.
    #[rustfmt::skip]
    let cases: &[(&[(&str, &str)], bool, &str, &str)] = &[
        (&[], true, no, no),
        (&[(USER, ALL)], false, yes, yes),
        (&[(USER, A)], false, yes, no),
        (&[(MANAGED, A)], false, yes, no),
        // The author of the repository can commit these, so they count only in a trusted folder.
        (&[(PROJECT, ALL)], false, no, no),
        (&[(PROJECT, ALL)], true, yes, yes),
        (&[(LOCAL, A)], false, no, no),
        (&[(LOCAL, A)], true, yes, no),
        // A server that is turned off anywhere is off.
        (&[(USER, ALL), (PROJECT, NOT_A)], false, off, yes),
        (&[(USER, NOT_A), (LOCAL, A)], true, off, no),
        (&[(USER, A), (LOCAL, r#"{"enabledMcpjsonServers": "a", "disabledMcpjsonServers": 5}"#)], true, yes, no),
        (&[(USER, A), (LOCAL, "{ half")], true, yes, no),
        // The lists are not read from other places.
        (&[("/work/shop/settings.json", ALL), ("/home/sam/settings.json", ALL)], true, no, no),
    ];
    for (files, is_trusted, a, b) in cases {
        let state =
            format!(r#"{{"projects": {{"{SHOP}": {{"hasTrustDialogAccepted": {is_trusted}}}}}}}"#);
        let mut machine = shop()
            .with(STATE, state)
            .with("/work/shop/.mcp.json", programs(&["a", "b"]));
        for (path, text) in *files {
            machine = machine.with(path, *text);
        }
        let expected = [format!("a stdio {a}"), format!("b stdio {b}")];
        assert_eq!(
            of_project(&machine, Client::ClaudeCode),
            expected,
            "{files:?} {is_trusted}"
        );
        let file = &machine.files_of(Client::ClaudeCode, SHOP)[1];
        let may_start: Vec<bool> = file
            .servers
            .iter()
            .map(|server| file.may_start(server))
            .collect();
        assert_eq!(may_start, [*a == yes, *b == yes]);
    }
}

#[test]
fn the_nearest_file_of_claude_code_wins() {
    let state = r#"{
        "mcpServers": {
            "all": {"command": "user"}, "user": {"command": "user"}, "off": {"command": "user"},
            "workspace": {"command": "reserved"}
        },
        "projects": {"/work/shop": {
            "hasTrustDialogAccepted": true,
            "disabledMcpServers": ["off", "plugin:on:p"],
            "mcpServers": {"all": {"command": "local"}}
        }}
    }"#;
    let cache = "/home/sam/.claude/plugins/cache/market";
    let machine = shop()
        .with(STATE, state)
        .with("/work/shop/.mcp.json", programs(&["all", "user", "unapproved"]))
        .with("/home/sam/.claude/settings.json", r#"{
            "enabledMcpjsonServers": ["all", "user"],
            "enabledPlugins": {"on@market": true, "off@market": true, "other@market": false}
        }"#)
        .with("/work/shop/.claude/settings.json", r#"{"enabledPlugins": {"off@market": false}}"#)
        .with(&format!("{cache}/on/9.0.0/.mcp.json"), programs(&["old"]))
        .with(&format!("{cache}/on/10.0.0/.mcp.json"), programs(&["p", "workspace"]))
        .with(&format!("{cache}/off/1.0.0/.mcp.json"), programs(&["p"]))
        .with(&format!("{cache}/other/1.0.0/.claude-plugin/plugin.json"), programs(&["p"]))
        .with(
            &format!("{cache}/paths/1.0.0/.claude-plugin/plugin.json"),
            r#"{"mcpServers": ["./mcp/one.json", "../../../../../secret.json", "/etc/x.json"]}"#,
        )
        .with(&format!("{cache}/paths/1.0.0/mcp/one.json"), r#"{"p": {
            "command": "${CLAUDE_PLUGIN_ROOT}/p", "args": ["${CLAUDE_PLUGIN_DATA}", "${CLAUDE_PROJECT_DIR}"]
        }}"#)
        // The catalogue, and files that Claude Code does not read.
        .with("/home/sam/.claude/plugins/marketplaces/market/on/.mcp.json", programs(&["never"]))
        .with("/home/sam/.claude/.mcp.json", programs(&["never"]))
        .with("/home/sam/.claude/mcp.json", programs(&["never", "unapproved"]))
        .with("/work/shop/.claude/settings.local.json", programs(&["all", "misplaced"]));
    let files = machine.files_of(Client::ClaudeCode, SHOP);
    check(
        &files,
        "all",
        &format!(
            "
        plugin {cache}/off/1.0.0/.mcp.json
            plugin:off:p stdio off
        plugin {cache}/on/10.0.0/.mcp.json
            plugin:on:p stdio off
            plugin:on:workspace stdio
        plugin {cache}/other/1.0.0/.claude-plugin/plugin.json
            plugin:other:p stdio off
        plugin {cache}/paths/1.0.0/mcp/one.json
            plugin:paths:p stdio off
        user {STATE}
            all stdio | skipped: replaced by the entry of the same name in {STATE}
            user stdio | skipped: replaced by the entry of the same name in /work/shop/.mcp.json
            off stdio off
            workspace stdio | refused: keeps this name for itself
        project /work/shop/.mcp.json unapproved
            all stdio approved | skipped: replaced by the entry of the same name in {STATE}
            user stdio approved
            unapproved stdio unapproved
        local {STATE}
            all stdio
        user /home/sam/.claude/mcp.json
            never stdio | skipped: move it to `~/.claude.json`
        project /work/shop/.claude/settings.local.json
            misplaced stdio | skipped: move it to `.mcp.json` in the folder of the project"
        ),
    );
    let Ok(config) = &files[3].servers[0].entry.config else {
        panic!()
    };
    let TransportConfig::Stdio(stdio) = &config.transport else {
        panic!()
    };
    let root = format!("{cache}/paths/1.0.0");
    assert_eq!(stdio.command, format!("{root}/p"));
    let args: Vec<String> = stdio.args.iter().map(|arg| normal(arg.as_ref())).collect();
    assert_eq!(args, ["/home/sam/.claude/plugins/data/paths-market", SHOP]);
    assert!(
        !machine
            .reads
            .borrow()
            .iter()
            .any(|path| path.contains("secret") || path.contains("/etc/x"))
    );
    // The trust in a folder includes the folders in it, and not the ones around it.
    for (trusted, is_approved) in [("/work", true), ("/work/shop/sub", false), ("/wor", false)] {
        let machine = shop()
            .with(
                STATE,
                format!(r#"{{"projects": {{"{trusted}": {{"hasTrustDialogAccepted": true}}}}}}"#),
            )
            .with("/work/shop/.mcp.json", programs(&["a"]))
            .with(
                "/work/shop/.claude/settings.json",
                r#"{"enableAllProjectMcpServers": true}"#,
            );
        let files = machine.files_of(Client::ClaudeCode, SHOP);
        assert_eq!(files[1].approved, Some(is_approved), "{trusted}");
    }
    // An unapproved entry of the project replaces none of the user's.
    let machine = shop()
        .with(STATE, programs(&["a"]))
        .with("/work/shop/.mcp.json", programs(&["a"]));
    check(
        &machine.files_of(Client::ClaudeCode, SHOP),
        "unapproved",
        &format!(
            "
        user {STATE}
            a stdio
        project /work/shop/.mcp.json unapproved
            a stdio unapproved"
        ),
    );
    // The folder of plugins can be elsewhere.
    let mut machine =
        FakeMachine::linux().with("/p/cache/market/on/1.0.0/.mcp.json", programs(&["p"]));
    machine
        .environment
        .insert("CLAUDE_CODE_PLUGIN_CACHE_DIR".to_owned(), "/p".to_owned());
    assert_eq!(machine.files_of(Client::ClaudeCode, SHOP).len(), 1);
}

#[test]
fn policies_of_claude_code() {
    const ENTRIES: &str = r#"{"mcpServers": {
        "name": {"command": "one"},
        "command": {"command": "npx", "args": ["-y", "two"]},
        "url": {"type": "http", "url": "https://a.example.com/mcp"},
        "other-url": {"type": "http", "url": "https://b.example.org/mcp"}
    }}"#;
    // The settings of the administrator, and the servers that are left.
    #[rustfmt::skip]
    let cases: &[(&str, &[&str])] = &[
        ("{}", &["name", "command", "url", "other-url"]),
        (r#"{"deniedMcpServers": [{"serverName": "name"}]}"#, &["command", "url", "other-url"]),
        (r#"{"deniedMcpServers": [{"serverCommand": ["npx", "-y", "two"]}]}"#, &["name", "url", "other-url"]),
        (r#"{"deniedMcpServers": [{"serverCommand": ["npx", "-y"]}]}"#, &["name", "command", "url", "other-url"]),
        (r#"{"deniedMcpServers": [{"serverUrl": "https://*.example.com/*"}]}"#, &["name", "command", "other-url"]),
        (r#"{"allowedMcpServers": []}"#, &[]),
        (r#"{"allowedMcpServers": [{"serverName": "name"}, {"serverName": "url"}]}"#, &["name", "url"]),
        // With rules for URLs, the name of a remote server is not enough.
        (r#"{"allowedMcpServers": [{"serverName": "url"}, {"serverUrl": "https://b.example.org/mcp"}]}"#, &["other-url"]),
        (r#"{"allowedMcpServers": [{"serverName": "name"}], "deniedMcpServers": [{"serverName": "name"}]}"#, &[]),
        (r#"{"deniedMcpServers": "name", "allowedMcpServers": {"x": 1}}"#, &["name", "command", "url", "other-url"]),
    ];
    for (settings, left) in cases {
        let files = FakeMachine::linux()
            .with(STATE, ENTRIES)
            .with("/etc/claude-code/managed-settings.json", *settings)
            .files_of(Client::ClaudeCode, "/work");
        assert_eq!(unskipped(&files), *left, "{settings}");
    }
    let files = |managed: &str| {
        shop()
            .with(STATE, ENTRIES)
            .with(
                "/home/sam/.claude/settings.json",
                r#"{"allowedMcpServers": [{"serverName": "name"}]}"#,
            )
            // An untrusted folder changes no rules.
            .with(
                "/work/shop/.claude/settings.json",
                r#"{"allowedMcpServers": [{"serverName": "url"}]}"#,
            )
            .with("/etc/claude-code/managed-settings.json", managed)
            .files_of(Client::ClaudeCode, SHOP)
    };
    let command = r#""allowedMcpServers": [{"serverName": "command"}]"#;
    assert_eq!(
        unskipped(&files(&format!("{{{command}}}"))),
        ["name", "command"]
    );
    let only = format!(r#"{{"allowManagedMcpServersOnly": true, {command}}}"#);
    assert_eq!(unskipped(&files(&only)), ["command"]);
}

fn unskipped(files: &[ClientFile]) -> Vec<&str> {
    let servers = files.iter().flat_map(|file| &file.servers);
    servers
        .filter(|server| server.not_checked.is_none())
        .map(|server| server.entry.name.as_str())
        .collect()
}

#[test]
fn trust_of_codex() {
    // The user's file, and whether it approves the files in the root of the repository and in the current folder.
    #[rustfmt::skip]
    let cases = [
        ("", false, false),
        ("[projects.'/work/shop']\ntrust_level = 'trusted'", true, true),
        ("[projects.'/work/shop']\ntrust_level = 'untrusted'", false, false),
        ("[projects.'/work/shop/sub']\ntrust_level = 'trusted'", false, true),
        ("[projects.'/work/shop']\ntrust_level = 'trusted'\n[projects.'/work/shop/sub']\ntrust_level = 'untrusted'", true, false),
        ("[projects.'/work']\ntrust_level = 'trusted'", false, false),
        ("[projects.'/work/shop']\ntrust_level = true", false, false),
        ("projects = 5", false, false),
    ];
    let project =
        "[mcp_servers.a]\ncommand = 'a'\n[projects.'/work/shop']\ntrust_level = 'trusted'\n";
    for (user, root, folder) in cases {
        let files = shop()
            .with("/home/sam/.codex/config.toml", user)
            .with("/work/shop/.codex/config.toml", project)
            .with("/work/shop/sub/.codex/config.toml", project)
            .files_of(Client::Codex, "/work/shop/sub");
        let approved: Vec<_> = files.iter().map(|file| file.approved).collect();
        assert_eq!(approved, [None, Some(root), Some(folder)], "{user}");
    }
    // On Windows, the path is in lower case.
    let mut windows = FakeMachine::new(mcp_startup_config::clients::System::Windows, &[])
        .with(
            "C:/Users/Sam/.codex/config.toml",
            "[projects.'c:\\work\\shop']\ntrust_level = 'trusted'",
        )
        .with("C:/Work/Shop/.codex/config.toml", "");
    windows
        .environment
        .insert("USERPROFILE".to_owned(), "C:/Users/Sam".to_owned());
    assert_eq!(
        windows.files_of(Client::Codex, "C:/Work/Shop")[1].approved,
        Some(true)
    );
}

#[test]
fn layers_of_codex() {
    let trusted = "[projects.'/work/shop']\ntrust_level = 'trusted'\n";
    let user = "[mcp_servers.a]\ncommand = 'user'\nargs = ['1']\nenv = { A = '1', B = '1' }\n";
    let project =
        "[mcp_servers.a]\ncwd = 'sub'\nenv = { B = '2' }\n[mcp_servers.b]\ncommand = 'b'\n";
    let config = |user: &str| {
        let files = shop()
            .with(
                "/etc/codex/config.toml",
                "[mcp_servers.a]\ncommand = 'system'\nstartup_timeout_sec = 3\n",
            )
            .with("/home/sam/.codex/config.toml", user)
            .with(
                "/home/sam/.codex/work.config.toml",
                "[mcp_servers.a]\nargs = ['2']\n",
            )
            .with("/work/shop/.codex/config.toml", project)
            .files_of(Client::Codex, SHOP);
        let entry = &files[1].servers[0].entry;
        let config = entry.config.as_ref().unwrap();
        let TransportConfig::Stdio(stdio) = &config.transport else {
            panic!()
        };
        let env: Vec<_> = stdio
            .env
            .iter()
            .map(|(name, value)| {
                use secrecy::ExposeSecret;
                format!("{name}={}", value.expose_secret())
            })
            .collect();
        format!(
            "{} {:?} {env:?} {:?} {:?}",
            stdio.command, stdio.args, stdio.cwd, config.startup_timeout
        )
    };
    assert_eq!(config(user), r#"user ["1"] ["A=1", "B=1"] None Some(3s)"#);
    assert_eq!(
        config(&format!("{trusted}{user}")),
        r#"user ["1"] ["A=1", "B=2"] Some("sub") Some(3s)"#
    );
    assert_eq!(
        config(&format!("profile = 'work'\n{user}")),
        r#"user ["2"] ["A=1", "B=1"] None Some(3s)"#
    );
}

#[test]
fn requirements_of_codex() {
    let user =
        "[mcp_servers.a]\ncommand = 'npx'\n[mcp_servers.b]\nurl = 'https://b.example.com/mcp'\n";
    #[rustfmt::skip]
    let cases: &[(&str, &str, &str)] = &[
        ("", "", ""),
        ("[other]\n", "", ""),
        ("[mcp_servers]\n", "does not allow it", "does not allow it"),
        ("[mcp_servers.a.identity]\ncommand = 'npx'\n", "", "does not allow it"),
        ("[mcp_servers.a.identity]\ncommand = 'other'\n", "does not allow it", "does not allow it"),
        ("[mcp_servers.b.identity]\nurl = { prefix = 'https://b.example.com/' }\n", "does not allow it", ""),
        ("[mcp_servers.b.identity]\nurl = { exact = 'https://b.example.com/mcp' }\n", "does not allow it", ""),
        ("[mcp_servers.b.identity]\nurl = { regex = '.*' }\n", "does not allow it", "not known here"),
    ];
    for (requirements, a, b) in cases {
        let files = FakeMachine::linux()
            .with("/home/sam/.codex/config.toml", user)
            .with("/etc/codex/requirements.toml", *requirements)
            .files_of(Client::Codex, "/work");
        for (server, expected) in files[0].servers.iter().zip([a, b]) {
            let why = server.not_checked.clone().unwrap_or_default();
            assert!(
                why.contains(expected) && why.is_empty() == expected.is_empty(),
                "{requirements}: {why}"
            );
        }
    }
}

#[test]
fn lists_of_gemini_and_qwen() {
    let with = |lists: &str| {
        let servers = r#""Notes": {"command": "a"}, "tickets": {"command": "b"}"#;
        format!(r#"{{"mcpServers": {{{servers}}}, "mcp": {lists}}}"#)
    };
    // The lists, and whether the two servers are on in Gemini CLI and in Qwen Code.
    #[rustfmt::skip]
    let cases = [
        ("{}", [true, true], [true, true]),
        (r#"{"allowed": []}"#, [true, true], [true, true]),
        (r#"{"allowed": ["Notes"]}"#, [true, false], [true, false]),
        // Gemini CLI compares regardless of case.
        (r#"{"allowed": [" notes "]}"#, [true, false], [false, false]),
        (r#"{"excluded": ["NOTES"]}"#, [false, true], [true, true]),
        (r#"{"allowed": ["Notes", "tickets"], "excluded": ["tickets"]}"#, [true, false], [true, false]),
        // Qwen Code has patterns.
        (r#"{"allowed": ["*ot?s"]}"#, [false, false], [true, false]),
        (r#"{"excluded": ["t*", 5]}"#, [true, true], [true, false]),
    ];
    for (lists, gemini, qwen) in cases {
        let machine = FakeMachine::linux()
            .with("/home/sam/.gemini/settings.json", with(lists))
            .with("/home/sam/.qwen/settings.json", with(lists));
        for (client, expected) in [(Client::GeminiCli, gemini), (Client::QwenCode, qwen)] {
            let files = machine.files_of(client, "/work");
            let enabled: Vec<bool> = files[0]
                .servers
                .iter()
                .map(|server| server.entry.enabled)
                .collect();
            assert_eq!(enabled, expected, "{client} {lists}");
        }
    }
    let machine = FakeMachine::linux()
        .with("/home/sam/.gemini/settings.json", with("{}"))
        .with(
            "/home/sam/.gemini/mcp-server-enablement.json",
            r#"{"notes": {"enabled": false}, "tickets": {"enabled": true}, "x": 5}"#,
        );
    check(
        &machine.files_of(Client::GeminiCli, "/work"),
        "switches",
        "
        user /home/sam/.gemini/settings.json
            Notes stdio off
            tickets stdio",
    );
}

#[test]
fn trusted_folders_of_gemini() {
    #[rustfmt::skip]
    let cases = [
        (None, None),
        (Some("{}"), None),
        (Some(r#"{"/work/shop": "TRUST_FOLDER"}"#), Some(true)),
        (Some(r#"{"/work": "TRUST_FOLDER"}"#), Some(true)),
        (Some(r#"{"/work/other": "TRUST_PARENT"}"#), Some(true)),
        (Some(r#"{"/work/shop": "DO_NOT_TRUST"}"#), Some(false)),
        (Some(r#"{"/work": "TRUST_FOLDER", "/work/shop": "DO_NOT_TRUST"}"#), Some(false)),
        (Some(r#"{"/wor": "TRUST_FOLDER", "/work/shopping": "TRUST_FOLDER"}"#), None),
        (Some(r#"{"/work/shop": true}"#), None),
    ];
    for (rules, approved) in cases {
        let mut machine = shop()
            .with("/home/sam/.gemini/settings.json", programs(&["user"]))
            .with(
                "/work/shop/.gemini/settings.json",
                r#"{"mcpServers": {"a": {"command": "a"}}, "mcp": {"excluded": ["user"]}}"#,
            );
        if let Some(rules) = rules {
            machine = machine.with("/home/sam/.gemini/trustedFolders.json", rules);
        }
        let files = machine.files_of(Client::GeminiCli, SHOP);
        assert_eq!(files[1].approved, approved, "{rules:?}");
        assert_eq!(
            files[1].may_start(&files[1].servers[0]),
            approved == Some(true)
        );
        // The lists of a folder that is not trusted do not count.
        assert_eq!(
            files[0].servers[0].entry.enabled,
            approved == Some(false),
            "{rules:?}"
        );
    }
}

#[test]
fn lists_of_copilot() {
    let machine = shop()
        .with("/home/sam/.copilot/mcp-config.json", programs(&["a", "b"]))
        .with(
            "/home/sam/.copilot/settings.json",
            "{\"disabledMcpServers\": [\"a\",], // no\n}",
        )
        .with("/work/shop/.github/mcp.json", programs(&["g", "b"]));
    let user = "user /home/sam/.copilot/mcp-config.json";
    check(
        &machine.files_of(Client::CopilotCli, SHOP),
        "without .mcp.json",
        &format!(
            "
        {user}
            a stdio off
            b stdio
        project /work/shop/.github/mcp.json
            g stdio
            b stdio"
        ),
    );
    let machine = machine.with("/work/shop/.mcp.json", programs(&["m"]));
    check(
        &machine.files_of(Client::CopilotCli, SHOP),
        "with .mcp.json",
        &format!(
            "
        {user}
            a stdio off
            b stdio
        project /work/shop/.mcp.json
            m stdio"
        ),
    );
}

#[test]
fn shapes_of_opencode() {
    let file = "/home/sam/.config/opencode/opencode.json";
    #[rustfmt::skip]
    let cases = [
        // Servers of version 1 with the names of tables of version 2.
        (r#"{"servers": {"type": "local", "command": ["s"]}, "timeout": {"type": "remote", "url": "https://t.example.com"}}"#,
            "servers stdio\ntimeout http"),
        (r#"{"servers": {"enabled": false}, "timeout": {"enabled": false}}"#,
            "servers unknown off | skipped: no file does\ntimeout unknown off | skipped: no file does"),
        // Servers of version 2 with the names of keys.
        (r#"{"timeout": {"startup": 5}, "servers": {"type": {"type": "local", "command": ["t"]}, "url": {"type": "local", "command": ["u"], "disabled": true}}}"#,
            "type stdio\nurl stdio off"),
        // Both versions in one file; the one of version 2 wins.
        (r#"{"a": {"type": "remote", "url": "https://1.example.com"}, "b": {"type": "local", "command": ["b"], "enabled": false}, "servers": {"a": {"type": "local", "command": ["a"]}}}"#,
            "a stdio\nb stdio off"),
        (r#"{"a": {"url": "https://a.example.com"}}"#, "a unknown | refused: \"type\": \"remote\""),
        (r#"{"a": {"command": ["a"]}, "servers": {"b": {"command": ["b"]}}}"#,
            "b unknown | refused: \"type\": \"local\"\na unknown | refused: \"type\": \"local\""),
        (r#"{"a": {"type": "local", "command": "a b"}}"#, "a stdio | refused: square brackets"),
        (r#"{"a": {"type": "local", "command": ["a"], "enabled": null, "timeout": null, "environment": null}}"#, "a stdio"),
    ];
    for (mcp, expected) in cases {
        let machine = FakeMachine::linux().with(file, format!(r#"{{"mcp": {mcp}}}"#));
        check(
            &machine.files_of(Client::Opencode, "/work"),
            mcp,
            &format!("user {file}\n{expected}"),
        );
    }
}

#[test]
fn opencode_does_not_read_args() {
    let file = "/home/sam/.config/opencode/opencode.json";
    let text = r#"{"mcp": {"a": {"type": "local", "command": ["a"], "args": ["b"]}}}"#;
    let files = FakeMachine::linux()
        .with(file, text)
        .files_of(Client::Opencode, "/work");
    let warnings = &files[0].servers[0].entry.warnings;
    assert_eq!(
        warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "mcp.a.args (line 1): opencode does not read this key; write the arguments in the list `command`"
        ]
    );
}

#[test]
fn only_vs_code_needs_the_file_with_variables() {
    let vs_code = "/home/sam/.config/Code/User/mcp.json";
    let text = |key: &str| {
        format!("{{\"{key}\": {{\"a\": {{\"command\": \"a\", \"envFile\": \"/x/.env\"}}}}}}")
    };
    let machine = FakeMachine::linux()
        .with(vs_code, text("servers"))
        .with("/home/sam/.cursor/mcp.json", text("mcpServers"));
    check(
        &machine.files_of(Client::VsCode, "/work"),
        "VS Code",
        &format!("user {vs_code}\na stdio | refused: `envFile` does not exist"),
    );
    check(
        &machine.files_of(Client::Cursor, "/work"),
        "Cursor",
        "user /home/sam/.cursor/mcp.json\na stdio",
    );
    let machine = machine.with("/x/.env", "A=b\n");
    check(
        &machine.files_of(Client::VsCode, "/work"),
        "VS Code with the file",
        &format!("user {vs_code}\na stdio"),
    );
}

/// An entry of the user that takes a program or values from the current folder would otherwise start what a repository brings.
#[test]
fn what_a_user_s_entry_takes_from_the_project_needs_an_approval() {
    const CURSOR: &str = "/home/sam/.cursor/mcp.json";
    const VS_CODE: &str = "/home/sam/.config/Code/User/mcp.json";
    const VALUES: Option<&str> = Some("its `envFile` is a file of the current project");
    const PROGRAM: Option<&str> = Some("its program is a file of the current project");
    #[rustfmt::skip]
    let rows: &[(Client, &str, &str, &str, Option<&str>)] = &[
        (Client::Cursor, CURSOR, "mcpServers", r#""command": "a", "envFile": "${workspaceFolder}/.env""#, VALUES),
        (Client::VsCode, VS_CODE, "servers", r#""command": "a", "envFile": "${workspaceFolder}/.env""#, VALUES),
        (Client::VsCode, VS_CODE, "servers", r#""command": "a", "envFile": "${env:PWD}/.env""#, VALUES),
        (Client::VsCode, VS_CODE, "servers", r#""command": "a", "envFile": ".env""#, Some("it includes `.env`, a file of the current project")),
        (Client::VsCode, VS_CODE, "servers", r#""command": "a", "envFile": "/work/shop/.env""#, None),
        (Client::VsCode, VS_CODE, "servers", r#""command": "a", "envFile": "~/.env""#, None),
        (Client::Cursor, CURSOR, "mcpServers", r#""command": "${workspaceFolder}/run""#, PROGRAM),
        (Client::Cursor, CURSOR, "mcpServers", r#""command": "tools/run""#, PROGRAM),
        (Client::Cursor, CURSOR, "mcpServers", r#""command": "tools/run", "cwd": "/opt""#, None),
        (Client::Cursor, CURSOR, "mcpServers", r#""command": "./gone""#, None),
        (Client::Cursor, CURSOR, "mcpServers", r#""command": "/work/shop/run""#, None),
        (Client::Cursor, CURSOR, "mcpServers", r#""command": "a", "args": ["${workspaceFolder}"]"#, None),
        (Client::ClaudeCode, STATE, "mcpServers", r#""command": "tools/run""#, PROGRAM),
        (Client::GeminiCli, "/home/sam/.gemini/settings.json", "mcpServers", r#""command": "$PWD/run""#, PROGRAM),
        (Client::Goose, "/home/sam/.config/goose/config.yaml", "extensions", r#""name": "a", "enabled": true, "type": "stdio", "cmd": "tools/run", "args": []"#, PROGRAM),
    ];
    for (client, path, key, entry, expected) in rows {
        let text = format!(r#"{{"{key}": {{"a": {{{entry}}}}}}}"#);
        let mut machine = shop()
            .with(path, text)
            .with("/home/sam/.env", "A=b\n")
            .with("/work/shop/.env", "A=b\n")
            .with("/work/shop/tools/run", "");
        machine
            .environment
            .insert("PWD".to_owned(), SHOP.to_owned());
        let files = machine.files_of(*client, SHOP);
        let server = &files[0].servers[0];
        assert_eq!(server.from_project.as_deref(), *expected, "{entry}");
        assert_eq!(files[0].may_start(server), expected.is_none(), "{entry}");
        // In the home folder, everything is the user's own.
        let files = machine.files_of(*client, "/home/sam");
        let server = &files[0].servers[0];
        assert_eq!(server.from_project, None, "{entry}");
    }
    let codex = shop()
        .with(
            "/home/sam/.codex/config.toml",
            "[mcp_servers.a]\ncommand = 'tools/run'\n",
        )
        .with("/work/shop/tools/run", "");
    let files = codex.files_of(Client::Codex, SHOP);
    let server = &files[0].servers[0];
    assert_eq!(server.from_project.as_deref(), PROGRAM);
    let inline = r#"{"mcp": {"a": {"type": "remote", "url": "{file:url.txt}"}}}"#;
    let mut opencode = shop().with("/work/shop/url.txt", "https://evil.example.com");
    let variable = ("OPENCODE_CONFIG_CONTENT".to_owned(), inline.to_owned());
    opencode.environment.extend([variable]);
    let files = opencode.files_of(Client::Opencode, SHOP);
    assert!(!files[0].may_start(&files[0].servers[0]));
    // The user has written this entry for this project.
    let local = r#"{"projects": {"/work/shop": {"mcpServers": {"a": {"command": "tools/run"}}}}}"#;
    let machine = shop().with(STATE, local).with("/work/shop/tools/run", "");
    let files = machine.files_of(Client::ClaudeCode, SHOP);
    let file = files.iter().find(|file| file.scope.as_str() == "local");
    assert!(file.is_some_and(|file| file.may_start(&file.servers[0])));
}

/// A repository could otherwise need gigabytes of memory.
#[test]
fn the_files_of_a_project_are_limited_together() {
    let servers: Vec<String> = (0..1900)
        .map(|at| format!(r#""s{at}": {{"command": "x"}}"#))
        .collect();
    let text = format!(r#"{{"mcpServers": {{{}}}}}"#, servers.join(", "));
    let mut machine = shop()
        .with("/home/sam/.kiro/settings/mcp.json", programs(&["own"]))
        .with("/home/sam/.aws/amazonq/mcp.json", programs(&["own"]));
    for at in 0..100 {
        machine = machine
            .with(&format!("{SHOP}/.kiro/agents/a{at}.json"), text.clone())
            .with(
                &format!("{SHOP}/.amazonq/cli-agents/a{at}.json"),
                text.clone(),
            );
    }
    let files = discover_on(&machine, Path::new(SHOP));
    let servers = files.iter().map(|file| file.servers.len()).sum::<usize>();
    assert!((20_000..60_000).contains(&servers), "{servers}");
    let errors: Vec<String> = files
        .iter()
        .filter_map(|file| Some(file.error.as_ref()?.to_string()))
        .collect();
    let [error] = &errors[..] else {
        panic!("{errors:?}");
    };
    assert!(
        error.contains("other ones are not read: the project has too many"),
        "{error}"
    );
    let of_user = files.iter().flat_map(|file| &file.servers);
    assert_eq!(
        of_user.filter(|server| server.entry.name == "own").count(),
        2
    );
    // Many small values: in JSON, and as the lines of YAML.
    let values = vec![r#""""#; 100_000].join(",");
    let values = format!(r#"{{"mcpServers": {{"s": {{"command": "x", "args": [{values}]}}}}}}"#);
    let flow = vec!["[]"; 100_000].concat();
    let lines = |end: &str| format!("mcpServers:{end}{}", format!("- x{end}").repeat(100_000));
    for (file, text) in [
        (".mcp.json", values),
        (".mcp.json", flow),
        (".continue/mcpServers/a.yaml", lines("\n")),
        (".continue/mcpServers/a.yaml", lines("\r")),
    ] {
        let machine = shop()
            .with("/home/sam/.continue/config.yaml", "mcpServers: []\n")
            .with(&format!("{SHOP}/{file}"), text);
        let files = discover_on(&machine, Path::new(SHOP));
        let path = PathBuf::from(format!("{SHOP}/{file}"));
        let of_path: Vec<_> = files.iter().filter(|file| file.path == path).collect();
        let [left_out] = &of_path[..] else {
            let paths: Vec<_> = files.iter().map(|file| &file.path).collect();
            panic!("{file}: {paths:?}");
        };
        let error = left_out.error.as_ref().unwrap().to_string();
        assert!(
            error.contains("this file is not read: the project has too many"),
            "{error}"
        );
    }
    // Many small files.
    let mut machine = shop();
    for at in 0..1000 {
        let path = format!("{SHOP}/.kiro/agents/a{at}.json");
        machine = machine.with(&path, programs(&["a"]));
    }
    let files = discover_on(&machine, Path::new(SHOP));
    assert_eq!(files.len(), 501);
    let error = files[500].error.as_ref().unwrap().to_string();
    assert!(error.contains("this file and 499 other ones"), "{error}");
}

#[test]
fn files_of_opencode_are_merged() {
    let mut machine = shop()
        .with(
            "/home/sam/.config/opencode/opencode.json",
            r#"{"mcp": {
            "a": {"type": "local", "command": ["old"], "environment": {"A": "1", "B": "1"}},
            "b": {"type": "local", "command": ["b"]}
        }}"#,
        )
        .with(
            "/home/sam/.config/opencode/opencode.jsonc",
            r#"{"mcp": {
            "a": {"command": ["new"], "environment": {"B": "{file:secret.txt}"},}, // a comment
            "b": {"enabled": false},
        }}"#,
        )
        .with("/home/sam/.config/opencode/secret.txt", "from its folder\n")
        .with("/o.json", r#"{"mcp": {"b": {"enabled": true}}}"#)
        .with(
            "/work/shop/opencode.json",
            r#"{"mcp": {"a": {"command": ["stranger"]}, "b": {"enabled": false}}}"#,
        );
    machine
        .environment
        .insert("OPENCODE_CONFIG".to_owned(), "/o.json".to_owned());
    let files = machine.files_of(Client::Opencode, SHOP);
    check(
        &files,
        "merged",
        "
        user /home/sam/.config/opencode/opencode.json
            a stdio
            b stdio
        user /home/sam/.config/opencode/opencode.jsonc
            a stdio
            b stdio
        user /o.json
            b stdio
        project /work/shop/opencode.json
            a stdio
            b stdio off",
    );
    let command =
        |file: &ClientFile| match &file.servers[0].entry.config.as_ref().unwrap().transport {
            TransportConfig::Stdio(stdio) => {
                use secrecy::ExposeSecret;
                let values: Vec<_> = stdio
                    .env
                    .iter()
                    .map(|(_, value)| value.expose_secret().to_owned())
                    .collect();
                format!("{} {values:?}", stdio.command)
            }
            TransportConfig::Http(_) => panic!(),
        };
    // A file of the project changes no server of the user: it needs no approval in the client, and has none here.
    assert_eq!(command(&files[0]), r#"new ["1", "from its folder"]"#);
    assert_eq!(command(&files[1]), command(&files[0]));
    assert!(command(&files[3]).starts_with("stranger"));
    assert!(!files[3].may_start(&files[3].servers[0]));
}

#[test]
fn the_user_of_factory_wins_over_the_project() {
    let off = r#"{"mcpServers": {"a": {"command": "a", "disabled": true}}}"#;
    let machine = shop()
        .with("/home/sam/.factory/mcp.json", off)
        .with("/work/shop/.factory/mcp.json", programs(&["a", "b"]))
        .with("/work/shop/sub/.factory/mcp.json", programs(&["b"]));
    check(
        &machine.files_of(Client::Factory, "/work/shop/sub"),
        "Factory",
        "
        project /work/shop/.factory/mcp.json
            a stdio | skipped: replaced by the entry of the same name in /home/sam/.factory/mcp.json
            b stdio
        project /work/shop/sub/.factory/mcp.json
            b stdio
        user /home/sam/.factory/mcp.json
            a stdio off",
    );
}

/// Entries that a client accepts or refuses, by its own rules.
#[test]
fn entries_as_each_client_takes_them() {
    const URL: &str = r#""url": "https://a.example.com/mcp""#;
    let (claude, cursor, vs_code) = (
        STATE,
        "/home/sam/.cursor/mcp.json",
        "/home/sam/.config/Code/User/mcp.json",
    );
    let (gemini, roo, cline) = (
        "/home/sam/.gemini/settings.json",
        "/work/shop/.roo/mcp.json",
        "/home/sam/.cline/data/settings/cline_mcp_settings.json",
    );
    let (crush, kiro, warp) = (
        "/home/sam/.config/crush/crush.json",
        "/home/sam/.kiro/settings/mcp.json",
        "/home/sam/.warp/.mcp.json",
    );
    let (desktop, copilot, zed) = (
        "/home/sam/.config/Claude/claude_desktop_config.json",
        "/home/sam/.copilot/mcp-config.json",
        "/home/sam/.config/zed/settings.json",
    );
    let (kimi, lm_studio, factory) = (
        "/home/sam/.kimi-code/mcp.json",
        "/home/sam/.lmstudio/mcp.json",
        "/home/sam/.factory/mcp.json",
    );
    let http = |word: &str| format!(r#""type": "{word}", {URL}"#);
    // The client, its file, the keys of the entry `a`, and how it is read.
    #[rustfmt::skip]
    let cases: Vec<(Client, &str, String, &str)> = vec![
        (Client::ClaudeCode, claude, http("streamable-http"), "a http"),
        (Client::ClaudeCode, claude, http("streamableHttp"), "a unknown | refused: write `http`"),
        (Client::ClaudeCode, claude, r#""serverUrl": "https://a.example.com""#.to_owned(), "a unknown | refused: write `url`"),
        (Client::ClaudeCode, claude, format!(r#""transport": "http", {URL}"#), "a unknown | refused: \"type\": \"http\""),
        (Client::ClaudeCode, claude, format!(r#"{}, "headersHelper": "touch canary""#, http("http")), "a http | skipped: from a command"),
        (Client::ClaudeDesktop, desktop, URL.to_owned(), "a unknown | refused: connector"),
        (Client::ClaudeDesktop, desktop, http("http"), "a unknown | refused: connector"),
        (Client::Cursor, cursor, URL.to_owned(), "a http"),
        (Client::Cursor, cursor, http("streamable_http"), "a http"),
        // VS Code goes by the other keys if it does not know the type.
        (Client::VsCode, vs_code, http("streamable-http"), "a http"),
        (Client::VsCode, vs_code, http("sse"), "a sse"),
        (Client::CopilotCli, copilot, http("streamable-http"), "a http"),
        (Client::CopilotCli, copilot, r#""type": "local", "command": "a""#.to_owned(), "a stdio"),
        (Client::CopilotCli, copilot, URL.to_owned(), "a http"),
        (Client::GeminiCli, gemini, URL.to_owned(), "a http"),
        (Client::GeminiCli, gemini, format!(r#"{URL}, "authProviderType": "google_credentials""#), "a http | skipped: only Gemini CLI has"),
        (Client::GeminiCli, gemini, r#""command": "a", "env": {"T": "$UNSET"}"#.to_owned(), "a stdio"),
        (Client::Cline, cline, URL.to_owned(), "a sse"),
        (Client::Cline, cline, http("streamable-http"), "a unknown | refused: write `streamableHttp`"),
        (Client::Cline, cline, format!(r#"{}, "timeout": 0"#, http("streamableHttp")), "a http"),
        (Client::RooCode, roo, format!(r#""command": "a", {URL}"#), "a unknown | refused: together"),
        (Client::RooCode, roo, r#""command": "a", "timeout": 4000"#.to_owned(), "a stdio | refused: 1 to 3600"),
        (Client::RooCode, roo, http("streamable-http"), "a http"),
        (Client::Crush, crush, r#""command": "a""#.to_owned(), "a unknown | refused: \"type\": \"stdio\""),
        (Client::Crush, crush, r#""oauth_token": {"access_token": "x"}"#.to_owned(), "a unknown | skipped: keeps a sign-in"),
        (Client::Crush, crush, r#""type": "stdio", "command": "a", "timeout": 0"#.to_owned(), "a stdio"),
        (Client::Crush, crush, r#""type": "stdio", "command": "a", "args": ["`touch canary`"]"#.to_owned(), "a stdio | skipped: holds a command"),
        (Client::Kiro, kiro, URL.to_owned(), "a http"),
        (Client::Warp, warp, r#""command": "a", "env": {"A": "${EMPTY}"}"#.to_owned(), "a stdio | refused: EMPTY is blank"),
        (Client::Zed, zed, r#""command": {"path": "a", "args": ["1"], "env": {"A": "1"}}"#.to_owned(), "a stdio"),
        (Client::Zed, zed, r#""command": "a", "args": [], "env": null, "timeout": null"#.to_owned(), "a stdio"),
        (Client::KimiCode, kimi, http("streamable-http"), "a http"),
        (Client::LmStudio, lm_studio, http("streamable-http"), "a http"),
        (Client::Factory, factory, URL.to_owned(), "a unknown | refused: \"type\": \"http\""),
        (Client::Factory, factory, r#""command": "a", "timeoutMs": 99999999999"#.to_owned(), "a stdio"),
    ];
    for (client, path, entry, expected) in cases {
        let key = match client {
            Client::VsCode => "servers",
            Client::Zed => "context_servers",
            Client::Crush => "mcp",
            _ => "mcpServers",
        };
        let mut machine = shop().with(path, format!(r#"{{"{key}": {{"a": {{{entry}}}}}}}"#));
        machine
            .environment
            .insert("EMPTY".to_owned(), String::new());
        let files = machine.files_of(client, SHOP);
        let scope = files[0].scope.as_str();
        check(
            &files,
            &format!("{client} {entry}"),
            &format!("{scope} {path}\n{expected}"),
        );
    }
    for text in [
        r#"{"servers": {"a": {"command": "a"}}}"#,
        r#"{"mcp": {"servers": {"a": {"command": "a"}}}}"#,
    ] {
        let machine = shop().with(warp, text);
        check(
            &machine.files_of(Client::Warp, SHOP),
            text,
            &format!("user {warp}\na stdio"),
        );
    }
}

#[test]
fn a_shared_file_alone_does_not_show_that_a_client_is_on_the_machine() {
    let server = r#"{"mcpServers": {"here": {"command": "x"}}}"#;
    let clients = |machine: &FakeMachine| -> Vec<&'static str> {
        let files = discover_on(machine, Path::new("/work/shop"));
        files.iter().map(|file| file.client.id()).collect()
    };
    let machine = FakeMachine::linux().with("/work/shop/.mcp.json", server);
    assert_eq!(clients(&machine), ["claude-code"]);
    let machine = machine.with("/home/sam/.qwen/output-language.md", "");
    assert_eq!(clients(&machine), ["claude-code", "qwen-code"]);
    let machine = machine.with("/home/sam/.copilot/mcp-config.json", server);
    assert_eq!(
        clients(&machine),
        ["claude-code", "copilot-cli", "copilot-cli", "qwen-code"]
    );
    // A client that the caller names is on the machine.
    assert_eq!(machine.files_of(Client::Cursor, "/work/shop").len(), 1);
}
