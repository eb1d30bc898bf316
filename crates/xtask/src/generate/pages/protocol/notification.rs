//! The notification: an example, its fields, and its two enums.

use std::fmt::Write;

use mcp_startup_core::{
    CODEX_VERSIONS, Evidence, METHOD, McpServerStatusUpdatedNotification, encode, judge,
};

use super::Result;
use super::type_sections::{enum_section, is_nullable, property_type};
use crate::generate::field_order;
use crate::generate::pages::markdown::{code, table_row};
use crate::generate::schemas::{self, description};

/// Returns the section as Markdown.
pub fn section() -> Result<String> {
    let schema = schemas::documented_notification()?;
    let failure = judge(evidence_from(
        r#"{
            "server": "linear",
            "credential": {"source": "stored", "worth": {"accessToken": "expired", "refreshToken": false}},
            "requests": [{"to": "mcp", "credentialSent": "stored", "status": 401}]
        }"#,
    )?);
    let lines = [
        McpServerStatusUpdatedNotification::starting("linear"),
        McpServerStatusUpdatedNotification::from_failure("linear", &failure),
    ];
    let mut page = format!(
        "## The notification\n\nThe method is `{METHOD}`. Each message is one line. This start fails because the user has to sign in again:\n\n```json\n"
    );
    for line in &lines {
        writeln!(page, "{}", encode(line))?;
    }
    write!(
        page,
        "```\n\n### McpServerStatusUpdatedNotification\n\n{}\n\n",
        description(&schema)?
    )?;
    page.push_str("| Field | Type | When reading | Meaning |\n| --- | --- | --- | --- |\n");
    let required = schema["required"].as_array().ok_or("nothing is required")?;
    for field in field_order::field_names("McpServerStatusUpdatedNotification")? {
        let property = &schema["properties"][&field];
        let when_reading = match required.iter().any(|name| name == &field) {
            true => "required",
            false => "may be absent",
        };
        let type_ = property_type(property)?;
        let nullable = match is_nullable(property) {
            true => " or `null`",
            false => "",
        };
        table_row(
            &mut page,
            &[
                &code(&field),
                &format!("{type_}{nullable}"),
                when_reading,
                description(property)?,
            ],
        )?;
    }
    write!(
        page,
        "\nCodex's app-server sends the same notification. Tests read what Codex {} wrote, whose schemas are in `schema/`.\n",
        CODEX_VERSIONS.join(" and ")
    )?;
    for name in ["McpServerStartupState", "McpServerStartupFailureReason"] {
        enum_section(&mut page, name, &schema["definitions"][name], "Value")?;
    }
    Ok(page)
}

fn evidence_from(json: &str) -> Result<Evidence> {
    serde_json::from_str(json).map_err(|error| format!("{json}: {error}").into())
}
