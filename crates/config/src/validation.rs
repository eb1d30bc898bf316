//! The rules for a server's name, URL, headers, command and timeout. They apply to every format, and to servers created
//! in code.

use std::time::Duration;

use http::{HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use url::{ParseError, Url};

use crate::error::EntryProblem;
use crate::escaping::escape_and_truncate;
use crate::foreign_variables;
use crate::shown;
use crate::spanned::{KeyPath, Table, Value};
use crate::{BearerToken, ConfiguredHeader, Environment, MAX_HEADERS};

/// The maximum length of a server name in bytes.
const MAX_NAME_BYTES: usize = 200;

/// The maximum startup timeout.
pub(crate) const MAX_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// Checks a server name. Names are part of credential keys and of file names, and clients display them.
pub(crate) fn server_name(path: &KeyPath, name: &str) -> Result<(), EntryProblem> {
    let problem = if name.is_empty() {
        "the server name is empty; give the server a name"
    } else if name.len() > MAX_NAME_BYTES {
        "the server name is longer than 200 bytes; shorten it"
    } else if name.chars().any(char::is_control) {
        "the server name contains control characters; remove them"
    } else if name.split(['/', '\\']).any(|segment| segment == "..") {
        "the server name contains the path segment `..`; remove it"
    } else {
        return Ok(());
    };
    Err(path.problem(problem))
}

/// Parses the URL of a server.
///
/// A message never contains the URL: it may hold a mistyped password or the value of a variable. `written` is the text before its
/// variables were replaced.
pub(crate) fn url(path: &KeyPath, text: &str, written: &str) -> Result<Url, EntryProblem> {
    if let Some(variable) = foreign_variables::find_replaced(text, written) {
        return Err(path.problem(variable.problem("write its value")));
    }
    let url = Url::parse(text).map_err(|error| {
        if text
            .trim()
            .starts_with(['"', '\'', '`', '“', '‘', '<', '[', '('])
        {
            return path.problem("the URL has quotation marks or brackets around it; remove them");
        }
        if text.contains('<') && text.contains('>') {
            return path
                .problem("the URL has a placeholder in angle brackets; replace it with the value");
        }
        if text.trim().is_empty() {
            return path.problem("the URL is empty; use a URL such as https://example.com/mcp");
        }
        if error == ParseError::RelativeUrlWithoutBase {
            return path.problem("the scheme is missing; use http:// or https://");
        }
        path.problem(format!(
            "not a URL ({error}); use a URL such as https://example.com/mcp"
        ))
    })?;
    if !matches!(url.scheme(), "http" | "https") {
        // The message names only well-known schemes. Without `//`, the text before the colon may be a user name or
        // anything else, and an unknown scheme may be the value of a variable.
        let problem = match url.scheme() {
            _ if !text.contains("://") => "the scheme is missing".to_owned(),
            known @ ("file" | "ftp" | "sse" | "unix" | "ws" | "wss") => {
                format!("{known}:// is not supported")
            }
            _ => "the scheme is not supported".to_owned(),
        };
        return Err(path.problem(format!("{problem}; use http:// or https://")));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(path.problem(
            "the URL contains a user name or a password; remove it, and use `bearer_token_env_var` or a header instead",
        ));
    }
    let mut parameters = url.query_pairs();
    let blank =
        parameters.find(|(name, value)| value.trim().is_empty() && is_credential_parameter(name));
    if let Some((name, _)) = blank {
        return Err(path.problem(format!(
            "the parameter `{}` of the URL is blank; set its value, or remove it",
            escape_and_truncate(&name)
        )));
    }
    Ok(url)
}

/// The problem of an entry that has neither `command` nor `url`.
pub(crate) fn missing_transport(entry: &Table<'_>) -> EntryProblem {
    let is_transport = matches!(entry.value("transport"), Some(Value::Table(_)));
    let wrapper = if is_transport {
        Some("transport")
    } else {
        entry.key_of_own_keys()
    };
    if let Some(path) = wrapper.and_then(|key| entry.path_to(key)) {
        return path.problem(
            "its keys belong in the entry of the server itself; move them one level up, and remove this key",
        );
    }
    if entry.holds_servers() {
        return entry.path.problem(
            "the entry is not a server, but has servers in it; move them one level up, and remove this key",
        );
    }
    if let Some(key) = entry.key_of_servers() {
        return entry.path.problem(format!(
            "the entry is not a server, but has servers in its key `{key}`; move them to the place of this entry"
        ));
    }
    if let Some((key, path)) = entry.transport_in_env() {
        return path.problem(format!(
            "`{key}` is in `env`, so the server has none; write it in the entry of the server, before its `env`"
        ));
    }
    entry.path.problem(
        "the entry has neither `command` nor `url`; add `command` for a program or `url` for an HTTP server",
    )
}

/// The problem of an entry of a program without `command`.
pub(crate) fn missing_command(entry: &Table<'_>) -> EntryProblem {
    contradiction(entry, URL_KEYS, "`command`", "write `http`").unwrap_or_else(|| {
        entry.problem(
            "command",
            "`command` is missing; set it to the program to start",
        )
    })
}

/// The problem of an entry of an HTTP server without a URL.
pub(crate) fn missing_url(entry: &Table<'_>) -> EntryProblem {
    contradiction(entry, &["command"], "`url`", "write `stdio`").unwrap_or_else(|| {
        entry
            .path
            .problem("`url` is missing; set it to the URL of the server")
    })
}

/// The keys of a URL in all formats.
const URL_KEYS: &[&str] = &["url", "serverUrl", "httpUrl"];

/// The problem of an entry whose type requires a key that is missing, and that has one for the other type.
fn contradiction(
    entry: &Table<'_>,
    others: &'static [&'static str],
    missing: &str,
    remedy: &str,
) -> Option<EntryProblem> {
    let (found, _) = entry.paths_to(others).into_iter().next()?;
    let types = entry.paths_to(&["type", "transport", "transportType"]);
    let (_, path) = types.into_iter().next()?;
    Some(path.problem(format!(
        "this type requires {missing}, and the entry has `{found}`; {remedy}"
    )))
}

/// The possible cause of a failure if the name of a variable has white space, as in `export NAME`.
pub(crate) fn space_in_name(path: &KeyPath, name: &str) -> Option<EntryProblem> {
    name.contains(char::is_whitespace).then(|| {
        path.problem(
            "the name of this variable has white space, so the program does not find it; write only the name",
        )
    })
}

/// Checks a header. `written` is the value before its variables were replaced, and `variable` the environment variable that it comes
/// from.
pub(crate) fn header(
    path: &KeyPath,
    name: &str,
    value: SecretString,
    written: &str,
    variable: Option<String>,
) -> Result<ConfiguredHeader, EntryProblem> {
    if HeaderName::from_bytes(name.as_bytes()).is_err() {
        return Err(path.problem(format!(
            "`{}` is not a valid header name; use letters, digits and hyphens",
            escape_and_truncate(&shown::key(name))
        )));
    }
    if !is_header_value(&value) {
        return Err(invalid_header_value(path, variable.as_deref()));
    }
    no_foreign_variable(path, value.expose_secret(), written, variable.as_deref())?;
    if names_a_credential(name) && is_blank_credential(name, value.expose_secret()) {
        return Err(path.problem(match variable {
            Some(variable) => format!(
                "the environment variable {} is blank, and so is the credential; set it and try again",
                shown::variable(&variable)
            ),
            None => "the credential in this header is blank; set its value, or remove the header".to_owned(),
        }));
    }
    Ok(ConfiguredHeader {
        name: name.to_owned(),
        value,
        variable,
    })
}

/// Whether the name of a header indicates a credential.
pub(crate) fn names_a_credential(name: &str) -> bool {
    const ENDS: [&str; 8] = [
        "auth",
        "token",
        "key",
        "secret",
        "password",
        "cookie",
        "credential",
        "credentials",
    ];
    let name = name.to_ascii_lowercase();
    let mut segments = name.split(|character: char| !character.is_ascii_alphanumeric());
    segments.any(|segment| {
        segment == "pat"
            || segment.starts_with("authoriz")
            || segment.starts_with("authent")
            || ENDS.iter().any(|end| segment.ends_with(end))
    })
}

/// Whether the name of a parameter of a URL is that of a credential.
fn is_credential_parameter(name: &str) -> bool {
    const NAMES: [&str; 12] = [
        "key",
        "apikey",
        "token",
        "apitoken",
        "accesstoken",
        "authtoken",
        "auth",
        "authorization",
        "bearer",
        "secret",
        "password",
        "pat",
    ];
    let plain = name.replace(['-', '_'], "").to_ascii_lowercase();
    NAMES.contains(&plain.as_str())
}

/// Whether a header has no credential: its value is blank, or only an authorization scheme (RFC 9110, section 11.4).
fn is_blank_credential(name: &str, value: &str) -> bool {
    const SCHEMES: [&str; 5] = ["bearer", "basic", "token", "apikey", "digest"];
    let value = value.trim();
    let has_scheme = name.to_ascii_lowercase().ends_with("authorization");
    value.is_empty()
        || (has_scheme
            && SCHEMES
                .iter()
                .any(|scheme| value.eq_ignore_ascii_case(scheme)))
}

/// Checks that a credential has no variable of another client.
fn no_foreign_variable(
    path: &KeyPath,
    value: &str,
    written: &str,
    variable: Option<&str>,
) -> Result<(), EntryProblem> {
    let Some(foreign) = foreign_variables::find_replaced(value, written) else {
        return Ok(());
    };
    Err(path.problem(match variable {
        Some(variable) => format!(
            "the environment variable {} has a variable in its value, such as `${{env:NAME}}`, which is not replaced; set it to the value itself",
            shown::variable(variable)
        ),
        None => foreign.problem("write the name of an environment variable as this format has it"),
    }))
}

/// Checks a value of the OAuth client: an ID, a secret or a resource. `written` is the value before its variables were replaced.
pub(crate) fn oauth_value(path: &KeyPath, value: &str, written: &str) -> Result<(), EntryProblem> {
    if value.trim().is_empty() {
        return Err(path.problem("the value is blank; set it, or remove the key"));
    }
    if let Some(variable) = foreign_variables::find_replaced(value, written) {
        return Err(path.problem(variable.problem("write the value itself")));
    }
    if let Some(shown) = foreign_variables::find_left(value, written) {
        return Err(path.problem(format!(
            "variables are not replaced in this key, so {shown} is not; write the value itself"
        )));
    }
    Ok(())
}

/// Checks the number of headers of an entry.
pub(crate) fn header_count(path: &KeyPath, count: usize) -> Result<(), EntryProblem> {
    match count {
        0..=MAX_HEADERS => Ok(()),
        _ => Err(path.problem(format!(
            "the entry has {count} headers, and a request can have at most {MAX_HEADERS}; remove some"
        ))),
    }
}

/// Checks a bearer token. `variable` is the environment variable that it comes from.
pub(crate) fn bearer_token(
    path: &KeyPath,
    variable: &str,
    token: SecretString,
) -> Result<BearerToken, EntryProblem> {
    if token.expose_secret().trim().is_empty() {
        return Err(unusable_variable(path, variable, "blank"));
    }
    if !is_header_value(&token) {
        return Err(invalid_header_value(path, Some(variable)));
    }
    no_foreign_variable(path, token.expose_secret(), "", Some(variable))?;
    Ok(BearerToken {
        variable: variable.to_owned(),
        token,
    })
}

fn is_header_value(value: &SecretString) -> bool {
    HeaderValue::from_str(value.expose_secret()).is_ok()
}

fn invalid_header_value(path: &KeyPath, variable: Option<&str>) -> EntryProblem {
    let value = match variable {
        Some(variable) => format!(
            "the value of the environment variable {}",
            shown::variable(variable)
        ),
        None => "the value".to_owned(),
    };
    path.problem(format!(
        "{value} contains a character that is not allowed in a header, such as a line break; remove it"
    ))
}

/// Checks the name of an environment variable. Some users write the value in place of the name, so a message has the name only if it
/// does not look like a token.
pub(crate) fn variable_name(
    path: &KeyPath,
    name: &str,
    environment: &dyn Environment,
) -> Result<(), EntryProblem> {
    let inner = name.trim_matches(['$', '{', '}', '%']);
    if environment.get(name).is_some() || (inner == name && shown::is_safe_name(name)) {
        return Ok(());
    }
    Err(match inner != name && shown::is_safe_name(inner) {
        true => path.problem(format!(
            "write only the name of the environment variable, {inner}"
        )),
        false => path.problem(
            "this is not the name of an environment variable; if it is the value, set a variable to it and write the name here",
        ),
    })
}

/// Returns the value of an environment variable that an entry names. Fails if the variable is not set or blank.
pub(crate) fn variable_value(
    path: &KeyPath,
    name: &str,
    environment: &dyn Environment,
) -> Result<SecretString, EntryProblem> {
    if name.trim().is_empty() {
        return Err(path.problem("the name of an environment variable is missing; add it"));
    }
    variable_name(path, name, environment)?;
    match environment.get(name) {
        Some(value) if !value.trim().is_empty() => {
            no_foreign_variable(path, &value, "", Some(name))?;
            Ok(SecretString::from(value))
        }
        Some(_) => Err(unusable_variable(path, name, "blank")),
        None => Err(unusable_variable(path, name, "not set")),
    }
}

/// The problem of an environment variable that is not set or blank.
pub(crate) fn unusable_variable(path: &KeyPath, name: &str, state: &str) -> EntryProblem {
    path.problem(format!(
        "the environment variable {} is {state}; set it and try again",
        shown::variable(name)
    ))
}

/// Checks the command of a stdio server.
pub(crate) fn command(path: &KeyPath, command: &str) -> Result<(), EntryProblem> {
    if command.trim().is_empty() {
        return Err(path.problem("the command is empty; set it to the program to start"));
    }
    path_of_file(path, command)
}

/// Returns the possible cause of a failure that a message about the program would not show: white space around its name.
pub(crate) fn space_around(path: &KeyPath, command: &str) -> Option<EntryProblem> {
    let place = match (
        command.trim_start() != command,
        command.trim_end() != command,
    ) {
        (true, true) => "begins and ends",
        (true, false) => "begins",
        (false, true) => "ends",
        (false, false) => return None,
    };
    Some(path.problem(format!(
        "the command {place} with white space, which is a part of its name; remove it"
    )))
}

/// Checks the folder in which a program runs.
pub(crate) fn folder(path: &KeyPath, folder: &str) -> Result<(), EntryProblem> {
    if folder.trim().is_empty() {
        return Err(path.problem("the folder is empty; remove `cwd`, or set it to a folder"));
    }
    path_of_file(path, folder)
}

/// Checks the path of a program or a folder: it has no control character. Most come from backslashes: in JSON and TOML, `\t` in
/// `"C:\tools"` is a tab.
pub(crate) fn path_of_file(path: &KeyPath, text: &str) -> Result<(), EntryProblem> {
    no_nul(path, text)?;
    if text.chars().any(char::is_control) {
        return Err(path.problem(
            "the text contains a control character, such as a tab or a line break; remove it, or double each backslash (C:\\\\tools)",
        ));
    }
    Ok(())
}

/// Checks that a text contains no NUL, which no operating system accepts in a command, argument, variable or path.
pub(crate) fn no_nul(path: &KeyPath, text: &str) -> Result<(), EntryProblem> {
    if text.contains('\0') {
        return Err(path.problem(
            "the text contains a NUL character, which cannot be passed to a program; remove it",
        ));
    }
    let values = [Some(text), text.split_once('=').map(|(_, value)| value)];
    if values.into_iter().flatten().any(is_broken_windows_path) {
        return Err(path.problem(
            "the backslash of a Windows path must be doubled; write C:\\\\tools for C:\\tools",
        ));
    }
    Ok(())
}

/// Whether a text begins as `C:\tools` does if its backslash was read as the beginning of an escape: with a drive and a tab.
fn is_broken_windows_path(text: &str) -> bool {
    match text.as_bytes() {
        [drive, b':', b'\n', next, ..] => {
            drive.is_ascii_alphabetic() && !next.is_ascii_whitespace()
        }
        [drive, b':', b'\t' | b'\r' | 8 | 12 | 27, ..] => drive.is_ascii_alphabetic(),
        _ => false,
    }
}

/// Checks the name and the value of an environment variable for a program.
pub(crate) fn env_entry(path: &KeyPath, name: &str, value: &str) -> Result<(), EntryProblem> {
    if name.is_empty() || name.contains(['=', '\0']) {
        return Err(path.problem(
            "the name of an environment variable must not be empty or contain `=` or NUL",
        ));
    }
    no_nul(path, value)
}

/// Checks a timeout in seconds: more than zero and at most 24 hours.
pub(crate) fn timeout_from_secs(path: &KeyPath, seconds: f64) -> Result<Duration, EntryProblem> {
    timeout(path, Duration::try_from_secs_f64(seconds).ok())
}

/// Checks a timeout in milliseconds: more than zero and at most 24 hours.
pub(crate) fn timeout_from_millis(
    path: &KeyPath,
    milliseconds: i64,
) -> Result<Duration, EntryProblem> {
    timeout(
        path,
        u64::try_from(milliseconds).ok().map(Duration::from_millis),
    )
}

/// Checks a timeout: more than zero and at most 24 hours. `None` means a value that no [`Duration`] can represent.
pub(crate) fn timeout(path: &KeyPath, limit: Option<Duration>) -> Result<Duration, EntryProblem> {
    limit
        .filter(|limit| !limit.is_zero() && *limit <= MAX_TIMEOUT)
        .ok_or_else(|| path.problem("the timeout must be more than zero and at most 24 hours"))
}
