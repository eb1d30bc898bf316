//! Recognizes what a line of output is: noise, the label of an error, or a request to the user.

use super::causes::points_to_help;
use super::has_words;

/// Whether a line has no reason: a notice, a stack frame, a hint, a banner, or only punctuation.
pub(super) fn is_noise(line: &str) -> bool {
    const BEGINNINGS: [&str; 61] = [
        "npm notice",
        "npm warn",
        "npm WARN",
        "npm http",
        "npm info",
        "npm verb",
        "npm error A complete log",
        "npm ERR! A complete log",
        "A complete log of this run",
        "[notice]",
        "Node.js v",
        "Emitted 'error' event",
        "errno: ",
        "syscall: '",
        "address: '",
        "Bun v",
        "note: run with `RUST_BACKTRACE",
        "For more information",
        "for more information",
        "For help, see",
        "Learn more",
        "Try '",
        "Usage:",
        "usage:",
        "throw ",
        "Require stack",
        "code: '",
        "requireStack:",
        "WARNING: You are using pip",
        "Stack trace:",
        "(Use `node --trace-",
        "Original error:",
        "TROUBLESHOOTING: ",
        "This error happened while installing",
        "info Visit https://yarnpkg.com/",
        "yarn run v",
        // The source line, the category and the name of an error of PowerShell. A shell shows its commands like this too.
        "+ ",
        // The end of a build by Maven.
        "[ERROR] [Help ",
        "[ERROR] -> [Help ",
        "[ERROR] To see the full stack trace",
        "[ERROR] Re-run Maven ",
        "[ERROR] For more information about",
        "[ERROR] After correcting the problems",
        // The end of a build by Gradle, an installation by Yarn, and an error of Perl.
        "BUILD FAILED in ",
        "> Run with --",
        "➤ YN0000:",
        "BEGIN failed--compilation aborted",
        "Compilation failed in require at",
        // The end of a crash of Erlang, and the attempts of the loader of macOS.
        "Crash dump is being written to",
        "Referenced from: ",
        "Reason: tried: ",
        "Reason: image not found",
        // dotenv, and shells without a terminal or a locale.
        "[dotenv@",
        "◇ injected env",
        "bash: no job control in this shell",
        "bash: cannot set terminal process group",
        "bash: warning: setlocale:",
        "perl: warning: ",
        "UNC paths are not supported.",
        // The end of the launcher of Java.
        "Error: Could not create the Java Virtual Machine.",
        "Error: A fatal exception has occurred. Program will exit.",
    ];
    let text = line.trim();
    let is_progress_of_npm = text.starts_with("npm http") && text.contains('%');
    !has_words(text)
        || (BEGINNINGS
            .iter()
            .any(|beginning| text.starts_with(beginning))
            && !is_progress_of_npm)
        || is_stack_frame(text)
        || points_to_help(text)
        || text == "[ERROR]"
        // The details below an error of Yarn.
        || (text.starts_with("➤ YN") && text.contains("│   "))
        || (text.starts_with("At ") && text.contains(" char:"))
        || text.contains("Run with --verbose ")
        || text.ends_with("use -[v]S to pass options in shebang lines")
        // `(node:4711) [DEP0151] DeprecationWarning: …`, and the second report of an error by a logger.
        || (text.starts_with("(node:") && text.contains("Warning:"))
        || (text.starts_with('[') && text.contains("] Stack: "))
}

/// Whether a line is a frame of a stack trace: Node, Java and .NET (`at …`), Python (`File "…", line 3`), or a source location.
fn is_stack_frame(text: &str) -> bool {
    let is_call = text.strip_prefix("at ").is_some_and(|rest| {
        rest.contains([':', '(']) || rest.starts_with("async ") || rest.contains("<anonymous>")
    });
    let is_ruby = text.starts_with("from ") && has_ruby_place(text);
    let is_python = text.starts_with("File \"") && text.contains(", line ");
    let location = text.rsplit_once(':');
    let is_location = location.is_some_and(|(file, line)| {
        !file.contains(' ')
            && !line.is_empty()
            && line.bytes().all(|byte| byte.is_ascii_digit())
            && (file.starts_with("node:") || file.starts_with("file:") || file.starts_with('/'))
    });
    is_call || is_ruby || is_python || is_location
}

/// Whether a line has the label of an error near its beginning, such as `Error:`, `ValueError:`, `[ERROR]` and `FATAL`.
pub(super) fn is_labeled(line: &str) -> bool {
    const LABELS: [&str; 5] = ["error", "fatal", "exception", "panic", "critical"];
    if is_compiler_error(line) || is_ruby_error(line) {
        return true;
    }
    let beginning: String = line.chars().take(60).collect();
    let mut words = beginning.split_inclusive(|character: char| !character.is_ascii_alphanumeric());
    words.any(|part| {
        let word = part.trim_end_matches(|character: char| !character.is_ascii_alphanumeric());
        let lower = word.to_ascii_lowercase();
        // `ValueError:`, and `ERROR` in the columns of a log.
        let ends_label = part.ends_with([':', ']']) && LABELS.iter().any(|it| lower.ends_with(it));
        let is_level = ["ERROR", "FATAL", "CRITICAL", "PANIC"].contains(&word);
        ends_label || is_level
    })
}

/// Whether a line has only the label of an error, and that the program ends. The error is in an earlier line.
pub(super) fn is_farewell(line: &str) -> bool {
    const BEGINNINGS: [&str; 7] = [
        "exiting",
        "shutting down",
        "aborting",
        "terminating",
        "giving up",
        "the platform failed to initialize",
        "process exited with code",
    ];
    let text = line.trim().rsplit([':', ']', ')']).next();
    let text = text.unwrap_or_default().trim_start_matches([' ', '-']);
    let lower = text.to_ascii_lowercase();
    BEGINNINGS
        .iter()
        .any(|beginning| lower.starts_with(beginning))
}

/// Whether a line begins with the label of an error. Laravel indents its label.
pub(super) fn begins_with_label(line: &str) -> bool {
    let first = line.split_whitespace().next().unwrap_or_default();
    (first.ends_with(':') && is_labeled(first))
        || (line.starts_with("  ") && line.trim_start().starts_with("ERROR  "))
}

/// Whether a line is an exception of Ruby: its place, its message, and its class in parentheses.
fn is_ruby_error(line: &str) -> bool {
    let class = line
        .trim_end()
        .strip_suffix(')')
        .and_then(|rest| Some(rest.rsplit_once(" (")?.1));
    has_ruby_place(line)
        && class.is_some_and(|class| {
            class.starts_with(|first: char| first.is_ascii_uppercase())
                && class
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'_'))
        })
}

/// Whether a line has a line number and a method of Ruby: "12:in `fetch'", or with two equal quotation marks.
pub(super) fn has_ruby_place(line: &str) -> bool {
    [":in `", ":in '"].iter().any(|words| {
        line.split_once(words)
            .is_some_and(|(place, _)| place.ends_with(|last: char| last.is_ascii_digit()))
    })
}

/// Whether a line is an error of a compiler: `error`, a code and a colon after a place, such as `a.cs(3,7): error CS0246: …`.
fn is_compiler_error(line: &str) -> bool {
    line.split("error ").skip(1).any(|rest| {
        let code = rest.split_once(':').map_or("", |(code, _)| code);
        code.starts_with(|first: char| first.is_ascii_uppercase())
            && code.ends_with(|last: char| last.is_ascii_digit())
            && code
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    })
}

/// Whether a line begins like an error, possibly after a timestamp, a level or a name.
pub(super) fn names_error(line: &str) -> bool {
    const WORDS: [&str; 25] = [
        "error",
        "fatal",
        "panic",
        "exception",
        "failed",
        "failure",
        "cannot",
        "can't",
        "could not",
        "couldn't",
        "unable",
        "denied",
        "missing",
        "invalid",
        "not found",
        "not set",
        "required",
        "refused",
        "unauthorized",
        "econn",
        "eaddr",
        "is not provided by",
        "is not recognized",
        "no developer tools",
        "no version is set",
    ];
    let beginning: String = line.chars().take(120).collect();
    let beginning = beginning.to_ascii_lowercase();
    WORDS.iter().any(|word| beginning.contains(word))
}

/// Whether a line is the report of a runtime about an exception that the program did not handle, or about a missing framework. Details follow it.
pub(super) fn is_crash(line: &str) -> bool {
    [
        "Unhandled exception. ",
        "Unhandled exception: ",
        "panic: ",
        "You must install or update .NET",
    ]
    .iter()
    .any(|beginning| line.starts_with(beginning))
        || is_missing_sdk(line)
}

/// Whether a line is that of .NET about an SDK, whose version is on the next line.
pub(super) fn is_missing_sdk(line: &str) -> bool {
    line.trim() == "A compatible .NET SDK was not found."
}

/// Whether a line has only the label of an error.
pub(super) fn is_bare_label(line: &str) -> bool {
    let text = line.trim();
    text.ends_with(':') && !text.contains(char::is_whitespace)
}

/// Whether a line asks the user to do something in a browser.
pub(super) fn asks_user(line: &str) -> bool {
    const WORDS: [&str; 8] = [
        "open",
        "visit",
        "go to",
        "sign in",
        "log in",
        "authorize",
        "browser",
        "code",
    ];
    let line = line.to_ascii_lowercase();
    WORDS.iter().any(|word| line.contains(word))
}
