//! The next step after a reason that names its cause. `table` has the words in reasons, the programs, and the steps.
//!
//! Each function takes linear time.

mod table;

use self::table::{STEPS, THIS_MACHINE};

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
    /// The reason names the package itself.
    OwnPackage,
    /// The program is in a folder, and the reason names a file that is not in a package.
    OwnFile,
    /// A package can't be downloaded.
    Registry,
    /// The reason does not tell the user to sign in to something.
    NoHint,
}

/// The next step after a reason.
pub(super) struct Step {
    pub todo: &'static str,
    /// The words of the reason that name the cause, in lowercase.
    pub cause: &'static str,
}

impl Exit<'_> {
    /// Returns the next step, if the reason names its cause.
    pub(super) fn next_step(&self) -> Option<Step> {
        // This changes no length.
        let lower = self.reason.to_ascii_lowercase();
        STEPS.iter().find_map(|(words, when, todo)| {
            let words = words.iter().find(|words| matches(&lower, words))?;
            let cause = words.split('*').max_by_key(|part| part.len());
            self.holds(*when, &lower).then_some(Step {
                todo,
                cause: cause.unwrap_or_default(),
            })
        })
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
            When::OwnPackage => self.is_npm && self.names_package(lower),
            When::OwnFile => self.package.is_none() && !has(&["node_modules", "imported from"]),
            When::Registry => self.package.is_some() && has(&["for url (http", "/simple/"]),
            When::NoHint => !has(&[
                "log in",
                "sign in",
                "signin",
                " login`",
                " login'",
                "auth login",
                "az login",
            ]),
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
            (docker("Docker Desktop is not running"), Some("start Docker")),
            (docker("docker: open .env: no such file or directory"), Some("write the full path of this file")),
            (docker("qemu-x86_64: Could not open '/lib64/ld-linux-x86-64.so.2': No such file or directory"), Some("its image may be for another processor")),
            (exit("Error relocating /usr/bin/acme: __snprintf_chk: symbol not found"), Some("install its build for this processor and system")),
            (exit("ReferenceError: File is not defined"), Some("update Node")),
            (exit("ReferenceError: config is not defined"), None),
            (exit("node: .env: not found"), Some("write the full path of this file")),
            (exit("sh: 1: node: not found"), None),
            (npx("Unsupported URL Type \"workspace:\": workspace:*"), Some("try another version of it")),
            (npx("Invalid Version:"), Some("`_npx`")),
            (exit("Missing script: \"start\""), Some("correct the script in `args`")),
            (exit("error: rustc 1.75.0 is not supported by the following package: acme@1.0.0 requires rustc 1.85"), Some("update Rust")),
            (exit("ImportError: DLL load failed while importing _core: The specified module could not be found."), Some("Visual C++")),
            (exit("Failed to build `acme==1.0`: error: command 'gcc' failed"), Some("`--python`")),
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
            (exit("connection to server on socket \"/run/.s.PGSQL.5432\" failed: FATAL: password authentication failed"), Some("the user and the password")),
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
            (exit("Error: Unable to access jarfile /srv/acme.jar"), Some("correct its file in `args`")),
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
            // Limits of the system.
            (npx("Error: ENOSPC: System limit for number of file watchers reached, watch '/x'"), Some("max_user_watches")),
            (npx("nospc ENOSPC: no space left on device, write"), Some("free space")),
            (exit("OSError: [Errno 28] No space left on device"), Some("free space")),
            (exit("Error: EMFILE: too many open files, open '/x'"), Some("ulimit -n")),
            (exit("FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory"), Some("max-old-space-size")),
            // Containers.
            (docker("docker: Error response from daemon: Head \"https://ghcr.io/v2/x/manifests/latest\": denied: denied"), Some("docker logout")),
            (exit("docker: Error response from daemon: Head \"https://ghcr.io/v2/x/manifests/latest\": denied: denied"), None),
            (docker("docker: Error response from daemon: network app-tier not found"), Some("docker network create")),
            (docker("service \"mcp\" is not running"), Some("start this container")),
            (docker("docker: unknown command: docker mcp"), Some("MCP Toolkit")),
            // Accounts.
            (exit("error: password authentication failed for user \"acme\""), Some("the user and the password")),
            (exit("Access denied for user 'root'@'localhost' (using password: YES)"), Some("the user and the password")),
            (exit("Login failed for user 'sa'."), Some("the user and the password")),
            (exit("Error: Bad credentials. Run `gh auth login` first."), None),
            (exit("git@acme.example: Permission denied (publickey)."), Some("SSH key")),
            (npx("HTTP status client error (403 Forbidden) for url (https://pypi.example/x)"), Some("registry")),
            (exit("HTTP status client error (403 Forbidden) for url (https://api.example/x)"), None),
            (exit("sqlite3.OperationalError: unable to open database file"), Some("the full path")),
            (exit("[ODBC Driver 18 for SQL Server]SSL Provider: certificate verify failed:self-signed certificate"), Some("certificates of your system")),
            // npm and Node.
            (npx("No matching version found for @acme/files@9.9.9."), Some("the version in `args`")),
            (npx("No matching version found for @modelcontextprotocol/sdk@9.9.9."), Some("another version")),
            (npx("npx canceled due to missing packages and no YES option: [\"x\"]"), Some("write `-y`")),
            (npx("ENOTEMPTY: directory not empty, rename 'a' -> 'b'"), Some("`_npx`")),
            (npx("EBUSY: resource busy or locked, rename 'a' -> 'b'"), Some("in another client")),
            (exit("Error: Cannot find module '/srv/acme/dist/index.js'"), Some("build its project")),
            (exit("Error: Cannot find module 'C:\\srv\\dist\\index.js'"), Some("build its project")),
            (exit("Error: Cannot find module 'express'"), Some("npm install")),
            (exit("Error: Cannot find module '/srv/node_modules/x/index.js'"), Some("npm install")),
            (npx("Error: Cannot find module 'express'"), None),
            (exit("Error [ERR_UNKNOWN_BUILTIN_MODULE]: No such built-in module: node:sqlite"), Some("update Node")),
            (exit("TypeError [ERR_UNKNOWN_FILE_EXTENSION]: Unknown file extension \".ts\" for /x.ts"), Some("tsx")),
            (npx("404 Not Found - GET https://registry.npmjs.org/@acme%2ffiles - Not found"), Some("the package in `args`")),
            (exit("database \"acme\" does not exist"), Some("create this database")),
            (exit("FATAL: role \"acme\" does not exist"), None),
            (exit("FATAL: no pg_hba.conf entry for host \"10.0.0.9\""), Some("pg_hba.conf")),
            // Python.
            (exit("ImportError: attempted relative import with no known parent package"), Some("`-m`")),
            (exit("ModuleNotFoundError: No module named 'encodings'"), Some("PYTHONHOME")),
            (exit("ModuleNotFoundError: No module named 'fitz'"), Some("for the Python")),
            (exit("error: failed to create directory `/.cache/uv`: Permission denied (os error 13)"), Some("UV_CACHE_DIR")),
            (exit("error: failed to remove directory `.venv`: Access is denied. (os error 5)"), Some("in another client")),
            (exit("Error in library(x) : there is no package called ‘x’"), Some("in R")),
            (exit(""), None),
        ];
        for (exit, expected) in rows {
            let step = exit.next_step().map(|step| step.todo);
            let fits = match (step, expected) {
                (Some(step), Some(words)) => step.contains(words),
                (step, expected) => step == expected,
            };
            assert!(fits, "{}: {step:?}", exit.reason);
        }
    }
}
