//! The exceptions of Elixir: `** (RuntimeError) message`, each one indented below the failure that it caused.

/// Returns the index and the text of the last exception, which is the innermost one of a chain. A line that ends with a colon only
/// introduces the next one.
pub(super) fn innermost_exception(lines: &[&str]) -> Option<(usize, String)> {
    let found = lines.iter().enumerate().rev().find_map(|(at, line)| {
        let text = line.trim();
        let (kind, message) = text.strip_prefix("** (")?.split_once(") ")?;
        // An exit only has the name of its signal, and the errors of a compiler are in other lines.
        let has_reason = !message.ends_with(':')
            && !kind.starts_with("EXIT from ")
            && !message.ends_with("(errors have been logged)");
        has_reason.then_some((at, text))
    });
    found.map(|(at, text)| (at, text.to_owned()))
}
