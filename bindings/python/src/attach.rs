//! Calls Python from threads of the runtime until the interpreter shuts down.
//!
//! If a thread waits for the GIL while the interpreter shuts down, Python terminates the thread with Rust frames on its stack, which
//! crashes. Python offers no way to check for this in time. So this module counts the threads inside Python, and the interpreter waits
//! for them before it shuts down.

use std::process;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use pyo3::prelude::*;

/// The number of threads inside Python in the lower half, and the ID of their process in the upper half. A forked child inherits the
/// number, but none of the threads.
static INSIDE: AtomicU64 = AtomicU64::new(0);
static ENDING: AtomicBool = AtomicBool::new(false);

/// The value of [`INSIDE`] for this process without a thread.
fn none_inside() -> u64 {
    u64::from(process::id()) << 32
}

/// The number of threads of this process, from a value of [`INSIDE`].
fn threads(inside: u64) -> u64 {
    match inside >> 32 == none_inside() >> 32 {
        true => inside & u64::from(u32::MAX),
        false => 0,
    }
}

struct Inside;

impl Inside {
    fn enter() -> Self {
        let _ = INSIDE.fetch_update(SeqCst, SeqCst, |inside| {
            Some(none_inside() + threads(inside) + 1)
        });
        Self
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let _ = INSIDE.fetch_update(SeqCst, SeqCst, |inside| {
            Some(none_inside() + threads(inside).saturating_sub(1))
        });
    }
}

/// Runs the work with the GIL. Returns `None`, without running it, if Python is shutting down.
pub fn attach<T>(work: impl FnOnce(Python<'_>) -> T) -> Option<T> {
    let _inside = Inside::enter();
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
    ENDING.store(true, SeqCst);
    py.detach(|| {
        while threads(INSIDE.load(SeqCst)) > 0 {
            thread::sleep(Duration::from_millis(1));
        }
    });
}
