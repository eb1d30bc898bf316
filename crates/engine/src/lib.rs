//! Starts the MCP servers that a user has configured and reports a typed result for each.
//!
//! A [`Startup`] starts servers in three ways:
//!
//! * [`Startup::check`] starts each server, reports whether it is ready, and closes it.
//! * [`Startup::start`] keeps the servers that are ready, so that you can call their tools.
//! * [`Startup::watch`] keeps them too, and restarts a failed server when that may help.
//!
//! Each returns a stream of [`StartupEvent`]s. The servers start independently. A server that fails to start is an event, not an
//! error: its [`StartupFailure`] has a message for the user and the recovery that may help.
//!
//! ```
//! use futures::StreamExt;
//! use mcp_startup::config::{ServerConfig, ServerEntry};
//! use mcp_startup::{McpServerStartupState, Startup, StartupFailureKind, StartupOptions};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Two servers of the lab: one is ready, one requires a sign-in. To load a user's servers, call `config::read`.
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
//! # Shutting down
//!
//! To end all starts of a [`Check`], [`Start`] or [`Watch`], drop it. This ends their programs and requests too. Before you shut
//! down the runtime, await [`Startup::finish`]: it saves the tokens of refreshes that are in flight.
//!
//! # Logging
//!
//! The SDK that this crate uses, `rmcp`, logs the messages of servers. A message can contain a secret that the server has received.
//! If you install a [`tracing`] subscriber, filter out the targets that begin with `rmcp`.

mod authorization;
mod callback_listener;
mod check;
mod configuration_warnings;
mod event;
mod run;
mod running_starts;
mod shared_context;
mod start;
mod startup;
mod timeline;
mod transport;
mod watch;

pub use authorization::Rejected;
pub use authorization::sign_in::{
    AuthStatus, ClientChoice, ClientRegistration, SignInOptions, SignedOut,
};
pub use callback_listener::{
    Callback, CallbackListener, CallbackOptions, CallbackPage, sign_in_not_completed,
};
pub use check::{Check, Start};
pub use configuration_warnings::configuration_warnings;
pub use event::{StartupEvent, Update};
pub use mcp_startup_auth as auth;
pub use mcp_startup_auth::network::ClientError;
pub use mcp_startup_config as config;
pub use mcp_startup_core::*;
pub use rmcp;
pub use shared_context::DEFAULT_LIMIT;
pub use start::LiveServer;
pub use start::masked_command::masked_command;
pub use startup::{DEFAULT_CONCURRENCY, Startup, StartupOptions};
pub use timeline::{
    StartTimeline, TimelineEntry, TimelineMessage, TimelineMessageKind, TimelineRefresh,
    TimelineResponse, TimelineStep,
};
#[doc(hidden)]
pub use transport::held_results::json_bytes;
pub use transport::held_results::{HeldResult, ResultMemory};
pub use transport::http::HttpRefusal;
#[cfg(fuzzing)]
pub use transport::http::fuzzing;
#[doc(hidden)]
pub use transport::json_size::json_values;
pub use transport::progress::ProgressFeed;
#[doc(hidden)]
#[cfg(target_os = "linux")]
pub use transport::stdio::supervision::{
    processes as supervisor_processes, protocol as supervisor_protocol,
};
pub use watch::{Watch, WatchHandle};

/// Compiles the example of the README as a documentation test.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
