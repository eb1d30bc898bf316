//! What can be asked for on the command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

const EXIT_STATUSES: &str = "\
Exit status:
  0    every server is ready
  1    some server failed otherwise
  2    the arguments or the configuration can't be used
  3    at least one server needs a sign-in (again) or more access, whatever else failed
  130  interrupted by Ctrl-C, after every program that was started has ended
  141  nobody read on: the output was closed";

const EXIT_STATUSES_OF_DEMO: &str = "\
Exit status:
  0    each server came to what it is made for
  1    some server did not
  130  interrupted by Ctrl-C";

const EXIT_STATUSES_OF_FOLLOW: &str = "\
Exit status:
  0    every server is ready
  1    some server failed otherwise, or is not ready
  2    the arguments can't be used
  3    at least one server needs a sign-in again, whatever else failed
  130  interrupted by Ctrl-C, after the state so far was shown
  141  nobody read on: the output was closed";

const EXIT_STATUSES_OF_LOGIN: &str = "\
Exit status:
  0    signed in
  1    not signed in; what was stored before is stored still
  2    the arguments or the configuration can't be used, or the server has nothing to sign in to
  130  interrupted by Ctrl-C; what was stored before is stored still
  141  nobody read on: the output was closed";

const EXIT_STATUSES_OF_LOGOUT: &str = "\
Exit status:
  0    nothing is stored any more
  1    what is stored could not be read or removed
  2    the arguments or the configuration can't be used, or the server has nothing to sign out of
  130  interrupted by Ctrl-C
  141  nobody read on: the output was closed";

const EXIT_STATUSES_OF_STATUS: &str = "\
Exit status:
  0    shown, whatever it is
  1    shown, but for a server for which it can't be known what is stored
  2    the arguments or the configuration can't be used
  130  interrupted by Ctrl-C
  141  nobody read on: the output was closed";

/// Starts the MCP servers you have configured and says what each start came to.
///
/// Which are ready, which need a sign-in again, which a first one, and which failed for a reason that no sign-in mends.
#[derive(Debug, Parser)]
#[command(
    name = "mcp-startup",
    version,
    propagate_version = true,
    arg_required_else_help = true,
    max_term_width = 100
)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start your servers, say what each start came to, and close them again
    ///
    /// Never opens a browser, and writes nothing but a refreshed credential.
    #[command(after_help = EXIT_STATUSES)]
    Check(Check),
    /// Sign in to a server in your browser
    ///
    /// The browser comes back to this machine, or you paste the URL that it came back with. What is stored is what Codex stores,
    /// where Codex stores it; a sign-in that fails or is given up changes nothing.
    #[command(after_help = EXIT_STATUSES_OF_LOGIN)]
    Login(Login),
    /// Sign out of a server: revoke what was granted, where that is offered, and remove it from every place where it is stored
    #[command(after_help = EXIT_STATUSES_OF_LOGOUT)]
    Logout(Logout),
    /// Show what is stored for each server, and what it is worth
    ///
    /// Starts no server, and shows no secret. Without --online nothing is sent.
    #[command(after_help = EXIT_STATUSES_OF_STATUS)]
    Status(Status),
    /// See it at work: servers in many states, in this process, with nothing to install or configure
    #[command(after_help = EXIT_STATUSES_OF_DEMO)]
    Demo(Demo),
    /// Read notifications of any app-server from stdin and show the same table
    ///
    /// Other lines may stand among them. Bad lines are named on stderr by their number.
    #[command(after_help = EXIT_STATUSES_OF_FOLLOW)]
    Follow(Follow),
    /// Serve MCP servers on loopback that fail on demand, to test a client against
    ///
    /// They are listed as JSON at `/`, each with its URL and what must come out.
    Lab(Lab),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
pub struct Check {
    /// Only these servers, disabled ones among them
    #[arg(value_name = "SERVER")]
    pub servers: Vec<String>,
    /// The configuration: Codex's `config.toml`, or JSON with `mcpServers` [default: config.toml in $CODEX_HOME or ~/.codex]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Stay, and start a server that failed again: when its stored sign-in changes, and by itself where time may mend it
    ///
    /// A sign-in counts whoever makes it. What time may mend is tried after about 1 s, then 2 s, 4 s and so on up to 5 min, or when
    /// the server has asked for. Ctrl-C or SIGTERM ends it, with status 130. Not with `--format json`.
    #[arg(long)]
    pub watch: bool,
    #[command(flatten)]
    pub starts: Starts,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Debug, Args)]
pub struct Login {
    /// The server
    #[arg(value_name = "SERVER")]
    pub server: String,
    /// The configuration: Codex's `config.toml`, or JSON with `mcpServers` [default: config.toml in $CODEX_HOME or ~/.codex]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Open no browser: print the URL, and take the one that yours comes back with, pasted, where it is on another machine
    #[arg(long)]
    pub no_browser: bool,
    /// The port on 127.0.0.1 that the browser comes back to, as `http://127.0.0.1:PORT/callback`; 0 for a free one
    #[arg(long, default_value_t = 0)]
    pub port: u16,
    /// How long to wait for you to come back
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "300")]
    pub timeout: Duration,
}

#[derive(Debug, Args)]
pub struct Logout {
    /// The server
    #[arg(value_name = "SERVER")]
    pub server: String,
    /// The configuration: Codex's `config.toml`, or JSON with `mcpServers` [default: config.toml in $CODEX_HOME or ~/.codex]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Status {
    /// Only these servers, disabled ones among them
    #[arg(value_name = "SERVER")]
    pub servers: Vec<String>,
    /// The configuration: Codex's `config.toml`, or JSON with `mcpServers` [default: config.toml in $CODEX_HOME or ~/.codex]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Ask the servers for which nothing usable is stored whether they offer a sign-in
    #[arg(long)]
    pub online: bool,
    /// What to print
    #[arg(long, value_enum, default_value_t = StatusFormat::Table)]
    pub format: StatusFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StatusFormat {
    /// A line for each server
    Table,
    /// One document with all of it
    Json,
}

#[derive(Debug, Args)]
pub struct Demo {
    /// Only these scenarios of the lab
    #[arg(value_name = "SCENARIO")]
    pub scenarios: Vec<String>,
    /// Every scenario of the lab
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
    #[arg(long, default_value_t = 0)]
    pub port: u16,
    /// Be one of its stdio servers instead, on this process's stdin and stdout
    #[arg(long, value_name = "SCENARIO", conflicts_with = "port")]
    pub stdio: Option<String>,
}

#[derive(Debug, Args)]
pub struct Starts {
    /// How long each start may take; goes over the configuration's own (30 where that says nothing)
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub timeout: Option<Duration>,
    /// How many servers start at once
    #[arg(long, value_name = "N", default_value_t = mcp_startup::DEFAULT_CONCURRENCY, value_parser = at_least_one)]
    pub concurrency: usize,
}

#[derive(Debug, Args)]
pub struct Output {
    /// What to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A line for each server; on a terminal with its progress
    Table,
    /// The notifications as they go over the wire, one a line
    Ndjson,
    /// One report at the end, with why each failed
    Json,
}

fn seconds(text: &str) -> Result<Duration, String> {
    const MOST: f64 = 86_400.0;
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= MOST => Ok(Duration::from_secs_f64(seconds)),
        _ => Err(format!(
            "must be a number of seconds, more than 0 and at most {MOST}"
        )),
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number @ 1..) => Ok(number),
        _ => Err("must be a whole number from 1".to_owned()),
    }
}
