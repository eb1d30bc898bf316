//! The access token that another client holds for a server. It is sent to that server, never refreshed and never stored.

use mcp_startup_auth::now_ms;
use mcp_startup_config::ServerConfig;
use mcp_startup_core::{CLOCK_SKEW_MS, HeldSignInState};
use secrecy::SecretString;

use crate::start::evidence_collector::EvidenceCollector;

/// Adds the sign-in that another client holds to the evidence. Returns its token if it can be sent now.
pub(super) fn held_token(
    config: &ServerConfig,
    collector: &EvidenceCollector,
) -> Option<SecretString> {
    let held = config.held_sign_in.as_ref()?;
    let mut evidence = held.evidence();
    // It may have expired since the store was read, for example if a watch starts the server again.
    let soon = now_ms().saturating_add(CLOCK_SKEW_MS);
    let has_expired = held
        .expires_at_ms
        .is_some_and(|expires| i64::try_from(expires).is_ok_and(|expires| expires <= soon));
    if held.state == HeldSignInState::Valid && has_expired {
        evidence.state = Some(HeldSignInState::Expired);
    }
    let is_valid = evidence.state == Some(HeldSignInState::Valid);
    collector.update(|all| all.held_sign_in = Some(evidence));
    held.access_token.clone().filter(|_| is_valid)
}
