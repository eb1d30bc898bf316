//! The sign-ins of many users in PostgreSQL. The calls of a process share the connections.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mcp_startup::auth::StoreError;
use mcp_startup_store_postgres::{DEFAULT_TENANT, Keys, PostgresStore, UserStore};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};
use tokio::sync::OnceCell;

use crate::HostError;

/// A user whose sign-ins are in PostgreSQL.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DatabaseUser {
    /// The URL of the database.
    #[serde(deserialize_with = "secret")]
    pub postgres: SecretString,
    /// The ID of the user. It never changes, and never becomes that of another user.
    pub user: String,
    /// The tenant of the user. The default is [`DEFAULT_TENANT`].
    pub tenant: Option<String>,
    /// The keys that encrypt the records: the text that [`Keys::parse`] reads. By default, the environment has them.
    #[serde(default, deserialize_with = "optional_secret")]
    pub keys: Option<SecretString>,
}

fn secret<'de, D: Deserializer<'de>>(value: D) -> Result<SecretString, D::Error> {
    String::deserialize(value).map(SecretString::from)
}

fn optional_secret<'de, D: Deserializer<'de>>(value: D) -> Result<Option<SecretString>, D::Error> {
    Ok(Option::<String>::deserialize(value)?.map(SecretString::from))
}

/// A database that this process uses until it ends.
struct Database {
    url: SecretString,
    keys: Option<SecretString>,
    store: Arc<OnceCell<PostgresStore>>,
}

static DATABASES: Mutex<Vec<Database>> = Mutex::new(Vec::new());

fn databases() -> MutexGuard<'static, Vec<Database>> {
    DATABASES.lock().unwrap_or_else(PoisonError::into_inner)
}

impl DatabaseUser {
    /// Returns the store of the user. The first call for a database connects, and the next one does if that failed.
    pub(crate) async fn open(&self) -> Result<UserStore, HostError> {
        let unusable = |error: StoreError| HostError::CredentialStore(error.to_string());
        let cell = self.cell();
        let connecting = cell.get_or_try_init(async || {
            let keys = match &self.keys {
                Some(keys) => Keys::parse(keys).map_err(|error| format!("`keys`: {error}")),
                None => Keys::from_environment(),
            };
            let keys = keys.map_err(|error| {
                HostError::CredentialStore(format!("the credential store has no keys: {error}"))
            })?;
            let builder = PostgresStore::builder(self.postgres.expose_secret()).keys(keys);
            builder.connect().await.map_err(unusable)
        });
        let tenant = self.tenant.as_deref().unwrap_or(DEFAULT_TENANT);
        let store = connecting.await?.for_user(tenant, &self.user);
        store.map_err(unusable)
    }

    fn cell(&self) -> Arc<OnceCell<PostgresStore>> {
        let text = |secret: &SecretString| secret.expose_secret().to_owned();
        let keys = self.keys.as_ref().map(text);
        let mut databases = databases();
        let known = databases.iter().find(|known| {
            text(&known.url) == text(&self.postgres) && known.keys.as_ref().map(text) == keys
        });
        if let Some(known) = known {
            return known.store.clone();
        }
        let store = Arc::new(OnceCell::new());
        databases.push(Database {
            url: self.postgres.clone(),
            keys: self.keys.clone(),
            store: store.clone(),
        });
        store
    }
}

fn connected() -> Vec<PostgresStore> {
    let databases = databases();
    let connected = databases.iter().filter_map(|known| known.store.get());
    connected.cloned().collect()
}

pub(crate) fn locks_are_released() -> bool {
    connected().iter().all(PostgresStore::is_idle)
}

pub(crate) async fn released() {
    for store in connected() {
        store.close().await;
    }
}
