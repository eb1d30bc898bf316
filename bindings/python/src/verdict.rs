//! The verdict functions, over JSON.

use mcp_startup_host::{answer, verdict};
use pyo3::prelude::*;

#[pyfunction]
pub fn judge(evidence: &str) -> String {
    answer(verdict::judge(evidence))
}

#[pyfunction]
pub fn auth_required_reason(recovery: &str) -> String {
    answer(verdict::auth_required_reason(recovery))
}

#[pyfunction]
pub fn assess(facts: &str, now_ms: i64) -> String {
    answer(verdict::assess(facts, now_ms))
}

#[pyfunction]
#[pyo3(signature = (worth))]
pub fn first_request(worth: Option<&str>) -> String {
    answer(verdict::first_request(worth))
}

#[pyfunction]
#[pyo3(signature = (configured, stored, oauth_published))]
pub fn auth_status_of(
    configured: bool,
    stored: Option<&str>,
    oauth_published: Option<bool>,
) -> String {
    answer(verdict::auth_status_of(configured, stored, oauth_published))
}
