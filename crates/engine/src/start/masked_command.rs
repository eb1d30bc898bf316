//! The command of a server as the user sees it before the first start: complete, except for its secrets.
//!
//! The file of a project may be written to deceive. So the position of a word decides whether it can be masked: a program, a script and a
//! package never are, and a value of a variable only if it has the form of a secret.

#[cfg(test)]
mod tests;

use std::ops::Range;

use mcp_startup_auth::Mask;
use mcp_startup_config::{InheritedEnvironment, ServerEntry, StdioConfig, TransportConfig};
use secrecy::ExposeSecret;

use super::masked_secrets::{add_inherited, add_with_parts, names_a_secret};

const MASKED: &str = "[masked]";
const MAX_BYTES: usize = 64 * 1024;
/// The characters that end a word of a shell, and quotation marks.
const OPERATORS: &str = ";|&<>()`\"'";
/// Flags without a value whose names seem to indicate a secret.
const WITHOUT_VALUE: [&str; 3] = ["--no-", "--always-auth", "--sig-proxy"];
const SHELLS: [&str; 9] = [
    "sh",
    "bash",
    "zsh",
    "dash",
    "ash",
    "ksh",
    "fish",
    "powershell",
    "pwsh",
];
/// Programs that run a file or code in an argument.
const INTERPRETERS: [&str; 9] = [
    "python",
    "pypy",
    "node",
    "perl",
    "ruby",
    "php",
    "java",
    "lua",
    "osascript",
];
/// Programs that run a package or another program.
const RUNNERS: [&str; 42] = [
    "npx", "npm", "pnpm", "pnpx", "yarn", "bunx", "bun", "deno", "uvx", "uv", "pipx", "tsx",
    "ts-node", "docker", "podman", "nerdctl", "cargo", "go", "dotnet", "env", "nice", "nohup",
    "timeout", "sudo", "doas", "xargs", "time", "setsid", "stdbuf", "busybox", "chroot", "unshare",
    "nsenter", "ssh", "wsl", "nix", "flatpak", "mise", "direnv", "dotenv", "corepack", "cmd",
];
/// Options of shells whose value is not the script.
const SHELL_OPTIONS: [&str; 6] = ["-o", "+o", "-O", "+O", "--rcfile", "--init-file"];
/// Words before the package or program of a runner.
const COMMANDS: [&str; 13] = [
    "exec",
    "x",
    "dlx",
    "run",
    "tool",
    "create",
    "start",
    "container",
    "compose",
    "/c",
    "/C",
    "/d",
    "/s",
];
/// Options of runners whose value is not the package.
const OPTIONS: [&str; 13] = [
    "-p",
    "--package",
    "--with",
    "--from",
    "-v",
    "--volume",
    "--mount",
    "-e",
    "--env",
    "--env-file",
    "--name",
    "--network",
    "--python",
];
/// The parts of a name that indicate a secret only as a whole word.
const SECRET_WORDS: [&str; 19] = [
    "pat",
    "pass",
    "jwt",
    "otp",
    "pin",
    "sig",
    "signing",
    "signature",
    "code",
    "session",
    "seed",
    "mnemonic",
    "private",
    "sas",
    "hmac",
    "salt",
    "license",
    "dsn",
    "apikey",
];

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
    let written = stdio.env.iter().map(|(_, value)| value);
    let values = written.chain(&config.expanded_variables);
    let mut mask = Mask::default();
    for value in values.map(|value| value.expose_secret()) {
        let value = value.trim();
        let credentials = value
            .split_once(' ')
            .filter(|(scheme, _)| is_scheme(scheme));
        let credentials = credentials.map_or(value, |(_, credentials)| credentials);
        // Otherwise, an entry could hide its command: a variable would only need to have the same text.
        if is_random(credentials) {
            add_with_parts(&mut mask, value);
        }
    }
    if !matches!(stdio.inherited, InheritedEnvironment::Named(_)) {
        add_inherited(&mut mask);
    }
    Some(Words::new(&mask).of_command(stdio))
}

/// The words of a command that were read so far.
struct Words<'a> {
    mask: &'a Mask,
    /// The next words are a program, a script or a package, or options before it.
    is_before_program: bool,
    /// The next words are a script of a shell, or words that it can run.
    is_of_shell: bool,
    has_script: bool,
    /// A script of a shell can run all other words.
    is_sealed: bool,
    is_of_interpreter: bool,
    previous: &'a str,
}

impl<'a> Words<'a> {
    fn new(mask: &'a Mask) -> Self {
        Self {
            mask,
            is_before_program: false,
            is_of_shell: false,
            has_script: false,
            is_sealed: false,
            is_of_interpreter: false,
            previous: "",
        }
    }

    fn of_command(mut self, stdio: &'a StdioConfig) -> Vec<String> {
        let is_line = stdio.command.contains(char::is_whitespace)
            && !stdio
                .command
                .trim_start()
                .starts_with(['/', '.', '~', '\\']);
        let mut words = vec![match is_line {
            true => masked_line(cut(&stdio.command), true, self.mask),
            false => cut(&stdio.command).to_owned(),
        }];
        self.pass(&stdio.command);
        for word in &stdio.args {
            words.push(self.shown(cut(word)));
            self.pass(word);
        }
        words
    }

    /// Notes what a word does to the next ones.
    fn pass(&mut self, word: &'a str) {
        let is_value = match self.is_of_shell {
            true => SHELL_OPTIONS.contains(&self.previous),
            false => OPTIONS.contains(&self.previous),
        };
        let is_option =
            word.starts_with('-') || is_value || is_assignment(word) || COMMANDS.contains(&word);
        if self.is_sealed {
            // Nothing changes that.
        } else if let Some(runner) = Runner::of(word) {
            self.is_before_program = true;
            self.is_of_shell = runner == Runner::Shell;
            self.is_of_interpreter = runner == Runner::Interpreter;
            self.has_script = false;
        } else if self.is_of_shell && !is_value && word.starts_with(['-', '+']) {
            self.has_script |= word.contains(['c', 'C']);
        } else if self.is_of_shell && !is_value {
            // A script can run its own arguments: `"$0"`.
            self.is_sealed = self.has_script && word.contains('$');
            self.is_of_shell = self.is_sealed;
            self.is_before_program = self.is_sealed;
        } else if !is_option {
            self.is_before_program = false;
        }
        self.previous = word;
    }

    fn shown(&self, word: &str) -> String {
        let previous = self.previous;
        let is_script = matches!(previous, "-c" | "-e" | "-p" | "-r" | "--eval" | "--print");
        if self.is_of_interpreter && self.is_before_program && is_script {
            return word.to_owned();
        }
        if let Some(start) = self.value_start(word).filter(|start| *start < word.len()) {
            return format!("{}{MASKED}", &word[..start]);
        }
        let is_json = ["{\"", "{ \"", "[{"]
            .iter()
            .any(|start| word.starts_with(start));
        let is_line = self.is_of_shell || word.contains(char::is_whitespace) && !is_json;
        match self.is_before_program && !is_line && !word.contains('=') {
            true => without_credentials(word),
            false => masked_line(word, is_line, self.mask),
        }
    }

    /// The start of the value if the rest of an argument is a secret with any characters.
    fn value_start(&self, word: &str) -> Option<usize> {
        let previous = self.previous;
        if self.is_of_shell {
            return None;
        }
        // A variable of a container, or of the server itself.
        let variable = match word.strip_prefix("--env=") {
            Some(variable) => Some(variable),
            None => matches!(previous, "-e" | "--env").then_some(word),
        };
        if let Some((name, value)) = variable.and_then(|variable| variable.split_once('='))
            && is_name(name)
        {
            return Some(word.len() - value.len());
        }
        if let Some((name, _)) = word.split_once('=')
            && (name.starts_with("--") || self.is_before_program && !previous.starts_with('-'))
            && is_name(name)
            && is_secret_name(name)
        {
            return Some(name.len() + 1);
        }
        if self.is_before_program {
            return None;
        }
        let header = match word.strip_prefix("--header=") {
            Some(header) => Some(header),
            None => matches!(previous, "--header" | "-H").then_some(word),
        };
        if let Some((name, value)) = header.and_then(|header| header.split_once(':')) {
            let is_command = value.contains(['|', '`', '<', '>']) || value.contains("$(");
            let is_value = is_name(name) && !is_command;
            return is_value.then(|| word.len() - value.trim_start().len());
        }
        let is_option = word.starts_with("--") || word.starts_with('-') && word.len() <= 3;
        if is_secret_flag(previous) && !is_option {
            return Some(0);
        }
        if matches!(previous, "-u" | "--user")
            && let Some((name, password)) = word.split_once(':')
            && !password.starts_with(|first: char| first.is_ascii_digit())
        {
            return Some(name.len() + 1);
        }
        None
    }
}

/// A program that runs another one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Runner {
    Shell,
    Interpreter,
    Other,
}

impl Runner {
    fn of(word: &str) -> Option<Self> {
        let name = program_name(word);
        let plain = name.trim_end_matches(|end: char| end.is_ascii_digit() || end == '.');
        match () {
            () if SHELLS.contains(&name) => Some(Self::Shell),
            () if INTERPRETERS.contains(&plain) => Some(Self::Interpreter),
            () if RUNNERS.contains(&name) => Some(Self::Other),
            () => None,
        }
    }
}

/// The beginning of a long text.
fn cut(text: &str) -> &str {
    let mut end = text.len().min(MAX_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

fn program_name(command: &str) -> &str {
    let is_path = command.starts_with(['/', '.', '~', '\\']) || command.get(1..3) == Some(":\\");
    let name = match is_path {
        true => command.rsplit(['/', '\\']).next().unwrap_or_default(),
        false => command,
    };
    let ends = [".exe", ".cmd", ".bat"];
    let mut names = ends.iter().filter_map(|end| name.strip_suffix(end));
    names.next().unwrap_or(name)
}

/// Whether a value has the form of a generated secret, and not that of a program, a package or a path.
fn is_random(value: &str) -> bool {
    let has = |of: fn(&u8) -> bool| value.bytes().any(|byte| of(&byte));
    let has_both = has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase);
    value.len() >= 8
        && value
            .chars()
            .all(|character| is_of_name(character) && character != '.')
        && has(u8::is_ascii_digit)
        && (has_both || value.len() >= 20 && !value.contains('-'))
}

/// Whether a word is an authentication scheme, before a credential.
fn is_scheme(word: &str) -> bool {
    let schemes = ["bearer", "basic", "token"];
    schemes
        .iter()
        .any(|scheme| word.eq_ignore_ascii_case(scheme))
}

/// Whether a word sets a variable: `NAME=value`.
fn is_assignment(word: &str) -> bool {
    let name = word.split_once('=').map(|(name, _)| name);
    name.is_some_and(|name| is_name(name) && !name.starts_with('-'))
}

fn is_secret_name(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let mut words = lower.split(['-', '_', '.']);
    names_a_secret(name) || words.any(|word| SECRET_WORDS.contains(&word))
}

/// Whether a word is a flag whose value is a secret.
fn is_secret_flag(word: &str) -> bool {
    let takes_value = !WITHOUT_VALUE.iter().any(|flag| word.starts_with(flag));
    word.starts_with('-') && is_name(word) && takes_value && is_secret_name(word)
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_of_name)
}

fn is_of_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '-' | '.')
}

/// A word of which only the user, the password and the query of a URL are masked.
fn without_credentials(word: &str) -> String {
    let mut secrets: Vec<_> = users_of_urls(word).collect();
    secrets.extend(values_of_query(word, false));
    without(word, secrets)
}

/// A text that a shell may read, with the values masked that their names mark as secrets. Takes linear time.
fn masked_line(text: &str, is_line: bool, mask: &Mask) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut value_follows = false;
    let mut is_program = is_line;
    // The options before a package are those of the program that runs it.
    let mut is_before_package = false;
    let mut previous = "";
    for word in text.split_inclusive(char::is_whitespace) {
        let (word, blank) = word.split_at(word.trim_end().len());
        let bare = word.trim_matches(is_quote);
        let is_before_value = value_follows && is_scheme(bare);
        if !word.is_empty() {
            let is_value = value_follows && !is_before_value;
            let in_header = !is_line || matches!(previous, "-H" | "--header");
            let is_protected = is_program && !word.contains('=');
            let (masked, follows) = masked_word(word, is_value, is_line, in_header);
            shown += &match is_protected {
                true => without(word, users_of_urls(word).collect()),
                false => hidden_pieces(&masked, mask),
            };
            is_before_package = match bare.starts_with('-')
                || is_assignment(bare)
                || COMMANDS.contains(&bare)
                || OPTIONS.contains(&previous)
            {
                true => is_before_package,
                false => is_line && Runner::of(bare).is_some(),
            };
            let flag_follows = is_secret_flag(bare) && !is_before_package && !is_protected;
            value_follows = follows || flag_follows && masked == word || is_before_value;
            let is_end = word.ends_with([';', '|', '&', '(', '`']);
            is_program = is_line && (is_end || is_program && is_assignment(bare));
            if is_end {
                value_follows = false;
            }
            previous = word;
        }
        let is_new_line = blank == "\n";
        value_follows &= !is_new_line;
        is_program |= is_new_line && is_line;
        shown.push_str(blank);
    }
    shown
}

/// Masks the values of variables, and texts with the unmistakable form of a secret.
fn hidden_pieces(word: &str, mask: &Mask) -> String {
    let mut shown = String::with_capacity(word.len());
    let mut is_program = false;
    for piece in word.split_inclusive(|end| OPERATORS.contains(end)) {
        let text = piece.trim_end_matches(|end| OPERATORS.contains(end));
        match is_program {
            true => shown += text,
            false => shown += &mask.hide_whole(text),
        }
        shown += &piece[text.len()..];
        is_program |= piece.ends_with([';', '|', '&', '(', '`']);
    }
    shown
}

/// A word with its secrets masked, and whether the next word is a secret.
fn masked_word(word: &str, is_value: bool, is_line: bool, in_header: bool) -> (String, bool) {
    let mut users = users_of_urls(word).peekable();
    let mut secrets: Vec<Range<usize>> = users_of_urls(word).collect();
    secrets.extend(values_of_query(word, is_line));
    if !is_line {
        secrets.extend(password_of_database(word));
        secrets.extend(secret_folders(word));
    }
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
        if !is_secret_name(&name[start..]) {
            continue;
        }
        let value = &word[at + 1..];
        if separator == ":" && value.is_empty() || is_scheme(value.trim_start_matches(is_quote)) {
            value_follows = in_header;
            break;
        }
        // A program may follow a colon: `sh:evil`. `--volume auth:/etc`, `oauthlib==3.2`
        let is_key = separator == "=" || !is_line || in_header;
        if is_key && !value.starts_with(['/', '\\', '.', '=']) {
            end = at + 1 + value_length(value);
            secrets.push(at + 1..end);
        }
    }
    (without(word, secrets), value_follows)
}

/// A word without some parts of it.
fn without(word: &str, mut secrets: Vec<Range<usize>>) -> String {
    secrets.retain(|secret| !secret.is_empty());
    secrets.sort_by_key(|secret| secret.start);
    let mut shown = String::with_capacity(word.len());
    let mut at = 0;
    for secret in &secrets {
        if secret.start >= at {
            shown.push_str(&word[at..secret.start]);
            shown.push_str(MASKED);
        }
        at = at.max(secret.end);
    }
    shown.push_str(&word[at..]);
    shown
}

/// The values of the parameters of the first URL in a word, in its query and its fragment.
fn values_of_query(word: &str, is_line: bool) -> Vec<Range<usize>> {
    let Some(url) = word.find("://") else {
        return Vec::new();
    };
    let Some(query) = word[url..].find(['?', '#']).map(|at| url + at + 1) else {
        return Vec::new();
    };
    let is_end =
        |end: char| end.is_whitespace() || OPERATORS.contains(end) && (is_line || end != '&');
    let length = word[query..].find(is_end).unwrap_or(word.len() - query);
    let mut values = Vec::new();
    let mut at = query;
    for pair in word[query..query + length].split(['&', '#']) {
        if let Some((name, _)) = pair.split_once('=') {
            values.push(at + name.len() + 1..at + pair.len());
        }
        at += pair.len() + 1;
    }
    values
}

/// The password in the address of a database without a scheme: `root:PASSWORD@tcp(host)/db`.
fn password_of_database(word: &str) -> Option<Range<usize>> {
    let (user, _) = word.split_once(':').filter(|(user, _)| is_name(user))?;
    let start = user.len() + 1;
    let length = word[start..].find('@')?;
    let host = &word[start + length..];
    let is_address = host.contains(['(', ':', '/']) && !word[start..start + length].contains('/');
    is_address.then_some(start..start + length)
}

/// The folders of a URL that are generated, as those of webhooks.
fn secret_folders(word: &str) -> Vec<Range<usize>> {
    let Some(url) = word.find("://") else {
        return Vec::new();
    };
    let end = word[url..]
        .find(['?', '#'])
        .map_or(word.len(), |at| url + at);
    let mut at = url + 3;
    let mut folders = Vec::new();
    for (position, folder) in word[at..end].split('/').enumerate() {
        if position > 0 && is_random(folder) {
            folders.push(at..at + folder.len());
        }
        at += folder.len() + 1;
    }
    folders
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
