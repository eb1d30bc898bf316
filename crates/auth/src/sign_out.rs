//! Signing out: what was granted is revoked where the authorization server offers that.

use mcp_startup_core::{RequestEvidence, RequestTarget};
use rmcp::transport::auth::AuthorizationMetadata;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::Value;
use url::Url;

use crate::client_authentication::ClientAuthentication;
use crate::discovery::discover_issuer;
use crate::network::{Outside, RequestLog, bare_url};
use crate::record::CredentialRecord;

/// What became of the tokens at the authorization server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Revocation {
    /// The authorization server says that it is done.
    Revoked,
    /// The authorization server offers no revocation, or the record does not say which server it was: they expire.
    NotOffered,
    /// It was asked, and did not say that it is done: they may be good until they expire.
    Failed,
}

/// Revokes the tokens of a record (RFC 7009), at the authorization server that granted them and nowhere else: the refresh token,
/// with which the access tokens that came of it should go too (section 2.1), and the access token.
///
/// Where there is a refresh token, it alone decides what came of it: an authorization server need not revoke access tokens (section
/// 2). `client`: that of the configuration and its secret, sent only for a record that was granted to that client.
pub async fn revoke(
    outside: &Outside,
    record: &CredentialRecord,
    client: Option<&(String, Option<SecretString>)>,
    log: &RequestLog,
) -> Revocation {
    let Some(issuer) = record.issuer() else {
        return Revocation::NotOffered;
    };
    let Some(found) = Box::pin(discover_issuer(outside, issuer, log)).await else {
        return Revocation::Failed;
    };
    let Some(metadata) = found.metadata else {
        return Revocation::Failed;
    };
    let Some(endpoint) = revocation_endpoint(&metadata) else {
        return Revocation::NotOffered;
    };
    let methods = "revocation_endpoint_auth_methods_supported";
    let revoking = Revoking {
        outside,
        endpoint,
        client: ClientAuthentication::new(record, client, &metadata, methods),
        log,
    };
    let tokens = [
        ("refresh_token", record.refresh_token()),
        ("access_token", record.access_token()),
    ];
    let mut came_to = None;
    for (hint, token) in tokens {
        if let Some(token) = token
            && came_to != Some(Revocation::Failed)
        {
            let revocation = revoking.revoke(hint, token).await;
            came_to = came_to.or(Some(revocation));
        }
    }
    came_to.unwrap_or(Revocation::NotOffered)
}

struct Revoking<'a> {
    outside: &'a Outside,
    endpoint: Url,
    client: ClientAuthentication<'a>,
    log: &'a RequestLog,
}

impl Revoking<'_> {
    async fn revoke(&self, hint: &str, token: &SecretString) -> Revocation {
        // Gone before anything is waited for: a form that is being written can't be sent to another thread.
        let form = {
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            form.append_pair("token", token.expose_secret())
                .append_pair("token_type_hint", hint);
            self.client.add_to(&mut form);
            form.finish()
        };
        let (endpoint, basic) = (self.endpoint.clone(), self.client.basic());
        let Ok(request) = self.outside.form(endpoint, form, basic) else {
            return Revocation::Failed;
        };
        let sent = self.log.sent(RequestEvidence {
            to: Some(RequestTarget::Token),
            url: Some(bare_url(&self.endpoint)),
            ..RequestEvidence::default()
        });
        match self.outside.execute(request).await {
            Ok(response) => {
                sent.note(|noted| noted.status = Some(response.status().as_u16()));
                match response.status().is_success() {
                    true => Revocation::Revoked,
                    false => Revocation::Failed,
                }
            }
            Err(error) => {
                sent.note(|noted| noted.io = Some(error.trouble()));
                Revocation::Failed
            }
        }
    }
}

fn revocation_endpoint(metadata: &AuthorizationMetadata) -> Option<Url> {
    let endpoint = metadata.additional_fields.get("revocation_endpoint");
    Url::parse(endpoint.and_then(Value::as_str)?).ok()
}
