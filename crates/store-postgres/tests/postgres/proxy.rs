//! A TCP proxy before the database, which cuts and half-closes connections in the middle of statements.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use mcp_startup_auth::conformance::key;
use mcp_startup_auth::{CredentialRecord, CredentialStore, ReplaceOutcome};
use mcp_startup_store_postgres::{Keys, PostgresStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::database;
use crate::server::{KEY_1, TestDatabase, url};

/// The bytes of a connection before its fault. A sign-in to the database takes about 500 in each direction.
const LONGEST: u64 = 12_000;

#[derive(Clone, Copy, Debug)]
enum Fault {
    /// Both directions end.
    Cut,
    /// The sender seems to have closed its direction, and the other one stays open.
    HalfClose,
    /// Nothing arrives any more, and nothing is closed.
    Silence,
}

struct Proxy {
    port: u16,
    faults: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

/// A sequence of numbers that is the same in each run.
fn next(seed: &AtomicU64) -> u64 {
    let mut z = seed.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Proxy {
    async fn start(database: &TestDatabase, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (target, seed) = (database.server.port, AtomicU64::new(seed));
        let faults = Arc::new(AtomicUsize::new(0));
        let counted = faults.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let Ok(server) = TcpStream::connect(("127.0.0.1", target)).await else {
                    continue;
                };
                let fault = match next(&seed) % 10 {
                    0 => Fault::Silence,
                    1..=3 => Fault::HalfClose,
                    _ => Fault::Cut,
                };
                let (limit, faulty_response) =
                    (next(&seed) % LONGEST, next(&seed).is_multiple_of(2));
                connections.spawn(forward(
                    client,
                    server,
                    fault,
                    limit,
                    faulty_response,
                    counted.clone(),
                ));
                while connections.try_join_next().is_some() {}
            }
        });
        Self {
            port,
            faults,
            _tasks: tasks,
        }
    }
}

/// Forwards both directions. After `limit` bytes of one of them, the fault occurs.
async fn forward(
    client: TcpStream,
    server: TcpStream,
    fault: Fault,
    limit: u64,
    faulty_response: bool,
    faults: Arc<AtomicUsize>,
) {
    let (client_read, client_write) = client.into_split();
    let (server_read, server_write) = server.into_split();
    let (faulty, whole) = match faulty_response {
        true => ((server_read, client_write), (client_read, server_write)),
        false => ((client_read, server_write), (server_read, client_write)),
    };
    let other = tokio::spawn(copy(whole.0, whole.1, u64::MAX));
    let Some((read, mut write)) = copy(faulty.0, faulty.1, limit).await else {
        let _ = other.await;
        return;
    };
    faults.fetch_add(1, Ordering::Relaxed);
    match fault {
        Fault::Cut => other.abort(),
        Fault::HalfClose => {
            let _ = write.shutdown().await;
            let _ = other.await;
        }
        Fault::Silence => {
            let _ = other.await;
        }
    }
    drop((read, write));
}

/// Copies bytes. Returns the streams when the limit is reached, and `None` at the end of the stream.
async fn copy(
    mut read: OwnedReadHalf,
    mut write: OwnedWriteHalf,
    mut limit: u64,
) -> Option<(OwnedReadHalf, OwnedWriteHalf)> {
    let mut buffer = [0; 4096];
    loop {
        let most = usize::try_from(limit)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        if most == 0 {
            return Some((read, write));
        }
        match read.read(&mut buffer[..most]).await {
            Ok(count @ 1..) if write.write_all(&buffer[..count]).await.is_ok() => {
                limit -= count as u64;
            }
            _ => return None,
        }
    }
}

fn count_of(record: Option<&CredentialRecord>) -> i64 {
    record.map_or(0, |record| record.facts().expires_at_ms.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_end_in_the_middle_of_a_statement_lose_no_write() {
    let test = "proxy::connections_that_end_in_the_middle_of_a_statement_lose_no_write";
    let database = database!(test);
    database.store(KEY_1).await;
    let proxy = Proxy::start(&database, 1).await;
    let rounds: i64 = std::env::var("PROXY_ROUNDS").map_or(10, |rounds| rounds.parse().unwrap());
    let mut hosts = JoinSet::new();
    for _ in 0..4 {
        let url = url(proxy.port, &database.name);
        hosts.spawn(async move {
            let (mut stored, mut errors) = (0, 0);
            let postgres = loop {
                let keys = Keys::parse(&KEY_1.into()).unwrap();
                let builder = PostgresStore::builder(&url).keys(keys).connections(2);
                if let Ok(postgres) = builder.connect().await {
                    break postgres;
                }
                errors += 1;
            };
            let user = postgres.for_user("t", "u").unwrap();
            while stored < rounds {
                // Each fault may end in an error, which does not tell whether the record is stored.
                let Ok(_lock) = user.lock(&key("s")).await else {
                    errors += 1;
                    continue;
                };
                let Ok(before) = user.load(&key("s")).await else {
                    errors += 1;
                    continue;
                };
                let count = count_of(before.as_ref());
                let text = format!(r#"{{"access_token":"a","expires_at":{}}}"#, count + 1);
                let next = CredentialRecord::parse(&text).unwrap();
                match user.replace(&key("s"), before.as_ref(), Some(&next)).await {
                    Ok(ReplaceOutcome::Stored) => stored += 1,
                    Ok(ReplaceOutcome::Conflict(_)) => {}
                    Err(_) => errors += 1,
                }
            }
            postgres.close().await;
            (stored, errors)
        });
    }
    let (mut stored, mut errors) = (0, 0);
    for (one, failed) in hosts.join_all().await {
        stored += one;
        errors += failed;
    }
    let faults = proxy.faults.load(Ordering::Relaxed);
    let user = database.store(KEY_1).await.for_user("t", "u").unwrap();
    let last = count_of(user.load(&key("s")).await.unwrap().as_ref());
    eprintln!("{faults} faults: {stored} writes, {errors} errors, {last} stored");
    assert!(faults > 3, "{faults}");
    // A write that ended in an error may be stored.
    assert!(
        (stored..=stored + errors).contains(&last),
        "{stored} {errors} {last}"
    );
}
