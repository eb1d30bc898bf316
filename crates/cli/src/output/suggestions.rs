//! The commands that the program suggests.

use std::collections::HashMap;

use url::Url;

use crate::arguments::ClientDocument;
use crate::this_program;

pub use mcp_startup_core::shell_word;

/// How a command finds the servers of a selection again.
#[derive(Clone, Default)]
pub struct Suggestions {
    /// The options that it needs.
    options: Vec<String>,
    /// The URLs of servers that no client has, by the names of these servers. `None` for a URL that may have a secret.
    urls: HashMap<String, Option<String>>,
    /// The options that it needs, too, but whose values may have a secret.
    secret_options: Vec<&'static str>,
}

impl Suggestions {
    /// Adds an option, and its value if it has one.
    pub fn add_option(&mut self, option: &str, value: Option<&str>) {
        self.options.push(match value {
            // It would be read as an option.
            Some(value) if value.starts_with('-') => format!("{option}={}", shell_argument(value)),
            Some(value) => format!("{option} {}", shell_word(value)),
            None => option.to_owned(),
        });
    }

    /// Adds the option for the client ID metadata document.
    pub fn add_client_document(&mut self, document: &ClientDocument) {
        if let Some(url) = &document.url {
            self.add_option("--client-metadata-url", Some(url));
        }
    }

    /// Adds an option whose value may have a secret.
    #[cfg(feature = "store-postgres")]
    pub fn add_secret_option(&mut self, option: &'static str) {
        self.secret_options.push(option);
    }

    /// A command finds this server only by its URL.
    pub fn add_url(&mut self, name: &str, url: &Url) {
        let has_secret =
            url.query().is_some() || !url.username().is_empty() || url.password().is_some();
        let shown = (!has_secret).then(|| url.as_str().to_owned());
        self.urls.insert(name.to_owned(), shown);
    }

    /// A command for a server, as an instruction.
    pub fn run(&self, command: &str, name: &str) -> String {
        let word = match self.urls.get(name) {
            Some(None) => {
                let run = format!("run `{}` with its URL", self.command(command));
                return self.with_secrets(run);
            }
            Some(Some(url)) => shell_word(url),
            None => shell_word(name),
        };
        let program = this_program::name();
        let options = self.options.join(" ");
        // A name in quotes would still be read as an option.
        let (before, server) = match name.starts_with('-') {
            true => as_value(command, name),
            false => ("", word),
        };
        let words = match before.is_empty() {
            true => [command, &server, &options, ""],
            false => [command, &options, before, &server],
        };
        let words: Vec<_> = words.into_iter().filter(|word| !word.is_empty()).collect();
        self.with_secrets(format!("run `{program} {}`", words.join(" ")))
    }

    /// A command for all servers of the selection.
    pub fn command(&self, command: &str) -> String {
        let words = [this_program::name(), command].into_iter();
        let options = self.options.iter().map(String::as_str);
        words.chain(options).collect::<Vec<_>>().join(" ")
    }

    /// The instruction, with the options whose values are not shown.
    fn with_secrets(&self, mut instruction: String) -> String {
        for option in &self.secret_options {
            instruction += &format!(" with the same `{option}`");
        }
        instruction
    }
}

/// The words that pass the name of a server to a command if it begins with `-`. For `check`, a program follows `--`.
pub fn as_value(command: &str, name: &str) -> (&'static str, String) {
    match command {
        "check" => ("", format!("--server={}", shell_argument(name))),
        _ => ("--", shell_argument(name)),
    }
}

/// An argument, quoted for a shell if necessary. Options and `NAME=VALUE` need no quotation marks there.
pub fn shell_argument(text: &str) -> String {
    // PowerShell makes a list of words with commas, and expands a word that begins with `@`.
    let others = if cfg!(windows) {
        r"-_./\:+="
    } else {
        "-_./@:+=,"
    };
    let plain = |character: char| character.is_ascii_alphanumeric() || others.contains(character);
    let starts = text.starts_with(|first: char| first != '=');
    match starts && text.chars().all(plain) {
        true => text.to_owned(),
        false => shell_word(text),
    }
}

/// A command with the quotation marks of the shells of this system.
#[cfg(test)]
pub fn quoted_here(command: &str) -> String {
    match cfg!(windows) {
        true => command
            .replace("$'a\\U0000202eb'", "'a`u{202e}b'")
            .replace('\'', "\""),
        false => command.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_begins_with_a_hyphen_is_not_read_as_an_option() {
        let mut suggestions = Suggestions::default();
        suggestions.add_option("--config", Some("F"));
        for (command, name, expected) in [
            ("login", "-dash", " login --config F -- -dash`"),
            ("login", "-my dash", " login --config F -- '-my dash'`"),
            ("check", "-dash", " check --server=-dash --config F`"),
            (
                "check",
                "--my dash",
                " check --server='--my dash' --config F`",
            ),
            ("check", "-", " check --server=- --config F`"),
        ] {
            let run = suggestions.run(command, name);
            assert!(run.ends_with(&quoted_here(expected)), "{run}");
        }
    }

    #[test]
    fn a_value_that_begins_with_a_hyphen_is_not_read_as_an_option() {
        let mut suggestions = Suggestions::default();
        suggestions.add_option("--config", Some("-a.json"));
        suggestions.add_option("--user", Some("-my user"));
        suggestions.add_option("--as-written", None);
        let run = suggestions.run("login", "linear");
        let expected = " login linear --config=-a.json --user='-my user' --as-written`";
        assert!(run.ends_with(expected), "{run}");
    }

    #[test]
    fn a_server_that_no_client_has_is_named_by_its_url() {
        let mut suggestions = Suggestions::default();
        suggestions.add_option("--user", Some("user 1"));
        for (name, url) in [
            ("a.example", "https://a.example/mcp"),
            ("a.example (2)", "https://a.example/mcp?key=s3cret"),
            ("b.example", "https://user:s3cret@b.example/mcp"),
        ] {
            suggestions.add_url(name, &Url::parse(url).unwrap());
        }
        for (name, command) in [
            ("a.example", " login https://a.example/mcp --user 'user 1'`"),
            ("a.example (2)", " login --user 'user 1'` with its URL"),
            ("b.example", " login --user 'user 1'` with its URL"),
            ("other", " login other --user 'user 1'`"),
        ] {
            let run = suggestions.run("login", name);
            assert!(run.ends_with(&quoted_here(command)), "{run}");
        }
    }
}
