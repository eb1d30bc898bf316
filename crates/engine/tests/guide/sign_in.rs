//! Signs in with the redirect URI of a host, and signs out.

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

/// The pending sign-ins, by their `state`. They contain secrets. If your app may be terminated before the user returns, save them
/// where you save other secrets, instead of in memory.
type PendingSignIns = HashMap<String, SecretString>;

/// Call this when the user presses the button. Returns the URL to open in the browser.
async fn begin(
    startup: &Startup,
    server: &ServerEntry,
    pending: &mut PendingSignIns,
) -> Result<String, SignInError> {
    let redirect_uri = "com.example.host:/signed-in";
    let begun = startup.begin_sign_in(server, redirect_uri).await?;
    pending.insert(begun.pending.state().to_owned(), begun.pending.to_json());
    Ok(begun.authorization_url)
}

/// Call this when the system opens your app with a URL that begins with the redirect URI.
async fn finish(
    startup: &Startup,
    pending: &mut PendingSignIns,
    url: &str,
) -> Result<(), SignInError> {
    let parsed = Url::parse(url).ok();
    let state = parsed.as_ref().and_then(|url| {
        let mut pairs = url.query_pairs();
        pairs.find_map(|(name, value)| (name == "state").then(|| value.into_owned()))
    });
    let Some((state, json)) = state.and_then(|state| pending.remove_entry(&state)) else {
        // Any app or web page can open such a URL. It belongs to no pending sign-in, so ignore it.
        return Ok(());
    };
    let finished = match PendingSignIn::parse(json.expose_secret()) {
        Ok(sign_in) => startup.finish_sign_in(&sign_in, url).await,
        Err(error) => Err(error),
    };
    if let Err(error) = &finished
        && error.kind() == SignInFailureKind::InvalidCallback
    {
        // Keep the sign-in pending: the right redirect may still arrive.
        pending.insert(state, json);
    }
    finished
}
// guide end

// guide: account
/// The line for a server on the account page. It sends no request.
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
    let mut pending = PendingSignIns::new();
    assert_eq!(account(&startup, &server).await, "not signed in");

    let url = begin(&startup, &server, &mut pending).await.unwrap();
    // The lab's authorization server grants access immediately and redirects the browser.
    let browser = Network::new().unwrap();
    let answer = browser.server_client().get(url).send().await.unwrap();
    let callback = answer.headers()["location"].to_str().unwrap().to_owned();
    assert!(
        callback.starts_with("com.example.host:/signed-in?"),
        "{callback}"
    );

    let forged = "com.example.host:/signed-in?code=stolen&state=guessed";
    finish(&startup, &mut pending, forged).await.unwrap();
    assert_eq!(account(&startup, &server).await, "not signed in");
    let incomplete = callback.replace("code=", "cod=");
    let error = finish(&startup, &mut pending, &incomplete)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), SignInFailureKind::InvalidCallback);
    finish(&startup, &mut pending, &callback).await.unwrap();
    assert!(pending.is_empty());
    assert_eq!(account(&startup, &server).await, "signed in, for mcp:tools");

    let signed_out = startup.sign_out(&server).await.unwrap();
    assert!(signed_out.was_stored);
    assert_eq!(account(&startup, &server).await, "not signed in");
}
