//! The thread that calls the keyring. A call that hangs must delay neither the runtime nor the end of the process.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, mpsc};
use std::time::{Duration, Instant};

use keyring_core::api::CredentialStore as System;
use mcp_startup_core::CredentialStoreTrouble;
use tokio::sync::oneshot;

use super::episode::{Admission, Episode};
use super::{NAME, failure, system};
use crate::store::StoreError;

/// The time limit for one operation. A locked keyring prompts the user, and there may be no user.
const LIMIT: Duration = Duration::from_secs(4);

/// The part of an operation that decides whether the keyring prompts the user.
#[derive(Clone, Debug)]
pub struct Operation {
    account: String,
    writes: bool,
}

// Only the Secret Service reveals whether an operation would prompt.
#[cfg_attr(
    any(not(unix), target_vendor = "apple", target_os = "android"),
    allow(dead_code)
)]
impl Operation {
    /// An operation that only reads the entry of this account.
    pub fn read(account: &str) -> Self {
        let account = account.to_owned();
        let writes = false;
        Self { account, writes }
    }

    /// An operation that writes the entry of this account.
    pub fn write(account: &str) -> Self {
        let account = account.to_owned();
        let writes = true;
        Self { account, writes }
    }

    pub fn account(&self) -> &str {
        &self.account
    }

    pub fn writes(&self) -> bool {
        self.writes
    }
}

type Connect = dyn Fn() -> keyring_core::Result<Arc<System>> + Send + Sync;
type WouldPrompt = dyn Fn(&Operation) -> Option<bool> + Send + Sync;

/// The functions that reach the keyring.
#[derive(Clone)]
pub struct Access {
    pub connect: Arc<Connect>,
    pub would_prompt: Arc<WouldPrompt>,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").finish_non_exhaustive()
    }
}

type Job = Box<dyn FnOnce(&mut Option<Arc<System>>) + Send>;

/// The keyring, with the thread that calls it. The thread ends when this is dropped.
#[derive(Debug)]
pub struct Keyring {
    access: Access,
    limit: Duration,
    /// Allows one operation at a time, so that the time limit does not include the wait for other operations.
    turn: tokio::sync::Mutex<()>,
    jobs: OnceLock<Mutex<mpsc::Sender<Job>>>,
    episode: Arc<Mutex<Episode>>,
    /// Whether the last operation has found no keyring.
    is_absent: Arc<AtomicBool>,
}

impl Keyring {
    pub fn new(access: Access, limit: Duration) -> Self {
        Self {
            access,
            limit,
            turn: tokio::sync::Mutex::default(),
            jobs: OnceLock::new(),
            episode: Arc::default(),
            is_absent: Arc::default(),
        }
    }

    /// The keyring that all stores of this process share, so that they prompt the user once.
    pub fn of_this_process() -> Arc<Self> {
        // A forked process has no thread of its parent, so it needs another one.
        static SHARED: Mutex<Option<(u32, Arc<Keyring>)>> = Mutex::new(None);
        let process = std::process::id();
        let mut shared = unpoisoned(&SHARED);
        match &*shared {
            Some((of, keyring)) if *of == process => keyring.clone(),
            _ => {
                let access = Access {
                    connect: Arc::new(system::connect),
                    would_prompt: Arc::new(system::would_prompt),
                };
                let keyring = Arc::new(Self::new(access, LIMIT));
                *shared = Some((process, keyring.clone()));
                keyring
            }
        }
    }

    /// Whether the last operation has found no keyring.
    pub fn is_absent(&self) -> bool {
        self.is_absent.load(Ordering::Relaxed)
    }

    /// Allows a prompt again.
    pub fn retry(&self) {
        unpoisoned(&self.episode).retry();
    }

    /// Runs `work` on the thread, unless the keyring refused an earlier operation and this one would prompt the user again.
    pub async fn run<T: Send + 'static>(
        &self,
        operation: Operation,
        work: impl FnOnce(&Arc<System>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        // Held until the operation has ended.
        let _turn = self.turn.lock().await;
        let admission = unpoisoned(&self.episode).admit(Instant::now());
        let refusal = match admission {
            Admission::Refused(error) => return Err(error),
            Admission::WithoutPrompt(error) => Some(error),
            Admission::Free => None,
        };
        let (sender, receiver) = oneshot::channel();
        let (episode, access) = (self.episode.clone(), self.access.clone());
        let absent = self.is_absent.clone();
        self.send(Box::new(move |connection| {
            let is_free = refusal.is_none();
            // The caller has stopped waiting, so a prompt would surprise the user.
            if sender.is_closed() {
                return unpoisoned(&episode).ended(false, None, Instant::now());
            }
            let result = match refusal {
                Some(error) if (access.would_prompt)(&operation) != Some(false) => Err(error),
                _ => connected(connection, &access).and_then(work),
            };
            let error = result.as_ref().err();
            // The next operation opens a new connection in case this one was lost.
            let is_absent =
                error.map(|error| error.trouble) == Some(CredentialStoreTrouble::Absent);
            if is_absent
                || error.is_some_and(|error| error.trouble == CredentialStoreTrouble::Unreadable)
            {
                *connection = None;
            }
            absent.store(is_absent, Ordering::Relaxed);
            unpoisoned(&episode).ended(is_free, error, Instant::now());
            // The caller may have stopped waiting.
            let _ = sender.send(result);
        }));
        match tokio::time::timeout(self.limit, receiver).await {
            Ok(Ok(result)) => result,
            Ok(Err(closed)) => Err(StoreError::broken(NAME, &closed)),
            Err(_) => {
                let error = no_response(self.limit);
                unpoisoned(&self.episode).timed_out(error.clone(), Instant::now());
                Err(error)
            }
        }
    }

    fn send(&self, job: Job) {
        let jobs = self.jobs.get_or_init(|| {
            let (sender, receiver) = mpsc::channel::<Job>();
            let thread = std::thread::Builder::new().name("mcp-startup-keyring".to_owned());
            // If the thread can't be started, the jobs are dropped, and the waiting operations fail.
            let _ = thread.spawn(move || {
                let mut connection = None;
                receiver.into_iter().for_each(|job| job(&mut connection));
            });
            Mutex::new(sender)
        });
        let _ = unpoisoned(jobs).send(job);
    }
}

fn connected<'a>(
    connection: &'a mut Option<Arc<System>>,
    access: &Access,
) -> Result<&'a Arc<System>, StoreError> {
    if connection.is_none() {
        *connection = Some((access.connect)().map_err(|error| failure(&error))?);
    }
    connection.as_ref().ok_or_else(|| no_response(LIMIT))
}

fn no_response(limit: Duration) -> StoreError {
    let detail = format!("it did not respond within {} s", limit.as_secs_f32());
    StoreError::new(NAME, CredentialStoreTrouble::Locked, detail)
}

/// Ignores poisoning: each change of this state is complete.
fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
