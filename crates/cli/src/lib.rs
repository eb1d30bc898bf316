//! The program `mcp-startup`: checks the MCP servers a user has configured.
//!
//! It is also a library with few functions, so that `npx mcp-startup` and `uvx mcp-startup` run the same program without a second copy of
//! the engine in their packages.
//!
//! `commands` has one module for each command, and `output` one for each kind of output. [`documents`] are what programs read. Nothing here
//! decides the result of a start.

mod arguments;
mod browser;
mod commands;
mod completion;
pub mod documents;
mod interruption;
mod output;
mod secret_file;
mod selection;
mod stores;
mod this_program;

use std::ffi::OsString;
use std::io::Write;
#[cfg(unix)]
use std::sync::{Arc, atomic::AtomicBool};

pub use browser::open as open_browser;
use clap::{Parser, ValueEnum};
use mcp_startup_core::io_problem;

use arguments::{Arguments, Color, Command};
use commands::{check, clients, demo, explain, follow, lab, login, status};
use output::exit_status::ExitStatus;
use output::log;
use output::suggestions::as_value;

/// Why a command failed. The failure of a server is a result, not an error.
#[derive(Debug, thiserror::Error)]
enum CommandError {
    /// The arguments or the configuration can't be used.
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    Configuration(#[from] mcp_startup_config::ConfigurationError),
    #[error(transparent)]
    Client(#[from] mcp_startup::auth::network::ClientError),
    #[error("{}", lab_problem(.0))]
    Lab(#[from] mcp_startup_lab::LabError),
    #[error(transparent)]
    SignIn(#[from] mcp_startup::auth::SignInError),
    #[cfg(feature = "store-postgres")]
    #[error(transparent)]
    Store(#[from] mcp_startup::auth::StoreError),
    #[error("{}", io_problem(.0))]
    Io(#[from] std::io::Error),
}

fn lab_problem(error: &mcp_startup_lab::LabError) -> String {
    let text = error.to_string();
    match error {
        mcp_startup_lab::LabError::Listen { source, .. } => {
            text.replace(&source.to_string(), &io_problem(source))
        }
        _ => text,
    }
}

impl CommandError {
    fn exit_status(&self) -> ExitStatus {
        match self {
            Self::Usage(_) | Self::Configuration(_) => ExitStatus::Usage,
            #[cfg(feature = "store-postgres")]
            Self::Store(_) => ExitStatus::Failed,
            Self::Client(_) | Self::Lab(_) | Self::SignIn(_) | Self::Io(_) => ExitStatus::Failed,
        }
    }
}

/// Runs the program with these arguments, without its own name, and returns its exit status.
///
/// `program` is the command, with its first arguments, that starts this program again: the demo's servers are this program.
pub fn run(program: &[String], arguments: impl IntoIterator<Item = OsString>) -> u8 {
    run_with_supervisor(program, None, arguments)
}

/// As [`run`]. The programs of servers run under `supervisor` ([`StartupOptions::supervisor`](mcp_startup::StartupOptions)).
pub fn run_with_supervisor(
    program: &[String],
    supervisor: Option<Vec<OsString>>,
    arguments: impl IntoIterator<Item = OsString>,
) -> u8 {
    #[cfg(unix)]
    fail_at_the_size_limit();
    this_program::set(program, supervisor);
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    if let Some((first, rest)) = arguments.split_first()
        && first == browser::SUBCOMMAND
    {
        return browser::run(rest);
    }
    if let Some(code) = completion::complete(&arguments) {
        return code;
    }
    match parse(&arguments) {
        Ok(Arguments {
            command: Command::Check(check),
            ..
        }) if check.command.is_empty() && arguments.last().is_some_and(|last| last == "--") => {
            // A variable that should contain a command may be empty. All servers are not what the user means.
            failed(&CommandError::Usage(
                "a command must follow `--`".to_owned(),
            ))
        }
        Ok(arguments) => {
            log::to_stderr();
            match arguments.color {
                Color::Auto => {}
                Color::Always => anstream::ColorChoice::Always.write_global(),
                Color::Never => anstream::ColorChoice::Never.write_global(),
            }
            execute(program, arguments.command)
        }
        Err(error) if error.use_stderr() => bad_arguments(&arguments, &error).code(),
        // Help or the version.
        Err(answer) => match answer.print() {
            Ok(()) => ExitStatus::AllReady.code(),
            Err(error) => failed(&error.into()),
        },
    }
}

/// Makes writing fail if a file would become larger than the limit of the process (`ulimit -f`). Without a handler, the system would
/// end the process, and no message would give the reason. The programs of servers do not inherit the handler.
#[cfg(unix)]
fn fail_at_the_size_limit() {
    let signal = signal_hook::consts::SIGXFSZ;
    let is_received = Arc::new(AtomicBool::new(false));
    if let Err(error) = signal_hook::flag::register(signal, is_received) {
        tracing::debug!(%error, "can't handle SIGXFSZ");
    }
}

/// The least number of threads. The HTTP client reads informational responses (RFC 9110, section 15.2) for as long as a server sends
/// them, so such a server keeps a thread busy. With more threads than processors, the system still gives the others their turn.
const MIN_THREADS: usize = 16;

/// The number of threads that remain for names, files and the keyring.
const OTHER_THREADS: usize = 4;

/// The number of files that the runtime and the program open themselves.
#[cfg(unix)]
const OWN_FILES: usize = 16;

/// The runtime of a command. It has fewer threads if the limits of the system allow no more.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    #[cfg(unix)]
    check_limit_of_files()?;
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let wanted = processors.max(MIN_THREADS);
    let workers = match startable_threads(wanted + OTHER_THREADS) {
        (startable, _) if startable > OTHER_THREADS => startable - OTHER_THREADS,
        (startable, why) => {
            let why = why.map_or_else(String::new, |why| format!(": {why}"));
            return Err(std::io::Error::other(format!(
                "the limits of the system allow only {startable} threads of this program{why}; raise the limit of processes \
                 (`ulimit -u`) or of memory (`ulimit -v`)"
            )));
        }
    };
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .enable_all()
        .build()
}

/// The runtime of a command that starts none of the user's servers.
fn single_threaded_runtime() -> std::io::Result<tokio::runtime::Runtime> {
    #[cfg(unix)]
    check_limit_of_files()?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

/// Fails if the program can't open its own files. The runtime would panic.
#[cfg(unix)]
fn check_limit_of_files() -> std::io::Result<()> {
    let files = (0..OWN_FILES).map(|_| std::fs::File::open("/dev/null"));
    let opened: std::io::Result<Vec<_>> = files.collect();
    opened.map(drop).map_err(|error| {
        let why = format!(
            "too few files can be opened: {error}; raise the limit of open files (`ulimit -n`)"
        );
        std::io::Error::new(error.kind(), why)
    })
}

/// How many of these threads can be started at the same time, and why no more. The runtime would panic in its first thread that can't.
fn startable_threads(wanted: usize) -> (usize, Option<std::io::Error>) {
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let ended = std::sync::Arc::new(std::sync::Mutex::new(ended));
    let mut threads = Vec::new();
    let mut why = None;
    while threads.len() < wanted {
        let ended = ended.clone();
        let wait = move || drop(ended.lock().map(|ended| ended.recv()));
        match std::thread::Builder::new().spawn(wait) {
            Ok(thread) => threads.push(thread),
            Err(error) => {
                why = Some(error);
                break;
            }
        }
    }
    drop(end);
    let startable = threads.len();
    threads.into_iter().for_each(|thread| drop(thread.join()));
    (startable, why)
}

fn parse(arguments: &[impl Into<OsString> + Clone]) -> Result<Arguments, clap::Error> {
    let name = [OsString::from("mcp-startup")].into_iter();
    Arguments::try_parse_from(name.chain(arguments.iter().cloned().map(Into::into)))
}

fn execute(program: &[String], command: Command) -> u8 {
    dispatch(program, command).unwrap_or_else(|error| failed(&error))
}

/// Prints why a command failed. Returns its exit status.
fn failed(error: &CommandError) -> u8 {
    let message = match error {
        CommandError::Io(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
            return ExitStatus::ClosedPipe.code();
        }
        // An interruption, while nothing read the output.
        CommandError::Io(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
            return ExitStatus::Interrupted.code();
        }
        CommandError::Io(error) if error.kind() == std::io::ErrorKind::StorageFull => {
            let error = io_problem(error);
            format!("the output can't be written: {error}; free some space and try again")
        }
        error => error.to_string(),
    };
    let red = anstyle::AnsiColor::Red.on_default().bold();
    let message = mcp_startup::printable(&message, usize::MAX);
    // If stderr is closed too, the message is lost.
    let _ = writeln!(
        crate::output::stderr::styled(),
        "{red}error:{red:#} {message}"
    );
    error.exit_status().code()
}

/// Prints what is wrong with the arguments. The error quotes them, and they may contain control characters, so they are parsed again
/// with those escaped.
fn bad_arguments(arguments: &[OsString], error: &clap::Error) -> ExitStatus {
    let escaped: Vec<String> = arguments
        .iter()
        .map(|argument| mcp_startup_core::printable(&argument.to_string_lossy(), usize::MAX))
        .collect();
    let text = match parse(&escaped) {
        Err(mut error) if error.use_stderr() => {
            correct_tip(&mut error, &escaped);
            error.render().ansi().to_string()
        }
        // Only the original arguments are an error, for example because they are not UTF-8.
        _ => format!("error: {}\n", error.kind()),
    };
    let _ = write!(crate::output::stderr::styled(), "{text}");
    ExitStatus::Usage
}

/// Corrects the tip of clap about a value that begins with `-`. clap reads `-name` as options of one letter, so its tip has only one of the
/// letters, and for `check`, the words after `--` are a program.
fn correct_tip(error: &mut clap::Error, arguments: &[String]) {
    use clap::error::{ContextKind, ContextValue};
    let Some(ContextValue::String(unknown)) = error.get(ContextKind::InvalidArg) else {
        return;
    };
    let is_whole = |argument: &&String| match unknown.starts_with("--") {
        true => argument.split('=').next() == Some(unknown),
        false => {
            let letters = argument.strip_prefix('-');
            let letters = letters.filter(|letters| !letters.starts_with('-'));
            letters.is_some_and(|letters| unknown.chars().skip(1).all(|c| letters.contains(c)))
        }
    };
    let Some(whole) = arguments.iter().find(is_whole) else {
        return;
    };
    let has_tip = |tip: &clap::builder::StyledStr| tip.to_string().contains(" as a value, use ");
    match error.get(ContextKind::Suggested) {
        Some(ContextValue::StyledStrs(tips)) if tips.iter().any(has_tip) => {}
        _ => return,
    }
    let is_command =
        |word: &&String| !word.starts_with('-') && Color::from_str(word, true).is_err();
    let command = arguments.iter().find(is_command);
    let (before, value) = as_value(command.map_or("", String::as_str), whole);
    let space = if before.is_empty() { "" } else { " " };
    let tip = format!("to pass '{whole}' as a value, use '{before}{space}{value}'");
    error.insert(
        ContextKind::Suggested,
        ContextValue::StyledStrs(vec![tip.into()]),
    );
}

fn dispatch(program: &[String], command: Command) -> Result<u8, CommandError> {
    let status = match command {
        Command::Check(arguments) => check::run(arguments)?,
        Command::Explain(arguments) => explain::run(arguments)?,
        Command::Login(arguments) => login::login(arguments)?,
        Command::Logout(arguments) => login::logout(arguments)?,
        Command::Status(arguments) => status::status(arguments)?,
        Command::Clients(arguments) => clients::run(&arguments)?,
        Command::Demo(arguments) => demo::run(program, arguments)?,
        Command::Follow(arguments) => follow::run(&arguments)?,
        Command::Lab(arguments) => return lab::run(&arguments),
        #[cfg(feature = "app-server")]
        Command::AppServer(arguments) => commands::app_server::run(arguments)?,
        #[cfg(feature = "store-postgres")]
        Command::Store(arguments) => commands::store::run(arguments)?,
        #[cfg(feature = "app-server")]
        Command::Open(arguments) => commands::open::run(arguments)?,
        Command::Completions { shell } => {
            completion::print_script(shell)?;
            ExitStatus::AllReady
        }
    };
    Ok(status.code())
}
