//! Parses the callback URL, and checks which redirect URIs are safe.

use url::Url;

use super::error::{
    SignInError, SignInFailureKind, broken, shown, shown_name, shown_refusal, shown_setting,
};
use super::pending::{PendingSignIn, is_about_the_resource};
use crate::mask::Mask;
use crate::network::{Place, place};

/// The parameters of the authorization response (RFC 6749, section 4.1.2; RFC 9207).
pub(super) struct Callback {
    pub code: String,
    pub issuer: Option<String>,
}

impl Callback {
    /// `mask` has the secrets that a server may have put into the URL.
    pub fn read(
        pending: &PendingSignIn,
        callback_url: &str,
        mask: &Mask,
    ) -> Result<Self, SignInError> {
        let invalid = |reason: &str| {
            let message = format!(
                "this is not the callback URL of the sign-in to {}: {reason}",
                shown_name(pending)
            );
            SignInError::new(SignInFailureKind::InvalidCallback, message)
        };
        let url = Url::parse(callback_url.trim()).map_err(|_| invalid("it is not a URL"))?;
        let redirect = Url::parse(&pending.redirect_uri).map_err(|_| broken())?;
        // The URI of an app scheme can lack a host and a port.
        let parts = |url: &Url| {
            let host = url.host_str().map(str::to_owned);
            (
                url.scheme().to_owned(),
                host,
                url.port_or_known_default(),
                url.path().to_owned(),
            )
        };
        if parts(&url) != parts(&redirect) {
            return Err(invalid(&format!(
                "it does not begin with {}",
                shown_setting(&pending.redirect_uri)
            )));
        }
        // A parameter must not be repeated (RFC 6749, section 3.1): parsers disagree on which value counts.
        let parameter = |name: &str| {
            let mut values = url.query_pairs().filter(|(key, _)| key == name);
            match (values.next(), values.next()) {
                (value, None) => Ok(value.map(|(_, value)| value.into_owned())),
                (_, Some(_)) => Err(invalid(&format!("it contains `{name}` twice"))),
            }
        };
        if parameter("state")?.as_deref() != Some(pending.state()) {
            return Err(invalid(
                "its `state` is missing or belongs to another sign-in",
            ));
        }
        // An error response must also come from the expected issuer (RFC 9207, section 2.4). The `state` is right, so no other answer
        // will follow.
        let issuer = parameter("iss")?;
        let is_wrong = match &issuer {
            Some(issuer) => Some(issuer) != pending.state.expected_issuer.as_ref(),
            None => pending.state.require_issuer,
        };
        if is_wrong {
            return Err(wrong_issuer(pending, issuer.as_deref(), mask));
        }
        if let Some(error) = parameter("error")? {
            let description =
                parameter("error_description")?.filter(|text| !text.trim().is_empty());
            let description = description.as_deref();
            let message = format!(
                "the sign-in to {} was denied ({}){}",
                shown_name(pending),
                shown_refusal(mask, &error, description),
                todo(pending, &error, description.unwrap_or_default())
            );
            return Err(SignInError::new(SignInFailureKind::Denied, message));
        }
        let code = parameter("code")?.filter(|code| !code.is_empty());
        Ok(Self {
            code: code.ok_or_else(|| invalid("it has no `code`"))?,
            issuer,
        })
    }
}

/// The error of an answer that is not from the expected issuer. Its code is not sent anywhere.
fn wrong_issuer(pending: &PendingSignIn, received: Option<&str>, mask: &Mask) -> SignInError {
    let name = shown_name(pending);
    let expected = pending.state.expected_issuer.as_deref();
    let expected = expected.map_or_else(
        || "no issuer".to_owned(),
        |issuer| shown_issuer(mask, issuer),
    );
    let message = match received {
        Some(received) => format!(
            "the answer to the sign-in to {name} names the issuer {} (`iss`) instead of {expected}, so it was refused: contact the operator of the server",
            shown_issuer(mask, received)
        ),
        None => format!(
            "the answer to the sign-in to {name} does not name its issuer (`iss`), which must be {expected}, so it was refused: contact the operator of the server"
        ),
    };
    SignInError::new(SignInFailureKind::Misconfigured, message)
}

/// Shows an issuer as it is written, because even a slash makes a difference. Its query and its user name may contain a key.
fn shown_issuer(mask: &Mask, issuer: &str) -> String {
    let (shown_part, _) = issuer.split_once(['?', '#']).unwrap_or((issuer, ""));
    match shown_part {
        "" => "(blank)".to_owned(),
        part if part.contains('@') => "(a URL with a user name)".to_owned(),
        part => shown(mask, part),
    }
}

/// The next step after an error response, with a semicolon before it. Empty if it is for the user to decide.
fn todo(pending: &PendingSignIn, error: &str, description: &str) -> String {
    match (error, &pending.prompt) {
        ("invalid_target", _) => format!("; {}", pending.resource_todo()),
        _ if is_about_the_resource(description) => format!("; {}", pending.resource_todo()),
        ("invalid_request", _) if pending.scopes.is_empty() && lacks_scope(description) => {
            "; set `scopes` in the configuration".to_owned()
        }
        ("server_error" | "temporarily_unavailable", _) => "; try again later".to_owned(),
        ("invalid_scope", _) => "; correct `scopes` in the configuration".to_owned(),
        // The authorization server may refuse the prompt, for example because only an administrator can consent.
        (_, Some(prompt)) => format!(
            "; if `prompt={}` is not allowed, remove `oauth.prompt` from the configuration",
            shown_setting(prompt)
        ),
        ("consent_required" | "interaction_required" | "login_required", None) => {
            "; set `oauth.prompt` in the configuration, for example to `consent`".to_owned()
        }
        // The user may have denied it.
        ("access_denied", None) => String::new(),
        _ => "; contact its operator".to_owned(),
    }
}

/// Whether the words of a refusal report that the request has no `scope`.
fn lacks_scope(words: &str) -> bool {
    let words = words.to_ascii_lowercase();
    let faults = ["must contain", "missing", "required"];
    words.contains("scope") && faults.iter().any(|fault| words.contains(fault))
}

/// Schemes that no app can have, because a browser handles them itself.
const OF_NO_APP: [&str; 9] = [
    "about",
    "blob",
    "data",
    "file",
    "ftp",
    "javascript",
    "view-source",
    "ws",
    "wss",
];

/// Checks that a code is safe at this URI. It must lead to this machine, use a secure connection, or lead to an app
/// (RFC 8252, section 7), and it must not have a fragment (RFC 6749, section 3.1.2).
pub(super) fn check_redirect_uri(redirect_uri: &str) -> Result<(), SignInError> {
    let url = Url::parse(redirect_uri).ok();
    let is_valid = url.is_some_and(|url| {
        let is_safe = match url.scheme() {
            "http" => place(&url) == Some(Place::Loopback),
            scheme => !OF_NO_APP.contains(&scheme),
        };
        is_safe && url.fragment().is_none()
    });
    match is_valid {
        true => Ok(()),
        false => Err(SignInError::new(
            SignInFailureKind::InvalidConfiguration,
            format!(
                "the redirect URI {} cannot be used: use https, http on loopback, or a custom app scheme, without a fragment",
                shown_setting(redirect_uri)
            ),
        )),
    }
}
