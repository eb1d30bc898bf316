use std::time::{Duration, Instant};

use super::*;

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text:?}"),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => format!("{number:?}"),
        Value::Boolean(boolean) => boolean.to_string(),
        Value::Unsupported(description) => format!("<{description}>"),
        Value::List(items) => {
            let items: Vec<_> = items.iter().map(|item| shown(&item.value)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Table(fields) => {
            let fields = fields.iter();
            let fields: Vec<_> = fields
                .map(|(name, value)| {
                    format!(
                        "{name}@{}: {}",
                        value.line.unwrap_or(0),
                        shown(&value.value)
                    )
                })
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
    }
}

fn parsed(text: &str, merge_key: MergeKey) -> String {
    match Document::parse(text, Path::new("f"), merge_key) {
        Ok(document) => shown(&Value::Table(document.into_fields())),
        Err(error) => error.to_string(),
    }
}

#[test]
fn values_have_the_types_of_yaml_1_2_and_the_lines_of_their_keys() {
    let cases = [
        ("", "{}"),
        ("# only a comment\n", "{}"),
        ("---\n...\n", "{}"),
        ("a: 1\nb:\n  c: x\n", "{a@1: 1, b@2: {c@3: \"x\"}}"),
        (
            "\n\na:\n\n  - x\n  - {b: y}\n",
            "{a@3: [\"x\", {b@6: \"y\"}]}",
        ),
        (
            "a: yes\nb: on\nc: No\n",
            "{a@1: \"yes\", b@2: \"on\", c@3: \"No\"}",
        ),
        (
            "a: true\nb: False\nc: tRue\n",
            "{a@1: true, b@2: false, c@3: \"tRue\"}",
        ),
        (
            "a:\nb: ~\nc: null\nd: ''\n",
            "{a@1: <null>, b@2: <null>, c@3: <null>, d@4: \"\"}",
        ),
        (
            "a: 0x1F\nb: 0o17\nc: -12\nd: +3\n",
            "{a@1: 31, b@2: 15, c@3: -12, d@4: 3}",
        ),
        (
            "a: 1.5\nb: 1e3\nc: .5\nd: -.inf\n",
            "{a@1: 1.5, b@2: 1000.0, c@3: 0.5, d@4: -inf}",
        ),
        (
            "a: 1.2.3\nb: 12:30:45\nc: +-5\nd: inf\ne: .\nf: 1_000\n",
            "{a@1: \"1.2.3\", b@2: \"12:30:45\", c@3: \"+-5\", d@4: \"inf\", e@5: \".\", f@6: \"1_000\"}",
        ),
        ("a: 99999999999999999999\n", "{a@1: 1e20}"),
        ("a: \"1\"\nb: 'true'\n", "{a@1: \"1\", b@2: \"true\"}"),
        (
            "a: !!str 1\nb: !!int \"2\"\nc: ! 3\n",
            "{a@1: \"1\", b@2: 2, c@3: \"3\"}",
        ),
        (
            "a: !secret x\nb: !!set {x}\n",
            "{a@1: <a value with a tag>, b@2: <a value with a tag>}",
        ),
        (
            "1: a\ntrue: b\n~: c\n",
            "{1@1: \"a\", true@2: \"b\", ~@3: \"c\"}",
        ),
        (
            "a: |\n  x\n  y\nb: >-\n  x\n  y\n",
            "{a@1: \"x\\ny\\n\", b@4: \"x y\"}",
        ),
        (
            "a: &x [1]\nb: *x\n*y : 1",
            "f, line 3, column 1: not valid YAML: text that begins with `*` or `&` needs quotation marks; write them, or the anchor that an alias refers to",
        ),
        ("a: &x n\n*x : 1\n", "{a@1: \"n\", n@2: 1}"),
        ("a: ${{ secrets.X }}\n", "{a@1: \"${{ secrets.X }}\"}"),
        (
            "a: 'C:\\x' # note\r\nb: é\r\n",
            "{a@1: \"C:\\\\x\", b@2: \"é\"}",
        ),
        (
            "a: {b: 1, c: [x, 'y']}\n",
            "{a@1: {b@1: 1, c@1: [\"x\", \"y\"]}}",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(parsed(text, MergeKey::Ignored), expected, "{text}");
    }
}

#[test]
fn tables_are_merged_only_by_clients_that_do_so() {
    let text = "a: &a {x: 1, y: 2}\nb:\n  <<: *a\n  y: 3\nc:\n  <<: [*a, {z: 4}]\n";
    assert_eq!(
        parsed(text, MergeKey::Applied),
        "{a@1: {x@1: 1, y@1: 2}, b@2: {y@4: 3, x@1: 1}, c@5: {x@1: 1, y@1: 2, z@6: 4}}"
    );
    assert_eq!(
        parsed("a: &a {x: 1}\nb: {<<: *a}\n", MergeKey::Ignored),
        "{a@1: {x@1: 1}, b@2: {<<@2: {x@1: 1}}}"
    );
    assert!(
        parsed("<<: 1\n", MergeKey::Applied)
            .contains("line 1, column 5: not valid YAML: the value of `<<`")
    );
}

#[test]
fn a_mistake_has_its_line_its_column_and_a_remedy() {
    let cases = [
        ("a: 1\na: 2\n", 2, 1, "this key is also in line 1"),
        ("x: {b: 1, b: 2}\n", 1, 11, "this key is also in line 1"),
        ("a: 1\n---\nb: 2\n", 2, 1, "a second document"),
        ("a:\n\tb: 1\n", 2, 2, "a tab"),
        ("```yaml\na: 1\n```\n", 1, 1, "a Markdown fence"),
        (
            "<<<<<<< HEAD\na: 1\n=======\na: 2\n>>>>>>> x\n",
            2,
            2,
            "merge conflict",
        ),
        ("a: [1, 2\n", 1, 4, "the closing bracket of a list"),
        ("a: {b: 1\n", 1, 4, "the closing brace of a table"),
        ("a: \"x\n", 1, 4, "a string is not closed"),
        ("a: \"C:\\Users\"\n", 1, 4, "a backslash"),
        ("a: b: c\n", 1, 5, "a key is not allowed here"),
        ("a: 1\n b: 2\n", 2, 3, "a key is not allowed here"),
        ("a:\n  b: 1\n c: 2\n", 3, 2, "the indentation"),
        ("a: @scope/x\n", 1, 4, "needs quotation marks"),
        ("a:\n  - *.example.com\n", 2, 5, "`*`"),
        ("- a\n- b\n", 1, 1, "must have keys and values"),
        ("mcpServers\n", 1, 1, "must have keys and values"),
        ("? [a]\n: 1\n", 1, 3, "a key must be text"),
        ("a: &x [*x]\n", 1, 8, "within the value of its own anchor"),
        (
            "a: 1\n<<<<<<< HEAD\nb: 2\n=======\n",
            2,
            1,
            "an unresolved merge conflict",
        ),
    ];
    for (text, line, column, part) in cases {
        let result = Document::parse(text, Path::new("f"), MergeKey::Ignored);
        let error = result.map(|_| ()).expect_err(text);
        let message = error.to_string();
        assert!(message.contains(part), "{text}: {message}");
        let place = (error.line(), error.column());
        assert_eq!(place, (Some(line), Some(column)), "{text}: {message}");
    }
}

#[test]
fn no_message_quotes_the_file() {
    for text in [
        "k: s3cret\nk: s3cret\n",
        "\"s3cret\n",
        "a: s3cret: s3cret\n",
        "s3cret\n",
        "a: @s3cret\n",
        "a: *s3cret\n",
        "a: !s3cret!x y\n",
    ] {
        let shown = parsed(text, MergeKey::Applied);
        assert!(shown.contains("not valid YAML"), "{shown}");
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}

#[test]
fn every_beginning_of_a_file_is_read_or_refused_with_a_place() {
    let samples = [
        include_str!("../../../tests/clients/samples/goose/config.yaml"),
        include_str!("../../../tests/clients/samples/continue/config.yaml"),
        include_str!("../../../tests/clients/samples/librechat/librechat.yaml"),
    ];
    for sample in samples {
        for (end, _) in sample.char_indices() {
            let text = &sample[..end];
            if let Err(error) = Document::parse(text, Path::new("f"), MergeKey::Applied) {
                let lines = u32::try_from(text.lines().count()).unwrap_or(u32::MAX);
                let line = error.line().unwrap_or_default();
                assert!((1..=lines + 1).contains(&line), "{text}: {error}");
            }
        }
    }
}

/// Texts of at most 4 MiB that need unlimited time, memory or stack if a parser is careless.
#[test]
fn hostile_texts_are_refused_or_read_in_a_short_time() {
    let aliases = |count: usize, of: usize| {
        let mut text = "a0: &a0 x\n".to_owned();
        for at in 1..count {
            let list = vec![format!("*a{}", at - 1); of].join(", ");
            text += &format!("a{at}: &a{at} [{list}]\n");
        }
        text
    };
    let deep = "values are nested too deeply";
    let many = "too many values";
    let cases = [
        ("nine levels of aliases", aliases(9, 10), many),
        ("a chain of aliases", aliases(10_000, 1), deep),
        (
            "a long text with many aliases",
            format!(
                "a: &a {}\nb:\n{}",
                "x".repeat(1_000_000),
                "- *a\n".repeat(100_000)
            ),
            many,
        ),
        ("lists", "[".repeat(100_000), deep),
        ("tables", "{a: ".repeat(100_000), deep),
        ("block lists", "- ".repeat(100_000), deep),
        ("explicit keys", "? ".repeat(100_000), ""),
        (
            "indented tables",
            (0..2000).map(|at| " ".repeat(at) + "a:\n").collect(),
            deep,
        ),
        (
            "many keys",
            (0..50_000).map(|at| format!("k{at}: v\n")).collect(),
            "",
        ),
        ("many items", format!("a: [{}]", "b,".repeat(600_000)), many),
        (
            "an open string",
            format!("a: \"{}", "\\".repeat(1_000_000)),
            "a string is not closed",
        ),
        (
            "an open list",
            format!("a: [{}", "b, ".repeat(50_000)),
            "the closing bracket",
        ),
        ("documents", "---\n".repeat(1_000_000), "a second document"),
        (
            "anchors",
            (0..30_000).map(|at| format!("- &a{at}\n")).collect(),
            "",
        ),
        ("tags", format!("a: {}", "!x ".repeat(1_000_000)), ""),
        ("tabs", "\t".repeat(1_000_000), ""),
        (
            "line breaks",
            "\n".repeat(1_000_000) + "a: [",
            "the closing bracket",
        ),
        (
            "merges",
            (0..30_000).fold("a: &a {x: 1}\nb:\n".to_owned(), |text, _| {
                text + "  <<: *a\n"
            }),
            "",
        ),
    ];
    for (name, text, part) in cases {
        let start = Instant::now();
        let result = Document::parse(&text, Path::new("f"), MergeKey::Applied);
        let taken = start.elapsed();
        match result {
            Ok(_) => assert_eq!(part, "", "{name}"),
            Err(error) => assert!(error.to_string().contains(part), "{name}: {error}"),
        }
        assert!(taken < Duration::from_secs(60), "{name}: {taken:?}");
    }
}
