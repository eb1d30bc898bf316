//! Parses YAML into [`Spanned`] values, as the YAML 1.2 libraries of the clients do: one document, and no key twice.
//!
//! Memory and time are limited for any text: the depth of the values, and their total size after aliases are replaced.

mod remedy;
mod scalar;

use std::collections::HashMap;
use std::path::Path;

use granit_parser::{Event, Marker, Parser, ScanError, Tag};

use super::{Spanned, Value};
use crate::error::{ConfigurationError, ConfigurationErrorKind};

/// The maximum depth of lists and tables, after aliases are replaced.
const MAX_DEPTH: usize = 100;

/// The maximum total size of the values after aliases are replaced: 32 MiB. A file with 10,000 servers needs about half.
const MAX_TOTAL_SIZE: usize = 32 * 1024 * 1024;

/// The size of a value and its key without their text.
const SIZE_OF_VALUE: usize = 64;

/// Whether the key `<<` merges another table into its table.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum MergeKey {
    /// As in YAML 1.1 and js-yaml.
    Applied,
    /// As in YAML 1.2: it is a key as any other.
    Ignored,
}

/// A YAML text whose root is a table, or an empty text.
pub(crate) struct Document {
    fields: Vec<(String, Spanned)>,
}

impl Document {
    /// Parses a text. Fails with [`ConfigurationErrorKind::Syntax`] if it is not one YAML document with a table.
    pub fn parse(
        source: &str,
        path: &Path,
        merge_key: MergeKey,
    ) -> Result<Self, ConfigurationError> {
        parse_root(source, merge_key)
            .map(|fields| Self { fields })
            .map_err(|fault| {
                ConfigurationError::at(
                    ConfigurationErrorKind::Syntax,
                    path,
                    (fault.line, Some(fault.column)),
                    &format!("not valid YAML: {}", fault.problem),
                )
            })
    }

    /// Returns the keys of the root and their values, in the order of the file.
    pub fn into_fields(self) -> Vec<(String, Spanned)> {
        self.fields
    }
}

/// A mistake in a text and its place.
struct Fault {
    line: u32,
    column: u32,
    problem: String,
}

impl Fault {
    fn new(at: &Marker, problem: impl Into<String>) -> Self {
        Self {
            line: line_of(at),
            column: number(at.col() + 1),
            problem: problem.into(),
        }
    }

    fn of_parser(source: &str, error: &ScanError) -> Self {
        let at = error.marker();
        let offset = at.byte_offset().unwrap_or_else(|| {
            let mut characters = source.char_indices();
            characters
                .nth(at.index())
                .map_or(source.len(), |(offset, _)| offset)
        });
        Self::new(at, remedy::describe(source, offset, error.kind()))
    }
}

fn number(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn line_of(at: &Marker) -> u32 {
    number(at.line())
}

fn parse_root(source: &str, merge_key: MergeKey) -> Result<Vec<(String, Spanned)>, Fault> {
    let options = granit_parser::options! {
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    let mut builder = Builder::new(merge_key);
    let mut documents = 0;
    for event in Parser::new_from_str_with_options(source, options) {
        let (event, span) = event.map_err(|error| Fault::of_parser(source, &error))?;
        if let Event::DocumentStart(..) = event {
            documents += 1;
            if documents > 1 {
                let problem =
                    "a second document begins here; remove it, and the line `---` before it";
                return Err(Fault::new(&span.start, problem));
            }
        }
        builder.add(event, &span.start)?;
    }
    match builder.root {
        None => Ok(Vec::new()),
        Some((node, at)) => match node.value {
            Value::Table(fields) => Ok(fields),
            Value::Unsupported("null") => Ok(Vec::new()),
            _ => {
                let problem = "the file must have keys and values; write each as `key: value`, with a space after the colon";
                Err(Fault::new(&at, problem))
            }
        },
    }
}

/// A value, with its size and depth for the limits.
#[derive(Clone)]
struct Node {
    value: Value,
    size: usize,
    depth: usize,
}

impl Node {
    fn scalar(value: Value, text: &str) -> Self {
        Self {
            value,
            size: SIZE_OF_VALUE + text.len(),
            depth: 0,
        }
    }
}

/// A list or a table whose end is not reached yet.
struct Open {
    contents: Contents,
    anchor: usize,
    is_supported: bool,
    at: Marker,
    size: usize,
    depth: usize,
}

enum Contents {
    List(Vec<Spanned>),
    Table {
        fields: Vec<(String, Spanned)>,
        positions: HashMap<String, usize>,
        /// The key whose value comes next.
        key: Option<Key>,
        /// The tables that `<<` merges into this one.
        merged: Vec<Value>,
    },
}

struct Key {
    name: String,
    at: Marker,
    merges: bool,
}

/// Builds the values from the events of the parser, without recursion.
struct Builder {
    merge_key: MergeKey,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    root: Option<(Node, Marker)>,
    total_size: usize,
}

impl Builder {
    fn new(merge_key: MergeKey) -> Self {
        Self {
            merge_key,
            open: Vec::new(),
            anchors: HashMap::new(),
            root: None,
            total_size: 0,
        }
    }

    fn add(&mut self, event: Event<'_>, at: &Marker) -> Result<(), Fault> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let value = scalar::value(&text, style, tag.as_deref());
                let node = Node::scalar(value, &text);
                self.spend(node.size, at)?;
                // A key is the text as it is written, also if it looks like a number.
                let key = self.expects_key().then(|| {
                    let is_plain = style == granit_parser::ScalarStyle::Plain;
                    Key {
                        merges: self.merge_key == MergeKey::Applied && is_plain && text == "<<",
                        name: text.into_owned(),
                        at: *at,
                    }
                });
                self.define(anchor, &node, at)?;
                match key {
                    Some(key) => self.add_key(key),
                    None => self.add_value(node, at),
                }
            }
            Event::SequenceStart(_, anchor, tag) => {
                let is_supported = is_tag_of(tag.as_deref(), "seq");
                self.begin(Contents::List(Vec::new()), anchor, is_supported, at)
            }
            Event::MappingStart(_, anchor, tag) => {
                let contents = Contents::Table {
                    fields: Vec::new(),
                    positions: HashMap::new(),
                    key: None,
                    merged: Vec::new(),
                };
                self.begin(contents, anchor, is_tag_of(tag.as_deref(), "map"), at)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(id) => self.add_alias(id, at),
            _ => Ok(()),
        }
    }

    /// Counts the size of a value, and fails if there are too many.
    fn spend(&mut self, size: usize, at: &Marker) -> Result<(), Fault> {
        self.total_size = self.total_size.saturating_add(size);
        match self.total_size <= MAX_TOTAL_SIZE {
            true => Ok(()),
            false => Err(Fault::new(
                at,
                "the file has too many values, or aliases (`*name`) that repeat too many; remove some",
            )),
        }
    }

    fn expects_key(&self) -> bool {
        let contents = self.open.last().map(|open| &open.contents);
        matches!(contents, Some(Contents::Table { key: None, .. }))
    }

    /// Keeps a copy of a value for its aliases.
    fn define(&mut self, anchor: usize, node: &Node, at: &Marker) -> Result<(), Fault> {
        if anchor != 0 {
            self.spend(node.size, at)?;
            self.anchors.insert(anchor, node.clone());
        }
        Ok(())
    }

    fn add_alias(&mut self, id: usize, at: &Marker) -> Result<(), Fault> {
        let Some(node) = self.anchors.get(&id) else {
            let problem =
                "an alias (`*name`) within the value of its own anchor (`&name`); remove it";
            return Err(Fault::new(at, problem));
        };
        let (size, depth) = (node.size, node.depth);
        if self.open.len() + depth > MAX_DEPTH {
            return Err(Fault::new(at, remedy::TOO_DEEP));
        }
        self.spend(size, at)?;
        let Some(node) = self.anchors.get(&id).cloned() else {
            return Ok(());
        };
        match (self.expects_key(), node.value) {
            (true, Value::String(name)) => self.add_key(Key {
                name,
                at: *at,
                merges: false,
            }),
            (true, _) => Err(Fault::new(at, NO_TEXT_KEY)),
            (false, value) => self.add_value(Node { value, ..node }, at),
        }
    }

    fn begin(
        &mut self,
        contents: Contents,
        anchor: usize,
        is_supported: bool,
        at: &Marker,
    ) -> Result<(), Fault> {
        if self.expects_key() {
            return Err(Fault::new(at, NO_TEXT_KEY));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(Fault::new(at, remedy::TOO_DEEP));
        }
        self.spend(SIZE_OF_VALUE, at)?;
        self.open.push(Open {
            contents,
            anchor,
            is_supported,
            at: *at,
            size: SIZE_OF_VALUE,
            depth: 1,
        });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Fault> {
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        let mut value = match open.contents {
            Contents::List(items) => Value::List(items),
            Contents::Table {
                mut fields,
                mut positions,
                merged,
                ..
            } => {
                for table in merged {
                    let Value::Table(others) = table else {
                        continue;
                    };
                    for (name, value) in others {
                        if !positions.contains_key(&name) {
                            positions.insert(name.clone(), fields.len());
                            fields.push((name, value));
                        }
                    }
                }
                Value::Table(fields)
            }
        };
        if !open.is_supported {
            value = Value::Unsupported("a value with a tag");
        }
        let node = Node {
            value,
            size: open.size,
            depth: open.depth,
        };
        self.define(open.anchor, &node, &open.at)?;
        self.add_value(node, &open.at)
    }

    fn add_key(&mut self, new: Key) -> Result<(), Fault> {
        let Some(open) = self.open.last_mut() else {
            return Ok(());
        };
        open.size += new.name.len();
        if let Contents::Table {
            fields,
            positions,
            key,
            ..
        } = &mut open.contents
        {
            if let Some(at) = positions.get(&new.name).filter(|_| !new.merges) {
                let first = fields.get(*at).and_then(|(_, value)| value.line);
                let problem = format!(
                    "this key is also in line {}; a key may occur only once: remove one of them",
                    first.unwrap_or_default()
                );
                return Err(Fault::new(&new.at, problem));
            }
            *key = Some(new);
        }
        Ok(())
    }

    /// Adds a value to the list or table that it is in.
    fn add_value(&mut self, node: Node, at: &Marker) -> Result<(), Fault> {
        let Some(open) = self.open.last_mut() else {
            self.root = Some((node, *at));
            return Ok(());
        };
        open.size = open.size.saturating_add(node.size);
        open.depth = open.depth.max(node.depth + 1);
        match &mut open.contents {
            Contents::List(items) => items.push(Spanned {
                line: Some(line_of(at)),
                value: node.value,
            }),
            Contents::Table {
                fields,
                positions,
                key,
                merged,
            } => match key.take() {
                Some(key) if key.merges => merged.extend(tables(node.value, at)?),
                Some(key) => {
                    positions.insert(key.name.clone(), fields.len());
                    let line = Some(line_of(&key.at));
                    let value = node.value;
                    fields.push((key.name, Spanned { line, value }));
                }
                None => {}
            },
        }
        Ok(())
    }
}

const NO_TEXT_KEY: &str = "a key must be text, not a list or a table; if it begins with a bracket, write quotation marks around it";

/// The tables that `<<` merges: one, or a list.
fn tables(value: Value, at: &Marker) -> Result<Vec<Value>, Fault> {
    let tables = match value {
        Value::Table(_) => vec![value],
        Value::List(items) => items.into_iter().map(|item| item.value).collect(),
        _ => Vec::new(),
    };
    let is_valid = tables.iter().all(|table| matches!(table, Value::Table(_)));
    match is_valid && !tables.is_empty() {
        true => Ok(tables),
        false => Err(Fault::new(
            at,
            "the value of `<<` must be a table, or a list of tables",
        )),
    }
}

/// Whether a list or table has no tag, or the one for its own type.
fn is_tag_of(tag: Option<&Tag>, name: &str) -> bool {
    tag.is_none_or(|tag| tag.is_yaml_core_schema_tag(name) || scalar::is_without_meaning(tag))
}

#[cfg(test)]
mod tests;
