//! Stderr, for text that a user reads. On a terminal, lines are wrapped between words, as those on stdout are. A URL or a suggested command is
//! never broken, so that it can be copied.

use std::io::{IsTerminal, Write};

use super::table::wrapped;

/// Stderr for text with styles, which are left out unless it is a terminal.
pub fn styled() -> Wrapping<impl Write> {
    let stderr = std::io::stderr();
    let size = stderr
        .is_terminal()
        .then(|| terminal_size::terminal_size_of(&stderr));
    Wrapping {
        columns: size.flatten().map(|(columns, _)| columns.0.into()),
        output: anstream::stderr(),
        line: Vec::new(),
    }
}

/// Wraps each line when it is complete, or when it is flushed.
pub struct Wrapping<W: Write> {
    output: W,
    /// `None` if nothing is wrapped.
    columns: Option<usize>,
    /// The line without its end.
    line: Vec<u8>,
}

impl<W: Write> Wrapping<W> {
    fn write_line(&mut self, end: &str) -> std::io::Result<()> {
        let line = std::mem::take(&mut self.line);
        let Some((columns, line)) = self.columns.zip(str::from_utf8(&line).ok()) else {
            self.output.write_all(&line)?;
            return self.output.write_all(end.as_bytes());
        };
        let text = line.trim_start_matches(' ');
        let indent = &line[..line.len() - text.len()];
        let words = text.trim_end_matches(' ');
        let spaces = &text[words.len()..];
        let shown = match words.is_empty() {
            true => indent.to_owned(),
            false => wrapped(words, columns, indent),
        };
        write!(self.output, "{shown}{spaces}{end}")
    }
}

impl<W: Write> Write for Wrapping<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match bytes.iter().position(|byte| *byte == b'\n') {
            Some(end) => {
                self.line.extend_from_slice(&bytes[..end]);
                self.write_line("\n")?;
                Ok(end + 1)
            }
            None => {
                self.line.extend_from_slice(bytes);
                Ok(bytes.len())
            }
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        if !self.line.is_empty() {
            self.write_line("")?;
        }
        self.output.flush()
    }
}

impl<W: Write> Drop for Wrapping<W> {
    fn drop(&mut self) {
        let _ = self.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(columns: Option<usize>, texts: &[&str]) -> String {
        let mut output = Vec::new();
        let mut stderr = Wrapping {
            output: &mut output,
            columns,
            line: Vec::new(),
        };
        for text in texts {
            write!(stderr, "{text}").unwrap();
        }
        drop(stderr);
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn lines_are_wrapped_between_words_on_a_terminal() {
        for (texts, expected) in [
            (&["one two ", "three\nfour"][..], "one two\nthree\nfour"),
            (&["  one two three\n"], "  one two\n  three\n"),
            (
                &["\n  https://a.example/mcp\n"],
                "\n  https://a.example/mcp\n",
            ),
            (&["really start? [y/N] "], "really\nstart?\n[y/N] "),
            (
                &["run `a --long command` now\n"],
                "run\n`a --long command`\nnow\n",
            ),
        ] {
            assert_eq!(written(Some(9), texts), expected);
            assert_eq!(written(None, texts), texts.concat());
        }
    }
}
