//! Benchmarks of the functions that a client calls for every line and a host for every record.
//!
//! Run them with `cargo bench -p mcp-startup-core`.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a panic fails the benchmark, and criterion's macros generate undocumented items"
)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mcp_startup_core::{StartupTracker, assess, decode, decode_lines, encode, judge};

mod samples;

fn contract(criterion: &mut Criterion) {
    for (version, text) in samples::codex_lines().unwrap() {
        contract_with(criterion, version, &text);
    }
}

fn contract_with(criterion: &mut Criterion, version: &str, text: &str) {
    let lines: Vec<&[u8]> = text.lines().map(str::as_bytes).collect();
    let bytes = text.as_bytes();
    let notifications = decode_lines(bytes).notifications;
    let mut group = criterion.benchmark_group(format!("contract, Codex {version}"));
    group.throughput(Throughput::Elements(lines.len() as u64));
    group.bench_function("decode", |bencher| {
        bencher.iter(|| {
            for line in &lines {
                black_box(decode(black_box(line)).unwrap());
            }
        });
    });
    group.bench_function("decode_lines", |bencher| {
        bencher.iter(|| black_box(decode_lines(black_box(bytes))));
    });
    group.bench_function("encode", |bencher| {
        bencher.iter(|| {
            for notification in &notifications {
                black_box(encode(black_box(notification)));
            }
        });
    });
    group.bench_function("tracker, bytes", |bencher| {
        let mut tracker = StartupTracker::default();
        bencher.iter(|| black_box(tracker.apply_lines(black_box(bytes))));
    });
    group.finish();
}

fn verdict(criterion: &mut Criterion) {
    let facts = samples::facts();
    let evidence = samples::evidence().unwrap();
    let mut group = criterion.benchmark_group("verdict");
    group.throughput(Throughput::Elements(facts.len() as u64));
    group.bench_function("assess", |bencher| {
        bencher.iter(|| {
            for facts in &facts {
                black_box(assess(black_box(facts), samples::NOW_MS));
            }
        });
    });
    group.throughput(Throughput::Elements(evidence.len() as u64));
    group.bench_function("judge", |bencher| {
        bencher.iter_batched(
            || evidence.clone(),
            |evidence| {
                for evidence in evidence {
                    black_box(judge(evidence));
                }
            },
            criterion::BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group!(benches, contract, verdict);
criterion_main!(benches);
