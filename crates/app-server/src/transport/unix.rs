//! The Unix socket, in a folder that only the user can use.

use std::fs::{self, DirBuilder, Permissions};
use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

use super::websocket;
use crate::app_server::AppServer;

/// A Unix socket with the mode 0600, in a folder with the mode 0700. Clients speak WebSocket over it, as over Codex's. The file is
/// removed when this is dropped.
#[derive(Debug)]
pub struct UnixSocket {
    /// `None` after it was passed on.
    listener: Option<UnixListener>,
    path: PathBuf,
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
            .create(folder)?;
        check_folder(folder)?;
        remove_unused(path)?;
        let listener = UnixListener::bind(path)?;
        let socket = Self {
            listener: Some(listener),
            path: path.to_owned(),
        };
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
        Ok(socket)
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
        let _ = fs::remove_file(&self.path);
    }
}

fn check_folder(folder: &Path) -> Result<()> {
    let metadata = fs::metadata(folder)?;
    let mode = metadata.mode() & 0o777;
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        let message = format!("the folder {} belongs to another user", folder.display());
        return Err(Error::new(ErrorKind::PermissionDenied, message));
    }
    if mode & 0o077 != 0 {
        let message = format!(
            "other users can use the folder {} (its mode is {mode:o}): choose another one, or run `chmod 700` on it",
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

        let file = path.with_file_name("file");
        fs::write(&file, "text").unwrap();
        assert_eq!(kind(&file), ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&file).unwrap(), "text");
        assert_eq!(kind(Path::new("relative/socket")), ErrorKind::InvalidInput);

        fs::set_permissions(path.parent().unwrap(), Permissions::from_mode(0o750)).unwrap();
        assert_eq!(kind(&path), ErrorKind::PermissionDenied);
    }
}
