//! The secrets: their texts, the encodings of their echoes, and the search for complete and truncated secrets.

use std::fmt::Write;

use serde_json::Value;

/// Every secret begins with this text and a number. Like [`TAIL`], it consists of letters, which no escaping changes. A search
/// for both, verbatim and in base64, therefore finds a secret in every encoding, even if the secret was truncated.
const HEAD: &str = "ZqKvWxHtP";

/// Every secret ends with a number and this text.
const TAIL: &str = "JmyBtLrGd";

/// Characters that URLs, JSON and HTML escape, and bytes that base64 encodes as its special digits.
const HARD: &str = "+n/ry==\"é";

/// A name, and the text of a secret with a given number.
pub type Text = (&'static str, fn(usize) -> String);

pub const PLAIN: Text = ("plain", |number| {
    format!("{HEAD}{number:03}-{number:03}{TAIL}")
});

pub const NEEDS_ESCAPING: Text = ("needs escaping", |number| {
    format!("{HEAD}{number:03}{HARD}{number:03}{TAIL}")
});

/// Long enough to be truncated, with characters that need escaping.
pub const LONG: Text = ("long", |number| {
    format!("{HEAD}{number:03}{}{number:03}{TAIL}", HARD.repeat(12))
});

/// Several lines. Only a program can receive such a secret.
pub const MULTILINE: Text = ("multiline", |number| {
    format!("-----BEGIN-----\n{HEAD}{number:03}\nand-{number:03}{TAIL}\n-----END-----")
});

/// The beginning of a secret, which no other secret has.
pub fn head_of(number: usize) -> String {
    format!("{HEAD}{number:03}")
}

/// A name, and the function with which a server encodes the secret that it echoes.
pub type Encoding = (&'static str, fn(&str) -> String);

pub const VERBATIM: Encoding = ("verbatim", str::to_owned);

pub const BASE64: Encoding = ("in base64", base64);

/// As in the name of a host.
pub const LOWER_CASE: Encoding = ("in lower case", str::to_lowercase);

pub const ENCODINGS: [Encoding; 10] = [
    ("percent-encoded", percent_encoded),
    // With lowercase hexadecimal digits, as some programs write them. Escapes only characters that must be escaped.
    ("percent-encoded as in a path", |text| {
        percent_encoded(text)
            .to_lowercase()
            .replace("%2b", "+")
            .replace("%2f", "/")
            .replace("%3d", "=")
            .replace(&HEAD.to_lowercase(), HEAD)
            .replace(&TAIL.to_lowercase(), TAIL)
    }),
    // With only ASCII characters and an escaped slash, as some programs write them.
    ("escaped as in JSON", |text| {
        let json = Value::from(text).to_string().replace('/', "\\/");
        json[1..json.len() - 1].replace('é', "\\u00e9")
    }),
    ("escaped as in HTML", |text| {
        let html = text.replace('&', "&amp;").replace('"', "&quot;");
        html.replace('/', "&#x2F;").replace('é', "&#233;")
    }),
    BASE64,
    // The encoding in which a client sends its secret (RFC 6749, section 2.3.1).
    ("in base64, percent-encoded", |text| {
        base64(&format!("client-1:{}", percent_encoded(text)))
    }),
    ("in base64, with text before it", |text| {
        base64(&format!("token={text}"))
    }),
    ("in base64, with text around it", |text| {
        base64(&format!("me, {text}; Path=/"))
    }),
    LOWER_CASE,
    ("in hexadecimal", in_hexadecimal),
];

pub fn percent_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'-' {
            encoded.push(byte.into());
        } else {
            write!(encoded, "%{byte:02X}").unwrap();
        }
    }
    encoded
}

/// Base64 (RFC 4648, section 4).
pub fn base64(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoded = String::new();
    for three in text.as_bytes().chunks(3) {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or_default());
        let bits = (byte(0) << 16) | (byte(1) << 8) | byte(2);
        for digit in 0..=three.len() {
            encoded.push(DIGITS[((bits >> (18 - 6 * digit)) & 63) as usize].into());
        }
        encoded.extend(std::iter::repeat_n('=', 3 - three.len()));
    }
    encoded
}

/// The base64 digits that encode only `text`, for each alignment of `text` within a longer text.
fn pieces_in_base64(text: &str) -> [String; 3] {
    [0, 1, 2].map(|before| {
        let encoded = base64(&format!("{}{text}", &"..."[..before]));
        let (first, last) = ((before * 8).div_ceil(6), (before + text.len()) * 8 / 6);
        encoded[first..last].to_owned()
    })
}

fn in_hexadecimal(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether `text` contains this part of a secret, in any encoding.
pub fn holds(text: &str, piece: &str) -> bool {
    let in_base64 = pieces_in_base64(piece);
    in_base64.iter().any(|piece| text.contains(piece)) || {
        let text = text.to_ascii_lowercase();
        text.contains(&piece.to_ascii_lowercase()) || text.contains(&in_hexadecimal(piece))
    }
}

/// Finds a complete or truncated secret in any encoding. Returns its position in `text`.
pub fn found_in(text: &str) -> Option<usize> {
    let in_base64 = [HEAD, TAIL].map(pieces_in_base64);
    let exact = in_base64.as_flattened().iter();
    let exact = exact.filter_map(|piece| text.find(piece.as_str()));
    // The case of the letters does not matter: a host name and an option of a parser can change it.
    let lower = text.to_ascii_lowercase();
    let in_any_case = [HEAD, TAIL]
        .into_iter()
        .flat_map(|piece| [piece.to_ascii_lowercase(), in_hexadecimal(piece)]);
    let in_any_case = in_any_case.filter_map(|piece| lower.find(&piece));
    exact.chain(in_any_case).min()
}

#[test]
fn secret_is_found_in_every_encoding_and_if_it_is_truncated() {
    for (name, text) in [PLAIN, NEEDS_ESCAPING, LONG, MULTILINE] {
        let text = text(7);
        for (encoding, encode) in [[VERBATIM].as_slice(), &ENCODINGS].concat() {
            let encoded = encode(&text);
            for echoed in [Value::from(encoded.as_str()).to_string(), encoded] {
                assert!(found_in(&echoed).is_some(), "{name} {encoding}: {echoed}");
                assert!(holds(&echoed, &head_of(7)), "{name} {encoding}: {echoed}");
                assert!(
                    !holds(&echoed, &head_of(400)),
                    "{name} {encoding}: {echoed}"
                );
            }
        }
        let (head, tail) = (text.find(HEAD).unwrap(), text.rfind(TAIL).unwrap());
        for cut in [&text[..head + HEAD.len()], &text[tail..]] {
            assert!(found_in(cut).is_some(), "{name}: {cut}");
        }
    }
    assert_eq!(base64("me:pass"), "bWU6cGFzcw==");
    assert_eq!(found_in("no secret"), None);
}
