//! The messages if the database or its keys can't be used.

use crate::harness::run::Run;
use crate::harness::user::User;
use crate::server::{KEY_1, PASSWORD, free_port};
use crate::{Database, without_secret};

const URL: &str = "postgres://postgres:canary-password@127.0.0.1:1/d";

fn status(user: &User) -> Run {
    let url = "https://mcp.example/mcp";
    user.program(&["status", url, "--user", "ann"])
}

/// Runs a command that fails, and compares the end of its message.
fn fails(run: Run, code: i32, message: &str) {
    let failed = without_secret(run.finish()).assert_exit(code);
    assert_eq!(failed.stdout, "");
    let text = failed.stderr.trim_end();
    assert!(text.ends_with(message), "{text}\nmust end with\n{message}");
}

#[test]
fn what_is_missing_is_named() {
    let user = User::new();
    fails(
        status(&user),
        2,
        "error: no database is configured; set MCP_STARTUP_STORE to its URL, such as postgres://USER:PASSWORD@HOST/DATABASE, or pass \
         `--store URL`",
    );
    fails(
        status(&user).env("MCP_STARTUP_STORE", URL),
        2,
        "error: MCP_STARTUP_STORE_KEYS is not set; set it to `ID:KEY`, with a key from `openssl rand -base64 32`; or pass `--store-keys \
         FILE`",
    );
    fails(
        status(&user)
            .env("MCP_STARTUP_STORE", URL)
            .env("MCP_STARTUP_STORE_KEYS", format!("k1:{PASSWORD}")),
        2,
        "MCP_STARTUP_STORE_KEYS: key 1 is not 32 bytes in base64; or pass `--store-keys FILE`",
    );
    fails(
        status(&user)
            .env("MCP_STARTUP_STORE", "canary-password")
            .env("MCP_STARTUP_STORE_KEYS", KEY_1),
        1,
        "it must have the form postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=require",
    );
    fails(
        user.program(&["store", "import"])
            .env("MCP_STARTUP_STORE", URL),
        2,
        "Usage: mcp-startup store import --user <ID>\n\nFor more information, try '--help'.",
    );
    fails(
        user.program(&["status", "https://mcp.example/mcp", "--store", URL]),
        2,
        "error: name the user: pass `--user ID`, and `--tenant ID` if your users have tenants",
    );
    fails(
        user.program(&["status", "--tenant", "acme"]),
        2,
        "For more information, try '--help'.",
    );
}

#[test]
fn a_database_that_can_not_be_reached_is_named_without_its_password() {
    let user = User::new();
    let port = free_port();
    let url = format!("postgres://postgres:{PASSWORD}@127.0.0.1:{port}/d");
    let run = user.program(&["store", "stats", "--store", &url]);
    let failed = without_secret(run.finish()).assert_exit(1);
    let place = format!("the connection to the database at 127.0.0.1:{port} failed: ");
    assert!(failed.stderr.contains(&place), "{failed:#?}");
    assert!(
        failed
            .stderr
            .contains("check the URL and that the database is running"),
        "{failed:#?}"
    );
}

#[test]
fn a_database_that_refuses_is_quoted() {
    let Some(database) = Database::new("a_database_that_refuses_is_quoted") else {
        return;
    };
    let user = User::new();
    let wrong = database.0.url().replace(PASSWORD, "wrong-canary");
    let run = user
        .program(&["store", "stats"])
        .env("MCP_STARTUP_STORE", &wrong);
    let failed = without_secret(run.finish()).assert_exit(1);
    assert!(
        failed.stderr.contains("password authentication failed"),
        "{failed:#?}"
    );
    assert!(!failed.stderr.contains("wrong-canary"), "{failed:#?}");

    database.run(&user, &["store", "migrate"]);
    database
        .0
        .sql("insert into mcp_startup_schema (version, requires) values (99, 99)");
    let run = database.program(&user, &["store", "stats"]);
    let failed = without_secret(run.finish()).assert_exit(1);
    assert!(failed.stderr.contains("update this program"), "{failed:#?}");
}
