//! Warnings: parts of a file that are read, or left out, in a way that the user may not expect. They do not prevent a start.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::Path;

use mcp_startup_config::*;

fn environment() -> BTreeMap<String, String> {
    [("EMPTY", ""), ("BLANK", "  "), ("KNOWN_KEY", "var-secret")]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// Parses a file with one server. Returns it, and its warnings as `key (line): problem`.
fn only_server(text: &str) -> (ServerConfig, Vec<String>) {
    let configuration = parse(text, Path::new("file"), &environment())
        .unwrap_or_else(|error| panic!("{text}: {error}"));
    let [entry] = configuration.servers.as_slice() else {
        panic!("{text}: {configuration:?}");
    };
    let config = entry.config.clone();
    let config = config.unwrap_or_else(|problem| panic!("{text}: {problem}"));
    let warnings = entry.warnings.iter().chain(&entry.compatibility_warnings);
    (config, warnings.map(ToString::to_string).collect())
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

/// Values that may be meant as they are written, or blank. They are passed on.
#[test]
fn possible_causes_are_noted_and_do_not_prevent_a_start() {
    // The entry in JSON, the key of the cause, and a part of it; both are empty if nothing is noted.
    #[rustfmt::skip]
    let json: &[(&str, &str, &str)] = &[
        (r#"{"command": "a", "args": ["--token", "${EMPTY}"]}"#, "args[1]", "the environment variable EMPTY is blank"),
        (r#"{"command": "a", "args": ["--token=${UNSET:-}"]}"#, "args[0]", "the environment variable UNSET is blank"),
        (r#"{"command": "a", "env": {"A": "${BLANK}"}}"#, "env.A", "the environment variable BLANK is blank"),
        (r#"{"command": "a", "env": {"A": "$KNOWN_KEY"}}"#, "env.A", "write `${KNOWN_KEY}`"),
        (r#"{"command": "a", "env": {"A": "%OTHER_KEY%"}}"#, "env.A", "write `${OTHER_KEY}`"),
        (r#"{"command": "a", "env": {"A": "$ecret99"}}"#, "env.A", "write `${NAME}`"),
        (r#"{"command": "a", "args": ["{env:KNOWN_KEY}"]}"#, "args[0]", "write `${KNOWN_KEY}`"),
        (r#"{"command": "a", "args": ["~/notes"]}"#, "args[0]", "`~` is passed on as written"),
        (r#"{"command": "a", "args": ["--dir=~/notes"]}"#, "args[0]", "`~` is passed on as written"),
        (r#"{"command": "a ", "args": []}"#, "command", "the command ends with white space"),
        (r#"{"command": " a "}"#, "command", "begins and ends with white space"),
        (r#"{"command": "/a b/c"}"#, "", ""),
        (r#"{"command": "a", "env": {"A": "op://ecret99/b/c"}}"#, "env.A", "a reference of 1Password (`op://…`) is not replaced"),
        (r#"{"command": "op", "args": ["run", "--", "a"], "env": {"A": "op://ecret99/b/c"}}"#, "", ""),
        (r#"{"command": "a", "args": ["--key", "<ecret99>"]}"#, "args[1]", "it looks like the placeholder of an example"),
        (r#"{"command": "a", "env": {"A": "\"ecret99\""}}"#, "env.A", "the quotation marks are a part of the value"),
        (r#"{"command": "a", "args": ["2>/dev/null"]}"#, "args[0]", "it is for a shell"),
        (r#"{"url": "https://example.com", "headers": {"Authorization": "Bearer op://ecret99/b/c"}}"#, "headers.Authorization", "1Password"),
        (r#"{"command": "/bin/sh", "args": ["-c", "echo $KNOWN_KEY"]}"#, "", ""),
        (r#"{"command": "a", "args": ["pa$word", "100%", "x~/y"]}"#, "", ""),
        (r#"{"url": "https://example.com/$KNOWN_KEY"}"#, "url", "write `${KNOWN_KEY}`"),
        (r#"{"url": "https://example.com/${EMPTY}"}"#, "url", "the environment variable EMPTY is blank"),
        (r#"{"url": "https://example.com", "headers": {"X-Team": "${EMPTY}"}}"#, "headers.X-Team", "the environment variable EMPTY is blank"),
        (r#"{"url": "https://example.com", "headers": {"Authorization": "Bearer $KNOWN_KEY"}}"#, "headers.Authorization", "write `${KNOWN_KEY}`"),
        (r#"{"url": "https://example.com", "headers": {"Authorization": "Bearer abc$ecret"}}"#, "", ""),
    ];
    #[rustfmt::skip]
    let codex: &[(&str, &str, &str)] = &[
        ("command = 'a'\nargs = ['$KNOWN_KEY']", "args[0]", "KNOWN_KEY is not replaced by Codex"),
        ("command = 'a'\nenv = { A = '%KNOWN_KEY%' }", "env.A", "list it in `env_vars`"),
        ("command = 'a'\nenv = { A = 'op://ecret99/b/c' }", "env.A", "1Password"),
        ("command = ' a'", "command", "the command begins with white space"),
        ("command = 'a'\nenv_vars = ['EMPTY']", "env_vars[0]", "the environment variable EMPTY is blank"),
        ("command = 'a'\nenv_vars = ['A=ecret99']", "env_vars[0]", "this is not the name of an environment variable"),
        ("command = 'a'\nenv_vars = ['UNSET']", "env_vars[0]", "the environment variable UNSET is not set"),
        ("command = 'sh'\nargs = ['-c', 'echo $KNOWN_KEY ${KNOWN_KEY}']", "", ""),
        ("url = 'https://example.com'\nhttp_headers = { A = 'Bearer $KNOWN_KEY' }", "http_headers.A", "`env_http_headers`"),
    ];
    let json = json.iter().map(|(entry, key, part)| {
        (
            format!("{{\"mcpServers\": {{\"x\": {entry}}}}}"),
            "mcpServers.x",
            *key,
            *part,
        )
    });
    let codex = codex.iter().map(|(entry, key, part)| {
        (
            format!("[mcp_servers.x]\n{entry}"),
            "mcp_servers.x",
            *key,
            *part,
        )
    });
    for (text, root, key, part) in json.chain(codex) {
        let (config, warnings) = only_server(&text);
        assert!(warnings.is_empty(), "{text}: {warnings:?}");
        match (key, config.possible_causes.as_slice()) {
            ("", []) => {}
            (_, [cause]) => {
                assert_eq!(cause.key, format!("{root}.{key}"), "{text}");
                assert!(cause.problem.contains(part), "{text}: {cause}");
                for secret in ["ecret99", "var-secret"] {
                    assert!(!cause.problem.contains(secret), "{text}: {cause}");
                }
            }
            (_, causes) => panic!("{text}: {causes:?}"),
        }
    }
}

#[test]
fn variables_of_editors_are_replaced_with_a_warning() {
    let text = r#"{"mcpServers": {"x": {"command": "a", "args": ["${env:KNOWN_KEY}"]}}}"#;
    let (config, warnings) = only_server(text);
    let TransportConfig::Stdio(stdio) = &config.transport else {
        panic!("{config:?}");
    };
    assert_eq!(stdio.args, ["var-secret"]);
    assert_eq!(warnings.len(), 1);
    let expected = "mcpServers.x.args[0] (line 1): `${env:KNOWN_KEY}` is read as `${KNOWN_KEY}`";
    assert!(warnings[0].starts_with(expected), "{warnings:?}");
}

#[test]
fn variables_in_braces_are_a_warning_in_codex() {
    let text = "[mcp_servers.x]\ncommand = 'a'\nenv = { A = '${KNOWN_KEY}' }";
    let (_, warnings) = only_server(text);
    assert_eq!(warnings.len(), 1);
    assert!(
        warnings[0].contains("KNOWN_KEY in braces is not replaced by Codex"),
        "{warnings:?}"
    );
}

/// Each text would take minutes if its cost grew with the square of its length.
#[test]
fn many_beginnings_of_variables_cost_linear_time() {
    for part in [
        "${",
        "${A:-",
        "${env:",
        "${{",
        "$",
        "%A",
        "{env:",
        "{{",
        "~/",
        "${input:a",
    ] {
        // A TOML file has at most 100,000 brackets.
        let text = part.repeat(99_000 / part.len());
        let json = format!(
            "{{\"mcpServers\": {{\"x\": {{\"command\": \"a\", \"args\": [\"{text}\"]}}}}}}"
        );
        let toml = format!("[mcp_servers.x]\ncommand = 'a'\nargs = ['{text}']");
        for text in [json, toml] {
            let began = std::time::Instant::now();
            let configuration = parse(&text, Path::new("x"), &environment()).unwrap();
            assert_eq!(configuration.servers.len(), 1);
            assert!(
                began.elapsed().as_secs() < 60,
                "{part}: {:?}",
                began.elapsed()
            );
        }
    }
}

#[test]
fn keys_that_are_not_read_are_warnings() {
    // The keys of the entry after `command` or `url`, the key of the warning, and a part of it. Both are empty if there is none.
    #[rustfmt::skip]
    let json: &[(&str, &str, &str)] = &[
        (r#""command": "a", "environment": {"A": "b-secret"}"#, "environment", "did you mean `env`?"),
        (r#""command": "a", "envs": {"A": "b-secret"}"#, "envs", "did you mean `env`?"),
        (r#""command": "a", "Env": {"A": "b-secret"}"#, "Env", "did you mean `env`?"),
        (r#""command": "a", "evn": {"A": "b-secret"}"#, "evn", "did you mean `env`?"),
        (r#""command": "a", "arguments": ["b-secret"]"#, "arguments", "did you mean `args`?"),
        (r#""command": "a", "arg": ["b-secret"]"#, "arg", "did you mean `args`?"),
        (r#""command": "a", "working_directory": "/b-secret""#, "working_directory", "did you mean `cwd`?"),
        (r#""command": "a", "workDir": "/b-secret""#, "workDir", "did you mean `cwd`?"),
        (r#""command": "a", "envFile": "/b-secret""#, "envFile", "write its variables in `env`"),
        (r#""command": "a", "env_vars": ["A"]"#, "env_vars", "write `env`"),
        (r#""command": "a", "disable": true"#, "disable", "did you mean `disabled`?"),
        (r#""command": "a", "headers": {"A": "b-secret"}"#, "headers", "has no effect, because the server is started by its `command`"),
        (r#""command": "a", "url": "https://example.com""#, "url", "has no effect"),
        (r#""command": "a", "something": {"a": "b-secret"}"#, "something", "this key is not known here"),
        (r#""command": "a", "API_KEY=b-secret": 1"#, "\"API_KEY…\"", "this key is not known here"),
        (r#""command": "a", "Authorization: Bearer b-secret": 1"#, "\"Authorization…\"", "this key is not known here"),
        (r#""url": "https://example.com", "oauth": {"clientId: b-secret": 1}"#, "oauth.\"clientId…\"", "this key is not known here"),
        (r#""command": "a", "env": {"KEY=b-secret": 1, "KEY=b-secret": "2"}, "env": {}"#, "env", "only its last value is read"),
        (r#""command": "a", "cwd": null, "timeout": 5, "autoApprove": [], "disabledTools": [], "trust": true"#, "", ""),
        (r#""command": "a", "_comment": "b-secret", "$schema": "x", "//": "y", "description": "z""#, "", ""),
        (r#""url": "https://example.com", "http_headers": {"A": "b-secret"}"#, "http_headers", "did you mean `headers`?"),
        (r#""url": "https://example.com", "Headers": {"A": "b-secret"}"#, "Headers", "did you mean `headers`?"),
        (r#""url": "https://example.com", "header": {"A": "b-secret"}"#, "header", "did you mean `headers`?"),
        (r#""url": "https://example.com", "haeders": {"A": "b-secret"}"#, "haeders", "did you mean `headers`?"),
        (r#""url": "https://example.com", "token": "b-secret""#, "token", "did you mean `headers`?"),
        (r#""url": "https://example.com", "bearer_token_env_var": "A""#, "bearer_token_env_var", "write `headers`"),
        (r#""url": "https://example.com", "oauthClientId": "b-secret""#, "oauthClientId", "write `oauth`"),
        (r#""url": "https://example.com", "env": {"A": "b-secret"}"#, "env", "has no effect, because the server is started by its `url`"),
    ];
    #[rustfmt::skip]
    let codex: &[(&str, &str, &str)] = &[
        ("url = 'https://example.com'\nheaders = { A = 'b-secret' }", "headers", "did you mean `http_headers`?"),
        ("url = 'https://example.com'\nhttpHeaders = { A = 'b-secret' }", "httpHeaders", "did you mean `http_headers`?"),
        ("url = 'https://example.com'\nhttp-headers = { A = 'b-secret' }", "http-headers", "did you mean `http_headers`?"),
        ("url = 'https://example.com'\nhttp_header = { A = 'b-secret' }", "http_header", "did you mean `http_headers`?"),
        ("url = 'https://example.com'\napi_key = 'b-secret'", "api_key", "did you mean `bearer_token_env_var`?"),
        ("url = 'https://example.com'\nbearer_token_env = 'A'", "bearer_token_env", "did you mean `bearer_token_env_var`?"),
        ("command = 'a'\nenvironment = { A = 'b-secret' }", "environment", "did you mean `env`?"),
        ("command = 'a'\ndisabled = true", "disabled", "write `enabled = false`"),
        ("command = 'a'\nenable = false", "enable", "did you mean `enabled`?"),
        ("command = 'a'\ntimeout = 5", "timeout", "did you mean `startup_timeout_sec`?"),
        ("command = 'a'\nstartup_timout_sec = 5", "startup_timout_sec", "did you mean `startup_timeout_sec`?"),
        ("command = 'a'\nworking_dir = '/b-secret'", "working_dir", "did you mean `cwd`?"),
        ("command = 'a'\nsomething = 5", "something", "this key is not known here"),
        ("command = 'a'\n'API_KEY=b-secret' = 5", "\"API_KEY…\"", "this key is not known here"),
        ("url = 'https://example.com'\ntype = 'sse'", "type", "Codex does not support `sse`"),
        ("command = 'a'\ntype = 'stdio'\ntool_timeout_sec = 5\nenabled_tools = []", "", ""),
    ];
    let json = json.iter().map(|(entry, key, part)| {
        (
            format!("{{\"mcpServers\": {{\"x\": {{{entry}}}}}}}"),
            "mcpServers.x",
            *key,
            *part,
        )
    });
    let codex = codex.iter().map(|(entry, key, part)| {
        (
            format!("[mcp_servers.x]\n{entry}"),
            "mcp_servers.x",
            *key,
            *part,
        )
    });
    for (text, root, key, part) in json.chain(codex) {
        let (_, warnings) = only_server(&text);
        match (key, warnings.as_slice()) {
            ("", []) => {}
            (_, [warning]) => {
                assert!(
                    warning.starts_with(&format!("{root}.{key} (line ")),
                    "{text}: {warning}"
                );
                assert!(warning.contains(part), "{text}: {warning}");
                assert!(!warning.contains("secret"), "{text}: {warning}");
            }
            (_, warnings) => panic!("{text}: {warnings:?}"),
        }
    }
}

#[test]
fn the_number_of_warnings_is_limited_and_known_words_come_first() {
    let mut toml = "[mcp_servers.x]\ncommand = 'a'\n".to_owned();
    for index in 0..30 {
        toml += &format!("unheard{index} = 1\n");
    }
    toml += "environment = { A = 'b' }\n";
    let (_, warnings) = only_server(&toml);
    // One about the known word, and at most 20 about the others.
    assert_eq!(warnings.len(), 1 + 20);
    assert!(warnings[0].contains("did you mean `env`?"), "{warnings:?}");
    assert!(warnings[1].contains("not known here"), "{warnings:?}");
}

/// Each unknown key is compared with every known one. A file can have many.
#[test]
fn many_unknown_keys_are_read_in_time() {
    let keys: String = (0..50_000)
        .map(|index| format!("\"environmnet{index}\": 1,"))
        .collect();
    let one = format!("{{\"mcpServers\": {{\"x\": {{{keys} \"command\": \"a\"}}}}}}");
    let keys: String = (0..50)
        .map(|index| format!("\"environmnt{index}\": 1,"))
        .collect();
    let entries: String = (0..1_000)
        .map(|index| format!("\"s{index}\": {{{keys} \"command\": \"a\"}},"))
        .collect();
    let many = format!("{{\"mcpServers\": {{{entries}}}}}");
    for text in [one, many] {
        let began = std::time::Instant::now();
        let configuration = parse(&text, Path::new("x"), &environment()).unwrap();
        assert!(!configuration.servers[0].warnings.is_empty());
        assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
    }
}

#[test]
fn an_unread_key_of_the_oauth_table_is_a_warning() {
    // The key of the table, and the end of the warning; `None` if there is none.
    #[rustfmt::skip]
    let json: &[(&str, Option<&str>)] = &[
        (r#""clientId": "a""#, None),
        (r#""client_id": "a""#, None),
        // Gemini CLI's keys for addresses, which a sign-in discovers.
        (r#""authorizationUrl": "https://example.com""#, None),
        (r#""clientID": "a""#, Some("this key is not read; did you mean `clientId`?")),
        (r#""clientIdd": "a""#, Some("this key is not read; did you mean `clientId`?")),
        (r#""redirectUrl": "http://localhost:1/""#, Some("this key is not read; did you mean `redirectUri`?")),
        (r#""token": "hunter2""#, Some("this key is not read; write it in `headers`, or remove it and sign in")),
        (r#""flow": "a""#, Some("this key is not known here, and is not read")),
        (r#""_comment": "a""#, None),
    ];
    #[rustfmt::skip]
    let toml: &[(&str, Option<&str>)] = &[
        ("client_id = \"a\"", None),
        ("callbackPort = 1234", None),
        ("clientId = \"a\"", Some("this key is not read; did you mean `client_id`?")),
        ("callback_prt = 1234", Some("this key is not read; did you mean `callback_port`?")),
        ("scopes = [\"a\"]", Some("this key is not read; write `scopes` in the table of the server")),
        ("resource = \"a\"", Some("this key is not read; write `oauth_resource` in the table of the server")),
    ];
    let json = json.iter().map(|(key, end)| {
        let entry =
            format!(r#"{{"type": "http", "url": "https://example.com", "oauth": {{ {key} }}}}"#);
        (format!("{{\"mcpServers\": {{\"x\": {entry}}}}}"), end)
    });
    let toml = toml.iter().map(|(key, end)| {
        let url = "url = \"https://example.com\"";
        (
            format!("[mcp_servers.x]\n{url}\n[mcp_servers.x.oauth]\n{key}\n"),
            end,
        )
    });
    for (text, end) in json.chain(toml) {
        let (_, warnings) = only_server(&text);
        match end {
            None => assert!(warnings.is_empty(), "{text}: {warnings:?}"),
            Some(end) => {
                assert_eq!(warnings.len(), 1, "{text}: {warnings:?}");
                assert!(warnings[0].ends_with(end), "{text}: {warnings:?}");
                assert!(warnings[0].contains("x.oauth."), "{text}: {warnings:?}");
            }
        }
    }
}

/// JSON parsers keep the last of several values with one name, so the others are lost without a word.
#[test]
fn a_key_that_a_json_file_repeats_is_a_warning_with_both_lines() {
    let both = "this key is in line 2 and in line 3; only the value in line 3 is read";
    let cases: &[(&str, &[&str], &[&str])] = &[
        (
            "{\"mcpServers\": {\n\"a\": {\"command\": \"x\"},\n\"a\": {\"command\": \"y\"}}}",
            &[],
            &["mcpServers.a (line 3): {both}"],
        ),
        (
            "{\n\"mcpServers\": {\"b\": {\"command\": \"x\"}},\n\"mcpServers\": {\"a\": {\"command\": \"y\"}}}",
            &["mcpServers (line 3): {both}"],
            &[],
        ),
        (
            "{\n\"servers\": {\"b\": {\"command\": \"x\"}},\n\"servers\": {\"a\": {\"command\": \"y\"}}}",
            &["servers (line 3): {both}"],
            &[],
        ),
        (
            "{\"mcpServers\": {\"a\": {\n\"command\": \"x\",\n\"command\": \"y\"}}}",
            &[],
            &["mcpServers.a.command (line 3): {both}"],
        ),
        (
            "{\"mcpServers\": {\"a\": {\"command\": \"y\", \"env\": {\n\"K\": \"1\",\n\"K\": \"2\"}}}}",
            &[],
            &["mcpServers.a.env.K (line 3): {both}"],
        ),
        (
            "{\"mcpServers\": {\"a\": {\"command\": \"x\"}, \"a\": {\"command\": \"y\"}}}",
            &[],
            &["mcpServers.a (line 1): this key is repeated in line 1; only its last value is read"],
        ),
        (
            "{\"mcpServers\": {\"my: server\": {\"command\": \"y\", \"env\": {\n\"K: v\": \"1\",\n\"K: v\": \"2\"}}}}",
            &[],
            &["mcpServers.\"my: server\".env.\"K…\" (line 3): {both}"],
        ),
        // Other parts of a file belong to other programs.
        (
            "{\"x\": 1, \"x\": 2, \"mcpServers\": {\"a\": {\"command\": \"y\"}}}",
            &[],
            &[],
        ),
    ];
    for (text, of_file, of_server) in cases {
        let configuration = parse(text, Path::new("f.json"), &environment()).unwrap();
        let shown = |warnings: &[EntryProblem]| -> Vec<String> {
            let repeated = |warning: &String| warning.contains("value");
            warnings
                .iter()
                .map(ToString::to_string)
                .filter(repeated)
                .collect()
        };
        let expected = |texts: &[&str]| -> Vec<String> {
            texts
                .iter()
                .map(|text| text.replace("{both}", both))
                .collect()
        };
        assert_eq!(shown(&configuration.warnings), expected(of_file), "{text}");
        let [server] = configuration.servers.as_slice() else {
            panic!("{text}: {configuration:?}");
        };
        assert_eq!(shown(&server.warnings), expected(of_server), "{text}");
        let config = server.config.as_ref().unwrap();
        assert!(matches!(&config.transport, TransportConfig::Stdio(stdio) if stdio.command == "y"));
    }
}

#[test]
fn servers_that_an_empty_key_replaces_are_an_error() {
    for last in ["{}", "null", "[]"] {
        let text = format!(
            "{{\"mcpServers\": {{\"a\": {{\"command\": \"x\"}}}},\n\"mcpServers\": {last}}}"
        );
        let error = parse(&text, Path::new("f.json"), &environment()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "f.json, line 2: `mcpServers` is in line 1 and in line 2; only the value in line 2 is read, and it has no servers: write all servers below one `mcpServers`"
        );
    }
}
