//! A folder that is not writable, and a full disk.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use mcp_startup_auth::conformance::{key, record, stored, within};
use mcp_startup_auth::{CredentialStore, FileStore};
use mcp_startup_core::CredentialStoreTrouble;
use serde_json::json;

use crate::child_process::*;
use crate::home_folder::*;

#[test]
fn a_folder_that_is_not_writable_is_reported() {
    if let Some((_, home)) = role() {
        return write_to_unwritable_folder(&home);
    }
    let root = tempfile::tempdir().unwrap();
    let content = format!("{{\"{}\":{{\"access_token\":\"t\"}}}}", key("a").as_str());
    for has_lock_folder in [true, false] {
        let home = root.path().join(has_lock_folder.to_string());
        fs::create_dir(&home).unwrap();
        fs::write(credential_file(&home), &content).unwrap();
        set_mode(&credential_file(&home), 0o644);
        if has_lock_folder {
            fs::create_dir(lock_folder(&home)).unwrap();
            set_mode(&lock_folder(&home), 0o777);
        }
        set_mode(&home, 0o555);
        if is_root() {
            // Root can write to every folder, so another user has to try.
            set_mode(root.path(), 0o755);
            let program = root.path().join("program");
            fs::copy(test_program(), &program).unwrap();
            let mut command = in_role(
                program,
                "write_failures::a_folder_that_is_not_writable_is_reported",
                "try",
                &home,
            );
            match command.uid(NOBODY).gid(NOBODY).output() {
                Err(error) => {
                    eprintln!("skipped: can't start a process as another user: {error}");
                    return;
                }
                Ok(output) => assert_done(&output),
            }
        } else {
            write_to_unwritable_folder(&home);
        }
        assert_eq!(fs::read_to_string(credential_file(&home)).unwrap(), content);
        assert_eq!(file_names(&home).len(), 1 + usize::from(has_lock_folder));
        set_mode(&home, 0o755);
    }
}

#[tokio::main]
async fn write_to_unwritable_folder(home: &Path) {
    let store = FileStore::new(home);
    let key = key("a");
    let found = stored(&store, &key).await;
    assert!(found.is_some());
    let new = record("new");
    let replaced = store.replace(&key, found.as_ref(), Some(&new)).await;
    let mut errors = vec![replaced.map(drop), store.prove_writable(&key).await];
    let locked = store.lock(&key).await.map(drop);
    if lock_folder(home).exists() {
        assert_eq!(locked, Ok(()));
    } else {
        errors.push(locked);
    }
    for error in errors {
        let error = error.unwrap_err();
        assert_eq!(error.trouble, CredentialStoreTrouble::Unreadable);
        assert!(error.detail.contains("can't be written: "), "{error}");
        assert!(error.detail.contains("denied"), "{error}");
    }
    print_line(DONE);
}

#[test]
fn a_full_disk_is_reported_and_loses_nothing() {
    if let Some((role, home)) = role() {
        return write_to_full_disk(&role, &home);
    }
    // The limit is in blocks of 512 bytes or 1 KB, depending on the shell. 0 allows no file; 8 allows the current file, but not
    // a larger one.
    for (role, blocks) in [("no file", "0"), ("no larger file", "8")] {
        let (root, _) = new_home();
        fs::write(credential_file(root.path()), OTHER_ENTRIES).unwrap();
        let script = "trap '' XFSZ; ulimit -f \"$0\"; exec \"$@\"";
        let child = in_role(
            test_program(),
            "write_failures::a_full_disk_is_reported_and_loses_nothing",
            role,
            root.path(),
        );
        let mut command = Command::new("sh");
        command
            .args(["-c", script, blocks])
            .arg(child.get_program())
            .args(child.get_args())
            .env(ROLE, role)
            .env(HOME, root.path());
        assert_done(&command.output().unwrap());
        assert_eq!(
            fs::read_to_string(credential_file(root.path())).unwrap(),
            OTHER_ENTRIES
        );
        assert_eq!(
            file_names(root.path()),
            [".credentials.json", "mcp-oauth-locks"]
        );
    }
}

#[tokio::main]
async fn write_to_full_disk(role: &str, home: &Path) {
    let store = FileStore::new(home);
    let mut errors = vec![store.prove_writable(&key("a")).await];
    let mut large = numbered_record(1);
    if role == "no larger file" {
        let change = json!({"padding": "p".repeat(10_000)});
        large = large.with(change.as_object().unwrap()).unwrap();
    }
    let replaced = store.replace(&key("a"), None, Some(&large)).await;
    errors.push(replaced.map(drop));
    for error in errors {
        let error = error.unwrap_err();
        assert_eq!(error.trouble, CredentialStoreTrouble::Unreadable);
        assert!(
            error.detail.contains("can't be written: File too large"),
            "{error}"
        );
    }
    // The store can still be read, and the lock is free.
    assert_eq!(stored(&store, &key("a")).await, None);
    drop(within(store.lock(&key("a"))).await.unwrap());
    print_line(DONE);
}
