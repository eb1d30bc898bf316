//! What holds for every input, tried with many.

#![allow(
    clippy::unwrap_used,
    reason = "a helper of a test fails as the test does"
)]

mod actions;

use std::collections::HashSet;

use mcp_startup_core::{
    AccessTokenWorth, AppliedLines, ClientSource, ConfigurationEvidence, CredentialEvidence,
    CredentialFacts, CredentialSent, CredentialSource, CredentialStoreTrouble, CredentialWorth,
    DiscoveryEvidence, DiscoveryOutcome, DiscoveryProblem, Evidence, IoTrouble, LineError,
    LineSplitter, McpServerStatusUpdatedNotification as Notification, ProcessEvidence,
    ProtocolEvidence, RequestEvidence, RequestTarget, SpawnFailure, StartPhase, StartupFailureKind,
    StartupTracker, StoreEvidence, Transport, assess, decode, decode_lines, encode, judge,
    printable, refusal,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

/// Any characters: control characters, quotes, other scripts.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => vec(any::<char>(), 0..12).prop_map(String::from_iter),
        3 => "[a-z]{1,8}",
        1 => vec(select(vec!['\n', '\r', '\u{1b}', '"', '\\', '\u{0}', '\u{2028}', '\u{202e}', 'é']), 0..400)
            .prop_map(String::from_iter),
    ]
}

fn any_notification() -> impl Strategy<Value = Notification> {
    notification(text().boxed(), text().boxed())
}

/// Few names and threads, so that lines meet the same server again.
fn notification_of_few() -> impl Strategy<Value = Notification> {
    notification(
        select(vec!["a", "b", "c", "d"])
            .prop_map(String::from)
            .boxed(),
        select(vec!["", "x"]).prop_map(String::from).boxed(),
    )
}

fn notification(
    name: BoxedStrategy<String>,
    error: BoxedStrategy<String>,
) -> impl Strategy<Value = Notification> {
    let thread = prop_oneof![
        Just(None),
        select(vec!["t1", "t2", ""]).prop_map(|thread| Some(thread.to_owned())),
        text().prop_map(Some)
    ];
    (0..5, name, error, thread).prop_map(|(constructor, name, error, thread)| {
        let built = match constructor {
            0 => Notification::starting(name),
            1 => Notification::ready(name),
            2 => Notification::cancelled(name),
            3 => Notification::failed(name, error),
            _ => Notification::reauthentication_required(name, error),
        };
        match thread {
            Some(thread) => built.with_thread_id(thread),
            None => built,
        }
    })
}

/// One line, good or not, without a line end inside.
fn any_line() -> impl Strategy<Value = Vec<u8>> {
    let good = notification_of_few().prop_map(|said| encode(&said).into_bytes());
    let mended = |mut bytes: Vec<u8>| {
        bytes.retain(|byte| *byte != b'\n');
        // One at the end would belong to the line's end, or not, by what follows it.
        while bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        bytes
    };
    prop_oneof![
        6 => good.boxed(),
        2 => vec(any::<u8>(), 0..60).prop_map(mended).boxed(),
        2 => damaged_line().prop_map(mended).boxed(),
        1 => select(vec![
            &b""[..], b"\r", b"  ", b"{}", b"[]", b"{\"id\":1,\"result\":{}}", b"{\"method\":\"ping\"}",
            b"{\"method\":\"mcpServer/startupStatus/updated\",\"params\":{\"name\":\"a\",\"status\":\"ready\",\"failureReason\":\"reauthenticationRequired\"}}",
            b"{\"method\":\"mcpServer/startupStatus/updated\",\"params\":{\"name\":\"a\",\"status\":\"paused\",\"failureReason\":\"x\"}}",
            b"{\"method\":\"mcpServer/startupStatus/updated\",\"params\":{\"name\":\"b\",\"status\":\"failed\",\"failureReason\":\"x\"}}",
            b"{\"method\":\"mcpServer/startupStatus/updated\",\"params\":{\"status\":\"ready\"}}",
        ]).prop_map(<[u8]>::to_vec).boxed(),
    ]
}

/// A good line in which some bytes were changed: nearer to what breaks a reader than noise is.
fn damaged_line() -> impl Strategy<Value = Vec<u8>> {
    (
        any_notification(),
        vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    )
        .prop_map(|(said, changes)| {
            let mut bytes = encode(&said).into_bytes();
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes
        })
}

fn joined(lines: &[Vec<u8>], ends: &[bool], last_end: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        bytes.extend_from_slice(line);
        if at + 1 < lines.len() || last_end {
            let carriage_return = ends.get(at).copied().unwrap_or_default();
            bytes.extend_from_slice(if carriage_return { b"\r\n" } else { b"\n" });
        }
    }
    bytes
}

type Lines = Vec<(u64, Result<Vec<u8>, LineError>)>;

fn split(limit: usize, pieces: &[&[u8]]) -> Lines {
    let mut lines = Vec::new();
    let mut take = |number, line: Result<&[u8], LineError>| {
        lines.push((number, line.map(<[u8]>::to_vec)));
    };
    let mut splitter = LineSplitter::with_limit(limit);
    for piece in pieces {
        splitter.push(piece, &mut take);
    }
    splitter.finish(&mut take);
    lines
}

/// `bytes` cut at arbitrary places, empty pieces among them.
fn pieces<'a>(bytes: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    cuts.sort_unstable();
    let mut pieces = Vec::new();
    let mut start = 0;
    for cut in cuts {
        pieces.push(&bytes[start..cut]);
        start = cut;
    }
    pieces.push(&bytes[start..]);
    pieces
}

fn one_of<T: Copy + std::fmt::Debug + 'static>(
    values: &'static [T],
) -> impl Strategy<Value = Option<T>> {
    option::of(select(values))
}

fn words() -> impl Strategy<Value = Option<String>> {
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
        words(),
        option::weighted(0.8, any_worth()),
        one_of(&[
            Client::Configuration,
            Client::Registration,
            Client::MetadataDocument,
        ]),
        any_issuer(),
    )
        .prop_map(
            |(source, name, worth, client_source, stored_issuer)| CredentialEvidence {
                source,
                name,
                worth,
                client_source,
                stored_issuer,
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
        words(),
    ];
    let challenge = prop_oneof![
        Just(None),
        Just(Some("Bearer error=\"insufficient_scope\"".to_owned())),
        words(),
    ];
    (
        one_of(&[
            RequestTarget::Mcp,
            RequestTarget::Mcp,
            RequestTarget::Discovery,
            RequestTarget::Token,
        ]),
        words(),
        one_of(&[
            Sent::None,
            Sent::Stored,
            Sent::Refreshed,
            Sent::Configuration,
        ]),
        status,
        words(),
        challenge,
        oauth_error,
        words(),
        option::weighted(
            0.2,
            select(&[Dns, Connect, Tls, Closed, Timeout, TooLarge][..]),
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
                oauth_error,
                retry_after,
                io,
            )| {
                RequestEvidence {
                    to,
                    url,
                    credential_sent,
                    status,
                    content_type,
                    challenge,
                    oauth_error,
                    retry_after,
                    io,
                }
            },
        )
}

fn any_discovery() -> impl Strategy<Value = DiscoveryEvidence> {
    use DiscoveryOutcome::*;
    use DiscoveryProblem::*;
    (
        one_of(&[Published, NotPublished, Unavailable, Unusable]),
        any_issuer(),
        one_of(&[
            ResourceMismatch,
            NoAuthorizationServer,
            IssuerMismatch,
            InvalidMetadata,
        ]),
    )
        .prop_map(|(outcome, issuer, problem)| DiscoveryEvidence {
            outcome,
            issuer,
            problem,
        })
}

fn any_process() -> impl Strategy<Value = ProcessEvidence> {
    (
        words(),
        words(),
        one_of(&[SpawnFailure::NotFound, SpawnFailure::Failed]),
        any::<Option<i32>>(),
        any::<Option<i32>>(),
        words(),
    )
        .prop_map(
            |(program, path, spawn, exit, signal, stderr)| ProcessEvidence {
                program,
                path,
                spawn,
                exit,
                signal,
                stderr,
            },
        )
}

/// Arbitrary evidence; what wins every time (a bad entry, a missing program) is rare, so that the rows below it are met.
fn any_evidence() -> impl Strategy<Value = Evidence> {
    use CredentialStoreTrouble::*;
    use StartPhase::*;
    let configuration = (words(), any::<Option<u32>>(), words())
        .prop_map(|(key, line, problem)| ConfigurationEvidence { key, line, problem });
    let store = (
        words(),
        one_of(&[Locked, Unreadable, Corrupt, Unsupported]),
        words(),
    )
        .prop_map(|(kind, trouble, detail)| StoreEvidence {
            kind,
            trouble,
            detail,
        });
    let protocol = (option::of(vec(text(), 0..4)), words(), words()).prop_map(
        |(server_versions, not_mcp, error)| ProtocolEvidence {
            server_versions,
            not_mcp,
            error,
        },
    );
    let times = prop_oneof![
        3 => Just((None, None)),
        1 => Just((Some(30_000), Some(30_000))),
        1 => any::<(Option<u64>, Option<u64>)>(),
    ];
    (
        (
            words(),
            one_of(&[Transport::Stdio, Transport::Http]),
            one_of(&[
                Configuring,
                ReadingCredentials,
                Launching,
                Initializing,
                Authorizing,
            ]),
            times,
            option::weighted(0.05, configuration),
        ),
        option::weighted(0.9, any_credential()),
        option::weighted(0.15, store),
        vec(any_request(), 0..5),
        option::weighted(0.7, any_discovery()),
        option::weighted(0.1, any_process()),
        option::weighted(0.3, protocol),
        words(),
    )
        .prop_map(
            |(
                (server, transport, phase, (limit_ms, elapsed_ms), configuration),
                credential,
                store,
                requests,
                discovered,
                process,
                protocol,
                cause,
            )| Evidence {
                server,
                transport,
                phase,
                limit_ms,
                elapsed_ms,
                configuration,
                credential,
                store,
                requests,
                discovered,
                process,
                protocol,
                cause,
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn decoding_any_bytes_never_panics(bytes in vec(any::<u8>(), 0..200), line in damaged_line()) {
        let _ = decode(&bytes);
        let _ = decode_lines(&bytes);
        let _ = StartupTracker::default().apply_lines(&bytes);
        if let Ok(Some(read)) = decode(&line) {
            // What is read can be written, and is the same when it is read again.
            prop_assert_eq!(decode(encode(&read).as_bytes()), Ok(Some(read)));
        }
    }

    #[test]
    fn what_is_written_is_read_again(said in any_notification()) {
        let line = encode(&said);
        prop_assert!(!line.bytes().any(|byte| byte < 0x20), "a line end or a raw control character");
        prop_assert_eq!(decode(line.as_bytes()), Ok(Some(said)));
    }

    /// A space before it takes a line out of the layout that is read where it stands.
    #[test]
    fn the_quick_reader_and_that_of_any_json_agree(line in any_line()) {
        let slow = decode(&[b" ", &line[..]].concat());
        match (decode(&line), slow) {
            (Err(quick), Err(slow)) => prop_assert_eq!((quick.kind, quick.field), (slow.kind, slow.field)),
            (quick, slow) => prop_assert_eq!(quick, slow),
        }
    }

    #[test]
    fn a_reason_stands_on_failed_alone(line in any_line()) {
        if let Ok(Some(read)) = decode(&line)
            && read.failure_reason().is_some()
        {
            prop_assert!(!matches!(read.status().as_str(), "starting" | "ready" | "cancelled"));
        }
    }

    #[test]
    fn good_lines_among_garbage_are_all_kept(
        lines in vec((any_notification(), option::of(vec(any::<u8>(), 0..80))), 0..12),
        ends in vec(any::<bool>(), 24),
        last_end in any::<bool>(),
    ) {
        let mut all = Vec::new();
        let mut wanted = Vec::new();
        let mut bad = Vec::new();
        for (said, garbage) in lines {
            if let Some(mut garbage) = garbage {
                garbage.retain(|byte| !matches!(byte, b'\n' | b'\r'));
                // No JSON value begins with it: bad for certain.
                garbage.insert(0, b'x');
                all.push(garbage);
                bad.push(all.len() as u64);
            }
            all.push(encode(&said).into_bytes());
            wanted.push(said);
        }
        let read = decode_lines(&joined(&all, &ends, last_end));
        prop_assert_eq!(read.notifications, wanted);
        let numbers: Vec<u64> = read.errors.iter().map(|error| error.line).collect();
        prop_assert_eq!(numbers, bad);
    }

    #[test]
    fn one_batch_is_line_by_line_is_decode_and_apply(
        lines in vec(any_line(), 0..40),
        ends in vec(any::<bool>(), 40),
        last_end in any::<bool>(),
        limit in 1_usize..6,
    ) {
        let bytes = joined(&lines, &ends, last_end);
        let mut batch = StartupTracker::with_limit(limit);
        let applied = batch.apply_lines(&bytes);

        let mut by_line = StartupTracker::with_limit(limit);
        let mut by_hand = StartupTracker::with_limit(limit);
        let mut wanted = AppliedLines::default();
        let mut seen = HashSet::new();
        for (number, line) in (1..).zip(&lines) {
            let one = by_line.apply_lines(line);
            match decode(line) {
                Ok(Some(said)) => {
                    let update = by_hand.apply(&said);
                    prop_assert_eq!(update.changed, !one.changed.is_empty());
                    prop_assert_eq!(update.prompt, !one.prompts.is_empty());
                    prop_assert!(one.errors.is_empty());
                    wanted.notifications += 1;
                    let key = (said.thread_id().map(str::to_owned), said.name().to_owned());
                    if update.changed && seen.insert(key.clone()) {
                        wanted.changed.push(key);
                    }
                    if update.prompt {
                        wanted.prompts.push(said.name().to_owned());
                    }
                }
                Ok(None) => prop_assert_eq!(one, AppliedLines::default()),
                Err(error) => {
                    prop_assert_eq!(&one.errors, &vec![LineError { line: 1, error: error.clone() }]);
                    wanted.errors.push(LineError { line: number, error });
                }
            }
        }
        prop_assert_eq!(&applied.prompts, &wanted.prompts);
        prop_assert_eq!(&applied.errors, &wanted.errors);
        prop_assert_eq!(applied.notifications, wanted.notifications);
        prop_assert_eq!(batch.servers(), by_line.servers());
        prop_assert_eq!(batch.servers(), by_hand.servers());
        prop_assert_eq!(batch.reauthentication_required(), by_line.reauthentication_required());
        prop_assert_eq!(batch.reauthentication_required(), by_hand.reauthentication_required());
        prop_assert_eq!(&applied.changed, &wanted.changed);
    }

    #[test]
    fn a_tracker_never_holds_more_than_its_limit(
        steps in vec((any_line(), option::weighted(0.1, select(vec!["t1", "t2", ""]))), 0..80),
        limit in 0_usize..5,
    ) {
        let mut tracker = StartupTracker::with_limit(limit);
        let limit = limit.max(1);
        for (line, removed) in steps {
            tracker.apply_lines(&line);
            let servers: Vec<_> = tracker.servers().into_iter().cloned().collect();
            prop_assert!(servers.len() <= limit);
            prop_assert!(tracker.reauthentication_required().len() <= limit);
            let keys: HashSet<_> = servers.iter().map(|server| (&server.thread_id, &server.name)).collect();
            prop_assert_eq!(keys.len(), servers.len(), "one entry for each (threadId, name)");
            if let Ok(Some(said)) = decode(&line) {
                let held = tracker.server(said.thread_id(), said.name());
                prop_assert_eq!(held.map(|server| &server.status), Some(said.status()), "the latest is held");
            }
            for server in &servers {
                prop_assert_eq!(tracker.server(server.thread_id.as_deref(), &server.name), Some(server));
            }
            if let Some(thread) = removed {
                let of_thread = servers.iter().filter(|server| server.thread_id.as_deref() == Some(thread)).count();
                prop_assert_eq!(tracker.remove(thread), of_thread);
                prop_assert_eq!(tracker.servers().len(), servers.len() - of_thread);
            }
        }
    }

    #[test]
    fn lines_are_the_same_wherever_the_pieces_end(
        bytes in vec(select(&b"ab\n\r"[..]), 0..60),
        cuts in vec(any::<prop::sample::Index>(), 0..12),
        limit in 0_usize..8,
    ) {
        prop_assert_eq!(split(limit, &pieces(&bytes, &cuts)), split(limit, &[&bytes]));
    }

    #[test]
    fn lines_of_a_stream_are_those_of_a_batch(
        lines in vec(any_line(), 0..20),
        ends in vec(any::<bool>(), 20),
        last_end in any::<bool>(),
        cuts in vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let bytes = joined(&lines, &ends, last_end);
        let wanted = decode_lines(&bytes);
        let mut notifications = Vec::new();
        let mut errors = Vec::new();
        for (number, line) in split(usize::MAX, &pieces(&bytes, &cuts)) {
            match decode(&line.unwrap()) {
                Ok(said) => notifications.extend(said),
                Err(error) => errors.push(LineError { line: number, error }),
            }
        }
        prop_assert_eq!(notifications, wanted.notifications);
        prop_assert_eq!(errors, wanted.errors);
    }

    #[test]
    fn judging_is_total(evidence in any_evidence()) {
        let failure = judge(evidence.clone());
        prop_assert_eq!(failure.evidence(), &evidence);
        let message = failure.message();
        prop_assert!(!message.is_empty());
        prop_assert!(message.chars().count() <= 300, "{} characters", message.chars().count());
        prop_assert!(!message.chars().any(char::is_control), "{message:?}");
        if let Some(server) = &evidence.server
            && server.chars().all(|c| c.is_ascii_graphic())
            && server.len() <= 60
        {
            prop_assert!(message.contains(server.as_str()), "{message:?} does not name {server:?}");
        }
        prop_assert!(actions::says_what_to_do(message, failure.recovery()), "{message:?} does not say what to do");
        let asks_again = failure.kind() == StartupFailureKind::ReauthenticationRequired;
        prop_assert_eq!(failure.reason().is_some(), asks_again);
        if asks_again {
            let source = evidence.credential.as_ref().and_then(|credential| credential.source);
            prop_assert_eq!(source, Some(CredentialSource::Stored));
            let last = evidence.requests.iter().rev().find(|request| request.to == Some(RequestTarget::Mcp));
            prop_assert_eq!(last.and_then(|request| request.status), Some(401), "the server refuses to go on");
        }
        let said = Notification::from_failure("x", &failure);
        prop_assert_eq!(said.failure_reason().cloned(), failure.reason());
        prop_assert_eq!(decode(encode(&said).as_bytes()), Ok(Some(said)));
        // Evidence crosses every language border as JSON.
        let json = serde_json::to_string(&evidence).unwrap();
        prop_assert_eq!(serde_json::from_str::<Evidence>(&json).unwrap(), evidence);
    }

    #[test]
    fn assessing_is_total(
        access_token in any::<bool>(),
        refresh_token in any::<bool>(),
        expires_at_ms in any::<Option<i64>>(),
        now in any::<i64>(),
    ) {
        let facts = CredentialFacts { access_token, refresh_token, expires_at_ms };
        let worth = assess(&facts, now);
        prop_assert_eq!(worth.refresh_token, refresh_token);
        prop_assert_eq!(worth.access_token == AccessTokenWorth::Absent, !access_token);
        let _ = worth.first_request();
    }

    #[test]
    fn what_is_printable_is_short_and_stays_as_it_is(text in text(), chars in 0_usize..80) {
        let shown = printable(&text, chars);
        prop_assert!(shown.chars().count() <= chars.max(1));
        prop_assert!(!shown.chars().any(char::is_control));
        prop_assert_eq!(printable(&shown, chars.max(1)), shown);
    }

    #[test]
    fn reading_an_error_code_never_panics(bytes in vec(any::<u8>(), 0..60), status in any::<Option<u16>>(), code in words()) {
        let _ = refusal::error_code(&bytes);
        let _ = refusal::meaning(status, code.as_deref(), None);
    }
}
