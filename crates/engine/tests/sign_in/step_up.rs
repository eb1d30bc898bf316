//! Step-ups: sign-ins that request more access, and the sessions that are opened to find out whether one is needed.

use futures::StreamExt;
use mcp_startup::auth::{SignInBegun, SignInError, SignInFailureKind as Kind};
use mcp_startup::rmcp::model::CallToolRequestParams;
use mcp_startup::{HttpRefusal, LiveServer, SignInOptions};
use mcp_startup_lab::Lab;
use serde_json::{Value, json};

use crate::{REDIRECT_URI, User, lab_of, redirect_target, row};

/// A server that answers each request with a token by 403, and a user who is signed in to it.
fn forbidding() -> Value {
    json!({
        "mcp": { "serves": { "tokens": ["good-token"] }, "respond": [{ "when": { "token": "any" }, "reply": {
            "status": 403, "headers": { "WWW-Authenticate": "Bearer error=\"insufficient_scope\", scope=\"mcp:admin\"" }
        } }] },
        "stored": {
            "issuer": "{issuer}", "clientId": "client-0", "accessToken": "good-token", "expiresInSeconds": 3600,
            "refreshToken": "good-refresh", "scopes": ["mcp:tools"]
        },
    })
}

fn challenged(scope: &str) -> SignInOptions {
    let mut options = SignInOptions::default();
    options.challenge = Some(format!(
        r#"Bearer error="insufficient_scope", scope="{scope}""#
    ));
    options
}

/// Steps up once, as far as the engine allows it.
async fn step_up(user: &User<'_>, options: &SignInOptions) -> Result<(), SignInError> {
    let startup = &user.startup;
    let begun = startup.begin_sign_in_with(&user.server, REDIRECT_URI, options);
    finish(user, begun.await?).await;
    Ok(())
}

async fn finish(user: &User<'_>, begun: SignInBegun) {
    let callback = redirect_target(&begun.authorization_url).await;
    let finished = user.startup.finish_sign_in(&begun.pending, &callback);
    finished.await.unwrap();
}

#[tokio::test]
async fn a_step_up_for_the_same_scopes_is_offered_only_once() {
    let lab = lab_of(vec![row("server", &forbidding())]).await;
    let user = User::new(&lab, "server");
    let options = SignInOptions::default();
    // A sign-in that the user does not finish does not count.
    for _ in 0..5 {
        let beginning = user.startup.begin_sign_in(&user.server, REDIRECT_URI);
        beginning.await.unwrap();
    }
    step_up(&user, &options).await.unwrap();
    assert_eq!(
        user.record().unwrap()["scopes"],
        json!(["mcp:admin", "mcp:tools"])
    );
    for options in [&options, &challenged("mcp:admin"), &challenged("mcp:tools")] {
        let error = step_up(&user, options).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Denied);
        let expected =
            "still requires more access after a sign-in that requested it (mcp:admin mcp:tools)";
        assert!(error.message().contains(expected), "{error}");
    }
    // Another scope is another matter.
    step_up(&user, &challenged("mcp:more")).await.unwrap();
}

#[tokio::test]
async fn at_most_three_step_ups_follow_each_other() {
    let lab = lab_of(vec![row("server", &forbidding())]).await;
    let user = User::new(&lab, "server");
    for round in 0..3 {
        let options = challenged(&format!("mcp:{round}"));
        step_up(&user, &options).await.unwrap();
    }
    let requests = user.requests().len();
    let error = step_up(&user, &challenged("mcp:3")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Denied);
    assert_eq!(user.requests().len(), requests, "nothing is sent");

    // A new sign-in, without a step-up, begins a new count.
    let mut challenge = SignInOptions::default();
    challenge.challenge = Some("Bearer".to_owned());
    step_up(&user, &challenge).await.unwrap();
    step_up(&user, &challenged("mcp:4")).await.unwrap();
}

/// The host steps up with the challenge of its own call, which the SDK's error contains.
#[tokio::test]
async fn a_refused_call_of_a_live_server_has_the_challenge() {
    for (status, error) in [(403, "insufficient_scope"), (401, "invalid_token")] {
        let challenge = format!(r#"Bearer error="{error}", scope="mcp:admin""#);
        let mut server = forbidding();
        server["mcp"]["respond"] = json!([
            { "when": { "method": "tools/call" }, "reply": { "status": status, "headers": { "WWW-Authenticate": challenge } } },
        ]);
        let lab = lab_of(vec![row("server", &server)]).await;
        let user = User::new(&lab, "server");
        let mut start = user.startup.start(vec![user.server.clone()]);
        let live = loop {
            if let Some(live) = start.next().await.unwrap().1 {
                break live;
            }
        };
        let call = live.peer().call_tool(CallToolRequestParams::new("write"));
        let error = call.await.unwrap_err();
        assert_eq!(error.auth_challenge(), Some(&*challenge), "{status}");
        assert_eq!(error.is_authorization_required(), status == 401);
        live.close().await;

        let mut options = SignInOptions::default();
        options.challenge = error.auth_challenge().map(str::to_owned);
        step_up(&user, &options).await.unwrap();
        let scopes = match status {
            403 => json!(["mcp:admin", "mcp:tools"]),
            _ => json!(["mcp:admin"]),
        };
        assert_eq!(user.record().unwrap()["scopes"], scopes, "{status}");
    }
}

/// Scopes that were granted to the token of the call are not missing. A refresh can change them.
#[tokio::test]
async fn a_refused_call_of_a_live_server_has_the_scopes_that_were_not_granted() {
    let admin = Some(vec!["mcp:admin".to_owned()]);
    let both = json!(["mcp:tools", "mcp:admin"]);
    let refreshed = |scope: Value| {
        let reply = json!({ "access_token": "new-token", "token_type": "Bearer", "expires_in": 3600, "scope": scope });
        json!({ "respond": [{ "reply": { "body": { "json": reply } } }] })
    };
    for (about, scopes, refresh, expected) in [
        ("not granted", json!(["mcp:tools"]), None, admin.clone()),
        ("granted", both.clone(), None, None),
        ("unknown", json!([]), None, admin.clone()),
        ("kept by a refresh", both.clone(), Some(Value::Null), None),
        ("lost by a refresh", both, Some(json!("mcp:tools")), admin),
        (
            "granted by a refresh",
            json!(["mcp:tools"]),
            Some(json!("mcp:admin")),
            None,
        ),
    ] {
        let challenge = r#"Bearer error="insufficient_scope", scope="mcp:admin""#;
        let forbidden = json!({ "status": 403, "headers": { "WWW-Authenticate": challenge } });
        let mut rules = vec![json!({ "when": { "method": "tools/call" }, "reply": forbidden })];
        let mut server = forbidding();
        if let Some(scope) = refresh {
            let when = json!({ "method": "tools/call", "token": "good-token" });
            rules.insert(0, json!({ "when": when, "reply": { "status": 401 } }));
            server["token"] = refreshed(scope);
        }
        server["mcp"]["respond"] = json!(rules);
        server["stored"]["scopes"] = scopes;
        let lab = lab_of(vec![row("server", &server)]).await;
        let user = User::new(&lab, "server");
        let mut start = user.startup.start(vec![user.server.clone()]);
        let live = loop {
            if let Some(live) = start.next().await.unwrap().1 {
                break live;
            }
        };
        let call = live.peer().call_tool(CallToolRequestParams::new("write"));
        let refusal = HttpRefusal::of(&call.await.unwrap_err()).unwrap();
        assert_eq!(refusal.status, 403, "{about}");
        assert_eq!(refusal.missing_scopes, expected, "{about}");
        live.close().await;
    }
}

/// A live server, and the calls of a tool that it denies.
struct Denying<'a> {
    user: User<'a>,
    live: LiveServer,
}

impl<'a> Denying<'a> {
    async fn start(lab: &'a Lab) -> Self {
        let user = User::new(lab, "server");
        let mut start = user.startup.start(vec![user.server.clone()]);
        let live = loop {
            if let Some(live) = start.next().await.unwrap().1 {
                break live;
            }
        };
        Self { user, live }
    }

    /// Calls the tool. Returns the refusal, the token that was sent last, and the number of requests.
    async fn call(&self) -> (Option<HttpRefusal>, String, usize) {
        let before = self.user.requests().len();
        let peer = self.live.peer();
        let called = peer.call_tool(CallToolRequestParams::new("write")).await;
        let refusal = called.err().as_ref().and_then(HttpRefusal::of);
        let requests = self.user.requests();
        let sent = requests.last().unwrap().token.clone();
        (refusal, sent, requests.len() - before)
    }
}

/// The step-up may be that of another program.
#[tokio::test]
async fn a_live_server_uses_the_token_of_a_step_up() {
    let mut server = forbidding();
    // It repeats the token that it receives.
    let scope = |scope: &str| format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\"");
    let denies = |token: &str, challenge: String| {
        let reply = json!({ "status": 403, "headers": { "WWW-Authenticate": challenge } });
        json!({ "when": { "method": "tools/call", "token": token }, "reply": reply })
    };
    server["mcp"]["respond"] = json!([
        denies("good-token", scope("mcp:admin")),
        denies("fresh-token-1", scope("fresh-token-1")),
    ]);
    // The tokens of the same client are not revoked.
    server["stored"]["clientId"] = json!("client-1");
    let lab = lab_of(vec![row("server", &server)]).await;
    let denying = Denying::start(&lab).await;
    for _ in 0..2 {
        let (refusal, sent, requests) = denying.call().await;
        let missing = refusal.and_then(|refusal| refusal.missing_scopes);
        assert_eq!(missing, Some(vec!["mcp:admin".to_owned()]));
        assert_eq!(
            (&*sent, requests),
            ("good-token", 1),
            "nothing is refreshed"
        );
    }

    let user = &denying.user;
    let other = user.next_startup();
    let options = challenged("mcp:admin");
    let begun = other.begin_sign_in_with(&user.server, REDIRECT_URI, &options);
    let begun = begun.await.unwrap();
    let callback = redirect_target(&begun.authorization_url).await;
    let finished = other.finish_sign_in(&begun.pending, &callback);
    finished.await.unwrap();
    for requests in [2, 1] {
        let (refusal, sent, sent_requests) = denying.call().await;
        assert_eq!((&*sent, sent_requests), ("fresh-token-1", requests));
        let missing = refusal.and_then(|refusal| refusal.missing_scopes).unwrap();
        assert!(!missing.concat().contains("fresh-token"), "{missing:?}");
    }
    denying.live.close().await;
}

/// A server that denies one tool to requests without a token does not get a token that has expired.
#[tokio::test]
async fn a_denied_call_of_a_live_server_changes_no_credential_that_works() {
    let challenge = "Bearer error=\"insufficient_scope\", scope=\"mcp:admin\"";
    let reply = json!({ "status": 403, "headers": { "WWW-Authenticate": challenge } });
    let server = json!({
        "mcp": { "serves": "open", "respond": [{ "when": { "method": "tools/call" }, "reply": reply }] },
        "stored": { "issuer": "{issuer}", "clientId": "client-1", "accessToken": "good-token", "expiresInSeconds": -3600 },
    });
    let lab = lab_of(vec![row("server", &server)]).await;
    let denying = Denying::start(&lab).await;
    for _ in 0..2 {
        let (refusal, sent, requests) = denying.call().await;
        assert_eq!(refusal.map(|refusal| refusal.status), Some(403));
        assert_eq!((&*sent, requests), ("none", 1));
    }
    denying.live.close().await;
}

/// A session that is opened only to learn how to sign in must not stay open.
#[tokio::test]
async fn the_session_of_a_query_is_deleted() {
    let rows = ["begin", "status"].map(|name| {
        row(
            name,
            &json!({ "mcp": { "serves": "open", "sessionId": "session-1" } }),
        )
    });
    let lab = lab_of(rows.into()).await;
    for name in ["begin", "status"] {
        let user = User::new(&lab, name);
        match name {
            "begin" => {
                let begun = user.startup.begin_sign_in(&user.server, REDIRECT_URI);
                begun.await.unwrap();
            }
            _ => {
                user.startup.auth_status(&user.server, true).await;
            }
        }
        let requests = user.requests_at("mcp");
        let methods: Vec<&str> = requests.iter().map(|request| &*request.method).collect();
        // `initialize`, `notifications/initialized` and `tools/list`.
        assert_eq!(methods, ["POST", "POST", "POST", "DELETE"], "{name}");
    }
}

#[test]
fn debug_output_of_the_options_has_no_challenge() {
    let debug = format!("{:?}", challenged("canary"));
    assert!(!debug.contains("canary"), "{debug}");
}
