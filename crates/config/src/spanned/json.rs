//! Parses JSON into [`Spanned`] values. Only the parts that a caller asks for are converted.

pub(crate) mod lenient;
mod remedy;

use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;

use self::lenient::LenientText;
use super::{KeyPath, LineIndex, Spanned, Value};
use crate::error::{ConfigurationError, ConfigurationErrorKind, EntryProblem};
use crate::server::ServerEntry;

/// How many keys of the root are examined for a server.
const MAX_COMPARED_ROOTS: usize = 100;

/// A longer value of a key of the root is not examined.
const MAX_SERVER_BYTES: usize = 64 * 1024;

/// The maximum number of repeated keys that are reported.
const MAX_REPEATED_KEYS: usize = 20;

/// A key that an object has more than once. The last value is read.
pub(crate) struct RepeatedKey {
    /// The keys from the root.
    pub path: Vec<String>,
    /// The lines of an earlier value and of the last one.
    pub lines: (u32, u32),
    /// Whether the earlier value is an object or a list that is not empty.
    pub has_earlier: bool,
}

impl RepeatedKey {
    /// The warning for the user. `depth` is the number of keys before the name of a server.
    fn warning(&self, depth: usize) -> EntryProblem {
        let (earlier, last) = self.lines;
        let root = KeyPath::of_file(None);
        let keys = self.path.iter().enumerate();
        let path = keys.fold(root, |path, (at, key)| match at == depth {
            true => path.named(key, Some(last)),
            false => path.child(key, Some(last)),
        });
        path.problem(match earlier == last {
            true => format!("this key is repeated in line {last}; only its last value is read"),
            false => format!(
                "this key is in line {earlier} and in line {last}; only the value in line {last} is read"
            ),
        })
    }

    /// The error of a file without servers, if an earlier value of the key at `keys` has some: the last one replaces it.
    pub fn error_without_servers(
        repeated: &[Self],
        keys: &[&str],
        path: &Path,
    ) -> Option<ConfigurationError> {
        let mut outer = repeated.iter();
        let found = outer.find(|key| key.path.len() <= keys.len() && key.has_earlier)?;
        let (earlier, last) = found.lines;
        let key = found.path.join(".");
        let problem = format!(
            "`{key}` is in line {earlier} and in line {last}; only the value in line {last} is read, and it has no servers: write all servers below one `{key}`"
        );
        let kind = ConfigurationErrorKind::NotAConfiguration;
        Some(ConfigurationError::at(kind, path, (last, None), &problem).with_key(&key))
    }

    /// Adds the warnings about the keys of the servers in the table at `keys` to their entries. Returns the other warnings.
    pub fn warn<'a>(
        repeated: &[Self],
        keys: &[&str],
        servers: impl Iterator<Item = &'a mut ServerEntry>,
    ) -> Vec<EntryProblem> {
        let name = |key: &Self| key.path.get(keys.len()).cloned();
        for server in servers {
            let own = repeated
                .iter()
                .filter(|key| name(key).as_ref() == Some(&server.name));
            server
                .warnings
                .extend(own.map(|key| key.warning(keys.len())));
        }
        let others = repeated.iter().filter(|key| name(key).is_none());
        others.map(|key| key.warning(keys.len())).collect()
    }
}

/// A JSON text whose root is an object.
pub(crate) struct Document<'a> {
    source: &'a str,
    lines: LineIndex<'a>,
    root: Object<'a>,
}

impl<'a> Document<'a> {
    /// Parses a text. Fails with [`ConfigurationErrorKind::Syntax`] if it is not a JSON object.
    pub fn parse(text: &'a LenientText<'_>, path: &Path) -> Result<Self, ConfigurationError> {
        let source = &*text.text;
        let lines = LineIndex::new(source);
        match serde_json::from_str(source) {
            Ok(root) => Ok(Self {
                source,
                lines,
                root,
            }),
            Err(error) => Err(syntax_error(path, &lines, error)),
        }
    }

    /// Returns the line of a byte offset.
    pub fn line(&self, offset: usize) -> u32 {
        self.lines.line(offset)
    }

    /// Returns the names of the keys of the root, in the order of the file.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.root.members.iter().map(|(name, _)| name.as_str())
    }

    /// Returns the value of a key of the root. Objects and arrays that are nested deeper than `max_depth` in it are
    /// [`Value::Unsupported`].
    pub fn get(&self, key: &str, max_depth: u8) -> Option<Spanned> {
        let mut members = self.root.members.iter();
        let (_, raw) = members.find(|(name, _)| name == key)?;
        Some(self.spanned(raw, max_depth))
    }

    /// Returns the value at a path of keys from the root. See [`get`](Self::get).
    pub fn get_at(&self, keys: &[&str], max_depth: u8) -> Option<Spanned> {
        let (first, rest) = keys.split_first()?;
        let mut members = self.root.members.iter();
        let (_, found) = members.find(|(name, _)| name == first)?;
        let mut raw: &RawValue = found;
        for key in rest {
            let object: Object<'_> = serde_json::from_str(raw.get()).ok()?;
            let mut members = object.members.into_iter();
            raw = members.find(|(name, _)| name == key)?.1;
        }
        Some(self.spanned(raw, max_depth))
    }

    /// Returns the members of the root. See [`get`](Self::get).
    pub fn members(&self, max_depth: u8) -> impl Iterator<Item = (&str, Spanned)> {
        let members = self.root.members.iter();
        members.map(move |(name, raw)| (name.as_str(), self.spanned(raw, max_depth)))
    }

    /// Returns the members of the object at a path of keys. See [`get`](Self::get).
    pub fn members_at(&self, keys: &[&str], max_depth: u8) -> Vec<(String, Spanned)> {
        match self.get_at(keys, max_depth + 1).map(|found| found.value) {
            Some(Value::Table(fields)) => fields,
            _ => Vec::new(),
        }
    }

    /// Returns the path of the first server that is a key of the root, and not in the table of servers: a brace is in the wrong place. If
    /// the file `is_for_servers`, it has no other settings that start a program.
    pub fn server_beside(&self, own: &[&str], is_for_servers: bool) -> Option<KeyPath> {
        let members = self.root.members.iter().take(MAX_COMPARED_ROOTS);
        let mut others = members.filter(|(name, raw)| {
            !own.contains(&name.as_str()) && raw.get().len() <= MAX_SERVER_BYTES
        });
        others.find_map(|(name, raw)| {
            let found = self.spanned(raw, 1);
            let is_server = is_server(&found.value, is_for_servers);
            is_server.then(|| KeyPath::of_file(None).child(name, found.line))
        })
    }

    /// Returns the keys that the file has more than once: those in `keys`, the path of a table of servers, and those in that table,
    /// to a depth of `max_depth` objects.
    pub fn repeated_keys(&self, keys: &[&str], max_depth: u8) -> Vec<RepeatedKey> {
        let mut found = Vec::new();
        let mut inner;
        let mut object = &self.root;
        let mut path = Vec::new();
        for key in keys {
            self.add_repeated(object, &path, Some(key), &mut found);
            let raw = object.members.iter().find(|(name, _)| name == key);
            let Some(parsed) = raw.and_then(|(_, raw)| serde_json::from_str(raw.get()).ok()) else {
                return found;
            };
            inner = parsed;
            object = &inner;
            path.push((*key).to_owned());
        }
        self.add_all_repeated(object, &mut path, max_depth, &mut found);
        found
    }

    fn add_all_repeated(
        &self,
        object: &Object<'_>,
        path: &mut Vec<String>,
        max_depth: u8,
        found: &mut Vec<RepeatedKey>,
    ) {
        self.add_repeated(object, path, None, found);
        let Some(max_depth) = max_depth.checked_sub(1) else {
            return;
        };
        for (name, raw) in &object.members {
            if raw.get().starts_with('{')
                && let Ok(inner) = serde_json::from_str(raw.get())
            {
                path.push(name.clone());
                self.add_all_repeated(&inner, path, max_depth, found);
                path.pop();
            }
        }
    }

    /// Adds the repeated keys of an object, or only `key`.
    fn add_repeated(
        &self,
        object: &Object<'_>,
        path: &[String],
        key: Option<&str>,
        found: &mut Vec<RepeatedKey>,
    ) {
        let line = |raw: &RawValue| self.lines.line(self.offset(raw));
        for (at, earlier) in &object.repeated {
            let Some((name, last)) = object.members.get(*at) else {
                continue;
            };
            if found.len() < MAX_REPEATED_KEYS && key.is_none_or(|key| key == name) {
                found.push(RepeatedKey {
                    path: path.iter().chain([name]).cloned().collect(),
                    lines: (line(earlier), line(last)),
                    has_earlier: has_content(earlier),
                });
            }
        }
    }

    fn offset(&self, raw: &RawValue) -> usize {
        let start = self.source.as_ptr().addr();
        raw.get().as_ptr().addr().saturating_sub(start)
    }

    /// Returns the line and the column of a byte offset.
    pub fn line_and_column(&self, offset: usize) -> (u32, u32) {
        self.lines.line_and_column(offset)
    }

    /// Converts a value. `raw` is a slice of the source.
    fn spanned(&self, raw: &RawValue, max_depth: u8) -> Spanned {
        let text = raw.get();
        let offset = self.offset(raw);
        Spanned {
            line: Some(self.lines.line(offset)),
            value: self.value(text, max_depth),
        }
    }

    fn value(&self, text: &str, max_depth: u8) -> Value {
        let value = match text.as_bytes().first() {
            Some(b'{' | b'[') if max_depth == 0 => Some(Value::Unsupported("a nested value")),
            Some(b'{') => serde_json::from_str::<Object<'_>>(text).ok().map(|object| {
                let members = object.members.into_iter();
                Value::Table(
                    members
                        .map(|(name, raw)| (name, self.spanned(raw, max_depth - 1)))
                        .collect(),
                )
            }),
            Some(b'[') => serde_json::from_str::<Vec<&RawValue>>(text)
                .ok()
                .map(|items| {
                    let items = items.into_iter();
                    Value::List(items.map(|raw| self.spanned(raw, max_depth - 1)).collect())
                }),
            Some(b'"') => serde_json::from_str(text).ok().map(Value::String),
            Some(b't') => Some(Value::Boolean(true)),
            Some(b'f') => Some(Value::Boolean(false)),
            Some(b'n') => Some(Value::Unsupported("null")),
            _ => serde_json::from_str(text)
                .ok()
                .map(Value::Integer)
                .or_else(|| serde_json::from_str(text).ok().map(Value::Float)),
        };
        // For example, a string with a lone surrogate.
        value.unwrap_or(Value::Unsupported("something that cannot be represented"))
    }
}

/// Whether a value is a server. Other settings have a program too, and no arguments.
fn is_server(value: &Value, is_for_servers: bool) -> bool {
    let Value::Table(fields) = value else {
        return false;
    };
    let text = |name: &str| {
        let (_, field) = fields.iter().find(|(key, _)| key == name)?;
        match &field.value {
            Value::String(text) => Some(text.as_str()),
            _ => None,
        }
    };
    let has = |names: &[&str]| fields.iter().any(|(key, _)| names.contains(&key.as_str()));
    let transport = text("type").or_else(|| text("transport"));
    let is_transport = |word: &str| ["stdio", "http", "sse", "streamable-http"].contains(&word);
    let is_program = text("command").is_some() && (is_for_servers || has(&["args"]));
    let is_http = ["url", "serverUrl", "httpUrl"]
        .iter()
        .any(|key| text(key).is_some_and(|url| url.starts_with("http")));
    let is_http = is_http && (is_for_servers || transport.is_some());
    (is_program || is_http) && transport.is_none_or(is_transport)
}

/// Whether a value is an object or a list that is not empty.
fn has_content(raw: &RawValue) -> bool {
    let text = raw.get();
    let inner = text.strip_prefix(['{', '[']).unwrap_or_default();
    !inner.trim_start().starts_with(['}', ']']) && !inner.is_empty()
}

fn syntax_error(
    path: &Path,
    lines: &LineIndex<'_>,
    error: serde_json::Error,
) -> ConfigurationError {
    let offset = lines.offset(error.line(), error.column());
    let (line, column) = lines.line_and_column(offset);
    let problem = remedy::describe(lines.text(), offset, &error);
    let problem = ConfigurationError::at(
        ConfigurationErrorKind::Syntax,
        path,
        (line, Some(column)),
        &format!("not valid JSON: {problem}"),
    );
    match error.classify() {
        // This error quotes the value.
        Category::Data => problem,
        _ => problem.with_source(error),
    }
}

/// The members of an object in the order of the file. If a name is repeated, the last value takes the position of the
/// first.
struct Object<'a> {
    members: Vec<(String, &'a RawValue)>,
    /// The positions of the repeated names, each with an earlier value.
    repeated: Vec<(usize, &'a RawValue)>,
}

/// The name of a member. Half a surrogate pair in it is read as U+FFFD, so that it affects no other member.
struct Name(String);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl Visitor<'_> for NameVisitor {
            type Value = Name;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Name, E> {
                Ok(Name(String::from_utf8_lossy(bytes).into_owned()))
            }
        }
        // Only as bytes, `serde_json` accepts half a pair.
        deserializer.deserialize_bytes(NameVisitor)
    }
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;
        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Object<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members: Vec<(String, &'de RawValue)> = Vec::new();
                let mut repeated = Vec::new();
                let mut positions: HashMap<String, usize> = HashMap::new();
                while let Some((Name(name), value)) = map.next_entry::<Name, &'de RawValue>()? {
                    let at = *positions.entry(name.clone()).or_insert(members.len());
                    match members.get_mut(at) {
                        Some((_, last)) => repeated.push((at, std::mem::replace(last, value))),
                        None => members.push((name, value)),
                    }
                }
                Ok(Object { members, repeated })
            }
        }
        deserializer.deserialize_map(MembersVisitor)
    }
}
