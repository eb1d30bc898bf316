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
