//! The session that a server has opened (MCP 2025-11-25, basic/transports, section "Session management").

use std::collections::HashMap;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};

use super::{Failure, McpHttp, failure, media_types};

/// How long the end of the session of a failed handshake may take.
const SESSION_END_LIMIT: Duration = Duration::from_secs(1);
pub(super) const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");

impl McpHttp {
    pub(super) fn lock_session(&self) -> MutexGuard<'_, Option<Arc<str>>> {
        let session = &self.shared.session;
        session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the session of a failed handshake, if the server has opened one. The SDK's transport ends only the session of a
    /// finished handshake. The request has no `MCP-Protocol-Version`, because the server may have refused the negotiated one.
    pub async fn end_session(&self) {
        let Some(session_id) = self.lock_session().take() else {
            return;
        };
        let ending = self.delete(&session_id, HashMap::new());
        let _ = tokio::time::timeout(SESSION_END_LIMIT, ending).await;
    }

    pub(super) async fn delete(
        &self,
        session_id: &str,
        headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<(), Failure> {
        let sends = self.shared.authorization.sends();
        // Some servers answer 400 without `Accept`.
        let headers = headers.into_iter().chain(media_types());
        self.request(
            Method::DELETE,
            &self.current_url(),
            &sends,
            Some(session_id),
            headers,
        )
        .map_err(failure)?
        .send()
        .await
        .map_err(|error| failure(error.without_url()))?;
        Ok(())
    }
}

/// The session that the answer opens. A session ID has only visible ASCII characters. Some proxies leave an empty one, which must not be
/// sent back.
pub(super) fn session_of(response: &reqwest::Response) -> Option<String> {
    let value = response.headers().get(SESSION_ID)?;
    let text = value.to_str().ok()?;
    let is_valid = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    is_valid.then(|| text.to_owned())
}
