//! The code of `docs/guide.md`: each block comes from a file that is compiled and run as a test.
//!
//! The text of the page is written by hand. Above a block of Rust stands `<!-- FILE NAME -->`, and what is shown is what stands in
//! that file between `// guide: NAME` and `// guide end`.

use std::error::Error;
use std::fs;
use std::path::Path;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

pub const PAGE: &str = "docs/guide.md";
const FENCE: &str = "```";
const RUST: &str = "```rust";

/// The page below `root`, with its blocks as the files there have them.
pub fn page(root: &Path) -> Result<String> {
    let read = |path: &str| {
        fs::read_to_string(root.join(path)).map_err(|error| format!("{path}: {error}").into())
    };
    filled(&read(PAGE)?, read)
}

fn filled(text: &str, read: impl Fn(&str) -> Result<String>) -> Result<String> {
    let mut page = String::new();
    let mut above = "";
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        page.push_str(line);
        page.push('\n');
        if line == RUST {
            let (file, name) = named(above).ok_or_else(|| {
                format!("{PAGE}: a block of Rust without `<!-- FILE NAME -->` above it")
            })?;
            if !lines.by_ref().any(|line| line == FENCE) {
                return Err(format!("{PAGE}: the block of `{name}` has no end").into());
            }
            page.push_str(&region(&read(file)?, name).ok_or_else(|| {
                format!("{PAGE}: {file} has no `// guide: {name}` with a `// guide end` below it")
            })?);
            page.push_str(FENCE);
            page.push('\n');
        }
        above = line;
    }
    Ok(page)
}

fn named(line: &str) -> Option<(&str, &str)> {
    let named = line.strip_prefix("<!-- ")?.strip_suffix(" -->")?;
    named.split_once(' ')
}

/// The lines of a region, as far to the left as they go.
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

    fn of(page: &str) -> Result<String> {
        filled(page, |file| match file {
            "f.rs" => Ok(FILE.to_owned()),
            other => Err(format!("{other}: not there").into()),
        })
    }

    #[test]
    fn blocks_are_what_stands_in_their_files() {
        let page = "# T\n<!-- f.rs one -->\n```rust\nold\n```\n\n```sh\nls\n```\n<!-- f.rs two -->\n```rust\n```\nend\n";
        let wanted = "# T\n<!-- f.rs one -->\n```rust\na\n```\n\n```sh\nls\n```\n<!-- f.rs two -->\n```rust\nb\n\n    c\n```\nend\n";
        assert_eq!(of(page).unwrap(), wanted);
        assert_eq!(of(wanted).unwrap(), wanted);
    }

    #[test]
    fn a_block_that_comes_from_nowhere_is_an_error() {
        for (page, says) in [
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
            let error = of(page).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
