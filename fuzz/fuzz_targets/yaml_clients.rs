//! The YAML files of goose, Continue and LibreChat, with secret environment variables. The cost is counted, and must be linear.

#![no_main]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use libfuzzer_sys::{Corpus, fuzz_target};
use mcp_startup_config::clients::Client;
use mcp_startup_fuzz::{check_client_file, lookups};

/// Counts the bytes that are allocated. Memory that is freed is not subtracted, so the count is a measure of the work.
struct Counting;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call is passed on to the allocator of the system.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATED.fetch_add(size.saturating_sub(layout.size()), Ordering::Relaxed);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// The limit of the allocated bytes: a fixed part, and a part for each byte of the text.
const FIXED: usize = 1024 * 1024;
const FOR_EACH_BYTE: usize = 20_000;

fuzz_target!(|input: &[u8]| -> Corpus {
    let Ok(text) = std::str::from_utf8(input) else {
        return Corpus::Reject;
    };
    for client in [Client::Goose, Client::Continue, Client::LibreChat] {
        let before = ALLOCATED.load(Ordering::Relaxed);
        let looked_up = lookups();
        check_client_file(client, text);
        let allocated = ALLOCATED.load(Ordering::Relaxed) - before;
        let looked_up = lookups() - looked_up;
        let most = FIXED + FOR_EACH_BYTE * text.len();
        assert!(
            allocated <= most,
            "{client}: {allocated} bytes for a text of {}",
            text.len()
        );
        // A variable has at least two characters. Some folders are named by variables too.
        let most = 100 + text.len();
        assert!(looked_up <= most, "{client}: {looked_up} variables");
    }
    Corpus::Keep
});
