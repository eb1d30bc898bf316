//! Runs the conformance suite on the stores of this crate, and tests what is specific to the file store: its file format, its
//! lock files, and concurrent or killed processes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

mod child_process;
mod codex_files;
mod concurrent_processes;
mod credential_file;
mod home_folder;
mod host_store;
mod lock_files;
// The modes of folders, and `ulimit`.
#[cfg(unix)]
mod write_failures;

use mcp_startup_auth::{FileStore, MemoryStore, conformance};

conformance!(memory, (MemoryStore::default(), ()));
conformance!(file, {
    let home = tempfile::tempdir().unwrap();
    (FileStore::new(home.path()), home)
});

#[tokio::test]
async fn a_damaged_record_of_the_file_store_can_be_replaced_and_removed() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join(".credentials.json");
    let damage = async |key: &mcp_startup_auth::CredentialKey| {
        let text = std::fs::read(&file).unwrap_or_else(|_| b"{}".to_vec());
        let mut entries: serde_json::Value = serde_json::from_slice(&text).unwrap();
        entries[key.as_str()] = serde_json::json!(["damaged"]);
        std::fs::write(&file, entries.to_string()).unwrap();
    };
    let store = FileStore::new(home.path());
    conformance::a_damaged_record_can_be_replaced_and_removed(&store, damage).await;
}

/// The messages are also for authors of stores in other languages.
#[tokio::test]
async fn a_failed_case_says_which_call_returned_what() {
    use futures::FutureExt;
    use mcp_startup_auth::*;

    /// A store that forgets every record.
    #[derive(Debug)]
    struct Forgetful(MemoryStore);

    impl CredentialStore for Forgetful {
        fn load<'a>(&'a self, _: &'a CredentialKey) -> StoreFuture<'a, Option<CredentialRecord>> {
            Box::pin(async { Ok(None) })
        }

        fn replace<'a>(
            &'a self,
            _: &'a CredentialKey,
            _: Option<&'a CredentialRecord>,
            _: Option<&'a CredentialRecord>,
        ) -> StoreFuture<'a, ReplaceOutcome> {
            Box::pin(async { Ok(ReplaceOutcome::Stored) })
        }

        fn lock<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, RecordLock> {
            self.0.lock(key)
        }
    }

    let store = Forgetful(MemoryStore::default());
    let running = std::panic::AssertUnwindSafe(conformance::run(&store)).catch_unwind();
    let panic = running.await.unwrap_err();
    let message = panic.downcast_ref::<String>().unwrap();
    let parts = [
        "`load` must return {",
        "\"access_token\"",
        "but returned no record",
    ];
    assert!(parts.iter().all(|part| message.contains(part)), "{message}");
}
