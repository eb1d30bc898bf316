//! The command-line arguments.

mod exit_statuses;
#[cfg(feature = "store-postgres")]
pub mod store;

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PathBufValueParser, PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::ArgValueCandidates;
use mcp_startup::config::clients::Client;
use mcp_startup::config::{ProcessEnvironment, expand_tilde};

use url::Url;

use crate::completion;
use exit_statuses::{MAX_HELP_COLUMNS, with_hanging_indent};

/// Starts the MCP servers you have configured and reports the result of each.
///
/// It reports which are ready, which need a sign-in again, which need a first one, and which failed for reasons signing in won't fix.
#[derive(Debug, Parser)]
#[command(
    name = "mcp-startup",
    version,
    propagate_version = true,
    arg_required_else_help = true,
    max_term_width = MAX_HELP_COLUMNS
)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
    /// When to print colors
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = Color::Auto)]
    pub color: Color,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start your servers, report the result of each, and close them again
    ///
    /// Never opens a browser. Writes only refreshed credentials.
    #[command(after_help = with_hanging_indent(exit_statuses::EXIT_STATUSES))]
    Check(Check),
    /// Start one server, and print what happened step by step and the rule that decided
    ///
    /// Prints each request and message with its time, without their contents. Shows no secret. Never opens a browser. Writes only
    /// refreshed credentials.
    #[command(after_help = with_hanging_indent(exit_statuses::EXIT_STATUSES_OF_EXPLAIN))]
    Explain(Explain),
    /// Sign in to a server in your browser
    ///
    /// The browser returns to this machine, or you paste the URL that it returned to. The sign-in is stored in Codex's format, where
    /// Codex stores it. A sign-in that fails or is interrupted changes nothing.
    #[command(after_help = with_hanging_indent(exit_statuses::EXIT_STATUSES_OF_LOGIN))]
    Login(Login),
    /// Sign out of a server: revoke its tokens if its sign-in service supports that, and remove them from every store
    #[command(after_help = with_hanging_indent(exit_statuses::EXIT_STATUSES_OF_LOGOUT))]
    Logout(Logout),
    /// Show how you are signed in to each server
    ///
    /// Starts no server and shows no secret. Sends nothing without --online.
    #[command(after_help = with_hanging_indent(exit_statuses::EXIT_STATUSES_OF_STATUS))]
    Status(Status),
    /// List the MCP clients on this machine, their configuration files and their servers
    ///
    /// Starts no server, and shows no secret.
    #[command(after_help = with_hanging_indent(exit_statuses::EXIT_STATUSES_OF_CLIENTS))]
    Clients(Clients),
    /// Try it with demo servers in many states; nothing to install or configure
    #[command(after_help = with_hanging_indent(exit_statuses::EXIT_STATUSES_OF_DEMO))]
    Demo(Demo),
    /// Read notifications of any app-server from stdin and show the same table
    ///
    /// Other lines are ignored. Invalid lines are reported on stderr with their number.
    #[command(after_help = with_hanging_indent(exit_statuses::EXIT_STATUSES_OF_FOLLOW))]
    Follow(Follow),
    /// Serve MCP servers on loopback that fail on demand, for testing a client
    ///
    /// `/` lists them as JSON, each with its URL and the expected result.
    #[command(after_help = with_hanging_indent(exit_statuses::EXIT_STATUSES_OF_LAB))]
    Lab(Lab),
    /// Show your servers on a page in your browser: their states, what to do about a failure, and buttons that do it
    ///
    /// Starts the servers and serves the page on this machine until you press Ctrl-C, which ends the servers. Only a browser with the
    /// address that is opened or printed can use the page: it contains a random token.
    #[cfg(feature = "app-server")]
    #[command(after_help = with_hanging_indent(exit_statuses::EXIT_STATUSES_OF_OPEN))]
    Open(Open),
    /// Serve the states of your servers, sign-in and retry to another program, over JSON-RPC as Codex's app-server speaks it
    ///
    /// Starts the servers for each client that connects, without asking, and keeps them until it disconnects. Opens no browser: the
    /// client does that. https://github.com/mcp-startup/mcp-startup/blob/main/docs/app-server.md describes the messages.
    #[cfg(feature = "app-server")]
    #[command(after_help = with_hanging_indent(exit_statuses::EXIT_STATUSES_OF_APP_SERVER))]
    AppServer(AppServer),
    /// Manage the sign-ins of many users in a PostgreSQL database
    ///
    /// https://github.com/mcp-startup/mcp-startup/blob/main/docs/many-users.md describes the database and its keys.
    #[cfg(feature = "store-postgres")]
    #[command(subcommand)]
    Store(store::Store),
    /// Print a completion script for a shell
    ///
    /// It also completes the names of your servers. Put this line into `~/.bashrc`:
    ///
    /// source <(mcp-startup completions bash)
    ///
    /// For zsh, put the same with `zsh` into `~/.zshrc`, after `compinit`. For fish, put this line into `~/.config/fish/config.fish`:
    ///
    /// mcp-startup completions fish | source
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[cfg(feature = "app-server")]
#[derive(Debug, Args)]
pub struct AppServer {
    /// Where clients connect: `stdio://`, `ws://127.0.0.1:PORT` (a WebSocket; 0 for a free port) or, on Unix, `unix://PATH` (a WebSocket
    /// over a socket that only you can use)
    #[arg(long, value_name = "URL", value_parser = listen, default_value = "stdio://")]
    pub listen: Listen,
    /// How the clients of `ws://` prove who they are
    #[arg(long, value_name = "METHOD", value_enum, requires = "ws_token_file")]
    pub ws_auth: Option<WsAuth>,
    /// The file with the token, at least 16 characters, which clients send as `Authorization: Bearer TOKEN`
    #[arg(long, value_name = "FILE", value_parser = path(), value_hint = ValueHint::AnyPath, requires = "ws_auth")]
    pub ws_token_file: Option<PathBuf>,
    #[command(flatten)]
    pub source: Source,
    #[command(flatten)]
    pub client_document: ClientDocument,
    #[command(flatten)]
    pub starts: Starts,
}

#[cfg(feature = "app-server")]
#[derive(Debug, Args)]
pub struct Open {
    /// Open no browser: print the address of the page, with its token, on stdout
    #[arg(long)]
    pub no_browser: bool,
    /// The port on loopback; 0 for a free one
    #[arg(long, value_parser = port, default_value = "0")]
    pub port: u16,
    /// Do not ask before the first start of every client's servers
    #[arg(long)]
    pub yes: bool,
    #[command(flatten)]
    pub source: Source,
    #[command(flatten)]
    pub client_document: ClientDocument,
    #[command(flatten)]
    pub starts: Starts,
}

/// Where the clients of the app-server connect.
#[cfg(feature = "app-server")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    Stdio,
    WebSocket(std::net::SocketAddr),
    #[cfg(unix)]
    Unix(PathBuf),
}

#[cfg(feature = "app-server")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WsAuth {
    /// By a token that only they know
    CapabilityToken,
}

#[cfg(feature = "app-server")]
fn listen(text: &str) -> Result<Listen, String> {
    if text == "stdio://" {
        return Ok(Listen::Stdio);
    }
    if let Some(address) = text.strip_prefix("ws://") {
        return match address.parse::<std::net::SocketAddr>() {
            Ok(address) if address.ip().is_loopback() => Ok(Listen::WebSocket(address)),
            _ => Err("must be a loopback address with a port, such as ws://127.0.0.1:0".to_owned()),
        };
    }
    #[cfg(unix)]
    if let Some(path) = text.strip_prefix("unix://") {
        return match std::path::Path::new(path).is_absolute() {
            true => Ok(Listen::Unix(path.into())),
            false => Err(
                "must have an absolute path, such as unix:///run/user/1000/app/socket".to_owned(),
            ),
        };
    }
    Err("must be stdio://, ws://127.0.0.1:PORT or unix://PATH".to_owned())
}

/// The files that servers are read from.
#[derive(Clone, Debug, Args)]
pub struct Source {
    /// The configuration file: Codex's `config.toml`, or JSON with `mcpServers` [default: the files of every client on this machine]
    #[arg(long, value_name = "FILE", value_parser = path(), value_hint = ValueHint::AnyPath, conflicts_with_all = ["clients", "trust_project"])]
    pub config: Option<PathBuf>,
    /// Only the servers of these clients, for example `cursor,vscode`; see `mcp-startup clients`
    #[arg(long = "client", value_name = "CLIENT", value_delimiter = ',', ignore_case = true, value_parser = client())]
    pub clients: Vec<Client>,
    /// Also use the project files in this folder that you have not approved in their client
    #[arg(long)]
    pub trust_project: bool,
    /// If a configuration starts `mcp-remote`, start it too, instead of connecting to the server behind it
    #[arg(long)]
    pub as_written: bool,
}

/// Without the feature `store-postgres`, a command has no such arguments.
#[cfg(not(feature = "store-postgres"))]
#[derive(Clone, Debug, Default, Args)]
pub struct StoredUser {}
#[cfg(feature = "store-postgres")]
pub use store::StoredUser;

#[derive(Debug, Args)]
pub struct Check {
    /// Only these servers, including disabled ones: their names, `CLIENT:NAME`, or URLs of servers that no client has
    #[arg(value_name = "SERVER", add = ArgValueCandidates::new(completion::servers_as_words))]
    pub servers: Vec<String>,
    /// As SERVER, for a name that begins with `-`: `--server=-NAME`
    #[arg(long = "server", value_name = "SERVER", allow_hyphen_values = true, add = ArgValueCandidates::new(completion::servers))]
    pub more_servers: Vec<String>,
    /// A program to start as a server that no client has, with its arguments
    #[arg(value_name = "COMMAND", last = true, conflicts_with_all = ["servers", "more_servers", "config", "clients", "trust_project"])]
    pub command: Vec<String>,
    /// List the servers that would be started, and start none
    #[arg(long, conflicts_with = "watch")]
    pub dry_run: bool,
    /// Do not ask before the first check of every client's servers
    #[arg(long)]
    pub yes: bool,
    #[command(flatten)]
    pub source: Source,
    #[command(flatten)]
    pub stored_user: StoredUser,
    /// Keep running, and start failed servers again after a sign-in or after transient failures
    ///
    /// A sign-in by any process counts. After a transient failure, the next try is after a random pause of up to 1 s, then up to
    /// 2 s, 4 s and so on up to 5 min, or later if the server asks for it. Ctrl-C or SIGTERM ends it with status 130. Not with a
    /// format that is one report at the end.
    #[arg(long)]
    pub watch: bool,
    #[command(flatten)]
    pub client_document: ClientDocument,
    #[command(flatten)]
    pub starts: Starts,
    #[command(flatten)]
    pub output: CheckOutput,
}

#[derive(Debug, Args)]
pub struct Explain {
    /// The server, which may be disabled: its name, `CLIENT:NAME`, or a URL
    #[arg(value_name = "SERVER", add = ArgValueCandidates::new(completion::servers_as_words))]
    pub server: String,
    #[command(flatten)]
    pub source: Source,
    #[command(flatten)]
    pub stored_user: StoredUser,
    #[command(flatten)]
    pub client_document: ClientDocument,
    /// How long the start may take; overrides the configuration [default: 30]
    #[arg(long, value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true)]
    pub timeout: Option<Duration>,
    /// What to print
    #[arg(long, value_enum, default_value_t = ExplainFormat::Text)]
    pub format: ExplainFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExplainFormat {
    /// One line for each step, and the verdict
    Text,
    /// One JSON document
    Json,
}

#[derive(Debug, Args)]
pub struct Login {
    /// The server: its name, `CLIENT:NAME`, or a URL
    #[arg(value_name = "SERVER", add = ArgValueCandidates::new(completion::servers_as_words))]
    pub server: String,
    #[command(flatten)]
    pub source: Source,
    #[command(flatten)]
    pub stored_user: StoredUser,
    /// Open no browser: print the URL, and accept the URL that your browser returned to, pasted, if it is on another machine
    #[arg(long)]
    pub no_browser: bool,
    /// The port on loopback that the browser returns to, as `http://127.0.0.1:PORT/callback`; 0 for a free one [default: the
    /// configured one, or a free one]
    #[arg(long, value_parser = port)]
    pub port: Option<u16>,
    /// Request these scopes too, separated by commas, in addition to the configured ones or those that the server names, and those that you have granted before
    #[arg(long, value_name = "SCOPES", value_delimiter = ',')]
    pub scopes: Vec<String>,
    #[command(flatten)]
    pub client_document: ClientDocument,
    /// How long the sign-in may take until the browser returns. Before the browser opens, the server and its sign-in service must respond,
    /// within 30 seconds or the configured time of a start if that is less
    #[arg(long, value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true, default_value = "300")]
    pub timeout: Duration,
}

#[derive(Debug, Args)]
pub struct Logout {
    /// The server: its name, `CLIENT:NAME`, or a URL
    #[arg(value_name = "SERVER", add = ArgValueCandidates::new(completion::servers_as_words))]
    pub server: String,
    #[command(flatten)]
    pub source: Source,
    #[command(flatten)]
    pub stored_user: StoredUser,
}

#[derive(Debug, Args)]
pub struct Status {
    /// Only these servers, including disabled ones: their names, `CLIENT:NAME`, or URLs
    #[arg(value_name = "SERVER", add = ArgValueCandidates::new(completion::servers_as_words))]
    pub servers: Vec<String>,
    #[command(flatten)]
    pub source: Source,
    #[command(flatten)]
    pub stored_user: StoredUser,
    /// Ask servers without a usable stored sign-in whether they offer one
    #[arg(long)]
    pub online: bool,
    /// How long each query may take, with `--online` and `--explain` [default: 30]
    #[arg(long, value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true)]
    pub timeout: Option<Duration>,
    /// Explain which OAuth client a sign-in would use: the configured one, a metadata document, or a registration. Queries the servers
    #[arg(long)]
    pub explain: bool,
    #[command(flatten)]
    pub client_document: ClientDocument,
    /// What to print
    #[arg(long, value_enum, default_value_t = StatusFormat::Table)]
    pub format: StatusFormat,
}

#[derive(Debug, Args)]
pub struct Clients {
    /// Only these clients
    #[arg(value_name = "CLIENT", ignore_case = true, value_parser = client())]
    pub clients: Vec<Client>,
    /// What to print
    #[arg(long, value_enum, default_value_t = StatusFormat::Table)]
    pub format: StatusFormat,
}

#[derive(Debug, Args)]
pub struct ClientDocument {
    /// The URL of a client ID metadata document, for servers without a configured client whose sign-in service supports such documents
    #[arg(long = "client-metadata-url", value_name = "URL", value_parser = https_url)]
    pub url: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StatusFormat {
    /// Text, with one line for each entry
    Table,
    /// One JSON document
    Json,
}

#[derive(Debug, Args)]
pub struct Demo {
    /// Only these lab scenarios
    #[arg(value_name = "SCENARIO", add = ArgValueCandidates::new(completion::scenarios))]
    pub scenarios: Vec<String>,
    /// Every lab scenario
    #[arg(long, conflicts_with = "scenarios")]
    pub all: bool,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Debug, Args)]
pub struct Follow {
    #[command(flatten)]
    pub output: Output,
}

#[derive(Debug, Args)]
pub struct Lab {
    /// The port on loopback; 0 for a free one
    #[arg(long, value_parser = port, default_value = "0")]
    pub port: u16,
    /// Write a configuration of its servers for a client to this new file, and remove it at the end: as in Codex's `config.toml` if the name
    /// ends in `.toml`, or JSON with `mcpServers` if it ends in `.json`. It has no sign-ins, which scenarios with `stored` in the list need
    #[arg(long, value_name = "FILE", value_parser = path(), value_hint = ValueHint::AnyPath, conflicts_with = "stdio")]
    pub write_config: Option<PathBuf>,
    /// Run one of its stdio servers instead, on stdin and stdout of this process
    #[arg(long, value_name = "SCENARIO", conflicts_with = "port", add = ArgValueCandidates::new(completion::stdio_scenarios))]
    pub stdio: Option<String>,
}

#[derive(Debug, Args)]
pub struct Starts {
    /// How long each start may take; overrides the configuration [default: 30]
    #[arg(long, value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true)]
    pub timeout: Option<Duration>,
    /// How many servers start at once [default: 256, of which 8 programs if they come from every client]
    #[arg(long, value_name = "N", value_parser = concurrency, allow_negative_numbers = true)]
    pub concurrency: Option<usize>,
}

#[derive(Clone, Copy, Debug, Args)]
pub struct Output {
    /// What to print
    #[arg(long, value_parser = format_of_notifications(), default_value = "table")]
    pub format: Format,
    /// Show only the servers that are not ready. The exit status and the closing line count all of them
    #[arg(long)]
    pub only_failed: bool,
    /// Print nothing on stdout. The exit status has the result
    #[arg(long, short, conflicts_with_all = ["format", "only_failed"])]
    pub quiet: bool,
}

#[derive(Clone, Copy, Debug, Args)]
pub struct CheckOutput {
    /// What to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
    /// Show only the servers that are not ready. The exit status and the closing line count all of them
    #[arg(long)]
    pub only_failed: bool,
    /// Print nothing on stdout. The exit status has the result
    #[arg(long, short, conflicts_with_all = ["format", "only_failed", "dry_run"])]
    pub quiet: bool,
}

impl From<Output> for CheckOutput {
    fn from(output: Output) -> Self {
        Self {
            format: output.format,
            only_failed: output.only_failed,
            quiet: output.quiet,
        }
    }
}

/// When to print colors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set
    Auto,
    Always,
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One line for each server; on a terminal with its progress
    Table,
    /// The notifications as they are sent on the wire, one a line
    Ndjson,
    /// One report at the end, with the reason for each failure
    Json,
    /// JUnit XML at the end, with a test case for each server
    Junit,
    /// Annotations of GitHub Actions at the end, at the lines of the configuration
    Github,
}

/// Parses a format that does not need a check at the end.
fn format_of_notifications() -> impl TypedValueParser<Value = Format> {
    PossibleValuesParser::new(["table", "ndjson", "json"])
        .try_map(|name| Format::from_str(&name, false))
}

/// Parses the ID of a client. The possible values are part of the help and of the completion scripts.
fn client() -> impl TypedValueParser<Value = Client> {
    let ids = Client::ALL.iter().map(|client| client.id());
    PossibleValuesParser::new(ids).try_map(|id| {
        let id = id.to_ascii_lowercase();
        Client::from_id(&id).ok_or("unknown client")
    })
}

fn seconds(text: &str) -> Result<Duration, String> {
    const MOST: f64 = 86_400.0;
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= MOST => Ok(Duration::from_secs_f64(seconds)),
        _ => Err(format!(
            "must be a number of seconds greater than 0 and at most {MOST}"
        )),
    }
}

fn port(text: &str) -> Result<u16, String> {
    let port = text.parse();
    port.map_err(|_| format!("must be a whole number from 0 to {}", u16::MAX))
}

fn https_url(text: &str) -> Result<String, String> {
    match Url::parse(text) {
        Ok(url) if url.scheme() == "https" && url.path() != "/" && url.fragment().is_none() => {
            Ok(text.to_owned())
        }
        _ => Err("must be an https:// URL with a path, where the document is published".to_owned()),
    }
}

fn concurrency(text: &str) -> Result<usize, String> {
    // As in the packages.
    const MOST: usize = 1_000_000;
    match text.parse() {
        Ok(number @ 1..=MOST) => Ok(number),
        _ => Err(format!("must be a whole number from 1 to {MOST}")),
    }
}

/// Parses a path. A shell does not replace `~` in `--option=~/FILE`.
fn path() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().map(|path| match path.to_str() {
        Some(text) => expand_tilde(text, &ProcessEnvironment),
        None => path,
    })
}
