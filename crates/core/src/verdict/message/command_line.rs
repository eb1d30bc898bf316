//! The words for a server that the user gave on a command line: no configuration has its keys.

/// The words of a next step that name a key, and those for a command line. The first row that applies to a place in the text wins.
const WORDS: [(&str, &str); 22] = [
    (
        "in `env` or `args` of its configuration",
        "in the environment or the arguments of this command",
    ),
    (
        "in `env` or `args`",
        "in the environment or the arguments of this command",
    ),
    (
        "in `env` of its configuration",
        "in the environment of this command",
    ),
    ("in `env`", "in the environment of this command"),
    ("its `env`", "its environment"),
    ("set `cwd` in its configuration to", "start this command in"),
    ("set `cwd` to", "start this command in"),
    ("`args` of its configuration", "its arguments"),
    ("in `args`", "in its arguments"),
    ("its `args`", "its arguments"),
    ("items of `args`", "arguments"),
    ("item of `args`", "argument"),
    ("to `args`", "to its arguments"),
    ("`args`", "its arguments"),
    ("as `command`", "as the program"),
    ("in `command`", "as the program"),
    ("its `command`", "the command"),
    ("`command`", "the command"),
    ("its `url`", "its URL"),
    ("as `url`", "in place of the command"),
    (
        "add it to the configuration",
        "add it to a configuration file, and pass that with `--config`",
    ),
    ("check its settings", "check its arguments and variables"),
];

/// Returns a next step that fits a server on a command line.
pub(super) fn for_command_line(text: &str) -> String {
    let mut fitting = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        match WORDS.iter().find(|(words, _)| rest.starts_with(words)) {
            Some((words, other)) => {
                fitting.push_str(other);
                rest = &rest[words.len()..];
            }
            None => {
                fitting.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    fitting
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_next_step_names_no_key() {
        let rows = [
            (
                "; set the variable in `env` of its configuration, or report this: ",
                "; set the variable in the environment of this command, or report this: ",
            ),
            (
                "; set it in `env` or `args` of its configuration, or report this: ",
                "; set it in the environment or the arguments of this command, or report this: ",
            ),
            (
                ": set `cwd` in its configuration to the folder of its project",
                ": start this command in the folder of its project",
            ),
            (
                "; check its `command`, which must start an MCP server over stdio",
                "; check the command, which must start an MCP server over stdio",
            ),
            (
                "write `sh` as `command`, and `-c` and the line as items of `args`",
                "write `sh` as the program, and `-c` and the line as arguments",
            ),
        ];
        for (text, expected) in rows {
            assert_eq!(for_command_line(text), expected);
        }
    }
}
