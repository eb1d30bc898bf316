//! `mcp-startup app-server`: the states of the servers, sign-in and retry over JSON-RPC.

use std::io::Write;
use std::time::Duration;

use mcp_startup::StartupOptions;
use mcp_startup::config::clients;
use mcp_startup_app_server::transport::{self, MIN_TOKEN_BYTES};
use mcp_startup_app_server::{AppServer, AppServerOptions};
use secrecy::SecretString;
use tokio::net::TcpListener;

use crate::CommandError;
use crate::arguments::{self, Listen};
use crate::interruption::Interruption;
use crate::output::exit_status::ExitStatus;
use crate::selection;
use crate::selection::configuration::SelectedFiles;

/// How long the end of servers, refreshes and sign-ins may take.
const END_LIMIT: Duration = Duration::from_secs(40);
const USER_AGENT: &str = concat!("mcp-startup/", env!("CARGO_PKG_VERSION"));

pub fn run(arguments: arguments::AppServer) -> Result<ExitStatus, CommandError> {
    let token = token(&arguments)?;
    let files = SelectedFiles(arguments.source);
    let (configuration, credentials) = files.read_all()?;
    let mut options = StartupOptions::for_credentials(&credentials);
    options.client_metadata_url = arguments.client_document.url;
    options.limit = arguments.starts.timeout;
    options.limit_option = Some("--timeout");
    options.supervisor = crate::this_program::supervisor();
    match arguments.starts.concurrency {
        Some(concurrency) => options.concurrency = concurrency,
        None if files.0.config.is_none() => {
            options.program_concurrency = Some(clients::PROGRAMS_AT_ONCE);
        }
        None => {}
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let served = runtime.block_on(async {
        // Before anything starts, so that an interruption never leaves a program behind.
        let mut interruption = Interruption::listen()?;
        let options = AppServerOptions::new(options, USER_AGENT);
        let app = AppServer::new(options, configuration, files)?;
        let serving = serve(&app, arguments.listen, token.as_ref());
        let mut serving = std::pin::pin!(serving);
        let served = tokio::select! {
            biased;
            () = interruption.next() => None,
            served = &mut serving => Some(served),
        };
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
        // A second interruption does not wait for the servers to end.
        let ended = tokio::select! {
            () = interruption.next() => Ok(ExitStatus::Interrupted),
            ended = tokio::time::timeout(END_LIMIT, ending) => {
                ended.unwrap_or(Ok(ExitStatus::Interrupted))
            }
        };
        Ok(ended?)
    });
    // A pending read of stdin must not keep the process alive.
    runtime.shutdown_background();
    served
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
    let text = std::fs::read_to_string(path)
        .map_err(|error| CommandError::Usage(format!("{shown} can't be read: {error}")))?;
    match text.trim() {
        token if token.len() >= MIN_TOKEN_BYTES => Ok(Some(token.into())),
        _ => Err(CommandError::Usage(format!(
            "{shown} has no token of at least {MIN_TOKEN_BYTES} characters"
        ))),
    }
}

async fn serve(
    app: &AppServer,
    listen: Listen,
    token: Option<&SecretString>,
) -> std::io::Result<()> {
    match (listen, token) {
        (Listen::WebSocket(address), Some(token)) => {
            let listener = TcpListener::bind(address).await.map_err(|error| {
                let message = format!("can't listen on {address}: {error}; choose another port");
                std::io::Error::new(error.kind(), message)
            })?;
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
