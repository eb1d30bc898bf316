//! A credential store in PostgreSQL, for hosts that keep the MCP sign-ins of many users on several machines.
//!
//! * [`PostgresStore`]: the connection pool, the schema and the keys. [`PostgresStore::for_user`] returns a
//!   [`CredentialStore`](mcp_startup_auth::CredentialStore) for one user of one tenant.
//! * [`KeyProvider`]: supplies the keys that encrypt the records. [`Keys`] reads them from the environment or a file.
//!
//! The lock of a record is a lease: a row with a holder, an epoch and an expiry by the clock of the database. Every statement
//! works through PgBouncer in transaction mode. This crate sends nothing to a server but PostgreSQL.

mod database;
mod encryption;
mod lease;
mod maintenance;
mod notifications;
mod record_id;
mod schema;
mod store;
mod user_store;

pub use encryption::{EncryptionKey, KeyFuture, KeyProvider, Keys};
pub use maintenance::{Rotation, Statistics};
pub use schema::SCHEMA_VERSION;
pub use store::{DEFAULT_TENANT, PostgresStore, PostgresStoreBuilder};
pub use user_store::UserStore;

/// The name of the store in messages.
pub(crate) const NAME: &str = "postgres";

/// Creates an error of this store.
pub(crate) fn error(
    trouble: mcp_startup_core::CredentialStoreTrouble,
    detail: impl Into<String>,
) -> mcp_startup_auth::StoreError {
    mcp_startup_auth::StoreError::new(NAME, trouble, detail)
}
