//! A machine whose files are in memory.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mcp_startup_config::Environment;
use mcp_startup_config::clients::{Client, ClientFile, Machine, System, discover_client};
use mcp_startup_config::held_sign_ins::StoreFiles;

pub struct FakeMachine {
    pub system: System,
    pub environment: BTreeMap<String, String>,
    /// The files by their paths, with `/` as the separator on every system.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Contents that a file has when it is read for the first time.
    pub first: RefCell<BTreeMap<String, Vec<u8>>>,
    /// The paths that were read, whether they exist or not.
    pub reads: RefCell<BTreeSet<String>>,
}

impl FakeMachine {
    pub fn new(system: System, environment: &[(&str, &str)]) -> Self {
        let environment = environment.iter();
        Self {
            system,
            environment: environment
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            files: BTreeMap::new(),
            first: RefCell::default(),
            reads: RefCell::default(),
        }
    }

    /// A machine with Linux and the user `/home/sam`.
    pub fn linux() -> Self {
        Self::new(System::Linux, &[("HOME", "/home/sam")])
    }

    pub fn with(mut self, path: &str, text: impl Into<Vec<u8>>) -> Self {
        self.files.insert(path.to_owned(), text.into());
        self
    }

    /// Adds a sample of this folder at a path.
    pub fn with_sample(self, path: &str, sample: &str) -> Self {
        let samples = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/samples");
        let text = std::fs::read(Path::new(samples).join(sample));
        self.with(
            path,
            text.unwrap_or_else(|error| panic!("{sample}: {error}")),
        )
    }

    pub fn files_of(&self, client: Client, folder: &str) -> Vec<ClientFile> {
        discover_client(client, self, Path::new(folder))
    }
}

/// A path with `/` as the separator.
pub fn normal(path: &Path) -> String {
    path.to_string_lossy().replace('\\', "/").replace("//", "/")
}

/// A message with `/` as the separator of its paths, which have that of this system below a folder.
fn normal_message(message: &impl std::fmt::Display) -> String {
    message.to_string().replace(std::path::MAIN_SEPARATOR, "/")
}

impl Machine for FakeMachine {
    fn system(&self) -> System {
        self.system
    }

    fn environment(&self) -> &dyn Environment {
        &self.environment
    }

    fn exists(&self, path: &Path) -> bool {
        let path = normal(path);
        let mut paths = self.files.keys();
        paths.any(|file| *file == path || file.starts_with(&format!("{path}/")))
    }

    /// No other program writes these files.
    fn wait(&self, _time: Duration) {}
}

impl StoreFiles for FakeMachine {
    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        let path = normal(path);
        self.reads.borrow_mut().insert(path.clone());
        let first = self.first.borrow_mut().remove(&path);
        let bytes = first.as_ref().or_else(|| self.files.get(&path));
        let bytes = bytes.ok_or(io::ErrorKind::NotFound)?;
        match bytes.len() <= limit {
            true => Ok(bytes.clone()),
            false => Err(io::ErrorKind::FileTooLarge.into()),
        }
    }

    fn list(&self, folder: &Path) -> Vec<PathBuf> {
        let folder = normal(folder) + "/";
        let below = self
            .files
            .keys()
            .filter_map(|path| path.strip_prefix(&folder));
        let names: BTreeSet<&str> = below
            .map(|path| path.split('/').next().unwrap_or_default())
            .collect();
        let names = names.into_iter();
        names
            .map(|name| PathBuf::from(format!("{folder}{name}")))
            .collect()
    }
}

/// One line for each file and server, for comparison with the expected ones.
pub fn shown(files: &[ClientFile]) -> String {
    let mut text = String::new();
    for file in files {
        let approved = match file.approved {
            Some(true) => ", approved",
            Some(false) => ", not approved",
            None => "",
        };
        let path = normal(&file.path);
        text += &format!(
            "{} {path} ({}{approved})",
            file.scope.as_str(),
            file.format.as_str()
        );
        if let Some(error) = &file.error {
            text += &format!(": {}", normal_message(error));
        }
        text += "\n";
        for server in &file.servers {
            let entry = &server.entry;
            text += &format!("  {} {}", entry.name, server.transport.as_str());
            if !entry.enabled {
                text += " off";
            }
            match server.approved {
                Some(true) => text += " approved",
                Some(false) => text += " not-approved",
                None => {}
            }
            if let Some(what) = &server.from_project {
                text += &format!(" | not approved: {what}");
            }
            match (&server.not_checked, &entry.config) {
                (Some(why), _) => text += &format!(" | not checked: {why}"),
                (None, Err(problem)) => text += &format!(" | {problem}"),
                (None, Ok(_)) => {}
            }
            text += "\n";
            for warning in &entry.warnings {
                text += &format!("    warning: {warning}\n");
            }
            if let Ok(config) = &entry.config {
                for cause in &config.possible_causes {
                    text += &format!("    possible cause: {cause}\n");
                }
            }
        }
    }
    text
}

/// The servers of a file in a short form: the name, the transport and the flags, and what keeps a server from a check: `skipped` or
/// `refused` and the reason.
pub fn servers(file: &ClientFile) -> Vec<String> {
    let servers = file.servers.iter();
    servers
        .map(|server| {
            let entry = &server.entry;
            let mut text = format!("{} {}", entry.name, server.transport.as_str());
            if !entry.enabled {
                text += " off";
            }
            if let Some(approved) = server.approved {
                text += if approved { " approved" } else { " unapproved" };
            }
            match (&server.not_checked, &entry.config) {
                (Some(why), _) => text += &format!(" | skipped: {}", normal_message(why)),
                (None, Err(problem)) => text += &format!(" | refused: {}", normal_message(problem)),
                (None, Ok(_)) => {}
            }
            text
        })
        .collect()
}

/// Compares files with the expected ones. A file is a line with its scope, its path and ` approved` or ` unapproved`. A server is an
/// indented line as [`servers`] has it, with a part of the reason. After `error: ` is a part of the error of a file.
pub fn check(files: &[ClientFile], case: &str, expected: &str) {
    let mut found = Vec::new();
    for file in files {
        let approved = match file.approved {
            Some(true) => " approved",
            Some(false) => " unapproved",
            None => "",
        };
        let path = normal(&file.path);
        found.push(format!("{} {path}{approved}", file.scope.as_str()));
        let error = file.error.iter().map(normal_message);
        found.extend(error.map(|error| format!("error: {error}")));
        found.extend(servers(file));
    }
    let expected: Vec<&str> = expected
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let is_as_expected = |found: &String, expected: &str| {
        let split = |text: &str| {
            let (text, reason) = match text.strip_prefix("error: ") {
                Some(reason) => ("error: ", reason),
                None => text.split_once(": ").unwrap_or((text, "")),
            };
            (text.to_owned(), reason.to_owned())
        };
        let ((found, whole), (expected, part)) = (split(found), split(expected));
        found == expected && whole.contains(&part) && whole.is_empty() == part.is_empty()
    };
    let is_same = found.len() == expected.len()
        && found
            .iter()
            .zip(&expected)
            .all(|(found, expected)| is_as_expected(found, expected));
    assert!(
        is_same,
        "{case}\n--- found\n{}\n--- expected\n{}\n--- in detail\n{}",
        found.join("\n"),
        expected.join("\n"),
        shown(files)
    );
}
