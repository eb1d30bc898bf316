use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::syntax::PROBLEMS;
use super::*;

/// Texts with an error of syntax, and the words for it.
fn texts() -> Vec<(String, &'static str)> {
    let rows = [
        ("[1", "the text ends too early, within a list"),
        ("{", "the text ends too early, within an object"),
        ("{\"a\":1", "the text ends too early, within an object"),
        ("\"a", "the text ends too early, within a string"),
        ("", "the text ends too early, before a value"),
        ("{\"a\":", "the text ends too early, before a value"),
        ("{\"a\" 1}", "a colon (`:`) is missing after a key"),
        ("[1 2]", "a comma or the end of a list (`]`) is missing"),
        (
            "{\"a\":1 2}",
            "a comma or the end of an object (`}`) is missing",
        ),
        ("trve", "a word is neither `true` nor `false` nor `null`"),
        ("NaN", "there is no valid value"),
        ("[,]", "there is no valid value"),
        (
            r#""\x""#,
            "a backslash in a string is not followed by an escape of JSON",
        ),
        ("01", "a number is not written as in JSON"),
        ("-a", "a number is not written as in JSON"),
        ("1e999", "a number is too large"),
        (
            "\"a\nb\"",
            "a string has a line break or another control character, which must be escaped",
        ),
        ("{a:1}", "a key is not a string in double quotation marks"),
        (
            r#""\udc00""#,
            "an escape (`\\u`) is half of a surrogate pair",
        ),
        (
            r#""\ud800a""#,
            "an escape (`\\u`) is the first half of a surrogate pair without the second",
        ),
        ("[1,]", "there is a comma before a closing bracket"),
        ("1 2", "there is text after the end of the value"),
    ];
    let rows = rows.map(|(text, problem)| (text.to_owned(), problem));
    let deep = ("[".repeat(200), "lists and objects are nested too deeply");
    rows.into_iter().chain([deep]).collect()
}

#[test]
fn an_error_of_syntax_has_own_words() {
    for (text, expected) in texts() {
        let error = serde_json::from_str::<Value>(&text).unwrap_err();
        assert_eq!(json_problem(&error), expected, "{text}: {error}");
        let (line, column) = (error.line(), error.column());
        assert_eq!(
            json_problem_at(&error),
            format!("{expected} at line {line} column {column}"),
            "{text}"
        );
    }
    let latin = serde_json::from_slice::<Value>(b"\"\xe9\"").unwrap_err();
    assert_eq!(
        json_problem(&latin),
        "a string has text that is not Unicode"
    );
    let key = serde_json::from_str::<BTreeMap<u8, u8>>(r#"{"a":1}"#).unwrap_err();
    assert_eq!(
        json_problem(&key),
        "a key must be a number in double quotation marks"
    );
}

#[test]
fn no_words_of_the_parser_are_in_the_words_for_it() {
    let theirs: BTreeSet<&str> = PROBLEMS.iter().map(|(theirs, _)| *theirs).collect();
    assert_eq!(theirs.len(), PROBLEMS.len());
    for (theirs, expected) in PROBLEMS {
        let found = problem(&format!("{theirs} at line 1 column 2"));
        assert_eq!(found, expected);
        for words in [
            "EOF",
            "parsing",
            "expected",
            "trailing",
            "invalid",
            "recursion",
        ] {
            assert!(!found.contains(words), "{theirs}: {found}");
        }
    }
}

/// The messages of `ErrorCode` in the source of the version of `serde_json` that is used, if the registry has it.
#[test]
fn the_table_has_every_message_of_the_parser() {
    let Some(source) = parser_source() else {
        println!("skipped: the source of serde_json is not in the registry");
        return;
    };
    let (_, display) = source.split_once("impl Display for ErrorCode").unwrap();
    let (display, _) = display.split_once("\n}\n").unwrap();
    let messages = display.split("f.write_str(\"").skip(1).map(|rest| {
        let literal = rest.split("\")").next().unwrap_or_default();
        let json = format!("\"{literal}\"");
        // The literals have the escapes of Rust, which are those of JSON here.
        serde_json::from_str::<String>(&json).unwrap()
    });
    let messages: BTreeSet<String> = messages.collect();
    let table: BTreeSet<String> = PROBLEMS
        .iter()
        .map(|(text, _)| (*text).to_owned())
        .collect();
    assert_eq!(messages, table);
}

fn parser_source() -> Option<String> {
    let lock = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock"));
    let lock = lock.ok()?;
    let (_, package) = lock.split_once("name = \"serde_json\"\nversion = \"")?;
    let version = package.split('"').next()?;
    let home = std::env::var_os("CARGO_HOME")
        .map(std::path::PathBuf::from)
        .or_else(|| Some(std::env::home_dir()?.join(".cargo")))?;
    let registries = home.join("registry/src").read_dir().ok()?;
    let mut files = registries.filter_map(|registry| {
        let folder = registry.ok()?.path().join(format!("serde_json-{version}"));
        std::fs::read_to_string(folder.join("src/error.rs")).ok()
    });
    files.next()
}

#[test]
fn an_error_of_the_shape_has_own_words() {
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    #[expect(dead_code)]
    struct Fields {
        name: String,
        other: Option<u8>,
    }
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Empty {}
    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase")]
    #[expect(dead_code)]
    enum Choice {
        One,
        Two(u8),
        Three { name: String },
    }
    #[derive(Debug, Deserialize)]
    #[serde(untagged)]
    #[expect(dead_code)]
    enum Either {
        Number(u8),
        Text(String),
    }
    fn of<T: DeserializeOwned>(value: &Value) -> String {
        let text = value.to_string();
        let error = serde_json::from_str::<T>(&text).err().unwrap();
        json_problem(&error)
    }
    let rows = [
        (of::<Fields>(&json!({})), "`name` is missing"),
        (
            of::<Fields>(&json!({"nme": "a"})),
            "`nme` is not known; the known ones are: `name` and `other`",
        ),
        (of::<Empty>(&json!({"a": 1})), "`a` is not known"),
        (of::<Fields>(&json!({"name": 7})), "must be a string, not 7"),
        (
            of::<Fields>(&json!({"name": "a", "other": 256})),
            "must be a whole number from 0 to 255, not 256",
        ),
        (of::<Fields>(&json!("a")), "must be an object, not \"a\""),
        (
            of::<Choice>(&json!("four")),
            "must be one of `one`, `two`, `three`, not `four`",
        ),
        (
            of::<Choice>(&json!("two")),
            "must be an object, not a string",
        ),
        (of::<Either>(&json!([])), "has no form that is allowed here"),
        (of::<(u8, u8)>(&json!([1])), "must be a list of length 2"),
        (of::<[u8; 2]>(&json!([1])), "must be a list of length 2"),
        (of::<bool>(&json!(null)), "must be true or false, not null"),
    ];
    for (found, expected) in rows {
        assert_eq!(found, expected);
    }
    let twice = serde_json::from_str::<Fields>(r#"{"name":"a","name":"b"}"#).unwrap_err();
    assert_eq!(json_problem(&twice), "`name` must be there only once");
}
