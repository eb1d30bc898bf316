//! The state that all starts of one [`Startup`](crate::Startup) share: the HTTP clients, the stores, the limit, and the refreshes in
//! flight.

use std::sync::Arc;
use std::time::Duration;

use mcp_startup_auth::CredentialStores;
use mcp_startup_auth::network::Network;
use mcp_startup_config::ServerConfig;
use tokio_util::task::TaskTracker;

use crate::authorization::RecentRefreshes;
use crate::authorization::sign_in::SignInHistory;
use crate::transport::stdio::Supervisors;

/// The maximum duration of a start, 30 s, if neither [`StartupOptions::limit`](crate::StartupOptions::limit) nor the configuration
/// sets one.
pub const DEFAULT_LIMIT: Duration = Duration::from_secs(30);

/// The state that all starts of one [`Startup`](crate::Startup) share.
pub(crate) struct SharedContext {
    pub network: Network,
    pub stores: Option<CredentialStores>,
    /// Overrides the limit of the configuration.
    pub limit: Option<Duration>,
    /// Owns the refreshes, code exchanges and sign-outs in flight: they outlive the starts and calls that requested them.
    pub refreshes: TaskTracker,
    /// The results of the refreshes that hosts have requested for their own requests.
    pub recent_refreshes: Arc<RecentRefreshes>,
    /// The sign-ins of this process.
    pub sign_ins: Arc<SignInHistory>,
    /// Starts the programs of stdio servers under supervisors.
    pub supervisors: Option<Supervisors>,
    /// The URL of the host's client ID metadata document.
    pub client_metadata_url: Option<String>,
}

impl SharedContext {
    /// The maximum duration of the start of this server.
    pub fn limit_of(&self, config: &ServerConfig) -> Duration {
        let limit = self.limit.or(config.startup_timeout);
        limit.unwrap_or(DEFAULT_LIMIT)
    }

    /// Waits for the refreshes, code exchanges and sign-outs in flight. New ones can begin meanwhile.
    pub async fn finish_refreshes(&self) {
        self.refreshes.close();
        self.refreshes.wait().await;
    }
}

pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
