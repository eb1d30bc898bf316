//! A keyring entry, and a record written as one. The written entry contains everything that was read.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use mcp_startup_auth::CredentialRecord;
use mcp_startup_auth::fuzzing::{read_keyring_entry, write_keyring_entry};
use mcp_startup_fuzz::{Layout, json_mutator, members};
use secrecy::ExposeSecret;

json_mutator!(Layout::Whole, "../dictionaries/credential.dict");

fuzz_target!(|input: &[u8]| -> Corpus {
    let Ok(json) = std::str::from_utf8(input) else {
        return Corpus::Reject;
    };
    // An entry stores the scopes as one text (RFC 6749, section 3.3). Only an array that another program wrote can contain a scope
    // that is blank or has a space.
    let is_word = |scope: &String| !scope.is_empty() && !scope.contains(char::is_whitespace);
    if let Ok(record) = read_keyring_entry(json)
        && record.scopes().iter().all(is_word)
    {
        assert_eq!(write_and_read(&record), record);
    }
    // A record as the credential file stores it, without the two fields that exist only in a keyring entry.
    if let Ok(record) = CredentialRecord::parse(json)
        && !members(input).is_some_and(|members| {
            let mut names = members.iter().map(|(name, _)| name.as_str());
            names.any(|name| matches!(name, "url" | "token_response"))
        })
    {
        let again = write_and_read(&record);
        assert!(again.has_same_tokens(&record));
        assert_eq!(again.issuer(), record.issuer());
        assert_eq!(again.client_id(), record.client_id());
        assert_eq!(again.facts(), record.facts());
        let scopes = record.scopes().iter();
        let words: Vec<&str> = scopes.flat_map(|scope| scope.split_whitespace()).collect();
        assert_eq!(again.scopes(), words);
    }
    Corpus::Keep
});

fn write_and_read(record: &CredentialRecord) -> CredentialRecord {
    let entry = write_keyring_entry(record);
    read_keyring_entry(entry.expose_secret()).expect("a written entry can be read")
}
