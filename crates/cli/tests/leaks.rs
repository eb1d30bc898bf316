//! Nothing leaks: a secret in every place where one can be given, and servers that say again what they were given, wherever a
//! server can speak and however they write it. It comes out in no format, in no log at `RUST_LOG=trace`, and in no file but the
//! user's own two.
//!
//! What is given is in `leaks/places.rs`, how it is said again in `leaks/echoes.rs`, and how it is written in `leaks/secrets.rs`.
//! A run of the program is about one echo in one format; it has a server for each place, text and form.

#![cfg(unix)]
#![allow(clippy::print_stdout, clippy::unwrap_used)]

#[path = "leaks/echoes.rs"]
mod echoes;
mod harness;
#[path = "leaks/places.rs"]
mod places;
#[path = "leaks/secrets.rs"]
mod secrets;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use harness::{Asked, Done, Run, Server, User, each, entry};
use serde_json::{Map, Value, json};

use echoes::{ECHOES, Echo, PROGRAM_ECHOES, Said, Where};
use places::{
    At, PLACES, PROGRAM_PLACES, PROXY, Place, SENT_IN_A_FORM, SILENT, SILENT_PROGRAMS, name_of,
};
use secrets::{
    AS_IT_IS, Form, HARD_TO_WRITE, IN_BASE64, LONG, OF_LINES, OTHER_FORMS, PLAIN, Text, found_in,
    head_of, holds,
};

/// A format of the program's, and the texts that are tried in it: the JSON says all that the others say, and more.
type Format = (&'static str, &'static [Text]);

// --- the tests --------------------------------------------------------------------------------------------------------

const TABLE: Format = ("table", &[HARD_TO_WRITE]);
const NDJSON: Format = ("ndjson", &[HARD_TO_WRITE]);

#[test]
fn a_server_that_says_what_it_was_given_teaches_nobody_a_secret() {
    let json = ("json", [PLAIN, HARD_TO_WRITE, LONG].as_slice());
    check_servers(&[json, TABLE, NDJSON], &[AS_IT_IS]);
}

#[test]
fn a_server_that_writes_what_it_was_given_in_another_way_teaches_nobody_a_secret() {
    check_servers(&[("json", &[HARD_TO_WRITE])], &OTHER_FORMS);
}

#[test]
fn a_program_that_says_what_it_was_given_teaches_nobody_a_secret() {
    let json = ("json", [PLAIN, HARD_TO_WRITE, LONG, OF_LINES].as_slice());
    check_programs(&[json, TABLE, NDJSON], &[AS_IT_IS]);
}

#[test]
fn a_program_that_writes_what_it_was_given_in_another_way_teaches_nobody_a_secret() {
    check_programs(&[("json", &[HARD_TO_WRITE, OF_LINES])], &OTHER_FORMS);
}

#[test]
fn a_proxy_that_says_its_password_teaches_it_to_nobody() {
    let leaks = Leaks::default();
    let of_servers: Vec<_> = ECHOES.iter().filter(|echo| echo.at == Where::Mcp).collect();
    each(&of_servers, |echo| {
        for (text, form) in [
            (PLAIN, AS_IT_IS),
            (HARD_TO_WRITE, AS_IT_IS),
            (HARD_TO_WRITE, IN_BASE64),
        ] {
            let servers = Arc::new(all_of(&PROXY, &[text], &[form]));
            let proxy = answering(&servers, echo);
            let password = secrets::percent_encoded(&servers[0].secret);
            let proxy = proxy.base().replace("://", &format!("://me:{password}@"));
            let setting = Setting {
                environment: vec![("HTTP_PROXY".to_owned(), proxy)],
                ..Setting::of(&servers, "http://mcp.example".to_owned())
            };
            leaks.add(echo.name, &servers, setting.leaks_in("json"));
        }
    });
    leaks.assert_none(&PROXY, &[]);
}

#[test]
fn a_variable_that_is_no_text_stops_nothing_and_is_said_nowhere() {
    let secret = [PLAIN.1(0).as_bytes(), b"\xff", PLAIN.1(0).as_bytes()].concat();
    let user = User::new();
    let says = ["-c", "printf '%s\\n' \"$API_KEY\" >&2; exit 7"];
    let servers = json!({ "mcpServers": { "program": { "command": "/bin/sh", "args": says } } });
    let file = user.write("servers.json", servers.to_string());
    let run = user.program(&[
        "check",
        "--format",
        "json",
        "--config",
        file.to_str().unwrap(),
    ]);
    let done = run.env("API_KEY", OsStr::from_bytes(&secret)).done();
    assert_eq!(found_in(&done.all()), None, "{done:#?}");
    assert_eq!(
        done.ended_with(1).server("program")["failure"]["kind"],
        "exited"
    );
}

fn check_servers(formats: &[Format], forms: &[Form]) {
    let leaks = Leaks::default();
    each(&ECHOES, |echo| {
        for (format, texts) in formats {
            let servers = Arc::new(all_of(&PLACES, texts, forms));
            let server = answering(&servers, echo);
            let setting = Setting::of(&servers, server.base());
            leaks.add(echo.name, &servers, setting.leaks_in(format));
        }
    });
    leaks.assert_none(&PLACES, &SILENT);
}

fn check_programs(formats: &[Format], forms: &[Form]) {
    let leaks = Leaks::default();
    each(&PROGRAM_ECHOES, |echo| {
        for (format, texts) in formats {
            let servers = all_of(&PROGRAM_PLACES, texts, forms);
            let scripts = servers.iter().map(|server| server.script(echo.script));
            let setting = Setting {
                scripts: scripts.collect(),
                ..Setting::of(&servers, String::new())
            };
            leaks.add(echo.name, &servers, setting.leaks_in(format));
        }
    });
    leaks.assert_none(&PROGRAM_PLACES, &SILENT_PROGRAMS);
}

// --- with a keyring ---------------------------------------------------------------------------------------------------

/// What is logged on the way to the keyring is searched, too.
#[cfg(target_os = "linux")]
mod keyring {
    use std::process::Command;

    use mcp_startup::auth::{CredentialKey, CredentialRecord, CredentialStore, KeyringStore};

    use super::*;
    use crate::harness::skip;

    const TEST: &str = "keyring::a_record_in_the_keyring_teaches_nobody_a_secret";
    /// Names the file of the records that are to be put into the keyring: by this program, once more.
    const RECORDS: &str = "LEAKS_TEST_RECORDS";
    const SESSION: &str = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/e2e/secret-service/session"
    );

    #[test]
    fn a_record_in_the_keyring_teaches_nobody_a_secret() {
        if let Some(file) = std::env::var_os(RECORDS) {
            put_into_the_keyring(Path::new(&file));
            return;
        }
        let tried = Command::new(SESSION).args(["unlocked", "true"]).status();
        if tried.unwrap().code() == Some(69) {
            skip(env!("CARGO_CRATE_NAME"), TEST, "there is no gnome-keyring");
            return;
        }
        // It refuses the stored token, and the new one.
        let refuses = |echo: &&Echo| echo.name == "the realm of a challenge";
        let refusal = ECHOES.iter().find(refuses).unwrap();
        let servers = Arc::new(all_of(&PLACES, &[HARD_TO_WRITE], &[AS_IT_IS]));
        let server = answering(&servers, refusal);
        let setting = Setting {
            keyring: Some(in_a_session),
            ..Setting::of(&servers, server.base())
        };
        let leaks = Leaks::default();
        leaks.add(refusal.name, &servers, setting.leaks_in("json"));
        leaks.assert_none(&PLACES, &SILENT);
    }

    fn in_a_session(run: Run, user: &User) -> Run {
        let records = user.path("records.json");
        std::fs::rename(user.path("home/.codex/.credentials.json"), &records).unwrap();
        let (records, this) = (records.display(), std::env::current_exe().unwrap());
        let prepare = format!("{RECORDS}='{records}' '{}' --exact {TEST}", this.display());
        run.through(&[SESSION, "unlocked", "--prepare", &prepare])
    }

    fn put_into_the_keyring(file: &Path) {
        let records = std::fs::read(file).unwrap();
        let records: Map<String, Value> = serde_json::from_slice(&records).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(async {
            let store = KeyringStore::new(file.parent().unwrap());
            for record in records.values() {
                let text = |field: &str| record[field].as_str().unwrap();
                let key = CredentialKey::new(text("server_name"), text("server_url"));
                let record = CredentialRecord::from_json(record).unwrap();
                store.replace(&key, None, Some(&record)).await.unwrap();
            }
        });
    }
}

// --- one server -------------------------------------------------------------------------------------------------------

/// One server of a run: a place, the text of its secret, and the form in which it says that.
struct One {
    number: usize,
    place: &'static Place,
    written: String,
    secret: String,
    said: String,
    /// It has been given its secret, or has given it.
    knows: AtomicBool,
    /// It has said it.
    has_said: AtomicBool,
}

fn all_of(places: &'static [Place], texts: &[Text], forms: &[Form]) -> Vec<One> {
    let written = texts
        .iter()
        .flat_map(|text| forms.iter().map(move |form| (text, form)));
    let written: Vec<_> = written.collect();
    let all = places
        .iter()
        .flat_map(|place| written.iter().map(move |written| (place, *written)));
    all.enumerate()
        .map(|(number, (place, ((text, make), (form, write))))| {
            let secret = make(number);
            One {
                number,
                place,
                written: format!("{text}, {form}"),
                said: write(&secret),
                secret,
                knows: AtomicBool::default(),
                has_said: AtomicBool::default(),
            }
        })
        .collect()
}

/// Who answers for all of these servers, each of which is a folder.
fn answering(servers: &Arc<Vec<One>>, echo: &Echo) -> Server {
    let (servers, at, answer) = (servers.clone(), echo.at, echo.answer);
    Server::start(move |asked, to| {
        // `/s017/mcp`, and `/.well-known/…/s017/mcp`
        let number = asked
            .path
            .split('/')
            .find_map(|name| name.strip_prefix('s')?.parse().ok());
        let server = number.and_then(|number: usize| servers.get(number));
        let said = server.map(|server| server.answer(at, answer, asked));
        let said = said.unwrap_or_else(|| echoes::text(404, "text/plain", ""));
        to.0.write_all(said.as_bytes())
    })
}

impl One {
    fn answer(&self, say_at: Where, say: fn(&Asked, &Said<'_>) -> String, asked: &Asked) -> String {
        let headers = asked
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\n"));
        let headers: String = headers.collect();
        if holds(
            &format!("{}\n{headers}\n{}", asked.path, asked.text),
            &head_of(self.number),
        ) {
            self.knows.store(true, Ordering::SeqCst);
        }
        let is_for = |part| asked.path.contains(part);
        let at = if is_for("/oauth-protected-resource") || is_for("/metadata/") {
            Where::Resource
        } else if is_for("/.well-known/") {
            Where::Metadata
        } else if asked.path.ends_with("/token") && say_at == Where::Refusal {
            Where::Refusal
        } else if asked.path.ends_with("/token") {
            Where::Grant
        } else {
            Where::Mcp
        };
        if at == Where::Grant && self.place.granted.is_some() {
            self.knows.store(true, Ordering::SeqCst);
        }
        let origin = format!("http://{}", asked.header("host"));
        let base = format!("{origin}/{}", name_of(self.number));
        let it = Said {
            said: &self.said,
            base: &base,
            tokens: self.tokens(),
        };
        if at == say_at && self.knows.load(Ordering::SeqCst) {
            self.has_said.store(true, Ordering::SeqCst);
            return say(asked, &it);
        }
        match at {
            Where::Mcp => echoes::challenge(401, "realm=\"test\""),
            Where::Resource => echoes::json(
                200,
                json!({ "resource": format!("{base}/mcp"), "authorization_servers": [base] }),
            ),
            Where::Metadata => {
                // The issuer is where its metadata is, without what is well known.
                let path = asked
                    .path
                    .replace("/.well-known/oauth-authorization-server", "");
                let path = path.replace("/.well-known/openid-configuration", "");
                let mut metadata = echoes::metadata_of(&format!("{origin}{path}"), &base);
                if self.place.name == SENT_IN_A_FORM {
                    metadata["token_endpoint_auth_methods_supported"] =
                        json!(["client_secret_post"]);
                }
                echoes::json(200, metadata)
            }
            Where::Refusal | Where::Grant => echoes::json(200, it.tokens),
        }
    }

    fn tokens(&self) -> Value {
        let mut tokens = json!({
            "access_token": echoes::ACCESS_TOKEN, "refresh_token": "a-new-refresh-token", "token_type": "Bearer", "expires_in": 3600,
        });
        if let Some(field) = self.place.granted {
            tokens[field] = json!(self.secret);
        }
        tokens
    }

    /// The program that says its secret, if that has come to it.
    fn script(&self, say: fn(&str) -> String) -> String {
        let head = head_of(self.number);
        let say = say(&self.said);
        format!("case \"$(env) $*\" in *{head}*) : > \"$0.said\" ;; *) exit 3 ;; esac\n{say}\n")
    }
}

// --- a run, and the search through all that came of it ----------------------------------------------------------------

/// What the program is run with.
struct Setting<'a> {
    servers: &'a [One],
    /// The URL below which they are.
    base: String,
    /// The programs, where that is what they are.
    scripts: Vec<String>,
    environment: Vec<(String, String)>,
    /// Runs the program where the user's records are in a keyring, and not in a file.
    keyring: Option<fn(Run, &User) -> Run>,
}

/// A secret that came out.
struct Leak {
    /// The number of the server, where the text says which it is.
    server: Option<usize>,
    place: String,
    example: String,
}

impl<'a> Setting<'a> {
    fn of(servers: &'a [One], base: String) -> Self {
        Self {
            servers,
            base,
            scripts: Vec::new(),
            environment: Vec::new(),
            keyring: None,
        }
    }

    /// The user, their two files, and their variables.
    fn user(&self) -> (User, [PathBuf; 2], Vec<(String, String)>) {
        let user = User::new();
        let store = if self.keyring.is_some() {
            "keyring"
        } else {
            "file"
        };
        let mut toml = format!("mcp_oauth_credentials_store = \"{store}\"\n");
        let (mut json, mut records) = (Map::new(), Vec::new());
        let mut environment = self.environment.clone();
        for server in self.servers {
            let name = name_of(server.number);
            let given = (server.place.given)(&At {
                number: server.number,
                secret: server.secret.clone(),
                base: format!("{}/{name}", self.base),
                script: user.path(&format!("{name}.sh")).display().to_string(),
                folder: user.path(&format!("{name}.folder")),
            });
            if given.json.is_null() {
                toml.push_str(&entry(&name, &given.toml));
            } else {
                json.insert(name, given.json);
            }
            environment.extend(given.environment);
            records.extend(given.record);
        }
        user.store(records);
        let toml = user.write("home/.codex/config.toml", toml);
        let json = user.write("servers.json", json!({ "mcpServers": json }).to_string());
        (user, [toml, json], environment)
    }

    fn leaks_in(&self, format: &str) -> Vec<Leak> {
        let (user, files, environment) = self.user();
        for (server, script) in self.servers.iter().zip(&self.scripts) {
            user.write(&format!("{}.sh", name_of(server.number)), script);
        }
        let contents = || {
            files
                .each_ref()
                .map(|file| std::fs::read_to_string(file).unwrap())
        };
        let before = contents();
        let mut leaks = Vec::new();
        for (file, content) in files.iter().zip(&before) {
            if !self
                .servers
                .iter()
                .any(|server| content.contains(&name_of(server.number)))
            {
                continue;
            }
            // More at once than the backlog of a listener would make some wait for a second.
            let arguments = [
                "check",
                "--concurrency=64",
                "--timeout=20",
                "--format",
                format,
                "--config",
            ];
            let run = user.program(&arguments).arg(file.to_str().unwrap());
            let run = environment
                .iter()
                .fold(run, |run, (name, value)| run.env(name, value));
            let run = match &self.keyring {
                // The other file has no records.
                Some(in_a_session) if file == &files[0] => in_a_session(run, &user),
                _ => run,
            };
            leaks.extend(self.said_in(run, format));
        }
        for server in self.servers {
            let mark = user.path(&format!("{}.sh.said", name_of(server.number)));
            server.has_said.fetch_or(mark.exists(), Ordering::SeqCst);
        }
        assert_eq!(before, contents());
        leaks.extend(self.left_in_files(&user));
        leaks
    }

    /// What comes out of a run with everything logged.
    fn said_in(&self, run: Run, format: &str) -> Vec<Leak> {
        let done: Done = run.env("RUST_LOG", "trace").done();
        assert!(done.code.is_some_and(|code| code != 2), "{done:#?}");
        assert!(!done.stderr.contains("panicked"), "{}", done.stderr);
        let is_logged = done.stderr.contains(" TRACE ");
        assert!(
            is_logged || !self.scripts.is_empty(),
            "nothing is logged: {}",
            done.stderr
        );
        let mut leaks = Vec::new();
        if format == "json" {
            for server in done.json()["servers"].as_array().unwrap() {
                let name = server["name"].as_str().unwrap();
                each_text(server, "", &mut |place, text| {
                    leaks.extend(self.leak(text, place, name))
                });
            }
        } else {
            let leaks_of = |line| self.leak(line, format, "");
            leaks.extend(done.stdout.lines().filter_map(leaks_of));
        }
        for line in done.stderr.lines() {
            let target = line.split_whitespace().find(|word| word.ends_with(':'));
            let place = format!("the log of {}", target.unwrap_or_default());
            leaks.extend(self.leak(line, &place, ""));
        }
        leaks
    }

    /// What is found in any file that the program may have written. The user's own two hold what the user has put there.
    fn left_in_files(&self, user: &User) -> Vec<Leak> {
        let own =
            ["config.toml", ".credentials.json"].map(|file| user.path("home/.codex").join(file));
        let mut leaks = Vec::new();
        for file in ["home", "here", "temporary"]
            .iter()
            .flat_map(|folder| files_in(&user.path(folder)))
        {
            let name = file
                .strip_prefix(user.path(""))
                .unwrap()
                .display()
                .to_string();
            leaks.extend(self.leak(&name, "the name of a file", ""));
            if !own.contains(&file) {
                let content = std::fs::read(&file).unwrap();
                leaks.extend(self.leak(&String::from_utf8_lossy(&content), &name, ""));
            }
        }
        leaks
    }

    /// The leak in this text, if there is one: of the server of this name, or of the one that the text is about.
    fn leak(&self, text: &str, place: &str, name: &str) -> Option<Leak> {
        let at = found_in(text)?;
        let is_about = |server: &&One| {
            let own = name_of(server.number);
            own == name
                || (name.is_empty()
                    && (text.contains(&own) || text.contains(&head_of(server.number))))
        };
        let from = text[..at]
            .char_indices()
            .rev()
            .nth(60)
            .map_or(0, |(from, _)| from);
        Some(Leak {
            server: self
                .servers
                .iter()
                .find(is_about)
                .map(|server| server.number),
            place: place.to_owned(),
            example: text[from..].chars().take(140).collect(),
        })
    }
}

/// Every text in a JSON value, names too, and where it stands. Those of a list stand in one place.
fn each_text(value: &Value, place: &str, found: &mut dyn FnMut(&str, &str)) {
    match value {
        Value::String(text) => found(place.trim_start_matches('.'), text),
        Value::Array(items) => items.iter().for_each(|item| each_text(item, place, found)),
        Value::Object(fields) => {
            for (name, value) in fields {
                found(place, name);
                each_text(value, &format!("{place}.{name}"), found);
            }
        }
        _ => {}
    }
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                files_in(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

/// What came out in many runs, told together: one hole lets out the secrets of many places, for many echoes.
#[derive(Default)]
struct Leaks {
    holes: Mutex<BTreeMap<(String, String), Hole>>,
    /// For each echo, the places whose secrets were said.
    said: Mutex<BTreeMap<&'static str, BTreeSet<&'static str>>>,
    /// Runs, starts, and starts in which a secret was said.
    counts: Mutex<[usize; 3]>,
}

#[derive(Default)]
struct Hole {
    given: BTreeSet<&'static str>,
    said: BTreeSet<&'static str>,
    example: String,
}

impl Leaks {
    fn add(&self, echo: &'static str, servers: &[One], leaks: Vec<Leak>) {
        for leak in leaks {
            let server = leak.server.map(|number| &servers[number]);
            let written = server.map_or_else(String::new, |server| server.written.clone());
            let mut holes = self.holes.lock().unwrap();
            let hole = holes.entry((leak.place, written)).or_default();
            hole.given.extend(server.map(|server| server.place.name));
            hole.said.insert(echo);
            hole.example = leak.example;
        }
        let said = servers
            .iter()
            .filter(|server| server.has_said.load(Ordering::SeqCst));
        let said: Vec<_> = said.map(|server| server.place.name).collect();
        let mut counts = self.counts.lock().unwrap();
        for (count, more) in counts.iter_mut().zip([1, servers.len(), said.len()]) {
            *count += more;
        }
        self.said
            .lock()
            .unwrap()
            .entry(echo)
            .or_default()
            .extend(said);
    }

    /// There are none; every echo was heard, and from every place but the silent ones.
    fn assert_none(self, places: &[Place], silent: &[&str]) {
        let [runs, starts, echoed] = self.counts.into_inner().unwrap();
        println!("{runs} runs of {starts} starts; in {echoed} of these the secret was said again");
        let said = self.said.into_inner().unwrap();
        let unheard: Vec<_> = said
            .iter()
            .filter(|(_, places)| places.is_empty())
            .collect();
        assert!(
            unheard.is_empty(),
            "echoes that nobody has heard: {unheard:?}"
        );
        let heard: BTreeSet<_> = said.into_values().flatten().collect();
        let unheard = places
            .iter()
            .map(|place| place.name)
            .filter(|place| !heard.contains(place));
        assert_eq!(
            unheard.collect::<Vec<_>>(),
            silent,
            "places whose secrets nobody has said"
        );
        let holes = self.holes.into_inner().unwrap();
        let mut told = String::new();
        for (
            (place, written),
            Hole {
                given,
                said,
                example,
            },
        ) in &holes
        {
            writeln!(
                told,
                "{place} ({written}): {example}\n  given as {given:?}\n  said as {said:?}"
            )
            .unwrap();
        }
        assert!(
            holes.is_empty(),
            "secrets come out of {} holes:\n{told}",
            holes.len()
        );
    }
}
