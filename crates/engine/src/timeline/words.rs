//! The words for each step of a timeline. They have the server's text as it was recorded: escape it before it is shown.

use std::fmt;

use mcp_startup_core::{CredentialSent, CredentialSource, IoTrouble, RequestTarget, StartPhase};
use serde::Serialize;

use super::{
    TimelineMessage, TimelineMessageKind, TimelineRefresh, TimelineResponse, TimelineStep,
};

impl fmt::Display for TimelineStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&words(self))
    }
}

fn words(step: &TimelineStep) -> String {
    match step {
        TimelineStep::Phase { phase } => phase_words(*phase).to_owned(),
        TimelineStep::Credential {
            source,
            name,
            headers,
            store_trouble,
        } => {
            let text = match (source, store_trouble) {
                (_, Some(trouble)) => {
                    format!("the credential store can't be used: {}", name_of(trouble))
                }
                (CredentialSource::None, None) => "credential: none".to_owned(),
                (CredentialSource::Stored, None) => "credential: the stored sign-in".to_owned(),
                (CredentialSource::Configuration, None) => {
                    let name = name.as_deref().unwrap_or("a header");
                    format!("credential: {name} in the configuration")
                }
            };
            let others = match headers.as_slice() {
                [] => String::new(),
                headers => format!("; configured headers: {}", headers.join(", ")),
            };
            format!("{text}{others}")
        }
        TimelineStep::ProgramStarted { program, arguments } => {
            let plural = if *arguments == 1 { "" } else { "s" };
            format!("started {program} with {arguments} argument{plural}")
        }
        TimelineStep::ProgramOutput { line } => format!("stderr: {line}"),
        TimelineStep::ProgramExited { code, signal } => match (code, signal) {
            (Some(code), _) => format!("the program exited with code {code}"),
            (None, Some(signal)) => format!("signal {signal} terminated the program"),
            (None, None) => "the program exited".to_owned(),
        },
        TimelineStep::MessageSent(message) => format!("→ {}", message_words(message)),
        TimelineStep::MessageReceived(message) => format!("← {}", message_words(message)),
        TimelineStep::RequestSent {
            request,
            to,
            http_method,
            url,
            credential,
            method,
        } => {
            let about = match (to, method) {
                (RequestTarget::Discovery, _) => " (discovery document)".to_owned(),
                (RequestTarget::Token, _) => " (token refresh)".to_owned(),
                (RequestTarget::Mcp, Some(method)) => format!(" ({method})"),
                (RequestTarget::Mcp, None) if *http_method == "GET" => " (event stream)".to_owned(),
                (RequestTarget::Mcp, None) => " (reply)".to_owned(),
            };
            let credential = match (to, credential) {
                (RequestTarget::Mcp, Some(sent)) => {
                    format!(", credential: {}", credential_words(*sent))
                }
                _ => String::new(),
            };
            format!("[{request}] {http_method} {url}{about}{credential}")
        }
        TimelineStep::ResponseReceived(response) => response_words(response),
        TimelineStep::RequestFailed {
            request,
            io,
            certificate,
        } => {
            let certificate = certificate.map(|problem| format!(": {}", name_of(&problem)));
            format!(
                "[{request}] {}{}",
                trouble_words(*io),
                certificate.unwrap_or_default()
            )
        }
        TimelineStep::RequestBlocked { request } => {
            format!("[{request}] not sent: a public server must not lead to a private address")
        }
        TimelineStep::Discovered {
            outcome,
            issuer,
            problem,
        } => {
            let outcome = outcome.map_or_else(String::new, |outcome| name_of(&outcome));
            let issuer = issuer.as_ref().map(|issuer| format!(", issuer {issuer}"));
            let problem = problem.map(|problem| format!(", problem {}", name_of(&problem)));
            format!(
                "discovery: {outcome}{}{}",
                issuer.unwrap_or_default(),
                problem.unwrap_or_default()
            )
        }
        TimelineStep::Refreshed { outcome } => {
            let words = match outcome {
                TimelineRefresh::Token => "a new token",
                TimelineRefresh::TokenNotSaved => "a new token, which could not be stored",
                TimelineRefresh::Refused => "refused, or no proper response",
                TimelineRefresh::NotSent => {
                    "not sent: another authorization server granted the token"
                }
                TimelineRefresh::NoAuthorizationServer => {
                    "not sent: no authorization server was found"
                }
                TimelineRefresh::Blocked => {
                    "not sent: the address of the token endpoint is not allowed"
                }
                TimelineRefresh::StoreFailed => "the credential store can't be used",
            };
            format!("refresh: {words}")
        }
    }
}

fn phase_words(phase: StartPhase) -> &'static str {
    match phase {
        StartPhase::Configuring => "Reading the entry in the configuration",
        StartPhase::ReadingCredentials => "Reading the stored credentials",
        StartPhase::Launching => "Launching the program",
        StartPhase::Initializing => "Connecting",
        StartPhase::Authorizing => "Finding the authorization server",
        StartPhase::ListingTools => "Listing the tools",
    }
}

fn credential_words(sent: CredentialSent) -> &'static str {
    match sent {
        CredentialSent::None => "none",
        CredentialSent::Stored => "stored token",
        CredentialSent::Refreshed => "refreshed token",
        CredentialSent::Configuration => "from the configuration",
        CredentialSent::Held => "token of another client",
    }
}

fn message_words(message: &TimelineMessage) -> String {
    let method = message.method.as_deref();
    let mut words = match message.kind {
        TimelineMessageKind::Request => format!("request {}", method.unwrap_or("without a method")),
        TimelineMessageKind::Notification => {
            format!("notification {}", method.unwrap_or("without a method"))
        }
        TimelineMessageKind::Result => format!("result of {}", method.unwrap_or("a request")),
        TimelineMessageKind::Error => {
            let code = message.error_code.map(|code| format!(" {code}"));
            format!(
                "error{} for {}",
                code.unwrap_or_default(),
                method.unwrap_or("a request")
            )
        }
    };
    if let Some(id) = &message.id {
        words.push_str(&format!(" (ID {id})"));
    }
    let version = message.protocol_version.as_ref();
    let details = [
        message.error_message.clone(),
        version.map(|version| format!("protocol version {version}")),
        message
            .server
            .as_ref()
            .map(|server| format!("server {server}")),
        message.tools.map(|count| match count {
            1 => "1 tool".to_owned(),
            _ => format!("{count} tools"),
        }),
    ];
    let details: Vec<String> = details.into_iter().flatten().collect();
    if !details.is_empty() {
        words.push_str(": ");
        words.push_str(&details.join(", "));
    }
    words
}

fn response_words(response: &TimelineResponse) -> String {
    let part =
        |label: &str, text: &Option<String>| text.as_ref().map(|text| format!("; {label}{text}"));
    let content_type = response.content_type.as_ref();
    let parts = [
        content_type.map(|text| format!(", {text}")),
        part("redirect to ", &response.location),
        part("challenge: ", &response.challenge),
        part("Retry-After: ", &response.retry_after),
        part("OAuth error: ", &response.oauth_error),
        part("body: ", &response.body),
    ];
    let details: String = parts.into_iter().flatten().collect();
    format!("[{}] HTTP {}{details}", response.request, response.status)
}

fn trouble_words(io: IoTrouble) -> &'static str {
    match io {
        IoTrouble::Dns => "no response: the host name could not be resolved",
        IoTrouble::Connect => "no response: the connection could not be established",
        IoTrouble::ProxyRefused => "no response: the proxy refused to connect to the server",
        IoTrouble::Tls => "no response: TLS failed",
        IoTrouble::Closed => "the connection was closed before the response was complete",
        IoTrouble::Timeout => "the response did not arrive in time",
        IoTrouble::TooLarge => "the response is too large",
        IoTrouble::Malformed => "the response is not valid HTTP",
    }
}

/// The name of a value in JSON, which `docs/protocol.md` explains.
fn name_of(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        _ => String::new(),
    }
}
