//! The options of `mcp-remote`, and their problems.

use super::*;

#[test]
fn headers_are_sent_as_mcp_remote_sends_them() {
    type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)]);
    let cases: &[Case<'_>] = &[
        (
            &["Authorization: Bearer ${OWN}"],
            &[("Authorization", "Bearer own-secret")],
        ),
        (
            &["Authorization:${PROCESS_TOKEN}"],
            &[("Authorization", "process-secret")],
        ),
        (
            &["Authorization:Bearer literal"],
            &[("Authorization", "Bearer literal")],
        ),
        (&["X-Team: ${BOTH}"], &[("X-Team", "of-entry")]),
        (
            &["X-A: 1", "X-B:2", "x-a: 3"],
            &[("x-a", "3"), ("X-B", "2")],
        ),
        (&["X-A: ${UNSET_TOKEN}", "X-A: 2"], &[("X-A", "2")]),
        (&["X-A: ${UNSET}!"], &[("X-A", "${UNSET}!")]),
        (&["X-A: ${}${"], &[("X-A", "${}${")]),
        (&["X-A: ${EMPTY}"], &[("X-A", "")]),
        (&["X.A: ignored", "no header", ": x", "X-A:\n1\n2"], &[]),
        (&["__proto__: ignored"], &[]),
    ];
    for (lines, expected) in cases {
        let pairs: Vec<&str> = lines.iter().flat_map(|line| ["--header", line]).collect();
        let after = with_options(&pairs).unwrap().unwrap();
        assert_eq!(headers(&after), *expected, "{lines:?}");
        let before = [&["mcp-remote"], pairs.as_slice(), &[URL, "3334", "--debug"]].concat();
        let before = found("npx", &before);
        assert_eq!(headers(&before), *expected, "{lines:?}");
        assert_eq!(before.storage_keys, after.storage_keys);
    }
    let ignored = with_options(&["--header", "no header", "--header", "X-A: ${UNSET}"]);
    let ignored = ignored.unwrap().unwrap().server.possible_causes;
    let ignored: Vec<String> = ignored.iter().map(ToString::to_string).collect();
    assert_eq!(
        ignored,
        [
            "server.args[3]: `mcp-remote` ignores this header; write `Name: value`",
            "server.args[5]: the environment variable UNSET is not set; set it and try again",
        ]
    );
    // Releases up to 0.1 replace a variable that is not set with an empty text.
    let old = found(
        "npx",
        &["mcp-remote@0.1.38", URL, "--header", "X-A: ${UNSET}!"],
    );
    assert_eq!(headers(&old), [("X-A", "!")]);
    // A header without its value at the end is not a header.
    assert_eq!(headers(&with_options(&["--header"]).unwrap().unwrap()), []);
}

#[test]
fn header_files_are_read_in_the_working_directory() {
    let options = ["--header", "X-One: 0", "--header-file", "headers.txt"];
    let found = with_options(&options).unwrap().unwrap();
    let expected = [("X-One", "1"), ("Authorization", "Bearer own-secret")];
    assert_eq!(headers(&found), expected);
    assert_ne!(found.storage_keys.current, found.storage_keys.old);
    let ignored = found.server.possible_causes[0].to_string();
    assert_eq!(
        ignored,
        "server.args[5]: `mcp-remote` ignores line 4 of this file; write `Name: value`"
    );
}

#[test]
fn a_variable_of_codex_is_replaced_only_if_the_program_inherits_it() {
    let mut server = entry(
        "npx",
        &["mcp-remote", URL, "--header", "X-Key: ${PROCESS_TOKEN}"],
    );
    if let TransportConfig::Stdio(stdio) = &mut server.transport {
        stdio.inherited = InheritedEnvironment::Named(CODEX_INHERITED_VARIABLES);
    }
    let problem = unwrap_mcp_remote(&server, &environment(), &files).unwrap();
    assert_eq!(
        problem.unwrap_err().problem,
        "the environment variable PROCESS_TOKEN is not set; set it and try again"
    );
}

#[test]
fn the_transport_and_the_era_follow_the_options() {
    let cases = [
        ("http-first", HttpSseUse::Fallback),
        ("sse-first", HttpSseUse::Fallback),
        ("http-only", HttpSseUse::Never),
        ("sse-only", HttpSseUse::Always),
        ("other", HttpSseUse::Fallback),
    ];
    for (strategy, expected) in cases {
        let found = with_options(&["--transport", strategy, "--transport", "http-only"]);
        assert_eq!(
            http(&found.unwrap().unwrap()).http_sse,
            expected,
            "{strategy}"
        );
    }
    let found = with_options(&["--protocol", "legacy"]).unwrap().unwrap();
    assert_eq!(found.server.protocol_era, ProtocolEra::Legacy);
    let found = with_options(&["--protocol", "auto"]).unwrap().unwrap();
    assert_eq!(found.server.protocol_era, ProtocolEra::Auto);
}

#[test]
fn options_of_mcp_remote_itself_have_no_effect() {
    let plain = with_options(&[]).unwrap().unwrap();
    let found = with_options(&[
        "3334x",
        "ignored",
        "--debug",
        "--silent",
        "--enable-proxy",
        "--keep-alive",
        "--ipv4",
        "--disable-cookies",
        "--auth-timeout",
        "60",
        "--auth-success-url",
        URL,
        "--connect-timeout",
        "1",
        "--headers-timeout",
        "1",
        "--body-timeout",
        "0",
        "--ping-interval",
        "30",
        "--ignore-tool",
        "delete*",
        "--ignore-tool",
        "-x",
        "--allow-http",
        "--transport",
    ]);
    let found = found.unwrap().unwrap();
    assert_eq!(found.storage_keys, plain.storage_keys);
    assert_eq!(http(&found).http_sse, HttpSseUse::Fallback);
    assert_eq!(found.server.oauth.callback_port, Some(3334));
    assert_eq!(plain.server.oauth.callback_port, None);
}

#[test]
fn oauth_options_become_the_oauth_client() {
    let found = with_options(&[
        "3334",
        "--static-oauth-client-info",
        r#"{"client_id": "app", "client_secret": "${OWN}", "redirect_uris": []}"#,
        "--static-oauth-client-metadata",
        r#"{"scope": "read write", "client_name": "Example"}"#,
        "--resource",
        " https://tenant1.example.com ",
        "--authorize-param",
        "prompt=consent",
        "--host",
        "127.0.0.1",
        "--callback-path",
        "/done",
    ]);
    let server = found.unwrap().unwrap().server;
    let oauth = &server.oauth;
    assert_eq!(oauth.client_id.as_deref(), Some("app"));
    let secret = oauth.client_secret.as_ref().unwrap();
    assert_eq!(secret.expose_secret(), "own-secret");
    assert_eq!(
        server.scopes.as_deref(),
        Some(["read".to_owned(), "write".to_owned()].as_slice())
    );
    assert_eq!(
        oauth.resource.as_deref(),
        Some("https://tenant1.example.com/")
    );
    assert_eq!(oauth.prompt.as_deref(), Some("consent"));
    assert_eq!(
        oauth.callback_url.as_deref(),
        Some("http://127.0.0.1:3334/done")
    );
    assert!(!oauth.callback_on_localhost);
    let used: Vec<&str> = server
        .expanded_variables
        .iter()
        .map(ExposeSecret::expose_secret)
        .collect();
    assert_eq!(used, ["own-secret"]);
    assert!(!format!("{server:?}").contains("own-secret"));

    let of_file = with_options(&["--static-oauth-client-info", "@client.json"]);
    let oauth = of_file.unwrap().unwrap().server.oauth;
    assert_eq!(oauth.client_id.as_deref(), Some("of-file"));
    // The key begins with 8724: 3335 + 0x8724 % 45816.
    assert_eq!(oauth.callback_port, Some(37931));
    assert!(
        oauth
            .callback_url
            .unwrap()
            .ends_with(":37931/oauth/callback")
    );

    let cases: &[(&[&str], Option<&str>, bool)] = &[
        (&[], None, false),
        (&["--resource", " "], Some(""), false),
        (&["--disable-resource-parameter"], Some(""), false),
        (
            &[
                "--resource",
                "https://a.example.com/x",
                "--disable-resource-parameter",
            ],
            Some(""),
            true,
        ),
        (
            &["--resource", "https://a.example.com/x"],
            Some("https://a.example.com/x"),
            true,
        ),
    ];
    for (options, resource, is_in_old_key) in cases {
        let found = with_options(options).unwrap().unwrap();
        assert_eq!(
            found.server.oauth.resource.as_deref(),
            *resource,
            "{options:?}"
        );
        let plain = with_options(&[]).unwrap().unwrap();
        let same = found.storage_keys.old == plain.storage_keys.old;
        // Old releases do not trim the value.
        assert_eq!(
            same,
            !is_in_old_key && !options.contains(&" "),
            "{options:?}"
        );
    }
    let metadata = |url: &str| {
        let found = with_options(&["--client-metadata-url", url])
            .unwrap()
            .unwrap();
        found.server.oauth.client_metadata_url
    };
    assert_eq!(
        metadata(" https://a.example.com/c ").as_deref(),
        Some("https://a.example.com/c")
    );
    assert_eq!(metadata("https://a.example.com/"), None);
    assert_eq!(metadata("http://a.example.com/c"), None);
}

#[test]
fn http_is_refused_as_mcp_remote_refuses_it() {
    let refused = "`mcp-remote` refuses http:// for hosts other than `localhost` and `127.0.0.1`; use https://, or add `--allow-http` if the network is trusted";
    let cases = [
        ("http://localhost:8080/mcp", true),
        ("http://127.0.0.1/mcp", true),
        ("http://example.com/mcp", false),
        ("http://[::1]/mcp", false),
        ("http://localhost.example.com/mcp", false),
    ];
    for (url, accepted) in cases {
        let problem = unwrap("npx", &["mcp-remote", url]).unwrap().err();
        let problem = problem.map(|problem| problem.to_string());
        let expected = (!accepted).then(|| format!("server.args[1]: {refused}"));
        assert_eq!(problem, expected, "{url}");
        let allowed = found("npx", &["mcp-remote", url, "--allow-http"]);
        assert_eq!(http(&allowed).written_url, url);
    }
}

#[test]
fn what_mcp_remote_cannot_start_is_a_problem() {
    let header = |value: &'static str| vec!["mcp-remote", URL, "--header", value];
    let info = |value: &'static str| vec!["mcp-remote", URL, "--static-oauth-client-info", value];
    let cases: &[(Vec<&str>, &str, &str)] = &[
        (
            vec!["mcp-remote"],
            "server.args",
            "the URL of the server is missing",
        ),
        (
            vec!["mcp-remote", "--debug", URL],
            "server.args[1]",
            "write the URL before the options",
        ),
        (
            vec!["mcp-remote", "example.com"],
            "server.args[1]",
            "the scheme is missing",
        ),
        (
            vec!["mcp-remote", "ftp://example.com"],
            "server.args[1]",
            "ftp:// is not supported",
        ),
        (
            vec!["mcp-remote", "https://user:hunter2@example.com"],
            "server.args[1]",
            "user name or a password",
        ),
        (
            vec!["mcp-remote", "https://example.com/${OWN}"],
            "server.args[1]",
            "does not replace variables",
        ),
        (
            header("Authorization: Bearer ${UNSET}"),
            "server.args[3]",
            "UNSET is not set",
        ),
        (
            header("Authorization:${BLANK}"),
            "server.args[3]",
            "BLANK is blank",
        ),
        (
            header("Authorization: Bearer ${EMPTY}"),
            "server.args[3]",
            "EMPTY is blank",
        ),
        (
            header("Authorization:"),
            "server.args[3]",
            "the credential in this header is blank",
        ),
        (
            header("Authorization: Bearer "),
            "server.args[3]",
            "the credential in this header is blank",
        ),
        (
            header("X-Api-Key: ${sk-Live1}"),
            "server.args[3]",
            "an environment variable in this credential is not set",
        ),
        (
            header("X-Api-Key: ${input:key}"),
            "server.args[3]",
            "${input:key}",
        ),
        (
            header("X-Other: a\u{1}b"),
            "server.args[3]",
            "not allowed in a header",
        ),
        (
            vec![
                "mcp-remote@0.1.38",
                URL,
                "--header",
                "Authorization: Bearer ${UNSET}",
            ],
            "server.args[3]",
            "UNSET is not set",
        ),
        (
            vec!["mcp-remote", URL, "--header-file", "none"],
            "server.args[3]",
            "cannot be read",
        ),
        (
            vec!["mcp-remote", URL, "--header-file", "large"],
            "server.args[3]",
            "larger than 64 KiB",
        ),
        (
            vec!["mcp-remote", URL, "--resource", "tenant"],
            "server.args[3]",
            "RFC 8707",
        ),
        (
            vec!["mcp-remote", URL, "1", "--host", "a b"],
            "server.args[4]",
            "not a host name",
        ),
        (info("hunter2"), "server.args[3]", "not a JSON object"),
        (info("[]"), "server.args[3]", "not a JSON object"),
        (info("{}"), "server.args[3]", "no `client_id`"),
        (
            info(r#"{"client_id": ""}"#),
            "server.args[3]",
            "the value is blank",
        ),
        (
            info(r#"{"client_id": "a", "client_secret": " "}"#),
            "server.args[3]",
            "the value is blank",
        ),
        (
            info(r#"{"client_id": "a", "client_secret": "${UNSET}"}"#),
            "server.args[3]",
            "UNSET is not set",
        ),
        (info("@none"), "server.args[3]", "cannot be read"),
    ];
    for (args, key, expected) in cases {
        let problem = unwrap("npx", args).unwrap().unwrap_err();
        assert_eq!(problem.key, *key, "{args:?}");
        let text = problem.to_string();
        assert!(text.contains(expected), "{args:?}: {text}");
        for secret in ["hunter2", "sk-Live1", "own-secret", "process-secret"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}
