//! `docs/failures.md`: each kind of failure with its messages, its recovery and the minimal evidence.
//!
//! The descriptions are the documentation of the types. The messages are judged from the examples of `crates/core`.

use std::error::Error;
use std::fmt::Write;

use mcp_startup_core::{Recovery, StartupFailureKind};

use super::failure_examples::{KindExamples, RecoveryExamples, examples_by_kind};
use super::markdown::{code, escape, table_row};
use crate::generate::schemas;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Returns the page as Markdown.
pub fn page() -> Result<String> {
    let schema = schemas::startup_failure()?;
    let kinds = examples_by_kind(&schema["definitions"])?;
    let mut page = introduction(&kinds)?;
    for kind in &kinds {
        page.push('\n');
        section(&mut page, kind)?;
    }
    Ok(page)
}

fn introduction(kinds: &[KindExamples]) -> Result<String> {
    let mut page = String::from(
        "\
# Failures

*Generated from the types and examples of `crates/core` by `cargo xtask generate`. To change this page, change those.*

This page lists every kind of failed start with the messages that users see. A failure has

* a **kind**: a stable value for programs;
* a **message** for the user: the problem, its cause and the next step, in at most 300 characters. It names the server. Show
  it unchanged and do not parse it, because the text may change in any version;
* a **recovery**: how to fix the failure, and therefore which button to show with the message;
* the **evidence**: the technical details, for reports and debugging.

The kinds are tried in the order of this table, and the first that applies is the result. In Rust,
`StartupFailure::examples()` returns every failure of this page, so that you can test what your client shows.
[protocol.md](protocol.md#startupfailure) describes the format of kinds, recoveries and evidence.

| Kind | Recovery | Does signing in fix it? |
| --- | --- | --- |
",
    );
    for kind in kinds {
        let recoveries = kind.recoveries.iter();
        let names: Vec<_> = recoveries
            .clone()
            .map(|recovery| code(&recovery.name))
            .collect();
        let mut fixed: Vec<_> = recoveries
            .map(|recovery| fixed_by_sign_in(kind.kind, recovery.recovery))
            .collect();
        fixed.dedup();
        let link = format!("[{}](#{})", code(&kind.name), kind.name.to_lowercase());
        table_row(
            &mut page,
            &[&link, &names.join(" or "), &fixed.join(" or ")],
        )?;
    }
    Ok(page)
}

/// Whether a sign-in fixes a failure, as a cell of the table.
fn fixed_by_sign_in(kind: StartupFailureKind, recovery: Recovery) -> &'static str {
    match recovery {
        Recovery::SignIn => "yes, the first sign-in",
        Recovery::Reauthenticate => "yes, signing in again",
        Recovery::GrantScope => "yes, if the user grants more access",
        Recovery::OpenClient => "yes, in the other client, or here if the message offers it",
        // The refusal may be permanent. The message then recommends a sign-in.
        Recovery::Retry if kind == StartupFailureKind::AuthorizationUnavailable => {
            "perhaps, if the message recommends it"
        }
        Recovery::None
        | Recovery::Retry
        | Recovery::FixConfiguration
        | Recovery::FixCredentialStore => "no",
    }
}

fn section(page: &mut String, kind: &KindExamples) -> Result<()> {
    write!(page, "## {}\n\n{}\n", kind.name, kind.meaning)?;
    for recovery in &kind.recoveries {
        page.push('\n');
        recovery_section(page, recovery)?;
    }
    Ok(())
}

fn recovery_section(page: &mut String, recovery: &RecoveryExamples) -> Result<()> {
    for example in &recovery.examples {
        let message = escape(example.failure.message());
        match example.when.as_str() {
            "" => write!(page, "> {message}\n\n")?,
            when => write!(page, "* {when}:\n  > {message}\n\n")?,
        }
    }
    // The reason depends on the kind, not on the evidence.
    let reason = recovery
        .examples
        .first()
        .and_then(|example| example.failure.reason());
    let reason = serde_json::to_string(&reason)?;
    write!(
        page,
        "Recovery {}: {}\n\nOn the wire: {}.\n\n",
        code(&recovery.name),
        recovery.meaning,
        code(&format!("\"failureReason\":{reason}"))
    )?;
    write!(
        page,
        "The minimal evidence:\n\n```json\n{}\n```\n",
        serde_json::to_string(&recovery.minimal_evidence)?
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use mcp_startup_core::StartupFailure;

    #[test]
    fn every_message_is_in_the_section_of_its_kind() {
        let page = page().unwrap();
        let mut sections = page.split("\n## ");
        sections.next().unwrap();
        let sections: Vec<&str> = sections.collect();
        assert_eq!(sections.len(), 21);
        for failure in StartupFailure::examples() {
            let name = serde_json::to_value(failure.kind()).unwrap();
            let head = format!("{}\n", name.as_str().unwrap());
            let section = sections
                .iter()
                .find(|section| section.starts_with(&head))
                .unwrap();
            let quoted = format!("> {}\n", escape(failure.message()));
            assert!(section.contains(&quoted), "{quoted}");
        }
    }

    #[test]
    fn one_kind_has_a_reason() {
        let page = page().unwrap();
        let (before, after) = page
            .split_once("\"failureReason\":\"reauthenticationRequired\"")
            .unwrap();
        let (_, section) = before.rsplit_once("\n## ").unwrap();
        assert!(section.starts_with("reauthenticationRequired\n"));
        assert!(!after.contains("\"failureReason\":\""));
    }

    #[test]
    fn the_table_shows_which_failures_a_sign_in_fixes() {
        let page = page().unwrap();
        let rows: Vec<&str> = page
            .lines()
            .filter(|line| line.starts_with("| [`"))
            .collect();
        assert_eq!(rows.len(), 21);
        let yes: Vec<_> = rows.iter().filter(|row| row.contains("| yes")).collect();
        assert_eq!(yes.len(), 4, "{yes:#?}");
        let perhaps: Vec<_> = rows.iter().filter(|row| row.contains("perhaps")).collect();
        assert_eq!(perhaps.len(), 1, "{perhaps:#?}");
    }
}
