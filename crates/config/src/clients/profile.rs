//! The shape of a client's profile: where its files are, and how it reads the entry of a server. The profiles themselves are
//! data; see [`profiles`](super::profiles).

use std::time::Duration;

use super::client::Client;
use super::machine::System;
use crate::server::{HttpSseUse, InheritedEnvironment};

/// Whose servers a file configures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The user, in every folder.
    User,
    /// The user, in the current folder. The file is the user's own.
    Local,
    /// The project in the current folder. The file may be part of someone else's repository.
    Project,
    /// The administrator, who decides which servers are used.
    Managed,
    /// An extension of the client.
    Plugin,
    /// All users of the machine.
    System,
}

impl Scope {
    /// Returns the name of the scope in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Local => "local",
            Self::Project => "project",
            Self::Managed => "managed",
            Self::Plugin => "plugin",
            Self::System => "system",
        }
    }
}

/// The syntax of a file, as its client accepts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileFormat {
    /// JSON, without comments.
    Json,
    /// JSON with comments, but without trailing commas.
    JsonWithComments,
    /// JSON with comments and trailing commas.
    Jsonc,
    /// TOML.
    Toml,
    /// YAML.
    Yaml,
    /// A script, which is neither read nor run.
    Script,
}

impl FileFormat {
    /// Returns the name of the format in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::JsonWithComments | Self::Jsonc => "jsonc",
            Self::Toml => "toml",
            Self::Yaml => "yaml",
            Self::Script => "script",
        }
    }
}

/// How one client is configured.
pub(super) struct Profile {
    pub client: Client,
    /// The files, in the order of their precedence: an entry replaces the entries of the same name in files above it.
    pub places: &'static [Place],
    pub rules: &'static EntryRules,
}

/// A file that a client reads.
pub(super) struct Place {
    pub scope: Scope,
    /// The systems that have the file. Empty for all.
    pub systems: &'static [System],
    /// See [`places`](super::places).
    pub path: &'static str,
    pub format: FileFormat,
    pub servers: ServersAt,
    /// The variables that move the file. If one is set, the client does not read it here.
    pub unless: &'static [&'static str],
}

/// Where the servers are in a file.
#[derive(Clone, Copy)]
pub(super) enum ServersAt {
    /// At a path of keys.
    Key(&'static [&'static str]),
    /// At a key, or without it: each key of the file is a server.
    KeyOrBare(&'static str),
    /// At the first of several paths of keys that the file has.
    FirstOf(&'static [&'static [&'static str]]),
}

/// How a client reads the entry of a server.
pub(super) struct EntryRules {
    /// The keys for the transport, of which the first that is present counts.
    pub type_keys: &'static [&'static str],
    /// The words for the transports.
    pub types: &'static [(&'static str, TransportRule)],
    /// The client ignores a word that it does not know, and goes by the other keys.
    pub ignores_unknown_types: bool,
    /// The meaning of a program without a word for the transport.
    pub untyped_program: TransportRule,
    /// The client refuses an entry with both a program and a URL.
    pub refuses_both: bool,
    /// The client uses the URL of an entry that has a program too.
    pub url_before_program: bool,
    /// The keys for the URL, each with the transport that it means without a word.
    pub url_keys: &'static [(&'static str, TransportRule)],
    /// The meaning of an entry without a program and a URL. `None` if it is an error.
    pub without_transport: Option<TransportRule>,
    /// Whether the transport may be a table with the keys of the connection.
    pub nested_transport: bool,
    /// Why an entry needs a word for its transport. `None` if its keys decide.
    pub needs_type: Option<&'static str>,
    /// The key for the program.
    pub command: &'static str,
    /// Whether the program is a list with the program and its arguments.
    pub command_is_list: bool,
    /// Whether the client refuses a program without `args`.
    pub needs_args: bool,
    /// The key for the environment variables.
    pub env: &'static str,
    /// Whether the client refuses a number as the value of an environment variable.
    pub env_is_text: bool,
    /// The key for the working folder. `None` if the client has none.
    pub cwd: Option<&'static str>,
    /// The key for a file with environment variables.
    pub env_file: Option<&'static str>,
    /// Whether the client does not start a server whose file with environment variables is missing.
    pub needs_env_file: bool,
    /// The keys that turn a server off, each with the value that does it.
    pub switches: &'static [(&'static str, bool)],
    /// The key that limits a start.
    pub timeout: Option<Timeout>,
    /// The table with the headers: its key, or the key of the table around it and its own.
    pub headers: &'static [&'static str],
    /// The key for a bearer token.
    pub bearer: Option<&'static str>,
    /// The tables with the OAuth client.
    pub oauth: &'static [&'static str],
    /// The client keeps a secret elsewhere and does not read it from the file.
    pub ignores_client_secret: bool,
    /// Other keys of the client, which have no effect on a start.
    pub other_keys: &'static [&'static str],
    /// How variables are written and replaced.
    pub variables: Variables,
    /// How variables are written and replaced in the values of environment variables, if the client does it in another way there.
    pub variables_in_env: Option<Variables>,
    /// Where variables are replaced.
    pub replaced_in: ReplacedIn,
    /// For messages: that a variable has no value, and what to do.
    pub without_value: (&'static str, &'static str),
    /// Whether the client runs commands in values, as in `$(command)`. They are not run here.
    pub runs_commands: bool,
    /// The variables that the programs of servers inherit.
    pub inherited: InheritedEnvironment,
}

/// The transport that a word or a key means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TransportRule {
    Stdio,
    Http(HttpSseUse),
    /// The client refuses the entry. The text is the reason, and what to write.
    Refused(&'static str),
    /// The client accepts the entry, but it cannot be checked here.
    NotChecked(&'static str),
}

/// A key that limits a start.
#[derive(Clone, Copy)]
pub(super) struct Timeout {
    pub key: &'static str,
    pub unit: TimeoutUnit,
    /// The client raises a shorter limit to this one.
    pub least: Duration,
    /// The client refuses a number outside of this range.
    pub accepted: Option<(u32, u32)>,
}

impl Timeout {
    pub const fn millis(key: &'static str) -> Self {
        Self {
            key,
            unit: TimeoutUnit::Milliseconds,
            least: Duration::ZERO,
            accepted: None,
        }
    }

    pub const fn secs(key: &'static str) -> Self {
        Self {
            unit: TimeoutUnit::Seconds,
            ..Self::millis(key)
        }
    }
}

/// A unit of time.
#[derive(Clone, Copy)]
pub(super) enum TimeoutUnit {
    Milliseconds,
    Seconds,
}

/// Where a client replaces variables.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ReplacedIn {
    /// In every string.
    Everywhere,
    /// Only in the values of environment variables.
    Env,
    /// Only in the values of environment variables and headers.
    EnvAndHeaders,
    /// Only in the URL and in the values of headers.
    UrlAndHeaders,
}

/// How a client writes variables.
#[derive(Clone, Copy)]
pub(super) struct Variables {
    pub forms: &'static [VariableForm],
    pub missing: MissingVariable,
}

/// A way to write a variable.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum VariableForm {
    /// `${NAME}`
    Braces,
    /// `${NAME:-default}`
    Default,
    /// `$NAME`
    Dollar,
    /// `%NAME%`
    Percent,
    /// `${/}`, the separator of paths
    Separator,
    /// `${env:NAME}`
    EnvInBraces,
    /// `{env:NAME}` and `{file:path}`
    EnvInCurlyBraces,
    /// `${NAME}`, which the client replaces only if the user has approved it there
    ApprovedBraces,
    /// `${{ secrets.NAME }}`, and `${{ inputs.NAME }}`, which only the client knows
    Secrets,
    /// `{{NAME}}`, which only the client knows
    DoubleBraces,
    /// `${workspaceFolder}`, `${userHome}` and the other variables of an editor
    Editor,
}

/// How a client treats a variable that is not set.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum MissingVariable {
    /// It keeps the text unchanged.
    Kept,
    /// It replaces the variable with an empty text.
    Empty,
    /// It refuses the entry.
    Refused,
    /// It may know the value from another place, so the entry cannot be checked.
    KnownElsewhere,
}
