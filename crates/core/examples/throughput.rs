//! Measures the throughput of the tracker and the decoder on lines that Codex's app-server wrote, compared with a program that uses
//! `serde_json` for each line, and the throughput of `assess` and `judge`. Prints one line of JSON: the median rates per second, and
//! the peak resident memory after the tracker (Linux). Only the numbers of a release build are meaningful.
//!
//! The rates of an older version of Codex have its name as a suffix.
//!
//! The input is passed in chunks of 1 MiB of whole lines, as a program that reads a long stream would pass it.
//!
//! Usage: cargo run --release --example throughput [LINES [ROUNDS [JUDGED]]]

#![allow(clippy::print_stdout, reason = "prints the results")]

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

use mcp_startup_core::{METHOD, StartupTracker, assess, decode, judge};
use serde::Deserialize;
use serde_json::{Map, json};

#[path = "../benches/samples/mod.rs"]
mod samples;

const CHUNK: usize = 1 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let numbers: Result<Vec<usize>, _> =
        std::env::args().skip(1).map(|text| text.parse()).collect();
    let numbers = numbers?;
    let number = |at: usize, default: usize| numbers.get(at).copied().unwrap_or(default);
    let (lines, rounds, judged) = (number(0, 100_000), number(1, 5), number(2, 1_000_000));

    let mut rates = Map::new();
    let mut peak = None;
    let mut measured = 0;
    // The newest first, because the peak of the memory includes everything before.
    for (age, (version, text)) in samples::codex_lines()?.iter().rev().enumerate() {
        let per_copy = text.lines().count();
        let chunk = text.repeat(CHUNK / text.len());
        let per_chunk = per_copy * (CHUNK / text.len());
        let chunks = lines.div_ceil(per_chunk);
        measured = chunks * per_chunk;
        type Fold = fn(&str, usize) -> usize;
        // Each pair must have the same count.
        let sides: [(&str, Fold); 4] = [
            ("tracker", with_tracker),
            ("serdeJsonFold", with_serde_json_and_fold),
            ("decode", with_decode),
            ("serdeJson", with_serde_json),
        ];
        let mut found = Vec::new();
        for (name, side) in sides {
            let mut count = 0;
            let rate = median(rounds, || {
                let began = Instant::now();
                count = side(&chunk, chunks);
                per_second(measured, began.elapsed())
            });
            found.push(count);
            peak = peak.or_else(peak_kib);
            let name = match age {
                0 => name.to_owned(),
                _ => format!("{name} {version}"),
            };
            rates.insert(name, rate.into());
        }
        if found[0] != found[1] || found[2] != found[3] {
            return Err(format!("the counts differ: {found:?}").into());
        }
    }
    let verdict =
        json!({ "assess": assessed(judged, rounds), "judge": judge_all(judged, rounds)? });
    println!(
        "{}",
        json!({ "lines": measured, "rounds": rounds, "linesPerSecond": rates, "peakKib": peak,
            "judged": judged, "verdictsPerSecond": verdict })
    );
    Ok(())
}

fn with_tracker(chunk: &str, chunks: usize) -> usize {
    let mut tracker = StartupTracker::default();
    (0..chunks)
        .map(|_| tracker.apply_lines(chunk.as_bytes()).prompts.len())
        .sum()
}

fn with_serde_json_and_fold(chunk: &str, chunks: usize) -> usize {
    let mut fold = Fold::default();
    for _ in 0..chunks {
        for line in chunk.lines() {
            if let Ok(message) = serde_json::from_slice::<Message>(line.as_bytes())
                && message.method == METHOD
            {
                fold.apply(message.params);
            }
        }
    }
    fold.prompts
}

/// Decodes line by line. The lines are split once, so splitting is not measured.
fn with_decode(chunk: &str, chunks: usize) -> usize {
    let lines: Vec<&[u8]> = chunk.lines().map(str::as_bytes).collect();
    let mut read = 0;
    for _ in 0..chunks {
        for line in &lines {
            if let Ok(Some(said)) = decode(line) {
                black_box((said.name(), said.status(), said.failure_reason()));
                read += 1;
            }
        }
    }
    read
}

fn with_serde_json(chunk: &str, chunks: usize) -> usize {
    let lines: Vec<&[u8]> = chunk.lines().map(str::as_bytes).collect();
    let mut read = 0;
    for _ in 0..chunks {
        for line in &lines {
            if let Ok(Message {
                method,
                params: said,
            }) = serde_json::from_slice(line)
                && method == METHOD
            {
                black_box((&said.name, &said.status, &said.failure_reason));
                read += 1;
            }
        }
    }
    read
}

#[derive(Deserialize)]
struct Message {
    method: String,
    params: Params,
}

#[derive(PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Params {
    thread_id: Option<String>,
    name: String,
    environment_id: Option<String>,
    status: String,
    error: Option<String>,
    failure_reason: Option<String>,
}

/// The state of each server, by thread, environment and name, and one prompt per name and episode.
#[derive(Default)]
struct Fold {
    servers: HashMap<(Option<String>, Option<String>, String), Params>,
    episodes: HashSet<String>,
    prompts: usize,
}

impl Fold {
    fn apply(&mut self, said: Params) {
        let again = said.status == "failed"
            && said.failure_reason.as_deref() == Some("reauthenticationRequired");
        if again && self.episodes.insert(said.name.clone()) {
            self.prompts += 1;
        }
        if said.status == "ready" {
            self.episodes.remove(&said.name);
        }
        let key = (
            said.thread_id.clone(),
            said.environment_id.clone(),
            said.name.clone(),
        );
        if self.servers.get(&key) != Some(&said) {
            self.servers.insert(key, said);
        }
    }
}

fn assessed(count: usize, rounds: usize) -> u64 {
    let facts = samples::facts();
    median(rounds, || {
        let began = Instant::now();
        for facts in facts.iter().cycle().take(count) {
            black_box(assess(black_box(facts), samples::NOW_MS));
        }
        per_second(count, began.elapsed())
    })
}

/// Judges copies of the evidence. Copying is not measured.
fn judge_all(count: usize, rounds: usize) -> Result<u64, Box<dyn Error>> {
    let evidence = samples::evidence()?;
    Ok(median(rounds, || {
        let (mut judged, mut took) = (0, Duration::ZERO);
        while judged < count {
            let batch = evidence.clone();
            judged += batch.len();
            let began = Instant::now();
            for evidence in batch {
                black_box(judge(evidence));
            }
            took += began.elapsed();
        }
        per_second(judged, took)
    }))
}

fn per_second(count: usize, took: Duration) -> u64 {
    (count as f64 / took.as_secs_f64()) as u64
}

/// Returns the median of the rounds, after one warm-up round.
fn median(rounds: usize, mut round: impl FnMut() -> u64) -> u64 {
    round();
    let mut all: Vec<u64> = (0..rounds.max(1)).map(|_| round()).collect();
    all.sort_unstable();
    all[all.len() / 2]
}

/// Returns the peak resident memory so far, in KiB, if the system reports it.
fn peak_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
