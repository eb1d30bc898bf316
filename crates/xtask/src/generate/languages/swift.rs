//! The types in Swift: enums and structs.

use std::error::Error;
use std::fmt::Write;

use crate::generate::languages::type_declarations::{
    DefaultValue, Field, FieldType, Shape, TypeDeclaration, type_declarations,
};

/// Returns one file with every type except the notification.
pub fn types() -> Result<String, Box<dyn Error>> {
    let mut file = String::from(
        "// Generated from the Rust types by `cargo xtask types`. Do not edit it by hand.\n",
    );
    for declaration in type_declarations()? {
        file.push('\n');
        documentation(&mut file, "", &declaration.documentation);
        match &declaration.shape {
            Shape::Enum { values, is_open } => match is_open {
                true => open_enum(&mut file, &declaration, values)?,
                false => closed_enum(&mut file, &declaration, values)?,
            },
            Shape::Struct(fields) => structure(&mut file, &declaration, fields)?,
        }
    }
    Ok(file)
}

fn closed_enum(
    file: &mut String,
    declaration: &TypeDeclaration,
    values: &[(String, String)],
) -> std::fmt::Result {
    let name = &declaration.name;
    writeln!(
        file,
        "public enum {name}: String, Sendable, Hashable, Codable, CaseIterable {{"
    )?;
    for (value, meaning) in values {
        documentation(file, "    ", meaning);
        writeln!(file, "    case {value}")?;
    }
    writeln!(file, "}}")
}

fn open_enum(
    file: &mut String,
    declaration: &TypeDeclaration,
    values: &[(String, String)],
) -> std::fmt::Result {
    let name = &declaration.name;
    writeln!(file, "public enum {name}: Sendable, Hashable, Codable {{")?;
    for (value, meaning) in values {
        documentation(file, "    ", meaning);
        writeln!(file, "    case {value}")?;
    }
    writeln!(
        file,
        "    /// A value from a newer server, kept as its text.\n    case unknown(String)\n"
    )?;
    writeln!(
        file,
        "    /// Every value that this version knows.\n    public static let known: [{name}] = [{}]\n",
        values
            .iter()
            .map(|(value, _)| format!(".{value}"))
            .collect::<Vec<_>>()
            .join(", ")
    )?;
    writeln!(
        file,
        "    /// The value that this text of the wire is.\n    public init(wire text: String) {{\n        switch text {{"
    )?;
    for (value, _) in values {
        writeln!(file, "        case \"{value}\": self = .{value}")?;
    }
    writeln!(
        file,
        "        default: self = .unknown(text)\n        }}\n    }}\n"
    )?;
    writeln!(
        file,
        "    /// Its text on the wire.\n    public var wire: String {{\n        switch self {{"
    )?;
    for (value, _) in values {
        writeln!(file, "        case .{value}: \"{value}\"")?;
    }
    writeln!(
        file,
        "        case .unknown(let text): text\n        }}\n    }}\n"
    )?;
    writeln!(
        file,
        "    public init(from decoder: any Decoder) throws {{\n        self.init(wire: try decoder.singleValueContainer().decode(String.self))\n    }}\n"
    )?;
    writeln!(
        file,
        "    public func encode(to encoder: any Encoder) throws {{\n        var container = encoder.singleValueContainer()\n        try container.encode(wire)\n    }}\n}}"
    )
}

fn structure(
    file: &mut String,
    declaration: &TypeDeclaration,
    fields: &[Field],
) -> std::fmt::Result {
    writeln!(
        file,
        "public struct {}: Sendable, Hashable, Codable {{",
        declaration.name
    )?;
    for field in fields {
        documentation(file, "    ", &field.documentation);
        let name = identifier(&field.name);
        writeln!(file, "    public var {name}: {}", property_type(field))?;
    }
    let parameters: Vec<String> = fields
        .iter()
        .map(|field| {
            let default = match default_value(field) {
                Some(default) => format!(" = {default}"),
                None => String::new(),
            };
            let name = identifier(&field.name);
            format!("        {name}: {}{default}", property_type(field))
        })
        .collect();
    writeln!(
        file,
        "\n    public init(\n{}\n    ) {{",
        parameters.join(",\n")
    )?;
    for field in fields {
        writeln!(file, "        self.{0} = {0}", identifier(&field.name))?;
    }
    writeln!(file, "    }}\n")?;
    writeln!(
        file,
        "    public init(from decoder: any Decoder) throws {{\n        let container = try decoder.container(keyedBy: CodingKeys.self)"
    )?;
    for field in fields {
        let (name, base) = (identifier(&field.name), swift_type(&field.field_type));
        match default_value(field).as_deref() {
            None => writeln!(
                file,
                "        {name} = try container.decode({base}.self, forKey: .{name})"
            )?,
            Some("nil") => writeln!(
                file,
                "        {name} = try container.decodeIfPresent({base}.self, forKey: .{name})"
            )?,
            Some(default) => writeln!(
                file,
                "        {name} = try container.decodeIfPresent({base}.self, forKey: .{name}) ?? {default}"
            )?,
        }
    }
    writeln!(file, "    }}\n}}")
}

/// Keywords that must be quoted if a property has their name.
///
/// Source: "Keywords and Punctuation" in *The Swift Programming Language*.
const KEYWORDS: [&str; 17] = [
    "case",
    "class",
    "default",
    "enum",
    "extension",
    "func",
    "import",
    "in",
    "init",
    "internal",
    "operator",
    "private",
    "protocol",
    "public",
    "static",
    "struct",
    "where",
];

/// Returns the name of a field as a Swift identifier, quoted if it is a keyword.
fn identifier(name: &str) -> String {
    match KEYWORDS.contains(&name) {
        true => format!("`{name}`"),
        false => name.to_owned(),
    }
}

fn property_type(field: &Field) -> String {
    let base = swift_type(&field.field_type);
    match field.default {
        Some(DefaultValue::Null) => base + "?",
        _ => base,
    }
}

fn default_value(field: &Field) -> Option<String> {
    Some(match field.default.as_ref()? {
        DefaultValue::Null => "nil".to_owned(),
        DefaultValue::False => "false".to_owned(),
        DefaultValue::EmptyList => "[]".to_owned(),
        DefaultValue::EnumValue(value) => format!(".{value}"),
    })
}

fn swift_type(field_type: &FieldType) -> String {
    match field_type {
        FieldType::String => "String".to_owned(),
        // `Int` has 64 bits on every supported system.
        FieldType::Integer => "Int".to_owned(),
        FieldType::Boolean => "Bool".to_owned(),
        FieldType::Named(name) => name.clone(),
        FieldType::List(item) => format!("[{}]", swift_type(item)),
    }
}

fn documentation(file: &mut String, indent: &str, text: &str) {
    for line in text.replace("`null`", "`nil`").lines() {
        let line = format!("{indent}/// {line}");
        file.push_str(line.trim_end());
        file.push('\n');
    }
}
