//! The types in Python: enums and frozen dataclasses.

use std::error::Error;
use std::fmt::Write;

use crate::generate::languages::type_declarations::{
    DefaultValue, Field, FieldType, Shape, TypeDeclaration, snake_case, type_declarations,
};

/// Returns one module with every type that is not a class of the native module.
pub fn types() -> Result<String, Box<dyn Error>> {
    let mut module = String::from(
        "# Generated from the Rust types by `cargo xtask generate`. Do not edit it by hand.\n\
         \"\"\"The types of the contract and of the verdict.\"\"\"\n\n\
         from __future__ import annotations\n\n\
         import dataclasses\n\n\
         from ._wire import OpenWireEnum, WireEnum, WireObject\n",
    );
    for declaration in type_declarations()? {
        module.push_str("\n\n");
        match &declaration.shape {
            Shape::Enum { values, is_open } => {
                enumeration(&mut module, &declaration, values, *is_open)?;
            }
            Shape::Struct(fields) => dataclass(&mut module, &declaration, fields)?,
        }
    }
    Ok(module)
}

fn enumeration(
    module: &mut String,
    declaration: &TypeDeclaration,
    values: &[(String, String)],
    is_open: bool,
) -> std::fmt::Result {
    let base = if is_open { "OpenWireEnum" } else { "WireEnum" };
    let documentation = docstring(&declaration.documentation);
    writeln!(
        module,
        "class {}({base}):\n    {documentation}",
        declaration.name
    )?;
    for (value, meaning) in values {
        let (member, meaning) = (member(value), docstring(meaning));
        writeln!(module, "\n    {member} = \"{value}\"\n    {meaning}")?;
    }
    Ok(())
}

fn dataclass(
    module: &mut String,
    declaration: &TypeDeclaration,
    fields: &[Field],
) -> std::fmt::Result {
    let documentation = docstring(&declaration.documentation);
    writeln!(
        module,
        "@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)\nclass {}(WireObject):\n    {documentation}",
        declaration.name
    )?;
    for field in fields {
        let annotation = annotation(&field.field_type);
        let rest = match &field.default {
            None => String::new(),
            Some(DefaultValue::Null) => " | None = None".to_owned(),
            Some(DefaultValue::False) => " = False".to_owned(),
            Some(DefaultValue::EmptyList) => " = ()".to_owned(),
            Some(DefaultValue::EnumValue(value)) => format!(" = {annotation}.{}", member(value)),
        };
        let (name, meaning) = (snake_case(&field.name), docstring(&field.documentation));
        writeln!(module, "\n    {name}: {annotation}{rest}\n    {meaning}")?;
    }
    Ok(())
}

fn annotation(field_type: &FieldType) -> String {
    match field_type {
        FieldType::String => "str".to_owned(),
        FieldType::Integer => "int".to_owned(),
        FieldType::Boolean => "bool".to_owned(),
        FieldType::Named(name) => name.clone(),
        FieldType::List(item) => format!("tuple[{}, ...]", annotation(item)),
    }
}

fn member(value: &str) -> String {
    snake_case(value).to_ascii_uppercase()
}

fn docstring(text: &str) -> String {
    let text = text
        .replace("`null`", "`None`")
        .replace('\\', "\\\\")
        .replace("\"\"\"", "'''")
        .replace("\n\n", "\n\n    ");
    let end = if text.ends_with('"') { " " } else { "" };
    format!("\"\"\"{text}{end}\"\"\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_of_the_schemas_is_a_class() {
        let module = types().unwrap();
        let failure = crate::generate::schemas::startup_failure().unwrap();
        for name in failure["definitions"].as_object().unwrap().keys() {
            assert!(module.contains(&format!("\nclass {name}")), "{name}");
        }
        for line in [
            "class McpServerStartupState(OpenWireEnum):",
            "    REAUTHENTICATION_REQUIRED = \"reauthenticationRequired\"",
            "    OAUTH = \"oAuth\"",
            "    stored_issuer: str | None = None",
            "    requests: tuple[RequestEvidence, ...] = ()",
            "    configuration_warnings: tuple[ConfigurationEvidence, ...] = ()",
            "    access_token: AccessTokenWorth = AccessTokenWorth.ABSENT",
            "    kind: StartupFailureKind",
        ] {
            assert!(
                module.lines().any(|found| found == line),
                "{line}\n{module}"
            );
        }
    }
}
