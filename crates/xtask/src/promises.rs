//! Checks that `SECURITY.md` names tests that exist.

use std::path::Path;
use std::{fs, io};

/// The files in a folder of the workspace that may contain tests, with their text.
fn test_files(folder: &Path, found: &mut Vec<(String, String)>) -> io::Result<()> {
    const ENDINGS: [&str; 6] = ["rs", "py", "mjs", "swift", "kt", "json"];
    const LEFT_OUT: [&str; 4] = ["target", "node_modules", "build", "page"];
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let ending = path.extension().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            if !LEFT_OUT.contains(&&*name) && !name.starts_with('.') {
                test_files(&path, found)?;
            }
        } else if ENDINGS.contains(&&*ending)
            && let Ok(text) = fs::read_to_string(&path)
        {
            found.push((path.to_string_lossy().into_owned(), text));
        }
    }
    Ok(())
}

/// The names in the last cells of the tables: functions, modules and test programs.
fn names(page: &str) -> Vec<&str> {
    let cells = page
        .lines()
        .filter_map(|line| line.strip_suffix('|')?.rsplit_once("| "));
    let code = cells.flat_map(|(_, cell)| cell.split('`').skip(1).step_by(2));
    let is_name = |name: &&str| {
        let is_part = |letter: u8| matches!(letter, b'a'..=b'z' | b'0'..=b'9' | b'_' | b':');
        name.bytes().all(is_part) && name.contains('_') && !name.starts_with("mcp_startup")
    };
    code.filter(is_name).collect()
}

#[test]
fn every_test_that_security_md_names_exists() {
    let root = crate::workspace_root().unwrap();
    let page = fs::read_to_string(root.join("SECURITY.md")).unwrap();
    let mut files = Vec::new();
    for folder in ["bindings", "crates", "tests"] {
        test_files(&root.join(folder), &mut files).unwrap();
    }
    let names = names(&page);
    assert!(names.len() > 80, "{names:?}");
    let missing = names.into_iter().filter(|name| {
        let name = name.rsplit("::").next().unwrap_or_default();
        let definitions = ["fn ", "mod ", "def "].map(|keyword| format!("{keyword}{name}"));
        !files.iter().any(|(path, text)| {
            path.contains(&format!("/{name}"))
                || definitions
                    .iter()
                    .any(|definition| text.contains(definition))
        })
    });
    let missing: Vec<_> = missing.collect();
    assert!(missing.is_empty(), "{missing:#?}");
}
