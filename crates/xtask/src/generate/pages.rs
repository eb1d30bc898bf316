//! The generated pages of `docs/`, one module each.

mod failure_examples;
pub mod failures;
pub mod guide;
mod markdown;
pub mod protocol;
