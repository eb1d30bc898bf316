//! Generators: short descriptions of long content.

use serde::Deserialize;
use serde_json::{Map, Value};

/// Text, or bytes to send, that a short description generates.
#[derive(Clone, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum Text {
    Plain(String),
    Parts(Vec<Text>),
    Repeated {
        repeat: Box<Text>,
        times: usize,
    },
    /// The text once for each number, with the number in place of `{i}`.
    Numbered {
        numbered: String,
        times: usize,
        #[serde(default)]
        between: String,
    },
}

/// The values of placeholders: `{base}` is the base URL of the hostile server, `{id}` the ID of the JSON-RPC request as JSON, and
/// `{count}` the number of requests so far.
#[derive(Default)]
pub struct Placeholders {
    pub base: String,
    pub id: Value,
    pub count: usize,
}

impl Placeholders {
    pub fn fill(&self, text: &str) -> String {
        if !text.contains('{') {
            return text.to_owned();
        }
        text.replace("{base}", &self.base)
            .replace("{id}", &self.id.to_string())
            .replace("{count}", &self.count.to_string())
    }

    pub fn text(&self, text: &Text) -> String {
        match text {
            Text::Plain(text) => self.fill(text),
            Text::Parts(parts) => parts.iter().map(|part| self.text(part)).collect(),
            Text::Repeated { repeat, times } => self.text(repeat).repeat(*times),
            Text::Numbered {
                numbered,
                times,
                between,
            } => {
                let numbered = self.fill(numbered);
                let each = (0..*times).map(|i| numbered.replace("{i}", &i.to_string()));
                each.collect::<Vec<_>>().join(between)
            }
        }
    }

    /// JSON with its generators replaced:
    ///
    /// * `{"repeat": "x", "times": 3}` is a string.
    /// * `{"list": ITEM, "times": 3}` is an array, with the number of the item in place of `{i}`.
    /// * `{"fields": 3, "name": "x_{i}", "value": VALUE, "and": {…}}` is an object with numbered fields before the others.
    /// * `{"growing": "a", "from": 4, "to": 6, "name": "x_{i}"}` is an object whose values have these lengths.
    /// * `"{id}"` is the ID of the request.
    pub fn json(&self, template: &Value) -> Value {
        match template {
            Value::String(text) if text == "{id}" => self.id.clone(),
            Value::String(text) => self.fill(text).into(),
            Value::Array(items) => items.iter().map(|item| self.json(item)).collect(),
            Value::Object(fields) => self.object(fields),
            other => other.clone(),
        }
    }

    fn object(&self, fields: &Map<String, Value>) -> Value {
        let count = |name: &str| usize::try_from(fields[name].as_u64().unwrap()).unwrap();
        if let Some(text) = fields.get("repeat") {
            return self
                .fill(text.as_str().unwrap())
                .repeat(count("times"))
                .into();
        }
        if let Some(item) = fields.get("list") {
            let item = self.json(item);
            return (0..count("times")).map(|i| numbered(&item, i)).collect();
        }
        if let Some(text) = fields.get("growing") {
            let (text, name) = (text.as_str().unwrap(), fields["name"].as_str().unwrap());
            let field = |i: usize| (name.replace("{i}", &i.to_string()), text.repeat(i).into());
            return Value::Object((count("from")..=count("to")).map(field).collect());
        }
        if let Some(name) = fields.get("name").filter(|_| fields.contains_key("fields")) {
            let value = self.json(&fields["value"]);
            let field = |i: usize| {
                let name = name.as_str().unwrap().replace("{i}", &i.to_string());
                (name, numbered(&value, i))
            };
            let mut object: Map<String, Value> = (0..count("fields")).map(field).collect();
            if let Some(Value::Object(more)) = fields.get("and").map(|more| self.json(more)) {
                object.extend(more);
            }
            return object.into();
        }
        let fields = fields.iter();
        let fields = fields.map(|(name, value)| (name.clone(), self.json(value)));
        Value::Object(fields.collect())
    }
}

fn numbered(template: &Value, i: usize) -> Value {
    match template {
        Value::String(text) => text.replace("{i}", &i.to_string()).into(),
        Value::Array(items) => items.iter().map(|item| numbered(item, i)).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), numbered(value, i)))
            .collect(),
        other => other.clone(),
    }
}
