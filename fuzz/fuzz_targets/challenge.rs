//! A `WWW-Authenticate` challenge, and the verdict on it. The bits of the first byte are the other evidence of the start.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use mcp_startup_core::{
    AccessTokenWorth, CredentialEvidence, CredentialSent, CredentialSource, CredentialWorth,
    DiscoveryEvidence, DiscoveryOutcome, Evidence, RequestEvidence, RequestTarget,
    StartupFailureKind,
};
use mcp_startup_fuzz::check_verdict;

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some((&first, text)) = input.split_first() else {
        return Corpus::Reject;
    };
    let Ok(challenge) = std::str::from_utf8(text) else {
        return Corpus::Reject;
    };
    let kind = check_verdict(&evidence(first, challenge));
    if kind == StartupFailureKind::InsufficientScope {
        assert!(is_set(first, 0) && is_set(first, 1));
        assert!(challenge.contains("insufficient_scope"));
    }

    // Text inside quotes is not a parameter, so it cannot request a scope.
    let quoted = challenge.replace('\\', "\\\\").replace('"', "\\\"");
    let kind = check_verdict(&evidence(first, &format!("Bearer realm=\"{quoted}\"")));
    assert_ne!(kind, StartupFailureKind::InsufficientScope);
    // A parameter after the quoted text is read.
    let with_error = format!("Bearer realm=\"{quoted}\", error=\"insufficient_scope\"");
    let kind = check_verdict(&evidence(0b11, &with_error));
    assert_eq!(kind, StartupFailureKind::InsufficientScope);
    Corpus::Keep
});

fn is_set(bits: u8, at: u8) -> bool {
    bits & (1 << at) != 0
}

fn evidence(bits: u8, challenge: &str) -> Evidence {
    let is_stored = is_set(bits, 1);
    let worth = CredentialWorth {
        access_token: match is_set(bits, 2) {
            true => AccessTokenWorth::Expired,
            false => AccessTokenWorth::Good,
        },
        refresh_token: is_set(bits, 3),
    };
    let (source, sent) = match (is_stored, is_set(bits, 4)) {
        (true, _) => (CredentialSource::Stored, CredentialSent::Stored),
        (false, true) => (
            CredentialSource::Configuration,
            CredentialSent::Configuration,
        ),
        (false, false) => (CredentialSource::None, CredentialSent::None),
    };
    Evidence {
        server: Some("linear".to_owned()),
        credential: Some(CredentialEvidence {
            source: Some(source),
            worth: is_stored.then_some(worth),
            ..CredentialEvidence::default()
        }),
        requests: vec![RequestEvidence {
            to: Some(RequestTarget::Mcp),
            credential_sent: Some(sent),
            status: Some(if is_set(bits, 0) { 403 } else { 401 }),
            challenge: Some(challenge.to_owned()),
            ..RequestEvidence::default()
        }],
        discovered: is_set(bits, 5).then(|| DiscoveryEvidence {
            outcome: Some(DiscoveryOutcome::Published),
            issuer: Some("https://auth.example".to_owned()),
            ..DiscoveryEvidence::default()
        }),
        ..Evidence::default()
    }
}
