//! Entering Python from threads of the runtime, for as long as it does not end.
//!
//! A thread that waits for the GIL when the interpreter begins to end is cut short by it, with Rust on its stack: a crash. Python can't
//! be asked in time; so the threads that are inside are counted, and the interpreter waits for them before it ends.

use std::process;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use pyo3::prelude::*;

static INSIDE: AtomicUsize = AtomicUsize::new(0);
static ENDING: AtomicBool = AtomicBool::new(false);
/// The process whose threads are counted: a fork has the number, and none of the threads.
static PROCESS: AtomicU32 = AtomicU32::new(0);

struct Inside;

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.fetch_sub(1, SeqCst);
    }
}

/// Does the work with the GIL; where Python is ending, not.
pub fn attach<T>(work: impl FnOnce(Python<'_>) -> T) -> Option<T> {
    PROCESS.store(process::id(), SeqCst);
    INSIDE.fetch_add(1, SeqCst);
    let _inside = Inside;
    match is_ending() {
        true => None,
        false => Python::try_attach(work),
    }
}

/// Whether nobody enters any more.
pub fn is_ending() -> bool {
    ENDING.load(SeqCst)
}

/// Lets nobody in any more, and waits until all are out: a matter of moments, with the GIL free.
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
