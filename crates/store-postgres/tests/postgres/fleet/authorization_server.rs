//! An authorization server for many users in the test program: it rotates refresh tokens, and treats the reuse of one as theft.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The sign-in of one user at one server. Its tokens are `access.NAME.N` and `refresh.NAME.N`.
#[derive(Clone, Debug, Default)]
pub struct Family {
    /// The number of refreshes.
    pub generation: u64,
    pub reuses: usize,
}

/// The server. It runs until the runtime ends.
#[derive(Clone)]
pub struct AuthorizationServer {
    pub url: String,
    families: Arc<Mutex<HashMap<String, Family>>>,
    /// How long a response takes.
    delay: Duration,
}

impl AuthorizationServer {
    pub async fn start(delay: Duration) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = Self {
            url: format!("http://127.0.0.1:{port}"),
            families: Arc::default(),
            delay,
        };
        let accepting = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(accepting.clone().serve(stream));
            }
        });
        server
    }

    pub fn families(&self) -> HashMap<String, Family> {
        self.families.lock().unwrap().clone()
    }

    async fn serve(self, mut stream: TcpStream) {
        let (mut received, mut buffer) = (Vec::new(), [0; 4096]);
        loop {
            while let Some((body, length)) = complete_request(&received) {
                let reply = self.reply(&body);
                received.drain(..length);
                // The token is replaced before the response arrives, so a client can be killed in between.
                tokio::time::sleep(self.delay).await;
                if stream.write_all(reply.as_bytes()).await.is_err() {
                    return;
                }
            }
            match stream.read(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(length) => received.extend_from_slice(&buffer[..length]),
            }
        }
    }

    fn reply(&self, form: &str) -> String {
        let mut fields = form.split('&').filter_map(|field| field.split_once('='));
        let token = fields.find_map(|(name, value)| (name == "refresh_token").then_some(value));
        let parts: Vec<&str> = token.unwrap_or_default().split('.').collect();
        let &["refresh", name, generation] = parts.as_slice() else {
            return response("400 Bad Request", r#"{"error":"invalid_request"}"#);
        };
        let mut families = self.families.lock().unwrap();
        let family = families.entry(name.to_owned()).or_default();
        let is_current = generation == family.generation.to_string();
        if !is_current || family.reuses > 0 {
            family.reuses += 1;
            return response("400 Bad Request", r#"{"error":"invalid_grant"}"#);
        }
        family.generation += 1;
        let n = family.generation;
        response(
            "200 OK",
            &format!(
                r#"{{"access_token":"access.{name}.{n}","token_type":"Bearer","refresh_token":"refresh.{name}.{n}"}}"#
            ),
        )
    }
}

fn response(status: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

/// The body of the first request, if it is complete, and the length of the request.
fn complete_request(received: &[u8]) -> Option<(String, usize)> {
    let end = memchr::memmem::find(received, b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&received[..end]).to_ascii_lowercase();
    let length = head.split("content-length:").nth(1)?.lines().next()?;
    let end_of_body = end + length.trim().parse::<usize>().unwrap();
    let body = received.get(end..end_of_body)?;
    Some((String::from_utf8_lossy(body).into_owned(), end_of_body))
}
