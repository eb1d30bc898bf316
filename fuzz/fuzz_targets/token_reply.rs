//! A response of the token endpoint: its tokens and its error code. Reading it allocates linearly in its size.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mcp_startup_auth::CredentialRecord;
use mcp_startup_auth::fuzzing::token_reply;
use mcp_startup_core::{ClientSource, refusal};
use mcp_startup_fuzz::{CountingAllocator, Layout, Linear, cost_of, json_mutator, members};
use secrecy::ExposeSecret;
use serde_json::Value;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

json_mutator!(Layout::Whole, "../dictionaries/token_reply.dict");

fuzz_target!(|body: &[u8]| {
    let code = refusal::error_code(body);
    if let Some(code) = &code {
        // RFC 6749, section 5.2, allows spaces.
        let is_code = |byte: u8| matches!(byte, 0x20..=0x7e) && !b"\"\\".contains(&byte);
        assert!(!code.is_empty() && code.len() <= 200 && code.bytes().all(is_code));
    }
    for status in [200, 400, 503] {
        refusal::meaning(
            Some(status),
            code.as_deref(),
            Some(ClientSource::Registration),
        );
    }

    let (reply, cost) = cost_of(|| token_reply(body));
    let allocations = Linear { base: 100, per_byte: 10 };
    let bytes = Linear { base: 10_000, per_byte: 1_000 };
    cost.assert_linear(body.len(), allocations, bytes);
    // An invalid field that is not needed does not cost a token, not even a value that `Value` cannot represent.
    if let Some(members) = members(body) {
        let text = |name| {
            let mut members = members.iter().rev().filter(|(known, _)| known == name);
            members.find_map(|(_, json)| {
                let text: String = serde_json::from_str(json.get()).ok()?;
                Some(text).filter(|text| !text.trim().is_empty())
            })
        };
        let found = |name| Some(reply.as_ref()?.get(name)?.as_str()?.to_owned());
        let access_token = text("access_token");
        let is_sendable = |token: &String| token.bytes().all(|byte| matches!(byte, 0x20..=0x7e));
        if access_token.as_ref().is_some_and(is_sendable) && text("token_type").is_none() {
            assert_eq!(found("access_token"), access_token);
            assert_eq!(found("refresh_token"), text("refresh_token"));
        }
    }
    let Some(reply) = reply else {
        return;
    };

    // The response can be written into a record, which then has its tokens.
    let old = r#"{"access_token":"old","refresh_token":"rt","issuer":"https://auth.example","expires_at":0,"x":[1.0]}"#;
    let old = CredentialRecord::parse(old).expect("a record");
    let record = old
        .with(&reply)
        .expect("a response can be written into a record");
    let text = |name: &str| reply.get(name).and_then(Value::as_str);
    let access_token = text("access_token").expect("a response has an access token");
    assert!(!access_token.trim().is_empty());
    // A token with a control character cannot be sent, and counts as missing.
    let can_be_sent = !access_token.contains(char::is_control);
    let sent = record.access_token().map(|token| token.expose_secret());
    assert_eq!(sent, Some(access_token).filter(|_| can_be_sent));
    let kept = record.refresh_token().map(|token| token.expose_secret());
    assert_eq!(kept, text("refresh_token").or(Some("rt")));
    let expires_at = reply.get("expires_at").and_then(Value::as_i64);
    assert_eq!(record.facts().expires_at_ms, expires_at);
    assert_eq!(record.issuer(), old.issuer());
});
