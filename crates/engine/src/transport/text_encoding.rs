//! The encoding of received text: MCP is UTF-8, and some servers write something else.

use mcp_startup_auth::network::without_byte_order_mark;

/// Removes a byte order mark, and converts UTF-16. JSON must be UTF-8 (RFC 8259, section 8.1), and a reader may ignore a byte order
/// mark. Other encodings are returned unchanged.
pub(super) fn as_utf8(mut body: Vec<u8>, content_type: &str) -> Vec<u8> {
    let mark = body.len() - without_byte_order_mark(&body).len();
    if mark > 0 {
        body.drain(..mark);
        return body;
    }
    let names_utf16 = content_type.contains("utf-16");
    // The first character of a JSON text is ASCII, so one of its two bytes is zero.
    let (is_little, start) = match body.as_slice() {
        [0xff, 0xfe, ..] => (true, 2),
        [0xfe, 0xff, ..] => (false, 2),
        [first, 0, ..] if *first != 0 => (true, 0),
        [0, second, ..] if *second != 0 => (false, 0),
        _ if names_utf16 => (!content_type.contains("utf-16be"), 0),
        _ => return body,
    };
    let units = body[start..].as_chunks::<2>().0.iter();
    let units = units.map(|bytes| match is_little {
        true => u16::from_le_bytes(*bytes),
        false => u16::from_be_bytes(*bytes),
    });
    let text: String = char::decode_utf16(units)
        .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect();
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_read_as_utf_8() {
        const TEXT: &str = "{\"name\":\"é\"}";
        let little: Vec<u8> = TEXT.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = TEXT.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let rows: [(Vec<u8>, &str); 8] = [
            (TEXT.into(), "application/json"),
            (["\u{feff}", TEXT].concat().into(), "application/json"),
            (little.clone(), "application/json; charset=utf-16"),
            (little.clone(), "application/json"),
            ([&[0xff, 0xfe], little.as_slice()].concat(), ""),
            (big.clone(), "application/json; charset=utf-16be"),
            (big.clone(), ""),
            ([&[0xfe, 0xff], big.as_slice()].concat(), ""),
        ];
        for (body, content_type) in rows {
            let shown = format!("{body:?} {content_type}");
            assert_eq!(as_utf8(body, content_type), TEXT.as_bytes(), "{shown}");
        }
        for body in [&b""[..], b"{", b"{}", b"\xe9"] {
            assert_eq!(as_utf8(body.to_vec(), ""), body);
        }
    }
}
