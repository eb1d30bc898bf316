//! Runs the program on a pseudo-terminal, which Python opens, and determines the content of the screen afterwards.

use std::process::{Command, Stdio};

use unicode_width::UnicodeWidthChar;

use super::cases::skip;
use super::output::Finished;
use super::run::{Run, Running};

/// Runs a program on a terminal with a given size. Prints everything that the terminal receives, and exits with the program's
/// exit code. The arguments are the rows, the columns, a text and the columns that the terminal gets when it has received that text,
/// and the program. The change of the size is printed as the sequence that requests it.
const CAPTURE: &str = r#"
import fcntl, os, pty, select, signal, struct, sys, termios
rows, columns, text, later, *program = sys.argv[1:]
def resize(terminal, columns):
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", int(rows), int(columns), 0, 0))
child, terminal = pty.fork()
if child == 0:
    resize(0, columns)
    os.execvp(program[0], program)
received = b""
while True:
    try:
        read = os.read(terminal, 65536)
    except OSError:
        break
    if not read:
        break
    received += read
    if later and text.encode() in received:
        # The program writes nothing while the size changes.
        os.kill(child, signal.SIGSTOP)
        os.waitpid(child, os.WUNTRACED)
        while select.select([terminal], [], [], 0)[0]:
            received += os.read(terminal, 65536)
        resize(terminal, later)
        received += f"\x1b[8;{rows};{later}t".encode()
        later = ""
        os.kill(child, signal.SIGCONT)
sys.stdout.buffer.write(received)
sys.stdout.flush()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"#;

/// Runs a program on a terminal, with stdin as the keyboard.
const INTERACT: &str = "
import os, pty, sys
sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))
";

/// Whether a terminal can be opened. If not, records the test as skipped.
pub fn is_available(test: &str) -> bool {
    let python = Command::new("python3").args(["-c", "import pty"]).status();
    let is_available = python.is_ok_and(|status| status.success());
    if !is_available {
        skip(test, "python3, which opens the terminal, is not installed");
    }
    is_available
}

/// Runs the program on a terminal with this size. The stdout of the result is everything that the terminal received. If no
/// terminal can be opened, records the test as skipped and returns `None`.
pub fn run_on_terminal(rows: usize, columns: usize, run: Run, test: &str) -> Option<Finished> {
    capture(rows, columns, ("", ""), run, test)
}

/// As [`run_on_terminal`], but the terminal gets `later` columns when it has received `text`.
pub fn run_on_resized_terminal(
    (rows, columns): (usize, usize),
    (text, later): (&str, usize),
    run: Run,
    test: &str,
) -> Option<Finished> {
    capture(rows, columns, (text, &later.to_string()), run, test)
}

fn capture(
    rows: usize,
    columns: usize,
    (text, later): (&str, &str),
    run: Run,
    test: &str,
) -> Option<Finished> {
    if !is_available(test) {
        return None;
    }
    let run = run.env("TERM", "xterm-256color");
    let (rows, columns) = (rows.to_string(), columns.to_string());
    let terminal = ["python3", "-c", CAPTURE, &rows, &columns, text, later];
    Some(run.through(&terminal).finish())
}

/// Starts the program on a terminal. Write keystrokes to the stdin of the result, and read the terminal's output from its
/// stdout.
pub fn spawn_on_terminal(run: Run) -> Running {
    let run = run.env("TERM", "xterm-256color");
    run.through(&["python3", "-c", INTERACT])
        .spawn_with(Stdio::piped())
}

/// The content of a terminal's screen.
pub struct Screen {
    pub lines: Vec<String>,
    /// The lines as a user copies them: the terminal joins those that it has wrapped itself.
    pub copied: Vec<String>,
    /// The parameters of every SGR sequence.
    pub colors: Vec<String>,
}

impl Screen {
    /// The screen of a terminal with this many columns after it has received `text`. If its width changes, it wraps its lines again.
    pub fn after(text: &str, mut columns: usize) -> Self {
        let (mut rows, mut colors) = (vec![Row::default()], Vec::new());
        let (mut row, mut column) = (0_usize, 0_usize);
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            match character {
                '\r' => column = 0,
                '\n' => row += 1,
                '\u{1b}' => {
                    assert_eq!(characters.next(), Some('['), "an escape that is not a CSI");
                    let mut parameters = String::new();
                    let command = loop {
                        let next = characters.next().unwrap();
                        if next.is_ascii_alphabetic() {
                            break next;
                        }
                        parameters.push(next);
                    };
                    let count = parameters.parse().unwrap_or(1);
                    match command {
                        'm' => colors.push(parameters),
                        'A' => row = row.saturating_sub(count),
                        'B' => row += count,
                        'C' => column += count,
                        'D' => column = column.saturating_sub(count),
                        'G' => column = count - 1,
                        'K' if parameters == "2" => rows[row] = Row::default(),
                        'K' if parameters.is_empty() || parameters == "0" => {
                            rows[row].truncate(column)
                        }
                        'J' if parameters.is_empty() || parameters == "0" => {
                            rows[row].truncate(column);
                            rows.truncate(row + 1);
                        }
                        't' => {
                            let size = parameters.rsplit(';').next().unwrap();
                            columns = size.parse().unwrap();
                            (rows, row, column) = wrapped_again(rows, (row, column), columns);
                        }
                        'h' | 'l' => {}
                        other => panic!("an unexpected sequence: {parameters}{other}"),
                    }
                }
                character => {
                    assert!(!character.is_control(), "{character:?}");
                    let width = character.width().unwrap();
                    let before = text_before(&mut rows, row, column);
                    if let Some(before) = before
                        && (width == 0 || before.ends_with(JOINER))
                    {
                        before.push(character);
                        continue;
                    }
                    if column + width > columns {
                        rows[row].is_continued = true;
                        (row, column) = (row + 1, 0);
                    }
                    rows.resize(rows.len().max(row + 1), Row::default());
                    let cells = &mut rows[row].cells;
                    cells.resize(cells.len().max(column + width), " ".to_owned());
                    // A wide character takes two cells. The second one is empty.
                    cells[column..column + width].fill(String::new());
                    cells[column] = character.to_string();
                    column += width;
                }
            }
            rows.resize(rows.len().max(row + 1), Row::default());
        }
        let mut copied = vec![String::new()];
        for row in &rows {
            copied.last_mut().unwrap().push_str(&row.cells.concat());
            if !row.is_continued {
                copied.push(String::new());
            }
        }
        let shown = |row: Row| {
            let line: String = row.cells.concat();
            line.trim_end().to_owned()
        };
        let mut lines: Vec<_> = rows.into_iter().map(shown).collect();
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        Self {
            lines,
            copied,
            colors,
        }
    }
}

/// A row of a screen.
#[derive(Clone, Default)]
struct Row {
    cells: Vec<String>,
    /// Whether the line did not fit, and continues on the next row.
    is_continued: bool,
}

impl Row {
    fn truncate(&mut self, column: usize) {
        self.cells.truncate(column);
        self.is_continued = false;
    }
}

/// The zero-width joiner, which makes one emoji of two.
const JOINER: char = '\u{200d}';

/// The last character before this place in a row, with its marks and what is joined to it.
fn text_before(rows: &mut [Row], row: usize, column: usize) -> Option<&mut String> {
    let cells = rows.get_mut(row)?.cells.get_mut(..column)?;
    cells.iter_mut().rev().find(|cell| !cell.is_empty())
}

/// The rows of a terminal that has this many columns now, and the place of its cursor.
fn wrapped_again(
    rows: Vec<Row>,
    (row, column): (usize, usize),
    columns: usize,
) -> (Vec<Row>, usize, usize) {
    let (mut wrapped, mut cursor) = (Vec::new(), (0, 0));
    let mut line: Vec<String> = Vec::new();
    // The offset of the cursor in the line, if it is there.
    let mut offset = None;
    for (at, current) in rows.into_iter().enumerate() {
        if at == row {
            offset = Some(line.len() + column);
        }
        line.extend(current.cells);
        if current.is_continued {
            continue;
        }
        if let Some(offset) = offset.take() {
            cursor = (wrapped.len() + offset / columns, offset % columns);
        }
        let count = line.len().div_ceil(columns).max(1);
        for part in 0..count {
            let end = line.len().min((part + 1) * columns);
            wrapped.push(Row {
                cells: line[part * columns..end].to_vec(),
                is_continued: part + 1 < count,
            });
        }
        line.clear();
    }
    (wrapped, cursor.0, cursor.1)
}
