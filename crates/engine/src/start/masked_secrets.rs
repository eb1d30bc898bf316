//! Collects the secrets that a start passes on, from its entry, its environment and the proxies. They must not reappear in evidence.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use mcp_startup_auth::Mask;
use mcp_startup_config::{InheritedEnvironment, ServerEntry, TransportConfig};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

/// A shorter part of a value is not treated as a secret.
const SHORTEST_PART: usize = 8;

/// The mask for all secrets that this start passes to a program, a server or a proxy.
pub(crate) fn mask(entry: &ServerEntry) -> Mask {
    let mut mask = Mask::default();
    let Ok(config) = &entry.config else {
        return mask;
    };
    let secrets: Vec<&SecretString> = match &config.transport {
        TransportConfig::Stdio(stdio) => {
            for secret in secrets_of_arguments(&stdio.args) {
                add_with_parts(&mut mask, secret);
            }
            for argument in &stdio.args {
                add_parts_of_url(&mut mask, argument);
            }
            // Some users write the arguments into the command.
            let words: Vec<_> = stdio
                .command
                .split_whitespace()
                .map(str::to_owned)
                .collect();
            for secret in secrets_of_arguments(&words) {
                add_with_parts(&mut mask, secret);
            }
            if !matches!(stdio.inherited, InheritedEnvironment::Named(_)) {
                add_inherited(&mut mask);
            }
            // The evidence shows the PATH if the program is not found.
            let env = stdio.env.iter();
            env.filter(|(name, _)| !name.eq_ignore_ascii_case("PATH"))
                .map(|(_, value)| value)
                .collect()
        }
        TransportConfig::Http(http) => {
            for (_, value) in http.url.query_pairs() {
                mask.add(&value);
            }
            for pair in http.url.query().unwrap_or_default().split('&') {
                mask.add(pair.split_once('=').map_or(pair, |(_, value)| value));
            }
            // A proxy receives its password, and may answer in place of the server.
            for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
                for name in [name.to_owned(), name.to_ascii_lowercase()] {
                    if let Some(value) = std::env::var_os(name) {
                        add_parts_of_url(&mut mask, &value.to_string_lossy());
                    }
                }
            }
            let headers = http.headers.iter().map(|header| &header.value);
            let bearer = http.bearer.iter().map(|bearer| &bearer.token);
            headers.chain(bearer).collect()
        }
    };
    let others = config
        .expanded_variables
        .iter()
        .chain(&config.oauth.client_secret);
    let held = config.held_sign_in.iter();
    let others = others.chain(held.filter_map(|held| held.access_token.as_ref()));
    for secret in secrets.into_iter().chain(others) {
        add_with_parts(&mut mask, secret.expose_secret());
    }
    mask
}

/// Adds the secrets among the variables of this process.
pub(super) fn add_inherited(mask: &mut Mask) {
    for (name, value) in std::env::vars_os() {
        let value = value.to_string_lossy();
        match names_a_secret(&name.to_string_lossy()) {
            true => add_with_parts(mask, &value),
            false => add_parts_of_url(mask, &value),
        }
    }
}

/// Adds a value, and the parts of it that a server may repeat: the credentials of `Bearer abc`, one of two cookies, a password.
pub(super) fn add_with_parts(mask: &mut Mask, value: &str) {
    mask.add(value);
    if let Some((scheme, credentials)) = value.trim().split_once(' ') {
        let credentials = credentials.trim();
        mask.add(credentials);
        if scheme.eq_ignore_ascii_case("basic") {
            // RFC 7617, section 2.
            let decoded = BASE64_STANDARD.decode(credentials).unwrap_or_default();
            let decoded = String::from_utf8_lossy(&decoded);
            mask.add(
                decoded
                    .split_once(':')
                    .map_or(&*decoded, |(_, password)| password),
            );
        }
    }
    let parts = value.split([';', ',', '&', ' ']);
    let values = parts.filter_map(|part| Some(part.split_once('=')?.1));
    values
        .filter(|value| value.len() >= SHORTEST_PART)
        .for_each(|value| mask.add(value));
    add_parts_of_url(mask, value);
}

/// Adds the password of a URL, and the values of query parameters whose names indicate a secret.
fn add_parts_of_url(mask: &mut Mask, value: &str) {
    let Some(url) = value
        .contains("://")
        .then(|| Url::parse(value).ok())
        .flatten()
    else {
        return;
    };
    if let Some(password) = url.password() {
        mask.add(password);
        mask.add(&percent_decoded(password));
    }
    for (name, value) in url.query_pairs() {
        if names_a_secret(&name) {
            mask.add(&value);
        }
    }
}

fn percent_decoded(text: &str) -> String {
    let as_pair = format!("x={}", text.replace('+', "%2B"));
    let mut pairs = url::form_urlencoded::parse(as_pair.as_bytes());
    pairs
        .next()
        .map_or_else(String::new, |(_, value)| value.into_owned())
}

/// The values of arguments whose names indicate a secret: `--api-key=VALUE`, `--api-key VALUE`, `API_KEY=VALUE`.
fn secrets_of_arguments(arguments: &[String]) -> impl Iterator<Item = &str> {
    let following = arguments.iter().zip(arguments.iter().skip(1));
    let separate = following
        .filter(|(flag, _)| flag.starts_with('-') && !flag.contains('=') && names_a_secret(flag))
        .map(|(_, value)| value.as_str());
    let joined = arguments
        .iter()
        .filter_map(|argument| argument.split_once('='))
        .filter(|(name, _)| names_a_secret(name))
        .map(|(_, value)| value);
    // `--header "Authorization: Bearer abc"`
    let headers = arguments
        .iter()
        .filter_map(|argument| argument.split_once(": "))
        .filter(|(name, _)| names_a_secret(name))
        .map(|(_, value)| value);
    separate.chain(joined).chain(headers)
}

/// Whether the name of a flag or a variable indicates a secret. Most inherited variables are harmless.
pub(super) fn names_a_secret(name: &str) -> bool {
    const WORDS: [&str; 10] = [
        "key",
        "token",
        "secret",
        "passw",
        "passphrase",
        "pwd",
        "credential",
        "auth",
        "bearer",
        "cookie",
    ];
    let name = name.to_ascii_lowercase();
    // `PWD` and `OLDPWD` are the current and the previous folder of a shell.
    let is_folder = matches!(name.as_str(), "pwd" | "oldpwd");
    !is_folder && WORDS.iter().any(|word| name.contains(word))
}
