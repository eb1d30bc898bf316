//! Changes the key of all records, and counts them.

use mcp_startup_auth::StoreError;
use tokio_postgres::types::Type;

use crate::record_id::RecordId;
use crate::store::PostgresStore;
use crate::user_store::{StoredRow, UserStore};

/// How many records are read at a time when their key is changed.
const PAGE: i64 = 100;

/// The number of records of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statistics {
    /// The version of the tables.
    pub schema_version: i32,
    /// The number of users with at least one record.
    pub users: i64,
    /// The number of records by the ID of the key that encrypts them.
    pub records_by_key: Vec<(String, i64)>,
    /// The number of locks that are held now.
    pub locks: i64,
    /// The number of refreshes whose outcome is not known: their program ended before it saved the response.
    pub open_attempts: i64,
}

/// The result of [`PostgresStore::rotate`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    /// The number of records that are now encrypted with the current key.
    pub rotated: u64,
    /// The number of records that can't be decrypted. They are unchanged.
    pub failed: u64,
    /// The reason for the first of them.
    pub first_error: Option<StoreError>,
}

impl PostgresStore {
    /// Encrypts every record with the current key that is encrypted with another one. Hosts can use the store meanwhile, if all of
    /// them have both keys.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database can't be read or written. The records so far stay rotated, and a repetition continues.
    pub async fn rotate(&self) -> Result<Rotation, StoreError> {
        let shared = self.shared();
        let current = shared.current_key().await?;
        let (mut rotation, mut last) = (Rotation::default(), Vec::<u8>::new());
        let page = "
            select record, key_id, key_check, revision, id, tenant, user_id, server, url_hash
            from mcp_startup_credential where key_id <> $1 and id > $2 order by id limit $3";
        loop {
            let key_id = current.id();
            let parameters: [crate::database::Parameter<'_>; 3] = [
                (&key_id, Type::TEXT),
                (&last, Type::BYTEA),
                (&PAGE, Type::INT8),
            ];
            let rows = shared.database.query(page, &parameters).await?;
            let Some(row) = rows.last() else {
                return Ok(rotation);
            };
            last = row.get(4);
            for row in &rows {
                let text = |column: usize| -> &str { row.get(column) };
                let id = RecordId::of_parts(text(5), text(6), text(7), text(8));
                let store = UserStore::new(shared.clone(), text(5), text(6));
                match store.reseal(&id, StoredRow::of(row)).await {
                    Ok(is_written) => rotation.rotated += u64::from(is_written),
                    Err(error) => {
                        rotation.failed += 1;
                        rotation.first_error.get_or_insert(error);
                    }
                }
            }
        }
    }

    /// Counts the records, locks and users.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database can't be read.
    pub async fn statistics(&self) -> Result<Statistics, StoreError> {
        let database = &self.shared().database;
        let number = async |sql: &str| -> Result<i64, StoreError> {
            let row = database.query_one(sql, &[]).await?;
            Ok(row.map_or(0, |row| row.get(0)))
        };
        let by_key =
            "select key_id, count(*) from mcp_startup_credential group by key_id order by key_id";
        let by_key = database.query(by_key, &[]).await?;
        let version = number("select max(version)::bigint from mcp_startup_schema").await?;
        Ok(Statistics {
            schema_version: i32::try_from(version).unwrap_or(i32::MAX),
            users: number("select count(*) from (select distinct tenant, user_id from mcp_startup_credential) as users").await?,
            records_by_key: by_key.iter().map(|row| (row.get(0), row.get(1))).collect(),
            locks: number("select count(*) from mcp_startup_lease where holder is not null and expires_at >= clock_timestamp()").await?,
            open_attempts: number("select count(*) from mcp_startup_lease where sent_token is not null and (holder is null or expires_at < clock_timestamp())").await?,
        })
    }
}
