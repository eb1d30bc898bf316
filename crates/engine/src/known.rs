//! What one start knows of its record: to tell afterwards whether somebody else has changed it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mcp_startup_auth::{
    CredentialKey, CredentialRecord, CredentialStore, RecordLock, Replaced, StoreFuture,
};

/// What one start knows of its record: to tell afterwards whether somebody else has changed it since.
#[derive(Debug, Default)]
pub(crate) struct Known(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    read: Read,
    /// The last record that the start has written itself, or has tried to: a refresh goes on when its start is over.
    written: Option<CredentialRecord>,
}

#[derive(Debug, Default)]
pub(crate) enum Read {
    #[default]
    NotYet,
    Unreadable,
    Record(Option<CredentialRecord>),
}

impl Known {
    pub fn has_read(&self, read: Read) {
        self.lock().read = read;
    }

    fn writes(&self, record: &CredentialRecord) {
        self.lock().written = Some(record.clone());
    }

    /// Whether what is stored now is news to the start: not what it has read, nor what it has written.
    pub fn is_news(&self, now: Option<&CredentialRecord>) -> bool {
        let mut state = self.lock();
        match &state.read {
            // The start was given up before: from here on, then.
            Read::NotYet => {
                state.read = Read::Record(now.cloned());
                false
            }
            // It needed what is stored, it may be, and could not have it.
            Read::Unreadable => true,
            Read::Record(read) if read.as_ref() == now => false,
            Read::Record(_) => match (&state.written, now) {
                // A store may hand it back in another shape.
                (Some(written), Some(now)) => !written.same_tokens(now),
                _ => true,
            },
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The store of a start's record; what the start writes is noted, before anybody else can read it.
#[derive(Debug)]
pub(crate) struct Noting {
    pub store: Arc<dyn CredentialStore>,
    pub known: Arc<Known>,
}

impl CredentialStore for Noting {
    fn name(&self) -> &str {
        self.store.name()
    }

    fn load<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, Option<CredentialRecord>> {
        self.store.load(key)
    }

    fn replace<'a>(
        &'a self,
        key: &'a CredentialKey,
        expected: Option<&'a CredentialRecord>,
        new: Option<&'a CredentialRecord>,
    ) -> StoreFuture<'a, Replaced> {
        if let Some(new) = new {
            self.known.writes(new);
        }
        self.store.replace(key, expected, new)
    }

    fn lock<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, RecordLock> {
        self.store.lock(key)
    }

    fn prove_writable<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, ()> {
        self.store.prove_writable(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mcp_startup_auth::MemoryStore;

    fn record(token: &str) -> CredentialRecord {
        CredentialRecord::parse(&format!(r#"{{"access_token":"{token}"}}"#)).unwrap()
    }

    #[test]
    fn what_others_have_stored_is_news_and_what_the_start_has_seen_is_not() {
        let (old, new) = (record("old"), record("new"));
        let touched =
            CredentialRecord::parse(r#"{ "issuer": null, "access_token": "old" }"#).unwrap();
        let read = |record: Option<&CredentialRecord>| Read::Record(record.cloned());
        for (at, (was_read, now, wanted)) in [
            (read(None), None, false),
            (read(None), Some(&new), true),
            (read(Some(&old)), Some(&old), false),
            (read(Some(&old)), Some(&touched), false),
            (read(Some(&old)), Some(&new), true),
            (read(Some(&old)), None, true),
            (Read::Unreadable, None, true),
            (Read::Unreadable, Some(&old), true),
            (Read::NotYet, Some(&old), false),
        ]
        .into_iter()
        .enumerate()
        {
            let known = Known::default();
            known.has_read(was_read);
            assert_eq!(known.is_news(now), wanted, "case {at}");
        }
        // From the first look on, where the start has not come so far.
        let known = Known::default();
        assert!(!known.is_news(Some(&old)));
        assert!(!known.is_news(Some(&old)));
        assert!(known.is_news(Some(&new)));
    }

    #[tokio::test]
    async fn what_the_start_writes_is_no_news_from_before_it_is_written() {
        let key = CredentialKey::new("server", "https://mcp.example/mcp");
        let known = Arc::new(Known::default());
        known.has_read(Read::Record(Some(record("old"))));
        let store = Noting {
            store: Arc::new(MemoryStore::default()),
            known: known.clone(),
        };
        let renewed = record("renewed");
        assert!(known.is_news(Some(&renewed)));
        let replacing = store.replace(&key, None, Some(&renewed));
        assert!(!known.is_news(Some(&renewed)));
        assert_eq!(replacing.await, Ok(Replaced::Stored));
        assert_eq!(store.load(&key).await, Ok(Some(renewed)));
        assert!(!known.is_news(Some(&record("old"))));
        assert!(known.is_news(Some(&record("of somebody else"))));
        assert!(known.is_news(None));
    }
}
