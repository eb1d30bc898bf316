//! The pages of a public server in tests: its metadata, and its authorization server.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::network::test_internet::{TestInternet, response};

/// A public server. Its configured URL uses http, because this test cannot serve https.
pub(super) const SERVER: &str = "http://mcp.example/mcp";
pub(super) const PRM: &str = "http://mcp.example/.well-known/oauth-protected-resource/mcp";
pub(super) const METADATA: &str = "http://mcp.example/.well-known/oauth-authorization-server";
pub(super) const CHALLENGE: &str =
    r#"Bearer resource_metadata="http://mcp.example/.well-known/oauth-protected-resource/mcp""#;
/// The response for each URL.
#[derive(Clone, Default)]
pub(super) struct Pages(HashMap<String, String>);

impl Pages {
    pub fn with(mut self, url: &str, response: String) -> Self {
        self.0.insert(format!("GET {url}"), response);
        self
    }

    pub fn json(self, url: &str, body: &Value) -> Self {
        self.with(
            url,
            response(200, "content-type: application/json\r\n", &body.to_string()),
        )
    }

    pub fn redirect(self, url: &str, status: u16, to: &str) -> Self {
        self.with(url, response(status, &format!("location: {to}\r\n"), ""))
    }

    pub fn prm(self, url: &str, issuer: &str) -> Self {
        let document = json!({"resource": SERVER, "authorization_servers": [issuer]});
        self.json(url, &document)
    }

    pub fn metadata(self, url: &str, issuer: &str, token_endpoint: &str) -> Self {
        let document = json!({
            "issuer": issuer,
            "authorization_endpoint": "https://auth.example/authorize",
            "token_endpoint": token_endpoint,
            "response_types_supported": ["code"],
        });
        self.json(url, &document)
    }

    /// The documents of a well-behaved server.
    pub fn valid() -> Self {
        let pages = Self::default().prm(PRM, "http://mcp.example");
        pages.metadata(METADATA, "http://mcp.example", "http://mcp.example/token")
    }

    /// Merges `fields` into the metadata of an authorization server that supports a sign-in.
    pub fn authorization_server(self, url: &str, fields: &Value) -> Self {
        let mut document = json!({
            "issuer": "http://mcp.example",
            "authorization_endpoint": "https://auth.example/authorize",
            "token_endpoint": "http://mcp.example/token",
            "code_challenge_methods_supported": ["S256"],
        });
        for (name, value) in fields.as_object().into_iter().flatten() {
            document[name] = value.clone();
        }
        self.json(url, &document)
    }

    /// The response to a POST request.
    pub fn post(mut self, url: &str, body: &str) -> Self {
        let response = response(200, "content-type: application/json\r\n", body);
        self.0.insert(format!("POST {url}"), response);
        self
    }

    /// Serves the pages. Every other request fails with 404.
    pub fn internet(self) -> TestInternet {
        TestInternet::new(self.into_responses())
    }

    /// The response for each method and URL. That for any other is 404.
    pub fn into_responses(self) -> impl Fn(&str) -> String + Send + Sync + 'static {
        let missing = response(404, "", "");
        move |target| self.0.get(target).unwrap_or(&missing).clone()
    }
}
