//! `docs/failures.md`: each kind of failure as a person reads it, and what a client offers then.
//!
//! When a kind is said is the type's own documentation; the messages are those of core's examples, judged when the page is made.

use std::error::Error;
use std::fmt::Write;

use mcp_startup_core::{Recovery, StartupFailureKind};

use crate::examples::{self, Kind, KindRecovery};
use crate::markdown::{code, plain, row};
use crate::schemas;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The page as Markdown.
pub fn page() -> Result<String> {
    let schema = schemas::startup_failure()?;
    let kinds = examples::kinds(&schema["definitions"])?;
    let mut page = introduction(&kinds)?;
    for kind in &kinds {
        page.push('\n');
        section(&mut page, kind)?;
    }
    Ok(page)
}

fn introduction(kinds: &[Kind]) -> Result<String> {
    let mut page = String::from(
        "\
# Failures

*Generated from the types and examples of `crates/core` by `cargo xtask generate`: change those, not this page.*

Why an MCP server did not start, as a person is told it, and what a client offers then. A failure has

* a **kind**, a stable value to decide by;
* a **message** to show: it names the server, says what happened and what to do next, in at most 300 characters. Show it
  as it is, and take nothing out of it: how it reads may change with any version;
* a **recovery**, which says what mends the failure, and so which button belongs beside the message;
* the **evidence**, the technical side, for a report or for who wants to look into it.

The kinds are tried in this order, and the first that holds, wins. In Rust, `StartupFailure::examples()` gives every
failure of this page, to try out what a client shows. How kinds, recoveries and evidence are written stands in
[protocol.md](protocol.md#startupfailure).

| kind | recovery | does a sign-in mend it? |
| --- | --- | --- |
",
    );
    for kind in kinds {
        let recoveries = kind.recoveries.iter();
        let names: Vec<_> = recoveries.clone().map(|of| code(&of.name)).collect();
        let mut mended: Vec<_> = recoveries
            .map(|of| mended_by_a_sign_in(kind.kind, of.recovery))
            .collect();
        mended.dedup();
        let link = format!("[{}](#{})", code(&kind.name), kind.name.to_lowercase());
        row(
            &mut page,
            &[&link, &names.join(" or "), &mended.join(" or ")],
        )?;
    }
    Ok(page)
}

fn mended_by_a_sign_in(kind: StartupFailureKind, recovery: Recovery) -> &'static str {
    match recovery {
        Recovery::SignIn => "yes, a first one",
        Recovery::Reauthenticate => "yes, signing in again",
        Recovery::GrantScope => "yes, one that grants more",
        // Its refusal may be for good, and the message then says so.
        Recovery::Retry if kind == StartupFailureKind::AuthorizationUnavailable => {
            "perhaps: only if its message says so"
        }
        Recovery::None
        | Recovery::Retry
        | Recovery::FixConfiguration
        | Recovery::FixCredentialStore => "no",
    }
}

fn section(page: &mut String, kind: &Kind) -> Result<()> {
    write!(page, "## {}\n\n{}\n", kind.name, kind.meaning)?;
    for recovery in &kind.recoveries {
        page.push('\n');
        recovery_section(page, recovery)?;
    }
    Ok(())
}

fn recovery_section(page: &mut String, recovery: &KindRecovery) -> Result<()> {
    for example in &recovery.examples {
        let message = plain(example.failure.message());
        match example.when.as_str() {
            "" => write!(page, "> {message}\n\n")?,
            when => write!(page, "* {when}:\n  > {message}\n\n")?,
        }
    }
    // One kind has a reason, whatever its evidence is.
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
        "The least evidence:\n\n```json\n{}\n```\n",
        serde_json::to_string(&recovery.least_evidence)?
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use mcp_startup_core::StartupFailure;

    #[test]
    fn every_message_stands_in_the_page_below_its_kind() {
        let page = page().unwrap();
        let mut sections = page.split("\n## ");
        sections.next().unwrap();
        let sections: Vec<&str> = sections.collect();
        assert_eq!(sections.len(), 18);
        for failure in StartupFailure::examples() {
            let name = serde_json::to_value(failure.kind()).unwrap();
            let head = format!("{}\n", name.as_str().unwrap());
            let section = sections.iter().find(|of| of.starts_with(&head)).unwrap();
            let quoted = format!("> {}\n", plain(failure.message()));
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
    fn the_table_says_which_failures_a_sign_in_mends() {
        let page = page().unwrap();
        let rows: Vec<&str> = page
            .lines()
            .filter(|line| line.starts_with("| [`"))
            .collect();
        assert_eq!(rows.len(), 18);
        let yes: Vec<_> = rows.iter().filter(|row| row.contains("| yes")).collect();
        assert_eq!(yes.len(), 3, "{yes:#?}");
        let perhaps: Vec<_> = rows.iter().filter(|row| row.contains("perhaps")).collect();
        assert_eq!(perhaps.len(), 1, "{perhaps:#?}");
    }
}
