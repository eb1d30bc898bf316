//! The options of a host: which servers to start, and how.

use std::sync::Arc;
use std::time::Duration;

use mcp_startup::auth::{CredentialStore, CredentialStores, HostStore};
use mcp_startup::config::{
    self, Configuration, CredentialSettings, ProcessEnvironment, ServerEntry, codex_home,
    expand_tilde,
};
use mcp_startup::{CallbackOptions, SignInOptions, Startup, StartupOptions};
use mcp_startup_core::printable;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use url::Url;

#[cfg(feature = "clients")]
use crate::clients::Clients;
#[cfg(feature = "store-postgres")]
use crate::database::DatabaseUser;
use crate::json_error::read;
use crate::range::within;
use crate::{HostError, runtime};

/// The longest text of a host that a message shows, in characters.
pub(crate) const SHOWN_CHARS: usize = 100;
/// The longest time limit: 30 days.
const MAX_LIMIT_MS: u64 = 30 * 24 * 60 * 60 * 1000;
/// The most servers that can start at the same time.
const MAX_CONCURRENCY: u64 = 1_000_000;

/// The path in errors about servers that a host passes itself instead of a file.
const IN_CODE: &str = "mcpServers";

/// The options of a host, read from JSON. The names are in camelCase. Every field may be absent or null.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Options {
    /// The path of the configuration: Codex's `config.toml`, or JSON with `mcpServers`. `~/` is the user's home folder. Without this
    /// option, `mcpServers` and `clients`, Codex's configuration is used.
    pub config: Option<String>,
    /// The servers, instead of a file: the value of `mcpServers` in a `.mcp.json`.
    pub mcp_servers: Option<Box<RawValue>>,
    /// The servers of the MCP clients on this machine, instead of those of a file: `"all"` or a list of client IDs.
    #[cfg(feature = "clients")]
    pub clients: Option<Clients>,
    /// Only with `clients`: the folder whose project files are read. The default is the current folder.
    #[cfg(feature = "clients")]
    pub folder: Option<String>,
    /// Only with `clients`: whether to select the servers of project files that the user has not approved in their client.
    #[cfg(feature = "clients")]
    pub trust_project: Option<bool>,
    /// The names of the servers to start. The default is every enabled server. With `clients`, a name may be `CLIENT:SERVER`.
    pub servers: Option<Vec<String>>,
    /// The maximum duration of each start in milliseconds, at least 1. Overrides the limit in the configuration.
    #[serde(deserialize_with = "limit_ms")]
    pub timeout_ms: Option<u64>,
    /// The maximum number of servers that start at the same time, at least 1.
    #[serde(deserialize_with = "concurrency")]
    pub concurrency: Option<usize>,
    /// The URL of the host's client ID metadata document, if it publishes one.
    pub client_metadata_url: Option<String>,
    /// The user of a database whose sign-ins are used. A store that the host implements is an argument of each call instead.
    #[cfg(feature = "store-postgres")]
    pub store: Option<DatabaseUser>,
    /// Only for [`begin_sign_in`](crate::begin_sign_in): the `WWW-Authenticate` header of an answer with which the server has refused a
    /// request of the host. See [`SignInOptions::challenge`].
    pub challenge: Option<String>,
    /// Only for [`begin_sign_in`](crate::begin_sign_in): the scopes to request in addition. See [`SignInOptions::scopes`].
    pub scopes: Option<Vec<String>>,
    /// Only for an [`InteractiveSignIn`](crate::InteractiveSignIn): the port on loopback. See
    /// [`CallbackOptions::port`](mcp_startup::CallbackOptions::port).
    pub callback_port: Option<u16>,
    /// Only for an [`InteractiveSignIn`](crate::InteractiveSignIn): the redirect URI. See
    /// [`CallbackOptions::redirect_uri`](mcp_startup::CallbackOptions::redirect_uri).
    pub callback_url: Option<String>,
    /// Only for an [`InteractiveSignIn`](crate::InteractiveSignIn): how long to wait for the browser, in milliseconds, at least 1.
    #[serde(deserialize_with = "limit_ms")]
    pub browser_timeout_ms: Option<u64>,
}

/// The options of an [`InteractiveSignIn`](crate::InteractiveSignIn) that say how the browser returns.
pub(crate) struct BrowserOptions {
    pub callback: CallbackOptions,
    pub limit: Option<Duration>,
}

/// An engine and the selected servers.
pub(crate) struct Opened {
    pub startup: Startup,
    pub servers: Vec<ServerEntry>,
}

/// The selected servers, and where their sign-ins are stored.
pub(crate) struct Selected {
    pub servers: Vec<ServerEntry>,
    pub credentials: CredentialSettings,
    /// The maximum number of programs that start at the same time, unless the host limits the servers.
    pub program_concurrency: Option<usize>,
}

impl Options {
    /// Reads the options from JSON.
    ///
    /// # Errors
    ///
    /// [`HostError::InvalidArgument`], which names the option, the values that it takes, and the value that it has.
    pub fn parse(json: &str) -> Result<Self, HostError> {
        let options: Self = read("the options", json)?;
        options.validate()?;
        Ok(options)
    }

    fn validate(&self) -> Result<(), HostError> {
        #[cfg(feature = "clients")]
        if let Some(problem) = self.problem_of_clients() {
            return Err(HostError::InvalidArgument(format!(
                "the options: {problem}"
            )));
        }
        let document = self.client_metadata_url.as_deref();
        let servers = self.mcp_servers.as_ref().map(|servers| servers.get());
        let problem = if let Some(got) = document.and_then(not_a_document_url) {
            format!("`clientMetadataUrl` must be an https URL with a path, not {got}")
        } else if let Some(got) = servers.and_then(not_an_object) {
            format!("`mcpServers` must be an object with the servers by name, not {got}")
        } else if self.config.is_some() && self.mcp_servers.is_some() {
            "`config` and `mcpServers` exclude each other; set only one of them".to_owned()
        } else {
            return Ok(());
        };
        Err(HostError::InvalidArgument(format!(
            "the options: {problem}"
        )))
    }

    /// Removes and returns the options that are only for a sign-in.
    pub(crate) fn take_sign_in(&mut self) -> SignInOptions {
        let mut options = SignInOptions::default();
        options.challenge = self.challenge.take();
        options.scopes = self.scopes.take().unwrap_or_default();
        options
    }

    /// Removes and returns the options that are only for a sign-in with its own listener.
    pub(crate) fn take_browser(&mut self) -> BrowserOptions {
        let mut callback = CallbackOptions::default();
        callback.port = self.callback_port.take();
        callback.redirect_uri = self.callback_url.take();
        let limit = self.browser_timeout_ms.take();
        BrowserOptions {
            callback,
            limit: limit.map(Duration::from_millis),
        }
    }

    /// Returns the store of the host or that of the user in a database. `None` for the stores of this machine.
    pub(crate) async fn store(
        &self,
        host: Option<HostStore>,
    ) -> Result<Option<Arc<dyn CredentialStore>>, HostError> {
        if let Some(store) = host {
            return Ok(Some(Arc::new(store)));
        }
        #[cfg(feature = "store-postgres")]
        if let Some(user) = &self.store {
            return Ok(Some(Arc::new(user.open().await?)));
        }
        Ok(None)
    }

    /// Opens the store, reads the configuration on a thread for blocking work, and selects the servers.
    pub(crate) async fn open(self, store: Option<HostStore>) -> Result<Opened, HostError> {
        let store = self.store(store).await?;
        let opening = tokio::task::spawn_blocking(move || self.open_now(store));
        let opened = opening.await;
        opened.unwrap_or_else(|error| Err(HostError::Internal(error.to_string())))
    }

    /// Reads the configuration, and selects one server. Ignores the option `servers`.
    pub(crate) async fn open_one(
        mut self,
        store: Option<HostStore>,
        server: String,
    ) -> Result<(Startup, ServerEntry), HostError> {
        self.servers = Some(vec![server]);
        let mut opened = self.open(store).await?;
        match opened.servers.as_slice() {
            [_] => Ok((opened.startup, opened.servers.swap_remove(0))),
            // `select` fails for an unknown name, so there is always one.
            [] => Err(HostError::Internal(
                "the selected server is missing".to_owned(),
            )),
            several => {
                let names: Vec<&str> = several.iter().map(|entry| entry.name.as_str()).collect();
                let problem = format!(
                    "several clients have this server; name one of: {}",
                    names.join(", ")
                );
                Err(HostError::InvalidArgument(problem))
            }
        }
    }

    fn open_now(self, store: Option<Arc<dyn CredentialStore>>) -> Result<Opened, HostError> {
        if self.challenge.is_some() || self.scopes.is_some() {
            let problem =
                "the options: `challenge` and `scopes` apply only to the start of a sign-in";
            return Err(HostError::InvalidArgument(problem.to_owned()));
        }
        if self.callback_port.is_some()
            || self.callback_url.is_some()
            || self.browser_timeout_ms.is_some()
        {
            let problem = "the options: `callbackPort`, `callbackUrl` and `browserTimeoutMs` apply only to a sign-in with its own listener";
            return Err(HostError::InvalidArgument(problem.to_owned()));
        }
        let Selected {
            servers,
            credentials,
            program_concurrency,
        } = self.select()?;
        let mut options = StartupOptions::for_credentials(&credentials);
        options.program_concurrency = program_concurrency;
        options.stores = store.map(CredentialStores::from_store).or(options.stores);
        options.limit = self.timeout_ms.map(Duration::from_millis);
        if let Some(concurrency) = self.concurrency {
            options.concurrency = concurrency;
            options.program_concurrency = None;
        }
        options.client_metadata_url = self.client_metadata_url;
        Ok(Opened {
            startup: runtime::startup(options)?,
            servers,
        })
    }

    /// Selects the servers of the file, of the host or of the clients.
    pub(crate) fn select(&self) -> Result<Selected, HostError> {
        #[cfg(feature = "clients")]
        if let Some(selected) = self.select_of_clients()? {
            return Ok(selected);
        }
        let configuration = self.configuration()?;
        let servers = match self.servers.as_deref() {
            // No servers. An empty list means "every enabled server" to `select`.
            Some([]) => Vec::new(),
            names => configuration.select(names.unwrap_or_default())?,
        };
        Ok(Selected {
            servers,
            credentials: configuration.credentials,
            program_concurrency: None,
        })
    }

    fn configuration(&self) -> Result<Configuration, HostError> {
        let environment = &ProcessEnvironment;
        let path = match (&self.config, &self.mcp_servers) {
            (_, Some(servers)) => {
                let text = format!("{{\"mcpServers\":{}}}", servers.get());
                let mut configuration = config::parse(&text, IN_CODE.as_ref(), environment)?;
                for entry in &mut configuration.servers {
                    // The text has only one line, which the programmer does not see.
                    let problems = entry.config.as_mut().err().into_iter();
                    for problem in problems.chain(&mut entry.warnings) {
                        problem.line = None;
                    }
                    // In code, a misspelled key is a mistake of the programmer. Files may be written for another program.
                    if entry.config.is_ok() && !entry.warnings.is_empty() {
                        entry.config = Err(entry.warnings.swap_remove(0));
                    }
                }
                return Ok(configuration);
            }
            (Some(path), None) => expand_tilde(path, environment),
            (None, None) => codex_home(environment)
                .map(|home| home.join("config.toml"))
                .ok_or_else(|| {
                    let problem = "no configuration was found: neither CODEX_HOME nor HOME is set; set the option `config`";
                    HostError::InvalidArgument(problem.to_owned())
                })?,
        };
        Ok(config::read(&path, environment)?)
    }
}

/// Checks options without reading a file or starting anything, so that a host can refuse them when it is called. `options` is
/// [`Options`] as JSON.
///
/// # Errors
///
/// [`HostError::InvalidArgument`], as [`Options::parse`].
pub fn check_options(options: &str) -> Result<(), HostError> {
    Options::parse(options).map(drop)
}

/// Reads a time limit in milliseconds.
fn limit_ms<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    within::<D, 1, MAX_LIMIT_MS>(deserializer)
}

/// Reads a number of servers.
fn concurrency<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<usize>, D::Error> {
    let number = within::<D, 1, MAX_CONCURRENCY>(deserializer)?;
    Ok(number.and_then(|number| usize::try_from(number).ok()))
}

/// Describes a text that can't be the URL of a client ID metadata document (draft-ietf-oauth-client-id-metadata-document, section 3),
/// without a password that it may contain. `None` if it can be one.
fn not_a_document_url(text: &str) -> Option<String> {
    let url = Url::parse(text).ok();
    let is_document = url.is_some_and(|url| {
        url.scheme() == "https"
            && url.path() != "/"
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
    });
    match is_document {
        true => None,
        false if text.contains('@') => Some("one with a user name or a password".to_owned()),
        false if text.contains('#') => Some("one with a fragment (`#`)".to_owned()),
        false => {
            let (shown, _) = text.split_once('?').unwrap_or((text, ""));
            Some(format!("`{}`", printable(shown, SHOWN_CHARS)))
        }
    }
}

/// Describes valid JSON that is not an object, without its text, which may contain a secret. `None` if it is an object.
fn not_an_object(json: &str) -> Option<&'static str> {
    match json.as_bytes().first() {
        Some(b'{') => None,
        Some(b'[') => Some("a list"),
        Some(b'"') => Some("a string"),
        Some(b't' | b'f') => Some("true or false"),
        _ => Some("a number"),
    }
}
