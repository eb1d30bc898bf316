//! Lenient decoding of notifications, from one line or from the bytes of many lines. Reads no streams.

mod as_encoded;

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::decode_error::{DecodeError, DecodeErrorKind, LineError};
use crate::lines::split_lines;
use crate::notification::{
    METHOD, McpServerStartupFailureReason, McpServerStartupState,
    McpServerStatusUpdatedNotification,
};

/// The result of [`decode_lines`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DecodedLines {
    /// The notifications, in the order of their lines.
    pub notifications: Vec<McpServerStatusUpdatedNotification>,
    /// The errors of the lines that could not be decoded, in order.
    pub errors: Vec<LineError>,
}

/// Decodes one line, which must contain a whole JSON-RPC message.
///
/// Returns `Ok(None)` for a blank line and for any other well-formed message, such as a different method or a response. Keeps
/// the text of a state or reason that this version does not know, and drops unknown fields.
///
/// # Errors
///
/// Returns a [`DecodeError`] for malformed JSON, a missing `name` or `status`, or a value of the wrong type. The error names
/// the field, if there is one.
///
/// ```
/// use mcp_startup_core::{decode, DecodeErrorKind};
///
/// assert_eq!(decode(br#"{"method":"thread/started","params":{}}"#), Ok(None));
/// let error = decode(br#"{"method":"mcpServer/startupStatus/updated","params":{"name":7,"status":"ready"}}"#).unwrap_err();
/// assert_eq!((error.kind, error.field), (DecodeErrorKind::InvalidType, Some("params.name")));
/// assert_eq!(error.message, "`params.name` must be a string, not a number");
/// ```
pub fn decode(line: &[u8]) -> Result<Option<McpServerStatusUpdatedNotification>, DecodeError> {
    Ok(decode_borrowed(line)?.map(NotificationRef::into_owned))
}

/// Decodes the bytes of many lines.
///
/// Lines end with LF or CRLF; the last line may have no line end. A line that can't be decoded is reported with its number
/// and does not affect the other lines.
///
/// ```
/// use mcp_startup_core::decode_lines;
///
/// let bytes = b"{\"method\":\"mcpServer/startupStatus/updated\",\"params\":{\"name\":\"a\",\"status\":\"ready\"}}\noops\n";
/// let read = decode_lines(bytes);
/// assert_eq!(read.notifications[0].name(), "a");
/// assert_eq!(read.errors[0].line, 2);
/// ```
pub fn decode_lines(bytes: &[u8]) -> DecodedLines {
    let mut notifications = Vec::new();
    let errors = decode_each(bytes, |notification| {
        notifications.push(notification.into_owned());
    });
    DecodedLines {
        notifications,
        errors,
    }
}

/// Decodes the bytes of many lines and calls `take` for each notification, without an allocation for each.
///
/// Lines end with LF or CRLF; the last line may have no line end. Returns the errors of the lines that can't be decoded, in
/// order. Use [`decode_lines`] to collect the notifications.
///
/// ```
/// use mcp_startup_core::decode_each;
///
/// let mut names = Vec::new();
/// let bytes = b"{\"method\":\"mcpServer/startupStatus/updated\",\"params\":{\"name\":\"a\",\"status\":\"ready\"}}";
/// let errors = decode_each(bytes, |notification| names.push(notification.name().to_owned()));
/// assert_eq!((names, errors), (vec!["a".to_owned()], vec![]));
/// ```
pub fn decode_each<'a>(
    bytes: &'a [u8],
    mut take: impl FnMut(NotificationRef<'a>),
) -> Vec<LineError> {
    let mut errors = Vec::new();
    for (line, content) in split_lines(bytes) {
        match decode_borrowed(content) {
            Ok(Some(notification)) => take(notification),
            Ok(None) => {}
            Err(error) => errors.push(LineError { line, error }),
        }
    }
    errors
}

/// A notification that borrows its text from the decoded line. Only strings with JSON escapes are allocated.
#[derive(Debug)]
pub struct NotificationRef<'a> {
    thread_id: Option<Cow<'a, str>>,
    name: Cow<'a, str>,
    /// `None` if the field is absent, and `Some(None)` if it is null.
    environment_id: Option<Option<Cow<'a, str>>>,
    status: Cow<'a, str>,
    error: Option<Cow<'a, str>>,
    failure_reason: Option<Cow<'a, str>>,
}

impl NotificationRef<'_> {
    /// The thread that the server belongs to. `None` if it belongs to the whole app.
    pub fn thread_id(&self) -> Option<&str> {
        self.thread_id.as_deref()
    }

    /// The name of the server, as the user configured it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The environment whose configuration contains the server. `None` if the server belongs to no environment.
    pub fn environment_id(&self) -> Option<&str> {
        self.environment_id.as_ref()?.as_deref()
    }

    /// Returns whether the line has an `environmentId`, also if it is null.
    pub fn has_environment_id(&self) -> bool {
        self.environment_id.is_some()
    }

    /// The state of the start, as its text on the wire.
    pub fn status(&self) -> &str {
        &self.status
    }

    /// A human-readable message that describes why the start failed. Usually `None` in any other state.
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// The reason for the failure, as its text on the wire.
    ///
    /// A reason with a known state other than `failed` violates the contract. It is dropped, so that the client does not ask
    /// the user to sign in to a server that is ready.
    pub fn failure_reason(&self) -> Option<&str> {
        self.failure_reason
            .as_deref()
            .filter(|_| McpServerStartupState::carries_reason(&self.status))
    }

    /// Converts this into a notification that owns its text.
    pub fn into_owned(self) -> McpServerStatusUpdatedNotification {
        let failure_reason = self
            .failure_reason()
            .map(McpServerStartupFailureReason::from_wire);
        McpServerStatusUpdatedNotification::read(
            self.thread_id.map(Cow::into_owned),
            self.name.into_owned(),
            self.environment_id.map(|id| id.map(Cow::into_owned)),
            McpServerStartupState::from_wire(&self.status),
            self.error.map(Cow::into_owned),
            failure_reason,
        )
    }
}

pub(crate) fn decode_borrowed(line: &[u8]) -> Result<Option<NotificationRef<'_>>, DecodeError> {
    // Checks UTF-8 once for the whole line instead of once for each string.
    let text = std::str::from_utf8(line).map_err(|error| DecodeError::not_utf8(&error))?;
    if let Some(notification) = as_encoded::read(text) {
        return Ok(Some(notification));
    }
    let Some(first) = line.iter().find(|byte| !byte.is_ascii_whitespace()) else {
        return Ok(None);
    };
    if *first != b'{' {
        return Err(match serde_json::from_str::<IgnoredAny>(text) {
            Ok(_) => DecodeError {
                kind: DecodeErrorKind::NotAnObject,
                field: None,
                message: "a JSON-RPC message must be an object".to_owned(),
            },
            Err(error) => DecodeError::invalid_json(&error),
        });
    }
    let message: Message<'_> =
        serde_json::from_str(text).map_err(|error| DecodeError::invalid_json(&error))?;
    match message.method {
        Field::Absent => return Ok(None),
        Field::Text(method) if method == METHOD => {}
        Field::Text(_) => return Ok(None),
        Field::Null => return Err(DecodeError::invalid_type("method", "a string", "null")),
        Field::Other(got) => return Err(DecodeError::invalid_type("method", "a string", got)),
    }
    let params = match message.params {
        Params::Absent => return Err(DecodeError::missing("params")),
        Params::Read(params) => params,
        Params::Before(raw) => {
            let read = serde_json::from_str::<ParamsValue<'_>>(raw.get())
                .map_err(|error| DecodeError::invalid_json(&error))?;
            match read.0 {
                Ok(params) => params,
                Err(got) => return Err(DecodeError::invalid_type("params", "an object", got)),
            }
        }
        Params::Other(got) => return Err(DecodeError::invalid_type("params", "an object", got)),
    };
    Ok(Some(NotificationRef {
        thread_id: params.thread_id.nullable("params.threadId")?,
        name: params.name.required("params.name")?,
        environment_id: match params.environment_id {
            Field::Absent => None,
            field => Some(field.nullable("params.environmentId")?),
        },
        status: params.status.required("params.status")?,
        error: params.error.nullable("params.error")?,
        failure_reason: params.failure_reason.nullable("params.failureReason")?,
    }))
}

/// A field whose type has not been checked yet. The check happens later, so that the error can name the field.
#[derive(Debug, Default)]
enum Field<'a> {
    #[default]
    Absent,
    Null,
    Text(Cow<'a, str>),
    Other(&'static str),
}

impl<'a> Field<'a> {
    fn nullable(self, field: &'static str) -> Result<Option<Cow<'a, str>>, DecodeError> {
        match self {
            Self::Absent | Self::Null => Ok(None),
            Self::Text(text) => Ok(Some(text)),
            Self::Other(got) => Err(DecodeError::invalid_type(field, "a string or null", got)),
        }
    }

    fn required(self, field: &'static str) -> Result<Cow<'a, str>, DecodeError> {
        match self {
            Self::Absent | Self::Null => Err(DecodeError::missing(field)),
            Self::Text(text) => Ok(text),
            Self::Other(got) => Err(DecodeError::invalid_type(field, "a string", got)),
        }
    }
}

#[derive(Debug, Default)]
struct ParamsFields<'a> {
    thread_id: Field<'a>,
    name: Field<'a>,
    environment_id: Field<'a>,
    status: Field<'a>,
    error: Field<'a>,
    failure_reason: Field<'a>,
}

#[derive(Debug, Default)]
enum Params<'a> {
    #[default]
    Absent,
    Read(ParamsFields<'a>),
    /// `params` came before `method`, so it is read once the method is known.
    Before(&'a RawValue),
    Other(&'static str),
}

/// The relevant fields of a JSON-RPC message. If a key occurs twice, the last one counts, as in JavaScript.
#[derive(Debug, Default)]
struct Message<'a> {
    method: Field<'a>,
    params: Params<'a>,
}

impl<'de> Deserialize<'de> for Message<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MessageVisitor;
        impl<'de> Visitor<'de> for MessageVisitor {
            type Value = Message<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON-RPC message")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut message = Message::default();
                while let Some(key) = map.next_key::<Key<'de>>()? {
                    match key.0.as_ref() {
                        "method" => message.method = map.next_value_seed(FieldSeed)?,
                        "params" => {
                            message.params = match &message.method {
                                Field::Text(method) if method == METHOD => {
                                    match map.next_value::<ParamsValue<'de>>()?.0 {
                                        Ok(params) => Params::Read(params),
                                        Err(got) => Params::Other(got),
                                    }
                                }
                                // The method has not been read yet, or it may be repeated.
                                _ => Params::Before(map.next_value()?),
                            };
                        }
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(message)
            }
        }
        deserializer.deserialize_map(MessageVisitor)
    }
}

/// A key, borrowed if it has no escapes.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

struct FieldSeed;

impl<'de> DeserializeSeed<'de> for FieldSeed {
    type Value = Field<'de>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Field<'de>, D::Error> {
        deserializer.deserialize_any(FieldVisitor)
    }
}

struct FieldVisitor;

impl<'de> Visitor<'de> for FieldVisitor {
    type Value = Field<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }
    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Field::Text(Cow::Borrowed(text)))
    }
    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Field::Text(Cow::Owned(text.to_owned())))
    }
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Field::Null)
    }
    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Field::Other("a boolean"))
    }
    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Field::Other("a number"))
    }
    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Field::Other("a number"))
    }
    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Field::Other("a number"))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Field::Other("an array"))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Field::Other("an object"))
    }
}

/// The value of `params`: its fields, or the name of its type if it is not an object.
struct ParamsValue<'a>(Result<ParamsFields<'a>, &'static str>);

impl<'de> Deserialize<'de> for ParamsValue<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ParamsVisitor;
        impl<'de> Visitor<'de> for ParamsVisitor {
            type Value = ParamsValue<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the params")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = ParamsFields::default();
                while let Some(key) = map.next_key::<Key<'de>>()? {
                    let field = match key.0.as_ref() {
                        "threadId" => &mut fields.thread_id,
                        "name" => &mut fields.name,
                        "environmentId" => &mut fields.environment_id,
                        "status" => &mut fields.status,
                        "error" => &mut fields.error,
                        "failureReason" => &mut fields.failure_reason,
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                            continue;
                        }
                    };
                    *field = map.next_value_seed(FieldSeed)?;
                }
                Ok(ParamsValue(Ok(fields)))
            }
            fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
                Ok(ParamsValue(Err("a string")))
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(ParamsValue(Err("null")))
            }
            fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
                Ok(ParamsValue(Err("a boolean")))
            }
            fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
                Ok(ParamsValue(Err("a number")))
            }
            fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
                Ok(ParamsValue(Err("a number")))
            }
            fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
                Ok(ParamsValue(Err("a number")))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(ParamsValue(Err("an array")))
            }
        }
        deserializer.deserialize_any(ParamsVisitor)
    }
}
