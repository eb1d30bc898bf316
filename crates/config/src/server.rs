//! One server, ready to be started, in the terms of no client in particular.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::error::EntryProblem;
use crate::foreign::shown;
use crate::located::{Place, last_of_each};
use crate::validation;

/// The variables that Codex passes to a server's program unasked; it passes no others.
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

/// The variables that Codex passes to a server's program unasked; it passes no others.
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

/// One entry of a file, usable or not.
#[derive(Debug, Clone)]
pub struct ServerEntry {
    /// The server's name as in the file. A name that was refused is escaped and cut here, so that it can be shown.
    pub name: String,
    /// Whether the user wants it started. `true` where the file does not say.
    pub enabled: bool,
    /// Whether the user calls it indispensable (Codex's `required`). `false` where the file does not say.
    pub required: bool,
    /// The server, or the first thing that is wrong with its entry.
    pub config: Result<ServerConfig, EntryProblem>,
}

impl From<ServerConfig> for ServerEntry {
    /// The entry of a server that was built in code: enabled.
    fn from(config: ServerConfig) -> Self {
        Self {
            name: config.name.clone(),
            enabled: true,
            required: config.required,
            config: Ok(config),
        }
    }
}

impl ServerEntry {
    pub(crate) fn new(
        name: &str,
        enabled: bool,
        required: bool,
        config: Result<ServerConfig, EntryProblem>,
    ) -> Self {
        let is_refused = validation::name(&Place::in_code(""), name).is_err();
        Self {
            name: if is_refused {
                shown(name)
            } else {
                name.to_owned()
            },
            enabled,
            required,
            config,
        }
    }
}

/// One server, checked: its name is usable, its URL is one, its headers can be sent.
///
/// It comes from a file ([`read`](crate::read)) or is built in code, where the same is checked:
///
/// ```
/// use std::time::Duration;
/// use mcp_startup_config::ServerConfig;
///
/// let linear = ServerConfig::http("linear", "https://mcp.linear.app/mcp")?
///     .with_header("X-Team", "core")?
///     .with_startup_timeout(Duration::from_secs(20))?;
/// assert!(format!("{linear:?}").contains("mcp.linear.app"));
///
/// let problem = ServerConfig::http("linear", "ftp://example.com").unwrap_err();
/// assert_eq!(problem.to_string(), "url: ftp:// is not supported: a server's URL is http:// or https://");
/// # Ok::<(), mcp_startup_config::EntryProblem>(())
/// ```
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// The server's name: 1 to 200 bytes, no control character, no path segment `..`; any other text.
    pub name: String,
    /// Whether the user calls it indispensable.
    pub required: bool,
    /// How long its start may take, more than zero and at most 24 hours. `None`: the starter decides.
    pub startup_timeout: Option<Duration>,
    /// The OAuth scopes to ask for. `None`: the server's own.
    pub scopes: Option<Vec<String>>,
    /// The OAuth client to sign in with. All `None` for stdio.
    pub oauth: OAuthClient,
    /// How it is reached.
    pub transport: TransportConfig,
    /// The values that variables filled into texts of the entry, its arguments and URL among them: each may be a secret. Not
    /// those of the variables that every program inherits ([`CODEX_INHERITED_VARIABLES`]).
    pub filled_in: Vec<SecretString>,
    /// Where the entry stands, and its keys that a start may find fault with.
    pub(crate) place: Place,
    pub(crate) key_places: Vec<(&'static str, Place)>,
}

/// The OAuth client that the configuration gives, where it gives one.
#[derive(Clone, Default)]
pub struct OAuthClient {
    /// The client's identifier. `None`: it registers itself.
    pub client_id: Option<String>,
    /// The client's secret.
    pub client_secret: Option<SecretString>,
    /// The resource to name in OAuth requests (RFC 8707). `None`: the server's URL.
    pub resource: Option<String>,
}

impl fmt::Debug for OAuthClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let resource = self.resource.as_deref();
        formatter
            .debug_struct("OAuthClient")
            .field("client_id", &self.client_id)
            .field("client_secret", &self.client_secret)
            .field("resource", &resource.and_then(|url| url.split('?').next()))
            .finish()
    }
}

/// How a server is reached.
#[derive(Debug, Clone)]
pub enum TransportConfig {
    /// A program that is started, spoken to over its standard input and output.
    Stdio(StdioConfig),
    /// A URL, spoken to over streamable HTTP.
    Http(HttpConfig),
}

/// A program to start. `Debug` leaves out its command and its arguments, which may hold tokens.
#[derive(Clone)]
pub struct StdioConfig {
    /// The program: a path, or a name to be found on the `PATH`. Not blank.
    pub command: String,
    /// Its arguments. No shell takes them apart.
    pub args: Vec<String>,
    /// The variables that the configuration gives it, each name once; they win over inherited ones.
    pub env: Vec<(String, SecretString)>,
    /// The variables that it gets besides.
    pub inherited: InheritedEnvironment,
    /// The folder to start it in. `None`: that of the process.
    pub cwd: Option<PathBuf>,
}

impl fmt::Debug for StdioConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let variables: Vec<&str> = self.env.iter().map(|(name, _)| name.as_str()).collect();
        formatter
            .debug_struct("StdioConfig")
            .field("command", &format_args!("[not shown]"))
            .field("args", &format_args!("[{} not shown]", self.args.len()))
            .field("env", &variables)
            .field("inherited", &self.inherited)
            .field("cwd", &self.cwd)
            .finish()
    }
}

/// Which variables of the starting process a program gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InheritedEnvironment {
    /// All, as a server of `.mcp.json` does.
    Everything,
    /// Only those of these names that are set, as with Codex ([`CODEX_INHERITED_VARIABLES`]).
    Named(&'static [&'static str]),
}

/// A URL to connect to. `Debug` shows its origin alone: the path and the query may hold a token.
#[derive(Clone)]
pub struct HttpConfig {
    /// `http` or `https`, without user name and password.
    pub url: Url,
    /// The URL as the configuration has it, its variables filled in: what a stored credential's key is made of.
    pub written_url: String,
    /// The token to authorize with.
    pub bearer: Option<BearerToken>,
    /// Headers to send, each name once, whatever its case. An `Authorization` may be among them.
    pub headers: Vec<ConfiguredHeader>,
}

impl fmt::Debug for HttpConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = self.url.origin().ascii_serialization();
        formatter
            .debug_struct("HttpConfig")
            .field("url", &origin)
            .field("bearer", &self.bearer)
            .field("headers", &self.headers)
            .finish()
    }
}

/// A bearer token and the environment variable it came from.
#[derive(Debug, Clone)]
pub struct BearerToken {
    /// The variable's name, for messages.
    pub variable: String,
    /// Its value. Not blank.
    pub token: SecretString,
}

/// A header of the configuration.
#[derive(Debug, Clone)]
pub struct ConfiguredHeader {
    /// The header's name as written.
    pub name: String,
    /// Its value.
    pub value: SecretString,
    /// The environment variable that the value, or its first variable part, came from.
    pub variable: Option<String>,
}

/// Of headers with one name, whatever its case, the last.
pub(crate) fn with_last_of_each_header(headers: Vec<ConfiguredHeader>) -> Vec<ConfiguredHeader> {
    last_of_each(headers, |header| header.name.to_ascii_lowercase())
}

impl ServerConfig {
    /// A server at a URL.
    ///
    /// # Errors
    /// The name or the URL is not usable; the problem's key is `name` or `url`.
    pub fn http(name: impl Into<String>, url: &str) -> Result<Self, EntryProblem> {
        let transport = TransportConfig::Http(HttpConfig {
            url: validation::url(&Place::in_code("url"), url)?,
            written_url: url.to_owned(),
            bearer: None,
            headers: Vec::new(),
        });
        Self::in_code(name.into(), transport)
    }

    /// A server that is a program. It inherits the few variables that Codex passes on
    /// ([`CODEX_INHERITED_VARIABLES`]); set [`StdioConfig::inherited`] for more.
    ///
    /// # Errors
    /// The name, the command or an argument is not usable; the problem's key is `name`, `command` or `args`.
    pub fn stdio(
        name: impl Into<String>,
        command: impl Into<String>,
        args: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<Self, EntryProblem> {
        let (command, args): (_, Vec<String>) =
            (command.into(), args.into_iter().map(Into::into).collect());
        validation::command(&Place::in_code("command"), &command)?;
        for arg in &args {
            validation::program_text(&Place::in_code("args"), arg)?;
        }
        let transport = TransportConfig::Stdio(StdioConfig {
            command,
            args,
            env: Vec::new(),
            inherited: InheritedEnvironment::Named(CODEX_INHERITED_VARIABLES),
            cwd: None,
        });
        Self::in_code(name.into(), transport)
    }

    /// A problem with one key of the entry that only a start can find, such as a `cwd` that does not exist: key and line named.
    pub fn problem(&self, key: &str, problem: impl Into<String>) -> EntryProblem {
        let place = self.key_places.iter().find(|(known, _)| *known == key);
        let place = place.map_or_else(|| self.place.child(key, None), |(_, place)| place.clone());
        place.problem(problem)
    }

    fn in_code(name: String, transport: TransportConfig) -> Result<Self, EntryProblem> {
        validation::name(&Place::in_code("name"), &name)?;
        Ok(Self {
            name,
            required: false,
            startup_timeout: None,
            scopes: None,
            oauth: OAuthClient::default(),
            transport,
            filled_in: Vec::new(),
            place: Place::in_code("server"),
            key_places: Vec::new(),
        })
    }

    /// A token to authorize with. `variable` is what a message calls it; by habit an environment variable.
    ///
    /// # Errors
    /// The token is blank or cannot be sent in a header, or the server is a program. The key is `bearer_token`.
    pub fn with_bearer_token(
        mut self,
        variable: &str,
        token: impl Into<SecretString>,
    ) -> Result<Self, EntryProblem> {
        let place = Place::in_code("bearer_token");
        let bearer = validation::bearer_token(&place, variable, token.into())?;
        self.http_config(&place)?.bearer = Some(bearer);
        Ok(self)
    }

    /// A header to send, in place of one of the same name.
    ///
    /// # Errors
    /// It is not a header that can be sent, or the server is a program. The key is `headers.` and its name.
    pub fn with_header(
        mut self,
        name: &str,
        value: impl Into<SecretString>,
    ) -> Result<Self, EntryProblem> {
        let place = Place::in_code("headers").child(name, None);
        let header = validation::header(&place, name, value.into(), None)?;
        let headers = &mut self.http_config(&place)?.headers;
        headers.retain(|earlier| !earlier.name.eq_ignore_ascii_case(name));
        headers.push(header);
        Ok(self)
    }

    /// A variable for the program, in place of one of the same name.
    ///
    /// # Errors
    /// No program can be given it, or the server is a URL. The key is `env.` and its name.
    pub fn with_env(
        mut self,
        name: &str,
        value: impl Into<SecretString>,
    ) -> Result<Self, EntryProblem> {
        let place = Place::in_code("env").child(name, None);
        let value = value.into();
        validation::variable_for_program(&place, name, value.expose_secret())?;
        let TransportConfig::Stdio(stdio) = &mut self.transport else {
            return Err(place.problem("a server at a URL takes no environment variables"));
        };
        stdio.env.retain(|(earlier, _)| earlier != name);
        stdio.env.push((name.to_owned(), value));
        Ok(self)
    }

    /// How long the start may take.
    ///
    /// # Errors
    /// Zero, or more than 24 hours. The key is `startup_timeout`.
    pub fn with_startup_timeout(mut self, limit: Duration) -> Result<Self, EntryProblem> {
        let place = Place::in_code("startup_timeout");
        self.startup_timeout = Some(validation::timeout(&place, Some(limit))?);
        Ok(self)
    }

    fn http_config(&mut self, place: &Place) -> Result<&mut HttpConfig, EntryProblem> {
        match &mut self.transport {
            TransportConfig::Http(http) => Ok(http),
            TransportConfig::Stdio(_) => {
                Err(place.problem("a server that is a program takes no headers and no token"))
            }
        }
    }
}
