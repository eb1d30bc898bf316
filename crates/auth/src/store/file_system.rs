//! The operating system below the stores: files opened without following symbolic links, locks that end with their process,
//! file owners, and durable renames. It does not know records.

use std::path::Path;

use mcp_startup_core::file_kind;

#[cfg(not(unix))]
pub use other::*;
#[cfg(unix)]
pub use unix::*;

/// The kind of the file at `path`, unless it is a regular file. A symbolic link is not followed.
pub fn irregular_kind(path: &Path) -> Option<&'static str> {
    let file_type = path.symlink_metadata().ok()?.file_type();
    (!file_type.is_file()).then(|| file_kind(file_type))
}

#[cfg(unix)]
mod unix {
    use std::fs::{File, Metadata, OpenOptions};
    use std::io;
    use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
    use std::path::Path;

    use rustix::fs::{FlockOperation, Mode, OFlags, flock};
    use rustix::io::Errno;
    use tempfile::NamedTempFile;

    /// Opens the file at `path`. Fails if it is a symbolic link, and does not block if it is a pipe.
    pub fn open_no_link(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        options.custom_flags(flags.bits().cast_signed()).open(path)
    }

    /// Opens a lock file, and creates it if it does not exist. Returns whether it was created. The folder must exist.
    pub fn open_lock(folder: &Path, name: &str) -> io::Result<(File, bool)> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = rustix::fs::open(folder, flags, Mode::empty())?;
        let open = |more: OFlags| {
            let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            rustix::fs::openat(&folder, name, flags | more, Mode::RUSR | Mode::WUSR)
        };
        match open(OFlags::CREATE | OFlags::EXCL) {
            Ok(file) => Ok((file.into(), true)),
            Err(Errno::EXIST) => Ok((open(OFlags::empty())?.into(), false)),
            Err(error) => Err(error.into()),
        }
    }

    pub fn try_lock(file: &File) -> io::Result<bool> {
        loop {
            match flock(file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(true),
                Err(Errno::WOULDBLOCK) => return Ok(false),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    pub fn unlock(file: &File) {
        if let Err(error) = flock(file, FlockOperation::Unlock) {
            tracing::debug!(%error, "can't release a lock; closing its file releases it");
        }
    }

    /// Changes the owner of `file` to the owner in `like`.
    pub fn give_to_owner(file: &File, like: &Metadata) -> io::Result<()> {
        if file.metadata()?.uid() == like.uid() {
            return Ok(());
        }
        std::os::unix::fs::fchown(file, Some(like.uid()), Some(like.gid()))
    }

    /// Renames the file, which replaces the one at `path`. Deletes it if that fails.
    pub fn replace(temporary: NamedTempFile, path: &Path) -> io::Result<()> {
        temporary.persist(path).map(drop).map_err(Into::into)
    }

    /// Makes a rename in `folder` durable, so that a power failure can't undo it.
    pub fn sync_folder(folder: &Path) -> io::Result<()> {
        match File::open(folder)?.sync_all() {
            // The file system can't sync a folder.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
            synced => synced,
        }
    }
}

#[cfg(not(unix))]
mod other {
    use std::fs::{self, File, Metadata, OpenOptions};
    use std::io;
    use std::path::Path;
    use std::time::{Duration, Instant};

    use fs4::{FileExt, TryLockError};
    use tempfile::NamedTempFile;

    /// How long another program can have the file open before its replacement fails.
    const REPLACE_LIMIT: Duration = Duration::from_secs(2);
    /// The pause before the next attempt.
    const REPLACE_PAUSE: Duration = Duration::from_millis(10);

    /// Opens the file at `path`. For a symbolic link, it opens the link itself, which is not a regular file.
    pub fn open_no_link(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
        #[cfg(windows)]
        {
            use std::os::windows::fs::OpenOptionsExt;

            const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;
            options.custom_flags(FILE_FLAG_OPEN_REPARSE_POINT);
        }
        match options.open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && leads_through_a_file(path) => {
                Err(io::ErrorKind::NotADirectory.into())
            }
            opened => opened,
        }
    }

    /// Windows does not distinguish such a path from one that does not exist.
    fn leads_through_a_file(path: &Path) -> bool {
        let mut above = path.ancestors().skip(1);
        let existing = above.find_map(|folder| folder.metadata().ok());
        existing.is_some_and(|existing| !existing.is_dir())
    }

    /// Opens a lock file, and creates it if it does not exist. Returns whether it was created. The folder must exist.
    pub fn open_lock(folder: &Path, name: &str) -> io::Result<(File, bool)> {
        if !folder.symlink_metadata()?.is_dir() {
            return Err(io::Error::other("its parent is not a folder"));
        }
        let path = folder.join(name);
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        match open_no_link(options.clone().create_new(true), &path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            opened => return Ok((opened?, true)),
        }
        let file = open_no_link(&mut options, &path)?;
        match file.metadata()?.is_file() {
            true => Ok((file, false)),
            false => Err(io::Error::other("it is not a regular file")),
        }
    }

    pub fn try_lock(file: &File) -> io::Result<bool> {
        match FileExt::try_lock(file) {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    pub fn unlock(file: &File) {
        if let Err(error) = FileExt::unlock(file) {
            tracing::debug!(%error, "can't release a lock; closing its file releases it");
        }
    }

    /// Does nothing: a new file inherits its permissions from its folder.
    pub fn give_to_owner(_file: &File, _like: &Metadata) -> io::Result<()> {
        Ok(())
    }

    /// Renames the file, which replaces the one at `path`. Deletes it if that fails.
    ///
    /// Windows refuses to replace a file that a program has open, such as a virus scanner or another reader of the store. They close
    /// it after a moment, so this tries again.
    pub fn replace(temporary: NamedTempFile, path: &Path) -> io::Result<()> {
        // Closes the file. A rename of the standard library succeeds in more cases than `persist`.
        let written = temporary.into_temp_path().keep()?;
        let began = Instant::now();
        loop {
            match fs::rename(&written, path) {
                Err(error) if is_open_elsewhere(&error) && began.elapsed() < REPLACE_LIMIT => {
                    std::thread::sleep(REPLACE_PAUSE);
                }
                Err(error) => {
                    if let Err(error) = fs::remove_file(&written) {
                        tracing::debug!(%error, "can't delete a temporary file; the next change deletes it");
                    }
                    return Err(error);
                }
                Ok(()) => return Ok(()),
            }
        }
    }

    /// Returns whether the error can mean that a program has the file open.
    fn is_open_elsewhere(error: &io::Error) -> bool {
        const ERROR_ACCESS_DENIED: i32 = 5;
        const ERROR_SHARING_VIOLATION: i32 = 32;
        let codes = [ERROR_ACCESS_DENIED, ERROR_SHARING_VIOLATION];
        cfg!(windows)
            && error
                .raw_os_error()
                .is_some_and(|code| codes.contains(&code))
    }

    /// Does nothing: the system can't sync a folder.
    pub fn sync_folder(_folder: &Path) -> io::Result<()> {
        Ok(())
    }
}
