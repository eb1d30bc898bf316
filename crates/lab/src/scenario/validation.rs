//! Rejects scenarios that the lab cannot serve as written.

use std::collections::BTreeSet;

use axum::http::{HeaderName, HeaderValue, StatusCode};

use super::{Reply, Rule, Scenario, Step};
use crate::LabError;

/// Checks each scenario, and that the names are unique.
pub(crate) fn validate(rows: &[Scenario]) -> Result<(), LabError> {
    let mut names = BTreeSet::new();
    for row in rows {
        let error = |reason: String| LabError::Row {
            name: row.name.clone(),
            reason,
        };
        if !names.insert(&row.name) {
            return Err(error("another scenario has the same name".into()));
        }
        row.validate().map_err(error)?;
    }
    Ok(())
}

impl Scenario {
    fn validate(&self) -> Result<(), String> {
        let is_allowed = |letter: char| matches!(letter, 'a'..='z' | '0'..='9' | '-');
        if self.name.is_empty() || !self.name.chars().all(is_allowed) {
            return Err("the name must consist of lower-case letters, digits and hyphens".into());
        }
        if self.mcp.is_some() == self.stdio.is_some() {
            return Err("it must have either `mcp` or `stdio`".into());
        }
        if let Some(stdio) = &self.stdio
            && stdio.first.contains(&Step::Answer)
        {
            return Err(
                "`first` must not contain `answer`, because there is no request yet".into(),
            );
        }
        if let Some(path) = self.pages.keys().find(|path| !path.starts_with('/')) {
            return Err(format!("the path of the page `{path}` must begin with `/`"));
        }
        self.replies().try_for_each(Reply::validate)
    }

    /// Every reply of the scenario.
    fn replies(&self) -> impl Iterator<Item = &Reply> {
        let mcp = self.mcp.iter();
        mcp.flat_map(|mcp| mcp.unauthorized.iter().chain(replies_of(&mcp.respond)))
            .chain(&self.discovery.protected_resource)
            .chain(&self.discovery.authorization_server)
            .chain(replies_of(&self.token.respond))
            .chain(&self.authorization.register)
            .chain(replies_of(&self.authorization.revoke))
            .chain(self.pages.values())
    }
}

fn replies_of(rules: &[Rule]) -> impl Iterator<Item = &Reply> {
    rules.iter().map(|rule| &rule.reply)
}

impl Reply {
    fn validate(&self) -> Result<(), String> {
        if let Some(status) = self.status
            && (status < 200 || StatusCode::from_u16(status).is_err())
        {
            return Err(format!("{status} is not a valid status of a reply"));
        }
        let values = self.headers.values();
        for value in values.chain(&self.content_type).chain(&self.redirect) {
            HeaderValue::from_str(value)
                .map_err(|_| format!("`{value}` is not a valid header value"))?;
        }
        for name in self.headers.keys() {
            HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| format!("`{name}` is not a valid header name"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::parse_scenarios;

    #[test]
    fn inconsistent_scenarios_are_rejected_by_name() {
        let error = |json: &str| parse_scenarios(json).unwrap_err().to_string();
        let expect = r#""about": "", "expect": { "state": "ready" }"#;
        for (row, reason) in [
            (r#""name": "a""#, "either `mcp` or `stdio`"),
            (
                r#""name": "a", "mcp": {}, "stdio": {}"#,
                "either `mcp` or `stdio`",
            ),
            (r#""name": "A/b", "mcp": {}"#, "lower-case letters"),
            (
                r#""name": "a", "stdio": { "first": ["answer"] }"#,
                "no request yet",
            ),
            (
                r#""name": "a", "mcp": {}, "pages": { "login": {} }"#,
                "begin with `/`",
            ),
            (
                r#""name": "a", "mcp": { "unauthorized": { "status": 99 } }"#,
                "99 is not",
            ),
            (
                r#""name": "a", "mcp": { "unauthorized": { "headers": { "a b": "" } } }"#,
                "valid header name",
            ),
            (
                r#""name": "a", "mcp": { "unauthorized": { "redirect": "\n" } }"#,
                "valid header value",
            ),
        ] {
            let message = error(&format!("[{{ {row}, {expect} }}]"));
            assert!(message.contains(reason), "{row}: {message}");
        }
        let row = format!(r#"{{ "name": "twin", "mcp": {{}}, {expect} }}"#);
        assert!(error(&format!("[{row}, {row}]")).contains("`twin`"));
    }
}
