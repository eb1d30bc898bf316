//! The verdict on a failed start: its fields, kinds and recoveries, and the minimal evidence for each kind.

use std::fmt::Write;

use super::Result;
use super::type_sections::{enum_section, property_type};
use crate::generate::field_order;
use crate::generate::pages::failure_examples::examples_by_kind;
use crate::generate::pages::markdown::{code, table_row};
use crate::generate::schemas::{self, description};

/// Returns the section as Markdown.
pub fn section() -> Result<String> {
    let schema = schemas::startup_failure()?;
    let definitions = &schema["definitions"];
    let kinds = examples_by_kind(definitions)?;

    let mut page = format!("## StartupFailure\n\n{}\n\n", description(&schema)?);
    page.push_str("| Field | Type | Meaning |\n| --- | --- | --- |\n");
    for field in field_order::field_names("StartupFailure")? {
        let property = &schema["properties"][&field];
        table_row(
            &mut page,
            &[
                &code(&field),
                &property_type(property)?,
                description(property)?,
            ],
        )?;
    }

    write!(
        page,
        "\n### StartupFailureKind\n\n{} The kinds are tried in the order of this table, and the first that applies is the result.\n\n",
        description(&definitions["StartupFailureKind"])?
    )?;
    page.push_str("| Kind | Meaning | Recovery |\n| --- | --- | --- |\n");
    for kind in &kinds {
        let recoveries: Vec<String> = kind
            .recoveries
            .iter()
            .map(|recovery| code(&recovery.name))
            .collect();
        table_row(
            &mut page,
            &[&code(&kind.name), &kind.meaning, &recoveries.join(" or ")],
        )?;
    }
    page.push_str("\n[failures.md](failures.md) lists the messages for each kind.\n");

    enum_section(&mut page, "Recovery", &definitions["Recovery"], "Recovery")?;

    page.push_str(
        "\n### From evidence to kind\n\nThe minimal evidence for which `judge` returns each kind and recovery.\n\n\
         | Evidence | Kind | Recovery |\n| --- | --- | --- |\n",
    );
    for kind in &kinds {
        for recovery in &kind.recoveries {
            let evidence = serde_json::to_string(&recovery.minimal_evidence)?;
            table_row(
                &mut page,
                &[&code(&evidence), &code(&kind.name), &code(&recovery.name)],
            )?;
        }
    }
    Ok(page)
}
