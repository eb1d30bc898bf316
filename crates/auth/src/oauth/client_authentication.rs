//! How an OAuth client identifies itself at an endpoint of its authorization server (RFC 6749, section 2.3).

use mcp_startup_core::refusal;
use rmcp::transport::auth::AuthorizationMetadata;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;
use url::form_urlencoded::Serializer;

use crate::network::{GuardedClient, GuardedClientError};
use crate::oauth::token_endpoint::Reply;
use crate::store::CredentialRecord;

/// The field that names how a client sends its secret (RFC 7591, section 2). Both a client registration and the record
/// granted to that client have it.
pub(crate) const METHOD: &str = "token_endpoint_auth_method";
/// The metadata field that lists the methods of the token endpoint (RFC 8414, section 2).
pub(crate) const METHODS: &str = "token_endpoint_auth_methods_supported";
const NONE: &str = "none";
const BASIC: &str = "client_secret_basic";
const POST: &str = "client_secret_post";

/// How a client sends its secret to an endpoint: in the header, which is the default (RFC 8414, section 2), unless the metadata
/// lists methods without it. `field` is the metadata field that lists the methods of the endpoint.
pub(crate) fn secret_method(metadata: &AuthorizationMetadata, field: &str) -> &'static str {
    let listed = metadata.additional_fields.get(field);
    let listed = listed.and_then(Value::as_array);
    match listed.filter(|methods| !methods.is_empty()) {
        Some(methods) if !methods.iter().any(|method| method == BASIC) => POST,
        _ => BASIC,
    }
}

/// The method with which a client is registered: the first of the supported ones that the authorization server lists. `None` if it
/// lists only others. A public client needs no secret, so it comes first, and is also the default.
pub(crate) fn registration_method(metadata: &AuthorizationMetadata) -> Option<&'static str> {
    let listed = metadata.additional_fields.get(METHODS);
    match listed
        .and_then(Value::as_array)
        .filter(|methods| !methods.is_empty())
    {
        None => Some(NONE),
        Some(methods) => [NONE, BASIC, POST]
            .into_iter()
            .find(|method| methods.iter().any(|listed| listed == method)),
    }
}

/// Whether `method` sends the client's secret in one of the two supported ways.
pub(crate) fn sends_secret(method: &str) -> bool {
    matches!(method, BASIC | POST)
}

/// Where a request has the secret of its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SecretPlace {
    /// In the `Authorization` header, each part encoded as in a form (RFC 6749, section 2.3.1).
    Header,
    /// In the `Authorization` header, as it is (RFC 7617). Some authorization servers do not decode the parts.
    PlainHeader,
    /// In the form. The ID of a client without a secret is there too.
    Form,
}

/// The client that a record was granted to or that signs in, and where it sends its secret, if it has one.
#[derive(Clone)]
pub(crate) struct ClientAuthentication {
    id: Option<String>,
    secret: Option<SecretString>,
    /// The place by the rules, and those to try if the authorization server rejects the client there. Never empty.
    places: Vec<SecretPlace>,
}

impl ClientAuthentication {
    /// The client of `record`. If `configured` is this client, its secret is the configured one. Otherwise, it is
    /// the secret that was issued with the record, sent as its registration requires. `methods_field` is the
    /// metadata field that lists the methods of the endpoint.
    pub fn new(
        record: &CredentialRecord,
        configured: Option<&(String, Option<SecretString>)>,
        metadata: &AuthorizationMetadata,
        methods_field: &str,
    ) -> Self {
        let configured = configured
            .filter(|(id, _)| record.client_id() == Some(id))
            .and_then(|(_, secret)| secret.as_ref());
        let mut fields = record.fields().filter(|_| configured.is_none());
        let registered =
            fields.find_map(|(name, json)| (name == METHOD).then(|| json.expose_secret()));
        let registered: Option<String> =
            registered.and_then(|json| serde_json::from_str(json).ok());
        let secret = configured.or_else(|| record.client_secret()).cloned();
        let id = record.client_id().map(str::to_owned);
        Self::of(id, secret, registered.as_deref(), metadata, methods_field)
    }

    /// The client with this ID and secret. `registered` is the method of its registration, if that has one.
    pub fn of(
        id: Option<String>,
        secret: Option<SecretString>,
        registered: Option<&str>,
        metadata: &AuthorizationMetadata,
        methods_field: &str,
    ) -> Self {
        use SecretPlace::{Form, Header, PlainHeader};
        let method = match registered.filter(|method| sends_secret(method)) {
            Some(method) => method,
            None => secret_method(metadata, methods_field),
        };
        let lists = |method: &str| {
            let listed = metadata.additional_fields.get(methods_field);
            let listed = listed.and_then(Value::as_array);
            listed.is_none_or(|methods| methods.iter().any(|listed| listed == method))
        };
        let parts = [
            id.as_deref(),
            secret.as_ref().map(ExposeSecret::expose_secret),
        ];
        let is_encoded = parts
            .into_iter()
            .flatten()
            .any(|part| encoded(part) != part);
        let first = match method == BASIC && secret.is_some() {
            true => Header,
            false => Form,
        };
        let others = [
            (Header, lists(BASIC)),
            (PlainHeader, is_encoded && (first == Header || lists(BASIC))),
            (Form, lists(POST)),
        ];
        let others = others
            .into_iter()
            .filter(|(place, is_used)| *is_used && *place != first && secret.is_some());
        let places = std::iter::once(first).chain(others.map(|(place, _)| place));
        let places = places.collect();
        Self { id, secret, places }
    }

    /// The place of the secret by the rules, and those to try next, in turn, if the authorization server rejects the client
    /// there.
    pub fn places(&self) -> &[SecretPlace] {
        &self.places
    }

    /// The first place of the secret.
    pub fn place(&self) -> SecretPlace {
        self.places[0]
    }

    /// A request to an endpoint with this form, and with the client at this place.
    ///
    /// # Errors
    ///
    /// [`GuardedClientError::Failed`] if the request can't be built.
    pub fn request(
        &self,
        guarded: &GuardedClient,
        endpoint: Url,
        form: String,
        place: SecretPlace,
    ) -> Result<reqwest::Request, GuardedClientError> {
        let id = self.id.as_deref().unwrap_or_default();
        let basic = match (place, &self.secret) {
            (SecretPlace::Header, Some(secret)) => {
                Some((encoded(id), encoded(secret.expose_secret())))
            }
            (SecretPlace::PlainHeader, Some(secret)) => {
                Some((id.to_owned(), secret.expose_secret().to_owned()))
            }
            (SecretPlace::Form, _) | (_, None) => None,
        };
        let mut form = Serializer::new(form);
        if basic.is_none() {
            if let Some(id) = &self.id {
                form.append_pair("client_id", id);
            }
            if let Some(secret) = &self.secret {
                form.append_pair("client_secret", secret.expose_secret());
            }
        }
        let basic = basic.as_ref();
        let basic = basic.map(|(user, password)| (user.as_str(), password.as_str()));
        guarded.form(endpoint, form.finish(), basic)
    }
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// Whether a reply of the token endpoint rejects the client, so that it read neither the code nor the refresh token. Some
/// authorization servers that do not find the client report another missing parameter.
pub(crate) fn rejects_client(reply: &Reply) -> bool {
    if !reply.status.is_client_error() {
        return false;
    }
    match refusal::error_code(&reply.body).as_deref() {
        Some("invalid_client") => true,
        Some("invalid_request") => reply
            .description()
            .is_some_and(|words| words.contains("client_id") || words.contains("client_secret")),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD as BASE64;
    use serde_json::json;

    use crate::network::Network;

    #[tokio::test]
    async fn a_secret_is_sent_by_its_registered_method_or_one_that_the_endpoint_supports() {
        let issued = |method: Option<&str>| {
            let fields = json!({ "client_id": "c", "client_secret": "issued", "token_endpoint_auth_method": method });
            CredentialRecord::from_json(&fields).unwrap()
        };
        let public = CredentialRecord::from_json(&json!({ "client_id": "c" })).unwrap();
        let configured = ("c".to_owned(), Some(SecretString::from("configured")));
        let (basic, post) = (Some("client_secret_basic"), Some("client_secret_post"));
        // The record, whether a secret is configured, the methods in the metadata, the secret in the header,
        // the form.
        for (record, is_configured, methods, header, form) in [
            (&issued(None), false, None, Some("issued"), ""),
            (
                &issued(None),
                false,
                Some(json!(["none", "client_secret_post"])),
                None,
                "client_id=c&client_secret=issued",
            ),
            (
                &issued(basic),
                false,
                Some(json!(["client_secret_post"])),
                Some("issued"),
                "",
            ),
            (
                &issued(post),
                false,
                None,
                None,
                "client_id=c&client_secret=issued",
            ),
            (&issued(Some("none")), false, None, Some("issued"), ""),
            (
                &issued(Some("private_key_jwt")),
                false,
                None,
                Some("issued"),
                "",
            ),
            // The method of the issued secret does not apply to a configured one.
            (&issued(post), true, None, Some("configured"), ""),
            (
                &public,
                true,
                Some(json!(["client_secret_post"])),
                None,
                "client_id=c&client_secret=configured",
            ),
            (&public, false, None, None, "client_id=c"),
        ] {
            let mut metadata = AuthorizationMetadata::default();
            let listed = methods.map(|methods| ("methods".to_owned(), methods));
            metadata.additional_fields.extend(listed);
            let configured = is_configured.then_some(&configured);
            let client = ClientAuthentication::new(record, configured, &metadata, "methods");
            let sent = sent(&client, client.place()).await;
            let header = header.map(|secret| format!("c:{secret}"));
            assert_eq!(sent, (header, form.to_owned()));
        }
    }

    /// The parts of the `Authorization` header and the form of a request.
    async fn sent(client: &ClientAuthentication, place: SecretPlace) -> (Option<String>, String) {
        let endpoint: Url = "https://auth.example/token".parse().unwrap();
        let guarded = Network::new().unwrap().guarded_client(&endpoint).await;
        let request = client.request(&guarded, endpoint, String::new(), place);
        let request = request.unwrap();
        let header = request.headers().get(http::header::AUTHORIZATION);
        let header = header.map(|header| {
            let text = header.to_str().unwrap().strip_prefix("Basic ").unwrap();
            String::from_utf8(BASE64.decode(text).unwrap()).unwrap()
        });
        let form = request.body().and_then(reqwest::Body::as_bytes);
        let form = String::from_utf8(form.unwrap_or_default().to_vec()).unwrap();
        (header, form)
    }

    #[tokio::test]
    async fn a_rejected_secret_is_sent_at_the_other_places_that_the_endpoint_may_read() {
        use SecretPlace::{Form, Header, PlainHeader};
        // The ID, the method of the registration, the methods in the metadata, and the places.
        for (id, registered, methods, expected) in [
            ("c", None, None, vec![Header, Form]),
            ("a/b", None, None, vec![Header, PlainHeader, Form]),
            (
                "c",
                None,
                Some(json!(["client_secret_basic"])),
                vec![Header],
            ),
            (
                "a/b",
                None,
                Some(json!(["client_secret_basic"])),
                vec![Header, PlainHeader],
            ),
            ("a/b", None, Some(json!(["client_secret_post"])), vec![Form]),
            (
                "c",
                Some(POST),
                Some(json!([BASIC, POST])),
                vec![Form, Header],
            ),
            ("c", Some(BASIC), Some(json!([POST])), vec![Header, Form]),
        ] {
            let mut metadata = AuthorizationMetadata::default();
            let listed = methods.map(|methods| (METHODS.to_owned(), methods));
            metadata.additional_fields.extend(listed);
            let of = |secret| {
                let id = Some(id.to_owned());
                ClientAuthentication::of(id, secret, registered, &metadata, METHODS)
            };
            let client = of(Some(SecretString::from("s")));
            assert_eq!(client.places(), expected, "{id} {registered:?}");
            assert_eq!(of(None).places(), [Form]);
        }
        let metadata = AuthorizationMetadata::default();
        let secret = Some(SecretString::from("s"));
        let client =
            ClientAuthentication::of(Some("a/b".to_owned()), secret, None, &metadata, METHODS);
        let of = |user: &str| Some(format!("{user}:s"));
        assert_eq!(sent(&client, Header).await, (of("a%2Fb"), String::new()));
        assert_eq!(sent(&client, PlainHeader).await, (of("a/b"), String::new()));
        assert_eq!(
            sent(&client, Form).await,
            (None, "client_id=a%2Fb&client_secret=s".to_owned())
        );
    }
}
