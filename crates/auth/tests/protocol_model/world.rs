//! The world of one run: the record table, the lock table, the authorization server, and the actors with the steps that they wait
//! for. A step is executed only when the explorer chooses it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mcp_startup_auth::{CredentialRecord, ReplaceOutcome};
use serde_json::{Value, json};
use tokio::sync::{Notify, oneshot};

use crate::authorization_server::AuthorizationServer;
use crate::explorer::Scenario;
use crate::processes::Outcome;
use crate::promises::Ghosts;
use crate::records::{key, other_key, record, short, text, tokens};
use crate::steps::{Choice, Defect, HttpRequest, HttpResponse, Operation, Reply};

pub(crate) enum Pending {
    Operation(Box<Operation>, oneshot::Sender<Reply>),
    Response(usize),
}

pub(crate) enum Status {
    Running(Option<Pending>),
    Ended(Outcome),
    Crashed,
}

/// A task of a process.
pub struct Actor {
    pub name: &'static str,
    pub process: usize,
    pub(crate) status: Status,
    /// Everything that the actor has done and received. It determines what the actor does next.
    history: String,
    /// The grant that the actor has received and not stored yet.
    pub unsaved: Option<usize>,
    /// Its sign-in under the lock, from the moment that its code is exchanged.
    pub signs_in: Option<SignIn>,
    /// Whether a fault has interrupted one of its requests or its wait for a lock.
    pub was_interrupted: bool,
    /// Whether it has recorded an attempt, so that its evidence would explain a loss.
    has_begun: bool,
}

/// A sign-in: the family of its grant, and that of the record that was stored before.
#[derive(Clone, Copy, Debug)]
pub struct SignIn {
    pub family: usize,
    pub earlier: Option<usize>,
}

impl Actor {
    pub fn is_running(&self) -> bool {
        matches!(self.status, Status::Running(_))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageStatus {
    Open,
    Answered,
    Closed,
}

/// A request to the authorization server.
pub struct Message {
    pub actor: usize,
    pub request: HttpRequest,
    pub status: MessageStatus,
    /// Whether the actor still waits for the response.
    pub is_connected: bool,
    response: Option<(HttpResponse, Option<usize>)>,
    sender: Option<oneshot::Sender<HttpResponse>>,
}

pub struct State {
    pub records: BTreeMap<String, CredentialRecord>,
    /// The record of the actors as text.
    record_text: String,
    lock_holder: Option<usize>,
    /// The state of the lock, if it is a lease.
    lease: Option<LeaseRow>,
    defect: Defect,
    pub server: AuthorizationServer,
    pub messages: Vec<Message>,
    pub actors: Vec<Actor>,
    faults_left: usize,
    pub ghosts: Ghosts,
    pub trace: Vec<String>,
    has_next_start: bool,
    is_closed: bool,
}

/// The row of a lease.
#[derive(Debug, Default)]
struct LeaseRow {
    /// Whether its time is over, so that another actor can take it.
    is_over: bool,
    /// How often it was taken.
    epoch: usize,
    /// The refresh token that was about to be sent, with the epoch of the sender.
    attempt: Option<(String, usize)>,
    /// Whether the holder knows the outcome of its attempt.
    has_ended: bool,
}

/// The shared handle of a [`State`].
pub struct World {
    state: Mutex<State>,
    changed: Notify,
}

impl World {
    pub fn new(scenario: &Scenario) -> Arc<Self> {
        let other = CredentialRecord::from_json(&json!({"access_token": "other", "extra": [1]}));
        let records = BTreeMap::from([
            (key().as_str().to_owned(), record(0, 0)),
            (other_key().as_str().to_owned(), other.unwrap()),
        ]);
        Arc::new(Self {
            state: Mutex::new(State {
                record_text: text(records.get(key().as_str())),
                ghosts: Ghosts::new(records[other_key().as_str()].clone()),
                records,
                lock_holder: None,
                lease: scenario.leases.then(LeaseRow::default),
                defect: scenario.defect,
                server: AuthorizationServer::new(scenario.policy),
                messages: Vec::new(),
                actors: Vec::new(),
                faults_left: scenario.faults,
                trace: Vec::new(),
                has_next_start: false,
                is_closed: false,
            }),
            changed: Notify::new(),
        })
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an actor. Returns its number.
    pub fn add_actor(&self, name: &'static str, process: usize) -> usize {
        let mut state = self.lock();
        state.actors.push(Actor {
            name,
            process,
            status: Status::Running(None),
            history: String::new(),
            unsaved: None,
            signs_in: None,
            was_interrupted: false,
            has_begun: false,
        });
        state.actors.len() - 1
    }

    /// Waits until the explorer chooses this operation of an actor. Unwinds if the run has ended.
    pub async fn execute(&self, actor: usize, operation: Operation) -> Reply {
        let (sender, receiver) = oneshot::channel();
        {
            let mut state = self.lock();
            match &mut state.actors[actor].status {
                Status::Running(pending) => {
                    assert!(pending.is_none(), "an actor does two things at a time");
                    *pending = Some(Pending::Operation(Box::new(operation), sender));
                }
                Status::Ended(_) | Status::Crashed => drop(sender),
            }
            if state.is_closed {
                state.actors[actor].status = Status::Crashed;
            }
        }
        self.changed.notify_one();
        match receiver.await {
            Ok(reply) => reply,
            // Not a panic: the hook would print a message.
            Err(_) => std::panic::resume_unwind(Box::new("the run has ended")),
        }
    }

    /// Adds a message to the authorization server. The response arrives at the receiver, which fails if the connection is closed.
    pub fn send(&self, actor: usize, request: HttpRequest) -> oneshot::Receiver<HttpResponse> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.lock();
        let number = state.messages.len();
        let is_running = state.actors[actor].is_running() && !state.is_closed;
        if is_running {
            state.actors[actor].status = Status::Running(Some(Pending::Response(number)));
            let _ = write!(state.actors[actor].history, "{request:?};");
            state.messages.push(Message {
                actor,
                request,
                status: MessageStatus::Open,
                is_connected: true,
                response: None,
                sender: Some(sender),
            });
        }
        drop(state);
        self.changed.notify_one();
        receiver
    }

    /// Releases the lock if this actor holds it.
    pub fn unlock(&self, actor: usize) {
        let mut state = self.lock();
        if state.lock_holder == Some(actor) {
            state.lock_holder = None;
            if let Some(lease) = &mut state.lease
                && lease.has_ended
            {
                lease.attempt = None;
            }
            let line = format!("{}: unlock", state.actors[actor].name);
            state.trace.push(line);
        }
    }

    pub fn end(&self, actor: usize, outcome: Outcome) {
        let mut state = self.lock();
        if state.actors[actor].is_running() && !state.is_closed {
            let line = format!("{}: ends with {outcome:?}", state.actors[actor].name);
            state.trace.push(line);
            state.actors[actor].status = Status::Ended(outcome.clone());
            state.check_outcome(actor, &outcome);
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Waits until every running actor has a pending step.
    pub async fn settle(&self) {
        loop {
            let is_settled = {
                let state = self.lock();
                let mut actors = state.actors.iter();
                actors.all(|actor| !matches!(actor.status, Status::Running(None)))
            };
            if is_settled {
                return;
            }
            let changed = tokio::time::timeout(Duration::from_secs(30), self.changed.notified());
            if changed.await.is_err() {
                panic!(
                    "an actor neither ends nor waits for a step:\n{}",
                    self.lock().trace.join("\n")
                );
            }
        }
    }

    /// Ends the run: every actor that waits for a step unwinds.
    pub fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        for actor in &mut state.actors {
            if actor.is_running() {
                actor.status = Status::Crashed;
            }
        }
        for message in &mut state.messages {
            message.sender = None;
        }
        state.ghosts.frozen.clear();
    }
}

impl State {
    pub fn record(&self) -> Option<&CredentialRecord> {
        self.records.get(key().as_str())
    }

    pub fn has_leases(&self) -> bool {
        self.lease.is_some()
    }

    /// The actor that is between two steps.
    pub fn acting(&self) -> Option<usize> {
        let mut actors = self.actors.iter();
        actors.position(|actor| matches!(actor.status, Status::Running(None)))
    }

    /// Whether this actor holds a lease whose time is not over.
    pub fn holds_lease(&self, actor: usize) -> bool {
        let is_over = self.lease.as_ref().is_some_and(|lease| lease.is_over);
        self.lock_holder == Some(actor) && !is_over
    }

    /// Notes that an actor knows the outcome of its attempt. If it has lost the lock, that has no effect.
    pub fn end_attempt(&mut self, actor: usize) {
        if self.lock_holder == Some(actor)
            && let Some(lease) = &mut self.lease
        {
            lease.has_ended = true;
        }
    }

    /// Whether another actor excludes the ones that wait for the lock.
    fn is_locked(&self) -> bool {
        let is_over = self.lease.as_ref().is_some_and(|lease| lease.is_over);
        self.lock_holder.is_some() && !is_over && self.defect != Defect::LockDoesNotExclude
    }

    /// The transitions that are possible now. The first one is never a fault if there is another.
    pub fn choices(&self) -> Vec<Choice> {
        let (mut choices, mut faults) = (Vec::new(), Vec::new());
        for (at, actor) in self.actors.iter().enumerate() {
            match &actor.status {
                Status::Running(Some(Pending::Operation(operation, _)))
                    if matches!(**operation, Operation::Lock) && self.is_locked() =>
                {
                    faults.push(Choice::GiveUpLock(at));
                }
                Status::Running(Some(Pending::Operation(..))) => choices.push(Choice::Step(at)),
                Status::Running(Some(Pending::Response(number))) => {
                    if self.messages[*number].status == MessageStatus::Answered {
                        choices.push(Choice::Deliver(at));
                    }
                    faults.push(Choice::Disconnect(at));
                }
                Status::Running(None) | Status::Ended(_) | Status::Crashed => {}
            }
        }
        let processes: BTreeSet<usize> = self
            .actors
            .iter()
            .filter(|actor| actor.is_running())
            .map(|actor| actor.process)
            .collect();
        for (at, message) in self.messages.iter().enumerate() {
            if message.status == MessageStatus::Open {
                choices.push(Choice::Answer(at));
            }
        }
        if processes.is_empty() && !self.has_next_start {
            choices.push(Choice::NextStart);
        }
        if self.has_leases() && self.is_locked() {
            faults.push(Choice::Lapse);
        }
        if self.faults_left > 0 {
            choices.extend(faults);
            choices.extend(processes.into_iter().map(Choice::Crash));
        }
        choices
    }

    /// Executes a transition. The explorer starts the actor of [`Choice::NextStart`].
    pub fn apply(&mut self, choice: Choice) {
        match choice {
            Choice::Step(actor) => self.step(actor),
            Choice::Answer(number) => self.answer(number),
            Choice::Deliver(actor) => self.deliver(actor),
            Choice::Crash(process) => self.crash(process),
            Choice::Disconnect(actor) => self.disconnect(actor),
            Choice::Lapse => {
                self.faults_left -= 1;
                self.ghosts.is_explained = true;
                let holder = self.lock_holder.unwrap();
                self.actors[holder].was_interrupted = true;
                let line = format!("the lease of {} ends", self.actors[holder].name);
                self.trace.push(line);
                self.lease.as_mut().unwrap().is_over = true;
            }
            Choice::GiveUpLock(actor) => {
                self.faults_left -= 1;
                self.actors[actor].was_interrupted = true;
                self.ghosts.is_shown |= self.actors[actor].has_begun;
                let (_, sender) = self.take_operation(actor);
                self.reply(
                    actor,
                    "gives up the wait for the lock",
                    sender,
                    Reply::InUse,
                );
            }
            Choice::NextStart => {
                // It finds what the faults have left, so no more faults.
                self.has_next_start = true;
                self.faults_left = 0;
                self.trace.push("the next start".to_owned());
            }
        }
        self.check_state();
    }

    fn take_operation(&mut self, actor: usize) -> (Operation, oneshot::Sender<Reply>) {
        match std::mem::replace(&mut self.actors[actor].status, Status::Running(None)) {
            Status::Running(Some(Pending::Operation(operation, sender))) => (*operation, sender),
            _ => panic!("actor {actor} has no pending operation"),
        }
    }

    fn reply(&mut self, actor: usize, done: &str, sender: oneshot::Sender<Reply>, reply: Reply) {
        let seen = match &reply {
            Reply::Done => "ok".to_owned(),
            Reply::InUse => "in use".to_owned(),
            Reply::Begun(was_sent) => format!("begun {was_sent}"),
            Reply::LockLost => "lost".to_owned(),
            // It is the record in the table.
            Reply::Loaded(_) | Reply::Replaced(ReplaceOutcome::Conflict(_)) => {
                self.record_text.clone()
            }
            Reply::Replaced(ReplaceOutcome::Stored) => "stored".to_owned(),
            Reply::Accepted(accepted) => accepted.to_string(),
            Reply::Granted(record) => text(Some(record)),
        };
        let result = match &reply {
            Reply::Loaded(record) => format!(": {}", short(record.as_ref())),
            Reply::Replaced(ReplaceOutcome::Conflict(record)) => {
                format!(": conflict with {}", short(record.as_ref()))
            }
            Reply::Accepted(false) => ": 401".to_owned(),
            Reply::Begun(true) => ": it was sent before".to_owned(),
            Reply::LockLost => ": the lock was lost".to_owned(),
            Reply::Granted(record) => format!(": {}", short(Some(record))),
            _ => String::new(),
        };
        let actor = &mut self.actors[actor];
        self.trace.push(format!("{}: {done}{result}", actor.name));
        let _ = write!(actor.history, "{done}={seen};");
        // The actor may have stopped waiting.
        let _ = sender.send(reply);
    }

    fn step(&mut self, actor: usize) {
        let (operation, sender) = self.take_operation(actor);
        let (done, reply) = match operation {
            Operation::Lock => {
                self.lock_holder = Some(actor);
                if let Some(lease) = &mut self.lease {
                    (lease.is_over, lease.has_ended) = (false, false);
                    lease.epoch += 1;
                }
                ("lock".to_owned(), Reply::Done)
            }
            Operation::BeginAttempt(token) => (
                format!("begin attempt {token}"),
                self.begin_attempt(actor, token),
            ),
            Operation::Load => ("load".to_owned(), Reply::Loaded(self.record().cloned())),
            Operation::ProveWritable => ("prove writable".to_owned(), Reply::Done),
            Operation::Replace { expected, new } => {
                let done = format!(
                    "replace {} by {}",
                    short(expected.as_ref()),
                    short(new.as_ref())
                );
                let outcome = self.replace(actor, expected.as_ref(), new);
                (done, Reply::Replaced(outcome))
            }
            Operation::UseToken(token) => {
                let accepted = self.server.accepts(&token);
                (format!("use {token}"), Reply::Accepted(accepted))
            }
            Operation::Overwrite(new) => {
                let done = format!("overwrite by {}", short(Some(&new)));
                self.store(actor, Some(new));
                (done, Reply::Done)
            }
            Operation::ExchangeCode => {
                let earlier = self.record().map(|record| tokens(record).0);
                let grant = self.server.sign_in();
                let family = self.server.family(&format!("access-{grant}")).unwrap();
                self.actors[actor].unsaved = Some(grant);
                // A program without the lock revokes nothing.
                if self.lock_holder == Some(actor) {
                    self.actors[actor].signs_in = Some(SignIn {
                        family,
                        earlier: earlier.and_then(|token| self.server.family(&token)),
                    });
                }
                (
                    "exchange the code".to_owned(),
                    Reply::Granted(record(grant, family)),
                )
            }
        };
        self.reply(actor, &done, sender, reply);
    }

    fn begin_attempt(&mut self, actor: usize, token: String) -> Reply {
        let is_holder = self.lock_holder == Some(actor);
        let forgets = self.defect == Defect::AttemptsAreForgotten;
        let Some(lease) = self.lease.as_mut().filter(|_| is_holder) else {
            return Reply::LockLost;
        };
        lease.is_over = false;
        self.actors[actor].has_begun = true;
        let earlier = lease.attempt.as_ref().filter(|(sent, _)| *sent == token);
        let was_sent = earlier.is_some_and(|(_, epoch)| *epoch != lease.epoch);
        if earlier.is_none() && !forgets {
            lease.attempt = Some((token, lease.epoch));
        }
        Reply::Begun(was_sent)
    }

    fn replace(
        &mut self,
        actor: usize,
        expected: Option<&CredentialRecord>,
        mut new: Option<CredentialRecord>,
    ) -> ReplaceOutcome {
        match self.defect {
            Defect::WritesAreLost => return ReplaceOutcome::Stored,
            Defect::UnknownFieldsAreDropped => {
                let changes = json!({"from_another_version": null});
                new = new.map(|new| new.with(changes.as_object().unwrap()).unwrap());
            }
            _ => {}
        }
        if self.record() != expected && self.defect != Defect::ReplaceDoesNotCompare {
            return ReplaceOutcome::Conflict(self.record().cloned());
        }
        self.store(actor, new);
        ReplaceOutcome::Stored
    }

    fn store(&mut self, actor: usize, new: Option<CredentialRecord>) {
        self.check_replace(actor, new.as_ref());
        match new {
            Some(new) => self.records.insert(key().as_str().to_owned(), new),
            None => self.records.remove(key().as_str()),
        };
        self.record_text = text(self.record());
        self.check_records();
    }

    fn answer(&mut self, number: usize) {
        let request = self.messages[number].request.clone();
        let mut grant = None;
        let response = match &request {
            HttpRequest::Refresh(token) => {
                grant = self.server.refresh(token);
                match grant {
                    Some(grant) => (200, self.server.reply(grant)),
                    None => (400, json!({"error": "invalid_grant"})),
                }
            }
            HttpRequest::Revoke(token) => {
                self.check_revocation(number, token);
                self.server.revoke(token);
                (200, Value::Null)
            }
        };
        let (status, body) = response;
        let name = self.actors[self.messages[number].actor].name;
        let answer = grant.map_or_else(|| status.to_string(), |grant| format!("access-{grant}"));
        self.trace.push(format!(
            "authorization server: {name}: {request:?}: {answer}"
        ));
        let message = &mut self.messages[number];
        match message.is_connected {
            true => {
                message.status = MessageStatus::Answered;
                let body = body.to_string();
                message.response = Some((HttpResponse { status, body }, grant));
            }
            false => {
                message.status = MessageStatus::Closed;
                self.ghosts.lost.extend(grant);
            }
        }
    }

    fn deliver(&mut self, actor: usize) {
        let Status::Running(Some(Pending::Response(number))) = self.actors[actor].status else {
            panic!("actor {actor} waits for no response");
        };
        let message = &mut self.messages[number];
        message.status = MessageStatus::Closed;
        let (response, grant) = message.response.take().unwrap();
        let sender = message.sender.take().unwrap();
        let actor = &mut self.actors[actor];
        actor.status = Status::Running(None);
        actor.unsaved = grant.or(actor.unsaved);
        let (name, status) = (actor.name, response.status);
        let _ = write!(actor.history, "{}{};", response.status, response.body);
        self.trace.push(format!("{name}: receives {status}"));
        let _ = sender.send(response);
    }

    fn crash(&mut self, process: usize) {
        self.faults_left -= 1;
        self.trace.push(format!("process {process} crashes"));
        for at in 0..self.actors.len() {
            let actor = &mut self.actors[at];
            if actor.process != process || !actor.is_running() {
                continue;
            }
            let status = std::mem::replace(&mut actor.status, Status::Crashed);
            actor.history.clear();
            self.ghosts.is_shown |= actor.has_begun;
            self.ghosts.is_explained |= actor.unsaved.is_some();
            self.ghosts.lost.extend(actor.unsaved.take());
            match status {
                Status::Running(Some(Pending::Response(number))) => self.abandon(number),
                Status::Running(Some(pending)) => self.ghosts.frozen.push(pending),
                _ => {}
            }
            self.ghosts.is_explained |=
                self.ghosts.signs_out == Some(at) && self.ghosts.has_revoked;
            if self.lock_holder == Some(at) && self.defect != Defect::LockOutlivesCrash {
                match &mut self.lease {
                    Some(lease) => lease.is_over = true,
                    None => self.lock_holder = None,
                }
            }
        }
    }

    fn disconnect(&mut self, actor: usize) {
        self.faults_left -= 1;
        let Status::Running(Some(Pending::Response(number))) = self.actors[actor].status else {
            panic!("actor {actor} waits for no response");
        };
        let actor = &mut self.actors[actor];
        actor.status = Status::Running(None);
        actor.was_interrupted = true;
        actor.history.push_str("no response;");
        let line = format!("{}: stops waiting for the response", actor.name);
        self.trace.push(line);
        self.abandon(number);
        self.messages[number].sender = None;
    }

    /// No actor waits for the response to this message any more. The server may still handle it.
    fn abandon(&mut self, number: usize) {
        self.ghosts.is_explained = true;
        self.ghosts.is_shown |= matches!(self.messages[number].request, HttpRequest::Refresh(_));
        let message = &mut self.messages[number];
        message.is_connected = false;
        if message.status == MessageStatus::Answered {
            message.status = MessageStatus::Closed;
            let (_, grant) = message.response.take().unwrap();
            self.ghosts.lost.extend(grant);
        }
    }

    /// A text that is equal for two states exactly if the same things can happen after them.
    pub fn describe(&self) -> String {
        let mut all = self.record_text.clone();
        self.server.describe(&mut all);
        let _ = write!(
            all,
            "|{:?}|{}|{}|",
            self.lock_holder, self.faults_left, self.has_next_start
        );
        if let Some(lease) = &self.lease {
            let sent = lease.attempt.as_ref();
            let sent = sent.map(|(token, epoch)| (token, *epoch == lease.epoch));
            let _ = write!(all, "{} {} {sent:?}|", lease.is_over, lease.has_ended);
        }
        for actor in &self.actors {
            let _ = match &actor.status {
                Status::Running(pending) => {
                    let pending = match pending {
                        Some(Pending::Operation(operation, _)) => match &**operation {
                            Operation::Replace { expected, new } => {
                                format!("{}>{}", text(expected.as_ref()), text(new.as_ref()))
                            }
                            Operation::Overwrite(new) => text(Some(new)),
                            other => format!("{other:?}"),
                        },
                        Some(Pending::Response(_)) | None => String::new(),
                    };
                    let (unsaved, interrupted) = (actor.unsaved, actor.was_interrupted);
                    let signs_in = actor.signs_in;
                    write!(
                        all,
                        "[{} {pending} {unsaved:?} {signs_in:?} {interrupted}]",
                        actor.history
                    )
                }
                Status::Ended(_) => write!(all, "[ended]"),
                Status::Crashed => write!(all, "[crashed]"),
            };
        }
        for message in &self.messages {
            if message.status != MessageStatus::Closed {
                let (actor, connected) = (message.actor, message.is_connected);
                let _ = write!(
                    all,
                    "({actor} {connected} {:?} {:?} {:?})",
                    message.request, message.status, message.response
                );
            }
        }
        self.ghosts.describe(&mut all);
        all
    }
}
