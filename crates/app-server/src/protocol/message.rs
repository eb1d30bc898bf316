//! One JSON-RPC message: reading one of a client, and writing one to it.

use std::borrow::Cow;
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use mcp_startup::json_values;
use mcp_startup_core::{json_problem, json_problem_at, printable};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::error::{ErrorCode, RpcError};

/// The maximum length of the ID of a request. It is kept until the request is answered.
const MAX_ID_BYTES: usize = 1024;
/// The maximum number of values of the parameters of a request. A parsed value can need 200 times as much memory as its text.
const MAX_VALUES: usize = 100_000;
/// The maximum length of foreign text in an error, in characters.
const SHOWN_CHARS: usize = 300;

/// The ID of a request: a number or a string, as the client chose it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum RequestId {
    /// An integer.
    Number(i64),
    /// A string.
    Text(String),
}

/// A message of a client.
#[derive(Debug)]
pub enum Incoming<'a> {
    /// A request, which has exactly one response.
    Request {
        /// Its ID.
        id: RequestId,
        /// Its method.
        method: Cow<'a, str>,
        /// Its parameters.
        params: Option<&'a RawValue>,
    },
    /// A notification, which has no response.
    Notification {
        /// Its method.
        method: Cow<'a, str>,
        /// Its parameters.
        params: Option<&'a RawValue>,
    },
    /// A response. The app-server sends no requests, so nothing waits for it.
    Response,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    /// `null` is an ID, which can't be used. A notification has no `id`.
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    method: Option<&'a RawValue>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

fn present<'de: 'a, 'a, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// The text of a JSON string. `None` if the value is not a string.
fn text_of(value: &RawValue) -> Option<Cow<'_, str>> {
    let text = value.get();
    // A string without escapes is not copied.
    match serde_json::from_str::<&str>(text) {
        Ok(text) => Some(Cow::Borrowed(text)),
        Err(_) => serde_json::from_str(text).ok().map(Cow::Owned),
    }
}

/// Reads a message.
///
/// # Errors
///
/// Returns the error to send, and the ID of the request if the message has one that can be used.
pub fn parse(message: &[u8]) -> Result<Incoming<'_>, (Option<RequestId>, RpcError)> {
    let is_list = message.trim_ascii_start().starts_with(b"[");
    if is_list && serde_json::from_slice::<IgnoredAny>(message).is_ok() {
        // `serde` would read a list as the members of an object.
        let problem =
            "The message is not a JSON-RPC message: it must be one object, not a list (batch).";
        return Err((
            None,
            RpcError::new(ErrorCode::InvalidRequest, problem.to_owned()),
        ));
    }
    let envelope: Envelope<'_> = serde_json::from_slice(message).map_err(|error| {
        let (code, what) = match error.is_data() {
            true => (ErrorCode::InvalidRequest, "a JSON-RPC message"),
            false => (ErrorCode::ParseError, "JSON"),
        };
        let error = match error.is_data() {
            true => shown(json_problem(&error)),
            false => shown(json_problem_at(&error)),
        };
        (
            None,
            RpcError::new(code, format!("The message is not {what}: {error}.")),
        )
    })?;
    let invalid = |problem: &str| {
        let message = format!("The message is not a JSON-RPC message: {problem}.");
        RpcError::new(ErrorCode::InvalidRequest, message)
    };
    let id = match envelope.id {
        None => None,
        // Each byte of a string can be an escape of six.
        Some(id) if id.get().len() > 6 * MAX_ID_BYTES + 2 => {
            return Err((None, invalid("`id` is longer than 1,024 bytes")));
        }
        Some(id) => Some(
            serde_json::from_str(id.get())
                .map_err(|_| (None, invalid("`id` is neither a string nor an integer")))?,
        ),
    };
    if let Some(RequestId::Text(text)) = &id
        && text.len() > MAX_ID_BYTES
    {
        return Err((None, invalid("`id` is longer than 1,024 bytes")));
    }
    let method = match envelope.method.map(text_of) {
        None => None,
        Some(Some(method)) => Some(method),
        Some(None) => return Err((id, invalid("`method` is not a string"))),
    };
    match (id, method) {
        (Some(id), Some(method)) => Ok(Incoming::Request {
            id,
            method,
            params: envelope.params,
        }),
        (None, Some(method)) => Ok(Incoming::Notification {
            method,
            params: envelope.params,
        }),
        (Some(_), None) => Ok(Incoming::Response),
        (None, None) => Err((None, invalid("it has no `method`"))),
    }
}

/// Reads the parameters of a method. Missing parameters are an empty object.
///
/// # Errors
///
/// Returns an error that names the field.
pub fn params<T: DeserializeOwned>(params: Option<&RawValue>) -> Result<T, RpcError> {
    let text = params.map_or("{}", RawValue::get);
    if json_values(text.as_bytes()) > MAX_VALUES {
        let problem = "Invalid `params`: they have more than 100,000 values.";
        return Err(RpcError::invalid_params(problem));
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let place = match path.as_str() {
            "." => String::new(),
            path => format!(".{}", printable(path, SHOWN_CHARS)),
        };
        let error = shown(json_problem(error.inner()));
        RpcError::invalid_params(format!("Invalid `params{place}`: {error}."))
    })
}

fn shown(error: impl fmt::Display) -> String {
    printable(&error.to_string(), SHOWN_CHARS)
}

/// Writes a response.
pub(crate) fn response(
    id: Option<&RequestId>,
    result: &Result<Box<RawValue>, RpcError>,
) -> serde_json::Result<String> {
    #[derive(Serialize)]
    struct Response<'a> {
        id: Option<&'a RequestId>,
        #[serde(skip_serializing_if = "Option::is_none")]
        result: Option<&'a RawValue>,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<&'a RpcError>,
    }
    serde_json::to_string(&Response {
        id,
        result: result.as_deref().ok(),
        error: result.as_ref().err(),
    })
}

/// Writes a notification, with the time as Codex's app-server writes it.
pub(crate) fn notification(
    method: &'static str,
    params: &impl Serialize,
) -> serde_json::Result<String> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Notification<'a, P> {
        method: &'static str,
        params: &'a P,
        emitted_at_ms: u64,
    }
    serde_json::to_string(&Notification {
        method,
        params,
        emitted_at_ms: now_ms(),
    })
}

fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_by_its_fields() {
        // The message, and its kind, or the code and the ID of the error.
        for (message, expected) in [
            (r#"{"id":1,"method":"a","params":{}}"#, Ok("request")),
            (r#"{"jsonrpc":"2.0","id":"x","method":"a"}"#, Ok("request")),
            (r#"{"method":"a","params":null}"#, Ok("notification")),
            (r#"{"id":1,"result":{}}"#, Ok("response")),
            (
                r#"{"id":1,"error":{"code":-1,"message":""}}"#,
                Ok("response"),
            ),
            (r#"{"id":1.5,"method":"a"}"#, Err(-32600)),
            (r#"{"id":[],"method":"a"}"#, Err(-32600)),
            (r#"{"id":null,"method":"a"}"#, Err(-32600)),
            (r#"{"id":1,"method":7}"#, Err(-32600)),
            (r#"{}"#, Err(-32600)),
            (r#"[]"#, Err(-32600)),
            (r#"[{"id":1,"method":"a"}]"#, Err(-32600)),
            (r#""a""#, Err(-32600)),
            (r#"{"id":1,"#, Err(-32700)),
            ("not JSON", Err(-32700)),
            ("", Err(-32700)),
        ] {
            let kind = match parse(message.as_bytes()) {
                Ok(Incoming::Request { .. }) => Ok("request"),
                Ok(Incoming::Notification { .. }) => Ok("notification"),
                Ok(Incoming::Response) => Ok("response"),
                Err((_, error)) => Err(error.code()),
            };
            assert_eq!(kind, expected, "{message}");
        }
    }

    #[test]
    fn an_invalid_request_keeps_its_id() {
        for method in ["7", "null", "{}"] {
            let message = format!(r#"{{"method":{method},"id":"a"}}"#);
            let (id, error) = parse(message.as_bytes()).unwrap_err();
            assert_eq!(id, Some(RequestId::Text("a".to_owned())), "{method}");
            let json = serde_json::to_string(&error).unwrap();
            assert!(json.contains("`method` is not a string"), "{json}");
        }
    }

    #[test]
    fn many_values_are_refused_before_they_take_memory() {
        for (count, is_accepted) in [(90_000, true), (100_001, false)] {
            let text = format!("{{\"a\":[0{}]}}", ",0".repeat(count));
            let raw = RawValue::from_string(text).unwrap();
            let read = params::<serde_json::Value>(Some(&raw));
            assert_eq!(
                read.as_ref().err().map(RpcError::code),
                (!is_accepted).then_some(-32602)
            );
        }
        let message = format!(r#"{{"id":[0{}],"method":"a"}}"#, ",0".repeat(100_000));
        let (_, error) = parse(message.as_bytes()).unwrap_err();
        let json = serde_json::to_string(&error).unwrap();
        assert!(json.contains("`id` is longer than 1,024 bytes"), "{json}");
    }

    #[test]
    fn an_error_names_the_field() {
        #[derive(Debug, Deserialize)]
        struct Outer {
            #[allow(dead_code, reason = "it is only read by serde")]
            inner: Vec<u8>,
        }
        let raw = |text: &str| RawValue::from_string(text.to_owned()).ok();
        let of = |text| {
            params::<Outer>(raw(text).as_deref())
                .err()
                .map(|error| error.to_string())
        };
        let error = of(r#"{"inner":[1,"x"]}"#).unwrap_or_default();
        assert!(
            error.starts_with("Invalid `params.inner[1]`: must be a whole number"),
            "{error}"
        );
        let error = params::<Outer>(None).err().map(|error| error.to_string());
        assert_eq!(
            error.as_deref(),
            Some("Invalid `params`: `inner` is missing.")
        );
    }
}
