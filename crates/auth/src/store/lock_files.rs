//! Codex's lock files, which prevent races with Codex and among the processes of this project.

#[cfg(any(target_os = "linux", target_os = "android"))]
mod holder;

#[cfg(unix)]
use std::fs::OpenOptions;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mcp_startup_core::{CredentialStoreTrouble, file_kind, io_problem};
use sha2::{Digest, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::file_system;
use crate::store::CredentialKey;
use crate::store::{RecordLock, StoreError};

const LOCK_FOLDER: &str = "mcp-oauth-locks";
/// The time limit for the lock of a whole store, which a program holds only while it changes the store.
const STORE_LOCK_LIMIT: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(1);
/// The longest pause between two attempts to take a lock. Codex uses the same one.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);
/// How long the tasks of a process may hold the lock of a store one after the other. Another program that polls for it has to be lucky
/// in that time.
const LONGEST_RUN: Duration = Duration::from_secs(1);
/// How long the lock is then left free. Each program that polls for it tries at least once in that time.
const LEFT_FREE: Duration = Duration::from_millis(100);

/// The locks in the folder `mcp-oauth-locks` of a home. Each lock is a `flock` on a file of its own name.
#[derive(Clone, Debug)]
pub(crate) struct LockFiles {
    home: PathBuf,
    /// The name of the store, for errors.
    store: &'static str,
    /// The time limit for the lock of a whole store.
    pub store_lock_limit: Duration,
    queue: Arc<Queue>,
}

/// The tasks of this process that wait for the lock of a whole store, in order. Only the first one polls.
#[derive(Debug)]
struct Queue {
    turn: Arc<Semaphore>,
    holds: Mutex<Holds>,
}

/// When the tasks of this process held the lock of a whole store.
#[derive(Debug, Default)]
struct Holds {
    last_taken: Option<tokio::time::Instant>,
    last_released: Option<tokio::time::Instant>,
    /// When the first of several tasks took the lock that left it free only for a moment.
    run_began: Option<tokio::time::Instant>,
}

impl LockFiles {
    pub fn new(home: PathBuf, store: &'static str) -> Self {
        Self {
            home,
            store,
            store_lock_limit: STORE_LOCK_LIMIT,
            queue: Arc::new(Queue {
                turn: Arc::new(Semaphore::new(1)),
                holds: Mutex::default(),
            }),
        }
    }

    /// Waits for the lock of a record, which a refresh holds. All stores share this lock. The caller has the time limit.
    pub async fn record(&self, key: &CredentialKey) -> Result<RecordLock, StoreError> {
        let lock = self.wait_for(record_lock(key)).await?;
        Ok(RecordLock::new(lock))
    }

    /// The ID of the process that holds the lock of a record, if the system reveals it.
    pub fn record_holder(&self, key: &CredentialKey) -> Option<u32> {
        self.holder(&record_lock(key))
    }

    /// Waits for the lock of a whole store, named `name`. Ends when this process has taken the lock for none of its tasks during
    /// [`store_lock_limit`](Self::store_lock_limit): with hundreds of tasks, a wait may take longer, without another program being the
    /// reason.
    pub async fn of_store(&self, name: &str) -> Result<FileLock, StoreError> {
        let mut since = tokio::time::Instant::now();
        let mut waiting = std::pin::pin!(self.wait_in_turn(name));
        loop {
            let limit = since + self.store_lock_limit;
            if let Ok(locked) = tokio::time::timeout_at(limit, &mut waiting).await {
                return locked;
            }
            match self.queue.holds().last_taken {
                Some(taken) if taken > since => since = taken,
                _ => return Err(StoreError::in_use(self.store, self.holder(name))),
            }
        }
    }

    async fn wait_in_turn(&self, name: &str) -> Result<FileLock, StoreError> {
        // The semaphore is never closed. It is fair.
        let permit = self.queue.turn.clone().acquire_owned().await.ok();
        let free_until = self.queue.holds().free_until(tokio::time::Instant::now());
        if let Some(time) = free_until {
            tokio::time::sleep_until(time).await;
        }
        let mut lock = self.wait_for(name.to_owned()).await?;
        self.queue.holds().taken(tokio::time::Instant::now());
        lock.turn = Some(Turn {
            queue: self.queue.clone(),
            _permit: permit,
        });
        Ok(lock)
    }

    /// Waits for the lock of a whole store on a blocking thread, at most for `limit`. Creates nothing: if the lock file does not
    /// exist, no program holds the lock, and the result is `None`.
    pub fn of_store_blocking(
        &self,
        name: &str,
        limit: Duration,
    ) -> Result<Option<FileLock>, StoreError> {
        let (began, mut pause) = (Instant::now(), FIRST_PAUSE);
        loop {
            if !self.home.join(LOCK_FOLDER).join(name).exists() {
                return Ok(None);
            }
            if let Some(lock) = self.try_lock(name)? {
                return Ok(Some(lock));
            }
            if began.elapsed() >= limit {
                return Err(StoreError::in_use(self.store, self.holder(name)));
            }
            std::thread::sleep(pause);
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }

    /// The ID of the process that holds the lock named `name`, if the system reveals it.
    #[cfg_attr(
        not(any(target_os = "linux", target_os = "android")),
        allow(unused_variables, clippy::unused_self)
    )]
    pub fn holder(&self, name: &str) -> Option<u32> {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        {
            let file = self.home.join(LOCK_FOLDER).join(name);
            holder::holder(&file.symlink_metadata().ok()?)
        }
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        None
    }

    /// Waits for the lock named `name` by polling. A blocking wait in the system can't be cancelled, so it could take a lock
    /// after the caller stopped waiting.
    async fn wait_for(&self, name: String) -> Result<FileLock, StoreError> {
        let mut pause = FIRST_PAUSE;
        loop {
            let (locks, name) = (self.clone(), name.clone());
            // If the caller stops waiting, Tokio drops the result, which releases the lock.
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

    /// Takes the lock; `None` if another holder has it.
    fn try_lock(&self, name: &str) -> Result<Option<FileLock>, StoreError> {
        let folder = self.home.join(LOCK_FOLDER);
        let path = folder.join(name);
        // Opened again each time, because another process may have deleted the folder.
        let opened = match file_system::open_lock(&folder, name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.create_lock_folder(&folder)?;
                file_system::open_lock(&folder, name)
            }
            opened => opened,
        };
        let (file, is_new) = opened.map_err(|error| self.not_opened(&folder, &path, error))?;
        // Another program would wait for a pipe.
        if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
            let error = io::Error::other("it is not a regular file");
            return Err(self.not_opened(&folder, &path, error));
        }
        if is_new {
            self.give_to_owner_of_home(&file);
        }
        let locked = file_system::try_lock(&file).map_err(|error| self.unwritable(&path, error))?;
        Ok(locked.then_some(FileLock { file, turn: None }))
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

    /// Changes the owner of `file` to the owner of the home. If that is not allowed, the file stays unchanged. The caller must have
    /// just created the file: otherwise, a process of root could give away another file.
    pub fn give_to_owner_of_home(&self, file: &File) {
        let result =
            fs::metadata(&self.home).and_then(|home| file_system::give_to_owner(file, &home));
        if let Err(error) = result {
            tracing::debug!(%error, "can't give a new file to the owner of its folder");
        }
    }

    /// The error for a lock file that can't be opened.
    fn not_opened(&self, folder: &Path, path: &Path, error: io::Error) -> StoreError {
        let kind_of = |path: &Path| Some(file_kind(path.symlink_metadata().ok()?.file_type()));
        let (irregular, kind) = match (kind_of(folder), kind_of(path)) {
            (Some(kind), _) if kind != "a folder" => (folder, kind),
            (_, Some(kind)) if kind != "a regular file" => (path, kind),
            _ => return self.unwritable(path, error),
        };
        let detail = format!(
            "the lock {} can't be taken: it is {kind}",
            irregular.display()
        );
        StoreError::new(self.store, CredentialStoreTrouble::Unreadable, detail)
    }

    fn unwritable(&self, path: &Path, error: io::Error) -> StoreError {
        let detail = format!(
            "{} can't be written: {}",
            path.display(),
            io_problem(&error)
        );
        StoreError::new(self.store, CredentialStoreTrouble::Unreadable, detail)
    }
}

impl Queue {
    fn holds(&self) -> MutexGuard<'_, Holds> {
        self.holds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Holds {
    /// Until when the lock must stay free for other programs, if this process has held it for too long.
    fn free_until(&self, now: tokio::time::Instant) -> Option<tokio::time::Instant> {
        let free_until = self.last_released? + LEFT_FREE;
        let is_long = now - self.run_began? >= LONGEST_RUN;
        (is_long && now < free_until).then_some(free_until)
    }

    fn taken(&mut self, now: tokio::time::Instant) {
        let was_free = self
            .last_released
            .is_none_or(|released| now - released >= LEFT_FREE);
        if was_free {
            self.run_began = Some(now);
        }
        self.last_taken = Some(now);
    }
}

/// The name of the lock file of a record.
fn record_lock(key: &CredentialKey) -> String {
    let digest = Sha256::digest(key.as_str().as_bytes());
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{digest}.lock")
}

/// A held lock. The system releases it when the process ends, even if the process crashes or is killed.
pub(crate) struct FileLock {
    file: File,
    /// Given back after the lock was released.
    turn: Option<Turn>,
}

/// The turn of a task that holds the lock of a whole store.
struct Turn {
    queue: Arc<Queue>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.queue.holds().last_released = Some(tokio::time::Instant::now());
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // Closing the file is not enough: a child process that is just starting can have an inherited copy.
        file_system::unlock(&self.file);
        drop(self.turn.take());
    }
}

/// Runs blocking work on a blocking thread. The work runs to completion, even if the caller stops waiting.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(StoreError::broken("file", &error)),
    }
}
