//! Adds a version of Codex: the schemas that its program generates, and notifications that its app-server writes about servers of
//! the lab. Lists the differences to the newest version that is already supported.

mod differences;
mod recording;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use mcp_startup_core::CODEX_VERSIONS;
use serde_json::Value;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Writes the schemas and the recording of `codex`, a program of Codex. `lab` is the program of this project. Returns a report.
pub fn add(root: &Path, codex: &Path, lab: &Path) -> Result<String> {
    // The app-server runs in another folder.
    let codex = codex
        .canonicalize()
        .map_err(|error| format!("{}: {error}", codex.display()))?;
    let home = tempfile::tempdir()?;
    let version = version_of(&codex, home.path())?;
    let schemas = schemas_of(&codex, home.path())?;
    let recording = recording::record(&codex, lab, home.path())?;

    let folder = schema_folder(root, &version);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    for (name, schema) in &schemas {
        fs::write(folder.join(name), schema)?;
    }
    let mut report = format!(
        "wrote {} schemas to {}\n",
        schemas.len(),
        folder.strip_prefix(root)?.display()
    );
    let is_known = CODEX_VERSIONS.contains(&version.as_str());
    let file = recording_file(root, &version);
    // The tests of a supported version may depend on its recording.
    match is_known {
        true => report.push_str(&format!(
            "kept {}, because {version} is supported already\n",
            file.strip_prefix(root)?.display()
        )),
        false => {
            fs::write(&file, recording.join("\n") + "\n")?;
            report.push_str(&format!(
                "wrote {} notifications to {}\n",
                recording.len(),
                file.strip_prefix(root)?.display()
            ));
        }
    }

    let mut others = CODEX_VERSIONS.iter().filter(|other| **other != version);
    let Some(before) = others.next_back() else {
        return Ok(report);
    };
    report.push_str(&format!("\ndifferences from Codex {before}:\n"));
    let earlier = read_schemas(&schema_folder(root, before))?;
    let mut found = differences::of_schemas(&earlier, &parsed(&schemas)?);
    let earlier = fs::read_to_string(recording_file(root, before))?;
    let earlier: Vec<&str> = earlier.lines().collect();
    let recorded: Vec<&str> = recording.iter().map(String::as_str).collect();
    found.extend(differences::of_lines(&earlier, &recorded)?);
    if found.is_empty() {
        report.push_str("  none\n");
    }
    for difference in found {
        report.push_str(&format!("  {difference}\n"));
    }
    if !is_known {
        report.push_str(&format!(
            "\nto support it, add \"{version}\" to CODEX_VERSIONS in crates/core/src/notification.rs, and run: cargo test -p mcp-startup-core\n"
        ));
    }
    Ok(report)
}

fn schema_folder(root: &Path, version: &str) -> PathBuf {
    root.join(format!("schema/codex-{version}"))
}

fn recording_file(root: &Path, version: &str) -> PathBuf {
    root.join(format!("tests/fixtures/codex-app-server-{version}.jsonl"))
}

/// Returns a command that runs Codex with an empty configuration.
fn command(codex: &Path, home: &Path) -> Command {
    let mut command = Command::new(codex);
    command.env("CODEX_HOME", home).current_dir(home);
    command
}

fn version_of(codex: &Path, home: &Path) -> Result<String> {
    let output = command(codex, home).arg("--version").output()?;
    let text = String::from_utf8(output.stdout)?;
    let version = text.trim().rsplit(' ').next().unwrap_or_default();
    let is_version = version.split('.').count() == 3
        && version.starts_with(|first: char| first.is_ascii_digit())
        && version
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || ".-".contains(character));
    match is_version {
        true => Ok(version.to_owned()),
        false => Err(format!("{} --version printed {text:?}", codex.display()).into()),
    }
}

/// Returns the schemas about MCP servers and the handshake, by file name.
fn schemas_of(codex: &Path, home: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    fn collect(folder: &Path, found: &mut BTreeMap<String, Vec<u8>>) -> Result<()> {
        for entry in fs::read_dir(folder)? {
            let (path, name) = {
                let entry = entry?;
                (
                    entry.path(),
                    entry.file_name().to_string_lossy().into_owned(),
                )
            };
            if path.is_dir() {
                collect(&path, found)?;
            } else if name.contains("Mcp") || name.starts_with("Initialize") {
                found.insert(name, fs::read(&path)?);
            }
        }
        Ok(())
    }
    let out = home.join("schemas");
    let status = command(codex, home)
        .args(["app-server", "generate-json-schema", "--out"])
        .arg(&out)
        .status()?;
    if !status.success() {
        return Err(format!("codex app-server generate-json-schema failed: {status}").into());
    }
    let mut found = BTreeMap::new();
    collect(&out, &mut found)?;
    Ok(found)
}

fn read_schemas(folder: &Path) -> Result<BTreeMap<String, Value>> {
    let mut schemas = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        schemas.insert(name, fs::read(entry.path())?);
    }
    parsed(&schemas)
}

fn parsed(schemas: &BTreeMap<String, Vec<u8>>) -> Result<BTreeMap<String, Value>> {
    let schemas = schemas.iter();
    schemas
        .map(|(name, schema)| Ok((name.clone(), serde_json::from_slice(schema)?)))
        .collect()
}
