//! The words for each error of syntax that `serde_json` has.

/// Each message of `serde_json` (`ErrorCode` in its `error.rs`), and the words for it.
pub(super) const PROBLEMS: [(&str, &str); 23] = [
    (
        "EOF while parsing a list",
        "the text ends too early, within a list",
    ),
    (
        "EOF while parsing an object",
        "the text ends too early, within an object",
    ),
    (
        "EOF while parsing a string",
        "the text ends too early, within a string",
    ),
    (
        "EOF while parsing a value",
        "the text ends too early, before a value",
    ),
    ("expected `:`", "a colon (`:`) is missing after a key"),
    (
        "expected `,` or `]`",
        "a comma or the end of a list (`]`) is missing",
    ),
    (
        "expected `,` or `}`",
        "a comma or the end of an object (`}`) is missing",
    ),
    (
        "expected ident",
        "a word is neither `true` nor `false` nor `null`",
    ),
    ("expected value", "there is no valid value"),
    ("expected `\"`", "a double quotation mark is missing"),
    (
        "invalid escape",
        "a backslash in a string is not followed by an escape of JSON",
    ),
    ("invalid number", "a number is not written as in JSON"),
    ("number out of range", "a number is too large"),
    (
        "invalid unicode code point",
        "a string has text that is not Unicode",
    ),
    (
        "control character (\\u0000-\\u001F) found while parsing a string",
        "a string has a line break or another control character, which must be escaped",
    ),
    (
        "key must be a string",
        "a key is not a string in double quotation marks",
    ),
    (
        "invalid value: expected key to be a number in quotes",
        "a key must be a number in double quotation marks",
    ),
    (
        "float key must be finite (got NaN or +/-inf)",
        "a key must be a finite number",
    ),
    (
        "lone leading surrogate in hex escape",
        "an escape (`\\u`) is half of a surrogate pair",
    ),
    (
        "trailing comma",
        "there is a comma before a closing bracket",
    ),
    (
        "trailing characters",
        "there is text after the end of the value",
    ),
    (
        "unexpected end of hex escape",
        "an escape (`\\u`) is the first half of a surrogate pair without the second",
    ),
    (
        "recursion limit exceeded",
        "lists and objects are nested too deeply",
    ),
];

/// The words for a message of `serde_json`. `None` if it is not about the syntax.
pub(super) fn problem(message: &str) -> Option<&'static str> {
    let mut problems = PROBLEMS.iter();
    problems
        .find(|(theirs, _)| *theirs == message)
        .map(|(_, ours)| *ours)
}
