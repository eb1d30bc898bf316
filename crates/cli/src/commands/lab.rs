//! `mcp-startup lab`: servers for testing a client.

use std::io::Write;

use mcp_startup_lab::{Lab, scenarios, serve_stdio};

use crate::CommandError;
use crate::arguments;
use crate::interruption::Interruption;
use crate::output::exit_status::ExitStatus;

pub fn run(arguments: &arguments::Lab) -> Result<u8, CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    match &arguments.stdio {
        Some(name) => {
            let behaviour = scenarios()
                .iter()
                .find(|row| row.name == *name)
                .and_then(|row| row.stdio.as_ref())
                .ok_or_else(|| unknown_stdio_scenario(name))?;
            let code = runtime.block_on(serve_stdio(behaviour));
            // A pending read of stdin must not keep the process alive.
            runtime.shutdown_background();
            Ok(code)
        }
        None => Ok(runtime.block_on(serve(arguments.port))?.code()),
    }
}

async fn serve(port: u16) -> Result<ExitStatus, CommandError> {
    let mut interruption = Interruption::listen()?;
    let mut lab = Lab::start(port).await?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{}/", lab.base_url())?;
    stdout.flush()?;
    let mut stderr = anstream::stderr();
    let _ = writeln!(
        stderr,
        "Serving {} scenarios, listed as JSON at this URL. Press Ctrl-C to stop.",
        lab.scenarios().len()
    );
    tokio::select! {
        () = interruption.next() => lab.stop().await,
        () = lab.wait() => {}
    }
    Ok(ExitStatus::AllReady)
}

fn unknown_stdio_scenario(name: &str) -> CommandError {
    let known: Vec<_> = scenarios()
        .iter()
        .filter(|row| row.stdio.is_some())
        .map(|row| row.name.as_str())
        .collect();
    CommandError::Usage(format!(
        "the lab has no stdio server `{}`; it has: {}",
        mcp_startup_core::printable(name, 60),
        known.join(", ")
    ))
}
