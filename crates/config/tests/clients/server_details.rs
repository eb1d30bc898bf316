//! The configuration of a server as text, for comparison with the expected one.

use mcp_startup_config::clients::ClientFile;
use mcp_startup_config::{HttpSseUse, TransportConfig};
use secrecy::ExposeSecret;

/// Describes how the server `name` is started: the program or the URL, and its arguments, variables and headers.
pub fn details(files: &[ClientFile], name: &str) -> String {
    let servers = files.iter().flat_map(|file| &file.servers);
    let mut servers = servers.filter(|server| server.entry.name == name);
    let Some(server) = servers.next() else {
        return format!("{name} is not in the files");
    };
    let config = match &server.entry.config {
        Ok(config) => config,
        Err(problem) => return problem.to_string(),
    };
    let mut text = match &config.transport {
        TransportConfig::Stdio(stdio) => {
            let mut text = stdio.command.clone();
            for arg in &stdio.args {
                text += &format!(" {arg:?}");
            }
            for (name, value) in &stdio.env {
                text += &format!("; {name}={}", value.expose_secret());
            }
            if let Some(cwd) = &stdio.cwd {
                text += &format!("; in {}", cwd.to_string_lossy().replace('\\', "/"));
            }
            text
        }
        TransportConfig::Http(http) => {
            let mut text = format!("{} ({})", http.url, sse(http.http_sse));
            for header in &http.headers {
                let value = header.value.expose_secret();
                text += &format!("; {}: {value}", header.name);
            }
            text
        }
    };
    if let Some(limit) = config.startup_timeout {
        text += &format!("; {limit:?}");
    }
    text
}

fn sse(http_sse: HttpSseUse) -> &'static str {
    match http_sse {
        HttpSseUse::Never => "no SSE",
        HttpSseUse::Fallback => "or SSE",
        HttpSseUse::Always => "SSE",
    }
}

/// One line for each file and server, for comparison with the expected ones.
pub fn shown(files: &[ClientFile]) -> String {
    let mut text = String::new();
    for file in files {
        let approved = match file.approved {
            Some(true) => ", approved",
            Some(false) => ", not approved",
            None => "",
        };
        let path = file.path.to_string_lossy().replace('\\', "/");
        text += &format!(
            "{} {path} ({}{approved})",
            file.scope.as_str(),
            file.format.as_str()
        );
        if let Some(error) = &file.error {
            text += &format!(": {error}");
        }
        text += "\n";
        for server in &file.servers {
            let entry = &server.entry;
            text += &format!("  {} {}", entry.name, server.transport.as_str());
            if !entry.enabled {
                text += " off";
            }
            match server.approved {
                Some(true) => text += " approved",
                Some(false) => text += " not-approved",
                None => {}
            }
            match (&server.not_checked, &entry.config) {
                (Some(why), _) => text += &format!(" | not checked: {why}"),
                (None, Err(problem)) => text += &format!(" | {problem}"),
                (None, Ok(_)) => {}
            }
            text += "\n";
            for warning in &entry.warnings {
                text += &format!("    warning: {warning}\n");
            }
            if let Ok(config) = &entry.config {
                for cause in &config.possible_causes {
                    text += &format!("    possible cause: {cause}\n");
                }
            }
        }
    }
    text
}
