//! Finds what is wrong with a message that does not conform to JSON-RPC or to the schema of MCP, so that its author can fix it.
//!
//! The official SDKs for TypeScript, Python and Rust refuse such messages, so this client does too. An invalid answer ends its request
//! immediately: nothing else answers it. Two things are accepted: an ID that is the text of a number, as those SDKs do, and an escape of
//! half a surrogate pair in a string, as the SDK for TypeScript does. Such an escape is read as U+FFFD.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mcp_startup_auth::network::without_byte_order_mark;
use mcp_startup_core::json_problem;
use rmcp::RoleClient;
use rmcp::model::{
    ClientRequest, CustomResult, DiscoverResult, ErrorData, InitializeResult, JsonRpcMessage,
    JsonRpcRequest, ListToolsResult, RequestId, ServerJsonRpcMessage, ServerNotification,
    ServerRequest, ServerResult,
};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::start::evidence_collector::EvidenceCollector;

/// The maximum number of requests whose answers are checked. A start has fewer.
const MAX_REQUESTS: usize = 256;

/// The requests of a start that have no answer yet, with their methods.
#[derive(Debug, Default)]
pub(crate) struct OpenRequests(HashMap<RequestId, &'static str>);

impl OpenRequests {
    pub fn sent(&mut self, message: &TxJsonRpcMessage<RoleClient>) {
        if let JsonRpcMessage::Request(request) = message
            && let Some(method) = method_of_start(&request.request)
            && self.0.len() < MAX_REQUESTS
        {
            self.0.insert(request.id.clone(), method);
        }
    }

    /// Removes the request with this ID. Returns its method.
    pub fn answered(&mut self, id: &RequestId) -> Option<&'static str> {
        self.0.remove(&numeric(id))
    }

    /// The result that takes the place of an invalid answer, so that nothing waits for another one. Records the problem. `None` if
    /// the answer is to no open request.
    pub fn replace(
        &mut self,
        answer: InvalidAnswer,
        collector: &EvidenceCollector,
    ) -> Option<ServerJsonRpcMessage> {
        let InvalidAnswer { id, problem } = answer;
        if collector.log.is_closed() {
            return id.map(invalid_result);
        }
        let id = match id {
            Some(id) => numeric(&id),
            // Only one request of a start is open at a time, except for an early one.
            None => self.0.keys().next()?.clone(),
        };
        let method = self.answered(&id)?;
        collector.record_invalid_field(method, &problem);
        Some(invalid_result(id))
    }
}

/// Whether a message may be a notification that logs an error.
pub(crate) fn may_log_an_error(message: &str) -> bool {
    let levels = ["\"error\"", "\"critical\"", "\"alert\"", "\"emergency\""];
    message.contains("\"notifications/message\"")
        && levels.iter().any(|level| message.contains(level))
}

/// Records the error that a notification logs.
#[expect(
    deprecated,
    reason = "MCP 2026-07-28 deprecates logging, and servers of all eras use it"
)]
pub(crate) fn record_logged_error(
    notification: &ServerNotification,
    collector: &EvidenceCollector,
) {
    use rmcp::model::LoggingLevel::{Alert, Critical, Emergency, Error};
    if let ServerNotification::LoggingMessageNotification(log) = notification
        && matches!(log.params.level, Error | Critical | Alert | Emergency)
    {
        collector.record_logged_error(&log.params.data);
    }
}

/// The method of a request of a start.
fn method_of_start(request: &ClientRequest) -> Option<&'static str> {
    match request {
        ClientRequest::InitializeRequest(_) => Some("initialize"),
        ClientRequest::DiscoverRequest(_) => Some("server/discover"),
        ClientRequest::ListToolsRequest(_) => Some("tools/list"),
        _ => None,
    }
}

/// Whether a text is the handshake of this client, which the server sends back.
pub(crate) fn is_echo_of_handshake(text: &str) -> bool {
    let methods = ["initialize", "server/discover"];
    if methods.iter().any(|method| text.contains(method))
        && let Received::Message(message) = read_message(text.as_bytes())
        && let JsonRpcMessage::Request(request) = *message
        && let ServerRequest::CustomRequest(sent) = request.request
    {
        return methods.contains(&&*sent.method);
    }
    false
}

/// A result that conforms to no method.
pub(crate) fn invalid_result(id: RequestId) -> ServerJsonRpcMessage {
    let result = CustomResult::new(serde_json::json!({ "invalid": true }));
    JsonRpcMessage::response(ServerResult::CustomResult(result), id)
}

/// A transport that records why the result of a start's request is invalid.
pub(crate) struct CheckedResults<T> {
    transport: T,
    collector: Arc<EvidenceCollector>,
    requests: Mutex<OpenRequests>,
}

impl<T> CheckedResults<T> {
    pub fn new(transport: T, collector: Arc<EvidenceCollector>) -> Self {
        Self {
            transport,
            collector,
            requests: Mutex::default(),
        }
    }

    fn requests(&self) -> MutexGuard<'_, OpenRequests> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the result that takes the place of a request of this client that the server sends back. Nothing answers it.
    fn echo(&self, request: &JsonRpcRequest<ServerRequest>) -> Option<ServerJsonRpcMessage> {
        let ServerRequest::CustomRequest(sent) = &request.request else {
            return None;
        };
        let mut requests = self.requests();
        let method = requests.0.get(&request.id).copied();
        let method = method.filter(|method| *method == sent.method)?;
        if method == "tools/list" {
            let echo = InvalidAnswer {
                id: Some(request.id.clone()),
                problem: "method: it sends the request back".to_owned(),
            };
            return requests.replace(echo, &self.collector);
        }
        requests.answered(&request.id);
        let echo = serde_json::to_vec(
            &JsonRpcMessage::<_, ServerResult, ServerNotification>::Request(request.clone()),
        );
        self.collector
            .record_non_mcp_output(&echo.unwrap_or_default());
        Some(invalid_result(request.id.clone()))
    }

    /// Returns the message, or what takes its place.
    fn received(&self, message: RxJsonRpcMessage<RoleClient>) -> RxJsonRpcMessage<RoleClient> {
        let (id, result) = match &message {
            JsonRpcMessage::Response(response) => (Some(&response.id), Some(&response.result)),
            JsonRpcMessage::Error(error) => (error.id.as_ref(), None),
            JsonRpcMessage::Request(request) => {
                return match self.echo(request) {
                    Some(answer) => answer,
                    None => message,
                };
            }
            JsonRpcMessage::Notification(notification) => {
                record_logged_error(&notification.notification, &self.collector);
                return message;
            }
        };
        let Some(id) = id else {
            return message;
        };
        let mut requests = self.requests();
        match (requests.answered(id), result) {
            (Some(method), Some(result)) => {
                if let Some(problem) = result_problem(method, result) {
                    self.collector.record_invalid_field(method, &problem);
                }
            }
            (Some(_), None) => {}
            (None, _) => {
                // Only one request of a start is open at a time.
                if let Some((expected, method)) = requests.0.iter().next() {
                    let problem = format!("id: must be {expected} as in the request, not {id}");
                    self.collector.record_invalid_field(method, &problem);
                }
            }
        }
        drop(requests);
        message
    }
}

impl<T: Transport<RoleClient>> Transport<RoleClient> for CheckedResults<T> {
    type Error = T::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        if !self.collector.log.is_closed() {
            self.requests().sent(&message);
        }
        if let Some(timeline) = self.collector.timeline() {
            timeline.record_sent(&message, &self.collector);
        }
        self.transport.send(message)
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        let message = self.transport.receive().await?;
        if let Some(timeline) = self.collector.timeline() {
            timeline.record_received(&message, &self.collector);
        }
        if self.collector.log.is_closed() {
            return Some(message);
        }
        Some(self.received(message))
    }

    fn close(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send {
        self.transport.close()
    }
}

/// The number that an ID is the text of, or the ID itself.
pub(crate) fn numeric(id: &RequestId) -> RequestId {
    match id {
        RequestId::String(text) => text.parse().map_or_else(|_| id.clone(), RequestId::Number),
        RequestId::Number(_) => id.clone(),
    }
}

/// What is wrong with the result of a request. `None` if it conforms to the schema.
fn result_problem(method: &str, result: &ServerResult) -> Option<String> {
    match (method, result) {
        ("initialize", ServerResult::InitializeResult(_))
        | ("server/discover", ServerResult::DiscoverResult(_))
        | ("tools/list", ServerResult::ListToolsResult(_)) => None,
        _ => {
            let result = serde_json::to_value(result).ok()?;
            match method {
                "initialize" => field_problem::<InitializeResult>("result", "", &result),
                "server/discover" => field_problem::<DiscoverResult>("result", "", &result),
                _ => field_problem::<ListToolsResult>("result", "", &result).map(|problem| {
                    match name_of_entry(&result, &problem) {
                        Some(name) => format!("{problem} (the tool `{name}`)"),
                        None => problem,
                    }
                }),
            }
        }
    }
}

/// The name of the tool in which a problem at `tools[N]` is.
fn name_of_entry<'a>(result: &'a Value, problem: &str) -> Option<&'a str> {
    let index = problem.strip_prefix("tools[")?.split_once(']')?.0;
    let tool = result.get("tools")?.get(index.parse::<usize>().ok()?)?;
    tool.get("name")?.as_str()
}

/// The first field that does not fit the type, and the problem with it, such as `serverInfo: missing field `version``. Its path begins
/// at `root`, if there is one. `name` is that of the whole value.
fn field_problem<T: DeserializeOwned>(name: &str, root: &str, json: &Value) -> Option<String> {
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

/// Reads a message, which must be one JSON object.
pub(crate) fn read_message(text: &[u8]) -> Received {
    let text = without_byte_order_mark(text);
    let mut error = match serde_json::from_slice(text) {
        Ok(message) => return Received::Message(Box::new(message)),
        Err(error) => error,
    };
    let repaired = without_half_pairs(text);
    let text = match &repaired {
        Some(repaired) => match serde_json::from_slice(repaired) {
            Ok(message) => return Received::Message(Box::new(message)),
            Err(other) => {
                error = other;
                repaired.as_slice()
            }
        },
        None => text,
    };
    match answer_problem(text, &error) {
        Some(problem) => Received::InvalidAnswer(InvalidAnswer {
            id: id_of(&members(text)),
            problem,
        }),
        None => Received::Other,
    }
}

/// The invalid answer in a text, if it is meant as an answer. Costs less than to read a message that is none.
pub(crate) fn invalid_answer(text: &[u8]) -> Option<InvalidAnswer> {
    if !is_answer(text) && !is_batch(text) {
        return None;
    }
    match read_message(text) {
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
    let members = members(text);
    let count = |name: &str| {
        let named = members
            .iter()
            .filter(|(found, _)| *found == name.as_bytes());
        named.count()
    };
    let json: Value = match serde_json::from_slice(text) {
        Ok(json) => json,
        Err(error) => return Some(format!("JSON: {error}")),
    };
    let message = json.as_object()?;
    match message.get("jsonrpc") {
        None => return Some("jsonrpc: missing field, must be \"2.0\"".to_owned()),
        Some(Value::String(version)) if version == "2.0" => {}
        Some(other) => return Some(format!("jsonrpc: must be \"2.0\", not {other}")),
    }
    match message.get("id") {
        None if message.contains_key("result") => return Some("id: missing field".to_owned()),
        None | Some(Value::Null | Value::String(_)) => {}
        Some(Value::Number(id)) if id.is_i64() => {}
        Some(other) => return Some(format!("id: must be a number or a string, not {other}")),
    }
    if let Some(name) = MEMBERS.iter().find(|name| count(name) > 1) {
        return Some(format!("{name}: must be there only once"));
    }
    match (message.get("result"), message.get("error")) {
        (None, None) => Some("result: missing field".to_owned()),
        (result, Some(error)) => {
            let problem = match field_problem::<ErrorData>("error", "error.", error) {
                Some(problem) => problem,
                None if result.is_some() => "result: must not be next to `error`".to_owned(),
                None => return None,
            };
            // The message of the error has more information than the invalid field.
            Some(match error.get("message").and_then(Value::as_str) {
                Some(message) => format!("{problem}; error.message: {message}"),
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

/// Whether a text is a list whose first element is meant as an answer.
fn is_batch(text: &[u8]) -> bool {
    let inside = text.trim_ascii_start().strip_prefix(b"[");
    inside.is_some_and(is_answer)
}

/// The members of a message.
const MEMBERS: [&str; 5] = ["jsonrpc", "id", "method", "result", "error"];
/// The maximum number of members of a message that are checked. Some may be there twice.
const MAX_MEMBERS: usize = 16;
/// How much is kept of a member of a message that is too long, in bytes. An ID is shorter.
const MAX_MEMBER_BYTES: usize = 300;

/// The names and the values of the members of a message, as far as the text can be read.
fn members(text: &[u8]) -> Vec<(&[u8], &[u8])> {
    let mut found = Vec::new();
    let text = text.trim_ascii_start();
    if !text.starts_with(b"{") {
        return found;
    }
    let (mut place, mut start) = (Place::default(), 1);
    for (at, byte) in text.iter().enumerate() {
        if place.ends_member(*byte) && (found.len() < MAX_MEMBERS || place.depth == 0) {
            found.extend(member(&text[start..at]));
            start = at + 1;
        }
        if place.depth == 0 {
            return found;
        }
    }
    found.extend(member(&text[start..]));
    found
}

/// The place in a JSON text that is read byte by byte.
#[derive(Debug, Default)]
struct Place {
    depth: usize,
    is_string: bool,
    is_escaped: bool,
}

impl Place {
    /// Reads a byte. Returns whether a member of the outermost object ends before it.
    fn ends_member(&mut self, byte: u8) -> bool {
        if std::mem::take(&mut self.is_escaped) {
            return false;
        }
        match byte {
            b'\\' if self.is_string => self.is_escaped = true,
            b'"' => self.is_string = !self.is_string,
            _ if self.is_string => {}
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                return self.depth == 0;
            }
            b',' => return self.depth == 1,
            _ => {}
        }
        false
    }
}

/// The ID of an answer that is too long to be read. It can be at the end of the answer.
#[derive(Debug, Default)]
pub(crate) struct AnswerId {
    place: Place,
    /// The beginning of the member that is being read.
    member: Vec<u8>,
    id: Option<RequestId>,
    has_result: bool,
    has_method: bool,
    has_ended: bool,
}

impl AnswerId {
    /// Reads the next part of the text.
    pub fn read(&mut self, text: &[u8]) {
        for byte in text {
            let is_outside = self.place.depth == 0;
            match byte {
                _ if self.has_ended => return,
                _ if is_outside && byte.is_ascii_whitespace() => continue,
                b'{' if is_outside => {
                    self.place.ends_member(*byte);
                    continue;
                }
                _ => self.has_ended = is_outside,
            }
            if self.place.ends_member(*byte) {
                self.end_member();
                self.has_ended = self.place.depth == 0;
            } else if self.member.len() < MAX_MEMBER_BYTES {
                self.member.push(*byte);
            }
        }
    }

    fn end_member(&mut self) {
        let text = std::mem::take(&mut self.member);
        match member(&text) {
            Some((b"id", id)) => self.id = serde_json::from_slice(id).ok(),
            Some((b"method", _)) => self.has_method = true,
            Some((b"result" | b"error", _)) => self.has_result = true,
            _ => {}
        }
    }

    /// Whether the text is a request or a notification of the server.
    pub fn is_of_server(&self) -> bool {
        self.has_method
    }

    /// The answer, which is invalid because it is longer than `limit`. `None` if the text is not meant as an answer.
    pub fn too_long(self, limit: usize) -> Option<InvalidAnswer> {
        (self.has_result && !self.has_method).then_some(InvalidAnswer {
            id: Some(self.id?),
            problem: format!("message: must have at most {limit} bytes"),
        })
    }
}

/// The name and the value of a member, if it is one of a message.
fn member(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let named = text.trim_ascii().strip_prefix(b"\"")?;
    let end = memchr::memchr(b'"', named)?;
    let (name, rest) = (&named[..end], named[end + 1..].trim_ascii());
    let value = rest.strip_prefix(b":")?.trim_ascii();
    let is_known = MEMBERS.iter().any(|known| known.as_bytes() == name);
    is_known.then_some((name, value))
}

fn id_of(members: &[(&[u8], &[u8])]) -> Option<RequestId> {
    let (_, id) = members.iter().find(|(name, _)| *name == b"id")?;
    serde_json::from_slice(id).ok()
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

#[cfg(test)]
mod tests {
    use super::*;

    const RESULT: &str = r#"{"protocolVersion":"2025-06-18","capabilities":{},"serverInfo":{"name":"x","version":"1"}}"#;

    fn problem(text: &[u8]) -> Option<(Option<RequestId>, String)> {
        match read_message(text) {
            Received::InvalidAnswer(InvalidAnswer { id, problem }) => Some((id, problem)),
            Received::Message(_) | Received::Other => None,
        }
    }

    #[test]
    fn the_problem_with_an_answer_and_its_id_are_found() {
        let one = Some(RequestId::Number(1));
        let rows = [
            (
                r#"{"jsonrpc":"2.0","id":1,"result":null,"error":{"code":-1,"message":"no key"}}"#
                    .to_owned(),
                one.clone(),
                "result: must not be next to `error`; error.message: no key",
            ),
            (
                format!(r#"{{"jsonrpc":"2.0","id":1,"result":null,"result":{RESULT}}}"#),
                one.clone(),
                "result: must be there only once",
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"result":{"a":1e999}}"#.to_owned(),
                one.clone(),
                "JSON: number out of range at line 1 column 43",
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"result":{"method":NaN,"id":2}}"#.to_owned(),
                one.clone(),
                "JSON: expected value at line 1 column 44",
            ),
            (
                format!(
                    r#"{{"jsonrpc":"2.0","result":{}1{},"id":"1"}}"#,
                    "[".repeat(200),
                    "]".repeat(200)
                ),
                Some(RequestId::String("1".into())),
                "JSON: recursion limit exceeded at line 1 column 153",
            ),
            (
                format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{RESULT}}}\n<!-- proxy -->"),
                one.clone(),
                "JSON: trailing characters at line 2 column 1",
            ),
            (
                format!(r#" [{{"jsonrpc":"2.0","id":1,"result":{RESULT}}}]"#),
                None,
                "message: must be one object, not a list (batch)",
            ),
            (
                r#"{"jsonrpc":"2.0", nonsense}"#.to_owned(),
                None,
                "JSON: key must be a string at line 1 column 19",
            ),
        ];
        for (text, id, expected) in rows {
            let expected = Some((id, expected.to_owned()));
            assert_eq!(problem(text.as_bytes()), expected, "{text}");
        }
        let latin = b"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"a\":\"\xe9\"}}";
        let expected = "encoding: must be UTF-8; byte 40 is not";
        assert_eq!(problem(latin).unwrap().1, expected);
    }

    #[test]
    fn the_id_of_an_answer_that_is_too_long_is_found_wherever_it_is() {
        let long = "x".repeat(10_000);
        let nested = format!(r#"{{"content":[{{"id":5,"text":"\\\"}},{long}"}}]}}"#);
        for (text, expected) in [
            (
                format!(r#"{{"jsonrpc":"2.0","id":1,"result":{nested}}}"#),
                Some(RequestId::Number(1)),
            ),
            (
                format!(r#" {{"result":{nested} , "id" : "a,\"}}" }}"#),
                Some(RequestId::String(r#"a,"}"#.into())),
            ),
            (
                format!(r#"{{"error":{{"code":1,"message":"{long}"}},"id":2}} {{"id":3}}"#),
                Some(RequestId::Number(2)),
            ),
            (
                format!(r#"{{"method":"a","id":1,"result":"{long}"}}"#),
                None,
            ),
            (format!(r#"{{"method":"a","params":{nested}}}"#), None),
            (format!(r#"{{"id":1,"message":"{long}"}}"#), None),
            (format!(r#"[{{"id":1,"result":"{long}"}}]"#), None),
            (format!(r#"{long} {{"id":1,"result":1}}"#), None),
            (format!(r#"{{"id":"{long}","result":1}}"#), None),
            (String::new(), None),
        ] {
            for size in [1, 7, text.len() + 1] {
                let mut answer = AnswerId::default();
                text.as_bytes()
                    .chunks(size)
                    .for_each(|part| answer.read(part));
                let id = answer.too_long(1).and_then(|answer| answer.id);
                assert_eq!(id, expected, "{text}");
            }
        }
    }

    #[test]
    fn what_answers_no_request_is_no_invalid_answer() {
        for text in [
            r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"data":NaN,"result":1}}"#,
            r#"{"jsonrpc":"2.0","params":{"data":NaN},"id":1,"method":"ping"}"#,
            r#"{"level":"error","error":"no key"}"#,
            r#"{"id":7,"message":"{\"jsonrpc\":\"2.0\"}"}"#,
            "[INFO] ready",
            "[1]",
            "{",
            "",
        ] {
            assert!(
                matches!(read_message(text.as_bytes()), Received::Other),
                "{text}"
            );
        }
    }

    #[test]
    fn half_a_surrogate_pair_is_read_as_u_fffd() {
        let rows = [
            (r"a\ud83d", Some(r"a\ufffd")),
            (r"\ude00b\uD83D", Some(r"\ufffdb\ufffd")),
            (r"\ud83d\ud83d\ude00", Some(r"\ufffd\ud83d\ude00")),
            (r"\ud83d\n", Some(r"\ufffd\n")),
            (r"\ud83d\ude00", None),
            (r"\\ud83d", None),
            (r"\", None),
            (r"\ud8", None),
            (r"\u+d83", None),
        ];
        for (text, expected) in rows {
            let repaired = without_half_pairs(text.as_bytes());
            let repaired = repaired.map(|text| String::from_utf8(text).unwrap());
            assert_eq!(repaired.as_deref(), expected, "{text}");
        }
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{RESULT}}}"#);
        let text = text.replace(r#""x""#, r#""x\ud83d""#);
        let Received::Message(message) = read_message(text.as_bytes()) else {
            panic!("{text}");
        };
        assert!(
            serde_json::to_string(&message)
                .unwrap()
                .contains("x\u{fffd}")
        );
    }

    #[test]
    fn a_result_in_place_of_an_invalid_one_conforms_to_no_method() {
        let message = invalid_result(RequestId::Number(1));
        let read = read_message(&serde_json::to_vec(&message).unwrap());
        let Received::Message(message) = read else {
            panic!("it must be a message");
        };
        let JsonRpcMessage::Response(response) = *message else {
            panic!("it must be a response");
        };
        for method in ["initialize", "server/discover", "tools/list"] {
            assert!(
                result_problem(method, &response.result).is_some(),
                "{method}"
            );
        }
    }
}
