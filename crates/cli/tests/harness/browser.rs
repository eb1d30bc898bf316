//! The browser of a sign-in: a script that the program opens as `$BROWSER`, and a client that submits the consent page.
//!
//! On Windows, only the registry has the browser of a user, so no browser is opened there: a test uses the URL that the program prints.

#[cfg(unix)]
use std::path::PathBuf;

use super::http_client::{send, split_url};
use super::run::Run;
#[cfg(unix)]
use super::time::eventually;
use super::user::User;

/// The user's choice on the consent page.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Consent {
    Allow,
    Deny,
}

/// Opens an authorization URL and signs in, like a browser and its user. Returns the callback URL without requesting it.
pub fn authorize(authorization_url: &str, consent: Consent) -> String {
    let mut cookies: Vec<(String, String)> = Vec::new();
    let mut url = authorization_url.to_owned();
    let mut method = "GET";
    for _ in 0..10 {
        let sent: Vec<_> = cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let headers = [
            ("Cookie", sent.join("; ")),
            (
                "Content-Type",
                "application/x-www-form-urlencoded".to_owned(),
            ),
        ];
        let headers = headers
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        let body = match (method, consent) {
            ("POST", Consent::Deny) => "deny=yes",
            _ => "",
        };
        let response = send(method, &url, &headers, body);
        for cookie in response.headers("Set-Cookie") {
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            cookies.retain(|(known, _)| known != name);
            cookies.push((name.to_owned(), value.to_owned()));
        }
        let Some(location) = response.headers("Location").next() else {
            assert_eq!(response.status, 200, "{response:?}");
            assert_eq!(method, "GET", "the form leads nowhere: {response:?}");
            method = "POST";
            continue;
        };
        method = "GET";
        url = match location.starts_with('/') {
            true => format!("http://{}{location}", split_url(&url).0),
            false => location.to_owned(),
        };
        if split_url(&url).0 != split_url(authorization_url).0 {
            return url;
        }
    }
    panic!("the sign-in does not end: {url}");
}

/// A `$BROWSER` that passes the URL that it opens to the test.
#[cfg(unix)]
pub struct Browser {
    script: PathBuf,
    opened: PathBuf,
}

#[cfg(windows)]
pub struct Browser;

#[cfg(windows)]
impl Browser {
    pub fn of(_user: &User) -> Self {
        Self
    }
}

#[cfg(unix)]
impl Browser {
    pub fn of(user: &User) -> Self {
        let opened = user.path("temporary/opened");
        let new = opened.with_extension("new");
        let script = format!(
            "printf '%s\\n' \"$@\" >{0} && mv {0} {1}",
            new.display(),
            opened.display()
        );
        let script = user.write_script("browser", &script);
        Self { script, opened }
    }

    /// Waits until the browser is opened. Returns the URL.
    pub fn opened_url(&self) -> String {
        let url = eventually("the browser is opened", || {
            std::fs::read_to_string(&self.opened).ok()
        });
        std::fs::remove_file(&self.opened).unwrap();
        url.trim_end().to_owned()
    }
}

impl Run {
    #[cfg(unix)]
    pub fn browser(self, browser: &Browser) -> Self {
        self.env("BROWSER", &browser.script)
    }

    #[cfg(windows)]
    pub fn browser(self, _browser: &Browser) -> Self {
        let arguments = self.arguments();
        let has = |argument: &str| arguments.iter().any(|found| found == argument);
        match has("login") && !has("--no-browser") {
            true => self.arg("--no-browser"),
            false => self,
        }
    }
}
