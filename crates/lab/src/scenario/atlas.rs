//! Reading scenarios from JSON: the atlas that this crate embeds, and a caller's own rows in the same format.

use std::sync::LazyLock;

use super::{Scenario, validate};
use crate::LabError;

/// The files of the atlas, one for each part of a start that decides how it ends.
const FILES: [&str; 6] = [
    include_str!("../../atlas/served.json"),
    include_str!("../../atlas/stored.json"),
    include_str!("../../atlas/refresh.json"),
    include_str!("../../atlas/discovery.json"),
    include_str!("../../atlas/answers.json"),
    include_str!("../../atlas/programs.json"),
];

/// The scenarios that this crate embeds: the atlas, in the order of its files.
///
/// ```
/// let names: Vec<_> = mcp_startup_lab::scenarios().iter().map(|row| row.name.as_str()).collect();
/// assert!(names.contains(&"expired-no-refresh"));
/// ```
pub fn scenarios() -> &'static [Scenario] {
    // A test checks that the embedded files are valid, so the default is never used.
    static SCENARIOS: LazyLock<Vec<Scenario>> = LazyLock::new(|| read_atlas().unwrap_or_default());
    &SCENARIOS
}

fn read_atlas() -> Result<Vec<Scenario>, LabError> {
    let mut rows = Vec::new();
    for file in FILES {
        rows.extend(serde_json::from_str::<Vec<Scenario>>(file)?);
    }
    validate(&rows)?;
    Ok(rows)
}

/// Reads your own scenarios. The format is that of the files in this crate's folder `atlas`: an array of objects, each a
/// [`Scenario`].
///
/// ```
/// let rows = mcp_startup_lab::parse_scenarios(r#"[{
///     "name": "teapot",
///     "about": "The server answers everything with 418.",
///     "mcp": { "respond": [{ "reply": { "status": 418, "body": { "text": "short and stout" } } }] },
///     "expect": { "state": "failed", "kind": "serverError", "recovery": "none" }
/// }]"#)?;
/// assert_eq!(rows[0].name, "teapot");
///
/// let typo = mcp_startup_lab::parse_scenarios(r#"[{ "name": "x", "abuot": "" }]"#);
/// assert!(typo.unwrap_err().to_string().contains("abuot"));
/// # Ok::<(), mcp_startup_lab::LabError>(())
/// ```
///
/// # Errors
///
/// [`LabError::Rows`] if the text is not such an array, [`LabError::Row`] if a scenario is inconsistent.
pub fn parse_scenarios(json: &str) -> Result<Vec<Scenario>, LabError> {
    let rows: Vec<Scenario> = serde_json::from_str(json)?;
    validate(&rows)?;
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::ScenarioUrls;

    #[test]
    fn embedded_scenarios_are_valid() {
        let rows = read_atlas().unwrap();
        assert!(rows.len() >= 90, "{} rows", rows.len());
        assert_eq!(rows.len(), scenarios().len());
        for row in rows {
            assert!(!row.because.is_empty(), "{} has no `because`", row.name);
            assert!(
                row.stdio.is_some() || row.expect.tokens_sent.is_some(),
                "{}",
                row.name
            );
        }
    }

    #[test]
    fn scenarios_survive_serialization() {
        let json = serde_json::to_string(scenarios()).unwrap();
        assert_eq!(parse_scenarios(&json).unwrap(), scenarios());
    }

    #[test]
    fn every_placeholder_is_known() {
        let urls = ScenarioUrls::new("http://127.0.0.1:9", "name");
        let filled = urls.fill_json(&serde_json::to_value(scenarios()).unwrap());
        let filled = serde_json::to_string(&filled).unwrap();
        for (at, _) in filled.match_indices('{') {
            let rest = &filled[at + 1..];
            let after_word = rest.trim_start_matches(|letter: char| letter.is_ascii_alphanumeric());
            let is_placeholder = rest.len() > after_word.len() && after_word.starts_with('}');
            assert!(
                !is_placeholder,
                "unknown: {{{}",
                &rest[..40.min(rest.len())]
            );
        }
    }
}
