//! TLS: the program trusts the certificates of the system, or those in the file that `SSL_CERT_FILE` names.
//!
//! Not on Windows and macOS: they verify certificates themselves, and read no such file.

#![cfg(not(any(windows, target_os = "macos")))]
#![allow(clippy::unwrap_used)]

use std::process::Command;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A certificate with its key, and the certificate of its authority as PEM.
struct Identity {
    certificate: rustls::pki_types::CertificateDer<'static>,
    key: KeyPair,
    authority: String,
}

/// Creates the certificate of a server: signed with its own key, or by an authority.
fn identity(change: impl Fn(&mut CertificateParams), has_authority: bool) -> Identity {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    change(&mut params);
    if !has_authority {
        let certificate = params.self_signed(&key).unwrap();
        let authority = certificate.pem();
        return Identity {
            certificate: certificate.der().clone(),
            key,
            authority,
        };
    }
    let mut issuer = CertificateParams::default();
    issuer.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer_key = KeyPair::generate().unwrap();
    let authority = issuer.self_signed(&issuer_key).unwrap().pem();
    let issuer = Issuer::new(issuer, issuer_key);
    let certificate = params.signed_by(&key, &issuer).unwrap();
    Identity {
        certificate: certificate.der().clone(),
        key,
        authority,
    }
}

/// Starts an MCP server over TLS. Returns its URL.
async fn serve(identity: &Identity) -> String {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(identity.key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![identity.certificate.clone()], key)
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
    format!("https://localhost:{port}/mcp")
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

/// Checks the server at `url` with the certificates in `authority` as the trust store. Returns its report.
async fn check(url: &str, authority: Option<&str>) -> serde_json::Value {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.toml");
    std::fs::write(&config, format!("[mcp_servers.tls]\nurl = \"{url}\"\n")).unwrap();
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
    match authority {
        Some(authority) => {
            let file = folder.path().join("authority.pem");
            std::fs::write(&file, authority).unwrap();
            check.env("SSL_CERT_FILE", &file)
        }
        None => check.env_remove("SSL_CERT_FILE"),
    };
    let output = tokio::task::spawn_blocking(move || check.output().unwrap())
        .await
        .unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    report["servers"][0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn certificate_is_accepted_only_if_the_trust_store_has_it() {
    let identity = identity(|_| {}, true);
    let url = serve(&identity).await;
    let trusted = check(&url, Some(&identity.authority)).await;
    assert_eq!(trusted["status"], "ready", "{trusted:#}");
    let untrusted = check(&url, None).await;
    assert_eq!(untrusted["failure"]["kind"], "unreachable", "{untrusted:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_problem_with_a_certificate_is_named() {
    type Change = fn(&mut CertificateParams);
    let past = |params: &mut CertificateParams| {
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
    };
    let future = |params: &mut CertificateParams| {
        params.not_before = date_time_ymd(2900, 1, 1);
        params.not_after = date_time_ymd(2901, 1, 1);
    };
    let other_name = |params: &mut CertificateParams| {
        *params = CertificateParams::new(["other.example".to_owned()]).unwrap();
    };
    let authority = |params: &mut CertificateParams| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    };
    let rows: [(&str, Change, bool, bool, &str); 6] = [
        ("expired", past, true, true, "has expired"),
        ("notYetValid", future, true, true, "not valid yet"),
        ("wrongName", other_name, true, true, "different host name"),
        ("unknownIssuer", |_| {}, true, false, "does not trust"),
        ("selfSigned", |_| {}, false, false, "self-signed"),
        (
            "certificateOfAuthority",
            authority,
            true,
            true,
            "certificate authority",
        ),
    ];
    for (problem, change, has_authority, is_trusted, words) in rows {
        let identity = identity(change, has_authority);
        let other = self::identity(|_| {}, true);
        let url = serve(&identity).await;
        let trusted = match is_trusted {
            true => &identity.authority,
            false => &other.authority,
        };
        let server = check(&url, Some(trusted)).await;
        let failure = &server["failure"];
        assert_eq!(failure["kind"], "unreachable", "{problem}: {server:#}");
        let requests = &failure["evidence"]["requests"];
        assert_eq!(requests[0]["io"], "tls", "{problem}: {server:#}");
        assert_eq!(requests[0]["certificate"], problem, "{server:#}");
        let message = failure["message"].as_str().unwrap();
        assert!(message.contains(words), "{problem}: {message}");
    }
}
