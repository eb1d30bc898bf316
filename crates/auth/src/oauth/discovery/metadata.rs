//! Reduces metadata documents to the fields that a client needs, with bounded lists, before anything else reads them.
//! It sends no request.

use std::collections::HashSet;

use rmcp::transport::auth::AuthorizationMetadata;
use serde_json::{Map, Value};
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
/// The protected-resource metadata in a document (RFC 9728, section 2).
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ResourceMetadata {
    /// The document applies to the server.
    Accepted {
        resource: String,
        scopes: Vec<String>,
        servers: Vec<String>,
    },
    /// The document names another resource.
    Rejected,
    /// The document names no resource, or not by a URL.
    Invalid,
    /// The document is JSON, but no such metadata: a field has the wrong type, for example.
    Malformed,
    /// The document is something else, such as a page.
    Absent,
}

/// Reads the protected-resource metadata of `server`.
pub(super) fn resource_metadata(document: &[u8], server: &Url) -> ResourceMetadata {
    read_resource_metadata(document, server).unwrap_or_else(|| {
        match document.trim_ascii_start().first() {
            Some(b'{' | b'[') => ResourceMetadata::Malformed,
            _ => ResourceMetadata::Absent,
        }
    })
}

fn read_resource_metadata(document: &[u8], server: &Url) -> Option<ResourceMetadata> {
    let published: Map<String, Value> = serde_json::from_slice(document).ok()?;
    let server_of_a_draft = string(&published, "authorization_server")?;
    let servers = strings(&published, "authorization_servers")?;
    let scopes = strings(&published, "scopes_supported")?;
    let Some(resource) = string(&published, "resource")? else {
        return Some(ResourceMetadata::Invalid);
    };
    if !is_part_of(server, resource) {
        let is_valid = Url::parse(resource).is_ok_and(|url| url.fragment().is_none());
        return Some(match is_valid {
            true => ResourceMetadata::Rejected,
            false => ResourceMetadata::Invalid,
        });
    }
    let mut seen = HashSet::new();
    let servers = server_of_a_draft
        .into_iter()
        .chain(servers)
        .map(str::trim)
        .filter(|server| !server.is_empty() && seen.insert(*server))
        .take(MAX_AUTHORIZATION_SERVERS);
    Some(ResourceMetadata::Accepted {
        resource: resource.to_owned(),
        scopes: scopes::bounded(scopes),
        servers: servers.map(str::to_owned).collect(),
    })
}

/// The metadata of an authorization server, reduced to the fields that a client needs. `None` if the document is no such
/// metadata.
pub(super) fn authorization_server_metadata(document: &[u8]) -> Option<AuthorizationMetadata> {
    let mut metadata: Map<String, Value> = serde_json::from_slice(document).ok()?;
    metadata.retain(|name, _| FIELDS.contains(&name.as_str()));
    for value in metadata.values_mut() {
        if let Value::Array(entries) = value {
            entries.truncate(MAX_ENTRIES);
        }
    }
    serde_json::from_value(Value::Object(metadata)).ok()
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
