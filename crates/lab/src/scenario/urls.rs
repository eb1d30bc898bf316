//! The URLs of one scenario, and the placeholders for them in its texts.

use serde_json::{Map, Value};

/// The values of a scenario's placeholders. Each field has the name of its placeholder.
#[derive(Debug)]
pub(crate) struct ScenarioUrls {
    pub(crate) base: String,
    pub(crate) elsewhere: String,
    pub(crate) resource: String,
    pub(crate) prm: String,
    pub(crate) issuer: String,
}

impl ScenarioUrls {
    pub(crate) fn new(base: &str, name: &str) -> Self {
        Self {
            base: base.to_owned(),
            elsewhere: base.replace("127.0.0.1", "localhost"),
            resource: format!("{base}/{name}/mcp"),
            prm: format!("{base}/.well-known/oauth-protected-resource/{name}/mcp"),
            issuer: format!("{base}/{name}"),
        }
    }

    /// Replaces the placeholders of a text.
    pub(crate) fn fill(&self, text: &str) -> String {
        text.replace("{base}", &self.base)
            .replace("{elsewhere}", &self.elsewhere)
            .replace("{resource}", &self.resource)
            .replace("{prm}", &self.prm)
            .replace("{issuer}", &self.issuer)
    }

    /// Replaces the placeholders of every string in a JSON value.
    pub(crate) fn fill_json(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => self.fill(text).into(),
            Value::Array(items) => items.iter().map(|item| self.fill_json(item)).collect(),
            Value::Object(fields) => fields
                .iter()
                .map(|(key, value)| (key.clone(), self.fill_json(value)))
                .collect(),
            other => other.clone(),
        }
    }

    /// Sets fields of a JSON object, with their placeholders replaced. Null removes a field.
    pub(crate) fn set_fields(&self, document: &mut Value, fields: &Map<String, Value>) {
        let Value::Object(document) = document else {
            return;
        };
        for (name, value) in fields {
            match value {
                Value::Null => document.remove(name),
                value => document.insert(name.clone(), self.fill_json(value)),
            };
        }
    }
}
