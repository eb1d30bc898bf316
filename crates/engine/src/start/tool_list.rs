//! Lists the tools of a server that has answered the handshake. A server that is ready answers this.

use std::collections::HashSet;
use std::time::Duration;

use mcp_startup_core::StartupWarningKind;
use rmcp::model::PaginatedRequestParams;
use rmcp::service::ServiceError;

use super::evidence_collector::EvidenceCollector;
use super::handshake::Service;
use crate::transport::short_messages::{MAX_CURSOR_BYTES, MAX_TOOLS};

/// How long a server may take to list its tools. A start doesn't fail if it takes longer.
const LIMIT: Duration = Duration::from_secs(5);
/// How long before the limit of the start the list must be complete.
const MARGIN: Duration = Duration::from_millis(100);
/// The maximum number of pages. A faulty server may return a next page forever.
const MAX_PAGES: usize = 100;
/// The maximum size of all pages, in bytes.
const MAX_BYTES: usize = 10_000_000;

/// The tools of a server that is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tools {
    /// The start did not list them.
    NotListed,
    Counted(usize),
    /// The server is ready, but did not list them.
    Warned(StartupWarningKind),
}

impl Tools {
    pub fn count(self) -> Option<usize> {
        match self {
            Self::Counted(count) => Some(count),
            Self::NotListed | Self::Warned(_) => None,
        }
    }

    pub fn warning(self) -> Option<StartupWarningKind> {
        match self {
            Self::Warned(kind) => Some(kind),
            Self::NotListed | Self::Counted(_) => None,
        }
    }

    /// The tools of a server that answered with an error that does not mean that it can't be used. Records the error.
    pub fn of_error(error: &ServiceError, collector: &EvidenceCollector) -> Self {
        Self::Warned(match error {
            ServiceError::Timeout { .. } => StartupWarningKind::ToolListTimedOut,
            // The transport has recorded which field is invalid.
            ServiceError::UnexpectedResponse => StartupWarningKind::ToolListInvalid,
            ServiceError::McpError(data) => {
                collector.record_error_answer("tools/list", data);
                StartupWarningKind::ToolListFailed
            }
            error => {
                collector.record_service_error(error);
                StartupWarningKind::ToolListFailed
            }
        })
    }
}

/// Counts the tools. `remaining` is the time until the limit of the start.
///
/// # Errors
///
/// The error of the server or of the transport. Whether it means that the server is not ready is for the caller to decide.
pub(super) async fn count_tools(
    service: &Service,
    remaining: Duration,
    collector: &EvidenceCollector,
) -> Result<Tools, ServiceError> {
    let offers_tools = service
        .peer_info()
        .is_some_and(|info| info.capabilities.tools.is_some());
    if !offers_tools {
        return Ok(Tools::Counted(0));
    }
    let limit = LIMIT.min(remaining.saturating_sub(MARGIN));
    match tokio::time::timeout(limit, count_pages(service, collector)).await {
        Ok(counted) => counted,
        Err(_) => Ok(Tools::Warned(StartupWarningKind::ToolListTimedOut)),
    }
}

async fn count_pages(
    service: &Service,
    collector: &EvidenceCollector,
) -> Result<Tools, ServiceError> {
    const TOO_LONG: Tools = Tools::Warned(StartupWarningKind::ToolListTooLong);
    let before = collector.log.received_bytes();
    let mut tools = 0;
    let mut cursor: Option<String> = None;
    let mut cursors = HashSet::new();
    for _ in 0..MAX_PAGES {
        let params = PaginatedRequestParams::default().with_cursor(cursor);
        let page = service.peer().list_tools(Some(params)).await?;
        tools += page.tools.len();
        // An empty cursor ends the list, as in the SDK for Go, which can't tell it from none.
        cursor = page.next_cursor.filter(|cursor| !cursor.is_empty());
        let bytes = collector.log.received_bytes().saturating_sub(before);
        if tools > MAX_TOOLS || bytes > MAX_BYTES {
            return Ok(TOO_LONG);
        }
        let Some(next) = &cursor else {
            return Ok(Tools::Counted(tools));
        };
        if next.len() > MAX_CURSOR_BYTES {
            return Ok(TOO_LONG);
        }
        if !cursors.insert(next.clone()) {
            let problem = "nextCursor: must not be that of an earlier page";
            collector.record_invalid_field("tools/list", problem);
            return Ok(Tools::Warned(StartupWarningKind::ToolListInvalid));
        }
    }
    Ok(TOO_LONG)
}
