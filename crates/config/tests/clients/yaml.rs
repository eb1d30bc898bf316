//! The clients whose files are YAML: goose, Continue and LibreChat.

use mcp_startup_config::TransportConfig;
use mcp_startup_config::clients::{Client, ClientFile, System};

use crate::fake_machine::{FakeMachine, shown};
use crate::server_details::details;

const SHOP: &str = "/home/sam/work/shop";
const GOOSE: &str = "/home/sam/.config/goose/config.yaml";
const CONTINUE: &str = "/home/sam/.continue/config.yaml";

fn with_variables(variables: &[(&str, &str)]) -> FakeMachine {
    let home = [("HOME", "/home/sam")];
    FakeMachine::new(System::Linux, &[&home, variables].concat())
}

fn goose(machine: &FakeMachine) -> Vec<ClientFile> {
    machine.files_of(Client::Goose, SHOP)
}

/// The files of goose with one `config.yaml`.
fn goose_text(text: &str) -> Vec<ClientFile> {
    goose(&FakeMachine::linux().with(GOOSE, text))
}

#[test]
fn goose_extensions_that_are_servers_are_read() {
    let machine = with_variables(&[
        ("NOTES_TOKEN", "n"),
        ("TICKETS_KEY", "k"),
        ("TICKETS_TOKEN", "t"),
    ])
    .with_sample(GOOSE, "goose/config.yaml");
    let files = goose(&machine);
    assert_eq!(
        shown(&files),
        "user /home/sam/.config/goose/config.yaml (yaml)\n\
         \x20 notes stdio\n\
         \x20 tickets http\n\
         \x20 old unknown off | extensions.old.type (line 36): goose does not speak HTTP+SSE; write `type: streamable_http` if the server has it\n"
    );
    assert_eq!(
        details(&files, "notes"),
        "npx \"-y\" \"notes-mcp-example\"; NOTES_TOKEN=n; LEVEL=info; 300s"
    );
    assert_eq!(
        details(&files, "tickets"),
        "https://tickets.example.com/mcp?key=k (no SSE); Authorization: Bearer t; 120s"
    );
}

#[test]
fn goose_secrets_that_are_only_in_the_keyring_are_named() {
    let machine = FakeMachine::linux().with_sample(GOOSE, "goose/config.yaml");
    let text = shown(&goose(&machine));
    assert!(
        text.contains(
            "  notes stdio | not checked: the value of NOTES_TOKEN is in goose's keyring, which is not read here; to check the server, set the environment variable NOTES_TOKEN\n"
        ),
        "{text}"
    );
    assert!(
        text.contains(
            "  tickets http | not checked: the value of TICKETS_KEY is in goose's keyring"
        ),
        "{text}"
    );
}

#[test]
fn goose_secrets_are_read_from_envs_then_the_environment_then_the_file() {
    let machine = with_variables(&[("IN_ENVIRONMENT", "environment"), ("IN_ALL", "environment"), ("LOWER", "upper")])
        .with(
            GOOSE,
            "extensions:\n  a:\n    enabled: true\n    type: stdio\n    cmd: run\n    args: []\n    envs: {IN_ALL: envs}\n    env_keys: [IN_ALL, IN_ENVIRONMENT, IN_FILE, lower]\n",
        )
        .with(
            "/home/sam/.config/goose/secrets.yaml",
            "IN_FILE: file\nIN_ALL: file\nIN_ENVIRONMENT: file\nnested: {x: y}\n",
        );
    assert_eq!(
        details(&goose(&machine), "a"),
        "run; IN_ENVIRONMENT=environment; IN_FILE=file; lower=upper; IN_ALL=envs"
    );
    let sample = FakeMachine::linux()
        .with_sample(GOOSE, "goose/config.yaml")
        .with_sample(
            "/home/sam/.config/goose/secrets.yaml",
            "credentials/goose/home/.config/goose/secrets.yaml",
        );
    assert_eq!(
        details(&goose(&sample), "notes"),
        "npx \"-y\" \"notes-mcp-example\"; NOTES_TOKEN=not-a-real-token; LEVEL=info; 300s"
    );
}

#[test]
fn goose_refuses_and_leaves_out_entries() {
    let files = goose_text(
        "extensions:\n\
         \x20 no-type: {enabled: true, cmd: run, args: []}\n\
         \x20 no-args: {enabled: true, type: stdio, cmd: run}\n\
         \x20 no-cmd: {enabled: true, type: stdio, args: []}\n\
         \x20 no-switch: {type: stdio, cmd: run, args: []}\n\
         \x20 other-word: {enabled: true, type: http, uri: 'https://a.example.com'}\n\
         \x20 url: {enabled: true, type: streamable_http, url: 'https://a.example.com'}\n\
         \x20 number: {enabled: true, type: stdio, cmd: run, args: [], envs: {PORT: 8080}}\n\
         \x20 window: {enabled: true, type: frontend, tools: []}\n\
         \x20 code: {enabled: false, type: inline_python, code: 'print()'}\n\
         \x20 developer: {enabled: true, type: builtin}\n\
         \x20 todo: {enabled: true, type: platform}\n\
         \x20 socket: {enabled: true, type: streamable_http, name: socket, uri: 'http://localhost/mcp', socket: '@x'}\n\
         \x20 named: {enabled: true, type: stdio, cmd: run, args: [], name: My Tool}\n\
         \x20 path: {enabled: true, type: stdio, name: path, cmd: run, args: [], envs: {Path: /x, A: b}}\n\
         \x20 unset: {enabled: true, type: streamable_http, uri: 'https://a.example.com', headers: {Authorization: 'Bearer $HOME'}}\n\
         \x20 no-name: {enabled: true, type: stdio, cmd: run, args: []}\n\
         \x20 number-name: {enabled: true, type: stdio, name: 1, cmd: run, args: []}\n",
    );
    assert_eq!(
        shown(&files),
        "user /home/sam/.config/goose/config.yaml (yaml)\n\
         \x20 no-type unknown | extensions.no-type (line 2): goose skips an extension that has no `type`; write `type: stdio` or `type: streamable_http`\n\
         \x20 no-args stdio | extensions.no-args (line 3): goose refuses a program without `args`; add an empty list\n\
         \x20 no-cmd stdio | extensions.no-cmd (line 4): `cmd` is missing; set it to the program to start\n\
         \x20 no-switch stdio | extensions.no-switch (line 5): goose skips an extension that has no `enabled`; write `enabled: true`\n\
         \x20 other-word unknown | extensions.other-word.type (line 6): goose does not know the transport `http`; write `streamable_http`\n\
         \x20 url http | extensions.url.url (line 7): goose does not read this key; write `uri`\n\
         \x20 number stdio | extensions.number.envs.PORT (line 8): must be a string, not a number; write quotation marks around it\n\
         \x20 window unknown | not checked: its tools are in the window of goose, not in a server\n\
         \x20 code unknown off | not checked: it is Python code, which is not run here\n\
         \x20 socket http | not checked: it listens on a local socket, which is not supported here\n\
         \x20 My Tool stdio\n\
         \x20 path stdio\n\
         \x20   warning: extensions.path.envs.Path (line 15): goose does not set this variable for a server; remove it\n\
         \x20 unset http | extensions.unset.headers.Authorization (line 16): the environment variable HOME is neither in `envs` nor in `env_keys`, and goose passes the text on as written; add it to one of them\n\
         \x20 no-name stdio\n\
         \x20   warning: extensions.no-name (line 17): goose skips an extension that has no `name`, except in its newest versions; write `name`\n\
         \x20 number-name stdio | extensions.number-name.name (line 18): goose skips an extension whose `name` is not a text; write quotation marks around it\n"
    );
    assert_eq!(details(&files, "path"), "run; A=b");
}

#[test]
fn goose_files_are_found_on_each_system() {
    let file = "extensions: {}\n";
    let cases = [
        (
            System::Linux,
            ("HOME", "/home/sam"),
            ("", ""),
            "/home/sam/.config/goose/config.yaml",
        ),
        (
            System::MacOs,
            ("HOME", "/Users/sam"),
            ("", ""),
            "/Users/sam/.config/goose/config.yaml",
        ),
        (
            System::Linux,
            ("HOME", "/home/sam"),
            ("XDG_CONFIG_HOME", "/x"),
            "/x/goose/config.yaml",
        ),
        (
            System::Windows,
            ("APPDATA", "C:\\Users\\sam\\AppData\\Roaming"),
            ("", ""),
            "C:/Users/sam/AppData/Roaming/Block/goose/config/config.yaml",
        ),
        (
            System::Linux,
            ("HOME", "/home/sam"),
            ("GOOSE_PATH_ROOT", "/g"),
            "/g/config/config.yaml",
        ),
    ];
    for (system, home, variable, path) in cases {
        let machine = FakeMachine::new(system, &[home, variable])
            .with(path, file)
            .with("/home/sam/.goose/config.yaml", file);
        let files = goose(&machine);
        assert_eq!(shown(&files), format!("user {path} (yaml)\n"));
    }
}

#[test]
fn continue_lists_and_blocks_are_read() {
    let machine = with_variables(&[("NOTES_TOKEN", "n"), ("TICKETS_KEY", "k")])
        .with_sample(CONTINUE, "continue/config.yaml")
        .with_sample(
            &format!("{SHOP}/.continue/mcpServers/block.yaml"),
            "continue/.continue/mcpServers/block.yaml",
        )
        .with_sample(
            "/home/sam/.continue/mcpServers/single.json",
            "continue/.continue/mcpServers/single.json",
        );
    let files = machine.files_of(Client::Continue, SHOP);
    assert_eq!(
        shown(&files),
        "user /home/sam/.continue/config.yaml (yaml)\n\
         \x20 Notes stdio\n\
         \x20 Tickets http\n\
         \x20 Old sse\n\
         \x20 example/hub-server unknown | not checked: it is a block of Continue's hub (`uses`), which is not read here\n\
         user /home/sam/.continue/mcpServers/single.json (jsonc)\n\
         \x20 single http\n\
         project /home/sam/work/shop/.continue/mcpServers/block.yaml (yaml)\n\
         \x20 Browser stdio\n"
    );
    assert_eq!(
        details(&files, "Notes"),
        "npx \"-y\" \"notes-mcp-example\"; NOTES_TOKEN=n; in /home/sam/work/shop/./notes"
    );
    assert_eq!(
        details(&files, "Tickets"),
        "https://tickets.example.com/mcp (no SSE); X-Tenant: shop; Authorization: Bearer k; 15s"
    );
    assert_eq!(details(&files, "Old"), "https://old.example.com/sse (SSE)");
    assert_eq!(
        details(&files, "single"),
        "https://single.example.com/mcp (no SSE)"
    );
    assert_eq!(details(&files, "Browser"), "npx \"browser-mcp-example\"");
    let browser = &files[2].servers[0];
    assert!(!files[2].may_start(browser));
}

#[test]
fn continue_secrets_come_from_its_files_first() {
    let block = format!("{SHOP}/.continue/mcpServers/shop.yaml");
    let machine = with_variables(&[("A", "environment"), ("B", "environment"), ("D", "environment")])
        .with(
            &block,
            "mcpServers:\n  - name: x\n    command: run\n    args:\n      - ${{ secrets.A }}\n      - ${{secrets.B}}\n      - ${{ secrets.C }}-${{ secrets.D }}\n  - name: lost\n    command: run\n    env:\n      K: ${{ secrets.GONE }}\n  - name: input\n    url: https://a.example.com/${{ inputs.X }}\n",
        )
        .with("/home/sam/.continue/.env", "A=home\n")
        .with(&format!("{SHOP}/.continue/.env"), "A=project\nB=project\n")
        .with(&format!("{SHOP}/.env"), "B=folder\nC=folder\n");
    let files = machine.files_of(Client::Continue, SHOP);
    assert_eq!(
        details(&files, "x"),
        "run \"home\" \"project\" \"folder-environment\""
    );
    let text = shown(&files);
    for expected in [
        "  lost stdio | not checked: needs the value GONE, which is neither in Continue's own `.env` file nor in the environment (the `.env` files of a project count only for its own entries); set it in `~/.continue/.env`\n",
        "  input http | not checked: needs a value that only Continue knows: `${{ inputs.X }}`\n",
    ] {
        assert!(text.contains(expected), "{text}");
    }
}

/// A repository must not lead the servers of the user and their tokens elsewhere.
#[test]
fn the_variables_of_a_project_decide_no_entry_of_the_user() {
    let entries = "mcpServers:\n  - name: docs\n    url: ${{ secrets.DOCS_URL }}\n    requestOptions:\n      headers:\n        Authorization: Bearer ${{ secrets.DOCS_TOKEN }}\n  - name: tool\n    command: ${{ secrets.TOOL }}\n";
    let variables = [
        ("DOCS_URL", "https://docs.example.com/mcp"),
        ("DOCS_TOKEN", "t"),
    ];
    for file in [".env", ".continue/.env"] {
        let machine = with_variables(&variables)
            .with(CONTINUE, entries)
            .with("/home/sam/.continue/mcpServers/a.yaml", entries)
            .with(
                &format!("{SHOP}/{file}"),
                "DOCS_URL=https://evil.example.com/mcp\nTOOL=/evil\n",
            );
        for file in machine.files_of(Client::Continue, SHOP) {
            let [docs, tool] = &file.servers[..] else {
                panic!("{}", shown(&[file]));
            };
            assert_eq!(url(docs), "https://docs.example.com/mcp",);
            let why = tool.not_checked.as_deref().unwrap_or_default();
            assert!(why.starts_with("needs the value TOOL"), "{why}");
        }
    }
}

fn url(server: &mcp_startup_config::clients::ClientServer) -> String {
    match &server.entry.config.as_ref().unwrap().transport {
        TransportConfig::Http(http) => http.url.to_string(),
        TransportConfig::Stdio(_) => panic!("a program"),
    }
}

#[test]
fn a_table_for_the_transport_is_named_where_the_client_has_none() {
    let files = FakeMachine::linux()
        .with(
            "/home/sam/.continue/config.yaml",
            "mcpServers:\n  - name: a\n    transport: {type: stdio, command: a}\n",
        )
        .files_of(Client::Continue, SHOP);
    let config = files[0].servers[0].entry.config.as_ref();
    assert_eq!(
        config.err().map(ToString::to_string).as_deref(),
        Some(
            "mcpServers[0].transport (line 3): its keys belong in the entry of the server itself; move them one level up, and remove this key"
        )
    );
}

#[test]
fn continue_refuses_entries_and_reads_the_shapes_of_other_clients() {
    let machine = with_variables(&[("T", "t")])
        .with(
            CONTINUE,
            "mcpServers:\n  - command: run\n  - name: word\n    type: http\n    url: https://a.example.com\n  - name: both\n    url: https://a.example.com\n  - name: both\n    url: https://b.example.com\n  - text\n",
        )
        .with(
            "/home/sam/.continue/mcpServers/claude.json",
            r#"{"mcpServers": {"a": {"command": "a", "env": {"T": "${T}", "U": "${U}"}, "cwd": "/x"}}, "projects": {"/p": {"mcpServers": {"b": {"url": "https://b.example.com", "headers": {"X": "${T}"}}}}, "/q": {}}}"#,
        )
        .with("/home/sam/.continue/mcpServers/desktop.json", r#"{"mcpServers": {"c": {"command": "c"}}}"#)
        .with("/home/sam/.continue/mcpServers/wrong.json", r#"{"servers": {}}"#);
    let files = machine.files_of(Client::Continue, SHOP);
    assert_eq!(
        shown(&files),
        "user /home/sam/.continue/config.yaml (yaml)\n\
         \x20 mcpServers[0] unknown | mcpServers[0] (line 2): Continue needs a `name` for each server; write it\n\
         \x20 word unknown | mcpServers[1].type (line 4): Continue does not know the transport `http`; write `streamable-http`\n\
         \x20 both http\n\
         \x20 both http | not checked: an earlier server of the list has the same name; rename one of them\n\
         \x20 mcpServers[4] unknown | mcpServers[4] (line 10): Continue needs a `name` for each server; write it\n\
         user /home/sam/.continue/mcpServers/claude.json (jsonc)\n\
         \x20 a stdio | not checked: needs the value U, which is neither in Continue's own `.env` file nor in the environment (the `.env` files of a project count only for its own entries); set it in `~/.continue/.env`\n\
         \x20   warning: mcpServers.a.cwd (line 1): Continue does not read this key\n\
         \x20 b http\n\
         \x20   possible cause: projects.\"/p\".mcpServers.b.headers.X (line 1): Continue does not replace `T` in braces here and passes it on as written; write the value\n\
         user /home/sam/.continue/mcpServers/desktop.json (jsonc)\n\
         \x20 c stdio\n\
         user /home/sam/.continue/mcpServers/wrong.json (jsonc): /home/sam/.continue/mcpServers/wrong.json, line 1: the file must have `mcpServers`, or the keys of one server: `command` or `url`\n"
    );
    assert_eq!(details(&files, "both"), "https://a.example.com/ (or SSE)");
}

#[test]
fn the_value_of_a_variable_is_not_shown_as_a_variable_that_is_left() {
    let machine = with_variables(&[("T", "token-secret"), ("D", "$")]).with(
        CONTINUE,
        "mcpServers:\n  - name: nested\n    url: https://a.example.com\n    apiKey: ${{ secrets.A${{ secrets.T }}B }}\n  - name: url\n    url: https://${{ secrets.D }}{input:${{ secrets.T }}}\n  - name: braces\n    url: https://a.example.com\n    apiKey: ${{ secrets.D }}{T}\n  - name: header\n    url: https://a.example.com\n    requestOptions:\n      headers:\n        X: ${{ secrets.D }}{{ secrets.${{ secrets.T }} }}\n",
    );
    let shown = shown(&machine.files_of(Client::Continue, SHOP));
    assert!(!shown.contains("token-secret"), "{shown}");
    assert_eq!(shown.matches("${…}").count(), 3, "{shown}");
}

#[test]
fn continue_reads_the_old_file_only_without_the_new_one() {
    let old = r#"{"experimental": {"modelContextProtocolServers": [{"transport": {"type": "stdio", "command": "run", "args": ["x"]}}]}}"#;
    let machine = FakeMachine::new(System::Windows, &[("USERPROFILE", "C:\\Users\\sam")]).with(
        "C:\\Users\\sam/.continue/config.json"
            .replace('\\', "/")
            .as_str(),
        old,
    );
    let files = machine.files_of(Client::Continue, "C:\\work");
    assert_eq!(
        shown(&files),
        "user C:/Users/sam/.continue/config.json (jsonc)\n  MCP Server 1 stdio\n"
    );
    assert_eq!(details(&files, "MCP Server 1"), "run \"x\"");
    let machine = with_variables(&[("CONTINUE_GLOBAL_DIR", "/c")])
        .with("/c/config.json", old)
        .with("/c/config.yaml", "mcpServers: []\n")
        .with(CONTINUE, "mcpServers: []\n");
    let files = machine.files_of(Client::Continue, SHOP);
    assert_eq!(shown(&files), "user /c/config.yaml (yaml)\n");
}

#[test]
fn librechat_servers_are_read_and_those_of_one_user_are_named() {
    let path = format!("{SHOP}/librechat.yaml");
    let machine =
        with_variables(&[("TICKETS_KEY", "k")]).with_sample(&path, "librechat/librechat.yaml");
    let files = machine.files_of(Client::LibreChat, SHOP);
    assert_eq!(
        shown(&files),
        "project /home/sam/work/shop/librechat.yaml (yaml)\n\
         \x20 untyped-is-sse sse\n\
         \x20 tickets http | not checked: each user of LibreChat has own values for it (`customUserVars`)\n\
         \x20 socket unknown | not checked: it uses WebSocket, which is not supported here\n\
         \x20 files stdio\n"
    );
    assert_eq!(
        details(&files, "untyped-is-sse"),
        "https://old.example.com/sse (SSE)"
    );
    assert_eq!(
        details(&files, "files"),
        "npx \"-y\" \"files-mcp-example\" \"/srv/files\"; LEVEL=info"
    );
}

#[test]
fn librechat_variables_merges_and_refusals() {
    let machine = with_variables(&[("CONFIG_PATH", "/srv/chat.yaml"), ("KEY", "k")])
        .with(&format!("{SHOP}/librechat.yaml"), "mcpServers: {x: {command: x, args: []}}\n")
        .with(
            "/srv/chat.yaml",
            "base: &base\n  type: streamable-http\n  initTimeout: 10000\nmcpServers:\n\
             \x20 merged: {<<: *base, url: 'https://a.example.com', headers: {X-Key: '${KEY}'}}\n\
             \x20 user: {type: http, url: 'https://a.example.com', headers: {X-User: '{{LIBRECHAT_USER_ID}}'}}\n\
             \x20 untyped: {url: 'wss://a.example.com'}\n\
             \x20 no-args: {command: run}\n\
             \x20 owned: {url: 'https://a.example.com', obo: {scopes: x}}\n",
        );
    let files = machine.files_of(Client::LibreChat, SHOP);
    assert_eq!(
        shown(&files),
        "user /srv/chat.yaml (yaml)\n\
         \x20 merged http\n\
         \x20 user http | not checked: needs a value that only LibreChat knows: `{{LIBRECHAT_USER_ID}}`\n\
         \x20 untyped sse | not checked: it uses WebSocket, which is not supported here\n\
         \x20 no-args stdio | mcpServers.no-args (line 8): LibreChat refuses a program without `args`; add an empty list\n\
         \x20 owned sse | not checked: it needs the sign-in of a user of LibreChat (`obo`)\n"
    );
    assert_eq!(
        details(&files, "merged"),
        "https://a.example.com/ (no SSE); X-Key: k; 10s"
    );
    // Other programs use the same variable.
    for (path, text) in [
        ("/srv/other.yaml", "a: b\n"),
        ("/srv/other.toml", "a = 1\n"),
    ] {
        let machine = with_variables(&[("CONFIG_PATH", path)]).with(path, text);
        assert_eq!(shown(&machine.files_of(Client::LibreChat, SHOP)), "");
    }
}

#[test]
fn a_damaged_yaml_file_has_an_error_with_its_place() {
    let cases = [
        (
            "extensions:\n  a:\n    enabled: true\n    enabled: false\n",
            4,
            5,
            "this key is also in line 3",
        ),
        ("extensions:\n\ta: 1\n", 2, 2, "a tab"),
        (
            "extensions: {}\n---\nextensions: {}\n",
            2,
            1,
            "a second document",
        ),
        ("extensions: [", 1, 13, "the closing bracket"),
        ("extensions: *none\n", 1, 13, "`*`"),
    ];
    for (text, line, column, part) in cases {
        let files = goose_text(text);
        let error = files[0].error.as_ref().expect(text);
        let place = (error.line(), error.column());
        assert_eq!(place, (Some(line), Some(column)), "{error}");
        assert!(error.to_string().contains(part), "{error}");
    }
    let files = goose_text("extensions: [a]\n");
    assert_eq!(
        shown(&files),
        "user /home/sam/.config/goose/config.yaml (yaml): /home/sam/.config/goose/config.yaml, line 1: `extensions` must be an object with one entry for each server\n"
    );
}

#[test]
fn hostile_yaml_files_are_refused_and_the_others_are_read() {
    let mut bomb = "a0: &a0 x\n".to_owned();
    for at in 1..12 {
        let list = vec![format!("*a{}", at - 1); 10].join(", ");
        bomb += &format!("a{at}: &a{at} [{list}]\n");
    }
    for (text, part) in [
        (bomb, "too many values"),
        (
            format!("mcpServers: {}", "[".repeat(100_000)),
            "nested too deeply",
        ),
        (
            format!("mcpServers: {}", "- ".repeat(100_000)),
            "not valid YAML",
        ),
        ("x".repeat(5_000_000), "larger than 4 MiB"),
    ] {
        let machine = FakeMachine::linux()
            .with("/home/sam/.continue/mcpServers/a.yaml", text)
            .with(
                "/home/sam/.continue/mcpServers/b.yaml",
                "mcpServers: [{name: b, command: b}]\n",
            );
        let files = machine.files_of(Client::Continue, SHOP);
        let error = files[0].error.as_ref().expect("the file is hostile");
        assert!(error.to_string().contains(part), "{error}");
        assert_eq!(details(&files, "b"), "b");
    }
}

#[test]
fn a_file_with_a_bom_and_crlf_and_odd_entries_is_read() {
    let files = goose_text(
        "\u{feff}GOOSE_MODEL: x\r\nextensions:\r\n  1:\r\n    enabled: true\r\n    type: stdio\r\n    name: '1'\r\n    cmd: run\r\n    args: []\r\n  list: []\r\n  empty:\r\n  tagged: !x {type: stdio}\r\n",
    );
    assert_eq!(
        shown(&files),
        "user /home/sam/.config/goose/config.yaml (yaml)\n\
         \x20 1 stdio\n\
         \x20 list unknown | extensions.list (line 9): must be a table, not a list; a server has a name, and a table with `command` or `url`\n\
         \x20 empty unknown | extensions.empty (line 10): must be a table, not null; a server has a name, and a table with `command` or `url`\n\
         \x20 tagged unknown | extensions.tagged (line 11): must be a table, not a value with a tag; a server has a name, and a table with `command` or `url`\n"
    );
    for text in ["", "# nothing\n", "extensions:\n", "other: 1\n"] {
        assert_eq!(
            shown(&goose_text(text)),
            "user /home/sam/.config/goose/config.yaml (yaml)\n"
        );
    }
}
