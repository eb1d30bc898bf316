//! Bad input: files, entries, programs and servers that no user should have and somebody has. Each comes to a clear error,
//! in bounded memory, without a panic, and the other servers start all the same.

#![cfg(unix)]
#![allow(clippy::print_stdout, clippy::unwrap_used)]

mod harness;

use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;

use harness::{
    Answering, Asked, Done, Server, User, each, entry, lab, lab_of, quoted, shell, skip, url,
};
use serde_json::{Value, json};

/// No run takes more memory.
const MOST_MB: f64 = 100.0;
const GOOD: &str = "neighbour";
const GB: usize = 1_000_000_000;
const MB: usize = 1_000_000;

/// One bad server, what its start must come to, and what the message must say.
struct Bad {
    name: &'static str,
    body: String,
    kind: &'static str,
    says: &'static str,
}

fn bad(name: &'static str, body: impl Into<String>, kind: &'static str, says: &'static str) -> Bad {
    Bad {
        name,
        body: body.into(),
        kind,
        says,
    }
}

fn small(done: &Done, what: &str) {
    println!("{what}: {:.0} MB", done.peak_mb);
    assert!(done.peak_mb <= MOST_MB, "{what}: {} MB", done.peak_mb);
}

/// Checks each beside a good server. A server of which no kind is wanted is ready.
fn check_each(rows: &[Bad]) {
    let lab = lab();
    each(rows, |row| {
        let good = entry(GOOD, &url(&lab.url("ready")));
        let bad = entry(row.name, &row.body);
        let user = User::with(&format!(
            "mcp_oauth_credentials_store = \"file\"\n{bad}{good}"
        ));
        let done = user.check("json").done();
        let done = done.ended_with(match row.kind {
            "" => 0,
            "signInRequired" => 3,
            _ => 1,
        });
        assert_eq!(done.server(GOOD)["status"], "ready", "{done:#?}");
        let server = done.json()["servers"][0].clone();
        let kind = server["failure"]["kind"].as_str().unwrap_or_default();
        let message = server["failure"]["message"].as_str().unwrap_or_default();
        println!("{}: {kind}: {message}", row.name);
        assert!(
            row.kind.split('|').any(|wanted| wanted == kind),
            "{}: {server:#}",
            row.name
        );
        assert!(message.contains(row.says), "{}: {server:#}", row.name);
        let evidence = server["failure"]["evidence"].to_string();
        assert!(
            evidence.len() < 64 * 1024,
            "{}: {} bytes",
            row.name,
            evidence.len()
        );
        small(&done, row.name);
        assert_eq!(
            std::fs::read_dir(user.path("temporary")).unwrap().count(),
            0
        );
    });
}

/// A file, and what is said of it.
struct BadFile {
    name: &'static str,
    content: Vec<u8>,
    says: &'static [&'static str],
}

#[test]
fn a_file_that_is_no_configuration_is_named_with_what_is_wrong() {
    let file = |name, content: &[u8], says| BadFile {
        name,
        content: content.to_vec(),
        says,
    };
    let rows = [
        file(
            "syntax.toml",
            b"[mcp_servers.a]\nurl = \"https://example.com/mcp\"\nbearer = canary-token oops\n",
            &["syntax.toml, line 3", "not valid TOML"],
        ),
        file(
            "syntax.json",
            b"{\"mcpServers\": {\n  \"a\": {\"url\": canary-token}\n}}",
            &["syntax.json, line 2", "not valid JSON"],
        ),
        file(
            "cut.json",
            b"{\"mcpServers\": {",
            &["cut.json, line 1", "not valid JSON"],
        ),
        file(
            "other.json",
            b"{\"servers\": {}}",
            &["other.json", "`mcpServers`"],
        ),
        file(
            "list.json",
            b"{\"mcpServers\": []}",
            &["list.json, line 1", "must be an object"],
        ),
        file(
            "text.toml",
            b"mcp_servers = 3\n",
            &["text.toml, line 1", "must be a table"],
        ),
        file(
            "latin.toml",
            b"# caf\xe9\n",
            &["latin.toml, line 1", "UTF-8"],
        ),
        file(
            "zero.toml",
            &[0; 100],
            &["zero.toml, line 1", "not valid TOML"],
        ),
        file(
            "large.toml",
            &vec![b'#'; 50 * MB],
            &["large.toml", "larger than 4 MiB"],
        ),
        file(
            "deep.json",
            &deep("{\"mcpServers\": ", MB),
            &["deep.json", "not valid JSON"],
        ),
        file(
            "deep.toml",
            &deep("mcp_servers = ", MB),
            &["deep.toml", "not valid TOML"],
        ),
        file(
            "escape\u{1b}[31m.toml",
            b"=",
            &["escape\\u{1b}[31m.toml, line 1", "not valid TOML"],
        ),
    ];
    each(&rows, |row| {
        let user = User::new();
        let path = user.write(row.name, &row.content);
        for format in ["table", "ndjson", "json"] {
            let arguments = ["check", "--format", format, "--config"];
            let done = user.program(&arguments).arg(path.to_str().unwrap()).done();
            small(&done, row.name);
            let done = done.ended_with(2);
            assert_eq!(done.stdout, "");
            assert!(done.stderr.len() < 1000, "{done:#?}");
            for part in row.says {
                assert!(done.stderr.contains(part), "{part}: {done:#?}");
            }
            assert!(!done.stderr.contains("canary"), "{done:#?}");
        }
    });
}

/// Lists in lists, opened and never closed.
fn deep(before: &str, levels: usize) -> Vec<u8> {
    [before.as_bytes(), &vec![b'['; levels]].concat()
}

#[test]
fn what_is_no_file_that_can_be_read_is_named_with_what_is_wrong() {
    let user = User::new();
    std::fs::create_dir(user.path("folder")).unwrap();
    std::os::unix::fs::symlink(user.path("folder/gone"), user.path("dangling")).unwrap();
    std::os::unix::fs::symlink(user.path("loop"), user.path("loop")).unwrap();
    for (name, says) in [
        ("absent.toml", "there is no such file"),
        ("absent/config.toml", "there is no such file"),
        ("dangling", "there is no such file"),
        ("folder", "this is a folder"),
        ("loop", "cannot be read"),
    ] {
        let path = user.path(name);
        let run = user.program(&["check", "--config"]);
        let done = run.arg(path.to_str().unwrap()).done().ended_with(2);
        assert_eq!(done.stdout, "");
        assert!(done.stderr.contains(name), "{done:#?}");
        assert!(done.stderr.contains(says), "{done:#?}");
    }
    for (name, says) in [
        ("", "a value is required"),
        ("/dev/zero", "not a regular file"),
    ] {
        let run = user.program(&["check", "--config", name]);
        let done = run.done().ended_with(2);
        assert!(done.stderr.contains(says), "{done:#?}");
    }
}

#[test]
fn a_file_that_may_not_be_read_is_named_with_what_is_wrong() {
    let user = User::with("");
    std::fs::set_permissions(user.config(), PermissionsExt::from_mode(0o000)).unwrap();
    let mut run = user.check("table");
    if std::fs::read(user.config()).is_ok() {
        // Root may read everything, so another user has to try, who must be able to reach program and file.
        let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"];
        let reachable = std::process::Command::new("setpriv")
            .args(nobody)
            .args(["test", "-x", harness::PROGRAM])
            .status();
        if !reachable.is_ok_and(|status| status.success()) {
            let reason = "root may read every file, and no other user can start the program";
            skip(
                env!("CARGO_CRATE_NAME"),
                "a_file_that_may_not_be_read_is_named_with_what_is_wrong",
                reason,
            );
            return;
        }
        let root = user.path("");
        std::fs::set_permissions(root, PermissionsExt::from_mode(0o755)).unwrap();
        run = run.through(&["setpriv", nobody[0], nobody[1], nobody[2]]);
    }
    let done = run.done().ended_with(2);
    assert!(
        done.stderr
            .contains("config.toml: you may not read this file"),
        "{done:#?}"
    );
}

#[test]
fn one_bad_entry_is_one_failed_server() {
    let rows = [
        bad(
            "../../x",
            url("http://127.0.0.1:9/mcp"),
            "invalidConfiguration",
            "the path segment `..`",
        ),
        bad(
            "a\nb",
            url("http://127.0.0.1:9/mcp"),
            "invalidConfiguration",
            "control characters",
        ),
        bad(
            "a\u{1b}]0;owned\u{7}b",
            url("http://127.0.0.1:9/mcp"),
            "invalidConfiguration",
            "control characters",
        ),
        bad(
            "a\u{9b}2Jb",
            url("http://127.0.0.1:9/mcp"),
            "invalidConfiguration",
            "control characters",
        ),
        bad(
            "",
            url("http://127.0.0.1:9/mcp"),
            "invalidConfiguration",
            "this one is empty",
        ),
        bad(
            "password",
            url("https://me:hunter2-canary@example.com/mcp"),
            "invalidConfiguration",
            "take it out",
        ),
        bad(
            "password-mistyped",
            url("https//me:hunter2-canary@example.com/mcp"),
            "invalidConfiguration",
            "`mcp_servers.password-mistyped.url` (line 3)",
        ),
        bad(
            "password-in-port",
            url("https://me:hunter2-canary/@example.com/mcp"),
            "invalidConfiguration",
            "not a URL",
        ),
        bad(
            "ftp",
            url("ftp://example.com/mcp"),
            "invalidConfiguration",
            "ftp:// is not supported",
        ),
        bad(
            "unset",
            "url = \"https://example.com/mcp\"\nbearer_token_env_var = \"NO_SUCH_TOKEN\"",
            "invalidConfiguration",
            "the environment variable NO_SUCH_TOKEN is not set",
        ),
        bad(
            "nothing",
            "",
            "invalidConfiguration",
            "neither `command` nor `url`",
        ),
        bad(
            "number",
            "url = 3",
            "invalidConfiguration",
            "must be a string",
        ),
        bad(
            "header",
            "url = \"https://example.com/mcp\"\nhttp_headers = { X = \"a\\nb\" }",
            "invalidConfiguration",
            "no header may have",
        ),
        bad(
            "timeout",
            "url = \"https://example.com/mcp\"\nstartup_timeout_sec = -1",
            "invalidConfiguration",
            "more than zero",
        ),
        bad(
            "timeout-nan",
            "url = \"https://example.com/mcp\"\nstartup_timeout_sec = nan",
            "invalidConfiguration",
            "more than zero",
        ),
        bad(
            "timeout-inf",
            "url = \"https://example.com/mcp\"\nstartup_timeout_sec = inf",
            "invalidConfiguration",
            "24 hours",
        ),
        bad(
            "nul",
            "command = \"a\\u0000b\"",
            "invalidConfiguration",
            "NUL",
        ),
    ];
    check_each(&rows);
    let lab = lab();
    let good = entry(GOOD, &url(&lab.url("ready")));
    let entries: String = rows.iter().map(|row| entry(row.name, &row.body)).collect();
    let user = User::with(&format!("{entries}{good}"));
    for format in ["table", "ndjson", "json"] {
        let done = user.check(format).done().ended_with(1);
        assert!(!done.all().contains("hunter2"), "{done:#?}");
        assert!(done.all().contains(GOOD), "{done:#?}");
    }
    let table = user.check("table").done();
    assert_eq!(
        table.stdout.lines().count(),
        rows.len() + 2,
        "{}",
        table.stdout
    );
}

#[test]
fn an_unset_variable_of_a_json_file_is_named() {
    let lab = lab();
    let user = User::new();
    let servers = json!({ "mcpServers": {
        "token": { "type": "http", "url": lab.url("bearer-ok"), "headers": { "Authorization": "Bearer ${NO_SUCH_TOKEN}" } },
        "program": { "command": "${NO_SUCH_PROGRAM}" },
        "default": { "type": "http", "url": lab.url("bearer-ok"), "headers": { "Authorization": "Bearer ${NO_SUCH_TOKEN:-good-token}" } },
        GOOD: { "type": "http", "url": "${LAB_URL}" },
    }});
    let path = user.write("servers.json", servers.to_string());
    let run = user.program(&["check", "--format", "json", "--config"]);
    let run = run
        .arg(path.to_str().unwrap())
        .env("LAB_URL", lab.url("ready"));
    let done = run.done().ended_with(1);
    for (name, variable) in [("token", "NO_SUCH_TOKEN"), ("program", "NO_SUCH_PROGRAM")] {
        let failure = done.server(name)["failure"].clone();
        assert_eq!(failure["kind"], "invalidConfiguration");
        let wanted = format!("the environment variable {variable} is not set");
        assert!(
            failure["message"].as_str().unwrap().contains(&wanted),
            "{failure:#}"
        );
    }
    assert_eq!(done.server("default")["status"], "ready");
    assert_eq!(done.server(GOOD)["status"], "ready");
}

/// Rows of the lab's language.
#[test]
fn a_server_that_answers_without_bound_or_sense_fails_alone() {
    let challenge = "x".repeat(100_000);
    let page = |body: Value| json!({ "body": body });
    let wants_token = json!({ "serves": { "tokens": ["good-token"] } });
    let discovery =
        |document: Value| json!({ "protectedResource": document, "authorizationServer": document });
    let every = |reply: Value| json!({ "respond": [{ "reply": reply }] });
    let at = |method: &str, reply: Value| json!({ "respond": [{ "when": { "method": method }, "reply": reply }] });
    let lab = lab_of(json!([
        { "name": "huge", "mcp": at("initialize", page(json!({ "bytes": GB }))) },
        { "name": "huge-error", "mcp": at("initialize", json!({ "status": 500, "body": { "bytes": GB } })) },
        { "name": "huge-refusal", "mcp": every(json!({ "status": 400, "body": { "bytes": GB } })) },
        { "name": "endless", "mcp": every(page(json!("endless"))) },
        { "name": "endless-events", "mcp": every(json!({ "contentType": "text/event-stream", "body": "endless" })) },
        { "name": "circle", "mcp": every(json!({ "redirect": "{resource}" })) },
        { "name": "circle-permanent", "mcp": every(json!({ "status": 308, "redirect": "{resource}/" })) },
        { "name": "elsewhere", "mcp": every(json!({ "redirect": "{elsewhere}/elsewhere/mcp" })) },
        { "name": "long-challenge", "mcp": { "serves": { "tokens": [] }, "unauthorized": { "status": 401, "headers": { "WWW-Authenticate": challenge } } } },
        { "name": "closes", "mcp": every(json!({ "close": true })) },
        { "name": "empty", "mcp": every(json!({ "status": 200 })) },
        { "name": "empty-json", "mcp": every(json!({ "status": 200, "contentType": "application/json" })) },
        { "name": "empty-events", "mcp": every(json!({ "status": 200, "contentType": "text/event-stream" })) },
        { "name": "accepted", "mcp": every(json!({ "status": 202 })) },
        { "name": "no-content", "mcp": every(json!({ "status": 204 })) },
        { "name": "another-id", "mcp": every(page(json!({ "json": { "jsonrpc": "2.0", "id": 4711, "result": {} } }))) },
        { "name": "discovery-huge", "mcp": wants_token, "discovery": discovery(page(json!({ "bytes": GB }))) },
        { "name": "discovery-endless", "mcp": wants_token, "discovery": discovery(page(json!("endless"))) },
        { "name": "discovery-page", "mcp": wants_token, "discovery": discovery(page(json!({ "text": "<html>" }))) },
        { "name": "discovery-circle", "mcp": wants_token, "discovery": discovery(json!({ "redirect": "{prm}" })) },
        { "name": "discovery-closes", "mcp": wants_token, "discovery": discovery(json!({ "close": true })) },
        { "name": "tools-hang", "mcp": at("tools/list", json!({ "hang": true })) },
        { "name": "tools-500", "mcp": at("tools/list", json!({ "status": 500 })) },
        { "name": "tools-401", "mcp": at("tools/list", json!({ "status": 401 })) },
        { "name": "tools-huge", "mcp": at("tools/list", page(json!({ "bytes": GB }))) },
        { "name": "tools-endless", "mcp": at("tools/list", page(json!("endless"))) },
        { "name": "version-huge", "mcp": { "protocolVersion": "9".repeat(100_000) } },
        { "name": "version-hostile", "mcp": { "protocolVersion": "\u{1b}[31m\u{202e}9" } },
    ]));
    let rows: Vec<Bad> = [
        ("huge", "notMcp", "too large"),
        ("huge-error", "serverError", "500"),
        ("huge-refusal", "serverError", "400"),
        ("endless", "timedOut", "2 s"),
        ("endless-events", "timedOut", "2 s"),
        ("circle", "serverError", "307"),
        ("circle-permanent", "serverError", "308"),
        ("elsewhere", "serverError", "307"),
        ("long-challenge", "signInRequired", ""),
        ("closes", "unreachable", ""),
        ("empty", "notMcp", ""),
        ("empty-json", "notMcp", ""),
        ("empty-events", "notMcp", ""),
        ("accepted", "notMcp", ""),
        ("no-content", "notMcp", ""),
        ("another-id", "notMcp", ""),
        ("discovery-huge", "authorizationUnavailable", ""),
        ("discovery-endless", "timedOut", "2 s"),
        ("discovery-page", "authorizationUnavailable", ""),
        ("discovery-circle", "authorizationMisconfigured", ""),
        ("discovery-closes", "authorizationUnavailable", ""),
        ("tools-hang", "", ""),
        ("tools-500", "", ""),
        ("tools-401", "", ""),
        ("tools-huge", "", ""),
        ("tools-endless", "", ""),
        ("version-huge", "unsupportedProtocol", "999"),
        ("version-hostile", "unsupportedProtocol", "\\u{1b}[31m"),
    ]
    .into_iter()
    .map(|(name, kind, says)| {
        let body = format!("{}\nstartup_timeout_sec = 2", url(&lab.url(name)));
        bad(name, body, kind, says)
    })
    .collect();
    assert_eq!(rows.len(), lab.scenarios().len());
    check_each(&rows);
}

type Handler = fn(&Asked, &mut Answering<'_>) -> io::Result<()>;

/// What no row of the lab can do.
const RAW: [(&str, &str, &str, Handler); 19] = [
    ("huge-event", "notMcp", "too large", |_, to| {
        to.head(200, "text/event-stream", "")?;
        to.0.write_all(b"data: \"")?;
        to.repeat(&[b'a'; 65_536], GB)
    }),
    ("huge-event-of-lines", "notMcp", "too large", |_, to| {
        to.head(200, "text/event-stream", "")?;
        to.repeat(&b"data: a\n".repeat(8192), GB)
    }),
    ("many-events", "timedOut", "2 s", |_, to| {
        to.head(200, "text/event-stream", "")?;
        let event = b"data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"level\":\"info\",\"data\":\"x\"}}\n\n";
        to.repeat(&event.repeat(500), 100 * GB)
    }),
    ("slow-head", "timedOut", "2 s", |_, to| {
        to.0.write_all(b"HTTP/1.1 200")?;
        to.hang()
    }),
    ("cut-head", "unreachable", "", |_, to| {
        to.0.write_all(b"HTTP/1.1 200")
    }),
    ("cut-body", "unreachable", "", |_, to| {
        to.head(200, "application/json", "Content-Length: 1000\r\n")?;
        to.0.write_all(b"{\"jsonrpc\"")
    }),
    ("garbage", "notMcp", "", |_, to| {
        to.0.write_all(b"\x00\x01\x02 SSH-2.0-OpenSSH_9.9\r\n\r\n")
    }),
    ("huge-headers", "notMcp", "", |_, to| {
        to.0.write_all(b"HTTP/1.1 200 OK\r\n")?;
        to.repeat(format!("X-A: {}\r\n", "a".repeat(1000)).as_bytes(), MB)?;
        to.0.write_all(b"\r\n")
    }),
    ("huge-header", "notMcp", "", |_, to| {
        let header = format!("X-A: {}\r\n", "a".repeat(MB));
        to.head(200, "application/json", &header)
    }),
    ("huge-challenge", "notMcp", "", |_, to| {
        let header = format!("WWW-Authenticate: Bearer realm=\"{}\"\r\n", "a".repeat(MB));
        to.head(401, "application/json", &header)
    }),
    ("deep-answer", "notMcp", "", |_, to| {
        to.head(200, "application/json", "")?;
        to.0.write_all(b"{\"jsonrpc\":\"2.0\",\"id\":0,\"result\":")?;
        to.repeat(&[b'['; 1000], 100_000)?;
        to.repeat(&[b']'; 1000], 100_000)?;
        to.0.write_all(b"}")
    }),
    ("deep-event", "notMcp", "", |_, to| {
        to.head(200, "text/event-stream", "")?;
        to.0.write_all(b"data: {\"jsonrpc\":\"2.0\",\"id\":0,\"result\":")?;
        to.repeat(&[b'['; 1000], 100_000)?;
        to.repeat(&[b']'; 1000], 100_000)?;
        to.0.write_all(b"}\n\n")
    }),
    ("wide-answer", "notMcp", "", |_, to| {
        to.head(200, "application/json", "")?;
        to.0.write_all(b"{\"jsonrpc\":\"2.0\",\"id\":0,\"result\":{\"a\":[0")?;
        to.repeat(&b",0".repeat(1000), 4 * MB - 10_000)?;
        to.0.write_all(b"]}}")
    }),
    ("error-of-4-mb", "other|notMcp", "", |asked, to| {
        let message = "e".repeat(4 * MB);
        to.json(&json!({ "jsonrpc": "2.0", "id": asked.body["id"], "error": { "code": -32000, "message": message } }))
    }),
    ("null-id-error", "other", "", |_, to| {
        to.json(
            &json!({ "jsonrpc": "2.0", "id": null, "error": { "code": -32000, "message": "no" } }),
        )
    }),
    ("pages-for-ever", "", "", |asked, to| {
        let mut answer = asked.good_result();
        if asked.rpc() == "tools/list" {
            answer["result"]["nextCursor"] = json!("again");
            return to.json(&answer);
        }
        to.good(asked)
    }),
    ("tools-garbage", "", "", |asked, to| match asked.rpc() {
        "tools/list" => to.0.write_all(b"garbage\r\n\r\n"),
        _ => to.good(asked),
    }),
    ("tools-events-for-ever", "", "", |asked, to| {
        if asked.rpc() != "tools/list" {
            return to.good(asked);
        }
        to.head(200, "text/event-stream", "")?;
        let event = b"data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"level\":\"info\",\"data\":\"x\"}}\n\n";
        to.repeat(&event.repeat(500), 100 * GB)
    }),
    (
        "notification-refused",
        "serverError",
        "500",
        |asked, to| match asked.body.get("id") {
            None => to.text(500, "text/plain", "no"),
            Some(_) => to.good(asked),
        },
    ),
];

#[test]
fn a_server_that_hardly_speaks_http_fails_alone() {
    let servers: Vec<Server> = RAW
        .iter()
        .map(|(_, _, _, answer)| Server::start(*answer))
        .collect();
    let rows: Vec<Bad> = RAW
        .iter()
        .zip(&servers)
        .map(|((name, kind, says, _), server)| {
            let body = format!("{}\nstartup_timeout_sec = 2", url(&server.url()));
            bad(name, body, kind, says)
        })
        .collect();
    check_each(&rows);
}

#[test]
fn a_program_that_misbehaves_fails_alone() {
    let user = User::new();
    std::fs::create_dir(user.path("folder")).unwrap();
    let path = |name: &str| format!("command = {}", quoted(user.path(name).to_str().unwrap()));
    user.write("plain", "#!/bin/sh\n");
    let script = user.write("script", "#!/no/such/interpreter\n");
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
    let binary = user.write("binary", [0x7f, b'E', b'L', b'F', 0, 0]);
    std::fs::set_permissions(&binary, PermissionsExt::from_mode(0o755)).unwrap();
    let program = quoted(harness::PROGRAM);
    let lab_program =
        |row: &str| format!("command = {program}\nargs = [\"lab\", \"--stdio\", \"{row}\"]");
    let two = "\nstartup_timeout_sec = 2";
    check_each(&[
        bad("junk", lab_program("stdio-junk"), "notMcp", ""),
        bad(
            "endless-line",
            lab_program("stdio-endless-line"),
            "notMcp",
            "",
        ),
        bad(
            "stderr",
            shell("head -c 100000000 /dev/zero | tr '\\0' e >&2; echo the-end >&2; exit 7"),
            "exited",
            "7",
        ),
        bad(
            "stderr-then-a-line",
            shell(
                "head -c 100000000 /dev/zero | tr '\\0' e >&2; echo >&2; echo the-end >&2; exit 7",
            ),
            "exited",
            "the-end",
        ),
        bad(
            "stderr-lines",
            shell("yes complaint | head -c 100000000 >&2; exit 7"),
            "exited",
            "complaint",
        ),
        bad("zeros", shell("head -c 100000000 /dev/zero"), "notMcp", ""),
        bad(
            "closes-stdout",
            shell("exec >&-; sleep 100"),
            "notMcp|other",
            "",
        ),
        bad(
            "closes-stdin",
            shell("exec <&-; sleep 100") + two,
            "timedOut|notMcp|other",
            "",
        ),
        bad("exits", shell("exit 0"), "exited", "0"),
        bad("kills-itself", shell("kill -9 $$"), "exited", "9"),
        bad(
            "ignores-sigterm",
            shell("trap '' TERM; cat >/dev/null; while :; do sleep 1; done") + two,
            "timedOut",
            "2 s",
        ),
        bad("folder", path("folder"), "invalidConfiguration", "folder"),
        bad(
            "not-executable",
            path("plain"),
            "invalidConfiguration",
            "plain",
        ),
        bad(
            "no-interpreter",
            path("script"),
            "invalidConfiguration",
            "script",
        ),
        bad(
            "no-binary",
            path("binary"),
            "invalidConfiguration",
            "binary",
        ),
        bad(
            "no-program",
            "command = \"no-such-program-anywhere\"",
            "programNotFound",
            "was not found on the PATH",
        ),
        bad(
            "no-folder",
            shell("cat") + "\ncwd = \"/no/such/folder\"",
            "invalidConfiguration",
            "/no/such/folder does not exist",
        ),
        bad(
            "file-as-folder",
            shell("cat") + &format!("\ncwd = {}", quoted(user.path("plain").to_str().unwrap())),
            "invalidConfiguration",
            "plain",
        ),
        bad(
            "echo",
            "command = \"cat\"\nstartup_timeout_sec = 2",
            "timedOut",
            "",
        ),
        bad(
            "many-arguments",
            format!(
                "command = \"true\"\nargs = [{}]",
                quoted(&"x".repeat(3 * MB))
            ),
            "invalidConfiguration|other",
            "Argument list too long",
        ),
        bad(
            "deep",
            shell("head -c 100000 /dev/zero | tr '\\0' '['; echo; sleep 100") + two,
            "timedOut",
            "",
        ),
        bad(
            "wide",
            shell(
                "read line; printf '{\"jsonrpc\":\"2.0\",\"id\":0,\"result\":[0'; yes ,0 | tr -d '\\n' | head -c 4000000; echo ']}'; cat >/dev/null",
            ) + two,
            "notMcp|timedOut",
            "",
        ),
        bad(
            "leaves-a-child",
            shell("sleep 100 & exit 3") + "\nstartup_timeout_sec = 3",
            "exited",
            "3",
        ),
        bad(
            "terminal-codes",
            shell("printf '\\033]0;owned\\007\\033[2J\\n'; printf '\\033[31mred\\n' >&2; exit 1"),
            "exited",
            "",
        ),
    ]);
}

#[test]
fn lines_that_are_no_notifications_are_read_in_bounded_memory() {
    let user = User::new();
    let good =
        r#"{"method":"mcpServer/startupStatus/updated","params":{"name":"a","status":"ready"}}"#;
    for (what, bad) in [
        ("a line of 200 MB", vec![b'x'; 200 * MB]),
        (
            "100,000 levels",
            deep(
                "{\"method\":\"mcpServer/startupStatus/updated\",\"params\":",
                100_000,
            ),
        ),
        ("zeros", vec![0; MB]),
        ("no text", vec![0xff; MB]),
    ] {
        let input = [&bad[..], b"\n", good.as_bytes(), b"\n"].concat();
        let done = user
            .program(&["follow", "--format", "json"])
            .stdin(input)
            .done();
        small(&done, what);
        let done = done.ended_with(0);
        assert_eq!(done.server("a")["status"], "ready");
        assert!(done.stderr.len() < 1000, "{what}: {}", done.stderr);
    }
}
