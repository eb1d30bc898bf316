//! Finds the words of an error response that have the reason of a failure, and the fault in the framing of a program's messages.
//!
//! Each function takes linear time. The text is already limited, masked and without control characters.

use std::borrow::Cow;

use serde_json::Value;

use crate::error_message;
use crate::refusal::form_field;

/// Returns the message of an error response: the text of a JSON member that is meant for users, the text of an HTML page, or the
/// first lines of plain text. Returns `None` if the body has no words.
pub(crate) fn sentence(body: &str) -> Option<Cow<'_, str>> {
    let body = body.trim().trim_start_matches('\u{feff}').trim_start();
    let sentence = match serde_json::from_str::<Value>(body) {
        Ok(Value::String(text)) => Cow::from(text),
        Ok(json) => Cow::from(error_message::in_json(&json)?),
        Err(_) if body.starts_with('<') => {
            Cow::from(words_of_xml(body).unwrap_or_else(|| text_of_html(body)))
        }
        Err(_) => match form_field(body, "error_description") {
            Some(description) => Cow::from(description),
            None => Cow::from(error_message::readable(body)),
        },
    };
    has_words(&sentence).then_some(sentence)
}

/// Returns the message of an answer that is the JSON of an error, in another format than JSON-RPC.
pub(crate) fn words_of_json(answer: &str) -> Option<String> {
    let json: Value = serde_json::from_str(answer.trim()).ok()?;
    let words = json.is_object().then(|| error_message::in_json(&json))?;
    words.filter(|words| has_words(words))
}

/// Returns the title or the text of an answer that is a web page.
pub(crate) fn words_of_page(answer: &str) -> Option<String> {
    let page = answer.trim_start().trim_start_matches('\u{feff}');
    let is_page = ["<!doctype html", "<html", "<head", "<body", "<title"]
        .iter()
        .any(|beginning| starts_with_ignoring_case(page, beginning));
    let words = is_page.then(|| text_of_html(page));
    words.filter(|words| has_words(words))
}

/// Returns the message in XML that is not a web page: the text of the element that is meant for users, as in SOAP and in the answers of
/// some clouds.
pub(crate) fn words_of_xml(xml: &str) -> Option<String> {
    /// The names of elements, without their prefixes, the most specific first.
    const MESSAGES: [&str; 6] = [
        "faultstring",
        "message",
        "errormessage",
        "text",
        "reason",
        "description",
    ];
    const OF_PAGES: [&str; 6] = ["!doctype", "html", "head", "title", "h1", "p"];
    let mut found: Option<(usize, &str)> = None;
    let mut rest = xml;
    while let Some(start) = rest.find('<') {
        rest = &rest[start + 1..];
        let Some(end) = rest.find('>') else {
            break;
        };
        let tag = rest[..end].split_ascii_whitespace().next();
        let tag = tag.unwrap_or_default();
        rest = &rest[end + 1..];
        if OF_PAGES.iter().any(|known| tag.eq_ignore_ascii_case(known)) {
            return None;
        }
        let name = tag.rsplit(':').next().unwrap_or_default();
        let rank = MESSAGES
            .iter()
            .position(|known| name.eq_ignore_ascii_case(known));
        let text = rest.split('<').next().unwrap_or_default().trim();
        if let Some(rank) = rank
            && has_words(text)
            && found.is_none_or(|(best, _)| rank < best)
        {
            found = Some((rank, text));
        }
    }
    found.map(|(_, text)| with_characters(text))
}

/// Returns the title of an HTML page, or its text if the title is missing, is a single word such as "Error", or only repeats the status
/// and the text explains it.
fn text_of_html(page: &str) -> String {
    let lower = page.to_ascii_lowercase();
    let title = lower.find("<title").and_then(|tag| {
        let start = tag + lower[tag..].find('>')? + 1;
        let end = start + lower[start..].find("</title")?;
        Some(with_characters(page[start..end].trim()))
    });
    // The title of a page that only waits is no reason.
    let title = title.filter(|title| has_words(title) && !title.starts_with("Just a moment"));
    if let Some(title) = &title
        && title.contains(char::is_whitespace)
        && !repeats_status(title)
        && !is_vague(title)
    {
        return title.clone();
    }
    // The text of the body, without the title, styles and scripts.
    let start = lower.find("<body").or_else(|| lower.find("</head"));
    let text = visible_text(&page[start.unwrap_or(0)..]);
    let explains = || bytes_of_other_words(&text) >= EXPLANATION;
    match title {
        Some(title) if !has_words(&text) => title,
        Some(title) if title.contains(char::is_whitespace) && !explains() => title,
        _ => text,
    }
}

/// Whether the title of a page has no more than a status, perhaps with its name in another language, or that access is denied.
pub(crate) fn repeats_status(title: &str) -> bool {
    const MAX_NAME: usize = 3;
    let mut numbers = title.split(|character: char| !character.is_ascii_digit());
    let has_status = numbers.any(|number| number.len() == 3 && number.starts_with(['4', '5']));
    let is_short = words_in(title).take(MAX_NAME + 1).count() <= MAX_NAME;
    has_status && is_short || words_in(title).all(is_status_word)
}

/// Whether the title of a page has words of a status, such as "unavailable", and few others, such as a name.
fn is_vague(title: &str) -> bool {
    words_in(title).any(is_status_word) && bytes_of_other_words(title) < EXPLANATION
}

/// How long the words of an explanation are, in bytes, not counting those of a status. Some languages have no spaces.
const EXPLANATION: usize = 20;

/// The length of the words that are not those of a status, in bytes.
fn bytes_of_other_words(text: &str) -> usize {
    let others = words_in(text).filter(|word| !is_status_word(word));
    others.map(str::len).sum()
}

fn is_status_word(word: &str) -> bool {
    #[rustfmt::skip]
    const WORDS: [&str; 41] = [
        "a", "access", "allowed", "attention", "authorization", "bad", "be", "blocked", "cloudflare", "could", "denied",
        "error", "forbidden", "found", "gateway", "http", "internal", "is", "method", "not", "out", "page", "permitted",
        "rejected", "request", "requested", "required", "resource", "response", "retrieved", "satisfied", "server", "service", "temporarily",
        "the", "this", "time", "timeout", "unauthorized", "unavailable", "url",
    ];
    WORDS.iter().any(|known| word.eq_ignore_ascii_case(known))
}

/// The words of a text, without numbers.
fn words_in(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| !character.is_alphabetic())
        .filter(|word| !word.is_empty())
}

/// Returns the text of HTML outside tags, styles and scripts.
fn visible_text(html: &str) -> String {
    let mut text = String::new();
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        text.push_str(&rest[..start]);
        text.push(' ');
        rest = &rest[start..];
        let hidden = ["<style", "<script", "<title"]
            .into_iter()
            .find(|tag| starts_with_ignoring_case(rest, tag));
        if let Some(tag) = hidden {
            let end = rest
                .match_indices("</")
                .find(|(at, _)| starts_with_ignoring_case(&rest[at + 2..], &tag[1..]));
            rest = end.map_or("", |(at, _)| &rest[at..]);
        }
        rest = rest.find('>').map_or("", |end| &rest[end + 1..]);
    }
    text.push_str(rest);
    with_characters(&text)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

/// Replaces the character references of HTML: the usual names, and numbers.
fn with_characters(html: &str) -> String {
    #[rustfmt::skip]
    const NAMES: [(&str, char); 42] = [
        ("nbsp", ' '), ("quot", '"'), ("apos", '\''), ("lt", '<'), ("gt", '>'), ("amp", '&'),
        ("rsquo", '’'), ("lsquo", '‘'), ("rdquo", '”'), ("ldquo", '“'), ("laquo", '«'), ("raquo", '»'),
        ("ndash", '–'), ("mdash", '—'), ("hellip", '…'), ("middot", '·'), ("bull", '•'), ("copy", '©'),
        ("agrave", 'à'), ("aacute", 'á'), ("acirc", 'â'), ("atilde", 'ã'), ("auml", 'ä'), ("aring", 'å'),
        ("ccedil", 'ç'), ("egrave", 'è'), ("eacute", 'é'), ("ecirc", 'ê'), ("iacute", 'í'), ("icirc", 'î'),
        ("ntilde", 'ñ'), ("oacute", 'ó'), ("ocirc", 'ô'), ("otilde", 'õ'), ("ouml", 'ö'), ("oslash", 'ø'),
        ("uacute", 'ú'), ("ucirc", 'û'), ("uuml", 'ü'), ("Auml", 'Ä'), ("Eacute", 'É'), ("szlig", 'ß'),
    ];
    const LONGEST: usize = 10;
    let character = |name: &str| {
        let Some(number) = name.strip_prefix('#') else {
            let mut names = NAMES.iter();
            return names.find_map(|(known, character)| (*known == name).then_some(*character));
        };
        let number = match number.strip_prefix(['x', 'X']) {
            Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16),
            None => number.parse(),
        };
        char::from_u32(number.ok()?)
    };
    let mut text = String::new();
    let mut parts = html.split('&');
    text.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let reference = part.split_once(';');
        let reference = reference.filter(|(name, _)| name.len() <= LONGEST);
        match reference.and_then(|(name, rest)| Some((character(name)?, rest))) {
            Some((character, rest)) => {
                text.push(character);
                text.push_str(rest);
            }
            None => {
                text.push('&');
                text.push_str(part);
            }
        }
    }
    text
}

fn has_words(text: &str) -> bool {
    text.chars().any(char::is_alphanumeric)
}

/// Returns whether the words of an error response are about the credential of the request: it is invalid, expired or missing.
pub(crate) fn blames_credential(words: &str) -> bool {
    const CREDENTIALS: [&str; 8] = [
        "token",
        "api key",
        "api-key",
        "apikey",
        "api_key",
        "credential",
        "authorization header",
        "bearer",
    ];
    const FAULTS: [&str; 13] = [
        "invalid",
        "expired",
        "incorrect",
        "malformed",
        "badly formatted",
        "missing",
        "revoked",
        "unknown",
        "not valid",
        "bad ",
        "no longer valid",
        "must be provided",
        "required",
    ];
    names_fault(words, &CREDENTIALS, &FAULTS)
}

/// Returns whether a part of a text, up to its next comma, has one of the names and one of the faults, in any case.
fn names_fault(words: &str, names: &[&str], faults: &[&str]) -> bool {
    let words = words.to_ascii_lowercase();
    words.split([',', ';', '\n']).any(|part| {
        let has_one_of = |texts: &[&str]| texts.iter().any(|text| part.contains(text));
        has_one_of(names) && has_one_of(faults)
    })
}

/// Returns whether the words of an error response report that the server does not know the session of the transport. The session of a
/// user that has expired is another one.
pub(crate) fn names_unknown_session(words: &str) -> bool {
    const SESSIONS: [&str; 3] = ["session id", "session-id", "sessionid"];
    const FAULTS: [&str; 5] = [
        "session not found",
        "no valid session",
        "unknown session",
        "session does not exist",
        "no such session",
    ];
    let words = words.to_ascii_lowercase();
    let has_one_of = |texts: &[&str]| texts.iter().any(|text| words.contains(text));
    (has_one_of(&SESSIONS) || has_one_of(&FAULTS)) && !words.contains("expired")
}

/// Returns whether the words of an error response are about a header that the request lacks, and that a user can configure.
pub(crate) fn asks_for_header(words: &str) -> bool {
    /// The headers of the transport, and those with a credential.
    const OTHERS: [&str; 6] = [
        "accept",
        "content-",
        "mcp-",
        "authorization",
        "host",
        "origin",
    ];
    let lower = words.to_ascii_lowercase();
    let is_other = OTHERS.iter().any(|known| lower.contains(known));
    !is_other
        && names_fault(
            &lower,
            &["header"],
            &["missing", "required", "not provided"],
        )
}

/// Returns whether the words of an error response are about a credential that the request lacks.
pub(crate) fn asks_for_credential(words: &str) -> bool {
    const CREDENTIALS: [&str; 5] = ["token", "key", "credential", "authorization", "bearer"];
    const FAULTS: [&str; 6] = [
        "missing",
        "required",
        "must be provided",
        "not provided",
        "was provided",
        "found in request",
    ];
    names_fault(words, &CREDENTIALS, &FAULTS)
}

/// The part that a request lacks although it had a token, as the words of an error response report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lacking {
    /// A key, which has a header of its own.
    Key,
    /// The `Authorization` header.
    Header,
}

/// Returns what a request lacks, if the words of an error response report that it is missing, and not that it is invalid.
pub(crate) fn lacking(words: &str) -> Option<Lacking> {
    const KEYS: [&str; 5] = [
        "api key",
        "api-key",
        "apikey",
        "api_key",
        "subscription key",
    ];
    const HEADERS: [&str; 2] = ["authorization header", "authorization field"];
    const FAULTS: [&str; 9] = [
        "missing",
        "required",
        "must be provided",
        "not provided",
        "not provide",
        "n't provide",
        "was provided",
        "found in request",
        "no authorization header",
    ];
    const OTHER_FAULTS: [&str; 5] = ["invalid", "expired", "incorrect", "malformed", "revoked"];
    let lower = words.to_ascii_lowercase();
    if OTHER_FAULTS.iter().any(|fault| lower.contains(fault)) {
        return None;
    }
    // A key or a token: the token may be the wrong one.
    if names_fault(words, &KEYS, &FAULTS) && !lower.contains("token") {
        return Some(Lacking::Key);
    }
    names_fault(words, &HEADERS, &FAULTS).then_some(Lacking::Header)
}

/// Returns whether the message of the error with which a server answered a request has no reason: only its code, which a server may
/// repeat, or a text that fits every failure.
pub(crate) fn is_generic_error(error: &str) -> bool {
    const TEXTS: [&str; 20] = [
        "",
        "error",
        "internal error",
        "internal server error",
        "internal json-rpc error",
        "invalid params",
        "invalid parameters",
        "invalid request",
        "invalid request parameters",
        "bad request",
        "server error",
        "unknown error",
        "unexpected error",
        "an error occurred",
        "an unknown error occurred",
        "an unexpected error occurred",
        "something went wrong",
        "request failed",
        "initialization failed",
        "failed to initialize",
    ];
    let text = error.to_ascii_lowercase();
    let without_code = |text: &str| {
        let text = text.trim();
        let rest = text.strip_prefix("mcp error ").unwrap_or(text);
        let (code, rest) = rest.split_once(':').unwrap_or((rest, ""));
        let has_code = code.parse::<i64>().is_ok();
        if has_code { rest } else { text }.trim().to_owned()
    };
    let text = without_code(&text);
    TEXTS.contains(&text.trim_end_matches(['.', '!', ':']))
}

/// Returns whether a line from a server is the request of the client, perhaps in the notation of another language or after a number or
/// a prompt. No server sends a request with these methods.
pub(crate) fn repeats_request(text: &str) -> bool {
    const METHODS: [&str; 2] = ["method:initialize", "method:server/discover"];
    let is_plain =
        |character: &char| !character.is_whitespace() && !matches!(character, '"' | '\'' | '\\');
    text.lines().any(|line| {
        let Some((before, request)) = line.split_once('{') else {
            return false;
        };
        let plain: String = request.chars().filter(is_plain).collect();
        // A log has words before a message, and an error response can quote the request.
        let is_other = before.contains(char::is_alphabetic)
            || ["error:", "result:"]
                .iter()
                .any(|member| plain.contains(member));
        plain.contains("jsonrpc:2.0")
            && METHODS.iter().any(|method| plain.contains(method))
            && !is_other
    })
}

/// What is wrong with the output of a program that attempts to speak MCP: MCP over stdio is one JSON message a line, in UTF-8.
pub(crate) fn framing_fault(stdout: &str) -> Option<&'static str> {
    let has_json_rpc = stdout.contains("\"jsonrpc\"");
    if stdout
        .lines()
        .any(|line| starts_with_ignoring_case(line.trim_start(), "content-length:"))
    {
        return Some("it writes Content-Length headers, like a language server");
    }
    // A NUL after each ASCII character. `printable` escapes it.
    if stdout.matches("\\u{0}").count() > 4 || stdout.matches('\0').count() > 4 {
        return Some("it writes UTF-16 instead of UTF-8");
    }
    if !has_json_rpc {
        return None;
    }
    // `[INFO] {…` is the prefix of a logger.
    let is_start = |line: &str| {
        let line = line.trim_start();
        let inside = line.strip_prefix('[').unwrap_or(line);
        inside.trim_start().starts_with('{')
    };
    match stdout.lines().find(|line| line.contains("\"jsonrpc\"")) {
        Some(line) if line.trim_start().starts_with('[') && line.trim_end().ends_with(']') => {
            Some("it writes a list (batch) of messages")
        }
        Some(line) if is_start(line) && line.trim_end().ends_with(['}', ']']) => {
            // The engine removes complete lines with a message.
            let is_json = serde_json::from_str::<serde::de::IgnoredAny>(line.trim()).is_ok();
            is_json.then_some("it does not end the line after a JSON message")
        }
        Some(line) if !is_start(line) && line.contains('{') => {
            Some("it writes other text on the line of a JSON message")
        }
        Some(line) if is_start(line) => Some("it does not end the line after a JSON message"),
        _ => Some("it writes a JSON message on several lines"),
    }
}

fn starts_with_ignoring_case(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_without_a_reason_is_recognized() {
        for (error, expected) in [
            ("Internal error", true),
            ("", true),
            ("MCP error -32603: Internal Server Error.", true),
            ("-32603: Internal error", true),
            ("Invalid request parameters", true),
            ("Internal error: no disk", false),
            ("no licence", false),
            ("the server logged: no licence", false),
        ] {
            assert_eq!(is_generic_error(error), expected, "{error}");
        }
    }

    #[test]
    fn a_missing_credential_is_recognized() {
        for (words, expected) in [
            ("Authorization field missing", true),
            ("No access token was provided in this request", true),
            ("No API key found in request", true),
            ("The token has expired", false),
            ("Missing session ID", false),
            ("Body missing, or the object has no keys", false),
        ] {
            assert_eq!(asks_for_credential(words), expected, "{words}");
        }
    }

    #[test]
    fn a_missing_key_is_not_an_invalid_one() {
        for (words, expected) in [
            ("Missing API key", Some(Lacking::Key)),
            (
                "No API key was provided. Send it as X-Api-Key.",
                Some(Lacking::Key),
            ),
            ("No API key found in request", Some(Lacking::Key)),
            ("x-api-key header is required", Some(Lacking::Key)),
            ("You did not provide an API key.", Some(Lacking::Key)),
            ("Missing authorization header", Some(Lacking::Header)),
            ("Authorization field missing", Some(Lacking::Header)),
            ("Invalid API key", None),
            ("An invalid API key was provided", None),
            ("Missing or invalid API key", None),
            ("Provide a missing API key or access token", None),
            ("Unauthorized. Access token is missing or invalid.", None),
            ("401 Authorization Required", None),
            ("The token has expired", None),
        ] {
            assert_eq!(lacking(words), expected, "{words}");
        }
    }

    #[test]
    fn a_page_is_quoted_by_its_title_or_its_text() {
        let rows = [
            (
                "<title>502 Bad Gateway</title><h1>x</h1>",
                "502 Bad Gateway",
            ),
            (
                "<html><head><title>Error</title></head><body><pre>it&#39;s gone<br></pre></body>",
                "it's gone",
            ),
            ("<title>Error</title>", "Error"),
            (
                "<title>403 Forbidden</title><body><h1>Error: Forbidden</h1><h2>Your client does not have permission to get URL <code>/mcp</code></h2>",
                "Error: Forbidden Your client does not have permission to get URL /mcp",
            ),
            (
                "<title>Request Rejected</title><body>The requested URL was rejected. Please consult with your administrator. Your support ID is: 184",
                "The requested URL was rejected. Please consult with your administrator. Your support ID is: 184",
            ),
            (
                "<TITLE>Access Denied</TITLE><BODY>You don't have permission to access it.<P>Reference&#32;&#35;18&#x2e;2d &bogus; &#xffffffff; & more",
                "You don't have permission to access it. Reference #18.2d &bogus; &#xffffffff; & more",
            ),
            (
                "<title>504 Gateway Time-out</title><body><center><h1>504 Gateway Time-out</h1></center><hr><center>nginx/1.25.3 on this host</center>",
                "504 Gateway Time-out",
            ),
            (
                "<title>403 – Verboten</title><body><h1>Verboten</h1><p>Ihre Adresse ist nicht freigeschaltet.",
                "Verboten Ihre Adresse ist nicht freigeschaltet.",
            ),
            (
                "<title>mcp.acme.example | 522: Connection timed out</title><body>You Working Acme Error What happened? Nothing at all",
                "mcp.acme.example | 522: Connection timed out",
            ),
            // The title of every page of Squid.
            (
                "<title>ERROR: The requested URL could not be retrieved</title><body><h1>ERROR</h1><p>Connection to 203.0.113.9 was refused there.",
                "ERROR Connection to 203.0.113.9 was refused there.",
            ),
            (
                "<title>Site &amp; API are down</title><body>Please come back later, we are sorry for that",
                "Site & API are down",
            ),
            (
                "<title>Web App - Unavailable</title><body><h1>Error 403 - This web app is stopped.</h1><p>It accepts no requests.",
                "Error 403 - This web app is stopped. It accepts no requests.",
            ),
            (
                "<title>Error response</title><body><h1>Error response</h1><p>Message: Unsupported method ('POST').",
                "Error response Message: Unsupported method ('POST').",
            ),
            (
                "<style>a > b {}</style><script>if (a < b) {}</script><p>Down until 14:00</p>",
                "Down until 14:00",
            ),
        ];
        for (page, expected) in rows {
            assert_eq!(sentence(page).as_deref(), Some(expected), "{page}");
        }
    }

    #[test]
    fn xml_is_quoted_by_its_message() {
        for (xml, expected) in [
            (
                "<?xml version=\"1.0\"?><Error><Code>NoSuchBucket</Code><Message>It is &lt;gone&gt;</Message><RequestId>Q</RequestId></Error>",
                "It is <gone>",
            ),
            (
                "<s:Envelope xmlns:s=\"x\"><s:Body><s:Fault><faultcode>s:Server</faultcode><faultstring>no service</faultstring></s:Fault></s:Body></s:Envelope>",
                "no service",
            ),
            (
                "<Fault><Code><Value>a</Value></Code><Reason><Text xml:lang=\"en\">no service</Text></Reason></Fault>",
                "no service",
            ),
            ("<error>no service</error>", "no service"),
        ] {
            assert_eq!(sentence(xml).as_deref(), Some(expected), "{xml}");
        }
    }

    #[test]
    fn a_lost_session_is_not_the_sign_in_of_a_user() {
        for (words, expected) in [
            ("Unauthorized: Session not found", true),
            ("Bad Request: Mcp-Session-Id header is required", true),
            ("Session expired or invalid", false),
            ("The session ID has expired", false),
            ("Your session has ended", false),
        ] {
            assert_eq!(names_unknown_session(words), expected, "{words}");
        }
    }

    #[test]
    fn a_repeated_request_is_recognized() {
        let rows = [
            (
                r#"{"jsonrpc":"2.0","id":0,"method":"initialize","par…"#,
                true,
            ),
            (
                r#"{"jsonrpc": "2.0", "id": 0, "method": "server/discover"}"#,
                true,
            ),
            (
                r#"     1  {"jsonrpc":"2.0","id":0,"method":"initialize"}"#,
                true,
            ),
            (
                "Ready\n> {'jsonrpc': '2.0', 'id': 0, 'method': 'initialize'}",
                true,
            ),
            (
                r#"{"args":{},"data":"{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\""#,
                true,
            ),
            (
                r#"[DEBUG] received {"jsonrpc":"2.0","id":0,"method":"initialize"}"#,
                false,
            ),
            (
                r#"{"error":"unknown","request":{"jsonrpc":"2.0","method":"initialize"}}"#,
                false,
            ),
            (
                r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
                false,
            ),
            (r#"{"jsonrpc":"2.0","id":0,"method":"ping"}"#, false),
            ("{}", false),
            ("", false),
        ];
        for (text, expected) in rows {
            assert_eq!(repeats_request(text), expected, "{text}");
        }
    }

    #[test]
    fn the_fault_of_the_framing_is_named() {
        const MESSAGE: &str = r#"{"jsonrpc":"2.0","id":0,"result":{}}"#;
        let rows = [
            (
                MESSAGE.to_owned(),
                Some("it does not end the line after a JSON message"),
            ),
            (
                format!("[{MESSAGE}]"),
                Some("it writes a list (batch) of messages"),
            ),
            (
                format!("[INFO] {MESSAGE}"),
                Some("it writes other text on the line of a JSON message"),
            ),
            (r#"{"jsonrpc":"2.0", nonsense}"#.to_owned(), None),
            ("{\"msg\":\"hello\"}".to_owned(), None),
        ];
        for (stdout, expected) in rows {
            assert_eq!(framing_fault(&stdout), expected, "{stdout}");
        }
    }
}
