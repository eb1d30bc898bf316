//! Codex's `config.toml`: the table `mcp_servers`.
//!
//! Source: <https://developers.openai.com/codex/config-reference>, and for what is refused Codex's own reader of a
//! server's entry (`codex-rs/config/src/mcp_types.rs` in <https://github.com/openai/codex>).

use std::path::{Path, PathBuf};

use secrecy::SecretString;
use toml_edit::{Document, Item, TableLike};

use crate::environment::Environment;
use crate::error::{ConfigurationError, ConfigurationErrorKind, EntryProblem};
use crate::foreign::shown;
use crate::located::{Entry, Found, Lines, Located, Place, Value, last_of_each, table, text};
use crate::server::{
    CODEX_INHERITED_VARIABLES, HttpConfig, InheritedEnvironment, OAuthClient, ServerConfig,
    ServerEntry, StdioConfig, TransportConfig, with_last_of_each_header,
};
use crate::{
    Configuration, ConfigurationFormat, CredentialSettings, CredentialStoreMode, validation,
};

const SERVERS: &str = "mcp_servers";
const CREDENTIAL_STORE: &str = "mcp_oauth_credentials_store";

/// Keys that only one transport takes. Codex refuses the whole entry for them, and so do we: a header that is
/// silently dropped looks like a token that was refused.
const ONLY_HTTP: [&str; 7] = [
    "url",
    "bearer_token_env_var",
    "http_headers",
    "env_http_headers",
    "http_headers_helper",
    "oauth",
    "oauth_resource",
];
const ONLY_STDIO: [&str; 4] = ["args", "env", "env_vars", "cwd"];

pub(crate) fn parse(
    source: &str,
    path: &Path,
    environment: &dyn Environment,
) -> Result<Configuration, ConfigurationError> {
    let lines = Lines::new(source);
    let document = Document::parse(source).map_err(|error| {
        // The error itself quotes the line, which may hold a token: only its words are taken.
        let offset = error.span().map_or(0, |span| span.start);
        let (line, column) = lines.line_and_column(offset);
        let what = format!(
            "not valid TOML: {}. Correct it there",
            shown(error.message())
        );
        ConfigurationError::at(
            ConfigurationErrorKind::Syntax,
            path,
            (line, Some(column)),
            &what,
        )
    })?;
    let mut servers = Vec::new();
    if let Some((key, item)) = document.as_table().get_key_value(SERVERS) {
        let line = key.span().map(|span| lines.line(span.start));
        let located = Located {
            line,
            value: value(item, &lines),
        };
        let Value::Table(entries) = &located.value else {
            let what = format!("`{SERVERS}` must be a table with one entry for each server");
            return Err(ConfigurationError::at(
                ConfigurationErrorKind::NotAConfiguration,
                path,
                (line.unwrap_or(1), None),
                &what,
            )
            .with_key(SERVERS));
        };
        let root = Place::in_code(SERVERS);
        servers = entries
            .iter()
            .map(|(name, located)| {
                let place = root.child(name, located.line);
                entry(name, place, located, environment)
            })
            .collect();
    }
    Ok(Configuration {
        path: path.to_owned(),
        format: ConfigurationFormat::CodexToml,
        servers,
        credentials: CredentialSettings {
            home: folder_of(path),
            mode: credential_store_mode(document.as_table().get(CREDENTIAL_STORE), source),
        },
    })
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn credential_store_mode(item: Option<&Item>, source: &str) -> CredentialStoreMode {
    let Some(item) = item else {
        return CredentialStoreMode::Auto;
    };
    match item.as_str() {
        Some("auto") => CredentialStoreMode::Auto,
        Some("file") => CredentialStoreMode::File,
        Some("keyring") => CredentialStoreMode::Keyring,
        Some(other) => CredentialStoreMode::Unknown(shown(other)),
        None => {
            let written = item.span().and_then(|span| source.get(span));
            CredentialStoreMode::Unknown(shown(written.unwrap_or_default()))
        }
    }
}

fn value(item: &Item, lines: &Lines<'_>) -> Value {
    match item {
        Item::None => Value::Other("nothing"),
        Item::Value(toml) => plain_value(toml, lines),
        Item::Table(table) => table_value(table, lines),
        Item::ArrayOfTables(tables) => Value::List(
            tables
                .iter()
                .map(|table| Located {
                    line: table.span().map(|span| lines.line(span.start)),
                    value: table_value(table, lines),
                })
                .collect(),
        ),
    }
}

fn plain_value(toml: &toml_edit::Value, lines: &Lines<'_>) -> Value {
    match toml {
        toml_edit::Value::String(text) => Value::Text(text.value().clone()),
        toml_edit::Value::Integer(number) => Value::Integer(*number.value()),
        toml_edit::Value::Float(number) => Value::Float(*number.value()),
        toml_edit::Value::Boolean(boolean) => Value::Boolean(*boolean.value()),
        toml_edit::Value::Datetime(_) => Value::Other("a date"),
        toml_edit::Value::Array(items) => Value::List(
            items
                .iter()
                .map(|item| Located {
                    line: item.span().map(|span| lines.line(span.start)),
                    value: plain_value(item, lines),
                })
                .collect(),
        ),
        toml_edit::Value::InlineTable(table) => table_value(table, lines),
    }
}

fn table_value(table: &dyn TableLike, lines: &Lines<'_>) -> Value {
    Value::Table(
        table
            .iter()
            .map(|(name, item)| {
                let span = table.key(name).and_then(|key| key.span());
                let located = Located {
                    line: span.map(|span| lines.line(span.start)),
                    value: value(item, lines),
                };
                (name.to_owned(), located)
            })
            .collect(),
    )
}

fn entry(
    name: &str,
    place: Place,
    located: &Located,
    environment: &dyn Environment,
) -> ServerEntry {
    let (mut enabled, mut required) = (true, false);
    let mut read = || {
        validation::name(&place, name)?;
        let entry = Entry::new(place.clone(), located)?;
        enabled = entry.boolean("enabled")?.unwrap_or(true);
        required = entry.boolean("required")?.unwrap_or(false);
        server(name, &entry, required, environment)
    };
    let config = read();
    ServerEntry::new(name, enabled, required, config)
}

fn server(
    name: &str,
    entry: &Entry<'_>,
    required: bool,
    environment: &dyn Environment,
) -> Result<ServerConfig, EntryProblem> {
    if let Some(place) = entry.place_of("bearer_token") {
        return Err(place.problem(
            "a token is not kept in the file: put it into an environment variable and name that in bearer_token_env_var",
        ));
    }
    let (transport, oauth) = match (entry.text("command")?, entry.text("url")?) {
        (Some(command), _) => {
            refuse(entry, &ONLY_HTTP, "command")?;
            let stdio = stdio(&command, entry, environment)?;
            (TransportConfig::Stdio(stdio), OAuthClient::default())
        }
        (None, Some(url)) => {
            refuse(entry, &ONLY_STDIO, "url")?;
            let http = http(&url, entry, environment)?;
            (TransportConfig::Http(http), oauth(entry, environment)?)
        }
        (None, None) => {
            return Err(entry
                .place
                .problem("neither `command` nor `url` is there: a server has one of them"));
        }
    };
    let scopes = entry.texts("scopes")?.into_iter().map(owned).collect();
    Ok(ServerConfig {
        name: name.to_owned(),
        required,
        startup_timeout: startup_timeout(entry)?,
        scopes: entry.place_of("scopes").map(|_| scopes),
        oauth,
        transport,
        filled_in: Vec::new(),
        place: entry.place.clone(),
        key_places: entry.places_of(&["command", "cwd"]),
    })
}

/// `keys` are those that do not go with the key that chose the transport.
fn refuse(entry: &Entry<'_>, keys: &[&str], chosen: &str) -> Result<(), EntryProblem> {
    for key in keys {
        if let Some(place) = entry.place_of(key) {
            return Err(place.problem(format!(
                "`{key}` does not go with `{chosen}`: take one of the two out"
            )));
        }
    }
    Ok(())
}

/// Seconds win over milliseconds; both must be right.
fn startup_timeout(entry: &Entry<'_>) -> Result<Option<std::time::Duration>, EntryProblem> {
    let seconds = entry
        .number("startup_timeout_sec")?
        .map(|found| validation::timeout_seconds(&found.place, found.value))
        .transpose()?;
    let milliseconds = entry
        .integer("startup_timeout_ms")?
        .map(|found| validation::timeout_milliseconds(&found.place, found.value))
        .transpose()?;
    Ok(seconds.or(milliseconds))
}

fn stdio(
    command: &Found<&str>,
    entry: &Entry<'_>,
    environment: &dyn Environment,
) -> Result<StdioConfig, EntryProblem> {
    validation::command(&command.place, command.value)?;
    let mut args = Vec::new();
    for arg in entry.texts("args")? {
        validation::program_text(&arg.place, arg.value)?;
        args.push(arg.value.to_owned());
    }
    // As Codex does it: copied variables first, so that a value of `env` wins over one of them.
    let mut env = Vec::new();
    for item in entry.list("env_vars")? {
        let name = copied_variable(item)?;
        if let Some(value) = environment.get(name.value) {
            validation::variable_for_program(&name.place, name.value, &value)?;
            env.push((name.value.to_owned(), SecretString::from(value)));
        }
    }
    for (name, found) in entry.pairs("env")? {
        validation::variable_for_program(&found.place, name, found.value)?;
        env.push((name.to_owned(), SecretString::from(found.value)));
    }
    let cwd = entry.text("cwd")?;
    if let Some(cwd) = &cwd {
        validation::program_text(&cwd.place, cwd.value)?;
    }
    Ok(StdioConfig {
        command: command.value.to_owned(),
        args,
        env: last_of_each(env, |(name, _)| name.clone()),
        inherited: InheritedEnvironment::Named(CODEX_INHERITED_VARIABLES),
        cwd: cwd.map(|cwd| PathBuf::from(cwd.value)),
    })
}

/// `"NAME"`, or `{ name = "NAME", source = "local" }`.
fn copied_variable(item: Found<&Value>) -> Result<Found<&str>, EntryProblem> {
    if !matches!(item.value, Value::Table(_)) {
        return text(item);
    }
    let entry = table(item)?;
    match entry.text("source")? {
        None => {}
        Some(source) if source.value == "local" => {}
        Some(source) => {
            return Err(source.place.problem(format!(
                "the source `{}` is not supported: a server that is started here takes `local`",
                shown(source.value)
            )));
        }
    }
    entry
        .text("name")?
        .ok_or_else(|| entry.place.problem("the `name` of the variable is missing"))
}

fn http(
    url: &Found<&str>,
    entry: &Entry<'_>,
    environment: &dyn Environment,
) -> Result<HttpConfig, EntryProblem> {
    if let Some(place) = entry.place_of("http_headers_helper") {
        return Err(place.problem(
            "a command that makes headers is not run here; use http_headers or env_http_headers",
        ));
    }
    let address = validation::url(&url.place, url.value)?;
    let bearer = entry
        .text("bearer_token_env_var")?
        .map(|found| {
            let token = validation::variable(&found.place, found.value, environment)?;
            validation::bearer_token(&found.place, found.value, token)
        })
        .transpose()?;
    let mut headers = Vec::new();
    for (name, found) in entry.pairs("http_headers")? {
        let value = SecretString::from(found.value);
        headers.push(validation::header(&found.place, name, value, None)?);
    }
    for (name, found) in entry.pairs("env_http_headers")? {
        let value = validation::variable(&found.place, found.value, environment)?;
        let variable = Some(found.value.to_owned());
        headers.push(validation::header(&found.place, name, value, variable)?);
    }
    Ok(HttpConfig {
        url: address,
        written_url: url.value.to_owned(),
        bearer,
        headers: with_last_of_each_header(headers),
    })
}

fn oauth(entry: &Entry<'_>, environment: &dyn Environment) -> Result<OAuthClient, EntryProblem> {
    let mut client = OAuthClient {
        resource: entry.text("oauth_resource")?.map(owned),
        ..OAuthClient::default()
    };
    if let Some(oauth) = entry.table("oauth")? {
        client.client_id = oauth.text("client_id")?.map(owned);
        client.client_secret = match (
            oauth.text("client_secret")?,
            oauth.text("client_secret_env_var")?,
        ) {
            (Some(_), Some(variable)) => {
                return Err(variable
                    .place
                    .problem("`client_secret` is there too: take one of the two out"));
            }
            (Some(secret), None) => Some(SecretString::from(secret.value)),
            (None, Some(variable)) => Some(validation::variable(
                &variable.place,
                variable.value,
                environment,
            )?),
            (None, None) => None,
        };
    }
    Ok(client)
}

fn owned(found: Found<&str>) -> String {
    found.value.to_owned()
}
