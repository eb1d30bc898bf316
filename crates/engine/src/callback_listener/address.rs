//! Where the browser returns: the redirect URI, and the port on loopback.

use std::io::{Error, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use mcp_startup_config::ServerEntry;
use mcp_startup_core::io_problem;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};
use url::Url;

use super::CallbackOptions;

/// The path of the redirect URI if none is configured.
const PATH: &str = "/callback";
/// How long to wait for a port in use. An earlier sign-in that was cancelled or dropped needs a moment to free it.
const PORT_LIMIT: Duration = Duration::from_secs(2);
const PORT_RETRY_DELAY: Duration = Duration::from_millis(20);

pub(super) struct Address {
    /// The redirect URI, if it is configured.
    url: Option<String>,
    /// The port on loopback; 0 for a free one.
    port: u16,
    /// Whether the host of the redirect URI is `localhost`, and not 127.0.0.1.
    by_name: bool,
}

impl Address {
    /// The address for a sign-in to `server`. The options override the configuration.
    pub(super) fn of(server: &ServerEntry, options: &CallbackOptions) -> Self {
        let oauth = server.config.as_ref().ok().map(|config| &config.oauth);
        let configured_url = oauth.and_then(|oauth| oauth.callback_url.clone());
        let url = options.redirect_uri.clone().or(configured_url);
        let parsed = url.as_deref().and_then(|url| Url::parse(url).ok());
        let loopback = parsed.filter(|url| {
            url.scheme() == "http"
                && matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"))
        });
        let own_port = loopback.as_ref().and_then(Url::port_or_known_default);
        let configured_port = oauth.and_then(|oauth| oauth.callback_port);
        // The port in the configuration belongs to the redirect URI in the configuration.
        let port = match options.redirect_uri {
            Some(_) => own_port.or(configured_port),
            None => configured_port.or(own_port),
        };
        Self {
            port: options.port.or(port).unwrap_or_default(),
            by_name: match &loopback {
                Some(url) => url.host_str() != Some("127.0.0.1"),
                None => oauth.is_some_and(|oauth| oauth.callback_on_localhost),
            },
            url,
        }
    }

    /// Listens on loopback, and returns the redirect URI.
    pub(super) async fn listen(self) -> Result<(Vec<TcpListener>, String), Error> {
        let deadline = Instant::now() + PORT_LIMIT;
        let (listeners, port) = loop {
            match self.try_listen().await {
                Err(error) if error.kind() == ErrorKind::AddrInUse && Instant::now() < deadline => {
                    sleep(PORT_RETRY_DELAY).await;
                }
                listening => break listening?,
            }
        };
        let host = match self.by_name {
            true => "localhost",
            false => "127.0.0.1",
        };
        let redirect_uri = self
            .url
            .unwrap_or_else(|| format!("http://{host}:{port}{PATH}"));
        Ok((listeners, redirect_uri))
    }

    /// Listens, and returns the port.
    async fn try_listen(&self) -> Result<(Vec<TcpListener>, u16), Error> {
        let first = listen((Ipv4Addr::LOCALHOST, self.port).into()).await?;
        let port = first.local_addr()?.port();
        let mut listeners = vec![first];
        if self.by_name {
            // A browser may resolve the name to either address. Another program must not receive the code.
            match listen((Ipv6Addr::LOCALHOST, port).into()).await {
                Ok(listener) => listeners.push(listener),
                Err(error) if error.kind() != ErrorKind::AddrInUse => {}
                Err(error) => return Err(error),
            }
        }
        Ok((listeners, port))
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|error| {
        let message = format!(
            "can't listen on {address}, where the browser returns to: {}",
            io_problem(&error)
        );
        Error::new(error.kind(), message)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;

    fn server(text: &str) -> ServerEntry {
        let variables: BTreeMap<String, String> = BTreeMap::new();
        let read = mcp_startup_config::parse(text, Path::new("file"), &variables);
        read.expect("a configuration").servers.remove(0)
    }

    #[tokio::test]
    async fn the_error_of_a_port_in_use_has_no_number_of_the_system() {
        let other = listen((Ipv4Addr::LOCALHOST, 0).into()).await.unwrap();
        let error = listen(other.local_addr().unwrap()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        assert!(!error.to_string().contains("os error"), "{error}");
    }

    #[tokio::test]
    async fn the_redirect_uri_is_that_of_the_configuration() {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let port = free
            .and_then(|free| free.local_addr())
            .expect("a port")
            .port();
        let toml = |root: &str, entry: &str| {
            server(&format!(
                "{root}\n[mcp_servers.a]\nurl = 'https://a.example'\n{entry}"
            ))
        };
        let json = |oauth: &str| {
            let entry = format!(r#"{{"url":"https://a.example","oauth":{{{oauth}}}}}"#);
            server(&format!(r#"{{"mcpServers":{{"a":{entry}}}}}"#))
        };
        // The server, the option, the redirect URI with `PORT` for the port of the listener, and whether the port is fixed.
        for (server, option, expected, is_fixed) in [
            (
                toml("", ""),
                None,
                "http://127.0.0.1:PORT/callback".to_owned(),
                false,
            ),
            (
                toml("", ""),
                Some(port),
                "http://127.0.0.1:PORT/callback".to_owned(),
                true,
            ),
            (
                toml(&format!("mcp_oauth_callback_port = {port}"), ""),
                None,
                "http://127.0.0.1:PORT/callback".to_owned(),
                true,
            ),
            (
                toml(&format!("mcp_oauth_callback_port = {port}"), ""),
                Some(0),
                "http://127.0.0.1:PORT/callback".to_owned(),
                false,
            ),
            (
                toml(
                    &format!("mcp_oauth_callback_url = 'http://localhost:{port}/cb'"),
                    "",
                ),
                None,
                "http://localhost:PORT/cb".to_owned(),
                true,
            ),
            (
                toml(
                    &format!(
                        "mcp_oauth_callback_url = 'https://box.example/cb'\nmcp_oauth_callback_port = {port}"
                    ),
                    "",
                ),
                None,
                "https://box.example/cb".to_owned(),
                true,
            ),
            (
                json(""),
                None,
                "http://127.0.0.1:PORT/callback".to_owned(),
                false,
            ),
            (
                json(r#""clientId":"c""#),
                None,
                "http://localhost:PORT/callback".to_owned(),
                false,
            ),
            (
                json(&format!(r#""clientId":"c","callbackPort":{port}"#)),
                None,
                "http://localhost:PORT/callback".to_owned(),
                true,
            ),
            (
                json(&format!(r#""redirectUri":"http://127.0.0.1:{port}/x""#)),
                None,
                "http://127.0.0.1:PORT/x".to_owned(),
                true,
            ),
        ] {
            let options = CallbackOptions {
                port: option,
                redirect_uri: None,
            };
            let (listeners, redirect_uri) = Address::of(&server, &options)
                .listen()
                .await
                .expect("listeners");
            let ports: Vec<u16> = listeners
                .iter()
                .map(|listener| listener.local_addr().expect("an address").port())
                .collect();
            assert!(ports.iter().all(|found| *found == ports[0]), "{ports:?}");
            assert_eq!(
                redirect_uri,
                expected.replace("PORT", &ports[0].to_string())
            );
            assert_eq!(ports[0] == port, is_fixed, "{expected}");
        }
    }
}
