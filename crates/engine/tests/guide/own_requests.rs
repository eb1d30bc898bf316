//! A host that sends requests with another SDK and uses mcp-startup only to authorize them.

use mcp_startup::StartupFailureKind;
use mcp_startup::auth::MemoryStore;
use mcp_startup::auth::network::Network;
use mcp_startup_lab::Lab;

use crate::{host, server, store_for};

// guide: own-requests
use mcp_startup::config::ServerEntry;
use mcp_startup::{Rejected, Startup, StartupFailure};
use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use secrecy::{ExposeSecret, SecretString};

/// Posts a message to the server and authorizes it with mcp-startup. The outer error is the verdict if no credential is left to
/// send.
async fn post(
    startup: &Startup,
    server: &ServerEntry,
    http: &reqwest::Client,
    url: &str,
    message: &str,
) -> Result<reqwest::Result<reqwest::Response>, Box<StartupFailure>> {
    let mut authorization = startup.authorization(server, None).await?;
    loop {
        let request = http.post(url).header(CONTENT_TYPE, "application/json");
        let request = match &authorization {
            Some(value) => request.header(AUTHORIZATION, value.expose_secret()),
            None => request,
        };
        let response = match request.body(message.to_owned()).send().await {
            Ok(response) if response.status() == StatusCode::UNAUTHORIZED => response,
            result => return Ok(result),
        };
        let sent = authorization.as_ref().map(SecretString::expose_secret);
        let mut rejected = Rejected::new(sent);
        let challenge = response.headers().get(WWW_AUTHENTICATE);
        rejected.challenge = challenge.and_then(|value| Some(value.to_str().ok()?.to_owned()));
        // Refreshes the token if possible. Processes that share the token refresh it only once.
        authorization = startup.authorization(server, Some(&rejected)).await?;
    }
}
// guide end

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

#[tokio::test]
async fn a_host_sends_the_header_it_receives() {
    let lab = Lab::start(0).await.unwrap();
    let store = MemoryStore::default();
    store_for(&store, &lab, "revoked-refreshes").await;
    let startup = host(&store);
    let network = Network::new().unwrap();
    let send = async |name: &str| {
        let server = server(&lab, name);
        post(
            &startup,
            &server,
            network.server_client(),
            &lab.url(name),
            PING,
        )
        .await
    };
    let answer = send("revoked-refreshes").await.unwrap().unwrap();
    assert_eq!(answer.status(), 200);
    let sent = lab.tokens_sent("revoked-refreshes");
    assert_eq!(
        sent.len(),
        2,
        "once with the old token, once with the new one: {sent:?}"
    );
    let failure = send("first-sign-in").await.unwrap_err();
    assert_eq!(failure.kind(), StartupFailureKind::SignInRequired);
}
