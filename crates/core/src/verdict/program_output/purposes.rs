//! Recognizes a program that runs for another purpose than MCP over stdio: it serves HTTP, waits for a debugger, or is a shell.
//!
//! Each function takes linear time.

/// Returns the line that shows another purpose of a program than MCP over stdio, with its name and the remedy.
pub(in crate::verdict) fn other_purpose(
    output: &str,
) -> Option<(&str, &'static str, &'static str)> {
    output.lines().find_map(|line| {
        let text = line.trim();
        if text.starts_with("Debugger listening on ws://") {
            return Some((
                text,
                "Node.js may wait for a debugger",
                "remove `--inspect-brk` from its arguments",
            ));
        }
        // It removes the quotation marks of a message.
        if text.contains("jsonrpc:2.0") && text.ends_with("not found") {
            return Some((
                text,
                "its program is a shell, which runs each message as a command",
                "replace `command` with that of an MCP server",
            ));
        }
        let lower = text.to_ascii_lowercase();
        // The first words of an interactive cmd, in every language.
        if lower.starts_with("microsoft windows [version ") {
            return Some((
                text,
                "its program is a shell that runs no command",
                "replace `args` with `/c`, and the command after it",
            ));
        }
        serves_http(&lower).then_some((
            text,
            "it serves HTTP instead of stdio",
            "replace `command` with its `url`, or add its option for stdio to `args`",
        ))
    })
}

/// Whether a line in lower case reports that the program serves HTTP.
fn serves_http(line: &str) -> bool {
    const VERBS: [&str; 9] = [
        "running on",
        "running at",
        "listening on",
        "listening at",
        "started on",
        "started at",
        "serving",
        "with transport 'http' on ",
        "with transport 'sse' on ",
    ];
    const PORTS: [&str; 4] = [
        "server listening on port ",
        "server running on port ",
        "server started on port ",
        "tomcat started on port",
    ];
    // A program over stdio may serve these too.
    const OTHERS: [&str; 13] = [
        "callback",
        "auth",
        "sign",
        "log in",
        "login",
        "dashboard",
        "metrics",
        "open ",
        "inspect",
        "websocket",
        "bridge",
        "debug",
        "health",
    ];
    let has = |words: &[&str]| words.iter().any(|word| line.contains(word));
    let has_address = has(&["http://", "https://"]) && has(&VERBS);
    (has_address || has(&PORTS)) && !has(&OTHERS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_purpose_is_recognized() {
        let rows = [
            (
                "INFO: Uvicorn running on http://127.0.0.1:8000 (Press CTRL+C to quit)",
                Some("it serves HTTP"),
            ),
            (
                "INFO Starting MCP server 'acme' with transport 'http' on http://127.0.0.1:8000/mcp",
                Some("it serves HTTP"),
            ),
            ("MCP server listening on port 3000", Some("it serves HTTP")),
            (
                "x.TomcatWebServer : Tomcat started on port 8080 (http) with context path '/'",
                Some("it serves HTTP"),
            ),
            ("WebSocket server listening on port 9009", None),
            (
                "OAuth callback server listening on http://localhost:3334",
                None,
            ),
            ("Acme running on stdio", None),
            (
                "Microsoft Windows [Version 10.0.26200.1]",
                Some("a shell that runs no command"),
            ),
            (
                "Microsoft Windows [version 10.0.26200.1]",
                Some("a shell that runs no command"),
            ),
            (
                "sh: 1: {jsonrpc:2.0,id:0}: not found",
                Some("runs each message"),
            ),
            (
                "Debugger listening on ws://127.0.0.1:9229/x",
                Some("a debugger"),
            ),
            ("", None),
        ];
        for (line, expected) in rows {
            let found = other_purpose(line).map(|(_, what, _)| what);
            let fits = match (found, expected) {
                (Some(what), Some(words)) => what.contains(words),
                (found, expected) => found == expected,
            };
            assert!(fits, "{line}: {found:?}");
        }
    }
}
