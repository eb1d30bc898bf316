//! The words for the kind of a file.

use std::fs::FileType;

/// Returns the kind of a file, for a message about one that must be a regular file.
///
/// ```
/// let folder = std::env::temp_dir().metadata()?;
/// assert_eq!(mcp_startup_core::file_kind(folder.file_type()), "a folder");
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn file_kind(file_type: FileType) -> &'static str {
    if file_type.is_file() {
        return "a regular file";
    }
    if file_type.is_dir() {
        return "a folder";
    }
    if file_type.is_symlink() {
        return "a symbolic link";
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;

        if file_type.is_fifo() {
            return "a named pipe (FIFO)";
        }
        if file_type.is_socket() {
            return "a socket";
        }
        if file_type.is_char_device() || file_type.is_block_device() {
            return "a device";
        }
    }
    "not a regular file"
}
