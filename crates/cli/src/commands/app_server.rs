//! `mcp-startup app-server`: the states of the servers, sign-in and retry over JSON-RPC.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use mcp_startup::StartupOptions;
use mcp_startup::config::{CredentialSettings, clients};
use mcp_startup_app_server::transport::{self, MIN_TOKEN_BYTES};
use mcp_startup_app_server::{AppServer, AppServerOptions, Configuration};
use mcp_startup_core::io_problem;
use secrecy::SecretString;
use tokio::net::TcpListener;

use crate::CommandError;
use crate::arguments::{self, ClientDocument, Listen, Starts};
use crate::interruption;
use crate::output::exit_status::ExitStatus;
use crate::secret_file;
use crate::selection;
use crate::selection::configuration::SelectedFiles;
use crate::stores::show_warnings;

/// How long the end of servers, refreshes and sign-ins may take.
const END_LIMIT: Duration = Duration::from_secs(40);
const USER_AGENT: &str = concat!("mcp-startup/", env!("CARGO_PKG_VERSION"));

pub fn run(arguments: arguments::AppServer) -> Result<ExitStatus, CommandError> {
    let token = token(&arguments)?;
    let files = SelectedFiles::new(arguments.source);
    let read = files.read_all()?;
    for message in &read.0.unreadable {
        let _ = writeln!(crate::output::stderr::styled(), "{message}");
    }
    let listen = arguments.listen;
    let app_server = Options {
        files,
        read,
        client_document: arguments.client_document,
        starts: arguments.starts,
    };
    app_server.run(async |app| serve(app, listen, token.as_ref()).await)
}

/// The options of an app-server, for `app-server` and `open`.
pub struct Options {
    /// The files that a reload reads.
    pub files: SelectedFiles,
    /// The servers, and where sign-ins are stored.
    pub read: (Configuration, CredentialSettings),
    pub client_document: ClientDocument,
    pub starts: Starts,
}

impl Options {
    /// Runs an app-server while `serve` serves its clients, until the end of `serve` or an interruption. Then ends all servers. A
    /// second interruption does not wait for that.
    pub fn run(
        self,
        serve: impl AsyncFnOnce(&AppServer) -> io::Result<()>,
    ) -> Result<ExitStatus, CommandError> {
        let (configuration, credentials) = self.read;
        let options = startup_options(
            &self.files,
            &credentials,
            self.client_document,
            &self.starts,
        );
        let options = AppServerOptions::new(options, USER_AGENT);
        interruption::block_on(async |interruption| {
            let app = AppServer::new(options, configuration, self.files)?;
            let mut serving = pin!(serve(&app));
            let served = interruption.or(serving.as_mut()).await;
            let ending = async {
                match served {
                    Some(served) => {
                        app.end().await;
                        served.map(|()| ExitStatus::AllReady)
                    }
                    None => {
                        let _ = tokio::join!(serving, app.end());
                        Ok(ExitStatus::Interrupted)
                    }
                }
            };
            let ended = interruption.or_within(END_LIMIT, ending).await;
            Ok(ended.unwrap_or(Ok(ExitStatus::Interrupted))?)
        })?
    }
}

fn startup_options(
    files: &SelectedFiles,
    credentials: &CredentialSettings,
    client_document: ClientDocument,
    starts: &Starts,
) -> StartupOptions {
    let mut options = StartupOptions::for_credentials(credentials);
    show_warnings(&options);
    options.client_metadata_url = client_document.url;
    options.limit = starts.timeout;
    options.limit_option = Some("--timeout");
    options.supervisor = crate::this_program::supervisor();
    match starts.concurrency {
        Some(concurrency) => options.concurrency = concurrency,
        None if files.source.config.is_none() => {
            options.program_concurrency = Some(clients::PROGRAMS_AT_ONCE);
        }
        None => {}
    }
    options
}

/// Listens on an address of loopback.
pub async fn listen_on(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let problem = io_problem(&error);
        let message = format!("can't listen on {address}: {problem}; choose another port");
        io::Error::new(error.kind(), message)
    })
}

/// The token for clients of a WebSocket.
fn token(arguments: &arguments::AppServer) -> Result<Option<SecretString>, CommandError> {
    let (Listen::WebSocket(_), Some(path)) = (&arguments.listen, &arguments.ws_token_file) else {
        return match arguments.listen {
            Listen::WebSocket(_) => Err(CommandError::Usage(
                "a WebSocket needs a token, so that other programs and pages can't use your servers: pass `--ws-auth capability-token --ws-token-file FILE`"
                    .to_owned(),
            )),
            _ => Ok(None),
        };
    };
    let shown = selection::shown(path);
    let text = secret_file::read(path).map_err(|error| {
        CommandError::Usage(format!("{shown} can't be read: {}", io_problem(&error)))
    })?;
    #[cfg(unix)]
    if others_can_read(path) {
        let _ = writeln!(
            crate::output::stderr::styled(),
            "other users can read {shown}, which has the token: run `chmod 600 {}`",
            mcp_startup_core::shell_word(&path.to_string_lossy())
        );
    }
    match text.trim() {
        token if token.len() >= MIN_TOKEN_BYTES => Ok(Some(token.into())),
        _ => Err(CommandError::Usage(format!(
            "{shown} has no token of at least {MIN_TOKEN_BYTES} characters"
        ))),
    }
}

#[cfg(unix)]
fn others_can_read(path: &std::path::Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).is_ok_and(|metadata| metadata.mode() & 0o044 != 0)
}

async fn serve(app: &AppServer, listen: Listen, token: Option<&SecretString>) -> io::Result<()> {
    match (listen, token) {
        (Listen::WebSocket(address), Some(token)) => {
            let listener = listen_on(address).await?;
            let mut stdout = std::io::stdout();
            writeln!(stdout, "ws://{}", listener.local_addr()?)?;
            stdout.flush()?;
            transport::serve_websocket(app, listener, token).await
        }
        #[cfg(unix)]
        (Listen::Unix(path), _) => {
            let socket = transport::UnixSocket::bind(&path)?;
            let mut stdout = std::io::stdout();
            writeln!(stdout, "unix://{}", selection::shown(&path))?;
            stdout.flush()?;
            socket.serve(app).await
        }
        _ => transport::serve_streams(app, tokio::io::stdin(), tokio::io::stdout()).await,
    }
}
