//! The sign-ins of each client: valid, expired, for another URL, and by name. No store is changed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use mcp_startup_config::held_sign_ins::{
    HeldSignIns, SignInHolder, SoughtServer, StoreLocations, SystemFiles,
};
use mcp_startup_core::HeldSignInState::{Expired, UnknownUrl, Valid};

use crate::machine::*;

#[test]
fn a_valid_token_is_found_for_its_url() {
    for store in recorded() {
        let files = Files::of(store.fixture);
        let found = find(&files, store.name, store.url, store.expires - 60_000);
        let found = found.unwrap_or_else(|| panic!("{}", store.fixture));
        let client = match store.holder {
            SignInHolder::McpRemote => "a client that uses mcp-remote",
            holder => holder.name(),
        };
        assert_eq!(found.client, client);
        assert_eq!(found.state, Valid, "{}", store.fixture);
        assert_eq!(token(&found), Some(store.token), "{}", store.fixture);
        let expires = u64::try_from(store.expires).unwrap();
        assert_eq!(found.expires_at_ms, Some(expires), "{}", store.fixture);
        assert_eq!(found.refresh_token, !store.refresh_field.is_empty());
    }
}

#[test]
fn the_name_need_not_match_if_the_url_does() {
    for store in recorded() {
        let files = Files::of(store.fixture);
        let (found, _) = find_owned(&files, "another", store.url, store.expires - 60_000, &[]);
        assert_eq!(found.map(|found| found.state), Some(Valid));
    }
}

#[test]
fn an_expired_token_is_not_returned() {
    for store in recorded() {
        let files = Files::of(store.fixture);
        // A token that expires within 30 s counts as expired.
        for now in [store.expires - 29_000, store.expires, i64::MAX] {
            let found = find(&files, store.name, store.url, now).unwrap();
            assert_eq!(found.state, Expired, "{}", store.fixture);
            assert!(found.access_token.is_none());
            assert_eq!(found.refresh_token, !store.refresh_field.is_empty());
        }
    }
}

#[test]
fn an_expired_token_without_a_refresh_token_can_not_be_refreshed_by_its_client_either() {
    for store in recorded() {
        if store.refresh_field.is_empty() {
            continue;
        }
        let field = format!("\"{}\"", store.refresh_field);
        let without = Files::of(store.fixture).map(|text| text.replace(&field, "\"other\""));
        let blank = Files::of(store.fixture).map(|text| {
            text.replace("not-a-real-refresh-a", " ")
                .replace("not-a-real-refresh", " ")
        });
        for files in [without, blank] {
            let found = find(&files, store.name, store.url, store.expires).unwrap();
            assert_eq!(found.state, Expired, "{}", store.fixture);
            assert!(!found.refresh_token, "{}", store.fixture);
        }
    }
}

#[test]
fn a_sign_in_for_another_url_is_not_found() {
    for store in recorded() {
        let files = Files::of(store.fixture);
        let others = [
            format!("{}/", store.url),
            format!("{}/more", store.url),
            format!("{}2", store.url),
            format!("{}?tenant=1", store.url),
            format!("{}#part", store.url),
            store.url.replace("https:", "http:"),
            store.url.replace(".com/", ".com:8443/"),
            store
                .url
                .replace(".example.com", ".example.com.attacker.example"),
            store.url.rsplit_once('/').unwrap().0.to_owned(),
            "not a URL".to_owned(),
        ];
        for url in others {
            let found = find(&files, store.name, &url, store.expires - 60_000);
            // The name of Kiro's file has no query and no fragment.
            let is_hashed_without = store.holder == SignInHolder::Kiro && url.contains(['?', '#']);
            let expected = is_hashed_without.then_some(UnknownUrl);
            assert_eq!(found.as_ref().map(|found| found.state), expected, "{url}");
            assert!(found.is_none_or(|found| found.access_token.is_none()));
        }
    }
}

#[test]
fn a_url_that_is_equal_after_parsing_matches() {
    for store in recorded() {
        let files = Files::of(store.fixture);
        let (_, rest) = store.url.split_once("://").unwrap();
        let (host, path) = rest.split_once('/').unwrap();
        let url = format!("HTTPS://{}:443/a/../{path}", host.to_uppercase());
        let found = find(&files, store.name, &url, store.expires - 60_000);
        assert_eq!(
            found.map(|found| found.state),
            Some(Valid),
            "{}",
            store.fixture
        );
    }
}

#[test]
fn a_sign_in_that_is_stored_by_name_is_listed_without_its_token() {
    for (holder, fixture, name) in NAMED {
        let files = Files::of(fixture);
        for now in [0, EXPIRES - 60_000, EXPIRES + 1] {
            let url = "https://any.example.com/mcp";
            let (found, notes) = find_owned(&files, name, url, now, &[holder]);
            let found = found.unwrap_or_else(|| panic!("{fixture}"));
            assert_eq!(found.client, holder.name());
            assert_eq!(found.state, UnknownUrl);
            assert!(found.access_token.is_none());
            assert!(found.refresh_token);
            assert_eq!(notes, []);
        }
    }
}

#[test]
fn a_name_matches_only_in_the_stores_of_the_clients_that_have_the_server() {
    for (holder, fixture, name) in NAMED {
        let files = Files::of(fixture);
        let url = "https://any.example.com/mcp";
        for (name, owners) in [
            (name, &[][..]),
            (name, &[SignInHolder::ClaudeCode]),
            ("another", &[holder]),
        ] {
            assert!(
                find_owned(&files, name, url, 0, owners).0.is_none(),
                "{fixture}"
            );
        }
    }
    // The Cursor CLI has a store for each project.
    let files = Files::of("cursor-cli");
    let machine = TestMachine::new(&files);
    for project in [None, Some(Path::new("/home/sam/work/other"))] {
        let locations = StoreLocations {
            project,
            ..machine.locations()
        };
        let mut held = HeldSignIns::read(SignInHolder::ALL, locations, 0);
        let found = held.find(&SoughtServer {
            name: "design",
            url: "https://any.example.com/mcp",
            owners: SignInHolder::ALL,
            started_by: None,
            mcp_remote: None,
        });
        assert!(found.is_none());
    }
}

#[test]
fn a_record_without_its_url_is_listed_without_its_token() {
    for (fixture, holder, name, field) in [
        (
            "claude-code",
            SignInHolder::ClaudeCode,
            "tickets",
            "\"serverUrl\"",
        ),
        (
            "gemini-cli",
            SignInHolder::GeminiCli,
            "cloud",
            "\"mcpServerUrl\"",
        ),
        (
            "opencode-v1",
            SignInHolder::Opencode,
            "tickets",
            "\"serverUrl\"",
        ),
    ] {
        let files = Files::of(fixture).map(|text| text.replace(field, "\"other\""));
        let url = "https://tickets.example.com/mcp";
        let (found, _) = find_owned(&files, name, url, 0, &[holder]);
        let found = found.unwrap();
        assert_eq!(
            (found.state, token(&found)),
            (UnknownUrl, None),
            "{fixture}"
        );
    }
}

#[test]
fn a_token_without_an_expiry_is_valid() {
    let url = "https://a.example.com/mcp";
    for (path, text) in [
        (
            ".local/share/opencode/mcp-auth.json",
            r#"{"a": {"serverUrl": "https://a.example.com/mcp", "tokens": {"accessToken": "t", "expiresAt": 0}}}"#,
        ),
        (
            ".gemini/antigravity-cli/mcp_oauth_tokens.json",
            r#"{"https://a.example.com/mcp": {"token": {"access_token": "t", "expiry": "0001-01-01T00:00:00Z"}}}"#,
        ),
        (
            ".claude/.credentials.json",
            r#"{"mcpOAuth": {"a|1": {"serverName": "a", "serverUrl": "https://a.example.com/mcp", "accessToken": "t", "expiresAt": "soon"}}}"#,
        ),
    ] {
        let files = Files::with(&format!("{HOME}/{path}"), text);
        let found = find(&files, "a", url, EXPIRES).unwrap();
        assert_eq!((found.state, found.expires_at_ms), (Valid, None), "{path}");
    }
}

#[test]
fn no_debug_output_contains_a_token() {
    for store in recorded() {
        let found = find(&Files::of(store.fixture), store.name, store.url, 0).unwrap();
        assert!(token(&found).is_some());
        let evidence = serde_json::to_string(&found.evidence()).unwrap();
        for text in [format!("{found:?}"), format!("{found:#?}"), evidence] {
            assert!(!text.contains("not-a-real"), "{text}");
        }
    }
}

/// Reads all fixtures from a disk, and compares every file, its time and the folders before and after.
#[test]
#[cfg_attr(windows, ignore = "the fixtures are in the places of Linux")]
fn reading_changes_no_byte_of_any_store() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    for fixture in fs::read_dir(fixtures()).unwrap() {
        let root = fixture.unwrap().path().join("home");
        for path in tree(&root) {
            let to = home.join(path.strip_prefix(&root).unwrap());
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(path, to).unwrap();
        }
    }
    let snapshot = || -> Vec<(PathBuf, Vec<u8>, SystemTime)> {
        let files = tree(folder.path()).into_iter();
        files
            .map(|path| {
                let modified = fs::metadata(&path).unwrap().modified().unwrap();
                (path.clone(), fs::read(path).unwrap(), modified)
            })
            .collect()
    };
    let before = snapshot();
    assert!(before.len() >= 17);
    let mut machine = TestMachine::new(&SystemFiles);
    let at_home = ("HOME".to_owned(), home.to_str().unwrap().to_owned());
    machine.environment = BTreeMap::from([at_home]);
    let locations = machine.locations();
    for now in [0, EXPIRES, i64::MAX] {
        let mut held = HeldSignIns::read(SignInHolder::ALL, locations, now);
        for store in recorded() {
            let found = held.find(&SoughtServer {
                name: store.name,
                url: store.url,
                owners: SignInHolder::ALL,
                started_by: None,
                mcp_remote: None,
            });
            assert!(found.is_some(), "{}", store.fixture);
        }
        assert_eq!(held.notes(), []);
    }
    assert_eq!(snapshot(), before);
}
