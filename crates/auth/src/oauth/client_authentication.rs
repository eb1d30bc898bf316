//! How an OAuth client identifies itself at an endpoint of its authorization server (RFC 6749, section 2.3).

use rmcp::transport::auth::AuthorizationMetadata;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::form_urlencoded::Serializer;

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

/// The client that a record was granted to, and where it sends its secret, if it has one.
pub(crate) struct ClientAuthentication<'a> {
    id: Option<&'a str>,
    secret: Option<&'a SecretString>,
    in_header: bool,
}

impl<'a> ClientAuthentication<'a> {
    /// The client of `record`. If `configured` is this client, its secret is the configured one. Otherwise, it is
    /// the secret that was issued with the record, sent as its registration requires. `methods_field` is the
    /// metadata field that lists the methods of the endpoint.
    pub fn new(
        record: &'a CredentialRecord,
        configured: Option<&'a (String, Option<SecretString>)>,
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
        let uses_basic = match registered.filter(|method| sends_secret(method)) {
            Some(method) => method == BASIC,
            None => secret_method(metadata, methods_field) == BASIC,
        };
        let secret = configured.or_else(|| record.client_secret());
        Self {
            id: record.client_id(),
            secret,
            in_header: secret.is_some() && uses_basic,
        }
    }

    /// The client ID and the secret, if they are sent in the `Authorization` header.
    pub fn basic(&self) -> Option<(&str, &str)> {
        let secret = self.secret.filter(|_| self.in_header)?;
        Some((self.id.unwrap_or_default(), secret.expose_secret()))
    }

    /// Adds the client ID and the secret to the form, unless they are sent in the header.
    pub fn add_to(&self, form: &mut Serializer<'_, String>) {
        if self.in_header {
            return;
        }
        if let Some(id) = self.id {
            form.append_pair("client_id", id);
        }
        if let Some(secret) = self.secret {
            form.append_pair("client_secret", secret.expose_secret());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_secret_is_sent_by_its_registered_method_or_one_that_the_endpoint_supports() {
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
            let mut written = Serializer::new(String::new());
            client.add_to(&mut written);
            assert_eq!(client.basic(), header.map(|secret| ("c", secret)));
            assert_eq!(written.finish(), form);
        }
    }
}
