//! Collects the secrets that a start passes on, from its entry, its environment and the proxies. They must not reappear in evidence.

mod parts;
#[cfg(test)]
mod tests;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use mcp_startup_auth::Mask;
use mcp_startup_config::{InheritedEnvironment, ServerEntry, TransportConfig};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use self::parts::Holds;

/// A shorter part of a value is not treated as a secret.
const SHORTEST_PART: usize = 8;
/// A shorter segment of a path is a name.
const SHORTEST_IN_PATH: usize = 12;

/// The mask for all secrets that this start passes to a program, a server or a proxy.
pub(crate) fn mask(entry: &ServerEntry) -> Mask {
    let mut mask = Mask::default();
    let Ok(config) = &entry.config else {
        return mask;
    };
    let secrets: Vec<(&str, &SecretString)> = match &config.transport {
        TransportConfig::Stdio(stdio) => {
            add_arguments(&mut mask, &stdio.args);
            add_password_argument(&mut mask, &stdio.command, &stdio.args);
            // Some users write the arguments into the command.
            let words: Vec<_> = stdio
                .command
                .split_whitespace()
                .map(str::to_owned)
                .collect();
            for (_, secret) in secrets_of_arguments(&words) {
                add_with_parts(&mut mask, secret);
            }
            if !matches!(stdio.inherited, InheritedEnvironment::Named(_)) {
                add_inherited(&mut mask);
                for (name, value) in std::env::vars_os() {
                    let holds = Holds::of(&name.to_string_lossy());
                    if holds == Holds::Secrets {
                        parts::add(&mut mask, &value.to_string_lossy(), holds);
                    }
                }
            }
            // The evidence shows the PATH if the program is not found.
            let env = stdio.env.iter();
            let env: Vec<_> = env
                .filter(|(name, _)| !name.eq_ignore_ascii_case("PATH"))
                .map(|(name, value)| (name.as_str(), value))
                .collect();
            for (name, value) in &env {
                parts::add(&mut mask, value.expose_secret(), Holds::of(name));
            }
            env
        }
        TransportConfig::Http(http) => {
            add_url(&mut mask, &http.url);
            // A proxy receives its password, and may answer in place of the server.
            for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
                for name in [name.to_owned(), name.to_ascii_lowercase()] {
                    if let Some(value) = std::env::var_os(name) {
                        add_parts_of_url(&mut mask, &value.to_string_lossy());
                    }
                }
            }
            let headers = http.headers.iter();
            let headers = headers.map(|header| (header.name.as_str(), &header.value));
            let bearer = http.bearer.iter();
            let bearer = bearer.map(|bearer| ("authorization", &bearer.token));
            let headers: Vec<_> = headers.chain(bearer).collect();
            for (name, value) in &headers {
                parts::add(&mut mask, value.expose_secret(), Holds::of_sent(name));
            }
            headers
        }
    };
    let others = config
        .expanded_variables
        .iter()
        .chain(&config.oauth.client_secret);
    let held = config.held_sign_in.iter();
    let others = others.chain(held.filter_map(|held| held.access_token.as_ref()));
    let secrets = secrets.into_iter().map(|(_, secret)| secret);
    for secret in secrets.chain(others) {
        add_with_parts(&mut mask, secret.expose_secret());
    }
    mask
}

/// Adds the values of the URL of a server, which it may repeat: of its query and its fragment, and the segments of its path that have the
/// form of a generated secret.
fn add_url(mask: &mut Mask, url: &Url) {
    for text in [url.query(), url.fragment()].into_iter().flatten() {
        for (name, value) in url::form_urlencoded::parse(text.as_bytes()) {
            mask.add(&value);
            parts::add(mask, &value, Holds::of_sent(&name));
        }
        for pair in text.split('&') {
            mask.add(pair.split_once('=').map_or(pair, |(_, value)| value));
        }
    }
    for segment in url.path_segments().into_iter().flatten() {
        let plain = percent_decoded(segment);
        if is_random(&plain) {
            mask.add(&plain);
            parts::add(mask, &plain, Holds::SecretsInJson);
        }
    }
}

/// Adds the secrets in the arguments of a program.
fn add_arguments(mask: &mut Mask, arguments: &[String]) {
    for (name, secret) in secrets_of_arguments(arguments) {
        add_with_parts(mask, secret);
        parts::add(mask, secret, Holds::of(name));
    }
    for argument in arguments {
        add_parts_of_url(mask, argument);
        parts::add(mask, argument, Holds::NamedSecrets);
        if let Some((_, value)) = argument.split_once('=') {
            parts::add(mask, value, Holds::NamedSecrets);
        }
    }
}

/// Adds the password in `-pPASSWORD`, which some clients of databases read.
fn add_password_argument(mask: &mut Mask, command: &str, arguments: &[String]) {
    const CLIENTS: [&str; 6] = [
        "mysql",
        "mysqldump",
        "mysqladmin",
        "mariadb",
        "mariadb-dump",
        "sshpass",
    ];
    let mut is_after_client = false;
    for word in std::iter::once(command).chain(arguments.iter().map(String::as_str)) {
        let password = word.strip_prefix("-p").filter(|_| is_after_client);
        if let Some(password) = password.filter(|password| password.len() >= SHORTEST_PART) {
            mask.add(password);
        }
        let program = word.rsplit(['/', '\\']).next().unwrap_or_default();
        is_after_client |= CLIENTS.contains(&program.trim_end_matches(".exe"));
    }
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

/// The arguments whose names indicate a secret, with their values: `--api-key=VALUE`, `--api-key VALUE`, `API_KEY=VALUE`.
fn secrets_of_arguments(arguments: &[String]) -> impl Iterator<Item = (&str, &str)> {
    let following = arguments.iter().zip(arguments.iter().skip(1));
    let separate = following
        .filter(|(flag, _)| flag.starts_with('-') && !flag.contains('='))
        .map(|(flag, value)| (flag.as_str(), value.as_str()));
    let joined = arguments
        .iter()
        .filter_map(|argument| argument.split_once('='));
    // `--header "Authorization: Bearer abc"`
    let headers = arguments
        .iter()
        .filter_map(|argument| argument.split_once(": "));
    // `--header X-Api-Key:abc`
    let short_headers = arguments
        .iter()
        .filter_map(|argument| argument.split_once(':'))
        .filter(|(_, value)| value.len() >= SHORTEST_PART && !value.starts_with("//"));
    let all = separate.chain(joined).chain(headers).chain(short_headers);
    all.filter(|(name, _)| names_a_secret(name))
}

/// Whether a value has the form of a generated secret: letters and digits, in both cases or in great number.
fn is_random(value: &str) -> bool {
    let has = |of: fn(&u8) -> bool| value.bytes().any(|byte| of(&byte));
    let is_of_secret = |byte: u8| byte.is_ascii_alphanumeric() || b"-_+=~.".contains(&byte);
    let has_both = has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase);
    value.len() >= SHORTEST_IN_PATH
        && value.bytes().all(is_of_secret)
        && has(u8::is_ascii_digit)
        && (has_both || value.len() >= 2 * SHORTEST_IN_PATH)
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
