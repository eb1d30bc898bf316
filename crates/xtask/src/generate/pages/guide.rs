//! The code blocks of `docs/guide.md`. The text of the page is written by hand; each block of Rust is copied from a file that
//! is compiled and run as a test.
//!
//! A block follows a line `<!-- FILE NAME -->`. Its code is the region between `// guide: NAME` and `// guide end` in that file.

use std::error::Error;
use std::fs;
use std::path::Path;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The path of the page from the root of the workspace.
pub const PATH: &str = "docs/guide.md";
const FENCE: &str = "```";
const RUST: &str = "```rust";

/// Returns the page with its code blocks replaced by the regions of the files. Both are read from `root`.
///
/// # Errors
/// Fails if a file cannot be read, or if a block has no marker, no end or no region.
pub fn page(root: &Path) -> Result<String> {
    let read = |path: &str| {
        fs::read_to_string(root.join(path)).map_err(|error| format!("{path}: {error}").into())
    };
    replace_code_blocks(&read(PATH)?, read)
}

fn replace_code_blocks(text: &str, read: impl Fn(&str) -> Result<String>) -> Result<String> {
    let mut page = String::new();
    let mut above = "";
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        page.push_str(line);
        page.push('\n');
        if line == RUST {
            let (file, name) = parse_marker(above).ok_or_else(|| {
                format!(
                    "{PATH}: there is a block of Rust without a line `<!-- FILE NAME -->` before it"
                )
            })?;
            if !lines.by_ref().any(|line| line == FENCE) {
                return Err(format!("{PATH}: the block of `{name}` has no end").into());
            }
            page.push_str(&region(&read(file)?, name).ok_or_else(|| {
                format!("{PATH}: {file} has no `// guide: {name}` with a `// guide end` below it")
            })?);
            page.push_str(FENCE);
            page.push('\n');
        }
        above = line;
    }
    Ok(page)
}

/// Parses a line `<!-- FILE NAME -->`.
fn parse_marker(line: &str) -> Option<(&str, &str)> {
    let marker = line.strip_prefix("<!-- ")?.strip_suffix(" -->")?;
    marker.split_once(' ')
}

/// Returns the lines of a region without their common indentation.
fn region(file: &str, name: &str) -> Option<String> {
    let begin = format!("// guide: {name}");
    let mut lines = file.lines().skip_while(|line| line.trim() != begin).skip(1);
    let mut found = Vec::new();
    loop {
        match lines.next()? {
            line if line.trim() == "// guide end" => break,
            line => found.push(line),
        }
    }
    let indented = found.iter().filter(|line| !line.trim().is_empty());
    let indent = indented
        .map(|line| line.len() - line.trim_start().len())
        .min()
        .unwrap_or(0);
    let lines = found
        .iter()
        .map(|line| line.get(indent..).unwrap_or_default());
    Some(lines.map(|line| format!("{line}\n")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "no\n// guide: one\na\n// guide end\nfn f() {\n    // guide: two\n    b\n\n        c\n    // guide end\n}\n// guide: open\n";

    fn replaced(page: &str) -> Result<String> {
        replace_code_blocks(page, |file| match file {
            "f.rs" => Ok(FILE.to_owned()),
            other => Err(format!("{other}: not there").into()),
        })
    }

    #[test]
    fn blocks_are_copied_from_their_files() {
        let page = "# T\n<!-- f.rs one -->\n```rust\nold\n```\n\n```sh\nls\n```\n<!-- f.rs two -->\n```rust\n```\nend\n";
        let expected_page = "# T\n<!-- f.rs one -->\n```rust\na\n```\n\n```sh\nls\n```\n<!-- f.rs two -->\n```rust\nb\n\n    c\n```\nend\n";
        assert_eq!(replaced(page).unwrap(), expected_page);
        assert_eq!(replaced(expected_page).unwrap(), expected_page);
    }

    #[test]
    fn a_block_without_a_region_is_an_error() {
        for (page, expected) in [
            ("```rust\n```\n", "without"),
            ("<!-- f.rs one -->\n\n```rust\n```\n", "without"),
            (
                "<!-- f.rs three -->\n```rust\n```\n",
                "no `// guide: three`",
            ),
            ("<!-- f.rs open -->\n```rust\n```\n", "no `// guide: open`"),
            ("<!-- g.rs one -->\n```rust\n```\n", "g.rs: not there"),
            ("<!-- f.rs one -->\n```rust\n", "has no end"),
        ] {
            let error = replaced(page).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
