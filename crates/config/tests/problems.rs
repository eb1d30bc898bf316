//! Invalid entries: a table of cases for each format. Each entry is read between two valid servers. The problem must have
//! its key and its line and must contain no secret.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::Path;

use mcp_startup_config::*;

fn environment() -> BTreeMap<String, String> {
    [
        ("BLANK", "  "),
        ("DOLLAR", "$"),
        ("EMPTY", ""),
        ("FOREIGN", "${env:OTHER}"),
        ("NEWLINE", "var-secret\nX: y"),
        ("SECRET", "var-secret"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect()
}

/// Checks that the second of three entries has a problem at `key` and `line` whose text contains `part`. `line` counts from
/// the first line of the entry, which is `first_line` of the file.
fn check(text: &str, first_line: u32, case: &str, key: &str, line: u32, part: &str) {
    let configuration = parse(text, Path::new("config"), &environment())
        .unwrap_or_else(|error| panic!("{case}: {error}"));
    let [before, entry, after] = configuration.servers.as_slice() else {
        panic!("{case}: {} servers", configuration.servers.len());
    };
    assert!(
        before.config.is_ok() && after.config.is_ok(),
        "{case}: {configuration:?}"
    );
    let problem = match &entry.config {
        Err(problem) => problem,
        Ok(config) => panic!("{case}: accepted as {config:?}"),
    };
    assert_eq!(
        (problem.key.as_str(), problem.line),
        (key, Some(first_line + line - 1)),
        "{case}: {problem}"
    );
    let shown = problem.to_string();
    assert!(shown.contains(part), "{case}: {shown}");
    assert!(
        shown.starts_with(&format!("{key} (line ")),
        "{case}: {shown}"
    );
    for text in [
        shown,
        format!("{problem:?}"),
        format!("{:?}", configuration.servers),
    ] {
        // The name of the field and of the key is not a secret.
        let text = text.replace("client_secret", "");
        assert!(
            !text.contains("secret") && !text.contains(char::is_control),
            "{case}: {text}"
        );
    }
    let shown = format!("{}{}", problem.key, problem.problem);
    assert!(!shown.contains(['\u{202e}', '\u{200b}']), "{case}: {shown}");
}

#[test]
fn codex_toml() {
    // The lines of the entry after `[mcp_servers.x]`, the key in the entry, the line (`[mcp_servers.x]` is line 1), and a
    // part of the problem.
    #[rustfmt::skip]
    let cases: &[(&str, &str, u32, &str)] = &[
        ("", "", 1, "neither `command` nor `url`"),
        ("enabled = true\nargs = []", "", 1, "neither"),
        ("b = { command = 'b-secret' }", "", 1, "has servers in it; move them one level up"),
        ("env = { A = 'b-secret', command = 'b-secret' }", ".env.command", 2, "write it in the entry of the server, before its `env`"),
        ("command = 'a'\nurl = 'https://example.com'", ".url", 3, "`url` cannot be combined with `command`"),
        ("command = ''", ".command", 2, "empty"),
        ("\ncommand = '  '", ".command", 3, "empty"),
        ("command = ['a']", ".command", 2, "must be a string, not a list"),
        ("command = ['a']", ".command", 2, "the others as `args`"),
        ("command = { path = 'a' }", ".command", 2, "`args` and `env` as keys of the entry"),
        ("cmd = 'a'", ".cmd", 2, "`cmd` is not read; write `command`"),
        ("serverUrl = 'https://example.com'", ".serverUrl", 2, "`serverUrl` is not read; write `url`"),
        ("commnad = 'a'", ".commnad", 2, "write `command`"),
        ("command = \"C:\\tools\"", ".command", 2, "write C:\\\\tools"),
        ("command = \"tools\\new\"", ".command", 2, "a control character"),
        ("command = 'a'\nargs = [\"C:\\tools\"]", ".args[0]", 3, "write C:\\\\tools"),
        ("command = 'a'\nargs = [\"--dir=C:\\new\"]", ".args[0]", 3, "write C:\\\\tools"),
        ("command = 'a'\nenv = { A = \"C:\\tools\" }", ".env.A", 3, "write C:\\\\tools"),
        ("command = '${workspaceFolder}/a'", ".command", 2, "replaced only by an editor"),
        ("command = 'a'\nargs = ['${input:key}']", ".args[0]", 3, "`${input:key}` is a prompt"),
        ("command = 'a'\nenv = { A = '${env:SECRET}' }", ".env.A", 3, "list it in `env_vars`"),
        ("command = 'a'\ncwd = '${workspaceFolder}'", ".cwd", 3, "replaced only by an editor"),
        ("url = 'https://example.com/${env:TENANT}'", ".url", 2, "`${env:TENANT}`"),
        ("url = 'https://example.com/${TENANT}'", ".url", 2, "Codex replaces no variables"),
        ("url = 'https://example.com/?token='", ".url", 2, "the parameter `token` of the URL is blank"),
        ("url = 'https://example.com'\nbearer_token_env_var = 'FOREIGN'", ".bearer_token_env_var", 3, "FOREIGN has a variable in its value"),
        ("url = 'https://example.com'\nbearer_token_env_var = 'EMPTY'", ".bearer_token_env_var", 3, "variable EMPTY is blank"),
        ("url = 'https://example.com'\nhttp_headers = { Authorization = 'Bearer ' }", ".http_headers.Authorization", 3, "the credential in this header is blank"),
        ("url = 'https://example.com'\nhttp_headers = { Authorization = 'Bearer ${SECRET}' }", ".http_headers.Authorization", 3, "`env_http_headers` or `bearer_token_env_var`"),
        ("url = 'https://example.com'\nhttp_headers = { X-Key = '${env:SECRET}' }", ".http_headers.X-Key", 3, "`${env:SECRET}`"),
        ("url = 'https://example.com'\nhttp_headers = { X-Key = '${input:key}' }", ".http_headers.X-Key", 3, "`${input:key}`"),
        ("url = 'https://example.com'\nenv_http_headers.X-Key = 'FOREIGN'", ".env_http_headers.X-Key", 3, "FOREIGN has a variable in its value"),
        ("url = 'https://example.com'\noauth = { client_id = '' }", ".oauth.client_id", 3, "the value is blank"),
        ("url = 'https://example.com'\noauth = { client_secret = '${SECRET}' }", ".oauth.client_secret", 3, "variables are not replaced"),
        ("url = 'https://example.com'\noauth = { client_secret_env_var = 'FOREIGN' }", ".oauth.client_secret_env_var", 3, "FOREIGN has a variable in its value"),
        ("command = 'a'\ncwd = ''", ".cwd", 3, "the folder is empty"),
        ("command = 'a'\ncwd = \"C:\\tools\"", ".cwd", 3, "write C:\\\\tools"),
        ("command = 'a'\nenv = { A = true }", ".env.A", 3, "write quotation marks around it"),
        ("command = 'a'\nargs = '-y b-secret'", ".args", 3, "each argument or value as an item"),
        ("command = \"a\\u0000\"", ".command", 2, "NUL"),
        ("command = 'a'\nargs = 'b-secret'", ".args", 3, "must be a list, not a string"),
        ("command = 'a'\nargs = ['b',\n 7]", ".args[1]", 4, "must be a string, not a number"),
        ("command = 'a'\nargs = [\"b\\u0000secret\"]", ".args[0]", 3, "NUL"),
        ("command = 'a'\nenv = ['A=b-secret']", ".env", 3, "must be a table, not a list"),
        ("command = 'a'\nenv = { A = 'b', C = 5 }", ".env.C", 3, "must be a string, not a number"),
        ("command = 'a'\nenv = { 'A=B' = 'c-secret' }", ".env.\"A…\"", 3, "name of an environment variable"),
        ("command = 'a'\nenv = { 'KEY=b-secret' = '' }", ".env.\"KEY…\"", 3, "name of an environment variable"),
        ("command = 'a'\nenv = { 'KEY: b-secret' = 1 }", ".env.\"KEY…\"", 3, "must be a string"),
        ("command = 'a'\nenv_vars = ['KEY=b-secret']\nargs = 1", ".args", 4, "must be a list"),
        ("command = 'a'\nenv_vars = [{ name = 'A', source = 'a secret' }]", ".env_vars[0].source", 3, "`…` is not supported"),
        ("command = 'a'\nargs = ['${env:b-secret}']", ".args[0]", 3, "`${env:…}`"),
        ("command = 'a'\nargs = ['${input:a3secretB3dEfGhIjKlMn}']", ".args[0]", 3, "`${input:…}`"),
        ("url = 'https://example.com/${a3secretB3dEfGhIjKlMn}'", ".url", 2, "so ${…} is not replaced"),
        ("url = 'https://example.com'\nhttp_headers = { Authorization = '${a3secretB3dEfGhIjKlMn}' }", ".http_headers.Authorization", 3, "so ${…} is not replaced"),
        ("url = 'https://example.com'\nhttp_headers = { 'Authorization: Bearer b-secret' = '' }", ".http_headers.\"Authorization…\"", 3, "`Authorization…` is not a valid header name"),
        ("url = 'https://example.com'\nenv_http_headers = { 'X-Key=b-secret' = 'SECRET' }", ".env_http_headers.\"X-Key…\"", 3, "`X-Key…` is not a valid header name"),
        ("command = 'a'\n[mcp_servers.x.env]\n\nA = 2020-01-01", ".env.A", 5, "not a date"),
        ("command = 'a'\nenv_vars = [1]", ".env_vars[0]", 3, "must be a string"),
        ("command = 'a'\nenv_vars = [{ name = 'A', source = 'remote' }]", ".env_vars[0].source", 3, "`remote` is not supported"),
        ("command = 'a'\nenv_vars = [{ source = 'local' }]", ".env_vars[0]", 3, "`name` is missing"),
        ("command = 'a'\ncwd = true", ".cwd", 3, "must be a string, not a boolean"),
        ("command = 'a'\nbearer_token_env_var = 'SECRET'", ".bearer_token_env_var", 3, "`bearer_token_env_var` cannot be combined with `command`"),
        ("command = 'a'\nhttp_headers = { A = 'b-secret' }", ".http_headers", 3, "cannot be combined with"),
        ("command = 'a'\nenv_http_headers = { A = 'SECRET' }", ".env_http_headers", 3, "cannot be combined with"),
        ("command = 'a'\nhttp_headers_helper = 'c'", ".http_headers_helper", 3, "cannot be combined with"),
        ("command = 'a'\noauth_resource = 'b'", ".oauth_resource", 3, "cannot be combined with"),
        ("command = 'a'\n[mcp_servers.x.oauth]\nclient_id = 'b'", ".oauth", 3, "cannot be combined with"),
        ("url = 'https://example.com'\nargs = []", ".args", 3, "`args` cannot be combined with `url`"),
        ("url = 'https://example.com'\nenv = { A = 'b-secret' }", ".env", 3, "cannot be combined with"),
        ("url = 'https://example.com'\nenv_vars = []", ".env_vars", 3, "cannot be combined with"),
        ("url = 'https://example.com'\ncwd = '/'", ".cwd", 3, "cannot be combined with"),
        ("url = 'https://example.com'\nbearer_token = 'token-secret'", ".bearer_token", 3, "bearer_token_env_var"),
        ("command = 'a'\nbearer_token = 'token-secret'", ".bearer_token", 3, "bearer_token_env_var"),
        ("url = 'https://example.com'\nhttp_headers_helper = 'c'", ".http_headers_helper", 3, "are not run"),
        ("url = ''", ".url", 2, "the URL is empty; "),
        ("url = 'user:pw-secret'", ".url", 2, "the scheme is missing"),
        ("url = 'example.com/mcp?k=secret'", ".url", 2, "the scheme is missing"),
        ("url = 'https://'", ".url", 2, "not a URL"),
        ("url = 'https://pw-secret@exa mple.com'", ".url", 2, "not a URL"),
        ("url = 'ftp://u:pw-secret@example.com'", ".url", 2, "ftp:// is not supported"),
        ("url = 'file:///etc/passwd'", ".url", 2, "file:// is not supported"),
        ("url = 'https://u:pw-secret@example.com'", ".url", 2, "bearer_token_env_var"),
        ("url = 'https://user@example.com'", ".url", 2, "user name"),
        ("url = 'https://:pw-secret@example.com'", ".url", 2, "password"),
        ("url = 5", ".url", 2, "must be a string, not a number"),
        ("url = 'https://example.com'\nbearer_token_env_var = 'UNSET'", ".bearer_token_env_var", 3, "environment variable UNSET is not set"),
        ("url = 'https://example.com'\nbearer_token_env_var = 'BLANK'", ".bearer_token_env_var", 3, "environment variable BLANK is blank"),
        ("url = 'https://example.com'\nbearer_token_env_var = 'NEWLINE'", ".bearer_token_env_var", 3, "variable NEWLINE contains a character"),
        ("url = 'https://example.com'\nbearer_token_env_var = ''", ".bearer_token_env_var", 3, "name of an environment variable is missing"),
        ("url = 'https://example.com'\nbearer_token_env_var = \"A\\u001b[31m\"", ".bearer_token_env_var", 3, "this is not the name of an environment variable"),
        ("url = 'https://example.com'\nbearer_token_env_var = 'ghp_token-secret'", ".bearer_token_env_var", 3, "if it is the value, set a variable to it"),
        ("url = 'https://example.com'\nbearer_token_env_var = 'sk2secret'", ".bearer_token_env_var", 3, "if it is the value"),
        ("url = 'https://example.com'\nbearer_token_env_var = '${TOKEN}'", ".bearer_token_env_var", 3, "write only the name of the environment variable, TOKEN"),
        ("url = 'https://example.com'\nbearer_token_env_var = '$TOKEN'", ".bearer_token_env_var", 3, "write only the name of the environment variable, TOKEN"),
        ("url = 'https://example.com'\nenv_http_headers = { Authorization = 'Bearer token-secret' }", ".env_http_headers.Authorization", 3, "this is not the name"),
        ("url = 'https://example.com'\nhttp_headers = { 'X Y' = 'b-secret' }", ".http_headers.\"X…\"", 3, "`X…` is not a valid header name"),
        ("url = 'https://example.com'\nhttp_headers = { '' = 'b-secret' }", ".http_headers.\"\"", 3, "is not a valid header name"),
        ("url = 'https://example.com'\nhttp_headers = { X = \"b-secret\\r\\nA: b\" }", ".http_headers.X", 3, "the value contains a character"),
        ("url = 'https://example.com'\nhttp_headers = { X = 1.5 }", ".http_headers.X", 3, "must be a string, not a number"),
        ("url = 'https://example.com'\nhttp_headers = \"X: b-secret\"", ".http_headers", 3, "must be a table"),
        ("url = 'https://example.com'\n[mcp_servers.x.env_http_headers]\nX = 'UNSET'", ".env_http_headers.X", 4, "UNSET is not set"),
        ("url = 'https://example.com'\nenv_http_headers.X = 'BLANK'", ".env_http_headers.X", 3, "BLANK is blank"),
        ("url = 'https://example.com'\nenv_http_headers.X = 'NEWLINE'", ".env_http_headers.X", 3, "NEWLINE contains a character"),
        ("url = 'https://example.com'\nscopes = 'a b'", ".scopes", 3, "must be a list"),
        ("url = 'https://example.com'\noauth = 'a'", ".oauth", 3, "must be a table"),
        ("url = 'https://example.com'\noauth = { client_id = 1 }", ".oauth.client_id", 3, "must be a string"),
        ("url = 'https://example.com'\noauth = { client_secret_env_var = 'UNSET' }", ".oauth.client_secret_env_var", 3, "UNSET is not set"),
        ("url = 'https://example.com'\noauth.client_secret = 'a-secret'\noauth.client_secret_env_var = 'SECRET'", ".oauth.client_secret_env_var", 4, "remove one of them"),
        ("url = 'https://example.com'\noauth = { callback_port = 0 }", ".oauth.callback_port", 3, "from 1 to 65535"),
        ("url = 'https://example.com'\noauth = { callback_port = 65536 }", ".oauth.callback_port", 3, "from 1 to 65535"),
        ("url = 'https://example.com'\noauth = { callback_url = 'callback' }", ".oauth.callback_url", 3, "is not a URL"),
        ("url = 'https://example.com'\noauth = { prompt = 'none' }", ".oauth.prompt", 3, "must be one or more of"),
        ("url = 'https://example.com'\noauth = { allow_unpublished_pkce = 'yes' }", ".oauth.allow_unpublished_pkce", 3, "must be true or false"),
        ("url = 'https://example.com'\noauth = { client_metadata_url = 'http://a.example/c' }", ".oauth.client_metadata_url", 3, "must be an https:// URL"),
        ("url = 'https://example.com'\noauth_resource = []", ".oauth_resource", 3, "must be a string"),
        ("command = 'a'\nenabled = 'no'", ".enabled", 3, "must be true or false, not a string"),
        ("command = 'a'\nrequired = 1", ".required", 3, "must be true or false, not a number"),
        ("command = 'a'\nstartup_timeout_sec = 0", ".startup_timeout_sec", 3, "more than zero and at most 24 hours"),
        ("command = 'a'\nstartup_timeout_sec = -1.5", ".startup_timeout_sec", 3, "more than zero"),
        ("command = 'a'\nstartup_timeout_sec = nan", ".startup_timeout_sec", 3, "more than zero"),
        ("command = 'a'\nstartup_timeout_sec = inf", ".startup_timeout_sec", 3, "more than zero"),
        ("command = 'a'\nstartup_timeout_sec = 86400.5", ".startup_timeout_sec", 3, "24 hours"),
        ("command = 'a'\nstartup_timeout_sec = '5'", ".startup_timeout_sec", 3, "must be a number, not a string"),
        ("command = 'a'\nstartup_timeout_ms = 0", ".startup_timeout_ms", 3, "more than zero"),
        ("command = 'a'\nstartup_timeout_ms = -5", ".startup_timeout_ms", 3, "more than zero"),
        ("command = 'a'\nstartup_timeout_ms = 86400001", ".startup_timeout_ms", 3, "24 hours"),
        ("command = 'a'\nstartup_timeout_ms = 1.5", ".startup_timeout_ms", 3, "whole number"),
        ("command = 'a'\nstartup_timeout_sec = 5\nstartup_timeout_ms = 0", ".startup_timeout_ms", 4, "more than zero"),
    ];
    for (lines, key, line, part) in cases {
        let text = format!(
            "[mcp_servers.before]\ncommand = 'a'\n\n[mcp_servers.x]\n{lines}\n[mcp_servers.after]\nurl = 'https://example.com'\n"
        );
        check(&text, 4, lines, &format!("mcp_servers.x{key}"), *line, part);
    }
    check(
        "[mcp_servers]\nb = { command = 'a' }\nx = 5\na = { command = 'a' }",
        1,
        "not a table",
        "mcp_servers.x",
        3,
        "must be a table, not a number",
    );
}

#[test]
fn mcp_servers_json() {
    // The entry, the key in the entry, the line (the entry begins on line 1), and a part of the problem.
    #[rustfmt::skip]
    let cases: &[(&str, &str, u32, &str)] = &[
        ("7", "", 1, "must be an object, not a number; a server has a name, and an object with"),
        ("null", "", 1, "not null"),
        (r#"{"command": {"path": "a"}}"#, ".command", 1, "must be a string, not an object"),
        (r#"{"command": "a", "env": ["A=b-secret"]}"#, ".env", 1, "must be an object, not a list; write a name and a value"),
        ("{}", "", 1, "neither `command` nor `url`"),
        (r#"{"b": {"command": "b-secret"}}"#, "", 1, "move them one level up, and remove this key"),
        (r#"{"b": {"args": []}, "c": {"url": "https://b-secret.example"}}"#, "", 1, "has servers in it"),
        (r#"{"name": "b", "config": {"command": "b-secret"}}"#, ".config", 1, "its keys belong in the entry of the server itself"),
        (r#"{"mcpServers": {"b": {"command": "b-secret"}}}"#, "", 1, "has servers in its key `mcpServers`; move them to the place of this entry"),
        (r#"{"env": {"A": "b-secret", "command": "b-secret"}}"#, ".env.command", 1, "`command` is in `env`, so the server has none"),
        (r#"{"httpUrl ": "https://b-secret.example"}"#, ".\"httpUrl \"", 1, "is not read; write `httpUrl`"),
        (r#"{"type": "stdio"}"#, "", 1, "`command` is missing"),
        (r#"{"type": "http"}"#, "", 1, "`url` is missing"),
        (r#"{"type": "stdio", "url": "https://example.com"}"#, ".type", 1, "this type requires `command`, and the entry has `url`; write `http`"),
        (r#"{"type": "http", "command": "a"}"#, ".type", 1, "this type requires `url`, and the entry has `command`; write `stdio`"),
        ("{\n\"type\": \"ws\", \"url\": \"https://example.com\"}", ".type", 2, "the transport `ws` is not supported; use `stdio`, `http` or `sse`"),
        ("{\n\"protocol_era\": \"new\", \"url\": \"https://example.com\"}", ".protocol_era", 2, "must be `auto`, `legacy` or `modern`"),
        (r#"{"type": "w\u001b[31m\u202es", "url": "wss://example.com"}"#, ".type", 1, "this transport is not supported; use `stdio`"),
        (r#"{"type": "Bearer b-secret", "url": "https://example.com"}"#, ".type", 1, "this transport is not supported; use `stdio`, `http` or `sse`"),
        (r#"{"transport": "Bearer=b-secret", "url": "https://example.com"}"#, ".transport", 1, "this transport is not supported"),
        (r#"{"protocol_era": "b-secret", "url": "https://example.com"}"#, ".protocol_era", 1, "must be `auto`"),
        (r#"{"command": "a", "env": {"KEY=b-secret": ""}}"#, ".env.\"KEY…\"", 1, "name of an environment variable"),
        (r#"{"command": "a", "env": {"KEY: b-secret": 1}}"#, ".env.\"KEY…\"", 1, "must be a string"),
        (r#"{"url: b-secret": 1, "commnad=b-secret": 1}"#, "", 1, "neither `command` nor `url`"),
        (r#"{"command": "a", "args": ["${env:b-secret}"]}"#, ".args[0]", 1, "`${env:…}`"),
        (r#"{"command": "a", "args": ["${env:a3secretB3dEfGhIjKlMn}"]}"#, ".args[0]", 1, "looks like a value"),
        (r#"{"command": "a", "args": ["${a3secretB3dEfGhIjKlMn}"]}"#, ".args[0]", 1, "looks like a value"),
        (r#"{"command": "${a3secretB3dEfGhIjKlMn:-}"}"#, ".command", 1, "variable … is blank"),
        (r#"{"url": "https://example.com", "headers": {"Authorization: Bearer b-secret": ""}}"#, ".headers.\"Authorization…\"", 1, "`Authorization…` is not a valid header name"),
        (r#"{"url": "https://example.com", "oauth": {"clientId": "${a3secretB3dEfGhIjKlMn}"}}"#, ".oauth.clientId", 1, "so ${…} is not"),
        (r#"{"type": 1}"#, ".type", 1, "must be a string, not a number"),
        (r#"{"command": ""}"#, ".command", 1, "empty"),
        (r#"{"command": "${BLANK}"}"#, ".command", 1, "variable BLANK is blank"),
        (r#"{"command": "${workspaceFolder}/a"}"#, ".command", 1, "`${workspaceFolder}` is replaced only by an editor"),
        (r#"{"command": "${userHome}/a"}"#, ".command", 1, "`${userHome}` is replaced only by an editor"),
        (r#"{"command": "a", "args": ["${input:api-key}"]}"#, ".args[0]", 1, "`${input:api-key}` is a prompt of an editor"),
        (r#"{"command": "a", "args": ["--x=${env:UNSET}"]}"#, ".args[0]", 1, "the environment variable of `${env:UNSET}` is not set; set UNSET"),
        (r#"{"command": "a", "args": ["${env:UNSET:-b-secret}"]}"#, ".args[0]", 1, "`${env:UNSET}` is a variable of other clients"),
        (r#"{"command": "a", "args": ["${{ inputs.KEY }}"]}"#, ".args[0]", 1, "`${{ inputs.KEY }}` is a variable of another client"),
        (r#"{"command": "a", "env": {"A": "${input:key}"}}"#, ".env.A", 1, "`${input:key}`"),
        (r#"{"command": "a", "env": {"A": "${config:a.b}"}}"#, ".env.A", 1, "`${config:a.b}` is a variable of another client"),
        (r#"{"url": "https://example.com/${input:tenant}"}"#, ".url", 1, "`${input:tenant}`"),
        (r#"{"url": "https://example.com/${DOLLAR}{input:${SECRET}}"}"#, ".url", 1, "`${…}` is a prompt of an editor"),
        (r#"{"url": "${BLANK}/mcp"}"#, ".url", 1, "variable BLANK is blank"),
        (r#"{"url": "https://${BLANK}/mcp"}"#, ".url", 1, "variable BLANK is blank"),
        (r#"{"url": "https://example.com/?api_key=${EMPTY}"}"#, ".url", 1, "variable EMPTY is blank"),
        (r#"{"url": "https://example.com/?api_key="}"#, ".url", 1, "the parameter `api_key` of the URL is blank"),
        (r#"{"url": "https://example.com", "headers": {"Authorization": "Bearer ${BLANK}"}}"#, ".headers.Authorization", 1, "variable BLANK is blank"),
        (r#"{"url": "https://example.com", "headers": {"Authorization": "Bearer ${EMPTY}"}}"#, ".headers.Authorization", 1, "variable EMPTY is blank"),
        (r#"{"url": "https://example.com", "headers": {"Authorization": "Bearer ${UNSET:-}"}}"#, ".headers.Authorization", 1, "variable UNSET is blank"),
        (r#"{"url": "https://example.com", "headers": {"Authorization": "Bearer "}}"#, ".headers.Authorization", 1, "the credential in this header is blank"),
        (r#"{"url": "https://example.com", "headers": {"x-api-key": ""}}"#, ".headers.x-api-key", 1, "the credential in this header is blank"),
        (r#"{"url": "https://example.com", "headers": {"X-Api-Key": "${EMPTY}"}}"#, ".headers.X-Api-Key", 1, "variable EMPTY is blank"),
        (r#"{"url": "https://example.com", "headers": {"X-Api-Key": "${env:EMPTY}"}}"#, ".headers.X-Api-Key", 1, "variable EMPTY is blank"),
        (r#"{"url": "https://example.com", "headers": {"X-Api-Key": "${input:key}"}}"#, ".headers.X-Api-Key", 1, "`${input:key}`"),
        (r#"{"url": "https://example.com", "headers": {"X-Api-Key": "${FOREIGN}"}}"#, ".headers.X-Api-Key", 1, "variable FOREIGN has a variable in its value"),
        (r#"{"url": "https://example.com", "oauth": {"clientId": " "}}"#, ".oauth.clientId", 1, "the value is blank"),
        (r#"{"url": "https://example.com", "oauth": {"clientId": "${SECRET}"}}"#, ".oauth.clientId", 1, "${SECRET} is not"),
        (r#"{"url": "https://example.com", "oauth": {"clientId": "${env:SECRET}"}}"#, ".oauth.clientId", 1, "`${env:SECRET}`"),
        (r#"{"command": "${UNSET}/a"}"#, ".command", 1, "the environment variable UNSET is not set"),
        (r#"{"command": ["a", "b-secret"]}"#, ".command", 1, "not a list; write its first item as `command` and the others as `args`"),
        (r#"{"transport": {"type": "http"}}"#, ".transport", 1, "must be a string, not an object"),
        (r#"{"type": "remote", "url": "https://example.com"}"#, ".type", 1, "`remote` is not supported; write `http`"),
        (r#"{"type": "http-stream", "url": "https://example.com"}"#, ".type", 1, "write `http`"),
        (r#"{"type": "local", "command": "a"}"#, ".type", 1, "write `stdio`"),
        (r#"{"uri": "https://example.com"}"#, ".uri", 1, "`uri` is not read; write `url`"),
        (r#"{"type": "http", "endpoint": "https://example.com"}"#, ".endpoint", 1, "write `url`"),
        (r#"{"executable": "a"}"#, ".executable", 1, "write `command`"),
        (r#"{"command": "C:\tools"}"#, ".command", 1, "write C:\\\\tools"),
        (r#"{"command": "\ud800"}"#, ".command", 1, "cannot be represented"),
        ("{\"command\": \"a\",\n \"args\": [\"${SECRET}\",\n \"${UNSET}\"]}", ".args[1]", 3, "UNSET is not set"),
        (r#"{"command": "a", "args": {"a": "b-secret"}}"#, ".args", 1, "must be a list, not an object"),
        (r#"{"command": "a", "args": ["b-secret\u0000"]}"#, ".args[0]", 1, "NUL"),
        (r#"{"command": "a", "args": [null]}"#, ".args[0]", 1, "not null"),
        (r#"{"command": "a", "args": [[[[[[["b"]]]]]]]}"#, ".args[0]", 1, "not a list"),
        ("{\"command\": \"a\", \"env\": {\"A\": \"b\",\r\n\"C\":\r\n\"${SECRET}${UNSET}\"}}", ".env.C", 3, "UNSET is not set"),
        (r#"{"command": "a", "env": {"A": 1e999}}"#, ".env.A", 1, "must be a string"),
        (r#"{"command": "a", "env": {"": "b-secret"}}"#, ".env.\"\"", 1, "name of an environment variable"),
        (r#"{"command": "a", "cwd": ""}"#, ".cwd", 1, "the folder is empty"),
        (r#"{"command": "a", "cwd": "${BLANK}"}"#, ".cwd", 1, "variable BLANK is blank"),
        (r#"{"command": "a", "cwd": "${UNSET}/x"}"#, ".cwd", 1, "UNSET is not set"),
        (r#"{"command": "a", "cwd": "${workspaceFolder}"}"#, ".cwd", 1, "replaced only by an editor"),
        (r#"{"command": "a", "cwd": ["x"]}"#, ".cwd", 1, "must be a string, not a list"),
        (r#"{"command": "a", "disabled": "yes"}"#, ".disabled", 1, "must be true or false"),
        (r#"{"command": "a", "enabled": 0}"#, ".enabled", 1, "must be true or false"),
        (r#"{"type": "", "url": "https://example.com"}"#, ".type", 1, "the transport is blank"),
        (r#"{"url": "'https://example.com/secret'"}"#, ".url", 1, "remove them"),
        (r#"{"url": "${UNSET}/mcp"}"#, ".url", 1, "write a default as ${UNSET:-default}"),
        (r#"{"url": "${SECRET}"}"#, ".url", 1, "the scheme is missing"),
        (r#"{"url": "https://u:${SECRET}@example.com"}"#, ".url", 1, "password"),
        (r#"{"url": "ftp://example.com/${SECRET}"}"#, ".url", 1, "ftp:// is not supported"),
        ("{\"url\": \"https://example.com\", \"headers\": {\n\"A\": \"Bearer ${UNSET_1}\"}}", ".headers.A", 2, "UNSET_1 is not set"),
        (r#"{"url": "https://example.com", "headers": {"A": "${NEWLINE}"}}"#, ".headers.A", 1, "variable NEWLINE contains a character"),
        (r#"{"url": "https://example.com", "headers": {"A": "b-secret\n"}}"#, ".headers.A", 1, "the value contains a character"),
        (r#"{"url": "https://example.com", "headers": {"A\u001b": "b-secret"}}"#, ".headers.\"A\\u{1b}\"", 1, "is not a valid header name"),
        (r#"{"url": "https://example.com", "headers": ["A: b-secret"]}"#, ".headers", 1, "must be an object, not a list"),
        (r#"{"url": "https://example.com", "headersHelper": "a"}"#, ".headersHelper", 1, "are not run"),
        (r#"{"url": "https://example.com", "oauth": {"clientId": 1}}"#, ".oauth.clientId", 1, "must be a string"),
        (r#"{"url": "https://example.com", "oauth": {"callbackPort": "1"}}"#, ".oauth.callbackPort", 1, "must be a whole number"),
        (r#"{"url": "https://example.com", "oauth": {"redirectUri": "x"}}"#, ".oauth.redirectUri", 1, "is not a URL"),
        (r#"{"url": "https://example.com", "oauth": {"scopes": ["a"]}}"#, ".oauth.scopes", 1, "must be a string, not a list"),
    ];
    for (entry, key, line, part) in cases {
        let text = format!(
            "{{\"mcpServers\": {{\n\"before\": {{\"command\": \"a\"}},\n\"x\": {entry},\n\"after\": {{\"url\": \"https://example.com\"}}}}}}"
        );
        check(&text, 3, entry, &format!("mcpServers.x{key}"), *line, part);
    }
}

#[test]
fn names() {
    let long = "n".repeat(201);
    let wide = "ü".repeat(101);
    #[rustfmt::skip]
    let refused: &[(&str, &str, &str)] = &[
        ("", "\"\"", "empty"),
        ("a\u{1b}[2J", "\"a\\u{1b}[2J\"", "control characters"),
        ("a\nb", "\"a\\nb\"", "control characters"),
        ("a\u{9b}", "\"a\\u{9b}\"", "control characters"),
        ("..", "\"..\"", ".."),
        ("a/../b", "\"a/../b\"", ".."),
        ("a\\..", "\"a\\\\..\"", ".."),
        (&long, "", "200 bytes"),
        (&wide, "", "200 bytes"),
    ];
    let accepted = [
        "linear",
        "my server",
        "a.b",
        "a/b\\c",
        "...",
        "a..b",
        "名前 🦀",
        "|",
        "-",
        &"n".repeat(200),
    ];
    for (name, key, part) in refused {
        for (prefix, text) in both_formats(name) {
            let configuration = parse(&text, Path::new("x"), &BTreeMap::new()).unwrap();
            let entry = &configuration.servers[0];
            let problem = entry.config.as_ref().unwrap_err();
            if !key.is_empty() {
                assert_eq!(problem.key, format!("{prefix}.{key}"));
            }
            assert!(problem.problem.contains(part), "{name:?}: {problem}");
            assert!(problem.line.is_some());
            let shown = format!("{}{problem}", entry.name);
            assert!(!shown.contains(char::is_control), "{shown:?}");
            assert!(shown.len() < 1000);
        }
    }
    for name in accepted {
        for (_, text) in both_formats(name) {
            let configuration = parse(&text, Path::new("x"), &BTreeMap::new()).unwrap();
            let entry = &configuration.servers[0];
            assert_eq!(entry.config.as_ref().unwrap().name, name);
            assert_eq!(entry.name, name);
        }
    }
}

/// A configuration in each format with one server that has this name.
fn both_formats(name: &str) -> [(&'static str, String); 2] {
    let json = name
        .chars()
        .map(|character| format!("\\u{:04x}", u32::from(character)))
        .collect::<String>();
    let json = if name
        .chars()
        .all(|character| u32::from(character) < 0x1_0000)
    {
        json
    } else {
        name.to_owned()
    };
    let toml = name
        .chars()
        .map(|character| format!("\\U{:08x}", u32::from(character)))
        .collect::<String>();
    [
        (
            "mcp_servers",
            format!("[mcp_servers.\"{toml}\"]\ncommand = 'a'"),
        ),
        (
            "mcpServers",
            format!("{{\"mcpServers\": {{\"{json}\": {{\"command\": \"a\"}}}}}}"),
        ),
    ]
}

/// The SDK for TypeScript accepts it.
#[test]
fn half_a_surrogate_pair_affects_only_its_own_server() {
    let text = r#"{ "mcpServers": {
        "before": { "url": "https://example.com/mcp" },
        "\ud800": { "url": "https://example.com/mcp" },
        "value": { "url": "https://example.com/\ud800" },
        "key": { "url": "https://example.com/mcp", "\udc00": 1 },
        "after": { "url": "https://example.com/mcp" }
    } }"#;
    let configuration = parse(text, Path::new("config"), &environment()).unwrap();
    let valid: Vec<bool> = configuration
        .servers
        .iter()
        .map(|entry| entry.config.is_ok())
        .collect();
    assert_eq!(valid, [true, true, false, true, true]);
}

#[test]
fn an_invalid_entry_keeps_enabled_and_required() {
    let text = "[mcp_servers.x]\nenabled = false\nrequired = true\nurl = 'nothing'";
    let configuration = parse(text, Path::new("x"), &BTreeMap::new()).unwrap();
    let entry = &configuration.servers[0];
    assert!(!entry.enabled && entry.required && entry.config.is_err());
}

#[test]
fn an_entry_with_more_headers_than_a_request_can_have_is_invalid() {
    for (count, is_valid) in [
        (MAX_HEADERS, true),
        (MAX_HEADERS + 1, false),
        (60_000, false),
    ] {
        let pairs = |between: &str| {
            let pairs = (0..count).map(|i| format!("\"X-{i}\"{between}\"v\""));
            pairs.collect::<Vec<_>>().join(", ")
        };
        let toml = format!(
            "[mcp_servers.x]\nurl = \"https://a.example\"\nhttp_headers = {{ {} }}",
            pairs(" = ")
        );
        let json = format!(
            "{{\"mcpServers\": {{\"x\": {{\"type\": \"http\", \"url\": \"https://a.example\", \"headers\": {{ {} }} }} }} }}",
            pairs(": ")
        );
        for text in [toml, json] {
            let configuration = parse(&text, Path::new("x"), &BTreeMap::new()).unwrap();
            let config = &configuration.servers[0].config;
            assert_eq!(config.is_ok(), is_valid, "{count}");
            if let Err(problem) = config {
                assert!(problem.to_string().contains("at most 1000"), "{problem}");
            }
        }
    }
    let config = ServerConfig::http("x", "https://a.example").unwrap();
    let add =
        |config: ServerConfig, i: usize| config.with_header(&format!("X-{i}"), "v".to_owned());
    let full = (0..MAX_HEADERS).try_fold(config, add).unwrap();
    assert!(add(full.clone(), 0).is_ok(), "a header is replaced");
    assert!(add(full, MAX_HEADERS).is_err());
}
