//! The tracker that folds notifications into the current state of each server.

use super::Result;
use crate::generate::pages::markdown::{code, table_row};
use crate::generate::{core_sources, documentation};

/// Returns the section as Markdown.
pub fn section() -> Result<String> {
    let mut page = format!(
        "## StartupTracker\n\n{}\n\n| Operation | Effect |\n| --- | --- |\n",
        documentation::struct_documentation(core_sources::TRACKER, "StartupTracker")?
    );
    let operations = documentation::accessors(core_sources::TRACKER, "StartupTracker")?;
    let order = [
        "withLimit",
        "apply",
        "applyLines",
        "servers",
        "server",
        "reauthenticationRequired",
        "remove",
    ];
    for name in order {
        let meaning = operations
            .get(name)
            .ok_or_else(|| format!("StartupTracker has no documented {name}"))?;
        table_row(&mut page, &[&code(name), &meaning.replace('\n', " ")])?;
    }
    Ok(page)
}
