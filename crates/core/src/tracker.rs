//! The tracker folds notifications into the current state of each server. It is pure: it shows nothing and starts nothing.

use std::collections::{BTreeSet, HashSet, VecDeque};

use foldhash::HashMap;
use serde::Serialize;

use crate::decode::decode_each;
use crate::decode_error::LineError;
use crate::notification::{
    McpServerStartupFailureReason, McpServerStartupState, McpServerStatusUpdatedNotification,
};

const REAUTHENTICATION_REQUIRED: &str = "reauthenticationRequired";

/// The default maximum number of servers.
const DEFAULT_LIMIT: usize = 10_000;

/// The current state of one server, from the latest notification with its thread and name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TrackedServer {
    /// The thread that the server belongs to. `None` if it belongs to the whole app.
    pub thread_id: Option<String>,
    /// The name of the server, as the user configured it.
    pub name: String,
    /// The state of the start.
    pub status: McpServerStartupState,
    /// A human-readable message that describes why the start failed. Usually `None` in any other state.
    pub error: Option<String>,
    /// The reason for the failure, if clients should handle it in a specific way.
    pub failure_reason: Option<McpServerStartupFailureReason>,
}

/// The effect of one notification on the tracker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TrackerUpdate {
    /// Whether the state of the server has changed, and the client has to update what it shows.
    pub changed: bool,
    /// Whether the client has to ask the user now to sign in again to this server.
    pub prompt: bool,
}

/// The effect of many lines on the tracker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AppliedLines {
    /// The number of lines with this notification.
    pub notifications: u64,
    /// The thread and name of each server whose state has changed, once each, in the order of their first change.
    pub changed: Vec<(Option<String>, String)>,
    /// The names of the servers for which the client has to ask the user now to sign in again, in order.
    pub prompts: Vec<String>,
    /// The errors of the lines that could not be decoded, in order.
    pub errors: Vec<LineError>,
}

/// Folds notifications into the state that a client shows: the state of each server, the servers that require signing in
/// *again*, and the prompts for the user.
///
/// The tracker asks for one prompt per server **name** and episode, even if several threads or retries repeat the failure. An
/// episode begins with the first failure with the reason `reauthenticationRequired`, and ends when a server with this name
/// is ready.
///
/// The number of servers is limited. At the limit, a new server replaces the oldest one whose start is complete, or the
/// oldest one if no start is complete.
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
    /// The slots of the servers that belong to the whole app, by name.
    of_app: HashMap<String, usize>,
    /// The slots of the other servers, by thread and name.
    of_thread: HashMap<String, HashMap<String, usize>>,
    slots: Vec<Option<Slot>>,
    free: Vec<usize>,
    /// The number and slot of each server. Numbers are in the order of the first notification.
    order: BTreeSet<(u64, usize)>,
    /// The number and slot of each server whose start is complete. The first one is replaced first. Entries of servers that have
    /// started again are removed lazily.
    finished: BTreeSet<(u64, usize)>,
    next: u64,
    /// The number of calls to `apply_lines`.
    batches: u64,
    /// The number of servers that were replaced because of the limit.
    evicted: u64,
    limit: usize,
    episodes: HashMap<String, u64>,
    episode_order: VecDeque<(u64, String)>,
}

#[derive(Clone, Debug)]
struct Slot {
    number: u64,
    server: TrackedServer,
    /// Whether the slot is in `finished`.
    is_listed: bool,
    /// The last call to `apply_lines` that reported a change of the server.
    changed_in: u64,
}

impl Default for StartupTracker {
    fn default() -> Self {
        Self::with_limit(DEFAULT_LIMIT)
    }
}

impl StartupTracker {
    /// Creates a tracker for at most `limit` servers and as many episodes. A limit of 0 counts as 1. The default is 10,000.
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
            evicted: 0,
            limit: limit.max(1),
            episodes: HashMap::default(),
            episode_order: VecDeque::new(),
        }
    }

    /// Applies one notification, and returns whether the state of the server has changed and whether to ask the user to sign in
    /// again.
    pub fn apply(&mut self, notification: &McpServerStatusUpdatedNotification) -> TrackerUpdate {
        let (_, update) = self.fold(Fields {
            thread_id: notification.thread_id(),
            name: notification.name(),
            status: notification.status().as_str(),
            error: notification.error(),
            failure_reason: notification.failure_reason().map(|reason| reason.as_str()),
        });
        update
    }

    /// Applies the notifications in the bytes of whole lines. Ignores lines with other messages, and reports lines that can't be
    /// decoded with their numbers.
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
        let evicted = self.evicted;
        let errors = decode_each(bytes, |notification| {
            applied.notifications += 1;
            let fields = Fields {
                thread_id: notification.thread_id(),
                name: notification.name(),
                status: notification.status(),
                error: notification.error(),
                failure_reason: notification.failure_reason(),
            };
            let (thread_id, name) = (fields.thread_id, fields.name);
            let (slot, update) = self.fold(fields);
            if update.prompt {
                applied.prompts.push(name.to_owned());
            }
            if update.changed && self.is_first_change(slot) {
                let thread_id = thread_id.map(str::to_owned);
                applied.changed.push((thread_id, name.to_owned()));
            }
        });
        applied.errors = errors;
        if self.evicted != evicted {
            // A server that was replaced and then reported again is in the list twice.
            let mut seen = HashSet::new();
            applied.changed.retain(|server| seen.insert(server.clone()));
        }
        applied
    }

    /// Returns every server, in the order of their first notification.
    pub fn servers(&self) -> Vec<&TrackedServer> {
        let mut slots: Vec<&Slot> = self.slots.iter().flatten().collect();
        slots.sort_unstable_by_key(|slot| slot.number);
        slots.into_iter().map(|slot| &slot.server).collect()
    }

    /// Returns the server with this thread and name, if there is one.
    pub fn server(&self, thread_id: Option<&str>, name: &str) -> Option<&TrackedServer> {
        let slot = self.find(thread_id, name)?;
        self.slots[slot].as_ref().map(|slot| &slot.server)
    }

    /// Returns the names of the servers that require signing in again, in the order in which their episodes began.
    pub fn reauthentication_required(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.episodes.iter().collect();
        names.sort_unstable_by_key(|(_, number)| **number);
        names.into_iter().map(|(name, _)| name.as_str()).collect()
    }

    /// Removes the servers of a thread, and returns their number. Episodes continue: if the same failure occurs in another
    /// thread, it does not ask the user again.
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

    /// Returns whether the current call to `apply_lines` has not reported a change of this server yet.
    fn is_first_change(&mut self, slot: usize) -> bool {
        let batch = self.batches;
        let entry = self.slots[slot].as_mut();
        entry.is_some_and(|entry| std::mem::replace(&mut entry.changed_in, batch) != batch)
    }

    /// Applies a notification. Returns the slot of its server and the effect.
    fn fold(&mut self, fields: Fields<'_>) -> (usize, TrackerUpdate) {
        let (slot, changed) = match self.find(fields.thread_id, fields.name) {
            Some(slot) => (slot, self.replace(slot, &fields)),
            None => (self.insert(&fields), true),
        };
        let prompt = match fields.status {
            "failed" if fields.failure_reason == Some(REAUTHENTICATION_REQUIRED) => {
                self.begin_episode(fields.name)
            }
            "ready" => {
                self.episodes.remove(fields.name);
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

    fn replace(&mut self, slot: usize, fields: &Fields<'_>) -> bool {
        let Some(entry) = &mut self.slots[slot] else {
            return false;
        };
        let server = &mut entry.server;
        let same = server.status.as_str() == fields.status
            && server.error.as_deref() == fields.error
            && server.failure_reason.as_ref().map(|reason| reason.as_str())
                == fields.failure_reason;
        if same {
            return false;
        }
        server.status = McpServerStartupState::from_wire(fields.status);
        server.error = fields.error.map(str::to_owned);
        server.failure_reason = fields
            .failure_reason
            .map(McpServerStartupFailureReason::from_wire);
        self.list(slot);
        true
    }

    fn insert(&mut self, fields: &Fields<'_>) -> usize {
        if self.order.len() >= self.limit {
            self.evict_one();
        }
        let number = self.next;
        self.next += 1;
        let entry = Some(Slot {
            number,
            server: TrackedServer {
                thread_id: fields.thread_id.map(str::to_owned),
                name: fields.name.to_owned(),
                status: McpServerStartupState::from_wire(fields.status),
                error: fields.error.map(str::to_owned),
                failure_reason: fields
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
        match fields.thread_id {
            None => self.of_app.insert(fields.name.to_owned(), slot),
            Some(thread_id) => self
                .of_thread
                .entry(thread_id.to_owned())
                .or_default()
                .insert(fields.name.to_owned(), slot),
        };
        slot
    }

    /// Adds a server to `finished` if its start is complete.
    fn list(&mut self, slot: usize) {
        if let Some(entry) = &mut self.slots[slot]
            && !entry.is_listed
            && entry.server.status.is_finished()
        {
            entry.is_listed = true;
            self.finished.insert((entry.number, slot));
        }
    }

    /// Returns the slot to replace first: the oldest whose start is complete, otherwise the oldest.
    fn oldest(&mut self) -> Option<usize> {
        while let Some((_, slot)) = self.finished.pop_first() {
            if let Some(entry) = &mut self.slots[slot] {
                if entry.server.status.is_finished() {
                    return Some(slot);
                }
                // It has started again, and is added when that start is complete.
                entry.is_listed = false;
            }
        }
        self.order.first().map(|(_, slot)| *slot)
    }

    fn evict_one(&mut self) {
        let Some(slot) = self.oldest() else {
            return;
        };
        let Some(server) = self.vacate(slot) else {
            return;
        };
        self.evicted += 1;
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

/// The fields of a notification, borrowed.
struct Fields<'a> {
    thread_id: Option<&'a str>,
    name: &'a str,
    status: &'a str,
    error: Option<&'a str>,
    failure_reason: Option<&'a str>,
}
