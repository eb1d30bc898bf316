//! The committed copies of the generated files: writes them, or compares them with the generated files.

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use super::{GeneratedFile, files};

/// Folders that contain only generated files. Any other file in them is left over from an earlier version, except those of
/// [`CODEX_SCHEMAS`].
const GENERATED_FOLDERS: &[&str] = &["schema", "bindings/typescript/src/generated"];

/// The prefix of the folders with the schemas that a version of Codex generated, see `crate::codex`.
const CODEX_SCHEMAS: &str = "schema/codex-";

/// The command that fixes every difference.
const FIX_COMMAND: &str = "cargo xtask generate";

/// A difference between a committed and a generated file. Each variant has the path from the root of the workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The committed file does not exist.
    Missing(String),
    /// The committed file has other contents.
    Stale(String),
    /// The committed file is no longer generated.
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

/// Writes the files below `root` that differ and removes files that are left over. Returns the differences that it fixed.
///
/// # Errors
/// Fails if a file or folder cannot be read, written or removed.
pub fn write(root: &Path, files: &[GeneratedFile]) -> Result<Vec<Difference>, Box<dyn Error>> {
    let mut changes = Vec::new();
    for file in files {
        let path = root.join(file.path);
        let change = match read_if_present(&path)? {
            None => Difference::Missing(file.path.to_owned()),
            Some(present) if present != file.text.as_bytes() => {
                Difference::Stale(file.path.to_owned())
            }
            Some(_) => continue,
        };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        }
        fs::write(&path, &file.text).map_err(|error| format!("{}: {error}", path.display()))?;
        changes.push(change);
    }
    let expected = files.iter().map(|file| file.path.to_owned()).collect();
    for left_over in files_in_generated_folders(root)?.difference(&expected) {
        fs::remove_file(root.join(left_over)).map_err(|error| format!("{left_over}: {error}"))?;
        changes.push(Difference::LeftOver(left_over.clone()));
    }
    Ok(changes)
}

/// Generates all files into a temporary folder and compares them with the committed files below `root`.
///
/// # Errors
/// Fails if a file cannot be generated, or if a file or folder cannot be read or written.
pub fn check(root: &Path) -> Result<Vec<Difference>, Box<dyn Error>> {
    let fresh = tempfile::tempdir()?;
    let files = files()?;
    write(fresh.path(), &files)?;

    let mut paths: BTreeSet<String> = files.iter().map(|file| file.path.to_owned()).collect();
    paths.extend(files_in_generated_folders(root)?);
    let mut differences = Vec::new();
    for path in paths {
        let generated = read_if_present(&fresh.path().join(&path))?;
        let committed = read_if_present(&root.join(&path))?;
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

/// Formats the differences for display, with the command that fixes them.
pub fn report(differences: &[Difference]) -> String {
    let mut report = String::from("the generated files are not up to date:\n");
    for difference in differences {
        report.push_str(&format!("  {difference}\n"));
    }
    report.push_str(&format!("to fix this, run: {FIX_COMMAND}\n"));
    report
}

/// Returns the paths of all files in [`GENERATED_FOLDERS`], relative to `root`. Skips hidden files, such as those of the
/// operating system.
fn files_in_generated_folders(root: &Path) -> Result<BTreeSet<String>, Box<dyn Error>> {
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
            if path.starts_with(CODEX_SCHEMAS) {
                continue;
            }
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

fn read_if_present(path: &Path) -> Result<Option<Vec<u8>>, Box<dyn Error>> {
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
    fn committed_files_are_up_to_date() {
        let differences = check(&crate::workspace_root().unwrap()).unwrap();
        assert!(differences.is_empty(), "{}", report(&differences));
    }

    #[test]
    fn every_kind_of_difference_is_found_reported_and_fixed() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        write(root, &files().unwrap()).unwrap();
        assert_eq!(check(root).unwrap(), []);

        fs::write(root.join("schema/Evidence.json"), "{}\n").unwrap();
        fs::remove_file(root.join("docs/protocol.md")).unwrap();
        fs::write(root.join("docs/failures.md"), "# Failures\n").unwrap();
        fs::create_dir(root.join("schema/old")).unwrap();
        fs::write(root.join("schema/old/Gone.json"), "{}\n").unwrap();
        fs::write(root.join("docs/handwritten.md"), "Handwritten.\n").unwrap();
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
            "the generated files are not up to date:\n  \
               stale     docs/failures.md\n  \
               missing   docs/protocol.md\n  \
               stale     schema/Evidence.json\n  \
               left over schema/old/Gone.json\n\
             to fix this, run: cargo xtask generate\n"
        );

        assert_eq!(write(root, &files().unwrap()).unwrap().len(), 4);
        assert_eq!(check(root).unwrap(), []);
        assert_eq!(write(root, &files().unwrap()).unwrap(), []);
        assert!(root.join("docs/handwritten.md").is_file());
    }
}
