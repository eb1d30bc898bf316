//! `mcp-startup lab`: servers for testing a client.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use mcp_startup::config::most_similar;
use mcp_startup_core::io_problem;
use mcp_startup_lab::{Lab, Scenario, config_toml, scenarios, serve_stdio};

use crate::CommandError;
use crate::arguments;
use crate::interruption::Interruption;
use crate::output::exit_status::ExitStatus;
use crate::{selection, this_program};

pub fn run(arguments: &arguments::Lab) -> Result<u8, CommandError> {
    let runtime = crate::single_threaded_runtime()?;
    match &arguments.stdio {
        Some(name) => {
            let behaviour = scenarios()
                .iter()
                .find(|row| row.name == *name)
                .and_then(|row| row.stdio.as_ref())
                .ok_or_else(|| {
                    let known = scenarios().iter().filter(|row| row.stdio.is_some());
                    unknown_scenario("stdio server", name, known)
                })?;
            let code = runtime.block_on(serve_stdio(behaviour));
            // A pending read of stdin must not keep the process alive.
            runtime.shutdown_background();
            Ok(code)
        }
        None => Ok(runtime.block_on(serve(arguments))?.code()),
    }
}

async fn serve(arguments: &arguments::Lab) -> Result<ExitStatus, CommandError> {
    let mut interruption = Interruption::listen()?;
    let mut lab = Lab::start(arguments.port).await?;
    let written = match &arguments.write_config {
        Some(path) => Some(WrittenConfig::new(path, &lab)?),
        None => None,
    };
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{}/", lab.base_url())?;
    stdout.flush()?;
    let mut stderr = crate::output::stderr::styled();
    let _ = writeln!(
        stderr,
        "Serving {} scenarios, listed as JSON at this URL. Press Ctrl-C to stop.",
        lab.scenarios().len()
    );
    if let Some(written) = &written {
        let _ = writeln!(
            stderr,
            "The configuration is in {}. It has no sign-ins: a scenario with `stored` in the list ends as expected only if the client has that sign-in.",
            selection::shown(&written.path)
        );
    }
    tokio::select! {
        () = interruption.next() => lab.stop().await,
        () = lab.wait() => {}
    }
    Ok(ExitStatus::AllReady)
}

/// A configuration of the servers, which is removed when this value is dropped: the URLs are then not valid any more.
struct WrittenConfig {
    path: PathBuf,
}

impl WrittenConfig {
    fn new(path: &Path, lab: &Lab) -> Result<Self, CommandError> {
        let is_json = match path.extension().and_then(|end| end.to_str()) {
            Some("json") => true,
            Some("toml") => false,
            _ => {
                return Err(CommandError::Usage(format!(
                    "{}: `--write-config` needs a name that ends in `.toml` or `.json`",
                    selection::shown(path)
                )));
            }
        };
        let rows = lab.scenarios().iter();
        let text = match is_json {
            true => {
                let served = rows.filter(|row| row.stdio.is_none());
                let servers: serde_json::Map<_, _> = served
                    .map(|row| {
                        let entry =
                            serde_json::json!({ "type": "http", "url": lab.url(&row.name) });
                        (row.name.clone(), entry)
                    })
                    .collect();
                let document = serde_json::json!({ "mcpServers": servers });
                serde_json::to_string_pretty(&document).map_err(std::io::Error::from)?
            }
            false => config_toml(rows, &lab.base_url(), this_program::command()),
        };
        // A file of the user is never replaced.
        let file = File::options().write(true).create_new(true).open(path);
        let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(|error| {
            CommandError::Usage(format!(
                "{} can't be written: {}; `--write-config` needs the path of a new file",
                selection::shown(path),
                io_problem(&error)
            ))
        })?;
        Ok(Self {
            path: path.to_owned(),
        })
    }
}

impl Drop for WrittenConfig {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The error for a name that none of these scenarios has. `what` is what a scenario is called.
pub fn unknown_scenario<'a>(
    what: &str,
    name: &str,
    known: impl IntoIterator<Item = &'a Scenario>,
) -> CommandError {
    const MAX_LISTED: usize = 20;
    let known: Vec<&str> = known.into_iter().map(|row| row.name.as_str()).collect();
    let hint = match most_similar(name, known.iter().copied()) {
        Some(similar) => format!("did you mean `{similar}`?"),
        None => {
            let listed = known[..known.len().min(MAX_LISTED)].join(", ");
            match known.len().saturating_sub(MAX_LISTED) {
                0 => format!("it has: {listed}"),
                more => format!("it has: {listed} and {more} more"),
            }
        }
    };
    let name = mcp_startup_core::printable(name, 60);
    CommandError::Usage(format!("the lab has no {what} `{name}`; {hint}"))
}
