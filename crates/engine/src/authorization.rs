//! Which credential a request carries, and which one comes after a refusal.

use std::sync::{Mutex, PoisonError};

use mcp_startup_auth::CredentialRecord;
use mcp_startup_config::HttpConfig;
use mcp_startup_core::{CredentialSent, FirstRequest};
use secrecy::{ExposeSecret, SecretString};

/// The credential of one start over HTTP: what is sent now, and what is left to try.
#[derive(Debug)]
pub(crate) struct Authorization {
    state: Mutex<State>,
}

#[derive(Clone, Debug)]
struct State {
    sends: Sends,
    /// The stored token, where it is still to be tried after a refusal without one.
    in_reserve: Option<SecretString>,
}

/// What a request carries as its `Authorization`.
#[derive(Clone, Debug)]
pub(crate) enum Sends {
    /// No token.
    Nothing,
    /// What the configuration says; a bearer token, or headers that are sent anyway.
    Configured(Option<SecretString>),
    /// The stored access token.
    Stored(SecretString),
}

impl Sends {
    pub fn token(&self) -> Option<&str> {
        match self {
            Self::Nothing => None,
            Self::Configured(token) => token.as_ref().map(ExposeSecret::expose_secret),
            Self::Stored(token) => Some(token.expose_secret()),
        }
    }

    pub fn as_evidence(&self) -> CredentialSent {
        match self {
            Self::Nothing => CredentialSent::None,
            Self::Configured(_) => CredentialSent::Configuration,
            Self::Stored(_) => CredentialSent::Stored,
        }
    }
}

/// The authorization that a configuration carries: its bearer token, or an `Authorization` header of its own; and the name of
/// the variable or header it comes from.
pub(crate) fn configured(http: &HttpConfig) -> Option<(Option<SecretString>, String)> {
    if let Some(bearer) = &http.bearer {
        return Some((Some(bearer.token.clone()), bearer.variable.clone()));
    }
    http.headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("authorization"))
        .map(|header| {
            let name = header.variable.as_ref().unwrap_or(&header.name);
            (None, name.clone())
        })
}

impl Authorization {
    /// A start whose authorization the configuration carries: that, and never OAuth.
    pub fn configured(token: Option<SecretString>) -> Self {
        Self::starting_with(Sends::Configured(token), None)
    }

    /// A start with what is stored, by what it is worth.
    pub fn stored(record: Option<&CredentialRecord>, first: FirstRequest) -> Self {
        let token = record.and_then(|record| record.access_token()).cloned();
        match (first, token) {
            (FirstRequest::StoredToken, Some(token)) => {
                Self::starting_with(Sends::Stored(token), None)
            }
            // The clock may be wrong: the token is tried once the server has refused to serve without.
            (FirstRequest::WithoutTokenThenStored, token) => {
                Self::starting_with(Sends::Nothing, token)
            }
            (FirstRequest::Refresh | FirstRequest::WithoutToken | FirstRequest::StoredToken, _) => {
                Self::starting_with(Sends::Nothing, None)
            }
        }
    }

    fn starting_with(sends: Sends, in_reserve: Option<SecretString>) -> Self {
        Self {
            state: Mutex::new(State { sends, in_reserve }),
        }
    }

    /// What the next request carries.
    pub fn sends(&self) -> Sends {
        self.lock().sends.clone()
    }

    /// The server has answered 401. Returns whether there is another credential to try: each is sent once.
    pub fn refused(&self) -> bool {
        let mut state = self.lock();
        match state.in_reserve.take() {
            Some(token) => {
                state.sends = Sends::Stored(token);
                true
            }
            None => false,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
