//! The keys under which `mcp-remote` stores the sign-in of a server. Never reads its files.

use std::collections::BTreeMap;

use md5::{Digest, Md5};

/// The keys of a sign-in in the store of `mcp-remote`: the first part of the names of its files, as in `KEY_tokens.json`.
///
/// The store is the folder `.mcp-auth` in the user's home folder, or `MCP_REMOTE_CONFIG_DIR`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StorageKeys {
    /// The key in the folder `mcp-remote-v1`, which current releases use.
    pub current: String,
    /// The key in a folder `mcp-remote-VERSION`, one for each release up to 0.1.
    pub old: String,
}

impl StorageKeys {
    /// Returns the keys of a command with a URL and no options.
    pub fn of_url(url: &str) -> Self {
        storage_keys(&KeyParts {
            url,
            ..KeyParts::default()
        })
    }
}

/// The parts of the keys. Each value is as the program receives it: variables in headers are not replaced.
#[derive(Default)]
pub(super) struct KeyParts<'a> {
    pub url: &'a str,
    /// The value of `--resource` without surrounding spaces. `None` if it is blank or disabled.
    pub resource: Option<&'a str>,
    /// The value of `--resource` as written. Old releases do not know the option that disables it.
    pub written_resource: Option<&'a str>,
    /// The values of `--authorize-param`. Old releases do not know them.
    pub authorize_parameters: BTreeMap<&'a str, &'a str>,
    /// All headers. If a name is repeated, the last value.
    pub headers: BTreeMap<&'a str, &'a str>,
    /// The headers of `--header`. Old releases do not know `--header-file`.
    pub header_arguments: BTreeMap<&'a str, &'a str>,
    pub client_metadata_url: Option<&'a str>,
}

/// Derives the keys: the MD5 hash of the parts that are present, with `|` between them.
///
/// Compared with the files that mcp-remote 0.15.1 and 0.1.38 write (`getServerUrlHash`).
pub(super) fn storage_keys(parts: &KeyParts<'_>) -> StorageKeys {
    let mut current = vec![parts.url.to_owned()];
    current.extend(parts.resource.map(str::to_owned));
    current.extend(json(&parts.authorize_parameters));
    current.extend(json(&parts.headers));
    current.extend(parts.client_metadata_url.map(str::to_owned));
    let mut old = vec![parts.url.to_owned()];
    let resource = parts
        .written_resource
        .filter(|resource| !resource.is_empty());
    old.extend(resource.map(str::to_owned));
    old.extend(json(&parts.header_arguments));
    StorageKeys {
        current: hash(&current),
        old: hash(&old),
    }
}

/// Formats a map as `JSON.stringify` does with sorted keys. Returns `None` if it is empty. The names of headers are ASCII, so the
/// order of bytes is the order of JavaScript.
fn json(map: &BTreeMap<&str, &str>) -> Option<String> {
    match map.is_empty() {
        true => None,
        false => serde_json::to_string(map).ok(),
    }
}

fn hash(parts: &[String]) -> String {
    let digest = Md5::digest(parts.join("|"));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of the files of sign-ins that were made with mcp-remote, and of files that it wrote in a test.
    #[test]
    fn keys_are_the_names_of_files_that_mcp_remote_writes() {
        let plain = storage_keys(&KeyParts {
            url: "https://a.example.com/mcp",
            ..KeyParts::default()
        });
        assert_eq!(plain.old, "8f5b14cf9d402652c6b64fb3a791d90c");
        assert_eq!(plain.current, plain.old);

        let headers = BTreeMap::from([("Authorization", "Bearer ${D_TOKEN}")]);
        let with_header = storage_keys(&KeyParts {
            url: "https://d.example.com/mcp",
            headers: headers.clone(),
            header_arguments: headers,
            ..KeyParts::default()
        });
        assert_eq!(with_header.current, "cc5875c30940bc74bf5a95fe9a69688f");
        assert_eq!(with_header.old, with_header.current);

        let resource = Some("https://tenant1.example.com/");
        let with_resource = storage_keys(&KeyParts {
            url: "https://f.example.com/mcp",
            resource,
            written_resource: resource,
            ..KeyParts::default()
        });
        assert_eq!(with_resource.current, "fa85a169a7c08ff1ee428e08e596a320");

        let headers = BTreeMap::from([("X-Q", "é\"\\ ${X_TOKEN}"), ("X-B", "${MISSING_ONE}z")]);
        let with_everything = storage_keys(&KeyParts {
            url: "http://localhost:8931/mcp",
            resource: Some("http://localhost:8931"),
            written_resource: Some("http://localhost:8931"),
            authorize_parameters: BTreeMap::from([("z", "1"), ("audience", "a|b")]),
            headers: headers.clone(),
            header_arguments: headers,
            client_metadata_url: Some("https://c.example.com/x.json"),
        });
        assert_eq!(with_everything.current, "d18122d04139f203b92f3fe51eea535f");
        assert_eq!(with_everything.old, "6609c8d31442b990a932282a16dfa14e");
    }
}
