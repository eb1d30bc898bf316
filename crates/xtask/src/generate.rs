//! The set of generated files: written to a folder, or compared with what stands there.

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use crate::{failures_page, guide, protocol_page, python, schemas, typescript, workspace_root};

/// Folders in which everything is generated, so that any other file is left over from an earlier version.
const GENERATED_FOLDERS: &[&str] = &["schema", "bindings/typescript/src/generated"];

/// The command that mends every difference.
const MENDED_BY: &str = "cargo xtask generate";

/// A generated file.
pub struct GeneratedFile {
    /// Its path from the root of the workspace, with `/`.
    pub path: &'static str,
    /// What is in it: lines that end with LF, the last one too.
    pub text: String,
}

/// How the committed files differ from the generated ones, or what was done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// It is not there.
    Missing(String),
    /// It is there, with other contents.
    Stale(String),
    /// It is there, and nothing generates it any more.
    LeftOver(String),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, path) = match self {
            Self::Missing(path) => ("missing", path),
            Self::Stale(path) => ("stale", path),
            Self::LeftOver(path) => ("left over", path),
        };
        write!(f, "{what:<9} {path}")
    }
}

/// Generates every file.
pub fn files() -> Result<Vec<GeneratedFile>, Box<dyn Error>> {
    let file = |path, text| GeneratedFile { path, text };
    Ok(vec![
        file(
            "schema/McpServerStatusUpdatedNotification.json",
            schemas::to_text(&schemas::notification()?)?,
        ),
        file(
            "schema/McpServerStatusUpdatedNotification.lenient.json",
            schemas::to_text(&schemas::lenient_notification()?)?,
        ),
        file(
            "schema/Evidence.json",
            schemas::to_text(&schemas::evidence()?)?,
        ),
        file(
            "schema/StartupFailure.json",
            schemas::to_text(&schemas::startup_failure()?)?,
        ),
        file(
            "bindings/typescript/src/generated/contract.ts",
            typescript::contract()?,
        ),
        file(
            "bindings/typescript/src/generated/verdict.ts",
            typescript::verdict()?,
        ),
        file(
            "bindings/python/python/mcp_startup/_generated.py",
            python::types()?,
        ),
        file("docs/protocol.md", protocol_page::page()?),
        file("docs/failures.md", failures_page::page()?),
        file(guide::PAGE, guide::page(&workspace_root()?)?),
    ])
}

/// Writes the files below `root` where they differ, removes what is left over, and says what it found to do.
pub fn write(root: &Path, files: &[GeneratedFile]) -> Result<Vec<Difference>, Box<dyn Error>> {
    let mut changes = Vec::new();
    for file in files {
        let path = root.join(file.path);
        let change = match read_if_there(&path)? {
            None => Difference::Missing(file.path.to_owned()),
            Some(there) if there != file.text.as_bytes() => Difference::Stale(file.path.to_owned()),
            Some(_) => continue,
        };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        }
        fs::write(&path, &file.text).map_err(|error| format!("{}: {error}", path.display()))?;
        changes.push(change);
    }
    let wanted = files.iter().map(|file| file.path.to_owned()).collect();
    for left_over in in_generated_folders(root)?.difference(&wanted) {
        fs::remove_file(root.join(left_over)).map_err(|error| format!("{left_over}: {error}"))?;
        changes.push(Difference::LeftOver(left_over.clone()));
    }
    Ok(changes)
}

/// Generates into a temporary folder and compares the set of files, and what is in them, with those below `root`.
pub fn check(root: &Path) -> Result<Vec<Difference>, Box<dyn Error>> {
    let fresh = tempfile::tempdir()?;
    let files = files()?;
    write(fresh.path(), &files)?;

    let mut paths: BTreeSet<String> = files.iter().map(|file| file.path.to_owned()).collect();
    paths.extend(in_generated_folders(root)?);
    let mut differences = Vec::new();
    for path in paths {
        let generated = read_if_there(&fresh.path().join(&path))?;
        let committed = read_if_there(&root.join(&path))?;
        match (generated, committed) {
            (Some(_), None) => differences.push(Difference::Missing(path)),
            (None, _) => differences.push(Difference::LeftOver(path)),
            (Some(generated), Some(committed)) if generated != committed => {
                differences.push(Difference::Stale(path));
            }
            (Some(_), Some(_)) => {}
        }
    }
    Ok(differences)
}

/// The differences for a person, with the command that mends them.
pub fn report(differences: &[Difference]) -> String {
    let mut report = String::from("what is generated no longer fits the types:\n");
    for difference in differences {
        report.push_str(&format!("  {difference}\n"));
    }
    report.push_str(&format!("to mend it, run: {MENDED_BY}\n"));
    report
}

/// The files in the generated folders below `root`, as paths from it. Hidden ones are a system's, and don't count.
fn in_generated_folders(root: &Path) -> Result<BTreeSet<String>, Box<dyn Error>> {
    fn walk(root: &Path, folder: &str, found: &mut BTreeSet<String>) -> io::Result<()> {
        let entries = match fs::read_dir(root.join(folder)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') {
                continue;
            }
            let path = format!("{folder}/{name}");
            if entry.file_type()?.is_dir() {
                walk(root, &path, found)?;
            } else {
                found.insert(path);
            }
        }
        Ok(())
    }
    let mut found = BTreeSet::new();
    for folder in GENERATED_FOLDERS {
        walk(root, folder, &mut found).map_err(|error| format!("{folder}: {error}"))?;
    }
    Ok(found)
}

fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, Box<dyn Error>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{}: {error}", path.display()).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_committed_is_fresh() {
        let differences = check(&crate::workspace_root().unwrap()).unwrap();
        assert!(differences.is_empty(), "{}", report(&differences));
    }

    #[test]
    fn every_kind_of_difference_is_found_named_and_mended() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        write(root, &files().unwrap()).unwrap();
        assert_eq!(check(root).unwrap(), []);

        fs::write(root.join("schema/Evidence.json"), "{}\n").unwrap();
        fs::remove_file(root.join("docs/protocol.md")).unwrap();
        fs::write(root.join("docs/failures.md"), "# Failures\n").unwrap();
        fs::create_dir(root.join("schema/old")).unwrap();
        fs::write(root.join("schema/old/Gone.json"), "{}\n").unwrap();
        fs::write(root.join("docs/by-hand.md"), "Not ours.\n").unwrap();
        let found = check(root).unwrap();
        assert_eq!(
            found,
            [
                Difference::Stale("docs/failures.md".to_owned()),
                Difference::Missing("docs/protocol.md".to_owned()),
                Difference::Stale("schema/Evidence.json".to_owned()),
                Difference::LeftOver("schema/old/Gone.json".to_owned()),
            ]
        );
        assert_eq!(
            report(&found),
            "what is generated no longer fits the types:\n  \
               stale     docs/failures.md\n  \
               missing   docs/protocol.md\n  \
               stale     schema/Evidence.json\n  \
               left over schema/old/Gone.json\n\
             to mend it, run: cargo xtask generate\n"
        );

        assert_eq!(write(root, &files().unwrap()).unwrap().len(), 4);
        assert_eq!(check(root).unwrap(), []);
        assert_eq!(write(root, &files().unwrap()).unwrap(), []);
        assert!(root.join("docs/by-hand.md").is_file());
    }

    #[test]
    fn every_file_is_of_lines_and_the_same_each_time() {
        for (file, again) in files().unwrap().iter().zip(files().unwrap()) {
            assert_eq!(file.text, again.text, "{}", file.path);
            assert!(!file.text.contains('\r'), "{}", file.path);
            assert!(file.text.ends_with('\n'), "{}", file.path);
            assert!(!file.text.ends_with("\n\n"), "{}", file.path);
            assert!(
                file.text.lines().all(|line| line.trim_end() == line),
                "{}",
                file.path
            );
        }
    }
}
