//! The `mcpServers` JSON of Claude's `.mcp.json`.
//!
//! Source: <https://code.claude.com/docs/en/mcp>.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use secrecy::SecretString;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::environment::{Environment, codex_home};
use crate::error::{ConfigurationError, ConfigurationErrorKind, EntryProblem};
use crate::foreign::{escaped, shown};
use crate::located::{Entry, Found, Lines, Located, Place, Value};
use crate::server::{
    CODEX_INHERITED_VARIABLES, HttpConfig, InheritedEnvironment, OAuthClient, ServerConfig,
    ServerEntry, StdioConfig, TransportConfig, with_last_of_each_header,
};
use crate::{
    Configuration, ConfigurationFormat, CredentialSettings, CredentialStoreMode, validation,
};

const SERVERS: &str = "mcpServers";

/// How deep a server's entry is looked into. Nothing that is read lies deeper.
const DEPTH: u8 = 4;

pub(crate) fn parse(
    source: &str,
    path: &Path,
    environment: &dyn Environment,
) -> Result<Configuration, ConfigurationError> {
    let lines = Lines::new(source);
    let root: Object<'_> = serde_json::from_str(source).map_err(|error| syntax(path, error))?;
    let Some((_, servers)) = root.0.iter().find(|(name, _)| name == SERVERS) else {
        let what = format!(
            "the key `{SERVERS}` is missing: a file of MCP servers is {{\"{SERVERS}\": {{…}}}}"
        );
        let error = ConfigurationError::new(ConfigurationErrorKind::NotAConfiguration, path, &what);
        return Err(error.with_key(SERVERS));
    };
    let servers = Json {
        source,
        lines: &lines,
    }
    .located(servers, DEPTH);
    let Value::Table(entries) = &servers.value else {
        let what = format!("`{SERVERS}` must be an object with one entry for each server");
        return Err(ConfigurationError::at(
            ConfigurationErrorKind::NotAConfiguration,
            path,
            (servers.line.unwrap_or(1), None),
            &what,
        )
        .with_key(SERVERS));
    };
    let root = Place::in_code(SERVERS);
    Ok(Configuration {
        path: path.to_owned(),
        format: ConfigurationFormat::McpServersJson,
        servers: entries
            .iter()
            .map(|(name, located)| {
                let place = root.child(name, located.line);
                entry(name, place, located, environment)
            })
            .collect(),
        credentials: CredentialSettings {
            home: codex_home(environment).unwrap_or_default(),
            mode: CredentialStoreMode::File,
        },
    })
}

fn syntax(path: &Path, error: serde_json::Error) -> ConfigurationError {
    let place = (
        u32::try_from(error.line()).unwrap_or(u32::MAX),
        Some(u32::try_from(error.column()).unwrap_or(u32::MAX)),
    );
    let text = error.to_string();
    let words = text
        .rsplit_once(" at line ")
        .map_or(text.as_str(), |(words, _)| words);
    let what = format!("not valid JSON: {}. Correct it there", escaped(words));
    ConfigurationError::at(ConfigurationErrorKind::Syntax, path, place, &what).with_source(error)
}

/// The members of an object in the file's order; of a repeated name the last value, where the first stood.
struct Object<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Object<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members: Vec<(String, &'de RawValue)> = Vec::new();
                let mut positions: HashMap<String, usize> = HashMap::new();
                while let Some((name, value)) = map.next_entry::<String, &'de RawValue>()? {
                    match positions.get(&name).and_then(|at| members.get_mut(*at)) {
                        Some(earlier) => earlier.1 = value,
                        None => {
                            positions.insert(name.clone(), members.len());
                            members.push((name, value));
                        }
                    }
                }
                Ok(Object(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

struct Json<'a> {
    source: &'a str,
    lines: &'a Lines<'a>,
}

impl Json<'_> {
    /// `raw` is a slice of the source, whose syntax has been checked.
    fn located(&self, raw: &RawValue, depth: u8) -> Located {
        let text = raw.get();
        let offset = text
            .as_ptr()
            .addr()
            .saturating_sub(self.source.as_ptr().addr());
        Located {
            line: Some(self.lines.line(offset)),
            value: self.value(text, depth),
        }
    }

    fn value(&self, text: &str, depth: u8) -> Value {
        let value = match text.as_bytes().first() {
            Some(b'{' | b'[') if depth == 0 => Some(Value::Other("a nested value")),
            Some(b'{') => serde_json::from_str::<Object<'_>>(text).ok().map(|object| {
                let members = object.0.into_iter();
                Value::Table(
                    members
                        .map(|(name, raw)| (name, self.located(raw, depth - 1)))
                        .collect(),
                )
            }),
            Some(b'[') => serde_json::from_str::<Vec<&RawValue>>(text)
                .ok()
                .map(|items| {
                    let items = items.into_iter();
                    Value::List(items.map(|raw| self.located(raw, depth - 1)).collect())
                }),
            Some(b'"') => serde_json::from_str(text).ok().map(Value::Text),
            Some(b't') => Some(Value::Boolean(true)),
            Some(b'f') => Some(Value::Boolean(false)),
            Some(b'n') => Some(Value::Other("null")),
            _ => serde_json::from_str(text)
                .ok()
                .map(Value::Integer)
                .or_else(|| serde_json::from_str(text).ok().map(Value::Float)),
        };
        // Such as half of a surrogate pair in a string.
        value.unwrap_or(Value::Other("something that cannot be represented"))
    }
}

fn entry(
    name: &str,
    place: Place,
    located: &Located,
    environment: &dyn Environment,
) -> ServerEntry {
    let mut enabled = true;
    let mut read = || {
        validation::name(&place, name)?;
        let entry = Entry::new(place.clone(), located)?;
        enabled = entry.boolean("enabled")?.unwrap_or(true)
            && !entry.boolean("disabled")?.unwrap_or(false);
        server(name, &entry, environment)
    };
    let config = read();
    ServerEntry::new(name, enabled, false, config)
}

fn server(
    name: &str,
    entry: &Entry<'_>,
    environment: &dyn Environment,
) -> Result<ServerConfig, EntryProblem> {
    let (command, url) = (entry.place_of("command"), entry.place_of("url"));
    let is_http = match entry.text("type")? {
        None if command.is_some() => false,
        None if url.is_some() => true,
        None => {
            return Err(entry
                .place
                .problem("neither `command` nor `url` is there: a server has one of them"));
        }
        Some(kind) => match kind.value {
            "stdio" => false,
            "http" | "streamable-http" => true,
            other => {
                return Err(kind.place.problem(format!(
                    "the transport `{}` is not supported; `stdio` and `http` are",
                    shown(other)
                )));
            }
        },
    };
    let environment = Recording {
        environment,
        given: RefCell::default(),
    };
    let mut config = ServerConfig {
        name: name.to_owned(),
        required: false,
        startup_timeout: None,
        scopes: None,
        oauth: OAuthClient::default(),
        transport: if is_http {
            TransportConfig::Http(http(entry, &environment)?)
        } else {
            TransportConfig::Stdio(stdio(entry, &environment)?)
        },
        filled_in: environment.given.into_inner(),
        place: entry.place.clone(),
        key_places: entry.places_of(&["command"]),
    };
    if is_http && let Some(oauth) = entry.table("oauth")? {
        config.oauth.client_id = oauth.text("clientId")?.map(|found| found.value.to_owned());
        config.scopes = oauth.text("scopes")?.map(|found| {
            let scopes = found.value.split_whitespace();
            scopes.map(str::to_owned).collect()
        });
    }
    Ok(config)
}

/// An environment that keeps what it has given.
struct Recording<'a> {
    environment: &'a dyn Environment,
    given: RefCell<Vec<SecretString>>,
}

impl Environment for Recording<'_> {
    fn get(&self, name: &str) -> Option<String> {
        let value = self.environment.get(name)?;
        if !CODEX_INHERITED_VARIABLES.contains(&name) {
            self.given.borrow_mut().push(value.clone().into());
        }
        Some(value)
    }
}

fn stdio(entry: &Entry<'_>, environment: &dyn Environment) -> Result<StdioConfig, EntryProblem> {
    let found = entry.text("command")?.ok_or_else(|| {
        let problem = "`command` is missing: it names the program of a `stdio` server";
        entry.place.problem(problem)
    })?;
    let command = expanded(&found, environment)?.text;
    validation::command(&found.place, &command)?;
    let mut args = Vec::new();
    for arg in entry.texts("args")? {
        let text = expanded(&arg, environment)?.text;
        validation::program_text(&arg.place, &text)?;
        args.push(text);
    }
    let mut env = Vec::new();
    for (name, found) in entry.pairs("env")? {
        let value = expanded(&found, environment)?.text;
        validation::variable_for_program(&found.place, name, &value)?;
        env.push((name.to_owned(), SecretString::from(value)));
    }
    Ok(StdioConfig {
        command,
        args,
        env,
        inherited: InheritedEnvironment::Everything,
        cwd: None,
    })
}

fn http(entry: &Entry<'_>, environment: &dyn Environment) -> Result<HttpConfig, EntryProblem> {
    if let Some(place) = entry.place_of("headersHelper") {
        return Err(place.problem("a command that makes headers is not run here; use headers"));
    }
    let found = entry.text("url")?.ok_or_else(|| {
        let problem = "`url` is missing: it is the address of an `http` server";
        entry.place.problem(problem)
    })?;
    let written_url = expanded(&found, environment)?.text;
    let url = validation::url(&found.place, &written_url)?;
    let mut headers = Vec::new();
    for (name, found) in entry.pairs("headers")? {
        let Expanded { text, variable } = expanded(&found, environment)?;
        let value = SecretString::from(text);
        headers.push(validation::header(&found.place, name, value, variable)?);
    }
    Ok(HttpConfig {
        url,
        written_url,
        bearer: None,
        headers: with_last_of_each_header(headers),
    })
}

/// A text whose variables are filled in, and the first variable that gave something to it.
struct Expanded {
    text: String,
    variable: Option<String>,
}

/// `${NAME}` and `${NAME:-default}`. Everything else, such as `$NAME` or a shell's `${NAME%.txt}`, stays as it is
/// written. A variable that is set to nothing is set. A default is not expanded again.
fn expanded(found: &Found<&str>, environment: &dyn Environment) -> Result<Expanded, EntryProblem> {
    let mut expanded = Expanded {
        text: String::with_capacity(found.value.len()),
        variable: None,
    };
    let mut rest = found.value;
    while let Some((before, reference)) = rest.split_once("${") {
        expanded.text.push_str(before);
        let Some((name, default, after)) = reference_to_variable(reference) else {
            expanded.text.push_str("${");
            rest = reference;
            continue;
        };
        match (environment.get(name), default) {
            (Some(value), _) => {
                expanded.text.push_str(&value);
                expanded.variable.get_or_insert_with(|| name.to_owned());
            }
            (None, Some(default)) => expanded.text.push_str(default),
            (None, None) => {
                return Err(found.place.problem(format!(
                    "the environment variable {name} is not set; set it, or write a default as ${{{name}:-default}}"
                )));
            }
        }
        rest = after;
    }
    expanded.text.push_str(rest);
    Ok(expanded)
}

/// What follows `${`: a name, perhaps a default, and what comes after the brace.
fn reference_to_variable(text: &str) -> Option<(&str, Option<&str>, &str)> {
    let end = text
        .find(|character: char| !character.is_ascii_alphanumeric() && character != '_')
        .filter(|end| *end > 0 && !text.starts_with(|first: char| first.is_ascii_digit()))?;
    let (name, rest) = text.split_at(end);
    if let Some(after) = rest.strip_prefix('}') {
        return Some((name, None, after));
    }
    let (default, after) = rest.strip_prefix(":-")?.split_once('}')?;
    Some((name, Some(default), after))
}
