//! The recipients of the program's requests and secrets. The program uses the user's proxies and certificates, and sends no
//! request to a forbidden address that a public server names. In these tests, a proxy on loopback acts as every host.

#![allow(clippy::unwrap_used)]
#![cfg_attr(
    windows,
    allow(
        dead_code,
        unused_imports,
        reason = "there, the system verifies certificates, and tests have no trusted one"
    )
)]

mod harness;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use harness::cases::for_each_case;
use harness::configuration::{FILE_STORE, entry, url};
use harness::output::Finished;
use harness::run::Run;
use harness::user::User;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};

const HOSTS: [&str; 5] = [
    "mcp.example",
    "auth.example",
    "cdn.example",
    "evil.example",
    "localhost",
];
const SERVER: &str = "https://mcp.example/mcp";
const PRM: &str = "mcp.example/.well-known/oauth-protected-resource/mcp";
const METADATA: &str = "auth.example/.well-known/oauth-authorization-server";
const TOKEN: &str = "auth.example/token";
const CHALLENGE: &str = "www-authenticate: Bearer resource_metadata=\"https://mcp.example/.well-known/oauth-protected-resource/mcp\"";
/// A key in the configuration. Only the MCP server may receive it.
const KEY: &str = "key-of-the-configuration";

/// A request as a host received it.
#[derive(Clone, Debug)]
struct Request {
    /// Host and path.
    at: String,
    /// Its headers and its body.
    text: String,
}

/// A response: status, header line, body.
type Page = (u16, String, String);

/// A proxy that acts as every host.
struct Internet {
    address: SocketAddr,
    certificate: String,
    shared: Arc<Shared>,
}

struct Shared {
    tls: Arc<rustls::ServerConfig>,
    /// Pages that replace those of [`successful`].
    pages: HashMap<String, Page>,
    /// The requests to the proxy: `CONNECT host:port`, or `POST http://…`.
    proxied: Mutex<Vec<String>>,
    requests: Mutex<Vec<Request>>,
}

fn page(status: u16, header: &str, body: &Value) -> Page {
    (status, header.to_owned(), body.to_string())
}

fn redirect(status: u16, to: &str) -> Page {
    (status, format!("location: {to}"), String::new())
}

fn prm(issuer: &str) -> Page {
    page(
        200,
        "",
        &json!({"resource": SERVER, "authorization_servers": [issuer]}),
    )
}

fn metadata(token_endpoint: &str) -> Page {
    let document = json!({
        "issuer": "https://auth.example",
        "authorization_endpoint": "https://auth.example/authorize",
        "token_endpoint": token_endpoint,
        "response_types_supported": ["code"],
        "code_challenge_methods_supported": ["S256"],
        "registration_endpoint": "https://auth.example/register",
    });
    page(200, "", &document)
}

impl Internet {
    fn new(pages: &[(&str, Page)]) -> Self {
        let names = HOSTS.map(str::to_owned);
        let certified = rcgen::generate_simple_self_signed(names).unwrap();
        let key = PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certified.cert.der().clone()],
                PrivateKeyDer::Pkcs8(key),
            )
            .unwrap();
        let pages = pages
            .iter()
            .map(|(at, page)| ((*at).to_owned(), page.clone()));
        let shared = Arc::new(Shared {
            tls: Arc::new(tls),
            pages: pages.collect(),
            proxied: Mutex::default(),
            requests: Mutex::default(),
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let serving = shared.clone();
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let shared = serving.clone();
                // The client may disconnect at any time.
                thread::spawn(move || shared.serve(connection));
            }
        });
        Self {
            address,
            certificate: certified.cert.pem(),
            shared,
        }
    }

    fn proxy(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Runs `check` for a user who uses this proxy and trusts its certificate.
    fn check(&self, user: &User) -> Finished {
        self.trusted(user).env("HTTPS_PROXY", self.proxy()).finish()
    }

    /// Prepares `check` for a user who trusts the certificate.
    fn trusted(&self, user: &User) -> Run {
        let certificate = user.write("internet.pem", &self.certificate);
        user.check("json").env("SSL_CERT_FILE", certificate)
    }

    /// The requests to the proxy, in order.
    fn proxied(&self) -> Vec<String> {
        self.shared.proxied.lock().unwrap().clone()
    }

    fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// The host and path of every request whose headers or body contain a text.
    fn requests_with(&self, text: &str) -> Vec<String> {
        let requests = self.requests().into_iter();
        requests
            .filter(|request| request.text.contains(text))
            .map(|request| request.at)
            .collect()
    }
}

impl Shared {
    fn serve(&self, mut connection: TcpStream) -> Option<()> {
        let mut first = [0];
        connection.peek(&mut first).ok()?;
        // A TLS handshake means that the client connects directly, without the proxy.
        if first != [0x16] {
            let (line, text) = read(&mut connection)?;
            let mut words = line.split(' ');
            let (method, target) = (words.next()?, words.next()?);
            let request_line = format!("{method} {target}");
            self.proxied.lock().unwrap().push(request_line);
            if method != "CONNECT" {
                let at = target.strip_prefix("http://")?.to_owned();
                let response = self.respond(Request { at, text });
                return connection.write_all(response.as_bytes()).ok();
            }
            connection
                .write_all(b"HTTP/1.1 200 Connected\r\n\r\n")
                .ok()?;
        }
        let tls = rustls::ServerConnection::new(self.tls.clone()).ok()?;
        let mut stream = rustls::StreamOwned::new(tls, connection);
        let (line, text) = read(&mut stream)?;
        let host = text.lines().find_map(|line| line.strip_prefix("host: "))?;
        let host = host.split(':').next()?;
        let at = format!("{host}{}", line.split(' ').nth(1)?);
        let response = self.respond(Request { at, text });
        stream.write_all(response.as_bytes()).ok()?;
        stream.conn.send_close_notify();
        stream.flush().ok()
    }

    fn respond(&self, request: Request) -> String {
        let (status, header, body) = match self.pages.get(&request.at) {
            Some(page) => page.clone(),
            None => successful(&request),
        };
        self.requests.lock().unwrap().push(request);
        let header = match header.as_str() {
            "" => String::new(),
            header => format!("{header}\r\n"),
        };
        let length = body.len();
        format!(
            "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n{header}\r\n{body}"
        )
    }
}

/// The first line of a request, and its headers and body. The names of the headers are in lower case.
fn read(connection: &mut impl Read) -> Option<(String, String)> {
    let mut reader = BufReader::with_capacity(1, connection);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let (mut text, mut length) = (String::new(), 0);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim_end().split_once(": ") else {
            break;
        };
        let name = name.to_ascii_lowercase();
        if name == "content-length" {
            length = value.parse().ok()?;
        }
        text.push_str(&format!("{name}: {value}\n"));
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    text.push_str(&String::from_utf8(body).ok()?);
    Some((line, text))
}

/// The responses of working hosts.
fn successful(request: &Request) -> Page {
    match request.at.as_str() {
        PRM => prm("https://auth.example"),
        METADATA => metadata("https://auth.example/token"),
        TOKEN => page(
            200,
            "",
            &json!({"access_token": "fresh-token", "token_type": "Bearer", "expires_in": 3600}),
        ),
        "mcp.example/mcp" if !request.text.contains("authorization: Bearer fresh-token\n") => {
            page(401, CHALLENGE, &json!({}))
        }
        "mcp.example/mcp" | "mcp.example/open" | "localhost/open" => mcp(request),
        _ => page(404, "", &json!({})),
    }
}

fn mcp(request: &Request) -> Page {
    let body = request.text.lines().last().unwrap_or_default();
    let message: Value = serde_json::from_str(body).unwrap_or_default();
    let result = match message["method"].as_str() {
        Some("initialize") => json!({
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "serverInfo": {"name": "internet", "version": "1"},
        }),
        _ => return page(202, "", &json!("")),
    };
    page(
        200,
        "",
        &json!({"jsonrpc": "2.0", "id": message["id"], "result": result}),
    )
}

/// A user who has signed in at `https://auth.example`, with an access token that has expired.
fn user() -> User {
    let headers = format!(
        "{}\nhttp_headers = {{ X-Api-Key = \"{KEY}\" }}",
        url(SERVER)
    );
    let user = User::with(&format!("{FILE_STORE}{}", entry("server", &headers)));
    user.store([json!({
        "server_name": "server", "server_url": SERVER, "issuer": "https://auth.example",
        "client_id": "client-1", "access_token": "expired-token", "expires_at": 1,
        "refresh_token": "good-refresh", "scopes": [],
    })]);
    user
}

fn user_without_records() -> User {
    let user = user();
    user.store([]);
    user
}

#[cfg(not(windows))]
#[test]
fn proxies_and_certificates_of_the_environment_are_used() {
    const OPEN: &str = "https://mcp.example/open";
    let connected = "CONNECT mcp.example:443";
    for (server, proxies, no_proxy, expected) in [
        (OPEN, &["HTTPS_PROXY"][..], "", &[connected][..]),
        (OPEN, &["https_proxy"], "", &[connected]),
        (OPEN, &["ALL_PROXY"], "other.example", &[connected]),
        (OPEN, &["HTTPS_PROXY", "HTTP_PROXY"], "", &[connected]),
        (
            "http://mcp.example/open",
            &["HTTP_PROXY"],
            "",
            &["POST http://mcp.example/open"],
        ),
        (
            "https://localhost:PORT/open",
            &["HTTPS_PROXY"],
            "localhost",
            &[],
        ),
        ("https://localhost:PORT/open", &["HTTP_PROXY"], "", &[]),
        (
            "https://localhost:PORT/open",
            &["ALL_PROXY"],
            "example, .localhost, localhost",
            &[],
        ),
        (
            "https://localhost:PORT/open",
            &["HTTPS_PROXY"],
            "",
            &["CONNECT localhost:PORT"],
        ),
    ] {
        let internet = Internet::new(&[]);
        let port = |text: &str| text.replace("PORT", &internet.address.port().to_string());
        let user = User::with(&entry("server", &url(&port(server))));
        let set = |run: Run| {
            let run = proxies
                .iter()
                .fold(run, |run, name| run.env(name, internet.proxy()));
            run.env("NO_PROXY", no_proxy)
        };
        let finished = set(internet.trusted(&user)).finish().assert_exit(0);
        assert_eq!(
            finished.server("server")["status"],
            "ready",
            "{server} through {proxies:?}"
        );
        let mut seen = internet.proxied();
        seen.dedup();
        let expected: Vec<String> = expected.iter().map(|line| port(line)).collect();
        assert_eq!(
            seen, expected,
            "{server} through {proxies:?} except {no_proxy:?}"
        );
        if server.starts_with("https:") {
            // Without `SSL_CERT_FILE` the certificate is not trusted.
            let finished = set(user.check("json")).finish();
            let server = finished.server("server");
            assert_eq!(server["failure"]["kind"], "unreachable", "{server:#}");
            let requests = &server["failure"]["evidence"]["requests"];
            assert_eq!(requests[0]["io"], "tls", "{server:#}");
        }
    }
}

/// A proxy that reads the head of a request, answers this, and closes the connection.
fn refusing_proxy(answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            let mut reader = BufReader::new(connection.try_clone().unwrap());
            let mut line = String::new();
            while reader.read_line(&mut line).is_ok_and(|length| length > 2) {
                line.clear();
            }
            let _ = connection.write_all(answer.as_bytes());
        }
    });
    address
}

#[test]
fn a_proxy_that_fails_is_named() {
    const NO_TUNNEL: &str = "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n";
    const PASSWORD: &str = "HTTP/1.1 407 Password\r\ncontent-length: 0\r\n\r\n";
    const CHECK_PROXY: &str =
        "; check the settings of the proxy (HTTPS_PROXY, NO_PROXY), and try again";
    let requires = "the proxy PROXY requires a user name and a password (HTTP 407); check them in the URL of the proxy (HTTPS_PROXY), and try again";
    let refused = "the proxy PROXY refused to connect to it (mcp.example); ask the administrator of the proxy to allow this host, or check its settings (HTTPS_PROXY, NO_PROXY), and try again";
    let unknown =
        format!("the host name of the proxy proxy.invalid:3128 could not be resolved{CHECK_PROXY}");
    let closed = format!(
        "the connection through the proxy PROXY was closed without an answer (mcp.example){CHECK_PROXY}"
    );
    let own = "NO_PROXY";
    for (server, answer, expected) in [
        ("https://mcp.example/open", Some(PASSWORD), requires),
        ("http://mcp.example/open", Some(PASSWORD), requires),
        ("https://mcp.example/open", Some(NO_TUNNEL), refused),
        ("https://mcp.example/open", None, &unknown),
        ("http://mcp.example/open", Some(""), &closed),
        ("http://localhost:1/open", Some(NO_TUNNEL), own),
    ] {
        let proxy = match answer {
            Some(answer) => refusing_proxy(answer).to_string(),
            None => "proxy.invalid:3128".to_owned(),
        };
        let user = User::with(&entry("server", &url(server)));
        let mut run = user.check("json");
        for name in ["HTTPS_PROXY", "HTTP_PROXY"] {
            run = run.env(name, format!("http://user:proxy-password@{proxy}"));
        }
        let finished = run.finish();
        let failure = &finished.server("server")["failure"];
        let message = failure["message"].as_str().unwrap();
        let expected = expected.replace("PROXY requires", &format!("{proxy} requires"));
        let expected = expected.replace("proxy PROXY", &format!("proxy {proxy}"));
        assert!(message.contains(&expected), "{server}: {message}");
        assert!(!finished.stdout.contains("proxy-password"), "{message}");
    }
}

#[cfg(not(windows))]
#[test]
fn secrets_are_sent_only_to_their_intended_recipients() {
    let internet = Internet::new(&[]);
    let finished = internet.check(&user()).assert_exit(0);
    assert_eq!(finished.server("server")["status"], "ready");
    let mut at: Vec<_> = internet
        .requests()
        .into_iter()
        .map(|request| request.at)
        .collect();
    at.dedup();
    assert_eq!(at, [PRM, METADATA, TOKEN, "mcp.example/mcp"]);
    // The MCP server receives the configured header and the new token. The authorization server receives the refresh token, once.
    for text in [KEY, "fresh-token"] {
        let mut recipients = internet.requests_with(text);
        recipients.dedup();
        assert_eq!(recipients, ["mcp.example/mcp"], "{text}");
    }
    assert_eq!(internet.requests_with("good-refresh"), [TOKEN]);
    assert_eq!(internet.requests_with("expired-token"), [""; 0]);

    // A first sign-in. Redirects lead to metadata on another host.
    let moved = "https://cdn.example/1";
    let internet = Internet::new(&[
        (PRM, redirect(301, moved)),
        ("cdn.example/1", redirect(302, "/2")),
        ("cdn.example/2", redirect(307, "https://cdn.example/3")),
        ("cdn.example/3", prm("https://auth.example")),
    ]);
    let finished = internet.check(&user_without_records());
    let server = finished.server("server");
    assert_eq!(server["failure"]["kind"], "signInRequired", "{server:#}");
    assert_eq!(internet.requests_with(KEY), ["mcp.example/mcp"]);
    assert_eq!(internet.requests_with("authorization: "), [""; 0]);

    // The server rejects a configured key. OAuth is not used in that case.
    let internet = Internet::new(&[]);
    let user = User::with(&entry(
        "server",
        &format!("{}\nbearer_token_env_var = \"KEY\"", url(SERVER)),
    ));
    let run = internet.trusted(&user).env("KEY", KEY);
    let finished = run.env("HTTPS_PROXY", internet.proxy()).finish();
    let server = finished.server("server");
    assert_eq!(
        server["failure"]["kind"], "credentialRejected",
        "{server:#}"
    );
    assert_eq!(internet.requests_with(KEY), ["mcp.example/mcp"]);
    assert_eq!(internet.proxied(), ["CONNECT mcp.example:443"]);
}

#[cfg(not(windows))]
#[test]
fn refresh_token_is_sent_only_to_the_server_that_granted_it() {
    let evil = "https://evil.example";
    let evil_metadata = json!({
        "issuer": evil,
        "authorization_endpoint": "https://evil.example/authorize",
        "token_endpoint": "https://evil.example/token",
        "response_types_supported": ["code"],
    });
    let evil_metadata = page(200, "", &evil_metadata);
    let at_evil = "evil.example/.well-known/oauth-authorization-server";
    let misconfigured = "authorizationMisconfigured";
    for (pages, kind, refreshes) in [
        // The token endpoint redirects.
        (
            vec![(TOKEN, redirect(307, "https://evil.example/token"))],
            "authorizationUnavailable",
            1,
        ),
        (
            vec![(TOKEN, redirect(308, "/elsewhere"))],
            "authorizationUnavailable",
            1,
        ),
        // The MCP server names another authorization server.
        (
            vec![(PRM, prm(evil)), (at_evil, evil_metadata.clone())],
            "reauthenticationRequired",
            0,
        ),
        // The authorization server's metadata redirects to that of another one.
        (
            vec![
                (METADATA, redirect(302, "https://evil.example/metadata")),
                ("evil.example/metadata", evil_metadata),
            ],
            misconfigured,
            0,
        ),
    ] {
        let internet = Internet::new(&pages);
        let finished = internet.check(&user());
        let server = finished.server("server");
        assert_eq!(server["failure"]["kind"], kind, "{server:#}");
        assert_eq!(
            internet.requests_with("good-refresh"),
            vec![TOKEN; refreshes],
            "{server:#}"
        );
        assert_eq!(
            internet
                .requests_with("expired-token")
                .iter()
                .find(|at| *at != "mcp.example/mcp"),
            None
        );
    }
}

#[cfg(not(windows))]
#[test]
fn forbidden_urls_named_by_a_public_server_are_not_requested_and_make_it_misconfigured() {
    let urls = [
        "http://auth.example",
        "https://169.254.169.254",
        "http://127.0.0.1:PORT",
        "https://127.0.0.1:PORT",
        "https://localhost:PORT",
        "https://[::ffff:192.168.0.1]",
        "file:///etc/passwd",
    ];
    let places = ["challenge", "prm", "metadata", "issuer", "token"];
    let cases: Vec<(&str, &str)> = urls
        .into_iter()
        .flat_map(|url| places.map(|place| (url, place)))
        .collect();
    for_each_case(&cases, |(to, place)| {
        let case = format!("{to} at {place}");
        let trap = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        trap.set_nonblocking(true).unwrap();
        let to = to.replace("PORT", &trap.local_addr().unwrap().port().to_string());
        let below = format!("{to}/x");
        let challenge = format!("www-authenticate: Bearer resource_metadata=\"{below}\"");
        let internet = Internet::new(&match *place {
            "challenge" => vec![
                ("mcp.example/mcp", page(401, &challenge, &json!({}))),
                (PRM, page(404, "", &json!({}))),
            ],
            "prm" => vec![(PRM, redirect(302, &below))],
            "metadata" => vec![(METADATA, redirect(302, &below))],
            "issuer" => vec![(PRM, prm(&to))],
            _ => vec![(METADATA, metadata(&below))],
        });
        // With a stored record, the program would not follow the challenge but use the authorization server that granted it.
        let user = match *place {
            "challenge" => user_without_records(),
            _ => user(),
        };
        let finished = internet.check(&user);
        let server = finished.server("server");
        let failure = &server["failure"];
        assert_eq!(
            failure["kind"], "authorizationMisconfigured",
            "{case}: {server:#}"
        );
        assert_eq!(failure["recovery"], "none", "{case}: {server:#}");
        // The evidence has no URLs that the SDK itself does not follow.
        let is_shown = *place != "challenge" && !(to.starts_with("file:") && *place == "issuer");
        if is_shown {
            let cause = failure["evidence"]["cause"].as_str().unwrap();
            let explains = cause.contains(" was not requested: ");
            assert!(explains, "{case}: {cause}");
        }
        let proxied = internet.proxied();
        let allowed = ["CONNECT mcp.example:443", "CONNECT auth.example:443"];
        assert!(
            proxied.iter().all(|line| allowed.contains(&line.as_str())),
            "{case}: {proxied:?}"
        );
        assert!(trap.accept().is_err(), "{case}");
        assert_eq!(internet.requests_with("good-refresh"), [""; 0], "{case}");
    });
}
