//! The cost of work in allocations. Unlike time, it does not depend on the machine.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Counts the allocations of each thread.
pub struct CountingAllocator;

thread_local! {
    static COUNTED: Cell<Cost> = const { Cell::new(Cost { allocations: 0, bytes: 0 }) };
}

/// The allocations of work, including freed ones.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    pub allocations: usize,
    pub bytes: usize,
}

fn count(bytes: usize) {
    // A thread that ends may allocate after its counter is gone.
    let _ = COUNTED.try_with(|counted| {
        let Cost {
            allocations,
            bytes: before,
        } = counted.get();
        counted.set(Cost {
            allocations: allocations + 1,
            bytes: before + bytes,
        });
    });
}

// SAFETY: the system's allocator does the work.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as the caller guarantees.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as the caller guarantees.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        // SAFETY: as the caller guarantees.
        unsafe { System.realloc(at, layout, size) }
    }
}

/// Does the work and returns its result with its cost.
pub fn cost_of<T>(work: impl FnOnce() -> T) -> (T, Cost) {
    let before = COUNTED.get();
    let result = work();
    let after = COUNTED.get();
    let cost = Cost {
        allocations: after.allocations - before.allocations,
        bytes: after.bytes - before.bytes,
    };
    (result, cost)
}

impl Cost {
    /// Panics if more is allocated than is linear in the size of the input.
    pub fn assert_linear(self, input: usize, allocations: Linear, bytes: Linear) {
        let is_linear = self.allocations <= allocations.at(input) && self.bytes <= bytes.at(input);
        assert!(is_linear, "{self:?} for {input} bytes of input");
    }
}

/// A linear limit.
#[derive(Clone, Copy)]
pub struct Linear {
    pub base: usize,
    pub per_byte: usize,
}

impl Linear {
    pub fn at(self, input: usize) -> usize {
        self.base + self.per_byte * input
    }
}
