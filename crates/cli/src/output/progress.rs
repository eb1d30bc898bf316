//! The lines of running starts on a terminal: below the printed lines, and drawn again several times a second.
//!
//! Each of them ends with a line break. A terminal that gets another width would otherwise join them, and it would not be known on how
//! many rows they are.

use std::io::{IsTerminal, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use unicode_width::UnicodeWidthStr;

use crate::output::stdout;
use crate::output::table::{GAP, Server, cut_shown, fitting_name_columns};

const TICK: Duration = Duration::from_millis(100);
const SPINNER: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
/// The columns around the name and the phase: the spinner, the time and the gaps.
const OTHER_COLUMNS: usize = 12;
/// More lines would not fit on the screen.
const MAX_LINES: usize = 12;
/// The size of a terminal that does not report it.
const SIZE: (usize, usize) = (80, 24);

/// Shows the running starts. When it is dropped, no line is left.
#[derive(Default)]
pub struct Progress {
    shared: Arc<Shared>,
    ticker: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// In the order in which they began. The first ones have a line.
    running: Vec<Running>,
    /// The width of the widest name.
    name_columns: usize,
    /// The widths of the lines on the screen.
    drawn: Vec<usize>,
    /// The columns and rows of the terminal when they were drawn.
    size: (usize, usize),
    /// How many rows of lines are above the screen: a terminal that gets lower moves them there.
    above: usize,
    has_ended: bool,
}

/// A server that is being started.
struct Running {
    name: String,
    thread_id: Option<String>,
    environment_id: Option<String>,
    shows_thread: bool,
    shows_environment: bool,
    doing: &'static str,
    since: Instant,
}

impl Running {
    fn server(&self) -> Server<'_> {
        Server {
            name: &self.name,
            thread_id: self.thread_id.as_deref(),
            environment_id: self.environment_id.as_deref(),
            shows_thread: self.shows_thread,
            shows_environment: self.shows_environment,
        }
    }

    fn is(&self, server: Server<'_>) -> bool {
        self.name == server.name
            && self.thread_id.as_deref() == server.thread_id
            && self.environment_id.as_deref() == server.environment_id
    }

    fn line(&self, columns: usize, name_columns: usize) -> String {
        let ran = self.since.elapsed();
        let spinner = SPINNER[(ran.as_millis() / TICK.as_millis()) as usize % SPINNER.len()];
        let time = match ran.as_secs() {
            seconds @ ..60 => format!("{seconds} s"),
            seconds => format!("{} min", seconds / 60),
        };
        let label = self.server().label(name_columns, anstyle::Style::new());
        let what = format!("{label}{GAP}{}", self.doing);
        let what = cut_shown(what, columns.saturating_sub(OTHER_COLUMNS));
        format!("{spinner} {what}{GAP}{time}")
    }
}

impl Progress {
    /// `None` if stdout is not a terminal whose cursor can be moved.
    pub fn on_terminal() -> Option<Self> {
        let is_terminal = std::io::stdout().is_terminal();
        let moves_cursor = match cfg!(windows) {
            true => anstyle_query::windows::enable_ansi_colors() == Some(true),
            false => anstyle_query::term_supports_ansi_color(),
        };
        (is_terminal && moves_cursor).then(Self::default)
    }

    /// A start has begun, or entered another phase. The widest name has `name_columns`.
    pub fn show(&mut self, server: Server<'_>, doing: &'static str, name_columns: usize) {
        let mut state = self.shared.lock();
        state.name_columns = name_columns;
        match state.running.iter_mut().find(|running| running.is(server)) {
            Some(running) => running.doing = doing,
            None => state.running.push(Running {
                name: server.name.to_owned(),
                thread_id: server.thread_id.map(str::to_owned),
                environment_id: server.environment_id.map(str::to_owned),
                shows_thread: server.shows_thread,
                shows_environment: server.shows_environment,
                doing,
                since: Instant::now(),
            }),
        }
        let was_idle = state.running.len() == 1;
        drop(state);
        if was_idle {
            self.shared.changed.notify_one();
        }
        if self.ticker.is_none() {
            let shared = Arc::clone(&self.shared);
            self.ticker = Some(std::thread::spawn(move || shared.tick()));
        }
    }

    /// A start has ended.
    pub fn remove(&self, server: Server<'_>) {
        let mut state = self.shared.lock();
        state.running.retain(|running| !running.is(server));
    }

    /// Every start has ended.
    pub fn remove_all(&self) {
        let mut state = self.shared.lock();
        state.running.clear();
        state.draw();
    }

    /// Writes while no line of a running start is on the screen. It would be overwritten.
    pub fn hidden<T>(&self, write: impl FnOnce() -> T) -> T {
        let mut state = self.shared.lock();
        let running = std::mem::take(&mut state.running);
        state.draw();
        let written = write();
        // These rows are no longer next to the lines that are drawn.
        state.above = 0;
        state.running = running;
        state.draw();
        written
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.remove_all();
        self.shared.lock().has_ended = true;
        self.shared.changed.notify_one();
        if let Some(ticker) = self.ticker.take() {
            let _ = ticker.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tick(&self) {
        let mut state = self.lock();
        while !state.has_ended {
            state.draw();
            state = match state.running.is_empty() {
                true => self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
                false => {
                    let waited = self.changed.wait_timeout(state, TICK);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

impl State {
    /// Replaces the lines on the screen.
    fn draw(&mut self) {
        if self.running.is_empty() && self.drawn.is_empty() {
            return;
        }
        let size = terminal_size::terminal_size();
        let size = size.map_or(SIZE, |(columns, rows)| {
            (usize::from(columns.0).max(1), usize::from(rows.0))
        });
        let text = self.replacement(size, Terminal::from_environment());
        let mut stdout = stdout::plain();
        // An error is that of the terminal, and the next printed line reports it.
        let _ = stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.flush());
    }

    /// The text that replaces the lines on a terminal of this size.
    fn replacement(&mut self, size: (usize, usize), terminal: Terminal) -> String {
        let (columns, rows) = size;
        let (last_columns, last_rows) = std::mem::replace(&mut self.size, size);
        if last_columns != columns {
            // The terminal may have wrapped them again, where their number is not known.
            self.above = 0;
        }
        let came_back = match terminal.moves_rows_back {
            true => self.above.min(rows.saturating_sub(last_rows)),
            false => 0,
        };
        let old_rows = came_back + rows_of(&self.drawn, columns, terminal.wraps_again);
        // The cursor is on the last row of the screen at most. More lines would scroll the new ones.
        let reached = old_rows.min(rows.saturating_sub(1));
        self.above += old_rows - reached;
        self.above -= came_back;
        let lines = self.lines(columns, rows);
        let mut text = "\r".to_owned();
        text += &up(reached);
        // Each row is erased completely: otherwise, tmux still joins it to the next one if it was wrapped before. tmux also copies a screen
        // that is erased at once to its history.
        for row in 0..reached.max(lines.len()) {
            let line = lines.get(row).map_or("", String::as_str);
            text += &format!("\u{1b}[2K{line}\r\n");
        }
        text += &up(reached.saturating_sub(lines.len()));
        self.drawn = lines.iter().map(|line| line.width()).collect();
        text
    }

    /// The lines of the first starts, and one that counts the others.
    fn lines(&self, columns: usize, rows: usize) -> Vec<String> {
        // Terminals differ in what follows a character in the last column.
        let columns = columns.saturating_sub(1).max(1);
        let name_columns = fitting_name_columns(self.name_columns, Some(columns));
        // The line that counts, and the row of the cursor, must fit below them.
        let most = rows.saturating_sub(2).clamp(1, MAX_LINES);
        let first = self.running.iter().take(most);
        let mut lines: Vec<_> = first
            .map(|running| cut_shown(running.line(columns, name_columns), columns))
            .collect();
        if let more @ 1.. = self.running.len().saturating_sub(most) {
            lines.push(cut_shown(format!("… and {more} more"), columns));
        }
        lines
    }
}

/// Moves the cursor up.
fn up(rows: usize) -> String {
    match rows {
        0 => String::new(),
        rows => format!("\u{1b}[{rows}A"),
    }
}

/// On how many rows lines of these widths are, in a terminal that has this many columns now.
fn rows_of(widths: &[usize], columns: usize, wraps_again: bool) -> usize {
    let rows = widths.iter().map(|width| match wraps_again {
        true => width.div_ceil(columns).max(1),
        false => 1,
    });
    rows.sum()
}

/// How the terminal changes the rows on its screen if its size changes.
#[derive(Clone, Copy)]
struct Terminal {
    /// Whether it wraps the lines again when it gets narrower, as nearly all do. xterm and GNU screen cut them.
    wraps_again: bool,
    /// Whether it moves the rows that were on its screen back when it gets higher. A terminal that does not would lose rows that were
    /// printed before, so only tmux counts, whose behaviour is known.
    moves_rows_back: bool,
}

impl Terminal {
    fn from_environment() -> Self {
        let is_set = |name| std::env::var_os(name).is_some();
        let is_tmux = is_set("TMUX");
        Self {
            wraps_again: is_tmux || !(is_set("XTERM_VERSION") || is_set("STY")),
            moves_rows_back: is_tmux,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows of a terminal, of which the last ones are on its screen. The cursor is below the last one that was written.
    struct Rows {
        all: Vec<String>,
        /// The number of the first row on the screen.
        top: usize,
        height: usize,
        cursor: usize,
    }

    impl Rows {
        fn write(&mut self, text: &str) {
            for part in text.split_inclusive(['\r', '\n', 'A', 'K']) {
                let part = part.trim_start_matches('\u{1b}');
                if let Some(count) = part
                    .strip_prefix('[')
                    .and_then(|part| part.strip_suffix('A'))
                {
                    let count: usize = count.parse().unwrap();
                    self.cursor = self.cursor.saturating_sub(count).max(self.top);
                } else if part == "[2K" {
                    self.all[self.cursor].clear();
                } else if part == "\n" {
                    self.cursor += 1;
                    self.all
                        .resize(self.all.len().max(self.cursor + 1), String::new());
                    self.top = self.top.max((self.cursor + 1).saturating_sub(self.height));
                } else if part != "\r" {
                    self.all[self.cursor] = part.trim_end_matches('\r').to_owned();
                }
            }
        }

        /// As tmux does it.
        fn resize(&mut self, height: usize, moves_back: bool) {
            if height < self.height {
                self.top = self.top.max((self.cursor + 1).saturating_sub(height));
            } else if moves_back {
                self.top = self.top.saturating_sub(height - self.height);
            }
            self.height = height;
        }
    }

    fn starting(count: usize) -> State {
        let running = (0..count).map(|number| Running {
            name: format!("server-{number}"),
            thread_id: None,
            environment_id: None,
            shows_thread: false,
            shows_environment: false,
            doing: "connecting",
            since: Instant::now(),
        });
        State {
            running: running.collect(),
            name_columns: 10,
            ..State::default()
        }
    }

    #[test]
    fn no_line_is_left_or_lost_if_the_terminal_gets_another_height() {
        for (moves_rows_back, printed) in [(true, 1), (true, 20), (false, 3)] {
            let terminal = Terminal {
                wraps_again: true,
                moves_rows_back,
            };
            let mut state = starting(15);
            let mut rows = Rows {
                all: vec![String::new()],
                top: 0,
                height: 30,
                cursor: 0,
            };
            for row in 0..printed {
                rows.write(&format!("printed {row}\r\n"));
            }
            for height in [30, 12, 30, 8, 5, 20, 30, 3, 30] {
                rows.resize(height, moves_rows_back);
                for _ in 0..2 {
                    rows.write(&state.replacement((100, height), terminal));
                }
            }
            state.running.clear();
            rows.write(&state.replacement((100, 30), terminal));
            let is_printed = |row: &&String| row.starts_with("printed");
            assert_eq!(rows.all.iter().filter(is_printed).count(), printed);
            // A line above the screen can't be erased.
            if moves_rows_back {
                let mut left = rows.all.iter().filter(|row| row.contains("connecting"));
                assert_eq!(left.next(), None, "{:#?}", rows.all);
            }
        }
    }

    #[test]
    fn the_new_lines_are_not_scrolled_out_of_a_terminal_that_got_lower() {
        let terminal = Terminal {
            wraps_again: true,
            moves_rows_back: false,
        };
        let mut state = starting(15);
        state.replacement((100, 30), terminal);
        let text = state.replacement((100, 12), terminal);
        assert_eq!(text.matches('\n').count(), 11, "{text:?}");
        assert!(text.starts_with("\r\u{1b}[11A"), "{text:?}");
    }
}
