//! The connection to the database with the sign-ins of many users.

use std::path::Path;
use std::sync::Arc;

use mcp_startup::auth::CredentialStores;
use mcp_startup_core::io_problem;
use mcp_startup_store_postgres::{
    DEFAULT_TENANT, Keys, PostgresStore, PostgresStoreBuilder, UserStore,
};
use secrecy::{ExposeSecret, SecretString};

use crate::CommandError;
use crate::arguments::store::{Database, StoredUser};
use crate::{secret_file, selection};

/// The environment variable with the URL of the database.
const VARIABLE: &str = "MCP_STARTUP_STORE";
/// The program runs a few statements at a time.
const CONNECTIONS: usize = 4;

/// A connected database, and the store of one user.
pub struct Connection {
    pub postgres: PostgresStore,
    pub user: UserStore,
}

impl Connection {
    /// Connects to the database of a user.
    pub async fn open(arguments: &StoredUser) -> Result<Self, CommandError> {
        let Some(name) = &arguments.user else {
            let problem =
                "name the user: pass `--user ID`, and `--tenant ID` if your users have tenants";
            return Err(CommandError::Usage(problem.to_owned()));
        };
        let tenant = arguments.tenant.as_deref().unwrap_or(DEFAULT_TENANT);
        let postgres = connect(&arguments.database).await?;
        let user = postgres.for_user(tenant, name)?;
        Ok(Self { postgres, user })
    }

    pub fn stores(&self) -> CredentialStores {
        CredentialStores::from_store(Arc::new(self.user.clone()))
    }
}

/// The database, without a connection.
pub fn builder(arguments: &Database) -> Result<PostgresStoreBuilder, CommandError> {
    let url = arguments.store.clone().or_else(|| {
        let url = std::env::var(VARIABLE).ok();
        url.filter(|url| !url.trim().is_empty())
            .map(SecretString::from)
    });
    let url = url.ok_or_else(|| {
        CommandError::Usage(format!(
            "no database is configured; set {VARIABLE} to its URL, such as postgres://USER:PASSWORD@HOST/DATABASE, or pass `--store URL`"
        ))
    })?;
    Ok(PostgresStore::builder(url.expose_secret()).connections(CONNECTIONS))
}

fn keys_in(path: &Path) -> Result<Keys, String> {
    let shown = selection::shown(path);
    let text = secret_file::read(path)
        .map_err(|error| format!("the key file {shown} can't be read: {}", io_problem(&error)))?;
    Keys::parse(&text.into()).map_err(|error| format!("the key file {shown}: {error}"))
}

/// Connects with the keys.
pub async fn connect(arguments: &Database) -> Result<PostgresStore, CommandError> {
    let builder = builder(arguments)?;
    let keys = match &arguments.store_keys {
        Some(path) => keys_in(path),
        None => Keys::from_environment(),
    };
    let keys = keys.map_err(|problem| match &arguments.store_keys {
        Some(_) => CommandError::Usage(problem),
        None => CommandError::Usage(format!("{problem}; or pass `--store-keys FILE`")),
    })?;
    Ok(builder.keys(keys).connect().await?)
}
