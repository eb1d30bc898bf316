//! `docs/protocol.md`: the meaning of every type, field and value.
//!
//! Descriptions of types are their own documentation. Statements about behavior (examples, how a line is read, how evidence
//! is judged, what a refusal means) are computed by calling the functions that they describe.

mod auth_status;
mod evidence;
mod notification;
mod reading;
mod refusals;
mod startup_failure;
mod tracker;
mod type_sections;

use std::error::Error;

use mcp_startup_core::METHOD;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Returns the page as Markdown.
pub fn page() -> Result<String> {
    let sections = [
        introduction(),
        notification::section()?,
        reading::section()?,
        tracker::section()?,
        auth_status::section()?,
        startup_failure::section()?,
        evidence::section()?,
        refusals::section()?,
    ];
    Ok(sections.join("\n"))
}

fn introduction() -> String {
    format!(
        "\
# The protocol

*Generated from the documentation of the types in `crates/core` by `cargo xtask generate`. To change this page, change those.*

An app that starts a user's MCP servers reports the state of each start to its client with the JSON-RPC notification
`{METHOD}`. For a failed start, a [`StartupFailure`](#startupfailure) has more details. It is derived from
the [`Evidence`](#evidence) of the start.

| JSON Schema (draft-07) | Contents |
| --- | --- |
| [`McpServerStatusUpdatedNotification.json`](../schema/McpServerStatusUpdatedNotification.json) | The params of the notification, strict, for writing |
| [`McpServerStatusUpdatedNotification.lenient.json`](../schema/McpServerStatusUpdatedNotification.lenient.json) | The params of the notification, lenient, for reading: accepts values from newer servers |
| [`StartupFailure.json`](../schema/StartupFailure.json) | The failure that is derived from the evidence |
| [`Evidence.json`](../schema/Evidence.json) | The evidence of a failed start |
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schema_is_linked() {
        let root = crate::workspace_root().unwrap();
        let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
        let pages = [
            ("schema/app-server/", "../", read("docs/app-server.md")),
            ("schema/program/", "", read("README.md")),
            ("schema/", "../", page().unwrap()),
        ];
        let mut of_types = 0;
        for file in crate::generate::files().unwrap() {
            let mut pages = pages.iter();
            let Some((folder, to_root, page)) =
                pages.find(|(folder, ..)| file.path.starts_with(folder))
            else {
                continue;
            };
            let link = format!("]({to_root}{})", file.path);
            assert!(page.contains(&link), "{link}");
            of_types += usize::from(*folder == "schema/");
        }
        assert_eq!(pages[2].2.matches("](../schema/").count(), of_types);
    }
}
