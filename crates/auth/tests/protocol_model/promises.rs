//! The promises of the protocol, checked after every transition and at the end of every actor.

use std::collections::BTreeSet;
use std::fmt::Write;

use mcp_startup_auth::{CredentialRecord, Revocation};
use secrecy::ExposeSecret;

use crate::processes::{Outcome, Trace};
use crate::records::{client, grant, other_key, tokens};
use crate::steps::HttpRequest;
use crate::world::{MessageStatus, Pending, State};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// A token that a running process has received is stored when its refresh or sign-in ends, unless a newer sign-in is stored. No
    /// older record replaces a newer one.
    NothingReceivedIsLost,
    /// Every stored record is complete, with the fields of other programs, and the records under other keys are unchanged.
    RecordsAreWhole,
    /// A refresh fails only after a fault, and then its evidence has the refusal or the missing response.
    LossIsExplained,
    /// No revocation reaches tokens that another process is refreshing or has stored since.
    NothingInUseIsRevoked,
    /// After a sign-out that reports a revocation, no token of the removed record is valid, and no process stores it again.
    NothingIsValidAfterSignOut,
    /// After a sign-in over the record of another client, no token of the replaced record is valid. It is in no store.
    NothingReplacedIsValid,
    /// A sign-out that fails has revoked nothing.
    FailedSignOutRevokesNothing,
    /// Without a fault, no refresh token is used twice.
    EachRefreshTokenIsUsedOnce,
    /// Every actor ends.
    NoDeadlock,
}

/// Facts about a run that no actor knows.
pub struct Ghosts {
    other_record: CredentialRecord,
    /// The grants whose response no process has: a fault interrupted the request or the save.
    pub lost: BTreeSet<usize>,
    /// Whether a fault interrupted a request, a save or a sign-out, so that a later refusal has a cause.
    pub is_explained: bool,
    /// The actor of the sign-out.
    pub signs_out: Option<usize>,
    /// With leases: whether the evidence of a process shows that a refresh token was sent twice, or a process that would have shown it
    /// was interrupted.
    pub is_shown: bool,
    /// Whether the authorization server has handled a revocation of the sign-out.
    pub has_revoked: bool,
    /// The families of the records that the sign-out has removed.
    removed: BTreeSet<usize>,
    is_signed_out: bool,
    /// The pending steps of crashed actors. They never happen, and the actors unwind when the run ends.
    pub(crate) frozen: Vec<Pending>,
    /// The broken promises, with reasons.
    pub broken: Vec<(Promise, String)>,
}

impl Ghosts {
    pub fn new(other_record: CredentialRecord) -> Self {
        Self {
            other_record,
            lost: BTreeSet::new(),
            is_explained: false,
            is_shown: false,
            signs_out: None,
            has_revoked: false,
            removed: BTreeSet::new(),
            is_signed_out: false,
            frozen: Vec::new(),
            broken: Vec::new(),
        }
    }

    pub fn describe(&self, text: &mut String) {
        let _ = write!(
            text,
            "|{:?}|{}|{}|{}|{:?}|{}",
            self.lost,
            self.is_explained,
            self.is_shown,
            self.has_revoked,
            self.removed,
            self.is_signed_out
        );
    }
}

impl State {
    /// Records a promise that is not kept.
    pub fn expect(&mut self, promise: Promise, is_kept: bool, why: &str) {
        if !is_kept {
            self.ghosts.broken.push((promise, why.to_owned()));
        }
    }

    /// Checks a change of the record that an actor is about to make.
    pub fn check_replace(&mut self, actor: usize, new: Option<&CredentialRecord>) {
        let old = self.record().cloned();
        let new_grant = new.and_then(grant);
        if let (Some(old), Some(new)) = (&old, new) {
            // A later sign-in has a later family.
            let age = |record| (self.server.family(&tokens(record).0), grant(record));
            let is_newer = age(old) <= age(new);
            self.expect(
                Promise::NothingReceivedIsLost,
                is_newer,
                "an older record replaces a newer one",
            );
        }
        if self.actors[actor].unsaved.is_some() && self.actors[actor].unsaved == new_grant {
            self.actors[actor].unsaved = None;
        }
        if let (Some(old), None) = (&old, new) {
            let family = self.server.family(&tokens(old).0);
            self.ghosts.removed.extend(family);
        }
    }

    /// Checks a revocation that the authorization server is about to handle.
    pub fn check_revocation(&mut self, number: usize, token: &str) {
        let message = &self.messages[number];
        self.ghosts.has_revoked |= Some(message.actor) == self.ghosts.signs_out;
        // A fault has left the request behind. The user did ask for the sign-out.
        if !message.is_connected {
            return;
        }
        let revoker = message.actor;
        let family = self.server.family(token);
        let refreshes = |message: &crate::world::Message| match &message.request {
            HttpRequest::Refresh(sent) => {
                message.status != MessageStatus::Closed
                    && message.is_connected
                    && self.server.family(sent) == family
            }
            HttpRequest::Revoke(_) => false,
        };
        let is_in_flight = self.messages.iter().any(refreshes)
            || self.actors.iter().enumerate().any(|(at, actor)| {
                let unsaved = actor.unsaved.map(|grant| format!("access-{grant}"));
                at != revoker && unsaved.is_some_and(|token| self.server.family(&token) == family)
            });
        let is_outdated = self.record().is_some_and(|record| {
            let stored = tokens(record);
            self.server.family(&stored.0) == family && stored.0 != token && stored.1 != token
        });
        // A newer sign-in is stored, and every process uses it.
        let is_replaced = self
            .record()
            .is_some_and(|record| self.server.family(&tokens(record).0) > family);
        self.expect(
            Promise::NothingInUseIsRevoked,
            !is_in_flight || is_replaced,
            "a revocation reaches tokens that another process is refreshing",
        );
        self.expect(
            Promise::NothingInUseIsRevoked,
            !is_outdated,
            "a revocation reaches a record that another process has stored since",
        );
    }

    /// Checks the record table after a change.
    pub fn check_records(&mut self) {
        let other = self.records.get(other_key().as_str());
        let is_unchanged = other.is_some_and(|other| {
            let (other, expected) = (other.to_json(), self.ghosts.other_record.to_json());
            other.expose_secret() == expected.expose_secret()
        });
        self.expect(
            Promise::RecordsAreWhole,
            is_unchanged,
            "the record under another key has changed",
        );
        let is_whole = self.record().is_none_or(|record| {
            let (access, refresh) = tokens(record);
            let json = record.to_json();
            let is_pair = match self.server.rotates() {
                true => access.replace("access", "refresh") == refresh,
                false => self.server.family(&access) == self.server.family(&refresh),
            };
            is_pair
                && record.client_id().map(str::to_owned) == self.server.family(&access).map(client)
                && record.issuer() == Some(&crate::http::issuer())
                && json
                    .expose_secret()
                    .contains(r#""from_another_version":{"kept":true}"#)
        });
        self.expect(
            Promise::RecordsAreWhole,
            is_whole,
            "the stored record lost a field or mixes two grants",
        );
    }

    /// Checks the promises that hold in every state.
    pub fn check_state(&mut self) {
        if self.server.reuses > 0 {
            self.expect(
                Promise::EachRefreshTokenIsUsedOnce,
                self.ghosts.is_explained,
                "a refresh token was used twice without a fault",
            );
        }
        if !self.server.rotates() && !self.ghosts.has_revoked {
            let is_usable = self
                .record()
                .is_none_or(|record| self.server.accepts(&tokens(record).1));
            self.expect(
                Promise::NothingReceivedIsLost,
                is_usable,
                "without rotation, the stored refresh token is not valid",
            );
        }
        if self.ghosts.is_signed_out {
            let is_removed = |token: &str| {
                let family = self.server.family(token);
                family.is_some_and(|family| self.ghosts.removed.contains(&family))
            };
            let is_lost = |token: &str| {
                let grant = crate::authorization_server::grant_of(token);
                grant.is_some_and(|grant| self.ghosts.lost.contains(&grant))
            };
            let valid = self
                .server
                .valid_tokens()
                .find(|token| is_removed(token) && !is_lost(token));
            let is_back = self
                .record()
                .is_some_and(|record| is_removed(&tokens(record).0));
            let why = format!("{valid:?} is valid after the sign-out");
            self.expect(Promise::NothingIsValidAfterSignOut, valid.is_none(), &why);
            self.expect(
                Promise::NothingIsValidAfterSignOut,
                !is_back,
                "the record is stored again after the sign-out",
            );
        }
    }

    /// Checks that a sign-in without a fault leaves no token of the record valid that it has replaced.
    fn check_replaced(&mut self, actor: usize) {
        let Some(sign_in) = self.actors[actor].signs_in else {
            return;
        };
        let stored = self.record().map(|record| tokens(record).0);
        let stored = stored.and_then(|token| self.server.family(&token));
        // A program without the lock may have stored another record since then, and may use the one before.
        if self.ghosts.is_explained || stored != Some(sign_in.family) {
            return;
        }
        let is_of_replaced = |token: &String| self.server.family(token) == sign_in.earlier;
        let valid = self.server.valid_tokens().find(is_of_replaced);
        let why = format!("{valid:?} is valid after the sign-in that replaced it");
        self.expect(Promise::NothingReplacedIsValid, valid.is_none(), &why);
    }

    /// Checks the outcome of an actor that has just ended.
    pub fn check_outcome(&mut self, actor: usize, outcome: &Outcome) {
        let was_interrupted = self.actors[actor].was_interrupted;
        let (is_explained, has_revoked) = (self.ghosts.is_explained, self.ghosts.has_revoked);
        let is_removed = !self.ghosts.removed.is_empty();
        let is_saved = self.actors[actor].unsaved.is_none_or(|grant| {
            let received = self.server.family(&format!("access-{grant}"));
            let stored = self.record();
            // After a lease has ended, another process may have refreshed the same token and saved first.
            let is_later = |stored: &CredentialRecord| {
                self.has_leases()
                    && self.ghosts.is_explained
                    && crate::records::grant(stored) > Some(grant)
            };
            // Without rotation, the requests of two holders can be handled in either order. Both responses belong to the refresh token
            // that stays, so each of them is as good as the other.
            let is_as_good = |stored: &CredentialRecord| {
                !self.server.rotates()
                    && self.has_leases()
                    && self.ghosts.is_explained
                    && self.server.family(&tokens(stored).0) == received
                    && self.server.accepts(&tokens(stored).0)
            };
            stored.is_some_and(|stored| {
                self.server.family(&tokens(stored).0) > received
                    || is_later(stored)
                    || is_as_good(stored)
            })
        });
        self.expect(
            Promise::NothingReceivedIsLost,
            is_saved,
            "a received token is not stored",
        );
        match outcome {
            Outcome::Token { token, is_saved } => {
                self.expect(
                    Promise::NothingReceivedIsLost,
                    *is_saved,
                    "the store works, and the token is not saved",
                );
                let is_valid = self.server.accepts(token);
                self.expect(
                    Promise::LossIsExplained,
                    is_valid || is_explained || has_revoked,
                    "a refresh returns an invalid token without a fault",
                );
            }
            Outcome::Refused(trace) => {
                self.expect(
                    Promise::LossIsExplained,
                    is_explained,
                    "a refresh is refused without a fault",
                );
                let is_refused = matches!(trace, Trace::InvalidGrant | Trace::SentBefore);
                self.expect(
                    Promise::LossIsExplained,
                    self.server.rotates() || has_revoked || !is_refused,
                    "a server that does not rotate refresh tokens refuses one that was not revoked",
                );
                self.ghosts.is_shown |= *trace == Trace::SentBefore;
                let has_evidence = match trace {
                    Trace::InvalidGrant => !self.has_leases() || self.ghosts.is_shown,
                    Trace::SentBefore => true,
                    Trace::NoResponse => was_interrupted,
                    Trace::Other => false,
                };
                self.expect(
                    Promise::LossIsExplained,
                    has_evidence,
                    "the evidence does not explain the refusal",
                );
            }
            Outcome::NotSent => self.expect(
                Promise::LossIsExplained,
                is_removed,
                "a refresh is not sent, and no sign-out has removed the record",
            ),
            Outcome::SignedOut {
                was_stored,
                revocation,
            } => {
                let is_expected = match revocation {
                    Revocation::Revoked => *was_stored,
                    Revocation::Failed => was_interrupted,
                    Revocation::NotOffered => !was_stored,
                };
                self.expect(
                    Promise::LossIsExplained,
                    is_expected,
                    "the sign-out reports a wrong result",
                );
                self.ghosts.is_signed_out = *revocation == Revocation::Revoked;
                if *revocation == Revocation::Failed {
                    self.ghosts.is_explained = true;
                }
            }
            Outcome::SignedIn => self.check_replaced(actor),
            Outcome::StoreFailed => {
                self.expect(
                    Promise::LossIsExplained,
                    was_interrupted,
                    "the store works, and it is reported as failing",
                );
                if self.ghosts.signs_out == Some(actor) {
                    self.expect(
                        Promise::FailedSignOutRevokesNothing,
                        !has_revoked,
                        "the sign-out failed after it had revoked the tokens",
                    );
                }
            }
        }
        self.check_state();
    }
}
