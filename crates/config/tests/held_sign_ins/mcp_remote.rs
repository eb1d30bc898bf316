//! The files of `mcp-remote`, whose names are hashes of the URL and the options.

use std::collections::BTreeMap;
use std::path::Path;

use mcp_startup_config::HeldSignIn;
use mcp_startup_config::held_sign_ins::{
    HeldSignIns, McpRemoteOptions, SignInHolder, SoughtServer,
};

use crate::machine::*;

fn find_wrapped(files: &Files, url: &str, options: &McpRemoteOptions) -> Option<HeldSignIn> {
    let environment = home();
    let locations = locations(files, &environment);
    let mut held = HeldSignIns::read(&[SignInHolder::McpRemote], &locations, MODIFIED);
    held.find(&SoughtServer {
        name: "any",
        url,
        owners: &[],
        mcp_remote: Some(options),
    })
}

/// The names of the fixtures are real keys of `mcp-remote`: see the README of its samples.
#[test]
fn the_options_of_mcp_remote_select_its_sign_in() {
    let files = Files::of("mcp-remote");
    let with_header = McpRemoteOptions {
        headers: BTreeMap::from([("Authorization".to_owned(), "Bearer ${D_TOKEN}".to_owned())]),
        ..McpRemoteOptions::default()
    };
    let with_resource = McpRemoteOptions {
        resource: Some("https://tenant1.example.com/".to_owned()),
        ..McpRemoteOptions::default()
    };
    let without = McpRemoteOptions::default();
    for (url, options, expected) in [
        (
            "https://a.example.com/mcp",
            &without,
            Some("not-a-real-token-a"),
        ),
        (
            "https://d.example.com/mcp",
            &with_header,
            Some("not-a-real-token-d"),
        ),
        (
            "https://f.example.com/mcp",
            &with_resource,
            Some("not-a-real-token-f"),
        ),
        ("https://a.example.com/mcp", &with_header, None),
        ("https://d.example.com/mcp", &without, None),
        ("https://f.example.com/mcp", &without, None),
        ("https://f.example.com/mcp", &with_header, None),
    ] {
        let found = find_wrapped(&files, url, options);
        assert_eq!(found.as_ref().and_then(token), expected, "{url}");
    }
}

#[test]
fn the_hash_of_mcp_remote_contains_all_options() {
    let map = |pairs: &[(&str, &str)]| {
        let pairs = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        pairs.collect::<BTreeMap<_, _>>()
    };
    let options = McpRemoteOptions {
        started_by: None,
        resource: Some("https://r.example".to_owned()),
        authorize_params: map(&[("prompt", "login"), ("audience", "x")]),
        headers: map(&[("X-B", "2"), ("X-A", "1")]),
        client_metadata_url: Some("https://c.example/client.json".to_owned()),
        token_endpoint: Some("https://t.example/token".to_owned()),
    };
    let token = r#"{"access_token": "t", "expires_in": 3600}"#;
    for (hash, expected) in [
        // printf '%s' 'https://a.example/mcp|https://r.example|{"audience":"x","prompt":"login"}|{"X-A":"1","X-B":"2"}|https://c.example/client.json|https://t.example/token' | md5sum
        ("eb58bef054a0b2fa1318785fad5c992c", true),
        // printf '%s' 'https://a.example/mcp|https://r.example|{"X-A":"1","X-B":"2"}' | md5sum
        ("fab4e10d65440f38c85278195b4b524f", true),
        ("00000000000000000000000000000000", false),
    ] {
        let path = format!("{HOME}/.mcp-auth/mcp-remote-v1/{hash}_tokens.json");
        let found = find_wrapped(
            &Files::with(&path, token),
            "https://a.example/mcp",
            &options,
        );
        assert_eq!(found.is_some(), expected, "{hash}");
    }
}

#[test]
fn the_newest_of_the_versions_of_mcp_remote_is_used() {
    let mut files = Files::of("mcp-remote");
    let name = "8f5b14cf9d402652c6b64fb3a791d90c_tokens.json";
    for (folder, token, expires) in [
        ("mcp-remote-0.1.36", "early", EXPIRES - 1000),
        ("mcp-remote-v1", "current", EXPIRES + 1000),
        ("mcp-remote-0.1.37", "expired", 1000),
        ("other", "elsewhere", EXPIRES + 9000),
    ] {
        let text = format!(r#"{{"access_token": "{token}", "expires_at": {expires}}}"#);
        let path = Path::new(HOME).join(".mcp-auth").join(folder).join(name);
        files.files.insert(path, text.into_bytes());
    }
    let options = McpRemoteOptions::default();
    let found = find_wrapped(&files, "https://a.example.com/mcp", &options).unwrap();
    assert_eq!(token(&found), Some("current"));
}

/// The user can't open `mcp-remote` itself.
#[test]
fn the_sign_in_names_the_client_that_starts_mcp_remote() {
    let files = Files::of("mcp-remote");
    for (started_by, expected) in [
        (Some("Claude Desktop".to_owned()), "Claude Desktop"),
        (None, "a client that uses mcp-remote"),
    ] {
        let options = McpRemoteOptions {
            started_by,
            ..McpRemoteOptions::default()
        };
        let found = find_wrapped(&files, "https://a.example.com/mcp", &options).unwrap();
        assert_eq!(found.client, expected);
    }
}
