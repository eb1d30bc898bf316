//! The requests of a client that is initialized: which method does what, and the requests that are being answered.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mcp_startup::{HeldResult, ResultMemory, json_values, printable};
use serde::Serialize;
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Calls, Outgoing};
use crate::app_server::AppServer;
use crate::protocol::codex::{
    ListMcpServerStatusParams, McpResourceReadParams, McpServerOauthLoginParams,
    McpServerToolCallParams, ThreadStartParams,
};
use crate::protocol::startup::{
    CancelResponse, ClientsListResponse, EmptyResponse, LoginCancelParams, RequestCancelParams,
    ServerParams, ServersListResponse,
};
use crate::protocol::{ErrorCode, RequestId, RpcError, params};
use crate::session::{Server, Session};

/// How many requests of a client are answered at the same time.
const MAX_REQUESTS: usize = 1024;
/// How many bytes of them are answered at the same time. A longer one is answered if there is no other.
const REQUEST_BYTES: usize = 8 * 1024 * 1024;
/// How many bytes a request counts in addition to its parameters.
const BYTES_BESIDES_PARAMETERS: usize = 1024;
/// How many bytes each value of its parameters counts, which is an upper bound of the memory of a parsed value.
const VALUE_BYTES: usize = 256;
const NAME_CHARS: usize = 100;

/// The state that a request uses.
#[derive(Clone)]
pub struct Context {
    pub app: AppServer,
    pub session: Arc<Session>,
    pub outgoing: Outgoing,
    pub calls: Calls,
}

/// A result, and its memory if it has any yet.
type Done = (Box<RawValue>, Option<HeldResult>);

type Work = Pin<Box<dyn Future<Output = Result<Done, RpcError>> + Send>>;

/// The requests that are being answered. Dropping it ends them, and loses the responses that wait.
pub struct Requests {
    memory: ResultMemory,
    running: JoinSet<()>,
    by_id: Arc<Mutex<HashMap<RequestId, CancellationToken>>>,
    ended: CancellationToken,
}

impl Requests {
    pub fn new(app: &AppServer) -> Self {
        Self {
            memory: app.requests().part(REQUEST_BYTES),
            running: JoinSet::new(),
            by_id: Arc::default(),
            ended: CancellationToken::new(),
        }
    }

    /// Removes the requests that were answered. Waits until there is one.
    pub async fn clean_up(&mut self) {
        if self.running.join_next().await.is_none() {
            std::future::pending().await
        }
        while self.running.try_join_next().is_some() {}
    }

    /// Ends the requests that have no result yet, and waits until the responses to the others are queued, or the transport has ended.
    pub async fn end(mut self) {
        self.ended.cancel();
        while self.running.join_next().await.is_some() {}
    }

    /// Answers a request: with the returned result, or else later.
    pub fn dispatch(
        &mut self,
        context: Context,
        id: &RequestId,
        method: &str,
        raw: Option<&RawValue>,
        threads: &HashSet<String>,
    ) -> Option<Result<Box<RawValue>, RpcError>> {
        if method == "mcpStartup/request/cancel" {
            return Some(self.cancel(raw));
        }
        let outgoing = context.outgoing.clone();
        let work = match work(context, id, method, raw, threads) {
            Ok(Answer::Now(result)) => return Some(Ok(result)),
            Ok(Answer::Later(work)) => work,
            Err(error) => return Some(Err(error)),
        };
        let place = self.memory.place();
        let size = |text: &str| text.len() + VALUE_BYTES * json_values(text.as_bytes());
        let bytes = BYTES_BESIDES_PARAMETERS + raw.map_or(0, |raw| size(raw.get()));
        if self.running.len() >= MAX_REQUESTS || !place.try_hold(bytes) {
            return Some(Err(RpcError::new(
                ErrorCode::Overloaded,
                "Server overloaded; retry later.",
            )));
        }
        let cancelled = CancellationToken::new();
        if let Entry::Vacant(free) = locked(&self.by_id).entry(id.clone()) {
            free.insert(cancelled.clone());
        } else {
            return Some(Err(RpcError::new(
                ErrorCode::InvalidRequest,
                "Another request with this `id` has not been answered yet.",
            )));
        }
        let (id, by_id) = (id.clone(), self.by_id.clone());
        let ended = self.ended.clone();
        self.running.spawn(async move {
            let result = tokio::select! {
                biased;
                result = work => result,
                () = ended.cancelled() => return,
                () = cancelled.cancelled() => {
                    Err(RpcError::failed("The request was cancelled.").with_reason("cancelled"))
                }
            };
            locked(&by_id).remove(&id);
            drop(place);
            let (result, held) = match result {
                Ok((result, held)) => (Ok(result), held),
                Err(error) => (Err(error), None),
            };
            outgoing.respond_later(&id, result, held).await;
        });
        None
    }

    /// Cancels a request that is being answered.
    fn cancel(&self, raw: Option<&RawValue>) -> Result<Box<RawValue>, RpcError> {
        let params: RequestCancelParams = params(raw)?;
        let running = locked(&self.by_id);
        let found = running.get(&params.request_id);
        found.map(CancellationToken::cancel);
        to_raw(&CancelResponse::from(found.is_some()))
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The answer to a request.
enum Answer {
    Now(Box<RawValue>),
    Later(Work),
}

fn later<T: Serialize>(work: impl Future<Output = Result<T, RpcError>> + Send + 'static) -> Answer {
    Answer::Later(Box::pin(async move { Ok((to_raw(&work.await?)?, None)) }))
}

/// Like `later`, for a result that has its memory.
fn later_held(
    work: impl Future<Output = Result<(Box<RawValue>, HeldResult), RpcError>> + Send + 'static,
) -> Answer {
    Answer::Later(Box::pin(async move {
        let (result, held) = work.await?;
        Ok((result, Some(held)))
    }))
}

/// Like `later`, for work that affects all clients: it continues if this client cancels the request or leaves.
fn later_whole<T: Serialize + Send + 'static>(
    app: &AppServer,
    work: impl Future<Output = Result<T, RpcError>> + Send + 'static,
) -> Answer {
    let connections = app.connections().clone();
    later(async move {
        let done = connections.spawn(work).await;
        done.unwrap_or_else(|_| Err(RpcError::failed("The request failed unexpectedly.")))
    })
}

fn work(
    context: Context,
    id: &RequestId,
    method: &str,
    raw: Option<&RawValue>,
    threads: &HashSet<String>,
) -> Result<Answer, RpcError> {
    let Context {
        app,
        session,
        calls,
        ..
    } = context;
    Ok(match method {
        "mcpServerStatus/list" => {
            let params: ListMcpServerStatusParams = params(raw)?;
            check_thread(threads, params.thread_id.as_deref())?;
            later(async move { session.list(&params).await })
        }
        "config/mcpServer/reload" => later_whole(&app.clone(), async move {
            app.reload().await?;
            Ok(EmptyResponse {})
        }),
        "mcpStartup/failure/read" => {
            let server = server_of(&session, raw)?;
            Answer::Now(to_raw(&server.report())?)
        }
        "mcpStartup/retry" => {
            let server = server_of(&session, raw)?;
            server.retry()?;
            Answer::Now(to_raw(&EmptyResponse {})?)
        }
        "mcpServer/oauth/login" => {
            let params: McpServerOauthLoginParams = params(raw)?;
            later(async move { session.login(params).await })
        }
        "mcpStartup/login/cancel" => {
            let params: LoginCancelParams = params(raw)?;
            let was_found = session.cancel_login(&params.login_id);
            Answer::Now(to_raw(&CancelResponse::from(was_found))?)
        }
        "mcpStartup/signOut" => {
            let params: ServerParams = params(raw)?;
            later_whole(&app, async move { session.sign_out(params).await })
        }
        "mcpServer/tool/call" | "mcpServer/resource/read" if calls == Calls::Refused => {
            let message = "This connection may not call tools or read resources.";
            let error = RpcError::new(ErrorCode::InvalidRequest, message);
            return Err(error.with_reason("callsRefused"));
        }
        "mcpServer/tool/call" => {
            let params: McpServerToolCallParams = params(raw)?;
            check_thread(threads, Some(&params.thread_id))?;
            let id = id.clone();
            later_held(async move { session.call_tool(id, params).await })
        }
        "mcpServer/resource/read" => {
            let params: McpResourceReadParams = params(raw)?;
            check_thread(threads, params.thread_id.as_deref())?;
            later_held(async move { session.read_resource(params).await })
        }
        "mcpStartup/servers/list" => {
            later(async move { Ok(ServersListResponse::of(&*app.configuration().await)) })
        }
        "mcpStartup/clients/list" => later(async move {
            let source = app.source();
            let found = tokio::task::spawn_blocking(move || source.clients()).await;
            let files = found.map_err(|_| RpcError::failed("The clients could not be listed."))?;
            Ok(ClientsListResponse { files })
        }),
        _ => {
            return Err(RpcError::new(
                ErrorCode::MethodNotFound,
                format!(
                    "The method `{}` does not exist.",
                    printable(method, NAME_CHARS)
                ),
            ));
        }
    })
}

fn server_of(session: &Session, raw: Option<&RawValue>) -> Result<Arc<Server>, RpcError> {
    let params: ServerParams = params(raw)?;
    session.server(&params.name, params.environment_id.as_deref())
}

fn check_thread(threads: &HashSet<String>, id: Option<&str>) -> Result<(), RpcError> {
    match id {
        Some(id) if !threads.contains(id) => Err(RpcError::invalid_params(format!(
            "There is no thread `{}`: start one with `thread/start`.",
            printable(id, NAME_CHARS)
        ))),
        _ => Ok(()),
    }
}

/// The result of `thread/start`. A thread of this app-server runs no model, so most fields are constants.
pub fn thread(
    id: &str,
    user_agent: &str,
    params: ThreadStartParams,
) -> Result<Box<RawValue>, RpcError> {
    let current = || std::env::current_dir().unwrap_or_default();
    let cwd = params
        .cwd
        .unwrap_or_else(|| current().display().to_string());
    let model = params.model.unwrap_or_default();
    let provider = params.model_provider.unwrap_or_default();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.map_or(0, |now| now.as_secs());
    to_raw(&json!({
        "approvalPolicy": "never",
        "approvalsReviewer": "user",
        "cwd": cwd,
        "model": model,
        "modelProvider": provider,
        "sandbox": { "type": "readOnly" },
        "thread": {
            "cliVersion": user_agent,
            "createdAt": now,
            "cwd": cwd,
            "ephemeral": true,
            "id": id,
            "modelProvider": provider,
            "preview": "",
            "projectId": null,
            "sessionId": id,
            "source": "appServer",
            "status": { "type": "idle" },
            "turns": [],
            "updatedAt": now,
        },
    }))
}

pub fn to_raw(result: &impl Serialize) -> Result<Box<RawValue>, RpcError> {
    to_raw_value(result).map_err(|error| {
        tracing::error!(%error, "a result can't be encoded");
        RpcError::failed("The result can't be encoded.")
    })
}
