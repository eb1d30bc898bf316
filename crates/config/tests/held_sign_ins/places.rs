//! The places of the stores, on each system and after the user has moved them.

use mcp_startup_config::clients::System;
use mcp_startup_config::held_sign_ins::{HeldSignIns, SignInHolder, SoughtServer};

use crate::machine::*;

#[test]
fn folders_that_the_user_has_moved_are_read() {
    let record = r#"{"mcpOAuth": {"a|1": {"serverName": "a", "serverUrl": "https://a.example.com", "accessToken": "t"}}}"#;
    let list = r#"[{"serverName": "a", "mcpServerUrl": "https://a.example.com", "token": {"accessToken": "t"}}]"#;
    let named = r#"{"a": {"serverUrl": "https://a.example.com", "tokens": {"accessToken": "t"}}}"#;
    let by_url =
        r#"{"mcpOauthStorage": {"https://a.example.com": {"tokens": {"access_token": "t"}}}}"#;
    let cline = r#"{"mcpServers": {"a": {"url": "https://a.example.com", "oauth": {"tokens": {"access_token": "t"}}}}}"#;
    let cursor = r#"{"a": {"tokens": {"access_token": "t"}}}"#;
    let crush = r#"{"mcp": {"a": {"oauth_token": {"access_token": "t"}}}}"#;
    let goose = "'oauth_creds_a':\n  token_response:\n    access_token: t\n";
    // Windows, the variables, the path, the text, whether it is found.
    let cases: &[(bool, &str, &str, &str, &str, bool)] = &[
        (
            false,
            "CLAUDE_CONFIG_DIR",
            "/x",
            "/x/.credentials.json",
            record,
            true,
        ),
        (
            false,
            "CLAUDE_CONFIG_DIR",
            "x",
            "x/.credentials.json",
            record,
            false,
        ),
        (
            false,
            "CLAUDE_CONFIG_DIR",
            "/x",
            "/home/sam/.claude/.credentials.json",
            record,
            false,
        ),
        (
            false,
            "CLAUDE_SECURESTORAGE_CONFIG_DIR",
            "/x",
            "/x/.credentials.json",
            record,
            true,
        ),
        (
            false,
            "GEMINI_CLI_HOME",
            "/x",
            "/x/.gemini/mcp-oauth-tokens.json",
            list,
            true,
        ),
        (
            false,
            "XDG_DATA_HOME",
            "/x",
            "/x/opencode/mcp-auth.json",
            named,
            true,
        ),
        (
            false,
            "XDG_DATA_HOME",
            "/x",
            "/x/kilo/mcp-auth.json",
            named,
            true,
        ),
        (
            false,
            "CONTINUE_GLOBAL_DIR",
            "/x",
            "/x/index/globalContext.json",
            by_url,
            true,
        ),
        (
            false,
            "CLINE_MCP_SETTINGS_PATH",
            "/x/y.json",
            "/x/y.json",
            cline,
            true,
        ),
        (
            false,
            "CLINE_DATA_DIR",
            "/x",
            "/x/settings/cline_mcp_settings.json",
            cline,
            true,
        ),
        (
            false,
            "CLINE_DIR",
            "/x",
            "/x/data/settings/cline_mcp_settings.json",
            cline,
            true,
        ),
        (
            false,
            "CURSOR_DATA_DIR",
            "/x",
            "/x/projects/home-sam-work-shop/mcp-auth.json",
            cursor,
            true,
        ),
        (
            false,
            "CRUSH_GLOBAL_DATA",
            "/x",
            "/x/crush.json",
            crush,
            true,
        ),
        (
            false,
            "GOOSE_PATH_ROOT",
            "/x",
            "/x/config/secrets.yaml",
            goose,
            true,
        ),
        (
            false,
            "XDG_CONFIG_HOME",
            "/x",
            "/x/goose/secrets.yaml",
            goose,
            true,
        ),
        (
            true,
            "USERPROFILE",
            "C:/Users/sam",
            "C:/Users/sam/.claude/.credentials.json",
            record,
            true,
        ),
        (
            false,
            "USERPROFILE",
            "C:/Users/sam",
            "C:/Users/sam/.claude/.credentials.json",
            record,
            false,
        ),
        (
            true,
            "LOCALAPPDATA",
            "C:/l",
            "C:/l/crush/crush.json",
            crush,
            true,
        ),
        (
            true,
            "APPDATA",
            "C:/r",
            "C:/r/Block/goose/config/secrets.yaml",
            goose,
            true,
        ),
        (
            false,
            "MCP_REMOTE_CONFIG_DIR",
            "/x",
            "/x/mcp-remote-v1/fe1a44bcfa0d4e0e33ef8475c4c22680_tokens.json",
            r#"{"access_token": "t"}"#,
            true,
        ),
    ];
    for (is_windows, variable, value, path, text, expected) in cases {
        let files = Files::with(path, text);
        let mut machine = TestMachine::new(&files);
        let variable_and_value = ((*variable).to_owned(), (*value).to_owned());
        machine.environment.extend([variable_and_value]);
        if *is_windows {
            machine.system = System::Windows;
        }
        let locations = machine.locations();
        let mut held = HeldSignIns::read(SignInHolder::ALL, locations, 0);
        let found = held.find(&SoughtServer {
            name: "a",
            url: "https://a.example.com",
            owners: SignInHolder::ALL,
            started_by: None,
            mcp_remote: None,
        });
        assert_eq!(found.is_some(), *expected, "{variable} {path}");
    }
}
