use super::*;

const RESULT: &str =
    r#"{"protocolVersion":"2025-06-18","capabilities":{},"serverInfo":{"name":"x","version":"1"}}"#;

fn problem(text: &[u8]) -> Option<(Option<RequestId>, String)> {
    match read_message(text, false) {
        Received::InvalidAnswer(InvalidAnswer { id, problem }) => Some((id, problem)),
        Received::Message(_) | Received::Other => None,
    }
}

#[test]
fn the_problem_with_an_answer_and_its_id_are_found() {
    let one = Some(RequestId::Number(1));
    let rows = [
        (
            r#"{"jsonrpc":"2.0","id":1,"result":null,"error":{"code":-1,"message":"no key"}}"#
                .to_owned(),
            one.clone(),
            "result: must not be next to `error`; error.message: no key",
        ),
        (
            format!(r#"{{"jsonrpc":"2.0","id":1,"result":null,"result":{RESULT}}}"#),
            one.clone(),
            "result: must be there only once",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"result":[]}"#.to_owned(),
            one.clone(),
            "result: must be an object, not a list",
        ),
        (
            r#"{"result" : [{"tools":[]}], "id":1, "jsonrpc":"2.0"}"#.to_owned(),
            one.clone(),
            "result: must be an object, not a list",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"result":["2025-06-18",{},{"name":"x","version":"1"}]}"#
                .to_owned(),
            one.clone(),
            "result: must be an object, not a list",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"result":{"a":1e999}}"#.to_owned(),
            one.clone(),
            "JSON: a number is too large at line 1 column 43",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"result":{"method":NaN,"id":2}}"#.to_owned(),
            one.clone(),
            "JSON: there is no valid value at line 1 column 44",
        ),
        (
            format!(
                r#"{{"jsonrpc":"2.0","result":{}1{},"id":"1"}}"#,
                "[".repeat(200),
                "]".repeat(200)
            ),
            Some(RequestId::String("1".into())),
            "JSON: lists and objects are nested too deeply at line 1 column 153",
        ),
        (
            format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{RESULT}}}\n<!-- proxy -->"),
            one.clone(),
            "JSON: there is text after the end of the value at line 2 column 1",
        ),
        (
            format!(r#" [{{"jsonrpc":"2.0","id":1,"result":{RESULT}}}]"#),
            None,
            "message: must be one object, not a list (batch)",
        ),
        (
            r#"{"jsonrpc":"2.0", nonsense}"#.to_owned(),
            None,
            "JSON: a key is not a string in double quotation marks at line 1 column 19",
        ),
    ];
    for (text, id, expected) in rows {
        let expected = Some((id, expected.to_owned()));
        assert_eq!(problem(text.as_bytes()), expected, "{text}");
    }
    let latin = b"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"a\":\"\xe9\"}}";
    let expected = "encoding: must be UTF-8; byte 40 is not";
    assert_eq!(problem(latin).unwrap().1, expected);
}

#[test]
fn the_id_of_an_answer_that_is_too_long_is_found_wherever_it_is() {
    let long = "x".repeat(10_000);
    let nested = format!(r#"{{"content":[{{"id":5,"text":"\\\"}},{long}"}}]}}"#);
    for (text, expected) in [
        (
            format!(r#"{{"jsonrpc":"2.0","id":1,"result":{nested}}}"#),
            Some(RequestId::Number(1)),
        ),
        (
            format!(r#" {{"result":{nested} , "id" : "a,\"}}" }}"#),
            Some(RequestId::String(r#"a,"}"#.into())),
        ),
        (
            format!(r#"{{"error":{{"code":1,"message":"{long}"}},"id":2}} {{"id":3}}"#),
            Some(RequestId::Number(2)),
        ),
        (
            format!(r#"{{"method":"a","id":1,"result":"{long}"}}"#),
            None,
        ),
        (format!(r#"{{"method":"a","params":{nested}}}"#), None),
        (format!(r#"{{"id":1,"message":"{long}"}}"#), None),
        (format!(r#"[{{"id":1,"result":"{long}"}}]"#), None),
        (format!(r#"{long} {{"id":1,"result":1}}"#), None),
        (format!(r#"{{"id":"{long}","result":1}}"#), None),
        (String::new(), None),
    ] {
        for size in [1, 7, text.len() + 1] {
            let mut answer = AnswerId::default();
            text.as_bytes()
                .chunks(size)
                .for_each(|part| answer.read(part));
            let id = answer.too_long(1).and_then(|answer| answer.id);
            assert_eq!(id, expected, "{text}");
        }
    }
}

#[test]
fn what_answers_no_request_is_no_invalid_answer() {
    for text in [
        r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"data":NaN,"result":1}}"#,
        r#"{"jsonrpc":"2.0","params":{"data":NaN},"id":1,"method":"ping"}"#,
        r#"{"level":"error","error":"no key"}"#,
        r#"{"id":7,"message":"{\"jsonrpc\":\"2.0\"}"}"#,
        "[INFO] ready",
        "[1]",
        "{",
        "",
    ] {
        assert!(
            matches!(read_message(text.as_bytes(), false), Received::Other),
            "{text}"
        );
    }
}

#[test]
fn a_list_below_the_result_is_no_problem() {
    let text = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a","inputSchema":{"result":[],"x":"\"result\":["}}]}}"#;
    assert!(matches!(
        read_message(text.as_bytes(), false),
        Received::Message(_)
    ));
}

#[test]
fn half_a_surrogate_pair_is_read_as_u_fffd() {
    let rows = [
        (r"a\ud83d", Some(r"a\ufffd")),
        (r"\ude00b\uD83D", Some(r"\ufffdb\ufffd")),
        (r"\ud83d\ud83d\ude00", Some(r"\ufffd\ud83d\ude00")),
        (r"\ud83d\n", Some(r"\ufffd\n")),
        (r"\ud83d\ude00", None),
        (r"\\ud83d", None),
        (r"\", None),
        (r"\ud8", None),
        (r"\u+d83", None),
    ];
    for (text, expected) in rows {
        let repaired = without_half_pairs(text.as_bytes());
        let repaired = repaired.map(|text| String::from_utf8(text).unwrap());
        assert_eq!(repaired.as_deref(), expected, "{text}");
    }
    let text = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{RESULT}}}"#);
    let text = text.replace(r#""x""#, r#""x\ud83d""#);
    let Received::Message(message) = read_message(text.as_bytes(), false) else {
        panic!("{text}");
    };
    assert!(
        serde_json::to_string(&message)
            .unwrap()
            .contains("x\u{fffd}")
    );
}
