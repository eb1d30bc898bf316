//! Explains why the command or the folder of a server can't be used: the usual mistakes, each with its remedy. Starts nothing.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use mcp_startup_config::StdioConfig;
use mcp_startup_core::io_problem;

use super::program::{EXEC_FORMAT_ERROR, environment, find_program, is_program};

/// The maximum length of a part of the command in a text, in characters.
const SHOWN_CHARS: usize = 60;

/// The command of a server that was not found.
pub(super) struct MissingProgram<'a> {
    pub command: &'a str,
    /// The folders that were searched.
    pub path: &'a OsStr,
    pub cwd: Option<&'a Path>,
}

impl MissingProgram<'_> {
    /// Returns the command for a message. Arguments in it are replaced with an ellipsis, because they may hold a token.
    pub fn name(&self) -> String {
        let command = self.command.trim();
        let (first, rest) = split(command);
        let is_path_with_spaces = first.contains(['/', '\\']) && !self.is_command_line(first, rest);
        match first.split_once('=') {
            Some((name, _)) => format!("{name}=…"),
            None if is_path_with_spaces || rest.is_empty() => command.to_owned(),
            None => format!("{first} …"),
        }
    }

    /// Returns the mistake and its remedy, if the command has one of the usual mistakes.
    pub fn remedy(&self) -> Option<String> {
        let command = self.command.trim();
        let (first, rest) = split(command);
        if command.starts_with(['"', '\'', '`', '“', '”', '‘', '’']) {
            return Some(
                "it has quotation marks, and no shell reads it; remove them, and write arguments as items of `args`"
                    .to_owned(),
            );
        }
        if command.starts_with("http://") || command.starts_with("https://") {
            return Some("it is a URL, and not a program; write it as `url`".to_owned());
        }
        if command.starts_with('~') {
            return Some(
                "`~` is not replaced, because no shell reads it; write the full path of the program"
                    .to_owned(),
            );
        }
        if first.contains('$') || first.contains("{{") || first.matches('%').count() >= 2 {
            return Some(
                "a variable in it was not replaced, because no shell reads it; write the full path of the program"
                    .to_owned(),
            );
        }
        if let Some((name, _)) = first.split_once('=')
            && rest.is_empty()
            && is_variable_name(name)
        {
            return Some(format!(
                "it is the variable `{}`; write variables in `env`, and the program, which is the first item of `args`, as `command`",
                printable(name)
            ));
        }
        if let Some((name, _)) = first.split_once('=')
            && !rest.is_empty()
        {
            return Some(format!(
                "it begins with the variable `{}`; write variables in `env`, and the program as `command`",
                printable(name)
            ));
        }
        if rest
            .split_whitespace()
            .any(|word| matches!(word, "&&" | "||" | "|" | ";" | ">" | "<"))
        {
            let (shell, option) = match cfg!(windows) {
                true => ("cmd", "/c"),
                false => ("sh", "-c"),
            };
            return Some(format!(
                "it is a line for a shell, and no shell reads it; write `{shell}` as `command`, and `{option}` and the line as items of `args`"
            ));
        }
        if cfg!(not(windows)) && is_shell_of_windows(first) {
            return Some(
                "it is a shell of Windows; write the program after `/c` as `command`".to_owned(),
            );
        }
        if self.is_command_line(first, rest) {
            let name = self
                .other_name_of(first)
                .unwrap_or_else(|| first.to_owned());
            return Some(format!(
                "it has arguments; write `{}` as `command`, and the others as items of `args`",
                printable(&name)
            ));
        }
        if cfg!(not(windows))
            && let Some(remedy) = self.remedy_for_windows_name()
        {
            return Some(remedy);
        }
        match command.contains('/') {
            true => self.remedy_for_path(),
            false => self.remedy_for_name(),
        }
    }

    /// Whether the command is a program with arguments, and not a path with spaces.
    fn is_command_line(&self, first: &str, rest: &str) -> bool {
        const RUNNERS: [&str; 20] = [
            "npx", "npm", "pnpm", "yarn", "bunx", "bun", "node", "deno", "uvx", "uv", "pipx",
            "python", "python3", "docker", "podman", "java", "dotnet", "go", "cmd", "sh",
        ];
        !rest.is_empty()
            && (RUNNERS.contains(&first)
                || rest.split_whitespace().any(|word| word.starts_with('-'))
                || self.find(first).is_some_and(|found| found.is_file()))
    }

    fn find(&self, command: &str) -> Option<PathBuf> {
        find_program(command, self.path, self.cwd)
    }

    fn folder(&self) -> Option<PathBuf> {
        std::path::absolute(self.cwd.unwrap_or(Path::new("."))).ok()
    }

    fn remedy_for_windows_name(&self) -> Option<String> {
        let command = self.command.trim();
        let is_drive =
            matches!(command.as_bytes(), [drive, b':', ..] if drive.is_ascii_alphabetic());
        if is_drive || command.contains('\\') {
            return Some("it is a path of Windows; write a path of this system".to_owned());
        }
        let remedy = match without_suffix_of_windows(command)? {
            name if self.find(name).is_some() => {
                format!("it is a name on Windows; write `{}`", printable(name))
            }
            _ => "it is a program of Windows; write the name on this system".to_owned(),
        };
        Some(remedy)
    }

    /// Returns the name of a program on the `PATH` that the user may mean by a name that is not.
    fn other_name_of(&self, name: &str) -> Option<String> {
        const OTHER_NAMES: [(&str, &str); 6] = [
            ("python", "python3"),
            ("python3", "python"),
            ("pip", "pip3"),
            ("node", "nodejs"),
            ("nodejs", "node"),
            ("docker", "podman"),
        ];
        if self.find(name).is_some() {
            return None;
        }
        let lower = name.to_ascii_lowercase();
        let others = OTHER_NAMES.iter().filter(|(known, _)| *known == lower);
        let others = others.map(|(_, other)| *other);
        let suffix = without_suffix_of_windows(name).filter(|_| cfg!(not(windows)));
        let mut candidates = Some(lower.as_str()).into_iter().chain(suffix).chain(others);
        let found =
            candidates.find(|candidate| *candidate != name && self.find(candidate).is_some());
        found.map(str::to_owned)
    }

    fn remedy_for_path(&self) -> Option<String> {
        let command = Path::new(self.command);
        if command.is_relative() {
            let folder = self.folder()?;
            return Some(format!(
                "a relative path begins at the folder of the process, {}; write the full path",
                folder.display()
            ));
        }
        let is_link = command
            .symlink_metadata()
            .is_ok_and(|found| found.is_symlink());
        is_link.then(|| {
            "it is a link to a file that does not exist; install the program again, or correct the link"
                .to_owned()
        })
    }

    fn remedy_for_name(&self) -> Option<String> {
        let command = self.command.trim();
        if let Some(name) = self.other_name_of(command) {
            return Some(format!(
                "`{}` is on the PATH; write it as `command`",
                printable(&name)
            ));
        }
        let mut folders = std::env::split_paths(self.path).filter(|folder| folder.is_absolute());
        let unusable = folders.find_map(|folder| {
            let file = folder.join(command);
            (file.is_file() && !is_program(&file)).then_some(file)
        });
        if let Some(file) = unusable {
            return Some(not_executable(&file));
        }
        let file = self.folder()?.join(command);
        if file.is_dir() {
            return Some(folder_as_program(&file));
        }
        file.is_file().then(|| match interpreter(&file) {
            Some(_) => not_executable(&file),
            None => format!(
                "this name is searched for on the PATH only; write the full path, {}",
                file.display()
            ),
        })
    }
}

fn is_variable_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Returns a name without the suffix of a program on Windows. `None` if it has none.
fn without_suffix_of_windows(name: &str) -> Option<&str> {
    let lower = name.to_ascii_lowercase();
    let mut suffixes = [".cmd", ".exe", ".bat", ".ps1"].into_iter();
    let suffix = suffixes.find(|suffix| lower.ends_with(suffix))?;
    name.get(..name.len() - suffix.len())
}

fn is_shell_of_windows(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    matches!(name.trim_end_matches(".exe"), "cmd" | "powershell")
}

/// Splits a command line into its first word and the rest.
fn split(command: &str) -> (&str, &str) {
    let end = command.find(char::is_whitespace).unwrap_or(command.len());
    let (first, rest) = command.split_at(end);
    (first, rest.trim_start())
}

fn printable(text: &str) -> String {
    mcp_startup_core::printable(text, SHOWN_CHARS)
}

/// Explains why the operating system does not run a file, with the remedy.
pub(super) fn cannot_run(file: &Path, error: &std::io::Error) -> String {
    if file.is_dir() {
        return folder_as_program(file);
    }
    let shown = file.display();
    let is_usable = is_program(file);
    match error.kind() {
        ErrorKind::PermissionDenied if !is_usable => not_executable(file),
        ErrorKind::NotFound if is_usable && has_windows_line_end(file) => format!(
            "{shown} can't be run: its first line ends as on Windows (CRLF); save it with the line endings of Unix (LF)"
        ),
        ErrorKind::NotFound if is_usable => format!(
            "{shown} can't be run: the interpreter that its first line names does not exist; install it, or correct that line"
        ),
        _ if error.raw_os_error() == Some(EXEC_FORMAT_ERROR) => match interpreter(file) {
            Some(interpreter) => {
                format!("{shown} can't be run: it is a script; {}", by(interpreter))
            }
            None if cfg!(windows) => format!(
                "{shown} can't be run: {}; it is a program for another system, or a file that another program opens",
                io_problem(error)
            ),
            None => format!(
                "{shown} can't be run: {}; it is a program for another system, or a script without a first line such as #!/bin/sh",
                io_problem(error)
            ),
        },
        _ => format!("{shown} can't be run: {}", io_problem(error)),
    }
}

/// The longest argument or variable that Linux passes to a program, in bytes.
const LONGEST_TEXT: usize = 128 * 1024 - 1;

/// Explains why the arguments and the variables of a program are too long for the system. Returns the key to change too.
pub(super) fn too_long(config: &StdioConfig) -> (&'static str, String) {
    let arguments: Vec<usize> = config.args.iter().map(String::len).collect();
    let is_configured = |name: &OsStr| config.env.iter().any(|(key, _)| name == key.as_str());
    let (environment, _) = environment(config);
    let (configured, inherited): (Vec<_>, Vec<_>) = environment
        .iter()
        .partition(|(name, _)| is_configured(name));
    let lengths = |variables: Vec<&(OsString, OsString)>| -> Vec<usize> {
        let lengths = variables
            .iter()
            .map(|(name, value)| name.len() + 1 + value.len());
        lengths.collect()
    };
    let parts = [
        ("args", "", ["an argument", "its arguments"], arguments),
        (
            "env",
            "",
            ["a variable", "its variables"],
            lengths(configured),
        ),
        (
            "env",
            " that it inherits from this program",
            ["a variable", "the variables"],
            lengths(inherited),
        ),
    ];
    let longest = |lengths: &[usize]| lengths.iter().copied().max().unwrap_or_default();
    let exceeds = |lengths: &[usize]| cfg!(target_os = "linux") && longest(lengths) > LONGEST_TEXT;
    let [first, others @ ..] = &parts;
    let rank = |lengths: &[usize]| (exceeds(lengths), lengths.iter().sum::<usize>());
    let largest = others.iter().fold(first, |largest, part| {
        match rank(&part.3) > rank(&largest.3) {
            true => part,
            false => largest,
        }
    });
    let (key, inherited, [one, all], lengths) = largest;
    let (fact, them) = match exceeds(lengths) {
        true => (
            format!(
                "{one}{inherited} has {} bytes, and the system passes at most {LONGEST_TEXT} to a program",
                longest(lengths)
            ),
            "it",
        ),
        false => (
            format!(
                "{all}{inherited} have {} bytes, which is more than the system passes to a program",
                lengths.iter().sum::<usize>()
            ),
            "them",
        ),
    };
    let problem =
        format!("{fact}; shorten {them}, or write {them} to a file that the program reads");
    (key, problem)
}

/// Whether the first line of a script ends with a carriage return, which the system takes as a part of the interpreter's name.
fn has_windows_line_end(script: &Path) -> bool {
    const MAX_BYTES: u64 = 1024;
    let mut beginning = Vec::new();
    let read = File::open(script).and_then(|file| file.take(MAX_BYTES).read_to_end(&mut beginning));
    let end = memchr::memchr(b'\n', &beginning);
    read.is_ok() && end.is_some_and(|end| beginning[..end].ends_with(b"\r"))
}

fn folder_as_program(folder: &Path) -> String {
    format!(
        "{} is a folder; write the path of the program in it",
        folder.display()
    )
}

fn not_executable(file: &Path) -> String {
    let remedy = match interpreter(file) {
        Some(interpreter) => by(interpreter),
        None => "make it executable (chmod +x)".to_owned(),
    };
    format!("{} is not an executable file; {remedy}", file.display())
}

fn by(interpreter: &str) -> String {
    format!("write `{interpreter}` as `command`, and this path as the first item of `args`")
}

/// The program that runs a script.
fn interpreter(file: &Path) -> Option<&'static str> {
    match file.extension()?.to_str()? {
        "py" if cfg!(windows) => Some("python"),
        "py" => Some("python3"),
        "js" | "mjs" | "cjs" => Some("node"),
        "ts" | "mts" => Some("tsx"),
        "rb" => Some("ruby"),
        "sh" => Some("sh"),
        _ => None,
    }
}

/// Explains why a folder can't be the working directory of a program. `None` if it can.
pub(super) fn problem_of_folder(cwd: &Path) -> Option<String> {
    if cwd.is_dir() {
        return None;
    }
    let full = std::path::absolute(cwd).unwrap_or_else(|_| cwd.to_owned());
    let shown = full.display();
    let written = cwd.to_string_lossy();
    Some(
        if written.starts_with('~') || written.contains(['$', '%']) {
            format!(
                "the folder {} does not exist: no shell replaces `~` and variables in it; write the full path",
                cwd.display()
            )
        } else if full.exists() {
            format!("{shown} is a file; write the path of a folder")
        } else {
            format!("the folder {shown} does not exist; create it, or correct the path")
        },
    )
}

#[cfg(all(test, windows))]
mod tests_on_windows {
    use super::*;

    #[test]
    fn usual_mistakes_in_a_command_have_a_remedy() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        for name in ["npx.cmd", "python.exe"] {
            std::fs::write(folder.path().join(name), "")?;
        }
        for (command, name, part) in [
            ("npx -y files", "npx …", "write `npx` as `command`"),
            ("cmd /c npx hunter2", "cmd …", "write `cmd` as `command`"),
            ("cd x && npm start", "cd …", "`cmd` as `command`, and `/c`"),
            ("%APPDATA%\\npm\\x", "%APPDATA%\\npm\\x", "a variable in it"),
            ("\"npx\"", "\"npx\"", "quotation marks"),
            ("python3", "python3", "`python` is on the PATH"),
            (r"C:\no such\x.exe", r"C:\no such\x.exe", ""),
            ("no-such-program", "no-such-program", ""),
        ] {
            let missing = MissingProgram {
                command,
                path: folder.path().as_os_str(),
                cwd: None,
            };
            assert_eq!(missing.name(), name, "{command}");
            let remedy = missing.remedy().unwrap_or_default();
            assert!(remedy.contains(part), "{command}: {remedy}");
            assert_eq!(remedy.is_empty(), part.is_empty(), "{command}: {remedy}");
            assert!(!remedy.contains("hunter2"), "{command}: {remedy}");
        }
        Ok(())
    }

    #[test]
    fn a_file_that_is_no_program_has_a_remedy() {
        let error = std::io::Error::from_raw_os_error(EXEC_FORMAT_ERROR);
        for (file, part) in [
            (
                r"C:\a\server.py",
                "it is a script; write `python` as `command`",
            ),
            (
                r"C:\a\server.js",
                "it is a script; write `node` as `command`",
            ),
            (r"C:\a\server.txt", "a file that another program opens"),
        ] {
            let problem = cannot_run(Path::new(file), &error);
            assert!(problem.contains(part), "{problem}");
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[cfg(target_os = "linux")]
    use mcp_startup_config::InheritedEnvironment;

    use super::*;

    #[test]
    fn usual_mistakes_in_a_command_have_a_remedy() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        for (name, mode) in [
            ("npx", 0o755),
            ("python3", 0o755),
            ("plain", 0o644),
            ("script.py", 0o644),
        ] {
            let file = folder.path().join(name);
            fs::write(&file, "#!/bin/sh\n")?;
            fs::set_permissions(&file, PermissionsExt::from_mode(mode))?;
        }
        std::os::unix::fs::symlink("gone", folder.path().join("link"))?;
        let link = folder.path().join("link").display().to_string();
        // The command, the name in messages, and a part of the remedy; an empty part means no remedy.
        let cases = [
            ("npx -y files", "npx …", "write `npx` as `command`"),
            ("npx files hunter2", "npx …", "items of `args`"),
            ("uvx files", "uvx …", "items of `args`"),
            ("nothing --key hunter2", "nothing …", "items of `args`"),
            ("npx -y @scope/files", "npx …", "items of `args`"),
            (
                "/no/such/x --key hunter2",
                "/no/such/x …",
                "items of `args`",
            ),
            ("/no/such folder/x", "/no/such folder/x", ""),
            ("KEY=hunter2 npx files", "KEY=…", "the variable `KEY`"),
            ("KEY=hunter2", "KEY=…", "it is the variable `KEY`"),
            ("cd /x && npm start", "cd …", "`sh` as `command`"),
            ("\"npx\"", "\"npx\"", "quotation marks"),
            ("'/opt/a b/x' --key", "'/opt/a …", "quotation marks"),
            ("~/bin/x", "~/bin/x", "`~` is not replaced"),
            ("$HOME/bin/x", "$HOME/bin/x", "a variable in it"),
            ("%APPDATA%/npm/x", "%APPDATA%/npm/x", "a variable in it"),
            ("npx.cmd", "npx.cmd", "write `npx`"),
            ("uvx.exe", "uvx.exe", "the name on this system"),
            ("cmd", "cmd", "shell of Windows"),
            ("cmd /c npx", "cmd …", "shell of Windows"),
            ("C:\\tools\\x.exe", "C:\\tools\\x.exe", "path of Windows"),
            ("python", "python", "`python3` is on the PATH"),
            (
                "python -m files",
                "python …",
                "write `python3` as `command`",
            ),
            ("npx.cmd -y files", "npx.cmd …", "write `npx` as `command`"),
            ("NPX", "NPX", "`npx` is on the PATH"),
            ("./x", "./x", "write the full path"),
            (&link, &link, "link to a file"),
            ("plain", "plain", "chmod +x"),
            ("script.py", "script.py", "`python3` as `command`"),
            ("no-such-program", "no-such-program", ""),
            ("/no/such/program", "/no/such/program", ""),
        ];
        for (command, name, part) in cases {
            let missing = MissingProgram {
                command,
                path: folder.path().as_os_str(),
                cwd: None,
            };
            assert_eq!(missing.name(), name, "{command}");
            let remedy = missing.remedy().unwrap_or_default();
            assert!(remedy.contains(part), "{command}: {remedy}");
            assert_eq!(remedy.is_empty(), part.is_empty(), "{command}: {remedy}");
            assert!(!remedy.contains("hunter2"), "{command}: {remedy}");
        }
        Ok(())
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn too_long_arguments_and_variables_are_told_apart() {
        let config = |args: Vec<String>, env: &str| StdioConfig {
            command: "files".to_owned(),
            args,
            env: vec![("KEY".to_owned(), env.to_owned().into())],
            inherited: InheritedEnvironment::Named(&[]),
            cwd: None,
        };
        let long = "hunter2 ".repeat(20_000);
        let cases = [
            (
                vec![long.clone()],
                "",
                "args",
                "an argument has 160000 bytes",
            ),
            (vec![], &*long, "env", "a variable has 160004 bytes"),
            (
                vec!["x".repeat(100_000); 30],
                "y",
                "args",
                "its arguments have 3000000 bytes",
            ),
        ];
        for (args, env, key, part) in cases {
            let (found, problem) = too_long(&config(args, env));
            assert_eq!(found, key, "{problem}");
            assert!(problem.starts_with(part), "{problem}");
            assert!(!problem.contains("hunter2"), "{problem}");
        }
    }
}
