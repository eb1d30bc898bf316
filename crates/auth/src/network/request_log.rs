//! The HTTP requests of one start, as evidence, and the limits that they must keep. It sends no request.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mcp_startup_core::{ExceededLimit, RequestEvidence, RequestTarget};
use secrecy::SecretString;

use super::response::{certificate_problem_of, trouble};

/// The maximum number of requests until a server is ready, or until a sign-in has begun or finished. Each redirect counts.
pub const MAX_REQUESTS: usize = 30;
/// The maximum number of bytes that a server may send until it is ready.
pub const MAX_RECEIVED_BYTES: usize = 16_000_000;
/// The maximum number of requests that are kept as evidence. More than [`MAX_REQUESTS`], because some requests are always allowed.
const MAX_ENTRIES: usize = 2 * MAX_REQUESTS;

/// A request was not sent, or a response was not read, because a server has exceeded a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a limit of the start is exceeded")]
pub struct LimitExceeded;

/// Observes the requests of a [`RequestLog`]: when each is sent, and when a part of its outcome is known. It must not call the log.
pub trait RequestObserver: Debug + Send + Sync {
    /// The request with this number is being sent.
    fn sent(&self, number: u64, request: &RequestEvidence);
    /// The entry of a request has changed. This can happen several times.
    fn noted(&self, number: u64, request: &RequestEvidence);
    /// The request was not sent after all, because a rule blocked it when the client connected.
    fn not_sent(&self, number: u64);
}

/// The requests of one start, in order. A request is added when it is sent, and its outcome is added when it is known. So a request
/// that a time-out interrupted has no outcome. Clones share the log.
#[derive(Clone, Debug, Default)]
pub struct RequestLog {
    entries: Arc<Mutex<Entries>>,
    /// Secrets from responses. A separate mutex, because [`SentRequest::note`] runs its closure while the entries are locked.
    secrets: Arc<Mutex<Vec<SecretString>>>,
    observer: Option<Arc<dyn RequestObserver>>,
}

#[derive(Debug, Default)]
struct Entries {
    requests: Vec<(u64, RequestEvidence)>,
    next: u64,
    closed: bool,
    /// How many requests have counted towards the limit.
    counted: usize,
    received: usize,
    exceeded: Option<ExceededLimit>,
}

/// A request in the log, to which its outcome can be added.
#[derive(Debug)]
pub struct SentRequest {
    log: RequestLog,
    number: u64,
}

impl RequestLog {
    /// Returns a log with an observer of its requests.
    pub fn with_observer(observer: Arc<dyn RequestObserver>) -> Self {
        Self {
            observer: Some(observer),
            ..Self::default()
        }
    }

    /// Adds a request that is about to be sent, if the limit of requests allows it.
    ///
    /// # Errors
    ///
    /// [`LimitExceeded`] if it must not be sent.
    pub fn try_sent(&self, request: RequestEvidence) -> Result<SentRequest, LimitExceeded> {
        {
            let mut entries = self.lock();
            if !entries.closed {
                if entries.exceeded.is_some() {
                    return Err(LimitExceeded);
                }
                if entries.counted >= MAX_REQUESTS {
                    entries.exceeded = Some(ExceededLimit::Requests);
                    return Err(LimitExceeded);
                }
                entries.counted += 1;
            }
        }
        Ok(self.sent(request))
    }

    /// Counts bytes that a server has sent.
    ///
    /// # Errors
    ///
    /// [`LimitExceeded`] if the server has sent too much, so that no more must be read.
    pub fn received(&self, bytes: usize) -> Result<(), LimitExceeded> {
        let mut entries = self.lock();
        if entries.closed {
            return Ok(());
        }
        entries.received = entries.received.saturating_add(bytes);
        match entries.received > MAX_RECEIVED_BYTES {
            true => {
                entries.exceeded.get_or_insert(ExceededLimit::Bytes);
                Err(LimitExceeded)
            }
            false => Ok(()),
        }
    }

    /// How many bytes a server has sent.
    pub fn received_bytes(&self) -> usize {
        self.lock().received
    }

    /// Records that the server has exceeded a limit. The first one is kept.
    pub fn exceed(&self, limit: ExceededLimit) {
        let mut entries = self.lock();
        if !entries.closed {
            entries.exceeded.get_or_insert(limit);
        }
    }

    /// The limit that the server has exceeded, if any.
    pub fn exceeded(&self) -> Option<ExceededLimit> {
        self.lock().exceeded
    }

    /// Adds a request that is being sent and that no limit forbids, such as a refresh.
    pub fn sent(&self, request: RequestEvidence) -> SentRequest {
        let mut entries = self.lock();
        let number = entries.next;
        entries.next += 1;
        if !entries.closed && entries.requests.len() < MAX_ENTRIES {
            if let Some(observer) = &self.observer {
                observer.sent(number, &request);
            }
            entries.requests.push((number, request));
        }
        SentRequest {
            log: self.clone(),
            number,
        }
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<RequestEvidence> {
        let entries = self.lock();
        entries
            .requests
            .iter()
            .map(|(_, request)| request.clone())
            .collect()
    }

    /// The last request to `target`, with its outcome so far.
    pub fn last(&self, target: RequestTarget) -> Option<RequestEvidence> {
        let entries = self.lock();
        let mut requests = entries.requests.iter().rev();
        let (_, request) = requests.find(|(_, request)| request.to == Some(target))?;
        Some(request.clone())
    }

    /// The HTTP status of the last request to `target`.
    pub fn last_status(&self, target: RequestTarget) -> Option<u16> {
        self.last(target)?.status
    }

    /// Notes the trouble of an earlier request to `target` with the last one too, because its answer was to arrive there.
    pub fn repeat_trouble(&self, target: RequestTarget) {
        let mut entries = self.lock();
        let mut requests = entries.requests.iter_mut().rev();
        let mut requests = requests
            .by_ref()
            .filter(|(_, request)| request.to == Some(target));
        if let Some((number, last)) = requests.next()
            && let Some(trouble) = requests.find_map(|(_, request)| request.io)
        {
            last.io.get_or_insert(trouble);
            if let Some(observer) = &self.observer {
                observer.noted(*number, last);
            }
        }
    }

    /// Adds secrets from a response. They must be masked in all text that is shown.
    pub fn add_secrets(&self, secrets: impl IntoIterator<Item = SecretString>) {
        let mut known = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(secrets);
    }

    /// Removes and returns the secrets that were added since the last call.
    pub fn take_secrets(&self) -> Vec<SecretString> {
        std::mem::take(&mut self.secrets.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The number of requests.
    pub fn len(&self) -> usize {
        self.lock().requests.len()
    }

    /// Whether there is no request.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Keeps the first `length` requests and removes the others. Use it to remove the requests of an attempt that is not evidence
    /// about the start.
    pub fn truncate(&self, length: usize) {
        self.lock().requests.truncate(length);
    }

    /// Whether the log is closed: the server is ready, and no limit of the start applies.
    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Removes all requests and ignores later ones, because the start has ended.
    pub fn close(&self) {
        let mut entries = self.lock();
        entries.closed = true;
        entries.requests = Vec::new();
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SentRequest {
    /// The number of the request, as the observer of the log receives it.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Changes the entry of this request, for instance to add its status. Does nothing if the entry was removed.
    pub fn note(&self, note: impl FnOnce(&mut RequestEvidence)) {
        let mut entries = self.log.lock();
        let mut requests = entries.requests.iter_mut().rev();
        if let Some((_, request)) = requests.find(|(number, _)| *number == self.number) {
            note(request);
            if let Some(observer) = &self.log.observer {
                observer.noted(self.number, request);
            }
        }
    }

    /// Removes the entry of a request that was not sent, because a rule blocked it when the client connected.
    pub fn not_sent(self) {
        let mut entries = self.log.lock();
        entries
            .requests
            .retain(|(number, _)| *number != self.number);
        if let Some(observer) = &self.log.observer {
            observer.not_sent(self.number);
        }
    }

    /// Adds the error of a request without a complete response.
    pub fn failed(&self, error: &reqwest::Error) {
        self.note(|request| {
            request.io = Some(trouble(error));
            request.certificate = certificate_problem_of(error);
        });
    }
}
