//! The memory of a process that loads, locks and replaces records for a long time. `scripts/stress postgres` runs it.

#![cfg(target_os = "linux")]

use std::time::{Duration, Instant};

use futures::StreamExt;
use mcp_startup_auth::conformance::{key, put, record};
use mcp_startup_auth::{CredentialStore, ReplaceOutcome};

use crate::database;
use crate::server::KEY_1;

const USERS: usize = 1_000;
const AT_ONCE: usize = 64;
const SAMPLES: u32 = 10;

/// The resident memory of this process in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.unwrap().trim().split(' ').next().unwrap();
    number.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_does_not_grow_under_load() {
    let Ok(seconds) = std::env::var("LOAD_SECONDS") else {
        return;
    };
    let part = Duration::from_secs(seconds.parse().unwrap()) / SAMPLES;
    let database = database!("memory::memory_does_not_grow_under_load");
    let postgres = database.store(KEY_1).await;
    let (old, new) = (record("one"), record("two"));
    for user in 0..USERS {
        let user = postgres.for_user("t", &user.to_string()).unwrap();
        put(&user, &key("s"), None, Some(&old)).await;
    }
    let (mut samples, mut refreshes) = (Vec::new(), 0);
    for _ in 0..SAMPLES {
        let until = Instant::now() + part;
        while Instant::now() < until {
            let refreshed = futures::stream::iter(0..USERS).map(async |user| {
                let user = postgres.for_user("t", &user.to_string()).unwrap();
                let lock = user.lock(&key("s")).await.unwrap();
                let stored = user.load(&key("s")).await.unwrap().unwrap();
                let next = if stored == old { &new } else { &old };
                lock.begin_attempt(&"R1".into()).await.unwrap();
                let replaced = user.replace(&key("s"), Some(&stored), Some(next)).await;
                assert_eq!(replaced, Ok(ReplaceOutcome::Stored));
                lock.end_attempt();
            });
            refreshed
                .buffer_unordered(AT_ONCE)
                .for_each(async |()| {})
                .await;
            refreshes += USERS;
        }
        samples.push(resident());
    }
    eprintln!("{refreshes} refreshes in {seconds} s, resident KiB after each tenth: {samples:?}");
    // The first tenth fills the caches of the allocator.
    let (early, late) = (samples[1], samples[samples.len() - 1]);
    assert!(late < early + early / 10, "{samples:?}");
}
