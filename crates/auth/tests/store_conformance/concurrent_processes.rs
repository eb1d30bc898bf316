//! Many processes that write at the same time, and processes that are killed while they write.

use std::fs;
use std::path::Path;
use std::time::Duration;

use mcp_startup_auth::conformance::{key, put, stored, within};
use mcp_startup_auth::{CredentialStore, FileStore, ReplaceOutcome};

use crate::child_process::*;
use crate::home_folder::*;

/// The environment variable that sets how many writers are killed; the default is 50.
const KILLS: &str = "STORE_TEST_KILLS";
/// How often each process increments its own record, the shared record, and the shared record that it locks.
const OWN: i64 = 10;
const SHARED: i64 = 3;
const LOCKED: i64 = 3;

#[test]
fn sixteen_concurrent_processes_lose_no_update() {
    // Under Wine, one process handles the calls of all others.
    const PROCESSES: i64 = if cfg!(windows) { 4 } else { 16 };
    if let Some((role, home)) = role() {
        return increment_records(&role, &home);
    }
    let (root, store) = new_home();
    fs::write(credential_file(root.path()), OTHER_ENTRIES).unwrap();
    let test = "concurrent_processes::sixteen_concurrent_processes_lose_no_update";
    let mut processes: Vec<RunningProcess> = (0..PROCESSES)
        .map(|n| {
            RunningProcess::start(&mut in_role(
                test_program(),
                test,
                &n.to_string(),
                root.path(),
            ))
        })
        .collect();
    for process in &mut processes {
        process.wait_for_line("ready");
    }
    for process in &mut processes {
        process.send_line();
    }
    processes
        .into_iter()
        .for_each(RunningProcess::assert_success);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        for n in 0..PROCESSES {
            let own = stored(&store, &key(&format!("own-{n}"))).await;
            assert_eq!(own, Some(numbered_record(OWN)));
        }
        let shared = number(stored(&store, &key("shared")).await.as_ref());
        assert_eq!(shared, PROCESSES * SHARED);
        let locked = number(stored(&store, &key("locked")).await.as_ref());
        assert_eq!(locked, PROCESSES * LOCKED);
    });
    assert_other_entries_unchanged(root.path());
    assert_eq!(
        file_names(root.path()),
        [".credentials.json", "mcp-oauth-locks"]
    );
}

#[tokio::main]
async fn increment_records(role: &str, home: &Path) {
    let store = FileStore::new(home);
    let own = key(&format!("own-{role}"));
    print_line("ready");
    wait_for_parent();
    for n in 0..OWN {
        let before = stored(&store, &own).await;
        assert_eq!(number(before.as_ref()), n);
        put(&store, &own, before.as_ref(), Some(&numbered_record(n + 1))).await;
    }
    // All processes increment this record without its lock. After a conflict, a process continues from the newer record.
    let shared = key("shared");
    for _ in 0..SHARED {
        let mut before = stored(&store, &shared).await;
        loop {
            let next = numbered_record(number(before.as_ref()) + 1);
            let replaced = store.replace(&shared, before.as_ref(), Some(&next));
            match within(replaced).await.unwrap() {
                ReplaceOutcome::Stored => break,
                ReplaceOutcome::Conflict(newer) => before = newer,
            }
        }
    }
    // All processes increment this record under its lock, so no conflict occurs.
    for _ in 0..LOCKED {
        let _guard = within(store.lock(&key("locked"))).await.unwrap();
        let before = stored(&store, &key("locked")).await;
        let next = numbered_record(number(before.as_ref()) + 1);
        put(&store, &key("locked"), before.as_ref(), Some(&next)).await;
    }
}

#[test]
fn a_killed_writer_leaves_a_valid_file() {
    let test = "concurrent_processes::a_killed_writer_leaves_a_valid_file";
    if let Some((_, home)) = role() {
        return write_forever(&home);
    }
    let kills = std::env::var(KILLS).map_or(50, |kills| kills.parse().unwrap());
    let (root, store) = new_home();
    fs::write(credential_file(root.path()), OTHER_ENTRIES).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (mut killed_while_writing, mut writes) = (0, 0);
    for _ in 0..kills {
        let mut writer =
            RunningProcess::start(&mut in_role(test_program(), test, "write", root.path()));
        writer.wait_for_line("ready");
        let micros = u64::from(random()) % 30_000;
        std::thread::sleep(Duration::from_micros(micros));
        writer.kill();
        let last_line = writer.lines.by_ref().map_while(Result::ok).last();
        let reported: Option<i64> = last_line.map(|line| line.parse().unwrap());

        assert_other_entries_unchanged(root.path());
        killed_while_writing += usize::from(file_names(root.path()).len() > 2);
        runtime.block_on(async {
            let found = stored(&store, &key("a")).await;
            let n = number(found.as_ref());
            assert_eq!(
                found,
                (n > 0).then(|| numbered_record(n)),
                "the record is damaged"
            );
            if let Some(reported) = reported {
                let is_last_or_next = (reported..=reported + 1).contains(&n);
                assert!(is_last_or_next, "{n} is stored, {reported} was reported");
                writes += reported;
            }
            drop(within(store.lock(&key("a"))).await.unwrap());
            put(&store, &key("a"), found.as_ref(), None).await;
        });
        assert_eq!(
            file_names(root.path()),
            [".credentials.json", "mcp-oauth-locks"]
        );
    }
    eprintln!("{kills} kills during {writes} writes; {killed_while_writing} left a temporary file");
    assert!(writes > 0);
}

#[tokio::main]
async fn write_forever(home: &Path) {
    let store = FileStore::new(home);
    let mut before = stored(&store, &key("a")).await;
    print_line("ready");
    for n in 1.. {
        let _guard = store.lock(&key("a")).await.unwrap();
        let next = numbered_record(n);
        put(&store, &key("a"), before.as_ref(), Some(&next)).await;
        print_line(&n.to_string());
        before = Some(next);
    }
}

fn random() -> u32 {
    use std::hash::{BuildHasher, Hasher};
    // Each `RandomState` has random keys.
    let hasher = std::collections::hash_map::RandomState::new().build_hasher();
    (hasher.finish() >> 32) as u32
}
