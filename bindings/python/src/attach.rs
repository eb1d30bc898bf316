//! Calls Python from threads of the runtime until the interpreter shuts down.
//!
//! If a thread waits for the GIL while the interpreter shuts down, Python terminates the thread with Rust frames on its stack, which
//! crashes. Python offers no way to check for this in time. So this module counts the threads inside Python, and the interpreter waits
//! for them before it shuts down.

use std::process;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use pyo3::prelude::*;

static INSIDE: AtomicUsize = AtomicUsize::new(0);
static ENDING: AtomicBool = AtomicBool::new(false);
/// The process whose threads are counted. A forked child inherits the count, but none of the threads.
static PROCESS: AtomicU32 = AtomicU32::new(0);

struct Inside;

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.fetch_sub(1, SeqCst);
    }
}

/// Runs the work with the GIL. Returns `None`, without running it, if Python is shutting down.
pub fn attach<T>(work: impl FnOnce(Python<'_>) -> T) -> Option<T> {
    PROCESS.store(process::id(), SeqCst);
    INSIDE.fetch_add(1, SeqCst);
    let _inside = Inside;
    match is_ending() {
        true => None,
        false => Python::try_attach(work),
    }
}

/// Whether Python is shutting down, so that no thread may enter it.
pub fn is_ending() -> bool {
    ENDING.load(SeqCst)
}

/// Prevents threads from entering Python, and waits, without the GIL, until every thread has left it.
pub fn end(py: Python<'_>) {
    if PROCESS.load(SeqCst) != process::id() {
        return;
    }
    ENDING.store(true, SeqCst);
    py.detach(|| {
        while INSIDE.load(SeqCst) > 0 {
            thread::sleep(Duration::from_millis(1));
        }
    });
}
