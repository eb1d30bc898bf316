use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::*;

#[test]
fn no_secret_is_left_however_they_overlap() {
    let mut mask = Mask::default();
    for secret in ["abcd", "abcdefgh", "  spaced  ", "x", ""] {
        mask.add(secret);
    }
    let hidden = mask.hide("abcdefgh abcd abcdabcdefgh spaced x");
    assert_eq!(hidden, "[masked] [masked] [masked][masked] [masked] x");
    assert!(!format!("{mask:?}").contains("abcd"));
    mask.add("ghijklmn");
    assert_eq!(mask.hide("abcdefghijklmn"), "[masked]");
}

#[test]
fn a_secret_that_was_cut_off_or_has_many_lines_is_hidden_too() {
    let mut mask = Mask::default();
    mask.add("-----BEGIN-----\nline-of-a-key\n-----END-----");
    mask.add("long-secret-token");
    mask.add("sécrét=\"token\"");
    for (text, hidden) in [
        ("said: line-of-a-key", "said: [masked]"),
        ("said: long-sec", "said: [masked]"),
        ("said: lon", "said: lon"),
        ("cret-token said", "[masked] said"),
        ("ken said", "ken said"),
        ("a long-secret-token long", "a [masked] [masked]"),
        ("said: sécr\u{fffd}", "said: [masked]"),
        ("said: s%C3%A9cr%C3", "said: [masked]"),
        ("said: s\\u00e9cr\\u00", "said: [masked]"),
        ("A9t%3D%22token%22 said", "[masked] said"),
        ("t;token&quot; said", "[masked] said"),
        ("\u{fffd}t=\"token\" said", "[masked] said"),
    ] {
        assert_eq!(mask.hide(text), hidden, "{text}");
    }
}

#[test]
fn of_a_url_nothing_is_shown_from_where_a_secret_begins() {
    let mut mask = Mask::default();
    mask.add("s3cret-to/ken?=x");
    mask.add("https://given.example/path");
    for (url, hidden) in [
        (
            "https://a.example/x/s3cret-to/other",
            "https://a.example/x/[masked]",
        ),
        (
            "https://a.example/x/s3cret-to/ken",
            "https://a.example/x/[masked]",
        ),
        ("https://a.example/x", "https://a.example/x"),
    ] {
        assert_eq!(mask.hide_in_url(url), hidden);
    }
}

#[test]
fn a_secret_is_hidden_however_it_is_written() {
    let mut mask = Mask::default();
    mask.add("c+n/ry==\"é\\\\🦀&");
    for written in [
        "c+n/ry==\"é\\\\🦀&",
        "c%2Bn%2Fry%3D%3D%22%C3%A9%5C%5C%F0%9F%A6%80%26",
        "c+n/ry==%22%c3%a9%5c%5c%f0%9f%a6%80&",
        "c+n/ry==\\\"é\\\\\\\\🦀&",
        "c+n\\/ry==\\\"\\u00e9\\\\\\\\\\ud83e\\udd80&",
        "c+n/ry==\\\\\\\"\\\\u00E9\\\\\\\\\\\\\\\\\\\\ud83e\\\\udd80&",
        "c+n/ry==\\\"\\u{e9}\\\\\\\\\\u{1f980}&",
        "c+n&#x2F;ry==&quot;&#233;\\\\🦀&amp;",
    ] {
        assert_eq!(
            mask.hide(&format!("a {written} b")),
            "a [masked] b",
            "{written}"
        );
    }
    let mut mask = Mask::default();
    mask.add("a secret value");
    for encoded in [
        "YSBzZWNyZXQgdmFsdWU=",
        "bWU6YSBzZWNyZXQgdmFsdWU=",
        "bTphIHNlY3JldCB2YWx1ZTttb3Jl",
        "OmEgc2VjcmV0IHZhbHVl",
        "bWU6YStzZWNyZXQrdmFsdWU=",
    ] {
        let hidden = mask.hide(encoded);
        assert!(
            hidden.contains(MASKED) && hidden.len() < MASKED.len() + 12,
            "{encoded}: {hidden}"
        );
    }
    assert_eq!(mask.hide("a+secret+value"), MASKED);
    for written in [
        "61207365637265742076616c7565",
        "61207365637265742076616C7565",
        "%36%31207365637265742076616c7565",
        "a\u{200b} \u{ad}se\u{0}cr\u{202e}et va\u{e0041}lue",
        "a\u{200b}%20s\\u200becret value",
        "a\u{fe0f} s\u{fe00}e\u{e0100}c\u{e01ef}r\u{2065}et\u{180b} value",
        "ａ ｓｅｃｒｅｔ　ｖａｌｕｅ",
    ] {
        let hidden = mask.hide_whole(&format!("key {written} end"));
        assert_eq!(hidden, "key [masked] end", "{written}");
    }
    let (bytes, codes) = ("a secret value".bytes(), "a secret value".chars());
    let joined = |each: fn(u8) -> String, between: &str| {
        let parts: Vec<_> = bytes.clone().map(each).collect();
        parts.join(between)
    };
    let of_codes = |each: fn(char) -> String| codes.clone().map(each).collect::<String>();
    for written in [
        joined(|byte| byte.to_string(), ","),
        joined(|byte| byte.to_string(), ", "),
        joined(|byte| byte.to_string(), ",\n    "),
        joined(|byte| format!("{byte:02x}"), " "),
        joined(|byte| format!("{byte:02X}"), ":"),
        joined(|byte| format!("0x{byte:02x}"), ", "),
        joined(|byte| format!("\\{byte:03o}"), ""),
        of_codes(|code| format!("%u{:04x}", u32::from(code))),
        of_codes(|code| format!("\\U{:08x}", u32::from(code))),
        of_codes(|code| format!("\\u{{{:08x}}}", u32::from(code))),
        of_codes(|code| format!("&#{:012};", u32::from(code))),
        of_codes(|code| format!("&#x{:010x};", u32::from(code))),
    ] {
        for (before, after) in [("key ", " end"), ("{\"data\":[", "]}"), ("<", ">")] {
            let hidden = mask.hide_whole(&format!("{before}{written}{after}"));
            assert_eq!(hidden, format!("{before}[masked]{after}"), "{written}");
        }
    }
    // RFC 2045: base64 has lines of 76 digits.
    for at in 0..80 {
        let encoded = BASE64_STANDARD.encode(format!("{}a secret value", "x".repeat(at)));
        for line_end in ["\n", "\r\n", "\\n"] {
            let lines: Vec<_> = encoded.as_bytes().chunks(76).collect();
            let wrapped = String::from_utf8(lines.join(line_end.as_bytes())).unwrap();
            let hidden = mask.hide_whole(&wrapped);
            // The digits before the secret, and at most one after each end of it.
            let left = hidden
                .replace(MASKED, "")
                .replace(line_end, "")
                .replace('=', "");
            assert!(hidden.contains(MASKED), "{wrapped}");
            assert!(
                left.trim_start_matches("eHh4").len() <= 4,
                "{wrapped}: {hidden}"
            );
        }
    }
    // A part of another byte is left before it.
    let hidden = mask.hide_whole("key f61207365637265742076616c7565f end");
    assert_eq!(hidden, "key f[masked]f end");
}

/// The steps are counted, so the result does not depend on the machine: the bytes that are decoded, compared or copied.
#[test]
fn steps_are_linear_in_the_text_and_in_the_secrets() {
    /// A text is decoded up to 3 times, each result as base64 at 4 places, and those results up to 3 times again.
    const STEPS_PER_BYTE: usize = 250;
    let few = vec!["s3cret-value-of-the-user".to_owned()];
    let nested = (SHORTEST..=200).map(|length| "a".repeat(length)).collect();
    let many = (0..2000)
        .map(|i| format!("s3cret-{i}-of-the-user"))
        .collect();
    let escapes = (0..100)
        .map(|i| format!("{}{i}", "\\%25&amp;".repeat(9)))
        .collect();
    let secrets: [Vec<String>; 4] = [few, nested, many, escapes];
    let patterns = [
        "a",
        "\\",
        "%25",
        "&#",
        "&amp;#x26;",
        "\\u005c",
        "\\ud83e\\",
        "xn--",
        "xn--bcher-kva.",
        "YWFhYWFhYWFh",
        "czNjcmV0LX ",
        "czNjcmV0LX\n",
        "104, ",
        "68:",
        "0x68 ",
        "\\150",
        "%u0068",
        "&#000000000104;",
        "s3cret-v",
        "\u{130}",
        "token=",
        "a_token=1",
        "Bearer ",
        "eyJ",
        "sk-",
        "://a:",
    ];
    for secrets in &secrets {
        let mut mask = Mask::default();
        for secret in secrets {
            mask.add(secret);
        }
        let secret_bytes: usize = secrets.iter().map(String::len).sum();
        // The automatons are built once.
        mask.hide_in_url("x");
        for pattern in patterns {
            for size in [1000, 10_000, 60_000] {
                let text = pattern.repeat(size / pattern.len());
                // It searches as all other functions do, and once more.
                let steps = steps::of(|| drop(mask.hide_in_url(&text)));
                let limit = STEPS_PER_BYTE * (text.len() + secret_bytes);
                assert!(
                    steps <= limit,
                    "{} bytes of {pattern:?} and {} secrets: {steps} steps, at most {limit} are allowed",
                    text.len(),
                    secrets.len(),
                );
            }
        }
    }
}

#[test]
fn a_secret_in_base64_is_hidden_if_the_text_was_cut_off_within_it() {
    let mut mask = Mask::default();
    mask.add("c+n/ry=\"\u{e9}148MyBtLrGd");
    let escaped = "c%2Bn%2Fry%3D%22%C3%A9148MyBtLrGd";
    // The digits of `me:`, and of three bytes of the secret and a part of an escape.
    for (secret, most_left) in [("c+n/ry=\"\u{e9}148MyBtLrGd", 12), (escaped, 20)] {
        let encoded = BASE64_STANDARD.encode(format!("me:{secret}"));
        for cut in 1..encoded.len() - 10 {
            for text in [
                format!("{}\nmore", &encoded[cut..]),
                format!("more\n{}", &encoded[..encoded.len() - cut]),
            ] {
                let hidden = mask.hide(&text);
                let left: String = hidden.replace("more", "").replace("[masked]", "");
                assert!(left.trim().len() <= most_left, "{text:?}: {hidden:?}");
            }
        }
    }
}

/// RFC 6749, section 5.2: the codes of a refusal are words, and so are the beginnings of many secrets.
#[test]
fn a_word_at_the_end_of_a_text_is_not_a_secret_that_was_cut_off() {
    for (secret, text, hidden) in [
        ("code1", "invalid_code", "invalid_code"),
        ("code-8c1f02aa", "invalid_code", "invalid_code"),
        ("token_8c1f02aa", "invalid_token", "invalid_token"),
        ("code1", "wrong code1", "wrong [masked]"),
        ("code-8c1f02aa", "wrong code-8", "wrong [masked]"),
        ("ya29.8c1f02aa", "wrong ya29", "wrong [masked]"),
        ("abcdefghijklmnop", "wrong abcdefgh", "wrong [masked]"),
    ] {
        let mut mask = Mask::default();
        mask.add(secret);
        assert_eq!(mask.foreign(text, 150), hidden, "{secret}");
    }
}

#[test]
fn an_unmistakable_secret_is_hidden_if_it_is_not_known() {
    let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl";
    let cases = [
        (format!("rejected {jwt}."), "rejected [masked]."),
        (
            format!("Authorization: Bearer {jwt}"),
            "Authorization: Bearer [masked]",
        ),
        (
            "Authorization: Bearer 8c1f02aa-77b1-4c2e==".into(),
            "Authorization: Bearer [masked]",
        ),
        (
            "authorization: basic dXNlcjpodW50ZXIy, retrying".into(),
            "authorization: basic [masked], retrying",
        ),
        (
            "GET https://api.example/v1?api_key=8c1f02aa77&page=2 failed".into(),
            "GET https://api.example/v1?api_key=[masked]&page=2 failed",
        ),
        (
            "GET /v1%3Fapi_key%3D8c1f02aa77%26page=2".into(),
            "GET /v1%3Fapi_key%3D[masked]%26page=2",
        ),
        (
            "ACME_API_KEY=8c1f02aa77 is rejected".into(),
            "ACME_API_KEY=[masked] is rejected",
        ),
        (
            "Your authtoken: 2abCdEfGhIjKl9".into(),
            "Your authtoken: [masked]",
        ),
        ("token=8c1f02aa77".into(), "token=[masked]"),
        (
            r#"{"client_secret":"8c1f02aa77","refreshToken": "rt-8c1f02aa"}"#.into(),
            r#"{"client_secret":"[masked]","refreshToken": "[masked]"}"#,
        ),
        (
            r#"{\"password\":\"hunter2!\"}"#.into(),
            r#"{\"password\":\"[masked]\"}"#,
        ),
        (
            "Incorrect API key provided: sk-proj-8c1f02aa77b14c2e9d.".into(),
            "Incorrect API key provided: [masked].",
        ),
        (
            "bad ghp_8c1f02aa77b14c2e9d01, xoxb-123456789012-x".into(),
            "bad [masked], [masked]",
        ),
        (
            "connect postgres://admin:hunter@db:5432/x".into(),
            "connect postgres://admin:[masked]@db:5432/x",
        ),
    ];
    let mask = Mask::default();
    for (text, hidden) in cases {
        assert_eq!(mask.hide_whole(&text), hidden);
        assert_eq!(mask.hide(&text), hidden);
        assert_eq!(mask.foreign(&text, 200), hidden);
        assert_eq!(mask.hide_in_url(&text), hidden);
    }
}

#[test]
fn no_word_of_an_ordinary_message_is_hidden() {
    let mask = Mask::default();
    for text in [
        "invalid_token: the access_token expired 30 minutes ago",
        "Bearer realm=\"mcp-2026\", resource_metadata=\"https://mcp.example/.well-known/oauth-protected-resource\"",
        "Bearer authentication is required, basic authentication is not supported",
        "api_key: Field required [type=missing, input_value={}, input_type=dict]",
        "password: must have at least 12 characters",
        "set api_key=YOUR_API_KEY or password=<password>",
        "Unexpected token: 0x1F at position 12345678",
        "max_tokens=10000000, next token = undefined",
        "token: tokenizer_v2-model-0001",
        "postgres://user:password@localhost/db, http://127.0.0.1:8931/mcp, ${TOKEN}",
        "task-8c1f02aa77b14c2e9d01 failed, npm_config_user_agent is not set, sk-learn-extension-2",
        "refresh_token: https://auth.example/oauth2/token",
        "{\"error\":\"invalid_token\",\"error_description\":\"expired 2026-07-28\"}",
        "{\"type\":\"object\",\"required\":[\"api_key\"]}",
    ] {
        assert_eq!(mask.hide_whole(text), text);
    }
}

/// The texts that servers, programs and authorization servers send in the tests of the project.
#[test]
fn no_text_of_the_vectors_and_the_atlas_is_hidden() {
    fn each(value: &serde_json::Value, check: &mut impl FnMut(&str)) {
        match value {
            serde_json::Value::String(text) => check(text),
            serde_json::Value::Array(values) => values.iter().for_each(|value| each(value, check)),
            serde_json::Value::Object(members) => {
                members.values().for_each(|value| each(value, check));
            }
            _ => {}
        }
    }
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests");
    let mask = Mask::default();
    let mut hidden = Vec::new();
    let mut texts = 0;
    for folder in ["vectors", "atlas"].map(|name| folder.join(name)) {
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let json = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            each(&json, &mut |text| {
                texts += 1;
                if text.len() < MAX_TEXT_BYTES && mask.hide_whole(text) != text {
                    hidden.push(text.to_owned());
                }
            });
        }
    }
    assert!(texts > 1000, "{texts}");
    assert_eq!(hidden, Vec::<String>::new());
}

#[test]
fn what_remains_of_a_secret_before_an_ellipsis_is_hidden() {
    const SECRET: &str = "Zq7-KvWxHtP9fQ2xZ7rT4wB8nM3v";
    let mut mask = Mask::default();
    mask.add(SECRET);
    for length in SHORTEST..SECRET.len() {
        let text = format!("no {}…", &SECRET[..length]);
        assert_eq!(mask.foreign(&text, 80), "no [masked]…", "{length}");
        assert_eq!(mask.hide_whole(&text), "no [masked]…", "{length}");
    }
    assert_eq!(mask.foreign("no more…", 80), "no more…");
}

#[test]
fn all_text_is_withheld_if_the_secrets_are_too_large_or_unknown() {
    let mut too_large = Mask::default();
    for at in 0..=MAX_SECRET_BYTES / 1000 {
        too_large.add(&format!("{at:01000}"));
    }
    for mask in [too_large, Mask::withholding()] {
        assert!(mask.withholds_all());
        assert_eq!(mask.foreign("any text", 80), WITHHELD);
        assert_eq!(mask.hide("any text"), WITHHELD);
        assert_eq!(mask.foreign("", 80), "");
    }
}
