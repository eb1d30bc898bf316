//! Files that cannot be read, and texts that are not a configuration.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;

use mcp_startup_config::ConfigurationErrorKind as Kind;
use mcp_startup_config::*;

/// The name of the file shows what its user meant.
#[test]
fn the_error_of_a_json_file_is_about_json() {
    for (text, part) in [
        (
            "[]",
            "not valid JSON: the file has a list; write {\"mcpServers\": {…}}",
        ),
        (
            "null",
            "not valid JSON: the file has no object; write {\"mcpServers\": {…}}",
        ),
        ("true", "not valid JSON: the file has no object"),
        ("42", "not valid JSON: the file has no object"),
        ("\"secret\"", "not valid JSON: the file has no object"),
        (
            "<!DOCTYPE html><html></html>",
            "not valid JSON: the file is an HTML or XML page",
        ),
        (
            "<<<<<<< HEAD\n{}\n=======\n{\"secret\": 1}\n>>>>>>> x\n",
            "line 1, column 1: not valid JSON: an unresolved merge conflict",
        ),
        (
            "```json\n{\"mcpServers\": {}}\n```",
            "line 1, column 1: not valid JSON: a Markdown fence",
        ),
        (
            "",
            "not valid JSON: the file is empty; write {\"mcpServers\": {…}}",
        ),
        (" \n", "not valid JSON: the file is empty"),
        (
            "[mcp_servers.a]\ncommand = 'secret'",
            "not valid JSON: the file is written in TOML; write it in JSON",
        ),
        (
            "mcpServers:\n  a:\n    command: secret\n",
            "line 1, column 1: not valid JSON: the file is written in YAML; write it in JSON",
        ),
        (
            "# secret\n---\nmcpServers:\n  a:\n    command: secret\n",
            "not valid JSON: the file is written in YAML",
        ),
        (
            "name: secret\nmcpServers:\n  - name: a\n",
            "not valid JSON: the file is written in YAML",
        ),
        (
            "- name: secret\n  command: secret\n",
            "not valid JSON: the file is written in YAML",
        ),
        ("mcpServers: {\"a\": {}}", "not valid JSON: a value without"),
    ] {
        for path in ["dir/mcp.json", "C:/MCP.JSON"] {
            let error = parse(text, Path::new(path), &BTreeMap::new()).unwrap_err();
            let shown = error.to_string();
            assert_eq!(error.kind(), Kind::Syntax, "{text}: {shown}");
            assert!(shown.contains(part), "{text}: {shown}");
            assert!(!shown.contains("secret"), "{shown}");
        }
    }
}

#[test]
fn texts_that_are_not_a_configuration() {
    // Text, kind, line, column, key, a part of the message.
    type Case = (
        &'static str,
        Kind,
        Option<u32>,
        Option<u32>,
        Option<&'static str>,
        &'static str,
    );
    #[rustfmt::skip]
    let cases: &[Case] = &[
        ("a = 1\nb = \n", Kind::Syntax, Some(2), Some(5), None, "line 2, column 5: not valid TOML"),
        ("[mcp_servers.a]\nurl = https://secret", Kind::Syntax, Some(2), None, None, "not valid TOML"),
        ("é = 1\n\"é\" = 'secret' x", Kind::Syntax, Some(2), Some(16), None, "not valid TOML"),
        ("token = 'secret\n", Kind::Syntax, Some(1), None, None, "not valid TOML"),
        ("a = 1\na = 'secret'", Kind::Syntax, Some(2), Some(1), None, "duplicate key"),
        ("[1, 2]", Kind::Syntax, Some(1), None, None, "not valid TOML"),
        ("plain secret text", Kind::Syntax, Some(1), None, None, "not valid TOML"),
        ("\u{feff}{\n \"a\": \"secret\",,\n}", Kind::Syntax, Some(2), Some(16), None, "line 2, column 16: not valid JSON: one comma too many;"),
        ("{", Kind::Syntax, Some(1), Some(1), None, "write the closing `}` for the `{` in line 1"),
        ("{} secret", Kind::Syntax, Some(1), Some(4), None, "not valid JSON: text after the closing bracket"),
        ("{\"mcpServers\": {\"a\": {\"url\": \"secret}}}", Kind::Syntax, Some(1), None, None, "not valid JSON"),
        ("{\n/* a comment\n}", Kind::Syntax, Some(2), Some(1), None, "a comment without its end"),
        ("mcp_servers = 'secret'", Kind::NotAConfiguration, Some(1), None, Some("mcp_servers"), "`mcp_servers` must be a table"),
        ("a = 1\n[[mcp_servers]]\nurl = 'secret'", Kind::NotAConfiguration, Some(2), None, Some("mcp_servers"), "must be a table"),
        ("{}", Kind::NotAConfiguration, None, None, Some("mcpServers"), "the key `mcpServers` is missing"),
        ("{\"servers\": {\"a\": \"secret\"}}", Kind::NotAConfiguration, None, None, Some("mcpServers"), "mcpServers"),
        ("{\n\"mcpServers\": [\"secret\"]}", Kind::NotAConfiguration, Some(2), None, Some("mcpServers"), "must be an object"),
        ("{\"mcpServers\": null}", Kind::NotAConfiguration, Some(1), None, Some("mcpServers"), "must be an object"),
        ("{\"servers\": {}}", Kind::NotAConfiguration, None, None, Some("mcpServers"), "`mcpServers` is missing"),
        ("{\n\"mcp_servers\": {\"a\": {}}}", Kind::NotAConfiguration, Some(2), None, Some("mcpServers"), "the file has `mcp_servers` in its place"),
        ("{\n\"context_servers\": {\"a\": {}}}", Kind::NotAConfiguration, Some(2), None, Some("mcpServers"), "write `mcpServers`"),
        ("{\n\"a\": {\"command\": \"secret\"}}", Kind::NotAConfiguration, Some(2), None, Some("mcpServers"), "around the servers"),
        ("a = 1\n[mcpServers.x]\ncommand = 'secret'", Kind::NotAConfiguration, Some(2), None, Some("mcpServers"), "[mcp_servers.NAME]"),
        ("[mcp-servers.x]\ncommand = 'secret'", Kind::NotAConfiguration, Some(1), None, Some("mcp-servers"), "[mcp_servers.NAME]"),
        ("[mcp.servers.x]\ncommand = 'secret'", Kind::NotAConfiguration, Some(1), None, Some("mcp.servers"), "[mcp_servers.NAME]"),
    ];
    for (text, kind, line, column, key, part) in cases {
        let path = Path::new("dir/\u{1b}[31mconfig");
        let error = parse(text, path, &BTreeMap::new()).unwrap_err();
        let shown = error.to_string();
        assert_eq!(
            (error.kind(), error.line()),
            (*kind, *line),
            "{text:?}: {shown}"
        );
        if column.is_some() {
            assert_eq!(error.column(), *column, "{text:?}: {shown}");
        }
        assert_eq!(error.key(), *key);
        assert_eq!(error.path(), path);
        assert!(shown.contains(part), "{text:?}: {shown}");
        assert!(shown.starts_with("dir/\\u{1b}[31mconfig"), "{shown}");
        assert!(!shown.contains(char::is_control), "{shown:?}");
        let source = error.source().map(ToString::to_string).unwrap_or_default();
        for text in [shown, format!("{error:?}"), source] {
            assert!(!text.contains("secret"), "{text}");
        }
    }
}

/// The mistakes that users make in JSON and TOML, with a part of the remedy.
#[test]
fn a_syntax_error_names_the_usual_remedy() {
    #[rustfmt::skip]
    let cases: &[(&str, u32, &str)] = &[
        // JSON
        ("{“mcpServers”: {}}", 1, "“ is a typographic quotation mark; write straight ones"),
        ("{\"mcpServers\": {\"a\": {\"command\": ‘x’}}}", 1, "‘ is a typographic"),
        ("{\"mcpServers\": {\"a\": {\"command\": \"x”}}}\n", 1, "” is a typographic one"),
        ("{'mcpServers': {}}", 1, "single quotation marks"),
        ("{\"mcpServers\": {\"a\": {\"command\": 'x'}}}", 1, "single quotation marks"),
        ("{mcpServers: {}}", 1, "a key without quotation marks"),
        ("{\"mcpServers\": {\"a\": {\"command\": npx}}}", 1, "a value without quotation marks"),
        ("{\"mcpServers\": {\"a\": {\"enabled\": True}}}", 1, "written in lower case"),
        ("{\"mcpServers\": {\"a\": {\"enabled\": None}}}", 1, "write `null`"),
        ("{\"mcpServers\": {\"a\": {\"command\": \"x\"\n\"args\": []}}}", 2, "at the end of line 1"),
        ("{\"mcpServers\": {\"a\": {}\n\n\"b\": {}}}", 3, "at the end of line 1"),
        ("{\"mcpServers\": {\"a\": {\"args\": [\"x\" \"y\"]}}}", 1, "a comma (`,`) is missing"),
        ("{\"mcpServers\": {\"a\": {\"command\": \"say \"secret\" x\"}}}", 1, "a quotation mark within a text"),
        ("{\"mcpServers\": {\"a\": {\"command\": \"x\"; \"args\": []}}}", 1, "a semicolon"),
        ("{\"mcpServers\" = {}}", 1, "an equals sign"),
        ("{\"mcpServers\" {}}", 1, "a colon (`:`) is missing"),
        ("{\"mcpServers\"}", 1, "a key without a value"),
        ("{\"mcpServers\": }", 1, "a key without a value"),
        ("{\"mcpServers\": {,}}", 1, "one comma too many"),
        ("{\"mcpServers\": {\"a\": {\"args\": [\"x\", , \"y\"]}}}", 1, "one comma too many"),
        ("{\"mcpServers\": {\"a\": {\"command\": \"C:\\Users\\secret\"}}}", 1, "a backslash in a string must be doubled"),
        ("{\"mcpServers\": {\"a\": {\"command\": \"C:\\users\\secret\"}}}", 1, "a backslash in a string must be doubled"),
        ("{\"mcpServers\": {\"a\": {\"command\": \"secret\n}}}", 1, "write the closing quotation mark"),
        ("{\"mcpServers\": {\"a\": {\"command\": \"a\tsecret\"}}}", 1, "write `\\t`"),
        ("{\"mcpServers\": {\n\"a\": {\"command\": \"x\"}\n", 2, "for the `{` in line 1"),
        ("{\"mcpServers\": {\"a\": {\"args\": [\"x\"}}}", 1, "a list is closed with `}`"),
        ("{\"mcpServers\": {\"a\": {\"args\": [\"x\": 1]}}}", 1, "a list has keys"),
        ("{\"mcpServers\": {}}}", 1, "one closing bracket too many"),
        ("{\"mcpServers\": {}}\n{}", 2, "text after the closing bracket"),
        ("{\n<<<<<<< HEAD\n\"mcpServers\": {}}", 2, "merge conflict"),
        ("```json\n{\"mcpServers\": {}}\n```", 1, "a Markdown fence"),
        ("{\"mcpServers\": {}}\n```\n", 2, "a Markdown fence"),
        ("```toml\n[mcp_servers.a]\ncommand = 'secret'\n```", 1, "a Markdown fence"),
        ("[mcp_servers.a]\ncommand = 'secret'\n```\n", 3, "a Markdown fence"),
        ("<<<<<<< secret\n[mcp_servers.a]\n", 1, "merge conflict"),
        ("{\"mcpServers\": {\"a\": {\"timeout\": 01}}}", 1, "not a number"),
        ("\"mcpServers\": {\"a\": {}}", 1, "not valid JSON: the outer braces are missing"),
        ("\"secret\": {\"a\": {}}", 1, "not valid JSON: the outer braces are missing"),
        // TOML
        ("mcpServers:\n  a:\n    command: secret\n", 1, "the file is written in YAML; write it in JSON"),
        ("[mcp_servers.a]\nurl = https://secret", 2, "text without quotation marks"),
        ("[mcp_servers.a]\ncommand = npx", 2, "text without quotation marks"),
        ("[mcp_servers.a]\ncommand =\n", 2, "write the value after `=`"),
        ("[mcp_servers.a]\ncommand: 'secret'\n", 2, "write an equals sign"),
        ("[mcp_servers.a]\nenv = { \"A\": \"secret\" }\n", 2, "write an equals sign"),
        ("[mcp_servers.a]\ncommand = \"C:\\Users\\secret\"\n", 2, "write single quotation marks: 'C:\\Users'"),
        ("[mcp_servers.a]\ncommand = \"C:\\Program Files\\secret\"\n", 2, "write single quotation marks"),
        ("[mcp_servers.a]\ncommand = “secret”\n", 2, "“ is a typographic quotation mark"),
        ("[mcp_servers.a]\ncommand = 'secret',\n", 2, "a comma or semicolon at the end"),
        ("[mcp_servers.a]\ncommand = 'secret' args = []\n", 2, "a line of its own"),
        ("// secret\n[mcp_servers.a]\n", 1, "a comment begins with `#`"),
        ("[mcp_servers.a]\ncommand = 'x' // secret\n", 2, "a comment begins with `#`"),
        ("[mcp_servers.a]\nenabled = True\n", 2, "written in lower case"),
        ("[mcp_servers.a]\nargs = ['secret' 'b']\n", 2, "write `,` between items"),
        ("[mcp_servers.my server]\n", 1, "a name with a space"),
        ("[mcp_servers.a\ncommand = 'secret'\n", 1, "write `]`"),
        ("[mcp_servers.a]\ncommand = \"secret\nargs = []\n", 2, "not closed on its line"),
        ("[mcp_servers.a]\n[mcp_servers.a]\n", 2, "remove one of them"),
        ("[mcp_servers.a]\u{a0}\n", 1, "an invisible character (U+00A0)"),
        ("[\n{\"command\": \"secret\"}]", 2, "{\"mcpServers\": {…}}"),
    ];
    for (text, line, part) in cases {
        let error = parse(text, Path::new("file"), &BTreeMap::new()).unwrap_err();
        assert_eq!(
            (error.kind(), error.line()),
            (Kind::Syntax, Some(*line)),
            "{text}: {error}"
        );
        assert!(error.to_string().contains(part), "{text}: {error}");
        let source = error.source().map(ToString::to_string).unwrap_or_default();
        for shown in [error.to_string(), format!("{error:?}"), source] {
            assert!(!shown.contains("secret"), "{text}: {shown}");
        }
        assert!(error.to_string().chars().count() <= 300, "{error}");
    }
}

/// Texts that JSON does not allow and that have only one meaning.
#[test]
fn comments_trailing_commas_and_invisible_spaces_are_skipped_in_json() {
    // The text, and the line of the warning.
    #[rustfmt::skip]
    let cases: &[(&str, Option<u32>)] = &[
        ("{\"mcpServers\": {\"a\": {\"command\": \"x // y /* z */ # ,}\"}}}", None),
        ("\u{feff}{\"mcpServers\": {\"a\": {\"command\": \"x // y /* z */ # ,}\"}}}", None),
        ("// secret\n/* secret */ {\"mcpServers\": {\"a\": {\"command\": \"x // y /* z */ # ,}\"}}}", Some(1)),
        ("{\"mcpServers\": {\n\"a\": {\"command\": \"x // y /* z */ # ,}\", // secret \"\n},}, // é\n}", Some(2)),
        ("{\"mcpServers\": {\"a\": {\"args\": [\"é\", /* secret */ ], \"command\": \"x // y /* z */ # ,}\"}}}\n// secret", Some(1)),
        ("{\"mcpServers\": {# secret\n\"a\": {\"command\": \"x // y /* z */ # ,}\"}}}", Some(1)),
        ("{\n\u{a0}\"mcpServers\": {\"a\":\u{200b} {\"command\": \"x // y /* z */ # ,}\"}}}", Some(2)),
    ];
    for (text, line) in cases {
        let configuration = parse(text, Path::new("file"), &BTreeMap::new())
            .unwrap_or_else(|error| panic!("{text}: {error}"));
        let config = configuration.servers[0].config.as_ref().unwrap();
        match &config.transport {
            TransportConfig::Stdio(stdio) => assert_eq!(stdio.command, "x // y /* z */ # ,}"),
            TransportConfig::Http(_) => panic!("{text}"),
        }
        let warnings = &configuration.warnings;
        assert_eq!(warnings.first().and_then(|warning| warning.line), *line);
        assert_eq!(warnings.len(), usize::from(line.is_some()), "{warnings:?}");
        assert!(!format!("{warnings:?}").contains("secret"), "{warnings:?}");
    }
}

#[test]
fn deep_nesting_is_an_error_and_not_a_stack_overflow() {
    let deep = |open: &str, close: &str| {
        let many = 100_000;
        format!(
            "{{\"mcpServers\": {{\"a\": {{\"command\": \"a\", \"args\": {}{}}}}}}}",
            open.repeat(many),
            close.repeat(many)
        )
    };
    for text in [deep("[", "]"), deep("{\"a\":", "")] {
        match parse(&text, Path::new("x"), &BTreeMap::new()) {
            Ok(configuration) => assert!(configuration.servers[0].config.is_err()),
            Err(error) => assert_eq!(error.kind(), Kind::Syntax),
        }
    }
    let toml = format!("a = {}{}", "[".repeat(100_000), "]".repeat(100_000));
    let error = parse(&toml, Path::new("x"), &BTreeMap::new()).unwrap_err();
    assert_eq!(error.kind(), Kind::Syntax);
}

#[test]
fn files_that_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let huge = write("huge.toml", b"a = 1\n");
    fs::File::options()
        .write(true)
        .open(&huge)
        .unwrap()
        .set_len(50 * 1024 * 1024)
        .unwrap();
    let mut full = vec![b'#'; MAX_FILE_BYTES];
    let largest = write("largest.toml", &full);
    full.push(b'\n');
    let one_more = write("one-more.toml", &full);

    assert_eq!(
        read(&largest, &ProcessEnvironment).unwrap().servers.len(),
        0
    );
    let cases = [
        (folder.path().join("missing.toml"), Kind::NotFound, None),
        (folder.path().to_owned(), Kind::NotAFile, None),
        (huge, Kind::TooLarge, None),
        (one_more, Kind::TooLarge, None),
        (
            write("latin1.toml", b"a = 1\nb = '\xe9'\n"),
            Kind::NotUtf8,
            Some(2),
        ),
        (
            write("utf16.json", b"\xff\xfe{\0}\0"),
            Kind::NotUtf8,
            Some(1),
        ),
        (largest.join("below-a-file"), Kind::Unreadable, None),
    ];
    for (path, kind, line) in cases {
        let error = read(&path, &ProcessEnvironment).unwrap_err();
        // Windows reports "not found" for a path below a file.
        if !(cfg!(windows) && kind == Kind::Unreadable) {
            assert_eq!((error.kind(), error.line()), (kind, line), "{error}");
        }
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(error.to_string().contains(&name), "{error}");
        let has_source = matches!(
            error.kind(),
            Kind::NotFound | Kind::Unreadable | Kind::NotUtf8
        );
        assert_eq!(error.source().is_some(), has_source, "{error}");
    }
    let error = parse(
        &" ".repeat(MAX_FILE_BYTES + 1),
        Path::new("x"),
        &BTreeMap::new(),
    );
    assert_eq!(error.unwrap_err().kind(), Kind::TooLarge);
}

#[cfg(unix)]
#[test]
fn a_file_without_permission() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    fs::write(&path, "").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read(&path).is_ok() {
        return; // The superuser can read every file.
    }
    let error = read(&path, &ProcessEnvironment).unwrap_err();
    assert_eq!(error.kind(), Kind::Unreadable);
    assert!(error.to_string().contains("permissions"));
}

#[cfg(unix)]
#[test]
fn a_device_is_not_read() {
    let error = read(Path::new("/dev/zero"), &ProcessEnvironment).unwrap_err();
    assert_eq!(error.kind(), Kind::NotAFile);
}

/// `/proc/kmsg` and others have no size, and a read waits for an event.
#[test]
#[cfg(target_os = "linux")]
fn a_file_of_the_kernel_counts_as_empty() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(".mcp.json");
    std::os::unix::fs::symlink("/proc/self/environ", &path).unwrap();
    let error = read(&path, &ProcessEnvironment).unwrap_err();
    assert!(error.to_string().contains("the file is empty"), "{error}");
}

#[test]
fn many_servers_are_read_in_time() {
    let mut json = String::from("{\"mcpServers\": {");
    let mut toml = String::new();
    for index in 0..1_999 {
        json += &format!("\"s{index}\": {{\"url\": \"https://example.com/{index}\"}},\n");
        toml += &format!("[mcp_servers.s{index}]\nurl = \"https://example.com/{index}\"\n");
    }
    json += "\"last\": {}}}";
    toml += "[mcp_servers.last]\n";
    for (text, line) in [(json, 2_000), (toml, 3_999)] {
        let configuration = parse(&text, Path::new("x"), &BTreeMap::new()).unwrap();
        assert_eq!(configuration.servers.len(), MAX_SERVERS);
        let problem = configuration.servers[1_999].config.as_ref().unwrap_err();
        assert_eq!(problem.line, Some(line));
    }
}

#[test]
fn more_servers_than_the_limit_are_refused() {
    let json: String = (0..2_001)
        .map(|index| format!("\"s{index}\": {{}},"))
        .collect();
    let toml: String = (0..2_001)
        .map(|index| format!("[mcp_servers.s{index}]\n"))
        .collect();
    for (text, key) in [
        (
            format!("{{\"mcpServers\": {{{json} \"s0\": {{}}}}}}"),
            "mcpServers",
        ),
        (toml, "mcp_servers"),
    ] {
        let error = parse(&text, Path::new("x"), &BTreeMap::new()).unwrap_err();
        assert_eq!(error.kind(), Kind::TooLarge);
        assert_eq!(error.key(), Some(key));
        let expected = format!("`{key}` has 2001 entries, and at most 2000 servers are read");
        assert!(error.to_string().contains(&expected), "{error}");
    }
}

#[test]
fn an_untrusted_project_file_is_found_but_not_read() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(untrusted_project_file(folder.path()), None);
    fs::create_dir(folder.path().join(".mcp.json")).unwrap();
    assert_eq!(untrusted_project_file(folder.path()), None);
    fs::remove_dir(folder.path().join(".mcp.json")).unwrap();
    fs::write(folder.path().join(".mcp.json"), "not JSON").unwrap();
    assert_eq!(
        untrusted_project_file(folder.path()),
        Some(folder.path().join(".mcp.json"))
    );
}

/// Every text that differs from a configuration by one character is read, or has an error that can be shown.
#[test]
fn one_wrong_character_never_breaks_the_reader() {
    let json = "// é\n{\"mcpServers\": {\"a\": {\"type\": \"http\", \"url\": \"${env:BASE}/é\", \"headers\": {\"X\": \"$A ${B:-c}\"}}, \"b\": {\"command\": \"C:\\\\x\", \"args\": [\"~/é\", 1,],},},}";
    let toml = "# é\n[mcp_servers.a]\nurl = \"http://x/é\"\nhttp_headers = { X = '%A_B%' }\n[mcp_servers.\"b é\"]\ncommand = 'x'\nargs = [\"{env:A}\", '${input:é}']\nenv_vars = ['A']\n";
    let wrong = [
        "", "\"", "'", "{", "}", "[", "]", ",", ":", "=", ";", "\\", "/", "/*", "#", "$", "${",
        "%", "~", "\n", "\t", "\0", "“", "\u{a0}", "\u{feff}", "é", "<<<<<<<", "x", "1",
    ];
    for text in [json, toml] {
        for (at, character) in text.char_indices() {
            for wrong in wrong {
                let (before, after) = text.split_at(at);
                for rest in [after, &after[character.len_utf8()..]] {
                    let changed = format!("{before}{wrong}{rest}");
                    let shown: Vec<String> =
                        match parse(&changed, Path::new("file"), &BTreeMap::new()) {
                            Err(error) => vec![error.to_string()],
                            Ok(configuration) => {
                                let of_servers = configuration.servers.iter().flat_map(|server| {
                                    let config = server.config.as_ref();
                                    let causes = config.map(|config| &config.possible_causes);
                                    let warnings = server.warnings.iter();
                                    warnings
                                        .chain(&server.compatibility_warnings)
                                        .chain(causes.into_iter().flatten())
                                        .chain(config.err())
                                });
                                let all = configuration.warnings.iter().chain(of_servers);
                                all.map(ToString::to_string).collect()
                            }
                        };
                    for shown in shown {
                        let is_short = shown.chars().count() <= 300;
                        assert!(
                            is_short && !shown.contains(char::is_control),
                            "{changed}: {shown}"
                        );
                    }
                }
            }
        }
    }
}
