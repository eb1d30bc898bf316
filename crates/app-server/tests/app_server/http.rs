//! A plain HTTP client, which follows no redirect by itself.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::LIMIT;

pub struct Response {
    pub status: u16,
    head: String,
    pub body: String,
}

impl Response {
    /// The value of a header. Panics if it occurs twice.
    pub fn header(&self, name: &str) -> Option<&str> {
        let headers = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut values = headers.filter(|(known, _)| known.eq_ignore_ascii_case(name));
        let value = values.next();
        assert!(values.next().is_none(), "{name} occurs twice");
        value.map(|(_, value)| value)
    }
}

/// Sends `GET`, with these lines of headers besides `Host`.
pub async fn get(url: &str, headers: &[&str]) -> std::io::Result<Response> {
    send("GET", url, headers).await
}

/// Sends a request without a body, with these lines of headers besides `Host`.
pub async fn send(method: &str, url: &str, headers: &[&str]) -> std::io::Result<Response> {
    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_at(rest.find('/').unwrap());
    request(host, method, path, headers).await
}

/// Sends a request with this target.
pub async fn request(
    host: &str,
    method: &str,
    target: &str,
    headers: &[&str],
) -> std::io::Result<Response> {
    let mut lines = vec![
        format!("{method} {target} HTTP/1.1"),
        "Connection: close".to_owned(),
    ];
    if !headers.iter().any(|line| line.starts_with("Host:")) {
        lines.push(format!("Host: {host}"));
    }
    lines.extend(headers.iter().map(|line| (*line).to_owned()));
    let exchange = async {
        let mut stream = TcpStream::connect(host).await?;
        let request = format!("{}\r\n\r\n", lines.join("\r\n"));
        stream.write_all(request.as_bytes()).await?;
        let mut response = Vec::new();
        stream.read_to_end(&mut response).await?;
        Ok(String::from_utf8_lossy(&response).into_owned())
    };
    let response: std::io::Result<String> = tokio::time::timeout(LIMIT, exchange).await.unwrap();
    let response = response?;
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap();
    Ok(Response {
        status: status.parse().unwrap(),
        head: head.to_owned(),
        body: body.to_owned(),
    })
}

/// Does what a browser does in a sign-in: the authorization server redirects it to the app-server, whose page has this status.
pub async fn browse(authorization_url: &str) -> u16 {
    let redirect = get(authorization_url, &[]).await.unwrap();
    assert!(matches!(redirect.status, 302 | 303), "{}", redirect.status);
    let location = redirect.header("Location").unwrap();
    get(location, &[]).await.unwrap().status
}
