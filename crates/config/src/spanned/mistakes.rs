//! Mistakes that occur in every format: characters copied from a web page, and merge conflicts.

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
    let line = before.rsplit('\n').next().unwrap_or_default();
    let markers = ["<<<<<<<", "=======", ">>>>>>>"];
    let is_marker = match line.trim_start() {
        "" => markers.iter().any(|marker| rest.starts_with(marker)),
        line => markers.iter().any(|marker| line.starts_with(marker)),
    };
    if is_marker {
        return Some(
            "an unresolved merge conflict; choose one of its sides, and remove the markers"
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
