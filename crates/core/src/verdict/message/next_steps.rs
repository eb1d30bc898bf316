//! The next step after a reason that names its cause: a table of the words in reasons, the programs, and the steps.
//!
//! Each function takes linear time.

/// A program that has exited, with the reason that it reported.
pub(super) struct Exit<'a> {
    /// The reason that the program reported.
    pub reason: &'a str,
    /// Whether the program is npm or npx.
    pub is_npm: bool,
    /// Whether the program is Docker or Podman.
    pub is_container: bool,
    /// The package that the program installs and runs.
    pub package: Option<&'a str>,
    pub code: Option<i32>,
}

/// When a row of the table holds, besides its words.
#[derive(Clone, Copy)]
enum When {
    Always,
    /// The program is npm or npx.
    Npm,
    /// `npx` has installed the package.
    Npx,
    /// `npx` has installed the package, and a shell does not find its program.
    NpxWithoutProgram,
    /// The program is in a folder, and not in a package.
    NoPackage,
    Container,
    /// A program in a container connects to an address of its own machine.
    ContainerToItself,
    /// The address is on this machine.
    OnThisMachine,
    /// The program did not want to download its package.
    NoDownload,
    /// The encoding is not that of the operating system.
    OtherEncoding,
    /// The reason names a relative path.
    RelativeFile,
    /// The reason names a relative path, or one directly below the root.
    NameOfFolder,
    /// A shell can't execute the program.
    CanNotExecute,
}

/// The words of which a reason contains one, in lowercase, with `*` for any text; when the row holds; and the step. The first row that holds
/// is used.
#[rustfmt::skip]
const STEPS: [(&[&str], When, &str); 37] = [
    (&["a terminal is required to read the password", "sudo: a password is required", "sudo: no tty present"], When::Always,
        "start it without `sudo`, or let sudo start it without a password (NOPASSWD)"),
    // Containers.
    (&["input device is not a tty", "cannot attach stdin to a tty"], When::Container,
        "write `-i` instead of `-it`, `-t` and `--tty` in `args`"),
    (&["exec format error"], When::Container,
        "its image may be for another processor: use an image for this one"),
    (&["no matching manifest for", "no match for platform"], When::Container,
        "use an image for this processor"),
    (&["permission denied while trying to connect to the docker", "docker_engine: access is denied"], When::Always,
        "give your user access to Docker (the group `docker` or `docker-users`)"),
    (&["connect to the docker daemon", "docker_engine", "dockerdesktoplinuxengine", "is the docker daemon running"], When::Always,
        "start Docker"),
    (&["connect to podman"], When::Always,
        "start the Podman machine (`podman machine start`)"),
    // Certificates.
    (CERTIFICATE, When::Container,
        "if you trust the issuer of this certificate (CA), add it to the certificates of your system or of the image"),
    (&["certificate verify failed"], When::Always,
        "if you trust the issuer of this certificate (CA), set SSL_CERT_FILE and REQUESTS_CA_BUNDLE in `env` to its file"),
    (&["unknownissuer"], When::Always,
        "if you trust the issuer of this certificate (CA), set SSL_CERT_FILE in `env` to its file"),
    (&["pkix path building failed"], When::Always,
        "if you trust the issuer of this certificate (CA), add it to the certificates of Java"),
    (&["signed by unknown authority", "certificate is not trusted", "untrustedroot", "ssl certificate problem"], When::Always,
        "if you trust the issuer of this certificate (CA), add it to the certificates of your system"),
    (CERTIFICATE, When::Always,
        "if you trust the issuer of this certificate (CA), set NODE_EXTRA_CA_CERTS in `env` to its file"),
    // Connections.
    (REFUSED, When::ContainerToItself,
        "in a container, this address is the container: try `host.docker.internal`, or `--network=host` in `args`"),
    (&["econnrefused", "connection refused", "actively refused", "connect enoent ", "dial unix *: no such file", "on socket \"*: no such file", "connect to *through socket '"], When::OnThisMachine,
        "start the program that must listen at this address, or correct it in its settings"),
    (REFUSED, When::NoDownload,
        "check whether the program that it connects to is running, and the address in its settings"),
    // Encodings.
    (&["codec can't encode", "codec can't decode"], When::OtherEncoding,
        "try PYTHONUTF8=1 in `env` of its configuration"),
    // npx.
    (&["you must supply a command"], When::Npm,
        "its npx may belong to an old version of Node: update Node, or check `args`"),
    (&["could not determine executable to run"], When::Npm,
        "its package has several programs or none: write `--package`, the package and the program in `args`"),
    (&["invalid package name", "invalid tag name"], When::Npm,
        "correct the package in `args`"),
    (&["unable to authenticate, ", "requires you to be logged in", "incorrect or missing password"], When::Npm,
        "renew your sign-in to npm's registry (`npm login` or `.npmrc`)"),
    (OTHER_NODE, When::Npx,
        "delete npm's folder `_npx`, so that npx installs it for this version of Node"),
    (OTHER_NODE, When::NoPackage,
        "run `npm rebuild` in its folder, or start it with the Node that has installed its packages"),
    (&["could not locate the bindings file", "no native build was found", "invalid elf header", "incompatible architecture"], When::Npx,
        "delete npm's folder `_npx`, or try another version of it or of Node"),
    (&["could not locate the bindings file", "no native build was found", "invalid elf header", "incompatible architecture"], When::NoPackage,
        "install its packages again on this system"),
    (&["incompatible architecture", "not a valid win32 application"], When::Always,
        "install it again for this processor"),
    // Other instances.
    (IN_USE, When::Always,
        "close the other program that uses it, perhaps this server in another client"),
    (&["address already in use", "eaddrinuse", "port is already allocated", "was already in use", "only one usage of each socket address"], When::Always,
        "close the other program that uses this port, or set another port"),
    // Libraries of the system.
    (&["version `glibc", "version 'glibc", "version `cxxabi"], When::Always,
        "update the system, or try an older version of it"),
    (&["cannot open shared object file", "library not loaded: "], When::Always,
        "install the library that is missing, or install it again"),
    (&["or greater is required", "or higher is required", "or newer is required", "or later is required", "or above is required"], When::Always,
        "install what it requires, or try another version of it"),
    (&["not found", "is not recognized as an internal or external command"], When::NpxWithoutProgram,
        "its packages may be damaged: delete npm's folder `_npx`, or try another version"),
    // Files and folders.
    (&["read-only file system", "eacces: permission denied, mkdir "], When::NameOfFolder,
        "set `cwd` in its configuration to a folder that it can write to"),
    (NO_PROJECT, When::NoPackage,
        "set `cwd` in its configuration to the folder of its project"),
    (&["no such file or directory", "could not open input file: ", "unable to access jarfile "], When::RelativeFile,
        "write the full path of this file, or set `cwd` in its configuration to its folder"),
    (&["spawn *eacces", "fork/exec *permission denied"], When::Always,
        "check whether that file is executable (`chmod +x`)"),
    (&["permission denied"], When::CanNotExecute,
        "check whether that file is executable (`chmod +x`)"),
];

const REFUSED: &[&str] = &["econnrefused", "connection refused", "actively refused"];
/// The words of Node and OpenSSL, and those of other libraries.
const CERTIFICATE: &[&str] = &[
    "self-signed certificate",
    "self signed certificate",
    "unable to get local issuer certificate",
    "unable to get issuer certificate",
    "unable to verify the first certificate",
    "unable_to_verify_leaf_signature",
    "unable_to_get_issuer_cert",
    "self_signed_cert",
    "certificate verify failed",
    "signed by unknown authority",
    "pkix path building failed",
    "unknownissuer",
];
/// The words of package managers and build tools in a folder without a project.
const NO_PROJECT: &[&str] = &[
    "could not read package.json",
    "couldn't find a package.json file in",
    "no package.json was found",
    "no package.json (or ",
    "no package.json found in ",
    "no `pyproject.toml` found",
    "could not find a pyproject.toml file",
    "go.mod file not found",
    "cannot find main module",
    "could not find `cargo.toml`",
    "could not find package.swift",
    "could not locate gemfile",
    "could not find a mix.project",
    "could not find a composer.json file",
    "couldn't find a project to run",
    "there is no pom in this directory",
    "does not contain a gradle build",
    "no justfile found",
    "no taskfile found",
    "no makefile found",
    "no configuration file provided: not found",
];
/// The words of databases, profiles and lock files that allow one process.
const IN_USE: &[&str] = &[
    "could not set lock on file",
    "conflicting lock is held",
    "already locked by another process",
    "database is locked",
    "databaselocked",
    "/lock: resource temporarily unavailable",
    "is being used by another process",
    "already in use by another instance",
    "another instance is already running",
    "another instance of ",
    "is already running (pid",
];
const OTHER_NODE: &[&str] = &["compiled against a different node.js version"];

impl Exit<'_> {
    /// Returns the next step, if the reason names its cause.
    pub(super) fn next_step(&self) -> Option<&'static str> {
        // This changes no length.
        let lower = self.reason.to_ascii_lowercase();
        let mut steps = STEPS.iter();
        let (_, _, step) = steps.find(|(words, when, _)| {
            words.iter().any(|words| matches(&lower, words)) && self.holds(*when, &lower)
        })?;
        Some(step)
    }

    fn holds(&self, when: When, lower: &str) -> bool {
        let has = |words: &[&str]| words.iter().any(|words| lower.contains(words));
        let is_npx = self.is_npm && self.package.is_some();
        match when {
            When::Always => true,
            When::Npm => self.is_npm,
            When::Npx => is_npx,
            // A manager of versions can miss npx itself.
            When::NpxWithoutProgram => {
                is_npx
                    && (self.code == Some(127) || self.names_package(lower))
                    && !has(&["npx: ", "npm: ", "node: "])
            }
            When::NoPackage => self.package.is_none(),
            When::Container => self.is_container,
            // The engine itself can use a proxy on this machine.
            When::ContainerToItself => {
                self.is_container
                    && has(THIS_MACHINE)
                    && !has(&["daemon", "proxyconnect", "podman"])
            }
            When::OnThisMachine => has(THIS_MACHINE),
            When::NoDownload => !has(&["request to http", "registry", "pypi.org"]),
            When::OtherEncoding => !has(&["'utf-8' codec", "'latin-1' codec", "'idna' codec"]),
            When::RelativeFile => {
                // The loader of a program, and a container, have no file of the configuration.
                !has(&["exec", "/env: ", "env: "])
                    && named_path(self.reason)
                        .is_some_and(|path| is_relative(path) && has_folder_or_type(path))
            }
            When::NameOfFolder => {
                let below_root = |path: &str| {
                    path.strip_prefix('/')
                        .is_some_and(|name| !name.is_empty() && !name.contains('/'))
                };
                named_path(self.reason).is_some_and(|path| is_relative(path) || below_root(path))
            }
            When::CanNotExecute => self.code == Some(126),
        }
    }

    /// Whether a text names the program that a package has by its own name.
    fn names_package(&self, lower: &str) -> bool {
        let Some(package) = self.package else {
            return false;
        };
        let name = package.rsplit('/').next().unwrap_or_default();
        let name = name.split('@').next().unwrap_or_default();
        !name.is_empty() && lower.contains(&name.to_ascii_lowercase())
    }
}

const THIS_MACHINE: &[&str] = &[
    "127.0.0.1",
    "localhost",
    " ::1",
    "[::1]",
    "(::1",
    "\\\\.\\pipe\\",
    ".sock",
    "dial unix ",
    "on socket \"",
    "through socket '",
];

/// Whether a text contains the parts of a pattern between its stars, in this order.
fn matches(text: &str, pattern: &str) -> bool {
    let mut rest = text;
    pattern.split('*').all(|part| match rest.find(part) {
        Some(at) => {
            rest = &rest[at + part.len()..];
            true
        }
        None => false,
    })
}

/// Returns the path that an error of the operating system names: between the last quotation marks, before the error as in Go and in shells, or
/// at the end.
fn named_path(reason: &str) -> Option<&str> {
    let reason = reason.trim_end_matches(['.', ' ']);
    if let Some(text) = reason.strip_suffix(['\'', '"', '`']) {
        return text.rsplit(['\'', '"', '`']).next();
    }
    let lower = reason.to_ascii_lowercase();
    let error = [": no such file or directory", ": read-only file system"]
        .iter()
        .find_map(|error| lower.find(error));
    let text = &reason[..error.unwrap_or(reason.len())];
    text.rsplit([' ', '\'', '"', '`'])
        .find(|path| !path.is_empty())
}

fn is_relative(path: &str) -> bool {
    let has_drive = path.as_bytes().get(1) == Some(&b':');
    !path.is_empty()
        && !path.starts_with(['/', '\\', '~', '$', '%', '<', '['])
        && !has_drive
        && !path.contains("://")
        && !path.contains(char::is_whitespace)
}

/// Whether a path has a folder, or a file has a type. Any other name can be that of a program on the PATH.
fn has_folder_or_type(path: &str) -> bool {
    path.contains(['/', '\\']) || path.trim_end_matches('.').contains('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_step_fits_the_cause() {
        let exit = |reason| Exit {
            reason,
            is_npm: false,
            is_container: false,
            package: None,
            code: Some(1),
        };
        let npx = |reason| Exit {
            is_npm: true,
            package: Some("@acme/files@1.2.0"),
            ..exit(reason)
        };
        let docker = |reason| Exit {
            is_container: true,
            ..exit(reason)
        };
        let in_shell = |code, found: Exit<'static>| Exit {
            code: Some(code),
            ..found
        };
        #[rustfmt::skip]
        let rows = [
            (exit("sudo: a password is required"), Some("start it without `sudo`")),
            (exit("a password is required"), None),
            (docker("the input device is not a TTY"), Some("write `-i` instead of `-it`")),
            (exit("the input device is not a TTY"), None),
            (docker("exec /usr/local/bin/node: exec format error"), Some("its image may be for another processor")),
            (docker("docker: Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"), Some("start Docker")),
            (docker("permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock"), Some("give your user access to Docker")),
            (exit("Error: unable to connect to Podman socket: failed to connect: dial tcp 127.0.0.1:53211: connect: connection refused"), Some("start the Podman machine")),
            // Certificates.
            (exit("Network error: UNABLE_TO_GET_ISSUER_CERT_LOCALLY: unable to get local issuer certificate"), Some("NODE_EXTRA_CA_CERTS")),
            (npx("request to https://x.example failed, reason: self-signed certificate in certificate chain"), Some("NODE_EXTRA_CA_CERTS")),
            (exit("SSLError: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate"), Some("REQUESTS_CA_BUNDLE")),
            (exit("invalid peer certificate: UnknownIssuer"), Some("set SSL_CERT_FILE in `env`")),
            (exit("tls: failed to verify certificate: x509: certificate signed by unknown authority"), Some("certificates of your system")),
            (docker("tls: failed to verify certificate: x509: certificate signed by unknown authority"), Some("or of the image")),
            (exit("PKIX path building failed"), Some("certificates of Java")),
            (exit("certificate has expired"), None),
            // Connections.
            (exit("Error: connect ECONNREFUSED 127.0.0.1:3845"), Some("start the program that must listen at this address")),
            (exit("Error: connect ECONNREFUSED ::1:3845"), Some("start the program that must listen at this address")),
            (exit("dial tcp [::1]:5432: connect: connection refused"), Some("start the program that must listen at this address")),
            (exit("Error: connect ENOENT \\\\.\\pipe\\acme"), Some("start the program that must listen at this address")),
            (exit("dial unix /run/acme.sock: connect: no such file or directory"), Some("start the program that must listen at this address")),
            (exit("connection to server on socket \"/run/.s.PGSQL.5432\" failed: No such file or directory"), Some("start the program that must listen at this address")),
            (exit("Can't connect to local MySQL server through socket '/tmp/mysql.sock' (2)"), Some("start the program that must listen at this address")),
            (exit("connection to server on socket \"/run/.s.PGSQL.5432\" failed: FATAL: password authentication failed"), None),
            (exit("dial unix /run/acme.sock: connect: permission denied"), None),
            (exit("localhost refused the key"), None),
            (exit("Failed to connect to Unity: [Errno 61] Connection refused"), Some("is running")),
            (exit("connect ECONNREFUSED 10.0.0.7:5432"), Some("is running")),
            (npx("request to https://registry.npmjs.org/x failed, reason: connect ECONNREFUSED 10.0.0.7:443"), None),
            (docker("Error: connect ECONNREFUSED 127.0.0.1:5432"), Some("host.docker.internal")),
            (docker("Error response from daemon: proxyconnect tcp: dial tcp 127.0.0.1:7890: connect: connection refused"), Some("start the program that must listen at this address")),
            (exit("getaddrinfo ENOTFOUND mcp.example"), None),
            // Encodings.
            (exit("UnicodeEncodeError: 'charmap' codec can't encode character '\\U0001f4c4' in position 0"), Some("PYTHONUTF8=1")),
            (exit("UnicodeDecodeError: 'gbk' codec can't decode byte 0x80"), Some("PYTHONUTF8=1")),
            (exit("UnicodeDecodeError: 'utf-8' codec can't decode byte 0x80"), None),
            (exit("UnicodeEncodeError: 'latin-1' codec can't encode character '\\u2026' in position 7"), None),
            // npx.
            (npx("ERROR: You must supply a command."), Some("update Node")),
            (npx("could not determine executable to run"), Some("`--package`")),
            (npx("Invalid package name \" x\" of package \" x@latest\": name cannot contain leading or trailing spaces"), Some("correct the package in `args`")),
            (npx("Unable to authenticate, your authentication token seems to be invalid."), Some("npm login")),
            (npx("Error: The module 'x.node' was compiled against a different Node.js version using NODE_MODULE_VERSION 127."), Some("`_npx`")),
            (exit("Error: The module 'x.node' was compiled against a different Node.js version using NODE_MODULE_VERSION 127."), Some("npm rebuild")),
            (npx("Error: Could not locate the bindings file."), Some("`_npx`")),
            (in_shell(127, npx("sh: line 1: acme-files: command not found")), Some("`_npx`")),
            (npx("'files' is not recognized as an internal or external command,"), Some("`_npx`")),
            (npx("sh: 1: git: not found"), None),
            (in_shell(127, exit("sh: 1: acme: not found")), None),
            (exit("IO exception: Could not set lock on file: ~/.config/acme/graph.db"), Some("in another client")),
            (exit("Error: Database at /x/db/LOCK is already locked by another process"), Some("in another client")),
            (exit("IO error: lock /x/LOCK: Resource temporarily unavailable"), Some("in another client")),
            (exit("Error: listen EADDRINUSE: address already in use :::3000"), Some("set another port")),
            (exit("listen tcp :9000: bind: address already in use"), Some("set another port")),
            (in_shell(127, npx("nodenv: npx: command not found")), None),
            (npx("…/files/bin/files: /lib/libc.so.6: version `GLIBC_2.38' not found (required by …/files/bin/files)"), Some("update the system")),
            (exit("ImportError: libodbc.so.2: cannot open shared object file: No such file or directory"), Some("install the library")),
            (exit("dyld[4312]: Library not loaded: @rpath/libswift_Concurrency.dylib"), Some("install the library")),
            (exit("Error: dlopen(x.node, 0x0001): tried: 'x.node' (mach-o file, but is an incompatible architecture (have 'arm64', need 'x86_64'))"), Some("install its packages again")),
            (npx("Error: dlopen(x.node, 0x0001): tried: 'x.node' (mach-o file, but is an incompatible architecture (have 'arm64', need 'x86_64'))"), Some("`_npx`")),
            (exit("Error: Microsoft Visual C++ 14.0 or greater is required."), Some("install what it requires")),
            // Files and folders.
            (exit("OSError: [Errno 30] Read-only file system: 'logs'"), Some("a folder that it can write to")),
            (exit("Error: EROFS: read-only file system, mkdir '/logs'"), Some("a folder that it can write to")),
            (exit("mkdir logs: read-only file system"), Some("a folder that it can write to")),
            (exit("Error: EROFS: read-only file system, mkdir '/srv/acme/logs'"), None),
            (exit("Could not open input file: ./artisan"), Some("the full path")),
            (exit("Error: Unable to access jarfile acme.jar"), Some("the full path")),
            (exit("Error: Unable to access jarfile /srv/acme.jar"), None),
            (exit("FileNotFoundError: [Errno 2] No such file or directory: 'acme.json'"), Some("the full path")),
            (exit("FileNotFoundError: [Errno 2] No such file or directory: 'git'"), None),
            (exit("Error: ENOENT: no such file or directory, open './acme.json'"), Some("the full path")),
            (exit("Error: ENOENT: no such file or directory, open '/etc/acme.json'"), None),
            (exit("error: open acme.yaml: no such file or directory"), Some("the full path")),
            (exit("error: open C:\\acme.yaml: no such file or directory"), None),
            (exit("/usr/bin/env: ‘python3.11’: No such file or directory"), None),
            (exit("cannot open the database: no such file"), None),
            (exit("error: No `pyproject.toml` found in current directory or any parent directory"), Some("the folder of its project")),
            (exit("a.go:9:2: go.mod file not found in current directory or any parent directory; see 'go help modules'"), Some("the folder of its project")),
            (exit("enoent Could not read package.json: Error: ENOENT: no such file or directory, open '/package.json'"), Some("the folder of its project")),
            (exit("Poetry could not find a pyproject.toml file in / or its parents"), Some("the folder of its project")),
            (exit("** (Mix) Could not find a Mix.Project, please ensure you are running Mix in a directory with a mix.exs file"), Some("the folder of its project")),
            (npx("enoent Could not read package.json: Error: ENOENT: no such file or directory, open '/package.json'"), None),
            (exit("Error: spawn /home/u/acme EACCES"), Some("chmod +x")),
            (in_shell(126, exit("sh: ./acme: Permission denied")), Some("chmod +x")),
            (exit("Permission denied"), None),
            (exit(""), None),
        ];
        for (exit, expected) in rows {
            let step = exit.next_step();
            let fits = match (step, expected) {
                (Some(step), Some(words)) => step.contains(words),
                (step, expected) => step == expected,
            };
            assert!(fits, "{}: {step:?}", exit.reason);
        }
    }
}
