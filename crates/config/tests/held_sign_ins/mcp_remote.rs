//! The files of `mcp-remote`, whose names are hashes of the URL and the options.

use std::path::Path;

use mcp_startup_config::held_sign_ins::{HeldSignIns, SignInHolder, SoughtServer};
use mcp_startup_config::{
    HeldSignIn, ServerConfig, StorageKeys, read_option_file, unwrap_mcp_remote,
};

use crate::machine::*;

/// The keys of a command with a URL and options.
fn keys(url: &str, options: &[&str]) -> StorageKeys {
    let arguments = ["-y", "mcp-remote", url]
        .into_iter()
        .chain(options.iter().copied());
    let entry = ServerConfig::stdio("any", "npx", arguments).unwrap();
    let entry = entry.with_env("D_TOKEN", "not-a-real-token").unwrap();
    let found = unwrap_mcp_remote(&entry, &home(), &read_option_file);
    found.unwrap().unwrap().storage_keys
}

fn find_wrapped(files: &Files, url: &str, options: &[&str]) -> Option<HeldSignIn> {
    let machine = TestMachine::new(files);
    let locations = machine.locations();
    let mut held = HeldSignIns::read(&[SignInHolder::McpRemote], locations, MODIFIED);
    held.find(&SoughtServer {
        name: "any",
        url,
        owners: &[],
        started_by: None,
        mcp_remote: Some(&keys(url, options)),
    })
}

/// The names of the fixtures are real keys of `mcp-remote`: see the README of its samples.
#[test]
fn the_options_of_mcp_remote_select_its_sign_in() {
    let files = Files::of("mcp-remote");
    let with_header: &[&str] = &["--header", "Authorization: Bearer ${D_TOKEN}"];
    let with_resource: &[&str] = &["--resource", "https://tenant1.example.com/"];
    let without: &[&str] = &[];
    for (url, options, expected) in [
        (
            "https://a.example.com/mcp",
            without,
            Some("not-a-real-token-a"),
        ),
        (
            "https://d.example.com/mcp",
            with_header,
            Some("not-a-real-token-d"),
        ),
        (
            "https://f.example.com/mcp",
            with_resource,
            Some("not-a-real-token-f"),
        ),
        ("https://a.example.com/mcp", with_header, None),
        ("https://d.example.com/mcp", without, None),
        ("https://f.example.com/mcp", without, None),
        ("https://f.example.com/mcp", with_header, None),
    ] {
        let found = find_wrapped(&files, url, options);
        assert_eq!(found.as_ref().and_then(token), expected, "{url}");
    }
}

#[test]
fn the_hash_of_mcp_remote_contains_all_options() {
    let options = [
        "--resource",
        "https://r.example",
        "--authorize-param",
        "prompt=login",
        "--header",
        "X-B: 2",
        "--header",
        "X-A: 1",
        "--client-metadata-url",
        "https://c.example/client.json",
    ];
    let token = r#"{"access_token": "t", "expires_in": 3600}"#;
    for (hash, expected) in [
        // printf '%s' 'https://a.example/mcp|https://r.example|{"prompt":"login"}|{"X-A":"1","X-B":"2"}|https://c.example/client.json' | md5sum
        ("c1feaf210616ce3ea0f1668b332f0e38", true),
        // printf '%s' 'https://a.example/mcp|https://r.example|{"X-A":"1","X-B":"2"}' | md5sum
        ("fab4e10d65440f38c85278195b4b524f", true),
        ("00000000000000000000000000000000", false),
    ] {
        let path = format!("{HOME}/.mcp-auth/mcp-remote-v1/{hash}_tokens.json");
        let files = Files::with(&path, token);
        let found = find_wrapped(&files, "https://a.example/mcp", &options);
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
    let found = find_wrapped(&files, "https://a.example.com/mcp", &[]).unwrap();
    assert_eq!(token(&found), Some("current"));
}

/// The user can't open `mcp-remote` itself.
#[test]
fn the_sign_in_names_the_client_that_starts_mcp_remote() {
    let files = Files::of("mcp-remote");
    let machine = TestMachine::new(&files);
    let locations = machine.locations();
    let mut held = HeldSignIns::read(&[SignInHolder::McpRemote], locations, MODIFIED);
    for (started_by, expected) in [
        (Some("Claude Desktop"), "Claude Desktop"),
        (None, "a client that uses mcp-remote"),
    ] {
        let found = held.find(&SoughtServer {
            name: "any",
            url: "https://a.example.com/mcp",
            owners: &[],
            started_by,
            mcp_remote: None,
        });
        assert_eq!(found.unwrap().client, expected);
    }
}
