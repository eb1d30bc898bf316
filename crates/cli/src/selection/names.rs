//! The error for the name of a server that no client has.

use mcp_startup::config::clients::{ClientFile, ServerName};
use mcp_startup::printable;

use crate::CommandError;

const NAME_CHARS: usize = 200;

/// How many names an error lists.
const MAX_LISTED: usize = 20;

/// Fails if a name is that of no server, and suggests a similar one.
pub fn require_known(wanted: &[ServerName], files: &[ClientFile]) -> Result<(), CommandError> {
    let servers = || {
        let servers = files.iter();
        servers.flat_map(|file| {
            file.servers
                .iter()
                .map(move |server| (file.client, &server.entry))
        })
    };
    for name in wanted {
        if servers().any(|(client, entry)| name.matches(client, &entry.name)) {
            continue;
        }
        let mut known: Vec<&str> = servers().map(|(_, entry)| entry.name.as_str()).collect();
        known.sort_unstable();
        known.dedup();
        let plain = name.server();
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
            printable(name.as_str(), NAME_CHARS)
        )));
    }
    Ok(())
}
