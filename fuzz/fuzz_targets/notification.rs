//! One message. A decoded notification can be encoded and decoded again without a change. The result is the same as that of a
//! generic JSON parser.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mcp_startup_core::{
    DecodeError, DecodeErrorKind, METHOD, McpServerStatusUpdatedNotification, decode, encode,
};
use mcp_startup_fuzz::{Layout, is_one_line, json_mutator};
use serde_json::{Map, Value};

json_mutator!(Layout::Whole, "../dictionaries/notification.dict");

fuzz_target!(|line: &[u8]| {
    let decoded = decode(line);
    match &decoded {
        Ok(None) => {}
        Ok(Some(notification)) => {
            let written = encode(notification);
            assert!(!written.bytes().any(|byte| byte < 0x20), "{written:?}");
            assert_eq!(
                decode(written.as_bytes()).as_ref(),
                Ok(&Some(notification.clone()))
            );
            if notification.failure_reason().is_some() {
                let status = notification.status().as_str();
                assert!(!matches!(status, "starting" | "ready" | "cancelled"));
            }
        }
        Err(error) => assert!(is_one_line(&error.message), "{:?}", error.message),
    }
    // `decode` accepts more than serde_json's `Value`, such as a number of any size in a field that it ignores.
    if let Ok(value) = serde_json::from_slice::<Value>(line) {
        assert_same(&decoded, expected(&value));
    }
});

type Decoded = Result<Option<McpServerStatusUpdatedNotification>, DecodeError>;
/// The thread, name, environment, status, error and reason, and whether there is an environment. Or the kind of the error and its
/// field.
type Expected<'a> =
    Result<Option<([Option<&'a str>; 6], bool)>, (DecodeErrorKind, Option<&'static str>)>;

fn expected(message: &Value) -> Expected<'_> {
    use DecodeErrorKind::{InvalidType, MissingField, NotAnObject};
    let message = message.as_object().ok_or((NotAnObject, None))?;
    match message.get("method") {
        None => return Ok(None),
        Some(Value::String(method)) if method == METHOD => {}
        Some(Value::String(_)) => return Ok(None),
        Some(_) => return Err((InvalidType, Some("method"))),
    }
    let params = message
        .get("params")
        .ok_or((MissingField, Some("params")))?
        .as_object()
        .ok_or((InvalidType, Some("params")))?;
    let thread_id = text(params, "threadId", "params.threadId")?;
    let name = text(params, "name", "params.name")?.ok_or((MissingField, Some("params.name")))?;
    let environment_id = text(params, "environmentId", "params.environmentId")?;
    let status =
        text(params, "status", "params.status")?.ok_or((MissingField, Some("params.status")))?;
    let error = text(params, "error", "params.error")?;
    let reason = text(params, "failureReason", "params.failureReason")?;
    let reason = reason.filter(|_| !matches!(status, "starting" | "ready" | "cancelled"));
    Ok(Some((
        [
            thread_id,
            Some(name),
            environment_id,
            Some(status),
            error,
            reason,
        ],
        params.contains_key("environmentId"),
    )))
}

fn text<'a>(
    params: &'a Map<String, Value>,
    name: &str,
    field: &'static str,
) -> Result<Option<&'a str>, (DecodeErrorKind, Option<&'static str>)> {
    match params.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err((DecodeErrorKind::InvalidType, Some(field))),
    }
}

fn assert_same(decoded: &Decoded, expected: Expected<'_>) {
    let decoded = match decoded {
        Ok(notification) => Ok(notification.as_ref().map(|notification| {
            let fields = [
                notification.thread_id(),
                Some(notification.name()),
                notification.environment_id(),
                Some(notification.status().as_str()),
                notification.error(),
                notification.failure_reason().map(|reason| reason.as_str()),
            ];
            (fields, notification.has_environment_id())
        })),
        Err(error) => Err((error.kind, error.field)),
    };
    assert_eq!(decoded, expected);
}
