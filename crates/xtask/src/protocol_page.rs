//! `docs/protocol.md`: what each type, field and value means.
//!
//! What the page says of a type is the type's own documentation. What it says of behaviour (examples, how a line is read,
//! what evidence is judged to be, what a refusal means) is worked out here by the functions that it speaks of.

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt::Write;

use mcp_startup_core::refusal::{RefusalMeaning, meaning};
use mcp_startup_core::{
    ClientSource, DecodeErrorKind, Evidence, MAX_LINE_BYTES, METHOD, McpAuthStatus,
    McpServerStatusUpdatedNotification, decode, encode, judge,
};
use serde_json::Value;

use crate::markdown::{code, row};
use crate::schemas::{self, description, text, variants};
use crate::{documentation, examples, field_order};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The page as Markdown.
pub fn page() -> Result<String> {
    let sections = [
        introduction(),
        notification()?,
        reading()?,
        tracker()?,
        auth_status()?,
        failure()?,
        evidence()?,
        refusals()?,
    ];
    Ok(sections.join("\n"))
}

fn introduction() -> String {
    format!(
        "\
# The protocol

*Generated from the types' own documentation by `cargo xtask generate`: change the types in `crates/core`, not this page.*

When an app starts a user's MCP servers, it tells its client what becomes of each by a JSON-RPC notification,
`{METHOD}`. Behind a failed start stands a richer answer, the
[`StartupFailure`](#startupfailure), which is judged from the [`Evidence`](#evidence) of that start.

| JSON Schema (draft-07) | of |
| --- | --- |
| [`McpServerStatusUpdatedNotification.json`](../schema/McpServerStatusUpdatedNotification.json) | the notification's params, as they are written |
| [`McpServerStatusUpdatedNotification.lenient.json`](../schema/McpServerStatusUpdatedNotification.lenient.json) | the same, as they are read: values from a newer server pass |
| [`StartupFailure.json`](../schema/StartupFailure.json) | the verdict on a failed start |
| [`Evidence.json`](../schema/Evidence.json) | the facts that it is judged by |
"
    )
}

// --- the notification -------------------------------------------------------------------------------------------------

fn notification() -> Result<String> {
    let schema = schemas::documented_notification()?;
    let failure = judge(evidence_from(
        r#"{
            "server": "linear",
            "credential": {"source": "stored", "worth": {"accessToken": "expired", "refreshToken": false}},
            "requests": [{"to": "mcp", "credentialSent": "stored", "status": 401}]
        }"#,
    )?);
    let lines = [
        McpServerStatusUpdatedNotification::starting("linear"),
        McpServerStatusUpdatedNotification::from_failure("linear", &failure),
    ];
    let mut page = format!(
        "## The notification\n\nMethod `{METHOD}`, one message a line. A start that failed because the user has to sign in again:\n\n```json\n"
    );
    for line in &lines {
        writeln!(page, "{}", encode(line))?;
    }
    write!(
        page,
        "```\n\n### McpServerStatusUpdatedNotification\n\n{}\n\n",
        description(&schema)?
    )?;
    page.push_str("| field | type | when reading | meaning |\n| --- | --- | --- | --- |\n");
    let required = schema["required"].as_array().ok_or("nothing is required")?;
    for field in field_order::of("McpServerStatusUpdatedNotification")? {
        let property = &schema["properties"][&field];
        let when_reading = match required.iter().any(|name| name == &field) {
            true => "required",
            false => "may be absent",
        };
        let type_ = property_type(property)?;
        let nullable = match is_nullable(property) {
            true => " or `null`",
            false => "",
        };
        row(
            &mut page,
            &[
                &code(&field),
                &format!("{type_}{nullable}"),
                when_reading,
                description(property)?,
            ],
        )?;
    }
    for name in ["McpServerStartupState", "McpServerStartupFailureReason"] {
        enum_section(&mut page, name, &schema["definitions"][name], "value")?;
    }
    Ok(page)
}

/// What is read, and what it is an example of: each is really read when the page is made.
const READING: &[(&str, &str)] = &[
    (
        "only the required fields",
        r#"{"method":"mcpServer/startupStatus/updated","params":{"name":"a","status":"ready"}}"#,
    ),
    (
        "a state from a newer server",
        r#"{"method":"mcpServer/startupStatus/updated","params":{"name":"a","status":"paused"}}"#,
    ),
    (
        "a reason from a newer server",
        r#"{"method":"mcpServer/startupStatus/updated","params":{"name":"a","status":"failed","failureReason":"quotaExceeded"}}"#,
    ),
    (
        "more fields",
        r#"{"jsonrpc":"2.0","method":"mcpServer/startupStatus/updated","emittedAtMs":1,"params":{"name":"a","status":"ready","tools":3}}"#,
    ),
    (
        "a reason on a start that did not fail",
        r#"{"method":"mcpServer/startupStatus/updated","params":{"name":"a","status":"ready","failureReason":"reauthenticationRequired"}}"#,
    ),
    (
        "another message",
        r#"{"method":"thread/started","params":{}}"#,
    ),
    ("a response", r#"{"id":1,"result":{}}"#),
    ("a blank line", ""),
    (
        "a name of another type",
        r#"{"method":"mcpServer/startupStatus/updated","params":{"name":7,"status":"ready"}}"#,
    ),
    (
        "no status",
        r#"{"method":"mcpServer/startupStatus/updated","params":{"name":"a"}}"#,
    ),
    ("an array", "[]"),
    ("a line that was cut off", r#"{"method":"#),
];

fn reading() -> Result<String> {
    let mut page = String::from(
        "\
## Reading

What is written is closed; what is read is open, because a newer server may say more:

* A state or a reason that the reader does not know is kept as its text, and written again unchanged.
* Fields that the reader does not know are dropped, in the message and in the params.
* `failureReason` on a known state other than `failed` breaks the contract and is dropped, so that nobody is asked to
  sign in to a server that is ready.
* A well-formed message that is not this notification is passed over without an error.
* A bad line is an error that names the field. Among many lines it carries its number, and the others are kept.

| in the line | what is read |
| --- | --- |
",
    );
    for (what, line) in READING {
        let outcome = match decode(line.as_bytes()) {
            Ok(Some(notification)) => code(&serde_json::to_string(&notification)?),
            Ok(None) => "passed over".to_owned(),
            Err(error) => {
                let kind = serde_json::to_value(error.kind)?;
                let field = error
                    .field
                    .map_or_else(String::new, |field| format!(", field {}", code(field)));
                format!("error {}{field}: {}", code(text(&kind)?), error.message)
            }
        };
        let line = if line.is_empty() {
            String::new()
        } else {
            format!(": {}", code(&shortened(line)))
        };
        row(&mut page, &[&format!("{what}{line}"), &outcome])?;
    }
    let kinds = schemas::documented::<DecodeErrorKind>()?;
    enum_section(&mut page, "DecodeErrorKind", &kinds, "kind")?;
    writeln!(
        page,
        "\n`MAX_LINE_BYTES` is {MAX_LINE_BYTES} ({} MiB), and counts where lines are cut out of a stream of bytes.",
        MAX_LINE_BYTES / (1024 * 1024)
    )?;
    Ok(page)
}

/// A line without the method, which would fill the table.
fn shortened(line: &str) -> String {
    line.replace(&format!("\"method\":\"{METHOD}\""), "…")
}

/// What clients of this project fold notifications with, in every language alike.
fn tracker() -> Result<String> {
    const SOURCE: &str = include_str!("../../core/src/tracker.rs");
    let mut page = format!(
        "## StartupTracker\n\n{}\n\n| operation | what it does |\n| --- | --- |\n",
        documentation::of_type(SOURCE, "StartupTracker")?
    );
    let operations = documentation::of_accessors(SOURCE, "StartupTracker")?;
    let order = [
        "withLimit",
        "apply",
        "applyLines",
        "servers",
        "server",
        "reauthenticationRequired",
        "remove",
    ];
    for name in order {
        let meaning = operations
            .get(name)
            .ok_or_else(|| format!("StartupTracker has no documented {name}"))?;
        row(&mut page, &[&code(name), &meaning.replace('\n', " ")])?;
    }
    Ok(page)
}

fn auth_status() -> Result<String> {
    let mut page = String::new();
    let schema = schemas::documented::<McpAuthStatus>()?;
    type_section(&mut page, "##", "McpAuthStatus", &schema, "value")?;
    page.push_str(
        "\nWhere nobody has asked the server, `notLoggedIn` and `unsupported` can't be told apart, and the status is `null`.\n",
    );
    Ok(page)
}

// --- the verdict ------------------------------------------------------------------------------------------------------

fn failure() -> Result<String> {
    let schema = schemas::startup_failure()?;
    let definitions = &schema["definitions"];
    let kinds = examples::kinds(definitions)?;

    let mut page = format!("## StartupFailure\n\n{}\n\n", description(&schema)?);
    page.push_str("| field | type | meaning |\n| --- | --- | --- |\n");
    for field in field_order::of("StartupFailure")? {
        let property = &schema["properties"][&field];
        row(
            &mut page,
            &[
                &code(&field),
                &property_type(property)?,
                description(property)?,
            ],
        )?;
    }

    write!(
        page,
        "\n### StartupFailureKind\n\n{} The kinds are tried from the top, and the first that holds, wins.\n\n",
        description(&definitions["StartupFailureKind"])?
    )?;
    page.push_str("| kind | meaning | recovery |\n| --- | --- | --- |\n");
    for kind in &kinds {
        let recoveries: Vec<String> = kind
            .recoveries
            .iter()
            .map(|recovery| code(&recovery.name))
            .collect();
        row(
            &mut page,
            &[&code(&kind.name), &kind.meaning, &recoveries.join(" or ")],
        )?;
    }
    page.push_str(
        "\n[failures.md](failures.md) has each kind with the messages that a person reads.\n",
    );

    enum_section(&mut page, "Recovery", &definitions["Recovery"], "recovery")?;

    page.push_str(
        "\n### From evidence to kind\n\nThe least evidence that is enough for each kind, as `judge` judges it: nothing of it could be left out.\n\n\
         | evidence | kind | recovery |\n| --- | --- | --- |\n",
    );
    for kind in &kinds {
        for recovery in &kind.recoveries {
            let evidence = serde_json::to_string(&recovery.least_evidence)?;
            row(
                &mut page,
                &[&code(&evidence), &code(&kind.name), &code(&recovery.name)],
            )?;
        }
    }
    Ok(page)
}

fn evidence_from(json: &str) -> Result<Evidence> {
    serde_json::from_str(json).map_err(|error| format!("{json}: {error}").into())
}

// --- the evidence -----------------------------------------------------------------------------------------------------

fn evidence() -> Result<String> {
    let schema = schemas::evidence()?;
    let mut page = String::new();
    type_section(&mut page, "##", "Evidence", &schema, "value")?;
    let mut seen = BTreeSet::new();
    nested_types(
        &mut page,
        "Evidence",
        &schema,
        &schema["definitions"],
        &mut seen,
    )?;
    Ok(page)
}

/// The types of the fields of a type, each followed by those of its own, once, in the order of the fields.
fn nested_types(
    page: &mut String,
    name: &str,
    schema: &Value,
    definitions: &Value,
    seen: &mut BTreeSet<String>,
) -> Result<()> {
    if !schema["properties"].is_object() {
        return Ok(());
    }
    for field in field_order::of(name)? {
        let Some(nested) = reference(&schema["properties"][&field]) else {
            continue;
        };
        if seen.insert(nested.to_owned()) {
            let definition = &definitions[nested];
            page.push('\n');
            type_section(page, "###", nested, definition, "value")?;
            nested_types(page, nested, definition, definitions, seen)?;
        }
    }
    Ok(())
}

// --- refusals ---------------------------------------------------------------------------------------------------------

/// Code, meaning, source, separated by tabs: the table that core reads, for its codes and their sources.
const REFUSALS: &str = include_str!("../../core/src/refusals.tsv");

fn refusals() -> Result<String> {
    let mut page = String::from(
        "\
## Refusals of a refresh

What it means that an authorization server refused to refresh a token decides whether a stored credential is spent. It is
told from the code of the OAuth error in the body, whatever the HTTP status is, `200` included; but an answer with `429`
or `5xx`, and one without such a code, is no refusal yet.
",
    );
    let meanings = schemas::documented::<RefusalMeaning>()?;
    enum_section(&mut page, "RefusalMeaning", &meanings, "value")?;
    page.push_str("\n### Codes\n\n| answer | meaning | source |\n| --- | --- | --- |\n");
    for line in REFUSALS
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let columns: Vec<&str> = line.split('\t').collect();
        let [error_code, _, source] = columns[..] else {
            return Err(format!("refusals.tsv: not three columns: {line}").into());
        };
        let source = format!("[{}]({source})", source_name(source));
        row(
            &mut page,
            &[
                &code(error_code),
                &meaning_of(400, Some(error_code))?,
                &source,
            ],
        )?;
    }
    let any = Some("invalid_grant");
    for (answer, status, error_code) in [
        ("any other code", 400, Some("any_other")),
        ("`429` or `5xx`, with any code or none", 503, any),
        ("any other status, without a code", 400, None),
    ] {
        row(&mut page, &[answer, &meaning_of(status, error_code)?, ""])?;
    }
    Ok(page)
}

/// What `meaning` says: for a registered OAuth client, and for those from elsewhere where that makes a difference.
fn meaning_of(status: u16, error_code: Option<&str>) -> Result<String> {
    let clients = [
        ("a registered client", Some(ClientSource::Registration)),
        ("a metadata document", Some(ClientSource::MetadataDocument)),
        (
            "a client of the configuration",
            Some(ClientSource::Configuration),
        ),
        ("a client of unknown origin", None),
    ];
    let mut by_meaning: Vec<(RefusalMeaning, Vec<&str>)> = Vec::new();
    for (client, source) in clients {
        let found = meaning(Some(status), error_code, source);
        match by_meaning.iter_mut().find(|(other, _)| *other == found) {
            Some((_, clients)) => clients.push(client),
            None => by_meaning.push((found, vec![client])),
        }
    }
    let parts: Vec<String> = by_meaning
        .into_iter()
        .enumerate()
        .map(|(index, (meaning, clients))| {
            let name = code(meaning_name(meaning));
            match index {
                0 => name,
                _ => format!("with {} {name}", clients.join(" or ")),
            }
        })
        .collect();
    Ok(parts.join("; "))
}

/// The name that the schema gives a meaning, which core never writes.
fn meaning_name(meaning: RefusalMeaning) -> &'static str {
    match meaning {
        RefusalMeaning::Spent => "spent",
        RefusalMeaning::ClientRejected => "clientRejected",
        RefusalMeaning::Misconfigured => "misconfigured",
        RefusalMeaning::Undecided => "undecided",
        RefusalMeaning::Transient => "transient",
    }
}

/// "RFC 6749, section 5.2" for a link into an RFC, else the host.
fn source_name(url: &str) -> String {
    let path = url.trim_start_matches("https://");
    let Some(rfc) = path.strip_prefix("www.rfc-editor.org/rfc/rfc") else {
        return path.split('/').next().unwrap_or_default().to_owned();
    };
    match rfc.split_once("#section-") {
        Some((number, section)) => format!("RFC {number}, section {section}"),
        None => format!("RFC {rfc}"),
    }
}

// --- Markdown ---------------------------------------------------------------------------------------------------------

fn enum_section(page: &mut String, name: &str, schema: &Value, column: &str) -> Result<()> {
    page.push('\n');
    type_section(page, "###", name, schema, column)
}

/// A heading, what the type is, and a table of its fields or values.
fn type_section(
    page: &mut String,
    heading: &str,
    name: &str,
    schema: &Value,
    column: &str,
) -> Result<()> {
    write!(page, "{heading} {name}\n\n{}\n\n", description(schema)?)?;
    if schema["properties"].is_object() {
        page.push_str("| field | type | meaning |\n| --- | --- | --- |\n");
        for field in field_order::of(name)? {
            let property = &schema["properties"][&field];
            row(
                page,
                &[
                    &code(&field),
                    &property_type(property)?,
                    description(property)?,
                ],
            )?;
        }
    } else {
        writeln!(page, "| {column} | meaning |\n| --- | --- |")?;
        for (value, meaning) in variants(schema)? {
            row(page, &[&code(value), meaning])?;
        }
    }
    Ok(())
}

/// The type of a property, and its default; that it may be null is for the caller to say.
fn property_type(property: &Value) -> Result<String> {
    let type_ = match &property["type"] {
        Value::Array(types) => types.iter().find(|type_| *type_ != "null"),
        type_ => Some(type_),
    };
    let type_ = match (type_.and_then(Value::as_str), reference(property)) {
        (Some("array"), _) => format!("list of {}", property_type(&property["items"])?),
        (_, Some(name)) => format!("[`{name}`](#{})", name.to_lowercase()),
        (Some(type_), None) => type_.to_owned(),
        (None, None) => return Err(format!("no type: {property}").into()),
    };
    Ok(match property.get("default") {
        None => type_,
        Some(Value::String(default)) => format!("{type_}, else `{default}`"),
        Some(default) => format!("{type_}, else `{default}`"),
    })
}

fn is_nullable(property: &Value) -> bool {
    let among = |values: &Value, null: &Value| {
        values
            .as_array()
            .is_some_and(|values| values.contains(null))
    };
    among(&property["type"], &"null".into())
        || among(&property["anyOf"], &serde_json::json!({ "type": "null" }))
}

/// The name of the type that a property refers to: by itself, in an `allOf` or `anyOf`, or for each item.
fn reference(property: &Value) -> Option<&str> {
    if let Some(path) = property["$ref"].as_str() {
        return path.strip_prefix("#/definitions/");
    }
    let several = property["allOf"]
        .as_array()
        .or(property["anyOf"].as_array());
    several
        .into_iter()
        .flatten()
        .chain(property.get("items"))
        .find_map(reference)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schema_that_the_page_links_to_is_generated() {
        let page = page().unwrap();
        let files = crate::generate::files().unwrap();
        let schemas = files.iter().filter(|file| file.path.starts_with("schema/"));
        assert_eq!(
            page.matches("](../schema/").count(),
            schemas.clone().count()
        );
        for schema in schemas {
            assert!(
                page.contains(&format!("](../{})", schema.path)),
                "{}",
                schema.path
            );
        }
    }

    #[test]
    fn refusals_are_told_by_where_the_client_comes_from() {
        let meanings = schemas::documented::<RefusalMeaning>().unwrap();
        let names: Vec<&str> = variants(&meanings)
            .unwrap()
            .iter()
            .map(|(name, _)| *name)
            .collect();
        let all = [
            RefusalMeaning::Spent,
            RefusalMeaning::ClientRejected,
            RefusalMeaning::Misconfigured,
            RefusalMeaning::Undecided,
            RefusalMeaning::Transient,
        ];
        assert_eq!(all.map(meaning_name).as_slice(), names);
        assert_eq!(meaning_of(400, Some("invalid_grant")).unwrap(), "`spent`");
        assert_eq!(
            meaning_of(401, Some("invalid_client")).unwrap(),
            "`spent`; with a client of the configuration `clientRejected`; with a client of unknown origin `undecided`"
        );
        assert_eq!(
            source_name("https://www.rfc-editor.org/rfc/rfc6749#section-5.2"),
            "RFC 6749, section 5.2"
        );
        assert_eq!(
            source_name("https://docs.example/reference#x"),
            "docs.example"
        );
    }
}
