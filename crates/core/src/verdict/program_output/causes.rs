//! The usual causes in the reason that a program reports: a connection, an installation, the version of Python, a missing variable.
//!
//! Each function takes linear time.

/// Returns the part of a line that names the fault of a connection: the code of Node with the call and the address, or the words of the
/// operating system or a TLS library.
pub(super) fn network_fault(line: &str) -> Option<&str> {
    const CODES: [&str; 8] = [
        "ECONNREFUSED",
        "ECONNRESET",
        "ENOTFOUND",
        "EAI_AGAIN",
        "ETIMEDOUT",
        "EHOSTUNREACH",
        "ENETUNREACH",
        "EPROTO",
    ];
    const CALLS: [&str; 4] = ["connect ", "getaddrinfo ", "read ", "queryA "];
    const WORDS: [&str; 12] = [
        "name or service not known",
        "nodename nor servname provided",
        "temporary failure in name resolution",
        "no such host is known",
        "no such host",
        "connection refused",
        "network is unreachable",
        "no route to host",
        "connection timed out",
        "connection reset by peer",
        "certificate verify failed",
        "self-signed certificate",
    ];
    for code in CODES {
        let Some(start) = line.find(code) else {
            continue;
        };
        let end = start + code.len();
        let address = line[end..].strip_prefix(' ').unwrap_or_default();
        let address = address
            .split([' ', ',', ')', '\'', '"'])
            .next()
            .unwrap_or_default();
        let address = address.trim_end_matches(['.', ':', ';']);
        let end = match address.contains(['.', ':']) {
            true => end + 1 + address.len(),
            false => end,
        };
        let call = CALLS.iter().find(|call| line[..start].ends_with(**call));
        let start = start - call.map_or(0, |call| call.len());
        return Some(&line[start..end]);
    }
    // This changes no length.
    let lower = line.to_ascii_lowercase();
    WORDS.iter().find_map(|words| {
        let start = lower.find(words)?;
        Some(&line[start..start + words.len()])
    })
}

/// Whether a reason is that a module can't be found, or does not have what another module expects: the installation is damaged, or its
/// packages do not match.
pub(in crate::verdict) fn blames_installation(reason: &str) -> bool {
    const WORDS: [&str; 9] = [
        "ModuleNotFoundError",
        "ImportError",
        "Cannot find module",
        "Cannot find package",
        "does not provide an export named",
        "ERR_PACKAGE_PATH_NOT_EXPORTED",
        "got an unexpected keyword argument",
        "Could not read package.json",
        "is not a constructor",
    ];
    let lacks_attribute = reason.starts_with("AttributeError")
        && reason.contains(" has no attribute ")
        && !reason.contains("'NoneType'");
    // A module of Node itself is missing if Node is too old.
    let is_of_node = reason.contains("'node:");
    lacks_attribute || (!is_of_node && WORDS.iter().any(|words| reason.contains(words)))
}

/// Whether a reason is that a connection can't be made.
pub(in crate::verdict) fn blames_network(reason: &str) -> bool {
    network_fault(reason).is_some()
}

/// Whether a reason is that the package does not support the version of Python.
pub(in crate::verdict) fn blames_python(reason: &str) -> bool {
    reason.contains("current Python version") && reason.contains("does not satisfy Python")
}

/// Whether a reason is that an environment variable is not set.
pub(in crate::verdict) fn names_missing_variable(reason: &str) -> bool {
    const WORDS: [&str; 8] = [
        "environment variable",
        " env",
        "not set",
        "is required",
        "are required",
        "must be provided",
        "please set",
        "set the ",
    ];
    let is_variable = |word: &str| {
        word.contains('_')
            && word.len() > 5
            && !word.starts_with("ERR_")
            && word.starts_with(|first: char| first.is_ascii_uppercase())
            && word
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
    };
    let words = |text: &str| {
        text.split(|character: char| !character.is_ascii_alphanumeric() && character != '_')
            .any(is_variable)
    };
    let lower = reason.to_ascii_lowercase();
    words(reason) && WORDS.iter().any(|word| lower.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_installation_and_a_missing_variable_are_recognized() {
        let rows = [
            (
                "SyntaxError: The requested module 'node:util' does not provide an export named 'x'",
                false,
                false,
            ),
            ("Error: Cannot find module '/x/acme/server'", true, false),
            (
                "AttributeError: 'Server' object has no attribute 'list'",
                true,
                false,
            ),
            (
                "AttributeError: 'NoneType' object has no attribute 'list'",
                false,
                false,
            ),
            ("ACME_TOKEN environment variable is not set", false, true),
            ("Error: Cannot run without ACME_TOKEN env", false, true),
            ("Error: ERR_INVALID_URL is required", false, false),
            ("the connection is required", false, false),
        ];
        for (text, installation, variable) in rows {
            assert_eq!(blames_installation(text), installation, "{text}");
            assert_eq!(names_missing_variable(text), variable, "{text}");
            assert!(!blames_network(text) && !blames_python(text), "{text}");
        }
    }
}
