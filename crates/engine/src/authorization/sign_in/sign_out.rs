//! Signs out of a server: revokes and removes the stored tokens, under the lock of the record.

use std::time::Duration;

use mcp_startup_auth::network::Network;
use mcp_startup_auth::{
    CredentialKey, CredentialStores, RequestLog, Revocation, SignInError, revoke,
};
use mcp_startup_config::ServerEntry;
use mcp_startup_core::CredentialStoreTrouble;
use secrecy::SecretString;
use serde::Serialize;
use tokio::time::Instant;
use url::Url;

use super::transaction::{self, Transaction};
use super::{http_config, store_failed};
use crate::authorization::observed_record::LOCK_LIMIT;
use crate::authorization::{configured_client, credential_key};
use crate::shared_context::SharedContext;

/// The limit for revoking the tokens, even if a start may take longer.
const REVOCATION_LIMIT: Duration = Duration::from_secs(20);
/// How many records are revoked at most. Each store can have one, and other programs can store more at the same time.
const MAX_RECORDS: usize = 10;

/// The result of a sign-out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct SignedOut {
    /// Whether a credential was stored.
    pub was_stored: bool,
    /// The result of revoking the tokens at the authorization server; `NotOffered` if no credential was stored.
    pub revocation: Revocation,
}

pub(crate) async fn sign_out(
    entry: &ServerEntry,
    shared: &SharedContext,
) -> Result<SignedOut, SignInError> {
    let (config, http) = http_config(entry)?;
    let nothing = |was_stored| SignedOut {
        was_stored,
        revocation: Revocation::NotOffered,
    };
    let Some(stores) = &shared.stores else {
        return Ok(nothing(false));
    };
    // The user has asked for this, so a locked keyring may ask to be unlocked again.
    stores.retry();
    let key = credential_key(config, http);
    if matches!(stores.find(&key).await, Ok(None)) {
        return stores.remove(&key).await.map(nothing).map_err(store_failed);
    }
    let work = SignOut {
        stores: stores.clone(),
        network: shared.network.clone(),
        key,
        url: http.url.clone(),
        client: configured_client(&config.oauth),
        limit: shared.limit_of(config),
    };
    transaction::run(&shared.refreshes, |transaction| work.run(transaction)).await
}

struct SignOut {
    stores: CredentialStores,
    network: Network,
    key: CredentialKey,
    url: Url,
    client: Option<(String, Option<SecretString>)>,
    limit: Duration,
}

impl SignOut {
    /// No refresh runs while the lock is held, so its tokens can't be stored after the revocation.
    async fn run(self, transaction: Transaction) -> Result<SignedOut, SignInError> {
        let locking = async {
            let limit = LOCK_LIMIT.min(self.limit);
            let locked = self.stores.lock(&self.key, limit).await?;
            // While another program holds the lock of the whole store, the record can't be removed after the revocation.
            if let Ok(Some(found)) = locked.find().await
                && let Err(error) = found.store.prove_writable(&self.key).await
                && error.is_in_use()
            {
                return Err(error);
            }
            Ok(locked)
        };
        let locked = transaction.prepare(locking).await?.map_err(store_failed)?;
        let _running = transaction.commit()?;
        let deadline = Instant::now() + REVOCATION_LIMIT.min(self.limit);
        let guarded = self.network.guarded_client(&self.url).await;
        let (mut was_stored, mut revocations) = (false, Vec::new());
        let mut is_empty = false;
        for _ in 0..MAX_RECORDS {
            let found = match locked.find().await {
                Ok(Some(found)) => found,
                Ok(None) => {
                    is_empty = true;
                    break;
                }
                // Its tokens can't be read, so they can't be revoked.
                Err(error) if error.trouble == CredentialStoreTrouble::Corrupt => {
                    revocations.push(Revocation::Failed);
                    break;
                }
                Err(error) => return Err(store_failed(error)),
            };
            was_stored = true;
            let remaining = deadline.saturating_duration_since(Instant::now());
            locked.check_held_for(remaining).map_err(store_failed)?;
            let log = RequestLog::default();
            let revoking = revoke(&guarded, &found.record, self.client.as_ref(), &log);
            let revoked = tokio::time::timeout_at(deadline, revoking).await;
            revocations.push(revoked.unwrap_or(Revocation::Failed));
            // Another store may have an older record. If a program without the lock has just stored a newer one, it stays and is
            // found next. A record is removed even if the revocation failed.
            let removing = found.store.replace(&self.key, Some(&found.record), None);
            removing.await.map_err(store_failed)?;
        }
        // A record that a program without the lock has stored since then is a new sign-in. It was not revoked, so it stays.
        if !is_empty {
            was_stored |= locked.remove().await.map_err(store_failed)?;
        }
        // The tokens of one record that stay valid are worse than none to revoke.
        let from_worst = [
            Revocation::Failed,
            Revocation::NotOffered,
            Revocation::Revoked,
        ];
        let worst = from_worst.into_iter().find(|one| revocations.contains(one));
        Ok(SignedOut {
            was_stored,
            revocation: worst.unwrap_or(Revocation::NotOffered),
        })
    }
}
