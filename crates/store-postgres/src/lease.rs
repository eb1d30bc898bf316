//! The lock of a record: a lease row on the clock of the database, renewed while it is held.

use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mcp_startup_auth::{Lease, RecordLock, StoreError, StoreFuture};
use secrecy::SecretString;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::NAME;
use crate::database::pause;
use crate::encryption::{RecordKeys, attempt_key_id, random_uuid};
use crate::record_id::RecordId;
use crate::store::{Shared, key_error};

/// How long a lock is held at most. A holder that takes longer hangs, and must not keep others out forever.
const LONGEST: Duration = Duration::from_secs(300);
/// The pause before a waiting program tries again, in ms.
const POLL_MS: (u64, u64) = (50, 250);

/// Takes the lease, or extends it if `$2` holds it. It returns no row if another holder has it. The condition on the selection makes
/// that a read: without it, every program that waits would lock the row, and write that to the log of the database.
const ACQUIRE: &str = "
    insert into mcp_startup_lease as lease (id, holder, epoch, expires_at)
    select $1, $2, 1, clock_timestamp() + $3 * interval '1 millisecond'
    where not exists (
        select from mcp_startup_lease
        where id = $1 and holder <> $2 and expires_at >= clock_timestamp()
    )
    on conflict (id) do update set
        holder = excluded.holder,
        expires_at = clock_timestamp() + $3 * interval '1 millisecond',
        epoch = case when lease.holder = excluded.holder then lease.epoch else lease.epoch + 1 end
    where lease.holder is null or lease.holder = excluded.holder or lease.expires_at < clock_timestamp()
    returning sent_token";

/// A lease that ended and that no other program took still belongs to its holder.
const RENEW: &str = "
    update mcp_startup_lease set expires_at = clock_timestamp() + $3 * interval '1 millisecond'
    where id = $1 and holder = $2
    returning true";

/// The first attempt with a token is kept: the statement may be repeated after a broken connection, and an earlier holder's attempt
/// explains a refusal for as long as the token is stored.
const BEGIN_ATTEMPT: &str = "
    with earlier as (select sent_token, sent_at, sent_epoch from mcp_startup_lease where id = $1)
    update mcp_startup_lease as lease set
        expires_at = clock_timestamp() + $3 * interval '1 millisecond',
        sent_token = $4,
        sent_at = case when lease.sent_token = $4 then lease.sent_at else clock_timestamp() end,
        sent_epoch = case when lease.sent_token = $4 then lease.sent_epoch else lease.epoch end
    from earlier
    where lease.id = $1 and lease.holder = $2
    returning case when earlier.sent_token = $4 and earlier.sent_epoch <> lease.epoch
        then (extract(epoch from earlier.sent_at) * 1000)::bigint end";

const RELEASE: &str = "
    update mcp_startup_lease set
        holder = null,
        expires_at = clock_timestamp(),
        sent_token = case when $3 then null else sent_token end,
        sent_at = case when $3 then null else sent_at end,
        sent_epoch = case when $3 then null else sent_epoch end
    where id = $1 and holder = $2";

/// Waits until the lease is free and takes it.
pub(crate) async fn lock(
    shared: &Arc<Shared>,
    record: &Arc<RecordId>,
) -> Result<RecordLock, StoreError> {
    loop {
        let attempt = acquire(shared.clone(), record.clone());
        // A task, so that a lease that is granted after the caller stopped waiting is released.
        let acquired = shared.tasks.spawn(attempt).await;
        match acquired.map_err(|cause| StoreError::broken(NAME, &cause))? {
            Ok(Some(held)) => return Ok(RecordLock::leased(held)),
            Ok(None) => tokio::time::sleep(pause(POLL_MS.0, POLL_MS.1)?).await,
            // The database does not respond. That does not mean that another program holds the lock.
            Err(error) => return Err(error),
        }
    }
}

async fn acquire(
    shared: Arc<Shared>,
    record: Arc<RecordId>,
) -> Result<Option<HeldLease>, StoreError> {
    let holder = random_uuid()?;
    let asked = Instant::now();
    // It exists before the statement runs, so that a statement whose response is lost is undone too.
    let mut held = HeldLease {
        shared: shared.clone(),
        record,
        holder,
        valid: Arc::new(Validity::default()),
        sent: Mutex::default(),
        attempt_has_ended: AtomicBool::new(false),
        is_refreshing: AtomicBool::new(false),
        renewal: None,
        runtime: Handle::current(),
        is_held: true,
    };
    let Some(row) = statement(&shared, ACQUIRE, &held.record, holder).await? else {
        held.is_held = false;
        return Ok(None);
    };
    held.sent = Mutex::new(row.get(0));
    held.valid.extend(asked + shared.lease);
    let renewal = renew(
        shared.clone(),
        held.record.clone(),
        holder,
        held.valid.clone(),
    );
    held.renewal = Some(shared.renewals.spawn(renewal).abort_handle());
    Ok(Some(held))
}

/// How long the lease is known to last, by the clock of this program.
#[derive(Debug, Default)]
struct Validity(Mutex<Option<Instant>>);

impl Validity {
    /// The time from before the renewal was requested, so the lease lasts longer in the database.
    fn extend(&self, until: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
    }

    fn end(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn lasts_for(&self, time: Duration) -> bool {
        let until = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() + time < until)
    }
}

/// Renews a lease until it is lost, or until its holder takes too long.
async fn renew(shared: Arc<Shared>, record: Arc<RecordId>, holder: Uuid, valid: Arc<Validity>) {
    let began = Instant::now();
    loop {
        tokio::time::sleep(shared.lease / 3).await;
        if began.elapsed() > LONGEST {
            tracing::warn!("a lock was held for too long and is no longer renewed");
            return;
        }
        let asked = Instant::now();
        match statement(&shared, RENEW, &record, holder).await {
            Ok(Some(_)) => valid.extend(asked + shared.lease),
            Ok(None) => {
                tracing::warn!("another program has taken the lock of a record");
                return valid.end();
            }
            // The lease ends by itself unless a later renewal succeeds.
            Err(error) => tracing::warn!(%error, "a lock could not be renewed"),
        }
    }
}

async fn statement(
    shared: &Shared,
    sql: &str,
    record: &RecordId,
    holder: Uuid,
) -> Result<Option<Row>, StoreError> {
    let milliseconds = shared.lease.as_millis() as f64;
    let parameters: [crate::database::Parameter<'_>; 3] = [
        (&record.hash, Type::BYTEA),
        (&holder, Type::UUID),
        (&milliseconds, Type::FLOAT8),
    ];
    shared.database.query_one(sql, &parameters).await
}

/// A lease. Dropping it releases the lock.
#[derive(Debug)]
struct HeldLease {
    shared: Arc<Shared>,
    record: Arc<RecordId>,
    /// New for each acquisition, so that two tasks of a process are two holders.
    holder: Uuid,
    valid: Arc<Validity>,
    /// The value of the last attempt whose outcome is not known. While the lease is held, only its holder changes it.
    sent: Mutex<Option<Vec<u8>>>,
    attempt_has_ended: AtomicBool,
    is_refreshing: AtomicBool,
    renewal: Option<AbortHandle>,
    runtime: Handle,
    /// Whether the database may have granted it.
    is_held: bool,
}

impl HeldLease {
    /// The value that represents a refresh token. If an earlier attempt with the same token is known, it is that attempt's value,
    /// whose key may have been the current one then.
    async fn attempt(&self, refresh_token: &SecretString) -> Result<Vec<u8>, StoreError> {
        let earlier = self.sent().clone();
        let key_id = earlier.as_deref().and_then(attempt_key_id);
        if let Some(key_id) = key_id
            && let Some(key) = self.shared.keys.find(key_id).await.map_err(key_error)?
        {
            let value = RecordKeys::new(&key, &self.record).attempt(refresh_token)?;
            if earlier.as_ref() == Some(&value) {
                return Ok(value);
            }
        }
        let key = self.shared.current_key().await?;
        RecordKeys::new(&key, &self.record).attempt(refresh_token)
    }

    /// Notes that this process refreshes the record, so that its save is not taken for a sign-in.
    fn begin_refresh(&self) {
        if !self.is_refreshing.swap(true, Ordering::Relaxed) {
            let mut refreshing = self.shared.refreshing();
            *refreshing.entry(self.record.hash.clone()).or_default() += 1;
        }
    }

    fn end_refresh(&self) {
        if self.is_refreshing.load(Ordering::Relaxed) {
            let mut refreshing = self.shared.refreshing();
            if let Entry::Occupied(mut holders) = refreshing.entry(self.record.hash.clone()) {
                *holders.get_mut() -= 1;
                if *holders.get() == 0 {
                    holders.remove();
                }
            }
        }
    }

    fn sent(&self) -> MutexGuard<'_, Option<Vec<u8>>> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease for HeldLease {
    fn is_held_for(&self, time: Duration) -> bool {
        self.valid.lasts_for(time)
    }

    fn begin_attempt<'a>(
        &'a self,
        refresh_token: &'a SecretString,
    ) -> StoreFuture<'a, Option<u64>> {
        Box::pin(async move {
            let token = self.attempt(refresh_token).await?;
            let milliseconds = self.shared.lease.as_millis() as f64;
            let asked = Instant::now();
            let parameters: [crate::database::Parameter<'_>; 4] = [
                (&self.record.hash, Type::BYTEA),
                (&self.holder, Type::UUID),
                (&milliseconds, Type::FLOAT8),
                (&token, Type::BYTEA),
            ];
            let begun = self.shared.database.query_one(BEGIN_ATTEMPT, &parameters);
            match begun.await? {
                Some(row) => {
                    self.valid.extend(asked + self.shared.lease);
                    *self.sent() = Some(token);
                    self.begin_refresh();
                    let earlier: Option<i64> = row.get(0);
                    Ok(earlier.and_then(|at| u64::try_from(at).ok()))
                }
                None => {
                    self.valid.end();
                    Err(StoreError::lock_lost(NAME))
                }
            }
        })
    }

    fn end_attempt(&self) {
        self.attempt_has_ended.store(true, Ordering::Relaxed);
    }
}

impl Drop for HeldLease {
    fn drop(&mut self) {
        if let Some(renewal) = &self.renewal {
            renewal.abort();
        }
        self.end_refresh();
        if !self.is_held {
            return;
        }
        let (shared, record, holder) = (self.shared.clone(), self.record.clone(), self.holder);
        let attempt_has_ended = self.attempt_has_ended.load(Ordering::Relaxed);
        let release = async move {
            let parameters: [crate::database::Parameter<'_>; 3] = [
                (&record.hash, Type::BYTEA),
                (&holder, Type::UUID),
                (&attempt_has_ended, Type::BOOL),
            ];
            if let Err(error) = shared.database.query(RELEASE, &parameters).await {
                tracing::warn!(%error, "a lock could not be released; it ends with its lease");
            }
        };
        let tasks = &self.shared.tasks;
        tasks.spawn_on(release, &self.runtime);
    }
}
