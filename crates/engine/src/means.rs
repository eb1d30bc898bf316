//! What every start of one [`Startup`](crate::Startup) shares.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mcp_startup_auth::network::Network;
use mcp_startup_auth::{CredentialStores, PendingSignIn};
use mcp_startup_config::ServerConfig;
use tokio_util::task::TaskTracker;

use crate::lately::Lately;

/// How long a start may take where neither the caller nor the configuration says: 30 s.
pub const DEFAULT_LIMIT: Duration = Duration::from_secs(30);

/// What every start of one [`Startup`](crate::Startup) shares.
pub(crate) struct Means {
    pub network: Network,
    pub stores: Option<CredentialStores>,
    /// Goes over the limit of the configuration.
    pub limit: Option<Duration>,
    /// Owns the refreshes that are under way: they outlive the starts that wanted them.
    pub refreshes: TaskTracker,
    /// What came of the refreshes that a host has asked for.
    pub lately: Arc<Lately>,
    /// The sign-ins that were finished.
    pub finished: Arc<Finished>,
    /// The URL of the host's client id metadata document.
    pub client_metadata_url: Option<String>,
}

impl Means {
    /// How long the start of this server may take.
    pub fn limit_of(&self, config: &ServerConfig) -> Duration {
        let limit = self.limit.or(config.startup_timeout);
        limit.unwrap_or(DEFAULT_LIMIT)
    }

    /// Waits for the refreshes that are under way. New ones can be begun all the same.
    pub async fn finish_refreshes(&self) {
        self.refreshes.close();
        self.refreshes.wait().await;
    }
}

/// The sign-ins that were finished: each is good for one.
#[derive(Debug, Default)]
pub(crate) struct Finished(Mutex<HashSet<String>>);

impl Finished {
    /// Whether it is the first time.
    pub fn note(&self, pending: &PendingSignIn) -> bool {
        let mut states = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        states.insert(pending.state().to_owned())
    }
}

pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
