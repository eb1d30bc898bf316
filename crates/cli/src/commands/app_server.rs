//! `mcp-startup app-server`: the states of the servers, sign-in and retry over JSON-RPC.

use std::time::Duration;

use mcp_startup::StartupOptions;
use mcp_startup::config::clients;
use mcp_startup_app_server::{AppServer, AppServerOptions, transport};

use crate::CommandError;
use crate::arguments;
use crate::interruption::Interruption;
use crate::output::exit_status::ExitStatus;
use crate::selection::configuration::{SelectedFiles, configuration};

/// How long the end of servers, refreshes and sign-ins may take.
const END_LIMIT: Duration = Duration::from_secs(40);
const USER_AGENT: &str = concat!("mcp-startup/", env!("CARGO_PKG_VERSION"));

pub fn run(arguments: arguments::AppServer) -> Result<ExitStatus, CommandError> {
    let files = SelectedFiles(arguments.source);
    let (servers, credentials) = files.read_all()?;
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
    let configuration = configuration(servers, &credentials);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let served = runtime.block_on(async {
        // Before anything starts, so that an interruption never leaves a program behind.
        let mut interruption = Interruption::listen()?;
        let options = AppServerOptions::new(options, USER_AGENT);
        let app = AppServer::new(options, configuration, files)?;
        let serving = transport::serve_streams(&app, tokio::io::stdin(), tokio::io::stdout());
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
