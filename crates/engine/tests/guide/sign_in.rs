//! Signing in by a redirect of the host's own, and signing out.

use mcp_startup::auth::MemoryStore;
use mcp_startup::auth::network::Network;
use mcp_startup_lab::Lab;

use crate::{host, server};

// guide: sign-in
use std::collections::HashMap;

use mcp_startup::Startup;
use mcp_startup::auth::{PendingSignIn, SignInError, SignInFailureKind};
use mcp_startup::config::ServerEntry;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

/// The sign-ins that wait for their user, by their `state`. They hold secrets: a host that may be ended meanwhile keeps them
/// where it keeps such, and not in memory.
type Waiting = HashMap<String, SecretString>;

/// The user has pressed the button: gives the URL to open in their browser.
async fn begin(
    startup: &Startup,
    server: &ServerEntry,
    waiting: &mut Waiting,
) -> Result<String, SignInError> {
    let redirect_uri = "com.example.host:/signed-in";
    let begun = startup.begin_sign_in(server, redirect_uri).await?;
    waiting.insert(begun.pending.state().to_owned(), begun.pending.to_json());
    Ok(begun.authorization_url)
}

/// The system has handed the app a URL that begins with its redirect URI.
async fn came_back(startup: &Startup, waiting: &mut Waiting, url: &str) -> Result<(), SignInError> {
    let parsed = Url::parse(url).ok();
    let state = parsed.as_ref().and_then(|url| {
        let mut pairs = url.query_pairs();
        pairs.find_map(|(name, value)| (name == "state").then(|| value.into_owned()))
    });
    let Some((state, pending)) = state.and_then(|state| waiting.remove_entry(&state)) else {
        // Anybody can open such a URL: it is nobody's.
        return Ok(());
    };
    let finished = match PendingSignIn::parse(pending.expose_secret()) {
        Ok(pending) => startup.finish_sign_in(&pending, url).await,
        Err(error) => Err(error),
    };
    if let Err(error) = &finished
        && error.kind() == SignInFailureKind::InvalidCallback
    {
        // The right answer may still come.
        waiting.insert(state, pending);
    }
    finished
}
// guide end

// guide: account
/// A line for the account page of a server. Nothing is sent.
async fn account(startup: &Startup, server: &ServerEntry) -> String {
    let status = startup.auth_status(server, false).await;
    match (status.store_error, status.worth) {
        (Some(error), _) => error.to_string(),
        (None, Some(worth)) if worth.is_usable() => {
            let scopes = status.scopes.join(", ");
            format!("signed in, for {scopes}")
        }
        (None, Some(_)) => "the sign-in has expired".to_owned(),
        (None, None) => "not signed in".to_owned(),
    }
}
// guide end

#[tokio::test]
async fn a_user_signs_in_and_out() {
    let lab = Lab::start(0).await.unwrap();
    let startup = host(&MemoryStore::default());
    let server = server(&lab, "first-sign-in");
    let mut waiting = Waiting::new();
    assert_eq!(account(&startup, &server).await, "not signed in");

    let url = begin(&startup, &server, &mut waiting).await.unwrap();
    // The lab's user consents at once, and is sent back.
    let browser = Network::new().unwrap();
    let answer = browser.to_servers().get(url).send().await.unwrap();
    let back = answer.headers()["location"].to_str().unwrap().to_owned();
    assert!(back.starts_with("com.example.host:/signed-in?"), "{back}");

    let strange = "com.example.host:/signed-in?code=stolen&state=guessed";
    came_back(&startup, &mut waiting, strange).await.unwrap();
    assert_eq!(account(&startup, &server).await, "not signed in");
    let other = back.replace("code=", "cod=");
    let error = came_back(&startup, &mut waiting, &other).await.unwrap_err();
    assert_eq!(error.kind(), SignInFailureKind::InvalidCallback);
    came_back(&startup, &mut waiting, &back).await.unwrap();
    assert!(waiting.is_empty());
    assert_eq!(account(&startup, &server).await, "signed in, for mcp:tools");

    let signed_out = startup.sign_out(&server).await.unwrap();
    assert!(signed_out.was_stored);
    assert_eq!(account(&startup, &server).await, "not signed in");
}
