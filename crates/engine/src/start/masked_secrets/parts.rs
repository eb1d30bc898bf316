//! The secrets within a value: the strings of JSON, the entries of a list, `name=value` of a connection string, the password of `user:password`,
//! and each of these in base64. A server may repeat one of them without the rest.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use mcp_startup_auth::Mask;
use serde_json::Value;

use super::{SHORTEST_PART, names_a_secret};

/// How deep a value is read, as JSON in base64 in JSON.
const DEPTH: usize = 4;
/// A larger value has no parts. The mask has a limit for all secrets together.
const MAX_BYTES: usize = 16 * 1024;
/// The characters between the entries of a list, the cookies of a header and the pairs of a connection string.
const SEPARATORS: [char; 4] = [',', ';', '|', '&'];
/// The ends of names that seem to indicate a secret, but whose values have ordinary words: `OAUTH_SCOPES`, `AUTH_TYPE`, `GIT_AUTHOR_NAME`.
const OF_ORDINARY_VALUES: [&str; 39] = [
    "scope",
    "scopes",
    "url",
    "uri",
    "urls",
    "uris",
    "type",
    "types",
    "method",
    "methods",
    "mode",
    "path",
    "paths",
    "file",
    "files",
    "dir",
    "sock",
    "server",
    "servers",
    "issuer",
    "endpoint",
    "audience",
    "provider",
    "providers",
    "message",
    "domains",
    "name",
    "names",
    "user",
    "username",
    "email",
    "id",
    "host",
    "region",
    "version",
    "realm",
    "tenant",
    "command",
    "script",
];
/// Base64 and base64url, with padding or without.
const DECODERS: [GeneralPurpose; 2] = [decoder(&alphabet::STANDARD), decoder(&alphabet::URL_SAFE)];

const fn decoder(alphabet: &alphabet::Alphabet) -> GeneralPurpose {
    let config = GeneralPurposeConfig::new();
    let config = config.with_decode_padding_mode(DecodePaddingMode::Indifferent);
    GeneralPurpose::new(alphabet, config)
}

/// Which parts of a value are secrets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    /// Those whose own name indicates a secret: `password=abc`, or a member `apiKey` of JSON.
    NamedSecrets,
    /// Those, and all strings of JSON: the value is sent to the server for its configuration.
    SecretsInJson,
    /// All parts: the name of the whole value indicates a secret.
    Secrets,
}

impl Holds {
    /// The parts that are secrets in a variable, an argument or a member with this name.
    pub(super) fn of(name: &str) -> Self {
        match names_a_secret(name) && !has_ordinary_values(name) {
            true => Self::Secrets,
            false => Self::NamedSecrets,
        }
    }

    /// The parts that are secrets in a header or a parameter of the URL with this name.
    pub(super) fn of_sent(name: &str) -> Self {
        match Self::of(name) {
            Self::Secrets => Self::Secrets,
            _ => Self::SecretsInJson,
        }
    }
}

fn has_ordinary_values(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let last = name.rsplit(['_', '-', '.']).next();
    last.is_some_and(|last| OF_ORDINARY_VALUES.contains(&last))
}

/// Adds the secrets within the value, and not the value itself. Takes linear time.
pub(super) fn add(mask: &mut Mask, value: &str, holds: Holds) {
    if value.len() <= MAX_BYTES {
        add_within(mask, value, holds, DEPTH);
    }
}

/// Adds a part, and the secrets within it.
fn add_part(mask: &mut Mask, part: &str, holds: Holds, depth: usize) {
    let part = unquoted(part);
    if part.len() >= SHORTEST_PART {
        mask.add(part);
        add_within(mask, part, holds, depth - 1);
    }
}

fn add_within(mask: &mut Mask, value: &str, holds: Holds, depth: usize) {
    if depth == 0 || value.len() < SHORTEST_PART {
        return;
    }
    let value = value.trim();
    if value.starts_with(['{', '['])
        && let Ok(json) = serde_json::from_str::<Value>(value)
    {
        let holds = match holds {
            Holds::SecretsInJson => Holds::Secrets,
            holds => holds,
        };
        return add_strings(mask, &json, holds, depth);
    }
    let plain = unquoted(value);
    if plain.len() < value.len() {
        if holds == Holds::Secrets {
            mask.add(plain);
        }
        return add_within(mask, plain, holds, depth - 1);
    }
    // A PEM file in a variable has its line breaks as escapes.
    if value.contains("\\n") && (holds == Holds::Secrets || value.starts_with("-----BEGIN")) {
        mask.add(&value.replace("\\r", "").replace("\\n", "\n"));
    }
    if holds != Holds::NamedSecrets
        && let Some(text) = decoded(value)
    {
        add_within(mask, &text, holds, depth - 1);
    }
    let is_separator =
        |character: char| character.is_whitespace() || SEPARATORS.contains(&character);
    let mut entries = value
        .split(is_separator)
        .filter(|entry| !entry.is_empty())
        .peekable();
    let mut is_list = false;
    while let Some(entry) = entries.next() {
        is_list |= entries.peek().is_some();
        add_entry(mask, entry, is_list, holds, depth);
    }
}

/// Adds the secrets of one entry of a value: `name=secret`, `name:secret`, or the entry itself if there are others.
fn add_entry(mask: &mut Mask, entry: &str, is_list: bool, holds: Holds, depth: usize) {
    if entry.len() < SHORTEST_PART {
        return;
    }
    if entry.contains("://") {
        return super::add_parts_of_url(mask, entry);
    }
    if let Some((name, secret)) = entry.split_once(['=', ':'])
        && !secret.trim_matches('=').is_empty()
    {
        // `PWD` is the folder of a shell, and a password in a connection string.
        let is_password = name.trim().eq_ignore_ascii_case("pwd") && !secret.starts_with('/');
        if holds == Holds::Secrets || is_password || Holds::of(name) == Holds::Secrets {
            add_part(mask, secret, Holds::Secrets, depth);
        }
        return;
    }
    if is_list && holds == Holds::Secrets {
        add_part(mask, entry, holds, depth);
    }
}

/// Adds the strings of JSON that are secrets.
fn add_strings(mask: &mut Mask, json: &Value, holds: Holds, depth: usize) {
    match json {
        Value::String(text) if holds == Holds::Secrets => add_part(mask, text, holds, depth),
        Value::String(text) => add_within(mask, text, holds, depth - 1),
        Value::Array(values) => {
            for value in values {
                add_strings(mask, value, holds, depth);
            }
        }
        Value::Object(members) => {
            for (name, value) in members {
                let holds = match has_ordinary_values(name) {
                    true => Holds::NamedSecrets,
                    false if names_a_secret(name) => Holds::Secrets,
                    false => holds,
                };
                add_strings(mask, value, holds, depth);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The text without the quotation marks or braces around it, as in `Pwd={abc}`.
fn unquoted(text: &str) -> &str {
    let text = text.trim();
    let pairs = [('"', '"'), ('\'', '\''), ('`', '`'), ('{', '}')];
    let mut inner = pairs
        .iter()
        .filter_map(|(first, last)| text.strip_prefix(*first)?.strip_suffix(*last));
    inner.next().unwrap_or(text)
}

/// The text that is encoded in base64, if it is `user:password` or JSON.
fn decoded(value: &str) -> Option<String> {
    let bytes = DECODERS
        .iter()
        .find_map(|decoder| decoder.decode(value).ok())?;
    let text = String::from_utf8(bytes).ok()?;
    let has_parts = text.starts_with(['{', '[']) || text.contains(':');
    (has_parts && !text.contains(|character: char| character.is_control() && character != '\n'))
        .then_some(text)
}
