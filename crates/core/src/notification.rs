//! The contract: one JSON-RPC notification, and the two enums in it.

use std::fmt;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

/// The JSON-RPC method of the notification, as Codex's app-server sends it.
pub const METHOD: &str = "mcpServer/startupStatus/updated";

/// A value that a newer server sent and this version does not know, kept as its text.
///
/// Only decoding makes one, and never out of a known value: so an unknown value goes out again as it came in, and can't
/// be mistaken for one that this version knows.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UnknownValue(String);

impl UnknownValue {
    /// The text as it stood on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An enum of the wire whose known values are closed in the schema, and which keeps a value it does not know.
macro_rules! open_enum {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename_all = "camelCase"))]
        #[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(rename_all = "camelCase"))]
        pub enum $name {
            $($(#[$variant_meta])* $variant,)*
            /// A value from a newer server, kept as its text. It is not part of the schema.
            #[cfg_attr(feature = "schema", schemars(skip))]
            #[cfg_attr(feature = "typescript", ts(skip))]
            Unknown(UnknownValue),
        }

        impl $name {
            /// Every value this version knows, in the order of the schema.
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
    /// How far the start of an MCP server has come.
    ///
    /// Every `starting` is followed by exactly one of the other three.
    McpServerStartupState {
        /// The start has begun.
        Starting = "starting",
        /// The server has answered the handshake and can be used.
        Ready = "ready",
        /// The server can't be used; `error` says why.
        Failed = "failed",
        /// The start was given up by the host before it came to an end.
        Cancelled = "cancelled",
    }
}

open_enum! {
    /// Why a start failed, where the client can do something specific about it.
    McpServerStartupFailureReason {
        /// Credentials were stored for exactly this server, they can no longer be used or refreshed, and the start failed
        /// because of that: ask the user to sign in **again**. A first sign-in and passing trouble never carry it.
        ReauthenticationRequired = "reauthenticationRequired",
    }
}

impl McpServerStartupState {
    /// Whether the start has come to its end: anything but [`Starting`](Self::Starting). A value this version does not
    /// know counts as running, because only a newer version can say that it closes a start.
    pub fn is_finished(&self) -> bool {
        match self {
            Self::Ready | Self::Failed | Self::Cancelled => true,
            Self::Starting | Self::Unknown(_) => false,
        }
    }

    /// Whether a reason may stand beside the state that this text is: on a failed start, and on a state that only a newer version
    /// knows.
    pub(crate) fn carries_reason(text: &str) -> bool {
        text == Self::Failed.as_str() || Self::KNOWN.iter().all(|known| known.as_str() != text)
    }
}

/// The params of the notification `mcpServer/startupStatus/updated`: the state of one server's start has changed.
///
/// Built only through its constructors, so that `failureReason` stands on nothing but a failed start; read leniently
/// through [`decode`](crate::decode). All five fields are written, in this order, nulls included; only `name` and
/// `status` are required when reading.
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
// Its fields are explained where they are read: a doc comment on a field would land inside the TypeScript type.
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
    status: McpServerStartupState,
    error: Option<String>,
    failure_reason: Option<McpServerStartupFailureReason>,
}

impl McpServerStatusUpdatedNotification {
    /// The start of `name` has begun.
    pub fn starting(name: impl Into<String>) -> Self {
        Self::new(name.into(), McpServerStartupState::Starting)
    }

    /// `name` can be used.
    pub fn ready(name: impl Into<String>) -> Self {
        Self::new(name.into(), McpServerStartupState::Ready)
    }

    /// The start of `name` was given up by the host.
    pub fn cancelled(name: impl Into<String>) -> Self {
        Self::new(name.into(), McpServerStartupState::Cancelled)
    }

    /// The start of `name` failed for a reason that no new sign-in mends. `error` is a sentence for a person.
    pub fn failed(name: impl Into<String>, error: impl Into<String>) -> Self {
        Self {
            error: Some(error.into()),
            ..Self::new(name.into(), McpServerStartupState::Failed)
        }
    }

    /// The start of `name` failed because what is stored for it is spent: the user has to sign in again. To be said only
    /// when that is certain; [`from_failure`](Self::from_failure) says it exactly then.
    pub fn reauthentication_required(name: impl Into<String>, error: impl Into<String>) -> Self {
        Self {
            failure_reason: Some(McpServerStartupFailureReason::ReauthenticationRequired),
            ..Self::failed(name, error)
        }
    }

    /// The same notification for one thread (a conversation of the client that has servers of its own).
    #[must_use]
    pub fn with_thread_id(mut self, thread_id: impl Into<String>) -> Self {
        self.thread_id = Some(thread_id.into());
        self
    }

    fn new(name: String, status: McpServerStartupState) -> Self {
        Self {
            thread_id: None,
            name,
            status,
            error: None,
            failure_reason: None,
        }
    }

    /// What was read from the wire, where a reason stands on no state that can't have one.
    pub(crate) fn read(
        thread_id: Option<String>,
        name: String,
        status: McpServerStartupState,
        error: Option<String>,
        failure_reason: Option<McpServerStartupFailureReason>,
    ) -> Self {
        Self {
            thread_id,
            name,
            status,
            error,
            failure_reason,
        }
    }

    /// The thread whose server this is; `None` where the server belongs to the whole app.
    pub fn thread_id(&self) -> Option<&str> {
        self.thread_id.as_deref()
    }

    /// The name of the server, as the user configured it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The state that the start has come to.
    pub fn status(&self) -> &McpServerStartupState {
        &self.status
    }

    /// A sentence for a person, on a failed start.
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// Why the start failed, where a client can do something specific about it.
    pub fn failure_reason(&self) -> Option<&McpServerStartupFailureReason> {
        self.failure_reason.as_ref()
    }
}

impl Serialize for McpServerStatusUpdatedNotification {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut params = serializer.serialize_struct("McpServerStatusUpdatedNotification", 5)?;
        params.serialize_field("threadId", &self.thread_id)?;
        params.serialize_field("name", &self.name)?;
        params.serialize_field("status", &self.status)?;
        params.serialize_field("error", &self.error)?;
        params.serialize_field("failureReason", &self.failure_reason)?;
        params.end()
    }
}

/// The whole notification as one line of JSON, without the line's end.
///
/// ```
/// use mcp_startup_core::{decode, encode, McpServerStatusUpdatedNotification};
///
/// let said = McpServerStatusUpdatedNotification::failed("files", "exited with 3").with_thread_id("t1");
/// assert_eq!(decode(encode(&said).as_bytes()).unwrap(), Some(said));
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
    // Strings, and strings alone: there is nothing in it that JSON can't hold.
    serde_json::to_string(&envelope).unwrap_or_default()
}
