//! The records of one user, as a [`CredentialStore`].

use std::sync::Arc;

use mcp_startup_auth::{
    ChangeStream, CredentialKey, CredentialRecord, CredentialStore, RecordLock, ReplaceOutcome,
    StoreError, StoreFuture,
};
use mcp_startup_core::CredentialStoreTrouble;
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::database::Parameter;
use crate::encryption::{EncryptionKey, RecordKeys, SealedRecord};
use crate::notifications::CHANNEL;
use crate::record_id::{RecordId, notification};
use crate::store::{Shared, key_error};
use crate::{NAME, error, lease};

/// How often a change is tried again if the record changes between the comparison and the write.
const ATTEMPTS: usize = 10;
/// The size of the record that [`CredentialStore::prove_writable`] writes.
const USUAL_BYTES: usize = 4096;

const LOAD: &str =
    "select record, key_id, key_check, revision from mcp_startup_credential where id = $1";
const INSERT: &str = "
    insert into mcp_startup_credential
        (id, record, key_id, key_check, digest, revision, tenant, user_id, server, url_hash)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
    on conflict (id) do nothing";
const UPDATE: &str = "
    update mcp_startup_credential set
        record = $2, key_id = $3, key_check = $4, digest = $5, revision = $6, updated_at = clock_timestamp()
    where id = $1 and ";

/// The credential store of one user. Clones share the connections.
#[derive(Clone, Debug)]
pub struct UserStore {
    shared: Arc<Shared>,
    tenant: Arc<str>,
    user: Arc<str>,
}

/// The stored record that a change requires.
#[derive(Clone, Copy)]
enum Expected<'a> {
    Record(Option<&'a CredentialRecord>),
    Damaged,
}

impl Expected<'_> {
    fn is_met_by(self, stored: &Result<Option<CredentialRecord>, StoreError>) -> bool {
        match (self, stored) {
            (Self::Record(expected), Ok(stored)) => expected == stored.as_ref(),
            (Self::Damaged, Err(error)) => error.trouble == CredentialStoreTrouble::Corrupt,
            _ => false,
        }
    }
}

/// A condition on the row that a change replaces.
enum Seen<'a> {
    /// There is no row.
    Nothing,
    /// The row has the HMAC of the expected record.
    Digest(&'a Vec<u8>),
    /// The row has not changed since it was read.
    Revision(Uuid),
}

/// A row of the table of records.
pub(crate) struct StoredRow {
    pub bytes: Vec<u8>,
    pub key_id: String,
    pub key_check: Vec<u8>,
    pub revision: Uuid,
}

impl StoredRow {
    /// The first four columns of `row`, in the order of the fields.
    pub fn of(row: &Row) -> Self {
        Self {
            bytes: row.get(0),
            key_id: row.get(1),
            key_check: row.get(2),
            revision: row.get(3),
        }
    }

    /// Decrypts the record.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] that is not `Corrupt` if its key is missing or another one: the record may be valid, so a sign-in must not
    /// replace it.
    pub async fn open(
        self,
        shared: &Shared,
        id: &RecordId,
    ) -> Result<CredentialRecord, StoreError> {
        let unreadable = |detail: String| error(CredentialStoreTrouble::Unreadable, detail);
        let name = &self.key_id;
        let key: EncryptionKey = match shared.keys.find(name).await.map_err(key_error)? {
            Some(key) => key,
            None => {
                return Err(unreadable(format!(
                    "the key `{name}`, which encrypts the record, is missing; add it to the keys"
                )));
            }
        };
        if key.check() != self.key_check {
            return Err(unreadable(format!(
                "the key `{name}` is not the key that encrypts the record, although it has the same ID; restore the right key"
            )));
        }
        RecordKeys::new(&key, id).open(self.bytes, self.revision)
    }
}

impl UserStore {
    pub(crate) fn new(shared: Arc<Shared>, tenant: &str, user: &str) -> Self {
        Self {
            shared,
            tenant: tenant.into(),
            user: user.into(),
        }
    }

    /// Returns the keys of the user's records, sorted.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database can't be read.
    pub async fn keys(&self) -> Result<Vec<CredentialKey>, StoreError> {
        let sql = "select server || '|' || url_hash from mcp_startup_credential where tenant = $1 and user_id = $2 order by 1";
        let (tenant, user) = (&*self.tenant, &*self.user);
        let parameters: [Parameter<'_>; 2] = [(&tenant, Type::TEXT), (&user, Type::TEXT)];
        let rows = self.shared.database.query(sql, &parameters).await?;
        let keys = rows.iter().map(|row| CredentialKey::parse(row.get(0)));
        Ok(keys.flatten().collect())
    }

    fn record_id(&self, key: &CredentialKey) -> RecordId {
        RecordId::new(&self.tenant, &self.user, key)
    }

    async fn row(&self, id: &RecordId) -> Result<Option<StoredRow>, StoreError> {
        let parameters: [Parameter<'_>; 1] = [(&id.hash, Type::BYTEA)];
        let found = self.shared.database.query_one(LOAD, &parameters);
        Ok(found.await?.as_ref().map(StoredRow::of))
    }

    async fn change(
        &self,
        key: &CredentialKey,
        expected: Expected<'_>,
        new: Option<&CredentialRecord>,
    ) -> Result<ReplaceOutcome, StoreError> {
        let id = self.record_id(key);
        let current = self.shared.current_key().await?;
        let keys = RecordKeys::new(&current, &id);
        let sealed = new.map(|new| keys.seal(new)).transpose()?;
        // A refresh is not news, and a commit with a notification waits for every other one in the database.
        let is_news = !self.shared.refreshing().contains_key(&id.hash);
        // Usually one statement: the stored record has the HMAC of the expected one.
        let is_written = match expected {
            Expected::Record(Some(record)) => {
                let digest = keys.digest(record)?;
                self.write(&id, Seen::Digest(&digest), sealed.as_ref(), is_news)
                    .await?
            }
            Expected::Record(None) if sealed.is_some() => {
                self.write(&id, Seen::Nothing, sealed.as_ref(), is_news)
                    .await?
            }
            _ => false,
        };
        if is_written {
            return Ok(ReplaceOutcome::Stored);
        }
        // The stored record differs, is encrypted with another key, or has the same meaning in another text.
        for _ in 0..ATTEMPTS {
            let row = self.row(&id).await?;
            let revision = row.as_ref().map(|row| row.revision);
            if let Some(sealed) = &sealed
                && revision == Some(sealed.revision)
            {
                // The statement took effect, but its connection broke before the response.
                return Ok(ReplaceOutcome::Stored);
            }
            let stored = match row {
                Some(row) => row.open(&self.shared, &id).await.map(Some),
                None => Ok(None),
            };
            if !expected.is_met_by(&stored) {
                return stored.map(ReplaceOutcome::Conflict);
            }
            let seen = match revision {
                Some(revision) => Seen::Revision(revision),
                None if sealed.is_none() => return Ok(ReplaceOutcome::Stored),
                None => Seen::Nothing,
            };
            if self.write(&id, seen, sealed.as_ref(), is_news).await? {
                return Ok(ReplaceOutcome::Stored);
            }
        }
        Err(error(
            CredentialStoreTrouble::Unreadable,
            "other programs keep changing the record",
        ))
    }

    /// Encrypts a stored record with the current key, unless another program has just changed it. Returns whether it did.
    pub(crate) async fn reseal(&self, id: &RecordId, row: StoredRow) -> Result<bool, StoreError> {
        let revision = row.revision;
        let record = row.open(&self.shared, id).await?;
        let current = self.shared.current_key().await?;
        let sealed = RecordKeys::new(&current, id).seal(&record)?;
        self.write(id, Seen::Revision(revision), Some(&sealed), false)
            .await
    }

    /// Inserts, updates or deletes the row if it is as it was seen. Returns whether it was. If `is_news`, a watch of any host reads
    /// the record.
    async fn write(
        &self,
        id: &RecordId,
        seen: Seen<'_>,
        sealed: Option<&SealedRecord>,
        is_news: bool,
    ) -> Result<bool, StoreError> {
        let notification = is_news.then(|| notification(&id.tenant, &id.user));
        let mut parameters: Vec<Parameter<'_>> = vec![(&id.hash, Type::BYTEA)];
        if let Some(sealed) = sealed {
            parameters.extend([
                (&sealed.bytes as _, Type::BYTEA),
                (&sealed.key_id as _, Type::TEXT),
                (&sealed.key_check as _, Type::BYTEA),
                (&sealed.digest as _, Type::BYTEA),
                (&sealed.revision as _, Type::UUID),
            ]);
        }
        let change = match sealed {
            Some(_) => UPDATE,
            None => "delete from mcp_startup_credential where id = $1 and ",
        };
        let mut sql = match &seen {
            Seen::Nothing => {
                parameters.extend([
                    (&id.tenant as _, Type::TEXT),
                    (&id.user as _, Type::TEXT),
                    (&id.server as _, Type::TEXT),
                    (&id.url as _, Type::TEXT),
                ]);
                INSERT.to_owned()
            }
            Seen::Digest(digest) => {
                parameters.push((*digest, Type::BYTEA));
                format!("{change}digest = ${}", parameters.len())
            }
            Seen::Revision(revision) => {
                parameters.push((revision, Type::UUID));
                format!("{change}revision = ${}", parameters.len())
            }
        };
        if let Some(notification) = &notification {
            parameters.push((notification as _, Type::TEXT));
            sql += &format!(" returning pg_notify('{CHANNEL}', ${})", parameters.len());
        }
        let written = self.shared.database.execute(&sql, &parameters).await?;
        Ok(written > 0)
    }
}

impl CredentialStore for UserStore {
    fn name(&self) -> &str {
        NAME
    }

    fn load<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, Option<CredentialRecord>> {
        Box::pin(async move {
            let id = self.record_id(key);
            match self.row(&id).await? {
                Some(row) => row.open(&self.shared, &id).await.map(Some),
                None => Ok(None),
            }
        })
    }

    fn replace<'a>(
        &'a self,
        key: &'a CredentialKey,
        expected: Option<&'a CredentialRecord>,
        new: Option<&'a CredentialRecord>,
    ) -> StoreFuture<'a, ReplaceOutcome> {
        Box::pin(self.change(key, Expected::Record(expected), new))
    }

    fn replace_damaged<'a>(
        &'a self,
        key: &'a CredentialKey,
        new: Option<&'a CredentialRecord>,
    ) -> StoreFuture<'a, ReplaceOutcome> {
        Box::pin(self.change(key, Expected::Damaged, new))
    }

    fn lock<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, RecordLock> {
        Box::pin(async move {
            let id = Arc::new(self.record_id(key));
            lease::lock(&self.shared, &id).await
        })
    }

    fn changes(&self) -> ChangeStream {
        let user = notification(&self.tenant, &self.user);
        self.shared.listener().changes(user)
    }

    fn warnings(&self) -> Vec<String> {
        self.shared.warnings.clone()
    }

    /// Writes a row of the usual size in a transaction, and rolls it back.
    fn prove_writable<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            self.shared.current_key().await?;
            let hex: String = self
                .record_id(key)
                .hash
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            // Only numbers and hexadecimal digits are inserted into the text.
            let sql = format!(
                "begin;
                insert into mcp_startup_credential
                    (id, record, key_id, key_check, digest, revision, tenant, user_id, server, url_hash)
                values (
                    '\\x{hex}', convert_to(repeat('0', {USUAL_BYTES}), 'UTF8'), '', '', '',
                    '00000000-0000-0000-0000-000000000000', '', '', '', '')
                on conflict (id) do update set updated_at = excluded.updated_at;
                rollback"
            );
            self.shared.database.batch(&sql).await
        })
    }
}
