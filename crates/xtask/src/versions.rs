//! One version for every package: where it stands, and how it is changed everywhere at once.

use std::error::Error;
use std::fs;
use std::path::Path;

/// Where the version stands: a file, and the texts that surround it.
const PLACES: &[Place] = &[
    place(
        "bindings/kotlin/pom.xml",
        "<artifactId>mcp-startup</artifactId>\n  <version>",
        "</version>",
        1,
    ),
    place("Cargo.toml", "[workspace.package]\nversion = \"", "\"", 1),
    // Each of the packages that others depend on.
    place("Cargo.toml", "\", version = \"", "\"", 7),
    place(
        "bindings/typescript/package.json",
        "\n  \"version\": \"",
        "\"",
        1,
    ),
    place("bindings/node/package.json", "\n  \"version\": \"", "\"", 1),
    place(
        "bindings/node/package.json",
        "\"@mcp-startup/protocol\": \"",
        "\"",
        1,
    ),
];

struct Place {
    file: &'static str,
    before: &'static str,
    after: &'static str,
    times: usize,
}

const fn place(
    file: &'static str,
    before: &'static str,
    after: &'static str,
    times: usize,
) -> Place {
    Place {
        file,
        before,
        after,
        times,
    }
}

/// Every version that stands somewhere, with the place.
pub fn found(root: &Path) -> Result<Vec<(&'static str, String)>, Box<dyn Error>> {
    let mut found = Vec::new();
    for place in PLACES {
        let text = read(root, place)?;
        let before = found.len();
        for (at, _) in text.match_indices(place.before) {
            let rest = &text[at + place.before.len()..];
            let end = rest.find(place.after).ok_or_else(|| missing(place))?;
            found.push((place.file, rest[..end].to_owned()));
        }
        if found.len() - before != place.times {
            return Err(missing(place).into());
        }
    }
    Ok(found)
}

/// Writes `version` everywhere, and says where.
pub fn bump(root: &Path, version: &str) -> Result<Vec<&'static str>, Box<dyn Error>> {
    let is_version = version.split('.').count() == 3
        && version
            .split('.')
            .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    if !is_version {
        return Err(format!("`{version}` is no version: three numbers, such as 1.2.3").into());
    }
    // All are found before one is changed.
    found(root)?;
    let mut files = Vec::new();
    for place in PLACES {
        let text = read(root, place)?;
        let mut pieces = text.split(place.before);
        let mut changed = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let end = piece.find(place.after).ok_or_else(|| missing(place))?;
            changed += place.before;
            changed += version;
            changed += &piece[end..];
        }
        fs::write(root.join(place.file), changed)?;
        if !files.contains(&place.file) {
            files.push(place.file);
        }
    }
    Ok(files)
}

fn read(root: &Path, place: &Place) -> Result<String, Box<dyn Error>> {
    let path = root.join(place.file);
    fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()).into())
}

fn missing(place: &Place) -> String {
    format!(
        "{}: the version is not there {} times, after {:?}",
        place.file, place.times, place.before
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_packages_have_one_version() {
        let root = crate::workspace_root().unwrap();
        for (file, version) in found(&root).unwrap() {
            assert_eq!(
                version,
                env!("CARGO_PKG_VERSION"),
                "{file}: cargo xtask bump"
            );
        }
    }

    #[test]
    fn a_bump_changes_the_version_and_nothing_else() {
        let (root, copy) = (
            crate::workspace_root().unwrap(),
            tempfile::tempdir().unwrap(),
        );
        for place in PLACES {
            let to = copy.path().join(place.file);
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(root.join(place.file), to).unwrap();
        }
        assert!(bump(copy.path(), "1.2").is_err());
        bump(copy.path(), "12.34.56").unwrap();
        for (file, version) in found(copy.path()).unwrap() {
            assert_eq!(version, "12.34.56", "{file}");
        }
        bump(copy.path(), env!("CARGO_PKG_VERSION")).unwrap();
        for place in PLACES {
            assert_eq!(
                read(&root, place).unwrap(),
                read(copy.path(), place).unwrap()
            );
        }
    }
}
