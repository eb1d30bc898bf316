//! The identity of a record: the primary key of its rows, and what its encryption authenticates.

use mcp_startup_auth::CredentialKey;
use ring::digest;

/// A record of one user of one tenant.
#[derive(Clone, Debug)]
pub(crate) struct RecordId {
    /// SHA-256 of the parts. The primary key of the rows.
    pub hash: Vec<u8>,
    pub tenant: String,
    pub user: String,
    /// The name of the server.
    pub server: String,
    /// The hash of the URL of the server.
    pub url: String,
}

impl RecordId {
    pub fn new(tenant: &str, user: &str, key: &CredentialKey) -> Self {
        let key = key.as_str();
        let (server, url) = key.rsplit_once('|').unwrap_or((key, ""));
        Self::of_parts(tenant, user, server, url)
    }

    /// The record with these parts, which a row stores.
    pub fn of_parts(tenant: &str, user: &str, server: &str, url: &str) -> Self {
        let parts = [tenant, user, server, url].map(str::as_bytes);
        let hash = digest::digest(&digest::SHA256, &length_prefixed(&parts));
        let [tenant, user, server, url] = [tenant, user, server, url].map(str::to_owned);
        Self {
            hash: hash.as_ref().to_vec(),
            tenant,
            user,
            server,
            url,
        }
    }
}

/// The text that notifies hosts of a sign-in of a user. It contains no name.
pub(crate) fn notification(tenant: &str, user: &str) -> String {
    let parts = ["mcp-startup user 1", tenant, user].map(str::as_bytes);
    let hash = digest::digest(&digest::SHA256, &length_prefixed(&parts));
    let half = hash.as_ref().iter().take(16);
    half.map(|byte| format!("{byte:02x}")).collect()
}

/// The parts, each after its length in bytes as a 64-bit number, so that no two lists of parts have the same bytes.
pub(crate) fn length_prefixed(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_only_look_alike_have_different_ids() {
        let key = |name: &str| CredentialKey::new(name, "https://mcp.example/mcp");
        let ids = [
            RecordId::new("a", "bc", &key("d")),
            RecordId::new("ab", "c", &key("d")),
            RecordId::new("a", "b", &key("cd")),
            RecordId::new("a", "bc", &key("d|")),
            RecordId::new("a", "bc", &CredentialKey::new("d", "https://mcp.example/")),
            RecordId::new("A", "bc", &key("d")),
        ];
        for (at, id) in ids.iter().enumerate() {
            assert!(ids[at + 1..].iter().all(|other| other.hash != id.hash));
        }
    }
}
