//! The time of a load and of a replace, compared with bare SQL on one connection. `scripts/stress postgres` runs it.

use std::hint::black_box;
use std::time::{Duration, Instant};

use futures::StreamExt;
use mcp_startup_auth::conformance::{key, put, record};
use mcp_startup_auth::{CredentialStore, ReplaceOutcome};
use mcp_startup_store_postgres::{Keys, PostgresStore};
use tokio_postgres::NoTls;
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::database;
use crate::server::{KEY_1, TestDatabase};

const BATCHES: usize = 100;
const BATCH: u32 = 100;
const TOTAL: usize = 20_000;

/// The times of two calls and their ratio.
#[derive(Clone, Copy)]
struct Times {
    one: Duration,
    two: Duration,
    ratio: f64,
    /// The ratio of the fastest batches.
    fastest: f64,
}

fn median<T: Copy + PartialOrd>(mut values: Vec<T>) -> T {
    values.sort_by(|left, right| left.partial_cmp(right).unwrap());
    values[values.len() / 2]
}

/// The medians over many batches. The batches of the two calls alternate, and each ratio is that of two neighbours: a machine changes its
/// speed for seconds at a time, and then it changes for both.
async fn times_of(mut one: impl AsyncFnMut(), mut two: impl AsyncFnMut()) -> Times {
    let mut times = Vec::new();
    for _ in 0..BATCHES {
        let began = Instant::now();
        for _ in 0..BATCH {
            one().await;
        }
        let of_one = began.elapsed() / BATCH;
        let began = Instant::now();
        for _ in 0..BATCH {
            two().await;
        }
        times.push((of_one, began.elapsed() / BATCH));
    }
    let ratio = |(one, two): &(Duration, Duration)| one.as_secs_f64() / two.as_secs_f64();
    let fastest = |time: fn(&(Duration, Duration)) -> Duration| times.iter().map(time).min();
    Times {
        one: median(times.iter().map(|(one, _)| *one).collect()),
        two: median(times.iter().map(|(_, two)| *two).collect()),
        ratio: median(times.iter().map(ratio).collect()),
        fastest: ratio(&(
            fastest(|(one, _)| *one).unwrap(),
            fastest(|(_, two)| *two).unwrap(),
        )),
    }
}

async fn store(database: &TestDatabase, connections: usize) -> PostgresStore {
    let keys = Keys::parse(&KEY_1.into()).unwrap();
    let builder = PostgresStore::builder(&database.url()).keys(keys);
    builder.connections(connections).connect().await.unwrap()
}

/// A load compared with a bare `SELECT`, and a replace compared with a bare `UPDATE`.
async fn times(database: &TestDatabase) -> [Times; 2] {
    let one = store(database, 1).await.for_user("t", "u").unwrap();
    let (client, connection) = tokio_postgres::connect(&database.url(), NoTls)
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    let row = client.query_one(
        "select id, record, key_id, key_check, digest from mcp_startup_credential where user_id = 'u'",
        &[],
    );
    let row = row.await.unwrap();
    let id: Vec<u8> = row.get(0);
    let sql =
        "select record, key_id, key_check, revision from mcp_startup_credential where id = $1";
    let load = times_of(
        async || {
            black_box(one.load(&key("s")).await.unwrap().unwrap());
        },
        async || {
            let rows = client
                .query_typed(sql, &[(&id, Type::BYTEA)])
                .await
                .unwrap();
            black_box::<Vec<u8>>(rows[0].get(0));
        },
    )
    .await;
    let records = [record("one"), record("two")];
    let mut at = usize::from(one.load(&key("s")).await.unwrap() != Some(records[0].clone()));
    // A refresh, which notifies no watch.
    let lock = one.lock(&key("s")).await.unwrap();
    lock.begin_attempt(&"R1".into()).await.unwrap();
    // Another row of the same table and with the same sizes. Each update writes other bytes, as a replace does.
    let other = vec![0_u8; 32];
    let copy = "insert into mcp_startup_credential select $1, tenant, 'bare', server, url_hash, record, key_id, key_check, digest, revision \
                from mcp_startup_credential where id = $2";
    client
        .query_typed(copy, &[(&other, Type::BYTEA), (&id, Type::BYTEA)])
        .await
        .unwrap();
    let (mut bytes, key_id): (Vec<u8>, String) = (row.get(1), row.get(2));
    let (check, mut digest): (Vec<u8>, Vec<u8>) = (row.get(3), row.get(4));
    let sql = "update mcp_startup_credential set record = $2, key_id = $3, key_check = $4, digest = $5, revision = $6, \
               updated_at = clock_timestamp() where id = $1";
    let replace = times_of(
        async || {
            let (old, new) = (&records[at], &records[1 - at]);
            let replaced = one.replace(&key("s"), Some(old), Some(new)).await;
            assert_eq!(replaced, Ok(ReplaceOutcome::Stored));
            at = 1 - at;
        },
        async || {
            let revision = Uuid::new_v4();
            for (byte, random) in bytes.iter_mut().zip(revision.as_bytes().iter().cycle()) {
                *byte ^= random;
            }
            for (byte, random) in digest.iter_mut().zip(revision.as_bytes().iter().cycle()) {
                *byte ^= random;
            }
            let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 6] = [
                (&other, Type::BYTEA),
                (&bytes, Type::BYTEA),
                (&key_id, Type::TEXT),
                (&check, Type::BYTEA),
                (&digest, Type::BYTEA),
                (&revision, Type::UUID),
            ];
            black_box(client.execute_typed(sql, &parameters).await.unwrap());
        },
    )
    .await;
    drop(lock);
    connection.abort();
    database.sql("delete from mcp_startup_credential where user_id = 'bare'");
    [load, replace]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_and_a_replace_take_little_longer_than_their_statements() {
    let Ok(records) = std::env::var("SPEED_RECORDS") else {
        return;
    };
    let records: u32 = records.parse().unwrap();
    let database =
        database!("speed::a_load_and_a_replace_take_little_longer_than_their_statements");
    let all = store(&database, 16).await;
    let user = all.for_user("t", "u").unwrap();
    put(&user, &key("s"), None, Some(&record("one"))).await;
    let few = times(&database).await;
    database.sql(&format!(
        "insert into mcp_startup_credential select sha256(number::text::bytea), 't', 'user-' || number % (select {records} / 4), 's', number::text, \
         record, key_id, key_check, digest, gen_random_uuid() from mcp_startup_credential, generate_series(1, {records}) as number;
        analyze mcp_startup_credential"
    ));
    let many = times(&database).await;
    let began = Instant::now();
    let loads = futures::stream::iter(0..TOTAL).map(async |_| {
        black_box(user.load(&key("s")).await.unwrap().unwrap());
    });
    loads.buffer_unordered(64).for_each(async |()| {}).await;
    let per_second = TOTAL as f64 / began.elapsed().as_secs_f64();
    for (what, [load, replace]) in [("1 record", few), ("many records", many)] {
        eprintln!(
            "{what}: load {:?}, SELECT {:?} ({:.2}, fastest {:.2}); replace {:?}, UPDATE {:?} ({:.2}, fastest {:.2})",
            load.one,
            load.two,
            load.ratio,
            load.fastest,
            replace.one,
            replace.two,
            replace.ratio,
            replace.fastest
        );
    }
    let growth = |at: usize| many[at].one.as_secs_f64() / few[at].one.as_secs_f64();
    eprintln!(
        "{per_second:.0} loads/s; {records} records: load {:.2}, replace {:.2} of the time with 1 record",
        growth(0),
        growth(1)
    );
}
