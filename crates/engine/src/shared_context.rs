//! The state that all starts of one [`Startup`](crate::Startup) share: the HTTP clients, the stores, the limit, and the refreshes in
//! flight.

use std::sync::Arc;
use std::time::Duration;

use mcp_startup_auth::CredentialStores;
use mcp_startup_auth::network::Network;
use mcp_startup_config::{ProtocolEra, ServerConfig};
use tokio_util::task::TaskTracker;

use crate::authorization::RecentRefreshes;
use crate::authorization::sign_in::SignInHistory;
use crate::running_starts::RunningStarts;
use crate::start::KnownEras;
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
    /// The name under which the user sets `limit`.
    pub limit_option: Option<&'static str>,
    /// Whether the servers come from a command line.
    pub on_command_line: bool,
    /// Overrides the era of the configuration.
    pub protocol_era: Option<ProtocolEra>,
    /// Whether each start records its timeline.
    pub records_timelines: bool,
    /// The servers that were found to support only the new era.
    pub eras: Arc<KnownEras>,
    pub running_starts: Arc<RunningStarts>,
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
    /// The option or the configuration key with which the user can give the server more time.
    pub fn limit_key(&self, config: &ServerConfig) -> Option<&'static str> {
        match self.limit {
            Some(_) => self.limit_option,
            None => config.startup_timeout_key.or(self.limit_option),
        }
    }

    /// The era of MCP to begin with.
    pub fn era_of(&self, config: &ServerConfig) -> ProtocolEra {
        self.protocol_era.unwrap_or(config.protocol_era)
    }

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
