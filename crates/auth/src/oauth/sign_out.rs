//! Revokes the tokens of a record, if the authorization server supports that.

use mcp_startup_core::{RequestEvidence, RequestTarget};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::Value;
use url::Url;

use crate::network::{GuardedClient, RequestLog, bare_url};
use crate::oauth::client_authentication::ClientAuthentication;
use crate::oauth::discovery::discover_issuer;
use crate::oauth::endpoint::endpoint;
use crate::store::CredentialRecord;

/// The result of revoking the tokens at the authorization server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Revocation {
    /// The authorization server confirmed the revocation.
    Revoked,
    /// The authorization server does not support revocation, or the record does not name its issuer. The tokens
    /// remain valid until they expire.
    NotOffered,
    /// The authorization server did not confirm the revocation. The tokens may remain valid until they expire.
    Failed,
}

/// Revokes the tokens of a record (RFC 7009) at the authorization server that granted them, and at no other.
///
/// Revokes the refresh token first and then the access token. Revoking a refresh token should also revoke the access
/// tokens that were issued with it (section 2.1).
///
/// If there is a refresh token, the result depends only on its revocation: an authorization server need not revoke
/// access tokens (section 2).
///
/// `client` is the configured client ID and secret. The secret is sent only if the record was granted to this client.
pub async fn revoke(
    guarded: &GuardedClient,
    record: &CredentialRecord,
    client: Option<&(String, Option<SecretString>)>,
    log: &RequestLog,
) -> Revocation {
    let Some(issuer) = record.issuer() else {
        return Revocation::NotOffered;
    };
    let Some(found) = Box::pin(discover_issuer(guarded, issuer, log)).await else {
        return Revocation::Failed;
    };
    let Some(metadata) = found.metadata else {
        return Revocation::Failed;
    };
    let published = metadata.additional_fields.get("revocation_endpoint");
    let Some(published) = published.and_then(Value::as_str) else {
        return Revocation::NotOffered;
    };
    let Some(endpoint) = endpoint(published) else {
        return Revocation::Failed;
    };
    let methods = "revocation_endpoint_auth_methods_supported";
    let revoking = Revoking {
        guarded,
        endpoint,
        client: ClientAuthentication::new(record, client, &metadata, methods),
        log,
    };
    let tokens = [
        ("refresh_token", record.refresh_token()),
        ("access_token", record.access_token()),
    ];
    let mut outcome = None;
    for (hint, token) in tokens {
        if let Some(token) = token
            && outcome != Some(Revocation::Failed)
        {
            let revocation = revoking.revoke(hint, token).await;
            outcome = outcome.or(Some(revocation));
        }
    }
    outcome.unwrap_or(Revocation::NotOffered)
}

struct Revoking<'a> {
    guarded: &'a GuardedClient,
    endpoint: Url,
    client: ClientAuthentication,
    log: &'a RequestLog,
}

impl Revoking<'_> {
    async fn revoke(&self, hint: &str, token: &SecretString) -> Revocation {
        // The serializer must be dropped before the first await: it is not `Send`.
        let form = {
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            form.append_pair("token", token.expose_secret())
                .append_pair("token_type_hint", hint);
            form.finish()
        };
        let (client, endpoint) = (&self.client, self.endpoint.clone());
        let Ok(request) = client.request(self.guarded, endpoint, form, client.place()) else {
            return Revocation::Failed;
        };
        let sent = self.log.sent(RequestEvidence {
            to: Some(RequestTarget::Token),
            url: Some(bare_url(&self.endpoint)),
            ..RequestEvidence::default()
        });
        match self.guarded.execute(request).await {
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
