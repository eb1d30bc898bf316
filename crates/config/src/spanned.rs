//! The values of a configuration file with the line of each, independent of the format. Knows no key of any client.

pub(crate) mod json;
mod key_path;
mod line_index;
mod mistakes;
mod table;
pub(crate) mod toml;

pub(crate) use key_path::KeyPath;
pub(crate) use table::{Field, Table};

use line_index::LineIndex;

/// A value and its line. It has no `Debug` because the value may be a secret.
pub(crate) struct Spanned {
    /// The line of the value, or of its key for an entry of a TOML table. Counted from 1.
    pub line: Option<u32>,
    pub value: Value,
}

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
    /// Describes the type for a message, for example `a string`.
    fn type_description(&self) -> &'static str {
        match self {
            Self::String(_) => "a string",
            Self::Integer(_) | Self::Float(_) => "a number",
            Self::Boolean(_) => "a boolean",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
            Self::Unsupported(description) => description,
        }
    }
}
