//! Parses the arguments of `mcp-remote` as the program does. Never replaces a variable and never reads a file.

use std::collections::HashMap;

use super::Unread;
use crate::spanned::KeyPath;

/// The effect of an option on the start of a server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    /// It has a counterpart in [`ServerConfig`](crate::ServerConfig).
    Read,
    /// It affects only the program itself.
    Ignored,
}

/// The options without a value.
const FLAGS: [(&str, Use); 8] = [
    ("--allow-http", Use::Read),
    ("--disable-resource-parameter", Use::Read),
    ("--debug", Use::Ignored),
    ("--silent", Use::Ignored),
    ("--enable-proxy", Use::Ignored),
    ("--keep-alive", Use::Ignored),
    ("--ipv4", Use::Ignored),
    ("--disable-cookies", Use::Ignored),
];

/// The options with a value in the next argument.
const OPTIONS: [(&str, Use); 16] = [
    ("--transport", Use::Read),
    ("--protocol", Use::Read),
    ("--host", Use::Read),
    ("--callback-path", Use::Read),
    ("--resource", Use::Read),
    ("--authorize-param", Use::Read),
    ("--static-oauth-client-metadata", Use::Read),
    ("--static-oauth-client-info", Use::Read),
    ("--client-metadata-url", Use::Read),
    ("--auth-timeout", Use::Ignored),
    ("--auth-success-url", Use::Ignored),
    ("--connect-timeout", Use::Ignored),
    ("--headers-timeout", Use::Ignored),
    ("--body-timeout", Use::Ignored),
    ("--ping-interval", Use::Ignored),
    ("--ignore-tool", Use::Ignored),
];

/// An argument and its path in the configuration.
#[derive(Clone)]
pub(super) struct Argument<'a> {
    pub text: &'a str,
    pub path: KeyPath,
}

/// A source of headers.
pub(super) enum Header<'a> {
    /// The value of `--header`.
    Line(Argument<'a>),
    /// The value of `--header-file`.
    File(Argument<'a>),
}

/// The arguments of `mcp-remote`.
pub(super) struct Arguments<'a> {
    pub url: Argument<'a>,
    /// The port of the callback.
    pub port: Option<u16>,
    pub headers: Vec<Header<'a>>,
    pub allows_http: bool,
    pub disables_resource: bool,
    /// The values of `--authorize-param`.
    pub authorize_parameters: Vec<Argument<'a>>,
    /// The first value of each other option.
    options: HashMap<&'static str, Argument<'a>>,
}

impl<'a> Arguments<'a> {
    /// Parses the arguments. `args` is the path of the list, and `first` the position of the first argument in it. Without `first`, `args`
    /// is the path of the line of a shell that has them all.
    pub fn parse(
        arguments: &'a [String],
        args: &KeyPath,
        first: Option<usize>,
    ) -> Result<Self, Unread> {
        let argument = |at: usize, text: &'a str| Argument {
            text,
            path: first.map_or_else(|| args.clone(), |first| args.index(first + at, None)),
        };
        let mut headers = Vec::new();
        let mut rest: Vec<(usize, &str)> = Vec::new();
        let mut numbered = arguments.iter().map(String::as_str).enumerate();
        while let Some((at, text)) = numbered.next() {
            if matches!(text, "--help" | "-h" | "--version") {
                return Err(Unread::AsWritten);
            }
            if !matches!(text, "--header" | "--header-file") {
                rest.push((at, text));
                continue;
            }
            let Some((at, value)) = numbered.next() else {
                break;
            };
            let value = argument(at, value);
            headers.push(match text {
                "--header" => Header::Line(value),
                _ => Header::File(value),
            });
        }
        let Some((&(at, url), rest)) = rest.split_first() else {
            let problem = "the URL of the server is missing; add it after `mcp-remote`";
            return Err(args.problem(problem).into());
        };
        let mut parsed = Self {
            url: argument(at, url),
            port: rest.first().and_then(|(_, text)| port(text)),
            headers,
            allows_http: false,
            disables_resource: false,
            authorize_parameters: Vec::new(),
            options: HashMap::new(),
        };
        if url.starts_with('-') {
            let problem = "`mcp-remote` reads its first argument as the URL, and this is an option; write the URL before the options";
            return Err(parsed.url.path.problem(problem).into());
        }
        let mut rest = rest.iter();
        while let Some((_, text)) = rest.next() {
            if FLAGS.iter().any(|(flag, _)| flag == text) {
                parsed.allows_http |= *text == "--allow-http";
                parsed.disables_resource |= *text == "--disable-resource-parameter";
                continue;
            }
            let Some((option, used)) = OPTIONS.iter().find(|(option, _)| option == text) else {
                if text.starts_with('-') {
                    return Err(Unread::AsWritten);
                }
                // The port, or an argument that `mcp-remote` ignores.
                continue;
            };
            let Some((at, value)) = rest.next() else {
                break;
            };
            // `mcp-remote` reads such an argument as a value and as an option.
            if value.starts_with("--") {
                return Err(Unread::AsWritten);
            }
            match *option {
                "--authorize-param" => parsed.authorize_parameters.push(argument(*at, value)),
                _ if *used == Use::Read => {
                    parsed
                        .options
                        .entry(option)
                        .or_insert_with(|| argument(*at, value));
                }
                _ => {}
            }
        }
        Ok(parsed)
    }

    /// Returns the first value of an option.
    pub fn option(&self, name: &str) -> Option<&Argument<'a>> {
        self.options.get(name)
    }
}

/// Parses a port as `parseInt` does: it ignores the text after the number.
fn port(text: &str) -> Option<u16> {
    let text = text.trim_start();
    let end = text.find(|character: char| !character.is_ascii_digit());
    let digits = text.get(..end.unwrap_or(text.len()))?;
    digits.parse().ok().filter(|port| *port > 0)
}

/// Splits `Name: value` as `mcp-remote` does. Returns `None` for a text that it ignores.
pub(super) fn header_line(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once(':')?;
    let is_name = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    // `\s` also matches line breaks, but `.` does not.
    let value = value.trim_start_matches(is_space);
    let has_break = value.contains(['\n', '\r', '\u{2028}', '\u{2029}']);
    (is_name && !has_break).then_some((name, value))
}

/// `\s` of JavaScript.
fn is_space(character: char) -> bool {
    (character.is_whitespace() && character != '\u{85}') || character == '\u{feff}'
}
