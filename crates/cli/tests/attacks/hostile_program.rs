//! The hostile MCP server over stdio: a TCP server of this test program, to which the started program relays its streams.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;

use serde_json::Value;

use crate::attack::Attack;
use crate::content::Placeholders;
use crate::harness::http_server::Request;
use crate::hostile_server::{write_body, write_messages};

/// Serves the attack until the tests end. The program that the attack starts has the step `relay` with the address.
pub fn serve(attack: &Attack) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let attack = attack.clone();
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let attack = attack.clone();
            // The program under test closes the pipe when it has seen enough.
            thread::spawn(move || serve_lines(&attack, &connection));
        }
    });
    address
}

fn serve_lines(attack: &Attack, mut stdout: &TcpStream) -> io::Result<()> {
    for (count, line) in BufReader::new(stdout).lines().enumerate() {
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
                    write_body(answer, &placeholders, &mut stdout)?;
                    stdout.write_all(b"\n")?;
                }
                write_messages(
                    answer,
                    &placeholders,
                    |message| format!("{message}\n"),
                    &mut stdout,
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
