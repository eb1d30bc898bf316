//! The tracker folds notifications into the current state of each server. It is pure: it shows nothing and starts nothing.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use serde::Serialize;

use crate::decode::decode_each;
use crate::decode_error::LineError;
use crate::notification::{
    McpServerStartupFailureReason, McpServerStartupState, McpServerStatusUpdatedNotification,
};

const REAUTHENTICATION_REQUIRED: &str = "reauthenticationRequired";

/// The default maximum number of servers.
const DEFAULT_LIMIT: usize = 10_000;

/// The identity of a server in the tracker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ServerKey {
    /// The thread that the server belongs to. `None` if it belongs to the whole app.
    pub thread_id: Option<String>,
    /// The environment whose configuration contains the server. `None` if the server belongs to no environment.
    pub environment_id: Option<String>,
    /// The name of the server, as the user configured it.
    pub name: String,
}

/// The current state of one server, from the latest notification with its thread, environment and name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct TrackedServer {
    /// The thread that the server belongs to. `None` if it belongs to the whole app.
    pub thread_id: Option<String>,
    /// The environment whose configuration contains the server. `None` if the server belongs to no environment.
    pub environment_id: Option<String>,
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
    /// The servers whose state has changed, once each, in the order of their first change.
    pub changed: Vec<ServerKey>,
    /// The servers for which the client has to ask the user now to sign in again, in order. The thread is the one whose failure
    /// led to the prompt.
    pub prompts: Vec<ServerKey>,
    /// The errors of the lines that could not be decoded, in order.
    pub errors: Vec<LineError>,
}

/// Folds notifications into the state that a client shows: the state of each server, the servers that require signing in
/// *again*, and the prompts for the user.
///
/// A server is identified by its thread, its environment and its name. The tracker asks for one prompt per **environment and
/// name** and episode, even if several threads or retries repeat the failure. An episode begins with the first failure with the
/// reason `reauthenticationRequired`, and ends when a server with this environment and name is ready.
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
/// assert_eq!(tracker.reauthentication_required()[0].name, "linear");
/// tracker.apply(&Notification::ready("linear"));
/// assert!(tracker.reauthentication_required().is_empty());
/// ```
#[derive(Clone, Debug)]
pub struct StartupTracker {
    /// The slots of the servers, by thread, environment and name.
    index: HashTable<usize>,
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
    /// The episodes by their numbers, which are in the order in which they began. The thread is the one that began it.
    episodes: BTreeMap<u64, ServerKey>,
    /// The numbers of the episodes, by environment and name.
    episode_index: HashTable<u64>,
    /// Has a random seed, so that a server can't choose names with equal hashes.
    hasher: RandomState,
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

/// A key that borrows its text.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct KeyRef<'a> {
    thread_id: Option<&'a str>,
    environment_id: Option<&'a str>,
    name: &'a str,
}

impl KeyRef<'_> {
    fn to_owned(self) -> ServerKey {
        ServerKey {
            thread_id: self.thread_id.map(str::to_owned),
            environment_id: self.environment_id.map(str::to_owned),
            name: self.name.to_owned(),
        }
    }

    /// The key of an episode, which is the same in every thread.
    fn without_thread(self) -> Self {
        Self {
            thread_id: None,
            ..self
        }
    }
}

impl TrackedServer {
    fn key(&self) -> KeyRef<'_> {
        KeyRef {
            thread_id: self.thread_id.as_deref(),
            environment_id: self.environment_id.as_deref(),
            name: &self.name,
        }
    }
}

impl ServerKey {
    fn of_episode(&self) -> KeyRef<'_> {
        KeyRef {
            thread_id: None,
            environment_id: self.environment_id.as_deref(),
            name: &self.name,
        }
    }
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
            index: HashTable::new(),
            slots: Vec::new(),
            free: Vec::new(),
            order: BTreeSet::new(),
            finished: BTreeSet::new(),
            next: 0,
            batches: 0,
            evicted: 0,
            limit: limit.max(1),
            episodes: BTreeMap::new(),
            episode_index: HashTable::new(),
            hasher: RandomState::default(),
        }
    }

    /// Applies one notification, and returns whether the state of the server has changed and whether to ask the user to sign in
    /// again.
    pub fn apply(&mut self, notification: &McpServerStatusUpdatedNotification) -> TrackerUpdate {
        let (_, update) = self.fold(Fields {
            key: KeyRef {
                thread_id: notification.thread_id(),
                environment_id: notification.environment_id(),
                name: notification.name(),
            },
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
                key: KeyRef {
                    thread_id: notification.thread_id(),
                    environment_id: notification.environment_id(),
                    name: notification.name(),
                },
                status: notification.status(),
                error: notification.error(),
                failure_reason: notification.failure_reason(),
            };
            let key = fields.key;
            let (slot, update) = self.fold(fields);
            if update.prompt {
                applied.prompts.push(key.to_owned());
            }
            if update.changed && self.is_first_change(slot) {
                applied.changed.push(key.to_owned());
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

    /// Returns the server with this thread, environment and name, if there is one.
    pub fn server(
        &self,
        thread_id: Option<&str>,
        environment_id: Option<&str>,
        name: &str,
    ) -> Option<&TrackedServer> {
        let slot = self.find(KeyRef {
            thread_id,
            environment_id,
            name,
        })?;
        self.slots[slot].as_ref().map(|slot| &slot.server)
    }

    /// Returns the servers that require signing in again, once for each environment and name, in the order in which their
    /// episodes began. The thread is the one whose failure began the episode.
    pub fn reauthentication_required(&self) -> Vec<&ServerKey> {
        self.episodes.values().collect()
    }

    /// Removes the servers of a thread, and returns their number. Episodes continue: if the same failure occurs in another
    /// thread, it does not ask the user again.
    pub fn remove(&mut self, thread_id: &str) -> usize {
        let of_thread = |slot: &Option<Slot>| {
            let slot = slot.as_ref();
            slot.is_some_and(|slot| slot.server.thread_id.as_deref() == Some(thread_id))
        };
        let slots: Vec<usize> = (0..self.slots.len())
            .filter(|slot| of_thread(&self.slots[*slot]))
            .collect();
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
        let (slot, changed) = match self.find(fields.key) {
            Some(slot) => (slot, self.replace(slot, &fields)),
            None => (self.insert(&fields), true),
        };
        let prompt = match fields.status {
            "failed" if fields.failure_reason == Some(REAUTHENTICATION_REQUIRED) => {
                self.begin_episode(fields.key)
            }
            "ready" => {
                self.end_episode(fields.key);
                false
            }
            _ => false,
        };
        (slot, TrackerUpdate { changed, prompt })
    }

    fn find(&self, key: KeyRef<'_>) -> Option<usize> {
        let is_equal = |slot: &usize| {
            let slot = self.slots[*slot].as_ref();
            slot.is_some_and(|slot| slot.server.key() == key)
        };
        self.index
            .find(self.hasher.hash_one(key), is_equal)
            .copied()
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
        if self.order.len() >= self.limit
            && let Some(slot) = self.oldest()
        {
            self.vacate(slot);
            self.evicted += 1;
        }
        let number = self.next;
        self.next += 1;
        let ServerKey {
            thread_id,
            environment_id,
            name,
        } = fields.key.to_owned();
        let entry = Some(Slot {
            number,
            server: TrackedServer {
                thread_id,
                environment_id,
                name,
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
        let (slots, hasher) = (&self.slots, &self.hasher);
        let hash = |slot: &usize| {
            let slot = slots[*slot].as_ref();
            slot.map_or(0, |slot| hasher.hash_one(slot.server.key()))
        };
        self.index.insert_unique(hash(&slot), slot, hash);
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

    /// Removes a server.
    fn vacate(&mut self, slot: usize) {
        let Some(Slot { number, server, .. }) = self.slots[slot].take() else {
            return;
        };
        let hash = self.hasher.hash_one(server.key());
        if let Ok(entry) = self.index.find_entry(hash, |found| *found == slot) {
            entry.remove();
        }
        self.order.remove(&(number, slot));
        self.finished.remove(&(number, slot));
        self.free.push(slot);
    }

    /// Returns whether the episode is new.
    fn begin_episode(&mut self, key: KeyRef<'_>) -> bool {
        let episode = key.without_thread();
        let hash = self.hasher.hash_one(episode);
        let is_equal = |number: &u64| {
            let began = self.episodes.get(number);
            began.is_some_and(|began| began.of_episode() == episode)
        };
        if self.episode_index.find(hash, is_equal).is_some() {
            return false;
        }
        if self.episodes.len() >= self.limit
            && let Some((number, oldest)) = self.episodes.pop_first()
        {
            let hash = self.hasher.hash_one(oldest.of_episode());
            if let Ok(entry) = self
                .episode_index
                .find_entry(hash, |found| *found == number)
            {
                entry.remove();
            }
        }
        let number = self.next;
        self.next += 1;
        self.episodes.insert(number, key.to_owned());
        let (episodes, hasher) = (&self.episodes, &self.hasher);
        self.episode_index.insert_unique(hash, number, |number| {
            let began = episodes.get(number);
            began.map_or(0, |began| hasher.hash_one(began.of_episode()))
        });
        true
    }

    fn end_episode(&mut self, key: KeyRef<'_>) {
        if self.episodes.is_empty() {
            return;
        }
        let episode = key.without_thread();
        let episodes = &self.episodes;
        let is_equal = |number: &u64| {
            let began = episodes.get(number);
            began.is_some_and(|began| began.of_episode() == episode)
        };
        let hash = self.hasher.hash_one(episode);
        if let Ok(entry) = self.episode_index.find_entry(hash, is_equal) {
            let (number, _) = entry.remove();
            self.episodes.remove(&number);
        }
    }
}

/// The fields of a notification, borrowed.
struct Fields<'a> {
    key: KeyRef<'a>,
    status: &'a str,
    error: Option<&'a str>,
    failure_reason: Option<&'a str>,
}
