//! Signs in without a browser: the authorization servers of the suite grant access immediately.

use std::error::Error;

use mcp_startup::auth::network::Network;
use mcp_startup::config::ServerEntry;
use mcp_startup::{SignInOptions, Startup};

/// Nothing listens here: the client reads the redirect instead of following it.
const REDIRECT_URI: &str = "http://127.0.0.1:8123/callback";

/// Signs in to a server as a user would: opens the authorization URL, and passes the redirect to the client.
///
/// # Errors
///
/// The error of the sign-in, or a description of an answer that is not a redirect.
pub async fn sign_in(
    startup: &Startup,
    server: &ServerEntry,
    options: &SignInOptions,
) -> Result<(), Box<dyn Error>> {
    let begun = startup
        .begin_sign_in_with(server, REDIRECT_URI, options)
        .await?;
    let network = Network::new()?;
    let browser = network.server_client();
    let page = browser.get(&begun.authorization_url).send().await?;
    let location = page.headers().get("location").map(|it| it.to_str());
    let Some(Ok(callback_url)) = location else {
        let status = page.status();
        return Err(
            format!("the authorization server answered {status} without a redirect").into(),
        );
    };
    startup.finish_sign_in(&begun.pending, callback_url).await?;
    println!("signed in");
    Ok(())
}
