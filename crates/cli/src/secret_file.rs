//! Reads a file with a secret that an argument names: a token or keys.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use mcp_startup_core::file_kind;

const MAX_BYTES: usize = 64 * 1024;
/// How long the secret may take to arrive.
const LIMIT: Duration = Duration::from_secs(5);

/// Reads a text of at most 64 KiB. The file can be a pipe, which a shell passes for `<(…)`. If no program writes into it, this ends
/// after 5 s.
pub fn read(path: &Path) -> io::Result<String> {
    let kind = file_kind(std::fs::metadata(path)?.file_type());
    if matches!(kind, "a folder" | "a socket") {
        return Err(io::Error::other(format!("it is {kind}")));
    }
    let (sender, receiver) = mpsc::channel();
    let path = path.to_owned();
    // Opening a pipe blocks until another program has opened it too.
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let limit = MAX_BYTES as u64 + 1;
        let read = File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes));
        let _ = sender.send(read.map(|_| bytes));
    });
    let bytes = receiver.recv_timeout(LIMIT).map_err(|_| {
        let limit = LIMIT.as_secs();
        io::Error::other(format!(
            "it is {kind}, and was not complete after {limit} s"
        ))
    })??;
    if bytes.len() > MAX_BYTES {
        return Err(io::Error::other("it is longer than 64 KiB"));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::other("it is not UTF-8 text"))
}
