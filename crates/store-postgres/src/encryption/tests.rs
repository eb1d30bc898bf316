use mcp_startup_auth::CredentialKey;

use super::*;

fn key(id: &str, byte: u8) -> EncryptionKey {
    EncryptionKey::new(id, [byte; 32]).unwrap()
}

fn record_id(tenant: &str, user: &str, server: &str) -> RecordId {
    let key = CredentialKey::new(server, "https://mcp.example/mcp");
    RecordId::new(tenant, user, &key)
}

fn record() -> CredentialRecord {
    CredentialRecord::parse(r#"{"access_token":"canary-token","vendor":[1]}"#).unwrap()
}

#[test]
fn a_record_is_decrypted_only_as_the_record_that_was_encrypted() {
    let (master, id) = (key("k1", 1), record_id("t", "u", "s"));
    let keys = RecordKeys::new(&master, &id);
    let sealed = keys.seal(&record()).unwrap();
    let opened = keys.open(sealed.bytes.clone(), sealed.revision);
    assert_eq!(opened.unwrap(), record());

    let trouble = |keys: &RecordKeys<'_>, bytes: &[u8], revision| {
        keys.open(bytes.to_vec(), revision).unwrap_err().trouble
    };
    use CredentialStoreTrouble::{Corrupt, Unsupported};
    // Another tenant, user, server, key, key ID or revision.
    for other in [
        ("t2", "u", "s"),
        ("t", "u2", "s"),
        ("t", "u", "s2"),
        ("tu", "", "s"),
    ] {
        let other = record_id(other.0, other.1, other.2);
        let other = RecordKeys::new(&master, &other);
        assert_eq!(trouble(&other, &sealed.bytes, sealed.revision), Corrupt);
    }
    for other in [key("k1", 2), key("k2", 1)] {
        let other = RecordKeys::new(&other, &id);
        assert_eq!(trouble(&other, &sealed.bytes, sealed.revision), Corrupt);
    }
    let revision = random_uuid().unwrap();
    assert_eq!(trouble(&keys, &sealed.bytes, revision), Corrupt);
    // Any changed byte, and any shorter text.
    for at in 0..sealed.bytes.len() {
        let mut changed = sealed.bytes.clone();
        changed[at] ^= 1;
        let expected = if at == 0 { Unsupported } else { Corrupt };
        assert_eq!(trouble(&keys, &changed, sealed.revision), expected, "{at}");
        let shorter = &sealed.bytes[..at];
        assert_eq!(trouble(&keys, shorter, sealed.revision), Corrupt, "{at}");
    }
}

#[test]
fn each_save_has_another_nonce_and_revision_and_equal_records_have_the_same_digest() {
    let (master, id) = (key("k1", 1), record_id("t", "u", "s"));
    let keys = RecordKeys::new(&master, &id);
    let sealed: Vec<SealedRecord> = (0..100).map(|_| keys.seal(&record()).unwrap()).collect();
    for (at, one) in sealed.iter().enumerate() {
        for other in &sealed[at + 1..] {
            assert_ne!(one.bytes[1..13], other.bytes[1..13]);
            assert_ne!(one.revision, other.revision);
        }
        assert_eq!(one.digest, sealed[0].digest);
    }
    let other = record_id("t", "u2", "s");
    let other = RecordKeys::new(&master, &other).digest(&record()).unwrap();
    assert_ne!(other, sealed[0].digest);
}

/// HKDF (RFC 5869), HMAC (RFC 2104) and AES-GCM (NIST SP 800-38D) in another implementation: the Python packages `hashlib`,
/// `hmac` and `cryptography`.
#[test]
fn a_stored_record_can_be_decrypted_by_another_implementation() {
    let (master, id) = (key("k1", 7), record_id("acme", "user-1", "linear"));
    let keys = RecordKeys::new(&master, &id);
    let revision = Uuid::from_bytes([9; 16]);
    let hex = |text: &str| -> Vec<u8> {
        let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
        (0..text.len()).step_by(2).map(digit).collect()
    };
    let opened = keys.open(hex(include_str!("foreign.hex").trim()), revision);
    assert_eq!(opened.unwrap(), record());
    assert_eq!(master.check(), hex("160898753d0c828f"));
}

#[test]
fn keys_are_read_from_text_and_errors_show_no_key() {
    let good = "A".repeat(43) + "=";
    let parse = |text: String| Keys::parse(&text.into());
    let keys = parse(format!("\nb:{good},\n a.1_-:{}=\n", "C".repeat(42) + "A")).unwrap();
    assert_eq!(keys.ids().collect::<Vec<_>>(), ["b", "a.1_-"]);
    assert!(!format!("{keys:?}").contains("AAAA"));
    for (text, error) in [
        (String::new(), "there is no key"),
        (good.clone(), "key 1 is not `ID:KEY`"),
        (
            format!("a:{good} b:{}", "A".repeat(40)),
            "key 2 is not 32 bytes in base64",
        ),
        (
            format!("a:{good} a:{good}"),
            "key 2 has the ID of an earlier key",
        ),
        (
            format!("ä:{good}"),
            "key 1: the ID of a key must have 1 to 64 letters",
        ),
    ] {
        let found = parse(text).unwrap_err();
        assert!(found.starts_with(error), "{found}");
        assert!(!found.contains("AAAA"), "{found}");
    }
}
