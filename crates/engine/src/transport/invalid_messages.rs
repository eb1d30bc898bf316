//! Finds what is wrong with a message that does not conform to JSON-RPC or to the schema of MCP, so that its author can fix it.
//!
//! The official SDKs for TypeScript, Python and Rust refuse such messages, so this client does too. An invalid answer ends its request
//! immediately: nothing else answers it. Two things are accepted: an ID that is the text of a number, as those SDKs do, and an escape of
//! half a surrogate pair in a string, as the SDK for TypeScript does. Such an escape is read as U+FFFD.

mod members;
#[cfg(test)]
mod tests;

use mcp_startup_auth::network::without_byte_order_mark;
use mcp_startup_core::{json_problem, json_problem_at, json_rpc_error_text};
use rmcp::model::{ErrorData, JsonRpcMessage, RequestId, ServerJsonRpcMessage, ServerRequest};
use serde::de::DeserializeOwned;
use serde_json::Value;

pub(crate) use self::members::AnswerId;
use self::members::{MEMBERS, id_of, members};
use super::short_messages::short_message;

/// Whether a text is the handshake of this client, which the server sends back.
pub(crate) fn is_echo_of_handshake(text: &str) -> bool {
    let methods = ["initialize", "server/discover"];
    if methods.iter().any(|method| text.contains(method))
        && let Received::Message(message) = read_message(text.as_bytes(), true)
        && let JsonRpcMessage::Request(request) = *message
        && let ServerRequest::CustomRequest(sent) = request.request
    {
        return methods.contains(&&*sent.method);
    }
    false
}

/// The first field that does not fit the type, and the problem with it, such as `serverInfo: `version` is missing`. Its path begins
/// at `root`, if there is one. `name` is that of the whole value.
pub(super) fn field_problem<T: DeserializeOwned>(
    name: &str,
    root: &str,
    json: &Value,
) -> Option<String> {
    // A list would be read as the fields of the type, one after another.
    if json.is_array() {
        return Some(format!("{name}: must be an object, not a list"));
    }
    let error = serde_path_to_error::deserialize::<_, T>(json).err()?;
    let problem = json_problem(error.inner());
    Some(match error.path().to_string().as_str() {
        "." => format!("{name}: {problem}"),
        path => format!("{root}{path}: {problem}"),
    })
}

/// A text that the server has sent.
pub(crate) enum Received {
    Message(Box<ServerJsonRpcMessage>),
    InvalidAnswer(InvalidAnswer),
    /// Something that answers no request, such as a line of a log.
    Other,
}

/// An answer that is not a valid message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct InvalidAnswer {
    /// The ID of the request, if it can be read.
    pub id: Option<RequestId>,
    pub problem: String,
}

/// Reads a message, which must be one JSON object. While the server starts, a long one is read as its [`short_message`].
pub(crate) fn read_message(text: &[u8], is_starting: bool) -> Received {
    let text = without_byte_order_mark(text);
    if !may_be_message(text) && !is_answer(text) && !is_batch(text) {
        return Received::Other;
    }
    let mut error = match parse(text, is_starting) {
        Ok(received) => return received,
        Err(error) => error,
    };
    let repaired = without_half_pairs(text);
    let text = match &repaired {
        Some(repaired) => match parse(repaired, is_starting) {
            Ok(received) => return received,
            Err(other) => {
                error = other;
                repaired.as_slice()
            }
        },
        None => text,
    };
    no_message(text, &error)
}

fn parse(text: &[u8], is_starting: bool) -> serde_json::Result<Received> {
    let Some(text) = short_message(text, is_starting) else {
        return serde_json::from_slice(text).map(|message| with_result(message, text));
    };
    let text = text?;
    Ok(match serde_json::from_slice(&text) {
        Ok(message) => with_result(message, &text),
        Err(error) => no_message(&text, &error),
    })
}

fn no_message(text: &[u8], error: &serde_json::Error) -> Received {
    match answer_problem(text, error) {
        Some(problem) => Received::InvalidAnswer(InvalidAnswer {
            id: id_of(&members(text)),
            problem,
        }),
        None => Received::Other,
    }
}

/// A message that was read from `text`, unless its result is a list. The SDK reads a list as the fields of a result, one after another.
fn with_result(message: ServerJsonRpcMessage, text: &[u8]) -> Received {
    const RESULT: &[u8] = b"\"result\"";
    let is_list = |text: &[u8]| text.trim_ascii_start().starts_with(b"[");
    let may_be_a_list = |at: usize| {
        let value = text[at + RESULT.len()..].trim_ascii_start();
        value.strip_prefix(b":").is_some_and(is_list)
    };
    if matches!(message, JsonRpcMessage::Response(_))
        && memchr::memmem::find_iter(text, RESULT).any(may_be_a_list)
    {
        let members = members(text);
        let mut results = members.iter().filter(|(name, _)| *name == b"result");
        if results.any(|(_, value)| is_list(value)) {
            return Received::InvalidAnswer(InvalidAnswer {
                id: id_of(&members),
                problem: "result: must be an object, not a list".to_owned(),
            });
        }
    }
    Received::Message(Box::new(message))
}

/// Whether a text may be a message: it has the name of the version, which may be escaped. Costs much less than to read a text that is
/// none, and a program can print many.
fn may_be_message(text: &[u8]) -> bool {
    memchr::memmem::find(text, b"jsonrpc").is_some() || memchr::memchr(b'\\', text).is_some()
}

/// The invalid answer in a text of a server that starts, if it is meant as an answer. Costs less than to read a message that is none.
pub(crate) fn invalid_answer(text: &[u8]) -> Option<InvalidAnswer> {
    if !is_answer(text) && !is_batch(text) {
        return None;
    }
    match read_message(text, true) {
        Received::InvalidAnswer(answer) => Some(answer),
        Received::Message(_) | Received::Other => None,
    }
}

/// What is wrong with a text that is not a JSON-RPC response (JSON-RPC 2.0, section 5). `None` if it is not meant as one. `error` is
/// that of reading it as a message.
fn answer_problem(text: &[u8], error: &serde_json::Error) -> Option<String> {
    if is_batch(text) {
        return Some("message: must be one object, not a list (batch)".to_owned());
    }
    if !is_answer(text) {
        return None;
    }
    if let Err(invalid) = std::str::from_utf8(text) {
        let at = invalid.valid_up_to() + 1;
        return Some(format!("encoding: must be UTF-8; byte {at} is not"));
    }
    if !error.is_data() {
        return Some(format!("JSON: {}", json_problem_at(error)));
    }
    let members = members(text);
    let count = |name: &str| {
        let named = members
            .iter()
            .filter(|(found, _)| *found == name.as_bytes());
        named.count()
    };
    let json: Value = match serde_json::from_slice(text) {
        Ok(json) => json,
        Err(error) => return Some(format!("JSON: {}", json_problem_at(&error))),
    };
    let message = json.as_object()?;
    match message.get("jsonrpc") {
        None => return Some("jsonrpc: is missing; must be \"2.0\"".to_owned()),
        Some(Value::String(version)) if version == "2.0" => {}
        Some(other) => return Some(format!("jsonrpc: must be \"2.0\", not {other}")),
    }
    match message.get("id") {
        None if message.contains_key("result") => return Some("id: is missing".to_owned()),
        None | Some(Value::Null | Value::String(_)) => {}
        Some(Value::Number(id)) if id.is_i64() => {}
        Some(other) => return Some(format!("id: must be a number or a string, not {other}")),
    }
    if let Some(name) = MEMBERS.iter().find(|name| count(name) > 1) {
        return Some(format!("{name}: must be there only once"));
    }
    match (message.get("result"), message.get("error")) {
        (None, None) => Some("result: is missing".to_owned()),
        (result, Some(error)) => {
            let problem = match field_problem::<ErrorData>("error", "error.", error) {
                Some(problem) => problem,
                None if result.is_some() => "result: must not be next to `error`".to_owned(),
                None => return None,
            };
            // The message of the error has more information than the invalid field.
            Some(match error.get("message").and_then(Value::as_str) {
                Some(message) => {
                    let text = json_rpc_error_text(message, error.get("data"));
                    format!("{problem}; error.message: {text}")
                }
                None => problem,
            })
        }
        (Some(Value::Object(_)), None) if message.get("id").is_some_and(Value::is_null) => {
            Some("id: must be that of the request, not null".to_owned())
        }
        (Some(Value::Object(_)), None) => Some(format!("message: {}", json_problem(error))),
        (Some(other), None) => Some(format!("result: must be an object, not {}", kind_of(other))),
    }
}

/// Whether a text is meant as an answer. Its end may be missing, and it may not be JSON.
pub(crate) fn is_answer(text: &[u8]) -> bool {
    let members = members(text);
    let has = |name: &str| members.iter().any(|(found, _)| *found == name.as_bytes());
    // A line of a log may have a member `error`, and a request or a notification of the server is no answer.
    (has("jsonrpc") || (has("id") && (has("result") || has("error")))) && !has("method")
}

/// The ID of the request that a text answers.
pub(crate) fn answered_id(text: &[u8]) -> Option<RequestId> {
    match is_answer(text) {
        true => id_of(&members(text)),
        false => None,
    }
}

/// Whether a text is a list whose first element is meant as an answer.
fn is_batch(text: &[u8]) -> bool {
    let inside = text.trim_ascii_start().strip_prefix(b"[");
    inside.is_some_and(is_answer)
}

/// The text with U+FFFD in place of each escape of half a surrogate pair. `None` if there is none.
pub(crate) fn without_half_pairs(text: &[u8]) -> Option<Vec<u8>> {
    let mut repaired: Option<Vec<u8>> = None;
    let (mut at, mut copied) = (0, 0);
    while let Some(found) = memchr::memchr(b'\\', &text[at..]) {
        let start = at + found;
        let unit = |start: usize| {
            let digits = text.get(start..start + 6)?.strip_prefix(b"\\u")?;
            u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
        };
        at = match (unit(start), unit(start + 6)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => start + 12,
            (Some(0xd800..=0xdfff), _) => {
                let repaired = repaired.get_or_insert_default();
                repaired.extend_from_slice(&text[copied..start]);
                repaired.extend_from_slice(b"\\ufffd");
                copied = start + 6;
                copied
            }
            _ => (start + 2).min(text.len()),
        };
    }
    let mut repaired = repaired?;
    repaired.extend_from_slice(&text[copied..]);
    Some(repaired)
}

fn kind_of(json: &Value) -> &'static str {
    match json {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
