//! Minimal MCP servers over TLS, each with a port and a certificate of its own. Writes the certificate of their authority to a file,
//! prints their URLs in one line, and ends when its stdin ends.
//!
//! Usage: tls_origins COUNT FILE

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use mcp_startup_bench::{answer, until_stdin_ends};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: tls_origins COUNT FILE";
    let count: usize = arguments.next().ok_or(usage)?.parse()?;
    let file = arguments.next().ok_or(usage)?;

    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate()?;
    std::fs::write(file, authority.self_signed(&key)?.pem())?;
    let authority = Issuer::new(authority, key);

    let mut urls = Vec::new();
    for _ in 0..count {
        let origin = Origin {
            listener: TcpListener::bind(("127.0.0.1", 0)).await?,
            tls: acceptor(&authority)?,
        };
        urls.push(format!("https://localhost:{}/mcp", origin.listener.local_addr()?.port()));
        let router = Router::new().route("/mcp", post(|body: Bytes| async move { answer(&body) }));
        tokio::spawn(axum::serve(origin, router).into_future());
    }
    println!("{}", urls.join(" "));
    until_stdin_ends(std::future::pending::<std::io::Result<()>>()).await
}

/// A new certificate for this machine.
fn acceptor(authority: &Issuer<'_, KeyPair>) -> Result<TlsAcceptor, Failure> {
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(["localhost".to_owned()])?.signed_by(&key, authority)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

struct Origin {
    listener: TcpListener,
    tls: TlsAcceptor,
}

impl axum::serve::Listener for Origin {
    type Io = TlsStream<TcpStream>;
    type Addr = std::net::SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            match self.listener.accept().await {
                Ok((stream, from)) => {
                    if let Ok(stream) = self.tls.accept(stream).await {
                        return (stream, from);
                    }
                }
                // The process has too many open files.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}
