//! Sign-ins that request more access, each in a process of its own.

use serde_json::{Value, json};

use crate::harness::lab::lab_with;
use crate::session::{failure_kind, sign_in, user_of};

const NAME: &str = "server";

/// The rule of a server that requires a scope of requests with this token, even if it was granted.
fn denies(token: &str, scope: &str) -> Value {
    let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\"");
    json!({ "when": { "token": token }, "reply": { "status": 403, "headers": { "WWW-Authenticate": challenge } } })
}

#[test]
fn a_sign_in_for_scopes_that_another_process_was_granted_is_not_offered_again() {
    let rules = [
        denies("fresh-token-1", "mcp:write"),
        denies("fresh-token-2", "mcp:write mcp:admin"),
        denies("fresh-token-3", "mcp:admin"),
    ];
    let mcp = json!({ "serves": { "tokens": [] }, "respond": rules });
    let lab = lab_with(json!([{ "name": NAME, "mcp": mcp }]));
    let user = user_of(&[(NAME, &lab.url(NAME))]);
    let suggests_login = || {
        let finished = user.check("table").finish();
        finished.line(NAME).contains("mcp-startup login")
    };
    for kind in ["signInRequired", "insufficientScope", "insufficientScope"] {
        assert_eq!(failure_kind(&user, NAME).as_deref(), Some(kind));
        assert!(suggests_login(), "{kind}");
        sign_in(&user, NAME);
    }

    let granted = user.records()[NAME]["scopes"].clone();
    for scope in ["mcp:write", "mcp:admin"] {
        assert!(
            granted.as_array().unwrap().contains(&json!(scope)),
            "{granted}"
        );
    }
    let failure = user.check("json").finish().server(NAME)["failure"].clone();
    assert_eq!(
        (&failure["kind"], &failure["recovery"]),
        (&json!("accessDenied"), &json!("none"))
    );
    assert_eq!(failure["evidence"]["credential"]["grantedScopes"], granted);
    assert!(!suggests_login());

    // The user can still sign in with another account.
    sign_in(&user, NAME);
    assert_eq!(failure_kind(&user, NAME), None);
}
