//! Expands environment variables in strings of a configuration, written as `${NAME}` or `${NAME:-default}`. Never runs a
//! command.
//!
//! Source: "Environment variable expansion" in <https://code.claude.com/docs/en/mcp>.

use std::cell::RefCell;

use secrecy::SecretString;

use crate::environment::Environment;
use crate::error::EntryProblem;
use crate::server::CODEX_INHERITED_VARIABLES;
use crate::spanned::Field;

/// A string with its variables expanded.
pub(crate) struct Expanded {
    pub text: String,
    /// The first variable whose value is part of the text.
    pub variable: Option<String>,
}

/// Expands `${NAME}` and `${NAME:-default}`.
///
/// Everything else is kept as written, such as `$NAME` and `${NAME%.txt}`. A variable with an empty value counts as set.
/// A default is not expanded again.
///
/// Fails if a variable is not set and has no default.
pub(crate) fn expand(
    field: &Field<&str>,
    environment: &dyn Environment,
) -> Result<Expanded, EntryProblem> {
    let mut expanded = Expanded {
        text: String::with_capacity(field.value.len()),
        variable: None,
    };
    let mut rest = field.value;
    while let Some((before, reference)) = rest.split_once("${") {
        expanded.text.push_str(before);
        let Some((name, default, after)) = parse_reference(reference) else {
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
                return Err(field.path.problem(format!(
                    "the environment variable {name} is not set; set it, or write a default as ${{{name}:-default}}"
                )));
            }
        }
        rest = after;
    }
    expanded.text.push_str(rest);
    Ok(expanded)
}

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

/// An environment that records the values it returns, except those of [`CODEX_INHERITED_VARIABLES`].
pub(crate) struct RecordingEnvironment<'a> {
    environment: &'a dyn Environment,
    values: RefCell<Vec<SecretString>>,
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
        self.values.into_inner()
    }
}

impl Environment for RecordingEnvironment<'_> {
    fn get(&self, name: &str) -> Option<String> {
        let value = self.environment.get(name)?;
        if !CODEX_INHERITED_VARIABLES.contains(&name) {
            self.values.borrow_mut().push(value.clone().into());
        }
        Some(value)
    }
}
