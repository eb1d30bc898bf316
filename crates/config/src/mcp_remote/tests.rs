//! Command lines, files and hostile input.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use secrecy::ExposeSecret;

use super::*;
use crate::{CODEX_INHERITED_VARIABLES, InheritedEnvironment};

mod options;

const URL: &str = "https://example.com/mcp";

fn environment() -> BTreeMap<String, String> {
    BTreeMap::from([
        ("PROCESS_TOKEN".to_owned(), "process-secret".to_owned()),
        ("EMPTY".to_owned(), String::new()),
        ("BOTH".to_owned(), "of-process".to_owned()),
    ])
}

fn files(path: &Path) -> io::Result<Vec<u8>> {
    match path.to_string_lossy().replace('\\', "/").as_str() {
        "/cwd/headers.txt" => {
            Ok(b"# comment\r\n\r\nX-One: 1\nno header\n  Authorization: Bearer ${OWN}\n".to_vec())
        }
        "/cwd/client.json" => Ok(br#"{"client_id": "of-file"}"#.to_vec()),
        "/cwd/large" => Ok(vec![b' '; MAX_OPTION_FILE_BYTES + 1]),
        _ => Err(io::Error::new(io::ErrorKind::NotFound, "no such file")),
    }
}

fn entry(command: &str, args: &[&str]) -> ServerConfig {
    let mut server = ServerConfig::stdio("remote", command, args.iter().copied())
        .unwrap()
        .with_env("OWN", "own-secret")
        .unwrap()
        .with_env("BOTH", "of-entry")
        .unwrap()
        .with_env("BLANK", " ")
        .unwrap();
    if let TransportConfig::Stdio(stdio) = &mut server.transport {
        stdio.inherited = InheritedEnvironment::Everything;
        stdio.cwd = Some("/cwd".into());
    }
    server
}

fn unwrap(command: &str, args: &[&str]) -> Option<Result<McpRemote, EntryProblem>> {
    unwrap_mcp_remote(&entry(command, args), &environment(), &files)
}

fn found(command: &str, args: &[&str]) -> McpRemote {
    unwrap(command, args).unwrap().unwrap()
}

/// Runs with the options after the URL.
fn with_options(options: &[&str]) -> Option<Result<McpRemote, EntryProblem>> {
    unwrap("npx", &[&["mcp-remote", URL], options].concat())
}

fn http(found: &McpRemote) -> &HttpConfig {
    match &found.server.transport {
        TransportConfig::Http(http) => http,
        TransportConfig::Stdio(_) => panic!("stdio"),
    }
}

fn headers(found: &McpRemote) -> Vec<(&str, &str)> {
    let headers = http(found).headers.iter();
    headers
        .map(|header| (header.name.as_str(), header.value.expose_secret()))
        .collect()
}

#[test]
fn a_variable_of_the_command_line_is_part_of_a_header() {
    let arguments = [
        "TOKEN=from-the-line",
        "npx",
        "mcp-remote",
        URL,
        "--header",
        "Authorization:${TOKEN}",
    ];
    let found = unwrap("env", &arguments).unwrap().unwrap();
    assert_eq!(headers(&found), [("Authorization", "from-the-line")]);
    let used = &found.server.expanded_variables;
    assert!(
        used.iter()
            .any(|value| value.expose_secret() == "from-the-line")
    );
}

#[test]
fn every_command_line_of_mcp_remote_is_recognized() {
    let proxy = "/opt/node_modules/mcp-remote/dist/proxy.js";
    let windows_proxy = r"C:\npm\node_modules\mcp-remote\dist\proxy.js";
    let cases: &[(&str, &[&str], Option<&str>)] = &[
        ("npx", &["mcp-remote", URL], None),
        ("npx", &["-y", "mcp-remote@latest", URL], Some("latest")),
        ("npx", &["--yes", "mcp-remote@0.1.38", URL], Some("0.1.38")),
        ("npx", &["-y", "--", "mcp-remote@^0.1", URL], Some("^0.1")),
        (
            "npx",
            &["--yes", "--package=mcp-remote@latest", "mcp-remote", URL],
            Some("latest"),
        ),
        (
            "npx",
            &["-p", "mcp-remote", "--quiet", "mcp-remote", URL],
            None,
        ),
        (
            "npx",
            &["--package", "mcp-remote@1", "--", "mcp-remote", URL],
            Some("1"),
        ),
        (
            "npx",
            &["--registry=https://npm.example", "-y", "mcp-remote@1", URL],
            Some("1"),
        ),
        (
            "npx",
            &["--registry", "https://npm.example", "mcp-remote", URL],
            None,
        ),
        (
            "npm",
            &["exec", "--loglevel", "error", "mcp-remote", URL],
            None,
        ),
        ("env", &["A=1", "npx", "mcp-remote", URL], None),
        ("env", &["A=1", "_B=", "npx", "-y", "mcp-remote", URL], None),
        (
            "sh",
            &["-c", "A=1 npx mcp-remote https://example.com/mcp"],
            None,
        ),
        ("npx.cmd", &["-y", "mcp-remote", URL], None),
        ("NPX.EXE", &["-y", "mcp-remote", URL], None),
        ("/usr/local/bin/npx", &["mcp-remote", URL], None),
        (
            r"C:\Program Files\nodejs\npx.cmd",
            &["mcp-remote", URL],
            None,
        ),
        ("bunx", &["mcp-remote", URL], None),
        (
            "bunx",
            &["--bun", "-y", "mcp-remote@latest", URL],
            Some("latest"),
        ),
        ("bun", &["x", "mcp-remote", URL], None),
        ("pnpm", &["dlx", "mcp-remote", URL], None),
        (
            "pnpm",
            &["--package=mcp-remote@0.15.1", "dlx", "mcp-remote", URL],
            Some("0.15.1"),
        ),
        (
            "pnpm",
            &["--silent", "dlx", "mcp-remote@0.15.1", URL],
            Some("0.15.1"),
        ),
        ("pnpx", &["mcp-remote", URL], None),
        ("yarn", &["dlx", "-q", "mcp-remote", URL], None),
        ("deno", &["run", "-A", "npm:mcp-remote", URL], None),
        (
            "deno",
            &[
                "run",
                "--allow-net=example.com",
                "--allow-env",
                "npm:mcp-remote@0.15.1",
                URL,
            ],
            Some("0.15.1"),
        ),
        ("node", &[proxy, URL], None),
        ("/usr/bin/node", &["--no-warnings", proxy, URL], None),
        ("node.exe", &[windows_proxy, URL], None),
        ("mcp-remote", &[URL], None),
        ("/usr/local/bin/mcp-remote", &[URL], None),
        ("cmd", &["/c", "npx", "-y", "mcp-remote", URL], None),
        (
            r"C:\Windows\System32\cmd.exe",
            &["/d", "/s", "/C", "npx.cmd", "mcp-remote@latest", URL],
            Some("latest"),
        ),
        ("cmd", &["/c", "node", windows_proxy, URL], None),
        ("npm", &["exec", "--yes", "--", "mcp-remote", URL], None),
        (
            "npm",
            &["x", "-y", "mcp-remote@latest", URL],
            Some("latest"),
        ),
        ("/usr/bin/env", &["npx", "-y", "mcp-remote", URL], None),
        ("volta", &["run", "npx", "mcp-remote", URL], None),
        (
            "fnm",
            &["exec", "--using=22", "npx", "mcp-remote", URL],
            None,
        ),
        (
            "/home/u/.nvm/nvm-exec",
            &["npx", "-y", "mcp-remote", URL],
            None,
        ),
        (
            "mise",
            &["exec", "node@22", "--", "npx", "mcp-remote", URL],
            None,
        ),
        ("asdf", &["exec", "npx", "mcp-remote", URL], None),
        (
            "sh",
            &["-c", "npx -y mcp-remote https://example.com/mcp"],
            None,
        ),
        (
            "/bin/zsh",
            &[
                "-l",
                "-c",
                "exec npx mcp-remote@latest https://example.com/mcp",
            ],
            Some("latest"),
        ),
        (
            "bash",
            &["-lc", "nvm-exec npx mcp-remote https://example.com/mcp"],
            None,
        ),
    ];
    for (command, args, version) in cases {
        let found = found(command, args);
        assert_eq!(http(&found).url.as_str(), URL, "{command} {args:?}");
        assert_eq!(found.version.as_deref(), *version, "{command} {args:?}");
        assert_eq!(found.storage_keys.current, found.storage_keys.old);
    }
}

#[test]
fn other_command_lines_are_left_as_written() {
    let cases: &[(&str, &[&str])] = &[
        ("npx", &["-y", "mcp-remote-notes-example", URL]),
        ("npx", &["-y", "mcp-remote-client", URL]),
        ("npx", &["--package=mcp-remote", "mcp-remote-client", URL]),
        ("npx", &["--package=other", "mcp-remote", URL]),
        ("npx", &["@scope/mcp-remote", URL]),
        ("npx", &["mcp-remote@", URL]),
        ("npx", &["mcp-remote@npm:other", URL]),
        ("npx", &["mcp-remote@https://example.com/package.tgz", URL]),
        ("npx", &["github:geelen/mcp-remote", URL]),
        ("npx", &["-c", "mcp-remote https://example.com/mcp"]),
        ("npx", &["-y"]),
        ("npx", &["--package"]),
        ("npx", &["--"]),
        ("npx", &[]),
        ("npx-other", &["mcp-remote", URL]),
        ("npm", &["run", "mcp-remote", URL]),
        ("npm", &["exec", "--registry=x", "other", "mcp-remote", URL]),
        ("npx", &["--registry", "mcp-remote"]),
        ("npx", &["--registry-mirror=x", "mcp-remote", URL]),
        ("env", &["A=1"]),
        ("env", &["A=1", "-i", "npx", "mcp-remote", URL]),
        ("env", &["not a name=1", "npx", "mcp-remote", URL]),
        ("env", &["NODE_EXTRA_CA_CERTS=/x", "npx", "mcp-remote", URL]),
        ("env", &["-i", "npx", "mcp-remote", URL]),
        ("env", &["env", "npx", "mcp-remote", URL]),
        ("mise", &["exec", "npx", "mcp-remote", URL]),
        ("volta", &["run"]),
        (
            "sh",
            &["-c", "npx mcp-remote https://example.com/mcp; date"],
        ),
        ("sh", &["-c", "npx mcp-remote $URL"]),
        ("sh", &["-c", ""]),
        ("sh", &["-x", "npx mcp-remote https://example.com/mcp"]),
        (
            "sh",
            &["-c", "date", "npx mcp-remote https://example.com/mcp"],
        ),
        ("fish", &["-c", "npx mcp-remote https://example.com/mcp"]),
        ("pnpm", &["run", "mcp-remote", URL]),
        ("pnpm", &["mcp-remote", URL]),
        ("yarn", &["mcp-remote", URL]),
        ("deno", &["run", "mcp-remote", URL]),
        (
            "deno",
            &["run", "--allow-net", "https://example.com/mcp-remote", URL],
        ),
        ("node", &["dist/proxy.js", URL]),
        (
            "node",
            &["--require", "./other.js", "mcp-remote/dist/proxy.js", URL],
        ),
        ("node", &["mcp-remote/dist/client.js", URL]),
        ("node", &[]),
        ("cmd", &["/k", "npx", "mcp-remote", URL]),
        ("cmd", &["/c", "cmd", "/c", "npx", "mcp-remote", URL]),
        (
            "cmd",
            &["/c", "npx", "mcp-remote", "https://example.com/mcp?a=1&b=2"],
        ),
        (
            "cmd",
            &[
                "/c",
                "npx",
                "mcp-remote",
                URL,
                "--header",
                "Authorization: Bearer %TOKEN%",
            ],
        ),
        ("cmd", &["/c"]),
        ("mcp-remote-client", &[URL]),
        ("npx", &["mcp-remote", "--help"]),
        ("npx", &["mcp-remote", URL, "--version"]),
    ];
    for (command, args) in cases {
        assert!(unwrap(command, args).is_none(), "{command} {args:?}");
    }
    let http = ServerConfig::http("http", URL).unwrap();
    assert!(unwrap_mcp_remote(&http, &environment(), &files).is_none());
}

#[test]
fn options_that_have_no_counterpart_are_left_as_written() {
    let cases: &[&[&str]] = &[
        &["--use-id-token"],
        &["--device-code"],
        &["--client-credentials"],
        &["--token-endpoint", "https://example.com/token"],
        &["--authorize-param", "audience=api"],
        &["--authorize-param", "prompt=none"],
        &["--authorize-param", "prompt"],
        &[
            "--static-oauth-client-metadata",
            r#"{"token_endpoint_auth_method": "none"}"#,
        ],
        &["--something-newer"],
        &["--transport=sse-only"],
        &["--host", "--allow-http"],
        &["-x"],
    ];
    for options in cases {
        assert!(with_options(options).is_none(), "{options:?}");
    }
    let nine = ["--header-file", "headers.txt"].repeat(9);
    assert!(with_options(&nine).is_none());
}

#[test]
fn variables_that_change_the_network_of_node_are_left_as_written() {
    let proxy = |args: &[&str], name: &str, value: &str| {
        let server = entry("npx", args).with_env(name, value).unwrap();
        unwrap_mcp_remote(&server, &environment(), &files).is_none()
    };
    let plain = ["mcp-remote", URL];
    let with_proxy = ["mcp-remote", URL, "--enable-proxy"];
    assert!(proxy(&plain, "NODE_EXTRA_CA_CERTS", "/ca.pem"));
    assert!(proxy(&plain, "NODE_TLS_REJECT_UNAUTHORIZED", "0"));
    assert!(!proxy(&plain, "NODE_OPTIONS", ""));
    assert!(!proxy(&plain, "HTTPS_PROXY", "http://proxy.example.com"));
    assert!(proxy(
        &with_proxy,
        "https_proxy",
        "http://proxy.example.com"
    ));
}

/// Arguments that a hostile project could write cost linear time, and none of their text reaches a message. Quadratic
/// time would take minutes.
#[test]
fn hostile_arguments_cost_linear_time() {
    let long = "a".repeat(1 << 20);
    let open = "${".repeat(1 << 19);
    let nested = format!("X-A: {open}}}");
    let references = format!("X-A: {}", "${A}".repeat(1 << 18));
    let many_headers: Vec<String> = (0..5000).map(|at| format!("X-{at}: 1")).collect();
    let same: Vec<&str> = ["--header", "X-A: ${OWN}"].repeat(5000);
    let texts: Vec<&str> = many_headers
        .iter()
        .flat_map(|line| ["--header", line])
        .collect();
    let options = ["--transport", "sse-only"].repeat(5000);
    let url = format!("https://example.com/{long}");
    let lines: Vec<Vec<&str>> = vec![
        vec!["mcp-remote", &long],
        vec!["mcp-remote", &url],
        vec![&long],
        vec!["-y"; 10_000],
        ["mcp-remote", URL, "--header", &long].to_vec(),
        ["mcp-remote", URL, "--header", &nested].to_vec(),
        ["mcp-remote", URL, "--header", &references].to_vec(),
        ["mcp-remote", URL, "--static-oauth-client-info", &open].to_vec(),
        ["mcp-remote", URL, "--resource", &long].to_vec(),
        ["mcp-remote", URL, "--authorize-param", &long].to_vec(),
        [&["mcp-remote", URL], texts.as_slice()].concat(),
        [&["mcp-remote", URL], same.as_slice()].concat(),
        [&["mcp-remote", URL], options.as_slice()].concat(),
        vec!["mcp-remote", URL, "\u{1b}[31m", "--\u{202e}"],
        vec!["mcp-remote", "https://example.com/\u{1b}[31m", "\r\n"],
    ];
    for args in &lines {
        let started = Instant::now();
        let unwrapped = unwrap("npx", args);
        assert!(started.elapsed() < Duration::from_secs(60));
        if let Some(Err(problem)) = unwrapped {
            let text = problem.to_string();
            assert!(text.len() < 1000, "{} bytes", text.len());
            assert!(!text.contains(char::is_control), "{text:?}");
        }
    }
    let mut with_nul = entry("npx", &["mcp-remote", URL]);
    if let TransportConfig::Stdio(stdio) = &mut with_nul.transport {
        stdio.args.push("a\0b".to_owned());
    }
    assert!(unwrap_mcp_remote(&with_nul, &environment(), &files).is_none());
}

#[test]
fn a_file_that_is_too_large_or_not_regular_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("client.json");
    std::fs::write(&path, vec![b' '; MAX_OPTION_FILE_BYTES]).unwrap();
    assert_eq!(
        read_option_file(&path).unwrap().len(),
        MAX_OPTION_FILE_BYTES
    );
    std::fs::write(&path, vec![b' '; MAX_OPTION_FILE_BYTES + 1]).unwrap();
    let kind = |path: &Path| read_option_file(path).unwrap_err().kind();
    assert_eq!(kind(&path), io::ErrorKind::InvalidData);
    assert_eq!(kind(folder.path()), io::ErrorKind::InvalidData);
    assert_eq!(kind(&folder.path().join("none")), io::ErrorKind::NotFound);
}

/// The arguments reach this module with the variables that only the entry sets, and which `mcp-remote` replaces.
#[test]
fn entries_of_a_file_are_recognized() {
    let text = r#"{"mcpServers": {
        "header-space": {"command": "npx", "args": ["mcp-remote", "https://d.example.com/mcp", "--header", "Authorization: Bearer ${D_TOKEN}"], "env": {"D_TOKEN": "not-a-real-token"}},
        "resource": {"command": "npx", "args": ["-y", "mcp-remote", "https://f.example.com/mcp", "--resource", "https://tenant1.example.com/"]},
        "unset": {"command": "npx", "args": ["mcp-remote", "https://f.example.com/mcp", "--header", "X-Api-Key: ${NOWHERE}"]},
        "prompt": {"command": "npx", "args": ["mcp-remote", "https://f.example.com/mcp", "--header", "X-Api-Key: ${input:key}"]},
        "other": {"command": "npx", "args": ["files", "${NOWHERE}"]}
    }}"#;
    let read = crate::parse(text, Path::new(".mcp.json"), &environment()).unwrap();
    let servers: Vec<_> = read.servers.iter().map(|entry| &entry.config).collect();
    let unwrap = |at: usize| {
        let server = servers[at].as_ref().unwrap();
        unwrap_mcp_remote(server, &environment(), &files).unwrap()
    };
    let first = unwrap(0).unwrap();
    assert_eq!(
        headers(&first),
        [("Authorization", "Bearer not-a-real-token")]
    );
    assert_eq!(
        first.storage_keys.current,
        "cc5875c30940bc74bf5a95fe9a69688f"
    );
    let second = unwrap(1).unwrap();
    assert_eq!(
        second.storage_keys.current,
        "fa85a169a7c08ff1ee428e08e596a320"
    );
    assert_eq!(
        unwrap(2).unwrap_err().to_string(),
        "mcpServers.unset.args[3] (line 4): the environment variable NOWHERE is not set; set it and try again"
    );
    assert!(servers[3].is_err() && servers[4].is_err());
}
