//! Recognizes the command lines that run `mcp-remote`, and finds its arguments. Never looks up a program.

/// A command line that runs `mcp-remote`.
pub(super) struct Invocation<'a> {
    /// The version or tag after `mcp-remote@`, for example `latest`.
    pub version: Option<&'a str>,
    /// The arguments of `mcp-remote` itself.
    pub arguments: &'a [String],
    /// The position of the first of them in the arguments of the entry.
    pub first: usize,
    /// The variables that the command line sets, with their values.
    pub assigned: Vec<(&'a str, &'a str)>,
}

/// A program that runs packages of npm.
struct Launcher {
    name: &'static str,
    /// The subcommand that runs a package.
    subcommand: Option<&'static str>,
    /// The options that do not change which package runs. One that ends with `*` is a prefix.
    flags: &'static [&'static str],
    /// The options with a value that do not change which package runs.
    value_flags: &'static [&'static str],
    /// The options whose value is the package to install, if the program in it is named separately.
    package_flags: &'static [&'static str],
    /// The text before the name of a package of npm.
    prefix: &'static str,
}

const PNPM_FLAGS: &[&str] = &["-s", "--silent", "--prefer-offline", "--offline"];

/// The places of packages, and the log.
const NPM_VALUE_FLAGS: &[&str] = &["--registry", "--cache", "--userconfig", "--loglevel"];
const PNPM_VALUE_FLAGS: &[&str] = &["--registry", "--store-dir", "--reporter", "--loglevel"];

const LAUNCHERS: &[Launcher] = &[
    Launcher {
        name: "npx",
        subcommand: None,
        flags: &[
            "-y",
            "--yes",
            "-q",
            "--quiet",
            "--silent",
            "--offline",
            "--prefer-offline",
            "--prefer-online",
            "--no-install",
            "--ignore-existing",
        ],
        value_flags: NPM_VALUE_FLAGS,
        package_flags: &["-p", "--package"],
        prefix: "",
    },
    Launcher {
        name: "npm",
        subcommand: Some("exec"),
        flags: NPM_FLAGS,
        value_flags: NPM_VALUE_FLAGS,
        package_flags: &["--package"],
        prefix: "",
    },
    Launcher {
        name: "npm",
        subcommand: Some("x"),
        flags: NPM_FLAGS,
        value_flags: NPM_VALUE_FLAGS,
        package_flags: &["--package"],
        prefix: "",
    },
    Launcher {
        name: "bunx",
        subcommand: None,
        flags: BUN_FLAGS,
        value_flags: &[],
        package_flags: &["-p", "--package"],
        prefix: "",
    },
    Launcher {
        name: "bun",
        subcommand: Some("x"),
        flags: BUN_FLAGS,
        value_flags: &[],
        package_flags: &["-p", "--package"],
        prefix: "",
    },
    Launcher {
        name: "pnpx",
        subcommand: None,
        flags: PNPM_FLAGS,
        value_flags: PNPM_VALUE_FLAGS,
        package_flags: &["--package"],
        prefix: "",
    },
    Launcher {
        name: "pnpm",
        subcommand: Some("dlx"),
        flags: PNPM_FLAGS,
        value_flags: PNPM_VALUE_FLAGS,
        package_flags: &["--package"],
        prefix: "",
    },
    Launcher {
        name: "yarn",
        subcommand: Some("dlx"),
        flags: &["-q", "--quiet"],
        value_flags: &[],
        package_flags: &["-p", "--package"],
        prefix: "",
    },
    Launcher {
        name: "deno",
        subcommand: Some("run"),
        flags: &[
            "-A",
            "-E",
            "-N",
            "-R",
            "-S",
            "-W",
            "-q",
            "--quiet",
            "--no-prompt",
            "--allow-*",
        ],
        value_flags: &[],
        package_flags: &[],
        prefix: "npm:",
    },
];

const NPM_FLAGS: &[&str] = &[
    "-y",
    "--yes",
    "-s",
    "--silent",
    "-q",
    "--quiet",
    "--offline",
    "--prefer-offline",
];

const BUN_FLAGS: &[&str] = &[
    "-y",
    "--yes",
    "-b",
    "--bun",
    "--silent",
    "--verbose",
    "--no-install",
];

/// The options of Node that change neither the program nor its network.
const NODE_FLAGS: &[&str] = &["--no-warnings", "--no-deprecation"];

/// The characters that `cmd` interprets in an argument.
const CMD_CHARACTERS: [char; 7] = ['&', '|', '<', '>', '^', '%', '"'];

/// The line of a shell that runs one program.
pub(super) struct ShellLine {
    /// The program and its arguments.
    pub words: Vec<String>,
    /// The position of the line in the arguments of the entry.
    pub at: usize,
}

/// Splits the line in a command such as `sh -c`. Returns `None` if the program is not a shell of Unix, or the line has a character that a
/// shell interprets.
pub(super) fn shell_line(command: &str, args: &[String]) -> Option<ShellLine> {
    const SHELLS: [&str; 5] = ["sh", "bash", "zsh", "dash", "ksh"];
    let is_shell = SHELLS.contains(&program_name(command).as_str());
    let (line, options) = args.split_last().filter(|_| is_shell)?;
    let is_option = |arg: &String| {
        let letters = arg.strip_prefix('-').unwrap_or_default();
        !letters.is_empty() && letters.bytes().all(|letter| b"cil".contains(&letter))
    };
    let is_command = options.last().is_some_and(|option| option.contains('c'));
    let is_plain =
        |character: char| character.is_ascii_alphanumeric() || " -_./:@=+,%".contains(character);
    if !is_command || !options.iter().all(is_option) || !line.chars().all(is_plain) {
        return None;
    }
    let line = line.trim();
    let words = line.strip_prefix("exec ").unwrap_or(line);
    let mut words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
    // A variable before the program, as with `env`.
    if words.first().is_some_and(|word| assignment(word).is_some()) {
        words.insert(0, ENV.to_owned());
    }
    (!words.is_empty()).then_some(ShellLine {
        words,
        at: args.len() - 1,
    })
}

/// Finds the arguments of `mcp-remote` in a command line that runs it. Returns `None` for any other command line.
pub(super) fn invocation<'a>(command: &str, args: &'a [String]) -> Option<Invocation<'a>> {
    let name = program_name(command);
    if let Some(at) = wrapped_program(&name, args) {
        let found = without_cmd(args.get(at)?, args.get(at + 1..)?, at + 1)?;
        let before = args.get(..at).unwrap_or_default().iter();
        let assigned = match name == ENV {
            true => before.filter_map(|arg| assignment(arg)).collect(),
            false => Vec::new(),
        };
        return Some(Invocation { assigned, ..found });
    }
    if name != "cmd" {
        return without_cmd(command, args, 0);
    }
    let switches = ["/d", "/s", "/q"];
    let is = |arg: &String, switch: &str| arg.eq_ignore_ascii_case(switch);
    let end = args
        .iter()
        .position(|arg| !switches.iter().any(|switch| is(arg, switch)))?;
    let (switch, rest) = args.get(end..)?.split_first()?;
    let (program, rest) = rest.split_first()?;
    if !is(switch, "/c") || rest.iter().any(|arg| arg.contains(CMD_CHARACTERS)) {
        return None;
    }
    without_cmd(program, rest, end + 2)
}

/// Returns the position of the program that a manager of versions or `env` starts.
fn wrapped_program(name: &str, args: &[String]) -> Option<usize> {
    let is = |at: usize, words: &[&str]| args.get(at).is_some_and(|arg| words.contains(&&**arg));
    match name {
        "nvm-exec" => Some(0),
        // An option changes how the program runs.
        ENV => args
            .iter()
            .position(|arg| assignment(arg).is_none())
            .filter(|at| {
                args.get(*at)
                    .is_some_and(|arg| !arg.starts_with('-') && !arg.contains('='))
            }),
        "volta" if is(0, &["run"]) => Some(1),
        "asdf" | "nodenv" if is(0, &["exec"]) => Some(1),
        "fnm" if is(0, &["exec"]) => {
            let is_option = |arg: &String| arg.starts_with("--using=");
            Some(1 + usize::from(args.get(1).is_some_and(is_option)))
        }
        "mise" if is(0, &["exec", "x"]) => {
            let separator = args.iter().position(|arg| arg == "--")?;
            Some(separator + 1)
        }
        _ => None,
    }
}

/// Finds the arguments of `mcp-remote`. `first` is the position of the first argument in the arguments of the entry.
fn without_cmd<'a>(command: &str, args: &'a [String], first: usize) -> Option<Invocation<'a>> {
    let found = |version, used: usize| {
        Some(Invocation {
            version,
            arguments: args.get(used..).unwrap_or_default(),
            first: first + used,
            assigned: Vec::new(),
        })
    };
    let name = program_name(command);
    match name.as_str() {
        "mcp-remote" => return found(None, 0),
        "node" => {
            let script = args
                .iter()
                .position(|arg| !NODE_FLAGS.contains(&arg.as_str()))?;
            return match is_proxy_script(args.get(script)?) {
                true => found(None, script + 1),
                false => None,
            };
        }
        _ => {}
    }
    let launcher = LAUNCHERS.iter().find(|launcher| {
        let mut subcommand = launcher.subcommand.iter();
        launcher.name == name
            && subcommand.all(|subcommand| args.iter().any(|arg| arg == subcommand))
    })?;
    let mut subcommand = launcher.subcommand;
    let mut package = None;
    let mut at = 0;
    loop {
        let arg = args.get(at)?.as_str();
        at += 1;
        if let Some(value) = package_flag(launcher, arg) {
            let value = match value {
                Some(value) => value,
                None => {
                    at += 1;
                    args.get(at - 1)?
                }
            };
            package = Some(package_version(value)?);
        } else if subcommand == Some(arg) {
            subcommand = None;
        } else if arg == "--" && subcommand.is_none() {
            let spec = args.get(at)?;
            return found(version(launcher, spec, package)?, at + 1);
        } else if let Some(has_value) = launcher.value_flag(arg) {
            at += usize::from(!has_value);
        } else if !launcher.has_flag(arg) {
            // The name of the package, another subcommand, or an option that is not known.
            return match subcommand {
                None => found(version(launcher, arg, package)?, at),
                Some(_) => None,
            };
        }
    }
}

/// The program that sets variables for another one.
const ENV: &str = "env";

/// Returns the name and the value of a variable in `NAME=VALUE`.
fn assignment(word: &str) -> Option<(&str, &str)> {
    let (name, value) = word.split_once('=')?;
    let mut bytes = name.bytes();
    let is_name = bytes
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_name.then_some((name, value))
}

impl Launcher {
    /// If an argument is an option with a value, returns whether the value is part of the same argument.
    fn value_flag(&self, arg: &str) -> Option<bool> {
        self.value_flags.iter().find_map(|flag| {
            let rest = arg.strip_prefix(flag)?;
            (rest.is_empty() || rest.starts_with('=')).then_some(!rest.is_empty())
        })
    }

    fn has_flag(&self, arg: &str) -> bool {
        self.flags.iter().any(|flag| match flag.strip_suffix('*') {
            Some(prefix) => arg.starts_with(prefix),
            None => *flag == arg,
        })
    }
}

/// If an argument is the option that names the package to install, returns the value that is part of the same argument.
fn package_flag<'a>(launcher: &Launcher, arg: &'a str) -> Option<Option<&'a str>> {
    launcher.package_flags.iter().find_map(|flag| {
        let rest = arg.strip_prefix(flag)?;
        match rest.strip_prefix('=') {
            Some(value) => Some(Some(value)),
            None => rest.is_empty().then_some(None),
        }
    })
}

/// Returns the version of `mcp-remote` that runs, if `spec` names it. `package` is the version of the package to install, if
/// an option names it.
fn version<'a>(
    launcher: &Launcher,
    spec: &'a str,
    package: Option<Option<&'a str>>,
) -> Option<Option<&'a str>> {
    match package {
        Some(version) => (spec == PACKAGE).then_some(version),
        None => package_version(spec.strip_prefix(launcher.prefix)?),
    }
}

const PACKAGE: &str = "mcp-remote";

/// The maximum length of a version.
const MAX_VERSION_BYTES: usize = 100;

/// Returns the version in `mcp-remote` or `mcp-remote@VERSION`. Any other text names another package: an alias and a URL too.
fn package_version(spec: &str) -> Option<Option<&str>> {
    let rest = spec.strip_prefix(PACKAGE)?;
    if rest.is_empty() {
        return Some(None);
    }
    let version = rest.strip_prefix('@')?;
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b".-_+^~*<>=".contains(&byte);
    let is_version =
        !version.is_empty() && version.len() <= MAX_VERSION_BYTES && version.bytes().all(is_part);
    is_version.then_some(Some(version))
}

/// Whether a path is that of the program in the package `mcp-remote`.
fn is_proxy_script(path: &str) -> bool {
    let mut segments = path.rsplit(['/', '\\']);
    ["proxy.js", "dist", PACKAGE]
        .into_iter()
        .all(|expected| segments.next() == Some(expected))
}

/// Returns the name of a program without its folder and without the endings of Windows.
fn program_name(command: &str) -> String {
    let name = command.rsplit(['/', '\\']).next().unwrap_or_default();
    let name = name.to_ascii_lowercase();
    let stem = [".cmd", ".exe", ".bat"]
        .into_iter()
        .find_map(|ending| name.strip_suffix(ending));
    stem.unwrap_or(&name).to_owned()
}
