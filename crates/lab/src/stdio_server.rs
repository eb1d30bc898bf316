//! A scenario's program: speaks MCP on stdin and stdout and performs the scenario's steps. It knows no HTTP.

use std::io::{self, BufRead, Write};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::oneshot;

use crate::protocol::{Answer, Protocol, error, method};
use crate::scenario::{StdioBehaviour, Step};

/// How long the program can still answer earlier messages after stdin has closed.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);
/// The exit code if stdout or stderr cannot be written.
const FAILURE: u8 = 1;

/// Speaks MCP on this process's stdin and stdout, line by line, until stdin closes or a step exits. Returns the exit code.
///
/// Return the exit code from `main` immediately: a thread might still be reading stdin or writing an endless line.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use mcp_startup_lab::{Step, StdioBehaviour, serve_stdio};
///
/// let first = vec![Step::Stderr("no luck today\n".into()), Step::Exit(3)];
/// let code = serve_stdio(&StdioBehaviour { first, ..Default::default() }).await;
/// assert_eq!(code, 3);
/// # }
/// ```
pub async fn serve_stdio(behaviour: &StdioBehaviour) -> u8 {
    // Plain threads instead of tokio's stdin and stdout, because a runtime that shuts down waits for a blocked read or write.
    let (line_sender, lines) = mpsc::sync_channel::<String>(64);
    let (closed_sender, mut closed) = oneshot::channel::<()>();
    thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            if !line.is_ok_and(|line| line_sender.send(line).is_ok()) {
                break;
            }
        }
        drop(closed_sender);
    });
    let (ended_sender, mut ended) = oneshot::channel::<u8>();
    let behaviour = behaviour.clone();
    thread::spawn(move || {
        let exit_code = converse(&behaviour, lines, &mut io::stdout(), &mut io::stderr());
        // Writing fails if the client no longer reads.
        let _ = ended_sender.send(exit_code.unwrap_or(FAILURE));
    });
    tokio::select! {
        code = &mut ended => code.unwrap_or(FAILURE),
        _ = &mut closed => match tokio::time::timeout(DRAIN_TIMEOUT, ended).await {
            Ok(code) => code.unwrap_or(FAILURE),
            Err(_) => 0,
        },
    }
}

/// Runs the whole conversation and returns the exit code.
fn converse(
    behaviour: &StdioBehaviour,
    lines: impl IntoIterator<Item = String>,
    out: &mut impl Write,
    err: &mut impl Write,
) -> io::Result<u8> {
    let protocol = Protocol {
        era: behaviour.era,
        version: behaviour.protocol_version.as_deref(),
        tools: behaviour.tools,
    };
    if let Some(code) = run_steps(&behaviour.first, None, out, err)? {
        return Ok(code);
    }
    for line in lines {
        let (steps_for_method, answer) = match serde_json::from_str::<Value>(&line) {
            Ok(message) => {
                let steps = method(&message).and_then(|method| behaviour.on.get(method));
                (steps, protocol.answer(&message))
            }
            Err(_) => (
                None,
                Answer::Malformed(error(&Value::Null, -32700, "Parse error")),
            ),
        };
        let (default_steps, answer): (&[Step], _) = match answer {
            Answer::Nothing => (&[], None),
            Answer::UnknownMethod { message, .. } => (&behaviour.on_unknown_method, Some(message)),
            Answer::Message(message) | Answer::Malformed(message) => {
                (&[Step::Answer], Some(message))
            }
        };
        let steps = steps_for_method.map_or(default_steps, Vec::as_slice);
        if let Some(code) = run_steps(steps, answer.as_ref(), out, err)? {
            return Ok(code);
        }
    }
    Ok(0)
}

/// Runs the steps. Returns the exit code if one of them exits.
fn run_steps(
    steps: &[Step],
    answer: Option<&Value>,
    out: &mut impl Write,
    err: &mut impl Write,
) -> io::Result<Option<u8>> {
    for step in steps {
        match step {
            Step::Answer => {
                if let Some(answer) = answer {
                    writeln!(out, "{answer}")?;
                }
            }
            Step::WaitMs(milliseconds) => thread::sleep(Duration::from_millis(*milliseconds)),
            Step::Stderr(text) => err.write_all(text.as_bytes())?,
            Step::Line(text) => writeln!(out, "{text}")?,
            Step::JunkBytes(count) => write_junk(*count, out)?,
            Step::EndlessLine => loop {
                out.write_all(&[b'x'; 64 * 1024])?;
            },
            Step::Exit(code) => return Ok(Some(*code)),
        }
        out.flush()?;
    }
    Ok(None)
}

/// Writes lines that are not JSON, exactly this many bytes in total.
fn write_junk(count: u64, out: &mut impl Write) -> io::Result<()> {
    const LINE: usize = 1024;
    let block: Vec<u8> = (1..=64 * LINE)
        .map(|at| if at % LINE == 0 { b'\n' } else { b'x' })
        .collect();
    let mut left = count;
    while left > 0 {
        let now = block.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        out.write_all(&block[..now])?;
        left -= now as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Era, scenarios};

    const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}"#;
    const DISCOVER: &str = r#"{"jsonrpc":"2.0","id":2,"method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;

    /// The exit code, stdout and stderr of a conversation.
    fn talk(behaviour: &StdioBehaviour, lines: &[&str]) -> (u8, String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let lines = lines.iter().map(|line| (*line).to_owned());
        let code = converse(behaviour, lines, &mut out, &mut err).unwrap();
        (
            code,
            String::from_utf8(out).unwrap(),
            String::from_utf8(err).unwrap(),
        )
    }

    fn behaviour(row: &str) -> &'static StdioBehaviour {
        let row = scenarios()
            .iter()
            .find(|scenario| scenario.name == row)
            .unwrap();
        row.stdio.as_ref().unwrap()
    }

    #[test]
    fn programs_behave_as_their_scenarios_describe() {
        for (row, lines, code, expected) in [
            (
                "stdio-ready",
                vec![INITIALIZE],
                0,
                vec![r#""protocolVersion":"2025-11-25""#],
            ),
            (
                "stdio-ready",
                vec![DISCOVER, INITIALIZE],
                0,
                vec!["-32601", "serverInfo"],
            ),
            ("stdio-ready", vec!["{"], 0, vec!["-32700"]),
            (
                "stdio-modern",
                vec![INITIALIZE, DISCOVER],
                0,
                vec!["-32601", "supportedVersions"],
            ),
            (
                "stdio-silent-at-unknown",
                vec![DISCOVER, INITIALIZE],
                0,
                vec!["serverInfo"],
            ),
            (
                "stdio-exits-at-unknown",
                vec![DISCOVER, INITIALIZE],
                1,
                vec![],
            ),
            (
                "stdio-exits-at-unknown",
                vec![INITIALIZE],
                0,
                vec!["serverInfo"],
            ),
            (
                "stdio-banner-then-ready",
                vec![INITIALIZE],
                0,
                vec!["", "serverInfo"],
            ),
            ("stdio-exits-3", vec![INITIALIZE], 3, vec![]),
        ] {
            let (got, out, _) = talk(behaviour(row), &lines);
            assert_eq!(got, code, "{row}");
            let answers: Vec<_> = out.lines().collect();
            assert_eq!(answers.len(), expected.len(), "{row}: {out}");
            for (answer, part) in answers.iter().zip(expected) {
                assert!(answer.contains(part), "{row}: {answer}");
            }
        }
        assert!(!talk(behaviour("stdio-exits-3"), &[]).2.is_empty());
    }

    #[test]
    fn steps_for_a_method_replace_its_answer() {
        let on = |steps: Vec<Step>| StdioBehaviour {
            on: [("initialize".to_owned(), steps)].into(),
            era: Era::Legacy,
            ..Default::default()
        };
        assert_eq!(
            talk(&on(vec![]), &[INITIALIZE]),
            (0, String::new(), String::new())
        );
        let steps = vec![
            Step::WaitMs(1),
            Step::Stderr("bye".into()),
            Step::Answer,
            Step::Exit(9),
        ];
        let (code, out, err) = talk(&on(steps), &[INITIALIZE, INITIALIZE]);
        assert_eq!((code, out.lines().count(), err.as_str()), (9, 1, "bye"));
    }

    #[test]
    fn junk_has_the_requested_size_and_an_endless_line_ends_with_its_reader() {
        let junk = StdioBehaviour {
            first: vec![Step::JunkBytes(100_000)],
            ..Default::default()
        };
        let (_, out, _) = talk(&junk, &[]);
        assert_eq!((out.len(), out.lines().count()), (100_000, 98));

        let mut small = [0_u8; 1000];
        let ended = converse(
            behaviour("stdio-endless-line"),
            [],
            &mut small.as_mut_slice(),
            &mut Vec::new(),
        );
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::WriteZero);
        assert!(!small.contains(&b'\n'));
    }
}
