//! Counts what a test's own thread allocates.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count(octets: isize) {
    let held = HELD.get() + octets;
    HELD.set(held);
    PEAK.set(PEAK.get().max(held));
}

fn size(layout: Layout) -> isize {
    isize::try_from(layout.size()).unwrap_or(isize::MAX)
}

#[expect(unsafe_code, reason = "an allocator can't be written without")]
// SAFETY: every call goes to the system's allocator unchanged; counting doesn't
// allocate, since both cells are made at compile time and need no drop.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(size(layout));
        // SAFETY: the caller's contract is handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(-size(layout));
        // SAFETY: the caller's contract is handed on.
        unsafe { System.dealloc(at, layout) }
    }
}

/// The most octets that `work` held at a time, beyond what was held before.
pub(crate) fn peak_of<T>(work: impl FnOnce() -> T) -> usize {
    let before = HELD.get();
    PEAK.set(before);
    drop(work());
    usize::try_from(PEAK.get() - before).unwrap_or(0)
}

#[test]
fn allocations_are_counted() {
    assert_eq!(peak_of(|| ()), 0);
    assert_eq!(peak_of(|| Vec::<u8>::with_capacity(1000)), 1000);
    let twice = || (drop(vec![1_u8; 500]), vec![2_u8; 600]);
    assert_eq!(peak_of(twice), 600);
}
