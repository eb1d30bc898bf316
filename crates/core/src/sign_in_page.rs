//! Recognizes the address of a page where users sign in, to which gateways and web applications redirect.

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
