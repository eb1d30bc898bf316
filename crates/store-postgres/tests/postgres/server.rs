//! A PostgreSQL server of the tests' own: on a free port, in a temporary folder, as an unprivileged user.

use std::fs::{self, File};
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mcp_startup_store_postgres::{Keys, PostgresStore};

/// The user `nobody` of Linux. PostgreSQL refuses to run as root.
const NOBODY: u32 = 65534;
/// The password of the role `postgres`. Tests search outputs for it.
pub const PASSWORD: &str = "canary-password";
/// A key with the ID `k1`.
pub const KEY_1: &str = "k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE=";
/// A key with the ID `k2`.
pub const KEY_2: &str = "k2:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAI=";

/// Runs a program and restarts it if it crashes. Ends it and removes its folder when the pipe from the test program closes,
/// however that program ends.
const SUPERVISE: &str = r#"
exec 3<&0
run() {
  trap 'kill -INT $pid 2>/dev/null; wait $pid; exit 0' TERM
  while :; do
    "$@" </dev/null >>"$folder/log" 2>&1 3<&- &
    pid=$!
    wait $pid
    sleep 0.1
  done
}
run "$@" &
loop=$!
cat <&3 >/dev/null
kill -TERM $loop
wait $loop
rm -rf "$folder"
"#;

/// A running server.
pub struct Server {
    pub port: u16,
    /// The folder that holds the data and the log.
    folder: PathBuf,
    bin: PathBuf,
    supervisor: Child,
    _pipe: Option<ChildStdin>,
}

/// A program of PostgreSQL, if it is installed: Debian does not put them on the PATH.
pub fn bin_folder() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut folders: Vec<PathBuf> = versions
        .flatten()
        .map(|version| version.path().join("bin"))
        .collect();
    folders.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    folders.extend(std::env::split_paths(&path));
    folders.into_iter().find(|bin| bin.join("initdb").is_file())
}

/// A command that runs a program as an unprivileged user.
pub fn unprivileged(program: impl AsRef<std::ffi::OsStr>) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    let ids = [format!("--reuid={NOBODY}"), format!("--regid={NOBODY}")];
    command.args(ids).arg("--clear-groups").arg(program);
    command
}

/// A folder below the temporary folder that the unprivileged user owns.
pub fn owned_folder() -> PathBuf {
    let folder = tempfile::Builder::new()
        .prefix("mcp-startup-postgres-")
        .tempdir()
        .unwrap()
        .keep();
    if rustix::process::geteuid().is_root() {
        chown(&folder, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    folder
}

/// A port on which nothing listens.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
}

/// Starts a program under the supervisor, which ends it with this program and then removes `folder`.
pub fn supervised(folder: &Path, command: &Command) -> Child {
    let program = command.get_program().to_owned();
    Command::new("sh")
        .args(["-c", SUPERVISE, "sh"])
        .arg(program)
        .args(command.get_args())
        .env("folder", folder)
        // A signal to the group of the test program must not end the supervisor before it has cleaned up.
        .process_group(0)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits until something listens on the port.
pub fn wait_for_port(port: u16, what: &str) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        assert!(Instant::now() < deadline, "{what} does not start");
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Server {
    /// Starts a server. It logs every statement with its parameters, so that a test can search the log for secrets.
    pub fn start(bin: &Path) -> Self {
        Self::start_with(bin, owned_folder(), &[])
    }

    /// Starts a server with more settings, in this folder.
    pub fn start_with(bin: &Path, folder: PathBuf, more: &[&str]) -> Self {
        let (data, password) = (folder.join("data"), folder.join("password"));
        fs::write(&password, PASSWORD).unwrap();
        fs::set_permissions(&password, fs::Permissions::from_mode(0o644)).unwrap();
        // SCRAM costs each connection up to a second of a program that is not optimized.
        run(unprivileged(bin.join("initdb"))
            .args(["--auth=md5", "--username=postgres", "--no-sync"])
            .args(["--encoding=UTF8", "--locale=C", "--pgdata"])
            .arg(&data)
            .arg(format!("--pwfile={}", password.display())));
        File::create(folder.join("log")).unwrap();
        let port = free_port();
        let settings = [
            "listen_addresses=127.0.0.1".to_owned(),
            format!("port={port}"),
            "unix_socket_directories=".to_owned(),
            "max_connections=300".to_owned(),
            // Only a crash of the operating system needs it, and the disk of a busy machine is slow.
            "fsync=off".to_owned(),
            "log_statement=all".to_owned(),
            "shared_preload_libraries=pg_stat_statements".to_owned(),
        ];
        let mut command = unprivileged(bin.join("postgres"));
        command.arg("-D").arg(&data);
        for setting in settings
            .iter()
            .map(String::as_str)
            .chain(more.iter().copied())
        {
            command.args(["-c", setting]);
        }
        let mut supervisor = supervised(&folder, &command);
        let pipe = supervisor.stdin.take();
        let server = Self {
            port,
            folder,
            bin: bin.to_owned(),
            supervisor,
            _pipe: pipe,
        };
        wait_for_port(port, "PostgreSQL");
        server.wait_until_ready();
        server
    }

    /// A port can be open while the server still refuses connections.
    pub fn wait_until_ready(&self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let mut ready = Command::new(self.bin.join("pg_isready"));
            ready.args(["--host=127.0.0.1", "--quiet", "--port"]);
            if ready.arg(self.port.to_string()).status().unwrap().success() {
                return;
            }
            assert!(Instant::now() < deadline, "PostgreSQL does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The URL of a database on this server.
    pub fn url(&self, database: &str) -> String {
        url(self.port, database)
    }

    fn psql(&self, database: &str, sql: &str) -> Output {
        let mut psql = Command::new(self.bin.join("psql"));
        psql.args([
            "--no-psqlrc",
            "--tuples-only",
            "--no-align",
            "--set=ON_ERROR_STOP=1",
        ]);
        psql.arg(self.url(database))
            .args(["--command", sql])
            .output()
            .unwrap()
    }

    /// Runs SQL with `psql` and returns its output.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        let output = self.psql(database, sql);
        assert!(output.status.success(), "{sql}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Everything that `pg_dump` writes about a database.
    pub fn dump(&self, database: &str) -> Vec<u8> {
        let mut dump = Command::new(self.bin.join("pg_dump"));
        let output = dump.arg(self.url(database)).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        output.stdout
    }

    /// The log of the server.
    pub fn log(&self) -> Vec<u8> {
        fs::read(self.folder.join("log")).unwrap()
    }

    /// Ends the server without a shutdown. It restarts, and recovers as after a crash.
    pub fn crash(&self) {
        let file = fs::read_to_string(self.folder.join("data/postmaster.pid"));
        let pid = file.ok().and_then(|text| text.lines().next()?.parse().ok());
        if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::QUIT);
        }
    }

    /// Ends every connection to a database.
    pub fn cut_connections(&self, database: &str) {
        // It can fail while the server restarts.
        let _ = self.psql(
            "postgres",
            &format!(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = '{database}' and pid <> pg_backend_pid()"
            ),
        );
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self._pipe.take());
        let _ = self.supervisor.wait();
    }
}

/// The URL of a database on this machine.
pub fn url(port: u16, database: &str) -> String {
    format!("postgres://postgres:{PASSWORD}@127.0.0.1:{port}/{database}")
}

/// The server that the tests of this program share. It ends with the program.
pub fn shared() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER
        .get_or_init(|| bin_folder().map(|bin| Server::start(&bin)))
        .as_ref()
}

/// Reports a test that is not run.
pub fn not_run(test: &str, why: &str) {
    let line = format!("postgres {test}: {why}\n");
    eprint!("not run: {line}");
    if let Some(file) = std::env::var_os("MCP_STARTUP_E2E_SKIPPED") {
        let file = File::options().append(true).create(true).open(file);
        file.unwrap().write_all(line.as_bytes()).unwrap();
    }
}

/// A new database on the shared server. If PostgreSQL is not installed, this reports the test as not run and returns
/// `None`.
pub fn new_database(test: &str) -> Option<TestDatabase> {
    let Some(server) = shared() else {
        not_run(
            test,
            "PostgreSQL is not installed (Debian: apt-get install postgresql)",
        );
        return None;
    };
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    server.sql("postgres", &format!("create database {name}"));
    Some(TestDatabase { server, name })
}

/// A database of one test.
pub struct TestDatabase {
    pub server: &'static Server,
    pub name: String,
}

impl TestDatabase {
    pub fn url(&self) -> String {
        self.server.url(&self.name)
    }

    pub fn sql(&self, sql: &str) -> String {
        self.server.sql(&self.name, sql)
    }

    /// Every file of the database, and the write-ahead log of the server.
    pub fn files(&self) -> Vec<PathBuf> {
        let oid = self.sql("select oid from pg_database where datname = current_database()");
        let data = self.server.folder.join("data");
        let folders = [
            data.join("base").join(oid),
            data.join("global"),
            data.join("pg_wal"),
        ];
        let entries = folders
            .iter()
            .flat_map(|folder| fs::read_dir(folder).unwrap());
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.filter(|path| path.is_file()).collect()
    }

    /// A store with these keys. Each one is another host: it shares nothing with the others but the database.
    pub async fn store(&self, keys: &str) -> PostgresStore {
        let keys = Keys::parse(&keys.into()).unwrap();
        let builder = PostgresStore::builder(&self.url()).keys(keys);
        builder.connect().await.unwrap()
    }
}
