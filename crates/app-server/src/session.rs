//! [`Session`]: the servers of one client. They start when it is initialized and end when it disconnects.

mod calls;
mod catalog;
mod server;
mod sign_in;
mod status;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use indexmap::IndexMap;
use mcp_startup::config::clients::SelectedServer;
use mcp_startup::printable;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

pub(crate) use self::server::Server;
use self::sign_in::SignIns;
use crate::app_server::AppServer;
use crate::configuration::Configuration;
use crate::connection::Outgoing;
use crate::protocol::RpcError;

const NAME_CHARS: usize = 100;

/// The servers of one client.
pub(crate) struct Session {
    app: AppServer,
    outgoing: Outgoing,
    servers: Mutex<Servers>,
    sign_ins: SignIns,
    /// The configuration was read again, and the client has no notification of it yet.
    reloaded: Notify,
}

#[derive(Default)]
struct Servers {
    by_name: IndexMap<String, Running>,
    /// The ends of servers that were removed. A server of the same name starts after them.
    ending: HashMap<String, JoinHandle<()>>,
    /// The client has left, so no server starts.
    is_stopped: bool,
}

/// A server and its task.
struct Running {
    server: Arc<Server>,
    task: Option<JoinHandle<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // The task owns the server, which ends with it.
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl Session {
    pub fn new(app: AppServer, outgoing: Outgoing) -> Self {
        Self {
            app,
            outgoing,
            servers: Mutex::default(),
            sign_ins: SignIns::default(),
            reloaded: Notify::new(),
        }
    }

    /// Starts the servers that are new or have changed, ends those that are gone, and does not touch the others. Does nothing if the
    /// client has left.
    pub async fn apply(&self, configuration: &Configuration) {
        let mut changed = Vec::new();
        {
            let mut servers = self.lock();
            if servers.is_stopped {
                return;
            }
            servers.ending.retain(|_, ending| !ending.is_finished());
            let mut before = std::mem::take(&mut servers.by_name);
            for SelectedServer { entry, .. } in &configuration.servers {
                let existing = before.swap_remove(&entry.name);
                let running = match existing {
                    Some(running) if running.server.entry.is_unchanged(entry) => running,
                    existing => {
                        let server = Arc::new(Server::new(entry.clone()));
                        let ending = match existing {
                            Some(replaced) => Some(self.app.connections().spawn(end(replaced))),
                            None => servers.ending.remove(&entry.name),
                        };
                        changed.push((server.clone(), ending));
                        Running { server, task: None }
                    }
                };
                servers.by_name.insert(entry.name.clone(), running);
            }
            for (name, gone) in before {
                let ending = self.app.connections().spawn(end(gone));
                servers.ending.insert(name, ending);
            }
        }
        for (server, ending) in changed {
            let startup = self.app.startup().clone();
            let outgoing = self.outgoing.clone();
            let running = server.clone();
            let task = self.app.connections().spawn(async move {
                if let Some(ending) = ending {
                    let _ = ending.await;
                }
                running.run(&startup, &outgoing).await;
            });
            if let Some(running) = self.lock().by_name.get_mut(&server.entry.name) {
                running.task = Some(task);
            }
        }
    }

    /// Remembers that the configuration was read again. Does not wait for the client, which may not read its messages.
    pub fn set_reloaded(&self) {
        self.reloaded.notify_one();
    }

    /// Waits until the configuration was read again. Several reloads can count as one.
    pub async fn reloaded(&self) {
        self.reloaded.notified().await;
    }

    /// Returns the server with this name.
    ///
    /// # Errors
    ///
    /// Returns an error if there is none, or if the request names an environment.
    pub fn server(
        &self,
        name: &str,
        environment_id: Option<&str>,
    ) -> Result<Arc<Server>, RpcError> {
        if let Some(id) = environment_id {
            return Err(RpcError::invalid_params(format!(
                "There is no environment `{}`: omit `environmentId`.",
                printable(id, NAME_CHARS)
            )));
        }
        let servers = self.lock();
        let found = servers
            .by_name
            .get(name)
            .map(|running| running.server.clone());
        found.ok_or_else(|| {
            RpcError::invalid_params(format!(
                "No MCP server named `{}` is configured; `mcpServerStatus/list` lists the servers.",
                printable(name, NAME_CHARS)
            ))
        })
    }

    /// All servers, sorted by name.
    pub fn servers(&self) -> Vec<Arc<Server>> {
        let mut servers: Vec<_> = self
            .lock()
            .by_name
            .values()
            .map(|running| running.server.clone())
            .collect();
        servers.sort_by(|left, right| left.entry.name.cmp(&right.entry.name));
        servers
    }

    /// Stops all servers, because the client has left. None starts again.
    pub fn stop(&self) {
        let mut servers = self.lock();
        servers.is_stopped = true;
        for running in servers.by_name.values() {
            running.server.stop();
        }
    }

    /// Ends all servers, and waits for them.
    pub async fn end(&self) {
        self.stop();
        self.sign_ins.end();
        let servers = std::mem::take(&mut self.lock().by_name);
        futures::future::join_all(servers.into_values().map(end)).await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Servers> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends a server, and waits until it has ended and its last notifications are sent.
async fn end(mut running: Running) {
    running.server.stop();
    if let Some(task) = &mut running.task {
        let _ = task.await;
    }
}
