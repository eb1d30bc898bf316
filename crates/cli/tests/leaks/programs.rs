//! Servers that are programs and echo secrets on stdout or stderr.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use serde_json::json;

use crate::echo_server::echo_servers;
use crate::findings::Findings;
use crate::harness::cases::for_each_case;
use crate::harness::user::User;
use crate::places::{NOT_ECHOED_BY_PROGRAMS, PROGRAM_PLACES};
use crate::program_echoes::PROGRAM_ECHOES;
use crate::run::{Format, NDJSON, Setup, TABLE};
use crate::secrets::{
    ENCODINGS, Encoding, LONG, MULTILINE, NEEDS_ESCAPING, PLAIN, VERBATIM, found_in,
};

#[test]
fn secrets_echoed_by_a_program_do_not_leak() {
    let json = ("json", [PLAIN, NEEDS_ESCAPING, LONG, MULTILINE].as_slice());
    check_programs(&[json, TABLE, NDJSON], &[VERBATIM]);
}

#[test]
fn secrets_echoed_by_a_program_in_another_encoding_do_not_leak() {
    check_programs(&[("json", &[NEEDS_ESCAPING, MULTILINE])], &ENCODINGS);
}

#[test]
fn variable_that_is_not_unicode_is_accepted_and_its_secret_does_not_leak() {
    let secret = [PLAIN.1(0).as_bytes(), b"\xff", PLAIN.1(0).as_bytes()].concat();
    let user = User::new();
    let arguments = ["-c", "printf '%s\\n' \"$API_KEY\" >&2; exit 7"];
    let servers =
        json!({ "mcpServers": { "program": { "command": "/bin/sh", "args": arguments } } });
    let file = user.write("servers.json", servers.to_string());
    let run = user.program(&[
        "check",
        "--format",
        "json",
        "--config",
        file.to_str().unwrap(),
    ]);
    let finished = run.env("API_KEY", OsStr::from_bytes(&secret)).finish();
    assert_eq!(found_in(&finished.all_output()), None, "{finished:#?}");
    assert_eq!(
        finished.assert_exit(1).server("program")["failure"]["kind"],
        "exited"
    );
}

fn check_programs(formats: &[Format], encodings: &[Encoding]) {
    let findings = Findings::default();
    for_each_case(&PROGRAM_ECHOES, |echo| {
        for (format, texts) in formats {
            let servers = echo_servers(&PROGRAM_PLACES, texts, encodings);
            let scripts = servers.iter().map(|server| server.script(echo.script));
            let setup = Setup {
                scripts: scripts.collect(),
                ..Setup::of(&servers, String::new())
            };
            findings.add(echo.name, &servers, setup.leaks(format));
        }
    });
    findings.assert_none(&PROGRAM_PLACES, &NOT_ECHOED_BY_PROGRAMS);
}
