//! The steps of the actors, the transitions of the world, and the defects that a world can have.

use mcp_startup_auth::{CredentialRecord, ReplaceOutcome};

/// A step of an actor that is atomic for the other actors.
#[derive(Clone, Debug)]
pub enum Operation {
    Lock,
    Load,
    /// Renews the lease, and records that this refresh token is about to be sent.
    BeginAttempt(String),
    ProveWritable,
    Replace {
        expected: Option<CredentialRecord>,
        new: Option<CredentialRecord>,
    },
    /// Sends a request to the MCP server with this access token.
    UseToken(String),
    /// Exchanges the code of a sign-in for tokens.
    ExchangeCode,
    /// Stores a record without a comparison, as a program does that knows no lock.
    Overwrite(CredentialRecord),
}

/// The result of an [`Operation`].
#[derive(Clone, Debug)]
pub enum Reply {
    Done,
    /// The wait for the lock has reached its limit.
    InUse,
    /// The attempt is recorded. Whether an earlier holder has recorded the same one.
    Begun(bool),
    /// Another actor has taken the lock.
    LockLost,
    Loaded(Option<CredentialRecord>),
    Replaced(ReplaceOutcome),
    Accepted(bool),
    Granted(CredentialRecord),
}

#[derive(Clone, Debug)]
pub enum HttpRequest {
    Refresh(String),
    Revoke(String),
}

#[derive(Clone, Debug)]
pub struct HttpResponse {
    pub status: u16,
    pub body: String,
}

/// A defect of the store, to show that the explorer finds the violations that it causes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    None,
    /// The lock excludes no other actor.
    LockDoesNotExclude,
    /// The lock of a crashed process stays.
    LockOutlivesCrash,
    /// The store does not remember that a refresh token was sent.
    AttemptsAreForgotten,
    /// `replace` reports success and stores nothing.
    WritesAreLost,
    /// `replace` stores the new record even if the stored one is not the expected one.
    ReplaceDoesNotCompare,
    /// `replace` stores only the fields that this version knows.
    UnknownFieldsAreDropped,
}

/// A transition of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The store executes the pending operation of this actor.
    Step(usize),
    /// The authorization server handles this message. Its sender may no longer exist.
    Answer(usize),
    /// The response reaches this actor.
    Deliver(usize),
    /// A fault: this process ends, with all its actors and locks.
    Crash(usize),
    /// A fault: this actor stops waiting for its response. The request may still be handled later.
    Disconnect(usize),
    /// A fault: the process that holds the lease is paused for longer than it lasts.
    Lapse,
    /// A fault: this actor stops waiting for a lock.
    GiveUpLock(usize),
    /// All actors have ended, and a process starts the server again.
    NextStart,
}
