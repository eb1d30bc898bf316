//! The messages about the connection to a server over HTTP, and about its error responses.

use std::borrow::Cow;

use crate::evidence::{
    CertificateProblem, CredentialSent, IoTrouble, RequestEvidence, RequestTarget,
};

use super::super::facts::{Facts, UnreadToken, refuses_credential, text_of};
use super::super::quotes::{asks_for_credential, asks_for_header};
use super::{Parts, foreign, host_of};
use crate::sign_in_page::{is_sign_in_host, sign_in_part};

/// The next step if a key is missing.
const GET_A_KEY: &str =
    ": contact its operator for a key or token, and add it to the configuration";
/// The next step if the header of the token is missing.
const LOST_HEADER: &str = ": contact its operator, because a proxy may remove the token";

impl Facts<'_> {
    pub(super) fn unreachable(&self, server: &str) -> Parts {
        const PROXY_SETTINGS: &str =
            "; check the settings of the proxy (HTTPS_PROXY, NO_PROXY), and try again";
        const NETWORK: &str = "; check the network and its URL, and try again";
        let is_closed = self.answer.and_then(|answer| answer.io) == Some(IoTrouble::Closed);
        if is_closed && let Some(status) = self.status() {
            return Parts::new(
                format!("{server} broke off its answer (HTTP {status})"),
                ": try again, or contact its operator",
            );
        }
        let host = self
            .answer
            .and_then(|answer| text_of(&answer.url))
            .and_then(host_of)
            .map_or_else(String::new, |host| format!(" ({})", foreign(host)));
        let proxy = self.answer.and_then(|answer| text_of(&answer.proxy));
        if self.status() == Some(511) {
            return self.with_words(
                format!(
                    "{server} can't be reached: your network requires a sign-in of its own (HTTP 511)"
                ),
                "; open any website in a browser to sign in to the network, and try again",
            );
        }
        if self.status() == Some(407) {
            let proxy = proxy.map_or_else(String::new, |proxy| format!(" {}", foreign(proxy)));
            return Parts::new(
                format!(
                    "{server} can't be reached: the proxy{proxy} requires a user name and a password (HTTP 407)"
                ),
                "; check them in the URL of the proxy (HTTPS_PROXY), and try again",
            );
        }
        if self.answer.and_then(|answer| answer.io) == Some(IoTrouble::ProxyRefused) {
            let proxy = proxy.map_or_else(String::new, |proxy| format!(" {}", foreign(proxy)));
            return Parts::new(
                format!(
                    "{server} can't be reached: the proxy{proxy} refused to connect to it{host}"
                ),
                "; ask the administrator of the proxy to allow this host, or check its settings (HTTPS_PROXY, NO_PROXY), and try again",
            );
        }
        if let Some(proxy) = proxy.map(foreign)
            && let Some(what) = match self.answer.and_then(|answer| answer.io) {
                // The proxy resolves the name of the server.
                Some(IoTrouble::Dns) => Some(format!(
                    "the host name of the proxy {proxy} could not be resolved"
                )),
                Some(IoTrouble::Closed) => Some(format!(
                    "the connection through the proxy {proxy} was closed without an answer{host}"
                )),
                Some(IoTrouble::Tls) => None,
                _ => Some(format!(
                    "the connection through the proxy {proxy} failed{host}"
                )),
            }
        {
            return Parts::new(format!("{server} can't be reached: {what}"), PROXY_SETTINGS);
        }
        let (what, todo) = match self.answer.and_then(|answer| answer.io) {
            Some(IoTrouble::Dns) => ("its host name could not be resolved", NETWORK),
            Some(IoTrouble::Tls) => self.untrusted_certificate(),
            Some(IoTrouble::Closed) => ("it closed the connection without answering", NETWORK),
            _ => ("the connection failed", NETWORK),
        };
        Parts::new(format!("{server} can't be reached: {what}{host}"), todo)
    }

    /// Describes why TLS failed, and the next step.
    fn untrusted_certificate(&self) -> (&'static str, &'static str) {
        // Other systems ignore SSL_CERT_FILE.
        const TRUST: &str = "; if you trust it, add it to the certificates of this system (on Linux also SSL_CERT_FILE), and try again";
        const OPERATOR: &str = "; contact its operator, and try again";
        match self.answer.and_then(|answer| answer.certificate) {
            Some(CertificateProblem::Expired) => (
                "its certificate has expired",
                "; check the clock of this machine, or contact its operator, and try again",
            ),
            Some(CertificateProblem::NotYetValid) => (
                "its certificate is not valid yet",
                "; check the clock of this machine, or contact its operator, and try again",
            ),
            Some(CertificateProblem::WrongName) => (
                "its certificate is for a different host name",
                "; check its URL, or contact its operator, and try again",
            ),
            Some(CertificateProblem::UnknownIssuer) => (
                "its certificate was issued by an authority that this machine does not trust",
                "; add that authority, such as your network's, to the certificates of this system (on Linux also SSL_CERT_FILE), and try again",
            ),
            Some(CertificateProblem::SelfSigned) => ("its certificate is self-signed", TRUST),
            Some(CertificateProblem::CertificateOfAuthority) => (
                "its certificate is that of a certificate authority (CA), which must not identify a server",
                OPERATOR,
            ),
            Some(CertificateProblem::Revoked) => ("its certificate was revoked", OPERATOR),
            Some(CertificateProblem::Invalid) => ("its certificate is invalid", OPERATOR),
            None => (
                "the secure (TLS) connection failed",
                "; check its URL, and that this system trusts your network's certificates (on Linux also SSL_CERT_FILE), and try again",
            ),
        }
    }

    pub(super) fn access_denied(&self, server: &str) -> Parts {
        const OPERATOR: &str = ": ask its operator for access";
        const URL_OR_OPERATOR: &str = ": check its URL, or ask its operator for access";
        let is_granted = self.stored && self.requires_more_access() && self.has_required_scopes();
        let (what, todo) = match self.sent() {
            _ if is_granted => (
                "although your sign-in grants what it requires",
                ": ask its operator for access, or use an account that has it",
            ),
            Some(CredentialSent::Stored) if self.reports_invalid_token() => (
                "and reports that your token is not valid",
                ": if your sign-in has ended, sign in again; otherwise, ask its operator for access",
            ),
            Some(CredentialSent::None) if !self.stored && !self.configured => (
                "to a request without a key or a sign-in",
                match self.points_to_sign_in() {
                    true => ": sign in, or ask its operator for access",
                    false if self.may_be_unknown_route() => URL_OR_OPERATOR,
                    false => OPERATOR,
                },
            ),
            _ if self.may_be_unknown_route() => {
                ("for your account, key or network", URL_OR_OPERATOR)
            }
            _ => ("for your account, key or network", OPERATOR),
        };
        let happened = match self.required_scope() {
            Some(scope) if is_granted => {
                format!("{server} denied access {what} (`{scope}`, HTTP 403)")
            }
            Some(scope) if self.requires_scope() && !self.has_sentence() => {
                format!("{server} denied access {what} (HTTP 403), because it requires `{scope}`")
            }
            _ => format!("{server} denied access {what} (HTTP 403)"),
        };
        let todo = match self.is_rate_limited() {
            true => format!(
                "{}, or ask its operator for access",
                try_again_after(self.answer)
            )
            .into(),
            false => Cow::from(todo),
        };
        self.with_words(happened, todo)
    }

    /// Returns whether a response with HTTP 403 reports a rate limit or a quota, as that of some services does.
    fn is_rate_limited(&self) -> bool {
        let retry_after = self.answer.and_then(|answer| text_of(&answer.retry_after));
        let words = self.words();
        let words = words.map(|words| words.to_ascii_lowercase());
        let names_limit = |words: String| words.contains("rate limit") || words.contains("quota");
        retry_after.is_some() || words.is_some_and(names_limit)
    }

    pub(super) fn server_error(&self, server: &str) -> Parts {
        const URL_OR_OPERATOR: &str = ": check its URL, or contact its operator";
        let status = self.status().unwrap_or_default();
        let later = self.method_after_handshake();
        match (status, later) {
            (429, _) => self.with_words(
                format!("{server} is rate limiting requests (HTTP 429)"),
                try_again_after(self.answer),
            ),
            (408 | 425, _) => self.with_words(
                format!("{server} could not handle the request at this time (HTTP {status})"),
                try_again_after(self.answer),
            ),
            (503, _) => self.with_words(
                format!("{server} is currently unavailable (HTTP 503)"),
                try_again_after(self.answer),
            ),
            (529, _) => self.with_words(
                format!("{server} is overloaded (HTTP 529)"),
                try_again_after(self.answer),
            ),
            // Cloudflare has statuses of its own for a server that it can't reach.
            (502 | 504 | 520..=527 | 530, _) => self.with_words(
                format!(
                    "{server} is currently unavailable: the gateway in front of it got no valid answer from it (HTTP {status})"
                ),
                try_again_after(self.answer),
            ),
            (501 | 505, None) => self.with_words(
                format!("{server} does not support the request at its URL (HTTP {status})"),
                URL_OR_OPERATOR,
            ),
            (500.., _) if !matches!(status, 501 | 505) => self.with_words(
                format!("{server} had an internal error (HTTP {status})"),
                try_again_after(self.answer),
            ),
            (402, _) => self.with_words(
                format!("{server} requires payment (HTTP 402)"),
                ": contact its operator about your plan or balance",
            ),
            (300..=303 | 307 | 308, _) => self.redirected(server, status, URL_OR_OPERATOR),
            // The server has answered at this URL before. It no longer knows the session (MCP, Streamable HTTP; some SDKs send 400 or 401).
            (400 | 401 | 404 | 410, Some(method)) if status != 400 || self.names_session() => self.with_words(
                format!("{server} answered the handshake, but then did not know the session (HTTP {status} to `{}`)", foreign(method)),
                ": contact its operator; its instances may not share sessions",
            ),
            (_, Some(method)) => self.with_words(
                format!("{server} answered the handshake, but refused `{}` (HTTP {status})", foreign(method)),
                ": contact its operator",
            ),
            (404 | 405 | 410, None) => match self.followed_to_sign_in() {
                Some((status, target)) => self.redirected_to_sign_in(server, status, target),
                None => self.with_words(
                    format!("{server} was not found at its URL (HTTP {status})"),
                    URL_OR_OPERATOR,
                ),
            },
            _ => {
                let happened = format!("{server} refused the request (HTTP {status})");
                match self.protocol_error() {
                    Some(error) => {
                        let todo = match speaks_new_era(error) {
                            true => ": report this to its operator: ",
                            false => ": check its URL, or report this to its operator: ",
                        };
                        Parts::new(happened, todo).with_quote(error)
                    }
                    None => {
                        let todo = self.todo_for_credential();
                        let todo = todo
                            .or_else(|| self.todo_for_certificate())
                            .or_else(|| self.todo_for_header());
                        self.with_words(happened, todo.unwrap_or(URL_OR_OPERATOR))
                    }
                }
            }
        }
    }

    /// Returns the next step if a response with HTTP 400 is about the credential: the URL is correct then.
    fn todo_for_credential(&self) -> Option<&'static str> {
        let was_sent = !matches!(self.sent(), None | Some(CredentialSent::None));
        if !self.status().is_some_and(refuses_credential) {
            return None;
        }
        if was_sent && self.stored {
            match self.unread_token() {
                Some(UnreadToken::Key) => return Some(GET_A_KEY),
                Some(UnreadToken::LostHeader | UnreadToken::Proof) => return Some(LOST_HEADER),
                None => {}
            }
            let is_refused = self.rejects_credential() || self.reports_invalid_token();
            return is_refused.then_some(
                ": if your sign-in has ended, sign in again; otherwise, contact its operator",
            );
        }
        let lacks_credential = || {
            self.words()
                .is_some_and(|words| asks_for_credential(&words))
        };
        match was_sent || self.stored {
            false if self.points_to_sign_in() => Some(": sign in, or contact its operator"),
            false if lacks_credential() => Some(GET_A_KEY),
            _ => None,
        }
    }

    /// Returns the next step if the server requires a header of its own. The URL is correct then.
    fn todo_for_header(&self) -> Option<&'static str> {
        let words = self.words().filter(|words| asks_for_header(words));
        words
            .map(|_| ": add that header to its entry in the configuration, or contact its operator")
    }

    /// Returns the next step if a gateway requires a certificate of the client, as nginx reports it. The URL is correct then.
    fn todo_for_certificate(&self) -> Option<&'static str> {
        const WORDS: [&str; 2] = ["ssl certificate", "client certificate"];
        let words = self.words()?.to_ascii_lowercase();
        let is_named = WORDS.iter().any(|known| words.contains(known));
        is_named.then_some(
            ": contact its operator, because it requires a certificate of the client (TLS), which is not supported",
        )
    }

    /// Returns whether the words of the error response are about the session.
    fn names_session(&self) -> bool {
        let words = self.words();
        words.is_some_and(|words| words.to_ascii_lowercase().contains("session"))
    }

    /// Describes a redirect that was not followed. The evidence has the path of the target only if it contains no key.
    fn redirected(&self, server: &str, status: u16, todo: &'static str) -> Parts {
        let answer = self.answer;
        let url = answer.and_then(|answer| text_of(&answer.url));
        let target = answer.and_then(|answer| text_of(&answer.location));
        // A server can name any scheme.
        let target = target.filter(|url| url.starts_with("https://") || url.starts_with("http://"));
        let host = target.and_then(host_of);
        if let Some(target) = target.filter(|target| leads_to_sign_in(url, target)) {
            return self.redirected_to_sign_in(server, status, target);
        }
        if target.is_some_and(|target| self.was_requested_before(target)) {
            let happened = format!("{server} redirects in a circle (HTTP {status})");
            return Parts::new(happened, ": contact its operator");
        }
        let (to, todo) = match (url, target, host) {
            (Some(url), Some(target), Some(host)) if host_of(url) == Some(host) => {
                match url.starts_with("http://") && target.starts_with("https://") {
                    true => (
                        "https://".to_owned(),
                        ": write https:// in its URL, or contact its operator",
                    ),
                    false => match path_of(target).map(foreign) {
                        Some(_) if path_of(url) == path_of(target) => {
                            ("the same URL".to_owned(), todo)
                        }
                        Some(path) => (
                            path,
                            ": if it serves MCP there, change its URL, or contact its operator",
                        ),
                        None => ("another path".to_owned(), todo),
                    },
                }
            }
            (_, _, Some(host)) => (foreign(host), todo),
            _ => ("another URL".to_owned(), todo),
        };
        Parts::new(format!("{server} redirects to {to} (HTTP {status})"), todo)
    }

    /// Describes a redirect to a page for browsers, with which a gateway refuses a request.
    fn redirected_to_sign_in(&self, server: &str, status: u16, target: &str) -> Parts {
        let url = self.answer.and_then(|answer| text_of(&answer.url));
        let host = host_of(target).unwrap_or_default();
        let path = path_of(target).unwrap_or_default();
        let to = match url.and_then(host_of) == Some(host) {
            true => foreign(path),
            false => foreign(&format!("{host}{path}")),
        };
        let credential = self.evidence.credential.as_ref();
        let name = credential.and_then(|credential| text_of(&credential.name));
        let (although, todo) = match (self.configured, name) {
            (true, name) => (
                name.map_or_else(String::new, |name| {
                    format!(", although `{}` is configured", foreign(name))
                }),
                ": check the configured key or token, or contact its operator",
            ),
            (false, _) if self.stored => (
                String::new(),
                ": if your sign-in has ended, sign in again; otherwise, contact its operator",
            ),
            (false, _) => (
                String::new(),
                ": a gateway in front of it may require a browser; contact its operator",
            ),
        };
        Parts::new(
            format!("{server} redirects to a sign-in page, {to} (HTTP {status}){although}"),
            todo,
        )
    }

    /// Returns the status and the target of the redirect to a page where users sign in, if the last request has followed one.
    fn followed_to_sign_in(&self) -> Option<(u16, &str)> {
        let requests = self.evidence.requests.iter().rev();
        let mut to_server = requests.filter(|request| request.to == Some(RequestTarget::Mcp));
        to_server.next()?;
        let before = to_server.next()?;
        let target = text_of(&before.location)?;
        leads_to_sign_in(text_of(&before.url), target).then_some((before.status?, target))
    }

    /// Returns whether another request for a URL was sent in this start.
    fn was_requested_before(&self, target: &str) -> bool {
        let current = self.answer.and_then(|answer| text_of(&answer.url));
        let mut requests = self.evidence.requests.iter();
        current != Some(target)
            && path_of(target).is_some()
            && requests.any(|request| {
                request.to == Some(RequestTarget::Mcp) && text_of(&request.url) == Some(target)
            })
    }
}

/// Returns whether a redirect leads to a page where users sign in, by the words in its path or the beginning of its host.
fn leads_to_sign_in(url: Option<&str>, target: &str) -> bool {
    let host = host_of(target).unwrap_or_default();
    let is_other = url.and_then(host_of) != Some(host);
    let part = |url| path_of(url).and_then(sign_in_part);
    let has_part = part(target).is_some() && url.and_then(part) != part(target);
    has_part || (is_other && is_sign_in_host(host))
}

/// Returns whether an error has a code that only MCP 2026-07-28 defines. The URL is correct then.
fn speaks_new_era(error: &str) -> bool {
    const CODES: [&str; 2] = ["-32020", "-32021"];
    CODES
        .iter()
        .any(|code| error.contains(&format!("with the error {code}:")))
}

/// Returns when to try again, as an answer has requested with `Retry-After`.
pub(super) fn try_again_after(answer: Option<&RequestEvidence>) -> Cow<'static, str> {
    try_again(answer.and_then(|answer| text_of(&answer.retry_after)))
}

/// Returns when to try again, as a `Retry-After` header requests, with the punctuation before it.
#[doc(hidden)]
pub fn try_again(retry_after: Option<&str>) -> Cow<'static, str> {
    const MINUTE: u32 = 60;
    const HOUR: u32 = 60 * MINUTE;
    let Some(after) = retry_after else {
        return ": try again later".into();
    };
    // Seconds, or a date (RFC 9110, section 10.2.3). Anything else has no meaning.
    match after.parse::<u32>() {
        Ok(0) => ": try again".into(),
        Ok(seconds) if seconds <= 10 * MINUTE => format!(": try again in {seconds} s").into(),
        Ok(seconds) if seconds < 2 * HOUR => {
            format!(": try again in {} minutes", seconds.div_ceil(MINUTE)).into()
        }
        Ok(seconds) => format!(": try again in {} hours", seconds.div_ceil(HOUR)).into(),
        Err(_) if is_http_date(after) => format!(": try again later (after {after})").into(),
        Err(_) => ": try again later".into(),
    }
}

/// Returns the path of a URL, without its query.
fn path_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let path = &rest[rest.find('/')?..];
    path.split(['?', '#']).next()
}

/// Returns whether a text has the shape of a date in HTTP (RFC 9110, section 5.6.7).
fn is_http_date(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b" ,:-".contains(&byte);
    let is_short = text.len() <= "Wednesday, 31-Dec-26 23:59:59 GMT".len();
    is_short && text.ends_with(" GMT") && text.contains(',') && text.bytes().all(is_part)
}
