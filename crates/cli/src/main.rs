//! The program `mcp-startup`: checks the MCP servers a user has configured.
//!
//! Every module is one thing that a person can ask for ([`check`], [`login`], [`status`], [`demo`], [`follow`], [`lab`]) or see ([`table`],
//! [`report`], [`exit_status`]); what a start comes to is decided on the floors below.

mod arguments;
mod check;
mod configuration;
mod demo;
mod exit_status;
mod follow;
mod interruption;
mod lab;
mod login;
mod report;
mod status;
mod table;

use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use arguments::{Arguments, Command};
use exit_status::ExitStatus;

/// Why a command did not do what it was asked for; what servers come to is never one.
#[derive(Debug, thiserror::Error)]
enum CommandError {
    /// The arguments or the configuration can't be used.
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    Configuration(#[from] mcp_startup_config::ConfigurationError),
    #[error(transparent)]
    Client(#[from] mcp_startup::auth::network::ClientError),
    #[error(transparent)]
    Lab(#[from] mcp_startup_lab::LabError),
    /// It may quote what others wrote.
    #[error("{}", mcp_startup::printable(.0.message(), usize::MAX))]
    SignIn(#[from] mcp_startup::auth::SignInError),
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) if error.use_stderr() => return bad_arguments(&error),
        // Help or the version, which was asked for.
        Err(answer) => answer.exit(),
    };
    log_as_asked();
    match run(arguments.command) {
        Ok(code) => code,
        Err(CommandError::Io(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => {
            ExitStatus::ClosedPipe.into()
        }
        Err(error) => {
            let red = anstyle::AnsiColor::Red.on_default().bold();
            // Where stderr is closed too, there is nobody left to tell.
            let _ = writeln!(anstream::stderr(), "{red}error:{red:#} {error}");
            match error {
                CommandError::Usage(_) | CommandError::Configuration(_) => ExitStatus::Usage,
                CommandError::Client(_)
                | CommandError::Lab(_)
                | CommandError::SignIn(_)
                | CommandError::Io(_) => ExitStatus::Failed,
            }
            .into()
        }
    }
}

/// Says what is wrong with the arguments. The error quotes them, or a part of them, and they may hold what steers a terminal;
/// so they are read again with that escaped.
fn bad_arguments(error: &clap::Error) -> ExitCode {
    let escaped = std::env::args_os()
        .map(|argument| mcp_startup_core::printable(&argument.to_string_lossy(), usize::MAX));
    let text = match Arguments::try_parse_from(escaped) {
        Err(error) if error.use_stderr() => error.render().ansi().to_string(),
        // Only what was escaped made it an error, such as bytes that are no UTF-8.
        _ => format!("error: {}\n", error.kind()),
    };
    let _ = write!(anstream::stderr(), "{text}");
    ExitStatus::Usage.into()
}

/// Logs to stderr what `RUST_LOG` asks for. Of the SDK's targets nothing, whatever it says: they quote what servers say, and a
/// server may say a secret that it was given.
fn log_as_asked() {
    use tracing_subscriber::filter::{EnvFilter, FilterExt, filter_fn};
    use tracing_subscriber::prelude::*;
    if std::env::var_os("RUST_LOG").is_none() {
        return;
    }
    let quotes_servers = filter_fn(|metadata| !metadata.target().starts_with("rmcp"));
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never)
        .with_filter(EnvFilter::from_default_env().and(quotes_servers));
    tracing_subscriber::registry().with(layer).init();
}

fn run(command: Command) -> Result<ExitCode, CommandError> {
    match command {
        Command::Check(arguments) => Ok(check::run(arguments)?.into()),
        Command::Login(arguments) => Ok(login::login(arguments)?.into()),
        Command::Logout(arguments) => Ok(login::logout(arguments)?.into()),
        Command::Status(arguments) => Ok(status::run(arguments)?.into()),
        Command::Demo(arguments) => Ok(demo::run(arguments)?.into()),
        Command::Follow(arguments) => Ok(follow::run(&arguments)?.into()),
        Command::Lab(arguments) => lab::run(&arguments),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            let mut program = Arguments::command();
            clap_complete::generate(shell, &mut program, "mcp-startup", &mut script);
            std::io::stdout().write_all(&script)?;
            Ok(ExitStatus::AllReady.into())
        }
    }
}
