//! [`StartTimeline`]: what happened during one start, in order. It never contains a credential.

use mcp_startup_core::{
    CertificateProblem, CredentialSent, CredentialSource, CredentialStoreTrouble, DiscoveryOutcome,
    DiscoveryProblem, IoTrouble, RequestTarget, StartPhase, printable,
};
use serde::{Serialize, Serializer};

mod words;

/// The length of the text of an entry in JSON, in characters.
const TEXT_CHARS: usize = 1000;

/// What happened during one start, in order: phases, messages, requests and their responses, and the output of a program.
///
/// Set [`StartupOptions::timeline`](crate::StartupOptions::timeline) to record it. The timeline ends with the verdict: it does not
/// contain the shutdown of a server that was ready.
///
/// All text from a server or a program is cut, has no control characters, and the secrets of the start are masked in it. URLs have
/// only scheme, host and path. Arguments, variables and the values of headers are never part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct StartTimeline {
    /// The entries, at most 200, with ascending times.
    pub entries: Vec<TimelineEntry>,
    /// The number of later entries that were left out.
    pub omitted: usize,
}

/// One step of a start, and its time.
///
/// In JSON, it also has a `text` for the user: the step in words, on one line of at most 1,000 characters, with hidden characters escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimelineEntry {
    /// The time since the start began, in ms.
    pub at_ms: u64,
    /// What happened. Displayed, it is the step in words.
    pub step: TimelineStep,
}

/// One step of a start, its time, and its text.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
struct EntryInJson<'a> {
    /// The time since the start began, in ms.
    at_ms: u64,
    #[serde(flatten)]
    step: &'a TimelineStep,
    /// The step in words, on one line of at most 1,000 characters, with hidden characters escaped.
    text: String,
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for TimelineEntry {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TimelineEntry".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        EntryInJson::json_schema(generator)
    }
}

impl Serialize for TimelineEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let entry = EntryInJson {
            at_ms: self.at_ms,
            step: &self.step,
            text: printable(&self.step.to_string(), TEXT_CHARS),
        };
        entry.serialize(serializer)
    }
}

/// What happened at one moment of a start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(
    tag = "step",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
#[non_exhaustive]
pub enum TimelineStep {
    /// The start has entered a phase.
    Phase {
        /// The phase.
        phase: StartPhase,
    },
    /// The credential for the requests is known.
    Credential {
        /// Its source.
        source: CredentialSource,
        /// The name of the header or the variable in the configuration. `None` for other sources.
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// The names of the other headers in the configuration, at most 20. Any of them may be a credential too.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        headers: Vec<String>,
        /// Why the credential store could not be used.
        #[serde(skip_serializing_if = "Option::is_none")]
        store_trouble: Option<CredentialStoreTrouble>,
    },
    /// The program of a stdio server was launched.
    ProgramStarted {
        /// The path of the program.
        program: String,
        /// The number of its arguments.
        arguments: usize,
    },
    /// The program wrote a line to stderr.
    ProgramOutput {
        /// The line.
        line: String,
    },
    /// The program exited.
    ProgramExited {
        /// The exit code, if it exited by itself.
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<i32>,
        /// The number of the signal that terminated it.
        #[serde(skip_serializing_if = "Option::is_none")]
        signal: Option<i32>,
    },
    /// The client passed a message to the transport.
    MessageSent(TimelineMessage),
    /// A message of the server arrived.
    MessageReceived(TimelineMessage),
    /// A request was sent.
    RequestSent {
        /// The number of the request. Its response or its failure has the same number.
        request: u64,
        /// The recipient.
        to: RequestTarget,
        /// The HTTP method.
        http_method: &'static str,
        /// The URL: only scheme, host and path.
        url: String,
        /// The kind of credential that was sent. `None` for a request to a token endpoint.
        #[serde(skip_serializing_if = "Option::is_none")]
        credential: Option<CredentialSent>,
        /// The method of the MCP message in its body.
        #[serde(skip_serializing_if = "Option::is_none")]
        method: Option<String>,
    },
    /// A response arrived. Its body may have been read later.
    ResponseReceived(TimelineResponse),
    /// There was no response, or its body was incomplete or unreadable.
    RequestFailed {
        /// The number of the request.
        request: u64,
        /// Why.
        io: IoTrouble,
        /// Why the certificate of the server was not accepted, if `io` is `tls`.
        #[serde(skip_serializing_if = "Option::is_none")]
        certificate: Option<CertificateProblem>,
    },
    /// A request was not sent after all, because the address of its host is not allowed.
    RequestBlocked {
        /// The number of the request.
        request: u64,
    },
    /// Discovery of the authorization server has ended.
    Discovered {
        /// The outcome.
        #[serde(skip_serializing_if = "Option::is_none")]
        outcome: Option<DiscoveryOutcome>,
        /// The issuer of the authorization server.
        #[serde(skip_serializing_if = "Option::is_none")]
        issuer: Option<String>,
        /// Why its metadata can't be used, or not for a sign-in.
        #[serde(skip_serializing_if = "Option::is_none")]
        problem: Option<DiscoveryProblem>,
    },
    /// The refresh of the stored token has ended.
    Refreshed {
        /// The outcome.
        outcome: TimelineRefresh,
    },
}

/// An MCP message, without its contents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TimelineMessage {
    /// The kind of the message.
    pub kind: TimelineMessageKind,
    /// The method. For a result or an error, the method of the request that it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The ID, as JSON. `None` for a notification.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The MCP version that the message names, or a list of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol_version: Option<String>,
    /// The name and the version of the server, in the result of the handshake.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// The number of tools, in a result of `tools/list`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<usize>,
    /// The code of a JSON-RPC error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<i32>,
    /// The message of a JSON-RPC error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
}

/// The kind of an MCP message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum TimelineMessageKind {
    /// A request.
    #[default]
    Request,
    /// A notification.
    Notification,
    /// The result of a request.
    Result,
    /// The error with which a request was answered.
    Error,
}

/// An HTTP response, without its contents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TimelineResponse {
    /// The number of the request.
    pub request: u64,
    /// The HTTP status.
    pub status: u16,
    /// The media type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// The URL of a redirect: only scheme, host and path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// The `WWW-Authenticate` header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub challenge: Option<String>,
    /// The `Retry-After` header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<String>,
    /// The OAuth error code, with its description if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oauth_error: Option<String>,
    /// The beginning of the body of an error response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

/// The outcome of the refresh of a stored token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum TimelineRefresh {
    /// There is a new token, and it is stored. Another process may have refreshed it.
    Token,
    /// There is a new token, but it could not be stored.
    TokenNotSaved,
    /// The authorization server refused it, or did not respond properly.
    Refused,
    /// The refresh token may not be sent to the authorization server that the server names.
    NotSent,
    /// No authorization server was found.
    NoAuthorizationServer,
    /// The address of the token endpoint is not allowed.
    Blocked,
    /// The credential store could not be used.
    StoreFailed,
}
