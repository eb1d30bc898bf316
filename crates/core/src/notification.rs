//! The contract: one JSON-RPC notification and its two enums. Only these constructors and the decoder can build one.

use std::fmt;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

/// The JSON-RPC method of the notification. Codex's app-server uses the same method.
pub const METHOD: &str = "mcpServer/startupStatus/updated";

/// The versions of Codex whose app-server this version was tested with, from the oldest to the newest.
///
/// For each version, `tests/fixtures` has notifications that its app-server wrote, and `schema` has the JSON Schemas that it
/// generated. `cargo xtask codex` adds a version. Notifications of other versions are decoded too.
pub const CODEX_VERSIONS: &[&str] = &["0.169.0", "0.171.0"];

/// A value from a newer server that this version does not know. It keeps its text.
///
/// Only decoding creates an `UnknownValue`, and never from a known value. It is encoded with the same text, and can't be
/// confused with a value that this version knows.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UnknownValue(String);

impl UnknownValue {
    /// The text on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Defines an enum that lists its known values in the schema and keeps an unknown value when it is decoded.
macro_rules! open_enum {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename_all = "camelCase"))]
        #[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(rename_all = "camelCase"))]
        pub enum $name {
            $($(#[$variant_meta])* $variant,)*
            /// A value from a newer server, with its text. It is not part of the schema.
            #[cfg_attr(feature = "schema", schemars(skip))]
            #[cfg_attr(feature = "typescript", ts(skip))]
            Unknown(UnknownValue),
        }

        impl $name {
            /// Every value that this version knows, in the order of the schema.
            pub const KNOWN: &'static [Self] = &[$(Self::$variant,)*];

            /// The text on the wire.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Unknown(value) => value.as_str(),
                }
            }

            pub(crate) fn from_wire(text: &str) -> Self {
                match text {
                    $($text => Self::$variant,)*
                    _ => Self::Unknown(UnknownValue(text.to_owned())),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    };
}

open_enum! {
    /// The state of the start of an MCP server.
    ///
    /// Each `starting` is followed by exactly one `ready`, `failed` or `cancelled`.
    McpServerStartupState {
        /// The start has begun.
        Starting = "starting",
        /// The server has completed the MCP handshake and can be used.
        Ready = "ready",
        /// The start failed, and the server can't be used. `error` describes the failure.
        Failed = "failed",
        /// The host cancelled the start before it was complete.
        Cancelled = "cancelled",
    }
}

open_enum! {
    /// The reason for a failed start, if clients should handle it in a specific way.
    McpServerStartupFailureReason {
        /// Credentials are stored for exactly this server, but they can no longer be used or refreshed, and the start failed
        /// because of that. Ask the user to sign in **again**. A missing first sign-in or a temporary failure never has
        /// this reason.
        ReauthenticationRequired = "reauthenticationRequired",
    }
}

impl McpServerStartupState {
    /// Returns whether the start is complete: it is ready, failed or cancelled.
    ///
    /// An unknown state counts as not complete, because this version can't know whether it ends a start.
    pub fn is_finished(&self) -> bool {
        match self {
            Self::Ready | Self::Failed | Self::Cancelled => true,
            Self::Starting | Self::Unknown(_) => false,
        }
    }

    /// Returns whether a notification with this state may have a failure reason: `failed` may, and so may an unknown state
    /// from a newer server.
    pub(crate) fn carries_reason(text: &str) -> bool {
        text == Self::Failed.as_str() || Self::KNOWN.iter().all(|known| known.as_str() != text)
    }
}

/// The params of the notification `mcpServer/startupStatus/updated`, which reports that the state of a server's start has
/// changed.
///
/// A notification is built with a constructor for its state, so only a failed start can have a `failureReason`. Encoding
/// writes all five fields in this order, including nulls. Decoding is lenient and requires only `name` and `status`, see
/// [`decode`](crate::decode).
///
/// A decoded notification also has the `environmentId` that Codex writes since 0.171. It is encoded again where it was, between
/// `name` and `status`, also if it was null. A notification that was not decoded never has one.
///
/// ```
/// use mcp_startup_core::{encode, McpServerStatusUpdatedNotification};
///
/// let notification = McpServerStatusUpdatedNotification::starting("linear");
/// assert_eq!(
///     encode(&notification),
///     r#"{"method":"mcpServer/startupStatus/updated","params":{"threadId":null,"name":"linear","status":"starting","error":null,"failureReason":null}}"#,
/// );
/// ```
// The accessors document the fields. A doc comment on a field would become part of the TypeScript type.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename_all = "camelCase")
)]
#[cfg_attr(
    feature = "typescript",
    derive(ts_rs::TS),
    ts(rename_all = "camelCase")
)]
pub struct McpServerStatusUpdatedNotification {
    thread_id: Option<String>,
    name: String,
    /// `None` if the field was absent, and `Some(None)` if it was null. It is not part of the contract for writing.
    #[cfg_attr(feature = "schema", schemars(skip))]
    #[cfg_attr(feature = "typescript", ts(skip))]
    environment_id: Option<Option<String>>,
    status: McpServerStartupState,
    error: Option<String>,
    failure_reason: Option<McpServerStartupFailureReason>,
}

impl McpServerStatusUpdatedNotification {
    /// Creates a notification that the start of the server `name` has begun.
    pub fn starting(name: impl Into<String>) -> Self {
        Self::new(name.into(), McpServerStartupState::Starting)
    }

    /// Creates a notification that the server `name` can be used.
    pub fn ready(name: impl Into<String>) -> Self {
        Self::new(name.into(), McpServerStartupState::Ready)
    }

    /// Creates a notification that the host cancelled the start of the server `name`.
    pub fn cancelled(name: impl Into<String>) -> Self {
        Self::new(name.into(), McpServerStartupState::Cancelled)
    }

    /// Creates a notification that the start of the server `name` failed, without a failure reason.
    ///
    /// `error` is a human-readable message.
    pub fn failed(name: impl Into<String>, error: impl Into<String>) -> Self {
        Self {
            error: Some(error.into()),
            ..Self::new(name.into(), McpServerStartupState::Failed)
        }
    }

    /// Creates a notification that the start of the server `name` failed because its stored credentials can no longer be
    /// used: the user has to sign in again.
    ///
    /// Use this only if it is certain. [`from_failure`](Self::from_failure) decides this from the evidence. `error` is a
    /// human-readable message.
    pub fn reauthentication_required(name: impl Into<String>, error: impl Into<String>) -> Self {
        Self {
            failure_reason: Some(McpServerStartupFailureReason::ReauthenticationRequired),
            ..Self::failed(name, error)
        }
    }

    /// Sets the thread that the server belongs to. A thread is a conversation of the client with its own servers.
    #[must_use]
    pub fn with_thread_id(mut self, thread_id: impl Into<String>) -> Self {
        self.thread_id = Some(thread_id.into());
        self
    }

    fn new(name: String, status: McpServerStartupState) -> Self {
        Self {
            thread_id: None,
            name,
            environment_id: None,
            status,
            error: None,
            failure_reason: None,
        }
    }

    /// Creates a notification that was decoded. The caller ensures that the state may have the reason.
    pub(crate) fn read(
        thread_id: Option<String>,
        name: String,
        environment_id: Option<Option<String>>,
        status: McpServerStartupState,
        error: Option<String>,
        failure_reason: Option<McpServerStartupFailureReason>,
    ) -> Self {
        Self {
            thread_id,
            name,
            environment_id,
            status,
            error,
            failure_reason,
        }
    }

    /// The thread that the server belongs to. `None` if it belongs to the whole app.
    pub fn thread_id(&self) -> Option<&str> {
        self.thread_id.as_deref()
    }

    /// The name of the server, as the user configured it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The environment whose configuration contains the server, in a notification from Codex 0.171 or later. `None` if the server
    /// belongs to no environment. Servers with the same name in different environments are different servers.
    ///
    /// ```
    /// use mcp_startup_core::{decode, encode};
    ///
    /// let line = r#"{"method":"mcpServer/startupStatus/updated","params":{"threadId":null,"name":"a","environmentId":"e","status":"ready","error":null,"failureReason":null}}"#;
    /// let notification = decode(line.as_bytes())?.expect("the method matches");
    /// assert_eq!(notification.environment_id(), Some("e"));
    /// assert_eq!(encode(&notification), line);
    /// # Ok::<(), mcp_startup_core::DecodeError>(())
    /// ```
    pub fn environment_id(&self) -> Option<&str> {
        self.environment_id.as_ref()?.as_deref()
    }

    /// Returns whether the decoded line had an `environmentId`, also if it was null. It is then encoded again.
    pub fn has_environment_id(&self) -> bool {
        self.environment_id.is_some()
    }

    /// The state of the start.
    pub fn status(&self) -> &McpServerStartupState {
        &self.status
    }

    /// A human-readable message that describes why the start failed. Usually `None` in any other state.
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// The reason for the failure, if clients should handle it in a specific way.
    pub fn failure_reason(&self) -> Option<&McpServerStartupFailureReason> {
        self.failure_reason.as_ref()
    }
}

impl Serialize for McpServerStatusUpdatedNotification {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = 5 + usize::from(self.environment_id.is_some());
        let mut params =
            serializer.serialize_struct("McpServerStatusUpdatedNotification", fields)?;
        params.serialize_field("threadId", &self.thread_id)?;
        params.serialize_field("name", &self.name)?;
        if let Some(environment_id) = &self.environment_id {
            params.serialize_field("environmentId", environment_id)?;
        }
        params.serialize_field("status", &self.status)?;
        params.serialize_field("error", &self.error)?;
        params.serialize_field("failureReason", &self.failure_reason)?;
        params.end()
    }
}

/// Encodes a notification as one line of JSON: the whole JSON-RPC message, without a line break at the end.
///
/// ```
/// use mcp_startup_core::{decode, encode, McpServerStatusUpdatedNotification};
///
/// let notification = McpServerStatusUpdatedNotification::failed("files", "exited with 3").with_thread_id("t1");
/// assert_eq!(decode(encode(&notification).as_bytes()).unwrap(), Some(notification));
/// ```
pub fn encode(notification: &McpServerStatusUpdatedNotification) -> String {
    #[derive(Serialize)]
    struct Envelope<'a> {
        method: &'static str,
        params: &'a McpServerStatusUpdatedNotification,
    }
    let envelope = Envelope {
        method: METHOD,
        params: notification,
    };
    // Can't fail: the message contains only strings and nulls.
    serde_json::to_string(&envelope).unwrap_or_default()
}
