//! The table: a line for each server, as its start comes to its end; on a terminal with a spinner while it runs.

use std::collections::HashMap;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use mcp_startup_core::{
    McpServerStartupFailureReason, McpServerStartupState, Recovery, StartPhase, printable,
};

const NAME_CHARS: usize = 40;
const NOTE_CHARS: usize = 300;
const SPINNER_TICK: Duration = Duration::from_millis(100);
/// More would not fit below the lines.
const MOST_SPINNERS: usize = 12;

const GOOD: Style = AnsiColor::Green.on_default();
const ASKS: Style = AnsiColor::Yellow.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const DIM: Style = Style::new().dimmed();

/// One server's line.
pub struct Row<'a> {
    pub name: &'a str,
    pub state: &'a McpServerStartupState,
    /// The time the start took, where it is known.
    pub elapsed_ms: Option<u64>,
    pub required: bool,
    pub note: Note<'a>,
}

/// What stands behind the state.
pub enum Note<'a> {
    Nothing,
    Tools(Option<usize>),
    Failed {
        recovery: Recovery,
        message: &'a str,
    },
    /// A failure that is only heard of.
    Heard {
        reason: Option<&'a McpServerStartupFailureReason>,
        error: Option<&'a str>,
    },
}

/// How a server's start came out, for the eye.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    Ready,
    SignInAgain,
    SignIn,
    GrantScope,
    Failed,
    Cancelled,
    Running,
}

impl Look {
    fn of(row: &Row<'_>) -> Self {
        match (row.state, &row.note) {
            (McpServerStartupState::Ready, _) => Self::Ready,
            (McpServerStartupState::Cancelled, _) => Self::Cancelled,
            (McpServerStartupState::Starting | McpServerStartupState::Unknown(_), _) => {
                Self::Running
            }
            (McpServerStartupState::Failed, Note::Failed { recovery, .. }) => match recovery {
                Recovery::Reauthenticate => Self::SignInAgain,
                Recovery::SignIn => Self::SignIn,
                Recovery::GrantScope => Self::GrantScope,
                _ => Self::Failed,
            },
            (
                McpServerStartupState::Failed,
                Note::Heard {
                    reason: Some(McpServerStartupFailureReason::ReauthenticationRequired),
                    ..
                },
            ) => Self::SignInAgain,
            (McpServerStartupState::Failed, _) => Self::Failed,
        }
    }

    fn style(self) -> Style {
        match self {
            Self::Ready => GOOD,
            Self::SignInAgain | Self::SignIn | Self::GrantScope => ASKS,
            Self::Failed => BAD,
            Self::Cancelled | Self::Running => DIM,
        }
    }

    fn mark(self) -> char {
        match self {
            Self::Ready => '✓',
            Self::SignInAgain | Self::SignIn | Self::GrantScope => '!',
            Self::Failed => '✗',
            Self::Cancelled => '-',
            Self::Running => '·',
        }
    }

    /// The words of the closing line.
    fn counted(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::SignInAgain => "to sign in to again",
            Self::SignIn => "to sign in to",
            Self::GrantScope => "to grant more access",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Running => "still starting",
        }
    }
}

const LOOKS: [Look; 7] = [
    Look::Ready,
    Look::SignInAgain,
    Look::SignIn,
    Look::GrantScope,
    Look::Failed,
    Look::Cancelled,
    Look::Running,
];

/// Prints lines as they come, with spinners below them while something runs and stdout is a terminal.
pub struct Table {
    /// The width of the widest name so far.
    width: usize,
    /// When the check began; `None` for starts that are only heard of, and have no times.
    began: Option<Instant>,
    spinners: Option<MultiProgress>,
    running: HashMap<String, ProgressBar>,
}

impl Table {
    /// The table of a check of these servers, which begins now.
    pub fn of_check<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut table = Self::new(Some(Instant::now()));
        for name in names {
            table.make_room(name);
        }
        table
    }

    /// The table of starts that are only heard of.
    pub fn of_others() -> Self {
        Self::new(None)
    }

    fn make_room(&mut self, name: &str) {
        self.width = self.width.max(printable(name, NAME_CHARS).chars().count());
    }

    fn new(began: Option<Instant>) -> Self {
        let spinners = std::io::stdout()
            .is_terminal()
            .then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stdout()));
        Self {
            width: 8,
            began,
            spinners,
            running: HashMap::new(),
        }
    }

    /// A start has begun, or come to another phase.
    pub fn runs(&mut self, key: &str, name: &str, phase: Option<StartPhase>) {
        self.make_room(name);
        let Some(spinners) = &self.spinners else {
            return;
        };
        let phase = match phase {
            None | Some(StartPhase::Configuring) => "starting",
            Some(StartPhase::ReadingCredentials) => "reading credentials",
            Some(StartPhase::Launching) => "launching the program",
            Some(StartPhase::Initializing) => "shaking hands",
            Some(StartPhase::Authorizing) => "looking for its authorization server",
        };
        let message = format!("{}  {phase}", pad(name, self.width));
        match self.running.get(key) {
            Some(spinner) => spinner.set_message(message),
            None if self.running.len() < MOST_SPINNERS => {
                let style = ProgressStyle::with_template("{spinner} {msg}  {elapsed}")
                    .unwrap_or_else(|_| ProgressStyle::default_spinner());
                let spinner = spinners.add(ProgressBar::new_spinner().with_style(style));
                spinner.set_message(message);
                spinner.enable_steady_tick(SPINNER_TICK);
                self.running.insert(key.to_owned(), spinner);
            }
            None => {}
        }
    }

    /// A start has come to its end.
    ///
    /// # Errors
    ///
    /// Whatever writing to stdout gives, a closed pipe among it.
    pub fn ended(&mut self, key: &str, row: &Row<'_>) -> std::io::Result<()> {
        if let Some(spinner) = self.running.remove(key) {
            self.clear(&spinner);
        }
        let look = Look::of(row);
        let style = look.style();
        let state = match look {
            Look::SignInAgain => "sign-in expired",
            Look::SignIn => "not signed in",
            Look::GrantScope => "needs more access",
            _ => row.state.as_str(),
        };
        let state = printable(state, 17);
        let note = note(row);
        let time = row
            .elapsed_ms
            .map_or_else(String::new, |ms| format!("{:>7.2} s", ms as f64 / 1000.0));
        let required = match row.required && look != Look::Ready {
            true => "  (required)",
            false => "",
        };
        let state = match time.is_empty() && required.is_empty() && note.is_empty() {
            true => state,
            false => format!("{state:<17}"),
        };
        let line = format!(
            "{style}{mark}{style:#} {name}  {style}{state}{style:#}{time}{required}{note}",
            mark = look.mark(),
            name = pad(row.name, self.width),
        );
        self.print(&line)
    }

    /// The closing line, which counts how the servers stand in the end.
    ///
    /// # Errors
    ///
    /// Whatever writing to stdout gives.
    pub fn close<'a>(mut self, rows: impl Iterator<Item = Row<'a>>) -> std::io::Result<()> {
        for (_, spinner) in std::mem::take(&mut self.running) {
            self.clear(&spinner);
        }
        let looks: Vec<_> = rows.map(|row| Look::of(&row)).collect();
        let total = looks.len();
        let counts: Vec<_> = LOOKS
            .iter()
            .map(|look| (look, looks.iter().filter(|other| *other == look).count()))
            .filter(|(_, count)| *count > 0)
            .map(|(look, count)| {
                let style = look.style();
                format!("{style}{count} {}{style:#}", look.counted())
            })
            .collect();
        let servers = match total {
            1 => "1 server".to_owned(),
            _ => format!("{total} servers"),
        };
        let time = self.began.map_or_else(String::new, |began| {
            format!(" {DIM}({:.2} s){DIM:#}", began.elapsed().as_secs_f64())
        });
        let counts = match counts.is_empty() {
            true => String::new(),
            false => format!(": {}", counts.join(", ")),
        };
        self.print(&format!("{servers}{counts}{time}"))
    }

    fn clear(&self, spinner: &ProgressBar) {
        spinner.finish_and_clear();
        if let Some(spinners) = &self.spinners {
            spinners.remove(spinner);
        }
    }

    fn print(&self, line: &str) -> std::io::Result<()> {
        // The spinners stand below the lines and would be written over.
        let write = || {
            let mut stdout = anstream::stdout().lock();
            writeln!(stdout, "{line}")?;
            stdout.flush()
        };
        match &self.spinners {
            Some(spinners) => spinners.suspend(write),
            None => write(),
        }
    }
}

fn pad(name: &str, width: usize) -> String {
    let name = printable(name, NAME_CHARS);
    let missing = width.saturating_sub(name.chars().count());
    format!("{name}{}", " ".repeat(missing))
}

fn note(row: &Row<'_>) -> String {
    let text = match &row.note {
        Note::Nothing | Note::Tools(None) => return String::new(),
        Note::Tools(Some(1)) => "1 tool".to_owned(),
        Note::Tools(Some(count)) => format!("{count} tools"),
        Note::Failed {
            recovery: Recovery::Reauthenticate | Recovery::SignIn | Recovery::GrantScope,
            ..
        } => run_login(row.name),
        Note::Failed { message, .. } => printable(without_name(message, row.name), NOTE_CHARS),
        Note::Heard {
            reason: Some(McpServerStartupFailureReason::ReauthenticationRequired),
            ..
        } => run_login(row.name),
        Note::Heard { error, .. } => printable(error.unwrap_or_default(), NOTE_CHARS),
    };
    format!("  {text}")
}

/// The message without the name that it begins with: the line has it already.
fn without_name<'a>(message: &'a str, name: &str) -> &'a str {
    message
        .strip_prefix(printable(name, NAME_CHARS).as_str())
        .and_then(|rest| rest.strip_prefix(": ").or_else(|| rest.strip_prefix(' ')))
        .unwrap_or(message)
}

fn run_login(name: &str) -> String {
    format!("run `mcp-startup login {}`", shell_word(name))
}

/// The name as one word of a shell command.
fn shell_word(name: &str) -> String {
    let plain = |character: char| character.is_alphanumeric() || "-_./@:+".contains(character);
    let shown = printable(name, NAME_CHARS);
    match !shown.is_empty() && !shown.starts_with('-') && shown.chars().all(plain) {
        true => shown,
        false => format!("'{}'", shown.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_word_of_a_shell_command() {
        for (name, wanted) in [
            ("linear", "linear"),
            ("my server", "'my server'"),
            ("it's", r"'it'\''s'"),
            ("$(reboot)", "'$(reboot)'"),
            ("--help", "'--help'"),
            ("", "''"),
        ] {
            assert_eq!(shell_word(name), wanted);
        }
    }
}
