//! The `mcpServers` JSON of Claude's `.mcp.json`.
//!
//! Source: <https://code.claude.com/docs/en/mcp>.

use std::path::Path;

use secrecy::SecretString;

use crate::environment::{Environment, codex_home};
use crate::error::{ConfigurationError, ConfigurationErrorKind, EntryProblem};
use crate::escaping::escape_and_truncate;
use crate::format::{oauth, server_entries};
use crate::server::{
    HttpConfig, InheritedEnvironment, OAuthClient, ServerConfig, ServerEntry, StdioConfig,
    TransportConfig, deduplicate_headers,
};
use crate::spanned::{KeyPath, Spanned, Table, json};
use crate::variable_expansion::{Expanded, RecordingEnvironment, expand};
use crate::{
    Configuration, ConfigurationFormat, CredentialSettings, CredentialStoreMode, validation,
};

const SERVERS: &str = "mcpServers";

/// The maximum depth of objects and arrays in the servers. No key that is read is nested deeper.
const MAX_DEPTH: u8 = 4;

pub(crate) fn parse(
    source: &str,
    path: &Path,
    environment: &dyn Environment,
) -> Result<Configuration, ConfigurationError> {
    let document = json::Document::parse(source, path)?;
    let Some(found) = document.get(SERVERS, MAX_DEPTH) else {
        let problem = format!(
            "the key `{SERVERS}` is missing; the file must have the form {{\"{SERVERS}\": {{…}}}}"
        );
        let kind = ConfigurationErrorKind::NotAConfiguration;
        return Err(ConfigurationError::new(kind, path, &problem).with_key(SERVERS));
    };
    let servers = server_entries(SERVERS, &found, "an object", path, |name, path, entry| {
        server_entry(name, path, entry, environment)
    })?;
    Ok(Configuration {
        path: path.to_owned(),
        format: ConfigurationFormat::McpServersJson,
        servers,
        credentials: CredentialSettings {
            home: codex_home(environment).unwrap_or_default(),
            mode: CredentialStoreMode::File,
        },
    })
}

fn server_entry(
    name: &str,
    path: KeyPath,
    spanned: &Spanned,
    environment: &dyn Environment,
) -> ServerEntry {
    let mut enabled = true;
    let mut read = || {
        validation::server_name(&path, name)?;
        let entry = Table::new(path.clone(), spanned)?;
        enabled = entry.boolean("enabled")?.unwrap_or(true)
            && !entry.boolean("disabled")?.unwrap_or(false);
        server_config(name, &entry, environment)
    };
    let config = read();
    ServerEntry::new(name, enabled, false, config)
}

fn server_config(
    name: &str,
    entry: &Table<'_>,
    environment: &dyn Environment,
) -> Result<ServerConfig, EntryProblem> {
    let is_http = is_http(entry)?;
    let environment = RecordingEnvironment::new(environment);
    let mut config = ServerConfig {
        name: name.to_owned(),
        required: false,
        startup_timeout: None,
        scopes: None,
        oauth: OAuthClient::default(),
        transport: if is_http {
            TransportConfig::Http(http_config(entry, &environment)?)
        } else {
            TransportConfig::Stdio(stdio_config(entry, &environment)?)
        },
        expanded_variables: Vec::new(),
        path: entry.path.clone(),
        key_paths: entry.paths_to(&["command"]),
    };
    if is_http && let Some(table) = entry.table("oauth")? {
        let expanded = |keys: &[&str]| -> Result<Option<String>, EntryProblem> {
            let field = oauth::either(|key| table.string(key), keys)?;
            field
                .map(|field| Ok(expand(&field, &environment)?.text))
                .transpose()
        };
        let client = &mut config.oauth;
        client.client_id = expanded(&["clientId", "client_id"])?;
        let secret = expanded(&["clientSecret", "client_secret"])?;
        client.client_secret = secret.as_deref().and_then(oauth::secret);
        client.resource = expanded(&["resource"])?;
        oauth::read(&table, client)?;
        // Claude Code registers its clients with this name, and a redirect URI must match exactly.
        client.callback_on_localhost = client.client_id.is_some() || client.callback_port.is_some();
        let scopes = oauth::either(|key| table.string(key), &["scopes", "scope"])?;
        config.scopes = scopes.map(|field| {
            let scopes = field.value.split_whitespace();
            scopes.map(str::to_owned).collect()
        });
    }
    config.expanded_variables = environment.into_values();
    Ok(config)
}

/// Returns whether the server uses HTTP: by its `type`, and without one by the keys `command` and `url`.
fn is_http(entry: &Table<'_>) -> Result<bool, EntryProblem> {
    let Some(transport) = entry.string("type")? else {
        if entry.path_to("command").is_some() {
            return Ok(false);
        }
        if entry.path_to("url").is_some() {
            return Ok(true);
        }
        return Err(validation::missing_transport(&entry.path));
    };
    match transport.value {
        "stdio" => Ok(false),
        "http" | "streamable-http" => Ok(true),
        other => Err(transport.path.problem(format!(
            "the transport `{}` is not supported; use `stdio` or `http`",
            escape_and_truncate(other)
        ))),
    }
}

fn stdio_config(
    entry: &Table<'_>,
    environment: &dyn Environment,
) -> Result<StdioConfig, EntryProblem> {
    let field = entry.string("command")?.ok_or_else(|| {
        entry
            .path
            .problem("`command` is missing; set it to the program to start")
    })?;
    let command = expand(&field, environment)?.text;
    validation::command(&field.path, &command)?;
    let mut args = Vec::new();
    for arg in entry.strings("args")? {
        let text = expand(&arg, environment)?.text;
        validation::no_nul(&arg.path, &text)?;
        args.push(text);
    }
    let mut env = Vec::new();
    for (name, field) in entry.string_entries("env")? {
        let value = expand(&field, environment)?.text;
        validation::env_entry(&field.path, name, &value)?;
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

fn http_config(
    entry: &Table<'_>,
    environment: &dyn Environment,
) -> Result<HttpConfig, EntryProblem> {
    if let Some(path) = entry.path_to("headersHelper") {
        return Err(path.problem("commands that produce headers are not run; use `headers`"));
    }
    let field = entry.string("url")?.ok_or_else(|| {
        entry
            .path
            .problem("`url` is missing; set it to the URL of the server")
    })?;
    let written_url = expand(&field, environment)?.text;
    let url = validation::url(&field.path, &written_url)?;
    let mut headers = Vec::new();
    for (name, field) in entry.string_entries("headers")? {
        let Expanded { text, variable } = expand(&field, environment)?;
        let value = SecretString::from(text);
        headers.push(validation::header(&field.path, name, value, variable)?);
    }
    Ok(HttpConfig {
        url,
        written_url,
        bearer: None,
        headers: deduplicate_headers(&entry.path, headers)?,
    })
}
