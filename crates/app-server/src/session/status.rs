//! The list of servers: their states, their authorization and what they offer.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use mcp_startup::config::TransportConfig;
use mcp_startup::rmcp::RoleClient;
use mcp_startup::rmcp::service::Peer;
use mcp_startup::{McpAuthStatus, Startup, json_bytes};
use serde_json::Value;
use tokio::time::Instant;

use super::catalog::{self, CatalogError};
use super::{Server, Session};
use crate::protocol::RpcError;
use crate::protocol::codex::{
    ListMcpServerStatusParams, ListMcpServerStatusResponse, McpServerStatus, McpServerStatusDetail,
};

/// The number of servers of a page, if the client does not choose it.
const PAGE: u32 = 100;
const LONGEST_PAGE: u32 = 1000;
/// The beginning of a cursor. The name of the last server of the page follows, so that a reload between two pages loses no server.
const CURSOR: &str = "after:";
/// The size from which a page gets no more servers, in bytes. A message of Codex's WebSocket has at most 16 MiB.
const PAGE_BYTES: usize = 4 * 1024 * 1024;
/// The size from which a server's entry is reduced to its state, in bytes.
const SERVER_BYTES: usize = catalog::MAX_BYTES;
/// How many servers are queried at the same time.
const ASKED_AT_ONCE: usize = 16;
/// How long a list waits for the starts of its servers, if its client has no thread, and for their answers about authorization. The
/// limit is for all servers together, because a single server may have hours to start.
const LIST_LIMIT: Duration = Duration::from_secs(60);
/// How long the list of a client with a thread waits for the servers' answers about authorization.
const LIST_OF_THREAD_LIMIT: Duration = Duration::from_secs(1);

impl Session {
    /// Lists the servers.
    ///
    /// Without a thread, Codex connects to each server for the list. Here, the list waits for the starts that are under way. With a
    /// thread, it has the states of this moment, and waits only briefly for what the servers answer about authorization.
    ///
    /// # Errors
    ///
    /// Returns an error if the server does not exist, or if the parameters do not fit together.
    pub async fn list(
        &self,
        params: &ListMcpServerStatusParams,
    ) -> Result<ListMcpServerStatusResponse, RpcError> {
        if params.environment_id.is_some()
            && (params.server_name.is_none() || params.thread_id.is_none())
        {
            return Err(RpcError::invalid_params(
                "`environmentId` requires `serverName` and `threadId`.",
            ));
        }
        let mut servers = match &params.server_name {
            Some(name) => vec![self.server(name, params.environment_id.as_deref())?],
            None => self.servers(),
        };
        if let Some(cursor) = &params.cursor {
            let Some(last) = cursor.strip_prefix(CURSOR) else {
                return Err(RpcError::invalid_params(
                    "`cursor` is not the `nextCursor` of a page: omit it for the first page.",
                ));
            };
            servers.retain(|server| *server.entry.name > *last);
        }
        let limit = params.limit.unwrap_or(PAGE).clamp(1, LONGEST_PAGE);
        let mut limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let waits = params.thread_id.is_none();
        let detail = params.detail.unwrap_or_default();
        let total = servers.len();
        let limit_of_list = match waits {
            true => LIST_LIMIT,
            false => LIST_OF_THREAD_LIMIT,
        };
        let deadline = Instant::now() + limit_of_list;
        let statuses = servers.into_iter().take(limit).map(|server| {
            let startup = self.app.startup().clone();
            async move {
                if waits {
                    server.settled(deadline).await;
                }
                status(&startup, &server, detail, deadline).await
            }
            .boxed()
        });
        let statuses: Vec<BoxFuture<'static, _>> = statuses.collect();
        let mut statuses = futures::stream::iter(statuses).buffered(ASKED_AT_ONCE);
        let mut bytes = 0;
        let mut data = Vec::new();
        while let Some((status, size)) = statuses.next().await {
            bytes += size;
            data.push(status);
            if bytes > PAGE_BYTES {
                limit = data.len();
                break;
            }
        }
        let last = data.last().filter(|_| total > limit);
        Ok(ListMcpServerStatusResponse {
            next_cursor: last.map(|status| format!("{CURSOR}{}", status.name)),
            data,
        })
    }
}

/// The status of a server, and its size in bytes.
async fn status(
    startup: &Startup,
    server: &Arc<Server>,
    detail: McpServerStatusDetail,
    deadline: Instant,
) -> (McpServerStatus, usize) {
    let auth_status = auth_status(startup, server, deadline).await;
    let state = server.state();
    let mut status = McpServerStatus {
        name: server.entry.name.clone(),
        environment_id: None,
        runtime_status: state.connection,
        plugin_id: None,
        http_origin: http_origin(server),
        server_info: None,
        server_capabilities: None,
        tool_list_meta: None,
        tools: Default::default(),
        tools_error: None,
        resources: Vec::new(),
        resource_templates: Vec::new(),
        auth_status,
    };
    match &state.peer {
        Some(peer) => {
            if offers(&mut status, peer, detail).await == Authorization::Refused {
                server.rejected(&state);
            }
            if status.tools_error.is_some()
                && let Some(warning) = state.warning()
            {
                // It has the server's words, with secrets masked.
                status.tools_error = Some(warning.to_owned());
            }
        }
        None => status.tools_error = Some(server.why_not_connected(&state)),
    }
    let mut bytes = json_bytes(&status);
    if bytes > SERVER_BYTES {
        status.tools.clear();
        status.resources.clear();
        status.resource_templates.clear();
        status.tool_list_meta = None;
        status.tools_error = Some("the lists of the server are longer than 8 MiB".to_owned());
        bytes = json_bytes(&status);
    }
    (status, bytes)
}

/// Whether a connected server has refused the authorization of a list.
#[derive(PartialEq, Eq)]
enum Authorization {
    Accepted,
    Refused,
}

/// Adds what a connected server offers.
async fn offers(
    status: &mut McpServerStatus,
    peer: &Peer<RoleClient>,
    detail: McpServerStatusDetail,
) -> Authorization {
    if let Some(info) = peer.peer_info() {
        status.server_capabilities = serde_json::to_value(&info.capabilities).ok();
        status.server_info = info
            .server_info
            .as_ref()
            .and_then(|info| serde_json::to_value(info).ok())
            .filter(Value::is_object);
    }
    let resources = async {
        match detail {
            McpServerStatusDetail::Full => catalog::resources(peer).await,
            McpServerStatusDetail::ToolsAndAuthOnly => Ok(Default::default()),
        }
    };
    let (tools, resources) = futures::future::join(catalog::tools(peer), resources).await;
    let errors = [tools.as_ref().err(), resources.as_ref().err()];
    let is_refused =
        |error: &Option<&CatalogError>| matches!(error, Some(CatalogError::Unauthorized(_)));
    let authorization = match errors.iter().any(is_refused) {
        true => Authorization::Refused,
        false => Authorization::Accepted,
    };
    (status.resources, status.resource_templates) = resources.unwrap_or_default();
    match tools {
        Ok(tools) => {
            status.tools = tools.by_name;
            status.tool_list_meta = tools.meta;
        }
        Err(error) => status.tools_error = Some(error.to_string()),
    }
    authorization
}

fn http_origin(server: &Server) -> Option<String> {
    match &server.entry.config.as_ref().ok()?.transport {
        TransportConfig::Http(http) => Some(http.url.origin().ascii_serialization()),
        TransportConfig::Stdio(_) => None,
    }
}

/// How a client is authorized at the server. Unknown if only the server knows, and it does not answer until `deadline`, or has not
/// answered its last start.
async fn auth_status(startup: &Startup, server: &Server, deadline: Instant) -> McpAuthStatus {
    let offline = startup.auth_status(&server.entry, false).await.status;
    let state = server.state();
    let known = offline.or(state.asked_auth_status);
    match known {
        Some(known) => known,
        None if server.entry.enabled && !state.has_no_answer() => {
            let asked = asked_auth_status(startup, server);
            let answered = tokio::time::timeout_at(deadline, asked).await;
            answered.unwrap_or(McpAuthStatus::Unknown)
        }
        None => McpAuthStatus::Unknown,
    }
}

/// How a client is authorized, as the server answers. If many lists ask at once, one query answers them all.
async fn asked_auth_status(startup: &Startup, server: &Server) -> McpAuthStatus {
    let began = Instant::now();
    // Held during the query, which has a time limit, so that the others wait for its answer.
    let mut last_answer = server.last_auth_status.lock().await;
    if let Some((answered, status)) = *last_answer
        && answered >= began
    {
        return status;
    }
    let state = server.state();
    let asked = startup.auth_status(&server.entry, true).await.status;
    if let Some(asked) = asked {
        server.remember_auth_status(&state, asked);
    }
    let status = asked.unwrap_or(McpAuthStatus::Unknown);
    *last_answer = Some((Instant::now(), status));
    status
}
