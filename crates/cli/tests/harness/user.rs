//! A user: a home folder with a Codex configuration and stored credentials, a current folder, and a folder for temporary
//! files. The tests never read or write files of the real user.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use mcp_startup::auth::CredentialKey;
use serde_json::{Value, json};

use super::run::{Run, program};

/// The variable with the path of the home folder.
pub const HOME: &str = if cfg!(windows) { "USERPROFILE" } else { "HOME" };

/// The folder in which applications keep the settings of a user.
pub const SETTINGS: &str = if cfg!(windows) {
    "home/AppData/Roaming"
} else {
    "home/.config"
};

/// The variables with the user's folders.
const FOLDERS: &[(&str, &str)] = if cfg!(windows) {
    &[
        ("USERPROFILE", "home"),
        ("APPDATA", "home/AppData/Roaming"),
        ("LOCALAPPDATA", "home/AppData/Local"),
        ("TEMP", "temporary"),
        ("TMP", "temporary"),
    ]
} else {
    &[("HOME", "home"), ("TMPDIR", "temporary")]
};

/// The variables that the program inherits from the tests. Windows starts no program without its own.
const INHERITED: &[&str] = if cfg!(windows) {
    &["PATH", "PATHEXT", "COMSPEC", "SYSTEMDRIVE", "SYSTEMROOT"]
} else {
    &["PATH"]
};

pub struct User {
    root: tempfile::TempDir,
}

impl User {
    pub fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        for folder in ["home/.codex", "here", "temporary"] {
            std::fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        Self { root }
    }

    /// A user whose `~/.codex/config.toml` has this content.
    pub fn with(config: &str) -> Self {
        let user = Self::new();
        user.write("home/.codex/config.toml", config);
        user
    }

    pub fn path(&self, name: &str) -> PathBuf {
        let name = name.replace('/', std::path::MAIN_SEPARATOR_STR);
        self.root.path().join(name)
    }

    pub fn config(&self) -> PathBuf {
        self.path("home/.codex/config.toml")
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Writes an executable shell script.
    #[cfg(unix)]
    pub fn write_script(&self, name: &str, script: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.write(name, format!("#!/bin/sh\n{script}\n"));
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        path
    }

    /// Replaces the credential file with one that contains these records. Each record has the name and URL of its server.
    pub fn store(&self, records: impl IntoIterator<Item = Value>) {
        let records: serde_json::Map<_, _> = records
            .into_iter()
            .map(|record| {
                let text = |field: &str| record[field].as_str().unwrap().to_owned();
                let key = CredentialKey::new(&text("server_name"), &text("server_url"));
                (key.as_str().to_owned(), record)
            })
            .collect();
        self.write(
            "home/.codex/.credentials.json",
            serde_json::to_vec_pretty(&records).unwrap(),
        );
    }

    /// The stored records by server name; empty if there is no credential file. Panics if the file is not valid JSON.
    pub fn records(&self) -> BTreeMap<String, Value> {
        let records: BTreeMap<String, Value> =
            match std::fs::read(self.path("home/.codex/.credentials.json")) {
                Ok(file) => serde_json::from_slice(&file).unwrap(),
                Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
                Err(error) => panic!("{error}"),
            };
        let name = |record: &Value| record["server_name"].as_str().unwrap().to_owned();
        records
            .into_values()
            .map(|record| (name(&record), record))
            .collect()
    }

    pub fn assert_unrelated_records_unchanged(&self) {
        let records = self.records();
        for record in unrelated_records() {
            assert_eq!(records[record["server_name"].as_str().unwrap()], record);
        }
    }

    /// The program with this user's environment, which has the program on its `PATH`. It inherits only a few variables of the tests.
    pub fn program(&self, arguments: &[&str]) -> Run {
        self.run(program(), arguments)
    }

    /// As [`program`](Self::program), with another build of the program.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Run {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folder = Path::new(program).parent().unwrap().to_owned();
        let path = std::env::join_paths(std::env::split_paths(&path).chain([folder])).unwrap();
        let mut command = Command::new(program);
        let inherited = INHERITED
            .iter()
            .filter_map(|name| Some((name, std::env::var_os(name)?)));
        command
            .args(arguments)
            .env_clear()
            .envs(inherited)
            .env("PATH", path)
            .envs(FOLDERS.iter().map(|(name, path)| (name, self.path(path))))
            .current_dir(self.path("here"));
        Run::new(command)
    }

    /// `check --format FORMAT --config ~/.codex/config.toml`.
    pub fn check(&self, format: &str) -> Run {
        let config = self.config();
        self.program(&[
            "check",
            "--format",
            format,
            "--config",
            config.to_str().unwrap(),
        ])
    }
}

/// Records of other servers in the same credential file. No command may change them.
pub fn unrelated_records() -> Vec<Value> {
    let record = |name: &str| {
        json!({"server_name": name, "server_url": format!("https://{name}.example/mcp"), "access_token": "theirs",
            "odd": {"number": 1.5, "list": [null, true]}})
    };
    vec![record("other-a"), record("other-b")]
}
