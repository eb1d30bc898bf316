use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use serde_json::{Value, json};

use super::*;

fn record(token: &str) -> CredentialRecord {
    CredentialRecord::from_json(&json!({"access_token": token})).unwrap()
}

fn expect(token: &str) -> Expected {
    Expected::Record(Some(record(token)))
}

/// Simulates a program that takes no lock and writes at the worst moment.
#[test]
fn a_change_made_during_the_write_survives() {
    let home = tempfile::tempdir().unwrap();
    let store = FileStore::new(home.path());
    let nothing = Expected::Record(None);
    let (mine, other) = (
        CredentialKey::new("a", "https://a"),
        CredentialKey::new("b", "https://b"),
    );
    fs::write(store.file(), "{}").unwrap();
    let mut changes = vec![
        format!(r#"{{"{}":{{"access_token":"b1"}}}}"#, other.as_str()),
        format!(
            r#"{{"{}":{{"access_token":"b2"}},"version":2}}"#,
            other.as_str()
        ),
    ];
    let replaced = store.replace_locked(&mine, &nothing, Some(&record("a1")), || {
        if let Some(change) = changes.pop() {
            fs::write(store.file(), change).unwrap();
        }
    });
    assert_eq!(replaced, Ok(ReplaceOutcome::Stored));
    let stored = |key| store.load_blocking(&[key]).remove(0).unwrap();
    assert_eq!(stored(&mine), Some(record("a1")));
    assert_eq!(stored(&other), Some(record("b1")));

    // The same applies to a change of the record itself.
    let newer = format!(r#"{{"{}":{{"access_token":"a2"}}}}"#, mine.as_str());
    let replaced = store.replace_locked(&mine, &expect("a1"), None, || {
        fs::write(store.file(), &newer).unwrap();
    });
    assert_eq!(replaced, Ok(ReplaceOutcome::Conflict(Some(record("a2")))));
    assert_eq!(fs::read_to_string(store.file()).unwrap(), newer);

    // If the other program never stops, the replace fails, and the content of that program is kept.
    let mut count = 0;
    let replaced = store.replace_locked(&other, &nothing, Some(&record("b3")), || {
        count += 1;
        fs::write(store.file(), format!(r#"{{"count":{count}}}"#)).unwrap();
    });
    assert_eq!(
        replaced.unwrap_err().trouble,
        CredentialStoreTrouble::Unreadable
    );
    let left: Value = serde_json::from_slice(&fs::read(store.file()).unwrap()).unwrap();
    assert_eq!((count, left), (ATTEMPTS, json!({"count": ATTEMPTS})));
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
}

#[test]
fn only_the_temporary_file_of_a_killed_process_is_removed() {
    let home = tempfile::tempdir().unwrap();
    let store = FileStore::new(home.path());
    let left_over = home
        .path()
        .join(format!("{TEMPORARY_PREFIX}0123{TEMPORARY_SUFFIX}"));
    let others = [".credentials.json.bak", "x.mcp-startup.tmp"].map(|n| home.path().join(n));
    for path in others.iter().chain([&left_over]) {
        fs::write(path, "secret").unwrap();
    }
    store.prove_writable_locked().unwrap();
    assert!(!left_over.exists() && others.iter().all(|path| path.exists()));
    assert!(!store.file().exists());
}

#[tokio::test]
async fn a_read_that_begins_after_a_load_answers_it_even_if_other_loads_are_dropped() {
    let home = tempfile::tempdir().unwrap();
    let store = FileStore::new(home.path());
    let keys: Vec<_> = (0..1000)
        .map(|n| CredentialKey::new(&n.to_string(), "https://a"))
        .collect();
    for round in 0..20 {
        let records = keys.iter().map(|key| {
            (
                key.as_str().to_owned(),
                json!({"access_token": format!("{round}")}),
            )
        });
        let records: serde_json::Map<_, _> = records.collect();
        let file = Value::from(records).to_string();
        fs::write(store.file(), file).unwrap();
        let all = futures::future::join_all(keys.iter().map(|key| store.load(key)));
        let mut dropped: Vec<_> = keys.iter().map(|key| store.load(key)).collect();
        for load in dropped.iter_mut().take(100) {
            let _ = futures::poll!(load);
        }
        drop(dropped);
        for loaded in all.await {
            assert_eq!(loaded, Ok(Some(record(&round.to_string()))));
        }
    }
}

/// Happens if the runtime shuts down before the reader has begun.
#[tokio::test]
async fn a_dropped_reader_is_an_error_and_the_next_load_succeeds() {
    let home = tempfile::tempdir().unwrap();
    let store = FileStore::new(home.path());
    let key = CredentialKey::new("a", "https://a");
    let (sender, receiver) = oneshot::channel();
    let load = PendingLoad {
        key: key.clone(),
        sender,
    };
    assert!(store.pending_loads.add(load));
    drop(Reader::new(store.clone()));
    assert!(receiver.await.is_err());
    assert_eq!(store.load(&key).await, Ok(None));
}

#[test]
fn the_last_of_two_entries_with_one_key_is_valid_and_a_write_merges_them() {
    let home = tempfile::tempdir().unwrap();
    let store = FileStore::new(home.path());
    let key = CredentialKey::new("a", "https://a");
    let of = |token: &str| format!(r#""{}":{{"access_token":"{token}"}}"#, key.as_str());
    let twice = format!(r#"{{"x":1,{},"x":2,{}}}"#, of("first"), of("last"));
    fs::write(store.file(), twice).unwrap();
    let loaded = store.load_blocking(&[&key]);
    assert_eq!(loaded, [Ok(Some(record("last")))]);
    let replaced = store.replace_locked(&key, &expect("last"), None, || {});
    assert_eq!(replaced, Ok(ReplaceOutcome::Stored));
    let left = fs::read_to_string(store.file()).unwrap();
    assert_eq!(left, "{\n  \"x\": 1,\n  \"x\": 2\n}");
}

/// Rewrites the file in place, as a program without temporary files does: for a moment, the file is empty, or has only its first
/// part. Runs until the program that started it is dropped.
struct InPlaceWriter {
    is_stopped: Arc<std::sync::atomic::AtomicBool>,
    rewrites: Arc<AtomicUsize>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl InPlaceWriter {
    fn start(file: PathBuf, content: String) -> Self {
        let is_stopped = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let rewrites = Arc::new(AtomicUsize::new(0));
        let (stopped, count) = (is_stopped.clone(), rewrites.clone());
        let thread = std::thread::spawn(move || {
            let (first, second) = content.split_at(content.len() / 2);
            while !stopped.load(Ordering::SeqCst) {
                let mut file = fs::File::create(&file).unwrap();
                file.write_all(first.as_bytes()).unwrap();
                std::thread::sleep(Duration::from_micros(300));
                file.write_all(second.as_bytes()).unwrap();
                drop(file);
                count.fetch_add(1, Ordering::SeqCst);
                // On a busy machine, the pause within the file takes longer too, and the file must not be incomplete most of the time.
                std::thread::sleep(Duration::from_millis(4));
            }
        });
        Self {
            is_stopped,
            rewrites,
            thread: Some(thread),
        }
    }
}

impl Drop for InPlaceWriter {
    fn drop(&mut self) {
        self.is_stopped.store(true, Ordering::SeqCst);
        let _ = self.thread.take().map(std::thread::JoinHandle::join);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_rewritten_in_place_is_never_reported_as_damaged() {
    let home = tempfile::tempdir().unwrap();
    let store = FileStore::new(home.path());
    let (key, missing) = (
        CredentialKey::new("a", "https://a"),
        CredentialKey::new("b", "https://b"),
    );
    let padding = "p".repeat(20_000);
    let content = json!({key.as_str(): {"access_token": "t", "padding": padding}}).to_string();
    fs::write(store.file(), &content).unwrap();
    let writer = InPlaceWriter::start(store.file(), content);
    let mut loads = 0;
    while loads < 300 || writer.rewrites.load(Ordering::SeqCst) < 300 {
        let loaded = store.load(&key).await;
        assert!(loaded.is_ok_and(|record| record.is_some()), "load {loads}");
        let two = futures::join!(store.load(&missing), store.load(&key));
        assert_eq!(two.0, Ok(None), "load {loads}");
        assert!(two.1.is_ok_and(|record| record.is_some()), "load {loads}");
        loads += 1;
    }
    // The proof before a refresh reads the file too.
    assert_eq!(store.prove_writable(&key).await, Ok(()));
}

/// On Windows, no program can replace a file while a virus scanner or a backup has it open.
#[test]
fn a_program_that_has_the_file_open_for_a_moment_does_not_prevent_a_change() {
    let home = tempfile::tempdir().unwrap();
    let store = FileStore::new(home.path());
    let key = CredentialKey::new("a", "https://a");
    fs::write(store.file(), "{}").unwrap();
    let mut open = OpenOptions::new();
    open.read(true);
    #[cfg(windows)]
    {
        use std::os::windows::fs::OpenOptionsExt;

        const FILE_SHARE_READ: u32 = 1;
        open.share_mode(FILE_SHARE_READ);
    }
    let mut scanner = None;
    let nothing = Expected::Record(None);
    let replaced = store.replace_locked(&key, &nothing, Some(&record("t")), || {
        let file = open.open(store.file()).unwrap();
        scanner = Some(std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(300));
            drop(file);
        }));
    });
    assert_eq!(replaced, Ok(ReplaceOutcome::Stored));
    scanner.unwrap().join().unwrap();
    assert_eq!(store.load_blocking(&[&key]), [Ok(Some(record("t")))]);
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
}

#[test]
fn damage_that_lasts_is_reported_after_a_read_under_the_lock_of_the_file() {
    let home = tempfile::tempdir().unwrap();
    let store = FileStore::new(home.path());
    let key = CredentialKey::new("a", "https://a");
    let load = || store.load_blocking(&[&key]).remove(0);
    fs::write(store.file(), "{").unwrap();
    let began = Instant::now();
    assert_eq!(load().unwrap_err().trouble, CredentialStoreTrouble::Corrupt);
    assert!(began.elapsed() < Duration::from_secs(8));
    // A read creates no lock.
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);

    // A program that holds the lock may be writing, so the file is not reported as damaged.
    store.prove_writable_locked().unwrap_err();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let lock = runtime.block_on(store.locks.of_store(FILE_LOCK));
    let lock = lock.unwrap_or_else(|error| panic!("{error}"));
    assert!(load().unwrap_err().is_in_use());
    let good = json!({key.as_str(): {"access_token": "t"}}).to_string();
    let (store, path) = (store.clone(), store.file());
    let writing = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        fs::write(path, good).unwrap();
        drop(lock);
    });
    let loaded = store.load_blocking(&[&key]).remove(0);
    assert_eq!(loaded, Ok(Some(record("t"))));
    writing.join().unwrap();
}

/// Hundreds of servers may have to save a new token at the same moment.
#[tokio::test]
async fn changes_of_one_process_wait_in_turn_and_the_limit_is_for_other_programs() {
    let home = tempfile::tempdir().unwrap();
    let mut store = FileStore::new(home.path());
    store.locks.store_lock_limit = Duration::from_secs(3);
    let order = std::sync::Mutex::new(Vec::new());
    let change = async |number| {
        let lock = store.locks.of_store(FILE_LOCK).await.map_err(drop);
        order.lock().unwrap().push(number);
        // All of them together take longer than the limit.
        tokio::time::sleep(Duration::from_millis(80)).await;
        lock.is_ok()
    };
    let locked = futures::future::join_all((0..50).map(change)).await;
    assert_eq!(locked, [true; 50]);
    assert_eq!(order.into_inner().unwrap(), Vec::from_iter(0..50));
}

/// Other programs poll for the lock, so a moment in which it is free is not enough for them.
#[tokio::test]
async fn hundreds_of_changes_leave_the_lock_free_for_other_programs() {
    const HOLD: Duration = Duration::from_millis(10);
    let home = tempfile::tempdir().unwrap();
    let (store, other) = (FileStore::new(home.path()), FileStore::new(home.path()));
    let holds = std::sync::Mutex::new(Vec::new());
    let change = async |_| {
        let lock = store.locks.of_store(FILE_LOCK).await.map_err(drop).unwrap();
        let taken = tokio::time::Instant::now();
        tokio::time::sleep(HOLD).await;
        holds
            .lock()
            .unwrap()
            .push((taken, tokio::time::Instant::now()));
        drop(lock);
    };
    // They hold the lock for at least 3 s together.
    let changes = futures::future::join_all((0..300).map(change));
    // The other program comes while the lock is held, and polls as Codex does.
    let polls = async {
        tokio::time::sleep(2 * HOLD).await;
        let lock = other.locks.of_store(FILE_LOCK).await.map_err(drop).unwrap();
        drop(lock);
        tokio::time::Instant::now()
    };
    let (_, other_done) = futures::join!(changes, polls);
    let holds = holds.into_inner().unwrap();
    assert!(other_done < holds.last().unwrap().1);
    // No run of holds is longer than a second and one hold without the lock being free for longer than a poll. A busy machine only adds to
    // the gaps between the holds.
    let polled = Duration::from_millis(50);
    let mut held = Duration::ZERO;
    for pair in holds.windows(2) {
        let ((taken, released), (next, _)) = (pair[0], pair[1]);
        held += released - taken;
        if next - released > polled {
            held = Duration::ZERO;
        }
        let longest = released - taken + Duration::from_secs(1);
        assert!(held <= longest, "{held:?} without a gap");
    }
}

#[tokio::test]
async fn a_program_that_keeps_the_lock_stops_all_that_wait_at_the_same_limit() {
    let home = tempfile::tempdir().unwrap();
    let (mut store, holder) = (FileStore::new(home.path()), FileStore::new(home.path()));
    store.locks.store_lock_limit = Duration::from_secs(1);
    let lock = holder.locks.of_store(FILE_LOCK).await;
    let began = std::time::Instant::now();
    let waiting = (0..50).map(|_| store.locks.of_store(FILE_LOCK));
    let results = futures::future::join_all(waiting).await;
    // One after the other would take 50 s.
    assert!(began.elapsed() < Duration::from_secs(25));
    assert!(
        results
            .into_iter()
            .all(|result| result.is_err_and(|error| error.is_in_use()))
    );
    drop(lock);
    assert!(store.locks.of_store(FILE_LOCK).await.is_ok());
}

#[tokio::test]
async fn a_change_waits_for_the_lock_of_the_file_only_until_its_limit() {
    let home = tempfile::tempdir().unwrap();
    let (mut store, holder) = (FileStore::new(home.path()), FileStore::new(home.path()));
    store.locks.store_lock_limit = Duration::from_millis(50);
    let key = CredentialKey::new("a", "https://a");
    let lock = holder.locks.of_store(FILE_LOCK).await;
    let lock = lock.unwrap_or_else(|error| panic!("{error}"));
    let new = record("t");
    let calls = futures::future::join3(
        store.replace(&key, None, Some(&new)),
        store.replace_damaged(&key, Some(&new)),
        store.prove_writable(&key),
    );
    let calls = tokio::time::timeout(Duration::from_secs(30), calls).await;
    let (replaced, replaced_damaged, proved) = calls.unwrap();
    for result in [replaced.map(drop), replaced_damaged.map(drop), proved] {
        assert!(result.unwrap_err().is_in_use());
    }
    drop(lock);
    assert_eq!(store.prove_writable(&key).await, Ok(()));
    assert!(!store.file().exists());
}
