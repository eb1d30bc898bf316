//! TLS: the program trusts the certificates of the system, or those in the file that `SSL_CERT_FILE` names.

#![allow(clippy::unwrap_used)]

use std::process::Command;
use std::sync::Arc;

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Starts an MCP server over TLS with a self-signed certificate. Returns its URL and the certificate as PEM.
async fn serve() -> (String, String) {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(
        certified.signing_key.serialize_der(),
    ));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // A client that does not trust the certificate disconnects here.
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                let mut request = Vec::new();
                let mut buffer = [0; 4096];
                while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                    request.extend_from_slice(&buffer[..read]);
                    let Some(response) = respond(&request) else {
                        continue;
                    };
                    request.clear();
                    stream.write_all(response.as_bytes()).await.unwrap();
                }
            });
        }
    });
    (
        format!("https://localhost:{port}/mcp"),
        certified.cert.pem(),
    )
}

/// The response to a request; `None` if the request is not complete yet.
fn respond(request: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(request).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<usize>().ok())?
    });
    if body.len() < length.unwrap_or(0) {
        return None;
    }
    let message: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    if message["method"] != "initialize" {
        return Some("HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n".to_owned());
    }
    let body = serde_json::json!({"jsonrpc": "2.0", "id": message["id"], "result": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {"name": "tls", "version": "1"}
    }})
    .to_string();
    Some(format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn certificate_is_accepted_only_if_the_trust_store_has_it() {
    let (url, certificate) = serve().await;
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.toml");
    std::fs::write(&config, format!("[mcp_servers.tls]\nurl = \"{url}\"\n")).unwrap();
    let authority = folder.path().join("authority.pem");
    std::fs::write(&authority, certificate).unwrap();
    for (trusted, status, kind) in [
        (true, "ready", None),
        (false, "failed", Some("unreachable")),
    ] {
        let mut check = Command::new(env!("CARGO_BIN_EXE_mcp-startup"));
        check
            .args(["check", "--format", "json", "--timeout", "20", "--config"])
            .arg(&config);
        for proxy in [
            "HTTP_PROXY",
            "HTTPS_PROXY",
            "ALL_PROXY",
            "http_proxy",
            "https_proxy",
            "all_proxy",
            "SSL_CERT_DIR",
        ] {
            check.env_remove(proxy);
        }
        match trusted {
            true => check.env("SSL_CERT_FILE", &authority),
            false => check.env_remove("SSL_CERT_FILE"),
        };
        let output = tokio::task::spawn_blocking(move || check.output().unwrap())
            .await
            .unwrap();
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let server = &report["servers"][0];
        assert_eq!(server["status"], status, "{server:#}");
        assert_eq!(server["failure"]["kind"].as_str(), kind, "{server:#}");
        if !trusted {
            let requests = &server["failure"]["evidence"]["requests"];
            assert_eq!(requests[0]["io"], "tls", "{server:#}");
        }
    }
}
