//! The URLs where metadata can be, and the issuer that each document of an authorization server must name.

use mcp_startup_core::same_issuer;
use url::Url;

const OAUTH: &str = "/.well-known/oauth-authorization-server";
const OPENID: &str = "/.well-known/openid-configuration";
const RESOURCE: &str = "/.well-known/oauth-protected-resource";

/// URLs of the metadata of one issuer, in the order in which they are tried.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Candidates {
    /// The issuer that the document must name (RFC 8414, section 3.3).
    pub issuer: String,
    pub urls: Vec<Url>,
}

/// The URLs of the metadata of the issuer that a document names: before its path (RFC 8414, section 3.1), after it (OpenID
/// Connect Discovery, section 4), and at the root. `None` if the issuer is not a URL, or is a well-known URL that belongs to no
/// issuer.
///
/// `document` is the URL of the document that names the issuer. A relative issuer is resolved against it.
pub(super) fn of_issuer(named: &str, document: &Url) -> Option<Candidates> {
    let (url, issuer) = match Url::parse(named) {
        Ok(url) => (url, named.to_owned()),
        Err(_) => {
            let url = document.join(named).ok()?;
            (url.clone(), url.into())
        }
    };
    if url.path().contains("/.well-known/") {
        // Some servers name the document instead of the issuer.
        let issuer = issuer_of(&url)?;
        return Some(Candidates {
            issuer,
            urls: vec![url],
        });
    }
    let path = path_of(&url);
    let forms: &[String] = match path.as_str() {
        "" => &[OAUTH.to_owned(), OPENID.to_owned()],
        path => &[
            format!("{OAUTH}{path}"),
            format!("{OPENID}{path}"),
            format!("{path}{OPENID}"),
            format!("{path}{OAUTH}"),
            OAUTH.to_owned(),
        ],
    };
    let urls = forms.iter().map(|form| at(&url, form)).collect();
    Some(Candidates { issuer, urls })
}

/// The URLs of the metadata of the authorization server at `server`, for a server that names none: first for an issuer with
/// the path of the server, then for one without.
pub(super) fn of_server(server: &Url) -> Vec<Candidates> {
    let origin = server.origin().ascii_serialization();
    let path = path_of(server);
    let candidates = |issuer: String, forms: &[String]| Candidates {
        issuer,
        urls: forms.iter().map(|form| at(server, form)).collect(),
    };
    let root = candidates(origin.clone(), &[OAUTH.to_owned(), OPENID.to_owned()]);
    if path.is_empty() {
        return vec![root];
    }
    let below = [
        format!("{OAUTH}{path}"),
        format!("{OPENID}{path}"),
        format!("{path}{OPENID}"),
    ];
    vec![candidates(format!("{origin}{path}"), &below), root]
}

/// The URLs of the protected-resource metadata of a server that points to none (RFC 9728, section 3.1).
pub(super) fn of_resource(server: &Url) -> Vec<Url> {
    let path = path_of(server);
    let mut forms = vec![
        format!("{RESOURCE}{path}"),
        format!("{path}{RESOURCE}"),
        RESOURCE.to_owned(),
    ];
    forms.dedup();
    forms.iter().map(|form| at(server, form)).collect()
}

/// Whether a document at `url` comes from the operator of the whole origin of `server`: it is at a well-known address (RFC 8615). Someone
/// who controls a single path of the origin can't publish it.
pub(super) fn is_of_origin(url: &Url, server: &Url) -> bool {
    url.origin() == server.origin() && url.path().starts_with("/.well-known/")
}

impl Candidates {
    /// Whether these are the URLs of `issuer`.
    pub fn are_of(&self, issuer: &str) -> bool {
        same_issuer(&self.issuer, issuer)
    }
}

/// The issuer that the document at a well-known URL must name. Without one, the document could claim to be of any issuer, and
/// a refresh token could be sent to that issuer.
fn issuer_of(url: &Url) -> Option<String> {
    let path = url.path();
    let origin = url.origin().ascii_serialization();
    let before = [OAUTH, OPENID]
        .iter()
        .filter_map(|form| path.strip_prefix(form))
        .find(|rest| rest.is_empty() || rest.starts_with('/'));
    let after = || path.strip_suffix(OPENID).or(path.strip_suffix(OAUTH));
    let path = before.or_else(after)?;
    (!path.contains("/.well-known/")).then(|| format!("{origin}{}", path.trim_end_matches('/')))
}

/// The path of a URL without a slash at its end. Empty for the root.
fn path_of(url: &Url) -> String {
    match url.path().trim_matches('/') {
        "" => String::new(),
        path => format!("/{path}"),
    }
}

fn at(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.set_path(path);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(candidates: &Candidates) -> Vec<&str> {
        candidates.urls.iter().map(Url::path).collect()
    }

    #[test]
    fn metadata_is_looked_for_before_and_after_the_path_of_its_issuer() {
        let document: Url = "https://a.example/prm".parse().unwrap();
        let of = |named: &str| of_issuer(named, &document);
        for named in [
            "https://a.example",
            "https://a.example/",
            "https://a.example/?x=1",
        ] {
            let found = of(named).unwrap();
            assert_eq!(found.issuer, named);
            assert_eq!(paths(&found), [OAUTH, OPENID]);
        }
        for named in [
            "https://a.example/realms/acme",
            "https://a.example/realms/acme/",
        ] {
            let found = of(named).unwrap();
            assert_eq!(found.issuer, named);
            let expected = [
                "/.well-known/oauth-authorization-server/realms/acme",
                "/.well-known/openid-configuration/realms/acme",
                "/realms/acme/.well-known/openid-configuration",
                "/realms/acme/.well-known/oauth-authorization-server",
                OAUTH,
            ];
            assert_eq!(paths(&found), expected);
        }
        assert_eq!(of("/b").unwrap().issuer, "https://a.example/b");
        assert_eq!(of("https://["), None);
    }

    #[test]
    fn a_well_known_url_has_the_issuer_that_it_belongs_to() {
        let document: Url = "https://a.example/prm".parse().unwrap();
        for (url, expected) in [
            (
                "https://a.example/.well-known/oauth-authorization-server",
                Some("https://a.example"),
            ),
            (
                "https://a.example/.well-known/oauth-authorization-server/t",
                Some("https://a.example/t"),
            ),
            (
                "https://a.example/.well-known/openid-configuration/t",
                Some("https://a.example/t"),
            ),
            (
                "https://a.example/t/.well-known/openid-configuration",
                Some("https://a.example/t"),
            ),
            (
                "https://a.example/t/.well-known/oauth-authorization-server",
                Some("https://a.example/t"),
            ),
            (
                "https://a.example/.well-known/oauth-authorization-server-of-mine",
                None,
            ),
            (
                "https://a.example/.well-known/oauth-protected-resource/mcp",
                None,
            ),
            (
                "https://a.example/.well-known/x/.well-known/openid-configuration",
                None,
            ),
            ("https://a.example/.well-known/x", None),
        ] {
            let found = of_issuer(url, &document);
            assert_eq!(
                found.as_ref().map(|found| &*found.issuer),
                expected,
                "{url}"
            );
            if let Some(found) = found {
                assert_eq!(found.urls, [url.parse().unwrap()]);
            }
        }
    }

    #[test]
    fn a_server_without_metadata_may_be_its_own_issuer_with_and_without_its_path() {
        let of = |url: &str| of_server(&url.parse().unwrap());
        for url in [
            "https://a.example/api/mcp",
            "https://a.example:443/api/mcp/?key=1#x",
        ] {
            let found = of(url);
            assert_eq!(found[0].issuer, "https://a.example/api/mcp");
            let below = [
                "/.well-known/oauth-authorization-server/api/mcp",
                "/.well-known/openid-configuration/api/mcp",
                "/api/mcp/.well-known/openid-configuration",
            ];
            assert_eq!(paths(&found[0]), below);
            assert_eq!(found[1].issuer, "https://a.example");
            assert_eq!(paths(&found[1]), [OAUTH, OPENID]);
            assert!(found[1].urls.iter().all(|url| url.query().is_none()));
        }
        assert_eq!(of("https://a.example").len(), 1);
        let resource = |url: &str| -> Vec<String> {
            let found = of_resource(&url.parse().unwrap());
            found.iter().map(|url| url.path().to_owned()).collect()
        };
        assert_eq!(resource("https://a.example/"), [RESOURCE]);
        let expected = [
            "/.well-known/oauth-protected-resource/api/mcp",
            "/api/mcp/.well-known/oauth-protected-resource",
            RESOURCE,
        ];
        assert_eq!(resource("https://a.example/api/mcp/"), expected);
        let server: Url = "https://a.example/api/mcp".parse().unwrap();
        let is_of_origin = |url: &str| super::is_of_origin(&url.parse().unwrap(), &server);
        for url in of_resource(&server) {
            let is_below = url.path().starts_with("/api");
            assert_eq!(is_of_origin(url.as_str()), !is_below, "{url}");
        }
        for url in [
            "https://b.example/.well-known/oauth-protected-resource",
            "https://a.example/api/.well-known/oauth-protected-resource",
            "https://a.example/api/prm",
        ] {
            assert!(!is_of_origin(url), "{url}");
        }
    }
}
