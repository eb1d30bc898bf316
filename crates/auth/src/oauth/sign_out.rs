//! Revokes the tokens of a record, if the authorization server supports that.

use std::time::Duration;

use mcp_startup_core::{RequestEvidence, RequestTarget};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::Value;
use url::Url;

use crate::network::{GuardedClient, RequestLog, bare_url};
use crate::oauth::client_authentication::ClientAuthentication;
use crate::oauth::discovery::discover_issuer;
use crate::oauth::endpoint::endpoint;
use crate::store::{CredentialRecord, LockedRecord};

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

/// Revokes the tokens of records that a new sign-in has replaced, each at the authorization server that granted it. After that,
/// nothing else could end their grants. Call it after [`LockedRecord::save`] has saved `new`, while the lock is held.
///
/// Leaves out a record that was granted to the same client as `new`, or to an unknown one: an authorization server may also revoke
/// all other tokens that it granted to that client for the user (RFC 7009, section 2.1), which would end the new sign-in.
///
/// Revokes nothing if a search does not return `new`, or if the lock is not held for `limit`: another program may then use the
/// tokens. Failures are ignored.
pub async fn revoke_replaced(
    guarded: &GuardedClient,
    locked: &LockedRecord<'_>,
    new: &CredentialRecord,
    replaced: &[CredentialRecord],
    limit: Duration,
) {
    let client = |record: &CredentialRecord| record.client_id().map(str::to_owned);
    let is_of_another_client =
        |old: &&CredentialRecord| client(old).is_some() && client(old) != client(new);
    let shares_secret = |old: &CredentialRecord| {
        let mut secrets = old.secrets();
        secrets.any(|secret| new.secrets().any(|other| other == secret))
    };
    let old = replaced.iter().filter(is_of_another_client);
    let old: Vec<_> = old.filter(|old| !shares_secret(old)).collect();
    if old.is_empty() || client(new).is_none() || locked.check_held_for(limit).is_err() {
        return;
    }
    let revoking = async {
        let found = locked.find().await.ok().flatten();
        if found.is_some_and(|found| found.record.has_same_tokens(new)) {
            for record in old {
                let revocation = revoke(guarded, record, None, &RequestLog::default()).await;
                tracing::debug!(?revocation, "the tokens of a replaced sign-in");
            }
        }
    };
    // Boxed: large, and rarely needed.
    let _ = tokio::time::timeout(limit, Box::pin(revoking)).await;
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
