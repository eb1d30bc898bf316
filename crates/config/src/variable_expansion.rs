//! Expands environment variables in strings of a configuration, written as `${NAME}`, `${NAME:-default}` or `${env:NAME}`. Never
//! runs a command.
//!
//! Source: "Environment variable expansion" in <https://code.claude.com/docs/en/mcp>.

use std::cell::RefCell;
use std::collections::BTreeMap;

use secrecy::SecretString;

use crate::environment::Environment;
use crate::error::EntryProblem;
use crate::foreign_variables;
use crate::server::CODEX_INHERITED_VARIABLES;
use crate::shown;
use crate::spanned::Field;

/// A string with its variables expanded.
pub(crate) struct Expanded {
    pub text: String,
    /// The first variable whose value is part of the text.
    pub variable: Option<String>,
    /// The first variable whose value or default is blank.
    pub blank: Option<String>,
    /// The first variable that is written as `${env:NAME}`.
    pub foreign: Option<String>,
}

/// Expands `${NAME}`, `${NAME:-default}` and, as VS Code and Cursor do, `${env:NAME}`.
///
/// Everything else is kept as written, such as `$NAME` and `${NAME%.txt}`. A variable with an empty value counts as set.
/// A default is not expanded again.
///
/// Fails if a variable is not set and has no default, and if the text has a variable of another client.
pub(crate) fn expand(
    field: &Field<&str>,
    environment: &dyn Environment,
) -> Result<Expanded, EntryProblem> {
    let mut expanded = Expanded {
        text: String::with_capacity(field.value.len()),
        variable: None,
        blank: None,
        foreign: None,
    };
    let last_brace = field.value.rfind('}').unwrap_or(0);
    let mut rest = field.value;
    while let Some((before, reference)) = rest.split_once("${") {
        expanded.text.push_str(before);
        // Without this, a text with many references that have no end would cost quadratic time.
        let has_end = field.value.len() - reference.len() <= last_brace;
        let of_env = foreign_variables::parse_env(reference);
        let parsed = match of_env {
            Some((name, after)) => Some((name, None, after)),
            None => has_end.then(|| parse_reference(reference)).flatten(),
        };
        let foreign = || foreign_variables::parse(reference).map(|(variable, _)| variable);
        let Some((name, default, after)) = parsed else {
            if let Some(foreign) = foreign() {
                return Err(field.path.problem(foreign.problem(ALTERNATIVE)));
            }
            expanded.text.push_str("${");
            rest = reference;
            continue;
        };
        let value = environment.get(name);
        let is_blank = |value: &str| value.trim().is_empty();
        match (value, default) {
            (Some(value), _) => {
                if is_blank(&value) {
                    expanded.blank.get_or_insert_with(|| name.to_owned());
                }
                expanded.text.push_str(&value);
                expanded.variable.get_or_insert_with(|| name.to_owned());
            }
            (None, Some(default)) => {
                if is_blank(default) {
                    expanded.blank.get_or_insert_with(|| name.to_owned());
                }
                expanded.text.push_str(default);
            }
            (None, None) if shown::variable(name) != name => {
                return Err(field.path.problem(
                    "this text has a variable that is not set, and that looks like a value; if it is one, set an environment variable to it and write ${NAME} here",
                ));
            }
            (None, None) if of_env.is_some() => {
                return Err(field.path.problem(format!(
                    "the environment variable of `${{env:{name}}}` is not set; set {name}, or write a default as ${{{name}:-default}}"
                )));
            }
            (None, None) => {
                return Err(field.path.problem(match foreign() {
                    Some(foreign) => foreign.problem(ALTERNATIVE),
                    None => format!(
                        "the environment variable {name} is not set; set it, or write a default as ${{{name}:-default}}"
                    ),
                }));
            }
        }
        if of_env.is_some() {
            expanded.foreign.get_or_insert_with(|| name.to_owned());
        }
        rest = after;
    }
    expanded.text.push_str(rest);
    Ok(expanded)
}

/// What to write in place of a variable of another client.
const ALTERNATIVE: &str = "write ${NAME}, and set that environment variable";

/// Parses the text after `${`. Returns the name, the default if there is one, and the text after the closing brace.
fn parse_reference(text: &str) -> Option<(&str, Option<&str>, &str)> {
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

/// An environment that records the values it returns, except those of [`CODEX_INHERITED_VARIABLES`]. Each value is recorded once.
pub(crate) struct RecordingEnvironment<'a> {
    environment: &'a dyn Environment,
    values: RefCell<BTreeMap<String, SecretString>>,
}

impl<'a> RecordingEnvironment<'a> {
    pub fn new(environment: &'a dyn Environment) -> Self {
        Self {
            environment,
            values: RefCell::default(),
        }
    }

    /// Returns the recorded values.
    pub fn into_values(self) -> Vec<SecretString> {
        self.values.into_inner().into_values().collect()
    }
}

impl Environment for RecordingEnvironment<'_> {
    fn get(&self, name: &str) -> Option<String> {
        let value = self.environment.get(name)?;
        let mut values = self.values.borrow_mut();
        if !CODEX_INHERITED_VARIABLES.contains(&name) && !values.contains_key(name) {
            values.insert(name.to_owned(), value.clone().into());
        }
        Some(value)
    }
}
