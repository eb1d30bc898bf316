//! Checks that `SECURITY.md` and `ARCHITECTURE.md` name tests that exist.

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
            found.push((path.to_string_lossy().replace('\\', "/"), text));
        }
    }
    Ok(())
}

/// The last cells of the rows of the tables in a section: they name tests.
fn cells<'a>(page: &'a str, section: &str) -> Vec<&'a str> {
    let (_, section) = page.split_once(&format!("\n## {section}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap_or_default();
    let cells = section
        .lines()
        .filter_map(|line| line.strip_suffix(" |")?.rsplit_once(" | "));
    let cells = cells.map(|(_, cell)| cell);
    cells
        .filter(|cell| !["Test", "---"].contains(cell))
        .collect()
}

/// The names in a cell, which are in backticks.
fn names(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// Whether a name is that of a test, a module of tests, a test program or a file with tests that exists. `None` if it is another name.
fn exists(name: &str, files: &[(String, String)]) -> Option<bool> {
    if name.contains(' ') {
        return Some(files.iter().any(|(_, text)| text.contains(name)));
    }
    if [".mjs", ".py", ".swift", ".kt", ".json"]
        .iter()
        .any(|ending| name.ends_with(ending))
    {
        return Some(
            files
                .iter()
                .any(|(path, _)| path.ends_with(&format!("/{name}"))),
        );
    }
    let is_part = |letter: u8| matches!(letter, b'a'..=b'z' | b'0'..=b'9' | b'_' | b':');
    if !name.bytes().all(is_part) || !name.contains('_') || name.starts_with("mcp_startup") {
        return None;
    }
    let name = name.rsplit("::").next().unwrap_or_default();
    let is_defined = |text: &str, keyword: &str| {
        let definitions = text
            .match_indices(name)
            .filter(|(at, _)| text[..*at].ends_with(keyword));
        let mut ends = definitions.map(|(at, _)| text[at + name.len()..].chars().next());
        ends.any(|next| next.is_none_or(|next| !next.is_alphanumeric() && next != '_'))
    };
    Some(files.iter().any(|(path, text)| {
        path.contains(&format!("/{name}"))
            || ["fn ", "mod ", "def "]
                .iter()
                .any(|keyword| is_defined(text, keyword))
    }))
}

#[test]
fn every_promise_and_every_invariant_names_tests_that_exist() {
    let root = crate::workspace_root().unwrap();
    let mut files = Vec::new();
    for folder in ["bindings", "crates", "tests", "web"] {
        test_files(&root.join(folder), &mut files).unwrap();
    }
    // The names of this test are no tests.
    files.retain(|(path, _)| !path.ends_with("promises.rs") || !path.contains("xtask"));
    let mut missing = Vec::new();
    for (page, section, least) in [
        ("SECURITY.md", "Promises and their tests", 80),
        ("ARCHITECTURE.md", "Invariants", 20),
    ] {
        let text = fs::read_to_string(root.join(page)).unwrap();
        let cells = cells(&text, section);
        assert!(cells.len() >= least, "{page}: {} rows", cells.len());
        for cell in cells {
            if names(cell).next().is_none() {
                missing.push(format!("{page} names no test: {cell}"));
            }
            let unknown = names(cell).filter(|name| exists(name, &files) == Some(false));
            missing.extend(unknown.map(|name| format!("{page}: {name}")));
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}
