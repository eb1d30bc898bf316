//! PgBouncer in transaction mode: each statement can run on another connection.

use std::fs;
use std::path::Path;
use std::process::Child;

use mcp_startup_auth::{CredentialKey, conformance};
use mcp_startup_store_postgres::{Keys, PostgresStore};

use crate::database;
use crate::server::{
    KEY_1, PASSWORD, TestDatabase, free_port, not_run, owned_folder, supervised, unprivileged, url,
    wait_for_port,
};

const PROGRAM: &str = "/usr/sbin/pgbouncer";

/// A PgBouncer before the server of a test.
pub struct PgBouncer {
    port: u16,
    supervisor: Child,
}

impl PgBouncer {
    /// Starts it with fewer connections than clients. Returns `None` if it is not installed.
    pub fn start(database: &TestDatabase) -> Option<Self> {
        if !Path::new(PROGRAM).is_file() {
            return None;
        }
        let (folder, port) = (owned_folder(), free_port());
        let users = folder.join("users");
        fs::write(&users, format!("\"postgres\" \"{PASSWORD}\"\n")).unwrap();
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = md5\nauth_file = {}\npool_mode = transaction\ndefault_pool_size = 8\n\
             max_client_conn = 500\nserver_login_retry = 1\n",
            database.server.port,
            users.display(),
        );
        let file = folder.join("pgbouncer.ini");
        fs::write(&file, settings).unwrap();
        let mut command = unprivileged(PROGRAM);
        command.arg(&file);
        let supervisor = supervised(&folder, &command);
        wait_for_port(port, "PgBouncer");
        Some(Self { port, supervisor })
    }

    /// The URL of the database through it.
    pub fn url(&self, database: &TestDatabase) -> String {
        url(self.port, &database.name)
    }

    pub async fn store(&self, database: &TestDatabase) -> PostgresStore {
        let keys = Keys::parse(&KEY_1.into()).unwrap();
        let builder = PostgresStore::builder(&self.url(database)).keys(keys);
        builder.connect().await.unwrap()
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        drop(self.supervisor.stdin.take());
        let _ = self.supervisor.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_works_through_pgbouncer_in_transaction_mode() {
    let test = "pgbouncer::the_store_works_through_pgbouncer_in_transaction_mode";
    let database = database!(test);
    let Some(bouncer) = PgBouncer::start(&database) else {
        return not_run(
            test,
            "PgBouncer is not installed (Debian: apt-get install pgbouncer)",
        );
    };
    let (one, two) = (
        bouncer.store(&database).await,
        bouncer.store(&database).await,
    );
    let users = [&one, &two].map(|store| store.for_user("t", "u").unwrap());
    conformance::run(&users[0]).await;
    let lapse = async |_: &CredentialKey| {
        database
            .sql("update mcp_startup_lease set expires_at = clock_timestamp() - interval '1 ms'");
    };
    conformance::leases::run(&users[0], &users[1], lapse).await;
    let rotation = one.rotate().await.unwrap();
    assert_eq!((rotation.rotated, rotation.failed), (0, 0));
    one.close().await;
    two.close().await;
}
