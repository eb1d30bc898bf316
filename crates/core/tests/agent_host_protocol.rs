//! Compatibility with the Agent Host Protocol: its types accept what `auth_required_reason` returns.

#![allow(
    clippy::unwrap_used,
    reason = "a panic in a test helper fails the test"
)]

use ahp_types::state::{McpAuthRequiredReason as TheirReason, McpServerAuthRequiredState};
use mcp_startup_core::{Evidence, McpAuthRequiredReason as Reason, StartupFailure, judge};
use serde_json::{Value, json};

/// Failures whose recovery is a sign-in, with our reason and the one of the protocol.
const FAILURES: &[(&str, Reason, TheirReason)] = &[
    // "No token has been provided yet (HTTP 401, no prior token)."
    (
        r#"{"credential": {"source": "none"},
            "requests": [{"to": "mcp", "credentialSent": "none", "status": 401}],
            "discovered": {"outcome": "published", "issuer": "https://auth.example"}}"#,
        Reason::Required,
        TheirReason::Required,
    ),
    // "A previously valid token expired or was revoked (HTTP 401)."
    (
        r#"{"credential": {"source": "stored", "worth": {"accessToken": "good", "refreshToken": false}},
            "requests": [{"to": "mcp", "credentialSent": "stored", "status": 401}]}"#,
        Reason::Expired,
        TheirReason::Expired,
    ),
    // "Step-up auth: a token is present but its scopes are insufficient (HTTP 403 with error="insufficient_scope")."
    (
        r#"{"credential": {"source": "stored", "worth": {"accessToken": "good", "refreshToken": false}},
            "requests": [{"to": "mcp", "credentialSent": "stored", "status": 403,
                "challenge": "Bearer error=\"insufficient_scope\", scope=\"write\""}]}"#,
        Reason::InsufficientScope,
        TheirReason::InsufficientScope,
    ),
];

/// Failures that a sign-in through the host does not fix, or only may: the protocol's state for them is `error`.
const OTHER_FAILURES: &[&str] = &[
    // The configured token was rejected. A new one would not be used.
    r#"{"credential": {"source": "configuration"},
        "requests": [{"to": "mcp", "credentialSent": "configuration", "status": 401}]}"#,
    // The refusal of the refresh has no code, so the stored credentials may still be good. The fallback is `reauthenticate`.
    r#"{"credential": {"source": "stored", "worth": {"accessToken": "expired", "refreshToken": true}},
        "requests": [{"to": "token", "status": 400}, {"to": "mcp", "status": 401}]}"#,
    r#"{"requests": [{"to": "mcp", "status": 503}]}"#,
    "{}",
];

fn failure(evidence: &str) -> StartupFailure {
    judge(serde_json::from_str::<Evidence>(evidence).unwrap())
}

#[test]
fn a_failure_that_a_sign_in_fixes_is_a_valid_state_of_the_protocol() {
    for (evidence, ours, theirs) in FAILURES {
        let failure = failure(evidence);
        let reason = failure.auth_required_reason();
        assert_eq!(reason, Some(*ours), "{evidence}");
        let state: McpServerAuthRequiredState = serde_json::from_value(json!({
            "reason": reason,
            "resource": {"resource": "https://mcp.example/mcp", "authorization_servers": ["https://auth.example"]},
            "description": failure.message(),
        }))
        .unwrap();
        // A reason that the protocol does not have is parsed as its `Unknown`.
        assert_eq!(state.reason, *theirs, "{evidence}");
        assert_eq!(serde_json::to_value(state).unwrap()["reason"], json!(ours));
    }
}

#[test]
fn any_other_failure_has_no_reason() {
    for evidence in OTHER_FAILURES {
        let failure = failure(evidence);
        assert_eq!(failure.auth_required_reason(), None, "{failure:?}");
        assert_eq!(json!(failure.auth_required_reason()), Value::Null);
    }
}
