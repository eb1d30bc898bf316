//! The time, as records have it.

use std::time::{SystemTime, UNIX_EPOCH};

/// The time now, in ms since the Unix epoch: what the expiry of a record is compared with.
///
/// ```
/// use mcp_startup_auth::{CredentialRecord, now_ms};
/// use mcp_startup_core::{AccessTokenWorth, assess};
///
/// let record = CredentialRecord::parse(r#"{"access_token": "token", "expires_at": 1}"#)?;
/// assert_eq!(assess(&record.facts(), now_ms()).access_token, AccessTokenWorth::Expired);
/// # Ok::<(), mcp_startup_auth::CorruptRecord>(())
/// ```
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(i64::MAX)
}
