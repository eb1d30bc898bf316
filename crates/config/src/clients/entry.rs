//! Reads the entry of one server as its client does: an entry that the client refuses is refused, and text that the client leaves
//! unchanged stays unchanged and is named.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use secrecy::SecretString;

use super::client::Client;
use super::env_file;
use super::places::Places;
use super::profile::{
    EntryRules, MissingVariable, ReplacedIn, TimeoutUnit, TransportRule, VariableForm,
};
use super::variables::{Replaced, Values};
use super::{ClientServer, ClientTransport};
use crate::environment::{Environment, is_absolute};
use crate::error::EntryProblem;
use crate::escaping::escape_and_truncate;
use crate::foreign_variables;
use crate::format::Warnings;
use crate::format::known_keys::{MCP_SERVERS_JSON, OAUTH, is_comment, warn_of_unused_keys};
use crate::format::oauth;
use crate::server::{
    ConfiguredHeader, HttpConfig, HttpSseUse, OAuthClient, ServerConfig, ServerEntry, StdioConfig,
    TransportConfig, deduplicate_env, deduplicate_headers,
};
use crate::shown;
use crate::spanned::{Field, KeyPath, Spanned, Table, Value};
use crate::validation;
use crate::variable_expansion::RecordingEnvironment;

/// Reads the entries of one file.
pub(super) struct EntryReader<'a> {
    pub client: Client,
    pub rules: &'a EntryRules,
    pub places: &'a Places<'a>,
    /// The folder of relative paths in the file.
    pub folder: &'a Path,
    /// Variables that the client itself sets, such as `workspaceFolder`.
    pub own_variables: Vec<(String, String)>,
    /// Environment variables that the client adds for the programs of servers.
    pub added_env: Vec<(String, String)>,
    /// How many more unknown keys may be compared with the known ones.
    pub comparisons: Cell<usize>,
}

/// Why an entry has no configuration.
pub(super) enum Stop {
    /// The client refuses the entry, or the server cannot work with it.
    Problem(EntryProblem),
    /// The client may accept the entry, but it cannot be checked here.
    NotChecked(EntryProblem),
}

impl From<EntryProblem> for Stop {
    fn from(problem: EntryProblem) -> Self {
        Self::Problem(problem)
    }
}

/// The part of an entry that a text is in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Env,
    Url,
    Header { is_credential: bool },
    Other,
}

/// The maximum size of a file with variables, and of one that a text includes: 1 MiB.
const MAX_INCLUDED_BYTES: usize = 1024 * 1024;

impl EntryReader<'_> {
    /// Reads the entry of the server `name`. `path` is the path of the entry.
    pub fn read(&self, name: &str, path: KeyPath, spanned: &Spanned) -> ClientServer {
        let mut warnings = Warnings::new(&self.comparisons);
        let mut enabled = true;
        let mut transport = ClientTransport::Unknown;
        let mut not_checked = None;
        self.places.take_from_project();
        let mut read = || -> Result<ServerConfig, Stop> {
            validation::server_name(&path, name)?;
            let spanned = without_null(spanned);
            let entry = Table::of_server(path.clone(), &spanned)?;
            for (key, off) in self.rules.switches {
                if entry.boolean(key)? == Some(*off) {
                    enabled = false;
                }
            }
            let connection = match entry.value("transport") {
                Some(Value::Table(_)) if self.rules.nested_transport => entry.table("transport")?,
                _ => None,
            };
            let connection = connection.as_ref().unwrap_or(&entry);
            let rule = self.transport(connection)?;
            transport = match rule {
                TransportRule::Stdio => ClientTransport::Stdio,
                TransportRule::Http(HttpSseUse::Always) => ClientTransport::Sse,
                TransportRule::Http(_) => ClientTransport::Http,
                TransportRule::Refused(_) | TransportRule::NotChecked(_) => {
                    ClientTransport::Unknown
                }
            };
            self.server_config(name, &entry, connection, rule, &mut warnings)
        };
        let config = read().map_err(|stop| match stop {
            Stop::Problem(problem) => problem,
            Stop::NotChecked(problem) => {
                not_checked = Some(problem.problem.clone());
                problem
            }
        });
        let entry = ServerEntry::new(
            name,
            enabled,
            false,
            config,
            warnings.list,
            warnings.compatibility,
        );
        ClientServer {
            entry,
            transport,
            approved: None,
            from_project: self.places.take_from_project(),
            not_checked,
        }
    }

    /// The transport of an entry, by its word for it, and without one by its keys.
    fn transport(&self, entry: &Table<'_>) -> Result<TransportRule, Stop> {
        let rules = self.rules;
        let mut keys = rules.type_keys.iter();
        let key = keys.find(|key| matches!(entry.value(key), Some(Value::String(_))));
        let word = match key {
            Some(key) => entry.string(key)?,
            None => None,
        };
        if word.is_none()
            && let Some(reason) = rules.needs_type
        {
            let problem = format!("{} {reason}", self.client);
            return Err(entry.path.problem(problem).into());
        }
        let mut of_word = None;
        if let Some(word) = word {
            let mut types = rules.types.iter();
            match types.find(|(known, _)| *known == word.value) {
                Some((_, rule)) => of_word = Some((*rule, word.path)),
                None if rules.ignores_unknown_types => {}
                None => {
                    return Err(word.path.problem(self.unknown_transport(word.value)).into());
                }
            }
        }
        let has_program = entry.path_to(rules.command).is_some();
        let mut urls = rules.url_keys.iter();
        if rules.refuses_both && has_program && urls.any(|(key, _)| entry.path_to(key).is_some()) {
            let problem = format!("{} refuses `command` and `url` together", self.client);
            return Err(entry
                .problem("url", format!("{problem}; remove one"))
                .into());
        }
        let of_program = has_program.then(|| (rules.untyped_program, entry.path.clone()));
        let of_url = || {
            let mut keys = rules.url_keys.iter();
            keys.find_map(|(key, rule)| Some((*rule, entry.path_to(key)?)))
        };
        let of_keys = match rules.url_before_program {
            true => of_url().or(of_program),
            false => of_program.or_else(of_url),
        };
        let without = || {
            rules
                .without_transport
                .map(|rule| (rule, entry.path.clone()))
        };
        let Some((rule, path)) = of_word.or(of_keys).or_else(without) else {
            return Err(self.missing_transport(entry).into());
        };
        match rule {
            TransportRule::Refused(reason) => {
                Err(path.problem(format!("{} {reason}", self.client)).into())
            }
            TransportRule::NotChecked(reason) => Err(Stop::NotChecked(path.problem(reason))),
            rule => Ok(rule),
        }
    }

    fn unknown_transport(&self, word: &str) -> String {
        let plain: String = word
            .chars()
            .filter(char::is_ascii_alphabetic)
            .map(|character| character.to_ascii_lowercase())
            .take(40)
            .collect();
        let is_meant = |rule: &TransportRule| match plain.as_str() {
            "http" | "https" | "remote" | "streamablehttp" | "streaminghttp" | "httpstream"
            | "streamable" => {
                matches!(rule, TransportRule::Http(sse) if *sse != HttpSseUse::Always)
            }
            "sse" | "httpsse" => matches!(rule, TransportRule::Http(HttpSseUse::Always)),
            "stdio" | "local" | "command" | "process" => *rule == TransportRule::Stdio,
            _ => false,
        };
        let types = self.rules.types;
        let remedy = match types.iter().find(|(_, rule)| is_meant(rule)) {
            Some((known, _)) => format!("write `{known}`"),
            None => {
                let known: Vec<&str> = types.iter().map(|(known, _)| *known).collect();
                format!("use `{}`", known.join("`, `"))
            }
        };
        let client = self.client;
        match shown::word(word) {
            Some(word) => format!("{client} does not know the transport `{word}`; {remedy}"),
            None => format!("{client} does not know this transport; {remedy}"),
        }
    }

    fn missing_transport(&self, entry: &Table<'_>) -> EntryProblem {
        let is_transport = |key: &&str| matches!(*key, "command" | "url" | "serverUrl" | "httpUrl");
        let mut words = entry.keys().filter_map(|(name, path)| {
            if self.reads(name) || !self.may_compare() {
                return None;
            }
            let meant = MCP_SERVERS_JSON.meant_by(name).filter(is_transport)?;
            Some((path, self.own_key(meant)?))
        });
        match words.next() {
            Some((path, key)) => path.problem(format!(
                "{} does not read this key; write `{key}`",
                self.client
            )),
            None => validation::missing_transport(entry),
        }
    }

    /// Whether another unknown key may be compared with the known ones.
    fn may_compare(&self) -> bool {
        let left = self.comparisons.get();
        self.comparisons.set(left.saturating_sub(1));
        left > 0
    }

    /// Returns the key of this client for one of `mcpServers`.
    fn own_key(&self, key: &'static str) -> Option<&'static str> {
        let rules = self.rules;
        match key {
            "command" => Some(rules.command),
            "url" | "serverUrl" | "httpUrl" => rules.url_keys.first().map(|(key, _)| *key),
            "env" => Some(rules.env),
            "cwd" => rules.cwd,
            "headers" => rules.headers.first().copied(),
            _ => Some(key).filter(|key| self.reads(key)),
        }
    }

    fn server_config(
        &self,
        name: &str,
        entry: &Table<'_>,
        connection: &Table<'_>,
        rule: TransportRule,
        warnings: &mut Warnings<'_>,
    ) -> Result<ServerConfig, Stop> {
        self.warn_of_unread_keys(entry, warnings);
        self.warn_of_other_transport(connection, rule, warnings);
        let environment = RecordingEnvironment::new(self.places.machine.environment());
        let mut config = ServerConfig {
            name: name.to_owned(),
            required: false,
            startup_timeout: self.timeout(entry)?,
            startup_timeout_key: self.rules.timeout.map(|timeout| timeout.key),
            protocol_era: crate::format::protocol_era(entry)?,
            scopes: None,
            oauth: OAuthClient::default(),
            transport: match rule {
                TransportRule::Http(http_sse) => TransportConfig::Http(self.http_config(
                    connection,
                    http_sse,
                    &environment,
                    warnings,
                )?),
                _ => {
                    TransportConfig::Stdio(self.stdio_config(connection, &environment, warnings)?)
                }
            },
            held_sign_in: None,
            held_sign_in_source: None,
            expanded_variables: Vec::new(),
            possible_causes: Vec::new(),
            path: entry.path.clone(),
            key_paths: self.key_paths(connection),
        };
        if matches!(rule, TransportRule::Http(_)) {
            self.read_oauth(entry, &mut config, &environment, warnings)?;
        }
        config.possible_causes = std::mem::take(&mut warnings.possible_causes);
        config.expanded_variables = environment.into_values();
        Ok(config)
    }

    fn key_paths(&self, connection: &Table<'_>) -> Vec<(&'static str, KeyPath)> {
        let mut paths = connection.paths_to(&["command", "cwd", "type"]);
        if let Some(path) = connection.path_to(self.rules.command)
            && self.rules.command != "command"
        {
            paths.push(("command", path));
        }
        paths
    }

    fn is_replaced(&self, part: Part) -> bool {
        match self.rules.replaced_in {
            ReplacedIn::Everywhere => true,
            ReplacedIn::Env => part == Part::Env,
            ReplacedIn::EnvAndHeaders => matches!(part, Part::Env | Part::Header { .. }),
            ReplacedIn::UrlAndHeaders => matches!(part, Part::Url | Part::Header { .. }),
        }
    }

    fn timeout(&self, entry: &Table<'_>) -> Result<Option<Duration>, EntryProblem> {
        let Some(timeout) = self.rules.timeout else {
            return Ok(None);
        };
        let key = timeout.key;
        // A table has the limits of several steps. A client with such a table reads it itself.
        if matches!(
            entry.value(key),
            Some(Value::Table(_) | Value::Unsupported("null"))
        ) {
            return Ok(None);
        }
        let Some(field) = entry.number(key)? else {
            return Ok(None);
        };
        let number = field.value;
        if let Some((least, most)) = timeout.accepted
            && !(f64::from(least)..=f64::from(most)).contains(&number)
        {
            let client = self.client;
            return Err(field
                .path
                .problem(format!("{client} accepts only {least} to {most} here")));
        }
        let seconds = match timeout.unit {
            TimeoutUnit::Milliseconds => number / 1000.0,
            TimeoutUnit::Seconds => number,
        };
        // A limit that no start can have is none.
        let longest = validation::MAX_TIMEOUT;
        let limit = match Duration::try_from_secs_f64(seconds) {
            Ok(limit) => limit.clamp(timeout.least, longest),
            Err(_) if seconds > 0.0 => longest,
            Err(_) => timeout.least,
        };
        Ok(Some(limit).filter(|limit| !limit.is_zero()))
    }

    /// Replaces the variables of a text.
    fn text(
        &self,
        field: &Field<&str>,
        part: Part,
        environment: &dyn Environment,
        warnings: &mut Warnings<'_>,
    ) -> Result<Replaced, Stop> {
        let is_replaced = self.is_replaced(part);
        let mut variables = match self.rules.variables_in_env {
            Some(in_env) if part == Part::Env => in_env,
            _ => self.rules.variables,
        };
        if !is_replaced {
            variables.forms = &[];
        }
        let read = |path: &str| self.included(path);
        let replaced = variables.replace(
            field.value,
            &Values {
                environment,
                own: &self.own_variables,
                read: &read,
                is_in_project: &|value| self.places.is_in_project(Path::new(value)),
                budget: &self.places.budget,
            },
        );
        if replaced.is_too_long {
            return Err(field
                .path
                .problem("the values of the variables in this file are too long; use fewer")
                .into());
        }
        let client = self.client;
        let is_credential = matches!(
            part,
            Part::Header {
                is_credential: true
            }
        );
        if let Some(variable) = &replaced.only_client {
            return Err(Stop::NotChecked(field.path.problem(format!(
                "needs a value that only {client} knows: `{}`",
                foreign_variables::shown(variable)
            ))));
        }
        if self.rules.runs_commands && (field.value.contains('`') || field.value.contains("$(")) {
            return Err(Stop::NotChecked(field.path.problem(format!(
                "holds a command that {client} runs, and that is not run here"
            ))));
        }
        if replaced.text.contains("${user_config.") {
            return Err(Stop::NotChecked(field.path.problem(format!(
                "needs a setting of its extension that only {client} knows"
            ))));
        }
        if let Some(path) = &replaced.unreadable {
            return Err(field
                .path
                .problem(format!(
                    "the file `{}` cannot be read; check the path",
                    escape_and_truncate(path)
                ))
                .into());
        }
        if let Some(name) = replaced.missing.as_deref().map(shown::variable) {
            let (state, remedy) = self.rules.without_value;
            let problem = field.path.problem(match variables.missing {
                MissingVariable::Kept => format!(
                    "the environment variable {name} {state}, and {client} passes the text on as written; {remedy}"
                ),
                MissingVariable::Empty => format!(
                    "the environment variable {name} {state}, and {client} replaces it with nothing; {remedy}"
                ),
                MissingVariable::Refused => {
                    format!("the environment variable {name} {state}; {remedy}")
                }
                MissingVariable::KnownElsewhere => {
                    return Err(Stop::NotChecked(
                        field.path.problem(format!("needs the value {name}, which {state}; {remedy}")),
                    ));
                }
            });
            // A variable in this form is never sent.
            let is_foreign = matches!(part, Part::Header { .. })
                && variables.forms.contains(&VariableForm::EnvInBraces)
                && variables.missing == MissingVariable::Kept;
            if is_credential || is_foreign || variables.missing == MissingVariable::Refused {
                return Err(problem.into());
            }
            warnings.push_possible_cause(problem);
            return Ok(replaced);
        }
        if let Some(name) = replaced.blank.as_deref().map(shown::variable) {
            let problem = field.path.problem(format!(
                "the environment variable {name} is blank; set it and try again"
            ));
            if is_credential || variables.missing == MissingVariable::Refused {
                return Err(problem.into());
            }
            warnings.push_possible_cause(problem);
            return Ok(replaced);
        }
        match foreign_variables::find_left(&replaced.text, field.value) {
            Some(left) if is_credential => {
                let problem = self.left_problem(field, is_replaced, &format!("`{left}`"));
                return Err(problem.into());
            }
            // The whole value is hidden as a secret, so a hint has the name without its braces.
            Some(left) => {
                let name = left.trim_matches(['$', '{', '}', ' ']);
                let shown = format!("`{name}` in braces");
                warnings.push_possible_cause(self.left_problem(field, is_replaced, &shown));
            }
            // The text is as it is written, so it holds no value of a variable.
            None if replaced.text == field.value => {
                let remedy = self.variable_remedy(is_replaced);
                warnings.note_possible_variable(&field.path, field.value, environment, |name| {
                    format!("text that looks like the variable {name} is passed on as written by {client}; {remedy}")
                });
            }
            None => {}
        }
        Ok(replaced)
    }

    /// The problem of a text with a variable that the client does not replace.
    fn left_problem(&self, field: &Field<&str>, is_replaced: bool, shown: &str) -> EntryProblem {
        let (client, remedy) = (self.client, self.variable_remedy(is_replaced));
        field.path.problem(format!(
            "{client} does not replace {shown} here and passes it on as written; {remedy}"
        ))
    }

    /// How to write a variable for this client.
    fn variable_remedy(&self, is_replaced: bool) -> &'static str {
        let forms = self.rules.variables.forms.iter().filter(|_| is_replaced);
        match forms.clone().next() {
            Some(VariableForm::EnvInBraces | VariableForm::Editor) => "write `${env:NAME}`",
            Some(VariableForm::EnvInCurlyBraces) => "write `{env:NAME}`",
            Some(_) => "write `${NAME}`",
            None => "write the value",
        }
    }

    /// Reads a file that a text includes.
    fn included(&self, path: &str) -> Option<String> {
        let whole = match path.strip_prefix("~/") {
            Some(rest) => self.places.home()?.join(rest),
            None => self.folder.join(path),
        };
        // A text can name the same file many times.
        let budget = &self.places.budget;
        let limit = MAX_INCLUDED_BYTES.min(budget.get());
        let bytes = self.places.machine.read(&whole, limit).ok()?;
        budget.set(budget.get().saturating_sub(bytes.len() + 1));
        if !path.starts_with("~/")
            && !is_absolute(Path::new(path))
            && self.places.is_in_project(&whole)
        {
            let file = escape_and_truncate(path);
            let what = format!("it includes `{file}`, a file of the current project");
            self.places.note_from_project(what);
        }
        String::from_utf8(bytes).ok()
    }

    /// The program and its arguments: `command` and `args`, or the items of `command`.
    fn command_line<'t>(
        &self,
        entry: &Table<'t>,
    ) -> Result<(Field<&'t str>, Vec<Field<&'t str>>), EntryProblem> {
        let missing = || validation::missing_command(entry);
        if self.rules.command_is_list {
            let mut items = entry.strings("command")?.into_iter();
            let program = items.next().ok_or_else(missing)?;
            return Ok((program, items.collect()));
        }
        // The first form of Zed's entries.
        if let Some(Value::Table(_)) = entry.value("command")
            && let Some(table) = entry.table("command")?
            && let Some(program) = table.string("path")?
        {
            return Ok((program, table.strings("args")?));
        }
        let program = match self.rules.command {
            "command" => crate::format::command(entry)?.ok_or_else(missing)?,
            key => entry.string(key)?.ok_or_else(|| {
                let problem = format!("`{key}` is missing; set it to the program to start");
                entry.problem(key, problem)
            })?,
        };
        if self.rules.needs_args && entry.path_to("args").is_none() {
            let problem = format!(
                "{} refuses a program without `args`; add an empty list",
                self.client
            );
            return Err(entry.path.problem(problem));
        }
        Ok((program, entry.strings("args")?))
    }

    fn stdio_config(
        &self,
        entry: &Table<'_>,
        environment: &RecordingEnvironment<'_>,
        warnings: &mut Warnings<'_>,
    ) -> Result<StdioConfig, Stop> {
        let (program, args) = self.command_line(entry)?;
        let replaced = self.text(&program, Part::Other, environment, warnings)?;
        if replaced.is_in_project {
            self.places
                .note_from_project("its program is a file of the current project".to_owned());
        }
        let command = replaced.text;
        validation::command(&program.path, &command)?;
        if let Some(cause) = validation::space_around(&program.path, &command) {
            warnings.push_possible_cause(cause);
        }
        let of_program = match entry.value("command") {
            Some(Value::Table(_)) => entry.table("command")?,
            _ => None,
        };
        let values = of_program
            .as_ref()
            .unwrap_or(entry)
            .values(self.rules.env)?;
        let names: HashSet<&str> = values.iter().map(|(name, _)| *name).collect();
        let args = args
            .iter()
            .map(|arg| {
                let causes = warnings.possible_causes.len();
                let text = self.text(arg, Part::Other, environment, warnings)?.text;
                validation::no_nul(&arg.path, &text)?;
                // A variable that the entry sets is for the program, as for mcp-remote.
                if foreign_variables::find_in_braces(&text).is_some_and(|name| names.contains(name))
                {
                    warnings.possible_causes.truncate(causes);
                }
                Ok(text)
            })
            .collect::<Result<_, Stop>>()?;
        let added = self.added_env.iter();
        let mut env: Vec<(String, SecretString)> = added
            .map(|(name, value)| (name.clone(), SecretString::from(value.as_str())))
            .collect();
        if let Some(key) = self.rules.env_file
            && let Some(field) = entry.string(key)?
        {
            let replaced = self.text(&field, Part::Other, environment, warnings)?;
            let path = replaced.text;
            match self.included(&path) {
                Some(text) => {
                    if replaced.is_in_project {
                        let what = format!("its `{key}` is a file of the current project");
                        self.places.note_from_project(what);
                    }
                    env.extend(env_file::parse(&text));
                }
                None if self.rules.needs_env_file
                    && !self.places.machine.exists(&self.folder.join(&path)) =>
                {
                    let problem = format!(
                        "{} starts no server whose `{key}` does not exist; check the path",
                        self.client
                    );
                    return Err(field.path.problem(problem).into());
                }
                None => {
                    warnings.push_possible_cause(field.path.problem(
                        "the file with environment variables cannot be read; check the path",
                    ))
                }
            }
        }
        for (name, field) in values {
            let number;
            let value = match field.value {
                Value::Unsupported("null") => continue,
                Value::Integer(value) if !self.rules.env_is_text => {
                    number = value.to_string();
                    &number
                }
                Value::Float(value) if !self.rules.env_is_text => {
                    number = value.to_string();
                    &number
                }
                _ => field.as_text()?,
            };
            let field = Field {
                value: value.as_str(),
                path: field.path,
            };
            let value = self.text(&field, Part::Env, environment, warnings)?.text;
            validation::env_entry(&field.path, name, &value)?;
            if let Some(cause) = validation::space_in_name(&field.path, name) {
                warnings.push_possible_cause(cause);
            }
            env.push((name.to_owned(), SecretString::from(value)));
        }
        let cwd = match self.rules.cwd {
            Some(key) if !matches!(entry.value(key), Some(Value::Unsupported("null"))) => {
                entry.string(key)?
            }
            _ => None,
        };
        let cwd = match cwd {
            Some(field) => {
                let text = self.text(&field, Part::Other, environment, warnings)?.text;
                validation::folder(&field.path, &text)?;
                Some(self.folder.join(text))
            }
            None => None,
        };
        warnings.drop_replaced_references(&command);
        Ok(StdioConfig {
            command,
            args,
            env: deduplicate_env(env),
            inherited: self.rules.inherited,
            cwd,
        })
    }

    fn http_config(
        &self,
        entry: &Table<'_>,
        http_sse: HttpSseUse,
        environment: &RecordingEnvironment<'_>,
        warnings: &mut Warnings<'_>,
    ) -> Result<HttpConfig, Stop> {
        if let Some(path) = entry.path_to("headersHelper") {
            return Err(Stop::NotChecked(
                path.problem("its headers come from a command, which is not run here"),
            ));
        }
        if let Some(Value::String(provider)) = entry.value("authProviderType")
            && self.rules.other_keys.contains(&"authProviderType")
            && provider != "dynamic_discovery"
        {
            return Err(Stop::NotChecked(entry.problem(
                "authProviderType",
                format!("only {} has the sign-in of this provider", self.client),
            )));
        }
        let mut keys = self.rules.url_keys.iter();
        let key = keys.find(|(key, _)| entry.path_to(key).is_some());
        let field = match key {
            Some((key, _)) => entry.string(key)?,
            None => None,
        };
        let Some(field) = field else {
            return Err(self.missing_transport(entry).into());
        };
        let replaced = self.text(&field, Part::Url, environment, warnings)?;
        if replaced.text.starts_with("unix:") || replaced.text.starts_with("pipe:") {
            return Err(Stop::NotChecked(field.path.problem(
                "it listens on a local socket, which is not supported here",
            )));
        }
        if replaced.text.starts_with("ws://") || replaced.text.starts_with("wss://") {
            return Err(Stop::NotChecked(field.path.problem(WEB_SOCKET)));
        }
        let left = foreign_variables::find_left(&replaced.text, field.value).map(|left| {
            self.left_problem(&field, self.is_replaced(Part::Url), &format!("`{left}`"))
        });
        let url = match validation::url(&field.path, &replaced.text, field.value) {
            Ok(url) => url,
            Err(problem) => {
                let missing = replaced.missing.map(|name| {
                    let name = shown::variable(&name);
                    let (state, remedy) = self.rules.without_value;
                    let problem = format!("the environment variable {name} {state}; {remedy}");
                    field.path.problem(problem)
                });
                return Err(missing.or(left).unwrap_or(problem).into());
            }
        };
        let headers = self.headers(entry, environment, warnings)?;
        Ok(HttpConfig {
            url,
            written_url: replaced.text,
            bearer: None,
            headers: deduplicate_headers(&entry.path, headers)?,
            http_sse,
        })
    }

    fn headers(
        &self,
        entry: &Table<'_>,
        environment: &RecordingEnvironment<'_>,
        warnings: &mut Warnings<'_>,
    ) -> Result<Vec<ConfiguredHeader>, Stop> {
        let fields = match self.rules.headers {
            [key] => entry.string_entries(key)?,
            [outer, key] => match entry.table(outer)? {
                Some(outer) => outer.string_entries(key)?,
                None => Vec::new(),
            },
            _ => Vec::new(),
        };
        let mut headers = Vec::new();
        for (name, field) in fields {
            let is_credential = validation::names_a_credential(name);
            let part = Part::Header { is_credential };
            let replaced = self.text(&field, part, environment, warnings)?;
            let value = SecretString::from(replaced.text);
            headers.push(validation::header(
                &field.path,
                name,
                value,
                field.value,
                replaced.variable,
            )?);
        }
        if let Some(key) = self.rules.bearer
            && let Some(field) = entry.string(key)?
            && !field.value.is_empty()
        {
            let part = Part::Header {
                is_credential: true,
            };
            let replaced = self.text(&field, part, environment, warnings)?;
            let value = SecretString::from(format!("Bearer {}", replaced.text));
            headers.push(validation::header(
                &field.path,
                "Authorization",
                value,
                field.value,
                replaced.variable,
            )?);
        }
        Ok(headers)
    }

    fn read_oauth(
        &self,
        entry: &Table<'_>,
        config: &mut ServerConfig,
        environment: &RecordingEnvironment<'_>,
        warnings: &mut Warnings<'_>,
    ) -> Result<(), Stop> {
        let mut tables = Vec::new();
        for key in self.rules.oauth {
            match entry.value(key) {
                // The client uses no OAuth for this server.
                Some(Value::Boolean(_) | Value::Unsupported("null")) | None => {}
                Some(_) => tables.extend(entry.table(key)?),
            }
        }
        let client = &mut config.oauth;
        for table in &tables {
            OAUTH.warn_of_unread_keys(table, warnings);
            let ids = ["clientId", "client_id", "CLIENT_ID"];
            if let Some(field) = oauth::either(|key| table.string(key), &ids)? {
                let id = self.text(&field, Part::Other, environment, warnings)?.text;
                validation::oauth_value(&field.path, &id, field.value)?;
                client.client_id = Some(id);
            }
            let secrets = ["clientSecret", "client_secret", "CLIENT_SECRET"];
            if let Some(field) = oauth::either(|key| table.string(key), &secrets)? {
                if self.rules.ignores_client_secret {
                    warnings.push(field.path.problem(format!(
                        "{} does not read the secret from this file",
                        self.client
                    )));
                } else {
                    let part = Part::Header {
                        is_credential: true,
                    };
                    let secret = self.text(&field, part, environment, warnings)?.text;
                    client.client_secret = oauth::secret(&secret);
                }
            }
            oauth::read(table, client)?;
            config.scopes = match scopes(table, &["scopes", "scope"])? {
                Some(scopes) => Some(scopes),
                None => config.scopes.take(),
            };
        }
        // Copilot CLI, Kiro and Crush have the keys in the entry itself.
        if self.rules.other_keys.contains(&"oauthClientId") {
            client.client_id = entry.string("oauthClientId")?.map(|id| id.value.to_owned());
        }
        if self.rules.other_keys.contains(&"oauth_client_id") {
            for (key, is_secret) in [("oauth_client_id", false), ("oauth_client_secret", true)] {
                if let Some(field) = entry.string(key)? {
                    let text = self.text(&field, Part::Other, environment, warnings)?.text;
                    match is_secret {
                        true => client.client_secret = oauth::secret(&text),
                        false => client.client_id = Some(text),
                    }
                }
            }
            if let Some(port) = entry.integer("oauth_callback_port")? {
                client.callback_port = Some(oauth::port_of(&port)?);
            }
        }
        if config.scopes.is_none() && self.rules.other_keys.contains(&"oauthScopes") {
            config.scopes = scopes(entry, &["oauthScopes"])?;
        }
        client.callback_on_localhost = client.client_id.is_some() || client.callback_port.is_some();
        Ok(())
    }

    /// Warns of keys that this client does not read.
    fn warn_of_unread_keys(&self, entry: &Table<'_>, warnings: &mut Warnings<'_>) {
        let rules = self.rules;
        for (name, path) in entry.keys() {
            if self.reads(name) || is_comment(name) {
                continue;
            }
            if !warnings.may_compare() {
                break;
            }
            let meant = MCP_SERVERS_JSON.meant_by(name);
            let meant = meant.and_then(|key| self.own_key(key));
            let client = self.client;
            if name == "args" {
                let problem = format!(
                    "{client} does not read this key; write the arguments in the list `{}`",
                    rules.command
                );
                warnings.push(path.problem(problem));
                continue;
            }
            match meant {
                Some(key) => warnings.push(path.problem(format!(
                    "{client} does not read this key; did you mean `{key}`?"
                ))),
                None if MCP_SERVERS_JSON.read.contains(&name) => {
                    warnings.push(path.problem(format!("{client} does not read this key")))
                }
                None => warnings.push_compatibility(
                    path.problem("this key is not known here, and is not read"),
                ),
            }
        }
    }

    /// Warns of the program of an entry whose URL is used, and of the URL of one whose program is started.
    fn warn_of_other_transport(
        &self,
        connection: &Table<'_>,
        rule: TransportRule,
        warnings: &mut Warnings<'_>,
    ) {
        let rules = self.rules;
        let urls: Vec<&'static str> = rules.url_keys.iter().map(|(key, _)| *key).collect();
        let url = urls.iter().find(|key| connection.path_to(key).is_some());
        let has_program = connection.path_to(rules.command).is_some();
        match (rule, url) {
            (TransportRule::Http(_), Some(url)) if has_program => {
                warn_of_unused_keys(connection, &[rules.command, "args"], url, warnings);
            }
            (TransportRule::Stdio, Some(_)) => {
                warn_of_unused_keys(connection, &urls, rules.command, warnings);
            }
            _ => {}
        }
    }

    fn reads(&self, name: &str) -> bool {
        let rules = self.rules;
        let of_url = rules.url_keys.iter().any(|(key, _)| *key == name);
        let of_switch = rules.switches.iter().any(|(key, _)| *key == name);
        let optional = [
            Some(rules.command),
            rules.headers.first().copied(),
            rules.bearer,
            rules.cwd,
            rules.env_file,
            rules.timeout.map(|timeout| timeout.key),
            Some(rules.env),
            rules.nested_transport.then_some("transport"),
        ];
        of_url
            || of_switch
            || (name == "args" && !rules.command_is_list)
            || matches!(name, "protocol_era" | "protocolEra")
            || optional.contains(&Some(name))
            || [rules.type_keys, rules.oauth, rules.other_keys]
                .iter()
                .any(|keys| keys.contains(&name))
            || MCP_SERVERS_JSON.without_effect.contains(&name)
    }
}

/// A table without the keys whose value is null. They count as missing.
fn without_null(spanned: &Spanned) -> Cow<'_, Spanned> {
    let is_null = |value: &Value| matches!(value, Value::Unsupported("null"));
    match &spanned.value {
        Value::Table(fields) if fields.iter().any(|(_, field)| is_null(&field.value)) => {
            let mut fields = fields.clone();
            fields.retain(|(_, field)| !is_null(&field.value));
            Cow::Owned(Spanned {
                line: spanned.line,
                value: Value::Table(fields),
            })
        }
        _ => Cow::Borrowed(spanned),
    }
}

pub(super) const WEB_SOCKET: &str = "it uses WebSocket, which is not supported here";

/// Scopes as a list, or as one text with spaces or commas.
fn scopes(table: &Table<'_>, keys: &[&str]) -> Result<Option<Vec<String>>, EntryProblem> {
    for key in keys {
        match table.value(key) {
            Some(Value::List(_)) => {
                let scopes = table.strings(key)?.into_iter();
                return Ok(Some(scopes.map(|scope| scope.value.to_owned()).collect()));
            }
            Some(Value::Unsupported("null")) | None => {}
            Some(_) => {
                return Ok(table.string(key)?.map(|scopes| {
                    let scopes = scopes
                        .value
                        .split([' ', ','])
                        .filter(|text| !text.is_empty());
                    scopes.map(str::to_owned).collect()
                }));
            }
        }
    }
    Ok(None)
}

/// Returns a folder as text for the variables of an editor.
pub(super) fn folder_text(folder: &Path) -> String {
    folder.to_string_lossy().into_owned()
}

/// The variables of an editor whose workspace is `folder`.
pub(super) fn editor_variables(places: &Places<'_>, folder: &Path) -> Vec<(String, String)> {
    let separator = match places.machine.system() {
        super::System::Windows => "\\",
        _ => "/",
    };
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let home = places.home().unwrap_or_default();
    [
        ("workspaceFolder", folder_text(folder)),
        ("workspaceRoot", folder_text(folder)),
        ("workspaceFolderBasename", name.into_owned()),
        ("userHome", folder_text(&home)),
        ("pathSeparator", separator.to_owned()),
        ("/", separator.to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}
