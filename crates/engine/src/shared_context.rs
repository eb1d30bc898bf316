//! The state that all starts of one [`Startup`](crate::Startup) share: the HTTP clients, the stores, the limit, and the refreshes in
//! flight.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mcp_startup_auth::network::Network;
use mcp_startup_auth::{CredentialStores, PendingSignIn};
use mcp_startup_config::ServerConfig;
use tokio_util::task::TaskTracker;

use crate::authorization::RecentRefreshes;

/// The maximum duration of a start, 30 s, if neither [`StartupOptions::limit`](crate::StartupOptions::limit) nor the configuration
/// sets one.
pub const DEFAULT_LIMIT: Duration = Duration::from_secs(30);

/// The state that all starts of one [`Startup`](crate::Startup) share.
pub(crate) struct SharedContext {
    pub network: Network,
    pub stores: Option<CredentialStores>,
    /// Overrides the limit of the configuration.
    pub limit: Option<Duration>,
    /// Owns the refreshes in flight: they outlive the starts that requested them.
    pub refreshes: TaskTracker,
    /// The results of the refreshes that hosts have requested for their own requests.
    pub recent_refreshes: Arc<RecentRefreshes>,
    /// The finished sign-ins.
    pub finished: Arc<FinishedSignIns>,
    /// The URL of the host's client ID metadata document.
    pub client_metadata_url: Option<String>,
}

impl SharedContext {
    /// The maximum duration of the start of this server.
    pub fn limit_of(&self, config: &ServerConfig) -> Duration {
        let limit = self.limit.or(config.startup_timeout);
        limit.unwrap_or(DEFAULT_LIMIT)
    }

    /// Waits for the refreshes in flight. Starts can begin new ones meanwhile.
    pub async fn finish_refreshes(&self) {
        self.refreshes.close();
        self.refreshes.wait().await;
    }
}

/// The finished sign-ins, by their `state`: a pending sign-in is valid for one use.
#[derive(Debug, Default)]
pub(crate) struct FinishedSignIns(Mutex<HashSet<String>>);

impl FinishedSignIns {
    /// Records a sign-in. Returns whether it was not recorded before.
    pub fn note(&self, pending: &PendingSignIn) -> bool {
        let mut states = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        states.insert(pending.state().to_owned())
    }
}

pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
