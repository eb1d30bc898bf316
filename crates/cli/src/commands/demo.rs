//! `mcp-startup demo`: serves the lab in this process, and checks its servers as if the user had configured them.

use std::io::{IsTerminal, Write};

use mcp_startup::StartupOptions;
use mcp_startup::auth::{CredentialKey, now_ms};
use mcp_startup::config::{ProcessEnvironment, parse};
use mcp_startup_lab::{Lab, Scenario, config_toml};

use crate::CommandError;
use crate::arguments;
use crate::commands::check::{self, Checked};
use crate::commands::lab::unknown_scenario;
use crate::documents::CheckedServer;
use crate::output::exit_status::ExitStatus;
use crate::output::table::wrapped;
use crate::selection::Selection;
use crate::this_program;

/// Lab scenarios that show different states.
const SHOWN: [&str; 14] = [
    "ready",
    "ready-modern",
    "expired-refreshes",
    "expired-but-served",
    "expired-no-refresh",
    "first-sign-in",
    "insufficient-scope",
    "bearer-rejected",
    "api-key",
    "server-500",
    "html-page",
    "hangs",
    "stdio-ready",
    "stdio-exits-3",
];

pub fn run(program: &[String], arguments: arguments::Demo) -> Result<ExitStatus, CommandError> {
    let runtime = tokio::runtime::Runtime::new()?;
    // The lab serves on its own thread, and stops when it is dropped.
    let lab = runtime.block_on(Lab::start(0))?;
    let rows = selected(&lab, &arguments)?;
    let home = tempfile::tempdir()?;
    let text = config_toml(rows.iter().copied(), &lab.base_url(), program);
    let path = home.path().join("config.toml");
    std::fs::write(&path, &text)?;
    std::fs::write(
        home.path().join(".credentials.json"),
        credentials(&lab, &rows)?,
    )?;
    let configuration = parse(&text, &path, &ProcessEnvironment)?;
    let options = StartupOptions::for_configuration(&configuration);
    let mut selection = Selection::of_entries(configuration.servers, configuration.credentials);
    // The servers end with this command.
    selection.suggestions = None;
    let Checked { status, servers } = check::start(
        (crate::runtime()?, None),
        options,
        selection,
        arguments.output.into(),
        false,
    )?;
    if status == ExitStatus::Interrupted {
        return Ok(status);
    }
    let wrong = unexpected(&rows, &servers);
    let (text, status) = match wrong.is_empty() {
        true => (
            format!(
                "These were demo servers. To check your own, run `{} check` (with these servers, its exit status would be {})",
                this_program::name(),
                status.code()
            ),
            ExitStatus::AllReady,
        ),
        false => (
            format!(
                "These servers did not end as their scenarios specify: {}",
                wrong.join(", ")
            ),
            ExitStatus::Failed,
        ),
    };
    let text = match std::io::stderr().is_terminal() {
        true => wrapped(&text, textwrap::termwidth(), ""),
        false => text,
    };
    let _ = writeln!(crate::output::stderr::styled(), "{text}");
    Ok(status)
}

fn selected<'a>(
    lab: &'a Lab,
    arguments: &arguments::Demo,
) -> Result<Vec<&'a Scenario>, CommandError> {
    if arguments.all {
        return Ok(lab.scenarios().iter().collect());
    }
    let names: Vec<&str> = match arguments.scenarios.is_empty() {
        true => SHOWN.to_vec(),
        false => arguments.scenarios.iter().map(String::as_str).collect(),
    };
    let known = lab.scenarios();
    let find = |name| {
        let found = known.iter().find(|row| row.name == name);
        found.ok_or_else(|| unknown_scenario("scenario", name, known))
    };
    names.into_iter().map(find).collect()
}

/// The stored sign-ins of the scenarios, in Codex's format.
fn credentials(lab: &Lab, rows: &[&Scenario]) -> Result<Vec<u8>, std::io::Error> {
    let records: serde_json::Map<_, _> = rows
        .iter()
        .filter_map(|row| {
            let record = row.stored_record(&lab.base_url(), now_ms())?;
            let key = CredentialKey::new(&row.name, record["server_url"].as_str()?);
            Some((key.as_str().to_owned(), record))
        })
        .collect();
    Ok(serde_json::to_vec(&records)?)
}

/// The servers that did not end as their scenario specifies.
fn unexpected<'a>(rows: &'a [&Scenario], servers: &[CheckedServer]) -> Vec<&'a str> {
    rows.iter()
        .filter(|row| {
            !servers.iter().any(|server| {
                let kind = server.failure.as_ref().map(|failure| failure.kind());
                let kind = serde_json::to_value(kind).unwrap_or_default();
                let reason = server.failure_reason.as_ref().map(|reason| reason.as_str());
                server.name == row.name
                    && server.status.as_str() == row.expect.state
                    && kind.as_str() == row.expect.kind.as_deref()
                    && reason == row.expect.reason.as_deref()
            })
        })
        .map(|row| row.name.as_str())
        .collect()
}
