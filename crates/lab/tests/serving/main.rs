//! The lab as an HTTP client sees it, over a plain socket.

#![allow(clippy::unwrap_used)]

mod discovery;
mod http;
mod inspection;
mod lifecycle;
mod mcp_endpoint;
mod replies;
mod revocation;
mod sign_in;
mod token_endpoint;

use mcp_startup_lab::{Scenario, parse_scenarios};
use serde_json::{Value, json};

/// A scenario with these fields in addition to the required ones.
fn row(name: &str, fields: Value) -> Scenario {
    let mut row = json!({ "name": name, "about": "", "expect": { "state": "ready" } });
    for (key, value) in fields.as_object().unwrap() {
        row[key] = value.clone();
    }
    parse_scenarios(&json!([row]).to_string())
        .unwrap()
        .remove(0)
}
