//! How a scenario describes a program on stdin and stdout, step by step.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Era;

/// The behavior of a scenario's program on stdin and stdout. The defaults describe a correct legacy server.
///
/// ```
/// use mcp_startup_lab::{Step, StdioBehaviour};
/// let behaviour: StdioBehaviour = serde_json::from_str(
///     r#"{ "on": { "initialize": [{ "stderr": "out of luck\n" }, { "exit": 3 }] } }"#,
/// ).unwrap();
/// assert_eq!(behaviour.on["initialize"][1], Step::Exit(3));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct StdioBehaviour {
    /// The era of the protocol that the program speaks.
    pub era: Era,
    /// The only protocol version that the program offers and accepts, instead of the versions of its era.
    pub protocol_version: Option<String>,
    /// The number of tools that the program lists.
    pub tools: u32,
    /// The steps before the program reads its first message.
    pub first: Vec<Step>,
    /// The steps for a message with a given method, instead of the usual answer. With no steps, the program stays silent.
    pub on: BTreeMap<String, Vec<Step>>,
    /// The steps for a request whose method the era does not have. `["answer"]` sends the error -32601.
    pub on_unknown_method: Vec<Step>,
}

impl Default for StdioBehaviour {
    fn default() -> Self {
        Self {
            era: Era::default(),
            protocol_version: None,
            tools: 1,
            first: Vec::new(),
            on: BTreeMap::new(),
            on_unknown_method: vec![Step::Answer],
        }
    }
}

/// One action of a program.
///
/// ```
/// use mcp_startup_lab::Step;
/// let steps: Vec<Step> = serde_json::from_str(r#"[{ "waitMs": 50 }, "answer"]"#).unwrap();
/// assert_eq!(steps, [Step::WaitMs(50), Step::Answer]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Step {
    /// Send the answer of the program's era.
    Answer,
    /// Wait this many milliseconds.
    WaitMs(u64),
    /// Write the text to stderr.
    Stderr(String),
    /// Write the text and a line break to stdout.
    Line(String),
    /// Write this many bytes to stdout, in lines that are not JSON.
    JunkBytes(u64),
    /// Write to stdout forever, without a line break.
    EndlessLine,
    /// Exit with this code.
    Exit(u8),
}
