//! [`short_message`]: the message of a server that starts, without the content that a start does not read.
//!
//! The SDK needs up to 200 times as much memory for a message as its text has: it keeps several copies while it parses. A start only
//! counts the tools, and checks their fields.

use std::fmt;

use serde::Serialize;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};

use super::held_results::SMALL_BYTES;

/// The maximum number of tools.
pub(crate) const MAX_TOOLS: usize = 10_000;
/// A longer cursor ends the list of tools, in bytes.
pub(crate) const MAX_CURSOR_BYTES: usize = 16 * 1024;
/// The maximum length of the name of a tool, in bytes. A message about a tool shows less.
const MAX_NAME_BYTES: usize = 1024;
/// The maximum length of any other text, in bytes.
const MAX_TEXT_BYTES: usize = 64 * 1024;

/// From this length of the short message on, names and other texts are empty, in bytes.
const LONG_BYTES: usize = 500_000;
/// The maximum number of values, except for those of the tools. An answer to a handshake has fewer.
const MAX_VALUES: usize = 5000;

/// The short form of a long message of a server that starts, or the first error in its JSON. `None` if the message is read unchanged: it
/// is small, or the server has started.
pub(crate) fn short_message(text: &[u8], is_starting: bool) -> Option<serde_json::Result<Vec<u8>>> {
    (is_starting && text.len() > SMALL_BYTES).then(|| shortened(text))
}

/// The message with at most one more tool than are counted. The tools have no descriptions, their schemas are empty, other long texts are
/// cut, and values are left out if there are too many.
fn shortened(text: &[u8]) -> serde_json::Result<Vec<u8>> {
    let mut short = Short::default();
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let message = Part {
        short: &mut short,
        place: Place::Message,
    };
    message.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(short.text)
}

#[derive(Default)]
struct Short {
    text: Vec<u8>,
    /// How many values there are so far, except for those of the tools and those that a message needs.
    values: usize,
}

/// A value of the message, which is written to the short one.
struct Part<'a> {
    short: &'a mut Short,
    place: Place,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Message,
    Error,
    Needed,
    Result,
    Tools,
    Tool,
    Name,
    Cursor,
    Instructions,
    Other,
    /// A text, which is left out. A value of another type is kept.
    Description,
    /// An object that is empty in the short message.
    Schema,
    LeftOut,
}

impl Place {
    fn of_member(self, name: &str) -> Self {
        match (self, name) {
            (Self::Message, "result") => Self::Result,
            (Self::Message, "error") => Self::Error,
            (Self::Message, "jsonrpc" | "id" | "method") | (Self::Error, "code" | "message") => {
                Self::Needed
            }
            (Self::Result, "tools") => Self::Tools,
            (Self::Result, "nextCursor") => Self::Cursor,
            (Self::Result, "instructions") => Self::Instructions,
            (Self::Tool, "name") => Self::Name,
            (Self::Tool, "title" | "description") => Self::Description,
            (Self::Tool, "inputSchema" | "outputSchema" | "_meta") => Self::Schema,
            (Self::Tool, "annotations" | "icons") => Self::Other,
            (Self::Tool | Self::Description | Self::Schema | Self::LeftOut, _) => Self::LeftOut,
            _ => Self::Other,
        }
    }

    fn of_element(self, index: usize) -> Self {
        match self {
            Self::Tools if index <= MAX_TOOLS => Self::Tool,
            Self::Tools | Self::Description | Self::Schema | Self::LeftOut => Self::LeftOut,
            _ => Self::Other,
        }
    }

    /// The maximum length of a text, in bytes.
    fn max_text(self) -> usize {
        match self {
            Self::Description => 0,
            Self::Name | Self::Schema => MAX_NAME_BYTES,
            // Its length shows that it was longer.
            Self::Cursor => MAX_CURSOR_BYTES + 1,
            Self::Instructions => usize::MAX,
            _ => MAX_TEXT_BYTES,
        }
    }
}

impl Part<'_> {
    fn write<E: Error>(&mut self, value: impl Serialize) -> Result<(), E> {
        if self.place == Place::LeftOut {
            return Ok(());
        }
        serde_json::to_writer(&mut self.short.text, &value).map_err(E::custom)
    }

    fn push(&mut self, byte: u8) {
        if self.place != Place::LeftOut {
            self.short.text.push(byte);
        }
    }

    /// A value within this one.
    fn part(&mut self, mut place: Place) -> Part<'_> {
        if place == Place::Other {
            self.short.values += 1;
            if self.short.values > MAX_VALUES {
                place = Place::LeftOut;
            }
        }
        let short = &mut *self.short;
        Part { short, place }
    }
}

impl<'de> DeserializeSeed<'de> for Part<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Part<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_bool<E: Error>(mut self, value: bool) -> Result<(), E> {
        self.write(value)
    }

    fn visit_i64<E: Error>(mut self, value: i64) -> Result<(), E> {
        self.write(value)
    }

    fn visit_u64<E: Error>(mut self, value: u64) -> Result<(), E> {
        self.write(value)
    }

    fn visit_f64<E: Error>(mut self, value: f64) -> Result<(), E> {
        self.write(value)
    }

    fn visit_unit<E: Error>(mut self) -> Result<(), E> {
        self.write(())
    }

    fn visit_str<E: Error>(mut self, text: &str) -> Result<(), E> {
        let is_long = self.short.text.len() > LONG_BYTES;
        let max = match self.place {
            Place::Name | Place::Schema | Place::Other if is_long => 0,
            place => place.max_text(),
        };
        let end = (max..text.len()).find(|end| text.is_char_boundary(*end));
        self.write(&text[..end.unwrap_or(text.len())])
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        self.push(b'[');
        let mut has_elements = false;
        for index in 0.. {
            let start = self.short.text.len();
            let part = self.part(self.place.of_element(index));
            let is_kept = part.place != Place::LeftOut;
            if is_kept && has_elements {
                part.short.text.push(b',');
            }
            if list.next_element_seed(part)?.is_none() {
                self.short.text.truncate(start);
                break;
            }
            has_elements |= is_kept;
        }
        self.push(b']');
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut object: A) -> Result<(), A::Error> {
        self.push(b'{');
        let mut has_members = false;
        while let Some(name) = object.next_key::<String>()? {
            let start = self.short.text.len();
            let mut part = self.part(self.place.of_member(&name));
            let place = part.place;
            if place != Place::LeftOut {
                if has_members {
                    part.push(b',');
                }
                part.write(&name)?;
                part.push(b':');
            }
            object.next_value_seed(part)?;
            let is_kept = match place {
                Place::LeftOut => false,
                // Any text is as valid as none.
                Place::Description => !self.short.text.ends_with(b":\"\""),
                _ => true,
            };
            if !is_kept {
                self.short.text.truncate(start);
            }
            has_members |= is_kept;
        }
        self.push(b'}');
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::invalid_messages::{Received, read_message};
    use super::*;

    fn list(tools: &Value) -> String {
        json!({ "jsonrpc": "2.0", "id": 1, "result": { "tools": tools, "nextCursor": "c" } })
            .to_string()
    }

    fn tool() -> Value {
        json!({
            "name": "one",
            "title": "One",
            "description": "d".repeat(500),
            "inputSchema": { "type": "object", "properties": { "a": { "type": "string" } } },
            "outputSchema": { "type": "object" },
            "annotations": { "readOnlyHint": true },
            "icons": [{ "src": "https://example.com", "sizes": ["any"] }],
            "_meta": { "a": [1] },
            "other": [1, { "b": 2 }],
        })
    }

    /// Describes the message in a text: the number of tools and the cursor, or the problem.
    fn read(text: &str, is_starting: bool) -> String {
        let message = match read_message(text.as_bytes(), is_starting) {
            Received::Message(message) => serde_json::to_value(message).unwrap(),
            Received::InvalidAnswer(answer) => return format!("{answer:?}"),
            Received::Other => return "other".to_owned(),
        };
        let result = &message["result"];
        let tools = result["tools"].as_array().map(Vec::len);
        let problem = serde_path_to_error::deserialize::<_, rmcp::model::ListToolsResult>(result);
        let problem = problem.err().map(|error| error.to_string());
        format!(
            "{tools:?} {} {} {problem:?}",
            result["nextCursor"], message["error"]
        )
    }

    #[test]
    fn a_list_has_the_same_tools_and_the_same_problem() {
        let fields = tool()
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>();
        let values = [
            json!(null),
            json!(1),
            json!("a"),
            json!([]),
            json!([{}]),
            json!({}),
            json!({ "a": 1 }),
        ];
        let mut problems = 0;
        for field in &fields {
            for value in values.iter().map(Some).chain([None]) {
                let mut changed = tool();
                match value {
                    Some(value) => changed[field] = value.clone(),
                    None => drop(changed.as_object_mut().unwrap().remove(field)),
                }
                let mut tools = vec![tool(); 50];
                tools.push(changed);
                let text = list(&Value::Array(tools));
                assert!(text.len() > SMALL_BYTES);
                let expected = read(&text, false);
                problems += usize::from(!expected.ends_with("None"));
                assert_eq!(read(&text, true), expected, "{field}: {value:?}");
            }
        }
        assert!(problems > 20, "{problems}");
    }

    #[test]
    fn a_message_that_is_no_list_is_read_as_before() {
        let long = "x".repeat(SMALL_BYTES);
        let (deep, list) = ("[".repeat(200), list(&json!(vec![tool(); 50])));
        for text in [
            format!(
                r#"{{"jsonrpc":"2.0","id":1,"error":{{"code":1,"message":"no","data":"{long}"}}}}"#
            ),
            format!(r#"{{"jsonrpc":"2.0","id":1,"result":["{long}"]}}"#),
            format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{}},"result":{{"a":"{long}"}}}}"#),
            format!(r#"{{"jsonrpc":"1.0","id":1,"result":{{"a":"{long}"}}}}"#),
            format!(r#"{{"id":1,"result":{{"a":"{long}"}}}}"#),
            format!(r#"[{{"jsonrpc":"2.0","id":1,"result":{{"a":"{long}"}}}}]"#),
            format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"a":"{long}","tools":{deep}"#),
            format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"a":"{long}","b":1e999}}}}"#),
            format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"tools":[],"a":"{long}\ud800"}}}}"#),
            format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"tools":[],"a":"{long}"}}"#),
            format!("{list}x"),
        ] {
            let (short, whole) = (read(&text, true), read(&text, false));
            assert_eq!(short, whole, "{}", &text[..40]);
        }
    }

    #[test]
    fn long_content_is_left_out() {
        let short = |text: String| {
            serde_json::from_slice::<Value>(&shortened(text.as_bytes()).unwrap()).unwrap()
        };
        let kept = short(list(&json!([tool()])));
        let expected = json!({
            "name": "one",
            "inputSchema": {},
            "outputSchema": {},
            "annotations": { "readOnlyHint": true },
            "icons": [{ "src": "https://example.com", "sizes": ["any"] }],
            "_meta": {},
        });
        assert_eq!(kept["result"]["tools"], json!([expected]));

        let nested =
            json!({ "inputSchema": vec![json!({ "a": 1 }); 100], "annotations": vec![0; 100] });
        let kept = short(list(&json!(vec![nested; MAX_TOOLS + 10])));
        assert_eq!(
            kept["result"]["tools"].as_array().unwrap().len(),
            MAX_TOOLS + 1
        );
        assert!(kept.to_string().len() < 500_000);

        let names = list(&json!(vec![json!({ "name": "ä".repeat(1000) }); 5000]));
        let kept = shortened(names.as_bytes()).unwrap();
        assert!(
            (LONG_BYTES..LONG_BYTES + 100_000).contains(&kept.len()),
            "{}",
            kept.len()
        );

        let data = json!({ "data": vec![0; 2 * MAX_VALUES], "code": 1, "message": "no" });
        let kept = short(
            json!({ "error": data, "id": 1, "other": "x".repeat(MAX_TEXT_BYTES + 9) }).to_string(),
        );
        assert_eq!(
            (&kept["id"], &kept["error"]["code"]),
            (&json!(1), &json!(1))
        );
        assert_eq!(
            kept["error"]["data"].as_array().unwrap().len(),
            MAX_VALUES - 1
        );
        assert!(kept.get("other").is_none());

        let long = "x".repeat(MAX_TEXT_BYTES + 9);
        let kept = short(
            json!({ "result": { "nextCursor": long, "instructions": long, "other": long } })
                .to_string(),
        );
        let lengths = ["nextCursor", "instructions", "other"]
            .map(|name| kept["result"][name].as_str().unwrap().len());
        assert_eq!(lengths, [MAX_CURSOR_BYTES + 1, long.len(), MAX_TEXT_BYTES]);
    }
}
