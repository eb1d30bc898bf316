//! Codex's lock files, so that it and every process of ours never race.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mcp_startup_core::CredentialStoreTrouble;
use sha2::{Digest, Sha256};

use crate::file_system;
use crate::record::CredentialKey;
use crate::store::{RecordLock, StoreError};

const LOCK_FOLDER: &str = "mcp-oauth-locks";
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// The locks in the folder `mcp-oauth-locks` of a home: `flock` on a file for each.
#[derive(Clone, Debug)]
pub(crate) struct LockFiles {
    home: PathBuf,
    /// The store that waits for them, for its errors.
    store: &'static str,
}

impl LockFiles {
    pub fn new(home: PathBuf, store: &'static str) -> Self {
        Self { home, store }
    }

    /// The lock of a record, which is held while it is refreshed. It is the same whatever store the record is in.
    pub async fn record(&self, key: &CredentialKey) -> Result<RecordLock, StoreError> {
        let digest = Sha256::digest(key.as_str().as_bytes());
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let lock = self.wait_for(format!("{digest}.lock")).await?;
        Ok(RecordLock::new(lock))
    }

    /// Waits for the lock of this name. It asks again and again instead of having the system wait: a thread that the system
    /// keeps waiting can't be called back, and would be given a lock that nobody wants any more.
    pub async fn wait_for(&self, name: String) -> Result<FileLock, StoreError> {
        let mut pause = FIRST_PAUSE;
        loop {
            let (locks, name) = (self.clone(), name.clone());
            // Nobody waiting for it any more, Tokio drops the result, and that releases the lock.
            if let Some(lock) = blocking(move || locks.try_lock(&name)).await? {
                return Ok(lock);
            }
            if pause == FIRST_PAUSE {
                tracing::debug!("waiting for a lock of the credential store");
            }
            tokio::time::sleep(pause).await;
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }

    /// `None` where another holds it.
    fn try_lock(&self, name: &str) -> Result<Option<FileLock>, StoreError> {
        let folder = self.home.join(LOCK_FOLDER);
        let path = folder.join(name);
        // Opened anew each time: somebody may have cleared the folder away.
        let opened = match file_system::open_lock(&folder, name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.create_lock_folder(&folder)?;
                file_system::open_lock(&folder, name)
            }
            opened => opened,
        };
        let (file, is_new) = opened.map_err(|error| {
            if folder.is_symlink() || path.is_symlink() {
                let error = io::Error::other("it is a symbolic link, and none is followed");
                self.unwritable(&path, error)
            } else {
                self.unwritable(&path, error)
            }
        })?;
        if is_new {
            self.give_to_owner_of_home(&file);
        }
        let locked = file_system::try_lock(&file).map_err(|error| self.unwritable(&path, error))?;
        Ok(locked.then_some(FileLock(file)))
    }

    fn create_lock_folder(&self, folder: &Path) -> Result<(), StoreError> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder
            .create(folder)
            .map_err(|error| self.unwritable(folder, error))?;
        #[cfg(unix)]
        if let Ok(folder) = file_system::open_no_link(OpenOptions::new().read(true), folder) {
            self.give_to_owner_of_home(&folder);
        }
        Ok(())
    }

    /// To be called with nothing but what was just made here: with another file it would give root's files away. Where that
    /// is not allowed the file stays as it is.
    pub fn give_to_owner_of_home(&self, file: &File) {
        let given =
            fs::metadata(&self.home).and_then(|home| file_system::give_to_owner(file, &home));
        if let Err(error) = given {
            tracing::debug!(%error, "a new file does not belong to the owner of its folder");
        }
    }

    fn unwritable(&self, path: &Path, error: io::Error) -> StoreError {
        let detail = format!("{} can't be written: {error}", path.display());
        StoreError::new(self.store, CredentialStoreTrouble::Unreadable, detail)
    }
}

/// A lock that is held. The system releases it when the process ends, in whatever way.
pub(crate) struct FileLock(File);

impl Drop for FileLock {
    fn drop(&mut self) {
        // Closing alone would leave it held by a child that is just being started and has not closed its copy yet.
        file_system::unlock(&self.0);
    }
}

/// Does blocking work on a thread for it. It goes through to its end, whether anybody waits for it or not.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(StoreError::broken("file", &error)),
    }
}
