//! One stored record. It is written as it was read, and its `Debug` output contains no secrets.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use mcp_startup_auth::CredentialRecord;
use mcp_startup_core::assess;
use mcp_startup_fuzz::{Layout, json_mutator, members};
use secrecy::ExposeSecret;
use serde_json::{Map, Value};

json_mutator!(Layout::Whole, "../dictionaries/credential.dict");

fuzz_target!(|input: &[u8]| -> Corpus {
    let Ok(json) = std::str::from_utf8(input) else {
        return Corpus::Reject;
    };
    let Ok(record) = CredentialRecord::parse(json) else {
        return Corpus::Keep;
    };
    assess(&record.facts(), 1_700_000_000_000).first_request();

    // If a name is repeated, the last value is kept unchanged, at the position of the first.
    let mut fields: Vec<(String, String)> = Vec::new();
    for (name, value) in members(input).expect("a record is an object") {
        match fields.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value.get().to_owned(),
            None => fields.push((name, value.get().to_owned())),
        }
    }
    let json = record.to_json();
    let written =
        members(json.expose_secret().as_bytes()).expect("a record is written as an object");
    let written: Vec<(String, String)> = written
        .into_iter()
        .map(|(name, value)| (name, value.get().to_owned()))
        .collect();
    assert_eq!(written, fields);

    let again =
        CredentialRecord::parse(json.expose_secret()).expect("a written record can be read");
    assert_eq!(again, record);
    assert_eq!(again.to_json().expose_secret(), json.expose_secret());
    assert!(again.has_same_tokens(&record));

    // Its `Debug` output does not depend on its secrets.
    let mut others = Map::new();
    for name in ["access_token", "refresh_token", "client_secret"] {
        if fields.iter().any(|(known, _)| known == name) {
            others.insert(name.to_owned(), Value::from("another"));
        }
    }
    let other = record.with(&others).expect("a token is a string");
    assert_eq!(format!("{other:?}"), format!("{record:?}"));
    Corpus::Keep
});
