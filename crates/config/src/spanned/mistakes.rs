//! Mistakes that occur in every format: characters copied from a web page, merge conflicts, and the fences of Markdown.

/// The marker at the beginning of a merge conflict.
pub(super) const CONFLICT: &str = "<<<<<<<";

/// Quotation marks that a text processor or a web page has in place of `"`.
const TYPOGRAPHIC_QUOTES: &[char] = &[
    '“', '”', '„', '‟', '‘', '’', '‚', '‛', '«', '»', '‹', '›', '″', '´', '＂',
];

pub(super) fn is_typographic_quote(character: char) -> bool {
    TYPOGRAPHIC_QUOTES.contains(&character)
}

/// Whether a character is displayed as a space, or not at all.
pub(super) fn is_invisible_space(character: char) -> bool {
    matches!(
        character,
        '\u{a0}' | '\u{1680}' | '\u{2000}'
            ..='\u{200d}'
                | '\u{2028}'
                | '\u{2029}'
                | '\u{202f}'
                | '\u{205f}'
                | '\u{2060}'
                | '\u{3000}'
                | '\u{feff}'
    )
}

/// Whether the first line of a text is that of a YAML file, and not of JSON or TOML: the marker of a document, an item of a list, or a key
/// and a colon without quotation marks, and no value or a plain one.
pub(super) fn is_yaml(text: &str) -> bool {
    let is_comment = |line: &&str| line.is_empty() || line.starts_with('#');
    let mut lines = text.lines().map(str::trim).skip_while(is_comment);
    let Some(line) = lines.next() else {
        return false;
    };
    if line == "---" || line.starts_with("--- ") || line.starts_with("- ") {
        return true;
    }
    let is_of_key = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    line.split_once(':').is_some_and(|(key, value)| {
        let value_begins = value.trim_start().chars().next();
        !key.is_empty()
            && key.bytes().all(is_of_key)
            && (value.is_empty() || value.starts_with(' '))
            && value_begins.is_none_or(|first| first.is_ascii_alphanumeric() || first == '#')
            && !line.ends_with(',')
    })
}

/// Whether the first line of a text is the heading of a table in TOML: `[mcp_servers.docs]`.
pub(super) fn is_toml(text: &str) -> bool {
    let is_comment = |line: &&str| line.is_empty() || line.starts_with('#');
    let mut lines = text.lines().map(str::trim).skip_while(is_comment);
    let line = lines.next().unwrap_or_default();
    let heading = line.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    heading.is_some_and(|(name, _)| {
        name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '[')
            && !name.contains([',', '{'])
    })
}

/// Describes the mistake at the end of `before`, which is followed by `rest`, if it is one of this module.
pub(super) fn describe(before: &str, rest: &str) -> Option<String> {
    let mut lines = before.rsplit('\n');
    let line = lines.next().unwrap_or_default();
    // YAML reads a marker as the beginning of a key.
    let is_after_marker = lines.next().is_some_and(|line| line.starts_with(CONFLICT));
    let line = match line.trim_start() {
        "" => rest,
        line => line,
    };
    let begins_with = |markers: &[&str]| markers.iter().any(|marker| line.starts_with(marker));
    if is_after_marker || begins_with(&[CONFLICT, "=======", ">>>>>>>"]) {
        return Some(
            "an unresolved merge conflict; choose one of its sides, and remove the markers"
                .to_owned(),
        );
    }
    if begins_with(&["```", "~~~"]) {
        return Some(
            "a Markdown fence (```), which is not part of the file; remove this line, and the one at the other end"
                .to_owned(),
        );
    }
    match rest.chars().next()? {
        quote if is_typographic_quote(quote) => Some(format!(
            "{quote} is a typographic quotation mark; write straight ones (\") around keys and text"
        )),
        space if is_invisible_space(space) => Some(format!(
            "an invisible character (U+{:04X}); remove it, or write a normal space",
            u32::from(space)
        )),
        _ => None,
    }
}
