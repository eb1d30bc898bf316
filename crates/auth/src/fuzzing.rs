//! What is private here and reads what others wrote, for the targets in `fuzz/`. Compiled for those alone.

use secrecy::SecretString;
use serde_json::{Map, Value};

use crate::file_store::FileStore;
use crate::keyring_entry;
use crate::record::{CorruptRecord, CredentialKey, CredentialRecord};
use crate::store::StoreError;
use crate::token_endpoint::GrantedTokens;

/// The fields of a record that the answer of a token endpoint changes.
pub fn token_reply(body: &[u8]) -> Option<Map<String, Value>> {
    GrantedTokens::read(body).map(|tokens| tokens.changes())
}

/// The record under a key in the text of a credential file.
pub fn record_in_file(
    file: &[u8],
    key: &CredentialKey,
) -> Result<Option<CredentialRecord>, StoreError> {
    let store = FileStore::new("");
    store.record(&store.parse(file)?, key)
}

/// The text of a credential file with a record written into it, or taken out of it.
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

/// The record that an entry of the keyring stands for.
pub fn read_keyring_entry(json: &str) -> Result<CredentialRecord, CorruptRecord> {
    keyring_entry::read(json)
}

/// The entry of the keyring for a record.
pub fn write_keyring_entry(record: &CredentialRecord) -> SecretString {
    keyring_entry::write(record)
}
