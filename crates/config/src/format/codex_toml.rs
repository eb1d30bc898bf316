//! Codex's `config.toml`: the table `mcp_servers`.
//!
//! Sources: <https://developers.openai.com/codex/config-reference>, and `codex-rs/config/src/mcp_types.rs` in
//! <https://github.com/openai/codex> for the entries that Codex rejects.

use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;

use crate::environment::Environment;
use crate::error::{ConfigurationError, ConfigurationErrorKind, EntryProblem};
use crate::foreign_variables;
use crate::format::known_keys::{CODEX_TOML, OAUTH_OF_CODEX_TOML, is_variant_of};
use crate::format::protocol_era;
use crate::format::{Warnings, command, is_shell, oauth, server_entries};
use crate::server::{
    CODEX_INHERITED_VARIABLES, HttpConfig, HttpSseUse, InheritedEnvironment, OAuthClient,
    ServerConfig, ServerEntry, StdioConfig, TransportConfig, deduplicate_env, deduplicate_headers,
};
use crate::shown;
use crate::spanned::{Field, KeyPath, Spanned, Table, Value, toml};
use crate::{
    Configuration, ConfigurationFormat, CredentialSettings, CredentialStoreMode, validation,
};

pub(crate) const SERVERS: &str = "mcp_servers";
const CALLBACK_PORT: &str = "mcp_oauth_callback_port";
const CALLBACK_URL: &str = "mcp_oauth_callback_url";
const CREDENTIAL_STORE: &str = "mcp_oauth_credentials_store";

/// How many keys of the file are compared with `mcp_servers`.
const MAX_COMPARED_ROOTS: usize = 100;

/// Keys that only a server with `url` may have.
///
/// Codex rejects the whole entry if a key does not fit the transport. So does this crate: if a header were silently
/// dropped, it would look as if the server had refused the token.
const HTTP_KEYS: [&str; 7] = [
    "url",
    "bearer_token_env_var",
    "http_headers",
    "env_http_headers",
    "http_headers_helper",
    "oauth",
    "oauth_resource",
];

/// Keys that only a server with `command` may have. See [`HTTP_KEYS`].
const STDIO_KEYS: [&str; 4] = ["args", "env", "env_vars", "cwd"];

pub(crate) fn parse(
    source: &str,
    path: &Path,
    environment: &dyn Environment,
) -> Result<Configuration, ConfigurationError> {
    let document = toml::Document::parse(source, path)?;
    let callback = callback_settings(&document);
    let mut warnings = Vec::new();
    let other = other_key_of_servers(&document);
    let servers = match (document.get(SERVERS), other) {
        (Some(found), other) => {
            if let Some(other) = other {
                warnings.push(other.problem(format!("not read; write `{SERVERS}`")));
            }
            server_entries(
                &KeyPath::new(SERVERS),
                &found,
                path,
                |name, path, entry, warnings| {
                    server_entry(name, path, entry, &callback, environment, warnings)
                },
            )?
        }
        (None, Some(other)) => {
            let EntryProblem { key, line, .. } = other.problem("");
            let kind = ConfigurationErrorKind::NotAConfiguration;
            let problem =
                format!("`{key}` is not read; name the table of each server `[{SERVERS}.NAME]`");
            let place = (line.unwrap_or(1), None);
            return Err(ConfigurationError::at(kind, path, place, &problem).with_key(&key));
        }
        (None, None) => Vec::new(),
    };
    Ok(Configuration {
        path: path.to_owned(),
        format: ConfigurationFormat::CodexToml,
        servers,
        credentials: credentials(&document, path),
        warnings,
    })
}

/// Where the client stores sign-ins.
pub(crate) fn credentials(document: &toml::Document<'_>, path: &Path) -> CredentialSettings {
    CredentialSettings {
        home: parent_folder(path),
        mode: credential_store_mode(document),
    }
}

/// Returns a key of the file that another client has in place of `mcp_servers`, or a misspelling of it.
fn other_key_of_servers(document: &toml::Document<'_>) -> Option<KeyPath> {
    let file = KeyPath::of_file(None);
    let mut keys = document.keys().take(MAX_COMPARED_ROOTS);
    let other = keys.find(|key| *key != SERVERS && is_variant_of(key, SERVERS));
    if let Some(key) = other {
        return Some(file.child(key, document.get(key)?.line));
    }
    let found = document.get("mcp")?;
    let Value::Table(fields) = &found.value else {
        return None;
    };
    let (_, servers) = fields.iter().find(|(name, _)| name == "servers")?;
    Some(file.child("mcp", found.line).child("servers", servers.line))
}

/// The callback of sign-ins, for all servers. A problem with its keys affects every server that could use them.
pub(crate) type Callback = Result<CallbackSettings, EntryProblem>;

#[derive(Clone, Default)]
pub(crate) struct CallbackSettings {
    port: Option<u16>,
    url: Option<String>,
}

pub(crate) fn callback_settings(document: &toml::Document<'_>) -> Callback {
    let keys = [CALLBACK_PORT, CALLBACK_URL];
    let values = keys.map(|key| document.get(key).map(|value| (key.to_owned(), value)));
    let fields: Vec<_> = values.into_iter().flatten().collect();
    let table = Table::of_root(&fields);
    let port = table.integer(CALLBACK_PORT)?;
    let url = table.string(CALLBACK_URL)?;
    Ok(CallbackSettings {
        port: port.as_ref().map(oauth::port_of).transpose()?,
        url: url.as_ref().map(oauth::url_of).transpose()?,
    })
}

fn parent_folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

pub(crate) fn credential_store_mode(document: &toml::Document<'_>) -> CredentialStoreMode {
    let Some(spanned) = document.get(CREDENTIAL_STORE) else {
        return CredentialStoreMode::Auto;
    };
    let Value::String(mode) = &spanned.value else {
        let text = document.source_text(CREDENTIAL_STORE).unwrap_or_default();
        return unknown_store(text);
    };
    match mode.as_str() {
        "auto" => CredentialStoreMode::Auto,
        "file" => CredentialStoreMode::File,
        "keyring" => CredentialStoreMode::Keyring,
        other => unknown_store(other),
    }
}

fn unknown_store(text: &str) -> CredentialStoreMode {
    CredentialStoreMode::Unknown(shown::word(text).unwrap_or(shown::HIDDEN).to_owned())
}

pub(crate) fn server_entry(
    name: &str,
    path: KeyPath,
    spanned: &Spanned,
    callback: &Callback,
    environment: &dyn Environment,
    mut warnings: Warnings<'_>,
) -> ServerEntry {
    let (mut enabled, mut required) = (true, false);
    let mut read = || {
        validation::server_name(&path, name)?;
        let entry = Table::of_server(path.clone(), spanned)?;
        enabled = entry.boolean("enabled")?.unwrap_or(true);
        required = entry.boolean("required")?.unwrap_or(false);
        server_config(name, &entry, required, callback, environment, &mut warnings)
    };
    let config = read();
    ServerEntry::new(
        name,
        enabled,
        required,
        config,
        warnings.list,
        warnings.compatibility,
    )
}

fn server_config(
    name: &str,
    entry: &Table<'_>,
    required: bool,
    callback: &Callback,
    environment: &dyn Environment,
    warnings: &mut Warnings<'_>,
) -> Result<ServerConfig, EntryProblem> {
    if let Some(path) = entry.path_to("bearer_token") {
        return Err(path.problem(
            "tokens are not read from the file; put the token in an environment variable and set `bearer_token_env_var` to its name",
        ));
    }
    let (transport, oauth) = match (command(entry)?, entry.string("url")?) {
        (Some(command), _) => {
            reject_keys(entry, &HTTP_KEYS, "command")?;
            let stdio = stdio_config(&command, entry, environment, warnings)?;
            (TransportConfig::Stdio(stdio), OAuthClient::default())
        }
        (None, Some(url)) => {
            reject_keys(entry, &STDIO_KEYS, "url")?;
            let http = http_config(&url, entry, environment, warnings)?;
            (
                TransportConfig::Http(http),
                oauth_client(entry, callback, environment)?,
            )
        }
        (None, None) => {
            let other_word = CODEX_TOML.other_word_for_transport(entry, warnings);
            return Err(other_word.unwrap_or_else(|| validation::missing_transport(entry)));
        }
    };
    for key in ["type", "transport"] {
        if matches!(entry.value(key), Some(Value::String(word)) if word == "sse") {
            warnings.push(entry.problem(
                key,
                "Codex does not support `sse`, and uses Streamable HTTP",
            ));
        }
    }
    CODEX_TOML.warn_of_unread_keys(entry, warnings);
    if let Ok(Some(oauth)) = entry.table("oauth") {
        OAUTH_OF_CODEX_TOML.warn_of_unread_keys(&oauth, warnings);
    }
    let scopes = entry.strings("scopes")?.into_iter().map(owned).collect();
    Ok(ServerConfig {
        name: name.to_owned(),
        required,
        startup_timeout: startup_timeout(entry)?,
        startup_timeout_key: Some("startup_timeout_sec"),
        protocol_era: protocol_era(entry)?,
        scopes: entry.path_to("scopes").map(|_| scopes),
        oauth,
        held_sign_in: None,
        held_sign_in_source: None,
        transport,
        expanded_variables: Vec::new(),
        possible_causes: std::mem::take(&mut warnings.possible_causes),
        path: entry.path.clone(),
        key_paths: entry.paths_to(&["command", "cwd"]),
    })
}

/// Fails if the entry has one of the keys, which cannot be combined with the key `transport_key`.
fn reject_keys(entry: &Table<'_>, keys: &[&str], transport_key: &str) -> Result<(), EntryProblem> {
    for key in keys {
        if let Some(path) = entry.path_to(key) {
            return Err(path.problem(format!(
                "`{key}` cannot be combined with `{transport_key}`; remove one of them"
            )));
        }
    }
    Ok(())
}

/// Returns `startup_timeout_sec`, or `startup_timeout_ms` if that key is missing. Both must be valid.
fn startup_timeout(entry: &Table<'_>) -> Result<Option<Duration>, EntryProblem> {
    let seconds = entry
        .number("startup_timeout_sec")?
        .map(|field| validation::timeout_from_secs(&field.path, field.value))
        .transpose()?;
    let milliseconds = entry
        .integer("startup_timeout_ms")?
        .map(|field| validation::timeout_from_millis(&field.path, field.value))
        .transpose()?;
    Ok(seconds.or(milliseconds))
}

fn stdio_config(
    command: &Field<&str>,
    entry: &Table<'_>,
    environment: &dyn Environment,
    warnings: &mut Warnings<'_>,
) -> Result<StdioConfig, EntryProblem> {
    validation::command(&command.path, command.value)?;
    if let Some(cause) = validation::space_around(&command.path, command.value) {
        warnings.push_possible_cause(cause);
    }
    let mut check = |field: &Field<&str>, remedy: &'static str| {
        no_variables(
            field,
            !is_shell(command.value),
            remedy,
            environment,
            warnings,
        )
    };
    check(command, "write the value")?;
    let mut args = Vec::new();
    for arg in entry.strings("args")? {
        check(&arg, "write the value")?;
        validation::no_nul(&arg.path, arg.value)?;
        args.push(arg.value.to_owned());
    }
    // As in Codex, `env_vars` come first, so that a variable of `env` with the same name wins.
    let mut env = Vec::new();
    let mut missing = Vec::new();
    for item in entry.list("env_vars")? {
        let name = env_var_name(item)?;
        let value = environment.get(name.value);
        let is_blank = value.as_deref().map(|value| value.trim().is_empty());
        match validation::variable_name(&name.path, name.value, environment) {
            Err(problem) => missing.push(problem),
            Ok(()) if is_blank != Some(false) => {
                let state = if is_blank.is_some() {
                    "blank"
                } else {
                    "not set"
                };
                missing.push(validation::unusable_variable(&name.path, name.value, state));
            }
            Ok(()) => {}
        }
        if let Some(value) = value {
            validation::env_entry(&name.path, name.value, &value)?;
            env.push((name.value.to_owned(), SecretString::from(value)));
        }
    }
    for (name, field) in entry.string_entries("env")? {
        check(&field, "list it in `env_vars`")?;
        validation::env_entry(&field.path, name, field.value)?;
        missing.extend(validation::space_in_name(&field.path, name));
        env.push((name.to_owned(), SecretString::from(field.value)));
    }
    let cwd = entry.string("cwd")?;
    if let Some(cwd) = &cwd {
        check(cwd, "write the path")?;
        validation::folder(&cwd.path, cwd.value)?;
    }
    for cause in missing {
        warnings.push_possible_cause(cause);
    }
    warnings.drop_replaced_references(command.value);
    Ok(StdioConfig {
        command: command.value.to_owned(),
        args,
        env: deduplicate_env(env),
        inherited: InheritedEnvironment::Named(CODEX_INHERITED_VARIABLES),
        cwd: cwd.map(|cwd| PathBuf::from(cwd.value)),
    })
}

/// Checks a text for variables: Codex replaces none. Fails if the text has a variable of another client. A text that may be meant as
/// it is written is only noted, and only if `is_plain`: a shell has variables of its own.
fn no_variables(
    field: &Field<&str>,
    is_plain: bool,
    remedy: &'static str,
    environment: &dyn Environment,
    warnings: &mut Warnings<'_>,
) -> Result<(), EntryProblem> {
    if let Some(variable) = foreign_variables::find(field.value) {
        return Err(field.path.problem(variable.problem(remedy)));
    }
    if !is_plain {
        return Ok(());
    }
    // The text may be hidden as a secret, so a message has the name without its braces.
    if let Some(name) = foreign_variables::find_in_braces(field.value) {
        let name = shown::variable(name);
        warnings.push(field.path.problem(format!(
            "{name} in braces is not replaced by Codex; {remedy}"
        )));
        return Ok(());
    }
    warnings.note_possible_variable(&field.path, field.value, environment, |name| {
        format!("{name} is not replaced by Codex; {remedy}")
    });
    Ok(())
}

/// Returns the name in an item of `env_vars`: `"NAME"` or `{ name = "NAME", source = "local" }`.
fn env_var_name(item: Field<&Value>) -> Result<Field<&str>, EntryProblem> {
    if !matches!(item.value, Value::Table(_)) {
        return item.into_string();
    }
    let entry = item.into_table()?;
    match entry.string("source")? {
        None => {}
        Some(source) if source.value == "local" => {}
        Some(source) => {
            return Err(source.path.problem(format!(
                "the source `{}` is not supported; use `local`",
                shown::word(source.value).unwrap_or(shown::HIDDEN)
            )));
        }
    }
    entry.string("name")?.ok_or_else(|| {
        entry
            .path
            .problem("`name` is missing; set it to the name of the variable")
    })
}

fn http_config(
    url: &Field<&str>,
    entry: &Table<'_>,
    environment: &dyn Environment,
    warnings: &mut Warnings<'_>,
) -> Result<HttpConfig, EntryProblem> {
    if let Some(path) = entry.path_to("http_headers_helper") {
        return Err(path.problem(
            "commands that produce headers are not run; use `http_headers` or `env_http_headers`",
        ));
    }
    let parsed_url = validation::url(&url.path, url.value, url.value)?;
    if let Some(name) = foreign_variables::find_in_braces(url.value) {
        let name = shown::variable(name);
        return Err(url.path.problem(format!(
            "Codex replaces no variables, so ${{{name}}} is not replaced; write the value"
        )));
    }
    no_variables(url, true, "write the value", environment, warnings)?;
    let bearer = entry
        .string("bearer_token_env_var")?
        .map(|field| {
            let token = validation::variable_value(&field.path, field.value, environment)?;
            validation::bearer_token(&field.path, field.value, token)
        })
        .transpose()?;
    let mut headers = Vec::new();
    for (name, field) in entry.string_entries("http_headers")? {
        let remedy = "use `env_http_headers` or `bearer_token_env_var`";
        if let Some(variable) = foreign_variables::find_in_braces(field.value)
            && validation::names_a_credential(name)
        {
            let variable = shown::variable(variable);
            return Err(field.path.problem(format!(
                "Codex replaces no variables, so ${{{variable}}} is not replaced; {remedy}"
            )));
        }
        no_variables(&field, true, remedy, environment, warnings)?;
        let value = SecretString::from(field.value);
        headers.push(validation::header(
            &field.path,
            name,
            value,
            field.value,
            None,
        )?);
    }
    for (name, field) in entry.string_entries("env_http_headers")? {
        let value = validation::variable_value(&field.path, field.value, environment)?;
        let variable = Some(field.value.to_owned());
        headers.push(validation::header(&field.path, name, value, "", variable)?);
    }
    Ok(HttpConfig {
        url: parsed_url,
        written_url: url.value.to_owned(),
        bearer,
        headers: deduplicate_headers(&entry.path, headers)?,
        // Codex speaks only streamable HTTP.
        http_sse: HttpSseUse::Never,
    })
}

fn oauth_client(
    entry: &Table<'_>,
    callback: &Callback,
    environment: &dyn Environment,
) -> Result<OAuthClient, EntryProblem> {
    let callback = callback.as_ref().map_err(Clone::clone)?;
    let mut client = OAuthClient {
        resource: entry.string("oauth_resource")?.map(owned),
        callback_port: callback.port,
        callback_url: callback.url.clone(),
        ..OAuthClient::default()
    };
    if let Some(oauth) = entry.table("oauth")? {
        for key in ["client_id", "client_secret"] {
            if let Some(field) = oauth.string(key)? {
                validation::oauth_value(&field.path, field.value, field.value)?;
            }
        }
        client.client_id = oauth.string("client_id")?.map(owned);
        oauth::read(&oauth, &mut client)?;
        client.client_secret = match (
            oauth.string("client_secret")?,
            oauth.string("client_secret_env_var")?,
        ) {
            (Some(_), Some(variable)) => {
                return Err(variable
                    .path
                    .problem("`client_secret` is set too; remove one of them"));
            }
            (Some(secret), None) => Some(SecretString::from(secret.value)),
            (None, Some(variable)) => Some(validation::variable_value(
                &variable.path,
                variable.value,
                environment,
            )?),
            (None, None) => None,
        };
    }
    Ok(client)
}

fn owned(field: Field<&str>) -> String {
    field.value.to_owned()
}
