//! Reduces metadata documents to the fields that a client needs, with bounded lists, before anything else reads them.
//! Names the field of a document that can't be used. It sends no request.

use std::collections::HashSet;

use mcp_startup_core::json_problem_at;
use rmcp::transport::auth::AuthorizationMetadata;
use serde_json::{Map, Value};
use url::Url;

use super::candidates::is_of_origin;
use crate::oauth::field_problem::{FieldType, quoted, type_problem};
use crate::oauth::resource::{is_part_of, is_server};
use crate::oauth::scopes;

/// The maximum number of authorization servers of a resource.
pub(super) const MAX_AUTHORIZATION_SERVERS: usize = 8;
/// The maximum number of entries of a list in the metadata of an authorization server.
const MAX_ENTRIES: usize = 256;
/// The fields of an authorization server's metadata that are used (RFC 8414, section 2; RFC 7009; RFC 9207).
const FIELDS: [&str; 15] = [
    "issuer",
    "authorization_endpoint",
    "token_endpoint",
    "registration_endpoint",
    "revocation_endpoint",
    "grant_types_supported",
    "scopes_supported",
    "response_types_supported",
    "code_challenge_methods_supported",
    "token_endpoint_auth_methods_supported",
    "revocation_endpoint_auth_methods_supported",
    "client_id_metadata_document_supported",
    "require_pushed_authorization_requests",
    "require_signed_request_object",
    "authorization_response_iss_parameter_supported",
];
/// The fields of protected-resource metadata that require tokens which are bound to a key of the client (RFC 9728, section 2).
pub(in crate::oauth) const BOUND_TOKENS: [&str; 2] = [
    "dpop_bound_access_tokens_required",
    "tls_client_certificate_bound_access_tokens",
];
/// The types of the fields that are read of protected-resource metadata.
const RESOURCE_TYPES: [(&str, FieldType); 4] = [
    ("resource", FieldType::Text),
    ("authorization_servers", FieldType::ListOfTexts),
    // The name in a draft of RFC 9728.
    ("authorization_server", FieldType::Text),
    ("scopes_supported", FieldType::ListOfTexts),
];
/// The types of the fields of an authorization server's metadata that [`AuthorizationMetadata`] requires.
const SERVER_TYPES: [(&str, FieldType); 7] = [
    ("issuer", FieldType::Text),
    ("authorization_endpoint", FieldType::RequiredText),
    ("token_endpoint", FieldType::RequiredText),
    ("registration_endpoint", FieldType::Text),
    ("scopes_supported", FieldType::ListOfTexts),
    ("response_types_supported", FieldType::ListOfTexts),
    ("code_challenge_methods_supported", FieldType::ListOfTexts),
];
/// The protected-resource metadata in a document (RFC 9728, section 2). A problem names the field.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ResourceMetadata {
    /// The document applies to the server.
    Accepted {
        resource: String,
        scopes: Vec<String>,
        servers: Vec<String>,
        /// The field that requires tokens which are bound to a key of the client.
        bound_tokens: Option<&'static str>,
    },
    /// The document names another resource.
    Rejected(String),
    /// The document names a parent of the server, and does not come from the operator of the whole origin.
    OfParent(String),
    /// The document names no resource, or not by a URL.
    Invalid(String),
    /// The document is JSON, but no such metadata: a field has the wrong type, for example.
    Malformed {
        /// Whether the document names this server as its resource, so that it is certainly its metadata.
        names_server: bool,
        problem: String,
    },
    /// The document is something else, such as a page.
    Absent,
}

/// Reads the protected-resource metadata of `server` in the document at `url`.
///
/// RFC 9728, section 3.3, requires that the document names the server. Many servers name their origin instead. That is accepted only of
/// a document of the operator of the origin: anyone else who has a path there could get a token for the whole origin.
pub(super) fn resource_metadata(document: &[u8], url: &Url, server: &Url) -> ResourceMetadata {
    let published = match json_object(document) {
        Ok(published) => published,
        Err(Some(problem)) => {
            return ResourceMetadata::Malformed {
                names_server: false,
                problem,
            };
        }
        Err(None) => return ResourceMetadata::Absent,
    };
    let resource = text(&published, "resource");
    if let Some(problem) = type_problem(&published, &RESOURCE_TYPES) {
        return ResourceMetadata::Malformed {
            names_server: resource.is_some_and(|resource| names(resource, url, server)),
            problem,
        };
    }
    let Some(resource) = resource else {
        return ResourceMetadata::Invalid("resource: is missing".to_owned());
    };
    if !is_part_of(server, resource) {
        let is_valid = Url::parse(resource).is_ok_and(|url| url.fragment().is_none());
        let quoted = quoted(&published["resource"]);
        return match is_valid {
            true => ResourceMetadata::Rejected(format!(
                "resource: must be the URL of the server, not {quoted}"
            )),
            false => ResourceMetadata::Invalid(format!(
                "resource: must be a URL without a fragment, not {quoted}"
            )),
        };
    }
    if !names(resource, url, server) {
        let quoted = quoted(&published["resource"]);
        return ResourceMetadata::OfParent(format!(
            "resource: must be the URL of the server, not {quoted}, which only a document below \
             /.well-known/oauth-protected-resource may name"
        ));
    }
    let mut seen = HashSet::new();
    let servers = text(&published, "authorization_server")
        .into_iter()
        .chain(texts(&published, "authorization_servers"))
        .map(str::trim)
        .filter(|server| !server.is_empty() && seen.insert(*server))
        .take(MAX_AUTHORIZATION_SERVERS);
    ResourceMetadata::Accepted {
        resource: resource.to_owned(),
        servers: servers.map(str::to_owned).collect(),
        scopes: scopes::bounded(texts(&published, "scopes_supported")),
        bound_tokens: BOUND_TOKENS
            .into_iter()
            .find(|name| published.get(*name) == Some(&Value::Bool(true))),
    }
}

/// Whether a document at `url` may name this resource as that of `server`.
fn names(resource: &str, url: &Url, server: &Url) -> bool {
    match is_of_origin(url, server) {
        true => is_part_of(server, resource),
        false => is_server(server, resource),
    }
}

/// The metadata of an authorization server in a document (RFC 8414, section 2).
pub(super) enum ServerMetadata {
    /// The metadata, reduced to the fields that a client needs.
    Valid(Box<AuthorizationMetadata>),
    /// The document is JSON, but no such metadata.
    Invalid {
        /// The issuer that the document names.
        issuer: Option<String>,
        /// The problem, with the field.
        problem: String,
    },
    /// The document is something else, such as a page.
    Absent,
}

/// Reads the metadata of an authorization server.
pub(super) fn authorization_server_metadata(document: &[u8]) -> ServerMetadata {
    let mut metadata = match json_object(document) {
        Ok(metadata) => metadata,
        Err(Some(problem)) => {
            let issuer = None;
            return ServerMetadata::Invalid { issuer, problem };
        }
        Err(None) => return ServerMetadata::Absent,
    };
    metadata.retain(|name, _| FIELDS.contains(&name.as_str()));
    for value in metadata.values_mut() {
        if let Value::Array(entries) = value {
            entries.truncate(MAX_ENTRIES);
        }
    }
    let problem = type_problem(&metadata, &SERVER_TYPES);
    let issuer = text(&metadata, "issuer").map(str::to_owned);
    match (problem, serde_json::from_value(Value::Object(metadata))) {
        (None, Ok(metadata)) => ServerMetadata::Valid(Box::new(metadata)),
        (problem, _) => ServerMetadata::Invalid {
            issuer,
            problem: problem.unwrap_or_else(|| "a field has the wrong type".to_owned()),
        },
    }
}

/// The JSON object in a document. The error is its problem, or `None` if the document is no JSON, such as a page.
fn json_object(document: &[u8]) -> Result<Map<String, Value>, Option<String>> {
    match document.trim_ascii_start().first() {
        Some(b'{') => {}
        Some(b'[') => return Err(Some("JSON: must be an object, not a list".to_owned())),
        _ => return Err(None),
    }
    // The error is only of the syntax, so it has no text of the document.
    serde_json::from_slice(document)
        .map_err(|error| Some(format!("JSON: {}", json_problem_at(&error))))
}

/// A field with a string.
fn text<'a>(document: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    document.get(name).and_then(Value::as_str)
}

/// The strings of a field with a list.
fn texts<'a>(document: &'a Map<String, Value>, name: &str) -> impl Iterator<Item = &'a str> {
    let entries = document.get(name).and_then(Value::as_array);
    entries.into_iter().flatten().filter_map(Value::as_str)
}
