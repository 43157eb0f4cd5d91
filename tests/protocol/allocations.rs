//! An allocator that counts, so that "nothing is allocated" and "memory stays
//! bounded" can be tests.

#![allow(unsafe_code, reason = "a global allocator can't be written without")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
    static LIVE: Cell<isize> = const { Cell::new(0) };
}

fn note(count: usize, octets: isize) {
    // A thread that is ending has no counters any more, and nobody who asks.
    let _ = COUNT.try_with(|cell| cell.set(cell.get() + count));
    let _ = LIVE.try_with(|cell| cell.set(cell.get() + octets));
}

// SAFETY: everything is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(1, layout.size() as isize);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        note(0, -(layout.size() as isize));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// How often this thread has allocated so far.
pub fn count() -> usize {
    COUNT.with(Cell::get)
}

/// How many octets more this thread has allocated than freed.
pub fn live() -> isize {
    LIVE.with(Cell::get)
}
