//! The messages about credentials: their store, their refresh, and the sign-in service.

use std::borrow::Cow;

use crate::evidence::{
    CredentialSent, CredentialStoreTrouble, DiscoveryOutcome, DiscoveryProblem, HeldSignInState,
};
use crate::printable::printable;
use crate::refusal::RefusalMeaning;

use super::super::Recovery;
use super::super::facts::{Facts, UnreadToken, text_of};
use super::discovery::failed_discovery;
use super::http::try_again_after;
use super::{Parts, foreign, host_of};

/// The next step if a sign-in without published support for PKCE can be allowed.
const ALLOW_UNPUBLISHED_PKCE: &str = ": contact its operator, or allow it with `oauth.allow_unpublished_pkce` (in JSON, `oauth.allowUnpublishedPkce`)";
/// The next step if the authorization server refuses the `resource`.
const LEAVE_OUT_RESOURCE: &str = ": contact its operator, or leave the parameter out with a blank `oauth_resource` (in JSON, `oauth.resource`)";
/// The maximum length of the name of a client, in characters.
const CLIENT_CHARS: usize = 30;
/// The maximum length of the name of an unknown store, in characters.
const STORE_CHARS: usize = 40;
/// The maximum length of an OAuth error code before its description, in characters.
const CODE_CHARS: usize = 40;
/// The maximum length of an issuer, in characters.
const ISSUER_CHARS: usize = 70;

impl Facts<'_> {
    pub(super) fn sign_in_held_by_client(&self, server: &str) -> Parts {
        let held = self.evidence.held_sign_in.as_ref();
        let client = held.and_then(|held| text_of(&held.client)).map_or_else(
            || "the other client".to_owned(),
            |client| printable(client, CLIENT_CHARS),
        );
        let state = held.and_then(|held| held.state);
        let was_sent = self.sent() == Some(CredentialSent::Held);
        let (happened, todo) = match state {
            _ if was_sent && self.requires_more_access() => (
                format!("{server} requires more access than the sign-in of {client} grants"),
                format!(": open {client}, and sign in again there"),
            ),
            _ if was_sent => (
                format!("{server} rejected the access token of {client}"),
                format!(": open {client}, which renews its sign-in"),
            ),
            Some(HeldSignInState::Expired) => (
                format!(
                    "{server} requires a sign-in, and the access token of {client} has expired"
                ),
                match held.and_then(|held| held.refresh_token) {
                    Some(false) => format!(": open {client}, and sign in again there"),
                    Some(true) | None => format!(": open {client}, which refreshes it"),
                },
            ),
            Some(HeldSignInState::UnknownUrl) => (
                format!(
                    "{server} requires a sign-in, and the token of {client} was not sent, because {client} stores no URL with it"
                ),
                format!(": open {client} to use the server there"),
            ),
            Some(HeldSignInState::Valid) | None => (
                format!("{server} requires a sign-in, and only {client} is signed in"),
                format!(": open {client} to use the server there"),
            ),
        };
        let here = match self.offers_sign_in() {
            true => ", or sign in here",
            false => "",
        };
        Parts::new(happened, todo + here)
    }

    /// Returns why a start ended while the credential store was being read, and what to do.
    pub(super) fn slow_store(&self) -> (String, &'static str) {
        let store = self.evidence.store.as_ref();
        match store.and_then(|store| text_of(&store.kind)) {
            None | Some("keyring" | "secrets") => (
                ", because reading your sign-in took too long".to_owned(),
                ": check whether a keyring is waiting to be unlocked, and try again",
            ),
            Some("file") => (
                ", because reading the file `.credentials.json` took too long".to_owned(),
                ": check that its folder can be reached, and try again",
            ),
            name => (
                format!(", because {} did not answer", store_named(name)),
                ": try again, or contact the author of the application",
            ),
        }
    }

    pub(super) fn credential_store_unavailable(&self, server: &str) -> Parts {
        use CredentialStoreTrouble::{Absent, Corrupt, InUse, Locked, Unreadable, Unsupported};
        const DESKTOP_OR_FILE: &str = ": run this in your desktop session, or set `mcp_oauth_credentials_store = \"file\"` in config.toml and sign in";
        const FILE_OR_OTHER_CLIENT: &str = ": set `mcp_oauth_credentials_store = \"file\"` in config.toml and sign in, or use the client that wrote it";
        let store = self.evidence.store.as_ref();
        let name = store.and_then(|store| text_of(&store.kind));
        let trouble = store.and_then(|store| store.trouble).unwrap_or(Unreadable);
        let place = store_named(name);
        // If the stored credential was read, the store could not be written to when it was refreshed.
        let was_read = self.stored;
        let detail = store.and_then(|store| text_of(&store.detail));
        let problem = match name {
            Some("file") => detail.and_then(problem_of_file),
            _ => None,
        };
        let (trouble, todo) = match (trouble, name) {
            (Unreadable | Corrupt, Some("file")) if problem.is_some() => {
                problem.unwrap_or_default()
            }
            (Locked, Some("secrets")) => (
                "is locked",
                ": unlock the system keyring, which holds its key, and try again",
            ),
            (InUse, _) | (Locked, Some("file")) => (
                "is in use by another program",
                ": try again when that program is done",
            ),
            (Locked, _) => ("is locked", ": unlock it and try again"),
            (Unreadable, Some("file")) if was_read => (
                "can't be written to",
                ": check its permissions and the free disk space, and try again",
            ),
            (Unreadable, _) if was_read => (
                "can't be written to",
                ": check that this program is allowed to write to it, and try again",
            ),
            (Unreadable, Some("file")) => {
                ("can't be read", ": check its permissions and try again")
            }
            (Unreadable, Some("keyring" | "secrets")) => {
                ("can't be reached from here", DESKTOP_OR_FILE)
            }
            (Unreadable, _) => (
                "can't be read",
                ": check that it exists and that you can read it, and try again",
            ),
            (Corrupt, Some("keyring")) => (
                "has a damaged entry for this server",
                ": sign in again to replace it",
            ),
            (Corrupt, _) => (
                "is damaged",
                ": sign in again to replace a damaged record; if the whole file is damaged, repair its JSON",
            ),
            (Unsupported, Some("secrets")) => (
                "can only be read by Codex",
                ": use Codex, or set `mcp_oauth_credentials_store = \"file\"` in config.toml and sign in",
            ),
            (Unsupported, _) => ("is not supported by this version", FILE_OR_OTHER_CLIENT),
            (Absent, _) => ("does not exist in this session", DESKTOP_OR_FILE),
        };
        let holder = match store.and_then(|store| store.trouble) {
            Some(InUse) => detail.and_then(holder_in),
            _ => None,
        };
        let holder = holder.map_or_else(String::new, |id| format!(" (process {id})"));
        let happened = match was_read {
            true => format!("{server} needs to renew your sign-in, but {place} {trouble}{holder}"),
            false => format!("{server} requires a sign-in, but {place} {trouble}{holder}"),
        };
        Parts::new(happened, todo)
    }

    pub(super) fn credential_rejected(&self, server: &str) -> Parts {
        let credential = self.evidence.credential.as_ref();
        let name = credential.and_then(|credential| text_of(&credential.name));
        match (self.configured, name) {
            (true, Some(name)) => self.with_words(
                format!(
                    "{server} rejected the configured key or token (`{}`)",
                    foreign(name)
                ),
                ": replace its value",
            ),
            (true, None) => self.with_words(
                format!("{server} rejected the configured key or token"),
                ": replace it in the configuration",
            ),
            (false, _) => Parts::new(
                format!(
                    "{server} needs to renew your sign-in, but its sign-in service rejected the configured OAuth client ({})",
                    self.refusal()
                ),
                ": correct the client ID or secret",
            ),
        }
    }

    pub(super) fn authorization_unavailable(&self, server: &str) -> Parts {
        const LATER: &str = ": try again later; you are still signed in";
        let meaning = self.refresh_meaning();
        let discovery = match meaning {
            Some(_) => None,
            None => self.failed_discovery(),
        };
        match (meaning, discovery) {
            (Some(RefusalMeaning::Transient), _) => Parts::new(
                format!(
                    "{server} needs to renew your sign-in, but its sign-in service is currently unavailable"
                ),
                format!("{}; you are still signed in", try_again_after(self.refresh)),
            ),
            (Some(_), _) => {
                let refresh = self.refresh;
                let succeeded = refresh.is_some_and(|refresh| {
                    matches!(refresh.status, Some(200..300)) && refresh.oauth_error.is_none()
                });
                let unusable = refresh.and_then(|refresh| text_of(&refresh.unusable_token));
                let what = match unusable {
                    Some(problem) => format!(
                        "responded with a token that can't be used ({})",
                        foreign(problem)
                    ),
                    None if succeeded => format!("responded without a token ({})", self.refusal()),
                    None => format!("refused ({})", self.refusal()),
                };
                Parts::new(
                    format!("{server} needs to renew your sign-in, but its sign-in service {what}"),
                    ": try again later, or sign in again",
                )
            }
            (None, Some((what, todo))) => {
                let (happened, todo) = match self.stored {
                    true => (
                        "needs to renew your sign-in",
                        format!("{todo}; you are still signed in").into(),
                    ),
                    false => ("requires a sign-in", todo),
                };
                Parts::new(
                    format!(
                        "{server} {happened}, but the metadata of its sign-in service can't be fetched ({what})"
                    ),
                    todo,
                )
            }
            (None, None) if self.stored => Parts::new(
                format!("{server} needs to renew your sign-in, but this is currently not possible"),
                LATER,
            ),
            (None, None) => Parts::new(
                format!(
                    "{server} requires a sign-in, but its sign-in service could not be determined"
                ),
                ": try again later",
            ),
        }
    }

    /// Returns the request because of which the discovery is incomplete, and the next step.
    fn failed_discovery(&self) -> Option<(String, Cow<'static, str>)> {
        let discovered = self.evidence.discovered.as_ref();
        let outcome = discovered.and_then(|found| found.outcome);
        match outcome {
            None | Some(DiscoveryOutcome::Unavailable) => failed_discovery(&self.evidence.requests),
            Some(_) => None,
        }
    }

    /// The words with which the token endpoint refused: its error code, its description, or its HTTP status.
    fn refusal(&self) -> String {
        let code = self
            .refresh
            .and_then(|refresh| text_of(&refresh.oauth_error));
        let description = self
            .refresh
            .and_then(|refresh| text_of(&refresh.oauth_error_description));
        let status = self.refresh.and_then(|refresh| refresh.status);
        match (code, description) {
            (Some(code), Some(description)) => {
                format!("{}: {}", printable(code, CODE_CHARS), foreign(description))
            }
            (Some(code), None) => foreign(code),
            (None, description) => {
                let status = status.map_or_else(String::new, |status| format!("HTTP {status}"));
                match description {
                    Some(description) => format!("{status}: {}", foreign(description)),
                    None => status,
                }
            }
        }
    }

    /// Returns the words with which the token endpoint refused the refresh for good, if they are more than a code. A policy can be the reason.
    pub(super) fn refusal_of_spent(&self) -> Option<&str> {
        let is_spent = self.refresh_meaning() == Some(RefusalMeaning::Spent);
        let description = text_of(&self.refresh?.oauth_error_description)?;
        (is_spent && description.contains(' ')).then_some(description)
    }

    pub(super) fn authorization_misconfigured(&self, server: &str) -> Parts {
        let unread = match self.unread_token() {
            _ if self.refresh_has_failed() => None,
            Some(UnreadToken::LostHeader) => Some((
                "answered as if no token was sent (HTTP 401)",
                ": contact its operator, because a proxy may remove the token",
            )),
            Some(UnreadToken::Proof) => Some((
                "accepts only tokens with a proof of possession (DPoP), which is not supported",
                ": contact its operator",
            )),
            Some(UnreadToken::Key) | None => None,
        };
        if let Some((what, todo)) = unread {
            return self.with_words(format!("{server} requires a sign-in, but {what}"), todo);
        }
        let happened = format!(
            "{server} requires a sign-in, but {}",
            self.misconfiguration()
        );
        let is_refused = self.refresh_meaning() == Some(RefusalMeaning::Misconfigured);
        match self.row() {
            (_, Recovery::FixConfiguration) => Parts::new(happened, ALLOW_UNPUBLISHED_PKCE),
            _ if is_refused => Parts::new(happened, LEAVE_OUT_RESOURCE),
            _ => match self.invalid_document() {
                Some((_, field))
                    if self.discovery_problem() == Some(DiscoveryProblem::Unsupported) =>
                {
                    Parts::new(happened, format!("{}: ", self.other_url())).with_quote(field)
                }
                Some((document, field)) => Parts::new(
                    format!("{happened} ({document})"),
                    format!("{}: ", self.other_url()),
                )
                .with_quote(field),
                None => match self.blocked_address() {
                    Some(cause) => {
                        Parts::new(happened, format!("{}: ", self.other_url())).with_quote(cause)
                    }
                    None => Parts::new(happened, self.other_url()),
                },
            },
        }
    }

    /// Returns the URL of the metadata document that can't be used, and its invalid field. Issuers that differ are named instead.
    fn invalid_document(&self) -> Option<(String, &str)> {
        let discovered = self.evidence.discovered.as_ref()?;
        let document = issuer(text_of(&discovered.document)?);
        let field = text_of(&discovered.invalid_field)?;
        let names_issuers = text_of(&discovered.expected_issuer).is_some();
        (!names_issuers).then_some((document, field))
    }

    /// Returns why the address of the authorization server that the metadata name must not be requested.
    fn blocked_address(&self) -> Option<&str> {
        let is_blocked = self.discovery_problem() == Some(DiscoveryProblem::NoAuthorizationServer);
        text_of(&self.evidence.cause).filter(|_| is_blocked)
    }

    /// Returns the next step if a sign-in can't begin: another spelling of the URL, if the metadata may be for that one.
    fn other_url(&self) -> &'static str {
        let discovered = self.evidence.discovered.as_ref();
        match discovered.and_then(|found| found.problem) {
            Some(DiscoveryProblem::ResourceMismatch) => {}
            Some(DiscoveryProblem::Unsupported) => {
                return ": ask its operator for a key or token, and add it to the configuration";
            }
            _ => return ": contact its operator",
        }
        let url = self.answer.and_then(|answer| text_of(&answer.url));
        let host = url.and_then(host_of);
        let host = host.map(|host| match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        });
        let field = discovered.and_then(|found| text_of(&found.invalid_field));
        let is_named = |name: &str| field.is_none_or(|field| field.contains(&format!("//{name}")));
        match host {
            Some("127.0.0.1" | "[::1]") if is_named("localhost") => {
                ": if it calls itself `localhost`, write that in its URL, or contact its operator"
            }
            Some("localhost") if is_named("127.0.0.1") => {
                ": if it calls itself `127.0.0.1`, write that in its URL, or contact its operator"
            }
            _ => ": check its URL, or contact its operator",
        }
    }

    /// Describes what is wrong with the server's authorization.
    fn misconfiguration(&self) -> Cow<'static, str> {
        let discovered = self.evidence.discovered.as_ref();
        let expected = discovered.and_then(|found| text_of(&found.expected_issuer));
        if let Some(expected) = expected {
            let named = discovered.and_then(|found| text_of(&found.issuer));
            let named = named.map_or_else(|| "no issuer".to_owned(), issuer);
            let expected = issuer(expected);
            return format!(
                "the metadata of its sign-in service names {named} instead of {expected}"
            )
            .into();
        }
        let what = match discovered.and_then(|discovered| discovered.problem) {
            Some(DiscoveryProblem::ResourceMismatch) => {
                "its sign-in metadata is for a different server"
            }
            Some(DiscoveryProblem::NoAuthorizationServer) => "it names no usable sign-in service",
            Some(DiscoveryProblem::IssuerMismatch) => {
                "its sign-in service identifies itself as a different one"
            }
            Some(DiscoveryProblem::InvalidMetadata) => "its sign-in metadata is invalid",
            Some(DiscoveryProblem::PkceNotPublished) => {
                "its sign-in service does not publish support for PKCE (S256), which protects the sign-in"
            }
            Some(DiscoveryProblem::PkceNotSupported) => {
                "its sign-in service does not support PKCE (S256), which protects the sign-in"
            }
            Some(DiscoveryProblem::Unsupported) => "offers none that this client supports",
            Some(DiscoveryProblem::ClientRequired | DiscoveryProblem::ClientDocumentRequired) => {
                "its sign-in service does not register this client"
            }
            None if self.refresh_meaning() == Some(RefusalMeaning::Misconfigured) => {
                "its sign-in service refused its `resource` (invalid_target)"
            }
            None if discovered
                .is_some_and(|found| found.outcome == Some(DiscoveryOutcome::Unusable)) =>
            {
                "its sign-in metadata can't be used"
            }
            None => "it no longer publishes where to sign in",
        };
        what.into()
    }
}

/// The ID of the process that uses a store, in the detail of the store's error.
fn holder_in(detail: &str) -> Option<u32> {
    let (_, rest) = detail.split_once("another program (process ")?;
    rest.split_once(')')?.0.parse().ok()
}

/// Returns what is wrong with a credential file that can't be read or that is damaged, and the next step, which costs no other
/// sign-in in it. `detail` is that of the store.
fn problem_of_file(detail: &str) -> Option<(&'static str, &'static str)> {
    const MOVE: &str = ": move it away, and sign in";
    const PROBLEMS: [(&str, &str, &str); 14] = [
        (
            "can't be written: File too large",
            "can't be written to, because of the limit of the size of files",
            ": raise that limit (`ulimit -f`), and try again",
        ),
        (
            "the lock ",
            "can't be locked",
            ": check the folder `mcp-oauth-locks` next to it, and try again",
        ),
        ("is a folder", "is a folder and not a file", MOVE),
        (
            "is a named pipe",
            "is a named pipe and not a regular file",
            MOVE,
        ),
        ("is a socket", "is a socket and not a regular file", MOVE),
        ("is a device", "is a device and not a regular file", MOVE),
        (
            "is a symbolic link",
            "is a symbolic link, which is not followed",
            ": replace the link with a copy of the file, and try again",
        ),
        (
            "can't be reached: its folder is not a folder",
            "can't be read, because the path of its folder leads to a file",
            ": correct that path, and try again",
        ),
        (
            "is larger than",
            "is larger than 16 MiB",
            ": remove the entries that you no longer need, and try again",
        ),
        (
            "would be larger than",
            "would become larger than 16 MiB",
            ": remove the entries that you no longer need, and try again",
        ),
        ("is empty", "is empty", ": write `{}` into it, and sign in"),
        (
            "begins with a byte order mark",
            "begins with a byte order mark",
            ": save it as UTF-8 without one, and try again",
        ),
        (
            "is encoded in UTF-16",
            "is encoded in UTF-16",
            ": save it as UTF-8, and try again",
        ),
        (
            "contains a damaged record for this server",
            "has a damaged record for this server",
            ": sign in again to replace it",
        ),
    ];
    let found = PROBLEMS.iter().find(|(words, ..)| detail.contains(words));
    found.map(|(_, problem, todo)| (*problem, *todo))
}

/// Returns the words for a store with this kind.
fn store_named(kind: Option<&str>) -> Cow<'static, str> {
    match kind {
        Some("keyring") => "the system keyring".into(),
        Some("file") => "the file `.credentials.json`".into(),
        Some("secrets") => "Codex's encrypted store".into(),
        Some("host") => "the application's own credential store".into(),
        Some("postgres") => "the database with the sign-ins".into(),
        Some(other) => format!("the credential store `{}`", printable(other, STORE_CHARS)).into(),
        None => "the credential store".into(),
    }
}

/// Shows an issuer or the URL of a metadata document. Its query and its user name may contain a key.
pub(super) fn issuer(text: &str) -> String {
    let (shown, _) = text.split_once(['?', '#']).unwrap_or((text, ""));
    match shown.contains('@') {
        true => host_of(shown).map_or_else(|| "another URL".to_owned(), foreign),
        false => printable(shown, ISSUER_CHARS),
    }
}
