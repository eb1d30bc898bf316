//! The warnings about the entry of a server, as every command shows them.

use mcp_startup_core::ConfigurationEvidence;

use crate::output::one_line::one_line;

const WARNING_CHARS: usize = 300;

/// One text for each warning that `message` does not contain, escaped for a terminal.
pub fn texts(warnings: &[ConfigurationEvidence], message: &str) -> Vec<String> {
    let mut texts = Vec::new();
    for warning in warnings {
        let Some(problem) = warning.problem.as_deref() else {
            continue;
        };
        if message.contains(problem) {
            continue;
        }
        let key = one_line(warning.key.as_deref().unwrap_or_default(), WARNING_CHARS);
        let line = warning.line.map(|line| format!(" (line {line})"));
        let line = line.unwrap_or_default();
        texts.push(format!("{key}{line}: {}", one_line(problem, WARNING_CHARS)));
    }
    texts
}
