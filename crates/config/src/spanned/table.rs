//! Typed access to the keys of a table. A value of the wrong type is an [`EntryProblem`] with its key and line.

use super::{KeyPath, Spanned, Value};
use crate::error::EntryProblem;

/// A value and the path of the key that holds it.
pub(crate) struct Field<T> {
    pub value: T,
    pub path: KeyPath,
}

impl<'a> Field<&'a Value> {
    /// Converts the field to a string. Fails if the value has another type.
    pub fn into_string(self) -> Result<Field<&'a str>, EntryProblem> {
        match self.value {
            Value::String(value) => Ok(Field {
                value,
                path: self.path,
            }),
            other => Err(wrong_type(&self.path, "a string", other)),
        }
    }

    /// Returns the text of the field. Fails if the value has another type.
    pub fn as_text(&self) -> Result<&'a String, EntryProblem> {
        match self.value {
            Value::String(value) => Ok(value),
            other => Err(wrong_type(&self.path, "a string", other)),
        }
    }

    /// Converts the field to a table. Fails if the value has another type.
    pub fn into_table(self) -> Result<Table<'a>, EntryProblem> {
        match self.value {
            Value::Table(fields) => Ok(Table {
                path: self.path,
                fields,
            }),
            other => Err(wrong_type(&self.path, self.path.table(), other)),
        }
    }
}

/// A table and its path. Each method reads one key: it returns `None` if the key is missing and fails if the value has
/// another type.
pub(crate) struct Table<'a> {
    pub path: KeyPath,
    fields: &'a [(String, Spanned)],
}

/// Whether a value is a table with the program or the URL of a server.
fn is_server(value: &Value) -> bool {
    match value {
        Value::Table(fields) => fields
            .iter()
            .any(|(key, _)| matches!(key.as_str(), "command" | "url" | "serverUrl" | "httpUrl")),
        _ => false,
    }
}

impl<'a> Table<'a> {
    /// Creates the table of a server from a value. Fails if the value has another type.
    pub fn of_server(path: KeyPath, spanned: &'a Spanned) -> Result<Self, EntryProblem> {
        match &spanned.value {
            Value::Table(fields) => Ok(Self { path, fields }),
            other => {
                let (table, found) = (path.table(), other.type_description(path.table()));
                Err(path.problem(format!(
                    "must be {table}, not {found}; a server has a name, and {table} with `command` or `url`"
                )))
            }
        }
    }

    /// Creates a table of keys at the root of a file.
    pub fn of_root(fields: &'a [(String, Spanned)]) -> Self {
        Self {
            path: KeyPath::new(""),
            fields,
        }
    }

    fn field(&self, key: &str) -> Option<Field<&'a Value>> {
        self.fields
            .iter()
            .find(|(name, _)| name == key)
            .map(|(name, spanned)| Field {
                value: &spanned.value,
                path: self.path.child(name, spanned.line),
            })
    }

    /// Returns the names of the keys and their paths, in the order of the file.
    pub fn keys(&self) -> impl Iterator<Item = (&'a str, KeyPath)> {
        let path = self.path.clone();
        self.fields
            .iter()
            .map(move |(name, spanned)| (name.as_str(), path.child(name, spanned.line)))
    }

    /// Whether a key holds a server. The names in some tables of an entry are those of the user.
    pub fn holds_servers(&self) -> bool {
        const NO_SERVERS: [&str; 4] = ["env", "environment", "headers", "http_headers"];
        self.fields.iter().any(|(name, spanned)| {
            !NO_SERVERS.contains(&name.as_str()) && is_server(&spanned.value)
        })
    }

    /// Returns the key that holds the keys of the entry itself, as some registries and older versions of clients write it.
    pub fn key_of_own_keys(&self) -> Option<&'static str> {
        const KEYS: [&str; 5] = ["config", "mcp_config", "server", "stdio", "connection"];
        KEYS.into_iter()
            .find(|key| self.value(key).is_some_and(is_server))
    }

    /// Returns the key that holds a table of servers, as a whole file has it.
    pub fn key_of_servers(&self) -> Option<&'static str> {
        const KEYS: [&str; 5] = [
            "mcpServers",
            "servers",
            "mcp_servers",
            "context_servers",
            "mcp",
        ];
        KEYS.into_iter().find(|key| match self.value(key) {
            Some(Value::Table(entries)) => entries.iter().any(|(_, entry)| is_server(&entry.value)),
            _ => false,
        })
    }

    /// Returns the key of a program or a URL in `env`, and its path. In TOML, all keys below the header of a table belong to it.
    pub fn transport_in_env(&self) -> Option<(&'static str, KeyPath)> {
        let env = self.table("env").ok()??;
        ["command", "url"]
            .into_iter()
            .find_map(|key| Some((key, env.path_to(key)?)))
    }

    /// Returns the value of a key of any type.
    pub fn value(&self, key: &str) -> Option<&'a Value> {
        self.field(key).map(|field| field.value)
    }

    /// Creates a problem with a key, or with the table if the key is missing.
    pub fn problem(&self, key: &str, problem: impl Into<String>) -> EntryProblem {
        let path = self.path_to(key);
        path.as_ref().unwrap_or(&self.path).problem(problem)
    }

    /// Returns the path of a key, or `None` if the key is missing.
    pub fn path_to(&self, key: &str) -> Option<KeyPath> {
        self.field(key).map(|field| field.path)
    }

    /// Returns the paths of those of the keys that are present.
    pub fn paths_to(&self, keys: &[&'static str]) -> Vec<(&'static str, KeyPath)> {
        let paths = keys.iter().map(|key| Some((*key, self.path_to(key)?)));
        paths.flatten().collect()
    }

    pub fn string(&self, key: &str) -> Result<Option<Field<&'a str>>, EntryProblem> {
        self.field(key).map(Field::into_string).transpose()
    }

    pub fn boolean(&self, key: &str) -> Result<Option<bool>, EntryProblem> {
        self.field(key)
            .map(|field| match field.value {
                Value::Boolean(value) => Ok(*value),
                other => Err(wrong_type(&field.path, "true or false", other)),
            })
            .transpose()
    }

    pub fn number(&self, key: &str) -> Result<Option<Field<f64>>, EntryProblem> {
        self.field(key)
            .map(|field| {
                let value = match field.value {
                    Value::Integer(value) => *value as f64,
                    Value::Float(value) => *value,
                    other => return Err(wrong_type(&field.path, "a number", other)),
                };
                Ok(Field {
                    value,
                    path: field.path,
                })
            })
            .transpose()
    }

    pub fn integer(&self, key: &str) -> Result<Option<Field<i64>>, EntryProblem> {
        self.field(key)
            .map(|field| match field.value {
                Value::Integer(value) => Ok(Field {
                    value: *value,
                    path: field.path,
                }),
                Value::Float(_) => {
                    Err(field.path.problem("must be a whole number, not a fraction"))
                }
                other => Err(wrong_type(&field.path, "a whole number", other)),
            })
            .transpose()
    }

    pub fn table(&self, key: &str) -> Result<Option<Table<'a>>, EntryProblem> {
        self.field(key).map(Field::into_table).transpose()
    }

    /// Returns the items of a list. A missing key is an empty list.
    pub fn list(&self, key: &str) -> Result<Vec<Field<&'a Value>>, EntryProblem> {
        let Some(field) = self.field(key) else {
            return Ok(Vec::new());
        };
        match field.value {
            Value::List(items) => Ok(items
                .iter()
                .enumerate()
                .map(|(index, item)| Field {
                    value: &item.value,
                    path: field.path.index(index, item.line),
                })
                .collect()),
            other => Err(wrong_type(&field.path, "a list", other)),
        }
    }

    /// Returns the items of a list of strings. A missing key is an empty list.
    pub fn strings(&self, key: &str) -> Result<Vec<Field<&'a str>>, EntryProblem> {
        self.list(key)?
            .into_iter()
            .map(Field::into_string)
            .collect()
    }

    /// Returns the entries of a table. A missing key, and null, are an empty table.
    pub fn values(&self, key: &str) -> Result<Vec<(&'a str, Field<&'a Value>)>, EntryProblem> {
        if matches!(self.value(key), Some(Value::Unsupported("null"))) {
            return Ok(Vec::new());
        }
        let Some(table) = self.table(key)? else {
            return Ok(Vec::new());
        };
        let fields = table.fields.iter();
        Ok(fields
            .map(|(name, spanned)| {
                let path = table.path.child(name, spanned.line);
                let value = &spanned.value;
                (name.as_str(), Field { value, path })
            })
            .collect())
    }

    /// Returns the entries of a table of strings. A missing key is an empty table.
    pub fn string_entries(
        &self,
        key: &str,
    ) -> Result<Vec<(&'a str, Field<&'a str>)>, EntryProblem> {
        let Some(table) = self.table(key)? else {
            return Ok(Vec::new());
        };
        table
            .fields
            .iter()
            .map(|(name, spanned)| {
                let field = Field {
                    value: &spanned.value,
                    path: table.path.child(name, spanned.line),
                };
                Ok((name.as_str(), field.into_string()?))
            })
            .collect()
    }
}

fn wrong_type(path: &KeyPath, expected: &str, value: &Value) -> EntryProblem {
    let remedy = match (expected, value) {
        ("a string", Value::Integer(_) | Value::Float(_) | Value::Boolean(_)) => {
            "; write quotation marks around it"
        }
        ("a list", Value::String(_)) => {
            "; write it in square brackets, each argument or value as an item of its own"
        }
        ("a table" | "an object", Value::List(_) | Value::String(_)) => {
            "; write a name and a value for each"
        }
        ("true or false", Value::String(_)) => "; write it without quotation marks",
        ("a number" | "a whole number", Value::String(_)) => "; write it without quotation marks",
        _ => "",
    };
    path.problem(format!(
        "must be {expected}, not {}{remedy}",
        value.type_description(path.table())
    ))
}
