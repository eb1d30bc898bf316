//! The secrets that are given away: their texts, the ways to write them, and the search for what is left of one.

use std::fmt::Write;

use serde_json::Value;

/// Every secret begins and ends so, beside its number. Letters alone: whatever a text is escaped as leaves them as they are, so
/// a search for these two, plain and in base64, finds a secret in every form, and what is left of one that was cut.
const HEAD: &str = "ZqKvWxHtP";
const TAIL: &str = "JmyBtLrGd";
/// What is written in another way in a URL, in JSON, in HTML and in base64.
const HARD: &str = "+n/ry==\"é";

/// A text that a secret has, by its number.
pub type Text = (&'static str, fn(usize) -> String);

pub const PLAIN: Text = ("plain", |number| {
    format!("{HEAD}{number:03}-{number:03}{TAIL}")
});
pub const HARD_TO_WRITE: Text = ("hard to write", |number| {
    format!("{HEAD}{number:03}{HARD}{number:03}{TAIL}")
});
/// Long enough to be cut, and hard to write.
pub const LONG: Text = ("long", |number| {
    format!("{HEAD}{number:03}{}{number:03}{TAIL}", HARD.repeat(12))
});
/// Only a program can be given one.
pub const OF_LINES: Text = ("of many lines", |number| {
    format!("-----BEGIN-----\n{HEAD}{number:03}\nand-{number:03}{TAIL}\n-----END-----")
});

/// What no other secret begins with.
pub fn head_of(number: usize) -> String {
    format!("{HEAD}{number:03}")
}

/// How something that says a secret may write it.
pub type Form = (&'static str, fn(&str) -> String);

pub const AS_IT_IS: Form = ("as it is", str::to_owned);
pub const IN_BASE64: Form = ("in base64", base64);
pub const OTHER_FORMS: [Form; 8] = [
    ("as in a form", percent_encoded),
    // In lower case, as some do, and no more than has to be.
    ("as in a path", |text| {
        percent_encoded(text)
            .to_lowercase()
            .replace("%2b", "+")
            .replace("%2f", "/")
            .replace("%3d", "=")
            .replace(&HEAD.to_lowercase(), HEAD)
            .replace(&TAIL.to_lowercase(), TAIL)
    }),
    // In ASCII alone, and with the slash that some escape.
    ("as in JSON", |text| {
        let json = Value::from(text).to_string().replace('/', "\\/");
        json[1..json.len() - 1].replace('é', "\\u00e9")
    }),
    ("as in HTML", |text| {
        let html = text.replace('&', "&amp;").replace('"', "&quot;");
        html.replace('/', "&#x2F;").replace('é', "&#233;")
    }),
    IN_BASE64,
    // As it comes with a client's secret (RFC 6749, section 2.3.1).
    ("in base64, as in a form", |text| {
        base64(&format!("client-1:{}", percent_encoded(text)))
    }),
    ("in base64, with more before it", |text| {
        base64(&format!("token={text}"))
    }),
    ("in base64, with more around it", |text| {
        base64(&format!("me, {text}; Path=/"))
    }),
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

/// RFC 4648, section 4.
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

/// The digits of base64 that stand for `text` and nothing else, whatever stands before and behind it.
fn pieces_in_base64(text: &str) -> [String; 3] {
    [0, 1, 2].map(|before| {
        let encoded = base64(&format!("{}{text}", &"..."[..before]));
        let (first, last) = ((before * 8).div_ceil(6), (before + text.len()) * 8 / 6);
        encoded[first..last].to_owned()
    })
}

/// Whether `text` holds this piece of a secret, in whatever form.
pub fn holds(text: &str, piece: &str) -> bool {
    let in_base64 = pieces_in_base64(piece);
    text.contains(piece) || in_base64.iter().any(|piece| text.contains(piece))
}

/// Where `text` holds a secret, or what is left of one, in whatever form.
pub fn found_in(text: &str) -> Option<usize> {
    let in_base64 = [HEAD, TAIL].map(pieces_in_base64);
    let pieces = in_base64.as_flattened().iter().map(String::as_str);
    let pieces = pieces.chain([HEAD, TAIL]);
    pieces.filter_map(|piece| text.find(piece)).min()
}

#[test]
fn a_secret_is_found_in_every_form_and_where_it_was_cut() {
    for (name, text) in [PLAIN, HARD_TO_WRITE, LONG, OF_LINES] {
        let text = text(7);
        for (form, write) in [[AS_IT_IS].as_slice(), &OTHER_FORMS].concat() {
            let said = write(&text);
            for said in [Value::from(said.as_str()).to_string(), said] {
                assert!(found_in(&said).is_some(), "{name} {form}: {said}");
                assert!(holds(&said, &head_of(7)), "{name} {form}: {said}");
                assert!(!holds(&said, &head_of(400)), "{name} {form}: {said}");
            }
        }
        let (begun, ended) = (text.find(HEAD).unwrap(), text.rfind(TAIL).unwrap());
        for cut in [&text[..begun + HEAD.len()], &text[ended..]] {
            assert!(found_in(cut).is_some(), "{name}: {cut}");
        }
    }
    assert_eq!(base64("me:pass"), "bWU6cGFzcw==");
    assert_eq!(found_in("nothing of the kind"), None);
}
