//! The errors of a sign-in whose authorization server echoes a secret, at every offset around the place where the text is cut.

use super::repeated_requests::answering;
use super::*;

const SECRET: &str = "Zq7-KvWxHtP9fQ2xZ7rT4wB8nM3v";
/// The offsets of the secret: around the cut of a message, after 150 characters.
const OFFSETS: std::ops::Range<usize> = 100..170;

fn mask() -> Mask {
    let mut mask = Mask::default();
    mask.add(SECRET);
    mask
}

/// A text with the secret after this many characters.
fn echo(offset: usize) -> String {
    format!("{}-{SECRET}-{}", "a".repeat(offset), "b".repeat(600))
}

/// A text whose secrets are so long that it is cut off in one of them, although it is short when they are masked.
fn many() -> (Mask, String) {
    let secret = format!("Zq7-{}", "xY9".repeat(60));
    let mut mask = Mask::default();
    mask.add(&secret);
    (mask, vec![secret; 20].join(" "))
}

fn assert_masked(place: &str, offset: usize, error: &SignInError) {
    let message = error.message();
    assert!(!message.contains("Zq7"), "{place}, {offset}: {message}");
}

/// `finish` with a callback, and with replies of the token endpoint.
async fn finished(callback: &str, reply: &str, mask: &Mask) -> SignInError {
    let metadata = Pages::default().authorization_server(METADATA, &json!({}));
    let internet = answering(metadata, &[(400, reply)]);
    let network = internet.network("", Vec::new());
    let guarded = network.guarded_client(&SERVER.parse().unwrap()).await;
    let request = Case::new(Pages::default()).await.request;
    let log = RequestLog::default();
    let begun = begin_sign_in(&guarded, &request, &log).await.unwrap();
    let callback = format!("{REDIRECT_URI}?state={}&{callback}", begun.pending.state());
    let limit = std::time::Duration::from_secs(20);
    let finished = finish_sign_in(&guarded, &begun.pending, &callback, limit, &log, mask);
    finished.await.unwrap_err()
}

fn query(pairs: &[(&str, &str)]) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(pairs).finish()
}

#[tokio::test]
async fn a_callback_that_repeats_a_secret_does_not_show_it() {
    let case = Case::new(Pages::default().authorization_server(METADATA, &json!({}))).await;
    let pending = case.begin().await.unwrap().pending;
    let state = pending.state();
    let (longer, many) = many();
    for (offset, mask, echo) in OFFSETS
        .chain([0])
        .map(|offset| (offset, mask(), echo(offset)))
        .chain([(0, longer, many)])
    {
        for pairs in [
            [("error", "access_denied"), ("error_description", &echo)],
            [("error", &echo), ("error_description", "no")],
            [
                ("code", "code-1"),
                ("iss", &format!("https://e.example/{echo}")),
            ],
        ] {
            let parameters = query(&[[("state", state)].as_slice(), &pairs].concat());
            let callback = format!("{REDIRECT_URI}?{parameters}");
            let error = pending.check_with(&callback, &mask).unwrap_err();
            assert_masked(pairs[1].0, offset, &error);
            if offset == 0 {
                assert!(error.message().contains("[masked]"), "{error}");
            }
            // A process that does not know the secrets shows no text of the server, but the code that tells what to do.
            let withheld = pending.check(&callback).unwrap_err();
            assert_masked(pairs[1].0, offset, &withheld);
            if pairs[0].1 == "access_denied" {
                let shown = "(access_denied: [withheld: it may contain a secret])";
                assert!(withheld.message().contains(shown), "{withheld}");
            }
        }
    }
}

#[tokio::test]
async fn a_refused_code_that_repeats_a_secret_does_not_show_it() {
    for offset in OFFSETS.step_by(3).chain([0]) {
        for (place, reply) in [
            (
                "description",
                json!({"error": "invalid_request", "error_description": echo(offset)}),
            ),
            ("code", json!({"error": echo(offset)})),
        ] {
            let error = finished("code=code-1", &reply.to_string(), &mask()).await;
            assert_masked(place, offset, &error);
            if offset == 0 {
                assert!(error.message().contains("[masked]"), "{error}");
            }
        }
    }
    let (mask, echo) = many();
    let reply = json!({"error": "invalid_request", "error_description": echo}).to_string();
    assert_masked("many", 0, &finished("code=code-1", &reply, &mask).await);
}

#[tokio::test]
async fn a_registration_and_metadata_that_repeat_a_secret_do_not_show_it() {
    for offset in OFFSETS.step_by(3).chain([0]) {
        let issuer = format!("https://e.example/{}", echo(offset));
        let described = json!({"error": "invalid", "error_description": echo(offset)});
        let registration = json!({ "registration_endpoint": "http://mcp.example/register" });
        for (place, fields, status, reply) in [
            ("description", &registration, 400, &described),
            ("code", &registration, 400, &json!({"error": echo(offset)})),
            ("description of a 503", &registration, 503, &described),
            ("issuer", &json!({ "issuer": issuer }), 400, &described),
        ] {
            let pages = Pages::default().authorization_server(METADATA, fields);
            let internet = answering(pages, &[(status, &reply.to_string())]);
            let network = internet.network("", Vec::new());
            let guarded = network.guarded_client(&SERVER.parse().unwrap()).await;
            let mut request = Case::new(Pages::default()).await.request;
            request.client.client = None;
            request.mask = mask();
            let begun = begin_sign_in(&guarded, &request, &RequestLog::default()).await;
            let error = begun.unwrap_err();
            assert_masked(place, offset, &error);
            if offset == 0 {
                assert!(error.message().contains("[masked]"), "{place}: {error}");
            }
        }
    }
}
