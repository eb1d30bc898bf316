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

const BATCHES: usize = 20;
const BATCH: u32 = 250;
const TOTAL: usize = 20_000;

/// The time of one call, from the fastest of several batches, so that other programs on the machine matter less.
async fn time(mut call: impl AsyncFnMut()) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..BATCHES {
        let began = Instant::now();
        for _ in 0..BATCH {
            call().await;
        }
        best = best.min(began.elapsed() / BATCH);
    }
    best
}

async fn store(database: &TestDatabase, connections: usize) -> PostgresStore {
    let keys = Keys::parse(&KEY_1.into()).unwrap();
    let builder = PostgresStore::builder(&database.url()).keys(keys);
    builder.connections(connections).connect().await.unwrap()
}

/// The times of a load and a bare `SELECT`, and of a replace and a bare `UPDATE`.
async fn times(database: &TestDatabase) -> [Duration; 4] {
    let one = store(database, 1).await.for_user("t", "u").unwrap();
    let (client, connection) = tokio_postgres::connect(&database.url(), NoTls)
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    let id: Vec<u8> = {
        let row = client.query_one(
            "select id from mcp_startup_credential where user_id = 'u'",
            &[],
        );
        row.await.unwrap().get(0)
    };
    let load = time(async || {
        black_box(one.load(&key("s")).await.unwrap().unwrap());
    });
    let load = load.await;
    let sql =
        "select record, key_id, key_check, revision from mcp_startup_credential where id = $1";
    let select = time(async || {
        let rows = client
            .query_typed(sql, &[(&id, Type::BYTEA)])
            .await
            .unwrap();
        black_box::<Vec<u8>>(rows[0].get(0));
    });
    let select = select.await;
    let records = [record("one"), record("two")];
    let mut at = usize::from(one.load(&key("s")).await.unwrap() != Some(records[0].clone()));
    // A refresh, which notifies no watch.
    let lock = one.lock(&key("s")).await.unwrap();
    lock.begin_attempt(&"R1".into()).await.unwrap();
    let replace = time(async || {
        let (old, new) = (&records[at], &records[1 - at]);
        let replaced = one.replace(&key("s"), Some(old), Some(new)).await;
        assert_eq!(replaced, Ok(ReplaceOutcome::Stored));
        at = 1 - at;
    });
    let replace = replace.await;
    drop(lock);
    let (bytes, digest, check) = (vec![1_u8; 330], vec![2_u8; 32], vec![3_u8; 8]);
    let sql = "update mcp_startup_credential set record = $2, key_id = $3, key_check = $4, digest = $5, revision = $6, \
               updated_at = clock_timestamp() where id = $1 returning true";
    let mut number = 0;
    let update = time(async || {
        number += 1;
        let revision = Uuid::from_u128(number);
        let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 6] = [
            (&id, Type::BYTEA),
            (&bytes, Type::BYTEA),
            (&"k1", Type::TEXT),
            (&check, Type::BYTEA),
            (&digest, Type::BYTEA),
            (&revision, Type::UUID),
        ];
        black_box(client.query_typed(sql, &parameters).await.unwrap());
    });
    let update = update.await;
    connection.abort();
    // The bare statement has destroyed the record.
    database.sql("delete from mcp_startup_credential where user_id = 'u'");
    put(&one, &key("s"), None, Some(&records[0])).await;
    [load, select, replace, update]
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
    let ratio = |a: Duration, b: Duration| a.as_secs_f64() / b.as_secs_f64();
    for (what, [load, select, replace, update]) in [("1 record", few), ("many records", many)] {
        eprintln!(
            "{what}: load {load:?}, SELECT {select:?} ({:.2}); replace {replace:?}, UPDATE {update:?} ({:.2})",
            ratio(load, select),
            ratio(replace, update)
        );
    }
    eprintln!(
        "{per_second:.0} loads/s; {records} records: load {:.2}, replace {:.2} of the time with 1 record",
        ratio(many[0], few[0]),
        ratio(many[2], few[2])
    );
}
