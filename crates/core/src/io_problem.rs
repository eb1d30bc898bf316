//! The words for an error of the operating system.

use std::io::Error;

/// Returns the text of an error without the number that the system gives it, for a message to a user.
///
/// ```
/// let error = std::fs::read("/no/such/file").unwrap_err();
/// # #[cfg(target_os = "linux")]
/// assert_eq!(mcp_startup_core::io_problem(&error), "no such file or directory");
/// assert!(error.to_string().contains("(os error"));
/// ```
pub fn io_problem(error: &Error) -> String {
    // Windows has no text for some errors.
    const NO_TEXT: &str = "FormatMessageW() returned error";
    let text = error.to_string();
    if error.raw_os_error().is_some() && text.contains(NO_TEXT) {
        return error.kind().to_string();
    }
    // An error that contains the one of the system has its text.
    let text = without_os_error_numbers(&text);
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        // The text follows other words. `I/O error` keeps its capital.
        (Some(first), Some(second)) if error.raw_os_error().is_some() && second.is_lowercase() => {
            let rest = &text[first.len_utf8()..];
            first.to_lowercase().chain(rest.chars()).collect()
        }
        _ => text,
    }
}

/// Returns a text without the numbers that the system gives its errors, such as `(os error 2)`.
#[doc(hidden)]
pub fn without_os_error_numbers(text: &str) -> String {
    const START: &str = " (os error ";
    let mut text = text.to_owned();
    while let Some((before, number)) = text.split_once(START)
        && let Some((number, after)) = number.split_once(')')
        && number.parse::<i64>().is_ok()
    {
        // A message of Windows ends with a full stop.
        text = format!("{}{after}", before.trim_end_matches('.'));
    }
    text
}

/// Returns the text of an error and its causes, without the numbers of the system. A cause that the text contains is left out.
#[doc(hidden)]
pub fn error_chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut chain = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !chain.contains(&text) {
            chain.push_str(": ");
            chain.push_str(&text);
        }
        source = cause.source();
    }
    without_os_error_numbers(&chain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_that_the_text_contains_is_left_out() {
        #[derive(Debug, thiserror::Error)]
        #[error("it can't connect")]
        struct Outer(#[source] Inner);
        #[derive(Debug, thiserror::Error)]
        #[error("to a.example: {0}")]
        struct Inner(#[source] Error);
        let cause = Error::other("refused (os error 111)");
        assert_eq!(
            error_chain(&Outer(Inner(cause))),
            "it can't connect: to a.example: refused"
        );
    }

    #[test]
    fn the_number_of_the_system_is_left_out() {
        let texts = [
            ("it is a folder", "it is a folder"),
            (
                "can't listen: Address already in use (os error 98); choose another port",
                "can't listen: Address already in use; choose another port",
            ),
            (
                "Access is denied. (os error 5) at path \"C:\\a\"",
                "Access is denied at path \"C:\\a\"",
            ),
            ("a (os error 1) b (os error -2)", "a b"),
            ("a (os error x)", "a (os error x)"),
            ("a (os error 1", "a (os error 1"),
        ];
        for (text, expected) in texts {
            assert_eq!(io_problem(&Error::other(text)), expected);
        }
        for code in 1..200 {
            let shown = io_problem(&Error::from_raw_os_error(code));
            assert!(!shown.is_empty() && !shown.contains("os error"), "{shown}");
        }
    }
}
