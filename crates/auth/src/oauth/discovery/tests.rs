mod invalid_fields;
mod limits;

use mcp_startup_core::{IoTrouble, failed_discovery};
use serde_json::json;

use super::documents::MAX_DOCUMENT_BYTES;
use super::*;
use crate::network::test_internet::{TestInternet, listener, network, response};
use crate::oauth::test_pages::{CHALLENGE, METADATA, PRM, Pages, SERVER};

/// Addresses that a public server must not lead to.
const FORBIDDEN: [&str; 11] = [
    "http://169.254.169.254/latest/meta-data",
    "https://169.254.169.254/latest/meta-data",
    "https://127.0.0.1:8443/x",
    "http://127.0.0.1/x",
    "https://[::1]/x",
    "http://localhost:8080/x",
    "https://10.0.0.1/x",
    "https://[::ffff:10.0.0.1]/x",
    "https://[64:ff9b::a00:1]/x",
    "https://[fd00::1]/x",
    "http://auth.example/x",
];

/// The outcome of a discovery at these pages, its requests and its log.
async fn discover_at(
    pages: Pages,
    challenge: Option<&str>,
) -> (Discovery, Vec<String>, RequestLog) {
    let internet = pages.internet();
    let server = SERVER.parse().unwrap();
    let guarded = internet
        .network("", Vec::new())
        .guarded_client(&server)
        .await;
    let log = RequestLog::default();
    let found = discover(&guarded, &server, challenge, None, &log).await;
    for request in internet.requests() {
        for header in ["authorization", "cookie", "referer"] {
            assert!(!request.head.contains(header), "{request:?}");
        }
    }
    (found, internet.targets(), log)
}

fn outcome(found: &Discovery) -> (DiscoveryOutcome, Option<DiscoveryProblem>) {
    (found.evidence.outcome.unwrap(), found.evidence.problem)
}

fn unusable(problem: DiscoveryProblem) -> (DiscoveryOutcome, Option<DiscoveryProblem>) {
    (DiscoveryOutcome::Unusable, Some(problem))
}

/// No request to this URL was sent or logged.
fn assert_not_requested(url: &str, targets: &[String], log: &RequestLog) {
    let beyond = targets
        .iter()
        .find(|target| !target.contains("http://mcp.example/"));
    assert_eq!(beyond, None, "{url}");
    let logged = log.requests();
    assert_eq!(logged.len(), targets.len(), "{url}: {logged:?}");
    assert!(
        logged.iter().all(|request| request.status.is_some()),
        "{url}: {logged:?}"
    );
}

#[tokio::test]
async fn a_public_server_cannot_lead_into_a_private_network() {
    let issuer = "http://mcp.example";
    let endpoint = "http://mcp.example/token";
    let forbidden = FORBIDDEN.into_iter().chain(["file:///etc/passwd"]);
    for url in forbidden {
        let target: Url = url.parse().unwrap();
        let invalid = unusable(DiscoveryProblem::InvalidMetadata);
        let no_server = unusable(DiscoveryProblem::NoAuthorizationServer);
        let issuer_elsewhere = target.join("/").unwrap();
        let other = issuer_elsewhere.as_str().trim_end_matches('/');
        let redirected = Pages::default().redirect(PRM, 302, url);
        for (pages, challenge, expected) in [
            (redirected.clone(), Some(CHALLENGE), invalid),
            (redirected, None, invalid),
            (Pages::valid().redirect(METADATA, 307, url), None, no_server),
            (Pages::valid().prm(PRM, other), Some(CHALLENGE), no_server),
            (
                Pages::valid().metadata(METADATA, issuer, url),
                None,
                no_server,
            ),
            (
                Pages::valid().redirect(METADATA, 308, "/a").redirect(
                    "http://mcp.example/a",
                    303,
                    url,
                ),
                None,
                no_server,
            ),
        ] {
            let (found, targets, log) = discover_at(pages, challenge).await;
            assert_eq!(outcome(&found), expected, "{url}");
            assert!(found.metadata.is_none(), "{url}");
            if !(other.starts_with("file:")) {
                let refused = found.blocked.expect(url).to_string();
                let host = target.host_str().unwrap();
                assert!(
                    refused.contains(host) && refused.contains(" was not requested: "),
                    "{refused}"
                );
            }
            assert_not_requested(url, &targets, &log);
        }
        // Another issuer is used if one is usable.
        let both = json!({"resource": SERVER, "authorization_servers": [other, issuer]});
        let pages = Pages::default()
            .json(PRM, &both)
            .metadata(METADATA, issuer, endpoint);
        let (found, targets, log) = discover_at(pages, None).await;
        assert_eq!(
            outcome(&found),
            (DiscoveryOutcome::Published, None),
            "{url}"
        );
        assert_eq!(found.blocked, None);
        assert_not_requested(url, &targets, &log);
    }
}

#[tokio::test]
async fn a_challenge_that_points_into_a_private_network_makes_the_metadata_unusable() {
    let page = response(200, "content-type: text/html\r\n", "<h1>Dashboard</h1>");
    for url in FORBIDDEN {
        let challenge = format!(r#"Bearer resource_metadata="{url}""#);
        for pages in [
            Pages::default(),
            Pages::default()
                .with(PRM, page.clone())
                .with(METADATA, page.clone()),
        ] {
            let (found, targets, log) = discover_at(pages, Some(&challenge)).await;
            let expected = unusable(DiscoveryProblem::InvalidMetadata);
            assert_eq!(outcome(&found), expected, "{url}");
            assert_not_requested(url, &targets, &log);
        }
    }
}

#[tokio::test]
async fn three_redirects_of_a_document_are_followed() {
    let step = |number: usize| format!("http://mcp.example/step/{number}");
    for (count, is_followed) in [(0, true), (1, true), (2, true), (3, true), (4, false)] {
        for status in [301, 302, 303, 307, 308] {
            let chain = |first: &str| {
                let pages = Pages::default().redirect(first, status, "/step/1");
                (1..count).fold(pages, |pages, at| {
                    pages.redirect(&step(at), status, &format!("/step/{}", at + 1))
                })
            };
            let last = |first: &str| match count {
                0 => first.to_owned(),
                _ => step(count),
            };
            let issuer = "http://mcp.example";
            let endpoint = "http://mcp.example/token";
            // The document of the resource, then that of the authorization server.
            for (pages, problem) in [
                (
                    chain(PRM)
                        .metadata(METADATA, issuer, endpoint)
                        .prm(&last(PRM), issuer),
                    None,
                ),
                (
                    chain(METADATA)
                        .prm(PRM, issuer)
                        .metadata(&last(METADATA), issuer, endpoint),
                    Some(DiscoveryProblem::NoAuthorizationServer),
                ),
            ] {
                let (found, targets, log) = discover_at(pages, None).await;
                // Without a document of the resource, its origin can still be its authorization server.
                let expected = match (is_followed, problem) {
                    (true, _) | (_, None) => (DiscoveryOutcome::Published, None),
                    (false, Some(problem)) => unusable(problem),
                };
                assert_eq!(outcome(&found), expected, "{count} of {status}");
                let resource = (is_followed || problem.is_some()).then(|| SERVER.to_owned());
                if found.metadata.is_some() {
                    assert_eq!(found.resource, resource, "{count} of {status}");
                }
                assert!(!targets.contains(&format!("GET {}", step(4))));
                assert_eq!(log.len(), targets.len(), "each request is in the log");
            }
        }
    }
    for (status, to) in [
        (300, "/step/1"),
        (304, "/step/1"),
        (305, "/step/1"),
        (302, "http://["),
        (302, SERVER),
        (302, "/mcp#x"),
    ] {
        let pages = Pages::default()
            .redirect(PRM, status, to)
            .prm(&step(1), "http://mcp.example");
        let (found, targets, _) = discover_at(pages, Some(CHALLENGE)).await;
        assert_eq!(
            outcome(&found),
            unusable(DiscoveryProblem::InvalidMetadata),
            "{status} to {to}"
        );
        assert!(
            !targets
                .iter()
                .any(|target| target.contains("step") || target.ends_with("/mcp.example/mcp"))
        );
    }
}

#[tokio::test]
async fn a_redirect_to_another_public_host_is_followed() {
    let pages = Pages::valid().redirect(METADATA, 302, "https://auth.example/metadata");
    let (found, targets, _) = discover_at(pages, None).await;
    // The proxy of this test does not connect there.
    assert_eq!(outcome(&found), (DiscoveryOutcome::Unavailable, None));
    assert_eq!(
        targets.last().unwrap(),
        "CONNECT auth.example:443",
        "no other document is requested"
    );
}

#[tokio::test]
async fn a_redirected_document_must_name_the_requested_issuer() {
    let endpoint = "http://mcp.example/token";
    let there = "http://mcp.example/tenant/metadata";
    for (issuer, expected) in [
        ("http://mcp.example", (DiscoveryOutcome::Published, None)),
        ("http://mcp.example/", (DiscoveryOutcome::Published, None)),
        (
            "http://mcp.example/tenant",
            unusable(DiscoveryProblem::IssuerMismatch),
        ),
        (
            "https://auth.example",
            unusable(DiscoveryProblem::IssuerMismatch),
        ),
    ] {
        let pages = Pages::valid().redirect(METADATA, 302, there);
        let pages = pages.metadata(there, issuer, endpoint);
        let (found, ..) = discover_at(pages, None).await;
        assert_eq!(outcome(&found), expected, "{issuer}");
    }
}

#[tokio::test]
async fn a_document_may_have_at_most_1_mb() {
    let document = r#"{"resource":"http://mcp.example/mcp","authorization_servers":["http://mcp.example"],"x":""#;
    for (length, expected) in [
        (MAX_DOCUMENT_BYTES, (DiscoveryOutcome::Published, None)),
        (
            MAX_DOCUMENT_BYTES + 1,
            (DiscoveryOutcome::Unavailable, None),
        ),
    ] {
        let filling = "x".repeat(length - document.len() - 2);
        let body = format!("{document}{filling}\"}}");
        assert_eq!(body.len(), length);
        let pages = Pages::valid().with(PRM, response(200, "", &body));
        let pages = match expected.0 {
            DiscoveryOutcome::Published => pages,
            _ => pages.with(METADATA, response(404, "", "")),
        };
        let (found, _, log) = discover_at(pages, Some(CHALLENGE)).await;
        assert_eq!(outcome(&found), expected, "{length} bytes");
        let was_too_large = log.requests()[0].io == Some(IoTrouble::TooLarge);
        assert_eq!(was_too_large, length > MAX_DOCUMENT_BYTES, "{length} bytes");
    }
}

#[tokio::test]
async fn a_server_in_a_private_network_may_name_an_issuer_there() {
    let listener = listener();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let server = base.replace("127.0.0.1", "mcp.corp") + "/mcp";
    let resource = json!({
        "resource": server, "authorization_servers": [base], "scopes_supported": ["a"],
    });
    let metadata = json!({
        "issuer": base, "authorization_endpoint": base, "token_endpoint": base,
    });
    let _internet = TestInternet::at(listener, move |target| match target {
        "GET /.well-known/oauth-protected-resource/mcp" => response(200, "", &resource.to_string()),
        "GET /.well-known/oauth-authorization-server" => response(200, "", &metadata.to_string()),
        _ => response(404, "", ""),
    });
    let server: Url = server.parse().unwrap();
    let network = network(vec![("mcp.corp", "127.0.0.1")]);
    let guarded = network.guarded_client(&server).await;
    let found = discover(&guarded, &server, None, None, &RequestLog::default()).await;
    assert_eq!(
        outcome(&found),
        (DiscoveryOutcome::Published, None),
        "{found:?}"
    );
    assert_eq!(found.resource.as_deref(), Some(server.as_str()));
    assert_eq!(found.scopes, ["a"]);
}

/// Which document may supply the `resource`: only one that was requested as protected-resource metadata and accepted.
#[tokio::test]
async fn only_an_accepted_document_of_the_resource_supplies_the_resource() {
    const ROOT_PRM: &str = "http://mcp.example/.well-known/oauth-protected-resource";
    const VICTIM: &str = "https://victim.example/api";
    const ORIGIN: &str = "http://mcp.example";
    let named = |resource: &str| json!({ "resource": resource, "scopes_supported": ["a"] });
    let with_servers = |resource: &str| json!({ "resource": resource, "scopes_supported": ["b"], "authorization_servers": [ORIGIN] });
    let hostile =
        |resource: &str| json!({ "resource": resource, "scopes_supported": ["victim:all"] });
    let base = || Pages::default().authorization_server(METADATA, &json!(null));
    let pointer = r#"Bearer resource_metadata="http://mcp.example/prm""#;
    let here = "http://mcp.example/prm";
    let to_metadata = format!(r#"Bearer resource_metadata="{METADATA}""#);
    for (about, pages, challenge, expected) in [
        (
            "authorization server metadata has a resource",
            base()
                .json(PRM, &with_servers(SERVER))
                .authorization_server(METADATA, &hostile(VICTIM)),
            None,
            Some((SERVER, "b")),
        ),
        (
            "there is only authorization server metadata",
            base().authorization_server(METADATA, &hostile(VICTIM)),
            None,
            None,
        ),
        (
            "authorization server metadata has a resource that would apply",
            base().authorization_server(METADATA, &hostile(ORIGIN)),
            None,
            None,
        ),
        (
            "OpenID metadata has a resource",
            Pages::default()
                .json(PRM, &with_servers(SERVER))
                .authorization_server(
                    "http://mcp.example/.well-known/openid-configuration",
                    &hostile(VICTIM),
                ),
            None,
            Some((SERVER, "b")),
        ),
        (
            "a document of another resource is rejected",
            base().json(PRM, &with_servers(VICTIM)),
            None,
            None,
        ),
        (
            "a rejected document follows an accepted one",
            base()
                .json(here, &named(SERVER))
                .json(PRM, &with_servers(VICTIM)),
            Some(pointer),
            Some((SERVER, "a")),
        ),
        (
            "the URL in the challenge has no document",
            base().json(ROOT_PRM, &with_servers(ORIGIN)),
            Some(CHALLENGE),
            Some((ORIGIN, "b")),
        ),
        (
            "the URL in the challenge is not a well-known one",
            base().json(here, &with_servers("http://mcp.example/mcp/")),
            Some(pointer),
            Some(("http://mcp.example/mcp/", "b")),
        ),
        (
            "the last of two accepted documents names the servers",
            base()
                .json(here, &named("http://mcp.example/mcp/"))
                .json(PRM, &with_servers(SERVER)),
            Some(pointer),
            Some((SERVER, "b")),
        ),
        (
            "a redirect leads to the document",
            base()
                .redirect(PRM, 302, "/prm")
                .json(here, &with_servers(ORIGIN)),
            None,
            Some((ORIGIN, "b")),
        ),
        (
            "a redirect leads to a document of another resource",
            base()
                .redirect(PRM, 302, "/prm")
                .json(here, &with_servers(VICTIM)),
            None,
            None,
        ),
        (
            "the document has an error status",
            base().with(PRM, response(403, "", &with_servers(SERVER).to_string())),
            None,
            None,
        ),
        (
            "the challenge points to authorization server metadata",
            base().authorization_server(METADATA, &hostile(VICTIM)),
            Some(CHALLENGE),
            None,
        ),
        (
            "the challenge points to authorization server metadata that has an applicable resource",
            base().authorization_server(METADATA, &hostile(ORIGIN)),
            Some(&*to_metadata),
            Some((ORIGIN, "victim:all")),
        ),
        (
            "a URL of resource metadata that requires authorization points elsewhere",
            base().json(here, &with_servers(SERVER)).with(
                PRM,
                response(401, &format!("www-authenticate: {pointer}\r\n"), ""),
            ),
            None,
            Some((SERVER, "b")),
        ),
    ] {
        let (found, ..) = discover_at(pages, challenge).await;
        assert_eq!(
            outcome(&found),
            (DiscoveryOutcome::Published, None),
            "{about}"
        );
        let (resource, scopes) = expected.unzip();
        assert_eq!(found.resource.as_deref(), resource, "{about}");
        assert_eq!(found.scopes, Vec::from_iter(scopes), "{about}");
    }
}

/// A host with several tenants, each below a path of its own. The well-known addresses of the host belong to its operator (RFC 9728,
/// sections 3.1 and 3.3).
#[tokio::test]
async fn a_tenant_of_a_host_cannot_name_the_whole_host_as_its_resource() {
    const ROOT_PRM: &str = "http://mcp.example/.well-known/oauth-protected-resource";
    const OWN: &str = "http://mcp.example/mcp/prm";
    const OWN_WELL_KNOWN: &str = "http://mcp.example/mcp/.well-known/oauth-protected-resource";
    const ORIGIN: &str = "http://mcp.example";
    let document =
        |resource: &str| json!({ "resource": resource, "authorization_servers": [ORIGIN] });
    let base = || Pages::default().authorization_server(METADATA, &json!(null));
    let host = || Pages::default().json(OWN, &document(ORIGIN));
    let to = |url: &str| Some(format!(r#"Bearer resource_metadata="{url}""#));
    let published = |resource| Ok((DiscoveryOutcome::Published, Some(resource)));
    for (about, pages, challenge, expected) in [
        (
            "the document of the host names the server",
            base()
                .json(OWN, &document(ORIGIN))
                .json(PRM, &document(SERVER)),
            to(OWN),
            published(SERVER),
        ),
        (
            "the document of the host names the host",
            base()
                .json(OWN, &document(ORIGIN))
                .json(ROOT_PRM, &document(ORIGIN)),
            to(OWN),
            published(ORIGIN),
        ),
        (
            "the host has no document, and is an authorization server",
            base().json(OWN, &document(ORIGIN)),
            to(OWN),
            Err(OWN),
        ),
        ("the host has nothing", host(), to(OWN), Err(OWN)),
        (
            "the document of the host names another path",
            base()
                .json(OWN, &document(ORIGIN))
                .json(PRM, &document("http://mcp.example/other")),
            to(OWN),
            Err(OWN),
        ),
        (
            "the well-known address below the path belongs to the tenant",
            Pages::default().json(OWN_WELL_KNOWN, &document(ORIGIN)),
            None,
            Err(OWN_WELL_KNOWN),
        ),
        (
            "such a document does not end the search",
            base()
                .json(OWN_WELL_KNOWN, &document(ORIGIN))
                .json(ROOT_PRM, &document(ORIGIN)),
            None,
            published(ORIGIN),
        ),
        (
            "such a document names the server",
            base().json(OWN_WELL_KNOWN, &document(SERVER)),
            None,
            published(SERVER),
        ),
        (
            "the challenge names a document of the host",
            base().json(PRM, &document(ORIGIN)),
            to(PRM),
            published(ORIGIN),
        ),
    ] {
        let (found, ..) = discover_at(pages, challenge.as_deref()).await;
        match expected {
            Ok((outcome, resource)) => {
                assert_eq!(found.evidence.outcome, Some(outcome), "{about}");
                assert_eq!(found.resource.as_deref(), resource, "{about}");
            }
            Err(at) => {
                let expected = unusable(DiscoveryProblem::ResourceMismatch);
                assert_eq!(outcome(&found), expected, "{about}");
                assert_eq!(found.evidence.document.as_deref(), Some(at), "{about}");
                assert!(found.metadata.is_none(), "{about}");
            }
        }
    }
}

/// The SDK accepts any issuer in a document at such a URL, so the refresh token of the named issuer could be sent to the
/// token endpoint in the document.
#[tokio::test]
async fn an_issuer_at_a_url_of_resource_metadata_is_not_requested() {
    let hostile = "http://mcp.example/.well-known/oauth-protected-resource/issuer";
    let pages = Pages::default().prm(PRM, hostile).metadata(
        hostile,
        "https://auth.example",
        "http://mcp.example/token",
    );
    let (found, targets, _) = discover_at(pages, None).await;
    let expected = unusable(DiscoveryProblem::NoAuthorizationServer);
    assert_eq!(outcome(&found), expected);
    assert_eq!(targets, [format!("GET {PRM}")]);
}

#[tokio::test]
async fn a_token_endpoint_with_a_user_name_or_a_fragment_cannot_be_used() {
    for endpoint in [
        "https://user@auth.example/token",
        "https://:password@auth.example/token",
        "https://auth.example/token#part",
        "token",
    ] {
        let fields = json!({ "token_endpoint": endpoint });
        let pages = Pages::valid().authorization_server(METADATA, &fields);
        let (found, ..) = discover_at(pages, None).await;
        let expected = unusable(DiscoveryProblem::InvalidMetadata);
        assert_eq!(outcome(&found), expected, "{endpoint}");
        assert!(found.metadata.is_none(), "{endpoint}");
    }
}

/// A guessed address that has a document of something else, or a page for every path, does not end the discovery.
#[tokio::test]
async fn a_guessed_address_does_not_end_the_discovery() {
    const MARKED: &str = "\u{feff}{\"issuer\":\"http://mcp.example\",\"authorization_endpoint\":\"https://auth.example/authorize\",\"token_endpoint\":\"http://mcp.example/token\"}";
    const BELOW: &str = "http://mcp.example/.well-known/oauth-authorization-server/mcp";
    const OPENID: &str = "http://mcp.example/.well-known/openid-configuration";
    const OPENID_BELOW: &str = "http://mcp.example/mcp/.well-known/openid-configuration";
    const ROOT_PRM: &str = "http://mcp.example/.well-known/oauth-protected-resource";
    let root = || json!({ "issuer": "http://mcp.example" });
    let below = json!({ "issuer": "http://mcp.example/mcp" });
    let page = response(200, "content-type: text/html\r\n", "<h1>Welcome</h1>");
    let error = json!({ "error": "not found" });
    let with_root = || Pages::default().authorization_server(METADATA, &root());
    let published = (DiscoveryOutcome::Published, None);
    for (about, pages, issuer) in [
        (
            "a document after a byte order mark",
            Pages::default().with(METADATA, response(200, "", MARKED)),
            "http://mcp.example",
        ),
        (
            "the root's document is everywhere",
            with_root()
                .authorization_server(BELOW, &root())
                .authorization_server(PRM, &root()),
            "http://mcp.example",
        ),
        (
            "a page is everywhere else",
            with_root()
                .with(BELOW, page.clone())
                .with(PRM, page.clone())
                .with(ROOT_PRM, page),
            "http://mcp.example",
        ),
        (
            "an error as JSON",
            with_root()
                .json(BELOW, &error)
                .json(PRM, &error)
                .json(ROOT_PRM, &error),
            "http://mcp.example",
        ),
        (
            "a document without an issuer",
            with_root().authorization_server(BELOW, &json!({ "issuer": null })),
            "http://mcp.example",
        ),
        (
            "only OpenID at the root",
            Pages::default().authorization_server(OPENID, &root()),
            "http://mcp.example",
        ),
        (
            "only OpenID after the path",
            Pages::default().authorization_server(OPENID_BELOW, &below),
            "http://mcp.example/mcp",
        ),
        (
            "OpenID after a document of another issuer",
            with_root()
                .authorization_server(METADATA, &json!({ "issuer": "https://other.example" }))
                .authorization_server(OPENID, &root()),
            "http://mcp.example",
        ),
    ] {
        let (found, ..) = discover_at(pages, None).await;
        assert_eq!(outcome(&found), published, "{about}: {found:?}");
        assert_eq!(found.evidence.issuer.as_deref(), Some(issuer), "{about}");
    }
    // If it is unknown whether the issuer with the path exists, the other one could be the wrong one.
    let pages = with_root().with(BELOW, response(503, "", ""));
    let (found, ..) = discover_at(pages, None).await;
    assert_eq!(outcome(&found), (DiscoveryOutcome::Unavailable, None));

    // Some servers respond to any unknown path with 500. A stored credential of another issuer may then still be refreshed there.
    let broken = || response(500, "", "");
    let pages = || with_root().with(PRM, broken()).with(BELOW, broken());
    for (pages, granted_by, expected) in [
        (pages(), None, published),
        (pages(), Some("http://mcp.example"), published),
        (
            pages(),
            Some("https://auth.example"),
            (DiscoveryOutcome::Unavailable, None),
        ),
        (with_root(), Some("https://auth.example"), published),
        (
            Pages::default().with(PRM, broken()),
            None,
            (DiscoveryOutcome::Unavailable, None),
        ),
    ] {
        let internet = pages.internet();
        let server = SERVER.parse().unwrap();
        let network = internet.network("", Vec::new());
        let guarded = network.guarded_client(&server).await;
        let log = RequestLog::default();
        let found = discover(&guarded, &server, None, granted_by, &log).await;
        assert_eq!(outcome(&found), expected, "{granted_by:?}");
    }
}

/// An origin equals itself with a slash. Any other difference between issuers is refused and named.
#[tokio::test]
async fn the_metadata_must_name_the_expected_issuer() {
    for (named, path, issuer, is_same) in [
        ("http://mcp.example", "", "http://mcp.example", true),
        ("http://mcp.example", "", "http://mcp.example/", true),
        ("http://mcp.example/", "", "http://mcp.example", true),
        ("http://mcp.example/t", "/t", "http://mcp.example/t", true),
        ("http://mcp.example/t/", "/t", "http://mcp.example/t/", true),
        ("http://mcp.example/t/", "/t", "http://mcp.example/t", false),
        ("http://mcp.example/t", "/t", "http://mcp.example/t/", false),
        ("http://mcp.example//", "", "http://mcp.example", false),
        ("http://mcp.example", "", "http://MCP.example", false),
        ("http://mcp.example:80", "", "http://mcp.example", false),
        ("http://mcp.example", "", "https://mcp.example", false),
        ("http://mcp.example", "", "https://auth.example", false),
    ] {
        let pages = Pages::default()
            .prm(PRM, named)
            .authorization_server(&format!("{METADATA}{path}"), &json!({ "issuer": issuer }));
        let (found, ..) = discover_at(pages, None).await;
        let about = format!("{named} and {issuer}");
        assert_eq!(found.metadata.is_some(), is_same, "{about}");
        assert_eq!(found.evidence.issuer.as_deref(), Some(issuer), "{about}");
        let expected = (!is_same).then_some(named);
        assert_eq!(
            found.evidence.expected_issuer.as_deref(),
            expected,
            "{about}"
        );
        let problem = (!is_same).then_some(DiscoveryProblem::IssuerMismatch);
        assert_eq!(found.evidence.problem, problem, "{about}");
    }
}

/// An authorization server that cannot be reached or used leads to the next one. A stored credential can only be
/// refreshed by the server that has granted it.
#[tokio::test]
async fn the_next_of_several_authorization_servers_is_tried() {
    let (one, two) = ("http://mcp.example/1", "http://mcp.example/2");
    let at = |issuer: &str| {
        format!(
            "{METADATA}{}",
            issuer.trim_start_matches("http://mcp.example")
        )
    };
    let document =
        |servers: &[&str]| json!({ "resource": SERVER, "authorization_servers": servers });
    let both = || Pages::default().json(PRM, &document(&[one, two]));
    let with = |pages: Pages, issuer: &str| {
        pages.authorization_server(&at(issuer), &json!({ "issuer": issuer }))
    };
    let busy = |pages: Pages, issuer: &str| pages.with(&at(issuer), response(503, "", ""));
    let unreachable = || Pages::default().json(PRM, &document(&["https://auth.example", two]));
    let unusable_endpoint = |pages: Pages| {
        pages.authorization_server(&at(one), &json!({ "issuer": one, "token_endpoint": "x" }))
    };
    for (about, pages, granted_by, expected) in [
        ("both", with(with(both(), one), two), None, Ok(one)),
        ("the first is missing", with(both(), two), None, Ok(two)),
        (
            "the first is busy",
            with(busy(both(), one), two),
            None,
            Ok(two),
        ),
        (
            "the first has no connection",
            with(unreachable(), two),
            None,
            Ok(two),
        ),
        (
            "the first has an unusable endpoint",
            with(unusable_endpoint(both()), two),
            None,
            Ok(two),
        ),
        (
            "the first names another issuer",
            with(both().authorization_server(&at(one), &json!({})), two),
            None,
            Ok(two),
        ),
        (
            "none is there",
            both(),
            None,
            Err(DiscoveryOutcome::Unusable),
        ),
        (
            "the last is busy",
            busy(both(), two),
            None,
            Err(DiscoveryOutcome::Unavailable),
        ),
        (
            "the second has granted",
            with(with(both(), one), two),
            Some(two),
            Ok(two),
        ),
        (
            "the one that has granted is busy",
            with(busy(both(), one), two),
            Some(one),
            Err(DiscoveryOutcome::Unavailable),
        ),
        (
            "the one that has granted is gone",
            with(both(), two),
            Some(one),
            Ok(two),
        ),
        (
            "another one has granted",
            with(both(), two),
            Some("https://old.example"),
            Ok(two),
        ),
    ] {
        let internet = pages.internet();
        let server = SERVER.parse().unwrap();
        let network = internet.network("", Vec::new());
        let guarded = network.guarded_client(&server).await;
        let found = discover(&guarded, &server, None, granted_by, &RequestLog::default()).await;
        let actual = match &found.metadata {
            Some(metadata) => Ok(metadata.issuer.as_deref().unwrap()),
            None => Err(found.evidence.outcome.unwrap()),
        };
        assert_eq!(actual, expected, "{about}");
    }
}

/// A server behind a proxy can point to an address that only its own network can reach.
#[tokio::test]
async fn a_pointer_that_is_not_reachable_leads_to_the_addresses_of_the_server() {
    const POINTER: &str = r#"Bearer resource_metadata="https://internal.example/metadata""#;
    let (found, targets, log) = discover_at(Pages::valid(), Some(POINTER)).await;
    assert_eq!(outcome(&found), (DiscoveryOutcome::Published, None));
    assert_eq!(found.evidence.issuer.as_deref(), Some("http://mcp.example"));
    assert!(targets.len() <= documents::MAX_REQUESTS, "{targets:?}");
    let (what, todo) = failed_discovery(&log.requests()).unwrap();
    assert!(what.contains("https://internal.example/metadata"), "{what}");
    assert_eq!(todo, ": try again later");

    // The server names its metadata elsewhere, so it is not itself the authorization server.
    let pages = Pages::default();
    let pages = pages.metadata(METADATA, "http://mcp.example", "http://mcp.example/token");
    let (found, targets, _) = discover_at(pages, Some(POINTER)).await;
    assert_eq!(outcome(&found), (DiscoveryOutcome::Unavailable, None));
    assert!(!targets.iter().any(|target| target.contains(METADATA)));

    // Nothing at the same address is better.
    let (found, targets, _) = discover_at(
        Pages::valid().with("http://mcp.example/metadata", String::new()),
        Some(r#"Bearer resource_metadata="http://mcp.example/metadata""#),
    )
    .await;
    assert_eq!(outcome(&found), (DiscoveryOutcome::Unavailable, None));
    let is_pointer = |target: &String| target == "GET http://mcp.example/metadata";
    assert!(targets.iter().all(is_pointer), "{targets:?}");
}

#[tokio::test]
async fn the_time_for_another_attempt_is_recorded() {
    let pages = Pages::default()
        .prm(PRM, "http://mcp.example")
        .with(METADATA, response(429, "retry-after: 30\r\n", ""));
    let (found, _, log) = discover_at(pages, Some(CHALLENGE)).await;
    assert_eq!(outcome(&found), (DiscoveryOutcome::Unavailable, None));
    let (what, todo) = failed_discovery(&log.requests()).unwrap();
    assert_eq!(what, format!("HTTP 429 from {METADATA}"));
    assert_eq!(todo, ": try again in 30 s");
}
