//! The table: one line for each server when its start ends. On a terminal, [`Progress`] shows the servers that are being started.

use std::io::{IsTerminal, Write};
use std::time::Instant;

use anstyle::{AnsiColor, Style};
use mcp_startup_core::{
    ConfigurationEvidence, McpServerStartupFailureReason, McpServerStartupState, Recovery,
    StartPhase, printable,
};
use textwrap::core::Word;
use textwrap::{WordSeparator, WordSplitter};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use crate::output::one_line::{broken, is_breakable, one_line};
use crate::output::progress::Progress;
use crate::output::suggestions::Suggestions;
use crate::output::{stdout, warnings};

const NAME_CHARS: usize = 40;
/// The limit if stdout is not a terminal. A program that reads the lines needs the whole name.
const NAME_CHARS_OF_A_LINE: usize = 200;
/// The name has at least this many columns, even on a narrow terminal.
const MIN_NAME_COLUMNS: usize = 8;
/// How many characters of a server's name a failure message of `core` contains.
const NAME_CHARS_OF_MESSAGE: usize = 60;
const ID_CHARS: usize = 8;
/// More characters in a column are not shown. A joined emoji has up to ten in two columns, and a letter can have any number of marks.
const CHARS_OF_A_COLUMN: usize = 16;
const STATE_COLUMNS: usize = 17;
/// The mark and the gaps of a row.
const MARK_COLUMNS: usize = 2;
pub(super) const GAP: &str = "  ";
/// A time as `   12.34 s`.
const TIME_COLUMNS: usize = 9;
const INDENT: &str = "    ";
const NOTE_CHARS: usize = 300;

const GOOD: Style = AnsiColor::Green.on_default();
const ASKS: Style = AnsiColor::Yellow.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const DIM: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();

/// A server, identified by its name, thread and environment.
#[derive(Clone, Copy)]
pub struct Server<'a> {
    pub name: &'a str,
    pub thread_id: Option<&'a str>,
    pub environment_id: Option<&'a str>,
    /// Whether another thread has a server of the same name, so that the thread is shown.
    pub shows_thread: bool,
    /// Whether another environment has a server of the same name, so that the environment is shown.
    pub shows_environment: bool,
}

impl<'a> Server<'a> {
    /// A server of a check, which has no threads and no environments.
    pub fn named(name: &'a str) -> Self {
        Self {
            name,
            thread_id: None,
            environment_id: None,
            shows_thread: false,
            shows_environment: false,
        }
    }

    /// The text after the name.
    fn qualifier(&self) -> String {
        let thread = self.thread_id.filter(|_| self.shows_thread);
        let environment = self.environment_id.filter(|_| self.shows_environment);
        let ids = thread.into_iter().chain(environment);
        ids.map(|id| {
            let start: String = id.graphemes(true).take(ID_CHARS).collect();
            format!(" {}", cut(&start, ID_CHARS))
        })
        .collect()
    }

    /// The width of the name and the text after it, in columns. The name has at most `most`.
    fn columns(&self, most: usize) -> usize {
        cut(self.name, most).width() + self.qualifier().width()
    }

    /// The name, and the text after it, in the given style, padded or cut to this many columns.
    pub(super) fn label(&self, columns: usize, style: Style) -> String {
        let qualifier = self.qualifier();
        let name = cut(self.name, columns.saturating_sub(qualifier.width()).max(1));
        let missing = columns.saturating_sub(name.width() + qualifier.width());
        let styled = match qualifier.is_empty() {
            true => qualifier,
            false => format!("{style}{qualifier}{style:#}"),
        };
        format!("{name}{styled}{}", " ".repeat(missing))
    }
}

/// One server's line.
pub struct Row<'a> {
    pub server: Server<'a>,
    pub state: &'a McpServerStartupState,
    /// How long the start took, if known.
    pub elapsed_ms: Option<u64>,
    pub required: bool,
    pub note: Note<'a>,
    pub next_try: NextTry,
    /// The parts of the entry that may not have the expected effect. They are shown below the row.
    pub warnings: &'a [ConfigurationEvidence],
    /// The other clients that have the server.
    pub also_in: Vec<&'static str>,
}

/// When a failed server is started again.
#[derive(Clone, Copy)]
pub enum NextTry {
    /// There is nothing to wait for.
    Never,
    /// A watch does not start it again by itself.
    NotAgain,
    InMs(u64),
    /// After the sign-in that the note asks for.
    AfterSignIn,
}

impl NextTry {
    fn words(self) -> Option<String> {
        match self {
            Self::Never => None,
            Self::NotAgain => Some("(not tried again)".to_owned()),
            Self::InMs(ms @ ..10_000) => Some(format!("(next try in {:.1} s)", ms as f64 / 1000.0)),
            Self::InMs(ms @ ..120_000) => Some(format!("(next try in {} s)", ms.div_ceil(1000))),
            Self::InMs(ms) => Some(format!("(next try in {} min)", ms.div_ceil(60_000))),
            Self::AfterSignIn => Some("(waiting for the sign-in)".to_owned()),
        }
    }
}

/// The text after the state.
pub enum Note<'a> {
    Nothing,
    Ready {
        tools: Option<usize>,
        /// What is wrong with the server.
        warning: Option<&'a str>,
        /// Why a refreshed sign-in could not be saved.
        not_saved: Option<&'a str>,
    },
    Failed {
        recovery: Recovery,
        message: &'a str,
    },
    /// A failure in another process.
    Reported {
        reason: Option<&'a McpServerStartupFailureReason>,
        error: Option<&'a str>,
    },
}

/// How the state of a server is displayed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    Ready,
    SignInAgain,
    SignIn,
    GrantScope,
    Failed,
    Cancelled,
    Running,
    /// A state that this version does not know.
    Other,
}

impl Look {
    fn from_row(row: &Row<'_>) -> Self {
        match (row.state, &row.note) {
            (McpServerStartupState::Ready, _) => Self::Ready,
            (McpServerStartupState::Cancelled, _) => Self::Cancelled,
            (McpServerStartupState::Starting, _) => Self::Running,
            (McpServerStartupState::Unknown(_), _) => Self::Other,
            (McpServerStartupState::Failed, Note::Failed { recovery, .. }) => match recovery {
                Recovery::Reauthenticate => Self::SignInAgain,
                Recovery::SignIn => Self::SignIn,
                Recovery::GrantScope => Self::GrantScope,
                // The note has the message, which names the client to open.
                Recovery::OpenClient => Self::SignIn,
                _ => Self::Failed,
            },
            (
                McpServerStartupState::Failed,
                Note::Reported {
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
            Self::Cancelled | Self::Running | Self::Other => DIM,
        }
    }

    fn mark(self) -> char {
        match self {
            Self::Ready => '✓',
            Self::SignInAgain | Self::SignIn | Self::GrantScope => '!',
            Self::Failed => '✗',
            Self::Cancelled => '-',
            Self::Running | Self::Other => '·',
        }
    }

    /// The words in the summary line.
    fn summary(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::SignInAgain => "to sign in to again",
            Self::SignIn => "to sign in to",
            Self::GrantScope => "to grant more access",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Running => "still starting",
            Self::Other => "in another state",
        }
    }
}

const LOOKS: [Look; 8] = [
    Look::Ready,
    Look::SignInAgain,
    Look::SignIn,
    Look::GrantScope,
    Look::Failed,
    Look::Cancelled,
    Look::Running,
    Look::Other,
];

/// Prints one line when a start ends, and shows the running starts below if stdout is a terminal.
pub struct Table {
    /// The width of the widest name so far.
    name_columns: usize,
    /// When the check began; `None` for starts in another process, which have no times.
    began: Option<Instant>,
    is_terminal: bool,
    progress: Option<Progress>,
    /// `None` if no command can find the servers.
    suggestions: Option<Suggestions>,
}

impl Table {
    /// The table of a check of these servers, which begins now. `suggestions` is `None` if no command can find the servers.
    pub fn for_check<'a>(
        names: impl IntoIterator<Item = &'a str>,
        suggestions: Option<&Suggestions>,
    ) -> Self {
        let mut table = Self::new(Some(Instant::now()));
        table.suggestions = suggestions.cloned();
        for name in names {
            table.make_room(Server::named(name));
        }
        table
    }

    /// The table of starts in another process.
    pub fn for_notifications() -> Self {
        Self::new(None)
    }

    fn new(began: Option<Instant>) -> Self {
        Self {
            name_columns: MIN_NAME_COLUMNS,
            began,
            is_terminal: std::io::stdout().is_terminal(),
            progress: Progress::on_terminal(),
            suggestions: Some(Suggestions::default()),
        }
    }

    fn make_room(&mut self, server: Server<'_>) {
        let most = match self.is_terminal {
            true => NAME_CHARS,
            false => NAME_CHARS_OF_A_LINE,
        };
        self.name_columns = self.name_columns.max(server.columns(most));
    }

    /// The width of the terminal. `None` if stdout is not a terminal; then lines have any length.
    fn terminal_columns(&self) -> Option<usize> {
        self.is_terminal.then(textwrap::termwidth)
    }

    /// The width of the name column.
    fn shown_name_columns(&self) -> usize {
        fitting_name_columns(self.name_columns, self.terminal_columns())
    }

    /// A start has begun, or entered another phase.
    pub fn runs(&mut self, server: Server<'_>, phase: Option<StartPhase>) {
        let doing = match phase {
            None | Some(StartPhase::Configuring) => "starting",
            Some(StartPhase::ReadingCredentials) => "reading credentials",
            Some(StartPhase::Launching) => "launching the program",
            Some(StartPhase::Initializing) => "connecting",
            Some(StartPhase::ListingTools) => "listing its tools",
            Some(StartPhase::Authorizing) => "finding its sign-in service",
        };
        self.make_room(server);
        if let Some(progress) = &mut self.progress {
            progress.show(server, doing, self.name_columns);
        }
    }

    /// A start has ended.
    ///
    /// # Errors
    ///
    /// The error of writing to stdout, including a closed pipe.
    pub fn ended(&mut self, row: &Row<'_>) -> std::io::Result<()> {
        self.stopped(row.server);
        self.print(&self.lines(row))
    }

    /// A start that has ended is no longer shown as running.
    pub fn stopped(&mut self, server: Server<'_>) {
        self.make_room(server);
        if let Some(progress) = &self.progress {
            progress.remove(server);
        }
    }

    /// Prints the rows of starts that have ended below a heading.
    ///
    /// # Errors
    ///
    /// The error of writing to stdout, including a closed pipe.
    pub fn group<'a>(
        &self,
        heading: &str,
        rows: impl Iterator<Item = Row<'a>>,
    ) -> std::io::Result<()> {
        self.print(&format!("{BOLD}{}{BOLD:#}", one_line(heading, NAME_CHARS)))?;
        for row in rows {
            self.print(&self.lines(&row))?;
        }
        Ok(())
    }

    /// Prints lines that belong to no row on stdout.
    ///
    /// # Errors
    ///
    /// The error of writing to stdout, including a closed pipe.
    pub fn notes(&self, lines: &[String]) -> std::io::Result<()> {
        for line in lines {
            let line = match self.terminal_columns() {
                Some(columns) => wrapped(line, columns, ""),
                None => line.clone(),
            };
            self.print(&format!("{DIM}{line}{DIM:#}"))?;
        }
        Ok(())
    }

    /// The row. On a terminal, a note that does not fit is printed on the lines below.
    fn lines(&self, row: &Row<'_>) -> String {
        let look = Look::from_row(row);
        let style = look.style();
        let name_columns = self.shown_name_columns();
        let state = match look {
            Look::SignInAgain => "sign-in expired",
            Look::SignIn => "not signed in",
            Look::GrantScope => "needs more access",
            _ => row.state.as_str(),
        };
        let state = cut(state, STATE_COLUMNS);
        let time = row
            .elapsed_ms
            .map_or_else(String::new, |ms| format!("{:>7.2} s", ms as f64 / 1000.0));
        let required = (row.required && look != Look::Ready).then(|| "(required)".to_owned());
        let notes = required
            .into_iter()
            .chain(note(row, self.suggestions.as_ref()));
        let notes: Vec<_> = notes.chain(row.next_try.words()).collect();
        let notes = notes.join(GAP);
        let columns_before =
            MARK_COLUMNS + name_columns + GAP.len() + STATE_COLUMNS + time.len() + GAP.len();
        let (behind, below) = match self.terminal_columns() {
            _ if notes.is_empty() => (String::new(), String::new()),
            Some(columns) if columns_before + notes.width() > columns => {
                let below = wrapped(&notes, columns, INDENT);
                (String::new(), format!("\n{below}"))
            }
            _ => (format!("{GAP}{notes}"), String::new()),
        };
        let missing = match time.is_empty() && behind.is_empty() {
            true => 0,
            false => STATE_COLUMNS.saturating_sub(state.width()),
        };
        let warnings = self.warnings(row);
        let also_in = match row.also_in.is_empty() {
            true => String::new(),
            false => {
                let text = self.indented(&format!("also in {}", row.also_in.join(", ")));
                format!("\n{DIM}{text}{DIM:#}")
            }
        };
        format!(
            "{style}{mark}{style:#} {name}{GAP}{style}{state}{style:#}{space}{time}{behind}{below}{warnings}{also_in}",
            mark = look.mark(),
            name = row.server.label(name_columns, DIM),
            space = " ".repeat(missing),
        )
    }

    /// The text of lines below a row.
    fn indented(&self, text: &str) -> String {
        match self.terminal_columns() {
            Some(columns) => wrapped(text, columns, INDENT),
            None => format!("{INDENT}{text}"),
        }
    }

    /// The lines below a row: the warnings about the entry that its note does not contain.
    fn warnings(&self, row: &Row<'_>) -> String {
        let message = match &row.note {
            Note::Failed {
                recovery: Recovery::Reauthenticate | Recovery::SignIn | Recovery::GrantScope,
                ..
            } => "",
            Note::Failed { message, .. } => message,
            _ => "",
        };
        let mut lines = String::new();
        for text in warnings::texts(row.warnings, message) {
            lines.push('\n');
            lines += &self.indented(&text);
        }
        lines
    }

    /// Prints the summary line, with the number of servers that were not started.
    ///
    /// # Errors
    ///
    /// The error of writing to stdout.
    pub fn close<'a>(
        &mut self,
        rows: impl Iterator<Item = Row<'a>>,
        not_checked: usize,
    ) -> std::io::Result<()> {
        if let Some(progress) = &self.progress {
            progress.remove_all();
        }
        let looks: Vec<_> = rows.map(|row| Look::from_row(&row)).collect();
        let total = looks.len();
        let counts: Vec<_> = LOOKS
            .iter()
            .map(|look| (look, looks.iter().filter(|other| *other == look).count()))
            .filter(|(_, count)| *count > 0)
            .map(|(look, count)| {
                let style = look.style();
                format!("{style}{count} {}{style:#}", look.summary())
            })
            .collect();
        let servers = match total {
            1 => "1 server".to_owned(),
            _ => format!("{total} servers"),
        };
        let time = self.began.map_or_else(String::new, |began| {
            format!(" {DIM}({:.2} s){DIM:#}", began.elapsed().as_secs_f64())
        });
        let not_checked = (not_checked > 0).then(|| format!("{not_checked} not checked"));
        let counts: Vec<_> = counts.into_iter().chain(not_checked).collect();
        let counts = match counts.is_empty() {
            true => String::new(),
            false => format!(": {}", counts.join(", ")),
        };
        let closing = format!("{servers}{counts}{time}");
        self.print(&match self.terminal_columns() {
            Some(columns) => wrapped(&closing, columns, ""),
            None => closing,
        })
    }

    fn print(&self, line: &str) -> std::io::Result<()> {
        self.without_progress(|| {
            let mut stdout = stdout::styled();
            writeln!(stdout, "{line}")?;
            stdout.flush()
        })
    }

    /// Prints a message that belongs to no row on stderr.
    pub fn aside(&self, text: &str) {
        self.without_progress(|| {
            let _ = writeln!(crate::output::stderr::styled(), "{text}");
        });
    }

    /// Writes while no running start is shown.
    fn without_progress<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.progress {
            Some(progress) => progress.hidden(write),
            None => write(),
        }
    }
}

/// The width of the name column. A row without its note must fit into a terminal with this many columns.
pub(super) fn fitting_name_columns(name_columns: usize, terminal_columns: Option<usize>) -> usize {
    let others = MARK_COLUMNS + GAP.len() + STATE_COLUMNS + TIME_COLUMNS;
    let most = terminal_columns.map_or(usize::MAX, |columns| {
        columns.saturating_sub(others).max(MIN_NAME_COLUMNS)
    });
    name_columns.min(most)
}

/// The text, escaped for a terminal and cut to this many columns. A wide character has two columns, and so has an emoji that is joined
/// from several. Both are kept or left out as a whole.
pub fn cut(text: &str, columns: usize) -> String {
    cut_shown(
        one_line(text, columns.saturating_mul(CHARS_OF_A_COLUMN)),
        columns,
    )
}

/// A text that was escaped for a terminal, cut to this many columns as by [`cut`].
pub(super) fn cut_shown(mut shown: String, columns: usize) -> String {
    if shown.width() <= columns {
        return shown;
    }
    let (mut end, mut width) = (0, 0);
    for part in shown.graphemes(true) {
        width += part.width();
        // The ellipsis has one column.
        if width >= columns.max(1) {
            break;
        }
        end += part.len();
    }
    shown.truncate(end);
    shown.push('…');
    shown
}

/// Wraps the text between words. A broken URL could not be copied. A command in backticks counts as one word: if it is longer than a row,
/// it has a line of its own, and the terminal continues it on the next row without a line break. Another word that is longer than a row is
/// broken, so that no part of it begins a row of the terminal.
pub fn wrapped(text: &str, columns: usize, indent: &str) -> String {
    let most = columns.saturating_sub(indent.width()).max(1);
    let text: String = words(text)
        .map(|word| {
            let is_long = word.word.width() > most && is_breakable(word.word);
            match is_long {
                true => broken(word.word, most).join("\n") + word.whitespace,
                false => format!("{}{}", word.word, word.whitespace),
            }
        })
        .collect();
    let options = textwrap::Options::new(columns)
        .initial_indent(indent)
        .subsequent_indent(indent)
        .break_words(false)
        .word_separator(WordSeparator::Custom(words))
        .word_splitter(WordSplitter::NoHyphenation);
    textwrap::fill(&text, options)
}

/// The words of a line, each with the spaces after it.
fn words(line: &str) -> Box<dyn Iterator<Item = Word<'_>> + '_> {
    let mut rest = line;
    Box::new(std::iter::from_fn(move || {
        let end = rest.len() - after_quoted(rest).map_or(rest.len(), str::len);
        let end = rest[end..].find(' ').map_or(rest.len(), |at| end + at);
        let after = rest[end..].trim_start_matches(' ');
        let (word, after) = rest.split_at(rest.len() - after.len());
        rest = after;
        (!word.is_empty()).then(|| Word::from(word))
    }))
}

/// The rest of a text that begins with a command in backticks. The name of a server in it can contain a backtick.
fn after_quoted(text: &str) -> Option<&str> {
    let quoted = text.trim_start_matches(['(', '"']).strip_prefix('`')?;
    let mut ends = quoted
        .match_indices('`')
        .map(|(at, end)| &quoted[at + end.len()..]);
    let is_inside = |character: char| character.is_alphanumeric() || character == '\'';
    ends.find(|after| !after.starts_with(is_inside))
}

fn note(row: &Row<'_>, suggestions: Option<&Suggestions>) -> Option<String> {
    let text = match &row.note {
        Note::Nothing => return None,
        Note::Ready {
            tools,
            warning,
            not_saved,
        } => {
            let tools = tools.map(|count| match count {
                1 => "1 tool".to_owned(),
                _ => format!("{count} tools"),
            });
            let not_saved = not_saved.map(|why| {
                format!(
                    "its refreshed sign-in could not be saved: {}",
                    one_line(why, NOTE_CHARS)
                )
            });
            let warning = warning.map(|message| {
                let text = one_line(without_name(message, row.server.name), NOTE_CHARS);
                text.strip_prefix("is ready, but ")
                    .map(str::to_owned)
                    .unwrap_or(text)
            });
            let all: Vec<_> = tools.into_iter().chain(warning).chain(not_saved).collect();
            all.join("; ")
        }
        Note::Failed {
            recovery: Recovery::Reauthenticate | Recovery::SignIn | Recovery::GrantScope,
            ..
        } => sign_in(row.server.name, suggestions),
        Note::Failed { message, .. } => {
            one_line(without_name(message, row.server.name), NOTE_CHARS)
        }
        Note::Reported {
            reason: Some(McpServerStartupFailureReason::ReauthenticationRequired),
            ..
        } => sign_in(row.server.name, suggestions),
        Note::Reported { error, .. } => one_line(error.unwrap_or_default(), NOTE_CHARS),
    };
    (!text.is_empty()).then_some(text)
}

fn sign_in(name: &str, suggestions: Option<&Suggestions>) -> String {
    match suggestions {
        Some(suggestions) => suggestions.run("login", name),
        None => "its user would be asked to sign in".to_owned(),
    }
}

/// The message without the name at its beginning, which the line already shows.
fn without_name<'a>(message: &'a str, name: &str) -> &'a str {
    message
        .strip_prefix(printable(name, NAME_CHARS_OF_MESSAGE).as_str())
        .and_then(|rest| rest.strip_prefix(": ").or_else(|| rest.strip_prefix(' ')))
        .unwrap_or(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_the_characters_that_a_user_sees() {
        let family = "\u{1f469}\u{200d}\u{1f469}\u{200d}\u{1f467}";
        let flag = "\u{1f1e9}\u{1f1ea}";
        let two = |part: &str| format!("{part}{part}");
        for (text, columns, expected) in [
            (family.to_owned(), 2, family.to_owned()),
            (two(family), 4, two(family)),
            (two(family), 3, format!("{family}…")),
            (two(family), 2, "…".to_owned()),
            (two(flag), 3, format!("{flag}…")),
            (format!("team {family}"), 7, format!("team {family}")),
            (format!("team {family}"), 6, "team …".to_owned()),
            (two("e\u{301}"), 2, two("e\u{301}")),
            ("e\u{301}".repeat(3), 2, "e\u{301}…".to_owned()),
            ("名名".to_owned(), 3, "名…".to_owned()),
            ("ab".to_owned(), 0, "…".to_owned()),
        ] {
            let shown = cut(&text, columns);
            assert_eq!(shown, expected, "{text} {columns}");
            // A text is cut again with the row that it is in.
            assert_eq!(cut(&shown, columns.max(1)), expected);
        }
        assert!(cut(&"\u{301}".repeat(1_000_000), 10).len() < 1000);
        assert_eq!(cut(&family.repeat(100_000), 9).width(), 9);
    }

    #[test]
    fn a_command_in_backticks_is_never_broken() {
        let command = "`mcp-startup login 'my server' --config /home/user/config.toml`";
        for (text, columns, expected) in [
            (format!("run {command}"), 20, format!("run\n{command}")),
            (
                format!("an entry has a problem; run {command} to see why"),
                30,
                format!("an entry has a problem; run\n{command}\nto see why"),
            ),
            (format!("({command})."), 20, format!("({command}).")),
            (
                "not read; see `a b` or `c d`, then go".to_owned(),
                10,
                "not read;\nsee `a b`\nor `c d`,\nthen go".to_owned(),
            ),
            (
                "run `login 'a`b c' --config F` now".to_owned(),
                10,
                "run\n`login 'a`b c' --config F`\nnow".to_owned(),
            ),
            // These are no quotes.
            (
                "it`s a b c d e f g h".to_owned(),
                10,
                "it`s a b c\nd e f g h".to_owned(),
            ),
            (
                "an `opened a b c d".to_owned(),
                10,
                "an `opened\na b c d".to_owned(),
            ),
        ] {
            assert_eq!(wrapped(&text, columns, ""), expected);
        }
    }

    /// A server could send a text that is wrapped to a row of its own: of another server, or the summary.
    #[test]
    fn no_foreign_text_begins_a_row_of_the_terminal() {
        let row = "✓ bank       ready               0.10 s  3 tools";
        for space in [
            " ",
            "\u{a0}",
            "\u{2800}",
            "\u{3000}",
            "\u{2007}",
            "\u{1d159}",
        ] {
            for before in ["x", "`x", "`mcp-startup x", "(`"] {
                for columns in 70..90 {
                    let padding = space.repeat(columns - before.len());
                    let fake = format!("{before}{padding}{}`", row.replace(' ', space));
                    let shown = wrapped(&one_line(&fake, NOTE_CHARS), columns, INDENT);
                    assert!(shown.lines().all(|line| line.width() <= columns), "{shown}");
                }
            }
        }
        let word = "✓".repeat(100);
        let shown = wrapped(&format!("a {word} b"), 40, INDENT);
        let expected = format!(
            "    a\n    {0}\n    {0}\n    {1} b",
            "✓".repeat(36),
            "✓".repeat(28)
        );
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_sign_in_of_another_client_shows_the_client_to_open() {
        let row = Row {
            server: Server::named("linear"),
            state: &McpServerStartupState::Failed,
            elapsed_ms: None,
            required: false,
            note: Note::Failed {
                recovery: Recovery::OpenClient,
                message: "linear rejected the access token of Claude Code: open Claude Code, which renews its sign-in",
            },
            next_try: NextTry::Never,
            warnings: &[],
            also_in: Vec::new(),
        };
        let shown = note(&row, Some(&Suggestions::default())).unwrap();
        assert_eq!(
            shown,
            "rejected the access token of Claude Code: open Claude Code, which renews its sign-in"
        );
        assert!(Look::from_row(&row) == Look::SignIn);
    }
}
