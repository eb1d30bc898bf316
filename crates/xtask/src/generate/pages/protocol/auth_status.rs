//! The values of `McpAuthStatus`.

use mcp_startup_core::McpAuthStatus;

use super::Result;
use super::type_sections::type_section;
use crate::generate::schemas;

/// Returns the section as Markdown.
pub fn section() -> Result<String> {
    let mut page = String::new();
    let schema = schemas::documented::<McpAuthStatus>()?;
    type_section(&mut page, "##", "McpAuthStatus", &schema, "Value")?;
    page.push_str(
        "\nThe status is `null` if no usable credential is configured or stored, and it is unknown whether the server publishes OAuth\nmetadata.\n",
    );
    Ok(page)
}
