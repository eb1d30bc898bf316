//! The store of all users: its connections, its schema and its keys.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use mcp_startup_auth::StoreError;
use mcp_startup_core::CredentialStoreTrouble;
use tokio_util::task::TaskTracker;

use crate::database::Database;
use crate::encryption::{EncryptionKey, KeyFuture, KeyProvider, Keys};
use crate::notifications::Listener;
use crate::user_store::UserStore;
use crate::{error, schema};

/// The shortest lease. A refresh takes up to 30 s, and its lease must outlast the response without a renewal.
const SHORTEST_LEASE: Duration = Duration::from_secs(30);
const DEFAULT_LEASE: Duration = Duration::from_secs(60);
/// The tenant of the users of a host without tenants. The program and the bindings use it if they are passed none.
pub const DEFAULT_TENANT: &str = "default";
const DEFAULT_CONNECTIONS: usize = 16;
/// The longest name of a tenant or a user, in bytes. They are in an index.
const MAX_NAME_BYTES: usize = 255;

/// Credentials of many users in PostgreSQL. Clones share the connections.
///
/// ```no_run
/// use std::sync::Arc;
/// use mcp_startup_auth::CredentialStores;
/// use mcp_startup_store_postgres::PostgresStore;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// // The keys are in the environment variable MCP_STARTUP_STORE_KEYS.
/// let postgres = PostgresStore::connect("postgres://app@db.example/credentials").await?;
/// let stores = CredentialStores::from_store(Arc::new(postgres.for_user("acme", "user-1")?));
/// // Use `stores` for the starts of this user. When the program ends:
/// postgres.close().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct PostgresStore {
    shared: Arc<Shared>,
}

/// The state that all users of a store share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub database: Database,
    pub keys: Arc<dyn KeyProvider>,
    /// How long a lock lasts without a renewal.
    pub lease: Duration,
    /// Acquisitions and releases of locks.
    pub tasks: TaskTracker,
    /// Renewals. Each ends with its lock.
    pub renewals: TaskTracker,
    pub warnings: Vec<String>,
    /// The records that this process refreshes, with the number of their holders.
    pub refreshing: Mutex<HashMap<Vec<u8>, usize>>,
    listener: OnceLock<Listener>,
}

impl Shared {
    pub async fn current_key(&self) -> Result<EncryptionKey, StoreError> {
        self.keys.current().await.map_err(key_error)
    }

    /// The listener for sign-ins on other hosts. It starts with the first watch.
    pub fn listener(&self) -> &Listener {
        self.listener
            .get_or_init(|| Listener::start(self.database.clone()))
    }

    pub fn refreshing(&self) -> MutexGuard<'_, HashMap<Vec<u8>, usize>> {
        self.refreshing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The error of a key provider.
pub(crate) fn key_error(cause: String) -> StoreError {
    let detail = format!("the key provider failed: {cause}");
    error(CredentialStoreTrouble::Unreadable, detail)
}

/// The keys of a store that was opened without keys.
#[derive(Debug)]
struct NoKeys;

const NO_KEYS: &str = "the store was opened without keys";

impl KeyProvider for NoKeys {
    fn current(&self) -> KeyFuture<'_, EncryptionKey> {
        Box::pin(async { Err(NO_KEYS.to_owned()) })
    }

    fn find<'a>(&'a self, _id: &'a str) -> KeyFuture<'a, Option<EncryptionKey>> {
        Box::pin(async { Err(NO_KEYS.to_owned()) })
    }
}

/// The settings of a [`PostgresStore`].
#[derive(Debug)]
pub struct PostgresStoreBuilder {
    url: secrecy::SecretString,
    /// `None` for the keys of the environment.
    keys: Option<Arc<dyn KeyProvider>>,
    is_without_keys: bool,
    connections: usize,
    lease: Duration,
}

impl PostgresStoreBuilder {
    /// Sets the keys. Without this, they come from the environment variable [`Keys::VARIABLE`].
    pub fn keys(mut self, keys: impl KeyProvider + 'static) -> Self {
        self.keys = Some(Arc::new(keys));
        self
    }

    /// Opens the store without keys, for [`PostgresStore::statistics`] and to create or update the tables. Records can't be read or
    /// written.
    pub fn without_keys(self) -> Self {
        Self {
            is_without_keys: true,
            ..self.keys(NoKeys)
        }
    }

    /// Sets the maximum number of connections. The default is 16.
    pub fn connections(mut self, connections: usize) -> Self {
        self.connections = connections.max(1);
        self
    }

    /// Sets how long the lock of a process that was killed lasts. The default is 60 s, and the minimum 30 s.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease.max(SHORTEST_LEASE);
        self
    }

    /// Connects, and creates or updates the tables if necessary.
    ///
    /// # Errors
    ///
    /// * [`CredentialStoreTrouble::Unsupported`] if the URL is not valid, or if a newer version of this crate has changed the tables
    ///   in a way that this version can't work with.
    /// * [`CredentialStoreTrouble::Unreadable`] if the database does not respond, if it refuses the user, or if there is no key.
    pub async fn connect(self) -> Result<PostgresStore, StoreError> {
        use secrecy::ExposeSecret;
        let keys = match self.keys {
            Some(keys) => keys,
            None => Arc::new(Keys::from_environment().map_err(key_error)?),
        };
        // A store without a usable key must fail before the first user needs it.
        if !self.is_without_keys {
            keys.current().await.map_err(key_error)?;
        }
        let database = Database::new(self.url.expose_secret(), self.connections)?;
        schema::migrate(&database).await?;
        let warnings = warnings(&database).await?;
        Ok(PostgresStore {
            shared: Arc::new(Shared {
                database,
                keys,
                lease: self.lease,
                tasks: TaskTracker::new(),
                renewals: TaskTracker::new(),
                warnings,
                refreshing: Mutex::default(),
                listener: OnceLock::new(),
            }),
        })
    }
}

/// Settings of the database with which a crash can undo a save that succeeded.
async fn warnings(database: &Database) -> Result<Vec<String>, StoreError> {
    let settings = "select name, setting from pg_settings where name in ('fsync', 'synchronous_commit') and setting = 'off'";
    let rows = database.query(settings, &[]).await?;
    let warning = |row: &tokio_postgres::Row| {
        let name: String = row.get(0);
        format!(
            "The database has `{name} = off`, so a crash can undo a saved refresh and sign its user out."
        )
    };
    Ok(rows.iter().map(warning).collect())
}

impl PostgresStore {
    /// Connects with the default settings and the keys in the environment. See [`PostgresStoreBuilder::connect`].
    ///
    /// # Errors
    ///
    /// The errors of [`PostgresStoreBuilder::connect`].
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::builder(url).connect().await
    }

    /// Returns the settings for a database. TLS is required unless the server is on this machine or the URL has
    /// `sslmode=disable`.
    pub fn builder(url: &str) -> PostgresStoreBuilder {
        PostgresStoreBuilder {
            url: url.into(),
            keys: None,
            is_without_keys: false,
            connections: DEFAULT_CONNECTIONS,
            lease: DEFAULT_LEASE,
        }
    }

    /// Returns the store of one user of a tenant. A host without tenants passes the same text for all users.
    ///
    /// # Errors
    ///
    /// [`CredentialStoreTrouble::Unsupported`] if a name is empty, longer than 255 bytes, or contains NUL.
    pub fn for_user(&self, tenant: &str, user: &str) -> Result<UserStore, StoreError> {
        for (what, name) in [("tenant", tenant), ("user", user)] {
            if name.is_empty() || name.len() > MAX_NAME_BYTES || name.contains('\0') {
                let detail = format!(
                    "the name of the {what} must have 1 to {MAX_NAME_BYTES} bytes, and no NUL"
                );
                return Err(error(CredentialStoreTrouble::Unsupported, detail));
            }
        }
        Ok(UserStore::new(self.shared.clone(), tenant, user))
    }

    /// Waits until every released lock is released in the database. Call it before the program ends: a lock whose release was
    /// not sent ends only with its lease.
    pub async fn close(&self) {
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }

    /// Returns whether every released lock is released in the database, so that [`close`](Self::close) would return immediately.
    pub fn is_idle(&self) -> bool {
        self.shared.tasks.is_empty()
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}
