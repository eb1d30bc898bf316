//! A server that echoes the secret that it receives. It uses HTTP, with its own authorization server, or is a program.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::echoes::{ACCESS_TOKEN, Echo, Echoed, Endpoint};
use crate::harness::http_server::{Request, Server};
use crate::places::{Place, SENT_IN_A_FORM, server_name};
use crate::responses;
use crate::secrets::{Encoding, Text, head_of, holds};

/// One server of a run: the place of its secret, and the text and encoding of the echo.
pub struct EchoServer {
    pub number: usize,
    pub place: &'static Place,
    /// The names of the text and the encoding.
    pub description: String,
    pub secret: String,
    encoded: String,
    /// Whether the secret has been sent to the server, or by it.
    knows_secret: AtomicBool,
    pub has_echoed: AtomicBool,
}

/// Returns a server for every place, text and encoding.
pub fn echo_servers(
    places: &'static [Place],
    texts: &[Text],
    encodings: &[Encoding],
) -> Vec<EchoServer> {
    share_of_echo_servers(places, texts, encodings, 0, 1)
}

/// One in `share` of the servers of [`echo_servers`]. `turn` rotates the selection: if it is the position of the echo, the runs together
/// have every echo with every place and with every encoding, and every place with every encoding.
pub fn share_of_echo_servers(
    places: &'static [Place],
    texts: &[Text],
    encodings: &[Encoding],
    turn: usize,
    share: usize,
) -> Vec<EchoServer> {
    let variants = texts
        .iter()
        .flat_map(|text| encodings.iter().map(move |encoding| (text, encoding)));
    let variants: Vec<_> = variants.collect();
    let all = places.iter().zip(0..).flat_map(|(place, at)| {
        let variants = variants.iter().zip(at + turn..);
        variants.map(move |(variant, sum)| (sum, (place, *variant)))
    });
    all.filter(|(sum, _)| sum % share == 0)
        .enumerate()
        .map(
            |(number, (_, (place, ((text, make), (encoding, encode)))))| {
                let secret = make(number);
                EchoServer {
                    number,
                    place,
                    description: format!("{text}, {encoding}"),
                    encoded: encode(&secret),
                    secret,
                    knows_secret: AtomicBool::default(),
                    has_echoed: AtomicBool::default(),
                }
            },
        )
        .collect()
}

/// Serves all of these servers over HTTP. Each has its own path prefix.
pub fn serve(servers: &Arc<Vec<EchoServer>>, echo: &Echo) -> Server {
    let (servers, endpoint, respond) = (servers.clone(), echo.endpoint, echo.respond);
    Server::start(move |request, responder| {
        // `/s017/mcp`, and `/.well-known/…/s017/mcp`
        let number = request
            .path
            .split('/')
            .find_map(|name| name.strip_prefix('s')?.parse().ok());
        let server = number.and_then(|number: usize| servers.get(number));
        let response = server.map(|server| server.respond(endpoint, respond, request));
        let response = response.unwrap_or_else(|| responses::text(404, "text/plain", ""));
        responder.raw(response.as_bytes())
    })
}

impl EchoServer {
    /// The response to a request. It is the echo if the request is for the endpoint of the echo and the server knows the
    /// secret. Otherwise, it is a response after which the client continues.
    fn respond(
        &self,
        echo_at: Endpoint,
        echo: fn(&Request, &Echoed<'_>) -> String,
        request: &Request,
    ) -> String {
        let headers = request
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\n"));
        let headers: String = headers.collect();
        if holds(
            &format!("{}\n{headers}\n{}", request.path, request.text),
            &head_of(self.number),
        ) {
            self.knows_secret.store(true, Ordering::SeqCst);
        }
        let is_for = |part| request.path.contains(part);
        let endpoint = if is_for("/oauth-protected-resource") || is_for("/metadata/") {
            Endpoint::ResourceMetadata
        } else if is_for("/.well-known/") {
            Endpoint::ServerMetadata
        } else if request.path.ends_with("/token") && echo_at == Endpoint::TokenRefusal {
            Endpoint::TokenRefusal
        } else if request.path.ends_with("/token") {
            Endpoint::TokenGrant
        } else {
            Endpoint::Mcp
        };
        if endpoint == Endpoint::TokenGrant && self.place.granted.is_some() {
            self.knows_secret.store(true, Ordering::SeqCst);
        }
        let origin = format!("http://{}", request.header("host"));
        let base = format!("{origin}/{}", server_name(self.number));
        let echoed = Echoed {
            secret: &self.encoded,
            base: &base,
            tokens: self.tokens(),
        };
        if endpoint == echo_at && self.knows_secret.load(Ordering::SeqCst) {
            self.has_echoed.store(true, Ordering::SeqCst);
            return echo(request, &echoed);
        }
        match endpoint {
            Endpoint::Mcp => responses::challenge(401, "realm=\"test\""),
            Endpoint::ResourceMetadata => responses::json(
                200,
                json!({ "resource": format!("{base}/mcp"), "authorization_servers": [base] }),
            ),
            Endpoint::ServerMetadata => {
                // The issuer is the URL of the metadata without the well-known path segments.
                let path = request
                    .path
                    .replace("/.well-known/oauth-authorization-server", "");
                let path = path.replace("/.well-known/openid-configuration", "");
                let mut metadata = responses::metadata_of(&format!("{origin}{path}"), &base);
                if self.place.name == SENT_IN_A_FORM {
                    metadata["token_endpoint_auth_methods_supported"] =
                        json!(["client_secret_post"]);
                }
                responses::json(200, metadata)
            }
            Endpoint::TokenRefusal | Endpoint::TokenGrant => responses::json(200, echoed.tokens),
        }
    }

    fn tokens(&self) -> Value {
        let mut tokens = json!({
            "access_token": ACCESS_TOKEN, "refresh_token": "a-new-refresh-token", "token_type": "Bearer", "expires_in": 3600,
        });
        if let Some(field) = self.place.granted {
            tokens[field] = json!(self.secret);
        }
        tokens
    }

    /// The steps of a server that is a program. It echoes the secret if it has received it, and then creates the file `marker`.
    pub fn steps(&self, echo: fn(&str) -> Vec<String>, marker: &str) -> Vec<String> {
        let knows = ["knows", &head_of(self.number), marker].map(str::to_owned);
        [&knows[..], &echo(&self.encoded)].concat()
    }
}
