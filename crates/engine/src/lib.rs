//! Starts the MCP servers that a user has configured and says, typed, what each start came to.
//!
//! ```
//! use futures::StreamExt;
//! use mcp_startup::config::{ServerConfig, ServerEntry};
//! use mcp_startup::{McpServerStartupState, Startup, StartupFailureKind, StartupOptions};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // A server of the lab that wants a sign-in, and one that is ready; a user's own come from `config::read`.
//! let lab = mcp_startup_lab::Lab::start(0).await?;
//! let servers = ["ready", "first-sign-in"].map(|name| {
//!     ServerEntry::from(ServerConfig::http(name, &lab.url(name)).unwrap())
//! });
//!
//! let startup = Startup::new(StartupOptions::default())?;
//! let mut check = startup.check(servers.into());
//! while let Some(event) = check.next().await {
//!     match event.notification.status() {
//!         McpServerStartupState::Failed => {
//!             let failure = event.failure.unwrap();
//!             assert_eq!(failure.kind(), StartupFailureKind::SignInRequired);
//!             println!("{}", failure.message());
//!         }
//!         state => println!("{}: {state}", event.notification.name()),
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Dropping a [`Check`] or a [`Watch`] ends its starts; no program and no request of theirs is left.
//!
//! The SDK below (`rmcp`) logs what servers say. What a server says may hold a secret that it was given: a host that installs a
//! [`tracing`] subscriber should leave out targets that begin with `rmcp`.

mod authorization;
mod backoff;
mod check;
mod event;
mod event_stream;
mod findings;
mod given;
mod handshake;
mod header;
mod http;
mod known;
mod lately;
mod limits;
mod means;
mod sign_in;
mod start;
mod stdio;
mod stored;
mod watch;

pub use check::{Check, DEFAULT_CONCURRENCY, Start, Startup, StartupOptions};
pub use event::{StartupEvent, Update};
pub use header::Rejected;
pub use mcp_startup_auth as auth;
pub use mcp_startup_auth::network::ClientError;
pub use mcp_startup_config as config;
pub use mcp_startup_core::*;
pub use means::DEFAULT_LIMIT;
pub use rmcp;
pub use sign_in::{AuthStatus, SignedOut};
pub use start::LiveServer;
pub use watch::{Watch, WatchHandle};

/// The README's example, compiled with the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
