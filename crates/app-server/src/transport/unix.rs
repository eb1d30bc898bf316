//! The Unix socket, in a folder that only the user can use.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mcp_startup_core::{io_problem, shell_word};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use tokio::net::UnixListener;

use super::websocket;
use crate::app_server::AppServer;

/// How long to wait while another process creates or removes a socket in the same folder.
const LOCK_LIMIT: Duration = Duration::from_secs(2);
const LOCK_RETRY_DELAY: Duration = Duration::from_millis(5);

/// A Unix socket with the mode 0600, in a folder with the mode 0700. Clients speak WebSocket over it, as over Codex's. The file is
/// removed when this is dropped.
#[derive(Debug)]
pub struct UnixSocket {
    /// `None` after it was passed on.
    listener: Option<UnixListener>,
    path: PathBuf,
    /// The device and the number of the file. Another program may have replaced it.
    file: (u64, u64),
}

impl UnixSocket {
    /// Creates the socket, and its folder if there is none. A socket that no process listens on is replaced.
    ///
    /// # Errors
    ///
    /// Returns an error if the folder belongs to another user or others can use it, if a process listens on the socket, or if the
    /// path is another file.
    pub fn bind(path: &Path) -> Result<Self> {
        let folder = path.parent().filter(|folder| folder.is_absolute());
        let folder = folder.ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidInput,
                "the path of the socket must be absolute",
            )
        })?;
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|error| {
                named(
                    &error,
                    format!("the folder {} can't be created", folder.display()),
                )
            })?;
        check_folder(folder)?;
        let _lock = lock(folder)?;
        remove_unused(path)?;
        let listener = UnixListener::bind(path).map_err(|error| match error.kind() {
            // The only one that std itself reports: sockaddr_un(7) has room for about 100 bytes.
            ErrorKind::InvalidInput => {
                let length = path.as_os_str().len();
                let message = format!(
                    "the path of the socket is too long ({length} bytes): choose a shorter one"
                );
                Error::new(ErrorKind::InvalidInput, message)
            }
            _ => named(&error, format!("can't listen on {}", path.display())),
        })?;
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
        let metadata = fs::symlink_metadata(path)?;
        Ok(Self {
            listener: Some(listener),
            path: path.to_owned(),
            file: (metadata.dev(), metadata.ino()),
        })
    }

    /// Serves clients until the app-server ends. They need no token.
    ///
    /// # Errors
    ///
    /// Returns the error of the listener.
    pub async fn serve(mut self, app: &AppServer) -> Result<()> {
        match self.listener.take() {
            Some(listener) => websocket::serve_private(app, listener).await,
            None => Ok(()),
        }
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        let Some(Ok(_lock)) = self.path.parent().map(lock) else {
            // The next app-server replaces the socket.
            return;
        };
        let found = fs::symlink_metadata(&self.path);
        if found.is_ok_and(|found| (found.dev(), found.ino()) == self.file) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Locks the folder until the returned file is dropped, so that of two processes that find an unused socket only one replaces it. The
/// folder itself has the lock: a file for it could not be removed safely.
fn lock(folder: &Path) -> Result<File> {
    let file = File::open(folder)?;
    let deadline = Instant::now() + LOCK_LIMIT;
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            // NFS locks only what is open for writing (flock(2)), which a folder never is. There, no process has the lock.
            Err(Errno::BADF | Errno::NOLCK | Errno::OPNOTSUPP) => return Ok(file),
            Err(Errno::WOULDBLOCK | Errno::INTR) if Instant::now() < deadline => {
                std::thread::sleep(LOCK_RETRY_DELAY);
            }
            Err(Errno::WOULDBLOCK | Errno::INTR) => {
                let message = format!("another process has locked the folder {}", folder.display());
                return Err(Error::new(ErrorKind::WouldBlock, message));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// The error, with what failed before the words of the system, which have no path.
fn named(error: &Error, what: String) -> Error {
    Error::new(error.kind(), format!("{what}: {}", io_problem(error)))
}

fn check_folder(folder: &Path) -> Result<()> {
    let metadata = fs::metadata(folder)?;
    let mode = metadata.mode() & 0o777;
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        let message = format!("the folder {} belongs to another user", folder.display());
        return Err(Error::new(ErrorKind::PermissionDenied, message));
    }
    if mode & 0o077 != 0 {
        let remedy = match metadata.mode() & 0o1000 {
            0 => {
                let word = shell_word(&folder.to_string_lossy());
                format!("choose another one, or run `chmod 700 {word}`")
            }
            // All users share a folder with the sticky bit, such as /tmp.
            _ => "choose one of your own".to_owned(),
        };
        let message = format!(
            "other users can use the folder {} (its mode is {mode:o}): {remedy}",
            folder.display()
        );
        return Err(Error::new(ErrorKind::PermissionDenied, message));
    }
    Ok(())
}

/// Removes a socket that no process listens on.
fn remove_unused(path: &Path) -> Result<()> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let shown = path.display();
    if !metadata.file_type().is_socket() {
        let message = format!("{shown} exists and is not a socket: choose another path");
        return Err(Error::new(ErrorKind::AlreadyExists, message));
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path),
        _ => {
            let message = format!("another process listens on {shown}: choose another path");
            Err(Error::new(ErrorKind::AddrInUse, message))
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::{Arc, Barrier};

    use super::*;

    #[tokio::test]
    async fn the_socket_and_its_folder_are_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/socket");
        let socket = UnixSocket::bind(&path).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));

        let kind = |path: &Path| UnixSocket::bind(path).unwrap_err().kind();
        assert_eq!(kind(&path), ErrorKind::AddrInUse, "a process listens");
        drop(socket);
        assert!(!path.exists());
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        drop(UnixSocket::bind(&path).unwrap());

        let locked = lock(path.parent().unwrap()).unwrap();
        assert_eq!(kind(&path), ErrorKind::WouldBlock);
        drop(locked);

        // A socket that another program has put there stays.
        let socket = UnixSocket::bind(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let other = std::os::unix::net::UnixListener::bind(&path).unwrap();
        drop(socket);
        assert!(path.exists());
        drop(other);
        fs::remove_file(&path).unwrap();

        let file = path.with_file_name("file");
        fs::write(&file, "text").unwrap();
        assert_eq!(kind(&file), ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&file).unwrap(), "text");
        assert_eq!(kind(Path::new("relative/socket")), ErrorKind::InvalidInput);

        let message = |path: &Path| UnixSocket::bind(path).unwrap_err().to_string();
        let long = path.with_file_name("x".repeat(200));
        assert!(message(&long).contains("too long"), "{}", message(&long));
        // The message of the system has no path.
        let below_file = file.join("socket");
        let folder = format!("the folder {} can't be created: ", file.display());
        let message_below_file = message(&below_file);
        assert!(
            message_below_file.starts_with(&folder),
            "{message_below_file}"
        );

        let command = format!(", or run `chmod 700 {}`", path.parent().unwrap().display());
        for (mode, remedy) in [
            (0o750, command.as_str()),
            (0o1777, "choose one of your own"),
        ] {
            fs::set_permissions(path.parent().unwrap(), Permissions::from_mode(mode)).unwrap();
            assert_eq!(kind(&path), ErrorKind::PermissionDenied);
            assert!(message(&path).ends_with(remedy), "{}", message(&path));
        }
    }

    #[tokio::test]
    async fn one_of_many_processes_replaces_an_unused_socket() {
        for _ in 0..200 {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("socket");
            fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).unwrap();
            drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
            let together = Arc::new(Barrier::new(4));
            // Each file has a lock of its own, as in a process of its own.
            let bind = || {
                let (path, together) = (path.clone(), together.clone());
                tokio::task::spawn_blocking(move || {
                    together.wait();
                    UnixSocket::bind(&path)
                })
            };
            let bound = futures::future::join_all((0..4).map(|_| bind())).await;
            let bound = bound.into_iter().filter_map(|bound| bound.unwrap().ok());
            let sockets: Vec<_> = bound.collect();
            assert_eq!(sockets.len(), 1);
            std::os::unix::net::UnixStream::connect(&path).unwrap();
        }
    }
}
