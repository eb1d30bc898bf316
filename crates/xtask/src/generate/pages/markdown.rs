//! The Markdown of the generated pages: code, escaped text, and rows of tables.

use std::error::Error;
use std::fmt::Write;

/// Formats a text as inline code.
pub fn code(text: &str) -> String {
    format!("`{text}`")
}

/// Appends a row of a table.
pub fn table_row(page: &mut String, cells: &[&str]) -> Result<(), Box<dyn Error>> {
    let cells: Vec<String> = cells
        .iter()
        .map(|cell| cell.replace("\n\n", "<br>").replace('|', "\\|"))
        .collect();
    Ok(writeln!(page, "| {} |", cells.join(" | "))?)
}

/// Escapes plain text, so that Markdown does not read it as a tag, emphasis or a link. Inline code is kept.
pub fn escape(text: &str) -> String {
    let mut escaped = String::new();
    let mut is_code = false;
    for character in text.chars() {
        is_code ^= character == '`';
        if !is_code && "<>*[]\\~&".contains(character) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn pages() -> Vec<(&'static str, String)> {
        let files = crate::generate::files().unwrap();
        let pages: Vec<_> = files
            .into_iter()
            .filter(|file| file.path.ends_with(".md"))
            .map(|file| (file.path, file.text))
            .collect();
        assert_eq!(pages.len(), 3);
        pages
    }

    fn anchors(page: &str) -> BTreeSet<String> {
        page.lines()
            .filter_map(|line| line.strip_prefix('#'))
            .map(|line| {
                line.trim_start_matches('#')
                    .trim()
                    .to_lowercase()
                    .replace(' ', "-")
            })
            .collect()
    }

    #[test]
    fn every_link_to_a_heading_has_a_target() {
        let pages = pages();
        for (path, page) in &pages {
            let mut links = 0;
            for (at, _) in page.match_indices("](") {
                let (target, _) = page[at + 2..].split_once(')').unwrap();
                let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
                if file.contains('/') {
                    continue;
                }
                let target_page = match file {
                    "" => page,
                    file => pages
                        .iter()
                        .find(|(path, _)| *path == format!("docs/{file}"))
                        .map(|(_, page)| page)
                        .unwrap_or_else(|| panic!("{path}: {target} has no target")),
                };
                let is_there = anchor.is_empty() || anchors(target_page).contains(anchor);
                assert!(is_there, "{path}: {target} has no target");
                links += 1;
            }
            assert!(links > 1, "{path}");
        }
    }

    #[test]
    fn every_table_row_has_as_many_cells_as_the_header() {
        let cells = |line: &str| line.replace("\\|", "").matches('|').count();
        for (path, page) in pages() {
            let mut head = None;
            for line in page.lines() {
                if !line.starts_with('|') {
                    head = None;
                } else if let Some(head) = head {
                    assert_eq!(cells(line), head, "{path}: {line}");
                } else {
                    head = Some(cells(line));
                }
            }
        }
    }

    #[test]
    fn plain_text_is_escaped() {
        for (text, expected) in [
            ("<!doctype html>", "\\<!doctype html\\>"),
            ("set `a = <b>` and *c*", "set `a = <b>` and \\*c\\*"),
            ("${A:-b} [c](d)", "${A:-b} \\[c\\](d)"),
        ] {
            assert_eq!(escape(text), expected);
        }
    }
}
