//! Files that cannot be read, and texts that are not a configuration.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;

use mcp_startup_config::ConfigurationErrorKind as Kind;
use mcp_startup_config::*;

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
        ("\u{feff}{\n \"a\": \"secret\",\n}", Kind::Syntax, Some(3), Some(1), None, "line 3, column 1: not valid JSON: trailing comma;"),
        ("{", Kind::Syntax, Some(1), Some(1), None, "not valid JSON: EOF"),
        ("{} secret", Kind::Syntax, Some(1), Some(4), None, "not valid JSON: trailing characters;"),
        ("{\"mcpServers\": {\"a\": {\"url\": \"secret}}}", Kind::Syntax, Some(1), None, None, "not valid JSON"),
        ("{\n// a comment\n}", Kind::Syntax, Some(2), Some(1), None, "not valid JSON"),
        ("mcp_servers = 'secret'", Kind::NotAConfiguration, Some(1), None, Some("mcp_servers"), "`mcp_servers` must be a table"),
        ("a = 1\n[[mcp_servers]]\nurl = 'secret'", Kind::NotAConfiguration, Some(2), None, Some("mcp_servers"), "must be a table"),
        ("{}", Kind::NotAConfiguration, None, None, Some("mcpServers"), "the key `mcpServers` is missing"),
        ("{\"servers\": {\"a\": \"secret\"}}", Kind::NotAConfiguration, None, None, Some("mcpServers"), "mcpServers"),
        ("{\n\"mcpServers\": [\"secret\"]}", Kind::NotAConfiguration, Some(2), None, Some("mcpServers"), "must be an object"),
        ("{\"mcpServers\": null}", Kind::NotAConfiguration, Some(1), None, Some("mcpServers"), "must be an object"),
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

#[test]
fn many_servers_are_read_in_time() {
    let mut json = String::from("{\"mcpServers\": {");
    let mut toml = String::new();
    for index in 0..20_000 {
        json += &format!("\"s{index}\": {{\"url\": \"https://example.com/{index}\"}},\n");
        toml += &format!("[mcp_servers.s{index}]\nurl = \"https://example.com/{index}\"\n");
    }
    json += "\"last\": {}}}";
    toml += "[mcp_servers.last]\n";
    for (text, line) in [(json, 20_001), (toml, 40_001)] {
        let configuration = parse(&text, Path::new("x"), &BTreeMap::new()).unwrap();
        assert_eq!(configuration.servers.len(), 20_001);
        let problem = configuration.servers[20_000].config.as_ref().unwrap_err();
        assert_eq!(problem.line, Some(line));
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
