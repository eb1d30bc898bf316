//! The HTTP clients of a process, and the rules for every request.
//!
//! [`Network`] sends requests to the MCP servers that the user configured. [`GuardedClient`] sends requests to URLs that a server
//! supplies, and keeps a public server from directing them into the user's private network. [`RequestLog`] records each request
//! and its outcome. This module does not know MCP or OAuth.

mod addresses;
mod content_encoding;
mod guarded_client;
mod name_resolution;
mod pauses;
mod proxies;
mod request_log;
mod response;
mod system_trust;
#[cfg(test)]
pub(crate) mod test_internet;

use std::error::Error;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use hyper_util::client::proxy::matcher::Matcher;
use url::Url;

pub(crate) use addresses::{Place, place};
pub use content_encoding::decoded_body;
pub(crate) use content_encoding::decoded_body_or_json;
use guarded_client::PublicClients;
pub use guarded_client::{BlockedRequest, GuardedClient, GuardedClientError};
use name_resolution::{Names, Resolver};
pub use pauses::Pauses;
use proxies::Proxies;
pub use request_log::{
    LimitExceeded, MAX_RECEIVED_BYTES, MAX_REQUESTS, RequestLog, RequestObserver, SentRequest,
};
use response::has_cause;
pub(crate) use response::read_chunks_into;
pub use response::{
    BodyError, challenges, proxy_requires_password, read_body, retry_after, trouble,
    without_byte_order_mark,
};
use system_trust::SystemTrust;

/// An HTTP client can't be created.
#[derive(Debug, thiserror::Error)]
#[error("can't create an HTTP client: {0}")]
pub struct ClientError(#[source] Box<dyn Error + Send + Sync>);

/// The HTTP clients of a process. It is cheap to clone.
///
/// * All clients share one TLS configuration, which verifies certificates against the trust store of the system.
/// * The clients use the proxies from the environment (`HTTPS_PROXY`, `NO_PROXY`) or from the system.
/// * The clients follow no redirect: a server must not decide where a token is sent.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use mcp_startup_auth::network::{Network, GuardedClientError};
///
/// let network = Network::new()?;
/// // A public server can't direct a request into the user's private network.
/// let guarded = network.guarded_client(&"https://1.1.1.1/mcp".parse()?).await;
/// let url = "https://192.168.1.1/.well-known/oauth-authorization-server".parse()?;
/// let request = reqwest::Request::new(reqwest::Method::GET, url);
/// assert!(matches!(guarded.execute(request).await, Err(GuardedClientError::Blocked(_))));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Network(Arc<Shared>);

struct Shared {
    tls: rustls::ClientConfig,
    names: Arc<Names>,
    proxies: Proxies,
    server_client: reqwest::Client,
    // Created on first use; most starts need neither.
    routes: OnceLock<Matcher>,
    /// As `server_client`, with a new connection for each request.
    unpooled_client: OnceLock<reqwest::Client>,
    public_clients: OnceLock<PublicClients>,
}

/// Returns a warning for each variable of the environment that should change the network of this process and does not: a proxy that is not
/// valid, or a file without certificates.
#[doc(hidden)]
pub fn environment_warnings() -> Vec<String> {
    let variable = |name: &str| std::env::var_os(name);
    let mut warnings = proxies::warnings(variable);
    let file = variable("SSL_CERT_FILE");
    warnings.extend(file.and_then(|file| system_trust::warning(Path::new(&file))));
    warnings
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").finish_non_exhaustive()
    }
}

impl Network {
    /// Creates the client for MCP servers. It sends no request.
    ///
    /// # Errors
    ///
    /// [`ClientError`] if TLS can't be set up.
    pub fn new() -> Result<Self, ClientError> {
        Self::with_names(Names::from_system(), Proxies::System)
    }

    fn with_names(names: Names, proxies: Proxies) -> Result<Self, ClientError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| ClientError(Box::new(error)))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(SystemTrust::new(provider)))
            .with_no_client_auth();
        let names = Arc::new(names);
        let server_client = proxies
            .set(builder(tls.clone()))
            .dns_resolver(Resolver(names.clone()))
            .build()
            .map_err(|error| ClientError(Box::new(error)))?;
        Ok(Self(Arc::new(Shared {
            tls,
            names,
            proxies,
            server_client,
            routes: OnceLock::new(),
            unpooled_client: OnceLock::new(),
            public_clients: OnceLock::new(),
        })))
    }

    /// The client for the MCP servers in the user's configuration. All servers share its connection pool.
    pub fn server_client(&self) -> &reqwest::Client {
        &self.0.server_client
    }

    /// Creates the client for URLs that the MCP server at `server` supplies. It resolves the name of the server to find out
    /// whether the server is public, unless an earlier lookup found a public address of it.
    pub async fn guarded_client(&self, server: &Url) -> GuardedClient {
        GuardedClient::new(self, server).await
    }

    fn names(&self) -> &Names {
        &self.0.names
    }

    fn routes(&self) -> &Matcher {
        self.0.routes.get_or_init(|| self.0.proxies.matcher())
    }

    /// The host and port of the proxy through which requests to `url` are sent. `None` if they are sent directly.
    pub fn proxy_of(&self, url: &Url) -> Option<String> {
        let proxy = self.routes().intercept(&url.as_str().parse().ok()?)?;
        Some(
            proxy
                .uri()
                .authority()?
                .as_str()
                .rsplit('@')
                .next()?
                .to_owned(),
        )
    }

    fn goes_through_a_proxy(&self, url: &Url) -> bool {
        self.proxy_of(url).is_some()
    }

    /// A client like [`server_client`](Self::server_client) that opens a connection for each request.
    fn unpooled_client(&self) -> Result<&reqwest::Client, ClientError> {
        let shared = &self.0;
        if let Some(client) = shared.unpooled_client.get() {
            return Ok(client);
        }
        let builder = builder(shared.tls.clone()).pool_max_idle_per_host(0);
        let builder = shared.proxies.set(builder);
        let client = builder.dns_resolver(Resolver(shared.names.clone())).build();
        let client = client.map_err(|error| ClientError(Box::new(error)))?;
        Ok(shared.unpooled_client.get_or_init(|| client))
    }

    /// The client for URLs that a public server supplies. `may_reuse` is whether it may use an open connection.
    fn public_client(
        &self,
        url: &Url,
        may_reuse: bool,
    ) -> Result<&reqwest::Client, GuardedClientError> {
        let shared = &self.0;
        let clients = shared
            .public_clients
            .get_or_init(|| PublicClients::new(self.routes(), &shared.names));
        let builder = || shared.proxies.set(builder(shared.tls.clone()));
        clients.client(url, self.goes_through_a_proxy(url), may_reuse, builder)
    }
}

fn builder(tls: rustls::ClientConfig) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("mcp-startup/", env!("CARGO_PKG_VERSION")))
}

/// Returns the parts of a URL that evidence may contain: scheme, host, port and path. User name, password, query and fragment can
/// be secret and are left out.
///
/// ```
/// let url = "https://user:password@mcp.example:8443/mcp?key=secret#part".parse()?;
/// assert_eq!(mcp_startup_auth::network::bare_url(&url), "https://mcp.example:8443/mcp");
/// # Ok::<(), url::ParseError>(())
/// ```
pub fn bare_url(url: &Url) -> String {
    let port = url
        .port()
        .map_or_else(String::new, |port| format!(":{port}"));
    format!(
        "{}://{}{port}{}",
        url.scheme(),
        url.host_str().unwrap_or_default(),
        url.path()
    )
}
