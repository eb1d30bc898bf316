//! Makes foreign text safe to show to users: the one list of hidden characters, the commands that CI services read in a log, and the text
//! with both escaped.

/// Whether a user can't see this character, or it changes how the text around it is displayed.
///
/// Terminals, browsers and editors act on such characters, or show nothing for them, so text with them is not the text that a
/// user reads. They are:
///
/// * control characters, including line breaks and terminal escape codes (C0, DEL, C1), and the line and paragraph separators
/// * the characters that change the writing direction
/// * the characters that have no glyph (`Default_Ignorable_Code_Point` in the Unicode Character Database): zero-width
///   characters, deprecated format characters, tags, fillers, and variation selectors
/// * interlinear annotations
///
/// The exception is U+FE0F, which turns `⚠` into `⚠️` and is common in log lines. A single selector can't encode hidden data,
/// and the other ones can.
///
/// ```
/// use mcp_startup_core::is_hidden;
///
/// assert!(is_hidden('\u{1b}') && is_hidden('\u{202e}') && is_hidden('\u{e0041}'));
/// assert!(!is_hidden('a') && !is_hidden(' ') && !is_hidden('名'));
/// ```
pub fn is_hidden(character: char) -> bool {
    matches!(character,
        // C0, DEL and C1.
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        // Soft hyphen, combining grapheme joiner, Arabic letter mark.
        | '\u{ad}' | '\u{34f}' | '\u{61c}'
        // Hangul fillers, Khmer inherent vowels, Mongolian selectors.
        | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{3164}' | '\u{ffa0}'
        // Zero-width characters and direction marks, line and paragraph separators, embeddings and overrides.
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        // Word joiner, invisible operators, isolates, deprecated format characters.
        | '\u{2060}'..='\u{206f}'
        // Variation selectors, byte order mark, reserved characters and interlinear annotations.
        | '\u{fe00}'..='\u{fe0e}' | '\u{feff}' | '\u{fff0}'..='\u{fffb}'
        // Controls of shorthand and of musical notation.
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        // Tags, more variation selectors, and characters reserved for more of them.
        | '\u{e0000}'..='\u{e0fff}')
}

const ZERO_WIDTH_JOINER: char = '\u{200d}';

/// Whether a zero-width joiner next to this character can be part of an emoji, as in a family or a flag: it is a pictograph, a skin tone or
/// the selector of the emoji presentation.
fn can_be_joined(character: char) -> bool {
    matches!(character, '\u{1f000}'..='\u{1faff}' | '\u{2190}'..='\u{2bff}' | '\u{fe0f}')
}

/// How the commands begin that a CI service reads anywhere in a line of a log: GitHub Actions (also `##[`), Azure Pipelines and TeamCity.
const COMMANDS_ANYWHERE: [&str; 3] = ["##[", "##vso[", "##teamcity["];
/// The names of the commands that GitHub Actions reads as `::NAME::` or `::NAME KEY=VALUE::`, after white space at the beginning of a line.
///
/// Source: `ActionCommand` and `ActionCommandManager` of <https://github.com/actions/runner>.
const COMMANDS_OF_A_LINE: [&str; 16] = [
    "add-mask",
    "add-matcher",
    "add-path",
    "debug",
    "echo",
    "endgroup",
    "error",
    "group",
    "internal-set-repo-path",
    "notice",
    "remove-matcher",
    "save-state",
    "set-env",
    "set-output",
    "stop-commands",
    "warning",
];

/// Whether the text begins with a command that a CI service obeys anywhere in a line of its log: `##[`, `##vso[` or `##teamcity[`.
///
/// The services compare without regard to case, and to characters without a weight of their own.
///
/// ```
/// use mcp_startup_core::begins_log_command;
///
/// assert!(begins_log_command("##[add-mask]e") && begins_log_command("##VSO[task.complete]"));
/// assert!(!begins_log_command("## Heading") && !begins_log_command("#[derive(Debug)]"));
/// ```
pub fn begins_log_command(text: &str) -> bool {
    text.starts_with('#')
        && COMMANDS_ANYWHERE
            .iter()
            .any(|command| rest_after(text, command).is_some())
}

/// Whether the text, which is at the beginning of a line or after white space, begins with a command of GitHub Actions.
fn begins_command_of_line(text: &str) -> bool {
    let after_colons = text.strip_prefix("::");
    after_colons.is_some_and(|text| {
        COMMANDS_OF_A_LINE.iter().any(|name| {
            let rest = rest_after(text, name);
            rest.is_some_and(|rest| rest.starts_with("::") || rest.starts_with(char::is_whitespace))
        })
    })
}

/// The rest of a text that begins with `command`.
fn rest_after<'a>(text: &'a str, command: &str) -> Option<&'a str> {
    let mut characters = text.chars();
    for wanted in command.chars() {
        let found = characters.find(|character| !is_without_weight(*character))?;
        if !found.eq_ignore_ascii_case(&wanted) {
            return None;
        }
    }
    Some(characters.as_str())
}

/// Whether a character that can be shown has no weight if texts are compared.
fn is_without_weight(character: char) -> bool {
    matches!(character, ZERO_WIDTH_JOINER | '\u{fe0f}')
}

/// Makes `text` safe to show on one line.
///
/// Replaces each [hidden character](is_hidden) with a visible escape such as `\n` or `\u{1b}`. A zero-width joiner between two parts of an
/// emoji is kept, because it is visible there. The first character of a command that a CI service would read in its log is escaped too, as
/// in `##[` or `::add-mask::`. Cuts the result to at most `max_chars` characters and ends it with an ellipsis if something was cut.
///
/// ```
/// use mcp_startup_core::printable;
///
/// assert_eq!(printable("a\u{1b}[31mred\n", 100), "a\\u{1b}[31mred\\n");
/// assert_eq!(printable("##[add-mask]e", 100), "\\u{23}#[add-mask]e");
/// assert_eq!(printable("0123456789", 5), "0123…");
/// ```
pub fn printable(text: &str, max_chars: usize) -> String {
    // Most texts need no change. `fold` does not stop early, so the compiler can check many bytes at a time.
    let is_plain = |byte: u8| matches!(byte, b' '..=b'~');
    let may_command = || text.contains("##") || text.contains("::");
    let is_short = text.len() <= max_chars;
    if is_short && text.bytes().fold(true, |all, byte| all & is_plain(byte)) && !may_command() {
        return text.to_owned();
    }
    let mut shown = String::new();
    let mut length = 0;
    let mut before = None;
    for (at, character) in text.char_indices() {
        let start = shown.len();
        let mut following = text[at + character.len_utf8()..].chars();
        let joins = character == ZERO_WIDTH_JOINER
            && before.is_some_and(can_be_joined)
            && following.next().is_some_and(can_be_joined);
        before = Some(character);
        let commands = match character {
            '#' => begins_log_command(&text[at..]),
            ':' => {
                let mut shown_before = shown.chars().rev();
                let visible = shown_before.find(|character| !is_without_weight(*character));
                visible.is_none_or(char::is_whitespace) && begins_command_of_line(&text[at..])
            }
            _ => false,
        };
        if commands {
            shown.extend(character.escape_unicode());
        } else if is_hidden(character) && !joins {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
        length += shown[start..].chars().count();
        if length > max_chars {
            // A joiner before the ellipsis would join nothing.
            while shown.chars().count() >= max_chars.max(1) || shown.ends_with(ZERO_WIDTH_JOINER) {
                shown.pop();
            }
            shown.push('…');
            break;
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ranges of hidden characters, written by hand from the Unicode Character Database, version 16: `Cc`, `Zl`, `Zp`,
    /// `Default_Ignorable_Code_Point` and the interlinear annotations.
    const HIDDEN: [(u32, u32); 23] = [
        (0x00, 0x1f),
        (0x7f, 0x9f),
        (0xad, 0xad),
        (0x34f, 0x34f),
        (0x61c, 0x61c),
        (0x115f, 0x1160),
        (0x17b4, 0x17b5),
        (0x180b, 0x180f),
        (0x200b, 0x200f),
        (0x2028, 0x2029),
        (0x202a, 0x202e),
        (0x2060, 0x206f),
        (0x3164, 0x3164),
        (0xfe00, 0xfe0e),
        (0xfeff, 0xfeff),
        (0xffa0, 0xffa0),
        (0xfff0, 0xfff8),
        (0xfff9, 0xfffb),
        (0x1bca0, 0x1bca3),
        (0x1d173, 0x1d17a),
        (0xe0000, 0xe007f),
        (0xe0080, 0xe01ef),
        (0xe01f0, 0xe0fff),
    ];

    #[test]
    fn a_joiner_is_kept_only_between_the_parts_of_an_emoji() {
        let family = "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}";
        let flag = "\u{1f3f3}\u{fe0f}\u{200d}\u{1f308}";
        for emoji in [family, flag, "\u{2764}\u{fe0f}\u{200d}\u{1f525}"] {
            assert_eq!(printable(emoji, 100), emoji);
        }
        for (text, expected) in [
            ("a\u{200d}b", "a\\u{200d}b"),
            ("\u{1f468}\u{200d}", "\u{1f468}\\u{200d}"),
            ("\u{200d}\u{1f468}", "\\u{200d}\u{1f468}"),
            (
                "\u{1f468}\u{200d}\u{200d}\u{1f468}",
                "\u{1f468}\\u{200d}\\u{200d}\u{1f468}",
            ),
            ("\u{1f468}\u{200d}x", "\u{1f468}\\u{200d}x"),
        ] {
            assert_eq!(printable(text, 100), expected);
        }
    }

    #[test]
    fn every_hidden_character_is_escaped_and_no_other_one() {
        for character in '\0'..=char::MAX {
            let code = u32::from(character);
            let expected = HIDDEN
                .iter()
                .any(|(first, last)| (*first..=*last).contains(&code));
            assert_eq!(is_hidden(character), expected, "U+{code:04X}");
            let shown = printable(&format!("a{character}b"), 20);
            assert_eq!(shown.contains(character), !expected, "U+{code:04X}");
        }
    }

    /// Commands to GitHub Actions, Azure Pipelines and TeamCity, and text that only resembles them.
    #[test]
    fn a_command_to_a_ci_service_is_escaped_and_ordinary_text_is_not() {
        for (text, expected) in [
            ("no ##[add-mask]e", "no \\u{23}#[add-mask]e"),
            ("###[error]x", "#\\u{23}#[error]x"),
            ("#\u{fe0f}#[error]", "\\u{23}\u{fe0f}#[error]"),
            ("x##VSO[task.complete]", "x\\u{23}#VSO[task.complete]"),
            ("##teamcity[message]", "\\u{23}#teamcity[message]"),
            ("::add-mask::e", "\\u{3a}:add-mask::e"),
            (" ::Error file=a::e", " \\u{3a}:Error file=a::e"),
            ("no ::stop-commands::x", "no \\u{3a}:stop-commands::x"),
            ("\u{a0}::debug::", "\u{a0}\\u{3a}:debug::"),
        ] {
            assert_eq!(printable(text, 100), expected);
            assert_eq!(printable(expected, 100), expected);
        }
        for text in [
            "## Heading [1]",
            "#1, C#[], #[derive(Debug)]",
            "::1 refused, [::1]:80",
            "::std::string, std::error::Error, a ::error:",
            "::ffff:192.0.2.1",
            "x::error::y",
        ] {
            assert_eq!(printable(text, 100), text);
        }
    }

    #[test]
    fn control_and_direction_characters_are_escaped() {
        let hostile = "\u{1b}]0;t\u{7}\u{9b}2J\r\n\t\u{202e}evil\u{0}\u{e0041}";
        let expected = "\\u{1b}]0;t\\u{7}\\u{9b}2J\\r\\n\\t\\u{202e}evil\\u{0}\\u{e0041}";
        assert_eq!(printable(hostile, 200), expected);
    }

    #[test]
    fn text_is_cut_by_characters_not_bytes() {
        assert_eq!(printable("ééééé", 5), "ééééé");
        assert_eq!(printable("éééééé", 5), "éééé…");
        assert_eq!(printable(&"\n".repeat(50), 7).chars().count(), 7);
        assert_eq!(printable("abc", 0), "…");
        let family = "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}";
        for (chars, expected) in [(2, "\u{1f468}…"), (3, "\u{1f468}…"), (5, family)] {
            assert_eq!(printable(family, chars), expected);
        }
    }
}
