//! Arbitrary evidence.

use mcp_startup_core::{
    AccessTokenWorth, CertificateProblem, ClientSource, ConfigurationEvidence, CredentialEvidence,
    CredentialSent, CredentialSource, CredentialStoreTrouble, CredentialWorth, DiscoveryEvidence,
    DiscoveryOutcome, DiscoveryProblem, Evidence, ExceededLimit, HeldSignInEvidence,
    HeldSignInState, IoTrouble, ProcessEvidence, ProtocolEvidence, RequestEvidence, RequestTarget,
    SpawnFailure, StartPhase, StoreEvidence, Transport,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::text::text;

/// Returns one of the values, or none.
fn one_of<T: Copy + std::fmt::Debug + 'static>(
    values: &'static [T],
) -> impl Strategy<Value = Option<T>> {
    option::of(select(values))
}

/// Returns an optional text.
pub fn optional_text() -> impl Strategy<Value = Option<String>> {
    option::of(text())
}

fn any_worth() -> impl Strategy<Value = CredentialWorth> {
    use AccessTokenWorth::*;
    (
        select(&[Absent, Good, ExpiryUnknown, Expired][..]),
        any::<bool>(),
    )
        .prop_map(|(access_token, refresh_token)| CredentialWorth {
            access_token,
            refresh_token,
        })
}

fn any_issuer() -> impl Strategy<Value = Option<String>> {
    option::of(select(&["https://a.example", "https://b.example", ""][..]).prop_map(String::from))
}

fn any_credential() -> impl Strategy<Value = CredentialEvidence> {
    use ClientSource as Client;
    use CredentialSource as Source;
    (
        one_of(&[
            Source::None,
            Source::Stored,
            Source::Stored,
            Source::Configuration,
        ]),
        optional_text(),
        option::weighted(0.8, any_worth()),
        one_of(&[
            Client::Configuration,
            Client::Registration,
            Client::MetadataDocument,
        ]),
        any_issuer(),
        option::of(vec(select(&["a", "b"][..]).prop_map(String::from), 0..3)),
    )
        .prop_map(
            |(source, name, worth, client_source, stored_issuer, granted_scopes)| {
                CredentialEvidence {
                    source,
                    name,
                    worth,
                    client_source,
                    stored_issuer,
                    granted_scopes,
                }
            },
        )
}

fn any_held_sign_in() -> impl Strategy<Value = HeldSignInEvidence> {
    use HeldSignInState::*;
    (
        optional_text(),
        one_of(&[Valid, Expired, UnknownUrl]),
        any::<Option<bool>>(),
        any::<Option<u64>>(),
    )
        .prop_map(
            |(client, state, refresh_token, expires_at_ms)| HeldSignInEvidence {
                client,
                state,
                refresh_token,
                expires_at_ms,
            },
        )
}

fn any_request() -> impl Strategy<Value = RequestEvidence> {
    use CredentialSent as Sent;
    use IoTrouble::*;
    let status = prop_oneof![
        2 => Just(None),
        6 => select(&[401, 401, 401, 403, 200, 400, 404, 429, 500, 503, 302][..]).prop_map(Some),
        1 => any::<u16>().prop_map(Some),
    ];
    let oauth_error = prop_oneof![
        Just(None),
        select(
            &[
                "invalid_grant",
                "invalid_client",
                "invalid_target",
                "invalid_request",
                "token_revoked"
            ][..]
        )
        .prop_map(|code| Some(code.to_owned())),
        optional_text(),
    ];
    let challenge = prop_oneof![
        Just(None),
        Just(Some("Bearer error=\"insufficient_scope\"".to_owned())),
        Just(Some(
            "Bearer error=\"insufficient_scope\", scope=\"a\"".to_owned()
        )),
        optional_text(),
    ];
    (
        one_of(&[
            RequestTarget::Mcp,
            RequestTarget::Mcp,
            RequestTarget::Discovery,
            RequestTarget::Token,
        ]),
        optional_text(),
        one_of(&[
            Sent::None,
            Sent::Stored,
            Sent::Refreshed,
            Sent::Configuration,
            Sent::Held,
        ]),
        status,
        optional_text(),
        challenge,
        (oauth_error, optional_text(), optional_text()),
        optional_text(),
        option::weighted(
            0.2,
            select(&[Dns, Connect, Tls, Closed, Timeout, TooLarge, Malformed][..]),
        ),
        (
            optional_text(),
            one_of(&[
                CertificateProblem::Expired,
                CertificateProblem::NotYetValid,
                CertificateProblem::WrongName,
                CertificateProblem::UnknownIssuer,
                CertificateProblem::SelfSigned,
                CertificateProblem::CertificateOfAuthority,
                CertificateProblem::Revoked,
                CertificateProblem::Invalid,
            ]),
            option::of(select(vec![
                "initialize".to_owned(),
                "server/discover".to_owned(),
                "notifications/initialized".to_owned(),
                "tools/list".to_owned(),
            ])),
            any_body(),
            (
                option::of(any::<u64>()),
                option::of(any::<bool>()),
                optional_text(),
                optional_text(),
            ),
        ),
    )
        .prop_map(
            |(
                to,
                url,
                credential_sent,
                status,
                content_type,
                challenge,
                (oauth_error, oauth_error_description, unusable_token),
                retry_after,
                io,
                (
                    content_encoding,
                    certificate,
                    method,
                    body,
                    (sent_before_at_ms, superseded, location, proxy),
                ),
            )| {
                RequestEvidence {
                    to,
                    url,
                    credential_sent,
                    status,
                    content_type,
                    content_encoding,
                    challenge,
                    oauth_error,
                    oauth_error_description,
                    unusable_token,
                    retry_after,
                    location,
                    proxy,
                    io,
                    certificate,
                    method,
                    body,
                    sent_before_at_ms,
                    superseded,
                }
            },
        )
}

/// Returns the body of an error response: text, JSON of several shapes, or HTML.
fn any_body() -> impl Strategy<Value = Option<String>> {
    let json = text().prop_map(|words| serde_json::Value::String(words).to_string());
    let shaped = (json, 0..5).prop_map(|(words, shape)| match shape {
        0 => format!("{{\"error\":{{\"message\":{words}}}}}"),
        1 => format!("{{\"errors\":[{{\"detail\":{words}}}]}}"),
        2 => format!("<html><title>{words}</title></html>"),
        3 => format!("[[[[[[{words}]]]]]]"),
        _ => words,
    });
    prop_oneof![optional_text(), shaped.prop_map(Some)]
}

/// Returns the output of a program: lines with notices, frames, errors and other text.
fn any_output() -> impl Strategy<Value = Option<String>> {
    let line = prop_oneof![
        text(),
        select(vec![
            "npm error code E404".to_owned(),
            "npm notice".to_owned(),
            "Traceback (most recent call last):".to_owned(),
            "  File \"a.py\", line 3".to_owned(),
            "Content-Length: 3".to_owned(),
            "{\"jsonrpc\":\"2.0\"".to_owned(),
            "Error: a:".to_owned(),
            "open https://login.example and enter the code".to_owned(),
        ]),
    ];
    option::of(vec(line, 0..6).prop_map(|lines| lines.join("\n")))
}

fn any_discovery() -> impl Strategy<Value = DiscoveryEvidence> {
    use DiscoveryOutcome::*;
    use DiscoveryProblem::*;
    (
        one_of(&[Published, NotPublished, Unavailable, Unusable]),
        any_issuer(),
        prop_oneof![3 => Just(None), 1 => any_issuer()],
        one_of(&[
            ResourceMismatch,
            NoAuthorizationServer,
            IssuerMismatch,
            InvalidMetadata,
            ClientDocumentRequired,
            PkceNotPublished,
            PkceNotSupported,
            Unsupported,
            ClientRequired,
        ]),
        any_issuer(),
        optional_text(),
    )
        .prop_map(
            |(outcome, issuer, expected_issuer, problem, document, invalid_field)| {
                DiscoveryEvidence {
                    outcome,
                    issuer,
                    expected_issuer,
                    problem,
                    document,
                    invalid_field,
                }
            },
        )
}

fn any_process() -> impl Strategy<Value = ProcessEvidence> {
    (
        optional_text(),
        optional_text(),
        optional_text(),
        one_of(&[SpawnFailure::NotFound, SpawnFailure::Failed]),
        any::<Option<i32>>(),
        any::<Option<i32>>(),
        any_output(),
        any_output(),
    )
        .prop_map(
            |(program, package, path, spawn, exit, signal, stderr, stdout)| ProcessEvidence {
                program,
                package,
                path,
                spawn,
                exit,
                signal,
                stderr,
                stdout,
            },
        )
}

/// Returns arbitrary evidence. Facts that decide by themselves (an invalid entry, a missing program) are rare, so that the later
/// rows of the table of kinds are reached.
pub fn any_evidence() -> impl Strategy<Value = Evidence> {
    use CredentialStoreTrouble::*;
    use StartPhase::*;
    let configuration = || {
        (optional_text(), any::<Option<u32>>(), optional_text())
            .prop_map(|(key, line, problem)| ConfigurationEvidence { key, line, problem })
    };
    let store = (
        optional_text(),
        one_of(&[Locked, InUse, Unreadable, Corrupt, Unsupported]),
        optional_text(),
    )
        .prop_map(|(kind, trouble, detail)| StoreEvidence {
            kind,
            trouble,
            detail,
        });
    let protocol = (
        option::of(vec(text(), 0..4)),
        optional_text(),
        optional_text(),
        optional_text(),
        option::weighted(0.1, text()),
    )
        .prop_map(
            |(server_versions, not_mcp, error, error_message, invalid_field)| ProtocolEvidence {
                server_versions,
                not_mcp,
                error,
                error_message,
                invalid_method: invalid_field.as_ref().map(|_| "tools/list".to_owned()),
                invalid_field,
            },
        );
    let times = prop_oneof![
        3 => Just((None, None)),
        1 => Just((Some(30_000), Some(30_000))),
        1 => any::<(Option<u64>, Option<u64>)>(),
    ];
    (
        (
            optional_text(),
            one_of(&[Transport::Stdio, Transport::Http]),
            one_of(&[
                Configuring,
                ReadingCredentials,
                Launching,
                Initializing,
                Authorizing,
                ListingTools,
            ]),
            times,
            (
                option::weighted(0.05, configuration()),
                vec(configuration(), 0..3),
            ),
        ),
        (
            option::weighted(0.9, any_credential()),
            option::weighted(0.2, any_held_sign_in()),
        ),
        option::weighted(0.15, store),
        vec(any_request(), 0..5),
        option::weighted(0.7, any_discovery()),
        option::weighted(0.1, any_process()),
        option::weighted(0.3, protocol),
        (
            option::weighted(
                0.05,
                select(vec![
                    ExceededLimit::Requests,
                    ExceededLimit::Bytes,
                    ExceededLimit::Messages,
                    ExceededLimit::ServerRequests,
                ]),
            ),
            optional_text(),
            option::weighted(0.1, any::<bool>()),
        ),
    )
        .prop_map(
            |(
                (
                    server,
                    transport,
                    phase,
                    (limit_ms, elapsed_ms),
                    (configuration, configuration_warnings),
                ),
                (credential, held_sign_in),
                store,
                requests,
                discovered,
                process,
                protocol,
                (exceeded, cause, on_command_line),
            )| Evidence {
                server,
                transport,
                phase,
                limit_ms,
                limit_key: None,
                elapsed_ms,
                configuration,
                configuration_warnings,
                credential,
                held_sign_in,
                store,
                requests,
                discovered,
                process,
                protocol,
                exceeded,
                cause,
                on_command_line,
            },
        )
}
