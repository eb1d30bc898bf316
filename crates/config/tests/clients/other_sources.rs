//! Servers outside of the usual files: extensions, plugins, workspaces, containers, variables and scripts.

use mcp_startup_config::ConfigurationErrorKind;
use mcp_startup_config::clients::{Client, FileFormat, System};

use crate::fake_machine::{FakeMachine, check};
use crate::server_details::details;

const SHOP: &str = "/work/shop";
const EXTENSION: &str = "/home/sam/.gemini/extensions/weather/gemini-extension.json";
const CODEX: &str = "/home/sam/.codex/config.toml";
const PLUGIN: &str = "/home/sam/.codex/plugins/cache/shop/radar";

fn with_variables(variables: &[(&str, &str)]) -> FakeMachine {
    let home = [("HOME", "/home/sam")];
    FakeMachine::new(System::Linux, &[&home, variables].concat())
}

fn gemini(machine: FakeMachine) -> FakeMachine {
    machine.with_sample(
        EXTENSION,
        "gemini-cli/extensions/weather/gemini-extension.json",
    )
}

#[test]
fn extensions_of_gemini_have_servers_with_variables_of_their_own() {
    let machine = gemini(with_variables(&[("STATION", "EDDB")]));
    let files = machine.files_of(Client::GeminiCli, SHOP);
    check(
        &files,
        "extension",
        "
        plugin /home/sam/.gemini/extensions/weather/gemini-extension.json
            forecast stdio
            tickets http",
    );
    assert_eq!(
        details(&files, "forecast"),
        "node \"/home/sam/.gemini/extensions/weather/dist/server.js\" \"--workspace\" \"/work/shop\"; \
         STATION=EDDB; UNITS=metric; NONE=; in /home/sam/.gemini/extensions/weather"
    );
    let windows = FakeMachine::new(System::Windows, &[("USERPROFILE", "C:/Users/sam")])
        .with_sample(
            "C:/Users/sam/.gemini/extensions/weather/gemini-extension.json",
            "gemini-cli/extensions/weather/gemini-extension.json",
        );
    let files = windows.files_of(Client::GeminiCli, "C:/work");
    assert!(details(&files, "forecast").contains(r"weather\\dist\\server.js"));
}

#[test]
fn a_setting_of_gemini_replaces_a_server_of_an_extension() {
    let second = r#"{"name": "x", "version": "1", "mcpServers": {"forecast": {"command": "x"}, "only": {"command": "x"}}}"#;
    let machine = gemini(FakeMachine::linux())
        .with(
            "/home/sam/.gemini/settings.json",
            r#"{"mcpServers": {"tickets": {"command": "mine"}}}"#,
        )
        .with(
            "/home/sam/.gemini/extensions/x/gemini-extension.json",
            second,
        )
        .with(
            "/home/sam/.gemini/extensions/a/gemini-extension.json",
            r#"{"name": "a", "version": "1"}"#,
        );
    check(
        &machine.files_of(Client::GeminiCli, SHOP),
        "replaced",
        "
        plugin /home/sam/.gemini/extensions/x/gemini-extension.json
            forecast stdio | skipped: replaced by the entry of the same name in /home/sam/.gemini/extensions/weather
            only stdio
        plugin /home/sam/.gemini/extensions/weather/gemini-extension.json
            forecast stdio
            tickets http | skipped: replaced by the entry of the same name in /home/sam/.gemini/settings.json
        user /home/sam/.gemini/settings.json
            tickets stdio",
    );
}

#[test]
fn the_last_rule_for_the_folder_turns_an_extension_of_gemini_on_or_off() {
    for (rules, is_on) in [
        ("", true),
        (r#""!/work/*""#, false),
        (r#""!/work/shop/""#, false),
        (r#""!/work/sho""#, true),
        (r#""!/work/*", "/work/shop/*""#, true),
        (r#""/work/shop/*", "!/*""#, false),
        (r#""!/other/*""#, true),
    ] {
        let rules = format!(r#"{{"weather": {{"overrides": [{rules}]}}}}"#);
        let machine = gemini(FakeMachine::linux()).with(
            "/home/sam/.gemini/extensions/extension-enablement.json",
            rules.as_str(),
        );
        let files = machine.files_of(Client::GeminiCli, SHOP);
        let servers = &files[0].servers;
        assert!(
            servers.iter().all(|server| server.entry.enabled == is_on),
            "{rules}"
        );
    }
}

#[test]
fn a_linked_extension_of_gemini_is_read_where_it_is_and_a_damaged_one_has_an_error() {
    let machine = FakeMachine::linux()
        .with(
            "/home/sam/.gemini/extensions/linked/.gemini-extension-install.json",
            r#"{"type": "link", "source": "/src/mine"}"#,
        )
        .with(
            "/src/mine/gemini-extension.json",
            r#"{"name": "mine", "version": "1", "mcpServers": {"mine": {"command": "${extensionPath}/run", "env": {"KEY": "$API_KEY"}}}}"#,
        )
        .with("/src/mine/.env", "API_KEY=typed-once\n")
        .with("/home/sam/.gemini/extensions/old/gemini-extension.json", r#"{"name": "old"}"#)
        .with("/home/sam/.gemini/extensions/cut/gemini-extension.json", r#"{"name": "#);
    let files = machine.files_of(Client::GeminiCli, SHOP);
    check(
        &files,
        "damaged",
        "
        plugin /home/sam/.gemini/extensions/old/gemini-extension.json
            error: the extension has no `version`
        plugin /src/mine/gemini-extension.json
            mine stdio
        plugin /home/sam/.gemini/extensions/cut/gemini-extension.json
            error: not valid JSON",
    );
    assert_eq!(details(&files, "mine"), "/src/mine/run; KEY=typed-once");
}

fn codex(config: &str) -> FakeMachine {
    FakeMachine::linux()
        .with(CODEX, config)
        .with_sample(
            &format!("{PLUGIN}/1.9.0/.codex-plugin/plugin.json"),
            "codex/plugin/.codex-plugin/plugin.json",
        )
        .with_sample(
            &format!("{PLUGIN}/1.9.0/servers.json"),
            "codex/plugin/servers.json",
        )
        .with(
            &format!("{PLUGIN}/1.10.0/.codex-plugin/plugin.json"),
            r#"{"name": "radar"}"#,
        )
        .with(
            &format!("{PLUGIN}/1.10.0/.mcp.json"),
            r#"{"newest": {"command": "newest-mcp"}}"#,
        )
}

#[test]
fn plugins_of_codex_have_servers() {
    // A plugin that is not in the configuration is not used.
    assert_eq!(codex("").files_of(Client::Codex, SHOP).len(), 1);
    let files = codex("[plugins.'radar@shop']\n").files_of(Client::Codex, SHOP);
    check(
        &files,
        "newest",
        "
        plugin /home/sam/.codex/plugins/cache/shop/radar/1.10.0/.mcp.json
            newest stdio
        user /home/sam/.codex/config.toml",
    );
    let mut machine = codex(
        "[plugins.'radar@shop']\nenabled = true\n[plugins.'radar@shop'.mcp_servers.quiet]\nenabled = false\n\
         [mcp_servers.map]\ncommand = 'mine'\n",
    );
    for (path, text) in machine.files.clone() {
        if path.contains("1.9.0") {
            machine.files.insert(path.replace("1.9.0", "local"), text);
        }
    }
    let files = machine.files_of(Client::Codex, SHOP);
    check(
        &files,
        "local",
        "
        plugin /home/sam/.codex/plugins/cache/shop/radar/local/servers.json
            radar stdio
            map http | skipped: replaced by the entry of the same name in /home/sam/.codex/config.toml
            quiet stdio off
        user /home/sam/.codex/config.toml
            map stdio",
    );
    assert_eq!(
        details(&files, "radar"),
        "radar-mcp; in /home/sam/.codex/plugins/cache/shop/radar/local/server"
    );
    let off = codex("[plugins.'radar@shop']\nenabled = false\n").files_of(Client::Codex, SHOP);
    assert!(!off[0].servers[0].entry.enabled);
}

#[test]
fn a_plugin_of_codex_stays_in_its_folder_and_obeys_the_administrator() {
    for (id, manifest) in [
        ("radar@..", "{}"),
        ("../radar@shop", "{}"),
        ("radar", "{}"),
        (
            "radar@shop",
            r#"{"mcpServers": "./../../../../../outside.json"}"#,
        ),
        ("radar@shop", r#"{"mcpServers": "/outside.json"}"#),
    ] {
        let outside = r#"{"outside": {"command": "outside-mcp"}}"#;
        let files = FakeMachine::linux()
            .with(CODEX, format!("[plugins.'{id}']\n"))
            .with(
                &format!("{PLUGIN}/local/.codex-plugin/plugin.json"),
                manifest,
            )
            .with("/home/sam/.codex/plugins/outside.json", outside)
            .with("/outside.json", outside)
            .files_of(Client::Codex, SHOP);
        assert_eq!(files.len(), 1, "{id} {manifest}");
    }
    let files = codex("[plugins.'radar@shop']\n")
        .with("/etc/codex/requirements.toml", "[mcp_servers]\n")
        .files_of(Client::Codex, SHOP);
    let why = files[0].servers[0].not_checked.clone().unwrap();
    assert!(
        why.contains("your administrator does not allow it"),
        "{why}"
    );
    let files = FakeMachine::linux()
        .with(CODEX, "[plugins.'radar@shop']\n")
        .with(&format!("{PLUGIN}/local/.claude-plugin/plugin.json"), "{")
        .files_of(Client::Codex, SHOP);
    assert_eq!(
        files[0].error.as_ref().unwrap().kind(),
        ConfigurationErrorKind::Syntax
    );
}

#[test]
fn invalid_rules_of_an_administrator_are_an_error_of_their_file() {
    for rules in ["[mcp_servers", "mcp_servers = 1\n"] {
        let files = FakeMachine::linux()
            .with(CODEX, "[mcp_servers.a]\ncommand = 'a'\n")
            .with("/etc/codex/requirements.toml", rules)
            .files_of(Client::Codex, SHOP);
        check(
            &files,
            rules,
            "
            user /home/sam/.codex/config.toml
                a stdio | skipped: Codex can't read the rules of your administrator (/etc/codex/requirements.toml)
            managed /etc/codex/requirements.toml
                error: line 1",
        );
    }
}

#[test]
fn workspaces_and_containers_of_vs_code_have_servers() {
    let machine = FakeMachine::linux()
        .with_sample(
            &format!("{SHOP}/shop.code-workspace"),
            "vscode/shop.code-workspace",
        )
        .with_sample(
            &format!("{SHOP}/.devcontainer/devcontainer.json"),
            "vscode/.devcontainer/devcontainer.json",
        )
        .with(
            &format!("{SHOP}/other.code-workspace"),
            r#"{"folders": []}"#,
        )
        .with(
            &format!("{SHOP}/.devcontainer/rust/devcontainer.json"),
            r#"{"image": "rust"}"#,
        );
    let files = machine.files_of(Client::VsCode, SHOP);
    check(
        &files,
        "workspace",
        "
        project /work/shop/shop.code-workspace
            audit http
        project /work/shop/.devcontainer/devcontainer.json
            browser stdio | skipped: VS Code starts it in the development container",
    );
    assert!(!files[0].may_start(&files[0].servers[0]));
}

#[test]
fn devin_reads_the_folder_of_its_earlier_name_first() {
    let machine = FakeMachine::linux()
        .with_sample(
            &format!("{SHOP}/.cognition/config.json"),
            "devin/.cognition/config.json",
        )
        .with_sample(
            "/home/sam/.config/devin/config.json",
            "devin/.devin/config.json",
        );
    check(
        &machine.files_of(Client::Devin, SHOP),
        "devin",
        "
        user /home/sam/.config/devin/config.json
            search http
            legacy sse
            tools stdio
        project /work/shop/.cognition/config.json
            search http
            wiki http",
    );
}

const USER: &str = "/home/sam/.config/opencode/opencode.json";

#[test]
fn opencode_reads_a_variable_as_a_file() {
    let content = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/clients/samples/opencode/inline/content.jsonc"
    );
    let content = std::fs::read_to_string(content).unwrap();
    let user =
        r#"{"mcp": {"tickets": {"type": "remote", "url": "https://tickets.example.com/mcp"}}}"#;
    let machine = with_variables(&[("OPENCODE_CONFIG_CONTENT", &content)]).with(USER, user);
    check(
        &machine.files_of(Client::Opencode, SHOP),
        "inline",
        "
        user /home/sam/.config/opencode/opencode.json
            tickets http off
        user $OPENCODE_CONFIG_CONTENT
            tickets http off
            pipeline http",
    );
    let machine = with_variables(&[("OPENCODE_CONFIG_CONTENT", "{")]).with(USER, user);
    check(
        &machine.files_of(Client::Opencode, SHOP),
        "invalid",
        "
        user /home/sam/.config/opencode/opencode.json
            tickets http
        user $OPENCODE_CONFIG_CONTENT
            error: not valid JSON",
    );
    // Another client has no such variable.
    assert!(machine.files_of(Client::Kilo, SHOP).is_empty());
}

#[test]
fn files_of_opencode_1_and_2_are_merged() {
    let version_1 = r#"{"mcp": {
        "notes": {"type": "local", "command": ["notes"], "environment": {"A": "1"}, "timeout": 4000},
        "tickets": {"type": "remote", "url": "https://tickets.example.com/mcp", "oauth": {"clientId": "mine"}},
        "off": {"type": "local", "command": ["off"], "enabled": false}
    }}"#;
    let version_2 = r#"{"mcp": {"servers": {
        "notes": {"environment": {"B": "2"}},
        "tickets": {"disabled": true, "oauth": {"callback_port": 4000}},
        "off": {"disabled": false}
    }}}"#;
    let machine = FakeMachine::linux().with(USER, version_1);
    let files = machine.files_of(Client::Opencode, SHOP);
    assert_eq!(details(&files, "notes"), "notes; A=1; 4s");
    assert_eq!(
        details(&files, "tickets"),
        "https://tickets.example.com/mcp (or SSE)"
    );
    let machine = machine.with(&format!("{USER}c"), version_2);
    let files = machine.files_of(Client::Opencode, SHOP);
    check(
        &files,
        "mixed",
        "
        user /home/sam/.config/opencode/opencode.json
            notes stdio
            tickets http off
            off stdio
        user /home/sam/.config/opencode/opencode.jsonc
            notes stdio
            tickets http off
            off stdio",
    );
    assert_eq!(details(&files, "notes"), "notes; A=1; B=2; 4s");
    // Version 2 does not speak HTTP+SSE.
    assert_eq!(
        details(&files, "tickets"),
        "https://tickets.example.com/mcp (no SSE)"
    );
    let tickets = files[0].servers[1].entry.config.as_ref().unwrap();
    assert_eq!(tickets.oauth.client_id.as_deref(), Some("mine"));
    assert_eq!(tickets.oauth.callback_port, Some(4000));
}

#[test]
fn a_project_in_the_shape_of_opencode_2_changes_no_server_of_the_user() {
    let user =
        r#"{"mcp": {"tickets": {"type": "remote", "url": "https://tickets.example.com/mcp"}}}"#;
    let machine = FakeMachine::linux().with(USER, user).with(
        &format!("{SHOP}/opencode.json"),
        r#"{"mcp": {"servers": {"tickets": {"disabled": true}}}}"#,
    );
    let files = machine.files_of(Client::Opencode, SHOP);
    check(
        &files,
        "project",
        "
        user /home/sam/.config/opencode/opencode.json
            tickets http
        project /work/shop/opencode.json
            tickets http off",
    );
    assert_eq!(
        details(&files[..1], "tickets"),
        "https://tickets.example.com/mcp (or SSE)"
    );
}

#[test]
fn a_crushrc_is_named_and_not_read() {
    let machine = FakeMachine::linux()
        .with_sample("/home/sam/.config/crush/crushrc", "crush/crushrc")
        .with_sample(&format!("{SHOP}/.crushrc"), "crush/crushrc");
    let files = machine.files_of(Client::Crush, SHOP);
    check(
        &files,
        "crushrc",
        "
        user /home/sam/.config/crush/crushrc
        project /work/shop/.crushrc",
    );
    for file in &files {
        assert_eq!(file.format, FileFormat::Script);
        assert_eq!(
            file.not_read.as_deref(),
            Some("it is a script of Crush, which is not run here")
        );
    }
    let reads = machine.reads.borrow();
    assert!(!reads.iter().any(|path| path.ends_with("crushrc")));
}
