//! The verdict functions, over JSON.

use mcp_startup_host::{answer, verdict};
use napi_derive::napi;

#[napi]
pub fn judge(evidence: String) -> String {
    answer(verdict::judge(&evidence))
}

#[napi]
pub fn auth_required_reason(recovery: String) -> String {
    answer(verdict::auth_required_reason(&recovery))
}

#[napi]
pub fn assess(facts: String, now_ms: f64) -> String {
    // The cast saturates.
    answer(verdict::assess(&facts, now_ms as i64))
}

#[napi]
pub fn first_request(worth: Option<String>) -> String {
    answer(verdict::first_request(worth.as_deref()))
}

#[napi]
pub fn auth_status_of(
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
