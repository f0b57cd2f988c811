//! How much work a walk is, in steps: a block, a table entry, a byte that is looked at once more. Only tests count, and hold the steps
//! against the size of the file and of the picture: a time would depend on the machine.

#[cfg(test)]
thread_local! {
    static STEPS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// So many steps are taken.
#[inline(always)]
#[allow(clippy::inline_always, reason = "it is nothing in the program")]
pub(crate) fn count(steps: usize) {
    #[cfg(test)]
    STEPS.set(STEPS.get() + steps as u64);
    #[cfg(not(test))]
    let _ = steps;
}

/// The steps that the work takes on this thread.
#[cfg(test)]
pub(crate) fn steps_of<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let before = STEPS.get();
    let done = work();
    (done, STEPS.get() - before)
}
