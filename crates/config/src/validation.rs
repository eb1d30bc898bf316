//! What must hold of a server, whichever format it was written in, and when it was built in code.

use std::time::Duration;

use http::{HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::error::EntryProblem;
use crate::foreign::shown;
use crate::located::Place;
use crate::{BearerToken, ConfiguredHeader, Environment};

/// The longest name of a server, in bytes.
const MAXIMUM_NAME_BYTES: usize = 200;

/// The longest time that a start may take.
const MAXIMUM_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// A name becomes part of keys and of file names, and is shown everywhere.
pub(crate) fn name(place: &Place, name: &str) -> Result<(), EntryProblem> {
    let problem = if name.is_empty() {
        "a server needs a name: this one is empty"
    } else if name.len() > MAXIMUM_NAME_BYTES {
        "the name of a server must not be longer than 200 bytes"
    } else if name.chars().any(char::is_control) {
        "the name of a server must not contain control characters"
    } else if name.split(['/', '\\']).any(|segment| segment == "..") {
        "the name of a server must not contain the path segment `..`"
    } else {
        return Ok(());
    };
    Err(place.problem(problem))
}

/// The URL itself is never shown: it may be mistyped around a password, or come from a variable.
pub(crate) fn url(place: &Place, text: &str) -> Result<Url, EntryProblem> {
    let url = Url::parse(text).map_err(|error| {
        place.problem(format!(
            "not a URL ({error}); write it like https://example.com/mcp"
        ))
    })?;
    if !matches!(url.scheme(), "http" | "https") {
        // Without `//` the part before the colon may be a user's name, or anything.
        // And one that nobody knows may have come from a variable.
        let scheme = match url.scheme() {
            _ if !text.contains("://") => "the scheme is missing".to_owned(),
            known @ ("file" | "ftp" | "sse" | "unix" | "ws" | "wss") => {
                format!("{known}:// is not supported")
            }
            _ => "its scheme is not supported".to_owned(),
        };
        return Err(place.problem(format!("{scheme}: a server's URL is http:// or https://")));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(place.problem(
            "the URL contains a user name or a password; take it out, and use bearer_token_env_var or a header instead",
        ));
    }
    Ok(url)
}

pub(crate) fn header(
    place: &Place,
    name: &str,
    value: SecretString,
    variable: Option<String>,
) -> Result<ConfiguredHeader, EntryProblem> {
    if HeaderName::from_bytes(name.as_bytes()).is_err() {
        return Err(place.problem(format!("`{}` is not the name of a header", shown(name))));
    }
    if !fits_in_a_header(&value) {
        let holder = variable.as_deref().map_or_else(
            || "the value".to_owned(),
            |variable| format!("the value of the environment variable {}", shown(variable)),
        );
        return Err(place.problem(format!(
            "{holder} contains a character that no header may have, such as a line break"
        )));
    }
    Ok(ConfiguredHeader {
        name: name.to_owned(),
        value,
        variable,
    })
}

pub(crate) fn bearer_token(
    place: &Place,
    variable: &str,
    token: SecretString,
) -> Result<BearerToken, EntryProblem> {
    if token.expose_secret().trim().is_empty() {
        return Err(place.problem(format!(
            "the environment variable {} is blank",
            shown(variable)
        )));
    }
    if !fits_in_a_header(&token) {
        return Err(place.problem(format!(
            "the value of the environment variable {} contains a character that no header may have, such as a line break",
            shown(variable)
        )));
    }
    Ok(BearerToken {
        variable: variable.to_owned(),
        token,
    })
}

fn fits_in_a_header(value: &SecretString) -> bool {
    HeaderValue::from_str(value.expose_secret()).is_ok()
}

/// A variable that the configuration names: unset and blank are problems, the variable named.
pub(crate) fn variable(
    place: &Place,
    name: &str,
    environment: &dyn Environment,
) -> Result<SecretString, EntryProblem> {
    if name.trim().is_empty() {
        return Err(place.problem("the name of an environment variable is missing"));
    }
    let state = match environment.get(name) {
        Some(value) if !value.trim().is_empty() => return Ok(SecretString::from(value)),
        Some(_) => "blank",
        None => "not set",
    };
    Err(place.problem(format!(
        "the environment variable {} is {state}",
        shown(name)
    )))
}

pub(crate) fn command(place: &Place, command: &str) -> Result<(), EntryProblem> {
    if command.trim().is_empty() {
        return Err(place.problem("the command is empty; name the program to start"));
    }
    program_text(place, command)
}

/// What the system can hand to a program: anything without a NUL.
pub(crate) fn program_text(place: &Place, text: &str) -> Result<(), EntryProblem> {
    if text.contains('\0') {
        return Err(place.problem("contains the character NUL, which no program can be given"));
    }
    Ok(())
}

pub(crate) fn variable_for_program(
    place: &Place,
    name: &str,
    value: &str,
) -> Result<(), EntryProblem> {
    if name.is_empty() || name.contains(['=', '\0']) {
        return Err(place.problem(
            "the name of an environment variable must not be empty or contain `=` or NUL",
        ));
    }
    program_text(place, value)
}

/// From 0 (exclusive) to 24 hours.
pub(crate) fn timeout_seconds(place: &Place, seconds: f64) -> Result<Duration, EntryProblem> {
    timeout(place, Duration::try_from_secs_f64(seconds).ok())
}

pub(crate) fn timeout_milliseconds(
    place: &Place,
    milliseconds: i64,
) -> Result<Duration, EntryProblem> {
    timeout(
        place,
        u64::try_from(milliseconds).ok().map(Duration::from_millis),
    )
}

pub(crate) fn timeout(place: &Place, limit: Option<Duration>) -> Result<Duration, EntryProblem> {
    limit
        .filter(|limit| !limit.is_zero() && *limit <= MAXIMUM_TIMEOUT)
        .ok_or_else(|| place.problem("a time-out must be more than zero and at most 24 hours"))
}
