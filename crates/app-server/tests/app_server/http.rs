//! A plain HTTP client, which follows no redirect by itself.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::LIMIT;

/// The status and the header `Location` of a response.
pub struct Response {
    pub status: u16,
    pub location: String,
}

/// Sends `GET`, with these lines of headers besides `Host`.
pub async fn get(url: &str, headers: &[&str]) -> std::io::Result<Response> {
    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_at(rest.find('/').unwrap());
    let mut lines = vec![
        format!("GET {path} HTTP/1.1"),
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
    let mut lines = response.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap();
    let location = lines.find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("location").then_some(value)
    });
    Ok(Response {
        status: status.parse().unwrap(),
        location: location.unwrap_or_default().to_owned(),
    })
}

/// Does what a browser does in a sign-in: the authorization server redirects it to the app-server, whose page has this status.
pub async fn browse(authorization_url: &str) -> u16 {
    let redirect = get(authorization_url, &[]).await.unwrap();
    assert!(matches!(redirect.status, 302 | 303), "{}", redirect.status);
    get(&redirect.location, &[]).await.unwrap().status
}
