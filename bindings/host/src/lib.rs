//! The layer below the bindings for Node, Python, Swift and Kotlin.
//!
//! A binding converts names and types to those of its language and makes no decisions. Each function here takes values that every
//! language has, such as [`Options`] as JSON and the name of a server. It returns values that serialize to JSON with the field names
//! of the wire, or a [`HostError`] with a stable code.
//!
//! * [`verdict`] and [`contract`]: pure functions.
//!
//! With the feature `engine`:
//!
//! * [`Events`]: the events of a check or a watch, in batches.
//! * [`authorization`], [`auth_status`], [`begin_sign_in`], [`finish_sign_in`], [`sign_out`]: calls for one server.
//! * [`InteractiveSignIn`]: a sign-in with its own listener on loopback.
//! * [`request_authorization`]: the header for adapters of HTTP clients.
//! * [`runtime`]: the runtime on which they run.
//!
//! With the feature `store-postgres`:
//!
//! * [`DatabaseUser`]: the option that selects the sign-ins of a user in PostgreSQL.
//!
//! With the feature `clients`:
//!
//! * [`discover`]: the files and servers of the MCP clients on this machine. [`not_checked`]: those that a check leaves out.

#[cfg(feature = "clients")]
mod clients;
pub mod contract;
#[cfg(feature = "store-postgres")]
mod database;
mod error;
#[cfg(feature = "engine")]
mod events;
mod json_error;
mod json_objects;
#[cfg(feature = "engine")]
mod options;
#[cfg(feature = "engine")]
mod range;
#[cfg(feature = "engine")]
pub mod runtime;
#[cfg(feature = "engine")]
mod server;
#[cfg(feature = "engine")]
mod sign_in;
pub mod verdict;

#[cfg(feature = "clients")]
pub use clients::{Clients, discover, not_checked};
#[cfg(feature = "store-postgres")]
pub use database::DatabaseUser;
pub use error::{HostError, answer};
#[cfg(feature = "engine")]
pub use events::Events;
#[cfg(feature = "engine")]
pub use mcp_startup::Rejected;
#[cfg(feature = "engine")]
pub use mcp_startup::auth::{
    HostFuture, HostLease, HostLeaseState, HostLock, HostRecords, HostStore,
};
#[cfg(feature = "engine")]
pub use options::{Options, check_options};
#[cfg(feature = "engine")]
pub use server::{
    LeaseTest, TestedStore, auth_status, authorization, begin_sign_in, finish_sign_in, host_lock,
    lease_state, rejected, request_authorization, sign_out, test_credential_store,
};
#[cfg(feature = "engine")]
pub use sign_in::{InteractiveSignIn, no_browser};
