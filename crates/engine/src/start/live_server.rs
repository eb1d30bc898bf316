//! [`LiveServer`]: a server that is ready, with the connection and the program that belong to it.

use std::time::Duration;

use futures::future::join_all;
use rmcp::RoleClient;
use rmcp::service::Peer;
use tokio_util::sync::DropGuard;

use super::handshake::Service;
use crate::transport::progress::ProgressFeed;
use crate::transport::stdio::Program;

/// The limit for ending the HTTP session of a server.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// A server that is ready: the SDK's client, and the program if the server is a program.
///
/// Keep it as long as you use the server. [`close`](Self::close) ends it gracefully and waits until it has ended. If you drop it
/// instead, the connection is closed in the background and the program is killed.
pub struct LiveServer {
    pub(super) service: Service,
    /// Ends the HTTP requests when it is dropped.
    pub(super) connection: Option<DropGuard>,
    pub(super) program: Option<Program>,
    pub(super) progress: ProgressFeed,
}

impl std::fmt::Debug for LiveServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveServer").finish_non_exhaustive()
    }
}

impl LiveServer {
    /// The SDK's handle, with which you list and call tools, read resources, and so on.
    pub fn peer(&self) -> &Peer<RoleClient> {
        self.service.peer()
    }

    /// The progress that the server reports about the requests it is answering.
    pub fn progress(&self) -> &ProgressFeed {
        &self.progress
    }

    /// Closes the server: ends its HTTP session, or closes the input of its program, and then ends the program with all its child
    /// processes.
    pub async fn close(mut self) {
        // Requests in flight must not delay the end of the session.
        drop(self.connection);
        let _ = self.service.close_with_timeout(CLOSE_LIMIT).await;
        drop(self.service);
        if let Some(program) = self.program {
            program.close().await;
        }
    }

    /// Closes several servers at the same time, as [`close`](Self::close) does. A server that does not answer delays no other one.
    ///
    /// ```
    /// use futures::StreamExt;
    /// use mcp_startup::config::ServerConfig;
    /// use mcp_startup::{LiveServer, Startup, StartupOptions};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let lab = mcp_startup_lab::Lab::start(0).await?;
    /// let server = ServerConfig::http("ready", &lab.url("ready"))?;
    /// let start = Startup::new(StartupOptions::default())?.start(vec![server.into()]);
    /// let live: Vec<LiveServer> = start.filter_map(async |(_, live)| live).collect().await;
    /// LiveServer::close_all(live).await;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn close_all(servers: impl IntoIterator<Item = Self>) {
        join_all(servers.into_iter().map(Self::close)).await;
    }
}
