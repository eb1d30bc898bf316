//! Where the program's requests go: through the user's proxies and by the user's certificates, what is secret only to whom it is
//! meant for, and nowhere that a server on the internet must not lead to. The internet is one of these tests' own: a proxy on
//! loopback that is every host.

#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod harness;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use harness::{Done, User, each, entry, url};
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
/// Of the configuration: for the MCP server alone.
const KEY: &str = "key-of-the-configuration";

/// A request as it came to its host.
#[derive(Clone, Debug)]
struct Asked {
    /// Host and path.
    at: String,
    /// The lines of its head, and its body.
    text: String,
}

/// What a page answers: its status, a header, its body.
type Page = (u16, String, String);

struct Internet {
    address: SocketAddr,
    certificate: String,
    shared: Arc<Shared>,
}

struct Shared {
    tls: Arc<rustls::ServerConfig>,
    /// In place of what a good internet has there.
    pages: HashMap<String, Page>,
    /// What the proxy was asked for: `CONNECT host:port`, or `POST http://…`.
    ways: Mutex<Vec<String>>,
    asked: Mutex<Vec<Asked>>,
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
            ways: Mutex::default(),
            asked: Mutex::default(),
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let serving = shared.clone();
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let shared = serving.clone();
                // Whoever asked may go at any time.
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

    /// A check of a user behind this proxy who trusts this internet.
    fn check(&self, user: &User) -> Done {
        self.trusted(user).env("HTTPS_PROXY", self.proxy()).done()
    }

    fn trusted(&self, user: &User) -> harness::Run {
        let certificate = user.write("internet.pem", &self.certificate);
        user.check("json").env("SSL_CERT_FILE", certificate)
    }

    fn ways(&self) -> Vec<String> {
        self.shared.ways.lock().unwrap().clone()
    }

    fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// Where a text came to, each time.
    fn saw(&self, text: &str) -> Vec<String> {
        let asked = self.asked().into_iter();
        asked
            .filter(|asked| asked.text.contains(text))
            .map(|asked| asked.at)
            .collect()
    }
}

impl Shared {
    fn serve(&self, mut connection: TcpStream) -> Option<()> {
        let mut first = [0];
        connection.peek(&mut first).ok()?;
        // A handshake of TLS: whoever comes, comes without a proxy.
        if first != [0x16] {
            let (line, text) = read(&mut connection)?;
            let mut words = line.split(' ');
            let (method, target) = (words.next()?, words.next()?);
            let way = format!("{method} {target}");
            self.ways.lock().unwrap().push(way);
            if method != "CONNECT" {
                let at = target.strip_prefix("http://")?.to_owned();
                let answer = self.answer(Asked { at, text });
                return connection.write_all(answer.as_bytes()).ok();
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
        let answer = self.answer(Asked { at, text });
        stream.write_all(answer.as_bytes()).ok()?;
        stream.conn.send_close_notify();
        stream.flush().ok()
    }

    fn answer(&self, asked: Asked) -> String {
        let (status, header, body) = match self.pages.get(&asked.at) {
            Some(page) => page.clone(),
            None => good(&asked),
        };
        self.asked.lock().unwrap().push(asked);
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

/// A request's first line, and its whole text with the names of its headers in small letters.
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

/// What a good internet answers.
fn good(asked: &Asked) -> Page {
    match asked.at.as_str() {
        PRM => prm("https://auth.example"),
        METADATA => metadata("https://auth.example/token"),
        TOKEN => page(
            200,
            "",
            &json!({"access_token": "fresh-token", "token_type": "Bearer", "expires_in": 3600}),
        ),
        "mcp.example/mcp" if !asked.text.contains("authorization: Bearer fresh-token\n") => {
            page(401, CHALLENGE, &json!({}))
        }
        "mcp.example/mcp" | "mcp.example/open" | "localhost/open" => mcp(asked),
        _ => page(404, "", &json!({})),
    }
}

fn mcp(asked: &Asked) -> Page {
    let body = asked.text.lines().last().unwrap_or_default();
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

/// A user of the server, who has signed in at `https://auth.example` and whose token has expired.
fn user() -> User {
    let headers = format!(
        "{}\nhttp_headers = {{ X-Api-Key = \"{KEY}\" }}",
        url(SERVER)
    );
    let user = User::with(&format!(
        "mcp_oauth_credentials_store = \"file\"\n{}",
        entry("server", &headers)
    ));
    user.store([json!({
        "server_name": "server", "server_url": SERVER, "issuer": "https://auth.example",
        "client_id": "client-1", "access_token": "expired-token", "expires_at": 1,
        "refresh_token": "good-refresh", "scopes": [],
    })]);
    user
}

fn new_user() -> User {
    let user = user();
    user.store([]);
    user
}

#[test]
fn the_proxies_and_the_certificates_of_the_environment_are_used() {
    const OPEN: &str = "https://mcp.example/open";
    let connected = "CONNECT mcp.example:443";
    for (server, proxies, not, ways) in [
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
        let set = |run: harness::Run| {
            let run = proxies
                .iter()
                .fold(run, |run, name| run.env(name, internet.proxy()));
            run.env("NO_PROXY", not)
        };
        let done = set(internet.trusted(&user)).done().ended_with(0);
        assert_eq!(
            done.server("server")["status"],
            "ready",
            "{server} by {proxies:?}"
        );
        let mut seen = internet.ways();
        seen.dedup();
        let ways: Vec<String> = ways.iter().map(|way| port(way)).collect();
        assert_eq!(seen, ways, "{server} by {proxies:?} but {not:?}");
        if server.starts_with("https:") {
            // Nobody knows who signed that certificate.
            let done = set(user.check("json")).done();
            let server = done.server("server");
            assert_eq!(server["failure"]["kind"], "unreachable", "{server:#}");
            let requests = &server["failure"]["evidence"]["requests"];
            assert_eq!(requests[0]["io"], "tls", "{server:#}");
        }
    }
}

#[test]
fn what_is_secret_goes_to_whom_it_is_meant_for() {
    let internet = Internet::new(&[]);
    let done = internet.check(&user()).ended_with(0);
    assert_eq!(done.server("server")["status"], "ready");
    let mut at: Vec<_> = internet.asked().into_iter().map(|asked| asked.at).collect();
    at.dedup();
    assert_eq!(at, [PRM, METADATA, TOKEN, "mcp.example/mcp"]);
    // The header of the configuration, and the new token: to the server. The refresh token: to who granted it, once.
    for text in [KEY, "fresh-token"] {
        let mut saw = internet.saw(text);
        saw.dedup();
        assert_eq!(saw, ["mcp.example/mcp"], "{text}");
    }
    assert_eq!(internet.saw("good-refresh"), [TOKEN]);
    assert_eq!(internet.saw("expired-token"), [""; 0]);

    // With redirects on the way, and a first sign-in: the server's metadata is at another host.
    let moved = "https://cdn.example/1";
    let internet = Internet::new(&[
        (PRM, redirect(301, moved)),
        ("cdn.example/1", redirect(302, "/2")),
        ("cdn.example/2", redirect(307, "https://cdn.example/3")),
        ("cdn.example/3", prm("https://auth.example")),
    ]);
    let done = internet.check(&new_user());
    let server = done.server("server");
    assert_eq!(server["failure"]["kind"], "signInRequired", "{server:#}");
    assert_eq!(internet.saw(KEY), ["mcp.example/mcp"]);
    assert_eq!(internet.saw("authorization: "), [""; 0]);

    // A key of the configuration that is refused: OAuth has no part in it.
    let internet = Internet::new(&[]);
    let user = User::with(&entry(
        "server",
        &format!("{}\nbearer_token_env_var = \"KEY\"", url(SERVER)),
    ));
    let run = internet.trusted(&user).env("KEY", KEY);
    let done = run.env("HTTPS_PROXY", internet.proxy()).done();
    let server = done.server("server");
    assert_eq!(
        server["failure"]["kind"], "credentialRejected",
        "{server:#}"
    );
    assert_eq!(internet.saw(KEY), ["mcp.example/mcp"]);
    assert_eq!(internet.ways(), ["CONNECT mcp.example:443"]);
}

#[test]
fn a_refresh_token_goes_to_who_granted_it_and_nowhere_else() {
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
        // The token endpoint sends it on.
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
        // The server names another authorization server.
        (
            vec![(PRM, prm(evil)), (at_evil, evil_metadata.clone())],
            "reauthenticationRequired",
            0,
        ),
        // The metadata of who granted it is replaced by another's.
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
        let done = internet.check(&user());
        let server = done.server("server");
        assert_eq!(server["failure"]["kind"], kind, "{server:#}");
        assert_eq!(
            internet.saw("good-refresh"),
            vec![TOKEN; refreshes],
            "{server:#}"
        );
        assert_eq!(
            internet
                .saw("expired-token")
                .iter()
                .find(|at| *at != "mcp.example/mcp"),
            None
        );
    }
}

#[test]
fn where_a_public_server_must_not_lead_is_its_fault_and_not_asked() {
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
    each(&cases, |(to, place)| {
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
        // With a challenge only, nothing is stored: else who granted that is asked.
        let user = match *place {
            "challenge" => new_user(),
            _ => user(),
        };
        let done = internet.check(&user);
        let server = done.server("server");
        let failure = &server["failure"];
        assert_eq!(
            failure["kind"], "authorizationMisconfigured",
            "{case}: {server:#}"
        );
        assert_eq!(failure["recovery"], "none", "{case}: {server:#}");
        // What the SDK itself does not follow, it does not show.
        let is_shown = *place != "challenge" && !(to.starts_with("file:") && *place == "issuer");
        if is_shown {
            let cause = failure["evidence"]["cause"].as_str().unwrap();
            let said = cause.contains(" was not asked: ");
            assert!(said, "{case}: {cause}");
        }
        let ways = internet.ways();
        let good = ["CONNECT mcp.example:443", "CONNECT auth.example:443"];
        assert!(
            ways.iter().all(|way| good.contains(&way.as_str())),
            "{case}: {ways:?}"
        );
        assert!(trap.accept().is_err(), "{case}");
        assert_eq!(internet.saw("good-refresh"), [""; 0], "{case}");
    });
}
