//! The connection to the database with the sign-ins of many users.

use std::path::Path;
use std::sync::Arc;

use mcp_startup::auth::CredentialStores;
use mcp_startup_core::io_problem;
use mcp_startup_store_postgres::{
    DEFAULT_TENANT, Keys, PostgresStore, PostgresStoreBuilder, UserStore,
};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::CommandError;
use crate::arguments::store::{Database, StoredUser};
use crate::output::suggestions::Suggestions;
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

/// Adds the options that select the stores of a user to a suggested command.
pub fn add_options(arguments: &StoredUser, suggestions: &mut Suggestions) {
    let StoredUser {
        database: Database { store, store_keys },
        user,
        tenant,
    } = arguments;
    let keys = store_keys.as_deref().map(Path::to_string_lossy);
    for (option, value) in [
        ("--user", user.as_deref()),
        ("--tenant", tenant.as_deref()),
        ("--store-keys", keys.as_deref()),
    ] {
        if value.is_some() {
            suggestions.add_option(option, value);
        }
    }
    if let Some(store) = store {
        let url = store.expose_secret();
        match has_no_secret(url) {
            true => suggestions.add_option("--store", Some(url)),
            false => suggestions.add_secret_option("--store"),
        }
    }
}

/// Whether it is a URL without a password, and with no parameter that could be one.
fn has_no_secret(url: &str) -> bool {
    const HARMLESS: [&str; 9] = [
        "application_name",
        "channel_binding",
        "connect_timeout",
        "dbname",
        "host",
        "port",
        "sslmode",
        "sslrootcert",
        "user",
    ];
    Url::parse(url).is_ok_and(|url| {
        let mut parameters = url.query_pairs();
        url.password().is_none()
            && url.fragment().is_none()
            && parameters.all(|(name, _)| HARMLESS.contains(&&*name))
    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::suggestions::shell_word;

    #[test]
    fn a_suggested_command_selects_the_same_database_and_shows_no_password() {
        let instruction = |store: &str| {
            let mut suggestions = Suggestions::default();
            let arguments = StoredUser {
                database: Database {
                    store: Some(store.into()),
                    store_keys: Some("-my keys".into()),
                },
                user: Some("ann".to_owned()),
                tenant: Some("acme".to_owned()),
            };
            add_options(&arguments, &mut suggestions);
            suggestions.run("login", "linear")
        };
        let options = "login linear --user ann --tenant acme --store-keys='-my keys'";
        for url in [
            "postgres://localhost/sign-ins",
            "postgres://app@localhost:5432/sign-ins?sslmode=require",
        ] {
            let shown = instruction(url);
            let quoted = shell_word(url);
            let expected = format!(" {options} --store {quoted}`");
            assert!(shown.ends_with(&expected), "{shown}");
        }
        for url in [
            "postgres://app:s3cret@localhost/sign-ins",
            "postgres://app@localhost/sign-ins?password=s3cret",
            "host=localhost password=s3cret",
        ] {
            let shown = instruction(url);
            let expected = format!(" {options}` with the same `--store`");
            assert!(shown.ends_with(&expected), "{shown}");
        }
    }
}
