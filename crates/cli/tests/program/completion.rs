//! Completion in real shells.

use std::process::Command;

use crate::harness::cases::skip;
use crate::harness::configuration::{entry, url};
use crate::harness::run::PROGRAM;
use crate::harness::user::User;

/// Sources the script, and prints the words that bash offers for `WORDS`.
const BASH: &str = r#"
source <(mcp-startup completions bash)
function=$(complete -p mcp-startup | sed 's/.*-F \([^ ]*\) .*/\1/')
COMP_WORDS=(mcp-startup $WORDS "")
[ -n "$LAST" ] && COMP_WORDS[${#COMP_WORDS[@]}-1]=$LAST
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
COMP_LINE="${COMP_WORDS[*]}" COMP_POINT=${#COMP_LINE} COMP_TYPE=9
"$function" mcp-startup "$LAST" ""
printf '%s\n' "${COMPREPLY[@]}"
"#;

#[test]
fn bash_completes_commands_options_clients_and_servers() {
    let test = "completion::bash_completes_commands_options_clients_and_servers";
    if Command::new("bash").arg("--version").output().is_err() {
        skip(test, "bash is not installed");
        return;
    }
    let user = User::with(
        &[
            entry("linear", &url("https://linear.example/mcp")),
            entry("github", &url("https://github.example/mcp")),
        ]
        .concat(),
    );
    let folder = std::path::Path::new(PROGRAM).parent().unwrap();
    let path = format!(
        "{}:{}",
        folder.display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let offered = |words: &str, last: &str| -> Vec<String> {
        let output = Command::new("bash")
            .args(["--norc", "-c", BASH])
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
        text.lines().map(|line| line.trim().to_owned()).collect()
    };
    assert_eq!(offered("", "cl"), ["clients"]);
    assert_eq!(offered("login", "li"), ["linear"]);
    assert_eq!(offered("check github", "li"), ["linear"]);
    let all = offered("explain", "");
    assert!(
        all.contains(&"linear".to_owned()) && all.contains(&"github".to_owned()),
        "{all:?}"
    );
    assert_eq!(offered("check", "--dry"), ["--dry-run"]);
    assert_eq!(offered("check --client", "curs"), ["cursor"]);
}
