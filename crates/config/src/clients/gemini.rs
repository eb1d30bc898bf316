//! The lists with which Gemini CLI and Qwen Code allow servers and turn them off, and Gemini CLI's trusted folders.
//!
//! Sources: `docs/tools/mcp-server.md` and `docs/cli/trusted-folders.md` in <https://github.com/google-gemini/gemini-cli>, and
//! `docs/users/features/mcp.md` in <https://github.com/QwenLM/qwen-code>.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use super::client::Client;
use super::places::Places;
use super::profile::{FileFormat, Scope};
use super::reading::{self, MAX_BYTES, MAX_DEPTH};
use super::{ClientFile, ClientServer};
use crate::spanned::{Value, json};

/// Applies `mcp.allowed`, `mcp.excluded` and the file of switches to the servers of all files.
pub(super) fn apply_lists(client: Client, places: &Places<'_>, files: &mut [ClientFile]) {
    let home = match client {
        Client::QwenCode => ".qwen",
        _ => ".gemini",
    };
    let folder = places.variable("GEMINI_CLI_HOME").or_else(|| places.home());
    let folder = folder.unwrap_or_default().join(home);
    let path = folder.join("mcp-server-enablement.json");
    let switched_off: BTreeSet<String> = read(client, places, &path, |document| {
        let switches = document.members(1).filter(|(_, switch)| {
            let Value::Table(fields) = &switch.value else {
                return false;
            };
            let mut fields = fields.iter();
            fields.any(|(key, value)| {
                key == "enabled" && matches!(value.value, Value::Boolean(false))
            })
        });
        switches.map(|(name, _)| name.to_lowercase()).collect()
    })
    .unwrap_or_default();
    let trusted = match client {
        Client::GeminiCli => is_trusted(places, &folder),
        _ => None,
    };
    for file in files.iter_mut().filter(|file| file.scope == Scope::Project) {
        file.approved = trusted;
    }
    let mut allowed: Option<Names> = None;
    let mut excluded = Vec::new();
    // The client ignores the files of a folder that is not trusted.
    for file in files.iter().filter(|file| file.approved != Some(false)) {
        let lists = read(client, places, &file.path, |document| {
            let list = |key| Names::new(client, strings(document, &["mcp", key]));
            (list("allowed"), list("excluded"))
        });
        if let Some((of_file, more)) = lists {
            // An empty list allows every server.
            allowed = Some(of_file).filter(|names| !names.is_empty()).or(allowed);
            excluded.push(more);
        }
    }
    let switch = |server: &mut ClientServer| {
        let name = server.entry.name.as_str();
        let is_off = allowed.as_ref().is_some_and(|names| !names.contain(name))
            || excluded.iter().any(|names| names.contain(name))
            || switched_off.contains(name.to_lowercase().trim());
        if is_off {
            server.entry.enabled = false;
        }
    };
    files
        .iter_mut()
        .flat_map(|file| &mut file.servers)
        .for_each(switch);
}

/// The names of servers in a list. Gemini CLI compares them regardless of case; Qwen Code has patterns.
struct Names {
    client: Client,
    exact: HashSet<String>,
    patterns: Vec<String>,
}

/// The maximum number of patterns in a list, and the maximum length of a name that is compared with them. A repository can have a file
/// with many of both.
const MAX_PATTERNS: usize = 100;
const MAX_PATTERN_BYTES: usize = 200;

impl Names {
    fn new(client: Client, names: Vec<String>) -> Self {
        let is_pattern = |name: &String| client == Client::QwenCode && name.contains(['*', '?']);
        let (mut patterns, exact): (Vec<_>, Vec<_>) = names.into_iter().partition(is_pattern);
        patterns.retain(|pattern| pattern.len() <= MAX_PATTERN_BYTES);
        patterns.truncate(MAX_PATTERNS);
        let exact = exact.iter().map(|name| Self::normal(client, name));
        Self {
            client,
            exact: exact.collect(),
            patterns,
        }
    }

    fn normal(client: Client, name: &str) -> String {
        match client {
            Client::QwenCode => name.to_owned(),
            _ => name.to_lowercase().trim().to_owned(),
        }
    }

    fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.patterns.is_empty()
    }

    fn contain(&self, name: &str) -> bool {
        let mut patterns = self.patterns.iter();
        self.exact.contains(&Self::normal(self.client, name))
            || name.len() <= MAX_PATTERN_BYTES
                && patterns.any(|pattern| matches_glob(pattern, name))
    }
}

/// Whether the user has trusted the current folder. `None` if the client has no record of it.
fn is_trusted(places: &Places<'_>, folder: &Path) -> Option<bool> {
    let path = folder.join("trustedFolders.json");
    let rules = read(Client::GeminiCli, places, &path, |document| {
        let rules = document.members(0).filter_map(|(folder, level)| {
            let Value::String(level) = level.value else {
                return None;
            };
            Some((PathBuf::from(folder), level))
        });
        rules.collect::<Vec<_>>()
    })?;
    // The rule of the nearest folder counts.
    let folders = places.folder.ancestors();
    let mut decisions = folders.flat_map(|folder| {
        rules
            .iter()
            .filter_map(move |(path, level)| match level.as_str() {
                "TRUST_FOLDER" => (path == folder).then_some(true),
                "TRUST_PARENT" => (path.parent() == Some(folder)).then_some(true),
                "DO_NOT_TRUST" => (path == folder).then_some(false),
                _ => None,
            })
    });
    decisions.next()
}

fn read<T>(
    client: Client,
    places: &Places<'_>,
    path: &Path,
    convert: impl Fn(&json::Document<'_>) -> T,
) -> Option<T> {
    let result = reading::read(places.machine, path, MAX_BYTES, |text| {
        reading::with_json(
            client,
            FileFormat::JsonWithComments,
            path,
            text,
            |document| Ok(convert(document)),
        )
    });
    result?.ok()
}

/// The strings of a list. Other values are skipped.
pub(super) fn strings(document: &json::Document<'_>, keys: &[&str]) -> Vec<String> {
    let Some(Value::List(items)) = document.get_at(keys, MAX_DEPTH).map(|found| found.value) else {
        return Vec::new();
    };
    let items = items.into_iter().filter_map(|item| match item.value {
        Value::String(text) => Some(text),
        _ => None,
    });
    items.collect()
}

/// Whether a name matches a pattern with `*` and `?`, in time that grows with the product of their lengths.
pub(super) fn matches_glob(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut at, mut of_name) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while of_name < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, of_name));
                at += 1;
            }
            Some(byte) if *byte == b'?' || Some(byte) == name.get(of_name) => {
                at += 1;
                of_name += 1;
            }
            _ => match &mut star {
                Some((of_star, matched)) => {
                    *matched += 1;
                    (at, of_name) = (*of_star + 1, *matched);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_matched_with_stars_and_question_marks() {
        let cases = [
            ("*-two", "sse-two", true),
            ("*-two", "sse-twos", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*", "", true),
            ("a*b*c", "axxbyyc", true),
            ("abc", "abc", true),
            ("", "a", false),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(matches_glob(pattern, name), expected, "{pattern} {name}");
        }
    }
}
