//! `open`: where the token can be seen, and how the page ends.

use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Message, WebSocket, client};

use crate::endings::READY;
use crate::harness::configuration::{entry, quoted};
use crate::harness::http_client::get;
use crate::harness::lab::lab;
use crate::harness::run::Running;
use crate::harness::time::eventually;
use crate::harness::user::User;
use crate::marked::Mark;

/// How long processes may exist after the program has exited.
const LIMIT: Duration = Duration::from_secs(5);

/// A user with one server that starts.
fn user() -> (User, mcp_startup_lab::Lab) {
    let lab = lab();
    let user = User::with(&entry(
        "ready",
        &format!("url = {}", quoted(&lab.url("ready"))),
    ));
    (user, lab)
}

/// Reads the address that `open --no-browser` prints. Returns the address without the token, and the token.
fn printed_address(running: &mut Running) -> (String, String) {
    let stdout = running.child.stdout.take().unwrap();
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    split_address(line.trim_end())
}

fn split_address(address: &str) -> (String, String) {
    let (address, token) = address.split_once("#token=").unwrap();
    // 256 bits in base64url.
    assert_eq!(token.len(), 43, "{token}");
    (address.to_owned(), token.to_owned())
}

/// Connects as the page does, and sends the token. Returns the answer.
fn authenticate(address: &str, token: &str) -> (WebSocket<TcpStream>, Value) {
    let host = address.strip_prefix("http://").unwrap();
    let mut request = format!("ws://{host}").into_client_request().unwrap();
    let origin = format!("http://{}", host.strip_suffix('/').unwrap());
    let headers = request.headers_mut();
    headers.insert("Origin", origin.parse().unwrap());
    let stream = TcpStream::connect(host.strip_suffix('/').unwrap()).unwrap();
    let (mut socket, _) = client(request, stream).unwrap();
    let first =
        json!({ "id": 0, "method": "mcpStartup/authenticate", "params": { "token": token } });
    socket.send(Message::text(first.to_string())).unwrap();
    let answer = socket.read().unwrap();
    (
        socket,
        serde_json::from_str(answer.to_text().unwrap()).unwrap(),
    )
}

fn end(mut running: Running) -> String {
    running.signal("INT");
    let mut stderr = String::new();
    let mut pipe = running.child.stderr.take().unwrap();
    pipe.read_to_string(&mut stderr).unwrap();
    assert_eq!(running.child.wait().unwrap().code(), Some(130), "{stderr}");
    stderr
}

/// A browser that copies the file that it is started with, the modes and its arguments, and does not end before the test.
fn recording_browser(user: &User, mark: &Mark) -> (PathBuf, PathBuf) {
    let record = user.path("temporary/record");
    let script = format!(
        "{mark}\nfile=${{1#file://}}\nmkdir {0}.new\nprintf '%s\\n' \"$@\" >{0}.new/arguments\ncp \"$file\" {0}.new/document\nstat -c %a \"$file\" \"$(dirname \"$file\")\" >{0}.new/modes\nmv {0}.new {0}\nexec sleep 1000",
        record.display(),
        mark = mark.shell_command(),
    );
    (user.write_script("browser", &script), record)
}

#[test]
fn the_token_is_passed_to_the_browser_only_in_a_private_file_that_is_then_removed() {
    let (user, _lab) = user();
    let mark = Mark::new();
    let (browser, record) = recording_browser(&user, &mark);
    let config = user.config();
    let command = [
        "open",
        "--config",
        config.to_str().unwrap(),
        "--client-metadata-url",
        "https://app.example.com/client.json",
        "--timeout",
        "20.5",
        "--concurrency",
        "4",
    ];
    let running = user.program(&command).env("BROWSER", &browser).spawn();
    eventually("the browser is opened", || record.exists().then_some(()));
    let read = |name: &str| std::fs::read_to_string(record.join(name)).unwrap();
    assert_eq!(read("modes"), "600\n700\n");

    let document = read("document");
    let (_, url) = document.split_once("0; url=").unwrap();
    let (address, token) = split_address(url.split('"').next().unwrap());
    let arguments = read("arguments");
    let file = PathBuf::from(arguments.trim_end().strip_prefix("file://").unwrap());
    assert!(file.starts_with(user.path("temporary")), "{file:?}");
    assert!(file.exists());
    // Other users can see the arguments of all processes.
    for process in std::fs::read_dir("/proc").unwrap().flatten() {
        let command = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).into_owned();
        assert!(!command.contains(&token), "{command}");
    }

    // A browser loads the page before it uses the token.
    assert_eq!(get(&address).status, 200);
    assert!(file.exists());
    let (_socket, answer) = authenticate(&address, &token);
    assert_eq!(answer["result"], json!({}), "{answer}");
    let folder = file.parent().unwrap();
    eventually("the file is removed", || (!folder.exists()).then_some(()));
    let stderr = end(running);
    assert!(!stderr.contains(&token), "{stderr}");
    assert!(stderr.contains(&format!("from {address}.")), "{stderr}");
    assert!(stderr.contains("Press Ctrl-C to end."), "{stderr}");
    let options = command[1..].join(" ");
    let again = format!("run `mcp-startup open --no-browser {options}`");
    assert!(stderr.contains(&again), "{stderr}");
}

#[test]
fn the_file_is_removed_at_the_end_if_no_browser_has_used_it() {
    let (user, _lab) = user();
    let mark = Mark::new();
    let (browser, record) = recording_browser(&user, &mark);
    let running = user.program(&["open"]).env("BROWSER", &browser).spawn();
    eventually("the browser is opened", || record.exists().then_some(()));
    end(running);
    let arguments = std::fs::read_to_string(record.join("arguments")).unwrap();
    let file = arguments.trim_end().strip_prefix("file://").unwrap();
    assert!(!Path::new(file).parent().unwrap().exists(), "{file}");
}

#[test]
fn a_page_without_servers_is_served_and_shows_those_that_are_added() {
    let user = User::new();
    let selections: [&[&str]; 3] = [&[], &["--client", "cursor"], &["--yes"]];
    for selection in selections {
        let arguments = [&["open", "--no-browser"], selection].concat();
        let mut running = user.program(&arguments).spawn();
        let (address, token) = printed_address(&mut running);
        assert_eq!(get(&address).status, 200);
        let (_socket, answer) = authenticate(&address, &token);
        assert_eq!(answer["result"], json!({}), "{answer}");
        end(running);
    }
    // A file that can't be read is an error, and so is a home folder that is not known.
    user.write("home/.codex/config.toml", "[");
    user.program(&["open", "--no-browser"])
        .finish()
        .assert_exit(2);
    let without_home = user.program(&["open", "--no-browser"]).env("HOME", "");
    without_home.finish().assert_exit(2);
}

#[test]
fn without_a_browser_the_address_is_printed_with_the_command_for_another_machine() {
    let (user, _lab) = user();
    let without_display: [&[&str]; 2] = [&["open", "--no-browser"], &["open"]];
    for arguments in without_display {
        let mut running = user.program(arguments).spawn();
        let (address, token) = printed_address(&mut running);
        let (_socket, answer) = authenticate(&address, &token);
        assert_eq!(answer["result"], json!({}), "{answer}");
        let stderr = end(running);
        let port = address.split([':', '/']).nth(4).unwrap();
        let forwarding = format!("`ssh -L {port}:127.0.0.1:{port} HOST`");
        assert!(stderr.contains(&forwarding), "{stderr}");
        assert!(!stderr.contains(&token), "{stderr}");
        let says_so = stderr.contains("No browser could be opened.");
        assert_eq!(says_so, arguments.len() == 1, "{stderr}");
    }
    // A browser that can't be started.
    let run = user.program(&["open"]).env("BROWSER", "/nonexistent");
    let mut running = run.env("PATH", "/nonexistent").spawn();
    let (address, _) = printed_address(&mut running);
    assert_eq!(get(&address).status, 200);
    assert!(end(running).contains("No browser could be opened."));
    let left = std::fs::read_dir(user.path("temporary")).unwrap().count();
    assert_eq!(left, 0, "temporary files");
}

#[test]
fn two_pages_at_once_have_their_own_ports_and_tokens() {
    let (user, _lab) = user();
    let open = || {
        let mut running = user.program(&["open", "--no-browser"]).spawn();
        let address = printed_address(&mut running);
        (running, address)
    };
    let ((first, (address, token)), (second, (other_address, other_token))) = (open(), open());
    assert_ne!((&address, &token), (&other_address, &other_token));
    let (_, refused) = authenticate(&address, &other_token);
    assert_eq!(refused["error"]["data"]["reason"], "unauthorized");
    let (_, answer) = authenticate(&other_address, &other_token);
    assert_eq!(answer["result"], json!({}), "{answer}");
    end(first);
    assert_eq!(get(&other_address).status, 200);
    end(second);
}

#[test]
fn a_port_that_is_in_use_is_an_error_that_names_it() {
    let (user, _lab) = user();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let finished = user
        .program(&["open", "--no-browser", "--port", &port])
        .finish()
        .assert_exit(1);
    assert!(
        finished.stderr.contains("choose another port"),
        "{finished:#?}"
    );
    assert!(finished.stderr.contains(&port), "{finished:#?}");
    drop(listener);
    let mut running = user
        .program(&["open", "--no-browser", "--port", &port])
        .spawn();
    let (address, _) = printed_address(&mut running);
    assert_eq!(address, format!("http://127.0.0.1:{port}/"));
    end(running);
}

#[test]
fn the_servers_of_the_page_end_with_the_program() {
    for signal in ["INT", "TERM", "HUP", "KILL"] {
        let (user, mark) = (User::new(), Mark::new());
        let started = user.path("temporary/started");
        let config = entry(
            "stays",
            &format!(
                "command = \"/bin/sh\"\nargs = [\"-c\", {}, \"sh\", {}]\n{}",
                quoted(READY),
                quoted(started.to_str().unwrap()),
                mark.setting(),
            ),
        );
        user.write("home/.codex/config.toml", config);
        let mut running = user.program(&["open", "--no-browser"]).spawn();
        let (address, token) = printed_address(&mut running);
        let (mut socket, _) = authenticate(&address, &token);
        let info = json!({ "clientInfo": { "name": "test", "version": "1" } });
        for message in [
            json!({ "id": 1, "method": "initialize", "params": info }),
            json!({ "method": "initialized" }),
        ] {
            socket.send(Message::text(message.to_string())).unwrap();
        }
        eventually("the server has started", || started.exists().then_some(()));
        running.signal(signal);
        running.child.wait().unwrap();
        let left = mark.left_after(LIMIT);
        assert!(left.is_empty(), "{signal}: {left:#?}");
    }
}
