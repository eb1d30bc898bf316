//! `login` at a server whose authorization server echoes the secret of the entry, before the browser is opened and after it returns.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::browser::Browser;
use crate::harness::cases::for_each_case;
use crate::harness::configuration::{FILE_STORE, entry, quoted, url};
use crate::harness::http_client::get;
use crate::harness::http_server::{Request, Server};
use crate::harness::user::User;
use crate::responses::{challenge, json, metadata_of, redirect, text};
use crate::secrets::{ENCODINGS, Encoding, LONG, PLAIN, VERBATIM, found_in, percent_encoded};

/// One way to echo a secret during a sign-in.
struct Way {
    name: &'static str,
    /// The last part of the path of the request that it answers.
    path: &'static str,
    /// The response, with the encoded secret and the base URL.
    respond: fn(&Request, &str, &str) -> String,
}

const WAYS: [Way; 12] = [
    way(
        "the description of the callback",
        "authorize",
        |request, secret, _| {
            let description = percent_encoded(secret);
            callback(
                request,
                &format!("error=access_denied&error_description={description}"),
            )
        },
    ),
    way(
        "the error of the callback",
        "authorize",
        |request, secret, _| callback(request, &format!("error={}", percent_encoded(secret))),
    ),
    way(
        "the issuer of the callback",
        "authorize",
        |request, secret, _| {
            let issuer = percent_encoded(&format!("https://issuer.example/{secret}"));
            callback(request, &format!("code=code-1&iss={issuer}"))
        },
    ),
    way(
        "the description of the token endpoint",
        "token",
        |_, secret, _| {
            json(
                400,
                json!({ "error": "invalid_request", "error_description": secret }),
            )
        },
    ),
    way(
        "the error of the token endpoint",
        "token",
        |_, secret, _| json(400, json!({ "error": secret })),
    ),
    way(
        "the body of a 500 of the token endpoint",
        "token",
        |_, secret, _| text(500, "text/plain", secret),
    ),
    way(
        "the error of the registration",
        "register",
        |_, secret, _| {
            json(
                400,
                json!({ "error": secret, "error_description": format!("no: {secret}") }),
            )
        },
    ),
    way(
        "the description of a registration that may succeed later",
        "register",
        |_, secret, _| {
            json(
                503,
                json!({ "error": "server_error", "error_description": secret }),
            )
        },
    ),
    way(
        "the issuer of the metadata",
        "oauth-authorization-server",
        |_, secret, base| json(200, metadata_of(&format!("{base}/{secret}"), base)),
    ),
    way(
        "an endpoint of the metadata",
        "oauth-authorization-server",
        |_, secret, base| {
            let mut metadata = metadata_of(base, base);
            metadata["authorization_endpoint"] = json!(format!("ftp://e.example/{secret}"));
            json(200, metadata)
        },
    ),
    way(
        "the host of the resource metadata",
        "mcp",
        |_, secret, _| {
            challenge(
                401,
                &format!("resource_metadata=\"http://{secret}.localhost:9/x\""),
            )
        },
    ),
    way(
        "the host of an authorization server",
        "oauth-protected-resource",
        |_, secret, base| {
            let issuer = format!("http://{secret}.localhost:9");
            json(
                200,
                json!({ "resource": format!("{base}/mcp"), "authorization_servers": [issuer] }),
            )
        },
    ),
];

const fn way(
    name: &'static str,
    path: &'static str,
    respond: fn(&Request, &str, &str) -> String,
) -> Way {
    Way {
        name,
        path,
        respond,
    }
}

#[test]
fn secrets_echoed_during_a_sign_in_do_not_leak() {
    let encodings: Vec<Encoding> = [&[VERBATIM], ENCODINGS.as_slice()].concat();
    let leaks = Mutex::new(Vec::new());
    for_each_case(&WAYS, |way| {
        for (at, (_, secret)) in [PLAIN, LONG].iter().enumerate() {
            for (encoding, encode) in &encodings {
                let secret = secret(at);
                let printed = printed_by_login(way, &secret, &encode(&secret));
                if let Some(at) = found_in(&printed) {
                    let shown: String = printed[at..].chars().take(100).collect();
                    leaks
                        .lock()
                        .unwrap()
                        .push(format!("{} {encoding}: {shown}", way.name));
                }
            }
        }
    });
    let leaks = leaks.into_inner().unwrap();
    assert!(leaks.is_empty(), "{leaks:#?}");
}

/// Everything that `login` prints, with the most verbose log. The secret is in a header of the entry.
fn printed_by_login(way: &Way, secret: &str, encoded: &str) -> String {
    let has_echoed = Arc::new(AtomicBool::new(false));
    let (echoed, encoded) = (has_echoed.clone(), encoded.to_owned());
    let (echo_path, respond) = (way.path, way.respond);
    let server = Server::start(move |request, responder| {
        let base = format!("http://{}", request.header("host"));
        let path = request.path.split('?').next().unwrap_or_default();
        let is_echo = path.split('/').any(|part| part == echo_path);
        let response = match is_echo {
            true => {
                echoed.store(true, Ordering::SeqCst);
                respond(request, &encoded, &base)
            }
            false => usual(request, path, &base),
        };
        responder.raw(response.as_bytes())
    });
    let header = format!("http_headers = {{ X-Key = {} }}", quoted(secret));
    let user = User::with(&format!(
        "{FILE_STORE}{}",
        entry("s000", &format!("{}\n{header}", url(&server.url())))
    ));
    let browser = Browser::of(&user);
    let run = user.program(&["login", "s000", "--timeout", "20"]);
    let run = run.env("RUST_LOG", "trace").browser(&browser);
    let opened = user.path("temporary/opened");
    let ended = AtomicBool::new(false);
    let finished = thread::scope(|scope| {
        // The browser, if it is opened.
        scope.spawn(|| {
            while !ended.load(Ordering::SeqCst) {
                if let Ok(url) = std::fs::read_to_string(&opened) {
                    let response = get(url.trim_end());
                    let location = response.headers("Location").next();
                    location.map(get);
                    break;
                }
                thread::sleep(Duration::from_millis(10));
            }
        });
        let finished = run.finish();
        ended.store(true, Ordering::SeqCst);
        finished
    });
    assert!(
        has_echoed.load(Ordering::SeqCst),
        "{}: {finished:#?}",
        way.name
    );
    assert_eq!(finished.code, Some(1), "{}: {finished:#?}", way.name);
    assert!(finished.stderr.contains(" TRACE "), "{finished:#?}");
    // The URL that the user opens is shown unchanged. None of the ways puts a secret into it.
    finished.stdout + &finished.stderr
}

/// The response of a server with a sign-in that refuses the code.
fn usual(request: &Request, path: &str, base: &str) -> String {
    match path.rsplit('/').next().unwrap_or_default() {
        "mcp" if path == "/mcp" => challenge(401, "realm=\"test\""),
        _ if path.contains("/oauth-protected-resource") => json(
            200,
            json!({ "resource": format!("{base}/mcp"), "authorization_servers": [base] }),
        ),
        _ if path == "/.well-known/oauth-authorization-server" => {
            let mut metadata: Value = metadata_of(base, base);
            metadata["registration_endpoint"] = json!(format!("{base}/register"));
            json(200, metadata)
        }
        "register" => json(201, json!({ "client_id": "client-1" })),
        "authorize" => callback(request, "code=code-1"),
        "token" => json(400, json!({ "error": "invalid_grant" })),
        _ => text(404, "text/plain", ""),
    }
}

/// Sends the browser back with these parameters and the `state`.
fn callback(request: &Request, parameters: &str) -> String {
    let parameter = |name: &str| {
        let (_, query) = request.path.split_once('?').unwrap();
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).unwrap().1.to_owned()
    };
    let redirect_uri = parameter("redirect_uri")
        .replace("%3A", ":")
        .replace("%2F", "/");
    redirect(
        302,
        &format!("{redirect_uri}?state={}&{parameters}", parameter("state")),
    )
}
