//! The page that the browser shows at the end of a sign-in. It repeats no part of the request.

use http::{HeaderValue, Response, StatusCode, header};
use mcp_startup_auth::{SignInError, SignInFailureKind};

/// The page that the browser shows after it has returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallbackPage {
    /// The user is signed in.
    SignedIn,
    /// The sign-in has ended without success. The app has the details.
    Ended,
    /// The request is not the response to this sign-in, which continues.
    InvalidCallback,
}

impl CallbackPage {
    /// The page for the result of [`finish_sign_in`](crate::Startup::finish_sign_in).
    pub fn of(finished: &Result<(), SignInError>) -> Self {
        match finished {
            Ok(()) => Self::SignedIn,
            // A mistake, or another program's request. The right one may still arrive.
            Err(error) if error.kind() == SignInFailureKind::InvalidCallback => {
                Self::InvalidCallback
            }
            Err(_) => Self::Ended,
        }
    }

    pub(super) fn response(self) -> Response<String> {
        let (status, title, text) = match self {
            Self::SignedIn => (
                StatusCode::OK,
                "Signed in",
                "You are signed in. You can close this page.",
            ),
            Self::Ended => (
                StatusCode::OK,
                "Sign-in ended",
                "The sign-in has ended. The app that started it has the details. You can close this page.",
            ),
            Self::InvalidCallback => (
                StatusCode::BAD_REQUEST,
                "Not this sign-in",
                "This is not the response to the current sign-in.",
            ),
        };
        let page = format!(
            "<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title>\
             <meta name=viewport content=\"width=device-width\"><style>:root{{color-scheme:light dark}}\
             body{{font:1.1rem/1.5 system-ui,sans-serif;max-width:30rem;margin:15vh auto;padding:0 1rem}}</style>\
             <h1>{title}</h1><p>{text}</p>\n"
        );
        let mut response = Response::new(page);
        *response.status_mut() = status;
        // The URL of this page contains the authorization code.
        for (name, value) in [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::CACHE_CONTROL, "no-store"),
            (header::REFERRER_POLICY, "no-referrer"),
            (
                header::CONTENT_SECURITY_POLICY,
                "default-src 'none'; style-src 'unsafe-inline'",
            ),
        ] {
            let value = HeaderValue::from_static(value);
            response.headers_mut().insert(name, value);
        }
        response
    }
}
