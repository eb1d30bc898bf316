//! The hostile MCP server over stdio: this test program, started again by the program under test.

use std::fs::File;
use std::io::{self, BufRead, Write};

use serde_json::Value;

use crate::attack::{Attack, named};
use crate::content::Placeholders;
use crate::harness::configuration::quoted;
use crate::harness::http_server::Request;
use crate::hostile_server::{write_body, write_messages};

/// The environment variable with the name of the attack.
pub const ATTACK: &str = "ATTACK";

/// The command and its arguments. The output of the test harness must not mix with the messages, which are written to descriptor 3.
pub fn command() -> String {
    let script = "exec 3>&1 1>/dev/null; exec \"$0\" --exact hostile_program::serve --nocapture";
    let program = std::env::current_exe().unwrap();
    format!(
        "command = \"/bin/sh\"\nargs = [\"-c\", {}, {}]",
        quoted(script),
        quoted(program.to_str().unwrap())
    )
}

/// The program that the attacks over stdio start. As a test, it does nothing.
#[test]
fn serve() {
    let Ok(name) = std::env::var(ATTACK) else {
        return;
    };
    let mut stdout = File::options().write(true).open("/dev/fd/3").unwrap();
    // The program under test closes the pipe when it has seen enough.
    let _ = serve_lines(&named(&name), &mut stdout);
}

fn serve_lines(attack: &Attack, stdout: &mut File) -> io::Result<()> {
    for (count, line) in io::stdin().lock().lines().enumerate() {
        let body: Value = serde_json::from_str(&line?)?;
        let placeholders = Placeholders {
            base: String::new(),
            id: body["id"].clone(),
            count,
        };
        let request = Request {
            method: "POST".to_owned(),
            path: String::new(),
            headers: Vec::new(),
            text: String::new(),
            body,
        };
        let step = match request.rpc_method() {
            "" => "reply",
            method => method,
        };
        let sends = &attack.sends;
        match sends.get(step).or_else(|| sends.get("any")) {
            Some(answer) => {
                if answer.json.is_some() || answer.text.is_some() {
                    write_body(answer, &placeholders, stdout)?;
                    stdout.write_all(b"\n")?;
                }
                write_messages(
                    answer,
                    &placeholders,
                    |message| format!("{message}\n"),
                    stdout,
                )?;
            }
            None if step != "reply" && request.body.get("id").is_some() => {
                writeln!(stdout, "{}", request.successful_response())?;
            }
            None => {}
        }
    }
    Ok(())
}
