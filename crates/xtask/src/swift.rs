//! The types in Swift: enums of texts, and structs.

use std::error::Error;
use std::fmt::Write;

use crate::model::{Absent, Declared, Field, Kind, Shape, declared};

/// One file with every type but the notification.
pub fn types() -> Result<String, Box<dyn Error>> {
    let mut file = String::from(
        "// Generated from the Rust types by `cargo xtask types`. Do not edit it by hand.\n",
    );
    for declared in declared()? {
        file.push('\n');
        documentation(&mut file, "", &declared.documentation);
        match &declared.shape {
            Shape::Enum { values, is_open } => match is_open {
                true => open_enum(&mut file, &declared, values)?,
                false => closed_enum(&mut file, &declared, values)?,
            },
            Shape::Struct(fields) => structure(&mut file, &declared, fields)?,
        }
    }
    Ok(file)
}

fn closed_enum(
    file: &mut String,
    declared: &Declared,
    values: &[(String, String)],
) -> std::fmt::Result {
    let name = &declared.name;
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
    declared: &Declared,
    values: &[(String, String)],
) -> std::fmt::Result {
    let name = &declared.name;
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

fn structure(file: &mut String, declared: &Declared, fields: &[Field]) -> std::fmt::Result {
    writeln!(
        file,
        "public struct {}: Sendable, Hashable, Codable {{",
        declared.name
    )?;
    for field in fields {
        documentation(file, "    ", &field.documentation);
        let name = identifier(&field.name);
        writeln!(file, "    public var {name}: {}", type_of(field))?;
    }
    let parameters: Vec<String> = fields
        .iter()
        .map(|field| {
            let default = match default_of(field) {
                Some(default) => format!(" = {default}"),
                None => String::new(),
            };
            let name = identifier(&field.name);
            format!("        {name}: {}{default}", type_of(field))
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
        let (name, base) = (identifier(&field.name), swift_type(&field.kind));
        match default_of(field).as_deref() {
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

/// The words that can't be the name of a property as they are (The Swift Programming Language, "Keywords and Punctuation").
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

/// A field's name as Swift takes it.
fn identifier(name: &str) -> String {
    match KEYWORDS.contains(&name) {
        true => format!("`{name}`"),
        false => name.to_owned(),
    }
}

fn type_of(field: &Field) -> String {
    let base = swift_type(&field.kind);
    match field.absent {
        Some(Absent::Nothing) => base + "?",
        _ => base,
    }
}

fn default_of(field: &Field) -> Option<String> {
    Some(match field.absent.as_ref()? {
        Absent::Nothing => "nil".to_owned(),
        Absent::False => "false".to_owned(),
        Absent::EmptyList => "[]".to_owned(),
        Absent::Value(value) => format!(".{value}"),
    })
}

fn swift_type(kind: &Kind) -> String {
    match kind {
        Kind::Text => "String".to_owned(),
        // 64 bits on every system that is left.
        Kind::Integer => "Int".to_owned(),
        Kind::Boolean => "Bool".to_owned(),
        Kind::Named(name) => name.clone(),
        Kind::List(item) => format!("[{}]", swift_type(item)),
    }
}

fn documentation(file: &mut String, indent: &str, text: &str) {
    for line in text.replace("`null`", "`nil`").lines() {
        let line = format!("{indent}/// {line}");
        file.push_str(line.trim_end());
        file.push('\n');
    }
}
