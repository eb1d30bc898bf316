//! `--user` and the command `store` with a real PostgreSQL server. A test is not run if PostgreSQL is not installed.

// A shell script supervises the PostgreSQL server of the tests.
#![cfg(unix)]
#![allow(clippy::print_stderr, clippy::unwrap_used, clippy::panic)]

#[path = "../harness/mod.rs"]
mod harness;
#[allow(dead_code, reason = "the tests of the store use all of it")]
#[path = "../../../store-postgres/tests/postgres/server.rs"]
mod server;
#[allow(dead_code, reason = "the tests of signing in use all of it")]
#[path = "../sign_in/session.rs"]
mod session;

mod keys_and_tables;
mod messages;
mod records;

use harness::output::Finished;
use harness::run::Run;
use harness::user::User;
use server::{KEY_1, PASSWORD, TestDatabase, new_database};

/// A database, and the program with its URL in the environment.
struct Database(TestDatabase);

impl Database {
    /// Returns `None` if PostgreSQL is not installed.
    fn new(test: &str) -> Option<Self> {
        new_database(test).map(Self)
    }

    /// The program with the database and the keys in its environment.
    fn program(&self, user: &User, arguments: &[&str]) -> Run {
        self.with_database(user.program(arguments))
    }

    fn with_database(&self, run: Run) -> Run {
        run.env("MCP_STARTUP_STORE", self.0.url())
            .env("MCP_STARTUP_STORE_KEYS", KEY_1)
    }

    /// Runs the program. Asserts that it succeeds, and that its output has no secret.
    fn run(&self, user: &User, arguments: &[&str]) -> Finished {
        without_secret(self.program(user, arguments).finish()).assert_exit(0)
    }
}

/// Asserts that the output has neither the password of the database nor a token or a key.
fn without_secret(finished: Finished) -> Finished {
    let key = KEY_1.split_once(':').unwrap().1;
    for secret in [PASSWORD, key, "good-token", "expired-token", "good-refresh"] {
        assert!(!finished.all_output().contains(secret), "{finished:#?}");
    }
    finished
}
