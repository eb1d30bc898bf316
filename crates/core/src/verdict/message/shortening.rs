//! Shortens a quote in its middle, so that its beginning and its end are shown, and the words that name the cause.
//!
//! Each function takes linear time.

const ELLIPSIS: &str = " … ";
/// A longer part of a word at a cut is kept, as that of a path.
const MAX_PART: usize = 16;

/// Shortens a printable text to `max_chars`. `cause` are words of the text in lowercase, or nothing.
pub(super) fn shortened(text: &str, max_chars: usize, cause: &str) -> String {
    let length = text.chars().count();
    if length <= max_chars {
        return text.to_owned();
    }
    let kept = max_chars.saturating_sub(ELLIPSIS.chars().count());
    let both_ends = with_both_ends(text, kept - kept / 2, kept / 2);
    // This changes no length.
    let has_cause = |text: &str| text.to_ascii_lowercase().contains(cause);
    if cause.is_empty() || has_cause(&both_ends) {
        return both_ends;
    }
    let Some(at) = text.to_ascii_lowercase().find(cause) else {
        return both_ends;
    };
    let end = text[..at + cause.len()].chars().count();
    let edge = kept.saturating_sub(ELLIPSIS.chars().count()) / 4;
    let middle = kept.saturating_sub(ELLIPSIS.chars().count() + 2 * edge);
    let cause = cause.chars().count();
    // More of the text after the cause than of the text before it.
    let start = (end - cause).saturating_sub(middle.saturating_sub(cause) / 3);
    if start <= edge + MAX_PART {
        return with_both_ends(text, kept - edge, edge);
    }
    if start + middle + MAX_PART >= length - edge {
        return with_both_ends(text, edge, kept - edge);
    }
    let middle: String = text.chars().skip(start).take(middle).collect();
    let middle = whole_beginning(whole_end(&middle));
    let (head, tail) = (text_at(text, 0, edge), text_at(text, length - edge, edge));
    let (head, tail) = (whole_beginning(&head), whole_end(&tail));
    format!("{head}{ELLIPSIS}{middle}{ELLIPSIS}{tail}")
}

/// Returns the first and the last characters of a text.
fn with_both_ends(text: &str, first: usize, last: usize) -> String {
    let length = text.chars().count();
    let head = text_at(text, 0, first);
    let tail = text_at(text, length.saturating_sub(last), last);
    format!("{}{ELLIPSIS}{}", whole_beginning(&head), whole_end(&tail))
}

fn text_at(text: &str, start: usize, chars: usize) -> String {
    text.chars().skip(start).take(chars).collect()
}

/// Returns a text without the part of a word at its end.
fn whole_beginning(text: &str) -> &str {
    match text.rsplit_once(' ') {
        Some((whole, part)) if part.len() <= MAX_PART => whole,
        _ => text,
    }
}

/// Returns a text without the part of a word at its beginning.
fn whole_end(text: &str) -> &str {
    match text.split_once(' ') {
        Some((part, whole)) if part.len() <= MAX_PART => whole,
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_text_is_not_changed() {
        assert_eq!(
            shortened("the disk is full", 16, "full"),
            "the disk is full"
        );
    }

    #[test]
    fn the_beginning_the_cause_and_the_end_are_kept() {
        let fill = |count: usize| "lorem ipsum ".repeat(count);
        let text = format!("Error 7: {}NO SPACE left {}at acme.rs", fill(20), fill(20));
        let found = shortened(&text, 120, "no space left");
        assert!(found.starts_with("Error 7: lorem"), "{found}");
        assert!(
            found.contains(" … ") && found.contains("NO SPACE left lorem"),
            "{found}"
        );
        assert!(found.ends_with("at acme.rs"), "{found}");
        assert!(found.chars().count() <= 120, "{found}");
        for cause in ["", "not in the text"] {
            let found = shortened(&text, 120, cause);
            assert!(!found.contains("NO SPACE"), "{found}");
            assert_eq!(found.matches(" … ").count(), 1, "{found}");
        }
    }

    #[test]
    fn a_cause_near_an_end_is_kept() {
        let fill = "äöü ".repeat(100);
        for before in [0, 5, 10, 20, 30, 60, 90, 120, 200, 280, 330, 380, 399] {
            let before: String = fill.chars().take(before).collect();
            let after: String = fill.chars().skip(before.chars().count()).collect();
            let text = format!("{before}disk full{after}");
            let found = shortened(&text, 100, "disk full");
            assert!(found.contains("disk full"), "{found}");
            assert!(found.chars().count() <= 100, "{found}");
        }
    }
}
