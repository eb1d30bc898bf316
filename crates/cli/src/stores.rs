//! Whose sign-ins a command uses: those on this machine, or those of a user in a database.

#[cfg(feature = "store-postgres")]
pub mod postgres;

use std::io::Write;

use mcp_startup::StartupOptions;
use mcp_startup::auth::CredentialStores;
use mcp_startup::auth::network::environment_warnings;
use mcp_startup::config::CredentialSettings;
use mcp_startup_core::printable;

use crate::CommandError;
use crate::arguments::{ClientDocument, StoredUser};
use crate::output::suggestions::Suggestions;

/// The maximum length of a warning, in characters. It contains the path of a store.
const WARNING_CHARS: usize = 1000;

/// Shows the warnings about the stores, for instance that other users can change the sign-ins, and those about the network.
pub fn show_warnings(options: &StartupOptions) {
    for warning in environment_warnings() {
        let warning = printable(&warning, WARNING_CHARS);
        let _ = writeln!(crate::output::stderr::styled(), "{warning}");
    }
    if let Some(stores) = &options.stores {
        show_new_warnings(stores, &[]);
    }
}

/// Shows the warnings about the stores that were not shown before: reading a store can show more.
pub fn show_new_warnings(stores: &CredentialStores, shown_before: &[String]) {
    for warning in stores.warnings() {
        if !shown_before.contains(&warning) {
            let warning = printable(&warning, WARNING_CHARS);
            let _ = writeln!(crate::output::stderr::styled(), "{warning}");
        }
    }
}

/// The stores of a command. They must be closed in the runtime in which they were opened.
pub struct Stores {
    #[cfg(feature = "store-postgres")]
    postgres: Option<postgres::Connection>,
}

impl Stores {
    /// Connects to the database, if the arguments name a user.
    pub async fn open(arguments: &StoredUser) -> Result<Self, CommandError> {
        #[cfg(feature = "store-postgres")]
        return Ok(Self {
            postgres: match arguments.is_empty() {
                true => None,
                false => Some(postgres::Connection::open(arguments).await?),
            },
        });
        #[cfg(not(feature = "store-postgres"))]
        {
            let StoredUser {} = arguments;
            Ok(Self {})
        }
    }

    /// The options for starts that use these stores, or else the ones in the settings.
    pub fn options(&self, settings: &CredentialSettings) -> StartupOptions {
        #[allow(
            unused_mut,
            reason = "it changes only with the feature `store-postgres`"
        )]
        let mut options = StartupOptions::for_credentials(settings);
        #[cfg(feature = "store-postgres")]
        if let Some(connection) = &self.postgres {
            options.stores = Some(connection.stores());
        }
        show_warnings(&options);
        options
    }

    /// Adds the options that select these stores and the OAuth client to a suggested command.
    pub fn add_options(
        arguments: &StoredUser,
        client_document: &ClientDocument,
        suggestions: &mut Option<Suggestions>,
    ) {
        let Some(suggestions) = suggestions else {
            return;
        };
        #[cfg(feature = "store-postgres")]
        postgres::add_options(arguments, suggestions);
        #[cfg(not(feature = "store-postgres"))]
        let StoredUser {} = arguments;
        suggestions.add_client_document(client_document);
    }

    /// Waits until every lock is released.
    pub async fn close(&self) {
        #[cfg(feature = "store-postgres")]
        if let Some(connection) = &self.postgres {
            connection.postgres.close().await;
        }
    }
}
