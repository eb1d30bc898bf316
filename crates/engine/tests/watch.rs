//! A watch: what starts a server again that failed, what does not, and what is left when it is over.

#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::{FutureExt, StreamExt};
use mcp_startup::auth::{
    CredentialKey, CredentialRecord, CredentialStore, CredentialStores, FileStore, MemoryStore,
    RecordLock, Replaced, StoreError, StoreFuture, StoreSelection,
};
use mcp_startup::config::{ServerConfig, ServerEntry};
use mcp_startup::{
    CredentialStoreTrouble, LiveServer, McpServerStartupState as State, Startup, StartupEvent,
    StartupFailureKind as Kind, StartupOptions, StartupTracker, Update, Watch,
};
use mcp_startup_lab::{Lab, RecordedRequest, Target, parse_scenarios};
use tokio::sync::watch;

/// What has to happen takes no longer, however busy the machine is.
const LONG: Duration = Duration::from_secs(60);

async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(LONG, what).await.unwrap()
}

async fn lab_of(rows: &str) -> Lab {
    Lab::start_with(parse_scenarios(rows).unwrap(), 0)
        .await
        .unwrap()
}

/// A row of the lab whose MCP server answers by these rules before it is as good as any.
fn row(name: &str, rules: &str) -> String {
    format!(
        r#"{{"name": "{name}", "about": "", "mcp": {{"respond": [{rules}]}}, "expect": {{"state": "failed"}}}}"#
    )
}

fn http(lab: &Lab, name: &str) -> ServerEntry {
    ServerConfig::http(name, &lab.url(name)).unwrap().into()
}

fn startup(stores: Option<CredentialStores>) -> Startup {
    let mut options = StartupOptions::default();
    options.stores = stores;
    Startup::new(options).unwrap()
}

async fn next(watch: &mut Watch) -> (StartupEvent, Option<LiveServer>) {
    within(watch.next()).await.unwrap()
}

/// The next event as `NAME STATE`.
async fn said(watch: &mut Watch) -> String {
    let (event, _) = next(watch).await;
    words(&event)
}

fn words(event: &StartupEvent) -> String {
    let said = &event.notification;
    format!("{} {}", said.name(), said.status())
}

async fn all_said(watch: &mut Watch) -> Vec<String> {
    within(watch.map(|(event, _)| words(&event)).collect()).await
}

/// The next pause that is told.
async fn pause(watch: &mut Watch) -> Option<u64> {
    loop {
        let (update, _) = within(watch.update()).await.unwrap();
        if let Update::Waiting { retry_in_ms, .. } = update {
            return retry_in_ms;
        }
    }
}

fn handshakes(lab: &Lab, name: &str) -> usize {
    let is_first = |request: &RecordedRequest| request.rpc_method.as_deref() == Some("initialize");
    lab.requests(name).iter().filter(|it| is_first(it)).count()
}

fn record(token: &str) -> CredentialRecord {
    let json = serde_json::json!({ "access_token": token, "client_id": "client-1" });
    CredentialRecord::from_json(&json).unwrap()
}

/// What a row of the lab says is stored.
fn record_of(lab: &Lab, name: &str) -> Option<CredentialRecord> {
    let row = lab.scenarios().iter().find(|row| row.name == name).unwrap();
    let record = row.stored_record(&lab.base_url(), 0)?;
    Some(CredentialRecord::from_json(&record).unwrap())
}

fn key_of(lab: &Lab, name: &str) -> CredentialKey {
    CredentialKey::new(name, &lab.url(name))
}

/// Another process stores this.
async fn put(store: &dyn CredentialStore, key: &CredentialKey, new: Option<&CredentialRecord>) {
    let stored = store.load(key).await.unwrap();
    let replaced = store.replace(key, stored.as_ref(), new).await.unwrap();
    assert_eq!(replaced, Replaced::Stored);
}

/// A store of the host's that counts how often it is read, and can be out of order, or panic.
#[derive(Clone, Debug)]
struct Counted {
    store: Arc<dyn CredentialStore>,
    loads: Arc<watch::Sender<HashMap<CredentialKey, usize>>>,
    is_broken: Arc<AtomicBool>,
    panics: Arc<AtomicBool>,
}

impl Counted {
    fn new(store: impl CredentialStore + 'static) -> Self {
        Self {
            store: Arc::new(store),
            loads: Arc::default(),
            is_broken: Arc::default(),
            panics: Arc::default(),
        }
    }

    fn stores(&self) -> Option<CredentialStores> {
        Some(CredentialStores::of(Arc::new(self.clone())))
    }

    fn loads(&self, key: &CredentialKey) -> usize {
        self.loads.borrow().get(key).copied().unwrap_or_default()
    }

    /// Waits until it has been read so many times more.
    async fn is_read(&self, times: usize, key: &CredentialKey) {
        let wanted = self.loads(key) + times;
        let mut loads = self.loads.subscribe();
        let enough = loads.wait_for(|loads| loads.get(key).is_some_and(|count| *count >= wanted));
        within(enough).await.unwrap();
    }
}

impl CredentialStore for Counted {
    fn load<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, Option<CredentialRecord>> {
        Box::pin(async {
            let loaded = match self.is_broken.load(Ordering::SeqCst) {
                true => {
                    let trouble = CredentialStoreTrouble::Locked;
                    Err(StoreError::new("host", trouble, "it is locked"))
                }
                false => self.store.load(key).await,
            };
            let count = |loads: &mut HashMap<_, _>| *loads.entry(key.clone()).or_default() += 1;
            self.loads.send_modify(count);
            assert!(!self.panics.load(Ordering::SeqCst), "as the test wants it");
            loaded
        })
    }

    fn replace<'a>(
        &'a self,
        key: &'a CredentialKey,
        expected: Option<&'a CredentialRecord>,
        new: Option<&'a CredentialRecord>,
    ) -> StoreFuture<'a, Replaced> {
        self.store.replace(key, expected, new)
    }

    fn lock<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, RecordLock> {
        self.store.lock(key)
    }

    fn prove_writable<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, ()> {
        self.store.prove_writable(key)
    }
}

#[tokio::test]
async fn a_server_that_is_away_for_a_while_is_tried_until_it_is_ready() {
    let rules = r#"{"when": {"method": "initialize"}, "times": 2, "reply": {"status": 503}}"#;
    let lab = lab_of(&format!("[{}]", row("away", rules))).await;
    let mut watch = startup(None).watch(vec![http(&lab, "away")]);
    let mut told = Vec::new();
    let live = loop {
        let (update, live) = within(watch.update()).await.unwrap();
        match update {
            Update::Event(event) => {
                let kind = event.failure.as_ref().map(|failure| failure.kind());
                assert!(
                    kind.is_none_or(|kind| kind == Kind::ServerError),
                    "{event:?}"
                );
                told.push(words(&event));
            }
            Update::Waiting { name, retry_in_ms } => {
                // At most 1 s, then 2 s.
                let most = if told.len() == 2 { 1000 } else { 2000 };
                assert!(retry_in_ms.is_some_and(|ms| ms <= most), "{retry_in_ms:?}");
                told.push(format!("{name} waits"));
            }
            _ => {}
        }
        if let Some(live) = live {
            break live;
        }
    };
    let wanted = "starting failed waits starting failed waits starting ready";
    let wanted: Vec<_> = wanted
        .split(' ')
        .map(|word| format!("away {word}"))
        .collect();
    assert_eq!(told, wanted);
    assert_eq!(handshakes(&lab, "away"), 3);
    // It is the host's now.
    watch.cancel();
    assert_eq!(all_said(&mut watch).await, [""; 0]);
    assert_eq!(live.peer().list_all_tools().await.unwrap().len(), 1);
    live.close().await;
}

#[tokio::test]
async fn a_server_is_left_alone_for_as_long_as_it_asks_but_not_for_good() {
    let busy = |after: &str| {
        let reply = format!(r#"{{"status": 503, "headers": {{"Retry-After": "{after}"}}}}"#);
        format!(r#"{{"times": 1, "reply": {reply}}}"#)
    };
    let token = r#"{"name": "token", "about": "", "mcp": {"serves": {"tokens": []}},
        "token": {"respond": [{"reply": {"status": 429, "headers": {"Retry-After": "60"}}}]},
        "stored": {"issuer": "{issuer}", "clientId": "c", "accessToken": "expired-token", "expiresInSeconds": -60,
            "refreshToken": "good-refresh"},
        "expect": {"state": "failed"}}"#;
    let rows = [
        row("soon", &busy("1")),
        row("later", &busy("90")),
        row("never", &busy("99999999999999999999")),
        row("one-day", &busy("Fri, 31 Dec 9999 23:59:59 GMT")),
        row("long-ago", &busy("Sun, 06 Nov 1994 08:49:37 GMT")),
        token.to_owned(),
    ];
    let lab = lab_of(&format!("[{}]", rows.join(","))).await;
    let store = MemoryStore::default();
    put(
        &store,
        &key_of(&lab, "token"),
        record_of(&lab, "token").as_ref(),
    )
    .await;
    let startup = startup(Some(CredentialStores::of(Arc::new(store))));
    for (name, least) in [
        ("soon", 1000),
        ("later", 90_000),
        ("never", 3_600_000),
        ("one-day", 3_600_000),
        ("long-ago", 0),
        ("token", 60_000),
    ] {
        let began = Instant::now();
        let mut watch = startup.watch_check(vec![http(&lab, name)]);
        let pause = pause(&mut watch).await.unwrap();
        // The first random part is at most 1 s.
        assert!((least..=least + 1000).contains(&pause), "{name}: {pause}");
        if name != "soon" {
            continue;
        }
        assert_eq!(said(&mut watch).await, "soon starting");
        assert!(began.elapsed() >= Duration::from_secs(1));
        assert_eq!(said(&mut watch).await, "soon ready");
    }
}

#[tokio::test]
async fn the_limit_of_all_starts_holds_for_those_that_follow_too() {
    let rules = r#"{"when": {"method": "initialize"}, "times": 2, "reply": {"status": 503, "delayMs": 50}}"#;
    let names = ["a", "b", "c"];
    let rows = names.map(|name| row(name, rules));
    let lab = lab_of(&format!("[{}]", rows.join(","))).await;
    let mut options = StartupOptions::default();
    options.concurrency = 1;
    let startup = Startup::new(options).unwrap();
    let mut watch = startup.watch_check(names.map(|name| http(&lab, name)).into());
    let (mut ready, mut starts) = (0, 0);
    while ready < names.len() {
        let starting = said(&mut watch).await;
        let name = starting.strip_suffix(" starting").unwrap();
        let closing = said(&mut watch).await;
        starts += 1;
        match closing.strip_prefix(name).unwrap() {
            " ready" => ready += 1,
            other => assert_eq!(other, " failed"),
        }
    }
    assert_eq!(starts, 9);
    assert!(names.iter().all(|name| handshakes(&lab, name) == 3));
}

#[tokio::test]
async fn a_host_can_ask_for_another_start_of_what_failed_and_of_nothing_else() {
    let hangs = row("hangs", r#"{"reply": {"hang": true}}"#);
    let refuses = row("refuses", r#"{"reply": {"status": 404}}"#);
    let good = row("good", "");
    let lab = lab_of(&format!("[{hangs},{refuses},{good}]")).await;
    let store = Counted::new(MemoryStore::default());
    let mut watch = startup(store.stores()).watch_check(vec![http(&lab, "refuses")]);
    assert_eq!(said(&mut watch).await, "refuses starting");
    // It is starting: that is about the start under way.
    watch.retry("refuses");
    assert_eq!(said(&mut watch).await, "refuses failed");
    assert_eq!(pause(&mut watch).await, None, "no time mends it");
    store.is_read(2, &key_of(&lab, "refuses")).await;
    assert!(watch.next().now_or_never().is_none());
    let button = watch.handle();
    for _ in 0..3 {
        button.retry("refuses");
        button.retry("refuses");
        button.retry("another");
        assert_eq!(said(&mut watch).await, "refuses starting");
        assert_eq!(said(&mut watch).await, "refuses failed");
    }
    button.cancel();
    assert_eq!(all_said(&mut watch).await, [""; 0]);
    assert_eq!(handshakes(&lab, "refuses"), 4);

    let servers = ["good", "hangs"].map(|name| http(&lab, name));
    let mut watch = startup(None).watch_check(servers.into());
    let mut told = Vec::new();
    while told.len() < 3 {
        told.push(said(&mut watch).await);
    }
    assert_eq!(told.pop().unwrap(), "good ready");
    for name in ["good", "hangs"] {
        watch.retry(name);
    }
    watch.cancel();
    assert_eq!(all_said(&mut watch).await, ["hangs cancelled"]);
    assert_eq!(handshakes(&lab, "good"), 1);
    button.retry("refuses");
}

/// Process A has failed, B signs in, A says `starting`, then `ready`; its user was asked once.
#[tokio::test]
async fn a_sign_in_by_another_process_starts_the_server_again() {
    let lab = Lab::start(0).await.unwrap();
    for name in ["first-sign-in", "expired-no-refresh"] {
        for in_a_file in [true, false] {
            let home = tempfile::tempdir().unwrap();
            let memory = MemoryStore::default();
            let (ours, theirs): (_, Arc<dyn CredentialStore>) = match in_a_file {
                true => (
                    CredentialStores::new(home.path(), StoreSelection::File),
                    Arc::new(FileStore::new(home.path())),
                ),
                false => (
                    CredentialStores::of(Arc::new(memory.clone())),
                    Arc::new(memory.clone()),
                ),
            };
            let key = key_of(&lab, name);
            let stored = record_of(&lab, name);
            put(&*theirs, &key, stored.as_ref()).await;

            let mut watch = startup(Some(ours)).watch(vec![http(&lab, name)]);
            let mut tracker = StartupTracker::default();
            let (mut told, mut prompts) = (Vec::new(), 0);
            // The second one is no good either: a failure more, and the user has been asked already.
            let mut sign_ins = ["good-token", "bad-token"].map(record).to_vec();
            let live = loop {
                let (event, live) = next(&mut watch).await;
                prompts += usize::from(tracker.apply(&event.notification).prompt);
                told.push(event.notification.status().to_string());
                if event.notification.status() == &State::Failed {
                    put(&*theirs, &key, sign_ins.pop().as_ref()).await;
                }
                if let Some(live) = live {
                    break live;
                }
            };
            let wanted = "starting failed starting failed starting ready";
            assert_eq!(told.join(" "), wanted, "{name}");
            // A server that nobody has signed in to yet asks for nothing *again*, until what is stored for it is no good.
            assert_eq!(prompts, 1, "{name}");
            assert!(tracker.reauthentication_required().is_empty(), "{name}");
            assert!(!live.peer().list_all_tools().await.unwrap().is_empty());
            live.close().await;
        }
    }
}

#[tokio::test]
async fn a_record_that_is_only_touched_starts_nothing_nor_does_one_of_another_server() {
    let lab = Lab::start(0).await.unwrap();
    let name = "expired-no-refresh";
    let key = key_of(&lab, name);
    let home = tempfile::tempdir().unwrap();
    let file = FileStore::new(home.path());
    put(&file, &key, record_of(&lab, name).as_ref()).await;
    let store = Counted::new(file.clone());
    let mut watch = startup(store.stores()).watch(vec![http(&lab, name)]);
    assert_eq!(said(&mut watch).await, format!("{name} starting"));
    assert_eq!(said(&mut watch).await, format!("{name} failed"));
    assert_eq!(pause(&mut watch).await, None);

    // The same in another layout, and a record that does not concern this server.
    let path = home.path().join(".credentials.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let records: serde_json::Value = serde_json::from_str(&text).unwrap();
    std::fs::write(&path, format!("\n{records:#}\n")).unwrap();
    put(&file, &key, record_of(&lab, name).as_ref()).await;
    put(&file, &key_of(&lab, "ready"), Some(&record("another"))).await;
    store.is_read(3, &key).await;
    assert!(watch.next().now_or_never().is_none());

    put(&file, &key, Some(&record("good-token"))).await;
    assert_eq!(said(&mut watch).await, format!("{name} starting"));
    assert_eq!(said(&mut watch).await, format!("{name} ready"));
}

#[tokio::test]
async fn a_refresh_of_the_start_itself_starts_nothing() {
    let lab = Lab::start(0).await.unwrap();
    for (name, is_stored) in [
        // A token that the server refuses again.
        ("refreshed-and-refused", true),
        ("refresh-invalid-grant", false),
    ] {
        let key = key_of(&lab, name);
        let memory = MemoryStore::default();
        let before = record_of(&lab, name);
        put(&memory, &key, before.as_ref()).await;
        let store = Counted::new(memory.clone());
        let mut watch = startup(store.stores()).watch(vec![http(&lab, name)]);
        assert_eq!(said(&mut watch).await, format!("{name} starting"));
        let (event, _) = next(&mut watch).await;
        let kind = event.failure.unwrap().kind();
        assert_eq!(kind, Kind::ReauthenticationRequired, "{name}");
        let after = memory.load(&key).await.unwrap();
        assert_eq!(after != before, is_stored, "{name}");
        store.is_read(3, &key).await;
        assert!(matches!(
            watch.update().now_or_never(),
            Some(Some((Update::Waiting { .. }, None)))
        ));
        assert!(watch.next().now_or_never().is_none(), "{name}");
        let refreshes = lab.requests(name).into_iter();
        let refreshes = refreshes.filter(|request| request.to == Target::Token);
        assert_eq!(refreshes.count(), 1, "{name}");

        put(&memory, &key, Some(&record("good-token"))).await;
        assert_eq!(said(&mut watch).await, format!("{name} starting"));
        assert_eq!(said(&mut watch).await, format!("{name} ready"));
    }
}

#[tokio::test]
async fn a_store_that_cannot_be_read_is_no_change_and_one_that_can_be_again_is() {
    let lab = Lab::start(0).await.unwrap();
    let name = "expired-no-refresh";
    let key = key_of(&lab, name);
    let memory = MemoryStore::default();
    put(&memory, &key, record_of(&lab, name).as_ref()).await;
    let store = Counted::new(memory.clone());
    let mut watch = startup(store.stores()).watch(vec![http(&lab, name)]);
    assert_eq!(said(&mut watch).await, format!("{name} starting"));
    assert_eq!(said(&mut watch).await, format!("{name} failed"));
    for trouble in [&store.is_broken, &store.panics] {
        trouble.store(true, Ordering::SeqCst);
        store.is_read(1, &key).await;
        trouble.store(false, Ordering::SeqCst);
        store.is_read(2, &key).await;
        assert!(watch.next().now_or_never().is_none());
    }

    put(&memory, &key, Some(&record("good-token"))).await;
    store.is_broken.store(true, Ordering::SeqCst);
    watch.retry(name);
    assert_eq!(said(&mut watch).await, format!("{name} starting"));
    let (event, _) = next(&mut watch).await;
    let kind = event.failure.unwrap().kind();
    assert_eq!(kind, Kind::CredentialStoreUnavailable);
    store.is_broken.store(false, Ordering::SeqCst);
    assert_eq!(said(&mut watch).await, format!("{name} starting"));
    assert_eq!(said(&mut watch).await, format!("{name} ready"));
}

#[tokio::test]
async fn only_what_failed_is_looked_at_and_about_once_a_second() {
    let lab = Lab::start(0).await.unwrap();
    let store = Counted::new(MemoryStore::default());
    // One that takes no stored sign-in, and is refused.
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
        closed += usize::from(!said(&mut watch).await.ends_with("starting"));
    }
    let looks = 3;
    let began = Instant::now();
    store.is_read(looks, &failed).await;
    // The first look may come at once.
    let least = Duration::from_secs(looks as u64 - 1);
    assert!(began.elapsed() >= least, "{:?}", began.elapsed());
    // By their starts.
    assert_eq!((store.loads(&ready), store.loads(&configured)), (1, 0));

    put(&*store.store, &failed, Some(&record("good-token"))).await;
    assert_eq!(said(&mut watch).await, "first-sign-in starting");
    assert_eq!(said(&mut watch).await, "first-sign-in ready");
    let before = store.loads(&failed);
    // A look would have come by now.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(store.loads(&failed), before);
}

#[tokio::test]
async fn who_does_not_read_is_not_told_more_and_more() {
    let lab = lab_of(&format!(
        "[{}]",
        row("away", r#"{"reply": {"status": 503}}"#)
    ))
    .await;
    let mut watch = startup(None).watch_check(vec![http(&lab, "away")]);
    assert_eq!(said(&mut watch).await, "away starting");
    // The longest pause, and more.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(handshakes(&lab, "away"), 1);
    assert_eq!(said(&mut watch).await, "away failed");
    assert_eq!(said(&mut watch).await, "away starting");
    assert_eq!(said(&mut watch).await, "away failed");
}

#[tokio::test]
async fn a_watch_ends_however_far_its_servers_are() {
    let busy = r#"{"reply": {"status": 503, "headers": {"Retry-After": "3600"}}}"#;
    let rows = [
        row("hangs", r#"{"reply": {"hang": true}}"#),
        row("busy", busy),
        row("refuses", r#"{"reply": {"status": 404}}"#),
        row("good", ""),
    ];
    let lab = lab_of(&format!("[{}]", rows.join(","))).await;
    for is_cancelled in [true, false] {
        let store = Arc::new(MemoryStore::default());
        let weak = Arc::downgrade(&store);
        let startup = startup(Some(CredentialStores::of(store)));
        let names = ["hangs", "busy", "refuses", "good"];
        let mut watch = startup.watch_check(names.map(|name| http(&lab, name)).into());
        drop(startup);
        let mut told = Vec::new();
        while told.len() < 7 {
            told.push(said(&mut watch).await);
        }
        if is_cancelled {
            watch.cancel();
            assert_eq!(all_said(&mut watch).await, ["hangs cancelled"]);
        }
        drop(watch);
        // Every task of it has held the store.
        within(async {
            while weak.strong_count() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }
    // With nothing to start it goes on all the same, and ends.
    let mut watch = startup(None).watch(Vec::new());
    assert!(watch.next().now_or_never().is_none());
    watch.cancel();
    assert_eq!(all_said(&mut watch).await, [""; 0]);
}

// Linux: that a process has ended is read in /proc, where a zombie can be told.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn no_program_is_left_of_any_start_however_the_watch_ends() {
    for is_cancelled in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let pids = folder.path().join("pids");
        // The first time it exits and leaves a child behind; the second time it hangs.
        let script = format!(
            "sleep 1000 & echo $$ $! >> {0}; [ $(wc -l < {0}) -gt 1 ] || exit 3; sleep 1000",
            pids.display()
        );
        let server = ServerConfig::stdio("program", "sh", ["-c", &script]).unwrap();
        let mut watch = startup(None).watch(vec![server.into()]);
        assert_eq!(said(&mut watch).await, "program starting");
        assert_eq!(said(&mut watch).await, "program failed");
        all_gone(&written(&pids, 1).await).await;
        watch.retry("program");
        assert_eq!(said(&mut watch).await, "program starting");
        let both = written(&pids, 2).await;
        if is_cancelled {
            watch.cancel();
            assert_eq!(all_said(&mut watch).await, ["program cancelled"]);
        }
        drop(watch);
        all_gone(&both).await;
    }
}

/// The process ids in so many whole lines.
#[cfg(target_os = "linux")]
async fn written(path: &PathBuf, lines: usize) -> Vec<i32> {
    within(async {
        loop {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            if text.matches('\n').count() >= lines {
                let pids = text.split_whitespace();
                return pids.map(|pid| pid.parse().unwrap()).collect();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
}

#[cfg(target_os = "linux")]
async fn all_gone(pids: &[i32]) {
    let lives = |pid: &i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
        stat.is_ok_and(|stat| !stat.contains(") Z "))
    };
    within(async {
        while pids.iter().any(lives) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
}
