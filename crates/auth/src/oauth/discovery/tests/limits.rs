//! The limits of a discovery: its authorization servers, documents, requests, lists and URLs.

use super::*;
use crate::network::MAX_RECEIVED_BYTES;
use crate::oauth::discovery::documents::{MAX_DOCUMENTS, MAX_REQUESTS};
use crate::oauth::discovery::metadata::MAX_AUTHORIZATION_SERVERS;
use crate::oauth::scopes::MAX_SCOPES;

#[tokio::test]
async fn a_discovery_tries_at_most_8_authorization_servers_and_8_documents() {
    let servers = |count: usize| -> Vec<String> {
        (0..count)
            .map(|number| format!("http://mcp.example/{number}"))
            .collect()
    };
    // The number of authorization servers, and whether each of their documents redirects.
    for (count, redirects) in [
        (1, false),
        (2, false),
        (8, false),
        (9, false),
        (30_000, false),
        (30_000, true),
    ] {
        let document = json!({ "resource": SERVER, "authorization_servers": servers(count) });
        let mut pages = Pages::default().json(PRM, &document);
        if redirects {
            for server in 0..MAX_AUTHORIZATION_SERVERS {
                let to = |step: usize| format!("http://mcp.example/step/{server}/{step}");
                for form in ["oauth-authorization-server", "openid-configuration"] {
                    let document = format!("http://mcp.example/.well-known/{form}/{server}");
                    pages = pages.redirect(&document, 302, &to(1));
                }
                pages = pages
                    .redirect(&to(1), 302, &to(2))
                    .redirect(&to(2), 302, &to(3));
            }
        }
        let (found, targets, log) = discover_at(pages, None).await;
        let expected = unusable(DiscoveryProblem::NoAuthorizationServer);
        assert_eq!(outcome(&found), expected, "{count}");
        let documents = targets
            .iter()
            .filter(|target| !target.contains("/step/"))
            .count();
        let all = 1 + 5 * count.min(MAX_AUTHORIZATION_SERVERS);
        match redirects {
            false => assert_eq!(targets.len(), all.min(MAX_DOCUMENTS), "{count}"),
            true => assert_eq!(targets.len(), MAX_REQUESTS),
        }
        assert!(documents <= MAX_DOCUMENTS, "{count}: {documents}");
        assert_eq!(log.len(), targets.len(), "{count}");
    }
}

#[tokio::test]
async fn the_last_of_8_authorization_servers_is_used_and_the_next_one_is_not() {
    // Addresses that a public server must not lead to are not requested, and so do not count as documents.
    let blocked = (1..).map(|number| format!("https://10.0.0.{number}"));
    for (position, expected) in [
        (
            MAX_AUTHORIZATION_SERVERS,
            (DiscoveryOutcome::Published, None),
        ),
        (
            MAX_AUTHORIZATION_SERVERS + 1,
            unusable(DiscoveryProblem::NoAuthorizationServer),
        ),
    ] {
        let mut servers: Vec<String> = blocked.clone().take(position - 1).collect();
        // Repetitions do not count.
        servers.extend_from_within(..2);
        servers.push("http://mcp.example".to_owned());
        let document = json!({ "resource": SERVER, "authorization_servers": servers });
        let pages = Pages::valid().json(PRM, &document);
        let (found, ..) = discover_at(pages, None).await;
        assert_eq!(outcome(&found), expected, "{position}");
    }
}

#[tokio::test]
async fn the_lists_of_a_document_are_bounded() {
    let many: Vec<String> = (0..30_000).map(|number| number.to_string()).collect();
    let document = json!({
        "resource": SERVER, "authorization_servers": ["http://mcp.example"], "scopes_supported": many,
    });
    let fields = json!({
        "scopes_supported": many, "response_types_supported": ["code"], "unknown": many,
        "token_endpoint_auth_methods_supported": many,
    });
    let pages = Pages::default()
        .json(PRM, &document)
        .authorization_server(METADATA, &fields);
    let (found, ..) = discover_at(pages, None).await;
    assert_eq!(outcome(&found), (DiscoveryOutcome::Published, None));
    assert_eq!(found.scopes.len(), MAX_SCOPES);
    let kept = serde_json::to_string(&found.metadata.unwrap()).unwrap();
    assert!(kept.len() < 10_000, "{} bytes", kept.len());
    assert!(!kept.contains("unknown"));
}

#[tokio::test]
async fn a_url_that_is_too_long_is_not_requested() {
    let long = "x".repeat(2000);
    let server = format!("http://mcp.example/{long}");
    let pages = Pages::default().prm(PRM, &server);
    let (found, targets, _) = discover_at(pages, None).await;
    let expected = unusable(DiscoveryProblem::NoAuthorizationServer);
    assert_eq!(outcome(&found), expected);
    // The last form of the URL of the metadata does not have the path of the issuer.
    assert_eq!(targets, [format!("GET {PRM}"), format!("GET {METADATA}")]);
    let pages = Pages::default().redirect(PRM, 302, &server);
    let (_, targets, _) = discover_at(pages, None).await;
    assert!(
        targets.iter().all(|target| !target.contains(&long)),
        "{targets:?}"
    );
}

#[tokio::test]
async fn a_discovery_ends_when_the_start_has_exceeded_a_limit() {
    let internet = Pages::valid().internet();
    let server = SERVER.parse().unwrap();
    let network = internet.network("", Vec::new());
    let guarded = network.guarded_client(&server).await;
    let request = || mcp_startup_core::RequestEvidence::default();
    let (few, none, large) = <(RequestLog, RequestLog, RequestLog)>::default();
    while few.len() + 1 < crate::network::MAX_REQUESTS {
        few.try_sent(request()).unwrap();
    }
    while none.try_sent(request()).is_ok() {}
    large.received(MAX_RECEIVED_BYTES).unwrap();
    for (log, requests) in [(few, 1), (none, 0), (large, 1)] {
        let before = internet.targets().len();
        let found = discover(&guarded, &server, None, None, &log).await;
        assert_eq!(outcome(&found), (DiscoveryOutcome::Unavailable, None));
        assert_eq!(internet.targets().len() - before, requests);
        assert!(log.exceeded().is_some());
    }
}
