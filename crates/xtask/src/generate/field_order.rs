//! The order in which a type declares its fields. A schema does not keep it, because its properties are a map.

use std::error::Error;

use mcp_startup_core::{
    ConfigurationEvidence, CredentialEvidence, CredentialFacts, CredentialWorth, DiscoveryEvidence,
    Evidence, HeldSignInEvidence, McpServerStatusUpdatedNotification, ProcessEvidence,
    ProtocolEvidence, RequestEvidence, StartupWarning, StoreEvidence, judge,
};
use serde::de::value::Error as DeserializeError;
use serde::de::{Deserialize, Deserializer, Error as _, Visitor};
use serde::{Serialize, forward_to_deserialize_any};

/// The evidence of a failure in which every field is present: it has a fallback, because the refusal of its refresh has no code.
const REFUSED: &str = r#"{
    "credential": {"source": "stored", "worth": {"accessToken": "expired", "refreshToken": true}},
    "requests": [{"to": "token", "status": 400}, {"to": "mcp", "status": 401}]
}"#;

/// Returns the names of the fields of a type on the wire, in the order of their declaration.
///
/// # Errors
/// Fails if the type is not in the list of this function.
pub fn field_names(type_name: &str) -> Result<Vec<String>, Box<dyn Error>> {
    Ok(match type_name {
        "ConfigurationEvidence" => deserialized_fields::<ConfigurationEvidence>(),
        "CredentialFacts" => deserialized_fields::<CredentialFacts>(),
        "CredentialEvidence" => deserialized_fields::<CredentialEvidence>(),
        "CredentialWorth" => deserialized_fields::<CredentialWorth>(),
        "DiscoveryEvidence" => deserialized_fields::<DiscoveryEvidence>(),
        "Evidence" => deserialized_fields::<Evidence>(),
        "HeldSignInEvidence" => deserialized_fields::<HeldSignInEvidence>(),
        "ProcessEvidence" => deserialized_fields::<ProcessEvidence>(),
        "ProtocolEvidence" => deserialized_fields::<ProtocolEvidence>(),
        "RequestEvidence" => deserialized_fields::<RequestEvidence>(),
        "StoreEvidence" => deserialized_fields::<StoreEvidence>(),
        "StartupWarning" => deserialized_fields::<StartupWarning>(),
        // These two types implement `Serialize` but not `Deserialize`.
        "McpServerStatusUpdatedNotification" => {
            serialized_fields(&McpServerStatusUpdatedNotification::ready(""))?
        }
        "StartupFailure" => serialized_fields(&judge(serde_json::from_str(REFUSED)?))?,
        _ => {
            return Err(format!(
                "the order of the fields of {type_name} is unknown; add the type to field_order::field_names"
            )
            .into());
        }
    })
}

/// Returns the names that a derived `Deserialize` passes to its deserializer.
fn deserialized_fields<T: Deserialize<'static>>() -> Vec<String> {
    let mut fields: &'static [&'static str] = &[];
    // This always fails, after it has captured the names.
    let _ = T::deserialize(FieldNameCapture(&mut fields));
    fields.iter().map(|field| (*field).to_owned()).collect()
}

/// A deserializer that captures the names of the fields of a struct and then fails.
struct FieldNameCapture<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for FieldNameCapture<'_> {
    type Error = DeserializeError;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, DeserializeError> {
        *self.0 = fields;
        Err(DeserializeError::custom(
            "the names of the fields are captured",
        ))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, DeserializeError> {
        Err(DeserializeError::custom("not a struct"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct
        seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// Returns the names in the order in which a value is serialized.
fn serialized_fields(value: &impl Serialize) -> Result<Vec<String>, Box<dyn Error>> {
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
    fn fields_are_in_the_order_of_their_declaration() {
        let field_names = |name| super::field_names(name).unwrap().join(" ");
        assert_eq!(
            field_names("McpServerStatusUpdatedNotification"),
            "threadId name status error failureReason"
        );
        assert_eq!(
            field_names("StartupFailure"),
            "kind message recovery fallback evidence"
        );
        assert_eq!(field_names("StoreEvidence"), "kind trouble detail");
        assert!(super::field_names("Unknown").is_err());
    }
}
