//! The encoding of received text: MCP is UTF-8, and some servers write something else.

use mcp_startup_auth::network::without_byte_order_mark;

/// Whether a text is returned unchanged by [`as_utf8`]. May be false for such a text.
pub(super) fn is_utf8(body: &[u8], content_type: &str) -> bool {
    !content_type.contains("utf-16") && matches!(body, [b'{' | b'[', next, ..] if *next != 0)
}

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

/// Returns the text of an error response. Text that is not UTF-8 is read as Latin-1, the usual encoding of old pages. If its encoding has
/// several bytes for a character, as GBK does, only its ASCII text is kept.
pub(super) fn text_of(body: &[u8], content_type: &str) -> String {
    const SEVERAL_BYTES: [&str; 6] = ["gb", "big5", "shift", "sjis", "euc-", "2022"];
    let bytes = match str::from_utf8(body) {
        Ok(text) => return text.to_owned(),
        Err(error) => match error.error_len() {
            // The body was cut in the middle of a character.
            None => return String::from_utf8_lossy(&body[..error.valid_up_to()]).into_owned(),
            Some(_) => body,
        },
    };
    let (_, charset) = content_type.split_once("charset=").unwrap_or_default();
    let charset = charset.trim_matches(['"', ' ']);
    if SEVERAL_BYTES.iter().any(|known| charset.starts_with(known)) {
        let mut text = String::new();
        let mut bytes = bytes.iter();
        while let Some(byte) = bytes.next() {
            match byte.is_ascii() {
                true => text.push(char::from(*byte)),
                // The next byte belongs to the same character.
                false => drop(bytes.next()),
            }
        }
        return text;
    }
    match charset.starts_with("utf-8") {
        true => String::from_utf8_lossy(bytes).into_owned(),
        false => bytes.iter().copied().map(char::from).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_an_error_has_no_replacement_characters() {
        for (body, content_type, expected) in [
            ("é".as_bytes(), "text/html", "é"),
            (b"ung\xfcltig", "text/html; charset=iso-8859-1", "ungültig"),
            (b"ung\xfcltig", "text/html", "ungültig"),
            (
                b"<b>\xb7\xc3\xce\xca</b>",
                "text/html; charset=gbk",
                "<b></b>",
            ),
            (b"<b>\xb7", "text/html; charset=gb2312", "<b>"),
            (b"a\xe2\x82", "text/plain", "a"),
            (b"", "", ""),
        ] {
            assert_eq!(text_of(body, content_type), expected, "{content_type}");
        }
    }

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
