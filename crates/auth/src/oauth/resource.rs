//! The resource that a token is requested for (RFC 8707). Every authorization request and token request takes it from
//! here, so that no metadata can request a token for the resource of another service.

use url::Url;

use crate::network::bare_url;

/// The `resource` parameter for the server at `server`: the configured one. If none is configured, it is that of the
/// accepted protected-resource metadata, or the URL of the server if that metadata does not apply to the server.
///
/// Returns `None` if the configured one is blank: the parameter is left out. MCP requires it, but some authorization servers
/// refuse it.
pub(crate) fn resource(
    configured: Option<&str>,
    published: Option<&str>,
    server: &Url,
) -> Option<String> {
    let published = published.filter(|published| is_part_of(server, published));
    match configured.or(published) {
        Some(resource) if resource.trim().is_empty() => None,
        Some(resource) => Some(resource.to_owned()),
        None => Some(bare_url(server)),
    }
}

/// Whether protected-resource metadata that names `resource` applies to the server at `url`. Both must have the same
/// origin, and the path of the resource must be the server's path or a parent of it (RFC 9728, section 3.3, as applied
/// by MCP).
///
/// A resource with a fragment or a user name does not apply (RFC 8707, section 2). Nor does one with characters that a
/// URI cannot have: another parser could find another host in it.
pub(crate) fn is_part_of(url: &Url, resource: &str) -> bool {
    applicable(url, resource).is_some()
}

/// Whether the resource is the server at `url` itself, and not only a parent of it. Its path may have another slash at its end.
pub(crate) fn is_server(url: &Url, resource: &str) -> bool {
    applicable(url, resource).is_some_and(|named| whole_path(&named) == whole_path(url))
}

/// The resource as a URL, if it [applies](is_part_of) to the server at `url`.
fn applicable(url: &Url, resource: &str) -> Option<Url> {
    let is_uri = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
    let named = Url::parse(resource).ok()?;
    let applies = resource.bytes().all(is_uri)
        && named.origin() == url.origin()
        && whole_path(url).starts_with(&whole_path(&named))
        && named.fragment().is_none()
        && named.username().is_empty()
        && named.password().is_none();
    applies.then_some(named)
}

fn whole_path(url: &Url) -> String {
    format!("{}/", url.path().trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_applies_to_its_resource_and_paths_below_it() {
        let url: Url = "https://a.example/tenant/mcp".parse().unwrap();
        for (resource, expected) in [
            ("https://a.example/tenant/mcp", true),
            ("https://a.example/tenant/mcp/", true),
            ("https://A.example:443/tenant/mcp", true),
            ("https://a.example/tenant", true),
            ("https://a.example", true),
            ("https://a.example/ten", false),
            ("https://a.example/tenant/mcp/more", false),
            ("https://a.example/tenant/../../b", false),
            ("https://a.example:444/tenant/mcp", false),
            ("http://a.example/tenant/mcp", false),
            ("https://b.example/tenant/mcp", false),
            ("https://a.example@b.example/tenant/mcp", false),
            ("https://user@a.example/tenant/mcp", false),
            ("https://:secret@a.example/tenant/mcp", false),
            ("https://a.example/tenant/mcp#part", false),
            ("https://a.example/tenant/mcp#", false),
            (r"https:\\a.example\tenant\mcp", false),
            (" https://a.example/tenant/mcp", false),
            ("https://a.exa\nmple/tenant/mcp", false),
            ("https://a。example/tenant/mcp", false),
            ("tenant/mcp", false),
            ("urn:a.example", false),
            ("", false),
        ] {
            assert_eq!(is_part_of(&url, resource), expected, "{resource}");
            // The first three name the server itself.
            let is_itself = expected && resource.contains("/mcp");
            assert_eq!(is_server(&url, resource), is_itself, "{resource}");
        }
    }

    #[test]
    fn the_resource_is_the_configured_one_or_an_applicable_one_or_the_url() {
        let server: Url = "https://a.example/mcp?key=1#part".parse().unwrap();
        for (configured, published, expected) in [
            (Some("urn:mine"), Some("https://a.example/mcp/"), "urn:mine"),
            (Some("urn:mine"), None, "urn:mine"),
            (
                Some("https://api.example"),
                Some("https://b.example"),
                "https://api.example",
            ),
            (
                None,
                Some("https://a.example/mcp/"),
                "https://a.example/mcp/",
            ),
            (None, Some("https://a.example"), "https://a.example"),
            (
                None,
                Some("https://victim.example"),
                "https://a.example/mcp",
            ),
            (
                None,
                Some("https://a.example/mcp/other"),
                "https://a.example/mcp",
            ),
            (None, None, "https://a.example/mcp"),
        ] {
            let found = resource(configured, published, &server);
            assert_eq!(found.as_deref(), Some(expected));
        }
        for blank in ["", " ", "\t"] {
            let published = Some("https://a.example/mcp");
            assert_eq!(resource(Some(blank), published, &server), None);
        }
    }
}
