//! Counts the steps of a search in the unit tests and the fuzz targets, which assert that they are linear. Without a clock, the
//! result does not depend on the machine.

#[cfg(any(test, fuzzing))]
thread_local! {
    static STEPS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Counts this many steps. Does nothing outside of the unit tests and the fuzz targets.
#[cfg(any(test, fuzzing))]
pub(super) fn count(steps: usize) {
    STEPS.with(|counted| counted.set(counted.get() + steps));
}

#[cfg(not(any(test, fuzzing)))]
pub(super) fn count(_: usize) {}

/// The number of steps that `work` takes.
#[cfg(any(test, fuzzing))]
pub(crate) fn of(work: impl FnOnce()) -> usize {
    STEPS.with(|counted| counted.set(0));
    work();
    STEPS.with(std::cell::Cell::get)
}
