//! The values of a configuration file with the line of each, independent of the format. Knows no key of any client.

pub(crate) mod json;
mod key_path;
mod line_index;
mod mistakes;
mod table;
pub(crate) mod toml;
pub(crate) mod yaml;

pub(crate) use key_path::KeyPath;
pub(crate) use table::{Field, Table};

use std::collections::HashMap;

use line_index::LineIndex;

/// A value and its line. It has no `Debug` because the value may be a secret.
#[derive(Clone)]
pub(crate) struct Spanned {
    /// The line of the value, or of its key for an entry of a TOML table. Counted from 1.
    pub line: Option<u32>,
    pub value: Value,
}

#[derive(Clone)]
pub(crate) enum Value {
    String(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    List(Vec<Spanned>),
    /// The entries in the order of the file. Each key occurs once.
    Table(Vec<(String, Spanned)>),
    /// A value of a type that no key of a server has. The text describes it for a message.
    Unsupported(&'static str),
}

impl Value {
    /// Describes the type for a message, for example `a string`. `table` is the word of the format for a table.
    fn type_description(&self, table: &'static str) -> &'static str {
        match self {
            Self::String(_) => "a string",
            Self::Integer(_) | Self::Float(_) => "a number",
            Self::Boolean(_) => "a boolean",
            Self::List(_) => "a list",
            Self::Table(_) => table,
            Self::Unsupported(description) => description,
        }
    }
}

/// Merges two values: tables key by key, any other value is replaced by the one of `higher`.
pub(crate) fn merge(lower: Spanned, higher: Spanned) -> Spanned {
    let (Value::Table(mut fields), Value::Table(higher_fields)) = (lower.value, &higher.value)
    else {
        return higher;
    };
    let mut positions: HashMap<String, usize> = fields
        .iter()
        .enumerate()
        .map(|(at, (name, _))| (name.clone(), at))
        .collect();
    for (name, value) in higher_fields {
        let value = value.clone();
        match positions.get(name).and_then(|at| fields.get_mut(*at)) {
            Some((_, earlier)) => {
                let lower = std::mem::replace(&mut earlier.value, Value::Boolean(false));
                let line = earlier.line;
                *earlier = merge(Spanned { line, value: lower }, value);
            }
            None => {
                positions.insert(name.clone(), fields.len());
                fields.push((name.clone(), value));
            }
        }
    }
    Spanned {
        line: higher.line,
        value: Value::Table(fields),
    }
}
