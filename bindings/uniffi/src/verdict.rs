//! The verdict, for apps that start their servers with another SDK.

use mcp_startup_host::{answer, verdict};

#[uniffi::export]
fn judge(evidence: String) -> String {
    answer(verdict::judge(&evidence))
}

#[uniffi::export]
fn auth_required_reason(recovery: String) -> String {
    answer(verdict::auth_required_reason(&recovery))
}

#[uniffi::export]
fn assess(facts: String, now_ms: i64) -> String {
    answer(verdict::assess(&facts, now_ms))
}

#[uniffi::export]
fn first_request(worth: Option<String>) -> String {
    answer(verdict::first_request(worth.as_deref()))
}

#[uniffi::export]
fn auth_status_of(
    configured: bool,
    stored: Option<String>,
    oauth_published: Option<bool>,
) -> String {
    answer(verdict::auth_status_of(
        configured,
        stored.as_deref(),
        oauth_published,
    ))
}
