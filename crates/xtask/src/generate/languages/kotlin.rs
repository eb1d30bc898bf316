//! The types in Kotlin: enum classes, sealed interfaces for enums that may grow, and data classes.

use std::error::Error;
use std::fmt::Write;

use crate::generate::languages::type_declarations::{
    DefaultValue, Field, FieldType, Shape, TypeDeclaration, snake_case, type_declarations,
};

/// Returns one file with every type except the notification.
pub fn types() -> Result<String, Box<dyn Error>> {
    let mut file = String::from(
        "// Generated from the Rust types by `cargo xtask types`. Do not edit it by hand.\n\
         package io.github.mcpstartup\n\n\
         import kotlinx.serialization.EncodeDefault\n\
         import kotlinx.serialization.ExperimentalSerializationApi\n\
         import kotlinx.serialization.KSerializer\n\
         import kotlinx.serialization.SerialName\n\
         import kotlinx.serialization.Serializable\n\
         import kotlinx.serialization.descriptors.PrimitiveKind\n\
         import kotlinx.serialization.descriptors.PrimitiveSerialDescriptor\n\
         import kotlinx.serialization.descriptors.SerialDescriptor\n\
         import kotlinx.serialization.encoding.Decoder\n\
         import kotlinx.serialization.encoding.Encoder\n",
    );
    for declaration in type_declarations()? {
        file.push('\n');
        documentation(&mut file, "", &declaration.documentation);
        match &declaration.shape {
            Shape::Enum { values, is_open } => match is_open {
                true => sealed_interface(&mut file, &declaration, values)?,
                false => enum_class(&mut file, &declaration, values)?,
            },
            Shape::Struct(fields) => data_class(&mut file, &declaration, fields)?,
        }
    }
    Ok(file)
}

fn enum_class(
    file: &mut String,
    declaration: &TypeDeclaration,
    values: &[(String, String)],
) -> std::fmt::Result {
    writeln!(
        file,
        "@Serializable\npublic enum class {}(public val wire: String) {{",
        declaration.name
    )?;
    for (at, (value, meaning)) in values.iter().enumerate() {
        documentation(file, "    ", meaning);
        let end = if at + 1 == values.len() { ";" } else { "," };
        let member = snake_case(value).to_ascii_uppercase();
        writeln!(
            file,
            "    @SerialName(\"{value}\")\n    {member}(\"{value}\"){end}"
        )?;
    }
    writeln!(file, "}}")
}

fn sealed_interface(
    file: &mut String,
    declaration: &TypeDeclaration,
    values: &[(String, String)],
) -> std::fmt::Result {
    let name = &declaration.name;
    writeln!(
        file,
        "@Serializable(with = {name}Serializer::class)\npublic sealed interface {name} {{\n    /** Its text on the wire. */\n    public val wire: String\n"
    )?;
    for (value, meaning) in values {
        documentation(file, "    ", meaning);
        let member = object_name(value);
        writeln!(
            file,
            "    public data object {member} : {name} {{\n        override val wire: String = \"{value}\"\n    }}\n"
        )?;
    }
    writeln!(
        file,
        "    /** A value from a newer server, kept as its text. */\n    @ConsistentCopyVisibility\n    public data class Unknown internal constructor(override val wire: String) : {name}\n"
    )?;
    let known: Vec<String> = values.iter().map(|(value, _)| object_name(value)).collect();
    writeln!(
        file,
        "    public companion object {{\n        /** Every value that this version knows. */\n        public val known: List<{name}> get() = listOf({})\n",
        known.join(", ")
    )?;
    writeln!(
        file,
        "        /** The value that this text of the wire is. */\n        public fun of(wire: String): {name} = known.firstOrNull {{ it.wire == wire }} ?: Unknown(wire)\n    }}\n}}\n"
    )?;
    writeln!(
        file,
        "internal object {name}Serializer : KSerializer<{name}> {{\n    override val descriptor: SerialDescriptor = PrimitiveSerialDescriptor(\"{name}\", PrimitiveKind.STRING)\n\n    override fun serialize(encoder: Encoder, value: {name}): Unit = encoder.encodeString(value.wire)\n\n    override fun deserialize(decoder: Decoder): {name} = {name}.of(decoder.decodeString())\n}}"
    )
}

fn data_class(
    file: &mut String,
    declaration: &TypeDeclaration,
    fields: &[Field],
) -> std::fmt::Result {
    let is_empty_list = |field: &Field| matches!(field.default, Some(DefaultValue::EmptyList));
    if fields.iter().any(is_empty_list) {
        writeln!(file, "@OptIn(ExperimentalSerializationApi::class)")?;
    }
    writeln!(
        file,
        "@Serializable\npublic data class {}(",
        declaration.name
    )?;
    for field in fields {
        documentation(file, "    ", &field.documentation);
        if is_empty_list(field) {
            // An empty list is omitted on the wire.
            writeln!(file, "    @EncodeDefault(EncodeDefault.Mode.NEVER)")?;
        }
        let base = kotlin_type(&field.field_type);
        let rest = match &field.default {
            None => String::new(),
            Some(DefaultValue::Null) => "? = null".to_owned(),
            Some(DefaultValue::False) => " = false".to_owned(),
            Some(DefaultValue::EmptyList) => " = emptyList()".to_owned(),
            Some(DefaultValue::EnumValue(value)) => {
                format!(" = {base}.{}", snake_case(value).to_ascii_uppercase())
            }
        };
        let name = identifier(&field.name);
        writeln!(file, "    public val {name}: {base}{rest},")?;
    }
    writeln!(file, ")")
}

/// Returns the name of a field as a Kotlin identifier, quoted if it is a hard keyword.
fn identifier(name: &str) -> String {
    const KEYWORDS: [&str; 28] = [
        "as",
        "break",
        "class",
        "continue",
        "do",
        "else",
        "false",
        "for",
        "fun",
        "if",
        "in",
        "interface",
        "is",
        "null",
        "object",
        "package",
        "return",
        "super",
        "this",
        "throw",
        "true",
        "try",
        "typealias",
        "typeof",
        "val",
        "var",
        "when",
        "while",
    ];
    match KEYWORDS.contains(&name) {
        true => format!("`{name}`"),
        false => name.to_owned(),
    }
}

fn kotlin_type(field_type: &FieldType) -> String {
    match field_type {
        FieldType::String => "String".to_owned(),
        FieldType::Integer => "Long".to_owned(),
        FieldType::Boolean => "Boolean".to_owned(),
        FieldType::Named(name) => name.clone(),
        FieldType::List(item) => format!("List<{}>", kotlin_type(item)),
    }
}

/// Capitalizes a value, for example `reauthenticationRequired` to `ReauthenticationRequired`.
fn object_name(value: &str) -> String {
    let mut characters = value.chars();
    let first = characters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(characters).collect()
}

fn documentation(file: &mut String, indent: &str, text: &str) {
    let text = text.replace("*/", "* /");
    let lines: Vec<&str> = text.lines().collect();
    if let [line] = lines.as_slice() {
        file.push_str(&format!("{indent}/** {line} */\n"));
        return;
    }
    file.push_str(&format!("{indent}/**\n"));
    for line in lines {
        file.push_str(format!("{indent} * {line}").trim_end());
        file.push('\n');
    }
    file.push_str(&format!("{indent} */\n"));
}
