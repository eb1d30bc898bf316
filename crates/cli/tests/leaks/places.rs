//! Where a secret can be given to a start.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::harness::{now_ms, quoted};
use crate::secrets::{base64, percent_encoded};

/// A place where a secret can be given.
pub struct Place {
    pub name: &'static str,
    pub given: fn(&At) -> Given,
    /// The field of a token endpoint's answer in which it is given.
    pub granted: Option<&'static str>,
}

/// The server that is given a secret.
pub struct At {
    pub number: usize,
    pub secret: String,
    /// The URL of its folder, without a slash at the end.
    pub base: String,
    /// The script that it is, where it is a program.
    pub script: String,
    /// A folder of the user's of its own.
    pub folder: PathBuf,
}

/// What a user has for one server: its entry in a `config.toml` or in an `mcpServers` JSON, variables, and a record.
#[derive(Default)]
pub struct Given {
    pub toml: String,
    pub json: Value,
    pub environment: Vec<(String, String)>,
    pub record: Option<Value>,
}

/// The place whose authorization server takes the secret of a client in a form, and not in a header.
pub const SENT_IN_A_FORM: &str = "the stored client secret, sent in a form";
/// The client of all records. With a colon its length is a multiple of three: in base64 what comes after it stands alone.
const CLIENT: &str = "client-1";

/// The servers over HTTP.
pub const PLACES: [Place; 24] = [
    place("bearer_token_env_var", |at| {
        let variable = at.variable();
        let entry = at.url(&format!("bearer_token_env_var = \"{variable}\""));
        entry.with(&variable, &at.secret)
    }),
    place("http_headers", |at| at.header("X-Key", &at.secret)),
    place("http_headers, a bearer token", |at| {
        at.header("Authorization", &format!("Bearer {}", at.secret))
    }),
    place("http_headers, the password of a user", |at| {
        let user = base64(&format!("me:{}", at.secret));
        at.header("Authorization", &format!("Basic {user}"))
    }),
    place("http_headers, one of two cookies", |at| {
        at.header("Cookie", &format!("session={}; theme=dark", at.secret))
    }),
    place("env_http_headers", |at| {
        let variable = at.variable();
        let entry = at.url(&format!("env_http_headers = {{ X-Key = \"{variable}\" }}"));
        entry.with(&variable, &at.secret)
    }),
    place("a value in the query of the URL", |at| {
        let key = percent_encoded(&at.secret);
        Given::toml(format!("url = \"{}/mcp?key={key}&a=b\"", at.base))
    }),
    place("the password in the URL", |at| {
        let base = at.base_with_password(&percent_encoded(&at.secret));
        Given::toml(format!("url = \"{base}/mcp\""))
    }),
    place("a token in the file", |at| {
        at.url(&format!("bearer_token = {}", quoted(&at.secret)))
    }),
    place("the stored access token", |at| {
        at.stored(json!({ "access_token": at.secret }))
    }),
    place("the stored access token, expired", |at| {
        at.expired(json!({ "access_token": at.secret, "refresh_token": null }))
    }),
    place("the stored refresh token", |at| {
        at.expired(json!({ "refresh_token": at.secret }))
    }),
    place("the stored client secret", |at| {
        at.expired(json!({ "client_secret": at.secret }))
    }),
    place(SENT_IN_A_FORM, |at| {
        at.expired(json!({ "client_secret": at.secret }))
    }),
    place("fields of the record that nobody knows", |at| {
        at.expired(json!({ "password": at.secret, "vendor": { "id_token": [at.secret] } }))
    }),
    place("oauth.client_secret", |at| {
        at.client(&format!("client_secret = {}", quoted(&at.secret)))
    }),
    place("oauth.client_secret_env_var", |at| {
        let variable = at.variable();
        let entry = at.client(&format!("client_secret_env_var = \"{variable}\""));
        entry.with(&variable, &at.secret)
    }),
    granted("a new access token", "access_token"),
    granted("a new refresh token", "refresh_token"),
    granted("a new id_token", "id_token"),
    place("${VAR} in a header", |at| {
        let value = format!("Key ${{{}}}", at.variable());
        at.filled_in(json!({ "url": format!("{}/mcp", at.base), "headers": { "X-Key": value } }))
    }),
    place("${VAR} in the path of the URL", |at| {
        at.filled_in(json!({ "url": format!("{}/mcp/${{{}}}", at.base, at.variable()) }))
    }),
    place("${VAR} in the query of the URL", |at| {
        at.filled_in(json!({ "url": format!("{}/mcp?key=${{{}}}", at.base, at.variable()) }))
    }),
    place("${VAR} as the password in the URL", |at| {
        let base = at.base_with_password(&format!("${{{}}}", at.variable()));
        at.filled_in(json!({ "url": format!("{base}/mcp") }))
    }),
];

/// Those that are said again by nobody: the entry is refused, or nobody sends them.
pub const SILENT: [&str; 4] = [
    "the password in the URL",
    "a token in the file",
    "fields of the record that nobody knows",
    "${VAR} as the password in the URL",
];

/// The servers that are programs.
pub const PROGRAM_PLACES: [Place; 13] = [
    place("env", |at| {
        at.program(&[], &format!("env = {{ SECRET = {} }}", quoted(&at.secret)))
    }),
    place("env, the password in a URL", |at| {
        at.program(
            &[],
            &format!("env = {{ DATABASE_URL = {} }}", quoted(&at.database())),
        )
    }),
    place("env_vars", |at| {
        let variable = at.variable();
        let entry = at.program(&[], &format!("env_vars = [\"{variable}\"]"));
        entry.with(&variable, &at.secret)
    }),
    place("an argument after --api-key", |at| {
        at.program(&["--api-key", &at.secret], "")
    }),
    place("an argument --api-key=", |at| {
        at.program(&[&format!("--api-key={}", at.secret)], "")
    }),
    place("an argument API_KEY=", |at| {
        at.program(&[&format!("API_KEY={}", at.secret)], "")
    }),
    place("an argument after --header", |at| {
        let header = format!("Authorization: Bearer {}", at.secret);
        at.program(&["https://mcp.example/mcp", "--header", &header], "")
    }),
    place("an argument, a value in the query of a URL", |at| {
        let key = percent_encoded(&at.secret);
        at.program(&[&format!("https://mcp.example/mcp?api_key={key}&a=b")], "")
    }),
    place("an inherited variable that is called a secret", |at| {
        let entry = at.json_program(&[]);
        entry.with(&format!("API_KEY_{:03}", at.number), &at.secret)
    }),
    place("an inherited variable, the password in a URL", |at| {
        let entry = at.json_program(&[]);
        entry.with(&format!("DATABASE_URL_{:03}", at.number), &at.database())
    }),
    place("${VAR} in env", |at| {
        let mut entry = at.json_program(&[]);
        entry.json["env"] = json!({ "X": format!("a ${{{}}}", at.variable()) });
        entry.with(&at.variable(), &at.secret)
    }),
    place("${VAR} in an argument", |at| {
        let entry = at.json_program(&[&format!("a${{{}}}", at.variable())]);
        entry.with(&at.variable(), &at.secret)
    }),
    place("${VAR} in the path of a program that can't be run", |at| {
        let file = at.folder.join(&at.secret);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, "no program").unwrap();
        at.filled_in(
            json!({ "command": format!("{}/${{{}}}", at.folder.display(), at.variable()) }),
        )
    }),
];

pub const SILENT_PROGRAMS: [&str; 1] = ["${VAR} in the path of a program that can't be run"];

/// With every request to a server. Its variable is one for all servers, so there is one of these.
pub const PROXY: [Place; 1] = [place("the password of the proxy", |at| at.url(""))];

const fn place(name: &'static str, given: fn(&At) -> Given) -> Place {
    Place {
        name,
        given,
        granted: None,
    }
}

const fn granted(name: &'static str, field: &'static str) -> Place {
    Place {
        name,
        given: |at| at.expired(json!({})),
        granted: Some(field),
    }
}

pub fn name_of(number: usize) -> String {
    format!("s{number:03}")
}

impl At {
    /// A variable of its own.
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

    /// The entry of a URL, and what is in it besides.
    fn url(&self, more: &str) -> Given {
        Given::toml(format!("url = \"{}/mcp\"\n{more}", self.base))
    }

    fn header(&self, name: &str, value: &str) -> Given {
        self.url(&format!("http_headers = {{ {name} = {} }}", quoted(value)))
    }

    /// The entry of a URL with a record that is good for an hour, but for these fields.
    fn stored(&self, changes: Value) -> Given {
        let mut record = json!({
            "server_name": name_of(self.number), "server_url": format!("{}/mcp", self.base), "issuer": self.base,
            "client_id": CLIENT, "access_token": "an-access-token", "refresh_token": "a-refresh-token",
            "expires_at": now_ms() + 3_600_000, "scopes": [],
        });
        let changes = changes.as_object().unwrap().clone();
        record.as_object_mut().unwrap().extend(changes);
        Given {
            record: Some(record),
            ..self.url("")
        }
    }

    /// The same with one that has expired.
    fn expired(&self, mut changes: Value) -> Given {
        changes["expires_at"] = json!(now_ms() - 3_600_000);
        self.stored(changes)
    }

    /// The same with a client of the configuration.
    fn client(&self, secret: &str) -> Given {
        let client = format!("oauth = {{ client_id = \"{CLIENT}\", {secret} }}");
        Given {
            toml: self.url(&client).toml,
            ..self.expired(json!({}))
        }
    }

    /// The entry of the program, with these arguments and what is in it besides.
    fn program(&self, arguments: &[&str], more: &str) -> Given {
        let arguments = [&[self.script.as_str()], arguments].concat();
        let arguments = json!(arguments);
        Given::toml(format!("command = \"/bin/sh\"\nargs = {arguments}\n{more}"))
    }

    /// An entry of an `mcpServers` JSON whose variable is the secret.
    fn filled_in(&self, entry: Value) -> Given {
        Given::json(entry).with(&self.variable(), &self.secret)
    }

    /// The entry of the program in an `mcpServers` JSON: it inherits every variable.
    fn json_program(&self, arguments: &[&str]) -> Given {
        let arguments = [&[self.script.as_str()], arguments].concat();
        Given::json(json!({ "command": "/bin/sh", "args": arguments }))
    }
}

impl Given {
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
