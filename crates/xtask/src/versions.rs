//! The version of the packages. All packages have the same version; it occurs in several manifests.

use std::error::Error;
use std::fs;
use std::path::Path;

/// Every occurrence of the version in the manifests.
const OCCURRENCES: &[Occurrence] = &[
    occurrence(
        "bindings/kotlin/pom.xml",
        "<artifactId>mcp-startup</artifactId>\n  <version>",
        "</version>",
        1,
    ),
    occurrence("Cargo.toml", "[workspace.package]\nversion = \"", "\"", 1),
    // The crates of the workspace that others depend on.
    occurrence("Cargo.toml", "\", version = \"", "\"", 9),
    occurrence(
        "bindings/typescript/package.json",
        "\n  \"version\": \"",
        "\"",
        1,
    ),
    occurrence("bindings/node/package.json", "\n  \"version\": \"", "\"", 1),
    occurrence(
        "action.yml",
        "description: The version of mcp-startup on npm\n    default: ",
        "\n",
        1,
    ),
    occurrence(
        "bindings/node/package.json",
        "\"@mcp-startup/protocol\": \"",
        "\"",
        1,
    ),
];

/// A version in a file, between two texts.
struct Occurrence {
    /// The path from the root of the workspace.
    file: &'static str,
    before: &'static str,
    after: &'static str,
    /// How many times the version occurs in this way.
    count: usize,
}

const fn occurrence(
    file: &'static str,
    before: &'static str,
    after: &'static str,
    count: usize,
) -> Occurrence {
    Occurrence {
        file,
        before,
        after,
        count,
    }
}

/// Returns every version and the file that contains it.
///
/// # Errors
/// Fails if a file cannot be read or does not contain the version as often as expected.
fn versions(root: &Path) -> Result<Vec<(&'static str, String)>, Box<dyn Error>> {
    let mut versions = Vec::new();
    for occurrence in OCCURRENCES {
        let text = read(root, occurrence)?;
        let before = versions.len();
        for (at, _) in text.match_indices(occurrence.before) {
            let rest = &text[at + occurrence.before.len()..];
            let end = rest
                .find(occurrence.after)
                .ok_or_else(|| missing_version(occurrence))?;
            versions.push((occurrence.file, rest[..end].to_owned()));
        }
        if versions.len() - before != occurrence.count {
            return Err(missing_version(occurrence).into());
        }
    }
    Ok(versions)
}

/// Changes every occurrence of the version. Returns the files that contain it.
///
/// # Errors
/// Fails if `version` does not consist of three numbers, if an occurrence is missing, or if a file cannot be read or written.
pub fn bump(root: &Path, version: &str) -> Result<Vec<&'static str>, Box<dyn Error>> {
    let is_version = version.split('.').count() == 3
        && version
            .split('.')
            .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    if !is_version {
        return Err(
            format!("`{version}` is not a version; use three numbers, for example 1.2.3").into(),
        );
    }
    // Check every occurrence before the first change.
    versions(root)?;
    let mut files = Vec::new();
    for occurrence in OCCURRENCES {
        let text = read(root, occurrence)?;
        let mut pieces = text.split(occurrence.before);
        let mut changed = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let end = piece
                .find(occurrence.after)
                .ok_or_else(|| missing_version(occurrence))?;
            changed += occurrence.before;
            changed += version;
            changed += &piece[end..];
        }
        fs::write(root.join(occurrence.file), changed)?;
        if !files.contains(&occurrence.file) {
            files.push(occurrence.file);
        }
    }
    Ok(files)
}

fn read(root: &Path, occurrence: &Occurrence) -> Result<String, Box<dyn Error>> {
    let path = root.join(occurrence.file);
    fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()).into())
}

fn missing_version(occurrence: &Occurrence) -> String {
    format!(
        "{}: expected {} versions after {:?}",
        occurrence.file, occurrence.count, occurrence.before
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_packages_have_the_same_version() {
        let root = crate::workspace_root().unwrap();
        for (file, version) in versions(&root).unwrap() {
            assert_eq!(
                version,
                env!("CARGO_PKG_VERSION"),
                "{file}: cargo xtask bump"
            );
        }
    }

    #[test]
    fn a_bump_changes_only_the_version() {
        let (root, copy) = (
            crate::workspace_root().unwrap(),
            tempfile::tempdir().unwrap(),
        );
        for occurrence in OCCURRENCES {
            let to = copy.path().join(occurrence.file);
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(root.join(occurrence.file), to).unwrap();
        }
        assert!(bump(copy.path(), "1.2").is_err());
        bump(copy.path(), "12.34.56").unwrap();
        for (file, version) in versions(copy.path()).unwrap() {
            assert_eq!(version, "12.34.56", "{file}");
        }
        bump(copy.path(), env!("CARGO_PKG_VERSION")).unwrap();
        for occurrence in OCCURRENCES {
            assert_eq!(
                read(&root, occurrence).unwrap(),
                read(copy.path(), occurrence).unwrap()
            );
        }
    }
}
