//! Servers that are programs and echo secrets on stdout or stderr.

use std::ffi::OsString;

use serde_json::json;

use crate::echo_server::share_of_echo_servers;
use crate::findings::Findings;
use crate::harness::cases::for_each_case;
use crate::harness::run::test_program;
use crate::harness::user::User;
use crate::places::{NOT_ECHOED_BY_PROGRAMS, PROGRAM_PLACES};
use crate::program_echoes::PROGRAM_ECHOES;
use crate::run::{Format, NDJSON, Setup, TABLE, on_this_system};
#[cfg(unix)]
use crate::secrets::ENCODINGS;
use crate::secrets::{Encoding, LONG, MULTILINE, NEEDS_ESCAPING, PLAIN, VERBATIM, found_in};

#[test]
fn secrets_echoed_by_a_program_do_not_leak() {
    let json = ("json", [PLAIN, NEEDS_ESCAPING, LONG, MULTILINE].as_slice());
    check_programs(on_this_system(&[json, TABLE, NDJSON]), &[VERBATIM], 1);
}

/// The encodings are the same on every system, and Wine is slow.
#[cfg(unix)]
#[test]
fn secrets_echoed_by_a_program_in_another_encoding_do_not_leak() {
    check_programs(&[("json", &[NEEDS_ESCAPING, MULTILINE])], &ENCODINGS, 4);
}

#[test]
fn variable_that_is_not_unicode_is_accepted_and_its_secret_does_not_leak() {
    let secret = not_unicode(&PLAIN.1(0));
    let user = User::new();
    let arguments = ["err", "{env:API_KEY}\n", "exit", "7"];
    let servers =
        json!({ "mcpServers": { "program": { "command": test_program(), "args": arguments } } });
    let file = user.write("servers.json", servers.to_string());
    let run = user.program(&[
        "check",
        "--format",
        "json",
        "--config",
        file.to_str().unwrap(),
    ]);
    let finished = run.env("API_KEY", secret).finish();
    assert_eq!(found_in(&finished.all_output()), None, "{finished:#?}");
    assert_eq!(
        finished.assert_exit(1).server("program")["failure"]["kind"],
        "exited"
    );
}

/// The text twice, with something between that is not Unicode.
#[cfg(unix)]
fn not_unicode(text: &str) -> OsString {
    use std::os::unix::ffi::OsStringExt;
    OsString::from_vec([text.as_bytes(), b"\xff", text.as_bytes()].concat())
}

#[cfg(windows)]
fn not_unicode(text: &str) -> OsString {
    use std::os::windows::ffi::OsStringExt;
    let text: Vec<u16> = text.encode_utf16().collect();
    OsString::from_wide(&[&text[..], &[0xd800], &text].concat())
}

/// Each echo has one in `share` of the servers.
fn check_programs(formats: &[Format], encodings: &[Encoding], share: usize) {
    let findings = Findings::default();
    let echoes: Vec<_> = PROGRAM_ECHOES.iter().enumerate().collect();
    for_each_case(&echoes, |(at, echo)| {
        for (format, texts) in formats {
            let servers = share_of_echo_servers(&PROGRAM_PLACES, texts, encodings, *at, share);
            let setup = Setup {
                program_echo: Some(echo.steps),
                ..Setup::of(&servers, String::new())
            };
            findings.add(echo.name, &servers, setup.leaks(format));
        }
    });
    findings.assert_none(&PROGRAM_PLACES, &NOT_ECHOED_BY_PROGRAMS);
}
