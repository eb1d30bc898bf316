//! The current time, and waiting for an event.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(since.unwrap().as_millis()).unwrap()
}

/// Calls `look` until it returns a value. Panics after 30 s with a message that contains `event`.
pub fn eventually<T>(event: &str, look: impl Fn() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "did not happen in time: {event}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}
