//! The commands of the program, one module each. A command reads the configuration, calls the engine, and prints through `output`.

#[cfg(feature = "app-server")]
pub mod app_server;
pub mod check;
pub mod clients;
pub mod demo;
pub mod explain;
pub mod follow;
pub mod lab;
pub mod login;
#[cfg(feature = "app-server")]
pub mod open;
pub mod status;
#[cfg(feature = "store-postgres")]
pub mod store;
