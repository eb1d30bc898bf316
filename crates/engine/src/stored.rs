//! What is stored for a server, as far as its start is concerned.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mcp_startup_auth::{
    CredentialKey, CredentialRecord, CredentialStore, RecordLock, Replaced, StoreFuture,
};
use mcp_startup_config::{HttpConfig, OAuthClient, ServerConfig};
use mcp_startup_core::{
    ClientSource, CredentialEvidence, CredentialSource, CredentialWorth, StartPhase, assess,
};

use crate::authorization::{Authorization, Renewal};
use crate::findings::Findings;
use crate::start::Means;

/// A record that is stored for exactly this server.
pub(crate) struct Stored {
    pub record: CredentialRecord,
    pub worth: CredentialWorth,
    /// What refreshing it takes; `None` where it has no refresh token that may be sent.
    pub renewal: Option<Renewal>,
}

impl Stored {
    /// The credential of a start with this record.
    pub async fn authorization(self) -> Authorization {
        Authorization::stored(&self.record, self.worth.first_request(), self.renewal).await
    }
}

/// Reads what is stored for a server, and enters it into the evidence, or why that can't be known.
pub(crate) async fn read_stored(
    config: &ServerConfig,
    http: &HttpConfig,
    means: &Means,
    findings: &Arc<Findings>,
) -> Option<Stored> {
    findings.enter(StartPhase::ReadingCredentials);
    let key = CredentialKey::new(&config.name, &http.written_url);
    let found = match &means.stores {
        None => Ok(None),
        Some(stores) => {
            // Held while a file is read, which is what it is for. It is never closed.
            let _permit = means.reading.acquire().await;
            stores.find(&key).await
        }
    };
    findings.known.has_read(match &found {
        Ok(found) => Read::Record(found.as_ref().map(|found| found.record.clone())),
        Err(_) => Read::Unreadable,
    });
    let found = match found {
        Ok(Some(found)) => found,
        nothing => {
            if let Err(error) = &nothing {
                findings.store_failed(error);
            }
            findings.note(|evidence| {
                evidence.credential = Some(CredentialEvidence {
                    source: Some(CredentialSource::None),
                    ..CredentialEvidence::default()
                });
            });
            return None;
        }
    };
    let record = found.record;
    findings.hide(record.secrets());
    let worth = assess(&record.facts(), now_ms());
    findings.note(|evidence| {
        evidence.credential = Some(CredentialEvidence {
            source: Some(CredentialSource::Stored),
            worth: Some(worth),
            stored_issuer: record.issuer().map(str::to_owned),
            client_source: Some(client_source(&record, &config.oauth)),
            ..CredentialEvidence::default()
        });
    });
    let renewal = worth.refresh_token.then(|| Renewal {
        store: Arc::new(Noting {
            store: found.store,
            known: findings.known.clone(),
        }),
        network: means.network.clone(),
        refreshes: means.refreshes.clone(),
        key,
        resource: http.url.clone(),
        issuer: record.issuer().map(str::to_owned),
        oauth: config.oauth.clone(),
        scopes: config.scopes.clone(),
        findings: findings.clone(),
    });
    Some(Stored {
        record,
        worth,
        renewal,
    })
}

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
enum Read {
    #[default]
    NotYet,
    Unreadable,
    Record(Option<CredentialRecord>),
}

impl Known {
    fn has_read(&self, read: Read) {
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
struct Noting {
    store: Arc<dyn CredentialStore>,
    known: Arc<Known>,
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

/// Where the OAuth client of a record comes from: the configuration names it, or its id is the URL of a metadata document, or
/// it was registered.
fn client_source(record: &CredentialRecord, configured: &OAuthClient) -> ClientSource {
    match record.client_id() {
        Some(client_id) if Some(client_id) == configured.client_id.as_deref() => {
            ClientSource::Configuration
        }
        Some(client_id) if client_id.starts_with("https://") => ClientSource::MetadataDocument,
        _ => ClientSource::Registration,
    }
}

pub(crate) fn now_ms() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
        })
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
