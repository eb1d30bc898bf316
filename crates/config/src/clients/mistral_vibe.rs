//! Mistral Vibe: a list of servers, a file of the project in folders that the user trusts, and variables in a file.
//!
//! Source: `vibe/core/config/models.py` and `vibe/core/trusted_folders.py` in <https://github.com/mistralai/mistral-vibe>.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::client::Client;
use super::client_variables::{self, ClientVariables, MachineWithVariables};
use super::entry::EntryReader;
use super::inherited::SDK_VARIABLES;
use super::other_keys::OtherKeys;
use super::places::Places;
use super::profile::{EntryRules, FileFormat, Scope, Timeout, TransportRule};
use super::profiles::{self, PLAIN};
use super::reading::{self, Contents, MAX_BYTES};
use super::{ClientFile, ClientServer, shell_words};
use crate::environment::{Environment, non_blank};
use crate::error::{ConfigurationError, EntryProblem};
use crate::format::{MAX_COMPARED_KEYS, oauth};
use crate::server::{
    HttpConfig, HttpSseUse, InheritedEnvironment, ServerConfig, TransportConfig,
    deduplicate_headers,
};
use crate::shown;
use crate::spanned::{Spanned, Table, Value, toml};
use crate::validation;

const SERVERS: &str = "mcp_servers";

const RULES: EntryRules = EntryRules {
    type_keys: &["transport"],
    types: &[
        ("stdio", TransportRule::Stdio),
        ("http", TransportRule::Http(HttpSseUse::Never)),
        ("streamable-http", TransportRule::Http(HttpSseUse::Never)),
    ],
    url_keys: &[("url", TransportRule::Http(HttpSseUse::Never))],
    needs_type: Some(
        "refuses a server that has no `transport`; write `transport = \"stdio\"` or `transport = \"streamable-http\"`",
    ),
    env_is_text: true,
    cwd: Some("cwd"),
    timeout: Some(Timeout::secs("startup_timeout_sec")),
    oauth: &["auth"],
    other_keys: &[
        "api_key_env",
        "api_key_format",
        "api_key_header",
        "disabled_tools",
        "prompt",
        "sampling_enabled",
        "tool_timeout_sec",
    ],
    inherited: InheritedEnvironment::Named(SDK_VARIABLES),
    ..PLAIN
};

/// The rules for an entry whose headers are in `auth`.
const WITH_AUTH: EntryRules = EntryRules {
    headers: &["auth", "headers"],
    ..RULES
};

const HOME: &str = "<$VIBE_HOME or .vibe>";

pub(super) fn files(places: &Places<'_>) -> Vec<ClientFile> {
    let variables = places.paths(&format!("{HOME}/.env"));
    let machine = MachineWithVariables {
        machine: places.machine,
        variables: ClientVariables {
            own: client_variables::of_env_files(places.machine, &variables),
            environment: Some(places.machine.environment()),
        },
    };
    let places = &Places::new(&machine, places.folder);
    let user = places.paths(&format!("{HOME}/config.toml"));
    // The nearest file of a project counts.
    let of_project = places.paths("<up>/.vibe/config.toml").into_iter();
    let of_project = of_project
        .rev()
        .filter(|path| !user.contains(path))
        .find_map(|path| file(places, Scope::Project, path));
    let mut files: Vec<_> = user
        .iter()
        .filter_map(|path| file(places, Scope::User, path.clone()))
        .chain(of_project)
        .collect();
    profiles::mark_replaced(files.iter_mut());
    files
}

fn file(places: &Places<'_>, scope: Scope, path: PathBuf) -> Option<ClientFile> {
    let result = reading::read(places.machine, &path, MAX_BYTES, |text| {
        servers(places, &path, text)
    })?;
    let approved = (scope == Scope::Project).then(|| is_trusted(places, &path));
    let file = ClientFile::new(Client::MistralVibe, scope, path, FileFormat::Toml, result);
    Some(ClientFile { approved, ..file })
}

/// Whether the user trusts the folder of a file. The nearest decision counts.
fn is_trusted(places: &Places<'_>, path: &Path) -> bool {
    let lists = places.paths(&format!("{HOME}/trusted_folders.toml"));
    let lists = lists.first().and_then(|list| {
        reading::read(places.machine, list, MAX_BYTES, |text| {
            let document = toml::Document::parse(text, list)?;
            let folders = |key: &str| match document.get(key).map(|found| found.value) {
                Some(Value::List(items)) => items,
                _ => Vec::new(),
            };
            Ok((folders("trusted"), folders("untrusted")))
        })
    });
    let Some(Ok((trusted, untrusted))) = lists else {
        return false;
    };
    let has = |list: &[Spanned], folder: &Path| {
        list.iter()
            .any(|item| matches!(&item.value, Value::String(text) if Path::new(text) == folder))
    };
    let mut decisions = path.ancestors().skip(1).filter_map(|folder| {
        match (has(&trusted, folder), has(&untrusted, folder)) {
            (true, _) => Some(true),
            (false, true) => Some(false),
            (false, false) => None,
        }
    });
    decisions.next().unwrap_or_default()
}

fn servers(places: &Places<'_>, path: &Path, text: &str) -> Result<Contents, ConfigurationError> {
    let document = toml::Document::parse(text, path)?;
    let items = reading::named_items(document.get(SERVERS), &[SERVERS], path)?;
    let other = OtherKeys::of_toml(Client::MistralVibe, path, &[SERVERS], &document);
    let other = other.check(!items.is_empty())?;
    let comparisons = Cell::new(MAX_COMPARED_KEYS);
    let mut servers: Vec<ClientServer> = Vec::with_capacity(items.len());
    for item in items {
        let server = server(places, &item, &comparisons);
        servers.push(server);
    }
    reading::mark_repeated(&mut servers);
    Ok(Contents::new(servers, other))
}

fn server(
    places: &Places<'_>,
    item: &reading::NamedItem,
    comparisons: &Cell<usize>,
) -> ClientServer {
    let name = item.name.as_deref().map(normalized).unwrap_or_default();
    if name.is_empty() {
        let problem = "Mistral Vibe needs a `name` with letters or digits; write it";
        return reading::refused(&item.name_or_place(), item.path.problem(problem));
    }
    let entry = match with_words(item) {
        Ok(entry) => entry,
        Err(problem) => return reading::refused(&name, problem),
    };
    let table = Table::of_server(item.path.clone(), &entry);
    let has_auth = table
        .as_ref()
        .is_ok_and(|table| table.path_to("auth").is_some());
    let reader = EntryReader {
        client: Client::MistralVibe,
        rules: match has_auth {
            true => &WITH_AUTH,
            false => &RULES,
        },
        places,
        folder: places.folder,
        own_variables: Vec::new(),
        added_env: Vec::new(),
        comparisons: Cell::new(comparisons.get()),
    };
    let mut server = reader.read(&name, item.path.clone(), &entry);
    comparisons.set(reader.comparisons.get());
    if let (Ok(config), Ok(table)) = (&mut server.entry.config, &table)
        && let Err(problem) = read_auth(places.machine.environment(), table, config)
    {
        server.entry.config = Err(problem);
    }
    server
}

/// The name as Vibe uses it: other characters than letters, digits, `-` and `_` are replaced.
fn normalized(name: &str) -> String {
    let replaced: String = name
        .chars()
        .map(|character| match character {
            '-' | '_' => character,
            _ if character.is_ascii_alphanumeric() => character,
            _ => '_',
        })
        .collect();
    let trimmed = replaced.trim_matches(['-', '_']);
    trimmed.chars().take(256).collect()
}

/// Splits `command`, which is a command line or a list, into the program and its first arguments.
fn with_words(item: &reading::NamedItem) -> Result<Spanned, EntryProblem> {
    let mut entry = item.entry.clone();
    let Value::Table(fields) = &mut entry.value else {
        return Ok(entry);
    };
    let Some((_, command)) = fields.iter_mut().find(|(key, _)| key == "command") else {
        return Ok(entry);
    };
    let line = command.line;
    let words = match &command.value {
        Value::String(text) => shell_words::split(text).ok_or_else(|| {
            let path = item.path.child("command", line);
            path.problem(
                "a quotation mark is not closed, or a backslash is the last character; correct it",
            )
        })?,
        Value::List(items) => {
            let texts = items.iter().map(|item| match &item.value {
                Value::String(text) => Some(text.clone()),
                _ => None,
            });
            match texts.collect() {
                Some(texts) => texts,
                None => return Ok(entry),
            }
        }
        _ => return Ok(entry),
    };
    let mut words = words.into_iter();
    command.value = Value::String(words.next().unwrap_or_default());
    let mut arguments: Vec<Spanned> = words
        .map(|word| Spanned {
            line,
            value: Value::String(word),
        })
        .collect();
    match fields.iter_mut().find(|(key, _)| key == "args") {
        Some((_, args)) => {
            if let Value::List(items) = &mut args.value {
                arguments.append(items);
                *items = arguments;
            }
        }
        None => {
            let value = Value::List(arguments);
            fields.push(("args".to_owned(), Spanned { line, value }));
        }
    }
    Ok(entry)
}

/// Reads the token and the OAuth client, in the entry or in `auth`.
fn read_auth(
    environment: &dyn Environment,
    entry: &Table<'_>,
    config: &mut ServerConfig,
) -> Result<(), EntryProblem> {
    let auth = entry.table("auth")?;
    if let Some(auth) = &auth {
        let port = auth.integer("redirect_port")?;
        if let Some(port) = port {
            config.oauth.callback_port = Some(oauth::port_of(&port)?);
        }
        if auth
            .string("type")?
            .is_some_and(|kind| kind.value == "oauth")
        {
            return Ok(());
        }
    }
    let TransportConfig::Http(http) = &mut config.transport else {
        return Ok(());
    };
    add_token(environment, auth.as_ref().unwrap_or(entry), http)
}

/// Adds the header with the token of the variable in `api_key_env`.
fn add_token(
    environment: &dyn Environment,
    table: &Table<'_>,
    http: &mut HttpConfig,
) -> Result<(), EntryProblem> {
    let Some(variable) = table
        .string("api_key_env")?
        .filter(|name| !name.value.is_empty())
    else {
        return Ok(());
    };
    let header = table.string("api_key_header")?;
    let header = header.map_or("Authorization", |header| header.value);
    let mut headers = http.headers.iter();
    if headers.any(|known| known.name.eq_ignore_ascii_case(header)) {
        return Ok(());
    }
    let Some(token) = non_blank(environment, variable.value) else {
        validation::variable_name(&variable.path, variable.value, environment)?;
        let name = shown::variable(variable.value);
        let problem = format!("the environment variable {name} is not set; set it");
        return Err(variable.path.problem(problem));
    };
    let format = table.string("api_key_format")?;
    let format = format.map_or("Bearer {token}", |format| format.value);
    let value = SecretString::from(format.replace("{token}", &token));
    let name = Some(variable.value.to_owned());
    let header = validation::header(&variable.path, header, value, "", name)?;
    let mut headers = std::mem::take(&mut http.headers);
    headers.push(header);
    http.headers = deduplicate_headers(&table.path, headers)?;
    Ok(())
}
