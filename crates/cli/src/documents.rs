//! The JSON documents that `--format json` prints, one for each command. schema/program has the JSON Schema of each.
//!
//! A later version may add fields. `check --format ndjson` prints notifications instead, whose schema is in schema/ too.

use std::collections::BTreeMap;

use mcp_startup::config::clients::{NotChecked, Owner};
use mcp_startup::{
    AccessTokenWorth, ClientChoice, ConfigurationEvidence, McpAuthStatus,
    McpServerStartupFailureReason, McpServerStartupState, Recovery, StartPhase, StartTimeline,
    StartupFailure, StartupFailureKind, StartupWarning,
};
use mcp_startup_core::{ServerKey, TrackedServer};
use serde::Serialize;

pub use mcp_startup::config::clients::FileReport;

/// The result of `check` and `demo`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CheckReport {
    /// The path of the file with all servers; null if there are several, and for the demo.
    pub configuration: Option<String>,
    /// The parts of that file that may not have the expected effect, or that some clients do not accept.
    pub configuration_warnings: Vec<ConfigurationEvidence>,
    /// The time the whole check took, in ms.
    pub elapsed_ms: u64,
    /// The exit status of the program: 0 if every server is ready, 3 if one needs a sign-in or more access, 1 if one failed for another
    /// reason.
    pub exit_status: u8,
    /// The servers that were started, in the order of the configuration. With `--only-failed`, only those that are not ready.
    pub servers: Vec<CheckedServer>,
    /// The servers of clients that were not started.
    pub not_checked: Vec<NotChecked>,
}

/// The result of one start.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CheckedServer {
    /// The name of the server, unique in the document.
    pub name: String,
    /// The clients that have the server; empty if it comes from a file, a URL or a command of the user.
    pub owners: Vec<Owner>,
    /// The line of its entry in the file of the first owner, or in the configuration, counted from 1; null if it comes from a URL or a
    /// command.
    pub line: Option<u32>,
    /// Whether the configuration requires the server.
    pub required: bool,
    /// The state of the server at the end.
    pub status: McpServerStartupState,
    /// The reason in the notification of a failed server, if it has one.
    pub failure_reason: Option<McpServerStartupFailureReason>,
    /// The last phase that the start entered.
    pub phase: StartPhase,
    /// The time the start took, in ms.
    pub elapsed_ms: u64,
    /// The number of tools of a ready server; null if it did not list them.
    pub tools: Option<usize>,
    /// Why the start failed; null if it did not.
    pub failure: Option<StartupFailure>,
    /// The problem of a server that is ready; null if it has none.
    pub warning: Option<StartupWarning>,
    /// Why a refreshed sign-in could not be saved; null if it was saved, or if there was none.
    pub not_saved: Option<String>,
    /// Keys of its entry that are not read, and other parts that may not have the expected effect.
    pub configuration_warnings: Vec<ConfigurationEvidence>,
}

/// The result of `check --dry-run`: the servers that a check would start.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct DryRunReport {
    /// The path of the file with all servers; null if there are several.
    pub configuration: Option<String>,
    /// The servers that a check would start, in the order of the configuration.
    pub servers: Vec<DryRunServer>,
    /// The servers of clients that a check would not start.
    pub not_checked: Vec<NotChecked>,
}

/// A server that a check would start.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct DryRunServer {
    /// The name of the server, unique in the document.
    pub name: String,
    /// The clients that have the server; empty if it comes from a file, a URL or a command of the user.
    pub owners: Vec<Owner>,
    /// The command of a program with its arguments, and secrets masked. Absent for a remote server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// The URL of a remote server, with secrets masked. Absent for a program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// The result of `status`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct StatusReport {
    /// The path of the file with all servers; null if there are several.
    pub configuration: Option<String>,
    /// Each server, in the order of the configuration.
    pub servers: Vec<ServerStatus>,
    /// The servers of clients whose status is not shown.
    pub not_checked: Vec<NotChecked>,
}

/// How the user is signed in to one server.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ServerStatus {
    /// The name of the server, unique in the document.
    pub name: String,
    /// `stdio` or `http`; null if the entry can't be used.
    pub transport: Option<&'static str>,
    /// How a client is authorized; null if that is not known.
    pub auth_status: Option<McpAuthStatus>,
    /// The sign-in stored for this server; null if there is none.
    pub stored: Option<StoredSignIn>,
    /// Why the stored sign-in could not be read; null if it could.
    pub store_error: Option<String>,
    /// Keys of its entry that are not read, and other parts that may not have the expected effect.
    pub configuration_warnings: Vec<ConfigurationEvidence>,
    /// The OAuth client that a sign-in would use. Present only with `--explain`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientChoice>,
}

/// A stored sign-in, without its tokens.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct StoredSignIn {
    /// The store, for example `file` or `keyring`; null if it has no name.
    pub store: Option<String>,
    /// Whether the access token can still be used, by its expiry time.
    pub access_token: AccessTokenWorth,
    /// Whether there is a usable refresh token.
    pub refresh_token: bool,
    /// When the access token expires, in ms since the Unix epoch; null if not known.
    pub expires_at_ms: Option<i64>,
    /// The scopes that were granted; empty if they are not known.
    pub scopes: Vec<String>,
    /// The issuer of the authorization server; null if it is not known.
    pub issuer: Option<String>,
}

/// The result of `explain`: one start, step by step.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The path of the file with all servers; null if there are several.
    pub configuration: Option<String>,
    /// The name of the server.
    pub server: String,
    /// The state of the server at the end.
    pub status: McpServerStartupState,
    /// The exit status of the program, as that of `check`.
    pub exit_status: u8,
    /// The time the start took, in ms.
    pub elapsed_ms: u64,
    /// What happened, in order.
    pub timeline: StartTimeline,
    /// The rule that decided why the start failed; null if it did not fail.
    pub rule: Option<Rule>,
    /// Why the start failed; null if it did not.
    pub failure: Option<StartupFailure>,
    /// The problem of a server that is ready; null if it has none.
    pub warning: Option<StartupWarning>,
    /// Why a refreshed sign-in could not be saved; null if it was saved, or if there was none.
    pub not_saved: Option<String>,
    /// Keys of its entry that are not read, and other parts that may not have the expected effect.
    pub configuration_warnings: Vec<ConfigurationEvidence>,
}

/// A row of the table of kinds in docs/protocol.md. The rows are tried in their order, and the first that applies decides.
#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// The kind of the failure.
    pub kind: StartupFailureKind,
    /// The number of the row, counted from 1.
    pub row: usize,
    /// The action that helps.
    pub recovery: Recovery,
}

/// The result of `follow`: the servers at the end of the input.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct FollowReport<'a> {
    /// One entry for each thread, environment and name, in the order of their first notifications.
    pub servers: Vec<&'a TrackedServer>,
    /// The servers that need a sign-in again.
    pub reauthentication_required: Vec<&'a ServerKey>,
    /// The number of lines that could not be read.
    pub bad_lines: u64,
    /// The exit status of the program.
    pub exit_status: u8,
}

/// The result of `store stats`: the sign-ins in a database.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct StoreReport {
    /// The version of the tables.
    pub schema_version: i32,
    /// The number of users with at least one record.
    pub users: i64,
    /// The number of records by the ID of the key that encrypts them.
    pub records_by_key: BTreeMap<String, i64>,
    /// The number of locks that are held now.
    pub locks: i64,
    /// The number of refreshes whose outcome is not known: their program ended before it saved the response.
    pub open_attempts: i64,
}
