//! The human-readable message of a failure: the problem, its cause and the next step for the user.
//!
//! The messages are for users of a terminal or desktop app who do not know OAuth. They call an authorization server a "sign-in
//! service" and the stored credential "your sign-in". Technical details stay in the evidence.

mod authorization;
mod command_line;
mod discovery;
mod http;
mod next_steps;
mod program;
mod shortening;

use std::borrow::Cow;

use crate::evidence::{
    ConfigurationEvidence, CredentialSent, DiscoveryProblem, ExceededLimit, IoTrouble, StartPhase,
    Transport,
};
use crate::printable::printable;
use crate::sign_in_page::is_sign_in_title;

use self::command_line::for_command_line;
use self::shortening::shortened;
use super::facts::{Facts, UnreadToken, text_of};
use super::line_breaks::on_one_line;
use super::program_output::{is_error, shorten_paths};
use super::quotes::{framing_fault, words_of_json, words_of_page};
use super::{MESSAGE_CHARS, StartupFailureKind, StartupWarningKind};

pub use discovery::failed_discovery;
pub use http::try_again;

/// The maximum length of a server name, in characters.
const NAME_CHARS: usize = 60;
/// The maximum length of other foreign text in the middle of a message, in characters.
const FOREIGN_CHARS: usize = 100;
/// The maximum length of a configuration key, in characters. It leaves room for the problem.
const KEY_CHARS: usize = 72;
/// The maximum length of the quote at the end of a message, in characters.
const QUOTE_CHARS: usize = 160;
/// The maximum length of a quote of a program's output, in characters.
const OUTPUT_QUOTE_CHARS: usize = 200;
/// The maximum length of a line of a program's output before it is shortened to a quote, in characters.
const OUTPUT_CHARS: usize = 1000;
/// The length to which a quote is cut to make room for the other parts, in characters.
const MIN_QUOTE_CHARS: usize = 60;
/// A hint for which there is less room is left out, in characters.
const MIN_HINT_CHARS: usize = 60;

/// The parts of a message. If the message is too long, the quote is shortened first, to a minimum length, then `happened`, and `todo` never.
struct Parts {
    /// The problem and its cause.
    happened: String,
    /// The next step, with the punctuation before it.
    todo: Cow<'static, str>,
    /// The words of the server, its program or its configuration, at the end of the message.
    quote: Option<String>,
    /// The words of the quote that name the cause, in lowercase. They are shown if the quote has to be shortened.
    cause: &'static str,
    /// The part of the configuration that may be the cause, after everything else.
    hint: Option<String>,
}

impl Parts {
    fn new(happened: impl Into<String>, todo: impl Into<Cow<'static, str>>) -> Self {
        Self {
            happened: happened.into(),
            todo: todo.into(),
            quote: None,
            cause: "",
            hint: None,
        }
    }

    /// Quotes the output of a program. If that is too long, its beginning and its end are shown, because the cause can be at either.
    fn with_output(self, line: &str) -> Self {
        let line = shorten_paths(line);
        Self {
            quote: Some(printable(&on_one_line(&line), OUTPUT_CHARS)),
            ..self
        }
    }

    /// Sets the words of the quote that name the cause.
    fn about(self, cause: &'static str) -> Self {
        Self { cause, ..self }
    }

    fn with_quote(self, quote: &str) -> Self {
        Self {
            quote: Some(printable(&on_one_line(quote), QUOTE_CHARS)),
            ..self
        }
    }

    fn into_message(self) -> String {
        let quote = self.quote.as_ref();
        let quote = quote.map_or(0, |quote| quote.chars().count().min(MIN_QUOTE_CHARS));
        let room = MESSAGE_CHARS.saturating_sub(self.todo.chars().count() + quote);
        let mut message = printable(&self.happened, room);
        message.push_str(&self.todo);
        let room = |message: &str| MESSAGE_CHARS.saturating_sub(message.chars().count());
        let hint = self.hint.map(|hint| format!(". {hint}"));
        if let Some(quote) = self.quote {
            let all = room(&message);
            let hint = hint.as_ref().map_or(0, |hint| hint.chars().count());
            let least = MIN_QUOTE_CHARS.min(all);
            let room = all.saturating_sub(hint).max(least).min(OUTPUT_QUOTE_CHARS);
            let quote = shortened(&quote, room, self.cause);
            message.push_str(&quote);
        }
        if let Some(hint) = hint.filter(|_| room(&message) >= MIN_HINT_CHARS) {
            // The quote may end with a period.
            let end = message.trim_end_matches('.').len();
            message.truncate(end);
            let room = room(&message);
            message.push_str(&printable(&hint, room));
        }
        message
    }
}

impl Facts<'_> {
    /// Returns the message for a kind of failure.
    pub(super) fn message(&self, kind: StartupFailureKind) -> String {
        let parts = |server: &str| {
            let parts = self.parts(kind, server);
            let hint = parts.hint.clone().or_else(|| self.hint(kind));
            let todo = self.fitting(parts.todo);
            Parts {
                hint,
                todo,
                ..parts
            }
        };
        let name = self.evidence.server.as_deref();
        match name.filter(|name| !name.trim().is_empty()) {
            Some(name) => parts(&printable(name, NAME_CHARS)).into_message(),
            None => {
                let message = parts("the MCP server").into_message();
                match message.strip_prefix("the ") {
                    Some(rest) => format!("The {rest}"),
                    None => message,
                }
            }
        }
    }

    /// Returns the message of a warning.
    pub(super) fn warning_message(&self, kind: StartupWarningKind) -> String {
        let name = self.evidence.server.as_deref().unwrap_or_default();
        let server = match name.trim().is_empty() {
            true => "The MCP server".to_owned(),
            false => printable(name, NAME_CHARS),
        };
        let (what, todo, quote) = match kind {
            StartupWarningKind::ToolListFailed => (
                "it could not list its tools",
                "; report this to its author: ",
                self.tool_list_refusal()
                    .map(|refusal| self.with_reported_reason(refusal)),
            ),
            StartupWarningKind::ToolListInvalid => (
                "its list of tools is invalid, so clients may show none of them",
                "; report this to its author: ",
                self.invalid_result().map(|(_, problem)| problem.to_owned()),
            ),
            StartupWarningKind::ToolListTimedOut => (
                "it did not list its tools in time",
                "; try again, or report this to its author: ",
                self.invalid_result()
                    .map(|(_, problem)| problem)
                    .or_else(|| self.protocol_error())
                    .map(str::to_owned)
                    .or_else(|| self.last_words().filter(|line| is_error(line))),
            ),
            StartupWarningKind::ToolListTooLong => (
                "it lists more than 10,000 tools, or more than 100 pages or 10 MB of them, and clients may not show them all",
                "; reduce them in its settings, or report this to its author",
                None,
            ),
            StartupWarningKind::TextOnStdout => {
                let mut lines = self.stdout().into_iter().flat_map(str::lines);
                let line = lines.find(|line| !line.trim().is_empty());
                let line = line.map(|line| line.trim().to_owned());
                let step = line.as_deref().and_then(|line| self.step_to_silence(line));
                (
                    "it writes text to stdout, where MCP allows only messages, so other clients may refuse it",
                    step.unwrap_or("; remove what writes it, or report this to its author: "),
                    line,
                )
            }
        };
        let happened = format!("{server} is ready, but {what}");
        let todo = self.fitting(todo.into());
        match quote {
            Some(quote) => Parts::new(happened, todo).with_quote(&quote),
            None => Parts::new(happened, todo.trim_end_matches(": ").to_owned()),
        }
        .into_message()
    }

    fn parts(&self, kind: StartupFailureKind, server: &str) -> Parts {
        use StartupFailureKind as Kind;
        match kind {
            Kind::InvalidConfiguration => self.invalid_configuration(server),
            Kind::ProgramNotFound => self.program_not_found(server),
            Kind::CredentialStoreUnavailable => self.credential_store_unavailable(server),
            Kind::CredentialRejected => self.credential_rejected(server),
            Kind::InsufficientScope => {
                let scope = self.required_scope();
                let scope = scope.map_or_else(String::new, |scope| format!(" (`{scope}`)"));
                let happened =
                    format!("{server} requires more access than your sign-in grants{scope}");
                let todo = ": sign in again and grant it, or use an account that has it";
                match self.has_sentence() {
                    true => self.with_words(happened, todo),
                    false => Parts::new(happened, todo),
                }
            }
            Kind::AccessDenied => self.access_denied(server),
            Kind::ReauthenticationRequired => {
                let refresh = self.refresh;
                let was_sent_before =
                    refresh.is_some_and(|refresh| refresh.sent_before_at_ms.is_some());
                let happened = |what| format!("Your sign-in to {server} {what}");
                if was_sent_before {
                    let what = "has ended, because another program sent its refresh token and did not save the response";
                    return Parts::new(happened(what), ": sign in again");
                }
                let (what, todo) = match self.sent() {
                    Some(CredentialSent::Refreshed) => (
                        "was renewed, and the server rejects it nevertheless (HTTP 401)",
                        ": sign in again; if that does not help, contact its operator",
                    ),
                    _ => ("has expired or was revoked", ": sign in again"),
                };
                match self.sent() {
                    Some(CredentialSent::Refreshed | CredentialSent::Stored)
                        if self.has_sentence() =>
                    {
                        self.with_words(happened(what), todo)
                    }
                    _ => match self.refusal_of_spent() {
                        Some(words) => {
                            let todo = format!("{todo}; its sign-in service answered: ");
                            Parts::new(happened(what), todo).with_quote(words)
                        }
                        None => Parts::new(happened(what), todo),
                    },
                }
            }
            Kind::SignInHeldByClient => self.sign_in_held_by_client(server),
            Kind::AuthorizationUnavailable => self.authorization_unavailable(server),
            Kind::AuthorizationMisconfigured => self.authorization_misconfigured(server),
            Kind::ClientRequired => Parts::new(
                format!(
                    "{server} requires a sign-in, but its sign-in service does not register this client"
                ),
                match self.discovery_problem() {
                    Some(DiscoveryProblem::ClientDocumentRequired) => {
                        ": ask its operator for a client ID, and set it as `oauth.client_id`, or set the URL of a client ID metadata document as `oauth.client_metadata_url`"
                    }
                    _ => {
                        ": ask its operator for a client ID, and set it as `oauth.client_id` (in JSON, `oauth.clientId`)"
                    }
                },
            ),
            Kind::SignInRequired => Parts::new(
                format!("{server} requires a sign-in, and you have not signed in yet"),
                ": sign in",
            ),
            Kind::CredentialRequired => {
                let (happened, todo) = match self.other_scheme() {
                    None if self.unread_token() == Some(UnreadToken::Key) => (
                        format!(
                            "{server}, or a gateway in front of it, requires a key (HTTP 401), not a sign-in"
                        ),
                        ": get one from its operator and add it to the configuration",
                    ),
                    Some(scheme) => (
                        format!(
                            "{server}, or a gateway in front of it, requires {} authentication (HTTP 401), not a sign-in",
                            foreign(scheme)
                        ),
                        ": get a credential from its operator and add it to the configuration",
                    ),
                    None => (
                        format!(
                            "{server} requires a key or token (HTTP 401) and offers no sign-in"
                        ),
                        ": get one from its operator and add it to the configuration",
                    ),
                };
                self.with_words(happened, todo)
            }
            Kind::LimitExceeded => self.limit_exceeded(server),
            Kind::Unreachable => self.unreachable(server),
            Kind::TimedOut => self.timed_out_parts(server),
            Kind::Exited => self.exited(server),
            Kind::ServerError => self.server_error(server),
            Kind::UnsupportedProtocol => self.unsupported_protocol(server),
            Kind::NotMcp => self.not_mcp(server),
            Kind::Other => self.other(server),
        }
    }

    /// Returns own words that fit the place of the server: a configuration, or a command line.
    fn fitting<'a>(&self, text: Cow<'a, str>) -> Cow<'a, str> {
        match self.evidence.on_command_line {
            Some(true) => for_command_line(&text).into(),
            _ => text,
        }
    }

    /// Names the part of the configuration that may be the cause.
    fn hint(&self, kind: StartupFailureKind) -> Option<String> {
        use StartupFailureKind as Kind;
        let may_be_the_cause = matches!(
            kind,
            Kind::CredentialRejected
                | Kind::AccessDenied
                | Kind::SignInHeldByClient
                | Kind::SignInRequired
                | Kind::CredentialRequired
                | Kind::Unreachable
                | Kind::TimedOut
                | Kind::Exited
                | Kind::ServerError
                | Kind::NotMcp
                | Kind::Other
        );
        if let Some(proxy) = self.proxy_of_own_host().filter(|_| may_be_the_cause) {
            return Some(format!(
                "It was requested through the proxy {}: add its host to NO_PROXY",
                foreign(proxy)
            ));
        }
        let warning = self.configuration_warning().filter(|_| may_be_the_cause)?;
        let problem = text_of(&warning.problem)?;
        Some(format!("Also check {}: {problem}", place(Some(warning))))
    }

    /// Returns the proxy if a server on this machine was requested through it. The proxy would look for the server on its own machine.
    fn proxy_of_own_host(&self) -> Option<&str> {
        let answer = self.answer?;
        let host = text_of(&answer.url).and_then(host_of)?;
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        let is_own = matches!(name, "localhost" | "[::1]") || name.starts_with("127.");
        text_of(&answer.proxy).filter(|_| is_own)
    }

    fn configuration_warning(&self) -> Option<&ConfigurationEvidence> {
        let mut warnings = self.evidence.configuration_warnings.iter();
        warnings.find(|warning| text_of(&warning.problem).is_some())
    }

    fn invalid_configuration(&self, server: &str) -> Parts {
        let found = self.evidence.configuration.as_ref();
        let place = place(found);
        let happened = format!("{server} is not configured correctly");
        match found.and_then(|found| text_of(&found.problem)) {
            Some(problem) => Parts::new(happened, format!(". Fix {place}: "))
                .with_quote(&self.fitting(problem.into())),
            None => Parts::new(happened, format!(". Fix {place}")),
        }
    }

    fn program_not_found(&self, server: &str) -> Parts {
        let process = self.evidence.process.as_ref();
        let program = process.and_then(|process| text_of(&process.program));
        let is_searched_for = !program.is_some_and(|program| program.contains(['/', '\\']));
        // The engine knows why.
        let warning = self.configuration_warning().filter(|warning| {
            let key = text_of(&warning.key).unwrap_or_default();
            key == "command" || key.ends_with(".command")
        });
        if let Some(warning) = warning {
            let on_the_path = if is_searched_for { " on the PATH" } else { "" };
            let happened = format!(
                "{server} could not be started: {} was not found{on_the_path}",
                self.program()
            );
            let problem = text_of(&warning.problem).unwrap_or_default();
            let line = warning
                .line
                .map_or_else(String::new, |line| format!(" (line {line})"));
            let todo = format!("; correct `command`{line}: ");
            return Parts::new(happened, todo).with_quote(&self.fitting(problem.into()));
        }
        let path = process
            .and_then(|process| text_of(&process.path))
            .filter(|_| is_searched_for)
            .map_or_else(String::new, |path| {
                format!(" (searched: {})", foreign(path))
            });
        let place = match is_searched_for {
            true => " on the PATH",
            false => "",
        };
        Parts::new(
            format!(
                "{server} could not be started: {} was not found{place}{path}",
                self.program()
            ),
            "; install it or correct `command`",
        )
    }

    fn limit_exceeded(&self, server: &str) -> Parts {
        let what = match self.evidence.exceeded {
            Some(ExceededLimit::Requests) => "required more than 30 requests before it was ready",
            Some(ExceededLimit::Bytes) => "sent more than 16 MB before it was ready",
            Some(ExceededLimit::Messages) => "sent more than 1,000 messages before it was ready",
            Some(ExceededLimit::ServerRequests) => {
                "sent more than 64 requests without reading the responses"
            }
            None => "exceeded a limit before it was ready",
        };
        let todo = match self.evidence.transport {
            Some(Transport::Stdio) => ": check its `command`, or contact its author",
            Some(Transport::Http) => ": check its URL, or contact its operator",
            None => ": check its URL or `command`, or contact its operator",
        };
        Parts::new(format!("{server} {what}"), todo)
    }

    /// Returns whether the error response has an explanation. A code such as `invalid_token` is none.
    fn has_sentence(&self) -> bool {
        self.words().is_some_and(|words| words.contains(' '))
    }

    /// Adds the words of the error response, if there are any.
    fn with_words(&self, happened: String, todo: impl Into<Cow<'static, str>>) -> Parts {
        match self.words() {
            Some(words) => {
                Parts::new(happened, format!("{}; it answered: ", todo.into())).with_quote(&words)
            }
            None => Parts::new(happened, todo),
        }
    }

    fn timed_out_parts(&self, server: &str) -> Parts {
        let limit = self.evidence.limit_ms.or(self.evidence.elapsed_ms);
        let limit = limit.map_or_else(
            || "in time".to_owned(),
            |ms| format!("within {}", seconds(ms)),
        );
        let (during, todo) = match self.evidence.phase {
            Some(StartPhase::ReadingCredentials) => self.slow_store(),
            phase => {
                let during = match phase {
                    Some(StartPhase::Configuring) => {
                        ", because reading its configuration took too long"
                    }
                    Some(StartPhase::Launching) => ", because its program took too long to start",
                    Some(StartPhase::ListingTools) => ", because it did not list its tools",
                    Some(StartPhase::Authorizing) => ", because its sign-in service did not answer",
                    Some(StartPhase::Initializing) => {
                        if self.began_to_answer() && self.protocol_error().is_none() {
                            ", because it answered HTTP 200 but sent no message"
                        } else if let Some(method) = self.method_after_handshake() {
                            return self.out_of_time(format!(
                                "{server} was not ready {limit}, because it answered the handshake, but not `{}`",
                                foreign(method)
                            ));
                        } else if let Some((line, what, change)) = self.other_purpose() {
                            return Parts::new(
                                format!("{server} was not ready {limit}, because {what}"),
                                format!(": {change}; its output: "),
                            )
                            .with_output(line);
                        } else {
                            ", because it did not answer the handshake"
                        }
                    }
                    _ => "",
                };
                return self.out_of_time(format!("{server} was not ready {limit}{during}"));
            }
        };
        Parts::new(format!("{server} was not ready {limit}{during}"), todo)
    }

    /// Returns whether the server has sent the head of a response, but not its body.
    fn began_to_answer(&self) -> bool {
        self.answer
            .is_some_and(|answer| answer.io.is_none() && matches!(answer.status, Some(200..300)))
    }

    fn unsupported_protocol(&self, server: &str) -> Parts {
        let protocol = self.evidence.protocol.as_ref();
        let versions: Vec<&str> = protocol
            .and_then(|protocol| protocol.server_versions.as_ref())
            .into_iter()
            .flatten()
            .map(|version| version.trim())
            .filter(|version| !version.is_empty())
            .collect();
        let is_old_transport = versions.iter().any(|version| version.ends_with("HTTP+SSE"));
        let todo = match is_old_transport {
            true => {
                ": correct the type of its transport (`sse`), or ask its operator for a newer URL"
            }
            false => ": update the server or this client",
        };
        let versions = match versions.is_empty() {
            true => String::new(),
            false => format!(" (it offers {})", foreign(&versions.join(", "))),
        };
        Parts::new(
            format!("{server} shares no version of MCP with this client{versions}"),
            todo,
        )
    }

    fn not_mcp(&self, server: &str) -> Parts {
        if let Some((method, problem)) = self.invalid_result() {
            return Parts::new(
                format!(
                    "{server} speaks MCP, but its answer to `{}` is invalid",
                    foreign(method)
                ),
                "; report this to its author: ",
            )
            .with_quote(problem);
        }
        if let Some((line, what, change)) = self.other_purpose() {
            let happened = format!("{server} does not speak MCP over stdio, because {what}");
            return Parts::new(happened, format!(": {change}; its output: ")).with_output(line);
        }
        let repeats = self.repeats_requests();
        if let Some(stdout) = self.stdout()
            && let Some(fault) = framing_fault(stdout).filter(|_| !repeats)
        {
            let line = stdout.lines().find(|line| !line.trim().is_empty());
            return Parts::new(
                format!("{server} does not speak MCP over stdio: {fault}, but each message must be one line of JSON"),
                "; check its `command`, or report this to its author: ",
            )
            .with_quote(line.unwrap_or_default());
        }
        let protocol = self.evidence.protocol.as_ref();
        let beginning = protocol.and_then(|protocol| text_of(&protocol.not_mcp));
        if self.evidence.transport != Some(Transport::Stdio)
            && let Some(words) = beginning.and_then(words_of_page)
        {
            let page = foreign(&words);
            let happened =
                format!("{server} does not speak MCP: its answer is a web page (\"{page}\")");
            let todo = match is_sign_in_title(&words) {
                true => {
                    "; check its URL, or contact its operator: a gateway in front of it may require a browser"
                }
                false => "; check its URL",
            };
            return Parts::new(happened, todo);
        }
        if self.evidence.transport != Some(Transport::Stdio)
            && !repeats
            && let Some(words) = beginning.and_then(words_of_json)
        {
            let happened = format!("{server} does not speak MCP: its answer is another error");
            return Parts::new(happened, "; check its URL, or contact its operator: ")
                .with_quote(&words);
        }
        let why = match (self.answer.and_then(|answer| answer.io), beginning) {
            (Some(IoTrouble::TooLarge), _) => ": its answer is too large".to_owned(),
            (Some(IoTrouble::Malformed), _) if self.failed_before_tls() => {
                return Parts::new(
                    format!("{server} does not speak MCP: its answer is not HTTPS"),
                    "; check its URL, and write http:// if the server does not use TLS",
                );
            }
            (Some(IoTrouble::Malformed), _) => {
                let encoding = self
                    .answer
                    .and_then(|answer| text_of(&answer.content_encoding));
                match encoding {
                    Some(encoding) => format!(
                        ": its answer has the content encoding `{}`, which can't be decoded",
                        foreign(encoding)
                    ),
                    None => ": its answer is not HTTP".to_owned(),
                }
            }
            _ if repeats => ": it only repeats what it is sent".to_owned(),
            (_, Some(text)) => format!(": its answer begins with \"{}\"", foreign(text)),
            (_, None) if self.has_event_stream() => {
                ": its event stream ended without an answer".to_owned()
            }
            (_, None) => match (self.status(), protocol.map(|found| found.not_mcp.is_some())) {
                (Some(status @ 200..300), Some(true)) => {
                    let kind = self.foreign_media_type();
                    let kind = kind.map_or_else(String::new, |kind| format!(", {}", foreign(kind)));
                    format!(": its answer is empty (HTTP {status}{kind})")
                }
                _ => String::new(),
            },
        };
        let todo = match self.evidence.transport {
            Some(Transport::Stdio) => "; check its `command`, or contact its author",
            Some(Transport::Http) => "; check its URL",
            None => "; check its URL or `command`",
        };
        Parts::new(format!("{server} does not speak MCP{why}"), todo)
    }

    /// Returns whether an answer to a request over HTTPS could not be read, and has no status.
    fn failed_before_tls(&self) -> bool {
        let url = self.answer.and_then(|answer| text_of(&answer.url));
        self.status().is_none() && url.is_some_and(|url| url.starts_with("https://"))
    }

    /// Returns whether the last answer is an event stream.
    pub(super) fn has_event_stream(&self) -> bool {
        let content_type = self.answer.and_then(|answer| text_of(&answer.content_type));
        content_type.is_some_and(|text| text.to_ascii_lowercase().starts_with("text/event-stream"))
    }

    fn other(&self, server: &str) -> Parts {
        let happened = format!("{server} could not be started");
        let error = self.protocol_error();
        let cause = error.or(text_of(&self.evidence.cause));
        let has_reason =
            |line: &str| error.is_none() || (self.has_generic_error() && is_error(line));
        match (cause, self.last_words()) {
            (Some(cause), Some(line)) if has_reason(&line) => {
                Parts::new(format!("{happened}: {cause}"), "; fix or report this: ")
                    .with_output(&line)
            }
            (Some(cause), _) => Parts::new(happened, FIX_OR_REPORT).with_quote(cause),
            (None, _) => Parts::new(
                happened + " for an unknown reason",
                ": report this to its author",
            ),
        }
    }

    /// Names the program.
    fn program(&self) -> String {
        let process = self.evidence.process.as_ref();
        match process.and_then(|process| text_of(&process.program)) {
            Some(name) => format!("`{}`", foreign(name)),
            None => "its program".to_owned(),
        }
    }
}

/// Names a key of the configuration and its line.
fn place(found: Option<&ConfigurationEvidence>) -> String {
    let key = found.and_then(|found| text_of(&found.key));
    let key = key.map(|key| printable(key, KEY_CHARS));
    match (key, found.and_then(|found| found.line)) {
        (Some(key), Some(line)) => format!("`{key}` (line {line})"),
        (Some(key), None) => format!("`{key}`"),
        (None, Some(line)) => format!("line {line}"),
        (None, None) => "its entry".to_owned(),
    }
}

/// The next step if only the quote shows who has to act.
const FIX_OR_REPORT: &str = "; fix or report this: ";

fn foreign(text: &str) -> String {
    printable(text, FOREIGN_CHARS)
}

/// Returns the host and port of a URL. A message shows no other part of it, because a path, a user name or a query may contain a
/// key.
fn host_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#', '\\']).next()?;
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    (!host.is_empty()).then_some(host)
}

fn seconds(ms: u64) -> String {
    match ms % 1000 {
        0 => format!("{} s", ms / 1000),
        _ => format!("{:.1} s", ms as f64 / 1000.0),
    }
}
