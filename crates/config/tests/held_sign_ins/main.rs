//! The sign-ins of other clients. The stores in `fixtures/held_sign_ins` are synthetic, and have the shapes that each client writes.
//!
//! Expected values are written by hand from the fixtures. The names of the files of `mcp-remote` are MD5 hashes of the URL and the
//! options, joined by `|`; the one of Kiro is the SHA-256 hash of the origin and the path.

#![allow(
    clippy::unwrap_used,
    reason = "a panic in a test helper fails the test"
)]

mod choice;
mod damage;
mod machine;
mod mcp_remote;
mod places;
mod stores;
