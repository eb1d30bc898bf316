//! The native addon of the npm package. The JavaScript around it is in `lib`.
//!
//! Arguments and answers are JSON texts. An answer is `{"ok":…}` or `{"error":…}` ([`mcp_startup_host::answer`]). One text is
//! cheaper for Node than an object that is built property by property.

// In test builds, napi exports nothing to Node.
#![cfg_attr(test, allow(dead_code))]

mod contract;
mod engine;
mod store;
mod verdict;
