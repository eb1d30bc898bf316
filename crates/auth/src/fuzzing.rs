//! Access for the targets in `fuzz/` to private parsers of untrusted text. Compiled only with `cfg(fuzzing)`.

use secrecy::SecretString;
use serde_json::{Map, Value};

use crate::mask::steps;
use crate::oauth::token_endpoint::GrantedTokens;
use crate::store::FileStore;
use crate::store::StoreError;
use crate::store::keyring_entry;
use crate::store::{CorruptRecord, CredentialKey, CredentialRecord};

/// The number of steps in which `work` searches text for secrets.
pub fn masking_steps(work: impl FnOnce()) -> usize {
    steps::of(work)
}

/// The fields of a record that a response of the token endpoint changes; `None` if the response has no usable token.
pub fn token_reply(body: &[u8]) -> Option<Map<String, Value>> {
    let tokens = GrantedTokens::read(body).ok()?;
    Some(tokens.changes())
}

/// The record under `key` in the text of a credential file.
pub fn record_in_file(
    file: &[u8],
    key: &CredentialKey,
) -> Result<Option<CredentialRecord>, StoreError> {
    let store = FileStore::new("");
    store.record(&store.parse(file)?, key)
}

/// The text of a credential file after the record under `key` is replaced, or removed if `record` is `None`.
pub fn file_with_record(
    file: &[u8],
    key: &CredentialKey,
    record: Option<&CredentialRecord>,
) -> Result<Vec<u8>, StoreError> {
    let json = record.map(CredentialRecord::to_json);
    let document = FileStore::new("").parse(file)?;
    match document.with(key, json.as_ref()) {
        Ok(content) => Ok(content.to_vec()),
        Err(error) => Err(StoreError::broken("file", &error)),
    }
}

/// The record in the JSON of a keyring entry.
pub fn read_keyring_entry(json: &str) -> Result<CredentialRecord, CorruptRecord> {
    keyring_entry::read(json)
}

/// The JSON of the keyring entry for a record.
pub fn write_keyring_entry(record: &CredentialRecord) -> SecretString {
    keyring_entry::write(record)
}
