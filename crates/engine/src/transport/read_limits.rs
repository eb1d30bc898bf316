//! How much the transports read from one server. The limits are low because many servers start at the same time.

/// Before the server answers the handshake: 1 MiB.
pub(crate) const HANDSHAKE_BYTES: usize = 1024 * 1024;
/// One answer to a check after the handshake, such as a list of tools: 10 MB.
pub(crate) const CHECK_BYTES: usize = 10_000_000;
/// One answer to a live client: 16 MiB.
pub(crate) const LIVE_BYTES: usize = 16 * 1024 * 1024;
