//! Stores that are damaged, incomplete, too large or unreadable, and records without a usable token.

use std::fs;
use std::io;
use std::path::Path;

use mcp_startup_config::held_sign_ins::{MAX_STORE_BYTES, StoreFiles, SystemFiles};
use mcp_startup_core::HeldSignInState::{UnknownUrl, Valid};

use crate::machine::*;

#[test]
fn a_damaged_store_has_no_sign_in_and_a_note_without_its_text() {
    for store in recorded() {
        let whole = Files::of(store.fixture);
        let halves: [fn(&str) -> String; 4] = [
            |text| text[..text.len() / 2].to_owned(),
            |text| text[..text.len() - 3].to_owned(),
            |text| format!("not-a-real-token {text}"),
            |text| text.replace(':', "= not-a-real-token"),
        ];
        for damage in halves {
            let files = whole.clone().map(damage);
            let (found, notes) = find_owned(&files, store.name, store.url, 0, &[]);
            assert!(found.is_none(), "{}", store.fixture);
            let [note] = &notes[..] else {
                panic!("{}: {notes:?}", store.fixture)
            };
            assert_eq!(note.holder, store.holder);
            assert!(!note.problem.contains("not-a-real"), "{}", note.problem);
        }
        // Bytes that are not UTF-8.
        let mut files = whole.clone();
        for bytes in files.files.values_mut() {
            *bytes = vec![0xff; 100];
        }
        let (found, notes) = find_owned(&files, store.name, store.url, 0, &[]);
        assert!(found.is_none());
        assert_eq!(notes.len(), 1);
    }
}

#[test]
fn a_store_that_is_cut_anywhere_is_tolerated() {
    for store in recorded() {
        let whole = Files::of(store.fixture);
        let length = whole.files.values().map(Vec::len).max().unwrap();
        for end in 0..length {
            let mut files = whole.clone();
            files
                .files
                .values_mut()
                .for_each(|bytes| bytes.truncate(end));
            if let Some(found) = find(&files, store.name, store.url, 0) {
                assert_eq!(token(&found), Some(store.token), "{} {end}", store.fixture);
            }
        }
    }
    let whole = Files::of("goose").files.into_values().next().unwrap();
    for end in 0..whole.len() {
        let text = String::from_utf8_lossy(&whole[..end]).into_owned();
        let files = Files::with("/home/sam/.config/goose/secrets.yaml", &text);
        let found = find(&files, "tickets", "https://any.example.com/mcp", 0);
        assert!(found.is_none_or(|found| found.state == UnknownUrl));
    }
}

#[test]
fn a_store_with_another_structure_has_a_note() {
    for (path, text) in [
        (".claude/.credentials.json", "[]"),
        (".claude/.credentials.json", "7"),
        (".claude/.credentials.json", r#"{"mcpOAuth": "text"}"#),
        (".gemini/mcp-oauth-tokens.json", r#""text""#),
        (".gemini/mcp-oauth-tokens.json", "null"),
    ] {
        let files = Files::with(&format!("{HOME}/{path}"), text);
        let (found, notes) = find_owned(&files, "a", "https://a.example.com", 0, &[]);
        assert!(found.is_none());
        assert_eq!(notes.len(), 1, "{text}");
    }
    // A store without sign-ins.
    for (path, text) in [
        (".claude/.credentials.json", r#"{"claudeAiOauth": {}}"#),
        (".claude/.credentials.json", r#"{"mcpOAuth": null}"#),
        (
            ".claude/.credentials.json",
            r#"{"mcpOAuth": {"a|1": null, "b|2": [], "c|3": 7}}"#,
        ),
        (".claude/.credentials.json", " \n"),
        (".gemini/mcp-oauth-tokens.json", "[]"),
        (".gemini/mcp-oauth-tokens.json", "[null, 7, {\"token\": 7}]"),
    ] {
        let files = Files::with(&format!("{HOME}/{path}"), text);
        let (found, notes) = find_owned(&files, "a", "https://a.example.com", 0, &[]);
        assert!(found.is_none());
        assert_eq!(notes, [], "{text}");
    }
}

#[test]
fn a_store_that_can_not_be_read_has_a_note() {
    for (error, expected) in [
        (
            io::ErrorKind::PermissionDenied,
            "you do not have permission to read it",
        ),
        (io::ErrorKind::InvalidInput, "it can't be read"),
        (io::ErrorKind::FileTooLarge, "it is larger than 4 MiB"),
    ] {
        let mut files = Files::of("claude-code");
        files.error = Some(error);
        let url = "https://tickets.example.com/mcp";
        let (found, notes) = find_owned(&files, "tickets", url, 0, &[]);
        assert!(found.is_none());
        assert_eq!(notes.len(), 1);
        assert_eq!(notes[0].problem, expected);
        assert_eq!(
            notes[0].path,
            Path::new("/home/sam/.claude/.credentials.json")
        );
    }
    let text = format!(
        "{{\"mcpOAuth\": {{\"x\": \"{}\"}}}}",
        "x".repeat(MAX_STORE_BYTES)
    );
    let files = Files::with("/home/sam/.claude/.credentials.json", &text);
    let (_, notes) = find_owned(&files, "a", "https://a.example.com", 0, &[]);
    assert_eq!(notes[0].problem, "it is larger than 4 MiB");
}

#[test]
fn stubs_and_tokens_that_can_not_be_sent_are_ignored() {
    let url = "https://a.example.com/mcp";
    for (token, expires) in [
        ("", "0"),
        ("", "2000000000000"),
        ("stub", "0"),
        ("two words", "2000000000000"),
        (r"line\nbreak", "2000000000000"),
        ("umläut", "2000000000000"),
    ] {
        let files = claude(&[("a", url, token, expires)]);
        assert!(find(&files, "a", url, 1).is_none(), "{token}");
    }
    for (token_type, expected) in [
        ("bearer", true),
        ("Bearer", true),
        ("", true),
        ("DPoP", false),
    ] {
        let text = format!(
            r#"{{"{url}": {{"token": {{"access_token": "t", "token_type": "{token_type}"}}}}}}"#
        );
        let path = "/home/sam/.gemini/antigravity-cli/mcp_oauth_tokens.json";
        let found = find(&Files::with(path, &text), "a", url, 1);
        assert_eq!(found.is_some(), expected, "{token_type}");
    }
}

#[test]
fn the_files_of_this_machine_are_read_up_to_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.json");
    fs::write(&path, "12345").unwrap();
    assert_eq!(SystemFiles.read(&path, 5).unwrap(), b"12345");
    let kind = |found: io::Result<Vec<u8>>| found.unwrap_err().kind();
    assert_eq!(
        kind(SystemFiles.read(&path, 4)),
        io::ErrorKind::FileTooLarge
    );
    assert_eq!(
        kind(SystemFiles.read(folder.path(), 4)),
        io::ErrorKind::IsADirectory
    );
    let missing = folder.path().join("missing");
    assert_eq!(kind(SystemFiles.read(&missing, 4)), io::ErrorKind::NotFound);
    assert_eq!(SystemFiles.list(folder.path()), std::slice::from_ref(&path));
    assert!(SystemFiles.list(&missing).is_empty());
    assert!(SystemFiles.modified_ms(&path).unwrap() > 1_700_000_000_000);
}

#[test]
fn a_store_with_any_changed_byte_is_tolerated() {
    for store in recorded() {
        let whole = Files::of(store.fixture);
        for (path, bytes) in &whole.files {
            for at in 0..bytes.len() {
                for byte in *b"\"{]0,\xff" {
                    let mut files = whole.clone();
                    files.files.get_mut(path).unwrap()[at] = byte;
                    if let Some(found) = find(&files, store.name, store.url, 0) {
                        let is_valid = found.state == Valid;
                        assert_eq!(found.access_token.is_some(), is_valid, "{path:?} {at}");
                    }
                }
            }
        }
    }
}
