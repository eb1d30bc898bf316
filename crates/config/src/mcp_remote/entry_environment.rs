//! The environment variables that `mcp-remote` receives, and their replacement in its arguments. Never reports a value.

use std::cell::RefCell;
use std::collections::HashMap;

use secrecy::{ExposeSecret, SecretString};

use crate::environment::Environment;
use crate::error::EntryProblem;
use crate::server::{CODEX_INHERITED_VARIABLES, InheritedEnvironment, StdioConfig};
use crate::shown;
use crate::spanned::KeyPath;
use crate::validation;

/// The variables of an entry, and those that its program inherits.
pub(super) struct EntryEnvironment<'a> {
    own: HashMap<String, SecretString>,
    inherited: InheritedEnvironment,
    process: &'a dyn Environment,
    /// The values that are part of a text. Any of them may be a secret.
    used: RefCell<Vec<SecretString>>,
}

/// A text with its variables replaced.
pub(super) struct Replaced<'a> {
    pub text: String,
    /// The first variable whose value is part of the text.
    pub variable: Option<&'a str>,
    /// The first variable whose value is blank.
    pub blank: Option<&'a str>,
    /// The first variable that is not set.
    pub missing: Option<&'a str>,
}

impl<'a> EntryEnvironment<'a> {
    /// `assigned` are the variables that the command line itself sets, as in `env NAME=VALUE`.
    pub fn new(
        stdio: &StdioConfig,
        assigned: &[(&str, &str)],
        process: &'a dyn Environment,
    ) -> Self {
        let own = stdio
            .env
            .iter()
            .map(|(name, value)| (key(name), value.clone()));
        let assigned = assigned.iter();
        let assigned = assigned.map(|(name, value)| (key(name), SecretString::from(*value)));
        Self {
            own: own.chain(assigned).collect(),
            inherited: stdio.inherited,
            process,
            used: RefCell::default(),
        }
    }

    /// Returns the values that are part of a text.
    pub fn into_used(self) -> Vec<SecretString> {
        self.used.into_inner()
    }

    /// Replaces `${NAME}`. A variable that is not set is left as it is written, or is removed if `removes_missing`.
    pub fn replace<'t>(&self, text: &'t str, removes_missing: bool) -> Replaced<'t> {
        let mut replaced = Replaced {
            text: String::with_capacity(text.len()),
            variable: None,
            blank: None,
            missing: None,
        };
        let last_brace = text.rfind('}').unwrap_or(0);
        let mut rest = text;
        while let Some((before, reference)) = rest.split_once("${") {
            replaced.text.push_str(before);
            // Without this, a text with many references that have no end would cost quadratic time.
            let has_end = text.len() - reference.len() <= last_brace;
            let parsed = has_end.then(|| reference.split_once('}')).flatten();
            let Some((name, after)) = parsed.filter(|(name, _)| !name.is_empty()) else {
                replaced.text.push_str("${");
                rest = reference;
                continue;
            };
            match self.get(name) {
                Some(value) => {
                    if value.trim().is_empty() {
                        replaced.blank.get_or_insert(name);
                    }
                    replaced.text.push_str(&value);
                    replaced.variable.get_or_insert(name);
                    if !CODEX_INHERITED_VARIABLES.contains(&name) {
                        self.used.borrow_mut().push(value.into());
                    }
                }
                None => {
                    replaced.missing.get_or_insert(name);
                    if !removes_missing {
                        replaced.text.extend(["${", name, "}"]);
                    }
                }
            }
            rest = after;
        }
        replaced.text.push_str(rest);
        replaced
    }
}

impl Environment for EntryEnvironment<'_> {
    fn get(&self, name: &str) -> Option<String> {
        if let Some(value) = self.own.get(&key(name)) {
            return Some(value.expose_secret().to_owned());
        }
        let is_inherited = match self.inherited {
            InheritedEnvironment::Everything => true,
            InheritedEnvironment::WithoutSecrets => !InheritedEnvironment::indicates_a_secret(name),
            InheritedEnvironment::Named(names) => names.contains(&name),
        };
        // No variable has such a name.
        let is_name = !name.contains(['=', '\0']);
        (is_inherited && is_name)
            .then(|| self.process.get(name))
            .flatten()
    }
}

/// The name of a variable for comparison. Windows ignores its case.
fn key(name: &str) -> String {
    match cfg!(windows) {
        true => name.to_ascii_uppercase(),
        false => name.to_owned(),
    }
}

/// The problem of a variable in a credential. The name is left out if it may be the credential itself.
pub(super) fn unusable_variable(path: &KeyPath, name: &str, state: &str) -> EntryProblem {
    match shown::is_safe_name(name) {
        true => validation::unusable_variable(path, name, state),
        false => path.problem(format!(
            "an environment variable in this credential is {state}; set it in `env` and try again"
        )),
    }
}
