//! The tools, resources and resource templates of a connected server, within limits.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::BoxFuture;
use mcp_startup::rmcp::RoleClient;
use mcp_startup::rmcp::model::PaginatedRequestParams;
use mcp_startup::rmcp::service::{Peer, ServiceError};
use mcp_startup::{HttpRefusal, json_bytes};
use serde::Serialize;
use serde_json::Value;

use super::calls::is_rejection;

/// How long a server may take for each of its lists.
const LIMIT: Duration = Duration::from_secs(5);
/// The maximum number of pages of a list. A faulty server may return a next page forever.
const MAX_PAGES: usize = 100;
/// The maximum number of entries of a list.
const MAX_ENTRIES: usize = 10_000;

/// The maximum size of the entries of a list, in bytes.
pub const MAX_BYTES: usize = 8 * 1024 * 1024;

/// The tools of a server.
#[derive(Debug, Default)]
pub struct Tools {
    pub by_name: BTreeMap<String, Value>,
    /// The `_meta` of the first page.
    pub meta: Option<Value>,
}

/// Why a list is not complete.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    #[error("the server did not answer `{0}` within 5 s")]
    TimedOut(&'static str),
    #[error("the answer to `{0}` is too long")]
    TooLong(&'static str),
    #[error("the server answered `{method}` with the error {code}")]
    Refused { method: &'static str, code: i32 },
    #[error("the server refused the authorization of `{0}`")]
    Unauthorized(&'static str),
    #[error("`{0}` failed: the connection was lost, or the answer can't be used")]
    Failed(&'static str),
}

/// Lists the tools, if the server has any.
pub async fn tools(peer: &Peer<RoleClient>) -> Result<Tools, CatalogError> {
    let mut tools = Tools::default();
    let has_tools = |peer: &Peer<RoleClient>| {
        peer.peer_info()
            .is_some_and(|info| info.capabilities.tools.is_some())
    };
    if !has_tools(peer) {
        return Ok(tools);
    }
    let pages = pages("tools/list", |params| {
        let peer = peer.clone();
        Box::pin(async move {
            let page = peer.list_tools(Some(params)).await?;
            Ok((page.tools, page.next_cursor, page.meta))
        })
    });
    let (list, meta) = pages.await?;
    for tool in list {
        let name = tool.name.to_string();
        if let Ok(tool) = serde_json::to_value(tool) {
            tools.by_name.insert(name, tool);
        }
    }
    tools.meta = meta.and_then(|meta| serde_json::to_value(meta).ok());
    Ok(tools)
}

/// Lists the resources and their templates, if the server has any.
pub async fn resources(peer: &Peer<RoleClient>) -> Result<(Vec<Value>, Vec<Value>), CatalogError> {
    let has_resources = peer
        .peer_info()
        .is_some_and(|info| info.capabilities.resources.is_some());
    if !has_resources {
        return Ok((Vec::new(), Vec::new()));
    }
    let resources = pages("resources/list", |params| {
        let peer = peer.clone();
        Box::pin(async move {
            let page = peer.list_resources(Some(params)).await?;
            Ok((page.resources, page.next_cursor, page.meta))
        })
    });
    let templates = pages("resources/templates/list", |params| {
        let peer = peer.clone();
        Box::pin(async move {
            let page = peer.list_resource_templates(Some(params)).await?;
            Ok((page.resource_templates, page.next_cursor, page.meta))
        })
    });
    let (resources, templates) = futures::future::join(resources, templates).await;
    Ok((values(resources?.0), values(templates?.0)))
}

fn values(entries: Vec<impl Serialize>) -> Vec<Value> {
    let values = entries.into_iter();
    values
        .filter_map(|entry| serde_json::to_value(entry).ok())
        .collect()
}

/// The entries of a page, the cursor of the next page, and the `_meta` of the page.
type Page<T, M> = (Vec<T>, Option<String>, Option<M>);

/// Reads the pages of a list. Returns the entries, and the `_meta` of the first page.
async fn pages<T: Serialize, M>(
    method: &'static str,
    page: impl Fn(PaginatedRequestParams) -> BoxFuture<'static, Result<Page<T, M>, ServiceError>>,
) -> Result<(Vec<T>, Option<M>), CatalogError> {
    let reading = async {
        let (mut entries, mut first_meta) = (Vec::new(), None);
        let mut cursor = None;
        let mut bytes = 0;
        for number in 0..MAX_PAGES {
            let params = PaginatedRequestParams::default().with_cursor(cursor);
            let (more, next, meta) = page(params).await.map_err(|error| match error {
                ServiceError::McpError(error) => CatalogError::Refused {
                    method,
                    code: error.code.0,
                },
                error if is_rejection(HttpRefusal::of(&error).as_ref()) => {
                    CatalogError::Unauthorized(method)
                }
                _ => CatalogError::Failed(method),
            })?;
            if number == 0 {
                first_meta = meta;
            }
            bytes += json_bytes(&more);
            if bytes > MAX_BYTES {
                break;
            }
            entries.extend(more);
            cursor = next;
            if entries.len() > MAX_ENTRIES {
                break;
            }
            if cursor.is_none() {
                return Ok((entries, first_meta));
            }
        }
        Err(CatalogError::TooLong(method))
    };
    let read = tokio::time::timeout(LIMIT, reading).await;
    read.unwrap_or(Err(CatalogError::TimedOut(method)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// How many pages are read of a list whose pages have `entries` of `bytes` each and do not end, and whether it is too long.
    async fn pages_read(entries: usize, bytes: usize) -> (usize, bool) {
        let read = Arc::new(AtomicUsize::new(0));
        let list = pages("tools/list", |_| {
            read.fetch_add(1, Ordering::Relaxed);
            let page = vec!["x".repeat(bytes); entries];
            Box::pin(async move { Ok((page, Some("next".to_owned()), None::<()>)) })
        });
        let is_too_long = matches!(list.await, Err(CatalogError::TooLong("tools/list")));
        (read.load(Ordering::Relaxed), is_too_long)
    }

    #[tokio::test]
    async fn a_list_without_an_end_is_read_up_to_each_limit() {
        for (entries, bytes, expected) in [
            (0, 0, MAX_PAGES),
            (MAX_ENTRIES / 10, 1, 11),
            (1, 3 * 1024 * 1024, 3),
            (3, 14 * 1024 * 1024, 1),
        ] {
            let read = pages_read(entries, bytes).await;
            assert_eq!(read, (expected, true), "{entries} entries of {bytes} bytes");
        }
    }
}
