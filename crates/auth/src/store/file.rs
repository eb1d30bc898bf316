//! The store in the file `.credentials.json`, which it shares with Codex: it uses Codex's format and Codex's locks.

mod document;
mod pending_loads;
#[cfg(unix)]
mod permissions;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mcp_startup_core::{CredentialStoreTrouble, file_kind, io_problem};
use secrecy::zeroize::Zeroizing;
use serde_json::error::Category;
use serde_json::value::RawValue;
use tempfile::NamedTempFile;
use tokio::sync::oneshot;

pub(crate) use self::document::Document;
use self::pending_loads::{LoadResult, PendingLoad, PendingLoads, Reader};
use super::file_system;
use super::lock_files::{LockFiles, blocking};
use super::{
    CredentialKey, CredentialRecord, CredentialStore, Expected, RecordLock, ReplaceOutcome,
    StoreError, StoreFuture,
};

/// The largest credentials file that is read or written: 16 MiB.
const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;
const NAME: &str = "file";
const FILE_NAME: &str = ".credentials.json";
/// The lock around read, merge and rename. A temporary file exists only while this lock is held, unless its process was killed.
const FILE_LOCK: &str = "file-store.lock";
const TEMPORARY_PREFIX: &str = ".credentials.json.";
const TEMPORARY_SUFFIX: &str = ".mcp-startup.tmp";
/// More than a record needs. The proof that the file can grow writes this many bytes more than the file has.
const ROOM_FOR_A_RECORD: usize = 16 * 1024;
/// How often a replace is tried again after a change by a program that takes no lock.
const ATTEMPTS: usize = 100;
/// A damaged file or record is read again after growing pauses, 0.9 s in total: a program that writes the file in place shows part of
/// it for a moment, which is longer on a busy machine.
const RE_READ_PAUSES_MS: [u64; 12] = [5, 5, 5, 10, 20, 40, 60, 80, 100, 150, 200, 225];
/// The time limit for the lock of the file, for a read that finds damage.
const READ_LOCK_LIMIT: Duration = Duration::from_secs(2);

/// Stores records in the file `.credentials.json` in Codex's format: a JSON object with one record under each key.
///
/// * Each change replaces the whole file. The store writes the new content to a temporary file in the same folder (mode 0600,
///   with a name that can't be guessed), syncs it, and renames it. Other records and fields keep their text.
/// * A file that is not a valid credential file is reported and never overwritten. If only one record is damaged, that record
///   can be replaced or removed.
/// * Damage is reported only if it lasts: the file is read again for about 100 ms, and then under its lock.
/// * The locks are the ones that Codex uses: `flock` on `mcp-oauth-locks/file-store.lock` for a change of the file, and on
///   `mcp-oauth-locks/<SHA-256 of the key>.lock` for a refresh of a record. A program that needs both takes the lock of the
///   record first.
/// * The folder itself can be a symbolic link. Links inside the folder are not followed.
/// * A new file belongs to the owner of the file that it replaces or, if there is none, to the owner of the folder. So after
///   a run as root, the user can still open the file.
///
/// The futures need a Tokio runtime with time enabled. All I/O runs on its blocking threads.
#[derive(Clone, Debug)]
pub struct FileStore {
    home: PathBuf,
    locks: LockFiles,
    pending_loads: Arc<PendingLoads>,
}

impl FileStore {
    /// Creates a store in the folder `home`. The first write creates the folder (mode 0700) if it does not exist.
    pub fn new(home: impl Into<PathBuf>) -> Self {
        let home = home.into();
        let locks = LockFiles::new(home.clone(), NAME);
        Self {
            home,
            locks,
            pending_loads: Arc::default(),
        }
    }

    /// Warns if other users can change the sign-ins: if the home folder or the credential file is writable by its group or by
    /// everyone, or belongs to another user. A folder above the home folder counts too if it is writable in this way and not
    /// sticky. Returns `None` otherwise, and on systems without such permissions.
    ///
    /// A group with the number of its owner counts as private, because many systems give each user such a group.
    pub fn permission_warning(&self) -> Option<String> {
        #[cfg(unix)]
        return permissions::warning(&self.home, &self.file());
        #[cfg(not(unix))]
        None
    }

    /// Returns the keys of all records, sorted. An entry whose name is not a key is left out.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the file can't be read.
    pub async fn keys(&self) -> Result<Vec<CredentialKey>, StoreError> {
        let store = self.clone();
        let mut keys = blocking(move || {
            until_settled(
                || {
                    let Some(found) = store.read()? else {
                        return Ok(Vec::new());
                    };
                    let document = store.parse(&found.bytes)?;
                    let names = document.0.iter().map(|(name, _)| name);
                    Ok(names
                        .filter_map(|name| CredentialKey::parse(name))
                        .collect())
                },
                is_corrupt,
            )
        })
        .await?;
        keys.sort_by(|a: &CredentialKey, b| a.as_str().cmp(b.as_str()));
        keys.dedup();
        Ok(keys)
    }

    /// Loads the records under several keys. Reports damage only if it lasts.
    fn load_blocking(&self, keys: &[&CredentialKey]) -> Vec<LoadResult> {
        let is_damaged = |results: &Vec<LoadResult>| results.iter().any(is_corrupt);
        let mut results = until_settled(|| self.load_once(keys), is_damaged);
        if is_damaged(&results) {
            match self.locks.of_store_blocking(FILE_LOCK, READ_LOCK_LIMIT) {
                Ok(_lock) => results = self.load_once(keys),
                // The program that holds the lock may be writing at this moment.
                Err(error) if error.is_in_use() => {
                    let damaged = results.iter_mut().filter(|result| is_corrupt(result));
                    damaged.for_each(|result| *result = Err(error.clone()));
                }
                Err(error) => tracing::debug!(%error, "can't lock a damaged file to read it again"),
            }
        }
        results
    }

    /// Loads the records under several keys with one read of the file.
    fn load_once(&self, keys: &[&CredentialKey]) -> Vec<LoadResult> {
        let same_for_all = |result: LoadResult| vec![result; keys.len()];
        let found = match self.read() {
            Ok(Some(found)) => found,
            Ok(None) => return same_for_all(Ok(None)),
            Err(error) => return same_for_all(Err(error)),
        };
        match self.parse(&found.bytes) {
            Err(error) => same_for_all(Err(error)),
            // If a name occurs twice, the last entry is valid.
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

    /// Reads a file that is valid as a whole. The caller must hold the lock of the file. Reports damage only if it lasts.
    fn read_valid(&self) -> Result<Option<Found>, StoreError> {
        let read = || {
            let found = self.read()?;
            if let Some(found) = &found {
                self.parse(&found.bytes)?;
            }
            Ok(found)
        };
        until_settled(read, is_corrupt)
    }

    fn file(&self) -> PathBuf {
        self.home.join(FILE_NAME)
    }

    fn read(&self) -> Result<Option<Found>, StoreError> {
        let file = match file_system::open_no_link(OpenOptions::new().read(true), &self.file()) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.not_opened(&error)),
        };
        let unreadable = |error: io::Error| self.unreadable(io_problem(&error));
        let metadata = file.metadata().map_err(unreadable)?;
        if !metadata.is_file() {
            let kind = file_kind(metadata.file_type());
            return Err(self.unreadable(format!("is {kind}")));
        }
        if metadata.len() > MAX_FILE_BYTES {
            return Err(self.too_large());
        }
        // The buffer has its full capacity from the start: a buffer that grows leaves copies of secrets in memory.
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
        // An error of serde_json can quote the file, which has secrets.
        serde_json::from_slice(bytes).map_err(|error| {
            if let Some(problem) = document::problem_of_text(bytes) {
                return self.corrupt(problem.to_owned());
            }
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
            self.corrupt(format!(
                "contains a damaged record for this server: {error}"
            ))
        })
    }

    /// Waits for the lock of the file and replaces a record.
    async fn change(
        &self,
        key: &CredentialKey,
        expected: Expected,
        new: Option<&CredentialRecord>,
    ) -> Result<ReplaceOutcome, StoreError> {
        let lock = self.locks.of_store(FILE_LOCK).await?;
        let (store, key, new) = (self.clone(), key.clone(), new.cloned());
        // From here on, the change runs to completion and holds the lock, even if the caller stops waiting.
        blocking(move || {
            let _lock = lock;
            store.replace_locked(&key, &expected, new.as_ref(), || {})
        })
        .await
    }

    /// Replaces a record. The caller must hold the lock of the file. `after_write` runs between the write of the temporary file
    /// and its rename.
    fn replace_locked(
        &self,
        key: &CredentialKey,
        expected: &Expected,
        new: Option<&CredentialRecord>,
        mut after_write: impl FnMut(),
    ) -> Result<ReplaceOutcome, StoreError> {
        self.remove_left_overs();
        for _ in 0..ATTEMPTS {
            let found = self.read_valid()?;
            let document = match &found {
                Some(found) => self.parse(&found.bytes)?,
                None => Document(Vec::new()),
            };
            let stored = self.record(&document, key);
            if !expected.is_met_by(&stored) {
                return stored.map(ReplaceOutcome::Conflict);
            }
            if stored == Ok(None) && new.is_none() {
                return Ok(ReplaceOutcome::Stored);
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
            after_write();
            // A program that does not take the lock can change the file at any time, so read it again just before the rename.
            let bytes = |found: Option<&Found>| found.map(|found| found.bytes.clone());
            if bytes(self.read()?.as_ref()) != bytes(found.as_ref()) {
                continue;
            }
            file_system::replace(temporary, &self.file())
                .map_err(|error| self.unwritable(&self.file(), error))?;
            file_system::sync_folder(&self.home)
                .map_err(|error| self.unwritable(&self.home, error))?;
            return Ok(ReplaceOutcome::Stored);
        }
        Err(self.unreadable("is continuously changed by another program".to_owned()))
    }

    /// Proves that the file can grow by a record. The caller must hold the lock of the file.
    fn prove_writable_locked(&self) -> Result<(), StoreError> {
        self.remove_left_overs();
        // The record itself may be damaged: it can be replaced.
        let found = self.read_valid()?;
        let size = found.as_ref().map_or(0, |found| found.bytes.len()) + ROOM_FOR_A_RECORD;
        self.write_temporary(&vec![0; size], found.as_ref())?
            .close()
            .map_err(|error| self.unwritable(&self.home, error))
    }

    /// Writes and syncs a temporary file in the same folder. Dropping it deletes the file.
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
                // An error here is fatal: the owner of the file could no longer read it.
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

    /// Removes the temporary files of killed processes, which contain secrets. The caller must hold the lock of the file, so
    /// that no other process has a temporary file at that time.
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
                tracing::debug!(%error, "can't remove the temporary file of a killed process");
            }
        }
    }

    fn not_opened(&self, error: &io::Error) -> StoreError {
        let detail = match file_system::irregular_kind(&self.file()) {
            Some(kind @ "a symbolic link") => format!("is {kind}, which is not followed"),
            Some(kind) => format!("is {kind}"),
            None if error.kind() == io::ErrorKind::NotADirectory => {
                "can't be reached: its folder is not a folder".to_owned()
            }
            None => io_problem(error),
        };
        self.unreadable(detail)
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
        let detail = format!(
            "{} can't be written: {}",
            path.display(),
            io_problem(&error)
        );
        StoreError::new(NAME, CredentialStoreTrouble::Unreadable, detail)
    }
}

impl CredentialStore for FileStore {
    fn name(&self) -> &str {
        NAME
    }

    fn load<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, Option<CredentialRecord>> {
        Box::pin(async move {
            let (sender, receiver) = oneshot::channel();
            let key = key.clone();
            if self.pending_loads.add(PendingLoad { key, sender }) {
                let mut reader = Reader::new(self.clone());
                tokio::task::spawn_blocking(move || reader.run());
            }
            let closed = |closed| Err(StoreError::broken(NAME, &closed));
            receiver.await.unwrap_or_else(closed)
        })
    }

    fn replace<'a>(
        &'a self,
        key: &'a CredentialKey,
        expected: Option<&'a CredentialRecord>,
        new: Option<&'a CredentialRecord>,
    ) -> StoreFuture<'a, ReplaceOutcome> {
        let expected = Expected::Record(expected.cloned());
        Box::pin(self.change(key, expected, new))
    }

    fn replace_damaged<'a>(
        &'a self,
        key: &'a CredentialKey,
        new: Option<&'a CredentialRecord>,
    ) -> StoreFuture<'a, ReplaceOutcome> {
        Box::pin(self.change(key, Expected::Damaged, new))
    }

    fn lock<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, RecordLock> {
        Box::pin(self.locks.record(key))
    }

    fn lock_holder(&self, key: &CredentialKey) -> Option<u32> {
        self.locks.record_holder(key)
    }

    fn store_lock_holder(&self) -> Option<u32> {
        self.locks.holder(FILE_LOCK)
    }

    fn prove_writable<'a>(&'a self, _key: &'a CredentialKey) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let lock = self.locks.of_store(FILE_LOCK).await?;
            let store = self.clone();
            blocking(move || {
                let _lock = lock;
                store.prove_writable_locked()
            })
            .await
        })
    }

    fn warnings(&self) -> Vec<String> {
        self.permission_warning().into_iter().collect()
    }
}

fn is_corrupt<T>(result: &Result<T, StoreError>) -> bool {
    let error = result.as_ref().err();
    error.is_some_and(|error| error.trouble == CredentialStoreTrouble::Corrupt)
}

/// Reads until the result is not damaged, for about 100 ms.
fn until_settled<T>(mut read: impl FnMut() -> T, is_damaged: impl Fn(&T) -> bool) -> T {
    let mut result = read();
    for pause in RE_READ_PAUSES_MS {
        if !is_damaged(&result) {
            break;
        }
        std::thread::sleep(Duration::from_millis(pause));
        result = read();
    }
    result
}

/// The content and the metadata of the file, from one read.
struct Found {
    bytes: Zeroizing<Vec<u8>>,
    metadata: fs::Metadata,
}
