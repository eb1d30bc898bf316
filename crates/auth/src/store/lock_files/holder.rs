//! The process that holds a lock, as Linux reports it in `/proc/locks`.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;

use rustix::fs::{major, minor};

/// The ID of the process that holds the `flock` of the file with this metadata. Some file systems report another device in
/// `/proc/locks`, and a process in another container has no ID here: the result is then `None`.
pub fn holder(file: &Metadata) -> Option<u32> {
    let device = file.dev();
    let name = format!("{:02x}:{:02x}:{}", major(device), minor(device), file.ino());
    holder_in(&fs::read_to_string("/proc/locks").ok()?, &name)
}

/// Finds the holder in the text of `/proc/locks`. `file` is `MAJOR:MINOR:INODE`, the first two as hexadecimal numbers.
fn holder_in(locks: &str, file: &str) -> Option<u32> {
    locks.lines().find_map(|line| {
        // A line of a process that waits for the lock has `->` as its second field.
        let fields: Vec<&str> = line.split_whitespace().collect();
        match fields[..] {
            [_, "FLOCK", _, _, process, of, ..] if of == file => process.parse().ok(),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_is_found_by_the_device_and_the_inode_and_a_waiting_process_is_not_it() {
        const LOCKS: &str = "\
1: POSIX  ADVISORY  WRITE 100 fd:00:1311 0 EOF
2: -> FLOCK  ADVISORY  WRITE 101 fd:00:1311 0 EOF
3: FLOCK  ADVISORY  WRITE 102 fd:01:1311 0 EOF
4: FLOCK  ADVISORY  WRITE 103 fd:00:13 0 EOF
5: FLOCK  ADVISORY  WRITE 4711 fd:00:1311 0 EOF
5: -> FLOCK  ADVISORY  WRITE 104 fd:00:1311 0 EOF
6: OFDLCK ADVISORY  READ -1 00:05:9 0 EOF
7: FLOCK  ADVISORY  WRITE -1 00:05:9 0 EOF
8: FLOCK
";
        assert_eq!(holder_in(LOCKS, "fd:00:1311"), Some(4711));
        for file in ["fd:00:1312", "00:05:9", "", "0:1311"] {
            assert_eq!(holder_in(LOCKS, file), None, "{file}");
        }
    }
}
