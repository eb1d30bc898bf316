//! Reduces metadata documents to the fields that a client needs, with bounded lists, before anything else reads them.
//! It sends no request.

use std::collections::HashSet;

use serde_json::{Map, Value, json};
use url::Url;

use crate::oauth::resource::is_part_of;
use crate::oauth::scopes;

/// The maximum number of authorization servers of a resource.
pub(super) const MAX_AUTHORIZATION_SERVERS: usize = 8;
/// The maximum number of entries of a list in the metadata of an authorization server.
const MAX_ENTRIES: usize = 256;
/// The fields of an authorization server's metadata that are used (RFC 8414, section 2; RFC 7009; RFC 9207).
const FIELDS: [&str; 12] = [
    "issuer",
    "authorization_endpoint",
    "token_endpoint",
    "registration_endpoint",
    "revocation_endpoint",
    "scopes_supported",
    "response_types_supported",
    "code_challenge_methods_supported",
    "token_endpoint_auth_methods_supported",
    "revocation_endpoint_auth_methods_supported",
    "client_id_metadata_document_supported",
    "authorization_response_iss_parameter_supported",
];
/// Takes the place of a `resource` that does not apply, so that the SDK refuses the document too.
const ANOTHER_RESOURCE: &str = "urn:another-resource";

/// The protected-resource metadata in a document (RFC 9728, section 2).
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ResourceMetadata {
    /// The document applies to the server.
    Accepted {
        resource: String,
        scopes: Vec<String>,
        names_servers: bool,
    },
    /// The document names another resource.
    Rejected,
    /// The document is no such metadata.
    Absent,
}

/// Reads the protected-resource metadata of `server`, and returns the document for the SDK. Its `resource` is the URL
/// of the server if the document applies, because the SDK refuses a trailing slash, which MCP asks clients to accept.
pub(super) fn resource_metadata(document: &[u8], server: &Url) -> (ResourceMetadata, Vec<u8>) {
    let published: Option<Map<String, Value>> = serde_json::from_slice(document).ok();
    let reduced = published.and_then(|published| {
        let server_of_a_draft = string(&published, "authorization_server")?;
        let servers = strings(&published, "authorization_servers")?;
        let scopes = strings(&published, "scopes_supported")?;
        let resource = string(&published, "resource")?;
        let mut seen = HashSet::new();
        let servers: Vec<&str> = server_of_a_draft
            .into_iter()
            .chain(servers)
            .map(str::trim)
            .filter(|server| !server.is_empty() && seen.insert(*server))
            .take(MAX_AUTHORIZATION_SERVERS)
            .collect();
        let (metadata, for_the_sdk) = match resource {
            None => (ResourceMetadata::Absent, Value::Null),
            Some(resource) if is_part_of(server, resource) => {
                let metadata = ResourceMetadata::Accepted {
                    resource: resource.to_owned(),
                    scopes: scopes::bounded(scopes),
                    names_servers: !servers.is_empty(),
                };
                let mut server = server.clone();
                server.set_fragment(None);
                (metadata, server.as_str().into())
            }
            Some(resource) => {
                let is_valid = Url::parse(resource).is_ok_and(|url| url.fragment().is_none());
                let another = match is_valid {
                    true => ANOTHER_RESOURCE,
                    false => resource,
                };
                (ResourceMetadata::Rejected, another.into())
            }
        };
        let mut document = Map::new();
        if !for_the_sdk.is_null() {
            document.insert("resource".to_owned(), for_the_sdk);
        }
        if !servers.is_empty() {
            document.insert("authorization_servers".to_owned(), json!(servers));
        }
        Some((metadata, serde_json::to_vec(&document).ok()?))
    });
    // The SDK treats an empty document like any other that is not JSON.
    reduced.unwrap_or((ResourceMetadata::Absent, Vec::new()))
}

/// The metadata of an authorization server, reduced for the SDK.
pub(super) fn authorization_server_metadata(document: &[u8]) -> Vec<u8> {
    let Ok(mut metadata) = serde_json::from_slice::<Map<String, Value>>(document) else {
        return Vec::new();
    };
    metadata.retain(|name, _| FIELDS.contains(&name.as_str()));
    for value in metadata.values_mut() {
        if let Value::Array(entries) = value {
            entries.truncate(MAX_ENTRIES);
        }
    }
    serde_json::to_vec(&metadata).unwrap_or_default()
}

/// A field with a string; `None` if it has another type.
fn string<'a>(document: &'a Map<String, Value>, name: &str) -> Option<Option<&'a str>> {
    match document.get(name) {
        None | Some(Value::Null) => Some(None),
        Some(value) => Some(Some(value.as_str()?)),
    }
}

/// A field with a list of strings; `None` if it has another type.
fn strings<'a>(document: &'a Map<String, Value>, name: &str) -> Option<Vec<&'a str>> {
    match document.get(name) {
        None | Some(Value::Null) => Some(Vec::new()),
        Some(value) => value.as_array()?.iter().map(Value::as_str).collect(),
    }
}
