//! One run of the program with a server for each secret, and the search for secrets in its output and files.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use serde_json::{Map, Value, json};

use crate::echo_server::EchoServer;
use crate::harness::configuration::entry;
use crate::harness::run::Run;
use crate::harness::user::User;
use crate::places::{Target, server_name};
use crate::secrets::{NEEDS_ESCAPING, Text, found_in, head_of};

/// An output format, and the texts to test with it. JSON contains everything that the other formats contain, and more.
pub type Format = (&'static str, &'static [Text]);

pub const TABLE: Format = ("table", &[NEEDS_ESCAPING]);
pub const NDJSON: Format = ("ndjson", &[NEEDS_ESCAPING]);

/// The formats to test. Under Wine, which is slow, only the first.
pub fn on_this_system(formats: &[Format]) -> &[Format] {
    match cfg!(windows) {
        true => &formats[..1],
        false => formats,
    }
}

/// The servers, programs and environment of a run.
pub struct Setup<'a> {
    pub servers: &'a [EchoServer],
    /// The base URL of the HTTP servers.
    pub base: String,
    /// The echo of servers that are programs.
    pub program_echo: Option<fn(&str) -> Vec<String>>,
    pub environment: Vec<(String, String)>,
    /// Moves the user's records from the file into a keyring. The run that it returns has access to that keyring.
    pub keyring: Option<fn(Run, &User) -> Run>,
}

/// A secret in the output or in a file of the program.
pub struct Leak {
    /// The number of the server, if the text identifies it.
    pub server: Option<usize>,
    /// The location of the secret.
    pub location: String,
    pub example: String,
}

impl<'a> Setup<'a> {
    pub fn of(servers: &'a [EchoServer], base: String) -> Self {
        Self {
            servers,
            base,
            program_echo: None,
            environment: Vec::new(),
            keyring: None,
        }
    }

    /// The user, with two configuration files and the environment variables.
    fn user(&self) -> (User, [PathBuf; 2], Vec<(String, String)>) {
        let user = User::new();
        let store = if self.keyring.is_some() {
            "keyring"
        } else {
            "file"
        };
        let mut toml = format!("mcp_oauth_credentials_store = \"{store}\"\n");
        let (mut json, mut records) = (Map::new(), Vec::new());
        let mut environment = self.environment.clone();
        for server in self.servers {
            let name = server_name(server.number);
            let configured = (server.place.configure)(&Target {
                number: server.number,
                secret: server.secret.clone(),
                base: format!("{}/{name}", self.base),
                steps: user.path(&format!("{name}.json")).display().to_string(),
                folder: user.path(&format!("{name}.folder")),
            });
            if configured.json.is_null() {
                toml.push_str(&entry(&name, &configured.toml));
            } else {
                json.insert(name, configured.json);
            }
            environment.extend(configured.environment);
            records.extend(configured.record);
        }
        user.store(records);
        let toml = user.write("home/.codex/config.toml", toml);
        let json = user.write("servers.json", json!({ "mcpServers": json }).to_string());
        (user, [toml, json], environment)
    }

    /// Runs the program for each configuration file. Returns every leaked secret.
    pub fn leaks(&self, format: &str) -> Vec<Leak> {
        let (user, files, environment) = self.user();
        let marker = |number| user.path(&format!("{}.echoed", server_name(number)));
        for server in self.servers {
            let Some(echo) = self.program_echo else {
                break;
            };
            let steps = server.steps(echo, marker(server.number).to_str().unwrap());
            let file = format!("{}.json", server_name(server.number));
            user.write(&file, json!(steps).to_string());
        }
        let contents = || {
            files
                .each_ref()
                .map(|file| std::fs::read_to_string(file).unwrap())
        };
        let before = contents();
        let mut leaks = Vec::new();
        for (file, content) in files.iter().zip(&before) {
            if !self
                .servers
                .iter()
                .any(|server| content.contains(&server_name(server.number)))
            {
                continue;
            }
            // With more connections than a listener's backlog, some would wait for a second.
            let arguments = [
                "check",
                "--concurrency=64",
                "--timeout=20",
                "--format",
                format,
                "--config",
            ];
            let run = user.program(&arguments).arg(file.to_str().unwrap());
            let run = environment
                .iter()
                .fold(run, |run, (name, value)| run.env(name, value));
            let run = match &self.keyring {
                // Servers in the other file have no records.
                Some(in_a_session) if file == &files[0] => in_a_session(run, &user),
                _ => run,
            };
            leaks.extend(self.leaks_in_output(run, format));
        }
        for server in self.servers {
            let has_echoed = marker(server.number).exists();
            server.has_echoed.fetch_or(has_echoed, Ordering::SeqCst);
        }
        assert_eq!(before, contents());
        leaks.extend(self.leaks_in_files(&user));
        leaks
    }

    /// Runs the program with the most verbose log, and searches its output.
    fn leaks_in_output(&self, run: Run, format: &str) -> Vec<Leak> {
        let finished = run.env("RUST_LOG", "trace").finish();
        assert!(finished.code.is_some_and(|code| code != 2), "{finished:#?}");
        assert!(!finished.stderr.contains("panicked"), "{}", finished.stderr);
        let is_logged = finished.stderr.contains(" TRACE ");
        assert!(
            is_logged || self.program_echo.is_some(),
            "the log has no TRACE lines: {}",
            finished.stderr
        );
        let mut leaks = Vec::new();
        if format == "json" {
            for server in finished.json()["servers"].as_array().unwrap() {
                let name = server["name"].as_str().unwrap();
                each_text(server, "", &mut |location, text| {
                    leaks.extend(self.leak(text, location, name))
                });
            }
        } else {
            let leaks_of = |line| self.leak(line, format, "");
            leaks.extend(finished.stdout.lines().filter_map(leaks_of));
        }
        for line in finished.stderr.lines() {
            let target = line.split_whitespace().find(|word| word.ends_with(':'));
            let location = format!("the log of {}", target.unwrap_or_default());
            leaks.extend(self.leak(line, &location, ""));
        }
        leaks
    }

    /// Searches every file that the program may have written, except the two files in which the user stores secrets.
    fn leaks_in_files(&self, user: &User) -> Vec<Leak> {
        let own =
            ["config.toml", ".credentials.json"].map(|file| user.path("home/.codex").join(file));
        let mut leaks = Vec::new();
        for file in ["home", "here", "temporary"]
            .iter()
            .flat_map(|folder| files_in(&user.path(folder)))
        {
            let name = file
                .strip_prefix(user.path(""))
                .unwrap()
                .display()
                .to_string();
            leaks.extend(self.leak(&name, "the name of a file", ""));
            if !own.contains(&file) {
                let content = std::fs::read(&file).unwrap();
                leaks.extend(self.leak(&String::from_utf8_lossy(&content), &name, ""));
            }
        }
        leaks
    }

    /// The leak in this text, if there is one. It belongs to the server `name` or, if `name` is empty, to the server that the
    /// text mentions.
    fn leak(&self, text: &str, location: &str, name: &str) -> Option<Leak> {
        let at = found_in(text)?;
        let is_about = |server: &&EchoServer| {
            let own = server_name(server.number);
            own == name
                || (name.is_empty()
                    && (text.contains(&own) || text.contains(&head_of(server.number))))
        };
        let from = text[..at]
            .char_indices()
            .rev()
            .nth(60)
            .map_or(0, |(from, _)| from);
        Some(Leak {
            server: self
                .servers
                .iter()
                .find(is_about)
                .map(|server| server.number),
            location: location.to_owned(),
            example: text[from..].chars().take(140).collect(),
        })
    }
}

/// Calls `found` with the path and text of every string and key in a JSON value. The items of an array share one path.
fn each_text(value: &Value, path: &str, found: &mut dyn FnMut(&str, &str)) {
    match value {
        Value::String(text) => found(path.trim_start_matches('.'), text),
        Value::Array(items) => items.iter().for_each(|item| each_text(item, path, found)),
        Value::Object(fields) => {
            for (name, value) in fields {
                found(path, name);
                each_text(value, &format!("{path}.{name}"), found);
            }
        }
        _ => {}
    }
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                files_in(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}
