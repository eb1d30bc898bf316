//! The current time, in the unit that records use.

use std::time::{SystemTime, UNIX_EPOCH};

/// Returns the current time in ms since the Unix epoch, the unit of a record's `expires_at`.
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
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(since_epoch.unwrap_or_default().as_millis()).unwrap_or(i64::MAX)
}
