//! The `mcpServers` JSON of Claude's `.mcp.json`.
//!
//! Source: <https://code.claude.com/docs/en/mcp>.

use std::path::{Path, PathBuf};

use secrecy::SecretString;

use crate::environment::{Environment, codex_home};
use crate::error::{ConfigurationError, ConfigurationErrorKind, EntryProblem};
use crate::escaping::escape_and_truncate;
use crate::foreign_variables;
use crate::format::known_keys::{MCP_SERVERS_JSON, OAUTH, is_variant_of, warn_of_unused_keys};
use crate::format::protocol_era;
use crate::format::{Warnings, command, is_shell, oauth, server_entries};
use crate::mcp_remote::is_mcp_remote;
use crate::server::{
    HttpConfig, HttpSseUse, InheritedEnvironment, OAuthClient, ServerConfig, ServerEntry,
    StdioConfig, TransportConfig, deduplicate_headers,
};
use crate::shown;
use crate::spanned::json::{RepeatedKey, lenient};
use crate::spanned::{Field, KeyPath, Spanned, Table, Value, json};
use crate::variable_expansion::{Expanded, RecordingEnvironment, expand};
use crate::{
    Configuration, ConfigurationFormat, CredentialSettings, CredentialStoreMode, validation,
};

const SERVERS: &str = "mcpServers";

/// The key of the servers in VS Code's `mcp.json`.
///
/// Source: <https://code.visualstudio.com/docs/copilot/reference/mcp-configuration>.
const SERVERS_OF_VS_CODE: &str = "servers";

/// The maximum depth of objects and arrays in the servers. No key that is read is nested deeper.
const MAX_DEPTH: u8 = 4;

/// How many keys of a file without servers are compared with the right one.
const MAX_COMPARED_ROOTS: usize = 100;

pub(crate) fn parse(
    source: &str,
    path: &Path,
    environment: &dyn Environment,
) -> Result<Configuration, ConfigurationError> {
    let text = lenient::blank(source);
    let document = json::Document::parse(&text, path)?;
    let mut warnings = Vec::new();
    if let Some((offset, name)) = text.blanked.first() {
        let line = Some(document.line(*offset));
        warnings.push(KeyPath::of_file(line).problem(format!(
            "JSON has no {name}; they are skipped here, but some clients refuse the file"
        )));
    }
    let mut key = SERVERS;
    let found = match document.get(SERVERS, MAX_DEPTH) {
        Some(found) => found,
        None => match document.get(SERVERS_OF_VS_CODE, MAX_DEPTH) {
            Some(found) if has_only_tables(&found) => {
                let path = KeyPath::of_file(None).child(SERVERS_OF_VS_CODE, found.line);
                warnings.push(path.problem(format!(
                    "read as `{SERVERS}`; most clients other than VS Code read only `{SERVERS}`"
                )));
                key = SERVERS_OF_VS_CODE;
                found
            }
            _ => return Err(missing_servers(&document, path)),
        },
    };
    let repeated = document.repeated_keys(&[key], MAX_DEPTH);
    let has_servers = matches!(&found.value, Value::Table(entries) if !entries.is_empty());
    if let Some(error) = RepeatedKey::error_without_servers(&repeated, &[key], path)
        && !has_servers
    {
        return Err(error);
    }
    let mut servers = server_entries(
        &KeyPath::of_json(SERVERS),
        &found,
        path,
        |name, path, entry, warnings| server_entry(name, path, entry, environment, warnings),
    )?;
    if let Some(path) = document.server_beside(&[key], true) {
        warnings.push(path.problem(format!(
            "this server is outside of `{key}`, so it is not read; move it into `{key}`"
        )));
    }
    warnings.extend(RepeatedKey::warn(&repeated, &[key], servers.iter_mut()));
    Ok(Configuration {
        path: path.to_owned(),
        format: ConfigurationFormat::McpServersJson,
        servers,
        credentials: CredentialSettings {
            home: codex_home(environment).unwrap_or_default(),
            mode: CredentialStoreMode::File,
        },
        warnings,
    })
}

/// Whether a value is a table of tables, and not empty.
fn has_only_tables(found: &Spanned) -> bool {
    let Value::Table(entries) = &found.value else {
        return false;
    };
    let mut values = entries.iter().map(|(_, entry)| &entry.value);
    !entries.is_empty() && values.all(|value| matches!(value, Value::Table(_)))
}

/// The error of a file without `mcpServers`. Names the key that the file has in its place.
fn missing_servers(document: &json::Document<'_>, path: &Path) -> ConfigurationError {
    let error = |line: Option<u32>, problem: &str| {
        let kind = ConfigurationErrorKind::NotAConfiguration;
        match line {
            Some(line) => ConfigurationError::at(kind, path, (line, None), problem),
            None => ConfigurationError::new(kind, path, problem),
        }
        .with_key(SERVERS)
    };
    let line = |key: &str| document.get(key, 0).and_then(|found| found.line);
    let is_used_elsewhere = |key: &str| matches!(key, "context_servers" | "mcp" | "amp.mcpServers");
    let mut keys = document.keys().take(MAX_COMPARED_ROOTS);
    if let Some(key) = keys.find(|key| is_variant_of(key, SERVERS) || is_used_elsewhere(key)) {
        let problem = format!(
            "the key `{SERVERS}` is missing; the file has `{}` in its place: write `{SERVERS}`, with one entry for each server",
            escape_and_truncate(&shown::key(key))
        );
        return error(line(key), &problem);
    }
    let is_server = |key: &str| match document.get(key, 1).map(|found| found.value) {
        Some(Value::Table(fields)) => fields
            .iter()
            .any(|(name, _)| matches!(name.as_str(), "command" | "url")),
        _ => false,
    };
    let mut keys = document.keys().take(MAX_COMPARED_ROOTS);
    if let Some(key) = keys.find(|key| is_server(key)) {
        let problem = format!(
            "the key `{SERVERS}` is missing; write {{\"{SERVERS}\": {{…}}}} around the servers of the file"
        );
        return error(line(key), &problem);
    }
    let problem = format!(
        "the key `{SERVERS}` is missing; the file must have the form {{\"{SERVERS}\": {{…}}}}"
    );
    error(None, &problem)
}

fn server_entry(
    name: &str,
    path: KeyPath,
    spanned: &Spanned,
    environment: &dyn Environment,
    mut warnings: Warnings<'_>,
) -> ServerEntry {
    let mut enabled = true;
    let mut read = || {
        validation::server_name(&path, name)?;
        let entry = Table::of_server(path.clone(), spanned)?;
        enabled = entry.boolean("enabled")?.unwrap_or(true)
            && entry.boolean("isActive")?.unwrap_or(true)
            && !entry.boolean("disabled")?.unwrap_or(false);
        server_config(name, &entry, environment, &mut warnings)
    };
    let config = read();
    ServerEntry::new(
        name,
        enabled,
        false,
        config,
        warnings.list,
        warnings.compatibility,
    )
}

fn server_config(
    name: &str,
    entry: &Table<'_>,
    environment: &dyn Environment,
    warnings: &mut Warnings<'_>,
) -> Result<ServerConfig, EntryProblem> {
    let transport = transport(entry, warnings)?;
    let is_http = transport != Transport::Stdio;
    if is_http {
        warn_of_unused_keys(entry, &["command", "args", "env", "cwd"], "url", warnings);
    } else {
        let keys = [
            "url",
            "serverUrl",
            "httpUrl",
            "headers",
            "headersHelper",
            "oauth",
        ];
        warn_of_unused_keys(entry, &keys, "command", warnings);
    }
    MCP_SERVERS_JSON.warn_of_unread_keys(entry, warnings);
    let environment = RecordingEnvironment::new(environment);
    let mut config = ServerConfig {
        name: name.to_owned(),
        required: false,
        startup_timeout: None,
        startup_timeout_key: None,
        protocol_era: protocol_era(entry)?,
        scopes: None,
        oauth: OAuthClient::default(),
        held_sign_in: None,
        held_sign_in_source: None,
        transport: if is_http {
            TransportConfig::Http(http_config(
                entry,
                transport.http_sse(),
                &environment,
                warnings,
            )?)
        } else {
            TransportConfig::Stdio(stdio_config(entry, &environment, warnings)?)
        },
        expanded_variables: Vec::new(),
        possible_causes: std::mem::take(&mut warnings.possible_causes),
        path: entry.path.clone(),
        key_paths: entry.paths_to(&["command", "cwd", "type"]),
    };
    if is_http && let Some(table) = entry.table("oauth")? {
        OAUTH.warn_of_unread_keys(&table, warnings);
        let expanded = |keys: &[&str]| -> Result<Option<String>, EntryProblem> {
            let field = oauth::either(|key| table.string(key), keys)?;
            field
                .map(|field| Ok(expand(&field, &environment)?.text))
                .transpose()
        };
        // A blank secret is left out, but a blank variable is a mistake.
        let secret = |keys: &[&str]| -> Result<Option<String>, EntryProblem> {
            let Some(field) = oauth::either(|key| table.string(key), keys)? else {
                return Ok(None);
            };
            let expanded = expand(&field, &environment)?;
            match &expanded.blank {
                Some(blank) if expanded.text.trim().is_empty() => {
                    Err(field.path.problem(blank_variable(blank)))
                }
                _ => Ok(Some(expanded.text)),
            }
        };
        let client = &mut config.oauth;
        // Clients of this format do not replace variables in an ID, but a secret need not be in the file.
        let id = oauth::either(|key| table.string(key), &["clientId", "client_id"])?;
        if let Some(field) = &id {
            validation::oauth_value(&field.path, field.value, field.value)?;
        }
        client.client_id = id.map(|field| field.value.to_owned());
        let secret = secret(&["clientSecret", "client_secret"])?;
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

/// The transport of an entry.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Transport {
    Stdio,
    /// Streamable HTTP, by its `type`.
    StreamableHttp,
    /// HTTP+SSE, by its `type`.
    HttpSse,
    /// A URL without a `type`.
    Http,
}

impl Transport {
    fn http_sse(self) -> HttpSseUse {
        match self {
            Self::Stdio | Self::StreamableHttp => HttpSseUse::Never,
            Self::HttpSse => HttpSseUse::Always,
            Self::Http => HttpSseUse::Fallback,
        }
    }
}

/// Returns the transport: by its `type`, and without one by the keys `command` and `url`.
fn transport(entry: &Table<'_>, warnings: &mut Warnings<'_>) -> Result<Transport, EntryProblem> {
    if let Some(Value::Table(_)) = entry.value("transport") {
        return Err(entry.problem(
            "transport",
            "must be a string, not an object; write its keys in the entry of the server itself",
        ));
    }
    let mut names = ["type", "transport", "transportType"].into_iter();
    let Some(name) = names.find(|name| entry.path_to(name).is_some()) else {
        if entry.path_to("command").is_some() {
            return Ok(Transport::Stdio);
        }
        if url_key(entry).is_some() {
            return Ok(Transport::Http);
        }
        let other_word = MCP_SERVERS_JSON.other_word_for_transport(entry, warnings);
        return Err(other_word.unwrap_or_else(|| validation::missing_transport(entry)));
    };
    let Some(transport) = entry.string(name)? else {
        return Err(validation::missing_transport(entry));
    };
    let word = transport.value;
    let plain: String = word
        .chars()
        .filter(|character| !matches!(character, '-' | '_' | ' '))
        .map(|character| character.to_ascii_lowercase())
        .take(40)
        .collect();
    let (found, is_common) = match (word, plain.as_str()) {
        ("stdio", _) => (Transport::Stdio, true),
        ("http" | "streamable-http", _) => (Transport::StreamableHttp, true),
        ("sse", _) => (Transport::HttpSse, true),
        (_, "stdio") => (Transport::Stdio, false),
        (_, "http" | "streamablehttp") => (Transport::StreamableHttp, false),
        (_, "sse" | "httpsse" | "http+sse") => (Transport::HttpSse, false),
        _ => {
            let written = shown::word(word);
            let written = written.map_or("this transport".to_owned(), |word| {
                format!("the transport `{word}`")
            });
            return Err(transport.path.problem(match plain.as_str() {
                "" => "the transport is blank; use `stdio`, `http` or `sse`".to_owned(),
                "remote" | "httpstream" | "streaminghttp" | "httpstreaming" | "streamhttp"
                | "streamable" | "https" | "url" | "web" | "rest" => {
                    format!("{written} is not supported; write `http`")
                }
                "local" | "command" | "process" | "program" | "std" | "stdin" | "standardio"
                | "shell" | "docker" => {
                    format!("{written} is not supported; write `stdio`")
                }
                _ => {
                    format!("{written} is not supported; use `stdio`, `http` or `sse`")
                }
            }));
        }
    };
    if !is_common {
        let common = match found {
            Transport::Stdio => "stdio",
            Transport::HttpSse => "sse",
            Transport::StreamableHttp | Transport::Http => "http",
        };
        warnings.push_compatibility(transport.path.problem(format!(
            "`{}` is read as `{common}`; some clients know only `{common}`",
            escape_and_truncate(word)
        )));
    }
    Ok(found)
}

/// Returns the key of the URL: `url`, or the word of Windsurf (`serverUrl`) or Gemini CLI (`httpUrl`).
fn url_key(entry: &Table<'_>) -> Option<&'static str> {
    let mut keys = ["url", "serverUrl", "httpUrl"].into_iter();
    keys.find(|key| entry.path_to(key).is_some())
}

/// Reads the URL as it is written.
fn url<'a>(
    entry: &Table<'a>,
    warnings: &mut Warnings<'_>,
) -> Result<Option<Field<&'a str>>, EntryProblem> {
    let key = url_key(entry).unwrap_or("url");
    let found = entry.string(key)?;
    if let Some(found) = &found
        && key != "url"
    {
        warnings.push_compatibility(
            found
                .path
                .problem("read as `url`; some clients know only `url`"),
        );
    }
    Ok(found)
}

/// The problem of a variable that is set to a blank value, or has a blank default.
fn blank_variable(name: &str) -> String {
    let name = shown::variable(name);
    format!("the environment variable {name} is blank; set it and try again")
}

/// How to write a variable in this format.
fn variable_form(name: &str) -> String {
    format!("text that looks like a variable is passed on as written; write `${{{name}}}`")
}

fn warn_of_foreign(path: &KeyPath, expanded: &Expanded, warnings: &mut Warnings<'_>) {
    if let Some(name) = &expanded.foreign {
        let name = shown::variable(name);
        warnings.push_compatibility(path.problem(format!(
            "`${{env:{name}}}` is read as `${{{name}}}`; each of the two is known to only some clients"
        )));
    }
}

fn stdio_config(
    entry: &Table<'_>,
    environment: &dyn Environment,
    warnings: &mut Warnings<'_>,
) -> Result<StdioConfig, EntryProblem> {
    let field = command(entry)?.ok_or_else(|| {
        let other_word = MCP_SERVERS_JSON.other_word_for_transport(entry, warnings);
        other_word.unwrap_or_else(|| validation::missing_command(entry))
    })?;
    let program = expand(&field, environment)?;
    if let (true, Some(name)) = (program.text.trim().is_empty(), &program.blank) {
        return Err(field.path.problem(blank_variable(name)));
    }
    warn_of_foreign(&field.path, &program, warnings);
    let program = program.text;
    validation::command(&field.path, &program)?;
    if let Some(cause) = validation::space_around(&field.path, &program) {
        warnings.push_possible_cause(cause);
    }
    let mut fill = |field: &Field<&str>| -> Result<String, EntryProblem> {
        let expanded = expand(field, environment)?;
        warn_of_foreign(&field.path, &expanded, warnings);
        match &expanded.blank {
            Some(name) => warnings.push_possible_cause(field.path.problem(blank_variable(name))),
            None if !is_shell(&program) => {
                warnings.note_possible_variable(
                    &field.path,
                    field.value,
                    environment,
                    variable_form,
                );
            }
            None => {}
        }
        Ok(expanded.text)
    };
    let written = entry.strings("args")?;
    let texts: Vec<String> = written.iter().map(|arg| arg.value.to_owned()).collect();
    let is_mcp_remote = is_mcp_remote(&program, &texts);
    let mut args = Vec::new();
    for arg in written {
        let text = match fill(&arg) {
            // `mcp-remote` replaces variables itself, for example those of `env`.
            Err(_) if is_mcp_remote && foreign_variables::find(arg.value).is_none() => {
                arg.value.to_owned()
            }
            filled => filled?,
        };
        validation::no_nul(&arg.path, &text)?;
        args.push(text);
    }
    let mut env = Vec::new();
    let mut causes = Vec::new();
    for (name, field) in entry.string_entries("env")? {
        let value = fill(&field)?;
        validation::env_entry(&field.path, name, &value)?;
        causes.extend(validation::space_in_name(&field.path, name));
        env.push((name.to_owned(), SecretString::from(value)));
    }
    let cwd = match entry.value("cwd") {
        // As if the key were missing.
        Some(Value::Unsupported("null")) => None,
        _ => entry.string("cwd")?,
    };
    let cwd = cwd
        .map(|field| {
            let expanded = expand(&field, environment)?;
            warn_of_foreign(&field.path, &expanded, warnings);
            match (
                validation::folder(&field.path, &expanded.text),
                &expanded.blank,
            ) {
                (Err(_), Some(name)) => Err(field.path.problem(blank_variable(name))),
                (result, _) => result.map(|()| PathBuf::from(expanded.text)),
            }
        })
        .transpose()?;
    for cause in causes {
        warnings.push_possible_cause(cause);
    }
    warnings.drop_replaced_references(&program);
    Ok(StdioConfig {
        command: program,
        args,
        env,
        inherited: InheritedEnvironment::Everything,
        cwd,
    })
}

fn http_config(
    entry: &Table<'_>,
    http_sse: HttpSseUse,
    environment: &dyn Environment,
    warnings: &mut Warnings<'_>,
) -> Result<HttpConfig, EntryProblem> {
    if let Some(path) = entry.path_to("headersHelper") {
        return Err(path.problem("commands that produce headers are not run; use `headers`"));
    }
    let field = url(entry, warnings)?.ok_or_else(|| {
        let other_word = MCP_SERVERS_JSON.other_word_for_transport(entry, warnings);
        other_word.unwrap_or_else(|| validation::missing_url(entry))
    })?;
    let expanded = expand(&field, environment)?;
    warn_of_foreign(&field.path, &expanded, warnings);
    let result = validation::url(&field.path, &expanded.text, field.value);
    match &expanded.blank {
        Some(name) => {
            let problem = field.path.problem(blank_variable(name));
            if result.is_err() {
                return Err(problem);
            }
            warnings.push_possible_cause(problem);
        }
        None => {
            warnings.note_possible_variable(&field.path, field.value, environment, variable_form);
        }
    }
    let url = result?;
    let mut headers = Vec::new();
    for (name, field) in entry.string_entries("headers")? {
        let expanded = expand(&field, environment)?;
        warn_of_foreign(&field.path, &expanded, warnings);
        match &expanded.blank {
            Some(blank) if validation::names_a_credential(name) => {
                return Err(field.path.problem(blank_variable(blank)));
            }
            Some(blank) => {
                warnings.push_possible_cause(field.path.problem(blank_variable(blank)));
            }
            None => {
                warnings.note_possible_variable(
                    &field.path,
                    field.value,
                    environment,
                    variable_form,
                );
            }
        }
        let Expanded { text, variable, .. } = expanded;
        let value = SecretString::from(text);
        headers.push(validation::header(
            &field.path,
            name,
            value,
            field.value,
            variable,
        )?);
    }
    Ok(HttpConfig {
        url,
        written_url: expanded.text,
        bearer: None,
        headers: deduplicate_headers(&entry.path, headers)?,
        http_sse,
    })
}
