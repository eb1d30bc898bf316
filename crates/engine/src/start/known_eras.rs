//! The servers of which a start has found out that they support only the new era of MCP. The next start begins with that era. They are
//! kept only in memory, because a server may be updated.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use mcp_startup_config::{ServerConfig, TransportConfig};

/// The maximum number of servers. Later ones are not remembered.
const MAX_SERVERS: usize = 10_000;

/// The servers that support only the new era.
#[derive(Debug, Default)]
pub(crate) struct KnownEras(Mutex<HashSet<ServerKey>>);

/// The URL of a server, or its command with the arguments.
type ServerKey = Vec<String>;

impl KnownEras {
    pub fn is_modern(&self, config: &ServerConfig) -> bool {
        let servers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        !servers.is_empty() && servers.contains(&key(config))
    }

    /// Remembers whether the server supports only the new era.
    pub fn remember(&self, config: &ServerConfig, is_modern: bool) {
        let mut servers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match is_modern {
            true if servers.len() < MAX_SERVERS => {
                servers.insert(key(config));
            }
            true => {}
            false if servers.is_empty() => {}
            false => {
                servers.remove(&key(config));
            }
        }
    }
}

fn key(config: &ServerConfig) -> ServerKey {
    match &config.transport {
        TransportConfig::Http(http) => vec![http.written_url.clone()],
        TransportConfig::Stdio(stdio) => {
            let command = std::iter::once(&stdio.command);
            command.chain(&stdio.args).cloned().collect()
        }
    }
}
