//! The places where a user or an authorization server can put a secret.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::harness::configuration::quoted;
use crate::harness::run::test_program;
use crate::harness::time::now_ms;
use crate::secrets::{base64, percent_encoded};

/// A place that can hold a secret.
pub struct Place {
    pub name: &'static str,
    /// Configures a server with its secret in this place.
    pub configure: fn(&Target) -> Configured,
    /// The field of the token response that holds the secret, if the authorization server grants it.
    pub granted: Option<&'static str>,
}

/// The server whose secret is put into a place.
pub struct Target {
    pub number: usize,
    pub secret: String,
    /// The URL of its folder, without a slash at the end.
    pub base: String,
    /// The path of the file with its steps, if it is a program.
    pub steps: String,
    /// A folder for the server's files.
    pub folder: PathBuf,
}

/// The user's configuration of one server: an entry in `config.toml` or in an `mcpServers` JSON file, environment variables,
/// and a stored record.
#[derive(Default)]
pub struct Configured {
    pub toml: String,
    pub json: Value,
    pub environment: Vec<(String, String)>,
    pub record: Option<Value>,
}

/// The place whose authorization server requires the client secret in the request body instead of a header.
pub const SENT_IN_A_FORM: &str = "the stored client secret, sent in a form";

/// The client id of all records. With a colon, its length is a multiple of three, so that the base64 of `ID:SECRET` encodes
/// the secret in separate digits.
const CLIENT: &str = "client-1";

/// The places of servers over HTTP.
pub const PLACES: [Place; 28] = [
    place("bearer_token_env_var", |target| {
        let variable = target.variable();
        let entry = target.url(&format!("bearer_token_env_var = \"{variable}\""));
        entry.with(&variable, &target.secret)
    }),
    place("http_headers", |target| {
        target.header("X-Key", &target.secret)
    }),
    place("http_headers, a bearer token", |target| {
        target.header("Authorization", &format!("Bearer {}", target.secret))
    }),
    place(
        "http_headers, a password for basic authentication",
        |target| {
            let user = base64(&format!("me:{}", target.secret));
            target.header("Authorization", &format!("Basic {user}"))
        },
    ),
    place("http_headers, one of two cookies", |target| {
        target.header("Cookie", &format!("session={}; theme=dark", target.secret))
    }),
    place("env_http_headers", |target| {
        let variable = target.variable();
        let entry = target.url(&format!("env_http_headers = {{ X-Key = \"{variable}\" }}"));
        entry.with(&variable, &target.secret)
    }),
    place("a value in the query of the URL", |target| {
        let key = percent_encoded(&target.secret);
        Configured::toml(format!("url = \"{}/mcp?key={key}&a=b\"", target.base))
    }),
    place("the password in the URL", |target| {
        let base = target.base_with_password(&percent_encoded(&target.secret));
        Configured::toml(format!("url = \"{base}/mcp\""))
    }),
    place("a token in the configuration file", |target| {
        target.url(&format!("bearer_token = {}", quoted(&target.secret)))
    }),
    place("the name of a header", |target| {
        let header = quoted(&format!("Authorization: Bearer {}", target.secret));
        target.url(&format!("http_headers = {{ {header} = \"\" }}"))
    }),
    place("a key", |target| {
        let key = quoted(&format!("API_KEY={}", target.secret));
        target.url(&format!("{key} = 1"))
    }),
    place("type", |target| {
        let word = format!("Bearer {}", target.secret);
        Configured::json(json!({ "type": word, "url": format!("{}/mcp", target.base) }))
    }),
    place("the name of a variable", |target| {
        let value = format!("Bearer ${{env:{}}}", target.secret);
        Configured::json(
            json!({ "url": format!("{}/mcp", target.base), "headers": { "Authorization": value } }),
        )
    }),
    place("the stored access token", |target| {
        target.stored(json!({ "access_token": target.secret }))
    }),
    place("the expired stored access token", |target| {
        target.expired(json!({ "access_token": target.secret, "refresh_token": null }))
    }),
    place("the stored refresh token", |target| {
        target.expired(json!({ "refresh_token": target.secret }))
    }),
    place("the stored client secret", |target| {
        target.expired(json!({ "client_secret": target.secret }))
    }),
    place(SENT_IN_A_FORM, |target| {
        target.expired(json!({ "client_secret": target.secret }))
    }),
    place("unknown fields of the stored record", |target| {
        target.expired(
            json!({ "password": target.secret, "vendor": { "id_token": [target.secret] } }),
        )
    }),
    place("oauth.client_secret", |target| {
        target.client(&format!("client_secret = {}", quoted(&target.secret)))
    }),
    place("oauth.client_secret_env_var", |target| {
        let variable = target.variable();
        let entry = target.client(&format!("client_secret_env_var = \"{variable}\""));
        entry.with(&variable, &target.secret)
    }),
    granted("a newly granted access token", "access_token"),
    granted("a newly granted refresh token", "refresh_token"),
    granted("a newly granted id_token", "id_token"),
    place("${VAR} in a header", |target| {
        let value = format!("Key ${{{}}}", target.variable());
        target.filled_in(
            json!({ "url": format!("{}/mcp", target.base), "headers": { "X-Key": value } }),
        )
    }),
    place("${VAR} in the path of the URL", |target| {
        target
            .filled_in(json!({ "url": format!("{}/mcp/${{{}}}", target.base, target.variable()) }))
    }),
    place("${VAR} in the query of the URL", |target| {
        target.filled_in(
            json!({ "url": format!("{}/mcp?key=${{{}}}", target.base, target.variable()) }),
        )
    }),
    place("${VAR} as the password in the URL", |target| {
        let base = target.base_with_password(&format!("${{{}}}", target.variable()));
        target.filled_in(json!({ "url": format!("{base}/mcp") }))
    }),
];

/// The places whose secrets no server receives, because the program rejects the entry or never sends the secret.
pub const NOT_ECHOED: [&str; 8] = [
    "the password in the URL",
    "a token in the configuration file",
    "the name of a header",
    "a key",
    "type",
    "the name of a variable",
    "unknown fields of the stored record",
    "${VAR} as the password in the URL",
];

/// The places of servers that are programs.
pub const PROGRAM_PLACES: [Place; 14] = [
    place("env", |target| {
        target.program(
            &[],
            &format!("env = {{ SECRET = {} }}", quoted(&target.secret)),
        )
    }),
    place("env, the name of a variable", |target| {
        let name = quoted(&format!("API_KEY={}", target.secret));
        target.program(&[], &format!("env = {{ {name} = \"\" }}"))
    }),
    place("env, the password in a URL", |target| {
        target.program(
            &[],
            &format!("env = {{ DATABASE_URL = {} }}", quoted(&target.database())),
        )
    }),
    place("env_vars", |target| {
        let variable = target.variable();
        let entry = target.program(&[], &format!("env_vars = [\"{variable}\"]"));
        entry.with(&variable, &target.secret)
    }),
    place("an argument after --api-key", |target| {
        target.program(&["--api-key", &target.secret], "")
    }),
    place("an argument --api-key=", |target| {
        target.program(&[&format!("--api-key={}", target.secret)], "")
    }),
    place("an argument API_KEY=", |target| {
        target.program(&[&format!("API_KEY={}", target.secret)], "")
    }),
    place("an argument after --header", |target| {
        let header = format!("Authorization: Bearer {}", target.secret);
        target.program(&["https://mcp.example/mcp", "--header", &header], "")
    }),
    place("an argument, a value in the query of a URL", |target| {
        let key = percent_encoded(&target.secret);
        target.program(&[&format!("https://mcp.example/mcp?api_key={key}&a=b")], "")
    }),
    place(
        "an inherited variable with the name of a secret",
        |target| {
            let entry = target.json_program(&[]);
            entry.with(&format!("API_KEY_{:03}", target.number), &target.secret)
        },
    ),
    place("an inherited variable, the password in a URL", |target| {
        let entry = target.json_program(&[]);
        entry.with(
            &format!("DATABASE_URL_{:03}", target.number),
            &target.database(),
        )
    }),
    place("${VAR} in env", |target| {
        let mut entry = target.json_program(&[]);
        entry.json["env"] = json!({ "X": format!("a ${{{}}}", target.variable()) });
        entry.with(&target.variable(), &target.secret)
    }),
    place("${VAR} in an argument", |target| {
        let entry = target.json_program(&[&format!("a${{{}}}", target.variable())]);
        entry.with(&target.variable(), &target.secret)
    }),
    place(
        "${VAR} in the path of a program that can't be run",
        |target| {
            let file = target.folder.join(&target.secret);
            let folder = file.parent().unwrap();
            let written = std::fs::create_dir_all(folder)
                .and_then(|()| std::fs::write(&file, "not executable"));
            // Windows allows no quotation mark and no line end in a name. The program then does not exist.
            assert!(cfg!(windows) || written.is_ok());
            target.filled_in(
            json!({ "command": format!("{}/${{{}}}", target.folder.display(), target.variable()) }),
        )
        },
    ),
];

pub const NOT_ECHOED_BY_PROGRAMS: [&str; 2] = [
    "env, the name of a variable",
    "${VAR} in the path of a program that can't be run",
];

/// The URL of the proxy. All servers of a run share its environment variable, so a run has only one server with this place.
pub const PROXY: [Place; 1] = [place("the password of the proxy", |target| target.url(""))];

const fn place(name: &'static str, configure: fn(&Target) -> Configured) -> Place {
    Place {
        name,
        configure,
        granted: None,
    }
}

const fn granted(name: &'static str, field: &'static str) -> Place {
    Place {
        name,
        configure: |target| target.expired(json!({})),
        granted: Some(field),
    }
}

pub fn server_name(number: usize) -> String {
    format!("s{number:03}")
}

impl Target {
    /// The name of an environment variable that only this server uses.
    fn variable(&self) -> String {
        format!("VAR_{:03}", self.number)
    }

    fn base_with_password(&self, password: &str) -> String {
        self.base.replace("://", &format!("://me:{password}@"))
    }

    fn database(&self) -> String {
        format!(
            "postgres://me:{}@db.example/x?a=b",
            percent_encoded(&self.secret)
        )
    }

    /// An entry with the server's URL and additional lines.
    fn url(&self, more: &str) -> Configured {
        Configured::toml(format!("url = \"{}/mcp\"\n{more}", self.base))
    }

    fn header(&self, name: &str, value: &str) -> Configured {
        self.url(&format!("http_headers = {{ {name} = {} }}", quoted(value)))
    }

    /// An entry with the server's URL, and a stored record that is valid for an hour. `changes` replaces fields of the record.
    fn stored(&self, changes: Value) -> Configured {
        let mut record = json!({
            "server_name": server_name(self.number), "server_url": format!("{}/mcp", self.base), "issuer": self.base,
            "client_id": CLIENT, "access_token": "an-access-token", "refresh_token": "a-refresh-token",
            "expires_at": now_ms() + 3_600_000, "scopes": [],
        });
        let changes = changes.as_object().unwrap().clone();
        record.as_object_mut().unwrap().extend(changes);
        Configured {
            record: Some(record),
            ..self.url("")
        }
    }

    /// An entry with the server's URL, and an expired stored record. `changes` replaces fields of the record.
    fn expired(&self, mut changes: Value) -> Configured {
        changes["expires_at"] = json!(now_ms() - 3_600_000);
        self.stored(changes)
    }

    /// An entry with the server's URL and a configured OAuth client, and an expired stored record.
    fn client(&self, secret: &str) -> Configured {
        let client = format!("oauth = {{ client_id = \"{CLIENT}\", {secret} }}");
        Configured {
            toml: self.url(&client).toml,
            ..self.expired(json!({}))
        }
    }

    /// An entry with the server's program, arguments and additional lines.
    fn program(&self, arguments: &[&str], more: &str) -> Configured {
        let arguments = json!([&["run", self.steps.as_str()], arguments].concat());
        let command = quoted(test_program());
        Configured::toml(format!("command = {command}\nargs = {arguments}\n{more}"))
    }

    /// An entry in an `mcpServers` JSON file that refers to an environment variable with the secret.
    fn filled_in(&self, entry: Value) -> Configured {
        Configured::json(entry).with(&self.variable(), &self.secret)
    }

    /// An entry in an `mcpServers` JSON file with the server's program, which inherits every environment variable.
    fn json_program(&self, arguments: &[&str]) -> Configured {
        let arguments = [&["run", self.steps.as_str()], arguments].concat();
        Configured::json(json!({ "command": test_program(), "args": arguments }))
    }
}

impl Configured {
    fn toml(toml: String) -> Self {
        Self {
            toml,
            ..Self::default()
        }
    }

    fn json(json: Value) -> Self {
        Self {
            json,
            ..Self::default()
        }
    }

    fn with(mut self, variable: &str, value: &str) -> Self {
        self.environment
            .push((variable.to_owned(), value.to_owned()));
        self
    }
}
