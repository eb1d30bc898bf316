//! The documents of `--format json`, and the check of a document against its JSON Schema.

use std::path::Path;
use std::sync::LazyLock;

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::Value;

/// The first argument of the program, and the name of the schema of its document in `schema/program`.
const TABLE: &[(&str, &str)] = &[
    ("check", "check"),
    ("clients", "clients"),
    ("demo", "check"),
    ("explain", "explain"),
    ("follow", "follow"),
    ("status", "status"),
    ("store", "store-stats"),
];
const DRY_RUN: &str = "check-dry-run";

struct Compiled {
    schemas: Schemas,
    dry_run: SchemaIndex,
    indexes: Vec<(&'static str, SchemaIndex)>,
}

static COMPILED: LazyLock<Compiled> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schema/program");
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    let mut compile = |name: &str| {
        let path = folder.join(format!("{name}.json"));
        compiler
            .compile(path.to_str().unwrap(), &mut schemas)
            .unwrap()
    };
    let dry_run = compile(DRY_RUN);
    let indexes = TABLE
        .iter()
        .map(|(command, name)| (*command, compile(name)));
    let indexes = indexes.collect();
    Compiled {
        schemas,
        dry_run,
        indexes,
    }
});

/// Panics if the document of the program with these arguments does not conform to its schema.
pub fn check(arguments: &[String], document: &Value) {
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    let index = match has("--dry-run") {
        true => Some(COMPILED.dry_run),
        false => {
            let mut commands = COMPILED.indexes.iter();
            commands.find_map(|(command, index)| has(command).then_some(*index))
        }
    };
    let index = index.unwrap_or_else(|| panic!("no schema for {arguments:?}"));
    if let Err(error) = COMPILED.schemas.validate(document, index) {
        panic!("{arguments:?} does not conform to its schema: {error:#}\n{document:#}");
    }
}

/// The names of the schemas in use.
pub fn names() -> Vec<&'static str> {
    let names = TABLE.iter().map(|(_, name)| *name);
    names.chain([DRY_RUN]).collect()
}
