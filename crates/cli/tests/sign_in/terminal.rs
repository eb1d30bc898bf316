//! `login` on a terminal: the prompt for the callback URL.

use std::io::{Read, Write};
use std::process::ChildStdout;

use crate::harness::authorization_server::AuthorizationServer;
use crate::harness::browser::{Consent, authorize};
use crate::harness::http_client::get;
use crate::harness::terminal::{is_available, spawn_on_terminal};
use crate::session::{login, user_of};

#[test]
fn login_on_a_terminal_prompts_for_the_callback_url() {
    let test = "terminal::login_on_a_terminal_prompts_for_the_callback_url";
    let Some(auth_server) = AuthorizationServer::start(test) else {
        return;
    };
    if !is_available(test) {
        return;
    }
    let user = user_of(&[("linear", &auth_server.mcp_url("linear"))]);
    let begin = || {
        let mut running = spawn_on_terminal(login(&user, "linear").arg("--no-browser"));
        let keys = running.child.stdin.take().unwrap();
        let mut received = Received {
            from: running.child.stdout.take().unwrap(),
            text: String::new(),
        };
        received.read_until("URL: ");
        (running, keys, received)
    };
    let authorization_url = |received: &Received| {
        let mut lines = received.text.lines();
        lines
            .find_map(|line| {
                line.trim()
                    .strip_prefix("http")
                    .map(|rest| format!("http{rest}"))
            })
            .unwrap()
    };

    let (mut running, mut keys, mut received) = begin();
    let callback_url = authorize(&authorization_url(&received), Consent::Allow);
    keys.write_all(b"hello\n").unwrap();
    received.read_until("it is not a URL\r\nURL: ");
    keys.write_all(format!("{callback_url}\n").as_bytes())
        .unwrap();
    received.read_until("Signed in to linear.\r\n");
    assert!(running.child.wait().unwrap().success());
    assert!(!received.text.contains('\u{1b}'), "{}", received.text);

    // The browser completes the sign-in. The message then starts on a new line.
    let (mut running, _keys, mut received) = begin();
    get(&authorize(&authorization_url(&received), Consent::Allow));
    received.read_until("URL: \r\nSigned in to linear.\r\n");
    assert!(running.child.wait().unwrap().success());

    // Ctrl-C.
    let (mut running, mut keys, mut received) = begin();
    keys.write_all(b"\x03").unwrap();
    received.read_until("URL: ^C\r\n");
    assert_eq!(running.child.wait().unwrap().code(), Some(130));
}

/// The text that the terminal has received so far.
struct Received {
    from: ChildStdout,
    text: String,
}

impl Received {
    fn read_until(&mut self, end: &str) {
        while !self.text.ends_with(end) {
            let mut buffer = [0; 4096];
            let count = self.from.read(&mut buffer).unwrap();
            assert_ne!(count, 0, "no {end:?} in {:?}", self.text);
            self.text
                .push_str(std::str::from_utf8(&buffer[..count]).unwrap());
        }
    }
}
