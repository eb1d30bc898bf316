//! The choice between several sign-ins for a server.

use std::time::{Duration, Instant};

use mcp_startup_config::ServerConfig;
use mcp_startup_config::held_sign_ins::{HeldSignIns, SignInHolder, SoughtServer};
use mcp_startup_core::HeldSignInState::{self, Expired, UnknownUrl, Valid};

use crate::machine::*;

#[test]
fn the_newest_valid_sign_in_is_used() {
    let url = "https://a.example.com/mcp";
    let files = claude(&[
        ("b", url, "early", "1000000"),
        ("a", url, "expired", "10"),
        ("c", url, "late", "3000000"),
        ("d", "https://d.example.com/mcp", "foreign", "9000000"),
        ("e", url, "middle", "2000000"),
    ]);
    let found = find(&files, "z", url, 100).unwrap();
    assert_eq!(token(&found), Some("late"));
    // A valid one takes precedence over the one with the name.
    assert_eq!(token(&find(&files, "a", url, 100).unwrap()), Some("late"));
    // If several are valid, the one with the name.
    assert_eq!(token(&find(&files, "b", url, 100).unwrap()), Some("early"));
    let expired = find(&files, "a", url, 9_000_000).unwrap();
    assert_eq!((expired.state, expired.expires_at_ms), (Expired, Some(10)));
}

#[test]
fn the_best_sign_in_of_several_clients_is_used() {
    let url = "https://tickets.example.com/mcp";
    let mut files = Files::of("goose");
    let owners = SignInHolder::ALL;
    let state = |files: &Files, now| {
        let (found, _) = find_owned(files, "tickets", url, now, owners);
        found.map(|found| (found.client, found.state))
    };
    let of = |client: &str, state: HeldSignInState| Some((client.to_owned(), state));
    assert_eq!(state(&files, EXPIRES), of("goose", UnknownUrl));
    files.add("opencode-v1");
    assert_eq!(state(&files, EXPIRES), of("opencode", Expired));
    let newer = |text: &str| text.replace("1795900000000", "1795909999999");
    files
        .files
        .extend(Files::of("claude-code").map(newer).files);
    assert_eq!(state(&files, EXPIRES), of("Claude Code", Valid));
    assert_eq!(state(&files, 0), of("Claude Code", Valid));
    assert_eq!(state(&files, i64::MAX), of("Claude Code", Expired));
}

#[test]
fn only_the_named_stores_are_read() {
    let files = Files::of("claude-code");
    let machine = TestMachine::new(&files);
    let locations = machine.locations();
    let holders = [SignInHolder::GeminiCli, SignInHolder::McpRemote];
    let mut held = HeldSignIns::read(&holders, locations, 0);
    let found = held.find(&SoughtServer {
        name: "tickets",
        url: "https://tickets.example.com/mcp",
        owners: SignInHolder::ALL,
        started_by: None,
        mcp_remote: None,
    });
    assert!(found.is_none());
}

/// Finds the sign-ins of `count` servers, which all have the same URL. Returns how long it took.
fn time_to_find(count: usize) -> Duration {
    let url = "https://a.example.com/mcp";
    let many: Vec<String> = (0..count).map(|at| format!("s{at}")).collect();
    let records: Vec<_> = many
        .iter()
        .map(|name| (name.as_str(), url, "t", "1000000"))
        .collect();
    let files = claude(&records);
    let machine = TestMachine::new(&files);
    let locations = machine.locations();
    let began = Instant::now();
    let mut held = HeldSignIns::read(SignInHolder::ALL, locations, 0);
    for name in &many {
        let found = held.find(&SoughtServer {
            name,
            url,
            owners: SignInHolder::ALL,
            started_by: None,
            mcp_remote: None,
        });
        assert_eq!(found.unwrap().state, Valid);
    }
    began.elapsed()
}

/// Many records of one server, and as many servers, take linear time. Quadratic time would be 16 times as long.
#[test]
fn many_records_take_linear_time() {
    let (few, many) = (time_to_find(5_000), time_to_find(20_000));
    assert!(many < few * 10, "{few:?}, {many:?}");
}

#[test]
fn clients_are_found_by_their_id() {
    for (id, expected) in [
        ("claude-code", Some(SignInHolder::ClaudeCode)),
        ("kiro", Some(SignInHolder::Kiro)),
        ("amazon-q", Some(SignInHolder::AmazonQ)),
        ("cursor", Some(SignInHolder::CursorCli)),
        ("vscode", None),
        ("codex", None),
        ("", None),
    ] {
        assert_eq!(SignInHolder::of_client(id), expected, "{id}");
    }
}

#[test]
fn a_sign_in_is_attached_to_a_server_without_a_configured_credential() {
    let files = Files::of("claude-code");
    let machine = TestMachine::new(&files);
    let locations = machine.locations();
    let mut held = HeldSignIns::read(SignInHolder::ALL, locations, 0);
    let server = || ServerConfig::http("tickets", "https://tickets.example.com/mcp").unwrap();
    let with_bearer = server().with_bearer_token("KEY", "configured").unwrap();
    let with_header = server().with_header("AUTHORIZATION", "Basic x").unwrap();
    let with_other_header = server().with_header("X-Team", "core").unwrap();
    let program = ServerConfig::stdio("tickets", "npx", ["x"]).unwrap();
    let elsewhere = ServerConfig::http("tickets", "https://other.example.com/mcp").unwrap();
    for (mut config, expected) in [
        (server(), true),
        (with_other_header, true),
        (with_bearer, false),
        (with_header, false),
        (program, false),
        (elsewhere, false),
    ] {
        held.attach(&mut config, &[SignInHolder::ClaudeCode], None, None);
        assert_eq!(config.held_sign_in.is_some(), expected, "{config:?}");
        assert!(!format!("{config:?}").contains("not-a-real"));
    }
}

/// The message names the client to open.
#[test]
fn the_sign_in_names_the_client_that_has_the_server() {
    let files = Files::of("amazon-q-kiro");
    for (owners, expected) in [
        (&[SignInHolder::AmazonQ][..], "Amazon Q"),
        (&[SignInHolder::Kiro], "Kiro"),
        (&[SignInHolder::AmazonQ, SignInHolder::Kiro], "Kiro"),
        (&[], "Kiro"),
    ] {
        let (found, _) = find_owned(&files, "api", "https://api.example.com/mcp", 0, owners);
        assert_eq!(found.unwrap().client, expected);
    }
}
