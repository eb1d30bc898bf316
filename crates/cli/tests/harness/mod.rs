//! Code shared by the test programs: a user with a temporary home folder, the program under test, and the servers, browsers
//! and terminals that it uses.

#![allow(
    dead_code,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "each test program uses a part of this, and tests may panic and print"
)]

pub mod authorization_server;
pub mod browser;
pub mod cases;
pub mod configuration;
pub mod documents;
pub mod http_client;
pub mod http_server;
pub mod lab;
pub mod lock_holder;
pub mod output;
pub mod run;
pub mod script_server;
#[cfg(unix)]
pub mod terminal;
pub mod time;
pub mod user;
