//! Hidden characters in foreign text reach no output of the program, and no command to a CI service does.

use serde_json::{Value, json};

#[cfg(unix)]
use crate::harness::configuration::shell;
use crate::harness::configuration::{FILE_STORE, entry, steps, url};
use crate::harness::http_server::Server;
use crate::harness::output::Finished;
use crate::harness::user::User;

/// At least one character of each kind, chosen by hand from the Unicode Character Database.
const HIDDEN: [(&str, &str); 16] = [
    ("C0 and DEL", "\u{0}\u{7}\u{8}\u{1b}[31m\u{1f}\u{7f}"),
    ("C1", "\u{80}\u{85}\u{9b}2J\u{9d}\u{9f}"),
    ("soft hyphen", "\u{ad}"),
    ("Arabic letter mark", "\u{61c}"),
    ("zero width", "\u{200b}\u{200c}\u{200d}\u{2060}\u{feff}"),
    ("direction marks", "\u{200e}\u{200f}"),
    ("line and paragraph separators", "\u{2028}\u{2029}"),
    (
        "embeddings and overrides",
        "\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}",
    ),
    ("isolates", "\u{2066}\u{2067}\u{2068}\u{2069}"),
    ("invisible operators", "\u{2061}\u{2062}\u{2063}\u{2064}"),
    (
        "deprecated format characters",
        "\u{206a}\u{206b}\u{206c}\u{206d}\u{206e}\u{206f}",
    ),
    ("interlinear annotations", "\u{fff9}\u{fffa}\u{fffb}"),
    ("fillers", "\u{115f}\u{1160}\u{3164}\u{ffa0}\u{34f}\u{180e}"),
    ("variation selectors", "\u{fe00}\u{fe0e}\u{e0100}\u{e01ef}"),
    ("tags", "\u{e0001}\u{e0020}\u{e0041}\u{e007f}"),
    ("musical controls", "\u{1d173}\u{1d17a}"),
];

fn every_hidden() -> String {
    let kinds = HIDDEN.iter();
    kinds
        .map(|(kind, text)| format!("{kind}: {text}; "))
        .collect()
}

/// Panics if a hidden character is in the output. Line ends are not foreign text.
fn assert_visible(what: &str, finished: &Finished) {
    assert!(
        !finished.stderr.contains("panicked"),
        "{what}: {finished:#?}"
    );
    for output in [&finished.stdout, &finished.stderr] {
        for (kind, hidden) in HIDDEN {
            let is_hidden =
                |character: char| !(' '..='~').contains(&character) && hidden.contains(character);
            if let Some(at) = output.find(is_hidden) {
                let from = output[..at].char_indices().rev().nth(40);
                let start = from.map(|(start, _)| start).unwrap_or_default();
                panic!("{what}: {kind}: {:?}", &output[start..at + 4]);
            }
        }
    }
}

/// A server whose error message has hidden characters, programs that write them, and names that contain them.
fn user(server: &Server) -> User {
    let hidden = every_hidden();
    let written = hidden.replace(['\0', '\u{7f}'], "");
    let program = steps(&["err", &written, "exit", "3"]);
    let direction = "evil\u{202e}gnp.exe\u{e0041}";
    let config = [
        FILE_STORE.to_owned(),
        entry("http", &url(&server.url())),
        entry("program", &program),
        entry(direction, &url(&server.url())),
        entry(
            "missing",
            &format!("command = \"no-such-\u{202e}{}\"", "\u{206a}\u{e0041}"),
        ),
        entry(
            "transport",
            "url = \"ws\u{202e}s://\u{9b}x\"\ntype = \"w\u{202e}\u{206a}\"",
        ),
    ];
    User::with(&config.concat())
}

#[test]
fn no_output_of_a_check_has_a_hidden_character() {
    let server = Server::start(|request, responder| {
        let message = every_hidden();
        responder.json(&json!({
            "jsonrpc": "2.0", "id": request.body["id"],
            "error": { "code": -32000, "message": message, "data": message },
        }))
    });
    let user = user(&server);
    for format in ["table", "json", "ndjson"] {
        let run = user.check(format).env("RUST_LOG", "trace");
        let finished = run.finish();
        assert_visible(format, &finished);
        assert!(finished.stdout.contains("evil"), "{finished:#?}");
    }
}

/// GitHub Actions, Azure Pipelines and TeamCity obey these anywhere in a line.
const COMMANDS: &str =
    "no ##[add-mask]e ##vso[task.prependpath]/tmp/x ##TeamCity[message x] ::stop-commands::x";

#[cfg(unix)]
#[test]
fn no_output_has_a_command_to_a_ci_service() {
    let server = Server::start(|request, responder| {
        responder.json(&json!({
            "jsonrpc": "2.0", "id": request.body["id"],
            "error": { "code": -32000, "message": COMMANDS, "data": COMMANDS },
        }))
    });
    let program = shell(&format!("echo '{COMMANDS}' >&2; exit 3"));
    let config = [
        FILE_STORE.to_owned(),
        entry("http", &url(&server.url())),
        entry("program", &program),
        entry("##[error]x", &url(&server.url())),
        entry("::error::x", &url(&server.url())),
    ];
    let user = User::with(&config.concat());
    let config = user.config();
    let config = config.to_str().unwrap();
    let arguments =
        |of: &[&'static str]| of.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let formats = ["table", "json", "ndjson", "junit", "github"];
    let mut runs: Vec<Vec<String>> = formats
        .iter()
        .map(|format| arguments(&["check", "--format", format]))
        .collect();
    runs.push(arguments(&["explain", "http"]));
    runs.push(arguments(&["explain", "::error::x"]));
    runs.push(arguments(&["status"]));
    runs.push(arguments(&["status", "##[warning]y"]));
    runs.push(arguments(&["login", "http"]));
    for mut words in runs {
        words.extend(["--config".to_owned(), config.to_owned()]);
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let finished = user.program(&words).env("RUST_LOG", "trace").finish();
        assert_commands_nothing(&words.join(" "), &finished);
    }
    let notification = json!({
        "method": "mcpServer/startupStatus/updated",
        "params": { "name": "::error::x", "threadId": COMMANDS, "status": "failed", "error": COMMANDS },
    });
    for format in ["table", "json", "ndjson"] {
        let run = user.program(&["follow", "--format", format]);
        let finished = run.stdin(format!("{notification}\n{{##[x]\n")).finish();
        assert_commands_nothing(&format!("follow {format}"), &finished);
    }
}

fn assert_commands_nothing(what: &str, finished: &Finished) {
    for line in finished.stdout.lines().chain(finished.stderr.lines()) {
        let lower = line.to_lowercase();
        for command in ["##[", "##vso[", "##teamcity["] {
            assert!(!lower.contains(command), "{what}: {line}");
        }
        let own = what.contains("github") && lower.starts_with("::error file=");
        assert!(
            own || !lower.trim_start().starts_with("::"),
            "{what}: {line}"
        );
    }
}

#[test]
fn json_lines_of_a_check_have_the_original_text() {
    let server = Server::start(|_, responder| responder.text(500, "text/plain", "no"));
    let user = user(&server);
    let finished = user.check("ndjson").finish();
    let names: Vec<String> = finished
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|line| line["params"]["name"].as_str().unwrap().to_owned())
        .collect();
    assert!(
        names
            .iter()
            .any(|name| name == "evil\u{202e}gnp.exe\u{e0041}"),
        "{names:?}"
    );
}

#[test]
fn no_output_of_follow_has_a_hidden_character() {
    let hidden = every_hidden();
    let notification = |name: &str, thread: &str| {
        json!({
            "method": "mcpServer/startupStatus/updated",
            "params": { "name": name, "threadId": thread, "status": "failed", "error": hidden, "failureReason": hidden },
        })
    };
    let unknown = json!({
        "method": "mcpServer/startupStatus/updated",
        "params": { "name": "unknown", "status": hidden },
    });
    let bad = json!({ "method": "mcpServer/startupStatus/updated", "params": { "name": [hidden], "status": 1 } });
    let lines = [
        notification(&hidden, &hidden),
        notification(&hidden, "another thread"),
        notification("plain", &hidden),
        unknown,
        bad,
    ];
    let input: String = lines.iter().map(|line| format!("{line}\n")).collect();
    for format in ["table", "json", "ndjson"] {
        let user = User::new();
        let run = user.program(&["follow", "--format", format]);
        let finished = run.stdin(input.clone()).finish();
        assert_visible(format, &finished);
        let found: Vec<Value> = match format {
            "json" => finished.json()["servers"].as_array().unwrap().clone(),
            "ndjson" => {
                let lines = finished.stdout.lines();
                let parsed = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
                parsed.map(|line| line["params"].clone()).collect()
            }
            _ => continue,
        };
        // As JSON, the output has the original text.
        assert!(
            found
                .iter()
                .any(|server| server["name"] == *hidden && server["error"] == *hidden),
            "{format}: {found:#?}"
        );
    }
}

#[test]
fn no_error_of_the_program_has_a_hidden_character() {
    let hidden = every_hidden().replace('\0', "");
    let user = User::with(&format!(
        "{FILE_STORE}{}",
        entry("linear", "url = \"https://linear.example\"")
    ));
    let config = user.config();
    let config = config.to_str().unwrap();
    let broken = user.write(
        "here/broken.json",
        json!({ "mcpServers": { hidden.clone(): { "type": hidden, "url": hidden } } }).to_string()
            + &hidden,
    );
    for arguments in [
        vec!["check", "--config", config, &hidden],
        vec!["check", &hidden],
        vec![&hidden],
        vec!["check", "--config", &hidden],
        vec!["check", "--config", broken.to_str().unwrap()],
        vec!["login", "--config", config, &hidden],
        vec!["logout", "--config", config, &hidden],
        vec!["status", "--config", config, &hidden],
        vec!["status", "--config", broken.to_str().unwrap()],
        vec!["demo", &hidden],
        vec!["lab", "--stdio", &hidden],
    ] {
        let finished = user.program(&arguments).finish();
        assert_visible(&format!("{arguments:?}"), &finished);
        assert_ne!(finished.code, Some(0), "{arguments:?}");
    }
}
