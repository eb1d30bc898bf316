//! The credential file. The first line of the input is a record, or anything else for no record. The rest is the file. After
//! the record is written, the other entries keep their text and order, and the record can be read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mcp_startup_auth::fuzzing::{file_with_record, record_in_file};
use mcp_startup_auth::{CredentialKey, CredentialRecord};
use mcp_startup_fuzz::{Layout, is_one_line, json_mutator, members};
use secrecy::ExposeSecret;

json_mutator!(
    Layout::Lines { after: 0 },
    "../dictionaries/credential.dict"
);

fuzz_target!(|input: &[u8]| {
    let (first, file) = match input.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&input[..end], &input[end + 1..]),
        None => (&b""[..], input),
    };
    let new = std::str::from_utf8(first)
        .ok()
        .and_then(|json| CredentialRecord::parse(json).ok());
    // linear|638130d5ab3558f4
    let key = CredentialKey::new("linear", "https://mcp.linear.app/mcp");

    let before = members(file);
    let stored = record_in_file(file, &key);
    if let Err(error) = &stored {
        // Only the line and the column in it depend on the file.
        assert!(
            is_one_line(&error.detail) && error.detail.len() < 200,
            "{error}"
        );
    }
    let Some(before) = before else {
        assert!(stored.is_err(), "a file that is not an object was accepted");
        assert!(file_with_record(file, &key, new.as_ref()).is_err());
        return;
    };
    let is_there = before.iter().any(|(name, _)| name == key.as_str());
    assert!(
        is_there != matches!(stored, Ok(None)),
        "the entry is read if and only if it exists"
    );

    let content = file_with_record(file, &key, new.as_ref()).expect("the file can be written");
    // A buffer that grows leaves copies of secrets in memory.
    assert!(content.len() <= capacity(&before, &key, new.as_ref()));
    assert!(!content.is_empty() && std::str::from_utf8(&content).is_ok());
    assert_eq!(record_in_file(&content, &key).as_ref(), Ok(&new));
    let after = members(&content).expect("the written file is an object");
    let others = |members: &[(String, Box<serde_json::value::RawValue>)]| -> Vec<(String, String)> {
        let others = members.iter().filter(|(name, _)| name != key.as_str());
        others
            .map(|(name, json)| (name.clone(), json.get().to_owned()))
            .collect()
    };
    assert_eq!(others(&after), others(&before));
    let mut written = after.iter().filter(|(name, _)| name == key.as_str());
    let found = written.next().map(|(_, json)| json.get().to_owned());
    let expected = new
        .as_ref()
        .map(|new| new.to_json().expose_secret().to_owned());
    assert_eq!(found, expected);
    assert!(written.next().is_none());

    // After the record is removed again, only the other entries are left.
    let without = file_with_record(&content, &key, None).expect("the file can be written");
    assert_eq!(record_in_file(&without, &key), Ok(None));
    let without = members(&without).expect("the written file is an object");
    assert_eq!(others(&without), others(&before));
});

/// The capacity that `Document::with` reserves.
fn capacity(
    before: &[(String, Box<serde_json::value::RawValue>)],
    key: &CredentialKey,
    new: Option<&CredentialRecord>,
) -> usize {
    let of = |name: &str, json: &str| 6 * name.len() + json.len() + 8;
    let others = before.iter().filter(|(name, _)| name != key.as_str());
    let others: usize = others.map(|(name, json)| of(name, json.get())).sum();
    let new = new.map_or(0, |new| of(key.as_str(), new.to_json().expose_secret()));
    others + new + 8
}
