//! The native addon of the npm package: what is fast or waits, for the JavaScript around it (`lib`).
//!
//! Everything goes through as JSON, whose answers are `{"ok":…}` or `{"error":…}` ([`mcp_startup_host::answer`]): one text is
//! cheaper for Node than an object made property by property.

// Where tests are compiled, napi hands nothing to Node.
#![cfg_attr(test, allow(dead_code))]

mod contract;
mod engine;
mod store;
mod verdict;
