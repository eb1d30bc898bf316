//! Parses the callback URL, and checks which redirect URIs are safe.

use url::Url;

use super::error::{SignInError, SignInFailureKind, broken, shown, shown_name};
use super::pending::PendingSignIn;
use crate::network::{Place, place};

/// The parameters of the authorization response (RFC 6749, section 4.1.2; RFC 9207).
pub(super) struct Callback {
    pub code: String,
    pub issuer: Option<String>,
}

impl Callback {
    pub fn read(pending: &PendingSignIn, callback_url: &str) -> Result<Self, SignInError> {
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
                shown(&pending.redirect_uri)
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
        // An error response must also come from the expected issuer (RFC 9207, section 2.4).
        let issuer = parameter("iss")?;
        match &issuer {
            Some(issuer) if Some(issuer) != pending.state.expected_issuer.as_ref() => {
                return Err(invalid("it comes from another authorization server"));
            }
            None if pending.state.require_issuer => {
                return Err(invalid(
                    "it has no `iss`, which the authorization server promises to send",
                ));
            }
            _ => {}
        }
        if let Some(error) = parameter("error")? {
            let description =
                parameter("error_description")?.filter(|text| !text.trim().is_empty());
            let reason = description.map_or_else(
                || shown(&error),
                |text| format!("{}: {}", shown(&error), shown(&text)),
            );
            let message = format!(
                "the sign-in to {} was denied ({reason}){}",
                shown_name(pending),
                todo(pending, &error)
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

/// The next step after an error response, with a semicolon before it. Empty if it is for the user to decide.
fn todo(pending: &PendingSignIn, error: &str) -> String {
    match (error, &pending.prompt) {
        ("invalid_target", _) => format!("; {}", pending.resource_todo()),
        ("invalid_scope", _) => "; correct `scopes` in the configuration".to_owned(),
        // The authorization server may refuse the prompt, for example because only an administrator can consent.
        (_, Some(prompt)) => format!(
            "; if `prompt={}` is not allowed, remove `oauth.prompt` from the configuration",
            shown(prompt)
        ),
        ("consent_required" | "interaction_required" | "login_required", None) => {
            "; set `oauth.prompt` in the configuration, for example to `consent`".to_owned()
        }
        _ => String::new(),
    }
}

/// Checks that a code is safe at this URI. It must lead to this machine, use a secure connection, or lead to an app
/// (RFC 8252, section 7), and it must not have a fragment (RFC 6749, section 3.1.2).
pub(super) fn check_redirect_uri(redirect_uri: &str) -> Result<(), SignInError> {
    let url = Url::parse(redirect_uri).ok();
    let is_valid = url.is_some_and(|url| {
        let is_safe = url.scheme() != "http" || place(&url) == Some(Place::Loopback);
        is_safe && url.fragment().is_none()
    });
    match is_valid {
        true => Ok(()),
        false => Err(SignInError::new(
            SignInFailureKind::InvalidConfiguration,
            format!(
                "the redirect URI {} cannot be used: use https, http on loopback, or a custom app scheme, without a fragment",
                shown(redirect_uri)
            ),
        )),
    }
}
