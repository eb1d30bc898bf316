//! What every HTTP request of this project obeys, and the log of what came of each.

mod addresses;
mod names;
mod outside;
#[cfg(test)]
pub(crate) mod world;

use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use futures::StreamExt;
use hyper_util::client::proxy::matcher::Matcher;
use mcp_startup_core::{IoTrouble, RequestEvidence, RequestTarget};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use rustls_platform_verifier::Verifier;
use secrecy::SecretString;
use url::Url;

pub(crate) use addresses::{Place, place};
use names::{Names, Resolver};
use outside::Guarded;
pub use outside::{Outside, OutsideError, Refused};

/// No client could be made.
#[derive(Debug, thiserror::Error)]
#[error("no HTTP client could be made: {0}")]
pub struct ClientError(#[source] Box<dyn Error + Send + Sync>);

/// The HTTP clients of a process: one TLS configuration for all of them, which verifies against the system's trust store. They
/// obey `HTTPS_PROXY` and `NO_PROXY`, and follow no redirect by themselves, because where a token may go is not the server's to
/// decide. Cheap to clone.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use mcp_startup_auth::network::{Network, OutsideError};
///
/// let network = Network::new()?;
/// // What a public server names must not lead into the user's own network.
/// let outside = network.beyond(&"https://1.1.1.1/mcp".parse()?).await;
/// let url = "https://192.168.1.1/.well-known/oauth-authorization-server".parse()?;
/// let request = reqwest::Request::new(reqwest::Method::GET, url);
/// assert!(matches!(outside.execute(request).await, Err(OutsideError::Refused(_))));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Network(Arc<Shared>);

struct Shared {
    tls: rustls::ClientConfig,
    names: Arc<Names>,
    proxies: Proxies,
    to_servers: reqwest::Client,
    // Made when they are needed, which most starts never do.
    routes: OnceLock<Matcher>,
    guarded: OnceLock<Guarded>,
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").finish_non_exhaustive()
    }
}

impl Network {
    /// Makes ready to send requests.
    ///
    /// # Errors
    ///
    /// [`ClientError`] where TLS can't be set up.
    pub fn new() -> Result<Self, ClientError> {
        Self::with(Names::of_system(), Proxies::System)
    }

    fn with(names: Names, proxies: Proxies) -> Result<Self, ClientError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| ClientError(Box::new(error)))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(SystemTrust {
                provider,
                verifier: OnceLock::new(),
            }))
            .with_no_client_auth();
        let names = Arc::new(names);
        let to_servers = proxies
            .set(builder(tls.clone()))
            .dns_resolver(Resolver(names.clone()))
            .build()
            .map_err(|error| ClientError(Box::new(error)))?;
        Ok(Self(Arc::new(Shared {
            tls,
            names,
            proxies,
            to_servers,
            routes: OnceLock::new(),
            guarded: OnceLock::new(),
        })))
    }

    /// The client for MCP servers, which are where the user's configuration says: one pool of connections for all of them.
    pub fn to_servers(&self) -> &reqwest::Client {
        &self.0.to_servers
    }

    /// The way to what the MCP server at `server` names. The name of a server is looked up only where no request to it has done so.
    pub async fn beyond(&self, server: &Url) -> Outside {
        Outside::of(self, server).await
    }

    fn names(&self) -> &Names {
        &self.0.names
    }

    fn routes(&self) -> &Matcher {
        self.0.routes.get_or_init(|| self.0.proxies.matcher())
    }

    fn goes_through_a_proxy(&self, url: &Url) -> bool {
        let uri = url.as_str().parse().ok();
        uri.is_some_and(|uri| self.routes().intercept(&uri).is_some())
    }

    /// The client for what a public server leads to.
    fn guarded(&self, url: &Url) -> Result<&reqwest::Client, OutsideError> {
        let shared = &self.0;
        let guarded = match shared.guarded.get() {
            Some(guarded) => guarded,
            None => {
                let builder = builder(shared.tls.clone());
                let made = Guarded::new(builder, &shared.proxies, self.routes(), &shared.names)?;
                // Another may have been quicker.
                shared.guarded.get_or_init(|| made)
            }
        };
        Ok(guarded.client(url, self.goes_through_a_proxy(url))?)
    }
}

fn builder(tls: rustls::ClientConfig) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("mcp-startup/", env!("CARGO_PKG_VERSION")))
}

/// Which proxies are used.
enum Proxies {
    /// Those of the environment, or of the system.
    System,
    #[cfg(test)]
    None,
    /// This one, but for those hosts.
    #[cfg(test)]
    One { url: String, not: String },
}

impl Proxies {
    fn set(&self, builder: reqwest::ClientBuilder) -> reqwest::ClientBuilder {
        match self {
            Self::System => builder,
            #[cfg(test)]
            Self::None => builder.no_proxy(),
            #[cfg(test)]
            Self::One { url, not } => {
                let proxy = reqwest::Proxy::all(url).unwrap();
                builder.proxy(proxy.no_proxy(reqwest::NoProxy::from_string(not)))
            }
        }
    }

    /// What decides which URLs go through a proxy: the same that decides in a client.
    fn matcher(&self) -> Matcher {
        match self {
            Self::System => Matcher::from_system(),
            #[cfg(test)]
            Self::None => Matcher::builder().build(),
            #[cfg(test)]
            Self::One { url, not } => Matcher::builder().all(url).no(not).build(),
        }
    }
}

/// The platform's verifier, made when the first certificate is to be verified: to read the system's trust store takes longer
/// than to start many servers that need none.
#[derive(Debug)]
struct SystemTrust {
    provider: Arc<CryptoProvider>,
    verifier: OnceLock<Result<Verifier, rustls::Error>>,
}

impl SystemTrust {
    fn verifier(&self) -> Result<&Verifier, rustls::Error> {
        self.verifier
            .get_or_init(|| Verifier::new(self.provider.clone()))
            .as_ref()
            .map_err(Clone::clone)
    }
}

impl ServerCertVerifier for SystemTrust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.verifier()?.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        )
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier()?
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier()?
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// The requests of one start, in order: each is entered when it is sent, and completed when something came of it; so a
/// request that a time-out cut off stands there without an answer.
#[derive(Clone, Debug, Default)]
pub struct RequestLog {
    entries: Arc<Mutex<Entries>>,
    /// Apart from the entries: whoever notes what an answer says asks for these meanwhile.
    given: Arc<Mutex<Vec<SecretString>>>,
}

#[derive(Debug, Default)]
struct Entries {
    requests: Vec<(u64, RequestEvidence)>,
    next: u64,
    closed: bool,
}

/// A request that has been entered and not been answered.
#[derive(Debug)]
pub struct SentRequest {
    log: RequestLog,
    number: u64,
}

impl RequestLog {
    /// Enters a request that is being sent.
    pub fn sent(&self, request: RequestEvidence) -> SentRequest {
        let mut entries = self.lock();
        let number = entries.next;
        entries.next += 1;
        if !entries.closed {
            entries.requests.push((number, request));
        }
        SentRequest {
            log: self.clone(),
            number,
        }
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<RequestEvidence> {
        let entries = self.lock();
        entries
            .requests
            .iter()
            .map(|(_, request)| request.clone())
            .collect()
    }

    /// The last request to `target`, with what is known of its answer.
    pub fn last(&self, target: RequestTarget) -> Option<RequestEvidence> {
        let entries = self.lock();
        let mut requests = entries.requests.iter().rev();
        let (_, request) = requests.find(|(_, request)| request.to == Some(target))?;
        Some(request.clone())
    }

    /// The HTTP status that the last request to `target` was answered with.
    pub fn last_status(&self, target: RequestTarget) -> Option<u16> {
        self.last(target)?.status
    }

    /// Notes secrets that an answer has given: they must not come back in any text.
    pub fn given(&self, secrets: impl IntoIterator<Item = SecretString>) {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        given.extend(secrets);
    }

    /// The secrets that were given since this was asked last.
    pub fn take_given(&self) -> Vec<SecretString> {
        std::mem::take(&mut self.given.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How many requests there are.
    pub fn len(&self) -> usize {
        self.lock().requests.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets the requests after the first `length`: those of an attempt that says nothing about the start.
    pub fn truncate(&self, length: usize) {
        self.lock().requests.truncate(length);
    }

    /// The start is over: nothing is entered any more, and what was is forgotten.
    pub fn close(&self) {
        let mut entries = self.lock();
        entries.closed = true;
        entries.requests = Vec::new();
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SentRequest {
    /// Notes what is known of the answer.
    pub fn note(&self, note: impl FnOnce(&mut RequestEvidence)) {
        let mut entries = self.log.lock();
        let mut requests = entries.requests.iter_mut().rev();
        if let Some((_, request)) = requests.find(|(number, _)| *number == self.number) {
            note(request);
        }
    }

    /// It was not sent after all: what forbids it showed when it was to be connected.
    pub fn not_sent(self) {
        let mut entries = self.log.lock();
        entries
            .requests
            .retain(|(number, _)| *number != self.number);
    }

    /// Notes that no whole answer came.
    pub fn failed(&self, error: &reqwest::Error) {
        self.note(|request| request.io = Some(trouble(error)));
    }
}

/// Why no answer came.
pub fn trouble(error: &reqwest::Error) -> IoTrouble {
    if error.is_timeout() {
        return IoTrouble::Timeout;
    }
    // hyper-util keeps its connector's errors to itself; their text is all that tells them apart.
    let is_dns = has_cause(error, &|cause| cause.to_string() == "dns error");
    let is_tls = has_cause(error, &|cause| cause.is::<rustls::Error>());
    let is_of_hyper = |is_it: fn(&hyper::Error) -> bool| {
        has_cause(error, &|cause| cause.downcast_ref().is_some_and(is_it))
    };
    if is_tls {
        IoTrouble::Tls
    } else if is_dns {
        IoTrouble::Dns
    } else if error.is_connect() {
        IoTrouble::Connect
    } else if is_of_hyper(hyper::Error::is_parse_too_large) {
        IoTrouble::TooLarge
    } else if is_of_hyper(hyper::Error::is_parse) {
        IoTrouble::Malformed
    } else {
        IoTrouble::Closed
    }
}

/// Whether an error or one of its causes is of a kind. What an `io::Error` wraps is no source of it and is looked at too.
fn has_cause(
    error: &(dyn Error + 'static),
    is_it: &dyn Fn(&(dyn Error + 'static)) -> bool,
) -> bool {
    let wrapped = error
        .downcast_ref::<std::io::Error>()
        .and_then(std::io::Error::get_ref);
    is_it(error)
        || wrapped.is_some_and(|wrapped| has_cause(wrapped, is_it))
        || error
            .source()
            .is_some_and(|source| has_cause(source, is_it))
}

/// A body that could not be read whole.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It is larger than is taken.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// The connection broke.
    #[error(transparent)]
    Broken(#[from] reqwest::Error),
}

impl BodyError {
    /// The same as evidence.
    pub fn trouble(&self) -> IoTrouble {
        match self {
            Self::TooLarge(_) => IoTrouble::TooLarge,
            Self::Broken(error) => trouble(error),
        }
    }
}

/// Reads a body of at most `limit` bytes.
///
/// # Errors
///
/// [`BodyError`] where it is larger (no more than the limit is ever held) or breaks off.
pub async fn read_body(response: reqwest::Response, limit: usize) -> Result<Vec<u8>, BodyError> {
    let mut body = Vec::new();
    let mut chunks = response.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        if body.len() + chunk.len() > limit {
            return Err(BodyError::TooLarge(limit));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// A URL as it may be kept: scheme, host, port and path. What it is asked with and who asks stay out.
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
