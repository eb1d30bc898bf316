//! The tests: the rows of each file, and different attacks at once.

use crate::attack::{Attack, Transport, attacks, named};
use crate::harness::cases::for_each_case;
use crate::trial::{Hostile, run, run_sign_in};

/// The environment variable that selects the cases whose names contain its value.
const ONLY: &str = "ATTACKS_ONLY";

fn run_cases(rows: Vec<Attack>) {
    let only = std::env::var(ONLY).unwrap_or_default();
    let cases: Vec<_> = rows
        .into_iter()
        .flat_map(|attack| {
            let over = attack.over.clone().into_iter();
            over.map(move |transport| (attack.clone(), transport))
        })
        .map(|(attack, transport)| {
            (
                format!("{} ({})", attack.name, transport.name()),
                attack,
                transport,
            )
        })
        .filter(|(name, ..)| name.contains(&only))
        .collect();
    for_each_case(&cases, |(name, attack, transport)| {
        let hostile: Vec<_> = (0..attack.copies)
            .map(|_| Hostile {
                attack: attack.clone(),
                transport: *transport,
            })
            .collect();
        run(name, &hostile);
    });
}

fn run_file(file: &str) {
    run_cases(attacks(file));
}

#[test]
fn masking_takes_linear_time() {
    run_file("masking");
}

#[test]
fn reading_a_token_reply_takes_linear_time() {
    run_file("token-replies");
}

#[test]
fn a_flood_takes_bounded_memory_and_ends_the_start() {
    run_file("floods");
}

#[test]
fn discovery_sends_a_bounded_number_of_requests() {
    run_file("discovery");
}

#[test]
fn a_sign_in_sends_a_bounded_number_of_requests() {
    let only = std::env::var(ONLY).unwrap_or_default();
    let rows = attacks("discovery").into_iter();
    let rows: Vec<_> = rows.filter(|attack| attack.name.contains(&only)).collect();
    for_each_case(&rows, |attack| {
        run_sign_in(&format!("{} (login)", attack.name), attack);
    });
}

#[test]
fn a_response_of_any_shape_and_length_is_bounded() {
    run_file("responses");
}

#[test]
fn a_hostile_server_changes_no_other_verdict() {
    let hostile = [
        ("backslashes in an error", Transport::Http),
        ("pings without reading", Transport::Stdio),
        ("token reply of numbered fields", Transport::Http),
        ("30,000 authorization servers", Transport::Http),
    ];
    let hostile = hostile.map(|(name, transport)| Hostile {
        attack: named(name),
        transport,
    });
    run("four hostile servers", &hostile);
}
