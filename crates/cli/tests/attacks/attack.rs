//! The rows of `tests/attacks`. Its README describes the fields.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::content::Text;

/// The files of `tests/attacks`.
const FILES: [(&str, &str); 5] = [
    (
        "masking",
        include_str!("../../../../tests/attacks/masking.json"),
    ),
    (
        "token-replies",
        include_str!("../../../../tests/attacks/token-replies.json"),
    ),
    (
        "floods",
        include_str!("../../../../tests/attacks/floods.json"),
    ),
    (
        "discovery",
        include_str!("../../../../tests/attacks/discovery.json"),
    ),
    (
        "responses",
        include_str!("../../../../tests/attacks/responses.json"),
    ),
];

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Attack {
    pub name: String,
    /// Each transport is a case.
    pub over: Vec<Transport>,
    /// How many hostile servers there are.
    #[serde(default = "one")]
    pub copies: usize,
    #[serde(default)]
    pub entry: Entry,
    /// Whether the MCP endpoint requires a token.
    #[serde(default)]
    pub requires_token: bool,
    /// The user's stored sign-in, with the fields of a record that replace the usual ones.
    pub stored: Option<BTreeMap<String, Value>>,
    /// The answers that differ from those of a working server, by request.
    #[serde(default)]
    pub sends: BTreeMap<String, Answer>,
    pub expect: Expect,
}

fn one() -> usize {
    1
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Transport {
    Http,
    Stdio,
}

impl Transport {
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Stdio => "stdio",
        }
    }
}

/// The configuration entry of the hostile server.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Entry {
    pub url: Option<Text>,
    /// JSON templates for the headers and the environment variables.
    pub headers: Option<Value>,
    pub env: Option<Value>,
    pub timeout_seconds: Option<u64>,
}

/// An answer of the server, in the order of its fields. Without a body or messages, it is the answer of a working server.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Answer {
    /// Text in place of the head of an HTTP response.
    pub raw: Option<Text>,
    pub status: Option<u16>,
    #[serde(rename = "type")]
    pub content_type: Option<String>,
    /// Header lines.
    pub headers: Option<Text>,
    pub redirect: Option<String>,
    /// The body: JSON, or text.
    pub json: Option<Value>,
    pub text: Option<Text>,
    /// JSON-RPC messages: events over HTTP, lines over stdio.
    #[serde(default)]
    pub messages: Vec<Text>,
    /// A message that is sent again and again until the client closes the connection, with a number in place of `{n}`.
    pub flood: Option<Text>,
    /// Text that is sent again and again, without a frame.
    pub stream: Option<Text>,
    /// Text that is sent a byte at a time, 100 each second, again and again.
    pub drip: Option<String>,
    /// Whether the server sends nothing more and leaves the connection open.
    #[serde(default)]
    pub hang: bool,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Expect {
    pub verdict: Verdict,
    /// A part of the failure's message.
    pub message: Option<String>,
    pub max_seconds: f64,
    /// Above the peak memory of a check of the working servers.
    #[serde(default = "max_peak_mb")]
    pub max_peak_mb: f64,
    /// The number of requests that a hostile server may receive.
    #[serde(default = "max_requests")]
    pub max_requests: usize,
    /// The maximum size of the report.
    #[serde(default = "max_report_kb")]
    pub max_report_kb: usize,
}

fn max_peak_mb() -> f64 {
    80.0
}

fn max_requests() -> usize {
    30
}

fn max_report_kb() -> usize {
    200
}

/// `ready`, `any failure`, `any`, or the kinds of failure that are allowed.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
pub enum Verdict {
    One(String),
    AnyOf(Vec<String>),
}

impl Verdict {
    /// `kind` is `None` if the server is ready.
    pub fn allows(&self, kind: Option<&str>) -> bool {
        let allowed = match self {
            Self::One(allowed) => std::slice::from_ref(allowed),
            Self::AnyOf(allowed) => allowed,
        };
        allowed.iter().any(|allowed| match allowed.as_str() {
            "any" => true,
            "any failure" => kind.is_some(),
            "ready" => kind.is_none(),
            allowed => kind == Some(allowed),
        })
    }
}

/// The rows of one file.
pub fn attacks(file: &str) -> Vec<Attack> {
    let (_, text) = FILES.iter().find(|(name, _)| *name == file).unwrap();
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{file}.json: {error}"))
}

pub fn all() -> Vec<Attack> {
    let files = FILES.iter();
    files.flat_map(|(name, _)| attacks(name)).collect()
}

/// The row with this name.
pub fn named(name: &str) -> Attack {
    let mut rows = all().into_iter();
    let found = rows.find(|attack| attack.name == name);
    found.unwrap_or_else(|| panic!("no attack is named `{name}`"))
}

#[test]
fn attack_names_are_unique() {
    let mut names: Vec<_> = all().into_iter().map(|attack| attack.name).collect();
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count);
}
