//! Recognizes a page where users sign in, to which gateways and web applications redirect, by its address or its title.

/// The parts of a path that name such a page.
const PARTS: [&str; 12] = [
    "login",
    "log-in",
    "signin",
    "sign-in",
    "sign_in",
    "logon",
    "sso",
    "oauth",
    "oauth2",
    "authorize",
    "saml",
    "saml2",
];

/// The beginnings of the names of hosts that serve such a page.
const HOSTS: [&str; 6] = ["accounts.", "login.", "signin.", "auth.", "sso.", "idp."];

/// Returns whether a host serves a page where users sign in, by the beginning of its name.
pub(crate) fn is_sign_in_host(host: &str) -> bool {
    HOSTS.iter().any(|beginning| host.starts_with(beginning))
}

/// The words in the title of such a page, in lowercase.
#[rustfmt::skip]
const TITLES: [&str; 16] = [
    "sign in", "sign-in", "signin", "log in", "log-in", "login", "single sign-on", "anmeld", "se connecter",
    "iniciar sesi", "accedi", "登录", "登入", "ログイン", "サインイン", "로그인",
];

/// Returns whether the title of a page is that of one where users sign in.
pub(crate) fn is_sign_in_title(title: &str) -> bool {
    let title = title.to_lowercase();
    // `blog in` is something else. Some languages have no spaces.
    let is_start =
        |at: usize| !title[..at].ends_with(|before: char| before.is_ascii_alphanumeric());
    let mut found = TITLES.iter().flat_map(|words| title.match_indices(words));
    found.any(|(at, _)| is_start(at))
}

/// Returns the part of a path that names a page where users sign in, without its ending such as `.html`.
///
/// ```
/// use mcp_startup_core::sign_in_part;
///
/// assert_eq!(sign_in_part("/cdn-cgi/access/login/mcp.example"), Some("login"));
/// assert_eq!(sign_in_part("/Login.aspx"), Some("login"));
/// assert_eq!(sign_in_part("/v1/mcp"), None);
/// ```
#[doc(hidden)]
pub fn sign_in_part(path: &str) -> Option<&'static str> {
    path.split('/').find_map(|part| {
        let name = part.split_once('.').map_or(part, |(name, _)| name);
        PARTS
            .into_iter()
            .find(|known| name.eq_ignore_ascii_case(known))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_title_of_a_sign_in_page_is_recognized() {
        for (title, expected) in [
            ("Sign in ・ Cloudflare Access", true),
            ("Acme | Log in", true),
            ("Login - authentik", true),
            ("Bei Acme anmelden", true),
            ("Acme账号登录", true),
            ("My blog in Rust", false),
            ("Grafana", false),
            ("", false),
        ] {
            assert_eq!(is_sign_in_title(title), expected, "{title}");
        }
    }
}
