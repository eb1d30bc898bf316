//! The server that a user may mean by a name that no server has.

use std::collections::BTreeSet;

use crate::escaping::escape_and_truncate;

/// How many names a message lists.
const MAX_LISTED: usize = 20;

/// The maximum number of bytes of a name that is compared. Comparing takes time in proportion to the length of both names.
const MAX_COMPARED: usize = 200;

/// How similar a name must be to be suggested: the part of the characters that are the same.
const MIN_SIMILARITY: f64 = 0.6;

/// Returns the name that a user may mean by one that is not known. Upper and lower case count as the same.
///
/// ```
/// use mcp_startup_config::most_similar;
///
/// assert_eq!(most_similar("redy", ["ready", "hangs"]), Some("ready"));
/// assert_eq!(most_similar("READY", ["ready", "hangs"]), Some("ready"));
/// assert_eq!(most_similar("linear", ["ready", "hangs"]), None);
/// ```
#[doc(hidden)]
pub fn most_similar<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let comparable = |name: &str| name.len() <= MAX_COMPARED;
    let lower = name.to_lowercase();
    let similar = known
        .into_iter()
        .filter(|known| comparable(known) && comparable(name))
        .map(|known| {
            let similarity = strsim::normalized_damerau_levenshtein(&known.to_lowercase(), &lower);
            (similarity, known)
        })
        .filter(|(similarity, _)| *similarity >= MIN_SIMILARITY)
        .max_by(|(left, _), (right, _)| left.total_cmp(right));
    similar.map(|(_, similar)| similar)
}

/// Returns the end of the message about a name that no server has: the most similar name, or else the names of all servers. Returns
/// `None` if there is no server. `name` is the name without its client.
pub(crate) fn known_servers<'a>(
    name: &str,
    known: impl Iterator<Item = &'a str>,
) -> Option<String> {
    let known: BTreeSet<&str> = known.collect();
    if known.is_empty() {
        return None;
    }
    Some(match most_similar(name, known.iter().copied()) {
        Some(similar) => {
            let more = match known.len() - 1 {
                0 => String::new(),
                1 => " 1 other server is configured.".to_owned(),
                more => format!(" {more} other servers are configured."),
            };
            format!("did you mean `{}`?{more}", escape_and_truncate(similar))
        }
        None => {
            let listed = known.iter().take(MAX_LISTED);
            let listed: Vec<String> = listed.map(|name| escape_and_truncate(name)).collect();
            let more = match known.len().saturating_sub(MAX_LISTED) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!("the configured servers are: {}{more}", listed.join(", "))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_similar_name_is_suggested_and_the_others_are_counted() {
        let many: Vec<String> = (0..199).map(|number| format!("server-{number}")).collect();
        let many = || many.iter().map(String::as_str);
        let rows: [(&str, Vec<&str>, Option<&str>); 6] = [
            ("redy", vec!["ready"], Some("did you mean `ready`?")),
            (
                "redy",
                vec!["ready", "docs"],
                Some("did you mean `ready`? 1 other server is configured."),
            ),
            (
                "redy",
                many().chain(["ready"]).collect(),
                Some("did you mean `ready`? 199 other servers are configured."),
            ),
            (
                "x",
                vec!["ready", "docs", "docs"],
                Some("the configured servers are: docs, ready"),
            ),
            (
                "x",
                vec!["a\u{1b}b"],
                Some("the configured servers are: a\\u{1b}b"),
            ),
            ("x", vec![], None),
        ];
        for (name, known, expected) in rows {
            let found = known_servers(name, known.into_iter());
            assert_eq!(found.as_deref(), expected, "{name}");
        }
        let listed = known_servers("x", many()).unwrap();
        assert!(listed.ends_with(" and 179 more"), "{listed}");
    }

    #[test]
    fn a_long_name_is_not_compared() {
        let long = "a".repeat(1_000_000);
        let found = known_servers(&long, [long.as_str()].into_iter()).unwrap();
        assert!(found.starts_with("the configured servers are: "), "{found}");
    }
}
