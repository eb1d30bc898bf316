//! The way to what an MCP server names: discovery documents, authorization servers, token endpoints.

use std::sync::Arc;

use http::header::{ACCEPT, CONTENT_TYPE};
use hyper_util::client::proxy::matcher::Matcher;
use mcp_startup_core::IoTrouble;
use url::Url;

use super::addresses::{Place, place};
use super::names::{GuardedResolver, Names, NotPublic, key};
use super::{ClientError, Network, Proxies, bare_url, has_cause, trouble};

/// The way to the discovery documents, the authorization servers and the token endpoints of one MCP server. Where those are, is
/// what the server says; so each request keeps to these rules, or is not sent:
///
/// * `https`, and `http` only to this machine's own loopback and to the origin of the MCP server, where that is `http` itself (RFC
///   8414, section 3; RFC 6749, section 3.2);
/// * a public server leads to public addresses only. What the URL says is checked, and what a name resolves to when it is
///   connected to; behind a proxy, which resolves by itself, the URL is all that can be checked (RFC 9728, section 7.7);
/// * a redirect is not followed, and nothing that a URL has before its `@` is sent.
///
/// A server that is itself at a loopback or private address, or whose name has no other, leads where it likes.
#[derive(Clone, Debug)]
pub struct Outside {
    network: Network,
    server: Url,
    is_public: bool,
}

/// A request that broke a rule, and was not sent: what the server names can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{url} was not asked: {rule}")]
pub struct Refused {
    url: String,
    rule: Rule,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Rule {
    #[error("it is not https")]
    Scheme,
    #[error("a public server must not lead to a private address")]
    Address,
}

impl Refused {
    fn new(url: &Url, rule: Rule) -> Self {
        let url = match url.scheme() {
            "http" | "https" => bare_url(url),
            // Whatever it is, it is no place: it may as well be something that the server was given.
            _ => "a URL of another scheme".to_owned(),
        };
        Self { url, rule }
    }

    /// Scheme, host, port and path of what was not asked, where it is `http` or `https`.
    pub fn url(&self) -> &str {
        &self.url
    }
}

/// No answer came.
#[derive(Debug, thiserror::Error)]
pub enum OutsideError {
    /// A rule forbids the request: nothing was sent, and asking again changes nothing.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// It failed.
    #[error(transparent)]
    Failed(#[from] reqwest::Error),
    /// There is nothing to send it with.
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl OutsideError {
    /// The same as evidence.
    pub fn trouble(&self) -> IoTrouble {
        match self {
            Self::Failed(error) => trouble(error),
            // No connection was made.
            Self::Refused(_) | Self::Client(_) => IoTrouble::Connect,
        }
    }
}

impl Outside {
    pub(super) async fn of(network: &Network, server: &Url) -> Self {
        let is_public = match place(server) {
            Some(Place::Loopback | Place::Inner) => false,
            Some(Place::Public) | None => true,
            // A proxy finds it, by names of its own.
            Some(Place::Named(_)) if network.goes_through_a_proxy(server) => true,
            Some(Place::Named(name)) => network.names().is_public(name).await,
        };
        Self {
            network: network.clone(),
            server: server.clone(),
            is_public,
        }
    }

    /// Whether `url` may be asked, as far as that can be told from itself. What a name resolves to shows when it is connected to.
    ///
    /// # Errors
    ///
    /// [`Refused`] where a rule forbids it.
    pub fn allows(&self, url: &Url) -> Result<(), Refused> {
        let refused = |rule| Err(Refused::new(url, rule));
        let place = place(url);
        let is_of_server =
            || self.server.scheme() == "http" && url.origin() == self.server.origin();
        match (url.scheme(), place) {
            ("https", Some(_)) | ("http", Some(Place::Loopback)) => {}
            ("http", Some(_)) if is_of_server() => {}
            _ => return refused(Rule::Scheme),
        }
        match place {
            Some(Place::Loopback | Place::Inner) if self.server_is_public() => {
                refused(Rule::Address)
            }
            _ => Ok(()),
        }
    }

    /// A form for [`execute`](Self::execute) to send, with a client's id and secret where it has one (RFC 6749, sections 2.3.1 and
    /// 3.2).
    ///
    /// # Errors
    ///
    /// [`OutsideError::Failed`] where no request can be made of it.
    pub fn form(
        &self,
        url: Url,
        form: String,
        client: Option<(&str, &str)>,
    ) -> Result<reqwest::Request, OutsideError> {
        let post = self.network.to_servers().post(bare(url));
        let post = post
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(ACCEPT, "application/json")
            .body(form);
        let post = match client {
            None => post,
            Some((id, secret)) => {
                // Each is encoded as in a form before they are put together.
                let encoded = |text: &str| -> String {
                    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
                };
                post.basic_auth(encoded(id), Some(encoded(secret)))
            }
        };
        Ok(post.build()?)
    }

    /// Sends a request and gives its answer, a redirect too.
    ///
    /// # Errors
    ///
    /// [`OutsideError::Refused`] where a rule forbids it: then nothing was sent. [`OutsideError::Failed`] where no answer came.
    pub async fn execute(
        &self,
        mut request: reqwest::Request,
    ) -> Result<reqwest::Response, OutsideError> {
        let url = bare(request.url().clone());
        request.url_mut().clone_from(&url);
        self.allows(&url)?;
        let client = match self.server_is_public() {
            true => self.network.guarded(&url)?,
            false => self.network.to_servers(),
        };
        client.execute(request).await.map_err(|error| {
            match has_cause(&error, &|cause| cause.is::<NotPublic>()) {
                true => Refused::new(&url, Rule::Address).into(),
                false => error.without_url().into(),
            }
        })
    }

    /// The name of a server that was an inner one may have come to be public since.
    fn server_is_public(&self) -> bool {
        self.is_public
            || match place(&self.server) {
                Some(Place::Named(name)) => self.network.names().was_public(name),
                _ => false,
            }
    }
}

/// The URL without a name and a password: who asks there is not for the URL to say.
fn bare(mut url: Url) -> Url {
    // Where there is no host there are none, and nothing to send.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url
}

/// The client for what public servers lead to: made when the first of them leads anywhere.
pub(super) struct Guarded {
    client: reqwest::Client,
    proxies: Vec<String>,
}

impl Guarded {
    pub fn new(
        builder: reqwest::ClientBuilder,
        proxies: &Proxies,
        routes: &Matcher,
        names: &Arc<Names>,
    ) -> Result<Self, ClientError> {
        let proxies_of = ["http://other.invalid", "https://other.invalid"];
        let hosts = proxies_of.into_iter().filter_map(|url| {
            let proxy = routes.intercept(&http::Uri::from_static(url))?;
            proxy.uri().host().map(key)
        });
        let hosts: Vec<String> = hosts.collect();
        let resolver = GuardedResolver {
            names: names.clone(),
            proxies: hosts.clone(),
        };
        let client = proxies.set(builder).dns_resolver(resolver).build();
        Ok(Self {
            client: client.map_err(|error| ClientError(Box::new(error)))?,
            proxies: hosts,
        })
    }

    /// The client, if it may ask `url` itself or through a proxy. A URL that leads to a proxy's own host would not be checked.
    pub fn client(&self, url: &Url, through_a_proxy: bool) -> Result<&reqwest::Client, Refused> {
        let host = url.host_str().map(key).unwrap_or_default();
        match !through_a_proxy && self.proxies.contains(&host) {
            true => Err(Refused::new(url, Rule::Address)),
            false => Ok(&self.client),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};
    use std::time::Duration;

    use reqwest::dns::Resolve;

    use super::super::names::Resolver;
    use super::super::world::{World, answer, network};
    use super::*;

    /// What came of a request.
    async fn came_to(outside: &Outside, url: &str) -> String {
        let request = reqwest::Request::new(reqwest::Method::GET, url.parse().unwrap());
        // What is not refused may have nobody to answer.
        let answer = tokio::time::timeout(Duration::from_secs(5), outside.execute(request)).await;
        match answer {
            Ok(Ok(response)) => response.status().to_string(),
            Ok(Err(OutsideError::Refused(refused))) => refused.rule.to_string(),
            Ok(Err(error)) => format!("{:?}", error.trouble()),
            Err(_) => "nothing".to_owned(),
        }
    }

    #[tokio::test]
    async fn what_a_server_may_lead_to() {
        const PUBLIC: &str = "https://mcp.example/mcp";
        const PUBLIC_HTTP: &str = "http://mcp.example:8000/mcp";
        const LITERAL: &str = "https://1.1.1.1/mcp";
        const INNER: &str = "https://mcp.corp/mcp";
        const PRIVATE: &str = "http://10.0.0.1:8000/mcp";
        const LOOPBACK: &str = "http://127.0.0.1:8000/mcp";
        const LOCALHOST: &str = "https://localhost:8000/mcp";
        let network = network(vec![
            ("mcp.example", "1.1.1.1"),
            ("mcp.corp", "10.0.0.1 fd00::1"),
        ]);
        let (yes, no_https, private) = (None, Some(Rule::Scheme), Some(Rule::Address));
        let everybody: &[&str] = &[
            PUBLIC,
            PUBLIC_HTTP,
            LITERAL,
            INNER,
            PRIVATE,
            LOOPBACK,
            LOCALHOST,
        ];
        let (public, inner) = everybody.split_at(3);
        for (servers, urls, wanted) in [
            (everybody, "https://auth.example/token", yes),
            (
                everybody,
                "https://8.8.8.8/ https://[2606:4700::1111]:8443/",
                yes,
            ),
            (
                everybody,
                "http://auth.example/token http://8.8.8.8/",
                no_https,
            ),
            (
                everybody,
                "http://10.0.0.2/ http://[fd00::1]/ http://auth.corp/",
                no_https,
            ),
            (
                everybody,
                "file:///etc/passwd ftp://auth.example/ data:,{} javascript:1",
                no_https,
            ),
            (
                everybody,
                "unix:/run/docker.sock ws://auth.example/ about:blank",
                no_https,
            ),
            (
                inner,
                "https://127.0.0.1/ https://[::1]/ https://localhost/",
                yes,
            ),
            (
                inner,
                "http://127.0.0.1:9/ http://[::1]:9/ http://localhost:9/",
                yes,
            ),
            (
                inner,
                "https://10.0.0.2/ https://192.168.0.1/ https://[fd00::2]/",
                yes,
            ),
            (
                public,
                "https://127.0.0.1/ https://[::1]/ https://localhost/",
                private,
            ),
            (
                public,
                "http://127.0.0.1:9/ http://[::1]:9/ http://localhost:9/",
                private,
            ),
            (
                public,
                "https://localhost./ https://a.localhost/ https://127.1/",
                private,
            ),
            (
                public,
                "https://10.0.0.2/ https://172.16.0.1/ https://192.168.0.1/",
                private,
            ),
            (
                public,
                "https://100.64.0.1/ https://0.0.0.0/ https://[::]/",
                private,
            ),
            (
                public,
                "https://169.254.169.254/latest https://[fe80::1]/",
                private,
            ),
            (
                public,
                "https://224.0.0.1/ https://[ff02::1]/ https://203.0.113.1/",
                private,
            ),
            (
                public,
                "https://[fd00::2]/ https://[::ffff:10.0.0.2]/",
                private,
            ),
            (
                public,
                "https://[::ffff:7f00:1]/ https://[::127.0.0.1]/",
                private,
            ),
            (
                public,
                "https://[64:ff9b::a9fe:a9fe]/ https://[64:ff9b::10.0.0.1]/",
                private,
            ),
            (
                public,
                "https://2130706433/ https://0x7f.0.0.1/ https://0177.1/",
                private,
            ),
            // The origin of a server that is configured with http, and no other.
            (&[PUBLIC_HTTP], "http://mcp.example:8000/token", yes),
            (
                &[PUBLIC_HTTP],
                "http://mcp.example:8001/ http://mcp.example/",
                no_https,
            ),
            (
                &[PUBLIC],
                "http://mcp.example/ http://mcp.example:443/",
                no_https,
            ),
            (&[PRIVATE], "http://10.0.0.1:8000/token", yes),
            (&[PRIVATE], "http://10.0.0.1/", no_https),
        ] {
            for server in servers {
                let outside = network.beyond(&server.parse().unwrap()).await;
                for url in urls.split(' ') {
                    let got = outside.allows(&url.parse().unwrap()).err();
                    assert_eq!(got.map(|refused| refused.rule), wanted, "{server} to {url}");
                }
            }
        }
    }

    #[tokio::test]
    async fn a_name_is_looked_up_only_where_the_answer_matters() {
        // Here nobody knows any name, and a server that can't be found counts as public.
        let network = network(vec![]);
        for (server, wanted) in [
            ("http://127.0.0.1:1/mcp", false),
            ("https://localhost/mcp", false),
            ("https://10.0.0.1/mcp", false),
            ("https://1.1.1.1/mcp", true),
            ("https://unknown.example/mcp", true),
        ] {
            let outside = network.beyond(&server.parse().unwrap()).await;
            assert_eq!(outside.server_is_public(), wanted, "{server}");
        }
        assert!(
            network.0.guarded.get().is_none(),
            "made before it is needed"
        );
        let proxied = World::new(|_| String::new()).network("", vec![("mcp.corp", "10.0.0.1")]);
        let outside = proxied
            .beyond(&"https://mcp.corp/mcp".parse().unwrap())
            .await;
        assert!(outside.server_is_public(), "the proxy finds it, not we");
    }

    #[tokio::test]
    async fn a_name_that_leads_to_loopback_is_not_connected_to_from_a_public_server() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let network = network(vec![
            ("mcp.example", "1.1.1.1"),
            ("auth.example", "127.0.0.1"),
            ("mapped.example", "::ffff:127.0.0.1"),
            ("any.example", "0.0.0.0"),
            ("localhost.example", "127.0.0.1 ::1"),
        ]);
        let server = format!("http://mcp.example:{port}/mcp").parse().unwrap();
        let outside = network.beyond(&server).await;
        for host in ["auth", "mapped", "any", "localhost"] {
            let url = format!("https://{host}.example:{port}/token");
            assert_eq!(
                came_to(&outside, &url).await,
                Rule::Address.to_string(),
                "{url}"
            );
        }
        assert_eq!(came_to(&outside, "https://unknown.example/").await, "Dns");
        // One that the server's own name is rebound to.
        let rebound = super::super::world::network(vec![
            ("mcp.example", "1.1.1.1"),
            ("mcp.example", "127.0.0.1"),
        ]);
        let outside = rebound.beyond(&server).await;
        let own = format!("http://mcp.example:{port}/.well-known/oauth-authorization-server");
        assert_eq!(came_to(&outside, &own).await, Rule::Address.to_string());
        let connected = listener.accept();
        assert!(connected.is_err(), "{connected:?}");
    }

    #[tokio::test]
    async fn a_server_that_turns_out_to_be_public_leads_nowhere_private_any_more() {
        let network = network(vec![
            ("mcp.example", "10.0.0.1"),
            ("mcp.example", "1.1.1.1"),
        ]);
        let server = "https://mcp.example/mcp".parse().unwrap();
        let outside = network.beyond(&server).await;
        let neighbour = "https://10.0.0.2/".parse().unwrap();
        assert_eq!(outside.allows(&neighbour), Ok(()));
        let connecting = Resolver(network.0.names.clone()).resolve("mcp.example".parse().unwrap());
        assert!(connecting.await.is_ok());
        let refused = Refused::new(&neighbour, Rule::Address);
        assert_eq!(outside.allows(&neighbour), Err(refused));
    }

    #[tokio::test]
    async fn a_server_of_ones_own_network_leads_to_its_neighbours() {
        let world = World::new(|_| answer(200, "", "{}"));
        let port = world.address.port();
        let network = network(vec![("mcp.corp", "10.0.0.1"), ("mcp.corp", "127.0.0.1")]);
        let server = format!("http://mcp.corp:{port}/mcp").parse().unwrap();
        let outside = network.beyond(&server).await;
        let own = format!("http://mcp.corp:{port}/.well-known/oauth-authorization-server");
        assert_eq!(came_to(&outside, &own).await, "200 OK");
        assert_eq!(
            came_to(&outside, &format!("http://127.0.0.1:{port}/")).await,
            "200 OK"
        );
        assert_eq!(world.asked().len(), 2);
        assert!(network.0.guarded.get().is_none(), "made without need");
    }

    #[tokio::test]
    async fn behind_a_proxy_a_url_is_checked_as_it_stands() {
        let world = World::new(|what| match what.starts_with("CONNECT ") {
            true => answer(502, "", ""),
            false => answer(200, "", "{}"),
        });
        let network = world.network(
            "direct.example, direct.invalid",
            vec![("direct.example", "127.0.0.1")],
        );
        for server in [
            "http://mcp.example/mcp",
            "https://mcp.example/mcp",
            "https://1.1.1.1/mcp",
        ] {
            let outside = network.beyond(&server.parse().unwrap()).await;
            for url in [
                "https://127.0.0.1/",
                "https://localhost/",
                "https://a.localhost/",
                "https://10.0.0.1/",
                "https://169.254.169.254/",
                "https://[::ffff:169.254.169.254]/",
                "https://[fd00::1]/",
                // Not through the proxy, and so looked up here.
                "https://direct.example/",
            ] {
                assert_eq!(
                    came_to(&outside, url).await,
                    Rule::Address.to_string(),
                    "{url}"
                );
            }
            assert_eq!(came_to(&outside, "https://direct.invalid/").await, "Dns");
        }
        assert_eq!(world.targets(), [""; 0]);
        let outside = network
            .beyond(&"http://mcp.example/mcp".parse().unwrap())
            .await;
        assert_eq!(
            came_to(&outside, "http://me:secret@mcp.example/token").await,
            "200 OK"
        );
        // It is the proxy that finds them, and that says no.
        for url in ["https://auth.example/", "https://8.8.8.8/"] {
            assert_eq!(came_to(&outside, url).await, "Connect", "{url}");
        }
        assert_eq!(
            world.targets(),
            [
                "GET http://mcp.example/token",
                "CONNECT auth.example:443",
                "CONNECT 8.8.8.8:443",
            ]
        );
    }

    #[tokio::test]
    async fn the_proxy_itself_may_be_anywhere_and_is_nowhere_to_lead_to() {
        let world = World::new(|_| answer(200, "", "{}"));
        let port = world.address.port();
        let names = vec![("proxy.corp", "127.0.0.1")];
        let proxies = Proxies::One {
            url: format!("http://proxy.corp:{port}"),
            not: "proxy.corp".to_owned(),
        };
        let names = Names::new(super::super::world::look_up(names));
        let network = Network::with(names, proxies).unwrap();
        let outside = network
            .beyond(&"http://mcp.example/mcp".parse().unwrap())
            .await;
        assert_eq!(
            came_to(&outside, "http://mcp.example/token").await,
            "200 OK"
        );
        let own = format!("https://proxy.corp:{port}/");
        assert_eq!(came_to(&outside, &own).await, Rule::Address.to_string());
        assert_eq!(world.targets(), ["GET http://mcp.example/token"]);
    }

    #[tokio::test]
    async fn no_redirect_is_followed_and_nothing_before_the_at_is_sent() {
        let world = World::new(|_| answer(307, "location: http://127.0.0.1/\r\n", ""));
        let server = format!("http://{}/mcp", world.address).parse().unwrap();
        let outside = network(vec![]).beyond(&server).await;
        let url = format!("http://me:secret@{}/token", world.address);
        assert_eq!(came_to(&outside, &url).await, "307 Temporary Redirect");
        let form = outside
            .form(url.parse().unwrap(), "a=b".to_owned(), None)
            .unwrap();
        assert_eq!(outside.execute(form).await.unwrap().status(), 307);
        let secret = Some(("my client", "a/b"));
        let form = outside
            .form(url.parse().unwrap(), "a=b".to_owned(), secret)
            .unwrap();
        assert_eq!(outside.execute(form).await.unwrap().status(), 307);
        let asked = world.asked();
        assert_eq!(asked.len(), 3);
        for asked in &asked[..2] {
            assert!(!asked.head.contains("authorization"), "{asked:?}");
        }
        // "my+client:a%2Fb"
        let basic = "authorization: basic bxkry2xpzw50omelmkzi\n";
        assert!(asked[2].head.contains(basic), "{asked:?}");
        assert_eq!(asked[2].body, "a=b");
    }

    #[test]
    fn a_refusal_says_where_and_why_and_nothing_secret() {
        let url: Url = "http://me:secret@auth.example/token?key=secret"
            .parse()
            .unwrap();
        let other = Refused::new(&"secret://secret/secret".parse().unwrap(), Rule::Scheme);
        assert!(!other.to_string().contains("secret"), "{other}");
        let refused = Refused::new(&url, Rule::Scheme);
        assert_eq!(refused.url(), "http://auth.example/token");
        let error = OutsideError::from(refused);
        assert_eq!(error.trouble(), IoTrouble::Connect);
        assert_eq!(
            error.to_string(),
            "http://auth.example/token was not asked: it is not https"
        );
    }
}
