//! The generated files of this repository: JSON Schemas, types in other languages, and pages of the documentation. All are
//! derived from the types of `crates/core`, the messages of `crates/app-server` and the documents of `crates/cli`.

mod committed_files;
mod core_sources;
mod documentation;
mod field_order;
pub mod languages;
mod pages;
mod schemas;

pub use committed_files::{check, report, write};

use std::error::Error;

use crate::workspace_root;
use languages::{python, typescript};

/// A generated file.
pub struct GeneratedFile {
    /// The path from the root of the workspace, separated by `/`.
    pub path: &'static str,
    /// The contents. Every line ends with LF.
    pub text: String,
}

/// Generates every file.
///
/// # Errors
/// Fails if a type of `crates/core` lacks documentation or examples, or if a source file cannot be read.
pub fn files() -> Result<Vec<GeneratedFile>, Box<dyn Error>> {
    let file = |path, text| GeneratedFile { path, text };
    let mut files = vec![
        file(
            "schema/McpServerStatusUpdatedNotification.json",
            schemas::to_text(&schemas::notification()?)?,
        ),
        file(
            "schema/McpServerStatusUpdatedNotification.lenient.json",
            schemas::to_text(&schemas::lenient_notification()?)?,
        ),
        file(
            "schema/Evidence.json",
            schemas::to_text(&schemas::evidence()?)?,
        ),
        file(
            "schema/StartupFailure.json",
            schemas::to_text(&schemas::startup_failure()?)?,
        ),
        file(
            "bindings/typescript/src/generated/contract.ts",
            typescript::contract()?,
        ),
        file(
            "bindings/typescript/src/generated/verdict.ts",
            typescript::verdict()?,
        ),
        file(
            "bindings/python/python/mcp_startup/_generated.py",
            python::types()?,
        ),
        file("docs/protocol.md", pages::protocol::page()?),
        file("docs/failures.md", pages::failures::page()?),
        file(pages::guide::PATH, pages::guide::page(&workspace_root()?)?),
    ];
    for (path, schema) in [schemas::app_server()?, schemas::program()?].concat() {
        files.push(file(path, schemas::to_text(&schema)?));
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_reproducible_and_its_lines_are_clean() {
        for (file, again) in files().unwrap().iter().zip(files().unwrap()) {
            assert_eq!(file.text, again.text, "{}", file.path);
            assert!(!file.text.contains('\r'), "{}", file.path);
            assert!(file.text.ends_with('\n'), "{}", file.path);
            assert!(!file.text.ends_with("\n\n"), "{}", file.path);
            assert!(
                file.text.lines().all(|line| line.trim_end() == line),
                "{}",
                file.path
            );
        }
    }
}
