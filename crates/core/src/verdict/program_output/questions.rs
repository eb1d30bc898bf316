//! Recognizes that a program waits: for the answer to its question, or for a sign-in in a browser.
//!
//! Each function takes linear time.

use super::line_kinds::asks_user;
use super::records::last_version;
use super::{has_words, sentences};

/// Returns the question at the end of an output, to which the program waits for an answer from its terminal.
pub(in crate::verdict) fn question(output: &str) -> Option<String> {
    // PowerShell offers its choices below the question.
    const CHOICES: &str = "[y] yes";
    let mut lines = output
        .lines()
        .rev()
        .map(last_version)
        .filter(|line| has_words(line));
    let last = lines.next()?.trim();
    let lower = last.to_ascii_lowercase();
    if lower.starts_with(CHOICES) {
        let question = lines.next()?.trim();
        return Some(sentences::last_sentence(question).to_owned());
    }
    let text = last.trim_end_matches([':', ' ']);
    match is_question(last, &lower) {
        true => Some(text.to_owned()),
        false => question_of_menu(output),
    }
}

/// Returns the question above the choices of a menu at the end of an output.
fn question_of_menu(output: &str) -> Option<String> {
    const MAX_CHOICES: usize = 20;
    const SIGNS: [char; 9] = ['❯', '>', '●', '○', '◉', '◯', '│', '├', '└'];
    let is_choice = |line: &&str| line.starts_with("  ") || line.trim_start().starts_with(SIGNS);
    let lines = output.lines().rev().map(last_version);
    let lines = lines.filter(|line| has_words(line));
    let mut lines = lines.take(MAX_CHOICES + 1).skip_while(is_choice);
    let line = lines.next()?.trim();
    let question = line.trim_start_matches(['?', '◆', '◇', ' ']);
    // A hint about the keys may follow the question.
    let question = question.split(" › ").next()?.trim();
    let is_marked = line.starts_with("? ") || line.starts_with("◆ ");
    let has_question = question.ends_with(['?', ':']) || question.contains("? (");
    (is_marked && has_question).then(|| question.to_owned())
}

/// Whether the last line of an output offers a choice, or asks for a key or a value.
fn is_question(line: &str, lower: &str) -> bool {
    const CHOICES: [&str; 10] = [
        "(y/n",
        "[y/n",
        "y/n)",
        "y/n]",
        "(yes/no",
        "[yes/no",
        "/no)?",
        "proceed? (y)",
        "(use arrow keys)",
        "(esc to cancel",
    ];
    const KEYS: [&str; 4] = ["press enter", "press return", "press any key", "hit enter"];
    let asks_for_value = ["enter ", "please enter ", "? enter "]
        .iter()
        .any(|beginning| lower.starts_with(beginning))
        && line.ends_with(':');
    asks_for_value
        || CHOICES.iter().any(|choice| lower.contains(choice))
        || KEYS.iter().any(|key| lower.contains(key))
}

/// Whether the words of a program ask the user to sign in or to confirm something at an address.
pub(in crate::verdict) fn is_request(words: &str) -> bool {
    const SIGN_IN: [&str; 10] = [
        "sign in",
        "sign-in",
        "log in",
        "login",
        "logon",
        "authoriz",
        "authenticat",
        "device",
        "code",
        "consent",
    ];
    const THIS_MACHINE: [&str; 3] = ["://localhost", "://127.0.0.1", "://0.0.0.0"];
    let lower = words.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|words| lower.contains(words));
    // A program that serves a page shows its address too.
    lower.contains("://") && asks_user(words) && (has(&SIGN_IN) || !has(&THIS_MACHINE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_at_the_end_of_an_output_is_recognized() {
        let rows = [
            (
                "Do you agree to share usage data? (Y/n) ",
                Some("Do you agree to share usage data? (Y/n)"),
            ),
            (
                "License: https://acme.example\nDo you accept the license terms? [y/N]: ",
                Some("Do you accept the license terms? [y/N]"),
            ),
            (
                "Are you sure you want to continue connecting (yes/no/[fingerprint])? ",
                Some("Are you sure you want to continue connecting (yes/no/[fingerprint])?"),
            ),
            (
                "NuGet is required\nIt installs. Install it now?\n[Y] Yes  [N] No  [?] Help (default is \"Y\"): ",
                Some("Install it now?"),
            ),
            (
                "Press ENTER to continue...",
                Some("Press ENTER to continue..."),
            ),
            ("Enter your API key: ", Some("Enter your API key")),
            (
                "? Pick an account (Use arrow keys)\n❯ ",
                Some("? Pick an account (Use arrow keys)"),
            ),
            (
                "? Which account do you want to use? › - Use arrow-keys. Return to submit.\n❯   Personal\n    Work\n",
                Some("Which account do you want to use?"),
            ),
            (
                "◆  Which account?\n│  ● Personal\n│  ○ Work\n└\n",
                Some("Which account?"),
            ),
            ("Is it ready?\n  yes\n", None),
            ("? done\n  4 files\n", None),
            ("Proceed? (y/n)\nProceeding\n", None),
            ("Ready to serve?\n", None),
            ("Entering the loop:", None),
            ("", None),
        ];
        for (output, expected) in rows {
            assert_eq!(question(output).as_deref(), expected, "{output}");
        }
    }

    #[test]
    fn a_request_to_sign_in_is_recognized() {
        let rows = [
            (
                "To sign in, use a web browser to open the page https://login.example/device and enter the code F7K2",
                true,
            ),
            (
                "Please authorize this client by visiting: https://auth.example/authorize?state=1",
                true,
            ),
            ("Visit https://acme.example/activate", true),
            (
                "Open http://localhost:3334/oauth/authorize in your browser",
                true,
            ),
            ("Open http://localhost:3000 in your browser", false),
            ("Connecting to https://acme.example/mcp", false),
            ("waiting for a code", false),
        ];
        for (words, expected) in rows {
            assert_eq!(is_request(words), expected, "{words}");
        }
    }
}
