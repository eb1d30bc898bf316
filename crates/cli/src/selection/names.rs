//! The names of servers: how a user writes them, and how servers of several clients with the same name are distinguished.

use std::collections::HashMap;

use mcp_startup::config::ServerEntry;
use mcp_startup::config::clients::{Client, ClientFile};
use mcp_startup::printable;

use super::SelectedServer;
use crate::CommandError;

const NAME_CHARS: usize = 200;

/// How many names an error lists.
const MAX_LISTED: usize = 20;

/// A server as the user writes it: `SERVER` or `CLIENT:SERVER`.
pub struct Wanted {
    written: String,
    of_client: Option<(Client, String)>,
}

impl Wanted {
    pub fn parse(text: &str) -> Self {
        let parts = text.split_once(':');
        let of_client = parts.and_then(|(client, name)| Some((Client::from_id(client)?, name)));
        Self {
            written: text.to_owned(),
            of_client: of_client.map(|(client, name)| (client, name.to_owned())),
        }
    }

    pub fn matches(&self, client: Client, entry: &ServerEntry) -> bool {
        let is_of_client = self
            .of_client
            .as_ref()
            .is_some_and(|(of, name)| *of == client && *name == entry.name);
        is_of_client || self.written == entry.name
    }
}

/// Fails if a name is that of no server, and suggests a similar one.
pub fn require_known(wanted: &[Wanted], files: &[ClientFile]) -> Result<(), CommandError> {
    let servers = || {
        let servers = files.iter();
        servers.flat_map(|file| {
            file.servers
                .iter()
                .map(move |server| (file.client, &server.entry))
        })
    };
    for name in wanted {
        if servers().any(|(client, entry)| name.matches(client, entry)) {
            continue;
        }
        let mut known: Vec<&str> = servers().map(|(_, entry)| entry.name.as_str()).collect();
        known.sort_unstable();
        known.dedup();
        let plain = name
            .of_client
            .as_ref()
            .map_or(&name.written, |(_, name)| name);
        let similar = known
            .iter()
            .map(|known| (strsim::normalized_damerau_levenshtein(known, plain), known))
            .filter(|(similarity, _)| *similarity >= 0.6)
            .max_by(|(left, _), (right, _)| left.total_cmp(right));
        let hint = match similar {
            Some((_, known)) => format!("did you mean `{}`?", printable(known, NAME_CHARS)),
            None => {
                let listed = known.iter().take(MAX_LISTED);
                let listed: Vec<String> = listed.map(|name| printable(name, NAME_CHARS)).collect();
                let more = match known.len().saturating_sub(MAX_LISTED) {
                    0 => String::new(),
                    more => format!(" and {more} more"),
                };
                format!("the configured servers are: {}{more}", listed.join(", "))
            }
        };
        return Err(CommandError::Usage(format!(
            "no client has a server `{}`; {hint}",
            printable(&name.written, NAME_CHARS)
        )));
    }
    Ok(())
}

/// The name of a server with its client.
pub fn qualified(server: &SelectedServer) -> String {
    match server.owners.first() {
        Some(owner) => format!("{}:{}", owner.client.id(), owner.name),
        None => server.entry.name.clone(),
    }
}

/// Names the servers whose names collide `CLIENT:SERVER`, and numbers those that still collide.
pub fn make_unique(servers: &mut [SelectedServer]) {
    let mut counts: HashMap<String, usize> = HashMap::new();
    for server in servers.iter() {
        *counts.entry(server.entry.name.clone()).or_default() += 1;
    }
    let mut used: HashMap<String, usize> = HashMap::new();
    for server in servers {
        let mut name = server.entry.name.clone();
        if counts.get(&name).copied().unwrap_or_default() > 1 {
            name = qualified(server);
        }
        let number = used.entry(name.clone()).or_default();
        *number += 1;
        if *number > 1 {
            let scope = server
                .owners
                .first()
                .map_or("", |owner| owner.scope.as_str());
            name = match scope {
                "" => format!("{name} ({number})"),
                scope => format!("{name} ({scope} {number})"),
            };
        }
        server.entry.name = name;
    }
}
