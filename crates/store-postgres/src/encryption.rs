//! Encrypts records with AES-256-GCM. Each record has its own keys, derived by HKDF from a key of the key provider.

mod keys;

use std::fmt;
use std::pin::Pin;

use mcp_startup_auth::{CredentialRecord, StoreError};
use mcp_startup_core::CredentialStoreTrouble;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use ring::{hkdf, hmac};
use secrecy::{ExposeSecret, SecretBox, SecretString};
use uuid::Uuid;

pub use self::keys::Keys;
use crate::error;
use crate::record_id::{RecordId, length_prefixed};

/// The format of the encrypted text: this byte, the nonce, and the ciphertext with its tag.
const FORMAT: u8 = 1;
/// The number of bytes of the check value of a key.
const CHECK_BYTES: usize = 8;
const MAX_KEY_ID_CHARS: usize = 64;

/// The future that a [`KeyProvider`] returns. An error is a human-readable message without a secret.
pub type KeyFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, String>> + Send + 'a>>;

/// Supplies the keys that encrypt the records. Implement it for a key management service; [`Keys`] holds keys in memory.
///
/// Both methods are called for each record, so an implementation must keep keys in memory for a while.
pub trait KeyProvider: fmt::Debug + Send + Sync {
    /// The key that encrypts new records.
    fn current(&self) -> KeyFuture<'_, EncryptionKey>;

    /// The key with this ID; `None` if there is no such key.
    fn find<'a>(&'a self, id: &'a str) -> KeyFuture<'a, Option<EncryptionKey>>;
}

/// A 256-bit key with an ID. Its `Debug` output contains only the ID.
#[derive(Clone)]
pub struct EncryptionKey {
    id: String,
    bytes: std::sync::Arc<SecretBox<[u8; 32]>>,
    check: [u8; CHECK_BYTES],
}

impl EncryptionKey {
    /// Creates a key. The ID is stored with each record that is encrypted with the key. It can have 1 to 64 letters, digits,
    /// `.`, `_` and `-`. Never use an ID for two keys.
    ///
    /// # Errors
    ///
    /// A human-readable message if the ID is not valid.
    pub fn new(id: &str, bytes: [u8; 32]) -> Result<Self, String> {
        let is_valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if id.is_empty() || id.len() > MAX_KEY_ID_CHARS || !id.chars().all(is_valid) {
            return Err(format!(
                "the ID of a key must have 1 to {MAX_KEY_ID_CHARS} letters, digits, `.`, `_` and `-`"
            ));
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, &bytes);
        let tag = hmac::sign(&key, b"mcp-startup key check 1");
        let mut check = [0; CHECK_BYTES];
        check.copy_from_slice(&tag.as_ref()[..CHECK_BYTES]);
        Ok(Self {
            id: id.to_owned(),
            bytes: std::sync::Arc::new(SecretBox::new(Box::new(bytes))),
            check,
        })
    }

    /// The ID of the key.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// A value that differs for two keys with the same ID.
    pub(crate) fn check(&self) -> &[u8] {
        &self.check
    }

    fn derive(&self, record: &RecordId) -> hkdf::Prk {
        hkdf::Salt::new(hkdf::HKDF_SHA256, &record.hash).extract(self.bytes.expose_secret())
    }
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncryptionKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// The keys of one record, under one key of the provider.
pub(crate) struct RecordKeys<'a> {
    pub key: &'a EncryptionKey,
    record: &'a RecordId,
    prk: hkdf::Prk,
}

/// A record that is encrypted, as a row stores it.
#[derive(Clone, Debug)]
pub(crate) struct SealedRecord {
    pub bytes: Vec<u8>,
    pub key_id: String,
    pub key_check: Vec<u8>,
    pub digest: Vec<u8>,
    pub revision: Uuid,
}

fn broken(what: &str) -> StoreError {
    error(CredentialStoreTrouble::Unreadable, what)
}

impl<'a> RecordKeys<'a> {
    pub fn new(key: &'a EncryptionKey, record: &'a RecordId) -> Self {
        let prk = key.derive(record);
        Self { key, record, prk }
    }

    fn cipher(&self) -> Result<LessSafeKey, StoreError> {
        let expanded = self.prk.expand(&[b"mcp-startup record 1"], &AES_256_GCM);
        let key = expanded.map(UnboundKey::from).map(LessSafeKey::new);
        key.map_err(|_| broken("the key of the record can't be derived"))
    }

    /// An HMAC of a text, under a key of this record.
    fn hmac(&self, purpose: &[u8], text: &str) -> Result<Vec<u8>, StoreError> {
        let info = [purpose];
        let expanded = self.prk.expand(&info, hmac::HMAC_SHA256);
        let expanded = expanded.map_err(|_| broken("the key of the record can't be derived"))?;
        let key = hmac::Key::from(expanded);
        Ok(hmac::sign(&key, text.as_bytes()).as_ref().to_vec())
    }

    /// A value that is equal for equal records.
    pub fn digest(&self, record: &CredentialRecord) -> Result<Vec<u8>, StoreError> {
        self.digest_of(record.to_json().expose_secret())
    }

    fn digest_of(&self, text: &str) -> Result<Vec<u8>, StoreError> {
        self.hmac(b"mcp-startup digest 1", text)
    }

    /// A value that represents a refresh token that is about to be sent: the ID of the key, NUL, and an HMAC.
    pub fn attempt(&self, refresh_token: &SecretString) -> Result<Vec<u8>, StoreError> {
        let hmac = self.hmac(b"mcp-startup attempt 1", refresh_token.expose_secret())?;
        Ok([self.key.id.as_bytes(), b"\0", &hmac].concat())
    }

    fn additional_data(&self, revision: Uuid) -> Vec<u8> {
        let record = self.record;
        length_prefixed(&[
            b"mcp-startup record 1",
            self.key.id.as_bytes(),
            record.tenant.as_bytes(),
            record.user.as_bytes(),
            record.server.as_bytes(),
            record.url.as_bytes(),
            revision.as_bytes(),
        ])
    }

    /// Encrypts a record under a new revision and a new random nonce.
    pub fn seal(&self, record: &CredentialRecord) -> Result<SealedRecord, StoreError> {
        let text = record.to_json();
        let text = text.expose_secret();
        let revision = random_uuid()?;
        let nonce: [u8; NONCE_LEN] = random()?;
        // It has the full capacity from the start: a buffer that grows leaves copies of secrets in memory.
        let mut bytes = Vec::with_capacity(1 + NONCE_LEN + text.len() + AES_256_GCM.tag_len());
        bytes.push(FORMAT);
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(text.as_bytes());
        let (_, plain) = bytes.split_at_mut(1 + NONCE_LEN);
        let tag = self.cipher()?.seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(self.additional_data(revision)),
            plain,
        );
        let tag = tag.map_err(|_| broken("the record can't be encrypted"))?;
        bytes.extend_from_slice(tag.as_ref());
        Ok(SealedRecord {
            bytes,
            key_id: self.key.id.clone(),
            key_check: self.key.check().to_vec(),
            digest: self.digest_of(text)?,
            revision,
        })
    }

    /// Decrypts a record.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] with the trouble `Corrupt` if the row was changed, or if it belongs to another record.
    pub fn open(&self, bytes: Vec<u8>, revision: Uuid) -> Result<CredentialRecord, StoreError> {
        let corrupt = |why: &str| {
            let detail = format!("its record for this server is damaged: {why}");
            error(CredentialStoreTrouble::Corrupt, detail)
        };
        let mut bytes = bytes;
        match bytes.first() {
            Some(&FORMAT) => {}
            // A later version of this program wrote it.
            Some(_) => {
                return Err(error(
                    CredentialStoreTrouble::Unsupported,
                    "a newer version of this program encrypted the record; update this program",
                ));
            }
            None => return Err(corrupt("it is empty")),
        }
        let Some(nonce) = bytes.get(1..=NONCE_LEN) else {
            return Err(corrupt("it is too short"));
        };
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| corrupt("no nonce"))?;
        let aad = Aad::from(self.additional_data(revision));
        let opened = self
            .cipher()?
            .open_within(nonce, aad, &mut bytes, 1 + NONCE_LEN..);
        let plain = opened.map_err(|_| corrupt("it was changed after it was encrypted"))?;
        let parsed = match std::str::from_utf8(plain) {
            Ok(text) => CredentialRecord::parse(text).map_err(|error| corrupt(&error.to_string())),
            Err(_) => Err(corrupt("it is not text")),
        };
        plain.fill(0);
        parsed
    }
}

/// The ID of the key of a value that [`RecordKeys::attempt`] returned.
pub(crate) fn attempt_key_id(value: &[u8]) -> Option<&str> {
    let id = value.split(|byte| *byte == 0).next()?;
    std::str::from_utf8(id).ok()
}

/// Random bytes from the operating system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], StoreError> {
    let mut bytes = [0; N];
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => Ok(bytes),
        Err(_) => Err(broken("the operating system returns no random numbers")),
    }
}

/// A random UUID (RFC 9562, section 5.4).
pub(crate) fn random_uuid() -> Result<Uuid, StoreError> {
    Ok(uuid::Builder::from_random_bytes(random()?).into_uuid())
}

#[cfg(test)]
mod tests;
