//! Explores the protocol of refresh, sign-out and sign-in exhaustively at small size: every order of the steps of a few processes,
//! with a crash or an interrupted request at any step.
//!
//! The actors run the real code of this crate: `refresh`, `revoke`, `revoke_replaced` and `CredentialStores`. A sign-out and a sign-in combine these
//! functions as the engine does, and the engine's test `sign_out_steps` compares the steps of a sign-out with those here. The
//! store, the authorization server, the exchange of a code and the order of the steps are models:
//!
//! * Each operation of the store is one step. For a request to the authorization server, its handling and the arrival of the
//!   response are two steps, and the handling can follow the end of the sender.
//! * An actor does nothing observable between two steps, with two exceptions. It releases its lock, which only enables other
//!   steps and can happen as early as possible. And a sign-out reads the metadata of the authorization server, which never changes.
//! * A crash stops all actors of a process and releases their locks. A crash during a step is a crash before or after it.
//! * A run ends at a state that an earlier run has reached. A state includes all that each actor has received, so the same steps
//!   follow. The last test compares this with an exploration that merges no states.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod authorization_server;
mod explorer;
mod http;
mod processes;
mod promises;
mod records;
mod steps;
mod world;

use std::collections::BTreeSet;

use authorization_server::POLICIES;
use explorer::{Explored, Scenario, explore};
use processes::{SignOutOrder, Task};
use promises::Promise;
use steps::Defect;

const SIGN_OUT: Task = Task::SignOut(SignOutOrder::LockFirst);
const EARLIER_SIGN_OUT: Task = Task::SignOut(SignOutOrder::RevokeFirst);

/// The name, the process and the task of each actor.
type Actors = [(&'static str, usize, Task)];

fn scenario(actors: &Actors, faults: usize) -> Scenario {
    Scenario {
        actors: actors.to_vec(),
        policy: POLICIES[0],
        faults,
        defect: Defect::None,
        leases: false,
        broken: &[],
        merges_states: true,
    }
}

/// Two processes, one refresh each. The second one also signs out.
fn two_processes(sign_out: Task, faults: usize) -> Scenario {
    let actors = [
        ("refresh 1", 0, Task::Refresh),
        ("refresh 2", 1, Task::Refresh),
        ("sign-out", 1, sign_out),
    ];
    scenario(&actors, faults)
}

/// How many faults a run of the main scenario can have.
fn faults() -> usize {
    let faults = std::env::var("PROTOCOL_MODEL_FAULTS").ok();
    faults.map_or(1, |faults| {
        faults
            .parse()
            .expect("PROTOCOL_MODEL_FAULTS must be a number")
    })
}

/// Explores a scenario in which every promise holds, and prints the size of the exploration.
#[track_caller]
fn explore_all(scenario: &Scenario) -> Explored {
    let explored = explore(scenario);
    if let Some(violation) = explored.violations.first() {
        panic!("{violation}");
    }
    let names: Vec<&str> = scenario.actors.iter().map(|(name, ..)| *name).collect();
    println!(
        "model: {} runs, {} states ({} final), {} transitions, {} in the longest run, {:.1?}: {}, {} faults, {:?}",
        explored.runs,
        explored.states.len(),
        explored.final_states,
        explored.transitions,
        explored.longest,
        explored.time,
        names.join(" + "),
        scenario.faults,
        scenario.policy
    );
    explored
}

/// Fails if the exploration did not reach one of these outcomes.
#[track_caller]
fn assert_reached(explored: &Explored, outcomes: &[&str]) {
    for outcome in outcomes {
        let mut reached = explored.outcomes.iter();
        assert!(
            reached.any(|reached| reached.contains(outcome)),
            "{outcome} is not in {:#?}",
            explored.outcomes
        );
    }
}

/// Fails if the exploration does not find a violation of each promise in `scenario.broken`.
#[track_caller]
fn assert_broken(scenario: &Scenario) -> Explored {
    let explored = explore(scenario);
    for promise in scenario.broken {
        let mut found = explored.violations.iter();
        let found = found.find(|violation| violation.promise == *promise);
        let found = found.unwrap_or_else(|| panic!("{:?} does not break {promise:?}", scenario));
        println!("{} runs, {found}", explored.runs);
    }
    explored
}

#[test]
fn refreshes_and_a_sign_out_keep_every_promise_with_a_fault_at_any_step() {
    for policy in POLICIES {
        let scenario = Scenario {
            policy,
            ..two_processes(SIGN_OUT, faults())
        };
        let explored = explore_all(&scenario);
        assert_reached(
            &explored,
            &[
                r#"refresh 1: Token { token: "access-1", is_saved: true }"#,
                "refresh 1: Refused(NoResponse)",
                "refresh 2: Refused(NoResponse)",
                "refresh 2: NotSent",
                "refresh 2: StoreFailed",
                "refresh 2: crashed",
                "sign-out: SignedOut { was_stored: true, revocation: Revoked }",
                "sign-out: SignedOut { was_stored: true, revocation: Failed }",
                "sign-out: StoreFailed",
                "sign-out: crashed",
                r#"next start: Token { token: "access-1", is_saved: true }"#,
                "next start: NotSent",
                // A grant that was lost in a crash.
                "next start: Refused(InvalidGrant)",
            ],
        );
    }
}

/// With three actors, this takes several times as long as all other tests: set `PROTOCOL_MODEL_FAULTS` to 2.
#[test]
fn a_refresh_and_a_sign_out_keep_every_promise_with_two_faults() {
    let actors = [("refresh", 0, Task::Refresh), ("sign-out", 1, SIGN_OUT)];
    explore_all(&scenario(&actors, 2));
}

#[test]
fn refreshes_and_a_sign_out_of_three_processes_keep_every_promise() {
    let actors = [
        ("refresh 1", 0, Task::Refresh),
        ("refresh 2", 1, Task::Refresh),
        ("sign-out", 2, SIGN_OUT),
    ];
    explore_all(&scenario(&actors, 1));
    let actors = [
        ("start", 0, Task::Start),
        ("refresh", 1, Task::Refresh),
        ("sign-out", 2, SIGN_OUT),
    ];
    explore_all(&scenario(&actors, 0));
}

#[test]
fn a_sign_in_during_a_refresh_and_a_sign_out_keeps_every_promise() {
    let actors = [
        ("refresh", 0, Task::Refresh),
        ("sign-in", 1, Task::SignIn),
        ("sign-out", 2, SIGN_OUT),
    ];
    let explored = explore_all(&scenario(&actors, 1));
    assert_reached(&explored, &["sign-in: SignedIn", "sign-in: StoreFailed"]);
}

/// Two sign-ins over a record, and a sign-out at the same time, leave no token valid that is in no store.
#[test]
fn sign_ins_over_a_record_leave_no_token_of_it_valid() {
    let two = [
        ("sign-in 1", 0, Task::SignIn),
        ("sign-in 2", 1, Task::SignIn),
    ];
    let beside_sign_out = [("sign-in", 0, Task::SignIn), ("sign-out", 1, SIGN_OUT)];
    let beside_refresh = [("sign-in", 0, Task::SignIn), ("start", 1, Task::Start)];
    for policy in POLICIES {
        for actors in [&two, &beside_sign_out, &beside_refresh] {
            explore_all(&Scenario {
                policy,
                ..scenario(actors, 1)
            });
        }
    }
}

#[test]
fn a_refresh_keeps_a_sign_in_that_a_program_stores_without_the_lock() {
    let actors = [
        ("refresh 1", 0, Task::Refresh),
        ("refresh 2", 1, Task::Refresh),
        ("foreign sign-in", 2, Task::ForeignSignIn),
    ];
    explore_all(&scenario(&actors, 1));
}

/// The lease of a process ends while it is paused, at any step. Either the refresh token is used once, or the evidence of a process
/// explains the loss.
#[test]
fn refreshes_with_leases_exclude_each_other_or_explain_the_loss() {
    let actors = [
        ("refresh 1", 0, Task::Refresh),
        ("refresh 2", 1, Task::Refresh),
    ];
    for policy in POLICIES.into_iter().filter(|policy| policy.rotates) {
        let lapsing = |faults| Scenario {
            policy,
            leases: true,
            ..scenario(&actors, faults)
        };
        let explored = explore_all(&lapsing(1));
        assert_reached(
            &explored,
            &[
                r#"refresh 1: Token { token: "access-1", is_saved: true }"#,
                // It lost its lock before it sent anything.
                "refresh 1: StoreFailed",
                "refresh 2: crashed",
                "refresh 1: Refused(SentBefore)",
                "next start: Refused(SentBefore)",
            ],
        );
        explore_all(&lapsing(2));
    }
}

/// Two holders may send the same refresh token. A server that does not rotate it accepts both, so neither is refused, and the stored
/// sign-in stays usable.
#[test]
fn refreshes_with_leases_lose_nothing_if_the_server_does_not_rotate_refresh_tokens() {
    let actors = [
        ("refresh 1", 0, Task::Refresh),
        ("refresh 2", 1, Task::Refresh),
    ];
    for policy in POLICIES.into_iter().filter(|policy| !policy.rotates) {
        for faults in [1, 2] {
            let explored = explore_all(&Scenario {
                policy,
                leases: true,
                ..scenario(&actors, faults)
            });
            assert_reached(
                &explored,
                &[
                    // Both have sent the refresh token, and the later response was saved.
                    r#"refresh 1: Token { token: "access-2", is_saved: true }"#,
                    r#"refresh 2: Token { token: "access-2", is_saved: true }"#,
                    "refresh 1: StoreFailed",
                    "refresh 2: crashed",
                    r#"next start: Token { token: "access-2", is_saved: true }"#,
                ],
            );
            for refusal in ["Refused(InvalidGrant)", "Refused(SentBefore)"] {
                let mut reached = explored.outcomes.iter();
                let found = reached.find(|reached| reached.contains(refusal));
                assert_eq!(found, None);
            }
        }
    }
}

#[test]
fn a_sign_in_keeps_its_record_if_leases_end() {
    let actors = [("refresh", 0, Task::Refresh), ("sign-in", 1, Task::SignIn)];
    explore_all(&Scenario {
        leases: true,
        ..scenario(&actors, 2)
    });
}

/// A program without the lock may store a sign-in at any moment of a sign-out. It is revoked and removed, or it stays.
#[test]
fn a_sign_out_removes_no_record_of_a_program_without_the_lock_unrevoked() {
    let actors = [
        ("foreign sign-in", 0, Task::ForeignSignIn),
        ("sign-out", 1, SIGN_OUT),
    ];
    explore_all(&scenario(&actors, 0));
}

#[test]
fn a_sign_out_that_revokes_before_it_locks_breaks_promises() {
    assert_broken(&Scenario {
        broken: &[
            Promise::NothingInUseIsRevoked,
            Promise::NothingIsValidAfterSignOut,
            Promise::FailedSignOutRevokesNothing,
        ],
        ..two_processes(EARLIER_SIGN_OUT, 1)
    });
    // Without a fault too.
    assert_broken(&Scenario {
        broken: &[Promise::NothingIsValidAfterSignOut],
        ..two_processes(EARLIER_SIGN_OUT, 0)
    });
}

/// Together with the test above, shows that the explorer can find a violation of every promise.
#[test]
fn each_defect_of_a_store_breaks_its_promise() {
    let refreshes = [
        ("refresh 1", 0, Task::Refresh),
        ("refresh 2", 1, Task::Refresh),
    ];
    let foreign = [
        ("refresh", 0, Task::Refresh),
        ("foreign sign-in", 1, Task::ForeignSignIn),
    ];
    // Without the record of the attempt, nothing explains that a refresh token was used twice.
    assert_broken(&Scenario {
        defect: Defect::AttemptsAreForgotten,
        broken: &[Promise::LossIsExplained],
        leases: true,
        ..scenario(&refreshes, 1)
    });
    let rows: [(_, _, &[Promise]); 5] = [
        (
            Defect::LockDoesNotExclude,
            &refreshes,
            &[
                Promise::EachRefreshTokenIsUsedOnce,
                Promise::LossIsExplained,
            ],
        ),
        (
            Defect::LockOutlivesCrash,
            &refreshes,
            &[Promise::NoDeadlock],
        ),
        (
            Defect::WritesAreLost,
            &refreshes,
            &[Promise::NothingReceivedIsLost],
        ),
        (
            Defect::ReplaceDoesNotCompare,
            &foreign,
            &[Promise::NothingReceivedIsLost],
        ),
        (
            Defect::UnknownFieldsAreDropped,
            &refreshes,
            &[Promise::RecordsAreWhole],
        ),
    ];
    for (defect, actors, broken) in rows {
        assert_broken(&Scenario {
            defect,
            broken,
            ..scenario(actors, 1)
        });
    }
}

#[test]
fn the_actors_take_the_steps_of_the_protocol() {
    for (task, expected) in [
        (
            Task::Refresh,
            [
                "lock",
                "load: access-0",
                "prove writable",
                "Refresh(\"refresh-0\"): access-1",
                "receives 200",
                "replace access-0 by access-1",
                "unlock",
            ]
            .as_slice(),
        ),
        (
            SIGN_OUT,
            &[
                "load: access-0",
                "lock",
                "load: access-0",
                "prove writable",
                "load: access-0",
                "Revoke(\"refresh-0\"): 200",
                "receives 200",
                "Revoke(\"access-0\"): 200",
                "receives 200",
                "replace access-0 by nothing",
                // Another program may have stored a record without the lock.
                "load: nothing",
                "unlock",
            ],
        ),
        (
            Task::SignIn,
            &[
                "lock",
                "prove writable",
                "load: access-0",
                "exchange the code: access-1",
                "load: access-0",
                "replace access-0 by access-1",
                "load: access-1",
                // Another program may have stored a record without the lock.
                "load: access-1",
                "Revoke(\"refresh-0\"): 200",
                "receives 200",
                "Revoke(\"access-0\"): 200",
                "receives 200",
                "unlock",
            ],
        ),
    ] {
        let explored = explore_all(&scenario(&[("actor", 0, task)], 0));
        let steps: Vec<&str> = explored.first_trace.iter().map(String::as_str).collect();
        let steps: Vec<&str> = steps
            .iter()
            .map(|step| step.rsplit_once("actor: ").map_or(*step, |(_, step)| step))
            .take_while(|step| !step.starts_with("ends with"))
            .collect();
        assert_eq!(steps, expected, "{task:?}");
    }
}

#[test]
fn an_exploration_that_merges_no_states_reaches_the_same_states() {
    let rows: [(&Actors, usize); 3] = [
        (
            &[
                ("refresh 1", 0, Task::Refresh),
                ("refresh 2", 1, Task::Refresh),
            ],
            1,
        ),
        (
            &[("refresh", 0, Task::Refresh), ("sign-out", 1, SIGN_OUT)],
            1,
        ),
        (&[("start", 0, Task::Start), ("sign-out", 1, SIGN_OUT)], 0),
    ];
    for (actors, faults) in rows {
        let merged = explore_all(&scenario(actors, faults));
        let tree = explore_all(&Scenario {
            merges_states: false,
            ..scenario(actors, faults)
        });
        let difference: BTreeSet<_> = merged.states.symmetric_difference(&tree.states).collect();
        assert!(difference.is_empty(), "{difference:#?}");
    }
}
