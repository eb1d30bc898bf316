//! The path of a key in a configuration file, for messages.

use crate::error::EntryProblem;
use crate::escaping::format_key_segment;
use crate::shown;

const TABLE: &str = "a table";
const OBJECT: &str = "an object";

/// The dotted path of a key and its line in the file. Every [`EntryProblem`] has one.
#[derive(Clone, Debug)]
pub(crate) struct KeyPath {
    path: String,
    line: Option<u32>,
    /// The word of the format for a table, with its article.
    table: &'static str,
}

impl KeyPath {
    /// Creates a path without a line, for the root of a file or a server that was created in code.
    pub fn new(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            line: None,
            table: TABLE,
        }
    }

    /// Creates the path of the root of a JSON file, which has objects in place of tables.
    pub fn of_json(path: &str) -> Self {
        Self {
            table: OBJECT,
            ..Self::new(path)
        }
    }

    /// Returns the word of the format for a table, with its article.
    pub fn table(&self) -> &'static str {
        self.table
    }

    /// Creates the path of the file itself.
    pub fn of_file(line: Option<u32>) -> Self {
        Self {
            path: String::new(),
            line,
            table: TABLE,
        }
    }

    /// Returns the path, for example `mcp_servers.linear`.
    pub fn as_str(&self) -> &str {
        &self.path
    }

    /// Returns the line in the file.
    pub fn line(&self) -> Option<u32> {
        self.line
    }

    /// Returns the path of a key in this table, as a message may [show](shown::key) it. `line` falls back to the line of the table.
    pub fn child(&self, name: &str, line: Option<u32>) -> Self {
        self.named(&shown::key(name), line)
    }

    /// Returns the path of a key in this table that is the name of a server or a folder, in full. `line` falls back to the line of the
    /// table.
    pub fn named(&self, name: &str, line: Option<u32>) -> Self {
        let segment = format_key_segment(name);
        let path = match self.path.as_str() {
            "" => segment,
            table => format!("{table}.{segment}"),
        };
        Self {
            path,
            line: line.or(self.line),
            table: self.table,
        }
    }

    /// Returns the path of an item of this list. `line` falls back to the line of the list.
    pub fn index(&self, index: usize, line: Option<u32>) -> Self {
        Self {
            path: format!("{}[{index}]", self.path),
            line: line.or(self.line),
            table: self.table,
        }
    }

    /// Creates a problem with the value of this key.
    pub fn problem(&self, problem: impl Into<String>) -> EntryProblem {
        EntryProblem {
            key: self.path.clone(),
            line: self.line,
            problem: problem.into(),
        }
    }
}
