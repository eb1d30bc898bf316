//! Valid files in both formats, with every key that is read.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mcp_startup_config::*;
use secrecy::ExposeSecret;

fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn server<'a>(configuration: &'a Configuration, name: &str) -> &'a ServerConfig {
    let entry = configuration
        .servers
        .iter()
        .find(|entry| entry.name == name)
        .unwrap();
    entry.config.as_ref().unwrap()
}

fn http(server: &ServerConfig) -> &HttpConfig {
    match &server.transport {
        TransportConfig::Http(http) => http,
        TransportConfig::Stdio(_) => panic!("{} is stdio", server.name),
    }
}

fn stdio(server: &ServerConfig) -> &StdioConfig {
    match &server.transport {
        TransportConfig::Stdio(stdio) => stdio,
        TransportConfig::Http(_) => panic!("{} is http", server.name),
    }
}

fn env(stdio: &StdioConfig) -> Vec<(&str, &str)> {
    stdio
        .env
        .iter()
        .map(|(name, value)| (name.as_str(), value.expose_secret()))
        .collect()
}

fn headers(http: &HttpConfig) -> Vec<(&str, &str, Option<&str>)> {
    http.headers
        .iter()
        .map(|header| {
            let value = header.value.expose_secret();
            (header.name.as_str(), value, header.variable.as_deref())
        })
        .collect()
}

#[test]
fn codex_toml_with_every_key() {
    let text = r#"
model = "something"
mcp_oauth_credentials_store = "keyring"

[mcp_servers.files]
command = "npx"
args = ["-y", "files", "--key=arg-secret"]
env_vars = ["COPIED", "UNSET", { name = "LOCAL", source = "local" }, { name = "SHADOWED" }]
cwd = "/srv/files"
enabled = false
required = true
startup_timeout_ms = 1500
tool_timeout_sec = 60
something_newer = { a = 1 }

[mcp_servers.files.env]
GIVEN = "given-secret"
SHADOWED = "from-env"

[mcp_servers."my server/ü.1"]
url = "https://example.com:8443/mcp?key=query-secret"
bearer_token_env_var = "TOKEN"
http_headers = { X-Static = "static-secret", x-both = "lost" }
env_http_headers = { X-Env = "HEADER", X-Both = "HEADER" }
scopes = ["read", "write"]
oauth_resource = "https://example.com/"
oauth = { client_id = "client-1", client_secret_env_var = "CLIENT_SECRET", callback_port = 1 }
startup_timeout_sec = 2.5
startup_timeout_ms = 9

[mcp_servers]
inline = { url = "http://127.0.0.1:1/", oauth = { client_secret = "inline-secret" } }
"#;
    let environment = environment(&[
        ("COPIED", "copied-secret"),
        ("LOCAL", "local-secret"),
        ("SHADOWED", "from-process"),
        ("TOKEN", "token-secret"),
        ("HEADER", "header-secret"),
        ("CLIENT_SECRET", "client-secret"),
    ]);
    let configuration = parse(text, Path::new("/home/u/.codex/config.toml"), &environment).unwrap();
    assert_eq!(configuration.format, ConfigurationFormat::CodexToml);
    assert_eq!(configuration.path, Path::new("/home/u/.codex/config.toml"));
    assert_eq!(
        configuration.credentials,
        CredentialSettings {
            home: PathBuf::from("/home/u/.codex"),
            mode: CredentialStoreMode::Keyring
        }
    );
    let names: Vec<_> = configuration
        .servers
        .iter()
        .map(|entry| (entry.name.as_str(), entry.enabled, entry.required))
        .collect();
    assert_eq!(
        names,
        [
            ("files", false, true),
            ("my server/ü.1", true, false),
            ("inline", true, false)
        ]
    );

    let files = server(&configuration, "files");
    assert!(files.required);
    assert_eq!(files.startup_timeout, Some(Duration::from_millis(1500)));
    assert_eq!(files.scopes, None);
    let program = stdio(files);
    assert_eq!(program.command, "npx");
    assert_eq!(program.args, ["-y", "files", "--key=arg-secret"]);
    assert_eq!(program.cwd.as_deref(), Some(Path::new("/srv/files")));
    assert_eq!(
        program.inherited,
        InheritedEnvironment::Named(CODEX_INHERITED_VARIABLES)
    );
    assert_eq!(
        env(program),
        [
            ("COPIED", "copied-secret"),
            ("LOCAL", "local-secret"),
            ("SHADOWED", "from-env"),
            ("GIVEN", "given-secret")
        ]
    );

    let remote = server(&configuration, "my server/ü.1");
    assert_eq!(remote.startup_timeout, Some(Duration::from_millis(2500)));
    assert_eq!(
        remote.scopes.as_deref(),
        Some(["read".to_owned(), "write".to_owned()].as_slice())
    );
    assert_eq!(remote.oauth.client_id.as_deref(), Some("client-1"));
    let secret = remote.oauth.client_secret.as_ref().unwrap();
    assert_eq!(secret.expose_secret(), "client-secret");
    assert_eq!(
        remote.oauth.resource.as_deref(),
        Some("https://example.com/")
    );
    let address = http(remote);
    assert_eq!(
        address.url.as_str(),
        "https://example.com:8443/mcp?key=query-secret"
    );
    let bearer = address.bearer.as_ref().unwrap();
    assert_eq!(
        (bearer.variable.as_str(), bearer.token.expose_secret()),
        ("TOKEN", "token-secret")
    );
    assert_eq!(
        headers(address),
        [
            ("X-Static", "static-secret", None),
            ("X-Both", "header-secret", Some("HEADER")),
            ("X-Env", "header-secret", Some("HEADER"))
        ]
    );
    let inline = server(&configuration, "inline");
    let secret = inline.oauth.client_secret.as_ref().unwrap();
    assert_eq!(secret.expose_secret(), "inline-secret");

    let debug = format!("{configuration:?} {configuration:#?}");
    assert!(!debug.contains("-secret"), "{debug}");
}

#[test]
fn mcp_servers_json_with_every_key() {
    let text = "\u{feff}\n".to_owned()
        + r#"{
  "other": [1, {"deep": [[[[[[]]]]]]}],
  "mcpServers": {
    "files": {
      "type": "stdio",
      "command": "${DIR}/bin/${PROGRAM:-files}",
      "args": ["--key=${KEY}", "$KEY", "${KEY%.txt}", "${open", "${UNSET:-}", "${1X}", "${EMPTY:-x}", "${}", "${UNSET:-a${KEY}"],
      "env": {"A": "${KEY}", "B": "plain"},
      "url": "ignored", "cwd": "${DIR}/files", "timeout": 5, "newer": {"a": {"b": {"c": {}}}}
    },
    "remote": {
      "url": "${BASE:-https://example.com}/mcp",
      "headers": {"Authorization": "Bearer ${TOKEN}", "X-Plain": "plain-secret", "x-plain": "wins", "X-Two": "${KEY}${TOKEN}"},
      "oauth": {"clientId": "client-1", "scopes": "read  write", "callbackPort": 1},
      "disabled": true
    },
    "alias": {"type": "streamable-http", "url": "http://localhost:3000", "enabled": false},
    "http": {"type": "http", "url": "https://example.com", "command": "ignored", "disabled": false},
    "twice": {"type": "nonsense"},
    "last": {"command": "x"},
    "twice": {"command": "second"}
  }
}"#;
    let environment = environment(&[
        ("DIR", "/opt"),
        ("KEY", "key-secret"),
        ("TOKEN", "token-secret"),
        ("EMPTY", ""),
        ("HOME", "/home/u"),
        ("USERPROFILE", "/home/u"),
    ]);
    let configuration = parse(&text, Path::new("/project/.mcp.json"), &environment).unwrap();
    assert_eq!(configuration.format, ConfigurationFormat::McpServersJson);
    assert_eq!(
        configuration.credentials,
        CredentialSettings {
            home: Path::new("/home/u").join(".codex"),
            mode: CredentialStoreMode::File
        }
    );
    let names: Vec<_> = configuration
        .servers
        .iter()
        .map(|entry| (entry.name.as_str(), entry.enabled))
        .collect();
    assert_eq!(
        names,
        [
            ("files", true),
            ("remote", false),
            ("alias", false),
            ("http", true),
            ("twice", true),
            ("last", true)
        ]
    );

    let program = stdio(server(&configuration, "files"));
    assert_eq!(program.command, "/opt/bin/files");
    assert_eq!(
        program.args,
        [
            "--key=key-secret",
            "$KEY",
            "${KEY%.txt}",
            "${open",
            "",
            "${1X}",
            "",
            "${}",
            "a${KEY"
        ]
    );
    assert_eq!(env(program), [("A", "key-secret"), ("B", "plain")]);
    assert_eq!(program.inherited, InheritedEnvironment::Everything);
    assert_eq!(program.cwd.as_deref(), Some(Path::new("/opt/files")));

    let remote = server(&configuration, "remote");
    assert_eq!(http(remote).url.as_str(), "https://example.com/mcp");
    assert_eq!(
        headers(http(remote)),
        [
            ("Authorization", "Bearer token-secret", Some("TOKEN")),
            ("x-plain", "wins", None),
            ("X-Two", "key-secrettoken-secret", Some("KEY"))
        ]
    );
    assert_eq!(remote.oauth.client_id.as_deref(), Some("client-1"));
    assert_eq!(
        remote.scopes.as_deref(),
        Some(["read".to_owned(), "write".to_owned()].as_slice())
    );
    assert_eq!(stdio(server(&configuration, "twice")).command, "second");
    http(server(&configuration, "alias"));
    http(server(&configuration, "http"));

    let debug = format!("{configuration:?} {configuration:#?}");
    assert!(!debug.contains("-secret"), "{debug}");
}

#[test]
fn a_file_may_have_no_servers() {
    let cases = [
        ("", ConfigurationFormat::CodexToml),
        ("\u{feff}\n# nothing\n", ConfigurationFormat::CodexToml),
        (
            "model = \"x\"\n[mcp_servers]\n",
            ConfigurationFormat::CodexToml,
        ),
        (
            " \r\n\t{\"mcpServers\": {}}",
            ConfigurationFormat::McpServersJson,
        ),
    ];
    for (text, format) in cases {
        let configuration = parse(text, Path::new("config.toml"), &BTreeMap::new()).unwrap();
        assert_eq!(
            (configuration.format, configuration.servers.len()),
            (format, 0),
            "{text:?}"
        );
    }
}

#[test]
fn credential_store_modes() {
    use CredentialStoreMode::{Auto, File, Keyring, Unknown};
    let cases = [
        ("", Auto),
        ("\"auto\"", Auto),
        ("\"file\"", File),
        ("\"keyring\"", Keyring),
        ("\"vault\"", Unknown("vault".to_owned())),
        ("\"vault\\u001b[31m\"", Unknown("…".to_owned())),
        ("[\"secret\"]", Unknown("…".to_owned())),
        ("7", Unknown("7".to_owned())),
    ];
    for (value, mode) in cases {
        let text = match value {
            "" => String::new(),
            value => format!("mcp_oauth_credentials_store = {value}"),
        };
        let configuration = parse(&text, Path::new("config.toml"), &BTreeMap::new()).unwrap();
        assert_eq!(configuration.credentials.mode, mode);
        assert_eq!(configuration.credentials.home, Path::new("."));
    }
}

#[test]
fn codex_home_and_its_variables() {
    let user_folder = if cfg!(windows) { "USERPROFILE" } else { "HOME" };
    type Case<'a> = (&'a [(&'a str, &'a str)], Option<&'a str>);
    let cases: [Case; 8] = [
        (&[], None),
        (&[("CODEX_HOME", ".codex")], None),
        (
            &[(user_folder, "/u"), ("CODEX_HOME", ".codex")],
            Some("/u/.codex"),
        ),
        (
            &[(user_folder, "/u"), ("CODEX_HOME", ".")],
            Some("/u/.codex"),
        ),
        (&[(user_folder, "/u")], Some("/u/.codex")),
        (&[(user_folder, "/u"), ("CODEX_HOME", "/c")], Some("/c")),
        (
            &[(user_folder, "/u"), ("CODEX_HOME", " ")],
            Some("/u/.codex"),
        ),
        (&[(user_folder, "")], None),
    ];
    for (variables, home) in cases {
        assert_eq!(
            codex_home(&environment(variables)),
            home.map(PathBuf::from),
            "{variables:?}"
        );
    }
    let none = parse(
        r#"{"mcpServers": {}}"#,
        Path::new("x.json"),
        &BTreeMap::new(),
    );
    assert_eq!(none.unwrap().credentials.home, Path::new(""));
}

#[test]
fn a_server_created_in_code_is_validated() {
    let server = ServerConfig::stdio("files", "npx", ["-y", "files"])
        .and_then(|server| server.with_env("A", "first"))
        .and_then(|server| server.with_env("A", "given-secret"))
        .and_then(|server| server.with_startup_timeout(Duration::from_secs(1)))
        .unwrap();
    assert_eq!(env(stdio(&server)), [("A", "given-secret")]);
    assert!(!format!("{server:?}").contains("-secret"));

    let remote = || ServerConfig::http("a", "https://example.com").unwrap();
    let server = remote()
        .with_bearer_token("TOKEN", "token-secret")
        .and_then(|server| server.with_header("X-A", "one"))
        .and_then(|server| server.with_header("x-a", "header-secret"))
        .unwrap();
    assert_eq!(headers(http(&server)), [("x-a", "header-secret", None)]);
    assert!(!format!("{server:?}").contains("-secret"));

    let program = || ServerConfig::stdio("a", "b", [""; 0]).unwrap();
    let cases = [
        (ServerConfig::http("", "https://example.com"), "name"),
        (ServerConfig::http("a/../b", "https://example.com"), "name"),
        (
            ServerConfig::http("a", "https://u:p-secret@example.com"),
            "url",
        ),
        (ServerConfig::stdio("a", " ", [""; 0]), "command"),
        (ServerConfig::stdio("a", "b", ["c\0"]), "args"),
        (remote().with_bearer_token("T", " "), "bearer_token"),
        (
            remote().with_bearer_token("T", "p-secret\n"),
            "bearer_token",
        ),
        (program().with_bearer_token("T", "p-secret"), "bearer_token"),
        (
            remote().with_header("X\u{1b} Y", "p-secret"),
            "headers.\"X\\u{1b}…\"",
        ),
        (
            remote().with_header("X-A", "p-secret\r\nB: c"),
            "headers.X-A",
        ),
        (program().with_header("X-A", "p-secret"), "headers.X-A"),
        (remote().with_env("A", "p-secret"), "env.A"),
        (program().with_env("A=B", "p-secret"), "env.\"A…\""),
        (
            program().with_startup_timeout(Duration::ZERO),
            "startup_timeout",
        ),
        (
            program().with_startup_timeout(Duration::from_secs(86_401)),
            "startup_timeout",
        ),
    ];
    for (result, key) in cases {
        let problem = result.unwrap_err();
        assert_eq!((problem.key.as_str(), problem.line), (key, None));
        assert!(!format!("{problem} {problem:?}").contains("secret"));
    }
}

/// The OAuth keys of an entry, in both formats and spellings.
#[test]
fn the_keys_of_a_sign_in() {
    let environment = environment(&[("SECRET", "env-secret")]);
    let oauth_of = |text: &str| {
        let found = parse(text, Path::new("file"), &environment).unwrap();
        let server = server(&found, "a");
        (server.oauth.clone(), server.scopes.clone())
    };
    let toml = |root: &str, oauth: &str| {
        let text = format!("{root}\n[mcp_servers.a]\nurl = 'https://a.example'\n{oauth}");
        oauth_of(&text).0
    };
    let json = |oauth: &str| {
        let text = format!(
            r#"{{"mcpServers": {{"a": {{"url": "https://a.example", "oauth": {{{oauth}}}}}}}}}"#
        );
        oauth_of(&text)
    };

    // Codex's settings for all servers, and those of one server, which win.
    let all = "mcp_oauth_callback_port = 7001\nmcp_oauth_callback_url = 'https://box.example/cb'";
    let found = toml(all, "");
    assert_eq!(
        (found.callback_port, found.callback_url.as_deref()),
        (Some(7001), Some("https://box.example/cb"))
    );
    assert!(!found.callback_on_localhost);
    let found = toml(
        all,
        "oauth = { callback_port = 7002, callback_url = 'http://localhost:7002/x' }",
    );
    assert_eq!(
        (found.callback_port, found.callback_url.as_deref()),
        (Some(7002), Some("http://localhost:7002/x"))
    );
    let found = toml("", "");
    assert_eq!(
        (found.callback_port, found.callback_url, found.prompt),
        (None, None, None)
    );
    assert!(!found.allow_unpublished_pkce);
    assert_eq!(
        toml("", "oauth_resource = ''").resource.as_deref(),
        Some("")
    );
    let found = toml(
        "",
        "oauth = { prompt = 'consent  login', allow_unpublished_pkce = true, client_metadata_url = 'https://b.example/c.json' }",
    );
    assert_eq!(found.prompt.as_deref(), Some("consent login"));
    assert!(found.allow_unpublished_pkce);
    assert_eq!(
        found.client_metadata_url.as_deref(),
        Some("https://b.example/c.json")
    );

    // JSON, as several clients spell it.
    for text in [
        r#""clientId": "c", "clientSecret": "${SECRET}", "callbackPort": 7003, "redirectUri": "http://localhost:7003/cb", "resource": " ", "scope": "a b""#,
        r#""client_id": "c", "client_secret": "env-secret", "callback_port": 7003, "callback_url": "http://localhost:7003/cb", "resource": " ", "scopes": "a b""#,
    ] {
        let (found, scopes) = json(text);
        assert_eq!(found.client_id.as_deref(), Some("c"), "{text}");
        assert_eq!(
            found.client_secret.unwrap().expose_secret(),
            "env-secret",
            "{text}"
        );
        assert_eq!(found.callback_port, Some(7003), "{text}");
        assert_eq!(
            found.callback_url.as_deref(),
            Some("http://localhost:7003/cb"),
            "{text}"
        );
        assert_eq!(found.resource.as_deref(), Some(" "), "{text}");
        assert_eq!(scopes.unwrap(), ["a", "b"], "{text}");
        assert!(found.callback_on_localhost, "{text}");
    }
    let (found, scopes) = json(
        r#""allowUnpublishedPkce": true, "prompt": "", "clientSecret": " ", "clientMetadataUrl": "https://b.example/c.json""#,
    );
    assert!(found.allow_unpublished_pkce && !found.callback_on_localhost);
    assert!(found.prompt.is_none() && found.client_secret.is_none() && scopes.is_none());
    assert_eq!(
        found.client_metadata_url.as_deref(),
        Some("https://b.example/c.json")
    );
}

#[test]
fn a_problem_with_the_callback_of_all_servers_affects_those_with_a_url() {
    let text = "mcp_oauth_callback_port = 0\n[mcp_servers.a]\nurl = 'https://a.example'\n[mcp_servers.b]\ncommand = 'b'";
    let found = parse(text, Path::new("file"), &environment(&[])).unwrap();
    let problem = found.servers[0].config.as_ref().unwrap_err();
    assert_eq!(
        (problem.key.as_str(), problem.line),
        ("mcp_oauth_callback_port", Some(1))
    );
    assert!(found.servers[1].config.is_ok());
}

#[test]
fn the_type_decides_when_to_use_http_sse_and_a_key_names_the_era() {
    use mcp_startup_config::{HttpSseUse, ProtocolEra};
    let json = |entry: &str| {
        format!("{{\"mcpServers\": {{\"x\": {{{entry}, \"url\": \"https://a.example/mcp\"}}}}}}")
    };
    let toml = "[mcp_servers.x]\nurl = \"https://a.example/mcp\"\n";
    let rows = [
        (
            json("\"timeout\": 1"),
            HttpSseUse::Fallback,
            ProtocolEra::Auto,
        ),
        (
            json("\"type\": \"http\""),
            HttpSseUse::Never,
            ProtocolEra::Auto,
        ),
        (
            json("\"type\": \"sse\""),
            HttpSseUse::Always,
            ProtocolEra::Auto,
        ),
        (
            json("\"protocolEra\": \"modern\""),
            HttpSseUse::Fallback,
            ProtocolEra::Modern,
        ),
        (toml.to_owned(), HttpSseUse::Never, ProtocolEra::Auto),
        (
            format!("{toml}protocol_era = \"legacy\"\n"),
            HttpSseUse::Never,
            ProtocolEra::Legacy,
        ),
    ];
    for (text, http_sse, era) in rows {
        let configuration = parse(
            &text,
            Path::new("/x/config"),
            &BTreeMap::<String, String>::new(),
        )
        .unwrap();
        let server = server(&configuration, "x");
        assert_eq!(
            (http(server).http_sse, server.protocol_era),
            (http_sse, era),
            "{text}"
        );
    }
}
