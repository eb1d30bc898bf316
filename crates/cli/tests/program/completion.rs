//! Completion in real shells.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::harness::cases::skip;
use crate::harness::configuration::{entry, url};
use crate::harness::run::PROGRAM;
use crate::harness::user::User;

/// A shell, and the script with which it prints the words that it offers after `mcp-startup $WORDS` for the beginning `$LAST`.
struct Shell {
    program: &'static str,
    arguments: &'static [&'static str],
    script: &'static str,
    /// Returns the word in a line of the output, which may have a description.
    word: fn(&str) -> String,
}

const BASH: Shell = Shell {
    program: "bash",
    arguments: &["--norc", "-c"],
    script: r#"
source <(mcp-startup completions bash)
function=$(complete -p mcp-startup | sed 's/.*-F \([^ ]*\) .*/\1/')
COMP_WORDS=(mcp-startup $WORDS "")
[ -n "$LAST" ] && COMP_WORDS[${#COMP_WORDS[@]}-1]=$LAST
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
COMP_LINE=${COMP_WORDS[*]} COMP_WORDBREAKS=$' \t\n"\'><=;|&(:' COMP_TYPE=9
for mark in : =; do COMP_LINE=${COMP_LINE// $mark/$mark}; COMP_LINE=${COMP_LINE//$mark /$mark}; done
"$function" mcp-startup "$LAST" ""
printf '%s\n' "${COMPREPLY[@]}"
"#,
    word: |line| line.trim().to_owned(),
};

/// `_describe` shows an array of words. Each word has a description after a colon, so a colon in the word is escaped.
const ZSH: Shell = Shell {
    program: "zsh",
    arguments: &["-f", "-c"],
    script: r#"
compdef() {}
_describe() { print -rl -- "${(P@)argv[-1]}"; }
source <(mcp-startup completions zsh)
words=(mcp-startup ${=WORDS} "$LAST")
CURRENT=$#words
_clap_dynamic_completer_mcp_startup
"#,
    word: |line| {
        let line = line.replace(r"\:", "\0");
        line.split(':').next().unwrap().replace('\0', ":")
    },
};

const FISH: Shell = Shell {
    program: "fish",
    arguments: &["--no-config", "-c"],
    script: r#"
mcp-startup completions fish | source
complete -C "mcp-startup $WORDS $LAST"
"#,
    word: |line| line.split('\t').next().unwrap().to_owned(),
};

/// A user with the servers `linear`, `github`, `my server` and `-dash` in Codex, and another `github` in Cursor. `None` if the shell is not
/// installed.
fn user_with(shell: &Shell, test: &str) -> Option<User> {
    let version = Command::new(shell.program).arg("--version").output();
    if version.is_err() {
        skip(test, &format!("{} is not installed", shell.program));
        return None;
    }
    let user = User::with(
        &[
            entry("linear", &url("https://linear.example/mcp")),
            entry("github", &url("https://github.example/mcp")),
            entry("my server", &url("https://my.example/mcp")),
            entry("-dash", &url("https://dash.example/mcp")),
        ]
        .concat(),
    );
    std::fs::create_dir(user.path("home/.cursor")).unwrap();
    let github = json!({ "mcpServers": { "github": { "url": "https://github.example/other" } } });
    user.write("home/.cursor/mcp.json", github.to_string());
    Some(user)
}

/// The words that the shell offers after `mcp-startup WORDS` for the beginning `last`.
fn offered(shell: &Shell, user: &User, words: &str, last: &str) -> Vec<String> {
    let folder = Path::new(PROGRAM).parent().unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{path}", folder.display());
    let output = Command::new(shell.program)
        .args(shell.arguments)
        .arg(shell.script)
        .env_clear()
        .env("PATH", &path)
        .env("HOME", user.path("home"))
        .env("WORDS", words)
        .env("LAST", last)
        .current_dir(user.path("here"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.map(shell.word).collect()
}

fn completes_commands_options_clients_and_servers(test: &str, shell: &Shell) {
    let Some(user) = user_with(shell, test) else {
        return;
    };
    let offered = |words: &str, last: &str| offered(shell, &user, words, last);
    assert_eq!(offered("", "cl"), ["clients"]);
    assert_eq!(offered("login", "li"), ["linear"]);
    assert_eq!(offered("check github", "li"), ["linear"]);
    let all = offered("explain", "");
    for name in ["linear", "github", "codex:github", "cursor:github"] {
        assert!(all.contains(&name.to_owned()), "{name}: {all:?}");
    }
    let dash = "-dash".to_owned();
    assert!(!all.contains(&dash), "{all:?}");
    assert!(!offered("check", "").contains(&dash));
    let after_options = offered("explain --", "");
    assert!(after_options.contains(&dash), "{after_options:?}");
    assert_eq!(offered("check", "--dry"), ["--dry-run"]);
    assert_eq!(offered("check --client", "curs"), ["cursor"]);
    assert_eq!(offered("demo", "ready-ss"), ["ready-sse"]);
    assert_eq!(offered("lab --stdio", "stdio-r"), ["stdio-ready"]);
}

/// Bash splits words at colons and equals signs, replaces what follows the last of them, and inserts a word as it is offered.
#[test]
fn bash_completes_words_that_it_splits_and_quotes_others() {
    let test = "completion::bash_completes_words_that_it_splits_and_quotes_others";
    let Some(user) = user_with(&BASH, test) else {
        return;
    };
    for (words, last, wanted) in [
        ("login cursor", ":", "github"),
        ("login cursor :", "gi", "github"),
        ("check linear cursor :", "gi", "github"),
        ("login", "my", "my\\ server"),
        ("login", "\"my", "my server"),
        ("login", "'my", "my server"),
        ("check --format =", "nd", "ndjson"),
        ("check --client", "cursor,vsc", "cursor,vscode"),
    ] {
        assert_eq!(
            offered(&BASH, &user, words, last),
            [wanted],
            "{words} {last}"
        );
    }
}

/// The names of a project could be written to the terminal as they are, or match files.
fn offers_no_name_that_is_not_shown(test: &str, shell: &Shell) {
    let Some(user) = user_with(shell, test) else {
        return;
    };
    let server = json!({ "url": "https://acme.example/mcp" });
    let servers = json!({
        "x\u{202e}y": server, "\u{2028}z": server, "a\u{1b}]0;t\u{7}": server, "b\nc": server, "/e*": server, "star*": server,
    });
    user.write(
        "here/.mcp.json",
        json!({ "mcpServers": servers }).to_string(),
    );
    let config = ["--config", ".mcp.json"].join(" ");
    for words in ["check".to_owned(), format!("check {config}")] {
        let all = offered(shell, &user, &words, "");
        let text = all.concat();
        assert!(
            !text.contains(['\u{202e}', '\u{2028}', '\u{1b}', '\u{7}']),
            "{all:?}"
        );
        for name in ["/e*", "star*"] {
            let quoted = name.replace('*', "\\*");
            assert!(
                all.iter().any(|word| *word == name || *word == quoted),
                "{name}: {all:?}"
            );
        }
        assert!(!all.iter().any(|word| word == "/etc"), "{all:?}");
    }
}

#[test]
fn bash_offers_no_name_that_is_not_shown() {
    offers_no_name_that_is_not_shown("completion::bash_offers_no_name_that_is_not_shown", &BASH);
}

#[test]
fn zsh_offers_no_name_that_is_not_shown() {
    offers_no_name_that_is_not_shown("completion::zsh_offers_no_name_that_is_not_shown", &ZSH);
}

#[test]
fn fish_offers_no_name_that_is_not_shown() {
    offers_no_name_that_is_not_shown("completion::fish_offers_no_name_that_is_not_shown", &FISH);
}

#[test]
fn bash_completes() {
    completes_commands_options_clients_and_servers("completion::bash_completes", &BASH);
}

#[test]
fn zsh_completes() {
    completes_commands_options_clients_and_servers("completion::zsh_completes", &ZSH);
}

#[test]
fn fish_completes() {
    completes_commands_options_clients_and_servers("completion::fish_completes", &FISH);
}
