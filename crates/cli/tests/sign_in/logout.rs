//! `logout` if the tokens cannot be revoked.

use serde_json::json;

use crate::harness::http_server::{Request, Responder, Server};
use crate::harness::user::unrelated_records;
use crate::session::user_of;

/// The authorization server has no revocation endpoint, or revocation fails. The message reports it.
#[test]
fn logout_removes_the_record_even_if_the_tokens_cannot_be_revoked() {
    for (revocation_status, outcome) in [
        (
            None,
            "its sign-in service does not support revocation, so its tokens stay valid until they expire",
        ),
        (
            Some(503),
            "its tokens could not be revoked and stay valid until they expire",
        ),
    ] {
        let server = Server::start(move |request: &Request, responder: &mut Responder<'_>| {
            let issuer = format!("http://{}", request.header("host"));
            match request.path.as_str() {
                "/.well-known/oauth-authorization-server" => {
                    let mut metadata = json!({
                        "issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"),
                        "token_endpoint": format!("{issuer}/token"), "response_types_supported": ["code"],
                        "code_challenge_methods_supported": ["S256"],
                    });
                    if revocation_status.is_some() {
                        metadata["revocation_endpoint"] = json!(format!("{issuer}/revoke"));
                    }
                    responder.json(&metadata)
                }
                "/revoke" => {
                    responder.text(revocation_status.unwrap(), "text/plain", "\u{1b}[31mno")
                }
                _ => responder.text(404, "text/plain", ""),
            }
        });
        let user = user_of(&[("linear", &server.url())]);
        let record = json!({
            "server_name": "linear", "server_url": server.url(), "issuer": server.base(), "client_id": "c",
            "access_token": "a", "refresh_token": "r", "scopes": [],
        });
        user.store(unrelated_records().into_iter().chain([record]));
        let finished = user.program(&["logout", "linear"]).finish().assert_exit(0);
        assert_eq!(
            finished.stdout,
            format!("Signed out of linear: the stored sign-in was removed, and {outcome}.\n")
        );
        assert_eq!(user.records().len(), unrelated_records().len());
        user.assert_unrelated_records_unchanged();
    }
}
