//! The credential file: modes and owners, other entries, damaged files and symbolic links.
//!
//! On Windows, new files have the permissions of their folder, and only an administrator can create symbolic links.

use std::fs;
#[cfg(unix)]
use std::os::unix::fs::{MetadataExt, chown, symlink};
use std::path::{Path, PathBuf};
#[cfg(unix)]
use std::process::Command;

#[cfg(unix)]
use mcp_startup_auth::conformance::stored;
use mcp_startup_auth::conformance::{key, put, record, within};
use mcp_startup_auth::{CredentialStore, FileStore};
use mcp_startup_core::CredentialStoreTrouble;

use crate::home_folder::*;

#[cfg(unix)]
#[tokio::test]
async fn new_files_and_folders_are_accessible_to_their_owner_only() {
    let (root, _) = new_home();
    let home = root.path().join("new/home");
    let store = FileStore::new(&home);
    assert_eq!(stored(&store, &key("a")).await, None);
    assert!(!home.exists(), "reading created the folder");
    put(&store, &key("a"), None, Some(&record("a"))).await;
    drop(store.lock(&key("a")).await.unwrap());
    for (path, expected) in [
        (home.clone(), 0o700),
        (lock_folder(&home), 0o700),
        (credential_file(&home), 0o600),
        (file_lock(&home), 0o600),
    ] {
        assert_eq!(mode(&path), expected, "{}", path.display());
    }
    set_mode(&credential_file(&home), 0o664);
    put(&store, &key("a"), Some(&record("a")), Some(&record("b"))).await;
    assert_eq!(mode(&credential_file(&home)), 0o600);
    assert_eq!(file_names(&home), [".credentials.json", "mcp-oauth-locks"]);
}

#[tokio::test]
async fn entries_of_other_programs_keep_their_text_byte_for_byte() {
    let (root, store) = new_home();
    fs::write(credential_file(root.path()), OTHER_ENTRIES).unwrap();
    put(&store, &key("a"), None, Some(&record("a"))).await;
    assert_other_entries_unchanged(root.path());
    put(&store, &key("a"), Some(&record("a")), Some(&record("b"))).await;
    assert_other_entries_unchanged(root.path());
    put(&store, &key("a"), Some(&record("b")), None).await;
    assert_other_entries_unchanged(root.path());
    assert_eq!(entries(root.path()).len(), 3);
}

/// Panics unless every method fails with `trouble`, and no error shows file content.
async fn assert_every_method_fails(store: &FileStore, trouble: CredentialStoreTrouble) {
    let (key, new) = (key("server"), record("new"));
    let errors = [
        store.load(&key).await.map(drop),
        store.replace(&key, None, Some(&new)).await.map(drop),
        store.replace(&key, Some(&new), None).await.map(drop),
        store.prove_writable(&key).await,
    ];
    for error in errors {
        let error = error.unwrap_err();
        assert_eq!(error.trouble, trouble, "{error}");
        assert!(!error.to_string().contains("canary"), "{error}");
    }
}

#[tokio::test]
async fn a_corrupt_file_is_reported_and_not_modified() {
    let mut too_large = b"{\"canary\":\"".to_vec();
    too_large.resize(16 * 1024 * 1024, b'x');
    too_large.extend(b"\"}");
    for content in [
        b"".to_vec(),
        b" \r\n".to_vec(),
        b"\xef\xbb\xbf{}".to_vec(),
        b"\xff\xfe{\0}\0".to_vec(),
        b"canary".to_vec(),
        b"[\"canary\"]".to_vec(),
        b"{\"canary\":{\"access_token\":\"canary".to_vec(),
        b"{\"a\":1} canary".to_vec(),
        b"{\"a\":\"\xff canary\"}".to_vec(),
        too_large,
    ] {
        let (root, store) = new_home();
        fs::write(credential_file(root.path()), &content).unwrap();
        let before = fs::metadata(credential_file(root.path())).unwrap();
        assert_every_method_fails(&store, CredentialStoreTrouble::Corrupt).await;
        assert!(fs::read(credential_file(root.path())).unwrap() == content);
        let after = fs::metadata(credential_file(root.path())).unwrap();
        assert_eq!(before.modified().unwrap(), after.modified().unwrap());
        #[cfg(unix)]
        assert_eq!(before.ino(), after.ino());
        assert_eq!(
            file_names(root.path()),
            [".credentials.json", "mcp-oauth-locks"]
        );
    }
}

/// The kinds of files that are not regular, and how an error names them.
#[cfg(unix)]
const IRREGULAR: &[(&str, &str)] = &[
    ("a link", "is a symbolic link"),
    ("a dangling link", "is a symbolic link"),
    ("a folder", "is a folder"),
    ("a pipe", "is a named pipe"),
    ("a socket", "is a socket"),
];
#[cfg(windows)]
const IRREGULAR: &[(&str, &str)] = &[("a folder", "is a folder")];

#[cfg(windows)]
fn put_irregular(_kind: &str, path: &Path, _target: &Path) {
    fs::create_dir(path).unwrap();
}

#[cfg(unix)]
fn put_irregular(kind: &str, path: &Path, target: &Path) {
    match kind {
        "a link" => symlink(target, path).unwrap(),
        "a dangling link" => symlink("nothing", path).unwrap(),
        "a folder" => fs::create_dir(path).unwrap(),
        "a socket" => drop(std::os::unix::net::UnixListener::bind(path).unwrap()),
        _ => assert!(Command::new("mkfifo").arg(path).status().unwrap().success()),
    }
}

/// A pipe can be opened and locked, but a program that opens it without care never continues.
#[tokio::test]
async fn only_a_regular_lock_file_and_a_folder_with_them_are_accepted() {
    let (elsewhere, _) = new_home();
    let target = elsewhere.path().join("target");
    fs::write(&target, "").unwrap();
    for &(kind, detail) in IRREGULAR {
        for path_of in [file_lock as fn(&Path) -> PathBuf, lock_folder] {
            let (root, store) = new_home();
            let path = path_of(root.path());
            if kind == "a folder" && path == lock_folder(root.path()) {
                continue;
            }
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            put_irregular(kind, &path, &target);
            let error = within(store.prove_writable(&key("a"))).await.unwrap_err();
            assert_eq!(error.trouble, CredentialStoreTrouble::Unreadable);
            let expected = format!("the lock {} can't be taken: it {detail}", path.display());
            assert!(error.detail.contains(&expected), "{kind}: {error}");
        }
    }
    let (root, store) = new_home();
    fs::write(lock_folder(root.path()), "").unwrap();
    let error = store.prove_writable(&key("a")).await.unwrap_err();
    assert!(error.detail.contains("it is a regular file"), "{error}");
}

/// The home itself is a file.
#[tokio::test]
async fn a_path_that_leads_through_a_file_is_not_signed_out() {
    let (root, _) = new_home();
    let home = root.path().join("file");
    fs::write(&home, "").unwrap();
    let error = FileStore::new(&home).load(&key("a")).await.unwrap_err();
    assert!(
        error.detail.contains("its folder is not a folder"),
        "{error}"
    );
}

#[tokio::test]
async fn only_a_regular_file_is_accepted() {
    let (elsewhere, _) = new_home();
    let target = elsewhere.path().join("target");
    fs::write(&target, "{}").unwrap();
    for &(kind, detail) in IRREGULAR {
        let (root, store) = new_home();
        let path = credential_file(root.path());
        put_irregular(kind, &path, &target);
        within(assert_every_method_fails(
            &store,
            CredentialStoreTrouble::Unreadable,
        ))
        .await;
        let error = store.load(&key("a")).await.unwrap_err();
        assert!(error.detail.contains(detail), "{kind}: {error}");
        let metadata = fs::symlink_metadata(path).unwrap();
        assert!(!metadata.is_file(), "{kind} was replaced");
    }
    assert_eq!(fs::read_to_string(&target).unwrap(), "{}");
    assert_eq!(file_names(elsewhere.path()), ["target"]);
}

#[cfg(unix)]
#[tokio::test]
async fn symbolic_links_in_place_of_lock_files_are_refused() {
    let (elsewhere, _) = new_home();
    for dangling in [false, true] {
        let target = elsewhere.path().join(if dangling { "nothing" } else { "" });
        // The lock folder, and one of its files.
        for link_of in [lock_folder as fn(&Path) -> PathBuf, file_lock] {
            let (root, store) = new_home();
            let link = link_of(root.path());
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            symlink(&target, &link).unwrap();
            for error in [
                store.prove_writable(&key("a")).await.unwrap_err(),
                store
                    .replace(&key("a"), None, Some(&record("a")))
                    .await
                    .unwrap_err(),
            ] {
                assert!(error.detail.contains("symbolic link"), "{error}");
            }
            assert!(!credential_file(root.path()).exists());
        }
    }
    assert!(file_names(elsewhere.path()).is_empty());
}

#[cfg(unix)]
#[tokio::test]
async fn the_home_folder_can_be_a_symbolic_link() {
    let (root, _) = new_home();
    let (real, link) = (root.path().join("real"), root.path().join("link"));
    fs::create_dir(&real).unwrap();
    symlink(&real, &link).unwrap();
    let store = FileStore::new(&link);
    put(&store, &key("a"), None, Some(&record("a"))).await;
    assert!(credential_file(&real).is_file() && lock_folder(&real).is_dir());
}

#[cfg(unix)]
#[tokio::test]
async fn files_that_root_writes_belong_to_the_owner_of_the_file_or_folder() {
    if !is_root() {
        eprintln!("skipped: only root can change the owner of a file");
        return;
    }
    let (root, store) = new_home();
    chown(root.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    put(&store, &key("a"), None, Some(&record("a"))).await;
    drop(store.lock(&key("a")).await.unwrap());
    let owner = |path: &Path| fs::metadata(path).unwrap().uid();
    for path in [
        credential_file(root.path()),
        lock_folder(root.path()),
        file_lock(root.path()),
    ] {
        assert_eq!(owner(&path), NOBODY, "{}", path.display());
    }
    // The owner of an existing file does not change.
    chown(file_lock(root.path()), Some(0), Some(0)).unwrap();
    chown(credential_file(root.path()), Some(1), Some(1)).unwrap();
    put(&store, &key("a"), Some(&record("a")), Some(&record("b"))).await;
    assert_eq!(owner(&file_lock(root.path())), 0);
    assert_eq!(owner(&credential_file(root.path())), 1);
    assert_eq!(mode(&credential_file(root.path())), 0o600);
}
