//! Arbitrary lines, valid and invalid, and the bytes of many lines.

use mcp_startup_core::encode;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::any_notifications::{any_notification, notification_of_few};

/// Returns a line without line breaks: a notification, another message, a damaged line or arbitrary bytes.
pub fn any_line() -> impl Strategy<Value = Vec<u8>> {
    let valid = notification_of_few().prop_map(|notification| encode(&notification).into_bytes());
    let without_line_breaks = |mut bytes: Vec<u8>| {
        bytes.retain(|byte| *byte != b'\n');
        // A CR at the end of the line would become part of the line end.
        while bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        bytes
    };
    prop_oneof![
        6 => valid.boxed(),
        2 => vec(any::<u8>(), 0..60).prop_map(without_line_breaks).boxed(),
        4 => line_of_members().prop_map(String::into_bytes).boxed(),
        2 => damaged_line().prop_map(without_line_breaks).boxed(),
        1 => select(vec![
            &b""[..], b"\r", b"  ", b"{}", b"[]", b"{\"id\":1,\"result\":{}}", b"{\"method\":\"ping\"}",
            b"{\"method\":\"mcpServer/startupStatus/updated\",\"params\":{\"name\":\"a\",\"status\":\"ready\",\"failureReason\":\"reauthenticationRequired\"}}",
            b"{\"method\":\"mcpServer/startupStatus/updated\",\"params\":{\"name\":\"a\",\"status\":\"paused\",\"failureReason\":\"x\"}}",
            b"{\"method\":\"mcpServer/startupStatus/updated\",\"params\":{\"name\":\"b\",\"status\":\"failed\",\"failureReason\":\"x\"}}",
            b"{\"method\":\"mcpServer/startupStatus/updated\",\"params\":{\"status\":\"ready\"}}",
        ]).prop_map(<[u8]>::to_vec).boxed(),
    ]
}

/// Returns a line without white space whose params have known and unknown members in any order, some of them twice or with an
/// invalid value. Other members may be around the params.
fn line_of_members() -> impl Strategy<Value = String> {
    let key = select(vec![
        "threadId",
        "name",
        "environmentId",
        "status",
        "error",
        "failureReason",
        "new",
        "method",
        "",
    ]);
    let value = prop_oneof![
        8 => select(vec![r#""a""#, r#""b""#, r#""failed""#, r#""ready""#, r#""reauthenticationRequired""#, r#""""#, "null"]),
        1 => select(vec![r#""\u0061\n""#, r#""\ud800""#, "0", "7", "-7", "07", "1.5", "1e400", "true", "false", "[7]", r#"{"name":"x"}"#]),
    ];
    let params = vec((key, value), 0..5).prop_map(|members| {
        let mut members: Vec<String> = members
            .into_iter()
            .map(|(key, value)| format!("\"{key}\":{value}"))
            .collect();
        members.insert(members.len() / 2, r#""name":"c""#.to_owned());
        members.push(r#""status":"failed""#.to_owned());
        members.join(",")
    });
    let around = select(vec![
        "",
        "",
        "",
        r#","emittedAtMs":1795843070743"#,
        r#","new":"x","newer":null"#,
        r#","new":{}"#,
        r#","method":"x""#,
        r#","params":{}"#,
        r#","params":7"#,
        ",",
        "}",
    ]);
    (params, around).prop_map(|(params, around)| {
        format!(r#"{{"method":"mcpServer/startupStatus/updated","params":{{{params}}}{around}}}"#)
    })
}

/// Returns a valid line with some changed bytes, which is more likely to break a decoder than arbitrary bytes.
pub fn damaged_line() -> impl Strategy<Value = Vec<u8>> {
    (
        any_notification(),
        vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    )
        .prop_map(|(notification, changes)| {
            let mut bytes = encode(&notification).into_bytes();
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes
        })
}

/// Joins lines with LF, or with CRLF if `ends` is true for the line.
pub fn joined(lines: &[Vec<u8>], ends: &[bool], last_end: bool) -> Vec<u8> {
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
