//! The client's stored credentials, as Codex's record for the scenario's server: before a start, and as a start must leave them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Scenario, ScenarioUrls};

/// The credentials that the client has stored. [`Scenario::stored_record`] returns the record.
///
/// ```
/// let rows = mcp_startup_lab::scenarios();
/// let row = rows.iter().find(|row| row.name == "ready-unknown-expiry").unwrap();
/// assert_eq!(row.stored.as_ref().unwrap().expires_in_seconds, None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct StoredCredential {
    /// The URL that the record belongs to. By default, the scenario's MCP endpoint.
    pub server_url: Option<String>,
    /// The issuer, usually `{issuer}`. Null means that the record names none.
    pub issuer: Option<String>,
    /// The client id. If it is absent, so is the field of the record.
    pub client_id: Option<String>,
    /// The client secret. If it is absent, so is the field of the record.
    pub client_secret: Option<String>,
    /// The access token, possibly blank.
    pub access_token: Option<String>,
    /// When the access token expires, in seconds from now. Null means that the record has no expiry.
    pub expires_in_seconds: Option<i64>,
    /// The literal `expires_at` of the record, instead of `expiresInSeconds`, for values that no clock produces.
    pub expires_at: Option<Value>,
    /// The refresh token, possibly blank.
    pub refresh_token: Option<String>,
    /// The scopes.
    pub scopes: Vec<String>,
}

impl Scenario {
    /// The record of this scenario as Codex's credential file stores it, or `None` if nothing is stored.
    ///
    /// `base` is the lab's [`base_url`](crate::Lab::base_url). `now_ms` is the Unix time, in milliseconds, that a relative expiry
    /// counts from.
    ///
    /// ```
    /// let rows = mcp_startup_lab::scenarios();
    /// let row = rows.iter().find(|row| row.name == "expired-no-refresh").unwrap();
    /// let record = row.stored_record("http://127.0.0.1:9", 10_000_000).unwrap();
    /// assert_eq!(record["server_url"], "http://127.0.0.1:9/expired-no-refresh/mcp");
    /// assert_eq!(record["expires_at"], 10_000_000 - 3_600_000);
    /// ```
    pub fn stored_record(&self, base: &str, now_ms: i64) -> Option<Value> {
        let stored = self.stored.as_ref()?;
        let urls = ScenarioUrls::new(base, &self.name);
        let fill = |text: &Option<String>| text.as_deref().map(|text| urls.fill(text));
        let mut record = Map::new();
        record.insert("server_name".into(), json!(self.name));
        record.insert(
            "server_url".into(),
            json!(fill(&stored.server_url).unwrap_or_else(|| urls.resource.clone())),
        );
        record.insert("issuer".into(), json!(fill(&stored.issuer)));
        let optional = [
            ("client_id", fill(&stored.client_id)),
            ("client_secret", stored.client_secret.clone()),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                record.insert(name.into(), json!(value));
            }
        }
        record.insert("access_token".into(), json!(stored.access_token));
        let expires_at = match (&stored.expires_at, stored.expires_in_seconds) {
            (Some(literal), _) => literal.clone(),
            (None, Some(seconds)) => json!(add_seconds(now_ms, seconds)),
            (None, None) => Value::Null,
        };
        record.insert("expires_at".into(), expires_at);
        record.insert("refresh_token".into(), json!(stored.refresh_token));
        record.insert("scopes".into(), json!(stored.scopes));
        Some(record.into())
    }

    /// The record that must be stored after a start that began at `now_ms`: the record from before, with the expected changes.
    /// `None` if nothing is stored.
    ///
    /// ```
    /// let rows = mcp_startup_lab::scenarios();
    /// let row = rows.iter().find(|row| row.name == "expired-refreshes").unwrap();
    /// let record = row.expected_record("http://127.0.0.1:9", 10_000_000).unwrap();
    /// assert_eq!(record["access_token"], "fresh-token-1");
    /// assert_eq!(record["expires_at"], 10_000_000 + 3_600_000);
    /// ```
    pub fn expected_record(&self, base: &str, now_ms: i64) -> Option<Value> {
        let mut record = self.stored_record(base, now_ms)?;
        if let Some(renewed) = &self.expect.stored {
            record["access_token"] = json!(renewed.access_token);
            record["refresh_token"] = json!(renewed.refresh_token);
            let expires_in = renewed.expires_in_seconds;
            record["expires_at"] = json!(expires_in.map(|seconds| add_seconds(now_ms, seconds)));
            if let Some(scopes) = &renewed.scopes {
                record["scopes"] = json!(scopes);
            }
        }
        Some(record)
    }
}

/// Adds seconds to a Unix time in milliseconds.
fn add_seconds(unix_ms: i64, seconds: i64) -> i64 {
    unix_ms.saturating_add(seconds.saturating_mul(1000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenarios;

    #[test]
    fn stored_record_has_the_fields_of_codex() {
        let mut row = scenarios()[0].clone();
        row.stored = Some(StoredCredential {
            issuer: Some("{issuer}".into()),
            client_id: Some("client-1".into()),
            access_token: Some("good-token".into()),
            expires_in_seconds: Some(60),
            scopes: vec!["mcp:tools".into()],
            ..StoredCredential::default()
        });
        let base = "http://127.0.0.1:9";
        let expected = json!({
            "server_name": "ready",
            "server_url": "http://127.0.0.1:9/ready/mcp",
            "issuer": "http://127.0.0.1:9/ready",
            "client_id": "client-1",
            "access_token": "good-token",
            "expires_at": 61_000,
            "refresh_token": null,
            "scopes": ["mcp:tools"],
        });
        assert_eq!(row.stored_record(base, 1000), Some(expected));

        let stored = row.stored.as_mut().unwrap();
        stored.client_id = None;
        stored.expires_at = Some(json!("soon"));
        let record = row.stored_record(base, 1000).unwrap();
        assert_eq!(
            (record.get("client_id"), &record["expires_at"]),
            (None, &json!("soon"))
        );

        row.stored = None;
        assert_eq!(row.stored_record(base, 1000), None);
    }
}
