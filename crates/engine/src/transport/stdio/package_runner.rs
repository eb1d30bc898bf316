//! Recognizes package runners, such as `npx` and `uvx`, which install the package of a server before they start it. Runs nothing.

use std::path::Path;

/// The file names of package runners, with the words before the package and the option that names it.
const PACKAGE_RUNNERS: [(&str, &[&str], &[&str]); 15] = [
    ("npx", &[], &["-p", "--package"]),
    ("npm", &["exec"], &["-p", "--package"]),
    ("npm", &["x"], &["-p", "--package"]),
    ("pnpx", &[], &["--package"]),
    ("pnpm", &["dlx"], &["--package"]),
    ("yarn", &["dlx"], &["-p", "--package"]),
    ("bunx", &[], &["-p", "--package"]),
    ("bun", &["x"], &["-p", "--package"]),
    ("uvx", &[], &["--from"]),
    ("uv", &["tool", "run"], &["--from"]),
    ("pipx", &["run"], &["--spec"]),
    ("npm", &[], &[]),
    ("pnpm", &[], &[]),
    ("uv", &[], &[]),
    ("deno", &[], &[]),
];
/// The options of package runners that have no value.
const FLAGS: [&str; 12] = [
    "-y",
    "--yes",
    "-q",
    "--quiet",
    "-s",
    "--silent",
    "--prefer-offline",
    "--bun",
    "--isolated",
    "--refresh",
    "--no-cache",
    "--",
];

/// The options of package runners that have a value and do not name the package.
const VALUES: [&str; 14] = [
    "-i",
    "--index-url",
    "--index",
    "--default-index",
    "--extra-index-url",
    "--registry",
    "--cache",
    "--cache-dir",
    "--userconfig",
    "--loglevel",
    "--python",
    "--with",
    "--with-editable",
    "--constraints",
];

/// Whether the command starts a package runner, possibly through another program, as in `env npx …` and `sh -c "npx …"`.
pub(super) fn is_package_runner(command: &str, arguments: &[String]) -> bool {
    let words = arguments.iter().flat_map(|text| text.split_whitespace());
    let names = std::iter::once(command).chain(words);
    let mut names = names.filter_map(|word| Path::new(word).file_name()?.to_str());
    names.any(|name| {
        let is_it = |(runner, ..): &(&str, _, _)| strip_suffix(name) == *runner;
        PACKAGE_RUNNERS.iter().any(is_it)
    })
}

/// Returns the package of a registry that the command installs, possibly through a shell. Returns `None` if this is not certain.
pub(super) fn package<'a>(command: &'a str, arguments: &'a [String]) -> Option<&'a str> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match started_by_shell(command, &arguments) {
        Some(words) => package_of_runner(words.first()?, words.get(1..)?),
        None => package_of_runner(command, &arguments),
    }
}

/// Returns the program that `cmd`, `env` or a shell of Unix starts, and its arguments.
fn started_by_shell<'a>(command: &str, arguments: &[&'a str]) -> Option<Vec<&'a str>> {
    let name = strip_suffix(Path::new(command).file_name()?.to_str()?);
    let start = match name {
        "cmd" => {
            let switch = |word: &&str| word.eq_ignore_ascii_case("/c");
            arguments.iter().position(switch)? + 1
        }
        "env" => arguments.iter().position(|word| !word.contains('='))?,
        "sh" | "bash" | "zsh" | "dash" => {
            let (line, options) = arguments.split_last()?;
            let is_plain = |character: char| {
                character.is_ascii_alphanumeric() || " @/._-=:+,^~".contains(character)
            };
            let is_line = options.last().is_some_and(|option| option.ends_with('c'));
            let words = line.trim().strip_prefix("exec ").unwrap_or(line);
            return (is_line && line.chars().all(is_plain))
                .then(|| words.split_whitespace().collect());
        }
        _ => return None,
    };
    Some(arguments.get(start..)?.to_vec())
}

fn package_of_runner<'a>(command: &str, arguments: &[&'a str]) -> Option<&'a str> {
    let name = strip_suffix(Path::new(command).file_name()?.to_str()?);
    let runners = PACKAGE_RUNNERS
        .iter()
        .filter(|(runner, ..)| *runner == name);
    let (rest, options) = runners.clone().find_map(|(_, subcommand, options)| {
        let (first, rest) = arguments.split_at_checked(subcommand.len())?;
        let is_it = first.iter().eq(subcommand.iter()) && !options.is_empty();
        is_it.then_some((rest, options))
    })?;
    let mut rest = rest.iter().copied();
    loop {
        let word = rest.next()?;
        let (option, value) = match word.split_once('=') {
            Some((option, value)) if word.starts_with('-') => (option, Some(value)),
            _ => (word, None),
        };
        let found = match option.starts_with('-') {
            false => Some(word),
            true if options.contains(&option) => Some(value.or_else(|| rest.next())?),
            true if value.is_some() || FLAGS.contains(&option) => None,
            true if VALUES.contains(&option) => {
                rest.next()?;
                None
            }
            true => return None,
        };
        if let Some(found) = found {
            return Some(found).filter(|found| is_of_registry(found));
        }
    }
}

/// Whether the text is the name of a package in a registry, possibly with a version. A URL may contain a token.
fn is_of_registry(text: &str) -> bool {
    const MAX_LENGTH: usize = 120;
    let is_name = |character: char| {
        character.is_ascii_alphanumeric() || "@/._-~^*+<>=![],".contains(character)
    };
    let starts_as_name = |character: char| character == '@' || character.is_ascii_alphanumeric();
    // `./folder`, `owner/repository` and a full path are not in a registry.
    let slashes = usize::from(text.starts_with('@'));
    text.len() <= MAX_LENGTH
        && text.starts_with(starts_as_name)
        && text.chars().all(is_name)
        && text.matches('/').count() == slashes
}

/// The name of a program without the suffix that it has on Windows.
fn strip_suffix(name: &str) -> &str {
    [".cmd", ".exe", ".CMD", ".EXE"]
        .iter()
        .find_map(|suffix| name.strip_suffix(suffix))
        .unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(arguments: &[&str]) -> Vec<String> {
        arguments.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn package_runners_are_recognized() {
        let table: [(&str, &[&str], bool); 11] = [
            ("npx", &["-y", "some-server"], true),
            ("/usr/local/bin/uvx", &["some-server"], true),
            ("sh", &["-c", "exec npx -y some-server"], true),
            ("/usr/bin/env", &["deno", "run", "server.ts"], true),
            ("pnpm", &[], true),
            ("npx.cmd", &[], true),
            ("yarn", &["start"], true),
            ("node", &["/opt/npx/server.js"], false),
            ("python3", &["-m", "uvicorn"], false),
            ("npx-server", &[], false),
            ("", &[], false),
        ];
        for (command, arguments, expected) in table {
            let found = is_package_runner(command, &words(arguments));
            assert_eq!(found, expected, "{command} {arguments:?}");
        }
    }

    #[test]
    fn the_package_is_named_if_it_is_certain() {
        let table: [(&str, &[&str], Option<&str>); 30] = [
            (
                "npx",
                &["-y", "@acme/files@1.2.0", "--root", "/"],
                Some("@acme/files@1.2.0"),
            ),
            ("npx.cmd", &["-y", "files"], Some("files")),
            ("npx", &["-y", "-p", "acme", "files"], Some("acme")),
            (
                "/usr/bin/npx",
                &["--package=acme", "-c", "files"],
                Some("acme"),
            ),
            ("npm", &["exec", "--", "files"], Some("files")),
            ("npm", &["start"], None),
            ("pnpm", &["dlx", "files"], Some("files")),
            ("bunx", &["--bun", "files"], Some("files")),
            ("uvx", &["files==1.0"], Some("files==1.0")),
            ("uvx", &["--from", "acme[all]", "files"], Some("acme[all]")),
            ("uvx", &["--python", "3.12", "files"], Some("files")),
            (
                "uvx",
                &["-i", "https://pypi.example/simple", "files@latest"],
                Some("files@latest"),
            ),
            (
                "npx",
                &["-y", "--registry", "https://npm.example", "files"],
                Some("files"),
            ),
            ("cmd", &["/c", "npx", "-y", "files"], Some("files")),
            ("cmd.exe", &["/d", "/C", "npx.cmd", "files"], Some("files")),
            ("env", &["A=1", "npx", "-y", "files"], Some("files")),
            (
                "bash",
                &["-lc", "exec npx -y files --root x"],
                Some("files"),
            ),
            ("bash", &["-lc", "cd x && npx -y files"], None),
            ("cmd", &["npx", "files"], None),
            ("uvx", &["--python"], None),
            ("uvx", &["--unknown", "3.12", "files"], None),
            ("uv", &["tool", "run", "files@latest"], Some("files@latest")),
            ("uv", &["run", "server.py"], None),
            ("pipx", &["run", "files"], Some("files")),
            (
                "npx",
                &["-y", "https://user:token@registry.example/files.tgz"],
                None,
            ),
            ("npx", &["-y", "acme/files"], None),
            ("npx", &["./files"], None),
            ("npx", &["-y"], None),
            ("npx", &[], None),
            ("node", &["server.js"], None),
        ];
        for (command, arguments, expected) in table {
            let arguments = words(arguments);
            assert_eq!(
                package(command, &arguments),
                expected,
                "{command} {arguments:?}"
            );
        }
    }
}
