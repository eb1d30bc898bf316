//! The values of a configuration file, whatever its format, each with the line it is written on.

use std::collections::HashMap;
use std::hash::Hash;

use crate::error::EntryProblem;
use crate::foreign;

/// One value. It has no `Debug` on purpose: a value may be a secret.
pub(crate) struct Located {
    pub line: Option<u32>,
    pub value: Value,
}

pub(crate) enum Value {
    Text(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    List(Vec<Located>),
    /// In the file's order; every key once.
    Table(Vec<(String, Located)>),
    /// Something that no key of a server takes; the text says what.
    Other(&'static str),
}

impl Value {
    fn described(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Integer(_) | Self::Float(_) => "a number",
            Self::Boolean(_) => "a boolean",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
            Self::Other(described) => described,
        }
    }
}

/// A key, and the line where it stands: what every problem names.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    key: String,
    line: Option<u32>,
}

impl Place {
    /// A place in no file. `key` is shown as it is.
    pub fn in_code(key: &str) -> Self {
        Self {
            key: key.to_owned(),
            line: None,
        }
    }

    pub fn child(&self, name: &str, line: Option<u32>) -> Self {
        Self {
            key: format!("{}.{}", self.key, foreign::key_segment(name)),
            line: line.or(self.line),
        }
    }

    fn item(&self, index: usize, line: Option<u32>) -> Self {
        Self {
            key: format!("{}[{index}]", self.key),
            line: line.or(self.line),
        }
    }

    pub fn problem(&self, problem: impl Into<String>) -> EntryProblem {
        EntryProblem {
            key: self.key.clone(),
            line: self.line,
            problem: problem.into(),
        }
    }
}

/// A value that was found, and where.
pub(crate) struct Found<T> {
    pub value: T,
    pub place: Place,
}

/// A table whose keys are asked for by name and by type. A value of another type is a problem; an absent one is `None`.
pub(crate) struct Entry<'a> {
    pub place: Place,
    fields: &'a [(String, Located)],
}

impl<'a> Entry<'a> {
    pub fn new(place: Place, located: &'a Located) -> Result<Self, EntryProblem> {
        match &located.value {
            Value::Table(fields) => Ok(Self { place, fields }),
            other => Err(wrong_type(&place, "a table", other)),
        }
    }

    fn find(&self, key: &str) -> Option<Found<&'a Value>> {
        self.fields
            .iter()
            .find(|(name, _)| name == key)
            .map(|(name, located)| Found {
                value: &located.value,
                place: self.place.child(name, located.line),
            })
    }

    /// Where `key` stands, if it is there at all.
    pub fn place_of(&self, key: &str) -> Option<Place> {
        self.find(key).map(|found| found.place)
    }

    pub fn places_of(&self, keys: &[&'static str]) -> Vec<(&'static str, Place)> {
        let places = keys.iter().map(|key| Some((*key, self.place_of(key)?)));
        places.flatten().collect()
    }

    pub fn text(&self, key: &str) -> Result<Option<Found<&'a str>>, EntryProblem> {
        self.find(key).map(text).transpose()
    }

    pub fn boolean(&self, key: &str) -> Result<Option<bool>, EntryProblem> {
        self.find(key)
            .map(|found| match found.value {
                Value::Boolean(value) => Ok(*value),
                other => Err(wrong_type(&found.place, "true or false", other)),
            })
            .transpose()
    }

    pub fn number(&self, key: &str) -> Result<Option<Found<f64>>, EntryProblem> {
        self.find(key)
            .map(|found| {
                let value = match found.value {
                    Value::Integer(value) => *value as f64,
                    Value::Float(value) => *value,
                    other => return Err(wrong_type(&found.place, "a number", other)),
                };
                Ok(Found {
                    value,
                    place: found.place,
                })
            })
            .transpose()
    }

    pub fn integer(&self, key: &str) -> Result<Option<Found<i64>>, EntryProblem> {
        self.find(key)
            .map(|found| match found.value {
                Value::Integer(value) => Ok(Found {
                    value: *value,
                    place: found.place,
                }),
                Value::Float(_) => Err(found
                    .place
                    .problem("must be a whole number, not a fraction")),
                other => Err(wrong_type(&found.place, "a whole number", other)),
            })
            .transpose()
    }

    pub fn table(&self, key: &str) -> Result<Option<Entry<'a>>, EntryProblem> {
        self.find(key)
            .map(|found| match found.value {
                Value::Table(fields) => Ok(Entry {
                    place: found.place,
                    fields,
                }),
                other => Err(wrong_type(&found.place, "a table", other)),
            })
            .transpose()
    }

    /// The items of a list. Absent is empty.
    pub fn list(&self, key: &str) -> Result<Vec<Found<&'a Value>>, EntryProblem> {
        let Some(found) = self.find(key) else {
            return Ok(Vec::new());
        };
        match found.value {
            Value::List(items) => Ok(items
                .iter()
                .enumerate()
                .map(|(index, item)| Found {
                    value: &item.value,
                    place: found.place.item(index, item.line),
                })
                .collect()),
            other => Err(wrong_type(&found.place, "a list", other)),
        }
    }

    /// The strings of a list. Absent is empty.
    pub fn texts(&self, key: &str) -> Result<Vec<Found<&'a str>>, EntryProblem> {
        self.list(key)?.into_iter().map(text).collect()
    }

    /// The pairs of a table of strings. Absent is empty.
    pub fn pairs(&self, key: &str) -> Result<Vec<(&'a str, Found<&'a str>)>, EntryProblem> {
        let Some(table) = self.table(key)? else {
            return Ok(Vec::new());
        };
        table
            .fields
            .iter()
            .map(|(name, located)| {
                let found = Found {
                    value: &located.value,
                    place: table.place.child(name, located.line),
                };
                Ok((name.as_str(), text(found)?))
            })
            .collect()
    }
}

/// An item of a list that must be a string.
pub(crate) fn text(found: Found<&Value>) -> Result<Found<&str>, EntryProblem> {
    match found.value {
        Value::Text(value) => Ok(Found {
            value,
            place: found.place,
        }),
        other => Err(wrong_type(&found.place, "a string", other)),
    }
}

/// An item of a list that may be a table.
pub(crate) fn table(found: Found<&Value>) -> Result<Entry<'_>, EntryProblem> {
    match found.value {
        Value::Table(fields) => Ok(Entry {
            place: found.place,
            fields,
        }),
        other => Err(wrong_type(&found.place, "a table", other)),
    }
}

fn wrong_type(place: &Place, expected: &str, found: &Value) -> EntryProblem {
    place.problem(format!("must be {expected}, not {}", found.described()))
}

/// Of the items with one key only the last, where the first stood.
pub(crate) fn last_of_each<T, K: Eq + Hash>(items: Vec<T>, key: impl Fn(&T) -> K) -> Vec<T> {
    let mut kept: Vec<T> = Vec::with_capacity(items.len());
    let mut positions: HashMap<K, usize> = HashMap::new();
    for item in items {
        match positions.get(&key(&item)).and_then(|at| kept.get_mut(*at)) {
            Some(earlier) => *earlier = item,
            None => {
                positions.insert(key(&item), kept.len());
                kept.push(item);
            }
        }
    }
    kept
}

/// Turns a byte offset into a line and a column.
pub(crate) struct Lines<'a> {
    text: &'a str,
    /// The offset at which each line starts.
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub fn new(text: &'a str) -> Self {
        let starts = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        Self { text, starts }
    }

    /// The line of an offset, from 1.
    pub fn line(&self, offset: usize) -> u32 {
        u32::try_from(self.starts.partition_point(|start| *start <= offset)).unwrap_or(u32::MAX)
    }

    /// The line and the column of an offset, both from 1, the column in characters.
    pub fn line_and_column(&self, offset: usize) -> (u32, u32) {
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts.get(line - 1).copied().unwrap_or(0);
        let before = self.text.get(start..offset).unwrap_or_default();
        let column = u32::try_from(before.chars().count() + 1).unwrap_or(u32::MAX);
        (u32::try_from(line).unwrap_or(u32::MAX), column)
    }
}
