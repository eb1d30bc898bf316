//! The configuration of one server, independent of the client it comes from. Never starts the server.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::error::EntryProblem;
use crate::escaping::escape_and_truncate;
use crate::held_sign_ins::{HeldSignIn, HeldSignInSource};
use crate::shown;
use crate::spanned::KeyPath;
use crate::validation;

/// The environment variables that a server's program inherits from Codex. All other variables must be configured.
///
/// Source: `DEFAULT_ENV_VARS` in `codex-rs/rmcp-client/src/utils.rs` of <https://github.com/openai/codex>.
#[cfg(not(windows))]
pub const CODEX_INHERITED_VARIABLES: &[&str] = &[
    "HOME",
    "LOGNAME",
    "PATH",
    "SHELL",
    "USER",
    "__CF_USER_TEXT_ENCODING",
    "LANG",
    "LC_ALL",
    "TERM",
    "TMPDIR",
    "TZ",
];

/// The environment variables that a server's program inherits from Codex. All other variables must be configured.
///
/// Source: `DEFAULT_ENV_VARS` in `codex-rs/rmcp-client/src/utils.rs` of <https://github.com/openai/codex>.
#[cfg(windows)]
pub const CODEX_INHERITED_VARIABLES: &[&str] = &[
    "PATH",
    "PATHEXT",
    "COMSPEC",
    "SYSTEMROOT",
    "SYSTEMDRIVE",
    "USERNAME",
    "USERDOMAIN",
    "USERPROFILE",
    "HOMEDRIVE",
    "HOMEPATH",
    "PROGRAMFILES",
    "PROGRAMFILES(X86)",
    "PROGRAMW6432",
    "PROGRAMDATA",
    "LOCALAPPDATA",
    "APPDATA",
    "TEMP",
    "TMP",
    "POWERSHELL",
    "PWSH",
];

/// One server entry of a configuration file, valid or not.
#[derive(Debug, Clone)]
pub struct ServerEntry {
    /// The name of the server in the file. An invalid name is escaped and truncated, so that it is safe to print.
    pub name: String,
    /// Whether the server is enabled. `true` by default.
    pub enabled: bool,
    /// Whether the user cannot work without the server (Codex's `required`). `false` by default.
    pub required: bool,
    /// The configuration of the server, or the first problem in its entry.
    pub config: Result<ServerConfig, EntryProblem>,
    /// Keys of the entry that have no effect, with the key that the user may mean. They may be the cause if the start fails. At
    /// most 20.
    pub warnings: Vec<EntryProblem>,
    /// Parts of the entry that only some clients read, such as `serverUrl` for `url`, and keys that this crate does not know. At
    /// most 20.
    pub compatibility_warnings: Vec<EntryProblem>,
}

impl ServerEntry {
    /// Returns the line of the entry in its file, or of the problem in it, counted from 1. `None` for a server that was created in code.
    pub fn line(&self) -> Option<u32> {
        match &self.config {
            Ok(config) => config.path.line(),
            Err(problem) => problem.line,
        }
    }

    /// Returns the key of the entry in its file, or of the problem in it, as a path such as `mcp_servers.linear`. `None` for a server
    /// that was created in code.
    pub fn key(&self) -> Option<&str> {
        match &self.config {
            Ok(config) => config.path.line().map(|_| config.path.as_str()),
            Err(problem) => Some(problem.key.as_str()).filter(|key| !key.is_empty()),
        }
    }
}

impl From<ServerConfig> for ServerEntry {
    /// Creates an enabled entry for a server that was created in code.
    fn from(config: ServerConfig) -> Self {
        Self {
            name: config.name.clone(),
            enabled: true,
            required: config.required,
            config: Ok(config),
            warnings: Vec::new(),
            compatibility_warnings: Vec::new(),
        }
    }
}

impl ServerEntry {
    pub(crate) fn new(
        name: &str,
        enabled: bool,
        required: bool,
        config: Result<ServerConfig, EntryProblem>,
        mut warnings: Vec<EntryProblem>,
        mut compatibility_warnings: Vec<EntryProblem>,
    ) -> Self {
        let is_valid = validation::server_name(&KeyPath::new(""), name).is_ok();
        if let Err(problem) = &config {
            for warnings in [&mut warnings, &mut compatibility_warnings] {
                warnings.retain(|warning| warning.key != problem.key);
            }
        }
        Self {
            name: if is_valid {
                name.to_owned()
            } else {
                escape_and_truncate(name)
            },
            enabled,
            required,
            config,
            warnings,
            compatibility_warnings,
        }
    }
}

/// The maximum number of headers of a server. HTTP servers accept fewer.
pub const MAX_HEADERS: usize = 1000;

/// The configuration of one server. Its name, URL, headers and timeout are valid.
///
/// It comes from a file ([`read`](crate::read)) or is created in code. The same rules apply to both:
///
/// ```
/// use std::time::Duration;
/// use mcp_startup_config::ServerConfig;
///
/// let linear = ServerConfig::http("linear", "https://mcp.linear.app/mcp")?
///     .with_header("X-Team", "core")?
///     .with_startup_timeout(Duration::from_secs(20))?;
/// assert_eq!(linear.startup_timeout, Some(Duration::from_secs(20)));
///
/// let problem = ServerConfig::http("linear", "ftp://example.com").unwrap_err();
/// assert_eq!(problem.to_string(), "url: ftp:// is not supported; use http:// or https://");
/// # Ok::<(), mcp_startup_config::EntryProblem>(())
/// ```
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// The name of the server: 1 to 200 bytes without control characters and without a path segment `..`.
    pub name: String,
    /// Whether the user cannot work without the server (Codex's `required`).
    pub required: bool,
    /// The startup timeout: more than zero and at most 24 hours. `None` if the configuration does not set one.
    pub startup_timeout: Option<Duration>,
    /// The key that sets the startup timeout in the file. `None` if its format has no such key.
    pub startup_timeout_key: Option<&'static str>,
    /// The era of MCP that the server speaks, if the configuration names it.
    pub protocol_era: ProtocolEra,
    /// The OAuth scopes to request. `None` requests the scopes that the server names.
    pub scopes: Option<Vec<String>>,
    /// The OAuth client to sign in with. All fields are `None` for a stdio server.
    pub oauth: OAuthClient,
    /// The sign-in that another client holds for this server. Its token is sent only if the configuration and our own store have no
    /// usable credential. `None` unless the caller sets it: see [`held_sign_ins`](crate::held_sign_ins).
    pub held_sign_in: Option<HeldSignIn>,
    /// The store of that client, to read the sign-in again. `None` if it keeps none that can be read.
    pub held_sign_in_source: Option<HeldSignInSource>,
    /// How to connect to the server.
    pub transport: TransportConfig,
    /// The values of the environment variables that were expanded in the entry, for example in arguments or in the URL.
    /// Any of them may be a secret. Values of [`CODEX_INHERITED_VARIABLES`] are not included.
    pub expanded_variables: Vec<SecretString>,
    /// Values of the entry that may be the cause if the start fails: variables that are blank, and text that looks like a variable
    /// and is passed on as written. Show them only with a failure. At most 20.
    pub possible_causes: Vec<EntryProblem>,
    /// The path of the entry in the file.
    pub(crate) path: KeyPath,
    /// The paths of those keys of the entry that [`problem`](Self::problem) may name.
    pub(crate) key_paths: Vec<(&'static str, KeyPath)>,
}

/// The OAuth client of a configuration. All fields are `None` if the configuration has none.
#[derive(Clone, Default)]
pub struct OAuthClient {
    /// The client ID. `None` if the client has to register itself.
    pub client_id: Option<String>,
    /// The client secret.
    pub client_secret: Option<SecretString>,
    /// Whether a sign-in may begin if the authorization server does not publish whether it supports PKCE. `false` by default: if
    /// it does not support PKCE, another program on the user's machine can use an authorization code that it has intercepted.
    pub allow_unpublished_pkce: bool,
    /// The resource indicator for OAuth requests (RFC 8707). `None` if the configuration does not set one. If it is blank, the
    /// requests name no resource. MCP requires one, but some authorization servers refuse it.
    pub resource: Option<String>,
    /// The redirect URI of a sign-in, exactly as it is registered for the client. `None` for an address on loopback.
    pub callback_url: Option<String>,
    /// The port on loopback where a sign-in returns. `None` for a free one.
    pub callback_port: Option<u16>,
    /// Whether the redirect URI on loopback has the name `localhost` and not the address 127.0.0.1, because the client that the
    /// configuration is for registers it so. Used only without `callback_url`.
    pub callback_on_localhost: bool,
    /// The URL of a client ID metadata document. It is used if no client ID is configured and the authorization server supports
    /// such documents.
    pub client_metadata_url: Option<String>,
    /// The `prompt` of the authorization request (OpenID Connect Core, section 3.1.2.1): `consent`, `login`, `select_account` or
    /// `create`, or several of them separated by spaces. `None` if the configuration does not set one.
    pub prompt: Option<String>,
}

/// `Debug` shows this instead of a value in which a variable may be a secret.
const NOT_SHOWN: &str = "[not shown]";

impl fmt::Debug for OAuthClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A variable can be any part of a value, such as the host of a URL.
        let hidden = |value: &Option<String>| value.as_ref().map(|_| NOT_SHOWN);
        formatter
            .debug_struct("OAuthClient")
            .field("client_id", &hidden(&self.client_id))
            .field("client_secret", &self.client_secret)
            .field("allow_unpublished_pkce", &self.allow_unpublished_pkce)
            .field("callback_url", &hidden(&self.callback_url))
            .field("callback_port", &self.callback_port)
            .field("callback_on_localhost", &self.callback_on_localhost)
            .field("client_metadata_url", &hidden(&self.client_metadata_url))
            .field("prompt", &self.prompt)
            .field("resource", &hidden(&self.resource))
            .finish()
    }
}

/// How to connect to a server.
#[derive(Debug, Clone)]
pub enum TransportConfig {
    /// A program that speaks MCP over its standard input and output.
    Stdio(StdioConfig),
    /// A URL of a server that speaks MCP over HTTP.
    Http(HttpConfig),
}

/// A program to start. `Debug` omits the command and the arguments, because they may contain tokens.
#[derive(Clone)]
pub struct StdioConfig {
    /// The program: a path, or a name to look up in `PATH`. Not blank.
    pub command: String,
    /// The arguments. They are passed as they are, without a shell.
    pub args: Vec<String>,
    /// The environment variables from the configuration. Each name occurs once. They override inherited variables.
    pub env: Vec<(String, SecretString)>,
    /// The environment variables that the program inherits in addition.
    pub inherited: InheritedEnvironment,
    /// The working directory. `None` for the working directory of the current process.
    pub cwd: Option<PathBuf>,
}

impl fmt::Debug for StdioConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.env.iter().map(|(name, _)| shown::key(name));
        let variables: Vec<_> = names.collect();
        formatter
            .debug_struct("StdioConfig")
            .field("command", &NOT_SHOWN)
            .field("args", &format_args!("[{} not shown]", self.args.len()))
            .field("env", &variables)
            .field("inherited", &self.inherited)
            .field("cwd", &self.cwd.as_ref().map(|_| NOT_SHOWN))
            .finish()
    }
}

/// The environment variables that a server's program inherits from the process that starts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InheritedEnvironment {
    /// All variables. Used for `.mcp.json`.
    Everything,
    /// All variables except those whose names indicate a secret, such as `API_KEY`. Gemini CLI does this. See
    /// [`indicates_a_secret`](Self::indicates_a_secret).
    WithoutSecrets,
    /// The variables with these names, if they are set. Codex uses [`CODEX_INHERITED_VARIABLES`].
    Named(&'static [&'static str]),
}

impl InheritedEnvironment {
    /// Whether the name of a variable contains a word for a secret, in any case.
    ///
    /// Source: `packages/core/src/services/environmentSanitization.ts` in <https://github.com/google-gemini/gemini-cli>.
    pub fn indicates_a_secret(name: &str) -> bool {
        const WORDS: [&str; 10] = [
            "TOKEN",
            "SECRET",
            "PASSWORD",
            "PASSWD",
            "KEY",
            "AUTH",
            "CREDENTIAL",
            "CREDS",
            "PRIVATE",
            "CERT",
        ];
        let name = name.to_ascii_uppercase();
        WORDS.iter().any(|word| name.contains(word))
    }
}

/// A URL to connect to. `Debug` shows only the scheme of the URL, because a variable in any other part may be a token.
#[derive(Clone)]
pub struct HttpConfig {
    /// The URL. Its scheme is `http` or `https`, and it has no user name and no password.
    pub url: Url,
    /// The URL as written in the configuration, with its variables expanded. Keys of stored credentials are derived from
    /// it.
    pub written_url: String,
    /// The bearer token from the configuration.
    pub bearer: Option<BearerToken>,
    /// The headers to send, at most [`MAX_HEADERS`], which may include `Authorization`. Each name occurs once, regardless of case.
    pub headers: Vec<ConfiguredHeader>,
    /// When to use the transport HTTP+SSE of MCP 2024-11-05.
    pub http_sse: HttpSseUse,
}

/// When to use the transport HTTP+SSE of MCP 2024-11-05, which streamable HTTP has replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HttpSseUse {
    /// Never: the client of this configuration does not speak it. A server that speaks only HTTP+SSE fails.
    Never,
    /// If the server does not support streamable HTTP (MCP 2025-11-25, Transports, backwards compatibility).
    #[default]
    Fallback,
    /// Always: the configuration requires it.
    Always,
}

/// The eras of MCP: with a handshake by `initialize` (up to 2025-11-25), and without one (since 2026-07-28).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProtocolEra {
    /// `initialize` first, and `server/discover` if the server refuses it.
    #[default]
    Auto,
    /// Only `initialize`.
    Legacy,
    /// Only `server/discover`.
    Modern,
}

impl fmt::Debug for HttpConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("HttpConfig")
            .field("url", &format_args!("{}://{NOT_SHOWN}", self.url.scheme()))
            .field("bearer", &self.bearer)
            .field("headers", &self.headers)
            .field("http_sse", &self.http_sse)
            .finish()
    }
}

/// A bearer token and the environment variable that it comes from.
#[derive(Debug, Clone)]
pub struct BearerToken {
    /// The name of the variable, for messages.
    pub variable: String,
    /// The token. Not blank.
    pub token: SecretString,
}

/// An HTTP header from the configuration.
#[derive(Debug, Clone)]
pub struct ConfiguredHeader {
    /// The name of the header as written in the configuration.
    pub name: String,
    /// The value of the header.
    pub value: SecretString,
    /// The environment variable that the value comes from. If several were expanded, the first.
    pub variable: Option<String>,
}

impl ServerConfig {
    /// Creates the configuration of an HTTP server.
    ///
    /// # Errors
    /// Fails if the name or the URL is invalid. The key of the problem is `name` or `url`.
    pub fn http(name: impl Into<String>, url: &str) -> Result<Self, EntryProblem> {
        let transport = TransportConfig::Http(HttpConfig {
            url: validation::url(&KeyPath::new("url"), url, url)?,
            written_url: url.to_owned(),
            bearer: None,
            headers: Vec::new(),
            http_sse: HttpSseUse::Fallback,
        });
        Self::new(name.into(), transport)
    }

    /// Creates the configuration of a stdio server.
    ///
    /// The program inherits only the [`CODEX_INHERITED_VARIABLES`]. Set [`StdioConfig::inherited`] to change that.
    ///
    /// # Errors
    /// Fails if the name, the command or an argument is invalid. The key of the problem is `name`, `command` or `args`.
    pub fn stdio(
        name: impl Into<String>,
        command: impl Into<String>,
        args: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<Self, EntryProblem> {
        let (command, args): (_, Vec<String>) =
            (command.into(), args.into_iter().map(Into::into).collect());
        validation::command(&KeyPath::new("command"), &command)?;
        for arg in &args {
            validation::no_nul(&KeyPath::new("args"), arg)?;
        }
        let transport = TransportConfig::Stdio(StdioConfig {
            command,
            args,
            env: Vec::new(),
            inherited: InheritedEnvironment::Named(CODEX_INHERITED_VARIABLES),
            cwd: None,
        });
        Self::new(name.into(), transport)
    }

    /// Creates a problem with one key of the entry, with the path and the line of the key.
    ///
    /// Use it for problems that show only when the server is started, such as a `cwd` that does not exist.
    pub fn problem(&self, key: &str, problem: impl Into<String>) -> EntryProblem {
        let path = self.key_paths.iter().find(|(known, _)| *known == key);
        let path = path.map_or_else(|| self.path.child(key, None), |(_, path)| path.clone());
        path.problem(problem)
    }

    /// A problem of the whole entry.
    pub fn entry_problem(&self, problem: impl Into<String>) -> EntryProblem {
        self.path.problem(problem)
    }

    fn new(name: String, transport: TransportConfig) -> Result<Self, EntryProblem> {
        validation::server_name(&KeyPath::new("name"), &name)?;
        Ok(Self {
            name,
            required: false,
            startup_timeout: None,
            startup_timeout_key: None,
            protocol_era: ProtocolEra::Auto,
            scopes: None,
            oauth: OAuthClient::default(),
            held_sign_in: None,
            held_sign_in_source: None,
            transport,
            expanded_variables: Vec::new(),
            possible_causes: Vec::new(),
            path: KeyPath::new("server"),
            key_paths: Vec::new(),
        })
    }

    /// Sets the bearer token. `variable` is the name of the environment variable that it comes from, for messages.
    ///
    /// # Errors
    /// Fails if the token is blank or not valid in a header, or if this is a stdio server. The key of the problem is
    /// `bearer_token`.
    pub fn with_bearer_token(
        mut self,
        variable: &str,
        token: impl Into<SecretString>,
    ) -> Result<Self, EntryProblem> {
        let path = KeyPath::new("bearer_token");
        let bearer = validation::bearer_token(&path, variable, token.into())?;
        self.http_config(&path)?.bearer = Some(bearer);
        Ok(self)
    }

    /// Adds a header. Replaces a header with the same name, regardless of case.
    ///
    /// # Errors
    /// Fails if the name or the value is not valid in a header, if there are more than [`MAX_HEADERS`], or if this is a stdio
    /// server. The key of the problem is `headers.` followed by the name.
    pub fn with_header(
        mut self,
        name: &str,
        value: impl Into<SecretString>,
    ) -> Result<Self, EntryProblem> {
        let path = KeyPath::new("headers").child(name, None);
        let header = validation::header(&path, name, value.into(), "", None)?;
        let headers = &mut self.http_config(&path)?.headers;
        headers.retain(|earlier| !earlier.name.eq_ignore_ascii_case(name));
        validation::header_count(&path, headers.len() + 1)?;
        headers.push(header);
        Ok(self)
    }

    /// Adds an environment variable for the program. Replaces a variable with the same name.
    ///
    /// # Errors
    /// Fails if the name is empty or contains `=`, if the name or the value contains NUL, or if this is an HTTP server. The
    /// key of the problem is `env.` followed by the name.
    pub fn with_env(
        mut self,
        name: &str,
        value: impl Into<SecretString>,
    ) -> Result<Self, EntryProblem> {
        let path = KeyPath::new("env").child(name, None);
        let value = value.into();
        validation::env_entry(&path, name, value.expose_secret())?;
        let TransportConfig::Stdio(stdio) = &mut self.transport else {
            return Err(path.problem("an HTTP server takes no environment variables; remove them"));
        };
        stdio.env.retain(|(earlier, _)| earlier != name);
        stdio.env.push((name.to_owned(), value));
        Ok(self)
    }

    /// Sets the startup timeout.
    ///
    /// # Errors
    /// Fails if the timeout is zero or more than 24 hours. The key of the problem is `startup_timeout`.
    pub fn with_startup_timeout(mut self, limit: Duration) -> Result<Self, EntryProblem> {
        let path = KeyPath::new("startup_timeout");
        self.startup_timeout = Some(validation::timeout(&path, Some(limit))?);
        Ok(self)
    }

    fn http_config(&mut self, path: &KeyPath) -> Result<&mut HttpConfig, EntryProblem> {
        match &mut self.transport {
            TransportConfig::Http(http) => Ok(http),
            TransportConfig::Stdio(_) => {
                Err(path.problem("a stdio server takes no headers and no token; remove them"))
            }
        }
    }
}

/// Removes headers that are repeated, regardless of case. The last value takes the position of the first.
///
/// # Errors
/// Fails if more than [`MAX_HEADERS`] are left.
pub(crate) fn deduplicate_headers(
    entry: &KeyPath,
    headers: Vec<ConfiguredHeader>,
) -> Result<Vec<ConfiguredHeader>, EntryProblem> {
    let headers = keep_last_by_key(headers, |header| header.name.to_ascii_lowercase());
    validation::header_count(entry, headers.len())?;
    Ok(headers)
}

/// Removes environment variables that are repeated. The last value takes the position of the first.
pub(crate) fn deduplicate_env(env: Vec<(String, SecretString)>) -> Vec<(String, SecretString)> {
    keep_last_by_key(env, |(name, _)| name.clone())
}

/// Keeps the last of the items with the same key, at the position of the first.
fn keep_last_by_key<T, K: Eq + Hash>(items: Vec<T>, key: impl Fn(&T) -> K) -> Vec<T> {
    let mut kept: Vec<T> = Vec::with_capacity(items.len());
    let mut positions: HashMap<K, usize> = HashMap::new();
    for item in items {
        match positions.get(&key(&item)).and_then(|at| kept.get_mut(*at)) {
            Some(earlier) => *earlier = item,
            None => {
                positions.insert(key(&item), kept.len());
                kept.push(item);
            }
        }
    }
    kept
}
