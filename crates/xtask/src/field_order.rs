//! The order in which a type declares its fields, which a schema (a map of names) does not keep.

use std::error::Error;

use mcp_startup_core::{
    ConfigurationEvidence, CredentialEvidence, CredentialFacts, CredentialWorth, DiscoveryEvidence,
    Evidence, McpServerStatusUpdatedNotification, ProcessEvidence, ProtocolEvidence,
    RequestEvidence, StoreEvidence, judge,
};
use serde::de::value::Error as Captured;
use serde::de::{Deserialize, Deserializer, Error as _, Visitor};
use serde::{Serialize, forward_to_deserialize_any};

/// The fields of a type of the contract or the evidence, by their names on the wire, as declared.
pub fn of(type_name: &str) -> Result<Vec<String>, Box<dyn Error>> {
    Ok(match type_name {
        "ConfigurationEvidence" => declared::<ConfigurationEvidence>(),
        "CredentialFacts" => declared::<CredentialFacts>(),
        "CredentialEvidence" => declared::<CredentialEvidence>(),
        "CredentialWorth" => declared::<CredentialWorth>(),
        "DiscoveryEvidence" => declared::<DiscoveryEvidence>(),
        "Evidence" => declared::<Evidence>(),
        "ProcessEvidence" => declared::<ProcessEvidence>(),
        "ProtocolEvidence" => declared::<ProtocolEvidence>(),
        "RequestEvidence" => declared::<RequestEvidence>(),
        "StoreEvidence" => declared::<StoreEvidence>(),
        // These two are written by serde and not read by it.
        "McpServerStatusUpdatedNotification" => {
            written(&McpServerStatusUpdatedNotification::ready(""))?
        }
        "StartupFailure" => written(&judge(Evidence::default()))?,
        _ => {
            return Err(format!(
                "the order of the fields of {type_name} is not known: add it to field_order::of"
            )
            .into());
        }
    })
}

/// The names that a derived `Deserialize` asks for.
fn declared<T: Deserialize<'static>>() -> Vec<String> {
    let mut fields: &'static [&'static str] = &[];
    // It always fails: the names are all that is wanted.
    let _ = T::deserialize(FieldNames(&mut fields));
    fields.iter().map(|field| (*field).to_owned()).collect()
}

struct FieldNames<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for FieldNames<'_> {
    type Error = Captured;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Captured> {
        *self.0 = fields;
        Err(Captured::custom("only the names of the fields are wanted"))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Captured> {
        Err(Captured::custom("not a struct"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct
        seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// The names in the order in which they are written.
fn written(value: &impl Serialize) -> Result<Vec<String>, Box<dyn Error>> {
    let text = serde_json::to_string(value)?;
    let value: serde_json::Value = serde_json::from_str(&text)?;
    let fields = value.as_object().ok_or("not an object")?;
    let mut fields: Vec<String> = fields.keys().cloned().collect();
    fields.sort_by_key(|field| text.find(&format!("\"{field}\":")));
    Ok(fields)
}

#[cfg(test)]
mod tests {
    #[test]
    fn fields_come_as_declared() {
        let of = |name| super::of(name).unwrap().join(" ");
        assert_eq!(
            of("McpServerStatusUpdatedNotification"),
            "threadId name status error failureReason"
        );
        assert_eq!(of("StartupFailure"), "kind message recovery evidence");
        assert_eq!(of("StoreEvidence"), "kind trouble detail");
        assert!(super::of("Unheard").is_err());
    }
}
