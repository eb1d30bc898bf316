//! The listener on loopback, as a browser and as a hostile program see it.

use std::time::Duration;

use mcp_startup::auth::network::Network;
use mcp_startup::auth::{SignInBegun, SignInFailureKind as Kind};
use mcp_startup::{CallbackListener, CallbackOptions};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::{User, lab_of, row};

const NAME: &str = "server";
/// Far more than a test takes.
const LIMIT: Duration = Duration::from_secs(60);

/// Sends a request verbatim. Returns the answer, up to the end of the connection.
async fn send(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // The server may reset a connection whose request it does not read.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

fn get(url: &str, address: &str) -> String {
    let path = url.split_once(address).unwrap().1;
    format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n")
}

fn address(listener: &CallbackListener) -> String {
    let (_, rest) = listener.redirect_uri().split_once("://").unwrap();
    rest.strip_suffix("/callback").unwrap().to_owned()
}

/// Listens for the browser, and begins a sign-in that returns there.
async fn begin(user: &User<'_>) -> (CallbackListener, SignInBegun) {
    let listener = CallbackListener::bind(&user.server, &CallbackOptions::default())
        .await
        .unwrap();
    let begun = user
        .startup
        .begin_sign_in(&user.server, listener.redirect_uri());
    let begun = begun.await.unwrap();
    (listener, begun)
}

/// Opens the sign-in page of the lab, and returns where it redirects the browser.
async fn redirected(authorization_url: &str) -> String {
    let browser = Network::new().unwrap();
    let answer = browser.server_client().get(authorization_url).send().await;
    let answer = answer.unwrap();
    answer.headers()["location"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn only_the_callback_of_this_sign_in_ends_the_waiting() {
    let lab = lab_of(vec![row(NAME, &json!({}))]).await;
    let user = User::new(&lab, NAME);
    let before = user.file();
    let (mut listener, begun) = begin(&user).await;
    let callback = redirected(&begun.authorization_url).await;
    let address = address(&listener);
    let browsing = tokio::spawn(async move {
        // Each wrong request, and the beginning of its answer.
        for (request, status) in [
            (get(&format!("http://{address}/"), &address), "404"),
            (get(&format!("http://{address}/callbacks"), &address), "404"),
            (get(&callback, &address).replace("GET", "POST"), "405"),
            (get(&format!("http://{address}/callback"), &address), "400"),
            (get(&callback.replace("state=", "state=x"), &address), "400"),
            ("\0\0\0\r\n\r\n".to_owned(), "400"),
            (
                format!("GET /callback?{} HTTP/1.1\r\n\r\n", "x".repeat(100_000)),
                "4",
            ),
        ] {
            let answer = send(&address, &request).await;
            let expected = format!("HTTP/1.1 {status}");
            // A connection that is reset in the middle of a large head can lose its answer.
            assert!(
                answer.starts_with(&expected) || (answer.is_empty() && status == "4"),
                "{request:.60}: {answer}"
            );
            assert!(!answer.contains("code="), "{answer}");
        }
        send(&address, &get(&callback, &address)).await
    });
    let finished = listener
        .finish_sign_in(&user.startup, &begun.pending, LIMIT)
        .await;
    finished.unwrap();
    listener.close().await;
    let page = browsing.await.unwrap();
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    assert!(page.contains("You are signed in"), "{page}");
    for header in [
        "cache-control: no-store",
        "referrer-policy: no-referrer",
        "content-security-policy: default-src 'none'",
    ] {
        assert!(page.contains(header), "{page}");
    }
    assert_ne!(user.file(), before);
}

#[tokio::test]
async fn a_denied_sign_in_ends_the_waiting_and_shows_no_success() {
    let lab = lab_of(vec![row(NAME, &json!({}))]).await;
    let user = User::new(&lab, NAME);
    let before = user.file();
    let (mut listener, begun) = begin(&user).await;
    let callback = redirected(&begun.authorization_url).await;
    let denied = callback.replace("code=", "error=access_denied&was=");
    let address = address(&listener);
    let request = get(&denied, &address);
    let browsing = tokio::spawn(async move { send(&address, &request).await });
    let finished = listener
        .finish_sign_in(&user.startup, &begun.pending, LIMIT)
        .await;
    assert_eq!(finished.unwrap_err().kind(), Kind::Denied);
    listener.close().await;
    let page = browsing.await.unwrap();
    assert!(page.contains("Sign-in ended"), "{page}");
    assert_eq!(user.file(), before);
}

/// The `state` is right, so no other answer follows (RFC 9207, section 2.4). With another `state`, any program can have sent it.
#[tokio::test]
async fn an_answer_of_another_issuer_ends_the_waiting_and_its_code_is_not_sent() {
    let lab = lab_of(vec![row(NAME, &json!({}))]).await;
    let user = User::new(&lab, NAME);
    let before = user.file();
    let (mut listener, begun) = begin(&user).await;
    let callback = redirected(&begun.authorization_url).await;
    let foreign = format!("{callback}&iss=https%3A%2F%2Fother.example");
    let address = address(&listener);
    let browsing = tokio::spawn(async move {
        let forged = foreign.replace("state=", "state=x");
        let answer = send(&address, &get(&forged, &address)).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
        send(&address, &get(&foreign, &address)).await
    });
    let finished = listener
        .finish_sign_in(&user.startup, &begun.pending, LIMIT)
        .await;
    let error = finished.unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured);
    let message = error.message();
    assert!(message.contains("https://other.example"), "{message}");
    assert!(message.contains(&lab.base_url()), "{message}");
    assert!(!message.contains("fresh-code"), "{message}");
    listener.close().await;
    assert!(browsing.await.unwrap().contains("Sign-in ended"));
    assert_eq!(user.file(), before);
    assert_eq!(user.requests_at("token").len(), 0, "no code was sent");
}

#[tokio::test]
async fn a_browser_that_does_not_return_ends_the_waiting_at_the_limit() {
    let lab = lab_of(vec![row(NAME, &json!({}))]).await;
    let user = User::new(&lab, NAME);
    let before = user.file();
    let (mut listener, begun) = begin(&user).await;
    let limit = Duration::from_millis(50);
    let finished = listener.finish_sign_in(&user.startup, &begun.pending, limit);
    let error = finished.await.unwrap_err();
    assert_eq!(error.kind(), Kind::Expired);
    assert!(error.message().contains("within 0.05 s"), "{error}");
    assert_eq!(user.file(), before);
}

#[tokio::test]
async fn connections_without_a_request_neither_block_a_callback_nor_the_end() {
    let lab = lab_of(vec![row(NAME, &json!({}))]).await;
    let user = User::new(&lab, NAME);
    let mut listener = CallbackListener::bind(&user.server, &CallbackOptions::default())
        .await
        .unwrap();
    let address = address(&listener);
    let mut silent = Vec::new();
    // Twice as many as are served at the same time.
    let heads = ["", "", "GET /callback HT", "GET /callback HTTP/1.1\r\nA"];
    for head in heads.into_iter().cycle().take(32) {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        silent.push(stream);
    }
    let request = get(&format!("http://{address}/callback?a=b"), &address);
    let asked = address.clone();
    let browsing = tokio::spawn(async move { send(&asked, &request).await });
    // Less than a connection without a request may take.
    let callback = tokio::time::timeout(Duration::from_secs(8), listener.next()).await;
    let callback = callback.unwrap().unwrap();
    assert_eq!(callback.url, format!("http://{address}/callback?a=b"));
    drop(callback);
    assert!(browsing.await.unwrap().contains("Sign-in ended"));
    let closing = tokio::time::timeout(Duration::from_secs(5), listener.close());
    closing.await.unwrap();
    // The port is free again.
    drop(silent);
    assert!(TcpStream::connect(&address).await.is_err());
}

#[tokio::test]
async fn the_port_of_a_dropped_listener_can_be_used_at_once() {
    let lab = lab_of(vec![row(NAME, &json!({}))]).await;
    let user = User::new(&lab, NAME);
    let listener = CallbackListener::bind(&user.server, &CallbackOptions::default())
        .await
        .unwrap();
    let address = address(&listener);
    let mut same = CallbackOptions::default();
    same.port = Some(address.split_once(':').unwrap().1.parse().unwrap());
    let taken = CallbackListener::bind(&user.server, &same).await;
    let message = taken.unwrap_err().to_string();
    assert!(
        message.contains(&format!("can't listen on {address}")),
        "{message}"
    );
    drop(listener);
    CallbackListener::bind(&user.server, &same).await.unwrap();
}
