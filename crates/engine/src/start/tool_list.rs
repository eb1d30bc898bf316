//! Lists the tools of a server that has answered the handshake. A server that is ready answers this.

use std::time::Duration;

use rmcp::model::PaginatedRequestParams;
use rmcp::service::ServiceError;

use super::handshake::Service;

/// How long a server may take to list its tools. A start doesn't fail if it takes longer.
const LIMIT: Duration = Duration::from_secs(5);
/// How long before the limit of the start the list must be complete.
const MARGIN: Duration = Duration::from_millis(100);
/// The maximum number of pages. A faulty server may return a next page forever.
const MAX_PAGES: usize = 100;
/// The maximum number of tools.
const MAX_TOOLS: usize = 10_000;

/// Counts the tools. Returns `None` if the list is too long or doesn't arrive in time. `remaining` is the time until the limit of the
/// start.
///
/// # Errors
///
/// The error of the server or of the transport. Whether it means that the server is not ready is for the caller to decide.
pub(super) async fn count_tools(
    service: &Service,
    remaining: Duration,
) -> Result<Option<usize>, ServiceError> {
    let offers_tools = service
        .peer_info()
        .is_some_and(|info| info.capabilities.tools.is_some());
    if !offers_tools {
        return Ok(Some(0));
    }
    match tokio::time::timeout(
        LIMIT.min(remaining.saturating_sub(MARGIN)),
        count_pages(service),
    )
    .await
    {
        Ok(counted) => counted,
        Err(_) => Ok(None),
    }
}

async fn count_pages(service: &Service) -> Result<Option<usize>, ServiceError> {
    let mut tools = 0;
    let mut cursor = None;
    for _ in 0..MAX_PAGES {
        let params = PaginatedRequestParams::default().with_cursor(cursor);
        let page = service.peer().list_tools(Some(params)).await?;
        tools += page.tools.len();
        cursor = page.next_cursor;
        if tools > MAX_TOOLS {
            return Ok(None);
        }
        if cursor.is_none() {
            return Ok(Some(tools));
        }
    }
    Ok(None)
}
