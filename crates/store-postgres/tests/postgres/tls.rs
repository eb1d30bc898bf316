//! TLS to the database, and a server that syncs each commit to its disk.

use std::fs;
use std::path::Path;
use std::process::Command;

use mcp_startup_auth::conformance::{self, key, put, record, stored};
use mcp_startup_auth::{CredentialStore, CredentialStores};
use mcp_startup_store_postgres::{Keys, PostgresStore};

use crate::server::{KEY_1, PASSWORD, Server, bin_folder, not_run, owned_folder};

/// The environment variable with the URL for a child process, which trusts only the certificates in `SSL_CERT_FILE`.
const URL: &str = "TLS_URL";

fn bin(test: &str) -> Option<std::path::PathBuf> {
    let bin = bin_folder();
    if bin.is_none() {
        not_run(
            test,
            "PostgreSQL is not installed (Debian: apt-get install postgresql)",
        );
    }
    bin
}

async fn connect(url: &str) -> Result<PostgresStore, mcp_startup_auth::StoreError> {
    let keys = Keys::parse(&KEY_1.into()).unwrap();
    PostgresStore::builder(url).keys(keys).connect().await
}

/// A certificate for `localhost` with its key, in files that the server may read.
fn certificate(folder: &Path) {
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, secret) = (folder.join("server.crt"), folder.join("server.key"));
    fs::write(&certificate, signed.cert.pem()).unwrap();
    fs::write(&secret, signed.signing_key.serialize_pem()).unwrap();
    // PostgreSQL refuses a key that others can read.
    let mut own = Command::new("install");
    own.args(["--mode=0600"]);
    if rustix::process::geteuid().is_root() {
        own.args(["--owner=65534", "--group=65534"]);
    }
    let installed = own.arg(&secret).arg(folder.join("key")).status();
    assert!(installed.unwrap().success());
    fs::remove_file(secret).unwrap();
}

/// The work of a child process: it prints the error, or uses the store and prints that it did.
#[allow(clippy::print_stdout)]
async fn play(url: &str) {
    match connect(url).await {
        Err(error) => println!("\ntls error: {error}"),
        Ok(store) => {
            let user = store.for_user("t", "u").unwrap();
            put(&user, &key("s"), None, Some(&record("one"))).await;
            assert_eq!(stored(&user, &key("s")).await, Some(record("one")));
            // The connection for notifications is another one.
            let mut changes = user.changes();
            while tokio::time::timeout(
                std::time::Duration::from_millis(1500),
                futures::StreamExt::next(&mut changes),
            )
            .await
            .is_ok()
            {}
            println!("\ntls used");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_certificate_of_the_database_is_verified() {
    let test = "tls::the_certificate_of_the_database_is_verified";
    if let Ok(url) = std::env::var(URL) {
        return play(&url).await;
    }
    let Some(bin) = bin(test) else {
        return;
    };
    let folder = owned_folder();
    certificate(&folder);
    let (cert, secret) = (folder.join("server.crt"), folder.join("key"));
    let files = [
        format!("ssl_cert_file={}", cert.display()),
        format!("ssl_key_file={}", secret.display()),
    ];
    let settings = ["ssl=on", &files[0], &files[1]];
    let server = Server::start_with(&bin, folder.clone(), &settings);
    let output = |host: &str, options: &str, trusts: bool| {
        let url = format!(
            "postgres://postgres:{PASSWORD}@{host}:{}/postgres?{options}",
            server.port
        );
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", test, "--nocapture"]).env(URL, url);
        match trusts {
            true => child.env("SSL_CERT_FILE", &cert),
            false => child.env_remove("SSL_CERT_FILE"),
        };
        let output = child.output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let used = output("localhost", "sslmode=require", true);
    assert!(used.contains("tls used"), "{used}");
    let encrypted = server.sql("postgres", "select count(*) from mcp_startup_credential");
    assert_eq!(encrypted, "1");
    for (host, trusts) in [("localhost", false), ("127.0.0.1", true)] {
        let refused = output(host, "sslmode=require", trusts);
        assert!(refused.contains("tls error"), "{refused}");
        assert!(refused.contains("certificate"), "{refused}");
        assert!(!refused.contains(PASSWORD), "{refused}");
    }
    // Every encrypted session ended with its child, and none was opened without encryption.
    let log = String::from_utf8(server.log()).unwrap();
    assert!(!log.contains("SSL off"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_saved_record_survives_a_crash_of_a_server_that_syncs() {
    let Some(bin) = bin("tls::a_saved_record_survives_a_crash_of_a_server_that_syncs") else {
        return;
    };
    let server = Server::start_with(&bin, owned_folder(), &["fsync=on"]);
    let store = connect(&server.url("postgres")).await.unwrap();
    let user = store.for_user("t", "u").unwrap();
    assert_eq!(
        CredentialStores::from_store(std::sync::Arc::new(user.clone())).warnings(),
        [""; 0]
    );
    conformance::run(&user).await;
    put(&user, &key("crash"), None, Some(&record("one"))).await;
    server.crash();
    assert_eq!(stored(&user, &key("crash")).await, Some(record("one")));
}
