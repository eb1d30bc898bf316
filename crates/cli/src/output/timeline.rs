//! The timeline of one start as text, for `mcp-startup explain`.

use anstyle::{AnsiColor, Style};
use mcp_startup::{
    StartTimeline, TimelineEntry, TimelineMessageKind, TimelineRefresh, TimelineStep,
};
use serde::Serialize;

use crate::output::one_line::one_line;
use crate::output::table::wrapped;

const GOOD: Style = AnsiColor::Green.on_default();
const ASKS: Style = AnsiColor::Yellow.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const DIM: Style = Style::new().dimmed();
const HEADING: Style = Style::new().bold();
/// A time as `  12345 ms  `.
const TIME_COLUMNS: usize = 12;
const TEXT_CHARS: usize = 1000;

/// Formats each entry, wrapped at this many columns.
pub fn lines(timeline: &StartTimeline, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = timeline
        .entries
        .iter()
        .map(|entry| line(entry, columns))
        .collect();
    if timeline.omitted > 0 {
        let plural = if timeline.omitted == 1 { "" } else { "s" };
        lines.push(format!(
            "{}{DIM}{} more step{plural} left out{DIM:#}",
            " ".repeat(TIME_COLUMNS),
            timeline.omitted
        ));
    }
    lines
}

fn line(entry: &TimelineEntry, columns: usize) -> String {
    let style = style(&entry.step);
    let text = entry.step.to_string();
    let indent = " ".repeat(TIME_COLUMNS);
    let wrapped = wrapped(&one_line(&text, TEXT_CHARS), columns, &indent);
    // The style must not reach over the time.
    let body = wrapped.get(TIME_COLUMNS..).unwrap_or_default();
    format!("{DIM}{:>7} ms{DIM:#}  {style}{body}{style:#}", entry.at_ms)
}

fn style(step: &TimelineStep) -> Style {
    match step {
        TimelineStep::Phase { .. } => HEADING,
        TimelineStep::ProgramOutput { .. } => DIM,
        TimelineStep::ProgramExited { .. }
        | TimelineStep::RequestFailed { .. }
        | TimelineStep::RequestBlocked { .. } => BAD,
        TimelineStep::Credential { store_trouble, .. } if store_trouble.is_some() => BAD,
        TimelineStep::MessageReceived(message) => match message.kind {
            TimelineMessageKind::Error => BAD,
            TimelineMessageKind::Result => GOOD,
            _ => Style::new(),
        },
        TimelineStep::ResponseReceived(response) => match response.status {
            200..=299 => GOOD,
            300..=399 | 401 => ASKS,
            _ => BAD,
        },
        TimelineStep::Refreshed { outcome } => match outcome {
            TimelineRefresh::Token => GOOD,
            TimelineRefresh::TokenNotSaved => ASKS,
            _ => BAD,
        },
        _ => Style::new(),
    }
}

/// The name of a value in JSON, which `docs/protocol.md` explains.
pub fn name_of(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        _ => String::new(),
    }
}
