//! Restarts after a change of the stored record, and the changes that cause none.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures::{FutureExt, StreamExt};
use mcp_startup::auth::{
    CredentialKey, CredentialStore, CredentialStores, FileStore, MemoryStore, StoreSelection,
};
use mcp_startup::{
    McpServerStartupState as State, StartupFailureKind as Kind, StartupTracker, Update,
};
use mcp_startup_lab::{Lab, Target};

use crate::counting_store::CountingStore;
use crate::{http, key_of, next, next_pause, next_state, record, record_of, save, startup};

/// The server fails in process A. Process B signs in. Process A then restarts the server, which is ready. The user sees one prompt.
#[tokio::test]
async fn a_sign_in_by_another_process_starts_the_server_again() {
    let lab = Lab::start(0).await.unwrap();
    for name in ["first-sign-in", "expired-no-refresh"] {
        for in_a_file in [true, false] {
            let home = tempfile::tempdir().unwrap();
            let memory = MemoryStore::default();
            let (stores, other_process): (_, Arc<dyn CredentialStore>) = match in_a_file {
                true => (
                    CredentialStores::new(home.path(), StoreSelection::File),
                    Arc::new(FileStore::new(home.path())),
                ),
                false => (
                    CredentialStores::from_store(Arc::new(memory.clone())),
                    Arc::new(memory.clone()),
                ),
            };
            let key = key_of(&lab, name);
            let stored = record_of(&lab, name);
            save(&*other_process, &key, stored.as_ref()).await;

            let mut watch = startup(Some(stores)).watch(vec![http(&lab, name)]);
            let mut tracker = StartupTracker::default();
            let (mut states, mut prompts) = (Vec::new(), 0);
            // The server rejects the token of the first sign-in too: a second failure, without a second prompt.
            let mut sign_ins = ["good-token", "bad-token"].map(record).to_vec();
            let live = loop {
                let (event, live) = next(&mut watch).await;
                prompts += usize::from(tracker.apply(&event.notification).prompt);
                states.push(event.notification.status().to_string());
                if event.notification.status() == &State::Failed {
                    save(&*other_process, &key, sign_ins.pop().as_ref()).await;
                }
                if let Some(live) = live {
                    break live;
                }
            };
            let expected = "starting failed starting failed starting ready";
            assert_eq!(states.join(" "), expected, "{name}");
            // Before the first sign-in, there is no prompt to sign in *again*: the rejected token causes it.
            assert_eq!(prompts, 1, "{name}");
            assert!(tracker.reauthentication_required().is_empty(), "{name}");
            assert!(!live.peer().list_all_tools().await.unwrap().is_empty());
            live.close().await;
        }
    }
}

#[tokio::test]
async fn a_rewritten_record_or_that_of_another_server_causes_no_restart() {
    let lab = Lab::start(0).await.unwrap();
    let name = "expired-no-refresh";
    let key = key_of(&lab, name);
    let home = tempfile::tempdir().unwrap();
    let file = FileStore::new(home.path());
    save(&file, &key, record_of(&lab, name).as_ref()).await;
    let store = CountingStore::new(file.clone());
    let mut watch = startup(store.stores()).watch(vec![http(&lab, name)]);
    assert_eq!(next_state(&mut watch).await, format!("{name} starting"));
    assert_eq!(next_state(&mut watch).await, format!("{name} failed"));
    assert_eq!(next_pause(&mut watch).await, None);

    // Rewrite the same record with another layout, and save the record of another server.
    let path = home.path().join(".credentials.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let records: serde_json::Value = serde_json::from_str(&text).unwrap();
    std::fs::write(&path, format!("\n{records:#}\n")).unwrap();
    save(&file, &key, record_of(&lab, name).as_ref()).await;
    save(&file, &key_of(&lab, "ready"), Some(&record("another"))).await;
    store.wait_for_loads(3, &key).await;
    assert!(watch.next().now_or_never().is_none());

    save(&file, &key, Some(&record("good-token"))).await;
    assert_eq!(next_state(&mut watch).await, format!("{name} starting"));
    assert_eq!(next_state(&mut watch).await, format!("{name} ready"));
}

#[tokio::test]
async fn a_refresh_by_the_start_itself_causes_no_restart() {
    let lab = Lab::start(0).await.unwrap();
    for (name, is_stored) in [
        // The refresh succeeds, but the server refuses the new token too.
        ("refreshed-and-refused", true),
        ("refresh-invalid-grant", false),
    ] {
        let key = key_of(&lab, name);
        let memory = MemoryStore::default();
        let before = record_of(&lab, name);
        save(&memory, &key, before.as_ref()).await;
        let store = CountingStore::new(memory.clone());
        let mut watch = startup(store.stores()).watch(vec![http(&lab, name)]);
        assert_eq!(next_state(&mut watch).await, format!("{name} starting"));
        let (event, _) = next(&mut watch).await;
        let kind = event.failure.unwrap().kind();
        assert_eq!(kind, Kind::ReauthenticationRequired, "{name}");
        let after = memory.load(&key).await.unwrap();
        assert_eq!(after != before, is_stored, "{name}");
        store.wait_for_loads(3, &key).await;
        assert!(matches!(
            watch.update().now_or_never(),
            Some(Some((Update::Waiting { .. }, None)))
        ));
        assert!(watch.next().now_or_never().is_none(), "{name}");
        let refreshes = lab.requests(name).into_iter();
        let refreshes = refreshes.filter(|request| request.to == Target::Token);
        assert_eq!(refreshes.count(), 1, "{name}");

        save(&memory, &key, Some(&record("good-token"))).await;
        assert_eq!(next_state(&mut watch).await, format!("{name} starting"));
        assert_eq!(next_state(&mut watch).await, format!("{name} ready"));
    }
}

#[tokio::test]
async fn a_store_error_causes_no_restart_until_the_store_is_readable_again() {
    let lab = Lab::start(0).await.unwrap();
    let name = "expired-no-refresh";
    let key = key_of(&lab, name);
    let memory = MemoryStore::default();
    save(&memory, &key, record_of(&lab, name).as_ref()).await;
    let store = CountingStore::new(memory.clone());
    let mut watch = startup(store.stores()).watch(vec![http(&lab, name)]);
    assert_eq!(next_state(&mut watch).await, format!("{name} starting"));
    assert_eq!(next_state(&mut watch).await, format!("{name} failed"));
    for trouble in [&store.fails, &store.panics] {
        trouble.store(true, Ordering::SeqCst);
        store.wait_for_loads(1, &key).await;
        trouble.store(false, Ordering::SeqCst);
        store.wait_for_loads(2, &key).await;
        assert!(watch.next().now_or_never().is_none());
    }

    save(&memory, &key, Some(&record("good-token"))).await;
    store.fails.store(true, Ordering::SeqCst);
    watch.retry(name);
    assert_eq!(next_state(&mut watch).await, format!("{name} starting"));
    let (event, _) = next(&mut watch).await;
    let kind = event.failure.unwrap().kind();
    assert_eq!(kind, Kind::CredentialStoreUnavailable);
    store.fails.store(false, Ordering::SeqCst);
    assert_eq!(next_state(&mut watch).await, format!("{name} starting"));
    assert_eq!(next_state(&mut watch).await, format!("{name} ready"));
}

#[tokio::test]
async fn a_server_whose_store_was_full_is_started_again() {
    let lab = Lab::start(0).await.unwrap();
    let name = "expired-refreshes";
    let memory = MemoryStore::default();
    save(&memory, &key_of(&lab, name), record_of(&lab, name).as_ref()).await;
    let store = CountingStore::new(memory);
    store.is_full.store(true, Ordering::SeqCst);
    let mut watch = startup(store.stores()).watch(vec![http(&lab, name)]);
    assert_eq!(next_state(&mut watch).await, format!("{name} starting"));
    let (event, _) = next(&mut watch).await;
    let kind = event.failure.unwrap().kind();
    assert_eq!(kind, Kind::CredentialStoreUnavailable);
    assert!(next_pause(&mut watch).await.is_some());
    store.is_full.store(false, Ordering::SeqCst);
    // The next start may have begun before.
    while next_state(&mut watch).await != format!("{name} ready") {}
}

#[tokio::test]
async fn only_records_of_failed_servers_are_read_about_once_a_second() {
    let lab = Lab::start(0).await.unwrap();
    let store = CountingStore::new(MemoryStore::default());
    // This server has a configured credential, uses no stored sign-in, and fails.
    let url = lab.url("first-sign-in");
    let configuration = format!(
        "[mcp_servers.configured]\nurl = \"{url}\"\nhttp_headers = {{ Authorization = \"Bearer x\" }}\n"
    );
    let path = Path::new("/nowhere/config.toml");
    let environment = mcp_startup::config::ProcessEnvironment;
    let parsed = mcp_startup::config::parse(&configuration, path, &environment).unwrap();
    let mut servers = parsed.servers;
    servers.extend(["ready", "first-sign-in"].map(|name| http(&lab, name)));
    let [ready, failed] = ["ready", "first-sign-in"].map(|name| key_of(&lab, name));
    let configured = CredentialKey::new("configured", &url);
    let mut watch = startup(store.stores()).watch_check(servers);
    let mut closed = 0;
    while closed < 3 {
        closed += usize::from(!next_state(&mut watch).await.ends_with("starting"));
    }
    let reads = 3;
    let began = Instant::now();
    store.wait_for_loads(reads, &failed).await;
    // The first read may happen immediately. A timer may end a millisecond early.
    let least = Duration::from_secs(reads as u64 - 1) - Duration::from_millis(100);
    assert!(began.elapsed() >= least, "{:?}", began.elapsed());
    // Only the start has read the record of the server that is ready.
    assert_eq!((store.loads(&ready), store.loads(&configured)), (1, 0));

    save(&*store.store, &failed, Some(&record("good-token"))).await;
    assert_eq!(next_state(&mut watch).await, "first-sign-in starting");
    assert_eq!(next_state(&mut watch).await, "first-sign-in ready");
    let before = store.loads(&failed);
    // This is long enough for another read.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(store.loads(&failed), before);
}
