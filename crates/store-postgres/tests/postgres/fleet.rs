//! Hosts in processes of their own that refresh the tokens of many users at the same time. `scripts/stress postgres` runs these
//! tests with more users and with faults.

mod authorization_server;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use futures::StreamExt;
use mcp_startup_auth::network::Network;
use mcp_startup_auth::{
    CredentialKey, CredentialRecord, CredentialStore, RefreshOutcome, RefreshRequest, RequestLog,
    refresh,
};
use mcp_startup_core::RequestTarget;
use mcp_startup_store_postgres::{Keys, PostgresStore, UserStore};
use secrecy::ExposeSecret;
use serde_json::json;
use tokio_util::task::TaskTracker;

use self::authorization_server::AuthorizationServer;
use crate::database;
use crate::pgbouncer::PgBouncer;
use crate::server::{KEY_1, TestDatabase};

/// The environment variable with the task of a child process, as JSON.
const TASK: &str = "FLEET_TASK";
/// How many records a host refreshes at the same time.
const AT_ONCE: usize = 32;
const SERVERS: usize = 4;

/// A number from the environment, for `scripts/stress`.
fn size(variable: &str, default: usize) -> usize {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}

/// The report of a host about one refresh.
#[derive(Clone, Debug, PartialEq)]
enum Report {
    Token,
    /// The name of the family, and whether the evidence names an earlier attempt.
    Refused(String, bool),
    /// The token was granted and could not be saved.
    NotSaved(String),
    StoreFailed(String),
    /// The host has nothing left to do.
    Done,
}

impl Report {
    #[allow(clippy::print_stdout)]
    fn print(&self) {
        println!(
            "\nfleet {}",
            match self {
                Self::Token => "token".to_owned(),
                Self::Refused(family, is_explained) => format!("refused {family} {is_explained}"),
                Self::NotSaved(family) => format!("not-saved {family}"),
                Self::StoreFailed(why) => format!("store-failed {why}"),
                Self::Done => "done".to_owned(),
            }
        );
    }

    fn parse(line: &str) -> Option<Self> {
        let (kind, rest) = line
            .strip_prefix("fleet ")?
            .split_once(' ')
            .unwrap_or((line.strip_prefix("fleet ")?, ""));
        Some(match kind {
            "token" => Self::Token,
            "refused" => {
                let (family, is_explained) = rest.split_once(' ')?;
                Self::Refused(family.to_owned(), is_explained == "true")
            }
            "not-saved" => Self::NotSaved(rest.to_owned()),
            "store-failed" => Self::StoreFailed(rest.to_owned()),
            _ => Self::Done,
        })
    }
}

/// A record: its user, its server, and the name of its family at the authorization server.
fn family(user: usize, server: usize) -> String {
    format!("u{user}s{server}")
}

fn record_key(server: usize) -> CredentialKey {
    CredentialKey::new(&format!("server-{server}"), "https://mcp.example/mcp")
}

fn record(issuer: &str, family: &str, generation: u64) -> CredentialRecord {
    let record = json!({
        "issuer": issuer, "client_id": "client", "access_token": format!("access.{family}.{generation}"),
        "refresh_token": format!("refresh.{family}.{generation}"),
    });
    CredentialRecord::from_json(&record).unwrap()
}

/// The generation of an access token.
fn generation(record: &CredentialRecord) -> u64 {
    let token = record.access_token().unwrap().expose_secret();
    token.rsplit('.').next().unwrap().parse().unwrap()
}

/// A host: it refreshes every record until its generation is `generations`.
struct Host {
    postgres: PostgresStore,
    network: Network,
    issuer: String,
    users: usize,
    generations: u64,
}

impl Host {
    /// Plays the role of a child process, if this is one.
    fn play() -> bool {
        let Ok(task) = std::env::var(TASK) else {
            return false;
        };
        let task: serde_json::Value = serde_json::from_str(&task).unwrap();
        // A host ends with the test program.
        std::thread::spawn(|| {
            let _ = std::io::stdin().lines().next();
            std::process::exit(1);
        });
        // This thread already has a runtime.
        let playing = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(Self::perform(task));
        });
        playing.join().unwrap();
        true
    }

    async fn perform(task: serde_json::Value) {
        let postgres = loop {
            // The database may be restarting.
            let keys = Keys::parse(&KEY_1.into()).unwrap();
            let builder = PostgresStore::builder(task["database"].as_str().unwrap());
            let builder = builder
                .keys(keys)
                .connections(8)
                .lease(Duration::from_secs(30));
            match builder.connect().await {
                Ok(postgres) => break postgres,
                Err(error) => Report::StoreFailed(error.detail).print(),
            }
        };
        let host = Self {
            postgres,
            network: Network::new().unwrap(),
            issuer: task["issuer"].as_str().unwrap().to_owned(),
            users: task["users"].as_u64().unwrap() as usize,
            generations: task["generations"].as_u64().unwrap(),
        };
        host.run().await;
        host.postgres.close().await;
        Report::Done.print();
    }

    async fn run(&self) {
        let mut open: Vec<(usize, usize)> = (0..self.users)
            .flat_map(|user| (0..SERVERS).map(move |server| (user, server)))
            .collect();
        // Each process has its own order, so that processes meet at different records.
        let offset = std::process::id() as usize % open.len();
        open.rotate_left(offset);
        while !open.is_empty() {
            let attempts = futures::stream::iter(open).map(async |(user, server)| {
                let is_done = self.refresh(user, server).await;
                (!is_done).then_some((user, server))
            });
            let results: Vec<_> = attempts.buffer_unordered(AT_ONCE).collect().await;
            open = results.into_iter().flatten().collect();
        }
    }

    fn store(&self, user: usize) -> UserStore {
        self.postgres
            .for_user("tenant", &format!("user-{user}"))
            .unwrap()
    }

    /// Refreshes a record once, unless it is done. Returns whether nothing is left to do.
    async fn refresh(&self, user: usize, server: usize) -> bool {
        let (store, key, family) = (self.store(user), record_key(server), family(user, server));
        let before = match store.load(&key).await {
            Ok(record) => record.unwrap(),
            Err(error) => {
                Report::StoreFailed(error.detail).print();
                return false;
            }
        };
        if generation(&before) >= self.generations {
            return true;
        }
        let metadata = json!({
            "issuer": self.issuer, "token_endpoint": format!("{}/token", self.issuer),
            "authorization_endpoint": format!("{}/authorize", self.issuer),
        });
        let server = format!("{}/mcp", self.issuer).parse().unwrap();
        let guarded = self.network.guarded_client(&server).await;
        let request = RefreshRequest {
            key,
            rejected: before.access_token().cloned(),
            server,
            configured_resource: None,
            published_resource: None,
            metadata: serde_json::from_value(metadata).unwrap(),
            client: None,
            scopes: None,
        };
        let (log, tasks) = (RequestLog::default(), TaskTracker::new());
        let outcome = refresh(Arc::new(store), guarded, request, log.clone(), &tasks).await;
        tasks.close();
        tasks.wait().await;
        let report = match outcome {
            RefreshOutcome::Token {
                not_saved: None, ..
            } => Report::Token,
            RefreshOutcome::Token { .. } => Report::NotSaved(family),
            RefreshOutcome::StoreFailed(error) => Report::StoreFailed(error.detail),
            RefreshOutcome::Refused => {
                let sent = log.last(RequestTarget::Token).unwrap();
                if sent.status == Some(400) {
                    Report::Refused(family, sent.sent_before_at_ms.is_some()).print();
                    // The user is signed out.
                    return true;
                }
                Report::StoreFailed("no response".to_owned())
            }
            other => panic!("{other:?}"),
        };
        report.print();
        false
    }
}

/// The library that changes the clock of a process, if it is installed.
fn fake_time() -> Option<std::path::PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?.flatten();
    let mut files = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    files.find(|file| file.is_file())
}

/// A host in a process of its own. It is killed when this is dropped.
struct Process(Child);

impl Process {
    fn start(test: &str, task: &serde_json::Value, reports: &Sender<Report>) -> Self {
        Self::start_at(test, task, reports, None)
    }

    /// Starts it with a clock that is off by a time such as `+1h`.
    fn start_at(
        test: &str,
        task: &serde_json::Value,
        reports: &Sender<Report>,
        clock: Option<&str>,
    ) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        if let Some(clock) = clock {
            let library = fake_time().unwrap();
            command.env("LD_PRELOAD", library).env("FAKETIME", clock);
        }
        command
            .args(["--exact", test, "--nocapture"])
            .env(TASK, task.to_string());
        let mut child = command
            .stdout(Stdio::piped())
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let (stdout, reports) = (child.stdout.take().unwrap(), reports.clone());
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if let Some(report) = Report::parse(&line) {
                    let _ = reports.send(report);
                }
            }
        });
        Self(child)
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.0);
        let _ = rustix::process::kill_process(pid, signal);
    }

    fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The hosts, the users and the reports of one test.
struct Fleet {
    test: &'static str,
    task: serde_json::Value,
    users: usize,
    generations: u64,
    server: AuthorizationServer,
    reports: (Sender<Report>, Receiver<Report>),
    processes: Vec<Process>,
}

impl Fleet {
    /// Stores an expired token for each user and server. `url` is the database as the hosts see it.
    async fn new(
        test: &'static str,
        database: &TestDatabase,
        url: &str,
        users: usize,
        generations: u64,
        delay: Duration,
    ) -> Self {
        let server = AuthorizationServer::start(delay).await;
        let postgres = database.store(KEY_1).await;
        let records = (0..users).flat_map(|user| (0..SERVERS).map(move |server| (user, server)));
        futures::stream::iter(records)
            .for_each_concurrent(16, async |(user, at)| {
                let store = postgres
                    .for_user("tenant", &format!("user-{user}"))
                    .unwrap();
                let record = record(&server.url, &family(user, at), 0);
                store
                    .replace(&record_key(at), None, Some(&record))
                    .await
                    .unwrap();
            })
            .await;
        let task = json!({"database": url, "issuer": server.url, "users": users, "generations": generations});
        Self {
            test,
            task,
            users,
            generations,
            server,
            reports: channel(),
            processes: Vec::new(),
        }
    }

    fn add_host(&mut self) {
        self.add_host_at(None);
    }

    fn add_host_at(&mut self, clock: Option<&str>) {
        let process = Process::start_at(self.test, &self.task, &self.reports.0, clock);
        self.processes.push(process);
    }

    /// Waits until every host has ended. `disturb` is called about every 100 ms.
    async fn wait(&mut self, limit: Duration, mut disturb: impl FnMut(&mut Self)) -> Vec<Report> {
        let deadline = Instant::now() + limit;
        let mut reports = Vec::new();
        loop {
            reports.extend(self.reports.1.try_iter());
            if self.processes.iter_mut().all(Process::has_ended) {
                // Each host's last line.
                tokio::time::sleep(Duration::from_millis(200)).await;
                reports.extend(self.reports.1.try_iter());
                return reports;
            }
            assert!(
                Instant::now() < deadline,
                "the hosts do not end: {:?}",
                reports.iter().rev().take(5).collect::<Vec<_>>()
            );
            disturb(self);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Panics unless the records are those of the authorization server. Returns the number of families with a reuse.
    async fn check(&self, database: &TestDatabase, reports: &[Report]) -> usize {
        let postgres = database.store(KEY_1).await;
        let families = self.server.families();
        let mut reused = 0;
        for user in 0..self.users {
            let store = postgres
                .for_user("tenant", &format!("user-{user}"))
                .unwrap();
            for at in 0..SERVERS {
                let name = family(user, at);
                let stored = store.load(&record_key(at)).await.unwrap().unwrap();
                let known = families.get(&name).cloned().unwrap_or_default();
                if known.reuses == 0 {
                    assert_eq!(
                        generation(&stored),
                        known.generation,
                        "{name}: a token was lost"
                    );
                    assert_eq!(known.generation, self.generations, "{name}");
                    continue;
                }
                reused += 1;
                let mut explained = reports.iter().filter(
                    |report| matches!(report, Report::Refused(family, true) if *family == name),
                );
                assert!(
                    explained.next().is_some(),
                    "{name}: a reuse is not explained: {known:?}"
                );
            }
        }
        reused
    }
}

/// A summary of the reports for the output of a test.
fn summary(reports: &[Report]) -> String {
    let count = |is: fn(&Report) -> bool| reports.iter().filter(|report| is(report)).count();
    let mut failures: BTreeMap<&str, usize> = BTreeMap::new();
    for report in reports {
        if let Report::StoreFailed(why) = report {
            *failures.entry(why).or_default() += 1;
        }
    }
    format!(
        "{} tokens, {} refused, {} not saved, store errors: {failures:?}",
        count(|report| *report == Report::Token),
        count(|report| matches!(report, Report::Refused(..))),
        count(|report| matches!(report, Report::NotSaved(_))),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_hosts_refresh_the_expired_token_of_every_user_once() {
    if Host::play() {
        return;
    }
    let test = "fleet::four_hosts_refresh_the_expired_token_of_every_user_once";
    let database = database!(test);
    let users = size("FLEET_USERS", 10);
    let delay = Duration::from_millis(20);
    let mut fleet = Fleet::new(test, &database, &database.url(), users, 1, delay).await;
    (0..4).for_each(|_| fleet.add_host());
    let since = Instant::now();
    let reports = fleet.wait(Duration::from_secs(600), |_| {}).await;
    let took = since.elapsed();
    assert_eq!(fleet.check(&database, &reports).await, 0);
    eprintln!(
        "4 hosts, {} records, {took:?}: {}",
        users * SERVERS,
        summary(&reports)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosts_refresh_the_same_records_again_and_again() {
    if Host::play() {
        return;
    }
    let test = "fleet::hosts_refresh_the_same_records_again_and_again";
    let database = database!(test);
    let rounds = size("FLEET_ROUNDS", 3) as u64;
    let mut fleet = Fleet::new(test, &database, &database.url(), 1, rounds, Duration::ZERO).await;
    let hosts = size("FLEET_HOSTS", 4);
    (0..hosts).for_each(|_| fleet.add_host());
    let since = Instant::now();
    let reports = fleet.wait(Duration::from_secs(1800), |_| {}).await;
    let took = since.elapsed();
    assert_eq!(fleet.check(&database, &reports).await, 0);
    eprintln!(
        "{hosts} hosts, {rounds} rounds of {SERVERS} records, {took:?}: {}",
        summary(&reports)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_cut_sign_no_user_out() {
    if Host::play() {
        return;
    }
    let test = "fleet::connections_that_are_cut_sign_no_user_out";
    let database = database!(test);
    let users = size("FLEET_USERS", 5);
    let delay = Duration::from_millis(20);
    let mut fleet = Fleet::new(test, &database, &database.url(), users, 2, delay).await;
    (0..4).for_each(|_| fleet.add_host());
    let mut cuts = 0;
    let mut at = 0_u32;
    let reports = fleet.wait(Duration::from_secs(600), |_| {
        at += 1;
        if at.is_multiple_of(5) {
            database.server.cut_connections(&database.name);
            cuts += 1;
        }
    });
    let reports = reports.await;
    assert_eq!(fleet.check(&database, &reports).await, 0);
    eprintln!("{cuts} cuts: {}", summary(&reports));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosts_whose_clocks_are_an_hour_off_refresh_each_token_once() {
    if Host::play() {
        return;
    }
    let test = "fleet::hosts_whose_clocks_are_an_hour_off_refresh_each_token_once";
    let database = database!(test);
    if fake_time().is_none() {
        let why = "libfaketime is not installed (Debian: apt-get install faketime)";
        return crate::server::not_run(test, why);
    }
    let delay = Duration::from_millis(20);
    let mut fleet = Fleet::new(test, &database, &database.url(), 5, 2, delay).await;
    for clock in [None, Some("+1h"), Some("-1h"), None] {
        fleet.add_host_at(clock);
    }
    let reports = fleet.wait(Duration::from_secs(600), |_| {}).await;
    assert_eq!(fleet.check(&database, &reports).await, 0);
    eprintln!("clocks an hour off: {}", summary(&reports));
}

/// Random faults. Only a host that is killed or stopped in the middle of a refresh can sign a user out, and the evidence explains
/// that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_user_who_is_signed_out_by_a_fault_has_an_explanation() {
    if Host::play() {
        return;
    }
    let test = "fleet::every_user_who_is_signed_out_by_a_fault_has_an_explanation";
    // It needs minutes, because the lease of a host that was killed lasts 30 s.
    let Ok(seconds) = std::env::var("FLEET_FAULT_SECONDS") else {
        return;
    };
    let seconds = Duration::from_secs(seconds.parse().unwrap());
    let database = database!(test);
    let Some(bouncer) = PgBouncer::start(&database) else {
        return;
    };
    let users = size("FLEET_USERS", 20);
    let delay = Duration::from_millis(100);
    let url = bouncer.url(&database);
    let mut fleet = Fleet::new(test, &database, &url, users, 100, delay).await;
    (0..4).for_each(|_| fleet.add_host());
    let since = Instant::now();
    let (mut kills, mut stops, mut restarts, mut cuts) = (0, 0, 0, 0);
    let mut stopped: Option<Instant> = None;
    let mut at = 0_u32;
    let reports = fleet.wait(Duration::from_secs(3600), |fleet| {
        if let Some(since) = stopped
            && since.elapsed() > Duration::from_secs(35)
        {
            fleet.processes[3].signal(rustix::process::Signal::CONT);
            stopped = None;
        }
        if since.elapsed() > seconds {
            return;
        }
        at += 1;
        if at % 100 == 60 {
            fleet.processes[0] = Process::start(fleet.test, &fleet.task, &fleet.reports.0);
            kills += 1;
        }
        if at % 500 == 20 && stopped.is_none() {
            fleet.processes[3].signal(rustix::process::Signal::STOP);
            stopped = Some(Instant::now());
            stops += 1;
        }
        if at % 150 == 70 {
            database.server.crash();
            restarts += 1;
        } else if at.is_multiple_of(10) && at % 150 > 100 {
            database.server.cut_connections(&database.name);
            cuts += 1;
        }
    });
    let reports = reports.await;
    let reused = fleet.check(&database, &reports).await;
    let refreshes: u64 = fleet
        .server
        .families()
        .values()
        .map(|family| family.generation)
        .sum();
    eprintln!(
        "{:?}, {kills} kills, {stops} stops of 35 s, {restarts} crashes of the database, {cuts} cuts: {refreshes} refreshes of {} \
         records, {reused} signed out and explained; {}",
        since.elapsed(),
        users * SERVERS,
        summary(&reports)
    );
}
