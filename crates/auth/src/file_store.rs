//! The file `.credentials.json`, with Codex's locks.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mcp_startup_core::CredentialStoreTrouble;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::error::Category;
use serde_json::value::RawValue;
use tempfile::NamedTempFile;
use tokio::sync::oneshot;

use crate::file_system;
use crate::lock_files::{LockFiles, blocking};
use crate::record::{CredentialKey, CredentialRecord};
use crate::store::{CredentialStore, RecordLock, Replaced, StoreError, StoreFuture};

/// The largest credentials file that is read or written: 16 MiB.
const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;
const NAME: &str = "file";
const FILE_NAME: &str = ".credentials.json";
/// Held around read, merge and rename. Every temporary file is made and gone while it is held, unless its process was killed.
const FILE_LOCK: &str = "file-store.lock";
const TEMPORARY_PREFIX: &str = ".credentials.json.";
const TEMPORARY_SUFFIX: &str = ".mcp-startup.tmp";
/// More than a record takes: what is written on top of the file's size to prove that it can grow.
const ROOM_FOR_A_RECORD: usize = 16 * 1024;
/// How often a change by a program that keeps no lock is merged before this gives up.
const ATTEMPTS: usize = 100;

/// Keeps records in the file `.credentials.json`, as Codex does: an object with one record under each key.
///
/// * The file is replaced as a whole: what is new is written to a temporary file beside it (mode 0600, a name that can't be
///   guessed), synced, and renamed over it. Other records and fields keep their text. A file that is not what it should be
///   is reported and never written over.
/// * The locks are Codex's: `flock` on `mcp-oauth-locks/file-store.lock` while the file is rewritten, and on
///   `mcp-oauth-locks/<SHA-256 of the key>.lock` while a record is refreshed. The second is taken before the first.
/// * A symbolic link is followed for the folder itself, and for nothing in it.
/// * What is made here belongs to the owner of the file or, where there is none yet, of the folder, so that root leaves a
///   user nothing that only root can open.
///
/// Its futures need a Tokio runtime with time enabled; all I/O is done on its blocking threads.
#[derive(Clone, Debug)]
pub struct FileStore {
    home: PathBuf,
    locks: LockFiles,
    readers: Arc<Readers>,
}

impl FileStore {
    /// The store in the folder `home`, which is created (0700) when something is stored there.
    pub fn new(home: impl Into<PathBuf>) -> Self {
        let home = home.into();
        let locks = LockFiles::new(home.clone(), NAME);
        Self {
            home,
            locks,
            readers: Arc::default(),
        }
    }

    /// The records under these keys, from one reading.
    fn load_blocking(&self, keys: &[&CredentialKey]) -> Vec<Loaded> {
        let of_all = |loaded: Loaded| vec![loaded; keys.len()];
        let found = match self.read() {
            Ok(Some(found)) => found,
            Ok(None) => return of_all(Ok(None)),
            Err(error) => return of_all(Err(error)),
        };
        match self.parse(&found.bytes) {
            Err(error) => of_all(Err(error)),
            // Of two with one name the last is valid.
            Ok(document) => {
                let entries = document.0.iter().map(|(name, json)| (&**name, *json));
                let records: HashMap<&str, &RawValue> = entries.collect();
                let record = |key: &&CredentialKey| match records.get(key.as_str()) {
                    Some(json) => self.parse_record(json).map(Some),
                    None => Ok(None),
                };
                keys.iter().map(record).collect()
            }
        }
    }

    fn file(&self) -> PathBuf {
        self.home.join(FILE_NAME)
    }

    fn read(&self) -> Result<Option<Found>, StoreError> {
        let file = match file_system::open_no_link(OpenOptions::new().read(true), &self.file()) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(_) if self.file().is_symlink() => {
                return Err(self.unreadable("is a symbolic link, and none is followed".to_owned()));
            }
            Err(error) => return Err(self.unreadable(error.to_string())),
        };
        let unreadable = |error: io::Error| self.unreadable(error.to_string());
        let metadata = file.metadata().map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(self.unreadable("is not a regular file".to_owned()));
        }
        if metadata.len() > MAX_FILE_BYTES {
            return Err(self.too_large());
        }
        // With room for all of it from the start: a buffer that grows leaves copies of secrets behind.
        let length = usize::try_from(metadata.len()).unwrap_or(0);
        let mut bytes = Zeroizing::new(Vec::with_capacity(length + 1));
        file.take(MAX_FILE_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(self.too_large());
        }
        Ok(Some(Found { bytes, metadata }))
    }

    pub(crate) fn parse<'a>(&self, bytes: &'a [u8]) -> Result<Document<'a>, StoreError> {
        // serde_json's own text may quote what it met, and what it meets here is secret.
        serde_json::from_slice(bytes).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            match error.classify() {
                Category::Data => self.corrupt("is not a JSON object".to_owned()),
                _ => self.corrupt(format!("is not valid JSON (line {line}, column {column})")),
            }
        })
    }

    pub(crate) fn record(
        &self,
        document: &Document<'_>,
        key: &CredentialKey,
    ) -> Result<Option<CredentialRecord>, StoreError> {
        let mut entries = document.0.iter().rev();
        match entries.find(|(name, _)| name == key.as_str()) {
            Some((_, json)) => self.parse_record(json).map(Some),
            None => Ok(None),
        }
    }

    fn parse_record(&self, json: &RawValue) -> Result<CredentialRecord, StoreError> {
        CredentialRecord::parse(json.get()).map_err(|error| {
            self.corrupt(format!("holds a damaged record for this server: {error}"))
        })
    }

    /// To be called with the file's lock held. `written` is called when the new file is written and not yet in its place.
    fn replace_locked(
        &self,
        key: &CredentialKey,
        expected: Option<&CredentialRecord>,
        new: Option<&CredentialRecord>,
        mut written: impl FnMut(),
    ) -> Result<Replaced, StoreError> {
        self.remove_left_overs();
        for _ in 0..ATTEMPTS {
            let found = self.read()?;
            let document = match &found {
                Some(found) => self.parse(&found.bytes)?,
                None => Document(Vec::new()),
            };
            let stored = self.record(&document, key)?;
            if stored.as_ref() != expected {
                return Ok(Replaced::Conflict(stored));
            }
            if stored.is_none() && new.is_none() {
                return Ok(Replaced::Stored);
            }
            let json = new.map(CredentialRecord::to_json);
            let content = document
                .with(key, json.as_ref())
                .map_err(|error| self.unwritable(&self.file(), error.into()))?;
            if content.len() as u64 > MAX_FILE_BYTES {
                let detail = format!("would be larger than {MAX_FILE_BYTES} bytes");
                return Err(self.unreadable(detail));
            }
            let temporary = self.write_temporary(&content, found.as_ref())?;
            written();
            // Not every program keeps the lock. The file is looked at once more when all that is left is to rename.
            let bytes = |found: Option<&Found>| found.map(|found| found.bytes.clone());
            if bytes(self.read()?.as_ref()) != bytes(found.as_ref()) {
                continue;
            }
            temporary
                .persist(self.file())
                .map_err(|error| self.unwritable(&self.file(), error.error))?;
            file_system::sync_folder(&self.home)
                .map_err(|error| self.unwritable(&self.home, error))?;
            return Ok(Replaced::Stored);
        }
        Err(self.unreadable("is changed all the time by another program".to_owned()))
    }

    /// To be called with the file's lock held.
    fn prove_writable_locked(&self, key: &CredentialKey) -> Result<(), StoreError> {
        self.remove_left_overs();
        let found = self.read()?;
        if let Some(found) = &found {
            self.record(&self.parse(&found.bytes)?, key)?;
        }
        let size = found.as_ref().map_or(0, |found| found.bytes.len()) + ROOM_FOR_A_RECORD;
        self.write_temporary(&vec![0; size], found.as_ref())?
            .close()
            .map_err(|error| self.unwritable(&self.home, error))
    }

    /// A synced file beside the one that it may replace; gone when it is dropped.
    fn write_temporary(
        &self,
        content: &[u8],
        replaced: Option<&Found>,
    ) -> Result<NamedTempFile, StoreError> {
        let write = || {
            let mut temporary = tempfile::Builder::new()
                .prefix(TEMPORARY_PREFIX)
                .rand_bytes(16)
                .suffix(TEMPORARY_SUFFIX)
                .tempfile_in(&self.home)?;
            match replaced {
                // Its owner could not read it any more.
                Some(replaced) => {
                    file_system::give_to_owner(temporary.as_file(), &replaced.metadata)?
                }
                None => self.locks.give_to_owner_of_home(temporary.as_file()),
            }
            temporary.write_all(content)?;
            temporary.as_file().sync_all()?;
            Ok(temporary)
        };
        write().map_err(|error: io::Error| self.unwritable(&self.file(), error))
    }

    /// Removes the temporary files of processes that were killed: there are secrets in them. To be called with the file's
    /// lock held, under which alone such files live.
    fn remove_left_overs(&self) {
        let Ok(entries) = fs::read_dir(&self.home) else {
            return;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let left_over = name.to_str().is_some_and(|name| {
                name.starts_with(TEMPORARY_PREFIX) && name.ends_with(TEMPORARY_SUFFIX)
            });
            if left_over && let Err(error) = fs::remove_file(entry.path()) {
                tracing::debug!(%error, "a temporary file of a process that was killed stays");
            }
        }
    }

    fn unreadable(&self, detail: String) -> StoreError {
        self.file_error(CredentialStoreTrouble::Unreadable, detail)
    }

    fn too_large(&self) -> StoreError {
        self.corrupt(format!("is larger than {MAX_FILE_BYTES} bytes"))
    }

    fn corrupt(&self, detail: String) -> StoreError {
        self.file_error(CredentialStoreTrouble::Corrupt, detail)
    }

    fn file_error(&self, trouble: CredentialStoreTrouble, detail: String) -> StoreError {
        StoreError::new(NAME, trouble, format!("{} {detail}", self.file().display()))
    }

    fn unwritable(&self, path: &Path, error: io::Error) -> StoreError {
        let detail = format!("{} can't be written: {error}", path.display());
        StoreError::new(NAME, CredentialStoreTrouble::Unreadable, detail)
    }
}

impl CredentialStore for FileStore {
    fn name(&self) -> &str {
        NAME
    }

    fn load<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, Option<CredentialRecord>> {
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            let key = key.clone();
            if self.readers.ask(Asked { key, answer }) {
                let mut reading = Reading::new(self.clone());
                tokio::task::spawn_blocking(move || reading.until_nobody_asks());
            }
            let lost = |lost| Err(StoreError::broken(NAME, &lost));
            answered.await.unwrap_or_else(lost)
        })
    }

    fn replace<'a>(
        &'a self,
        key: &'a CredentialKey,
        expected: Option<&'a CredentialRecord>,
        new: Option<&'a CredentialRecord>,
    ) -> StoreFuture<'a, Replaced> {
        Box::pin(async move {
            let lock = self.locks.wait_for(FILE_LOCK.to_owned()).await?;
            let (store, key) = (self.clone(), key.clone());
            let (expected, new) = (expected.cloned(), new.cloned());
            // From here on it goes through to its end, whether anybody waits for it or not, and the lock is held until then.
            blocking(move || {
                let _lock = lock;
                store.replace_locked(&key, expected.as_ref(), new.as_ref(), || {})
            })
            .await
        })
    }

    fn lock<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, RecordLock> {
        Box::pin(self.locks.record(key))
    }

    fn prove_writable<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let lock = self.locks.wait_for(FILE_LOCK.to_owned()).await?;
            let (store, key) = (self.clone(), key.clone());
            blocking(move || {
                let _lock = lock;
                store.prove_writable_locked(&key)
            })
            .await
        })
    }
}

type Loaded = Result<Option<CredentialRecord>, StoreError>;

/// Who asks for a record while the file is being read: the next reading, which begins after they have asked, is for all of them. Ten
/// thousand servers would else read ten thousand times a file of ten thousand records.
#[derive(Debug, Default)]
struct Readers(Mutex<Asking>);

#[derive(Debug, Default)]
struct Asking {
    asked: Vec<Asked>,
    is_reading: bool,
}

#[derive(Debug)]
struct Asked {
    key: CredentialKey,
    answer: oneshot::Sender<Loaded>,
}

impl Readers {
    fn lock(&self) -> MutexGuard<'_, Asking> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether a [`Reading`] is to begin: none is going on that would see this.
    fn ask(&self, asked: Asked) -> bool {
        let mut asking = self.lock();
        asking.asked.push(asked);
        !std::mem::replace(&mut asking.is_reading, true)
    }
}

/// Reads the file for those who ask. If it breaks off, they are told, and the next who asks begins another.
struct Reading {
    store: FileStore,
    is_over: bool,
}

impl Reading {
    fn new(store: FileStore) -> Self {
        let is_over = false;
        Self { store, is_over }
    }

    fn until_nobody_asks(&mut self) {
        loop {
            let mut asked = {
                let mut asking = self.store.readers.lock();
                if asking.asked.is_empty() {
                    asking.is_reading = false;
                    self.is_over = true;
                    return;
                }
                std::mem::take(&mut asking.asked)
            };
            asked.retain(|asked| !asked.answer.is_closed());
            let keys: Vec<_> = asked.iter().map(|asked| &asked.key).collect();
            let loaded = self.store.load_blocking(&keys);
            for (asked, loaded) in asked.into_iter().zip(loaded) {
                // Nobody may wait for it any more.
                let _ = asked.answer.send(loaded);
            }
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if !self.is_over {
            let mut asking = self.store.readers.lock();
            asking.is_reading = false;
            asking.asked.clear();
        }
    }
}

/// The file as it was found.
struct Found {
    bytes: Zeroizing<Vec<u8>>,
    metadata: fs::Metadata,
}

/// What is in the file: of the records no more is made than where they stand.
pub(crate) struct Document<'a>(Vec<(String, &'a RawValue)>);

impl Document<'_> {
    /// The text of the file with this record in it, or without one. What else is in it keeps its text and its place.
    pub(crate) fn with(
        &self,
        key: &CredentialKey,
        record: Option<&SecretString>,
    ) -> serde_json::Result<Zeroizing<Vec<u8>>> {
        let record: Option<&RawValue> = record
            .map(|json| serde_json::from_str(json.expose_secret()))
            .transpose()?;
        let mut entries = Vec::with_capacity(self.0.len() + 1);
        let mut record = record;
        for (name, json) in &self.0 {
            if name != key.as_str() {
                entries.push((name.as_str(), *json));
            } else if let Some(record) = record.take() {
                entries.push((name.as_str(), record));
            }
        }
        entries.extend(record.map(|record| (key.as_str(), record)));
        // Room for the names with every character escaped, the texts, and what stands around them.
        let length = entries
            .iter()
            .map(|(name, json)| 6 * name.len() + json.get().len() + 8);
        let mut content = Zeroizing::new(Vec::with_capacity(length.sum::<usize>() + 8));
        serde_json::to_writer_pretty(&mut *content, &Entries(&entries))?;
        Ok(content)
    }
}

impl<'de> Deserialize<'de> for Document<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Document<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Document(entries))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

struct Entries<'a>(&'a [(&'a str, &'a RawValue)]);

impl Serialize for Entries<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, json) in self.0 {
            map.serialize_entry(name, json)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn record(token: &str) -> CredentialRecord {
        CredentialRecord::from_json(&json!({"access_token": token})).unwrap()
    }

    /// What a program does that keeps no lock, at the worst moment.
    #[test]
    fn a_change_made_while_the_new_file_was_written_survives() {
        let home = tempfile::tempdir().unwrap();
        let store = FileStore::new(home.path());
        let (mine, other) = (
            CredentialKey::new("a", "https://a"),
            CredentialKey::new("b", "https://b"),
        );
        fs::write(store.file(), "{}").unwrap();
        let mut changes = vec![
            format!(r#"{{"{}":{{"access_token":"b1"}}}}"#, other.as_str()),
            format!(
                r#"{{"{}":{{"access_token":"b2"}},"version":2}}"#,
                other.as_str()
            ),
        ];
        let replaced = store.replace_locked(&mine, None, Some(&record("a1")), || {
            if let Some(change) = changes.pop() {
                fs::write(store.file(), change).unwrap();
            }
        });
        assert_eq!(replaced, Ok(Replaced::Stored));
        let stored = |key| store.load_blocking(&[key]).remove(0).unwrap();
        assert_eq!(stored(&mine), Some(record("a1")));
        assert_eq!(stored(&other), Some(record("b1")));

        // The record itself, too.
        let newer = format!(r#"{{"{}":{{"access_token":"a2"}}}}"#, mine.as_str());
        let replaced = store.replace_locked(&mine, Some(&record("a1")), None, || {
            fs::write(store.file(), &newer).unwrap();
        });
        assert_eq!(replaced, Ok(Replaced::Conflict(Some(record("a2")))));
        assert_eq!(fs::read_to_string(store.file()).unwrap(), newer);

        // A program that never stops does not make it run for ever, nor lose what that program wrote.
        let mut count = 0;
        let replaced = store.replace_locked(&other, None, Some(&record("b3")), || {
            count += 1;
            fs::write(store.file(), format!(r#"{{"count":{count}}}"#)).unwrap();
        });
        assert_eq!(
            replaced.unwrap_err().trouble,
            CredentialStoreTrouble::Unreadable
        );
        let left: Value = serde_json::from_slice(&fs::read(store.file()).unwrap()).unwrap();
        assert_eq!((count, left), (ATTEMPTS, json!({"count": ATTEMPTS})));
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_a_killed_process_left_is_removed_and_nothing_else() {
        let home = tempfile::tempdir().unwrap();
        let store = FileStore::new(home.path());
        let left_over = home
            .path()
            .join(format!("{TEMPORARY_PREFIX}0123{TEMPORARY_SUFFIX}"));
        let others = [".credentials.json.bak", "x.mcp-startup.tmp"].map(|n| home.path().join(n));
        for path in others.iter().chain([&left_over]) {
            fs::write(path, "secret").unwrap();
        }
        let key = CredentialKey::new("a", "https://a");
        store.prove_writable_locked(&key).unwrap();
        assert!(!left_over.exists() && others.iter().all(|path| path.exists()));
        assert!(!store.file().exists());
    }

    #[tokio::test]
    async fn who_asks_is_answered_by_a_reading_that_began_later_though_others_ask_and_are_given_up()
    {
        let home = tempfile::tempdir().unwrap();
        let store = FileStore::new(home.path());
        let keys: Vec<_> = (0..1000)
            .map(|n| CredentialKey::new(&n.to_string(), "https://a"))
            .collect();
        for round in 0..20 {
            let records = keys.iter().map(|key| {
                (
                    key.as_str().to_owned(),
                    json!({"access_token": format!("{round}")}),
                )
            });
            let records: serde_json::Map<_, _> = records.collect();
            let file = Value::from(records).to_string();
            fs::write(store.file(), file).unwrap();
            let all = futures::future::join_all(keys.iter().map(|key| store.load(key)));
            let mut given_up: Vec<_> = keys.iter().map(|key| store.load(key)).collect();
            for load in given_up.iter_mut().take(100) {
                let _ = futures::poll!(load);
            }
            drop(given_up);
            for loaded in all.await {
                assert_eq!(loaded, Ok(Some(record(&round.to_string()))));
            }
        }
    }

    /// As when the runtime ends before the reading has begun.
    #[tokio::test]
    async fn a_reading_that_breaks_off_is_an_error_and_the_next_one_is_as_ever() {
        let home = tempfile::tempdir().unwrap();
        let store = FileStore::new(home.path());
        let key = CredentialKey::new("a", "https://a");
        let (answer, answered) = oneshot::channel();
        let asked = Asked {
            key: key.clone(),
            answer,
        };
        assert!(store.readers.ask(asked));
        drop(Reading::new(store.clone()));
        assert!(answered.await.is_err());
        assert_eq!(store.load(&key).await, Ok(None));
    }

    #[test]
    fn a_key_that_is_there_twice_becomes_one_and_the_last_was_valid() {
        let home = tempfile::tempdir().unwrap();
        let store = FileStore::new(home.path());
        let key = CredentialKey::new("a", "https://a");
        let of = |token: &str| format!(r#""{}":{{"access_token":"{token}"}}"#, key.as_str());
        let twice = format!(r#"{{"x":1,{},"x":2,{}}}"#, of("first"), of("last"));
        fs::write(store.file(), twice).unwrap();
        let loaded = store.load_blocking(&[&key]);
        assert_eq!(loaded, [Ok(Some(record("last")))]);
        let replaced = store.replace_locked(&key, Some(&record("last")), None, || {});
        assert_eq!(replaced, Ok(Replaced::Stored));
        let left = fs::read_to_string(store.file()).unwrap();
        assert_eq!(left, "{\n  \"x\": 1,\n  \"x\": 2\n}");
    }
}
