use serde_json::json;

use super::fields::MAX_OTHER_TOKENS;
use super::*;

const NOW_MS: i64 = 1_700_000_000_000;

#[test]
fn an_expiry_is_unknown_or_not_negative_and_below_2_to_the_53rd() {
    // The last second below the limit.
    let last = (9_007_199_254_740_991 - NOW_MS) / 1000;
    for (expires_in, expected) in [
        (json!(3600), Some(NOW_MS + 3_600_000)),
        (json!("3600"), Some(NOW_MS + 3_600_000)),
        (json!(" 3600\n"), Some(NOW_MS + 3_600_000)),
        (json!(3600.0), Some(NOW_MS + 3_600_000)),
        (json!("3600.5"), Some(NOW_MS + 3_600_500)),
        (json!(0.0009), Some(NOW_MS)),
        (json!("1e3"), Some(NOW_MS + 1_000_000)),
        (json!(0), Some(NOW_MS)),
        (json!("0"), Some(NOW_MS)),
        (json!(-0.0), Some(NOW_MS)),
        (json!(1_000_000_000), Some(NOW_MS + 1_000_000_000_000)),
        (json!(last), Some(NOW_MS + last * 1000)),
        (json!(last + 1), None),
        (json!(-1), None),
        (json!("-1"), None),
        (json!(-0.5), None),
        (json!(i64::MIN), None),
        (json!(i64::MAX), None),
        (json!(u64::MAX), None),
        (json!("18446744073709551616"), None),
        (json!(1e30), None),
        (json!("1e30"), None),
        (json!(-1e30), None),
        (json!(1e308), None),
        (json!("1e400"), None),
        (json!("NaN"), None),
        (json!("-nan"), None),
        (json!("inf"), None),
        (json!("Infinity"), None),
        (json!("-Infinity"), None),
        (json!(""), None),
        (json!("soon"), None),
        (json!("3600s"), None),
        (json!("0x10"), None),
        (json!("1_000"), None),
        (json!("٣"), None),
        (json!(null), None),
        (json!(true), None),
        (json!({}), None),
        (json!([3600]), None),
    ] {
        assert_eq!(expires_at_ms(&expires_in, NOW_MS), expected, "{expires_in}");
    }
}

#[test]
fn a_number_that_json_values_cannot_represent_is_an_unknown_expiry() {
    for number in ["1e400", "-1e400", "99999999999999999999999999999999999999"] {
        let body = format!(r#"{{"access_token":"t","expires_in":{number}}}"#);
        let tokens = GrantedTokens::read(body.as_bytes()).unwrap();
        assert_eq!(tokens.changes()["expires_at"], Value::Null, "{number}");
    }
}

/// The old refresh token may no longer be valid, so nothing that was received may be lost.
#[test]
fn an_invalid_part_of_a_reply_loses_no_token() {
    let whole = r#"{"access_token":"a","refresh_token":"r","expires_in":3600}"#;
    let with = |member: &str| format!(r#"{{"access_token":"a",{member},"refresh_token":"r"}}"#);
    for body in [
        with(r#""expires_in":NaN"#),
        with(r#""expires_in":Infinity"#),
        with(r#""expires_in":-Infinity"#),
        with(r#""expires_in":1e999"#),
        with(r#""expires_in":0x10"#),
        with(r#""expires_in":03600"#),
        with(r#""expires_in":undefined"#),
        with(r#""expires_in":"#),
        with(r#""expires_in":new Date(3600)"#),
        with(r#""scope":'a b'"#),
        with("\"scope\":\"a\nb\""),
        with(r#""scope":"\ud800""#),
        with(r#""scope":"\q""#),
        with(r#""scope":"say "hi" now""#),
        with(r#""\ud800":1"#),
        with(r#""x":[1,}],"y":{"access_token":7]"#),
        with(&format!(
            r#""x":{}{}"#,
            "[".repeat(10_000),
            "]".repeat(10_000)
        )),
        with("/* x */"),
        with(r#""x":1 "y":2"#),
        with(",,"),
        r#"{"access_token":"a","refresh_token":"r",}"#.to_owned(),
        r#"{"access_token":"a","refresh_token":"r","x":"#.to_owned(),
        r#"{"access_token":"a","refresh_token":"r","expires_in":36"#.to_owned(),
        r#"{"access_token":"a","refresh_token":"r","id_token":"abc"#.to_owned(),
        r#"{"access_token":"a","refresh_token":"r","access_token":null,"refresh_token":null}"#
            .to_owned(),
        r#"{"access_token":"a","refresh_token":"r","access_token":7,"refresh_token":" "}"#
            .to_owned(),
        format!("\u{feff}{whole}"),
        format!("<b>Warning</b>: Undefined {{x}} in y?a=b&c=d\n{whole}"),
        format!(")]}}',\n{whole}"),
        format!("{whole}{whole}"),
        format!("{whole}<!-- {{\"access_token\":\"x\"}} -->"),
        format!("{whole}\0\0"),
        format!("{{\"level\":\"info\"}}\n{{\"message\":\"granted\"}}\n{whole}"),
    ] {
        let changes = GrantedTokens::read(body.as_bytes()).unwrap().changes();
        assert_eq!(changes["access_token"], "a", "{body}");
        assert_eq!(changes["refresh_token"], "r", "{body}");
        let tokens = ReplyFields::parse(body.as_bytes()).into_tokens();
        let tokens: Vec<&str> = tokens.iter().map(ExposeSecret::expose_secret).collect();
        assert_eq!(tokens[..2], ["a", "r"], "{body}");
    }
    // An invalid byte is replaced.
    let body = b"{\"x\":\"\xff\",\"access_token\":\"a\"}";
    assert!(GrantedTokens::read(body).is_ok());
    // The end of a token is missing.
    for body in [
        r#"{"access_token":"a"#,
        r#"{"access_token":"a\"#,
        r#"{"access_token":["a"]}"#,
        r#"{"x":{"access_token":"a"}}"#,
        r#"{"x":"{\"access_token\":\"a\"}"}"#,
        "{",
        "",
    ] {
        assert!(GrantedTokens::read(body.as_bytes()).is_err(), "{body}");
    }
}

#[test]
fn a_refresh_token_with_control_characters_is_kept() {
    for json in ["a\nb", r"a\nb"] {
        let body = format!(r#"{{"access_token":"a","refresh_token":"{json}"}}"#);
        let changes = GrantedTokens::read(body.as_bytes()).unwrap().changes();
        assert_eq!(changes["refresh_token"], "a\nb");
    }
}

/// A reply of 1 MB whose every part is invalid.
#[test]
fn invalid_members_cost_linear_time() {
    for part in [
        "{",
        "{\"",
        "{ ",
        "\"",
        "\"x\":[",
        "\"x\":",
        "\"x\":\"\\",
        "\"a\":{\"",
        "},{\"x\":",
    ] {
        let body = part.repeat(1_000_000 / part.len());
        for body in [body.clone(), format!("{{\"x\":{body}")] {
            assert!(GrantedTokens::read(body.as_bytes()).is_err(), "{part}");
        }
    }
}

#[test]
fn the_last_token_of_several_fields_with_one_name_counts() {
    let body = br#"{"access_token":"a","access_token":"b","refresh_token":"c","refresh_token":null,"scope":"d","scope":"e"}"#;
    let changes = GrantedTokens::read(body).unwrap().changes();
    assert_eq!(changes["access_token"], "b");
    assert_eq!(changes["refresh_token"], "c");
    assert_eq!(changes["scopes"], json!(["e"]));
}

#[test]
fn a_token_that_can_not_be_sent_is_refused_and_the_problem_is_named() {
    use TokenProblem::{Characters, Missing, Type};
    let problem = |reply: Value| GrantedTokens::read(reply.to_string().as_bytes()).err();
    for (access_token, can_be_sent) in [
        ("ya29.A-b_c~d+e/f==", true),
        ("{\"odd\":1}", true),
        ("abc\r\nX-Evil: 1", false),
        ("abc\n", false),
        ("a\0b", false),
        ("a\tb", false),
        ("a\u{7f}b", false),
        ("two words", true),
        ("tökén", false),
        ("a\u{2028}b", false),
    ] {
        let expected = (!can_be_sent).then_some(Characters);
        let direct = json!({ "access_token": access_token });
        assert_eq!(problem(direct.clone()), expected, "{access_token:?}");
        assert_eq!(problem(json!({ "authed_user": direct })), expected);
    }
    // A token that is granted with an odd refresh token is not lost.
    for refresh_token in [json!("a\u{0}b\nc"), json!("é"), json!(7)] {
        let reply = json!({ "access_token": "a", "refresh_token": refresh_token });
        assert_eq!(problem(reply), None, "{refresh_token}");
    }
    for (token_type, expected) in [
        (json!("Bearer"), None),
        (json!("bearer"), None),
        (json!(" BEARER "), None),
        (json!(""), None),
        (json!(null), None),
        (json!(7), None),
        // Slack.
        (json!("bot"), None),
        (json!("DPoP"), Some(Type("DPoP"))),
        (json!("dpop"), Some(Type("DPoP"))),
        (json!("PoP"), Some(Type("PoP"))),
        (json!(" MAC"), Some(Type("mac"))),
        (json!("N_A"), Some(Type("N_A"))),
    ] {
        let reply = json!({ "access_token": "a", "token_type": token_type });
        assert_eq!(problem(reply), expected, "{token_type}");
    }
    assert_eq!(problem(json!({ "token_type": "DPoP" })), Some(Missing));
    assert_eq!(problem(json!({ "refresh_token": "r" })), Some(Missing));
    let half_a_pair = br#"{"access_token":"\ud800"}"#;
    assert_eq!(GrantedTokens::read(half_a_pair).err(), Some(Characters));
    let form = b"access_token=a%0D%0Ab&token_type=Bearer";
    assert_eq!(
        GrantedTokens::read(form)
            .err()
            .map(|problem| problem.to_string()),
        Some("its `access_token` has characters that a token can't have".to_owned())
    );
}

#[test]
fn the_tokens_of_a_user_are_used_only_without_others() {
    for (body, expected) in [
        (
            r#"{"authed_user":{"access_token":"user","scope":"a,b c"}}"#,
            Some(("user", json!(["a", "b", "c"]))),
        ),
        (
            r#"{"access_token":"bot","scope":"a,b","authed_user":{"access_token":"user"}}"#,
            Some(("bot", json!(["a,b"]))),
        ),
        (
            r#"{"access_token":" ","authed_user":{"access_token":"user","scope":""}}"#,
            Some(("user", json!([]))),
        ),
        (r#"{"authed_user":{"id":"U1"}}"#, None),
        (r#"{"authed_user":"user"}"#, None),
        (r#"{"authed_user":[{"access_token":"user"}]}"#, None),
        (
            r#"{"authed_user":{"authed_user":{"access_token":"user"}}}"#,
            None,
        ),
        (r#"{"user":{"access_token":"user"}}"#, None),
    ] {
        let changes = GrantedTokens::read(body.as_bytes())
            .ok()
            .map(|tokens| tokens.changes());
        let read = changes.as_ref().map(|changes| {
            (
                changes["access_token"].as_str().unwrap(),
                changes["scopes"].clone(),
            )
        });
        assert_eq!(read, expected, "{body}");
    }
    // Each token is masked.
    let body = br#"{"access_token":"a","authed_user":{"access_token":"b","refresh_token":"c","id_token":"d"}}"#;
    let tokens = ReplyFields::parse(body).into_tokens();
    let tokens: Vec<&str> = tokens.iter().map(ExposeSecret::expose_secret).collect();
    assert_eq!(tokens, ["a", "b", "c", "d"]);
    let deep = r#"{"authed_user":"#.repeat(100_000);
    assert!(GrantedTokens::read(deep.as_bytes()).is_err());
}

/// The former time was quadratic: 98 s for a reply of 0.95 MB.
#[test]
fn a_reply_with_100_000_fields_keeps_a_bounded_number_of_them() {
    let mut json = String::from("{");
    let mut form = String::new();
    for number in 0..100_000 {
        json.push_str(&format!(r#""{number}_token":"x","{number}":{{"y":[1]}},"#));
        form.push_str(&format!("{number}_token=x&{number}=y&"));
    }
    json.push_str(r#""access_token":"good-token","refresh_token":"good-refresh"}"#);
    form.push_str("access_token=good-token&refresh_token=good-refresh");
    for body in [json, form] {
        let tokens = ReplyFields::parse(body.as_bytes()).into_tokens();
        let tokens: Vec<&str> = tokens.iter().map(ExposeSecret::expose_secret).collect();
        assert_eq!(tokens[..2], ["good-token", "good-refresh"]);
        assert_eq!(tokens.len(), 2 + MAX_OTHER_TOKENS);
        let changes = GrantedTokens::read(body.as_bytes()).unwrap().changes();
        assert_eq!(changes["access_token"], "good-token");
        assert_eq!(changes.len(), 3);
    }
}

#[test]
fn a_reply_with_many_scopes_keeps_a_bounded_number_of_them() {
    let many: Vec<String> = (0..100_000).map(|number| number.to_string()).collect();
    for scope in [json!(many.join(" ")), json!(many)] {
        let body = json!({ "access_token": "t", "scope": scope }).to_string();
        let changes = GrantedTokens::read(body.as_bytes()).unwrap().changes();
        let scopes = changes["scopes"].as_array().unwrap();
        assert_eq!(scopes.len(), scopes::MAX_SCOPES);
    }
}

#[test]
fn only_tokens_that_are_text_are_masked() {
    let body =
        br#"{"id_token":"i","token":7,"x_token":["y"],"access_token":"a","token_type":"Bearer"}"#;
    let tokens = ReplyFields::parse(body).into_tokens();
    let tokens: Vec<&str> = tokens.iter().map(ExposeSecret::expose_secret).collect();
    assert_eq!(tokens, ["a", "i"]);
}

/// RFC 8259, section 8.1, requires UTF-8.
#[test]
fn a_reply_in_utf_16_loses_no_token() {
    let units = r#"{"access_token":"a","refresh_token":"r"}"#.encode_utf16();
    let bytes = |write: fn(u16) -> [u8; 2]| units.clone().flat_map(write).collect::<Vec<u8>>();
    let (little, big) = (bytes(u16::to_le_bytes), bytes(u16::to_be_bytes));
    let marked = |mark: [u8; 2], body: &[u8]| [&mark, body].concat();
    for body in [
        marked([0xff, 0xfe], &little),
        marked([0xfe, 0xff], &big),
        little,
        big,
    ] {
        let changes = GrantedTokens::read(&body).unwrap().changes();
        assert_eq!(
            (&changes["access_token"], &changes["refresh_token"]),
            (&"a".into(), &"r".into())
        );
    }
}

/// Sends a request to a server with this response, which ends the connection only if it is complete.
async fn reply_to(response: &[u8], is_complete: bool) -> Result<Reply, NoReply> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let response = response.to_owned();
    let serving = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let _ = socket.read(&mut [0; 4096]).await;
        socket.write_all(&response).await.unwrap();
        if !is_complete {
            std::future::pending::<()>().await;
        }
    });
    let url: url::Url = url.parse().unwrap();
    let guarded = crate::network::Network::new().unwrap();
    let guarded = guarded.guarded_client(&url).await;
    let request = guarded.form(url, String::new(), None).unwrap();
    let log = RequestLog::default();
    let limit = match is_complete {
        true => Duration::from_secs(20),
        false => Duration::from_millis(500),
    };
    let sent = send(&guarded, request, &log, None, Instant::now() + limit).await;
    serving.abort();
    sent
}

#[tokio::test]
async fn the_tokens_of_a_response_that_does_not_end_are_received() {
    let reply = r#"{"access_token":"a","refresh_token":"r"}"#;
    for (body, is_received) in [
        (reply, true),
        (&reply[..reply.len() - 3], true),
        ("{", false),
    ] {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n";
        let sent = reply_to(format!("{head}{body}").as_bytes(), false).await;
        match (sent, is_received) {
            (Ok(reply), true) => {
                let changes = reply.tokens().unwrap().changes();
                assert_eq!(changes["access_token"], "a");
            }
            (Err(NoReply::Timeout), false) => {}
            (Ok(_), false) | (Err(_), _) => panic!("{body}"),
        }
    }
}

#[tokio::test]
async fn a_content_encoding_that_the_body_does_not_have_loses_no_token() {
    for encoding in [
        "gzip",
        "deflate",
        "br",
        "zstd",
        "aws-chunked",
        "x-unknown",
        "gzip, br, gzip, br",
    ] {
        let head =
            format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Encoding: {encoding}\r\n\r\n");
        let response = format!("{head}{{\"access_token\":\"a\",\"refresh_token\":\"r\"}}");
        let reply = reply_to(response.as_bytes(), true).await;
        let changes = reply.unwrap_or_else(|error| panic!("{encoding}: {error}"));
        let changes = changes.tokens().unwrap().changes();
        assert_eq!(changes["refresh_token"], "r", "{encoding}");
    }
}

#[tokio::test]
async fn no_message_repeats_what_a_reply_of_success_grants() {
    const SECRET: &str = "SECRETXYZ123";
    for (status, body, expected) in [
        (200, format!("token {SECRET}"), None),
        (200, SECRET.to_owned(), None),
        (200, format!("\"{SECRET}\""), None),
        (200, format!("[\"{SECRET}\"]"), None),
        (200, format!("<p>{SECRET}</p>"), None),
        (
            200,
            format!("<title>Log in</title><p>{SECRET}</p>"),
            Some("Log in"),
        ),
        (200, format!("access={SECRET}"), None),
        (
            201,
            format!(r#"{{"client_id":5,"client_secret":"{SECRET}","message":"not {SECRET}"}}"#),
            Some("not"),
        ),
        (
            201,
            format!(r#"{{"registration_access_token":"{SECRET}","message":"not {SECRET}"}}"#),
            Some("not"),
        ),
        (
            200,
            r#"{"ok":false,"message":"no such team"}"#.to_owned(),
            Some("no such team"),
        ),
        (400, "no such team".to_owned(), Some("no such team")),
        (
            200,
            r#"{"error":"denied","error_description":"no such team"}"#.to_owned(),
            Some("no such team"),
        ),
    ] {
        let head = format!("HTTP/1.1 {status} -\r\nConnection: close\r\n\r\n");
        let reply = reply_to(format!("{head}{body}").as_bytes(), true).await;
        let reply = reply.unwrap_or_else(|error| panic!("{body}: {error}"));
        let mut noted = None;
        reply
            .sent
            .note(|request| noted = request.oauth_error_description.clone());
        let description = reply.description();
        match expected {
            None => assert_eq!((description, noted), (None, None), "{body}"),
            Some(expected) => {
                let description = description.unwrap();
                assert!(description.starts_with(expected), "{body}: {description}");
                assert!(!description.contains(SECRET), "{body}: {description}");
                // The evidence is masked where it is used.
                assert!(noted.is_some(), "{body}");
            }
        }
    }
}
