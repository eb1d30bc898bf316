//! Every sample file, in a home folder with all of them.

use mcp_startup_config::TransportConfig;
use mcp_startup_config::clients::{Client, System};

use crate::fake_machine::{FakeMachine, check};

const SHOP: &str = "/home/sam/work/shop";

fn home() -> FakeMachine {
    FakeMachine::linux()
        .with(&format!("{SHOP}/.git/HEAD"), "x")
        .with_sample("/home/sam/.claude.json", "claude-code/home/.claude.json")
        .with_sample(
            &format!("{SHOP}/.mcp.json"),
            "claude-code/project/.mcp.json",
        )
        .with_sample(
            &format!("{SHOP}/.claude/settings.local.json"),
            "claude-code/project/.claude/settings.local.json",
        )
        .with_sample(
            "/home/sam/.claude/plugins/cache/m/weather-example/1.0.0/.claude-plugin/plugin.json",
            "claude-code/plugin/.claude-plugin/plugin.json",
        )
        .with_sample(
            "/home/sam/.claude/plugins/cache/m/radar/1.0.0/.mcp.json",
            "claude-code/plugin-flat/.mcp.json",
        )
        .with_sample(
            "/home/sam/.config/Claude/claude_desktop_config.json",
            "claude-desktop/claude_desktop_config.json",
        )
        .with_sample(
            "/home/sam/.config/Claude/Claude Extensions/example.files/manifest.json",
            "claude-desktop/Claude Extensions/example.files/manifest.json",
        )
        .with_sample("/home/sam/.codex/config.toml", "codex/home/config.toml")
        .with_sample(
            "/home/sam/.codex/work.config.toml",
            "codex/home/work.config.toml",
        )
        .with_sample(
            &format!("{SHOP}/.codex/config.toml"),
            "codex/project/.codex/config.toml",
        )
        .with_sample(
            "/etc/codex/requirements.toml",
            "codex/etc/requirements.toml",
        )
        .with_sample("/home/sam/.cursor/mcp.json", "cursor/mcp.json")
        .with_sample(
            &format!("{SHOP}/.vscode/mcp.json"),
            "vscode/.vscode/mcp.json",
        )
        .with_sample(
            "/home/sam/.copilot/mcp-config.json",
            "copilot-cli/mcp-config.json",
        )
        .with_sample(
            "/home/sam/.copilot/settings.json",
            "copilot-cli/settings.json",
        )
        .with_sample(
            "/home/sam/.gemini/settings.json",
            "gemini-cli/settings.json",
        )
        .with_sample(
            "/home/sam/.gemini/mcp-server-enablement.json",
            "gemini-cli/mcp-server-enablement.json",
        )
        .with_sample("/home/sam/.qwen/settings.json", "qwen-code/settings.json")
        .with_sample(
            "/home/sam/.gemini/config/mcp_config.json",
            "antigravity/mcp_config.json",
        )
        .with_sample(
            &format!("{SHOP}/opencode.jsonc"),
            "opencode/v2/opencode.jsonc",
        )
        .with_sample(
            "/home/sam/.config/opencode/opencode.jsonc",
            "opencode/v1/opencode.jsonc",
        )
        .with_sample("/home/sam/.config/kilo/kilo.jsonc", "kilo/kilo.jsonc")
        .with_sample(
            "/home/sam/.codeium/windsurf/mcp_config.json",
            "windsurf/mcp_config.json",
        )
        .with_sample(
            &format!("{SHOP}/.devin/config.json"),
            "devin/.devin/config.json",
        )
        .with_sample(
            "/home/sam/.cline/data/settings/cline_mcp_settings.json",
            "cline/cline_mcp_settings.json",
        )
        .with_sample(&format!("{SHOP}/.roo/mcp.json"), "roo-code/.roo/mcp.json")
        .with_sample("/home/sam/.config/zed/settings.json", "zed/settings.json")
        .with_sample(
            "/home/sam/.kiro/settings/mcp.json",
            "kiro/settings/mcp.json",
        )
        .with_sample(
            "/home/sam/.kiro/agents/reviewer.json",
            "kiro/agents/reviewer.json",
        )
        .with_sample("/home/sam/.aws/amazonq/mcp.json", "amazon-q/mcp.json")
        .with_sample(
            &format!("{SHOP}/.junie/mcp/mcp.json"),
            "junie/.junie/mcp/mcp.json",
        )
        .with_sample("/home/sam/.lmstudio/mcp.json", "lm-studio/mcp.json")
        .with_sample("/home/sam/.warp/.mcp.json", "warp/.warp/.mcp.json")
        .with_sample("/home/sam/.factory/mcp.json", "factory/.factory/mcp.json")
        .with_sample("/home/sam/.config/crush/crush.json", "crush/crush.json")
        .with_sample("/home/sam/.config/amp/settings.json", "amp/settings.json")
        .with_sample("/home/sam/.kimi-code/mcp.json", "kimi-code/mcp.json")
        .with_sample("/home/sam/.config/crush/crushrc", "crush/crushrc")
        .with_sample("/home/sam/work/flat/.mcp.json", "vscode/portable/.mcp.json")
        .with_sample(
            "/home/sam/work/wrappers/.cursor/mcp.json",
            "mcp-remote/wrappers.mcp.json",
        )
}

#[test]
fn every_client_in_one_home() {
    let machine = home();
    let cases = [
        (Client::ClaudeCode, "
            plugin /home/sam/.claude/plugins/cache/m/radar/1.0.0/.mcp.json
                plugin:radar:radar stdio off
            plugin /home/sam/.claude/plugins/cache/m/weather-example/1.0.0/.claude-plugin/plugin.json
                plugin:weather-example:forecast stdio off | skipped: a setting of its extension
            user /home/sam/.claude.json
                notes stdio off
                tickets http | skipped: replaced by the entry of the same name
            project /home/sam/work/shop/.mcp.json unapproved
                db stdio off unapproved
                docs http approved | refused: DOCS_TOKEN is not set
                no-type unknown unapproved | refused: write \"type\": \"http\"
            local /home/sam/.claude.json
                tickets sse
                metrics unknown | skipped: WebSocket"),
        (Client::ClaudeDesktop, "
            user /home/sam/.config/Claude/claude_desktop_config.json
                files stdio
                crm stdio
            plugin /home/sam/.config/Claude/Claude Extensions/example.files/manifest.json
                files-example stdio | skipped: ${user_config.roots}"),
        (Client::Codex, "
            user /home/sam/.codex/config.toml
                notes stdio
                tickets api http | refused: TICKETS_TOKEN is not set
                legacy http off | skipped: your administrator does not allow it
            user /home/sam/.codex/work.config.toml
                legacy http | skipped: --profile work
            project /home/sam/work/shop/.codex/config.toml approved
                notes stdio
                local-db stdio | skipped: your administrator does not allow it"),
        (Client::Cursor, "
            user /home/sam/.cursor/mcp.json
                lint stdio
                design http | refused: DESIGN_TEAM is not set
            project /home/sam/work/shop/.mcp.json
                db stdio
                docs http | refused: does not replace `${DOCS_BASE}`
                no-type http"),
        (Client::VsCode, "
            project /home/sam/work/shop/.vscode/mcp.json
                tickets http | skipped: only VS Code knows: `${input:tickets-token}`
                build stdio | refused: envFile
                socket http | skipped: local socket
            user /home/sam/.copilot/mcp-config.json
                repo stdio
                tickets http
                old sse
            project /home/sam/work/shop/.mcp.json
                db stdio
                docs http | refused: DOCS_TOKEN is not set
                no-type http"),
        (Client::CopilotCli, "
            user /home/sam/.copilot/mcp-config.json
                repo stdio
                tickets http
                old sse off
            project /home/sam/work/shop/.mcp.json
                db stdio
                docs http | refused: does not replace `${DOCS_BASE}`
                no-type http"),
        (Client::GeminiCli, "
            user /home/sam/.gemini/settings.json
                Notes stdio off
                tickets http
                events sse off
                cloud http off"),
        (Client::QwenCode, "
            user /home/sam/.qwen/settings.json
                http-one http
                sse-two sse off
                modern stdio
            project /home/sam/work/shop/.mcp.json
                db stdio
                docs sse | refused: DOCS_TOKEN is not set
                no-type sse"),
        (Client::Antigravity, "
            user /home/sam/.gemini/config/mcp_config.json
                maps http
                local stdio off"),
        (Client::Opencode, "
            user /home/sam/.config/opencode/opencode.jsonc
                notes stdio | refused: ~/.notes/cert.pem
                tickets http
                no-oauth http | refused: KEY is not set, and opencode replaces it with nothing
                inherited unknown off | skipped: no file does
            project /home/sam/work/shop/opencode.jsonc
                notes stdio | refused: ~/.notes/cert.pem
                tickets http
                old-shape http off"),
        (Client::Kilo, "
            user /home/sam/.config/kilo/kilo.jsonc
                notes stdio
                tickets http"),
        (Client::Windsurf, "
            user /home/sam/.codeium/windsurf/mcp_config.json
                search http | refused: SEARCH_TOKEN is not set
                files stdio off
            project /home/sam/work/shop/.mcp.json
                db stdio
                docs http | refused: does not replace `${DOCS_BASE}`
                no-type http"),
        (Client::Devin, "
            project /home/sam/work/shop/.devin/config.json
                search http
                legacy sse
                tools stdio"),
        (Client::Cline, "
            user /home/sam/.cline/data/settings/cline_mcp_settings.json
                flat-stdio stdio
                untyped-is-sse sse
                typed http
                nested http
                legacy-name http"),
        (Client::RooCode, "
            project /home/sam/work/shop/.roo/mcp.json
                tool stdio
                remote http | refused: KEY is not set
                broken-no-type unknown | refused: refuses a server with `url` that has no `type`"),
        (Client::Zed, "
            user /home/sam/.config/zed/settings.json
                notes stdio
                tickets http
                from-extension unknown | skipped: comes from an extension of Zed
                old-style stdio off"),
        (Client::Kiro, "
            user /home/sam/.kiro/settings/mcp.json
                power-example-db stdio
            user /home/sam/.kiro/settings/mcp.json
                docs stdio | skipped: ${KIRO_LEVEL}
                api http | skipped: ${API_TOKEN}
            user /home/sam/.kiro/agents/reviewer.json
                git stdio"),
        (Client::AmazonQ, "
            user /home/sam/.aws/amazonq/mcp.json
                docs stdio
                api http | refused: API_KEY is not set"),
        (Client::Junie, "
            project /home/sam/work/shop/.junie/mcp/mcp.json
                db stdio
                remote http"),
        (Client::LmStudio, "
            user /home/sam/.lmstudio/mcp.json
                models http
                files stdio"),
        (Client::Warp, "
            user /home/sam/.warp/.mcp.json
                build stdio | refused: BUILD_TOKEN is not set
                tickets http | refused: TICKETS_KEY is not set"),
        (Client::Factory, "
            user /home/sam/.factory/mcp.json
                linear-like http
                no-oauth http
                browser stdio
                old sse off"),
        (Client::Crush, "
            user /home/sam/.config/crush/crush.json
                files stdio
                vault http | skipped: a command that Crush runs
                linear-like http
                stream sse off
            user /home/sam/.config/crush/crushrc"),
        (Client::Amp, "
            user /home/sam/.config/amp/settings.json
                docs http
                tool stdio"),
        (Client::KimiCode, "
            user /home/sam/.kimi-code/mcp.json
                docs http
                tool stdio
            project /home/sam/work/shop/.mcp.json
                db stdio
                docs http | refused: does not replace `${DOCS_BASE}`
                no-type http"),
    ];
    for (client, expected) in cases {
        check(&machine.files_of(client, SHOP), client.id(), expected);
    }
    let reads = machine.reads.borrow();
    assert!(!reads.iter().any(|path| path.ends_with("crushrc")));
}

#[test]
fn files_in_other_folders() {
    let machine = home();
    check(
        &machine.files_of(Client::VsCode, "/home/sam/work/flat")[1..],
        "flat",
        "
        project /home/sam/work/flat/.mcp.json
            build stdio
            tickets http",
    );
    let wrappers = &machine.files_of(Client::Cursor, "/home/sam/work/wrappers")[1];
    assert_eq!(wrappers.servers.len(), 11);
    for server in &wrappers.servers {
        let config = server.entry.config.as_ref().unwrap();
        // A variable that the entry itself sets is for `mcp-remote`.
        assert!(
            config.possible_causes.is_empty(),
            "{:?}",
            config.possible_causes
        );
    }
    let managed = home().with_sample(
        "/etc/claude-code/managed-mcp.json",
        "claude-code/managed/managed-mcp.json",
    );
    let files = managed.files_of(Client::ClaudeCode, SHOP);
    let (managed, others) = files.split_last().unwrap();
    check(
        std::slice::from_ref(managed),
        "managed",
        "
        managed /etc/claude-code/managed-mcp.json
            company http | skipped: headers come from a command",
    );
    for server in others.iter().flat_map(|file| &file.servers) {
        assert!(
            server
                .not_checked
                .as_ref()
                .unwrap()
                .contains("managed-mcp.json")
        );
    }
}

#[test]
fn values_are_read_as_each_client_reads_them() {
    let mut machine = home()
        .with("/home/sam/.notes/cert.pem", " first\nsecond \n")
        .with("/home/sam/work/shop/.env", "TOKEN=of-the-file\n");
    for name in ["NOTES_TOKEN", "KEY", "DESIGN_TEAM", "DESIGN_SECRET"] {
        machine
            .environment
            .insert(name.to_owned(), format!("value of {name}"));
    }
    let config = |client, name: &str| {
        let files = machine.files_of(client, SHOP);
        let mut servers = files.into_iter().flat_map(|file| file.servers);
        let found = servers.find(|server| server.entry.name == name).unwrap();
        found.entry.config.unwrap()
    };
    let program = |client, name| match config(client, name).transport {
        TransportConfig::Stdio(stdio) => stdio,
        TransportConfig::Http(_) => panic!("{name}"),
    };
    let env = |client, name| -> Vec<String> {
        let env = program(client, name).env;
        use secrecy::ExposeSecret;
        let env = env.iter();
        env.map(|(name, value)| format!("{name}={}", value.expose_secret()))
            .collect()
    };
    assert_eq!(
        env(Client::ClaudeCode, "notes"),
        [
            "CLAUDECODE=1",
            "CLAUDE_PROJECT_DIR=/home/sam/work/shop",
            "NOTES_TOKEN=value of NOTES_TOKEN"
        ]
    );
    assert_eq!(program(Client::ClaudeCode, "notes").args[3], "/tmp/notes");
    assert_eq!(
        env(Client::Opencode, "notes"),
        ["NOTES_TOKEN=value of NOTES_TOKEN", "CERT=first\nsecond"]
    );
    assert_eq!(env(Client::Cursor, "lint"), ["TOKEN=of-the-file"]);
    assert_eq!(
        program(Client::Cursor, "lint").command,
        "/home/sam/work/shop/node_modules/.bin/lint-mcp"
    );
    assert_eq!(
        env(Client::VsCode, "build"),
        ["TOKEN=of-the-file", "JOBS=4"]
    );
    assert_eq!(env(Client::Crush, "files"), ["ROOT=/home/sam"]);
    assert_eq!(env(Client::CopilotCli, "repo"), ["TOKEN=none"]);
    assert!(env(Client::Codex, "notes").contains(&"LOG=debug".to_owned()));
    let seconds = |client, name| {
        config(client, name)
            .startup_timeout
            .map(|limit| limit.as_secs_f64())
    };
    assert_eq!(seconds(Client::Codex, "notes"), Some(12.5));
    assert_eq!(seconds(Client::CopilotCli, "repo"), Some(60.0));
    assert_eq!(seconds(Client::GeminiCli, "Notes"), None);
    assert_eq!(seconds(Client::QwenCode, "http-one"), Some(10.0));
    assert_eq!(seconds(Client::Opencode, "notes"), Some(8.0));
    assert_eq!(seconds(Client::Cline, "flat-stdio"), Some(60.0));
    assert_eq!(seconds(Client::Zed, "notes"), Some(120.0));
    assert_eq!(seconds(Client::Crush, "files"), Some(20.0));
    assert_eq!(seconds(Client::Factory, "linear-like"), Some(30.0));
    let id = |client, name| config(client, name).oauth.client_id;
    for (client, name) in [
        (Client::Cursor, "design"),
        (Client::CopilotCli, "tickets"),
        (Client::GeminiCli, "cloud"),
        (Client::Opencode, "tickets"),
        (Client::Cline, "nested"),
        (Client::Zed, "tickets"),
        (Client::Factory, "linear-like"),
    ] {
        assert_eq!(
            id(client, name).as_deref(),
            Some("example-client"),
            "{client}"
        );
    }
    assert_eq!(id(Client::Crush, "linear-like").as_deref(), Some("example"));
    // Claude Desktop, LM Studio and the others show no secret of an entry.
    for client in Client::ALL {
        let shown = format!("{:?}", machine.files_of(*client, SHOP));
        for secret in ["not-a-real", "value of", "of-the-file", "first"] {
            assert!(!shown.contains(secret), "{client}: {secret}");
        }
    }
}

#[test]
fn debug_shows_no_variable_of_an_oauth_client() {
    for (client, path, oauth) in [
        (
            Client::Cursor,
            "/home/sam/.cursor/mcp.json",
            r#""auth": {"CLIENT_ID": "${env:WORD}"}"#,
        ),
        (
            Client::ClaudeCode,
            "/home/sam/.claude.json",
            r#""oauth": {"clientId": "${WORD}"}"#,
        ),
    ] {
        let server = format!(r#"{{"type": "http", "url": "https://mcp.example", {oauth}}}"#);
        let text = format!(r#"{{"mcpServers": {{"found": {server}}}}}"#);
        let variables = [("HOME", "/home/sam"), ("WORD", "value-of-word")];
        let machine = FakeMachine::new(System::Linux, &variables).with(path, text);
        let files = machine.files_of(client, SHOP);
        let server = files[0].servers[0].entry.config.as_ref().unwrap();
        let id = server.oauth.client_id.as_deref();
        assert_eq!(id, Some("value-of-word"), "{client}");
        assert!(!format!("{files:?}").contains("value-of-word"), "{client}");
    }
}
