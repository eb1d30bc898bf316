//! Runs the program on a pseudo-terminal, which Python opens, and determines the content of the screen afterwards.

use std::process::{Command, Stdio};

use unicode_width::UnicodeWidthChar;

use super::cases::skip;
use super::output::Finished;
use super::run::{Run, Running};

/// Runs a program on a terminal with a given size. Prints everything that the terminal receives, and exits with the program's
/// exit code.
const CAPTURE: &str = r#"
import fcntl, os, pty, struct, sys, termios
child, terminal = pty.fork()
if child == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", int(sys.argv[1]), int(sys.argv[2]), 0, 0))
    os.execvp(sys.argv[3], sys.argv[3:])
while True:
    try:
        read = os.read(terminal, 65536)
    except OSError:
        break
    if not read:
        break
    sys.stdout.buffer.write(read)
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
    if !is_available(test) {
        return None;
    }
    let run = run.env("TERM", "xterm-256color");
    let (rows, columns) = (rows.to_string(), columns.to_string());
    let terminal = ["python3", "-c", CAPTURE, &rows, &columns];
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
    /// The parameters of every SGR sequence.
    pub colors: Vec<String>,
}

impl Screen {
    /// The screen of a terminal with this many columns after it has received `text`.
    pub fn after(text: &str, columns: usize) -> Self {
        let (mut lines, mut colors) = (vec![Vec::new()], Vec::new());
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
                        'K' if parameters == "2" => lines[row] = Vec::new(),
                        'K' if parameters.is_empty() || parameters == "0" => {
                            lines[row].truncate(column)
                        }
                        'J' if parameters.is_empty() || parameters == "0" => {
                            lines[row].truncate(column);
                            lines.truncate(row + 1);
                        }
                        'h' | 'l' => {}
                        other => panic!("an unexpected sequence: {parameters}{other}"),
                    }
                }
                character => {
                    assert!(!character.is_control(), "{character:?}");
                    let width = character.width().unwrap();
                    if column + width > columns {
                        (row, column) = (row + 1, 0);
                    }
                    lines.resize(lines.len().max(row + 1), Vec::new());
                    let line: &mut Vec<char> = &mut lines[row];
                    line.resize(line.len().max(column + width), ' ');
                    // A wide character takes two cells. The second one is empty.
                    line[column..column + width].fill('\0');
                    line[column] = character;
                    column += width;
                }
            }
            lines.resize(lines.len().max(row + 1), Vec::new());
        }
        let shown = |line: Vec<char>| {
            let line: String = line.into_iter().filter(|cell| *cell != '\0').collect();
            line.trim_end().to_owned()
        };
        let mut lines: Vec<_> = lines.into_iter().map(shown).collect();
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        Self { lines, colors }
    }
}
