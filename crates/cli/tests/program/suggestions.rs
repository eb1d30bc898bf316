//! The commands that the program suggests: they do the same as the command that suggested them.

use crate::harness::configuration::{FILE_STORE, entry, url};
use crate::harness::lab::lab;
use crate::harness::run::PROGRAM;
use crate::harness::user::User;

/// A user with a server that needs a first sign-in, in `-a.toml` in the current folder too.
fn user() -> (mcp_startup_lab::Lab, User) {
    let lab = lab();
    let text = format!(
        "{FILE_STORE}{}",
        entry("first", &url(&lab.url("first-sign-in")))
    );
    let user = User::with(&text);
    user.write("here/-a.toml", text);
    (lab, user)
}

#[test]
fn a_suggested_command_keeps_the_options_that_decide_the_outcome() {
    let (lab, user) = user();
    let document = "https://app.example.com/client.json";
    let options = [
        "--config=-a.toml",
        "--as-written",
        "--client-metadata-url",
        document,
    ];
    let suggestion = format!("run `mcp-startup login first {}`", options.join(" "));
    for (command, code) in [(&["check"][..], 3), (&["status", "--online"], 0)] {
        let run = user.program(&[command, &options].concat());
        let finished = run.finish().assert_exit(code);
        assert!(finished.stdout.contains(&suggestion), "{finished:#?}");
    }
    let secret = format!("{}?key=s3cret", lab.url("first-sign-in"));
    let run = user.program(&["check", &secret, "--client-metadata-url", document]);
    let finished = run.finish().assert_exit(3);
    let suggestion =
        format!("run `mcp-startup login --client-metadata-url {document}` with its URL");
    assert!(finished.stdout.contains(&suggestion), "{finished:#?}");
}

#[test]
fn a_suggested_command_names_the_program_as_it_was_run() {
    let (_lab, user) = user();
    // Windows has several shells, which quote a path differently.
    let name = if cfg!(unix) { PROGRAM } else { "mcp-startup" };
    let suggestion = format!("run `{name} login first");
    let other = user.path("here");
    #[cfg(unix)]
    user.write_script("here/mcp-startup", "exit 1");
    for path in ["/usr/bin:/bin", other.to_str().unwrap(), ""] {
        let run = user.check("table").env("PATH", path);
        let finished = run.finish().assert_exit(3);
        assert!(finished.stdout.contains(&suggestion), "{finished:#?}");
    }
    let without_clients = User::new();
    for (event, program) in [("npx", "npx mcp-startup"), ("test", name)] {
        let check = without_clients.program(&["check"]);
        let run = check.env("npm_lifecycle_event", event);
        let finished = run.env("PATH", "/usr/bin:/bin").finish().assert_exit(2);
        for command in ["clients", "demo"] {
            let suggestion = format!("`{program} {command}`");
            assert!(finished.stderr.contains(&suggestion), "{finished:#?}");
        }
    }
}
