//! The tracker: what a client shows, folded from notifications.

use std::collections::{BTreeSet, HashSet, VecDeque};

use foldhash::HashMap;
use serde::Serialize;

use crate::decode::decode_each;
use crate::decode_error::LineError;
use crate::notification::{
    McpServerStartupFailureReason, McpServerStartupState, McpServerStatusUpdatedNotification,
};

const REAUTHENTICATION_REQUIRED: &str = "reauthenticationRequired";

/// How many servers a tracker holds unless told otherwise.
const DEFAULT_LIMIT: usize = 10_000;

/// One server as a client shows it: the latest of what was said about a (threadId, name).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TrackedServer {
    /// The thread whose server it is; `None` where it belongs to the whole app.
    pub thread_id: Option<String>,
    /// Its name.
    pub name: String,
    /// Its state.
    pub status: McpServerStartupState,
    /// The sentence that came with a failure.
    pub error: Option<String>,
    /// Why it failed, where a client can do something about it.
    pub failure_reason: Option<McpServerStartupFailureReason>,
}

/// What one notification did to the tracker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TrackerUpdate {
    /// Something that a client shows is different now.
    pub changed: bool,
    /// The user is to be asked, now, to sign in again to this server.
    pub prompt: bool,
}

/// What the bytes of many lines did to the tracker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AppliedLines {
    /// How many lines were notifications of ours.
    pub notifications: u64,
    /// The servers that are different now, as (threadId, name), each once, in the order of their first change.
    pub changed: Vec<(Option<String>, String)>,
    /// The names of the servers to ask the user about, now, in order.
    pub prompts: Vec<String>,
    /// The bad lines.
    pub errors: Vec<LineError>,
}

/// Folds notifications into what a client shows: the state of each server, which ones want a sign-in *again*, and when to
/// ask the user.
///
/// The user is asked once per **name** and episode, however many threads and retries repeat the failure: an episode begins
/// at the first failure with that reason and ends when a server of that name is ready.
///
/// Memory is bounded: past the limit the oldest finished server is forgotten first.
///
/// ```
/// use mcp_startup_core::{McpServerStatusUpdatedNotification as Notification, StartupTracker};
///
/// let mut tracker = StartupTracker::default();
/// let failed = Notification::reauthentication_required("linear", "sign in again");
/// assert!(tracker.apply(&failed).prompt);
/// assert!(!tracker.apply(&failed.with_thread_id("another")).prompt);
/// assert_eq!(tracker.reauthentication_required(), ["linear"]);
/// tracker.apply(&Notification::ready("linear"));
/// assert!(tracker.reauthentication_required().is_empty());
/// ```
#[derive(Clone, Debug)]
pub struct StartupTracker {
    /// The slot of each server: by name for those of the whole app, by thread and name for the others.
    of_app: HashMap<String, usize>,
    of_thread: HashMap<String, HashMap<String, usize>>,
    slots: Vec<Option<Slot>>,
    free: Vec<usize>,
    /// (number in the order of coming, slot) of each server.
    order: BTreeSet<(u64, usize)>,
    /// The same of those that have finished, of which the first is forgotten first. Some have begun again since: a server that
    /// is restarted all day stays where it is.
    finished: BTreeSet<(u64, usize)>,
    next: u64,
    /// How many batches of lines there were.
    batches: u64,
    /// How many were forgotten for the bound.
    forgotten: u64,
    limit: usize,
    episodes: HashMap<String, u64>,
    episode_order: VecDeque<(u64, String)>,
}

#[derive(Clone, Debug)]
struct Slot {
    number: u64,
    server: TrackedServer,
    /// Whether it stands in `finished`.
    is_listed: bool,
    /// The last batch in which it was said to have changed.
    changed_in: u64,
}

impl Default for StartupTracker {
    fn default() -> Self {
        Self::with_limit(DEFAULT_LIMIT)
    }
}

impl StartupTracker {
    /// A tracker that holds at most `limit` servers (at least one), and as many episodes.
    pub fn with_limit(limit: usize) -> Self {
        Self {
            of_app: HashMap::default(),
            of_thread: HashMap::default(),
            slots: Vec::new(),
            free: Vec::new(),
            order: BTreeSet::new(),
            finished: BTreeSet::new(),
            next: 0,
            batches: 0,
            forgotten: 0,
            limit: limit.max(1),
            episodes: HashMap::default(),
            episode_order: VecDeque::new(),
        }
    }

    /// Takes one notification.
    pub fn apply(&mut self, notification: &McpServerStatusUpdatedNotification) -> TrackerUpdate {
        let (_, update) = self.fold(Said {
            thread_id: notification.thread_id(),
            name: notification.name(),
            status: notification.status().as_str(),
            error: notification.error(),
            failure_reason: notification.failure_reason().map(|reason| reason.as_str()),
        });
        update
    }

    /// Takes the bytes of whole lines; lines of other messages are passed over, bad ones reported by number.
    ///
    /// ```
    /// use mcp_startup_core::StartupTracker;
    ///
    /// let mut tracker = StartupTracker::default();
    /// let applied = tracker.apply_lines(b"{\"method\":\"mcpServer/startupStatus/updated\",\"params\":{\"name\":\"a\",\"status\":\"ready\"}}\n{\n");
    /// assert_eq!((applied.notifications, applied.changed.len(), applied.errors[0].line), (1, 1, 2));
    /// ```
    pub fn apply_lines(&mut self, bytes: &[u8]) -> AppliedLines {
        let mut applied = AppliedLines::default();
        self.batches += 1;
        let forgotten = self.forgotten;
        let errors = decode_each(bytes, |notification| {
            applied.notifications += 1;
            let said = Said {
                thread_id: notification.thread_id(),
                name: notification.name(),
                status: notification.status(),
                error: notification.error(),
                failure_reason: notification.failure_reason(),
            };
            let (thread_id, name) = (said.thread_id, said.name);
            let (slot, update) = self.fold(said);
            if update.prompt {
                applied.prompts.push(name.to_owned());
            }
            if update.changed && self.is_first_change(slot) {
                let thread_id = thread_id.map(str::to_owned);
                applied.changed.push((thread_id, name.to_owned()));
            }
        });
        applied.errors = errors;
        if self.forgotten != forgotten {
            // One that was forgotten and heard of again was said to have changed twice.
            let mut seen = HashSet::new();
            applied.changed.retain(|server| seen.insert(server.clone()));
        }
        applied
    }

    /// Every server, in the order in which they were first heard of.
    pub fn servers(&self) -> Vec<&TrackedServer> {
        let mut slots: Vec<&Slot> = self.slots.iter().flatten().collect();
        slots.sort_unstable_by_key(|slot| slot.number);
        slots.into_iter().map(|slot| &slot.server).collect()
    }

    /// One server.
    pub fn server(&self, thread_id: Option<&str>, name: &str) -> Option<&TrackedServer> {
        let slot = self.find(thread_id, name)?;
        self.slots[slot].as_ref().map(|slot| &slot.server)
    }

    /// The names of the servers that want a sign-in again, in the order in which that began.
    pub fn reauthentication_required(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.episodes.iter().collect();
        names.sort_unstable_by_key(|(_, number)| **number);
        names.into_iter().map(|(name, _)| name.as_str()).collect()
    }

    /// Forgets the servers of one thread, and says how many there were. An episode goes on: the same server in the next
    /// thread does not ask the user again.
    pub fn remove(&mut self, thread_id: &str) -> usize {
        let slots: Vec<usize> = match self.of_thread.remove(thread_id) {
            Some(names) => names.into_values().collect(),
            None => return 0,
        };
        for slot in &slots {
            self.vacate(*slot);
        }
        slots.len()
    }

    /// Whether this batch has not said of the server yet that it has changed.
    fn is_first_change(&mut self, slot: usize) -> bool {
        let batch = self.batches;
        let entry = self.slots[slot].as_mut();
        entry.is_some_and(|entry| std::mem::replace(&mut entry.changed_in, batch) != batch)
    }

    /// The slot of the server that it is about, and what it did.
    fn fold(&mut self, said: Said<'_>) -> (usize, TrackerUpdate) {
        let (slot, changed) = match self.find(said.thread_id, said.name) {
            Some(slot) => (slot, self.replace(slot, &said)),
            None => (self.insert(&said), true),
        };
        let prompt = match said.status {
            "failed" if said.failure_reason == Some(REAUTHENTICATION_REQUIRED) => {
                self.begin_episode(said.name)
            }
            "ready" => {
                self.episodes.remove(said.name);
                false
            }
            _ => false,
        };
        (slot, TrackerUpdate { changed, prompt })
    }

    fn find(&self, thread_id: Option<&str>, name: &str) -> Option<usize> {
        match thread_id {
            None => self.of_app.get(name).copied(),
            Some(thread_id) => self.of_thread.get(thread_id)?.get(name).copied(),
        }
    }

    fn replace(&mut self, slot: usize, said: &Said<'_>) -> bool {
        let Some(entry) = &mut self.slots[slot] else {
            return false;
        };
        let server = &mut entry.server;
        let same = server.status.as_str() == said.status
            && server.error.as_deref() == said.error
            && server.failure_reason.as_ref().map(|reason| reason.as_str()) == said.failure_reason;
        if same {
            return false;
        }
        server.status = McpServerStartupState::from_wire(said.status);
        server.error = said.error.map(str::to_owned);
        server.failure_reason = said
            .failure_reason
            .map(McpServerStartupFailureReason::from_wire);
        self.list(slot);
        true
    }

    fn insert(&mut self, said: &Said<'_>) -> usize {
        if self.order.len() >= self.limit {
            self.forget_one();
        }
        let number = self.next;
        self.next += 1;
        let entry = Some(Slot {
            number,
            server: TrackedServer {
                thread_id: said.thread_id.map(str::to_owned),
                name: said.name.to_owned(),
                status: McpServerStartupState::from_wire(said.status),
                error: said.error.map(str::to_owned),
                failure_reason: said
                    .failure_reason
                    .map(McpServerStartupFailureReason::from_wire),
            },
            is_listed: false,
            changed_in: 0,
        });
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot] = entry;
                slot
            }
            None => {
                self.slots.push(entry);
                self.slots.len() - 1
            }
        };
        self.order.insert((number, slot));
        self.list(slot);
        match said.thread_id {
            None => self.of_app.insert(said.name.to_owned(), slot),
            Some(thread_id) => self
                .of_thread
                .entry(thread_id.to_owned())
                .or_default()
                .insert(said.name.to_owned(), slot),
        };
        slot
    }

    /// Lists a server that has finished among those that are forgotten first.
    fn list(&mut self, slot: usize) {
        if let Some(entry) = &mut self.slots[slot]
            && !entry.is_listed
            && entry.server.status.is_finished()
        {
            entry.is_listed = true;
            self.finished.insert((entry.number, slot));
        }
    }

    /// The server that is forgotten first: the oldest that has finished, else the oldest.
    fn oldest(&mut self) -> Option<usize> {
        while let Some((_, slot)) = self.finished.pop_first() {
            if let Some(entry) = &mut self.slots[slot] {
                if entry.server.status.is_finished() {
                    return Some(slot);
                }
                // It has begun again since, and is listed when it finishes.
                entry.is_listed = false;
            }
        }
        self.order.first().map(|(_, slot)| *slot)
    }

    fn forget_one(&mut self) {
        let Some(slot) = self.oldest() else {
            return;
        };
        let Some(server) = self.vacate(slot) else {
            return;
        };
        self.forgotten += 1;
        match server.thread_id {
            None => {
                self.of_app.remove(&server.name);
            }
            Some(thread_id) => {
                if let Some(names) = self.of_thread.get_mut(&thread_id) {
                    names.remove(&server.name);
                    if names.is_empty() {
                        self.of_thread.remove(&thread_id);
                    }
                }
            }
        }
    }

    fn vacate(&mut self, slot: usize) -> Option<TrackedServer> {
        let Slot { number, server, .. } = self.slots[slot].take()?;
        self.order.remove(&(number, slot));
        self.finished.remove(&(number, slot));
        self.free.push(slot);
        Some(server)
    }

    fn begin_episode(&mut self, name: &str) -> bool {
        if self.episodes.contains_key(name) {
            return false;
        }
        if self.episodes.len() >= self.limit {
            while let Some((number, oldest)) = self.episode_order.pop_front() {
                if self.episodes.get(&oldest) == Some(&number) {
                    self.episodes.remove(&oldest);
                    break;
                }
            }
        }
        let number = self.next;
        self.next += 1;
        self.episodes.insert(name.to_owned(), number);
        self.episode_order.push_back((number, name.to_owned()));
        if self.episode_order.len() > 2 * self.limit {
            let episodes = &self.episodes;
            self.episode_order
                .retain(|(number, name)| episodes.get(name) == Some(number));
        }
        true
    }
}

/// What a notification says, borrowed.
struct Said<'a> {
    thread_id: Option<&'a str>,
    name: &'a str,
    status: &'a str,
    error: Option<&'a str>,
    failure_reason: Option<&'a str>,
}
