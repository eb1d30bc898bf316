//! Parses TOML into [`Spanned`] values. Only the parts that a caller asks for are converted.

mod remedy;

use std::path::Path;

use toml_edit::{Item, TableLike};

use super::{LineIndex, Spanned, Value};
use crate::error::{ConfigurationError, ConfigurationErrorKind};

/// The maximum number of lines, commas, dots and opening brackets, and so of values and tables. Each one takes up to 1,200 bytes of memory.
const MAX_VALUES: usize = 100_000;

/// A TOML text.
pub(crate) struct Document<'a> {
    source: &'a str,
    lines: LineIndex<'a>,
    document: toml_edit::Document<&'a str>,
}

impl<'a> Document<'a> {
    /// Parses a text. Fails with [`ConfigurationErrorKind::Syntax`] if it is not valid TOML.
    pub fn parse(source: &'a str, path: &Path) -> Result<Self, ConfigurationError> {
        let separators = source.bytes().filter(|byte| b"\n,.[{".contains(byte));
        if separators.count() > MAX_VALUES {
            let problem = format!(
                "the file has more than {MAX_VALUES} lines, commas, dots and brackets, the limit for a configuration; remove some, or check the path"
            );
            let kind = ConfigurationErrorKind::TooLarge;
            return Err(ConfigurationError::new(kind, path, &problem));
        }
        let lines = LineIndex::new(source);
        match toml_edit::Document::parse(source) {
            Ok(document) => Ok(Self {
                source,
                lines,
                document,
            }),
            Err(error) => Err(syntax_error(path, &lines, &error)),
        }
    }

    /// Returns the value of a key of the root.
    pub fn get(&self, key: &str) -> Option<Spanned> {
        let (key, item) = self.document.as_table().get_key_value(key)?;
        Some(Spanned {
            line: key.span().map(|span| self.lines.line(span.start)),
            value: self.item(item),
        })
    }

    /// Returns the names of the keys of the root, in the order of the file.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.document.as_table().iter().map(|(name, _)| name)
    }

    /// Returns the value of a key of the root as it is written in the file, if it is written in one piece.
    pub fn source_text(&self, key: &str) -> Option<&'a str> {
        let span = self.document.as_table().get(key)?.span()?;
        self.source.get(span)
    }

    fn item(&self, item: &Item) -> Value {
        match item {
            Item::None => Value::Unsupported("nothing"),
            Item::Value(value) => self.value(value),
            Item::Table(table) => self.table(table),
            Item::ArrayOfTables(tables) => Value::List(
                tables
                    .iter()
                    .map(|table| Spanned {
                        line: table.span().map(|span| self.lines.line(span.start)),
                        value: self.table(table),
                    })
                    .collect(),
            ),
        }
    }

    fn value(&self, value: &toml_edit::Value) -> Value {
        match value {
            toml_edit::Value::String(text) => Value::String(text.value().clone()),
            toml_edit::Value::Integer(number) => Value::Integer(*number.value()),
            toml_edit::Value::Float(number) => Value::Float(*number.value()),
            toml_edit::Value::Boolean(boolean) => Value::Boolean(*boolean.value()),
            toml_edit::Value::Datetime(_) => Value::Unsupported("a date"),
            toml_edit::Value::Array(items) => Value::List(
                items
                    .iter()
                    .map(|item| Spanned {
                        line: item.span().map(|span| self.lines.line(span.start)),
                        value: self.value(item),
                    })
                    .collect(),
            ),
            toml_edit::Value::InlineTable(table) => self.table(table),
        }
    }

    fn table(&self, table: &dyn TableLike) -> Value {
        Value::Table(
            table
                .iter()
                .map(|(name, item)| {
                    let span = table.key(name).and_then(|key| key.span());
                    let spanned = Spanned {
                        line: span.map(|span| self.lines.line(span.start)),
                        value: self.item(item),
                    };
                    (name.to_owned(), spanned)
                })
                .collect(),
        )
    }
}

/// Uses only the message of the TOML error. The error's `Display` quotes the line, which may hold a token.
fn syntax_error(
    path: &Path,
    lines: &LineIndex<'_>,
    error: &toml_edit::TomlError,
) -> ConfigurationError {
    let offset = error.span().map_or(0, |span| span.start);
    let (line, column) = lines.line_and_column(offset);
    let problem = remedy::describe(lines.text(), offset, error.message());
    let problem = format!("not valid TOML: {problem}");
    ConfigurationError::at(
        ConfigurationErrorKind::Syntax,
        path,
        (line, Some(column)),
        &problem,
    )
}
