//! How an OAuth client says who it is at an endpoint of its authorization server (RFC 6749, section 2.3).

use rmcp::transport::auth::AuthorizationMetadata;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::form_urlencoded::Serializer;

use crate::record::CredentialRecord;

/// The field of a registered client, and of the record that was granted to it, that says how its secret is sent (RFC 7591, section 2).
pub(crate) const METHOD: &str = "token_endpoint_auth_method";
const BASIC: &str = "client_secret_basic";
const POST: &str = "client_secret_post";

/// Whether a client authenticates itself with its secret, in a way that is known here.
pub(crate) fn is_by_secret(method: &str) -> bool {
    matches!(method, BASIC | POST)
}

/// The client that a record was granted to: with a secret in the header or in the form, as the endpoint takes it, or without one.
pub(crate) struct ClientAuthentication<'a> {
    id: Option<&'a str>,
    secret: Option<&'a SecretString>,
    in_header: bool,
}

impl<'a> ClientAuthentication<'a> {
    /// The client of `record`. Its secret is that of the configuration, if that is `configured` for this very client; else it is the
    /// one that was issued with the record, and is sent as was said then. `methods` is the field of the metadata that lists the
    /// methods of the endpoint.
    pub fn new(
        record: &'a CredentialRecord,
        configured: Option<&'a (String, Option<SecretString>)>,
        metadata: &AuthorizationMetadata,
        methods: &str,
    ) -> Self {
        let configured = configured
            .filter(|(id, _)| record.client_id() == Some(id))
            .and_then(|(_, secret)| secret.as_ref());
        let methods = metadata
            .additional_fields
            .get(methods)
            .and_then(Value::as_array);
        let mut fields = record.fields().filter(|_| configured.is_none());
        let issued = fields.find_map(|(name, json)| (name == METHOD).then(|| json.expose_secret()));
        let issued: Option<String> = issued.and_then(|json| serde_json::from_str(json).ok());
        let takes_basic = match issued.filter(|method| is_by_secret(method)) {
            Some(method) => method == BASIC,
            // RFC 8414, section 2: where the metadata does not say, it is `client_secret_basic`.
            None => methods.is_none_or(|methods| methods.iter().any(|method| method == BASIC)),
        };
        let secret = configured.or_else(|| record.client_secret());
        Self {
            id: record.client_id(),
            secret,
            in_header: secret.is_some() && takes_basic,
        }
    }

    /// The id and the secret that go into the header.
    pub fn basic(&self) -> Option<(&str, &str)> {
        let secret = self.secret.filter(|_| self.in_header)?;
        Some((self.id.unwrap_or_default(), secret.expose_secret()))
    }

    /// Adds what goes into the form.
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
    fn a_secret_is_sent_as_it_was_issued_for_and_else_as_the_endpoint_takes_it() {
        let issued = |method: Option<&str>| {
            let fields = json!({ "client_id": "c", "client_secret": "issued", "token_endpoint_auth_method": method });
            CredentialRecord::from_json(&fields).unwrap()
        };
        let public = CredentialRecord::from_json(&json!({ "client_id": "c" })).unwrap();
        let configured = ("c".to_owned(), Some(SecretString::from("configured")));
        let (basic, post) = (Some("client_secret_basic"), Some("client_secret_post"));
        // The record, whether the configuration has a secret, what the metadata lists, what goes into the header and into the form.
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
            // What was issued has nothing to do with a secret of the configuration.
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
