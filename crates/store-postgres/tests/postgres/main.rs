//! The store against a real PostgreSQL server. A test is not run if PostgreSQL is not installed.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::print_stderr, clippy::panic)]

mod conformance;
mod fleet;
mod leases;
mod memory;
mod pgbouncer;
mod proxy;
mod records;
mod refreshes;
mod schema;
mod secrets;
mod server;
mod speed;
mod tls;
mod watch;

/// The database of a test, or the end of the test if PostgreSQL is not installed.
macro_rules! database {
    ($test:expr) => {
        match $crate::server::new_database($test) {
            Some(database) => database,
            None => return,
        }
    };
}
pub(crate) use database;
