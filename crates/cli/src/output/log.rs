//! The log on stderr that `RUST_LOG` turns on, with hidden characters escaped.

use std::io::{self, Write};

use mcp_startup_core::{begins_log_command, is_hidden};
use tracing_subscriber::filter::{FilterExt, Targets, filter_fn};
use tracing_subscriber::prelude::*;

/// Logs to stderr as `RUST_LOG` asks. Only the targets of this project are logged, because they mask what they quote. The SDK and the HTTP
/// client quote servers, and a server may echo a secret, even as the name of a host.
pub fn to_stderr() {
    let Some(asked) = std::env::var_os("RUST_LOG") else {
        return;
    };
    let Ok(asked) = asked.to_string_lossy().parse::<Targets>() else {
        let hint = "RUST_LOG is not valid, so nothing is logged; set it to a level, or to targets such as `mcp_startup=debug`";
        let _ = writeln!(crate::output::stderr::styled(), "{hint}");
        return;
    };
    let masks = filter_fn(|metadata| is_of_this_project(metadata.target()));
    let is_colored = anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never;
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(move || Escaping { is_colored })
        .with_ansi(is_colored)
        .with_filter(asked.and(masks));
    // A host that runs this in its own process may have a subscriber.
    let _ = tracing_subscriber::registry().with(layer).try_init();
    tracing::trace!("the log has begun; only targets of mcp-startup are logged");
}

fn is_of_this_project(target: &str) -> bool {
    target.starts_with("mcp_startup")
}

/// Writes to stderr. The subscriber passes it each event in one piece, with a line break at the end.
struct Escaping {
    /// Whether events have color codes. The subscriber then escapes those in the text of an event.
    is_colored: bool,
}

impl Write for Escaping {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = escape(&String::from_utf8_lossy(event), self.is_colored);
        io::stderr().lock().write_all(text.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

fn escape(event: &str, is_colored: bool) -> String {
    let line = event.strip_suffix('\n');
    let mut text = String::with_capacity(event.len());
    let shown = line.unwrap_or(event);
    for (at, character) in shown.char_indices() {
        if begins_log_command(&shown[at..]) {
            text.extend(character.escape_unicode());
        } else if is_hidden(character) && !(is_colored && character == '\u{1b}') {
            text.extend(character.escape_default());
        } else {
            text.push(character);
        }
    }
    if line.is_some() {
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_targets_of_this_project_are_logged() {
        assert!(is_of_this_project(module_path!()));
        assert!(is_of_this_project("mcp_startup_auth::store"));
        for target in [
            "rmcp::service",
            "hyper_util::client::legacy::pool",
            "h2::client",
            "reqwest::connect",
            "rustls::client::hs",
        ] {
            assert!(!is_of_this_project(target), "{target}");
        }
    }

    #[test]
    fn hidden_characters_of_an_event_are_escaped_and_its_colors_and_end_are_kept() {
        let event = "\u{1b}[2mx\u{1b}[0m a\nb\u{202e}\u{9b}\u{e0041}##[x]\n";
        let escaped = "a\\nb\\u{202e}\\u{9b}\\u{e0041}\\u{23}#[x]\n";
        assert_eq!(
            escape(event, true),
            format!("\u{1b}[2mx\u{1b}[0m {escaped}")
        );
        assert_eq!(
            escape(event, false),
            format!("\\u{{1b}}[2mx\\u{{1b}}[0m {escaped}")
        );
    }
}
