//! The lock files, which the store shares with Codex.

use std::fs;
use std::path::Path;
#[cfg(unix)]
use std::process::Command;
use std::time::{Duration, Instant};

#[cfg(unix)]
use mcp_startup_auth::ReplaceOutcome;
#[cfg(unix)]
use mcp_startup_auth::conformance::stored;
use mcp_startup_auth::conformance::{key, put, record, waits, within};
use mcp_startup_auth::{CredentialKey, CredentialStore, FileStore};
#[cfg(target_os = "linux")]
use mcp_startup_auth::{CredentialStores, StoreSelection};

use crate::child_process::*;
use crate::home_folder::*;

/// The lock file of the key `linear|638130d5ab3558f4`, from `printf '%s' 'linear|638130d5ab3558f4' | sha256sum`.
const LINEAR_LOCK: &str = "7da894130f5d98d340ddf20c57d17d84caacc5114af0db52f26276587e786fd9.lock";

#[tokio::main]
async fn hold_lock(home: &Path) {
    let store = FileStore::new(home);
    let guard = store.lock(&key("a")).await.unwrap();
    print_line("held");
    wait_for_parent();
    drop(guard);
    print_line("released");
    wait_for_parent();
}

#[tokio::test]
async fn a_lock_ends_with_the_process_that_holds_it() {
    let test = "lock_files::a_lock_ends_with_the_process_that_holds_it";
    if let Some((_, home)) = role() {
        let held = tokio::task::spawn_blocking(move || hold_lock(&home));
        return held.await.unwrap();
    }
    let (root, store) = new_home();
    let start = || {
        let mut holder =
            RunningProcess::start(&mut in_role(test_program(), test, "hold", root.path()));
        holder.wait_for_line("held");
        holder
    };
    let mut holder = start();
    waits(store.lock(&key("a"))).await;
    drop(within(store.lock(&key("b"))).await.unwrap());
    holder.send_line();
    holder.wait_for_line("released");
    drop(within(store.lock(&key("a"))).await.unwrap());
    drop(holder);

    let mut holder = start();
    waits(store.lock(&key("a"))).await;
    let killed = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        holder.kill();
        Instant::now()
    };
    let key = key("a");
    let (guard, killed) = tokio::join!(within(store.lock(&key)), killed);
    assert!(guard.is_ok());
    let took = killed.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
}

/// Takes Codex's locks without this crate: it computes the paths itself and calls Python's `flock`.
#[cfg(unix)]
const PYTHON: &str = r"
import fcntl, hashlib, os, sys
home, what, lock = sys.argv[1:]
name = 'file-store' if lock == 'file' else hashlib.sha256(lock.encode()).hexdigest()
folder = os.path.join(home, 'mcp-oauth-locks')
os.makedirs(folder, exist_ok=True)
file = open(os.path.join(folder, name + '.lock'), 'a+')
if what == 'hold':
    fcntl.flock(file, fcntl.LOCK_EX)
    print('held', flush=True)
    sys.stdin.readline()
else:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        print('free', flush=True)
    except BlockingIOError:
        print('busy', flush=True)
";

#[tokio::test]
async fn the_lock_files_have_the_names_that_codex_uses() {
    let (root, store) = new_home();
    let linear = CredentialKey::new("linear", "https://mcp.linear.app/mcp");
    drop(store.lock(&linear).await.unwrap());
    assert_eq!(file_names(&lock_folder(root.path())), [LINEAR_LOCK]);
}

/// The other program is Python's `flock`, which only Unix has.
#[cfg(unix)]
#[tokio::test]
async fn the_lock_files_are_the_ones_that_codex_uses() {
    let python = |home: &Path, what: &str, lock: &str| {
        let mut command = Command::new("python3");
        command.args(["-c", PYTHON]).arg(home).args([what, lock]);
        command
    };
    let (root, store) = new_home();
    let home = root.path();
    if Command::new("python3").arg("-V").output().is_err() {
        eprintln!("skipped: no python3 to take the locks from another program");
        return;
    }
    let lock_state = |lock: &str| {
        let output = python(home, "try", lock).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let key = key("größe|\"x\"");

    let mut other = RunningProcess::start(&mut python(home, "hold", key.as_str()));
    other.wait_for_line("held");
    waits(store.lock(&key)).await;
    put(&store, &key, None, Some(&record("one"))).await;
    drop(other);
    let guard = within(store.lock(&key)).await.unwrap();
    assert_eq!(lock_state(key.as_str()), "busy");
    assert_eq!(lock_state("file"), "free");
    drop(guard);
    assert_eq!(lock_state(key.as_str()), "free");

    // A change that the other program makes while it holds the lock of the file is kept.
    let mut other = RunningProcess::start(&mut python(home, "hold", "file"));
    other.wait_for_line("held");
    assert_eq!(stored(&store, &key).await, Some(record("one")));
    waits(store.prove_writable(&key)).await;
    let (one, two) = (record("one"), record("two"));
    // A replace that is dropped while it waits never runs.
    waits(store.replace(&key, Some(&one), Some(&record("dropped")))).await;
    let change = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let found = fs::read_to_string(credential_file(home)).unwrap();
        let merged = format!("{},{}", OTHER_ENTRIES.trim_end_matches('}'), &found[1..]);
        fs::write(credential_file(home), merged).unwrap();
        other.send_line();
        // The end of the process releases the lock.
        other.child.wait().unwrap();
    };
    let (replaced, ()) = tokio::join!(within(store.replace(&key, Some(&one), Some(&two))), change);
    assert_eq!(replaced.unwrap(), ReplaceOutcome::Stored);
    assert_other_entries_unchanged(home);
    assert_eq!(stored(&store, &key).await, Some(two));
}

/// Linux reveals the holder of a lock.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_lock_that_another_program_holds_is_reported_with_its_process() {
    let test = "lock_files::a_lock_that_another_program_holds_is_reported_with_its_process";
    if let Some((_, home)) = role() {
        let held = tokio::task::spawn_blocking(move || hold_lock(&home));
        return held.await.unwrap();
    }
    let (root, _) = new_home();
    let stores = CredentialStores::new(root.path(), StoreSelection::File);
    let mut holder = RunningProcess::start(&mut in_role(test_program(), test, "hold", root.path()));
    holder.wait_for_line("held");
    let limit = Duration::from_millis(200);
    let error = stores.lock(&key("a"), limit).await.unwrap_err();
    assert!(error.is_in_use());
    // In some containers and on some file systems, the holder can't be found.
    let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
    let expected = match locks.contains(&format!(" {} ", holder.child.id())) {
        true => format!("in use by another program (process {})", holder.child.id()),
        false => "in use by another program".to_owned(),
    };
    assert_eq!(error.detail, expected);
    holder.kill();
    let locked = within(stores.lock(&key("a"), Duration::from_secs(30))).await;
    let error = stores.lock(&key("a"), limit).await.unwrap_err();
    assert!(error.detail.starts_with("in use by another "), "{error}");
    drop(locked.unwrap());
}

#[tokio::test]
async fn a_deleted_lock_folder_is_created_again() {
    let (root, store) = new_home();
    drop(store.lock(&key("a")).await.unwrap());
    fs::remove_dir_all(lock_folder(root.path())).unwrap();
    drop(store.lock(&key("a")).await.unwrap());
    put(&store, &key("a"), None, Some(&record("a"))).await;
}

#[test]
fn a_wait_for_a_lock_does_not_delay_the_shutdown_of_a_runtime() {
    let (root, store) = new_home();
    let runtime = || {
        tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
    };
    let (holding, waiting) = (runtime().unwrap(), runtime().unwrap());
    let guard = holding.block_on(store.lock(&key("a"))).unwrap();
    for _ in 0..4 {
        let store = FileStore::new(root.path());
        waiting.spawn(async move { store.lock(&key("a")).await.map(drop) });
    }
    std::thread::sleep(Duration::from_millis(100));
    let started = Instant::now();
    drop(waiting);
    assert!(started.elapsed() < Duration::from_secs(5));
    drop(guard);
    drop(holding.block_on(within(store.lock(&key("a")))).unwrap());
}
