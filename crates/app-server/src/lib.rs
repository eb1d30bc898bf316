//! The engine over JSON-RPC, as Codex's app-server speaks it, for hosts in any language.
//!
//! An [`AppServer`] serves any number of clients. They share one engine and one credential store. Each client has servers of its
//! own, which start when it sends `initialized` and end when it disconnects. `docs/app-server.md` describes the messages.
//!
//! This crate judges nothing, prints nothing and opens no browser.

mod app_server;
mod configuration;
mod connection;
pub mod protocol;
mod session;
pub mod transport;

pub use app_server::{AppServer, AppServerOptions};
pub use configuration::{Configuration, ConfigurationSource};
