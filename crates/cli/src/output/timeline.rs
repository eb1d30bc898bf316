//! The timeline of one start as text, for `mcp-startup explain`.

use anstyle::{AnsiColor, Style};
use mcp_startup::{
    CredentialSent, CredentialSource, IoTrouble, RequestTarget, StartPhase, StartTimeline,
    TimelineEntry, TimelineMessage, TimelineMessageKind, TimelineRefresh, TimelineResponse,
    TimelineStep, printable,
};
use serde::Serialize;
use textwrap::{WordSeparator, WordSplitter};

const GOOD: Style = AnsiColor::Green.on_default();
const ASKS: Style = AnsiColor::Yellow.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const DIM: Style = Style::new().dimmed();
const HEADING: Style = Style::new().bold();
/// A time as `  12345 ms  `.
const TIME_COLUMNS: usize = 12;
const TEXT_CHARS: usize = 1000;

/// Formats each entry, wrapped at this many columns.
pub fn lines(timeline: &StartTimeline, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = timeline
        .entries
        .iter()
        .map(|entry| line(entry, columns))
        .collect();
    if timeline.omitted > 0 {
        let plural = if timeline.omitted == 1 { "" } else { "s" };
        lines.push(format!(
            "{}{DIM}{} more step{plural} left out{DIM:#}",
            " ".repeat(TIME_COLUMNS),
            timeline.omitted
        ));
    }
    lines
}

fn line(entry: &TimelineEntry, columns: usize) -> String {
    let (style, text) = text(&entry.step);
    let indent = " ".repeat(TIME_COLUMNS);
    let options = textwrap::Options::new(columns)
        .initial_indent(&indent)
        .subsequent_indent(&indent)
        .break_words(false)
        .word_separator(WordSeparator::AsciiSpace)
        .word_splitter(WordSplitter::NoHyphenation);
    let wrapped = textwrap::fill(&printable(&text, TEXT_CHARS), options);
    // The style must not reach over the time.
    let body = wrapped.get(TIME_COLUMNS..).unwrap_or_default();
    format!("{DIM}{:>7} ms{DIM:#}  {style}{body}{style:#}", entry.at_ms)
}

fn text(step: &TimelineStep) -> (Style, String) {
    let plain = Style::new();
    match step {
        TimelineStep::Phase { phase } => (HEADING, phase_words(*phase).to_owned()),
        TimelineStep::Credential {
            source,
            name,
            headers,
            store_trouble,
        } => {
            let (style, text) = match (source, store_trouble) {
                (_, Some(trouble)) => {
                    let text = format!("the credential store can't be used: {}", name_of(trouble));
                    (BAD, text)
                }
                (CredentialSource::None, None) => (plain, "credential: none".to_owned()),
                (CredentialSource::Stored, None) => {
                    (plain, "credential: the stored sign-in".to_owned())
                }
                (CredentialSource::Configuration, None) => {
                    let name = name.as_deref().unwrap_or("a header");
                    (plain, format!("credential: {name} in the configuration"))
                }
            };
            let others = match headers.as_slice() {
                [] => String::new(),
                headers => format!("; configured headers: {}", headers.join(", ")),
            };
            (style, format!("{text}{others}"))
        }
        TimelineStep::ProgramStarted { program, arguments } => {
            let plural = if *arguments == 1 { "" } else { "s" };
            let text = format!("started {program} with {arguments} argument{plural}");
            (plain, text)
        }
        TimelineStep::ProgramOutput { line } => (DIM, format!("stderr: {line}")),
        TimelineStep::ProgramExited { code, signal } => {
            let how = match (code, signal) {
                (Some(code), _) => format!("the program exited with code {code}"),
                (None, Some(signal)) => format!("signal {signal} terminated the program"),
                (None, None) => "the program exited".to_owned(),
            };
            (BAD, how)
        }
        TimelineStep::MessageSent(message) => (plain, format!("→ {}", message_words(message))),
        TimelineStep::MessageReceived(message) => {
            let style = match message.kind {
                TimelineMessageKind::Error => BAD,
                TimelineMessageKind::Result => GOOD,
                _ => plain,
            };
            (style, format!("← {}", message_words(message)))
        }
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
            let text = format!("[{request}] {http_method} {url}{about}{credential}");
            (plain, text)
        }
        TimelineStep::ResponseReceived(response) => response_words(response),
        TimelineStep::RequestFailed {
            request,
            io,
            certificate,
        } => {
            let certificate = certificate.map(|problem| format!(": {}", name_of(&problem)));
            let text = format!(
                "[{request}] {}{}",
                trouble_words(*io),
                certificate.unwrap_or_default()
            );
            (BAD, text)
        }
        TimelineStep::RequestBlocked { request } => {
            let text =
                format!("[{request}] not sent: a public server must not lead to a private address");
            (BAD, text)
        }
        TimelineStep::Discovered {
            outcome,
            issuer,
            problem,
        } => {
            let outcome = outcome.map_or_else(String::new, |outcome| name_of(&outcome));
            let issuer = issuer.as_ref().map(|issuer| format!(", issuer {issuer}"));
            let problem = problem.map(|problem| format!(", problem {}", name_of(&problem)));
            let text = format!(
                "discovery: {outcome}{}{}",
                issuer.unwrap_or_default(),
                problem.unwrap_or_default()
            );
            (plain, text)
        }
        TimelineStep::Refreshed { outcome } => {
            let (style, words) = match outcome {
                TimelineRefresh::Token => (GOOD, "a new token"),
                TimelineRefresh::TokenNotSaved => (ASKS, "a new token, which could not be stored"),
                TimelineRefresh::Refused => (BAD, "refused, or no proper response"),
                TimelineRefresh::NotSent => (
                    BAD,
                    "not sent: another authorization server granted the token",
                ),
                TimelineRefresh::NoAuthorizationServer => {
                    (BAD, "not sent: no authorization server was found")
                }
                TimelineRefresh::Blocked => (
                    BAD,
                    "not sent: the address of the token endpoint is not allowed",
                ),
                TimelineRefresh::StoreFailed => (BAD, "the credential store can't be used"),
                _ => (plain, "ended"),
            };
            (style, format!("refresh: {words}"))
        }
        _ => (DIM, "a step that this version does not know".to_owned()),
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

fn response_words(response: &TimelineResponse) -> (Style, String) {
    let style = match response.status {
        200..=299 => GOOD,
        300..=399 | 401 => ASKS,
        _ => BAD,
    };
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
    let text = format!("[{}] HTTP {}{details}", response.request, response.status);
    (style, text)
}

fn trouble_words(io: IoTrouble) -> &'static str {
    match io {
        IoTrouble::Dns => "no response: the host name could not be resolved",
        IoTrouble::Connect => "no response: the connection could not be established",
        IoTrouble::Tls => "no response: TLS failed",
        IoTrouble::Closed => "the connection was closed before the response was complete",
        IoTrouble::Timeout => "the response did not arrive in time",
        IoTrouble::TooLarge => "the response is too large",
        IoTrouble::Malformed => "the response is not valid HTTP",
    }
}

/// The name of a value in JSON, which `docs/protocol.md` explains.
pub fn name_of(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        _ => String::new(),
    }
}
