//! The headers of `--header` and `--header-file`. Never sends a credential that is blank.

use std::collections::BTreeMap;

use secrecy::SecretString;

use super::arguments::{Argument, Arguments, Header, header_line};
use super::entry_environment::{EntryEnvironment, unusable_variable};
use super::{MAX_POSSIBLE_CAUSES, Unread, Wrapper};
use crate::error::EntryProblem;
use crate::foreign_variables;
use crate::server::ConfiguredHeader;
use crate::spanned::KeyPath;
use crate::validation;

/// The headers of the entry, with the variables as they are written.
pub(super) struct Headers<'a> {
    /// All headers. If a name is repeated, the last value.
    pub all: BTreeMap<&'a str, &'a str>,
    /// The headers of `--header`.
    pub of_arguments: BTreeMap<&'a str, &'a str>,
    /// Arguments and lines that `mcp-remote` ignores.
    pub possible_causes: Vec<EntryProblem>,
    /// The names and values in the order in which they are written, with their argument.
    in_order: Vec<(&'a str, &'a str, &'a KeyPath)>,
}

impl Wrapper<'_> {
    /// Reads the files of `--header-file`, in the order of the arguments.
    pub(super) fn header_files(&self, arguments: &Arguments<'_>) -> Result<Vec<String>, Unread> {
        let mut files = Vec::new();
        for header in &arguments.headers {
            if let Header::File(Argument { text, path }) = header {
                // A limit for all of them.
                if files.len() == MAX_HEADER_FILES {
                    return Err(Unread::AsWritten);
                }
                files.push(self.read_text(path, text)?);
            }
        }
        Ok(files)
    }
}

/// The maximum number of `--header-file`. An entry with more is started as it is written.
const MAX_HEADER_FILES: usize = 8;

impl<'a> Headers<'a> {
    /// `files` are the contents of the files of `--header-file`.
    pub fn new(arguments: &'a Arguments<'_>, files: &'a [String]) -> Self {
        let mut headers = Self {
            all: BTreeMap::new(),
            of_arguments: BTreeMap::new(),
            possible_causes: Vec::new(),
            in_order: Vec::new(),
        };
        let mut files = files.iter();
        for header in &arguments.headers {
            match header {
                Header::Line(argument) => match header_line(argument.text) {
                    Some((name, value)) => {
                        if headers.push(name, value, &argument.path) {
                            headers.of_arguments.insert(name, value);
                        }
                    }
                    None => headers.ignored(
                        &argument.path,
                        "`mcp-remote` ignores this header; write `Name: value`".to_owned(),
                    ),
                },
                Header::File(argument) => {
                    let lines = files.next().map(String::as_str).unwrap_or_default().lines();
                    for (number, line) in (1..).zip(lines) {
                        let line = line.trim();
                        if line.is_empty() || line.starts_with('#') {
                            continue;
                        }
                        match header_line(line) {
                            Some((name, value)) => {
                                headers.push(name, value, &argument.path);
                            }
                            None => headers.ignored(
                                &argument.path,
                                format!("`mcp-remote` ignores line {number} of this file; write `Name: value`"),
                            ),
                        }
                    }
                }
            }
        }
        headers
    }

    /// Adds a header, unless `mcp-remote` drops it.
    fn push(&mut self, name: &'a str, value: &'a str, path: &'a KeyPath) -> bool {
        // An object of JavaScript does not keep this key.
        let is_kept = name != "__proto__";
        if is_kept {
            self.all.insert(name, value);
            self.in_order.push((name, value, path));
        }
        is_kept
    }

    fn ignored(&mut self, path: &KeyPath, problem: String) {
        if self.possible_causes.len() < MAX_POSSIBLE_CAUSES {
            self.possible_causes.push(path.problem(problem));
        }
    }

    /// Returns the headers with their variables replaced. A variable that is not set is a problem in a credential, and a possible
    /// cause of a failure in any other header.
    pub fn configured(
        &self,
        environment: &EntryEnvironment<'_>,
        removes_missing: bool,
        possible_causes: &mut Vec<EntryProblem>,
    ) -> Result<Vec<ConfiguredHeader>, EntryProblem> {
        let mut configured = Vec::new();
        for (name, written, path) in &self.in_order {
            // An earlier value of the same name is not sent, so its variables need not be set.
            if self.all.get(name) != Some(written) {
                continue;
            }
            let value = environment.replace(written, removes_missing);
            if let (Some(_), Some(foreign)) = (value.missing, foreign_variables::find(written)) {
                let alternative = "write ${NAME}, and set that variable in `env`";
                return Err(path.problem(foreign.problem(alternative)));
            }
            let unusable = value.missing.map(|name| (name, "not set"));
            let unusable = unusable.or(value.blank.map(|name| (name, "blank")));
            if let Some((variable, state)) = unusable {
                let problem = unusable_variable(path, variable, state);
                if validation::names_a_credential(name) {
                    return Err(problem);
                }
                if possible_causes.len() < MAX_POSSIBLE_CAUSES {
                    possible_causes.push(problem);
                }
            }
            let variable = value.variable.map(str::to_owned);
            let text = SecretString::from(value.text);
            configured.push(validation::header(path, name, text, written, variable)?);
        }
        Ok(configured)
    }
}
