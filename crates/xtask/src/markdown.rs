//! Markdown, as the pages are written in it.

use std::error::Error;
use std::fmt::Write;

/// A text as code.
pub fn code(text: &str) -> String {
    format!("`{text}`")
}

/// A row of a table.
pub fn row(page: &mut String, cells: &[&str]) -> Result<(), Box<dyn Error>> {
    let cells: Vec<String> = cells
        .iter()
        .map(|cell| cell.replace("\n\n", "<br>").replace('|', "\\|"))
        .collect();
    Ok(writeln!(page, "| {} |", cells.join(" | "))?)
}

/// A text that is no Markdown, but for the code in it: nothing else of it is taken for a tag, for emphasis or a link.
pub fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut is_code = false;
    for character in text.chars() {
        is_code ^= character == '`';
        if !is_code && "<>*[]\\~&".contains(character) {
            plain.push('\\');
        }
        plain.push(character);
    }
    plain
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
    fn every_link_to_a_place_in_a_page_has_its_heading() {
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
                        .unwrap_or_else(|| panic!("{path}: {target} leads nowhere")),
                };
                let is_there = anchor.is_empty() || anchors(target_page).contains(anchor);
                assert!(is_there, "{path}: {target} leads nowhere");
                links += 1;
            }
            assert!(links > 1, "{path}");
        }
    }

    #[test]
    fn every_row_of_a_table_has_as_many_cells_as_its_head() {
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
    fn a_text_is_shown_as_it_is() {
        for (text, wanted) in [
            ("<!doctype html>", "\\<!doctype html\\>"),
            ("set `a = <b>` and *c*", "set `a = <b>` and \\*c\\*"),
            ("${A:-b} [c](d)", "${A:-b} \\[c\\](d)"),
        ] {
            assert_eq!(plain(text), wanted);
        }
    }
}
