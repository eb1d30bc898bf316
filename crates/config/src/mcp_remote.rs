//! Finds the HTTP server behind an entry that starts `mcp-remote`, a program that connects a client without HTTP to such a server.
//! Never runs `mcp-remote` and never reads its stored sign-ins.
//!
//! Source: `parseCommandLineArgs` and `getServerUrlHash` of mcp-remote 0.15.1 and 0.1.38 (<https://www.npmjs.com/package/mcp-remote>). The
//! results were compared with theirs for 4,000 generated command lines.

mod arguments;
mod entry_environment;
mod headers;
mod launcher;
mod oauth;
mod storage_keys;
#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use mcp_startup_core::file_kind;
use secrecy::ExposeSecret;

use crate::environment::Environment;
use crate::error::EntryProblem;
use crate::escaping::escape_and_truncate;
use crate::foreign_variables;
use crate::server::{
    HttpConfig, HttpSseUse, OAuthClient, ProtocolEra, ServerConfig, StdioConfig, TransportConfig,
    deduplicate_headers,
};
use crate::shown;
use crate::spanned::KeyPath;
use crate::validation;

use arguments::{Argument, Arguments};
use entry_environment::EntryEnvironment;
use headers::Headers;
use launcher::Invocation;
use storage_keys::{KeyParts, storage_keys};

pub use storage_keys::StorageKeys;

/// The maximum size of a file that an option of `mcp-remote` names: 64 KiB.
pub const MAX_OPTION_FILE_BYTES: usize = 64 * 1024;

/// The maximum number of [`ServerConfig::possible_causes`].
const MAX_POSSIBLE_CAUSES: usize = 20;

/// Variables of an entry that change how Node connects to the server.
const NETWORK_VARIABLES: [&str; 5] = [
    "NODE_OPTIONS",
    "NODE_EXTRA_CA_CERTS",
    "NODE_TLS_REJECT_UNAUTHORIZED",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// Variables of an entry that name a proxy. `mcp-remote` uses them with `--enable-proxy`.
const PROXY_VARIABLES: [&str; 4] = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"];

/// The HTTP server behind an entry that starts `mcp-remote`.
#[derive(Debug, Clone)]
pub struct McpRemote {
    /// The server, with the name and the timeout of the entry.
    pub server: ServerConfig,
    /// The version or tag of `mcp-remote` that the entry names, for example `0.1.38` or `latest`. `None` if it names none.
    pub version: Option<String>,
    /// The keys of the sign-in in the store of `mcp-remote`.
    pub storage_keys: StorageKeys,
    /// The folder of that store, from `MCP_REMOTE_CONFIG_DIR`. `None` for `.mcp-auth` in the user's home folder.
    pub storage_folder: Option<PathBuf>,
}

/// Why an entry is not replaced by the server behind it.
enum Unread {
    /// The entry does not run `mcp-remote`, or with an option that has no counterpart here.
    AsWritten,
    /// `mcp-remote` would fail, or send a blank credential.
    Problem(EntryProblem),
}

impl From<EntryProblem> for Unread {
    fn from(problem: EntryProblem) -> Self {
        Self::Problem(problem)
    }
}

/// Returns the HTTP server behind an entry that starts `mcp-remote`, or the problem due to which `mcp-remote` would fail. Returns
/// `None` if the entry has to be started as it is written.
///
/// `environment` has the variables that the program inherits. `read_file` reads a file that an option names, such as
/// [`read_option_file`]. A relative path is relative to the working directory of the entry.
///
/// ```
/// use std::collections::BTreeMap;
/// use mcp_startup_config::{ServerConfig, TransportConfig, read_option_file, unwrap_mcp_remote};
///
/// let entry = ServerConfig::stdio("docs", "npx", ["-y", "mcp-remote", "https://example.com/mcp"])?;
/// let found = unwrap_mcp_remote(&entry, &BTreeMap::new(), &read_option_file).unwrap()?;
/// let TransportConfig::Http(http) = &found.server.transport else { unreachable!() };
/// assert_eq!(http.url.as_str(), "https://example.com/mcp");
///
/// let entry = ServerConfig::stdio("files", "npx", ["files-server"])?;
/// assert!(unwrap_mcp_remote(&entry, &BTreeMap::new(), &read_option_file).is_none());
/// # Ok::<(), mcp_startup_config::EntryProblem>(())
/// ```
///
/// # Command lines
///
/// | program | before `mcp-remote`, `mcp-remote@VERSION` or `mcp-remote@TAG` |
/// | --- | --- |
/// | `npx` | `-y`, `--package`, `--registry` and other options that do not change the package |
/// | `npm exec`, `npm x`, `bunx`, `bun x`, `pnpx`, `pnpm dlx`, `yarn dlx` | the same |
/// | `deno run` | permissions; the package is `npm:mcp-remote` |
/// | `node` | the path of `mcp-remote/dist/proxy.js` |
/// | `mcp-remote` | nothing |
/// | `cmd /c` | any of these, if no argument has a character that `cmd` interprets |
/// | `sh -c`, `bash -lc`, `zsh -c` and the like | any of these, if the line has only plain words |
/// | `env`, `env NAME=VALUE`, `nvm-exec`, `volta run`, `fnm exec`, `asdf exec`, `nodenv exec`, `mise exec … --` | any of these |
///
/// The program can be a path, and can end with `.cmd` or `.exe`.
///
/// # Options
///
/// | option | effect |
/// | --- | --- |
/// | `--header`, `--header-file` | Headers of the requests. `${NAME}` is replaced, first by a variable of the entry. |
/// | `--transport` | `http-only` never uses HTTP+SSE, and `sse-only` always does. `http-first` and `sse-first` accept both. |
/// | `--allow-http` | Permits `http://` for hosts other than `localhost` and `127.0.0.1`. |
/// | `--protocol legacy` | The [era](ProtocolEra) of the server. |
/// | `--static-oauth-client-info` | The client ID and the client secret. `${NAME}` is replaced. |
/// | `--static-oauth-client-metadata` | The scopes. |
/// | `--client-metadata-url`, `--resource`, `--disable-resource-parameter` | The fields of [`OAuthClient`]. |
/// | `--authorize-param prompt=…` | The `prompt` of a sign-in. |
/// | `--host`, `--callback-path`, the port after the URL | The redirect URI of a sign-in, if it has to be this one. |
/// | `--debug`, `--silent`, `--keep-alive`, `--ping-interval`, `--ignore-tool`, `--ipv4`, `--enable-proxy`, `--disable-cookies`, `--auth-timeout`, `--auth-success-url`, `--connect-timeout`, `--headers-timeout`, `--body-timeout` | None. They affect only `mcp-remote` itself. |
///
/// The entry is started as it is written if it has one of these, because a direct connection would not be the same:
///
/// * `--use-id-token`: another token is sent.
/// * `--device-code`, `--client-credentials` and `--token-endpoint`: another grant.
/// * `--authorize-param` with another parameter, and fields of `--static-oauth-client-metadata` other than the scope and the
///   description of the client: a sign-in here cannot send them.
/// * An option that this crate does not know, `--help` and `--version`.
/// * Variables in `env` that change the network of Node, such as `NODE_EXTRA_CA_CERTS` and, with `--enable-proxy`, `HTTPS_PROXY`.
///
/// # Errors
/// The problem names the argument. It contains no value of a header and no value of a variable. Problems are: a URL that is missing
/// or invalid, `http://` without `--allow-http`, a credential that is blank or has a variable that is not set, JSON that is invalid,
/// and a file that cannot be read.
pub fn unwrap_mcp_remote(
    server: &ServerConfig,
    environment: &dyn Environment,
    read_file: &dyn Fn(&Path) -> io::Result<Vec<u8>>,
) -> Option<Result<McpRemote, EntryProblem>> {
    let TransportConfig::Stdio(stdio) = &server.transport else {
        return None;
    };
    let line = launcher::shell_line(&stdio.command, &stdio.args);
    let words = line.as_ref().map(|line| line.words.split_first());
    let (command, args) = match words {
        Some(words) => words?,
        None => (&stdio.command, &*stdio.args),
    };
    let invocation = launcher::invocation(command, args)?;
    let wrapper = Wrapper {
        server,
        stdio,
        line: line.as_ref().map(|line| line.at),
        environment: EntryEnvironment::new(stdio, &invocation.assigned, environment),
        invocation,
        read_file,
    };
    match wrapper.unwrap() {
        Ok(found) => Some(Ok(found)),
        Err(Unread::Problem(problem)) => Some(Err(problem)),
        Err(Unread::AsWritten) => None,
    }
}

/// Whether a command line runs `mcp-remote`, which replaces variables in its arguments by itself.
pub(crate) fn is_mcp_remote(command: &str, args: &[String]) -> bool {
    launcher::invocation(command, args).is_some()
}

/// Reads a file that an option of `mcp-remote` names. Fails if it is not a regular file or larger than [`MAX_OPTION_FILE_BYTES`].
///
/// # Errors
/// Returns the error of the operating system, or one of the kind [`InvalidData`](io::ErrorKind::InvalidData).
pub fn read_option_file(path: &Path) -> io::Result<Vec<u8>> {
    let invalid = |problem: String| Err(io::Error::new(io::ErrorKind::InvalidData, problem));
    // Check the type before opening: opening a named pipe would block.
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return invalid(format!("it is {}", file_kind(metadata.file_type())));
    }
    let mut bytes = Vec::new();
    let limit = u64::try_from(MAX_OPTION_FILE_BYTES + 1).unwrap_or(u64::MAX);
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    match bytes.len() <= MAX_OPTION_FILE_BYTES {
        true => Ok(bytes),
        false => invalid("larger than 64 KiB".to_owned()),
    }
}

/// An entry that starts `mcp-remote`.
struct Wrapper<'a> {
    server: &'a ServerConfig,
    stdio: &'a StdioConfig,
    invocation: Invocation<'a>,
    /// The position of the line of a shell that has the arguments.
    line: Option<usize>,
    environment: EntryEnvironment<'a>,
    read_file: &'a dyn Fn(&Path) -> io::Result<Vec<u8>>,
}

impl Wrapper<'_> {
    fn unwrap(self) -> Result<McpRemote, Unread> {
        // Such arguments can't be passed to a program. The start fails with a message about that.
        if self.stdio.args.iter().any(|arg| arg.contains('\0')) {
            return Err(Unread::AsWritten);
        }
        let args = self.server.path.child("args", None);
        let Invocation {
            version,
            arguments,
            first,
            ref assigned,
        } = self.invocation;
        let arguments = match self.line {
            Some(at) => Arguments::parse(arguments, &args.index(at, None), None)?,
            None => Arguments::parse(arguments, &args, Some(first))?,
        };
        self.check_variables(assigned)?;
        let url = url(&arguments)?;
        let files = self.header_files(&arguments)?;
        let mut headers = Headers::new(&arguments, &files);
        let mut causes = std::mem::take(&mut headers.possible_causes);
        let replaces_missing = version.is_some_and(is_old);
        let configured = headers.configured(&self.environment, replaces_missing, &mut causes)?;
        let oauth = self.oauth(&arguments)?;
        let keys = storage_keys(&KeyParts {
            url: arguments.url.text,
            resource: oauth.resource,
            written_resource: arguments.option("--resource").map(|value| value.text),
            authorize_parameters: oauth.authorize_parameters,
            client_metadata_url: oauth.client.client_metadata_url.as_deref(),
            headers: headers.all,
            header_arguments: headers.of_arguments,
        });
        let mut client = oauth.client;
        redirect_uri(&arguments, &keys, &mut client)?;
        let mut expanded_variables = self.server.expanded_variables.clone();
        let storage_folder = self.environment.get("MCP_REMOTE_CONFIG_DIR");
        expanded_variables.extend(self.environment.into_used());
        let mut possible_causes = self.server.possible_causes.clone();
        possible_causes.extend(causes);
        possible_causes.truncate(MAX_POSSIBLE_CAUSES);
        let server = ServerConfig {
            transport: TransportConfig::Http(HttpConfig {
                url,
                written_url: arguments.url.text.to_owned(),
                bearer: None,
                headers: deduplicate_headers(&args, configured)?,
                http_sse: http_sse(&arguments),
            }),
            protocol_era: match arguments.option("--protocol").map(|mode| mode.text) {
                Some("legacy") => ProtocolEra::Legacy,
                _ => self.server.protocol_era,
            },
            oauth: client,
            scopes: oauth.scopes.or_else(|| self.server.scopes.clone()),
            expanded_variables,
            possible_causes,
            ..self.server.clone()
        };
        Ok(McpRemote {
            server,
            version: version.map(str::to_owned),
            storage_keys: keys,
            storage_folder: storage_folder
                .filter(|folder| !folder.is_empty())
                .map(PathBuf::from),
        })
    }

    /// Checks that no variable of the entry changes how `mcp-remote` connects to the server.
    fn check_variables(&self, assigned: &[(&str, &str)]) -> Result<(), Unread> {
        let uses_proxy = self.stdio.args.iter().any(|arg| arg == "--enable-proxy");
        let changes_network = |name: &str| {
            let is = |known: &&str| name.eq_ignore_ascii_case(known);
            NETWORK_VARIABLES.iter().any(is) || (uses_proxy && PROXY_VARIABLES.iter().any(is))
        };
        let own = self.stdio.env.iter();
        let own = own.map(|(name, value)| (name.as_str(), value.expose_secret()));
        let mut set = own.chain(assigned.iter().copied());
        match set.any(|(name, value)| changes_network(name) && !value.is_empty()) {
            true => Err(Unread::AsWritten),
            false => Ok(()),
        }
    }

    /// Reads a text file that an option names.
    fn read_text(&self, path: &KeyPath, file: &str) -> Result<String, EntryProblem> {
        let cwd = self.stdio.cwd.as_deref();
        let resolved = cwd.map_or_else(|| PathBuf::from(file), |cwd| cwd.join(file));
        let shown = escape_and_truncate(file);
        let problem = |problem: &str| {
            path.problem(format!(
                "the file {shown} cannot be read: {problem}; check the path"
            ))
        };
        let bytes = (self.read_file)(&resolved).map_err(|error| problem(&error.to_string()))?;
        if bytes.len() > MAX_OPTION_FILE_BYTES {
            return Err(problem("larger than 64 KiB"));
        }
        String::from_utf8(bytes).map_err(|_| problem("not UTF-8 text"))
    }
}

/// Whether a version of `mcp-remote` replaces a variable that is not set with an empty text. Later ones leave it as it is written.
fn is_old(version: &str) -> bool {
    ["0.0.", "0.1."].iter().any(|old| version.starts_with(old))
}

/// Parses the URL, with the rules of `mcp-remote` for `http://`.
fn url(arguments: &Arguments<'_>) -> Result<url::Url, EntryProblem> {
    let Argument { text, path } = &arguments.url;
    if let Some(name) = foreign_variables::find_in_braces(text) {
        let name = shown::variable(name);
        return Err(path.problem(format!(
            "`mcp-remote` does not replace variables in the URL, so ${{{name}}} is not; write its value"
        )));
    }
    let url = validation::url(path, text, text)?;
    let is_local = matches!(url.host_str(), Some("localhost" | "127.0.0.1"));
    if url.scheme() != "https" && !is_local && !arguments.allows_http {
        return Err(path.problem(
            "`mcp-remote` refuses http:// for hosts other than `localhost` and `127.0.0.1`; use https://, or add `--allow-http` if the network is trusted",
        ));
    }
    Ok(url)
}

/// Returns when to use HTTP+SSE. `mcp-remote` ignores a value that it does not know.
fn http_sse(arguments: &Arguments<'_>) -> HttpSseUse {
    match arguments.option("--transport").map(|value| value.text) {
        Some("sse-only") => HttpSseUse::Always,
        Some("http-only") => HttpSseUse::Never,
        // The order does not matter for a server that has only one of the two.
        _ => HttpSseUse::Fallback,
    }
}

/// Sets the redirect URI, if a client of `mcp-remote` is registered for it: with a configured client, a metadata document or a port.
fn redirect_uri(
    arguments: &Arguments<'_>,
    keys: &StorageKeys,
    client: &mut OAuthClient,
) -> Result<(), EntryProblem> {
    let default = if cfg!(windows) {
        "127.0.0.1"
    } else {
        "localhost"
    };
    let option = arguments.option("--host");
    let host = option.map_or(default, |host| host.text);
    client.callback_on_localhost = host == "localhost";
    if client.client_id.is_none()
        && client.client_metadata_url.is_none()
        && arguments.port.is_none()
    {
        return Ok(());
    }
    let port = match arguments.port {
        Some(port) => port,
        None => default_port(keys),
    };
    let path = arguments.option("--callback-path").map(|path| path.text);
    // `mcp-remote` ignores any other path, and reserves two for itself.
    let path = path.filter(|path| {
        path.starts_with('/') && !matches!(*path, "/wait-for-auth" | "/.mcp-remote/id")
    });
    let path = path.unwrap_or("/oauth/callback");
    let redirect_uri = format!("http://{host}:{port}{path}");
    if let (Err(_), Some(option)) = (url::Url::parse(&redirect_uri), option) {
        return Err(option
            .path
            .problem("this is not a host name; use the host of the redirect URI"));
    }
    client.callback_port = Some(port);
    client.callback_url = Some(redirect_uri);
    Ok(())
}

/// The port that `mcp-remote` derives from the key of the sign-in (`calculateDefaultPort`).
fn default_port(keys: &StorageKeys) -> u16 {
    let digits = keys.current.get(..4).unwrap_or_default();
    let number = u16::from_str_radix(digits, 16).unwrap_or_default();
    3335 + number % 45816
}
