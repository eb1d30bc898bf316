//! `mcp-startup open`: the states of the servers on a page in the user's browser.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use mcp_startup_app_server::AppServer;
use mcp_startup_app_server::transport::PageServer;
use secrecy::{ExposeSecret, SecretString};
use tempfile::TempDir;

use super::app_server::{self, listen_on};
use crate::arguments::{self, ClientDocument, Source, Starts};
use crate::output::exit_status::ExitStatus;
use crate::selection::configuration::SelectedFiles;
use crate::{CommandError, browser, selection};

pub fn run(arguments: arguments::Open) -> Result<ExitStatus, CommandError> {
    let files = SelectedFiles::new(arguments.source);
    let read = match files.source.config {
        Some(_) => files.read_all()?,
        // The page shows that there are none, and the servers that are added later.
        None if files.is_empty() => files.read_all()?,
        None => {
            let selection = selection::select(&files.source, &[])?;
            if !selection::confirm(&selection, arguments.yes)? {
                return Ok(ExitStatus::Interrupted);
            }
            files.of_selection(selection)
        }
    };
    let again = again(&files.source, &arguments.client_document, &arguments.starts);
    let app_server = app_server::Options {
        files,
        read,
        client_document: arguments.client_document,
        starts: arguments.starts,
    };
    app_server.run(async |app| serve(app, arguments.port, arguments.no_browser, &again).await)
}

/// The command that shows the same servers, and opens no browser.
fn again(source: &Source, client_document: &ClientDocument, starts: &Starts) -> String {
    let mut suggestions = selection::suggestions_of(source);
    suggestions.add_client_document(client_document);
    if let Some(timeout) = starts.timeout {
        let seconds = timeout.as_secs_f64().to_string();
        suggestions.add_option("--timeout", Some(&seconds));
    }
    if let Some(concurrency) = starts.concurrency {
        suggestions.add_option("--concurrency", Some(&concurrency.to_string()));
    }
    suggestions.command("open --no-browser")
}

async fn serve(app: &AppServer, port: u16, no_browser: bool, again: &str) -> io::Result<()> {
    let listener = listen_on(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
    let port = listener.local_addr()?.port();
    let page = PageServer::new(listener)?;
    let (address, with_token) = (page.address(), page.address_with_token());
    let opened = page.opened();
    let showing = async {
        let file = match no_browser {
            true => None,
            false => open_in_browser(&with_token).await,
        };
        match &file {
            Some(_) => {
                let _ = writeln!(
                    crate::output::stderr::styled(),
                    "Your browser shows your servers, from {address}. If it does not, run `{again}`, and open the address that it prints.\nPress Ctrl-C to end."
                );
            }
            None => print_address(&with_token, port, no_browser)?,
        }
        opened.await;
        // The token is not needed in a file any more.
        drop(file);
        std::future::pending().await
    };
    // The page is served before a browser requests it.
    tokio::select! {
        served = page.serve(app) => served,
        failed = showing => failed,
    }
}

/// Prints the address for the user, who opens it.
fn print_address(with_token: &SecretString, port: u16, no_browser: bool) -> io::Result<()> {
    let mut stderr = crate::output::stderr::styled();
    let cause = match no_browser {
        true => "",
        false => "No browser could be opened. ",
    };
    let _ = writeln!(
        stderr,
        "{cause}Open this address in a browser. Keep it secret: its token gives access to your servers."
    );
    let mut stdout = io::stdout();
    writeln!(stdout, "{}", with_token.expose_secret())?;
    stdout.flush()?;
    let _ = writeln!(
        stderr,
        "If your browser is on another machine, run `ssh -L {port}:127.0.0.1:{port} HOST` there first, with the name of this machine as HOST.\nPress Ctrl-C to end."
    );
    Ok(())
}

/// Opens the page. Returns the file that the browser was started with, or `None` if no browser was started.
async fn open_in_browser(with_token: &SecretString) -> Option<RedirectFile> {
    if !browser::has_display() {
        return None;
    }
    let file = RedirectFile::new(with_token).ok()?;
    let path = file.path.clone();
    let opening = tokio::task::spawn_blocking(move || browser::open_file(&path));
    let was_opened = opening.await.unwrap_or(false);
    was_opened.then_some(file)
}

/// A file that redirects a browser to the page, so that the token is not an argument of the browser, which all users of the machine
/// could see. It is removed when this is dropped.
struct RedirectFile {
    path: PathBuf,
    _folder: TempDir,
}

impl RedirectFile {
    fn new(with_token: &SecretString) -> io::Result<Self> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("mcp-startup-");
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
        let folder = builder.tempdir_in(std::path::absolute(std::env::temp_dir())?)?;
        let path = folder.path().join("open.html");
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let url = with_token.expose_secret();
        // The URL has no character that HTML gives a meaning.
        let document = format!(
            "<!doctype html>\n<meta charset=\"utf-8\">\n<meta name=\"referrer\" content=\"no-referrer\">\n<meta http-equiv=\"refresh\" content=\"0; url={url}\">\n<title>mcp-startup</title>\n<a href=\"{url}\">Show your servers</a>\n"
        );
        options.open(&path)?.write_all(document.as_bytes())?;
        Ok(Self {
            path,
            _folder: folder,
        })
    }
}
