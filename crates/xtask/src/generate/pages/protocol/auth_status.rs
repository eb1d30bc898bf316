//! The values of `McpAuthStatus`, `McpServerConnectionStatus` and `McpAuthRequiredReason`.

use mcp_startup_core::{McpAuthRequiredReason, McpAuthStatus, McpServerConnectionStatus, Recovery};
use serde::Deserialize;

use super::Result;
use super::type_sections::type_section;
use crate::generate::pages::markdown::{code, table_row};
use crate::generate::schemas;

/// Returns the section as Markdown.
pub fn section() -> Result<String> {
    let mut page = String::new();
    let schema = schemas::documented::<McpAuthStatus>()?;
    type_section(&mut page, "##", "McpAuthStatus", &schema, "Value")?;
    page.push_str(
        "\nThe status is `null` if no usable credential is configured or stored, and it is unknown whether the server publishes OAuth\nmetadata.\n",
    );
    let schema = schemas::documented::<McpServerConnectionStatus>()?;
    page.push('\n');
    type_section(
        &mut page,
        "##",
        "McpServerConnectionStatus",
        &schema,
        "Value",
    )?;
    page.push('\n');
    let schema = schemas::documented::<McpAuthRequiredReason>()?;
    type_section(&mut page, "##", "McpAuthRequiredReason", &schema, "Value")?;
    page.push_str("\n| [Recovery](#recovery) | Reason |\n| --- | --- |\n");
    let recoveries = schemas::documented::<Recovery>()?;
    for (name, _) in schemas::enum_variants(&recoveries)? {
        let recovery = Recovery::deserialize(serde_json::Value::from(name))?;
        let reason = match recovery.auth_required_reason() {
            Some(reason) => code(schemas::string(&serde_json::to_value(reason)?)?),
            None => "none: the status is `error`".to_owned(),
        };
        table_row(&mut page, &[&code(name), &reason])?;
    }
    Ok(page)
}
