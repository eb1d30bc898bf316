//! The HTTP client for URLs that an MCP server supplies: discovery documents, authorization servers and token endpoints.

use std::sync::{Arc, OnceLock};

use http::header::{ACCEPT, CONTENT_TYPE};
use hyper_util::client::proxy::matcher::Matcher;
use mcp_startup_core::IoTrouble;
use url::Url;

use super::addresses::{Place, place};
use super::name_resolution::{GuardedResolver, Names, NotPublic, key};
use super::{ClientError, Network, bare_url, has_cause, trouble};

/// The HTTP client for the discovery documents, the authorization servers and the token endpoints of one MCP server.
///
/// The server chooses these URLs, so the client sends a request only if it follows these rules:
///
/// * The scheme is `https`. `http` is allowed only to a loopback address and to the origin of the MCP server, if that is `http`
///   itself (RFC 8414, section 3; RFC 6749, section 3.2).
/// * The URLs of a public server lead to public addresses only (RFC 9728, section 7.7). The client checks the URL, and the
///   addresses that its name resolves to when it connects. A proxy resolves names itself, so behind a proxy the client can
///   check only the URL.
///
/// A server can close an open connection while a request is on its way. So a POST, such as a token request, opens a connection: otherwise,
/// it would be unknown whether the server has received it. A GET is sent once more.
///
/// The client follows no redirect, and never sends the user name and the password of a URL.
///
/// A server on a loopback or private address, or whose name resolves only to such addresses, may supply URLs of any address.
#[derive(Clone, Debug)]
pub struct GuardedClient {
    network: Network,
    server: Url,
    is_public: bool,
}

/// A request that was not sent because it violates a rule of [`GuardedClient`]. The URL from the server can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{url} was not requested: {rule}")]
pub struct BlockedRequest {
    url: String,
    rule: Rule,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Rule {
    #[error("its scheme is not https")]
    Scheme,
    #[error("a public server must not lead to a private address")]
    Address,
}

impl BlockedRequest {
    fn new(url: &Url, rule: Rule) -> Self {
        let url = match url.scheme() {
            "http" | "https" => bare_url(url),
            // The text can contain anything, including a secret that the server received, so it is not shown.
            _ => "a URL with another scheme".to_owned(),
        };
        Self { url, rule }
    }

    /// The scheme, host, port and path of an `http` or `https` URL. For another scheme, a description without the URL.
    pub fn url(&self) -> &str {
        &self.url
    }
}

/// A request without a response.
#[derive(Debug, thiserror::Error)]
pub enum GuardedClientError {
    /// A rule forbids the request. Nothing was sent, and a retry cannot succeed.
    #[error(transparent)]
    Blocked(#[from] BlockedRequest),
    /// The request failed.
    #[error(transparent)]
    Failed(#[from] reqwest::Error),
    /// The HTTP client can't be created.
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl GuardedClientError {
    /// Converts the error to evidence.
    pub fn trouble(&self) -> IoTrouble {
        match self {
            Self::Failed(error) => trouble(error),
            // There was no connection.
            Self::Blocked(_) | Self::Client(_) => IoTrouble::Connect,
        }
    }
}

impl GuardedClient {
    pub(super) async fn new(network: &Network, server: &Url) -> Self {
        let is_public = match place(server) {
            Some(Place::Loopback | Place::Private) => false,
            Some(Place::Public) | None => true,
            // The proxy resolves the name, perhaps to another address.
            Some(Place::Named(_)) if network.goes_through_a_proxy(server) => true,
            Some(Place::Named(name)) => network.names().is_public(name).await,
        };
        Self {
            network: network.clone(),
            server: server.clone(),
            is_public,
        }
    }

    /// Checks whether a request to `url` is allowed, as far as the URL itself determines it. The addresses of a name are checked
    /// later, when the client connects.
    ///
    /// # Errors
    ///
    /// [`BlockedRequest`] if a rule forbids the request.
    pub fn allows(&self, url: &Url) -> Result<(), BlockedRequest> {
        let blocked = |rule| Err(BlockedRequest::new(url, rule));
        let place = place(url);
        let is_server_origin =
            || self.server.scheme() == "http" && url.origin() == self.server.origin();
        match (url.scheme(), place) {
            ("https", Some(_)) | ("http", Some(Place::Loopback)) => {}
            ("http", Some(_)) if is_server_origin() => {}
            _ => return blocked(Rule::Scheme),
        }
        match place {
            Some(Place::Loopback | Place::Private) if self.server_is_public() => {
                blocked(Rule::Address)
            }
            _ => Ok(()),
        }
    }

    /// Builds a POST request with a form for [`execute`](Self::execute). `basic` is the user name and the password of HTTP Basic
    /// authentication (RFC 7617).
    ///
    /// # Errors
    ///
    /// [`GuardedClientError::Failed`] if the request can't be built.
    pub fn form(
        &self,
        url: Url,
        form: String,
        basic: Option<(&str, &str)>,
    ) -> Result<reqwest::Request, GuardedClientError> {
        let post = self.network.server_client().post(without_credentials(url));
        let post = post
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(ACCEPT, "application/json")
            .body(form);
        let post = match basic {
            None => post,
            Some((user, password)) => post.basic_auth(user, Some(password)),
        };
        Ok(post.build()?)
    }

    /// Sends a request and returns its response, which can be a redirect.
    ///
    /// # Errors
    ///
    /// * [`GuardedClientError::Blocked`] if a rule forbids the request. Nothing was sent.
    /// * [`GuardedClientError::Failed`] if there was no response.
    /// * [`GuardedClientError::Client`] if the HTTP client can't be created.
    pub async fn execute(
        &self,
        mut request: reqwest::Request,
    ) -> Result<reqwest::Response, GuardedClientError> {
        let url = without_credentials(request.url().clone());
        request.url_mut().clone_from(&url);
        self.allows(&url)?;
        let is_repeatable = request.method().is_safe();
        let client = match self.server_is_public() {
            true => self.network.public_client(&url, is_repeatable)?,
            false if is_repeatable => self.network.server_client(),
            false => self.network.unpooled_client()?,
        };
        let again = request.try_clone().filter(|_| is_repeatable);
        let mut response = client.execute(request).await;
        if let (Err(error), Some(again)) = (&response, again)
            && trouble(error) == IoTrouble::Closed
        {
            response = client.execute(again).await;
        }
        response.map_err(
            |error| match has_cause(&error, &|cause| cause.is::<NotPublic>()) {
                true => BlockedRequest::new(&url, Rule::Address).into(),
                false => error.without_url().into(),
            },
        )
    }

    /// Whether the server counts as public. The name of a private server can have resolved to a public address since.
    fn server_is_public(&self) -> bool {
        self.is_public
            || match place(&self.server) {
                Some(Place::Named(name)) => self.network.names().was_public(name),
                _ => false,
            }
    }
}

/// Removes the user name and the password: a URL from a server must not choose the credentials of a request.
fn without_credentials(mut url: Url) -> Url {
    // Both calls fail only for a URL without a host, which has no credentials.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url
}

/// The clients for URLs that public servers supply. Each is created on first use, because most starts need none, and only a POST
/// request needs a connection of its own.
pub(super) struct PublicClients {
    pooled: OnceLock<reqwest::Client>,
    unpooled: OnceLock<reqwest::Client>,
    names: Arc<Names>,
    proxies: Vec<String>,
}

impl PublicClients {
    pub fn new(routes: &Matcher, names: &Arc<Names>) -> Self {
        let urls = ["http://other.invalid", "https://other.invalid"];
        let hosts = urls.into_iter().filter_map(|url| {
            let proxy = routes.intercept(&http::Uri::from_static(url))?;
            proxy.uri().host().map(key)
        });
        Self {
            pooled: OnceLock::new(),
            unpooled: OnceLock::new(),
            names: names.clone(),
            proxies: hosts.collect(),
        }
    }

    /// Returns the client for a request to `url`. It fails if `url` leads directly to the host of a proxy, because the resolver
    /// does not check the addresses of proxies.
    pub fn client(
        &self,
        url: &Url,
        through_a_proxy: bool,
        may_reuse: bool,
        builder: impl FnOnce() -> reqwest::ClientBuilder,
    ) -> Result<&reqwest::Client, GuardedClientError> {
        let host = url.host_str().map(key).unwrap_or_default();
        if !through_a_proxy && self.proxies.contains(&host) {
            return Err(BlockedRequest::new(url, Rule::Address).into());
        }
        let place = match may_reuse {
            true => &self.pooled,
            false => &self.unpooled,
        };
        if let Some(client) = place.get() {
            return Ok(client);
        }
        let builder = match may_reuse {
            true => builder(),
            false => builder().pool_max_idle_per_host(0),
        };
        let resolver = GuardedResolver {
            names: self.names.clone(),
            proxies: self.proxies.clone(),
        };
        let client = builder.dns_resolver(resolver).build();
        let client = client.map_err(|error| ClientError(Box::new(error)))?;
        // Another thread may have created one meanwhile; it is used then.
        Ok(place.get_or_init(|| client))
    }
}

#[cfg(test)]
mod tests;
