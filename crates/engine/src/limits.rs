//! How much is read of a server, over either transport. Many servers start at once.

/// Before the handshake is answered: 1 MiB.
pub(crate) const HANDSHAKE_BYTES: usize = 1024 * 1024;
/// An answer to a check that has been answered before, a list of tools: 4 MiB.
pub(crate) const CHECK_BYTES: usize = 4 * 1024 * 1024;
/// An answer to a client that is kept: 16 MiB.
pub(crate) const LIVE_BYTES: usize = 16 * 1024 * 1024;
