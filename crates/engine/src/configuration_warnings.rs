//! The warnings about the entry of a server, which a start and the other commands of a host show alike.

use mcp_startup_auth::Mask;
use mcp_startup_config::{EntryProblem, ServerEntry};
use mcp_startup_core::ConfigurationEvidence;

use crate::start::masked_secrets::mask;

/// The maximum length of a problem, in characters.
const PROBLEM_CHARS: usize = 1000;

/// Returns the parts of a server's entry that may not have the expected effect: keys that are not read, with the key that the user may
/// mean, and keys that only some clients read. Secrets are masked.
///
/// The closing event of a start has them too ([`StartupEvent::configuration_warnings`](crate::StartupEvent::configuration_warnings)),
/// and the probable cause of a failure. Use this function for a page that shows a server without starting it.
///
/// ```
/// use mcp_startup::config::{self, ProcessEnvironment};
/// use mcp_startup::configuration_warnings;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("mcp.json");
/// # std::fs::write(&path, r#"{ "mcpServers": { "docs": { "command": "docs-server", "environment": {} } } }"#)?;
/// let configuration = config::read(&path, &ProcessEnvironment)?;
/// let warnings = configuration_warnings(&configuration.servers[0]);
/// assert_eq!(warnings[0].key.as_deref(), Some("mcpServers.docs.environment"));
/// # Ok(())
/// # }
/// ```
pub fn configuration_warnings(server: &ServerEntry) -> Vec<ConfigurationEvidence> {
    let mask = mask(server);
    let warnings = server.warnings.iter().chain(&server.compatibility_warnings);
    warnings.map(|warning| evidence(warning, &mask)).collect()
}

/// A problem of the configuration, with its secrets masked.
pub(crate) fn evidence(problem: &EntryProblem, mask: &Mask) -> ConfigurationEvidence {
    ConfigurationEvidence {
        key: Some(problem.key.clone()),
        line: problem.line,
        problem: Some(mask.foreign(&problem.problem, PROBLEM_CHARS)),
    }
}
