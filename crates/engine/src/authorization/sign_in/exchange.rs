//! Finishes a sign-in: exchanges the code and stores the granted tokens, as one transaction.

use std::time::Duration;

use mcp_startup_auth::network::{GuardedClient, Network};
use mcp_startup_auth::{
    CredentialKey, CredentialRecord, CredentialStores, LockedRecord, Mask, PendingSignIn,
    RequestLog, Revocation, SignInError, SignInFailureKind, StoreError, finish_sign_in, revoke,
    revoke_replaced,
};
use mcp_startup_config::ServerEntry;
use mcp_startup_core::CredentialStoreTrouble;
use secrecy::{ExposeSecret, SecretString};
use std::sync::Arc;
use tokio::time::timeout;
use url::Url;

use super::history::SignInHistory;
use super::transaction::{self, Transaction};
use super::{masked, secrets, store_failed};
use crate::authorization::observed_record::LOCK_LIMIT;
use crate::shared_context::{DEFAULT_LIMIT, SharedContext};

/// The limits from the moment that the code is sent, 30 s in total: for the answer, for storing it, and for revoking it if it can't
/// be stored, or else the sign-in that it has replaced. Tokens that can't be used are revoked within 5 s after the answer, and not stored.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);
const SAVE_LIMIT: Duration = Duration::from_secs(5);
const REVOCATION_LIMIT: Duration = Duration::from_secs(5);

pub(crate) async fn finish(
    shared: &SharedContext,
    entry: Option<&ServerEntry>,
    pending: &PendingSignIn,
    callback_url: &str,
) -> Result<(), SignInError> {
    let mask = match (shared.sign_ins.secrets(pending), entry) {
        (Some(mask), _) => mask,
        (None, Some(entry)) => {
            let key = CredentialKey::new(pending.server_name(), pending.server_url());
            let found = match &shared.stores {
                Some(stores) => stores.find(&key).await.ok().flatten(),
                None => None,
            };
            secrets(entry, found.map(|found| found.record).as_ref())
        }
        (None, None) => Mask::withholding(),
    };
    let finished = finish_masked(shared, pending, callback_url, mask.clone()).await;
    finished.map_err(|error| match mask.withholds_all() {
        // Only the texts of the server are withheld.
        true => error,
        false => masked(&error, &mask),
    })
}

async fn finish_masked(
    shared: &SharedContext,
    pending: &PendingSignIn,
    callback_url: &str,
    mask: Mask,
) -> Result<(), SignInError> {
    let Some(stores) = &shared.stores else {
        return Err(SignInError::new(
            SignInFailureKind::StoreFailed,
            "no credential store is available for the sign-in: set one in the options",
        ));
    };
    // An invalid callback URL must not use up the sign-in.
    pending.check_with(callback_url, &mask)?;
    if shared.sign_ins.is_finished(pending) {
        return Err(used());
    }
    let url = Url::parse(pending.server_url()).map_err(|_| {
        SignInError::new(
            SignInFailureKind::InvalidPending,
            "the pending sign-in cannot be used: start a new sign-in",
        )
    })?;
    let exchange = Exchange {
        stores: stores.clone(),
        network: shared.network.clone(),
        history: shared.sign_ins.clone(),
        key: CredentialKey::new(pending.server_name(), pending.server_url()),
        pending: pending.clone(),
        callback_url: callback_url.into(),
        mask,
        url,
        limit: shared.limit.unwrap_or(DEFAULT_LIMIT),
    };
    transaction::run(&shared.refreshes, |transaction| exchange.run(transaction)).await
}

struct Exchange {
    stores: CredentialStores,
    network: Network,
    history: Arc<SignInHistory>,
    key: CredentialKey,
    pending: PendingSignIn,
    callback_url: SecretString,
    mask: Mask,
    url: Url,
    limit: Duration,
}

impl Exchange {
    async fn run(self, transaction: Transaction) -> Result<(), SignInError> {
        let preparing = async {
            let guarded = self.network.guarded_client(&self.url).await;
            let limit = LOCK_LIMIT.min(self.limit);
            let locked = self.stores.lock(&self.key, limit).await?;
            self.stores.prove_writable(&self.key).await?;
            let earlier = locked.stored().await;
            Ok((guarded, locked, earlier))
        };
        let prepared = transaction.prepare(preparing).await?;
        let (guarded, locked, earlier) = prepared.map_err(store_failed)?;
        let _running = transaction.commit()?;
        let limit = ANSWER_LIMIT.min(self.limit);
        locked.check_held_for(limit).map_err(store_failed)?;
        if !self.history.finish(&self.pending) {
            return Err(used());
        }
        let callback_url = self.callback_url.expose_secret();
        let log = RequestLog::default();
        let exchanging = finish_sign_in(
            &guarded,
            &self.pending,
            callback_url,
            limit,
            &log,
            &self.mask,
        );
        // Boxed: large, and rarely needed.
        let record = Box::pin(exchanging).await?;
        match save(&locked, &record).await {
            Ok(mut replaced) => {
                self.history.granted(&self.pending, &record);
                // A record that a program without the lock has stored since then may be in use there.
                replaced.retain(|record| earlier.contains(record));
                revoke_replaced(&guarded, &locked, &record, &replaced, REVOCATION_LIMIT).await;
                Ok(())
            }
            Err(error) => Err(self.take_back(&guarded, &record, &error).await),
        }
    }

    /// Revokes granted tokens that can't be stored.
    async fn take_back(
        &self,
        guarded: &GuardedClient,
        record: &CredentialRecord,
        error: &StoreError,
    ) -> SignInError {
        let (client, log) = (self.pending.client(), RequestLog::default());
        let revoking = revoke(guarded, record, Some(&client), &log);
        let revoked = timeout(REVOCATION_LIMIT, revoking).await;
        let tokens = match revoked.unwrap_or(Revocation::Failed) {
            Revocation::Revoked => "its tokens were revoked",
            Revocation::NotOffered => {
                "its tokens stay valid until they expire, because the sign-in service does not support revocation"
            }
            Revocation::Failed => {
                "its tokens could not be revoked and stay valid until they expire"
            }
        };
        let message = format!("the sign-in succeeded but could not be stored: {error}; {tokens}");
        SignInError::new(SignInFailureKind::StoreFailed, message)
    }
}

/// Returns the records that were replaced.
async fn save(
    locked: &LockedRecord<'_>,
    record: &CredentialRecord,
) -> Result<Vec<CredentialRecord>, StoreError> {
    let saved = timeout(SAVE_LIMIT, locked.save(record)).await;
    saved.unwrap_or_else(|_| {
        let trouble = CredentialStoreTrouble::Unreadable;
        Err(StoreError::new(
            "store",
            trouble,
            "saving the record took too long",
        ))
    })
}

fn used() -> SignInError {
    SignInError::new(
        SignInFailureKind::Used,
        "this sign-in has already been finished: start a new sign-in",
    )
}
