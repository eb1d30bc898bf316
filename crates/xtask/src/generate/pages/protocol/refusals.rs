//! The meaning of each refusal of a token refresh, as `refusal::meaning` returns it.

use mcp_startup_core::ClientSource;
use mcp_startup_core::refusal::{RefusalMeaning, meaning};

use super::Result;
use super::type_sections::enum_section;
use crate::generate::pages::markdown::{code, table_row};
use crate::generate::{core_sources, schemas};

/// Returns the section as Markdown.
pub fn section() -> Result<String> {
    let mut page = String::from(
        "\
## Refusals of a refresh

If a token refresh returns no token, its response decides whether the stored credential can still be used. The meaning of a
response depends on the OAuth error code in its body, with any HTTP status including `200`. Codes are compared
exactly, case and spaces included (RFC 6749, section 5.2). A response with the status `408`, `425`, `429` or `5xx` is not a refusal.
If the meaning is `undecided`, the failure has the [recovery](#recovery) `retry` and the fallback `reauthenticate`.
",
    );
    let meanings = schemas::documented::<RefusalMeaning>()?;
    enum_section(&mut page, "RefusalMeaning", &meanings, "Value")?;
    page.push_str("\n### Codes\n\n| Response | Meaning | Source |\n| --- | --- | --- |\n");
    for line in core_sources::REFUSALS
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let columns: Vec<&str> = line.split('\t').collect();
        let [error_code, _, source] = columns[..] else {
            return Err(format!("refusals.tsv: expected three columns: {line}").into());
        };
        let source = format!("[{}]({source})", source_name(source));
        table_row(
            &mut page,
            &[
                &code(error_code),
                &describe_meaning(400, Some(error_code))?,
                &source,
            ],
        )?;
    }
    let any = Some("invalid_grant");
    for (answer, status, error_code) in [
        ("any other error code", 400, Some("any_other")),
        (
            "`408`, `425`, `429` or `5xx`, with or without an error code",
            503,
            any,
        ),
        ("any other status, without an error code", 400, None),
    ] {
        table_row(
            &mut page,
            &[answer, &describe_meaning(status, error_code)?, ""],
        )?;
    }
    Ok(page)
}

/// Describes the meaning of a refusal: for a registered OAuth client, and for clients from other sources if it differs.
fn describe_meaning(status: u16, error_code: Option<&str>) -> Result<String> {
    let clients = [
        ("a registered client", Some(ClientSource::Registration)),
        ("a metadata document", Some(ClientSource::MetadataDocument)),
        ("a configured client", Some(ClientSource::Configuration)),
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
                _ => format!("{name} for {}", clients.join(" or ")),
            }
        })
        .collect();
    Ok(parts.join("; "))
}

/// Returns the name of a meaning in the schema. `RefusalMeaning` does not implement `Serialize`.
fn meaning_name(meaning: RefusalMeaning) -> &'static str {
    match meaning {
        RefusalMeaning::Spent => "spent",
        RefusalMeaning::ClientRejected => "clientRejected",
        RefusalMeaning::Misconfigured => "misconfigured",
        RefusalMeaning::Undecided => "undecided",
        RefusalMeaning::Transient => "transient",
    }
}

/// Returns the text of a link to a source: `RFC 6749, section 5.2` for a section of an RFC, otherwise the host.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::schemas::enum_variants;

    #[test]
    fn the_meaning_depends_on_the_source_of_the_client() {
        let meanings = schemas::documented::<RefusalMeaning>().unwrap();
        let names: Vec<&str> = enum_variants(&meanings)
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
        assert_eq!(
            describe_meaning(400, Some("invalid_grant")).unwrap(),
            "`spent`"
        );
        assert_eq!(
            describe_meaning(401, Some("invalid_client")).unwrap(),
            "`spent`; `clientRejected` for a configured client; `undecided` for a client of unknown origin"
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
