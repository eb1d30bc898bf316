//! What every binding has below it: what a host in another language asks for, and what it gets, over JSON and on one runtime.
//!
//! A binding names things as its language does and converts; it decides nothing. So each call here takes what such a host has
//! ([`Options`] as JSON, a store of its own, the names of servers) and gives what it can show: JSON whose names are those of the
//! wire, or a [`HostError`] with a stable code.
//!
//! * [`verdict`] and [`contract`]: functions of their arguments;
//!
//! With the feature `engine`:
//!
//! * [`Events`]: a check or a watch, read in batches;
//! * [`authorization`], [`auth_status`], [`begin_sign_in`], [`finish_sign_in`], [`sign_out`]: one server;
//! * [`runtime`]: where all of it runs.

pub mod contract;
mod error;
#[cfg(feature = "engine")]
mod events;
#[cfg(feature = "engine")]
mod options;
#[cfg(feature = "engine")]
pub mod runtime;
#[cfg(feature = "engine")]
mod server;
pub mod verdict;

pub use error::{HostError, answer};
#[cfg(feature = "engine")]
pub use events::Events;
#[cfg(feature = "engine")]
pub use mcp_startup::auth::{HostFuture, HostRecords, HostStore};
#[cfg(feature = "engine")]
pub use options::Options;
#[cfg(feature = "engine")]
pub use server::{
    auth_status, authorization, begin_sign_in, finish_sign_in, rejected, sign_out,
    test_credential_store,
};
