//! The suite that every store passes, run on the stores of this crate; and of the file what only a file can do wrong.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use mcp_startup_auth::{
    CredentialStore, FileStore, HostFuture, HostRecords, HostStore, MemoryStore, conformance,
};
use secrecy::{ExposeSecret, SecretString};

conformance!(memory, (MemoryStore::default(), ()));
conformance!(file, {
    let home = tempfile::tempdir().unwrap();
    (FileStore::new(home.path()), home)
});

conformance!(host, (HostStore::new(Texts::default()), ()));

/// A host's own store: texts, which it lays out in its own way.
#[derive(Clone, Debug, Default)]
struct Texts {
    records: Arc<Mutex<HashMap<String, String>>>,
    locks: Arc<Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>>,
    /// What it says where it stores nothing.
    refusal: Option<&'static str>,
}

/// After a turn of the runtime, as an answer from another language comes.
fn later<T: Send + 'static>(answer: Result<T, String>) -> HostFuture<T> {
    Box::pin(async {
        tokio::task::yield_now().await;
        answer
    })
}

impl HostRecords for Texts {
    fn load(&self, key: String) -> HostFuture<Option<SecretString>> {
        let record = self.records.lock().unwrap().get(&key).cloned();
        later(Ok(record.map(SecretString::from)))
    }

    fn replace(
        &self,
        key: String,
        expected: Option<SecretString>,
        new: Option<SecretString>,
    ) -> HostFuture<bool> {
        if let Some(refusal) = self.refusal {
            return later(Err(refusal.to_owned()));
        }
        let mut records = self.records.lock().unwrap();
        let is_expected = records.get(&key).map(String::as_str)
            == expected.as_ref().map(ExposeSecret::expose_secret);
        if is_expected {
            match new {
                Some(new) => records.insert(key, format!("\n{} ", new.expose_secret())),
                None => records.remove(&key),
            };
        }
        later(Ok(is_expected))
    }

    fn lock(&self, key: String) -> HostFuture<Box<dyn Send + Sync>> {
        let lock = self.locks.lock().unwrap().entry(key).or_default().clone();
        Box::pin(async { Ok(Box::new(lock.lock_owned().await) as _) })
    }
}

#[tokio::test]
async fn what_a_host_says_of_an_error_shows_no_secret_of_the_record() {
    let texts = Texts {
        refusal: Some("the vault\nis closed to canary-token"),
        ..Texts::default()
    };
    let (key, record) = (conformance::key("a"), conformance::record("canary-token"));
    let replaced = HostStore::new(texts)
        .replace(&key, None, Some(&record))
        .await;
    assert_eq!(
        replaced.unwrap_err().detail,
        "the vault\\nis closed to [masked]"
    );
}

#[tokio::test]
async fn a_text_of_a_host_that_is_no_record_is_corrupt_and_not_nothing_stored() {
    let (texts, key) = (Texts::default(), conformance::key("a"));
    let other = (key.as_str().to_owned(), "[1]".to_owned());
    texts.records.lock().unwrap().extend([other]);
    let error = HostStore::new(texts).load(&key).await.unwrap_err();
    assert_eq!(
        error.trouble,
        mcp_startup_core::CredentialStoreTrouble::Corrupt
    );
}

#[cfg(unix)]
mod on_unix {
    use std::collections::HashMap;
    use std::ffi::OsStr;
    use std::fs;
    use std::io::{BufRead, BufReader, Lines, Write};
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    use std::os::unix::process::{CommandExt, ExitStatusExt};
    use std::path::{Path, PathBuf};
    use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
    use std::time::{Duration, Instant};

    use mcp_startup_auth::{CredentialKey, CredentialRecord, CredentialStore, FileStore, Replaced};
    use mcp_startup_core::CredentialStoreTrouble;
    use serde_json::json;
    use serde_json::value::RawValue;
    use tempfile::TempDir;

    use mcp_startup_auth::conformance::{key, put, record, stored, waits, within};

    const ROLE: &str = "STORE_TEST_ROLE";
    const HOME: &str = "STORE_TEST_HOME";
    /// How often a writer is killed; more of them with this variable.
    const KILLS: &str = "STORE_TEST_KILLS";
    const PLAYED: &str = "the role is played";
    const NOBODY: u32 = 65534;
    /// What others keep in the file, in a layout that no serializer makes.
    const OTHERS: &str = "{ \"other|0123456789abcdef\" :\n{\"access_token\" : \"\\u0061\",\"big\":12345678901234567890.10, \"x\":{ }},\n\"version\":  3e0 , \"\":[ 1,2]}";

    fn home() -> (TempDir, FileStore) {
        let home = tempfile::tempdir().unwrap();
        let store = FileStore::new(home.path());
        (home, store)
    }

    fn file(home: &Path) -> PathBuf {
        home.join(".credentials.json")
    }

    fn lock_folder(home: &Path) -> PathBuf {
        home.join("mcp-oauth-locks")
    }

    fn file_lock(home: &Path) -> PathBuf {
        lock_folder(home).join("file-store.lock")
    }

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().mode() & 0o7777
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// What is in `folder`, sorted.
    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// The entries of the file, each with its text; it panics where that is not whole.
    fn entries(home: &Path) -> HashMap<String, Box<RawValue>> {
        serde_json::from_slice(&fs::read(file(home)).unwrap()).unwrap()
    }

    fn assert_others_untouched(home: &Path) {
        let wanted: HashMap<String, Box<RawValue>> = serde_json::from_str(OTHERS).unwrap();
        let found = entries(home);
        for (name, value) in wanted {
            assert_eq!(found[&name].get(), value.get(), "{name}");
        }
    }

    fn numbered(n: i64) -> CredentialRecord {
        let change = json!({"expires_at": n, "padding": "p".repeat(2000)});
        record("numbered")
            .with(change.as_object().unwrap())
            .unwrap()
    }

    fn number(record: Option<&CredentialRecord>) -> i64 {
        record.map_or(0, |record| record.facts().expires_at_ms.unwrap())
    }

    fn root() -> bool {
        // What a process makes is its user's.
        tempfile::tempfile().unwrap().metadata().unwrap().uid() == 0
    }

    // Processes of their own: this program again, with the one test that starts it, which then plays the role.

    /// The role that this process was started for, and the folder it is about.
    fn role() -> Option<(String, PathBuf)> {
        let role = std::env::var(ROLE).ok()?;
        // The harness has begun a line.
        say("");
        Some((role, std::env::var_os(HOME)?.into()))
    }

    #[allow(clippy::print_stdout)]
    fn say(line: &str) {
        println!("{line}");
    }

    /// Waits until the process that started this one wants no more.
    fn until_told() {
        let _ = std::io::stdin().lines().next();
    }

    fn in_role(program: impl AsRef<OsStr>, test: &str, role: &str, home: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .args(["--exact", &format!("on_unix::{test}"), "--nocapture"])
            .env(ROLE, role)
            .env(HOME, home);
        command
    }

    /// A test of a wrong name would succeed, too.
    fn assert_played(output: &Output) {
        let said = String::from_utf8_lossy(&output.stdout);
        let played = said.lines().any(|line| line == PLAYED);
        assert!(output.status.success() && played, "{output:?}");
    }

    fn myself() -> PathBuf {
        std::env::current_exe().unwrap()
    }

    /// A process that is killed when it goes out of scope.
    struct Running {
        child: Child,
        stdin: ChildStdin,
        lines: Lines<BufReader<ChildStdout>>,
    }

    impl Running {
        fn start(command: &mut Command) -> Self {
            let mut child = command
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            Self {
                stdin: child.stdin.take().unwrap(),
                lines: BufReader::new(child.stdout.take().unwrap()).lines(),
                child,
            }
        }

        /// Reads on until it says this.
        fn says(&mut self, wanted: &str) {
            let found = self.lines.any(|line| line.unwrap() == wanted);
            assert!(found, "it ended without saying {wanted:?}");
        }

        fn tell(&mut self) {
            self.stdin.write_all(b"\n").unwrap();
        }

        fn kill(&mut self) {
            self.child.kill().unwrap();
            assert_eq!(self.child.wait().unwrap().signal(), Some(9));
        }

        fn ends_well(mut self) {
            let rest: Vec<String> = self.lines.by_ref().map(Result::unwrap).collect();
            assert!(self.child.wait().unwrap().success(), "{}", rest.join("\n"));
        }
    }

    impl Drop for Running {
        fn drop(&mut self) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    #[tokio::test]
    async fn what_is_made_is_for_its_owner_alone() {
        let (root, _) = home();
        let home = root.path().join("new/home");
        let store = FileStore::new(&home);
        assert_eq!(stored(&store, &key("a")).await, None);
        assert!(!home.exists(), "reading made it");
        put(&store, &key("a"), None, Some(&record("a"))).await;
        drop(store.lock(&key("a")).await.unwrap());
        for (path, wanted) in [
            (home.clone(), 0o700),
            (lock_folder(&home), 0o700),
            (file(&home), 0o600),
            (file_lock(&home), 0o600),
        ] {
            assert_eq!(mode(&path), wanted, "{}", path.display());
        }
        set_mode(&file(&home), 0o664);
        put(&store, &key("a"), Some(&record("a")), Some(&record("b"))).await;
        assert_eq!(mode(&file(&home)), 0o600);
        assert_eq!(names(&home), [".credentials.json", "mcp-oauth-locks"]);
    }

    #[tokio::test]
    async fn what_others_keep_in_the_file_stays_byte_for_byte() {
        let (root, store) = home();
        fs::write(file(root.path()), OTHERS).unwrap();
        put(&store, &key("a"), None, Some(&record("a"))).await;
        assert_others_untouched(root.path());
        put(&store, &key("a"), Some(&record("a")), Some(&record("b"))).await;
        assert_others_untouched(root.path());
        put(&store, &key("a"), Some(&record("b")), None).await;
        assert_others_untouched(root.path());
        assert_eq!(entries(root.path()).len(), 3);
    }

    async fn fails_in_every_way(store: &FileStore, trouble: CredentialStoreTrouble) {
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
    async fn a_corrupt_file_is_reported_and_kept() {
        let damaged =
            |value: &str| format!("{{\"{}\":{value}}}", key("server").as_str()).into_bytes();
        let mut too_large = b"{\"canary\":\"".to_vec();
        too_large.resize(16 * 1024 * 1024, b'x');
        too_large.extend(b"\"}");
        for content in [
            b"".to_vec(),
            b"canary".to_vec(),
            b"[\"canary\"]".to_vec(),
            b"{\"canary\":{\"access_token\":\"canary".to_vec(),
            b"{\"a\":1} canary".to_vec(),
            b"{\"a\":\"\xff canary\"}".to_vec(),
            damaged("\"canary\""),
            damaged("{\"refresh_token\":[\"canary\"]}"),
            too_large,
        ] {
            let (root, store) = home();
            fs::write(file(root.path()), &content).unwrap();
            let before = fs::metadata(file(root.path())).unwrap();
            fails_in_every_way(&store, CredentialStoreTrouble::Corrupt).await;
            assert!(fs::read(file(root.path())).unwrap() == content);
            let after = fs::metadata(file(root.path())).unwrap();
            assert_eq!(
                (before.ino(), before.mtime_nsec()),
                (after.ino(), after.mtime_nsec())
            );
            assert_eq!(names(root.path()), [".credentials.json", "mcp-oauth-locks"]);
        }
    }

    #[tokio::test]
    async fn what_is_no_regular_file_is_refused() {
        let (elsewhere, _) = home();
        let target = elsewhere.path().join("target");
        fs::write(&target, "{}").unwrap();
        for kind in ["a link", "a dangling link", "a folder", "a pipe"] {
            let (root, store) = home();
            let path = file(root.path());
            match kind {
                "a link" => symlink(&target, &path).unwrap(),
                "a dangling link" => symlink(elsewhere.path().join("nothing"), &path).unwrap(),
                "a folder" => fs::create_dir(&path).unwrap(),
                _ => assert!(
                    Command::new("mkfifo")
                        .arg(&path)
                        .status()
                        .unwrap()
                        .success()
                ),
            }
            within(fails_in_every_way(
                &store,
                CredentialStoreTrouble::Unreadable,
            ))
            .await;
            let still = fs::symlink_metadata(path).unwrap();
            assert!(!still.is_file(), "{kind} was replaced");
        }
        assert_eq!(fs::read_to_string(&target).unwrap(), "{}");
        assert_eq!(names(elsewhere.path()), ["target"]);
    }

    #[tokio::test]
    async fn links_among_the_locks_are_refused() {
        let (elsewhere, _) = home();
        for dangling in [false, true] {
            let target = elsewhere.path().join(if dangling { "nothing" } else { "" });
            // The folder, and one of the files.
            for link_of in [lock_folder as fn(&Path) -> PathBuf, file_lock] {
                let (root, store) = home();
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
                assert!(!file(root.path()).exists());
            }
        }
        assert!(names(elsewhere.path()).is_empty());
    }

    #[tokio::test]
    async fn the_folder_itself_may_be_a_link() {
        let (root, _) = home();
        let (real, link) = (root.path().join("real"), root.path().join("link"));
        fs::create_dir(&real).unwrap();
        symlink(&real, &link).unwrap();
        let store = FileStore::new(&link);
        put(&store, &key("a"), None, Some(&record("a"))).await;
        assert!(file(&real).is_file() && lock_folder(&real).is_dir());
    }

    #[test]
    fn a_folder_that_cannot_be_written() {
        if let Some((_, home)) = role() {
            return in_a_folder_that_cannot_be_written(&home);
        }
        let root = tempfile::tempdir().unwrap();
        let content = format!("{{\"{}\":{{\"access_token\":\"t\"}}}}", key("a").as_str());
        // With the folder of the locks in it and without it.
        for locks in [true, false] {
            let home = root.path().join(locks.to_string());
            fs::create_dir(&home).unwrap();
            fs::write(file(&home), &content).unwrap();
            set_mode(&file(&home), 0o644);
            if locks {
                fs::create_dir(lock_folder(&home)).unwrap();
                set_mode(&lock_folder(&home), 0o777);
            }
            set_mode(&home, 0o555);
            if self::root() {
                // For root every folder can be written.
                set_mode(root.path(), 0o755);
                let program = root.path().join("program");
                fs::copy(myself(), &program).unwrap();
                let mut command = in_role(program, "a_folder_that_cannot_be_written", "try", &home);
                match command.uid(NOBODY).gid(NOBODY).output() {
                    Err(error) => {
                        eprintln!("not tested as another user: no process of theirs: {error}");
                        return;
                    }
                    Ok(output) => assert_played(&output),
                }
            } else {
                in_a_folder_that_cannot_be_written(&home);
            }
            assert_eq!(fs::read_to_string(file(&home)).unwrap(), content);
            assert_eq!(names(&home).len(), 1 + usize::from(locks));
            set_mode(&home, 0o755);
        }
    }

    #[tokio::main]
    async fn in_a_folder_that_cannot_be_written(home: &Path) {
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
        say(PLAYED);
    }

    #[tokio::test]
    async fn what_root_writes_belongs_to_whom_the_file_or_folder_belongs() {
        if !root() {
            eprintln!("not tested: only root can give files away");
            return;
        }
        use std::os::unix::fs::chown;
        let (root, store) = home();
        chown(root.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        put(&store, &key("a"), None, Some(&record("a"))).await;
        drop(store.lock(&key("a")).await.unwrap());
        let owner = |path: &Path| fs::metadata(path).unwrap().uid();
        for path in [
            file(root.path()),
            lock_folder(root.path()),
            file_lock(root.path()),
        ] {
            assert_eq!(owner(&path), NOBODY, "{}", path.display());
        }
        // What was there before is not given away.
        chown(file_lock(root.path()), Some(0), Some(0)).unwrap();
        chown(file(root.path()), Some(1), Some(1)).unwrap();
        put(&store, &key("a"), Some(&record("a")), Some(&record("b"))).await;
        assert_eq!(owner(&file_lock(root.path())), 0);
        assert_eq!(owner(&file(root.path())), 1);
        assert_eq!(mode(&file(root.path())), 0o600);
    }

    #[test]
    fn a_full_disk() {
        if let Some((role, home)) = role() {
            return on_a_full_disk(&role, &home);
        }
        // In blocks of 512 bytes or 1 KB, as the shell counts: nothing at all; or the file, but not one that has grown.
        for (role, blocks) in [("nothing", "0"), ("no more", "8")] {
            let (root, _) = home();
            fs::write(file(root.path()), OTHERS).unwrap();
            let script = "trap '' XFSZ; ulimit -f \"$0\"; exec \"$@\"";
            let child = in_role(myself(), "a_full_disk", role, root.path());
            let mut command = Command::new("sh");
            command
                .args(["-c", script, blocks])
                .arg(child.get_program())
                .args(child.get_args())
                .env(ROLE, role)
                .env(HOME, root.path());
            assert_played(&command.output().unwrap());
            assert_eq!(fs::read_to_string(file(root.path())).unwrap(), OTHERS);
            assert_eq!(names(root.path()), [".credentials.json", "mcp-oauth-locks"]);
        }
    }

    #[tokio::main]
    async fn on_a_full_disk(role: &str, home: &Path) {
        let store = FileStore::new(home);
        let mut errors = vec![store.prove_writable(&key("a")).await];
        let mut large = numbered(1);
        if role == "no more" {
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
        // It is as good as ever for reading, and the lock is free.
        assert_eq!(stored(&store, &key("a")).await, None);
        drop(within(store.lock(&key("a"))).await.unwrap());
        say(PLAYED);
    }

    #[tokio::main]
    async fn hold_the_lock_until_told(home: &Path) {
        let store = FileStore::new(home);
        let guard = store.lock(&key("a")).await.unwrap();
        say("held");
        until_told();
        drop(guard);
        say("released");
        until_told();
    }

    #[tokio::test]
    async fn a_lock_is_held_by_a_living_process_and_not_by_a_dead_one() {
        let test = "a_lock_is_held_by_a_living_process_and_not_by_a_dead_one";
        if let Some((_, home)) = role() {
            let held = tokio::task::spawn_blocking(move || hold_the_lock_until_told(&home));
            return held.await.unwrap();
        }
        let (root, store) = home();
        let start = || {
            let mut holder = Running::start(&mut in_role(myself(), test, "hold", root.path()));
            holder.says("held");
            holder
        };
        let mut holder = start();
        waits(store.lock(&key("a"))).await;
        drop(within(store.lock(&key("b"))).await.unwrap());
        holder.tell();
        holder.says("released");
        drop(within(store.lock(&key("a"))).await.unwrap());
        drop(holder);

        let mut holder = start();
        waits(store.lock(&key("a"))).await;
        let killed = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            holder.kill();
            Instant::now()
        };
        let key = key("a");
        let (guard, killed) = tokio::join!(within(store.lock(&key)), killed);
        assert!(guard.is_ok());
        let took = killed.elapsed();
        assert!(took < Duration::from_secs(5), "{took:?}");
    }

    /// Codex's own locks, taken by a program that is not this one: Python's `flock`, with the paths worked out anew.
    const PYTHON: &str = r"
import fcntl, hashlib, os, sys
home, what, lock = sys.argv[1:]
name = 'file-store' if lock == 'file' else hashlib.sha256(lock.encode()).hexdigest()
folder = os.path.join(home, 'mcp-oauth-locks')
os.makedirs(folder, exist_ok=True)
file = open(os.path.join(folder, name + '.lock'), 'a+')
if what == 'hold':
    fcntl.flock(file, fcntl.LOCK_EX)
    print('held', flush=True)
    sys.stdin.readline()
else:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        print('free', flush=True)
    except BlockingIOError:
        print('busy', flush=True)
";

    #[tokio::test]
    async fn the_locks_are_those_of_codex() {
        let python = |home: &Path, what: &str, lock: &str| {
            let mut command = Command::new("python3");
            command.args(["-c", PYTHON]).arg(home).args([what, lock]);
            command
        };
        let (root, store) = home();
        let home = root.path();
        // The name, by hand: printf '%s' 'linear|638130d5ab3558f4' | sha256sum.
        let linear = CredentialKey::new("linear", "https://mcp.linear.app/mcp");
        drop(store.lock(&linear).await.unwrap());
        assert_eq!(names(&lock_folder(home)), [LINEAR_LOCK]);

        if Command::new("python3").arg("-V").output().is_err() {
            eprintln!("not tested with another program's locks: no python3");
            return;
        }
        let asked = |lock: &str| {
            let output = python(home, "try", lock).output().unwrap();
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        };
        let key = key("größe|\"x\"");

        let mut other = Running::start(&mut python(home, "hold", key.as_str()));
        other.says("held");
        waits(store.lock(&key)).await;
        put(&store, &key, None, Some(&record("one"))).await;
        drop(other);
        let guard = within(store.lock(&key)).await.unwrap();
        assert_eq!(asked(key.as_str()), "busy");
        assert_eq!(asked("file"), "free");
        drop(guard);
        assert_eq!(asked(key.as_str()), "free");

        // The file's: what the other program changes while it holds it is there when we have it.
        let mut other = Running::start(&mut python(home, "hold", "file"));
        other.says("held");
        assert_eq!(stored(&store, &key).await, Some(record("one")));
        waits(store.prove_writable(&key)).await;
        let (one, two) = (record("one"), record("two"));
        // One that is dropped while it waits never comes to pass.
        waits(store.replace(&key, Some(&one), Some(&record("dropped")))).await;
        let change = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let found = fs::read_to_string(file(home)).unwrap();
            let merged = format!("{},{}", OTHERS.trim_end_matches('}'), &found[1..]);
            fs::write(file(home), merged).unwrap();
            other.tell();
            // The lock is gone with the process.
            other.child.wait().unwrap();
        };
        let (replaced, ()) =
            tokio::join!(within(store.replace(&key, Some(&one), Some(&two))), change);
        assert_eq!(replaced.unwrap(), Replaced::Stored);
        assert_others_untouched(home);
        assert_eq!(stored(&store, &key).await, Some(two));
    }

    const LINEAR_LOCK: &str =
        "7da894130f5d98d340ddf20c57d17d84caacc5114af0db52f26276587e786fd9.lock";

    #[tokio::test]
    async fn a_cleared_lock_folder_is_made_anew() {
        let (root, store) = home();
        drop(store.lock(&key("a")).await.unwrap());
        fs::remove_dir_all(lock_folder(root.path())).unwrap();
        drop(store.lock(&key("a")).await.unwrap());
        put(&store, &key("a"), None, Some(&record("a"))).await;
    }

    #[test]
    fn waiting_for_a_lock_does_not_hold_up_the_end_of_a_runtime() {
        let (root, store) = home();
        let runtime = || {
            tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()
        };
        let (holding, waiting) = (runtime().unwrap(), runtime().unwrap());
        let guard = holding.block_on(store.lock(&key("a"))).unwrap();
        for _ in 0..4 {
            let store = FileStore::new(root.path());
            waiting.spawn(async move { store.lock(&key("a")).await.map(drop) });
        }
        std::thread::sleep(Duration::from_millis(100));
        let started = Instant::now();
        drop(waiting);
        assert!(started.elapsed() < Duration::from_secs(5));
        drop(guard);
        drop(holding.block_on(within(store.lock(&key("a")))).unwrap());
    }

    #[test]
    fn sixteen_processes_lose_nothing() {
        const PROCESSES: i64 = 16;
        if let Some((role, home)) = role() {
            return count_up(&role, &home);
        }
        let (root, store) = home();
        fs::write(file(root.path()), OTHERS).unwrap();
        let test = "sixteen_processes_lose_nothing";
        let mut processes: Vec<Running> = (0..PROCESSES)
            .map(|n| Running::start(&mut in_role(myself(), test, &n.to_string(), root.path())))
            .collect();
        for process in &mut processes {
            process.says("ready");
        }
        for process in &mut processes {
            process.tell();
        }
        processes.into_iter().for_each(Running::ends_well);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(async {
            for n in 0..PROCESSES {
                let own = stored(&store, &key(&format!("own-{n}"))).await;
                assert_eq!(own, Some(numbered(OWN)));
            }
            let shared = number(stored(&store, &key("shared")).await.as_ref());
            assert_eq!(shared, PROCESSES * SHARED);
            let locked = number(stored(&store, &key("locked")).await.as_ref());
            assert_eq!(locked, PROCESSES * LOCKED);
        });
        assert_others_untouched(root.path());
        assert_eq!(names(root.path()), [".credentials.json", "mcp-oauth-locks"]);
    }

    const OWN: i64 = 10;
    const SHARED: i64 = 3;
    const LOCKED: i64 = 3;

    #[tokio::main]
    async fn count_up(role: &str, home: &Path) {
        let store = FileStore::new(home);
        let own = key(&format!("own-{role}"));
        say("ready");
        until_told();
        for n in 0..OWN {
            let before = stored(&store, &own).await;
            assert_eq!(number(before.as_ref()), n);
            put(&store, &own, before.as_ref(), Some(&numbered(n + 1))).await;
        }
        // One record for all, without its lock: who meets a conflict counts on from what is there.
        let shared = key("shared");
        for _ in 0..SHARED {
            let mut before = stored(&store, &shared).await;
            loop {
                let next = numbered(number(before.as_ref()) + 1);
                let replaced = store.replace(&shared, before.as_ref(), Some(&next));
                match within(replaced).await.unwrap() {
                    Replaced::Stored => break,
                    Replaced::Conflict(newer) => before = newer,
                }
            }
        }
        // And with it, where there is no conflict.
        for _ in 0..LOCKED {
            let _guard = within(store.lock(&key("locked"))).await.unwrap();
            let before = stored(&store, &key("locked")).await;
            let next = numbered(number(before.as_ref()) + 1);
            put(&store, &key("locked"), before.as_ref(), Some(&next)).await;
        }
    }

    #[test]
    fn a_writer_that_is_killed_leaves_the_file_whole() {
        let test = "a_writer_that_is_killed_leaves_the_file_whole";
        if let Some((_, home)) = role() {
            return write_for_ever(&home);
        }
        let kills = std::env::var(KILLS).map_or(50, |kills| kills.parse().unwrap());
        let (root, store) = home();
        fs::write(file(root.path()), OTHERS).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let (mut in_the_middle, mut writes) = (0, 0);
        for _ in 0..kills {
            let mut writer = Running::start(&mut in_role(myself(), test, "write", root.path()));
            writer.says("ready");
            let micros = u64::from(random()) % 30_000;
            std::thread::sleep(Duration::from_micros(micros));
            writer.kill();
            let said = writer.lines.by_ref().map_while(Result::ok).last();
            let said: Option<i64> = said.map(|said| said.parse().unwrap());

            assert_others_untouched(root.path());
            in_the_middle += usize::from(names(root.path()).len() > 2);
            runtime.block_on(async {
                let found = stored(&store, &key("a")).await;
                let n = number(found.as_ref());
                assert_eq!(found, (n > 0).then(|| numbered(n)), "not whole");
                if let Some(said) = said {
                    assert!((said..=said + 1).contains(&n), "{n} after it said {said}");
                    writes += said;
                }
                drop(within(store.lock(&key("a"))).await.unwrap());
                put(&store, &key("a"), found.as_ref(), None).await;
            });
            assert_eq!(names(root.path()), [".credentials.json", "mcp-oauth-locks"]);
        }
        eprintln!(
            "{kills} kills among {writes} writes, {in_the_middle} with a temporary file there"
        );
        assert!(writes > 0);
    }

    #[tokio::main]
    async fn write_for_ever(home: &Path) {
        let store = FileStore::new(home);
        let mut before = stored(&store, &key("a")).await;
        say("ready");
        for n in 1.. {
            let _guard = store.lock(&key("a")).await.unwrap();
            let next = numbered(n);
            put(&store, &key("a"), before.as_ref(), Some(&next)).await;
            say(&n.to_string());
            before = Some(next);
        }
    }

    fn random() -> u32 {
        use std::hash::{BuildHasher, Hasher};
        // Every one of them has keys of its own.
        let hasher = std::collections::hash_map::RandomState::new().build_hasher();
        (hasher.finish() >> 32) as u32
    }
}
