//! An entry of the keyring, and a record written as one: what is read of it is in what is written.

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
    // Of words, as it is one text here (RFC 6749, section 3.3): only an array of a foreign hand has others.
    let is_word = |scope: &String| !scope.is_empty() && !scope.contains(char::is_whitespace);
    if let Ok(record) = read_keyring_entry(json)
        && record.scopes().iter().all(is_word)
    {
        assert_eq!(written_and_read(&record), record);
    }
    // A record as the file has it, without the two fields that are the keyring's own.
    if let Ok(record) = CredentialRecord::parse(json)
        && !members(input).is_some_and(|members| {
            let mut names = members.iter().map(|(name, _)| name.as_str());
            names.any(|name| matches!(name, "url" | "token_response"))
        })
    {
        let again = written_and_read(&record);
        assert!(again.same_tokens(&record));
        assert_eq!(again.issuer(), record.issuer());
        assert_eq!(again.client_id(), record.client_id());
        assert_eq!(again.facts(), record.facts());
        let scopes = record.scopes().iter();
        let words: Vec<&str> = scopes.flat_map(|scope| scope.split_whitespace()).collect();
        assert_eq!(again.scopes(), words);
    }
    Corpus::Keep
});

fn written_and_read(record: &CredentialRecord) -> CredentialRecord {
    let entry = write_keyring_entry(record);
    read_keyring_entry(entry.expose_secret()).expect("what was written is read")
}
