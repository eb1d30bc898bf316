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
