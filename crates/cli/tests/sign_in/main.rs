//! `login`, `logout` and `status` against a real authorization server, which registers clients, rotates refresh tokens and
//! revokes them (npm `oidc-provider`). The tests act as the browser over HTTP; one test uses Chromium.

#![allow(clippy::print_stderr, clippy::unwrap_used)]

mod callback;
// Its browser is a shell script.
#[cfg(unix)]
mod chromium;
mod errors;
#[path = "../harness/mod.rs"]
mod harness;
mod held_locks;
mod interruption;
mod lifecycle;
mod login;
mod logout;
// Its server is a Python program.
#[cfg(unix)]
mod python_sdk;
mod session;
mod status;
mod step_up;
// Only Unix has pseudo-terminals.
#[cfg(unix)]
mod terminal;
