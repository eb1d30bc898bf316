//! Bounds the lists of scopes that servers send.

use std::collections::HashSet;

/// The maximum number of scopes that are kept from one list, and the maximum length of a scope in bytes.
pub(crate) const MAX_SCOPES: usize = 256;
const MAX_SCOPE_BYTES: usize = 256;

/// The first scopes of a list, each one once. It ignores scopes that are too long.
pub(crate) fn bounded<'a>(scopes: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut seen = HashSet::new();
    let scopes = scopes
        .into_iter()
        .filter(|scope| !scope.is_empty() && scope.len() <= MAX_SCOPE_BYTES);
    let scopes = scopes.filter(|scope| seen.insert(*scope)).take(MAX_SCOPES);
    scopes.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_scopes_is_bounded_and_has_each_scope_once() {
        let long = "x".repeat(MAX_SCOPE_BYTES + 1);
        assert_eq!(bounded(["b", "a", "", "b", &long, "c"]), ["b", "a", "c"]);
        let many: Vec<String> = (0..100_000).map(|number| number.to_string()).collect();
        assert_eq!(bounded(many.iter().map(String::as_str)).len(), MAX_SCOPES);
    }
}
