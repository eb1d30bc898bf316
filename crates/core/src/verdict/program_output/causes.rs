//! The usual causes in the reason that a program reports: a connection, an installation, the version of Python, a missing variable,
//! setting or argument, a fault of the program.
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
    const WORDS: [&str; 13] = [
        "name or service not known",
        "nodename nor servname provided",
        "temporary failure in name resolution",
        "no such host is known",
        "no such host",
        "connection refused",
        "network is unreachable",
        "no route to host",
        "connection timed out",
        "operation timed out",
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
            .split(|end: char| end.is_whitespace() || [',', ')', '\'', '"'].contains(&end))
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
    const WORDS: [&str; 3] = ["connect to 'http", "connect to \"http", "connect to http"];
    network_fault(reason).is_some() || contains_any(reason, &WORDS)
}

/// Whether a program reports that it waits for a lock, which another program holds.
pub(in crate::verdict) fn waits_for_lock(line: &str) -> bool {
    contains_any(line, &["waiting for file lock", "waiting to acquire lock"])
}

/// Whether a reason is that a script has the line endings of Windows: the carriage return is a part of the interpreter's name.
pub(in crate::verdict) fn has_windows_line_end(reason: &str) -> bool {
    // `printable` escapes it.
    [
        "\\r’: No such file",
        "\\r': No such file",
        "\\r: No such file",
        "^M: bad interpreter",
    ]
    .iter()
    .any(|words| reason.contains(words))
}

/// Whether a reason is that the package does not support the version of Python.
pub(in crate::verdict) fn blames_python(reason: &str) -> bool {
    reason.contains("current Python version") && reason.contains("does not satisfy Python")
}

/// Whether a reason is that an environment variable is not set.
pub(in crate::verdict) fn names_missing_variable(reason: &str) -> bool {
    const WORDS: [&str; 18] = [
        "environment variable",
        "missing required",
        " env",
        "(env",
        "[env",
        "not set",
        "must be set",
        "is missing",
        "field required",
        "keyerror: ",
        "resolve placeholder",
        "is required",
        "are required",
        "must be provided",
        "please set",
        "set the ",
        // An issue of Zod 3 and 4.
        ": required",
        ", received undefined",
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
    !lacks_permission(reason) && words(reason) && WORDS.iter().any(|word| lower.contains(word))
}

/// Whether a reason is that an argument is missing or not known.
pub(in crate::verdict) fn blames_arguments(reason: &str) -> bool {
    const WORDS: [&str; 19] = [
        "requires a subcommand",
        "unknown command",
        "unknown option",
        "unrecognized option",
        "unknown flag",
        "unknown shorthand flag",
        "flag provided but not defined",
        "no such command",
        "no such option",
        "missing option",
        "is not provided by package",
        "unknown argument",
        "number of arguments",
        "missing argument",
        "missing required argument",
        "arguments are required",
        "arguments were not provided",
        "unrecognized arguments",
        "unexpected argument",
    ];
    begins_usage(reason) || lacks_permission(reason) || contains_any(reason, &WORDS)
}

/// Whether a reason is that Deno was started without a permission.
fn lacks_permission(reason: &str) -> bool {
    reason.contains("run again with the --allow-")
}

/// Whether a reason is that a setting is missing, whose variable or argument it does not name.
pub(in crate::verdict) fn names_missing_setting(reason: &str) -> bool {
    const WORDS: [&str; 11] = [
        "is required",
        "are required",
        // pydantic 2 and 1.
        "field required [type=missing",
        "field required (type=value_error.missing",
        "cannot be empty",
        "must not be empty",
        "must be provided",
        "not provided",
        "is not set",
        "is not configured",
        "is missing",
    ];
    contains_any(reason, &WORDS) && !is_about_other(reason)
}

/// Whether a reason is that another version of a program or an account is required, or that a setting is wrong.
fn is_about_other(reason: &str) -> bool {
    const WORDS: [&str; 11] = [
        "is not configured correctly",
        "membership",
        "subscription",
        "sign in to ",
        "log in to ",
        "or greater is required",
        "or higher is required",
        "or newer is required",
        "or later is required",
        "or above is required",
        "is required to build",
    ];
    contains_any(reason, &WORDS)
}

/// Whether a reason has an instruction for the user, at its beginning or after a full stop.
pub(in crate::verdict) fn has_instruction(reason: &str) -> bool {
    INSTRUCTIONS.iter().any(|beginning| {
        reason.match_indices(beginning).any(|(at, _)| {
            let is_beginning =
                at == 0 || reason[..at].ends_with(". ") || reason[..at].ends_with("! ");
            is_beginning && !points_to_help(&reason[at..])
        })
    })
}

/// Whether a text only points to the help of a program, such as `Run 'docker run --help' for more information`.
pub(super) fn points_to_help(text: &str) -> bool {
    const VERBS: [&str; 6] = ["Run ", "See ", "Try ", "Type ", "Use ", "Please run "];
    const HELP: [&str; 6] = ["--help", " help", " -h ", " -h'", " -h`", " `man "];
    const MAX_BYTES: usize = 160;
    let text = text.trim();
    text.len() <= MAX_BYTES
        && VERBS.iter().any(|verb| text.starts_with(verb))
        && HELP.iter().any(|words| text.contains(words))
        && !text.contains(". ")
}

/// Whether a text begins the usage of a program: `Usage: acme …`, or `Usage of acme:` in Go.
pub(super) fn begins_usage(text: &str) -> bool {
    let is_go = text.starts_with("Usage of ")
        && text
            .split_whitespace()
            .nth(2)
            .is_some_and(|program| program.ends_with(':'));
    is_go
        || ["Usage:", "usage:", "USAGE:"]
            .iter()
            .any(|beginning| text.starts_with(beginning))
}

/// Whether a reason is an error of JavaScript that only a fault in the code can cause, or an older Node than the code requires.
pub(in crate::verdict) fn blames_javascript(reason: &str) -> bool {
    const ERRORS: [&str; 3] = ["TypeError: ", "ReferenceError: ", "SyntaxError: "];
    const WORDS: [&str; 11] = [
        "Cannot read properties of",
        "Cannot set properties of",
        "is not a function",
        "is not defined",
        "is not iterable",
        "Unexpected token",
        "Unexpected string",
        "Unexpected identifier",
        "Unexpected reserved word",
        "Cannot use import statement outside",
        "Invalid regular expression flags",
    ];
    // A file that is not JSON is the user's.
    // The npx of an old Node shows only the message.
    let is_error = reason.starts_with("Unexpected token '");
    (is_error || ERRORS.iter().any(|error| reason.contains(error)))
        && WORDS.iter().any(|words| reason.contains(words))
        && !reason.contains("JSON")
}

fn contains_any(text: &str, words: &[&str]) -> bool {
    let lower = text.to_ascii_lowercase();
    words.iter().any(|words| lower.contains(words))
}

/// The words with which the instruction of a program begins.
pub(super) const INSTRUCTIONS: [&str; 14] = [
    "Run ",
    "Set ",
    "Please ",
    "Use ",
    "Provide ",
    "Pass ",
    "Add ",
    "Install ",
    "Specify ",
    "Create ",
    "Configure ",
    "Start ",
    "Update ",
    "Upgrade ",
];

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
            ("KeyError: 'OPENWEATHER_API_KEY'", false, true),
            ("KeyError: 'openweather'", false, false),
            (
                "ZodError: ACME_API_KEY: Invalid input: expected string, received undefined",
                false,
                true,
            ),
            ("error: STRIPE_SECRET_KEY must be set", false, true),
            (
                "Error: Missing option '--api-key' (env var: 'X_API_KEY').",
                false,
                true,
            ),
            (
                "ValidationError: 1 validation error for Settings JIRA_URL Field required [type=missing]",
                false,
                true,
            ),
            (
                "ValidationError: 1 validation error for Settings jira_url Field required [type=missing]",
                false,
                false,
            ),
            (
                "IllegalStateException: Could not resolve placeholder 'BRAVE_API_KEY' in value \"x\"",
                false,
                true,
            ),
            (
                "NotCapable: Requires env access to \"API_KEY\", run again with the --allow-env flag",
                false,
                false,
            ),
            ("Error: ERR_INVALID_URL is required", false, false),
            ("the connection is required", false, false),
        ];
        for (text, installation, variable) in rows {
            assert_eq!(blames_installation(text), installation, "{text}");
            assert_eq!(names_missing_variable(text), variable, "{text}");
            assert!(!blames_network(text) && !blames_python(text), "{text}");
        }
    }

    #[test]
    fn a_missing_argument_or_setting_an_instruction_and_a_fault_are_recognized() {
        // The reason, and whether it is about the arguments, about a setting, has an instruction, and is a fault of the program.
        #[rustfmt::skip]
        let rows = [
            ("Uncaught exception: Error: Unknown command: undefined. Expected 'init' or 'run'.", [true, false, false, false]),
            ("Invalid number of arguments", [true, false, false, false]),
            ("error: 'uv' requires a subcommand but one was not provided", [true, true, false, false]),
            ("error: the following arguments are required: --root", [true, true, false, false]),
            ("ERROR: Database connection configuration is required.", [false, true, false, false]),
            ("Server error: Elasticsearch URL cannot be empty", [false, true, false, false]),
            ("1 validation error for Settings api_key Field required [type=missing, input_value={}]", [false, true, false, false]),
            ("1 validation error for Settings api_key field required (type=value_error.missing)", [false, true, false, false]),
            ("Credentials not found. Please run with 'auth' argument first.", [false, false, true, false]),
            ("An executable named `acme` is not provided by package `acme`. Use `uvx --from acme acme-mcp` instead.", [true, true, true, false]),
            ("NotCapable: Requires env access to \"API_KEY\", run again with the --allow-env flag", [true, false, false, false]),
            ("Usage: acme [options] <folder>", [true, false, false, false]),
            ("Usage limit exceeded", [false, false, false, false]),
            ("unknown flag: --bogus", [true, false, false, false]),
            ("flag provided but not defined: -stdio", [true, false, false, false]),
            ("Error: No such command 'serve'.", [true, false, false, false]),
            ("docker: invalid reference format. Run 'docker run --help' for more information", [false, false, false, false]),
            ("Try `acme -h` for help", [false, false, false, false]),
            ("No token. Run `acme login` first.", [false, false, true, false]),
            ("cannot open the database: no such file", [false, false, false, false]),
            ("the User is unknown", [false, false, false, false]),
            ("TypeError: Cannot read properties of undefined (reading 'bind')", [false, false, false, true]),
            ("ReferenceError: File is not defined", [false, false, false, true]),
            ("SyntaxError: Unexpected token } in JSON at position 3", [false, false, false, false]),
            ("SyntaxError: Unexpected string", [false, false, false, true]),
            ("TypeError: fetch failed", [false, false, false, false]),
            ("error: Microsoft Visual C++ 14.0 or greater is required", [false, false, false, false]),
        ];
        for (text, expected) in rows {
            let found = [
                blames_arguments(text),
                names_missing_setting(text),
                has_instruction(text),
                blames_javascript(text),
            ];
            assert_eq!(found, expected, "{text}");
        }
    }
}
