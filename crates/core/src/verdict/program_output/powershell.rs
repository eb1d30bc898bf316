//! The errors of Windows PowerShell: a message on several lines, its place in the language of the user, the source line and the category.

use super::has_words;
use super::line_kinds::is_noise;

/// Returns the index of the last line of an error, and the error.
pub(super) fn error_of_powershell(lines: &[&str]) -> Option<(usize, String)> {
    const MAX_LINES: usize = 6;
    // These words are the same in each language.
    let category = lines
        .iter()
        .position(|line| line.trim_start().starts_with("+ CategoryInfo "))?;
    let place = lines[..category]
        .iter()
        .rposition(|line| has_words(line) && !line.starts_with("+ "))?;
    let end = place.checked_sub(1)?;
    let first = end.saturating_sub(MAX_LINES);
    let start = first
        + lines[first..=end]
            .iter()
            .rposition(|line| line.contains(" : "))?;
    let message = lines[start..=end].iter().filter(|line| !is_noise(line));
    let message: Vec<&str> = message.map(|line| line.trim()).collect();
    (!message.is_empty()).then(|| (end, message.join(" ")))
}
