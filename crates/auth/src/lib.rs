//! OAuth credentials for MCP servers: stores, discovery, sign-in, refresh and sign-out, and the HTTP client that they use.
//!
//! * [`CredentialRecord`] and [`CredentialKey`]: one stored sign-in, in Codex's format.
//! * [`CredentialStore`]: the contract of a store. [`FileStore`], `KeyringStore` and [`MemoryStore`] implement it; a host can
//!   implement its own.
//! * [`CredentialStores`]: the stores that the configuration selects, in search order. [`LockedRecord`]: a record in them whose
//!   lock is held.
//! * [`discover`]: finds the authorization server of an MCP server (RFC 9728, RFC 8414).
//! * [`begin_sign_in`] and [`finish_sign_in`]: the two halves of a sign-in.
//! * [`refresh`]: the refresh transaction, which never loses a token that the authorization server issued.
//! * [`revoke`]: revokes the tokens of a stored sign-in. [`revoke_replaced`]: revokes those of a sign-in that a new one has replaced.
//! * [`network`]: the HTTP clients and the rules for every request. [`RequestLog`] records each request and its outcome.
//! * [`Mask`]: removes known secrets from text that a server sent.
//!
//! This crate does not depend on the transport of an MCP server or on the format of a configuration file.

mod clock;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod mask;
pub mod network;
mod oauth;
mod store;

pub use clock::now_ms;
pub use mask::Mask;
pub use network::RequestLog;
pub use oauth::{
    ClientSettings, Discovery, PendingSignIn, RefreshOutcome, RefreshRequest, Revocation,
    SIGN_IN_LIMIT, SignInBegun, SignInError, SignInFailureKind, SignInRequest, begin_sign_in,
    discover, discover_for, discover_issuer, finish_sign_in, refresh, revoke, revoke_replaced,
    sign_in_client,
};
pub use rmcp::transport::auth::AuthorizationMetadata;
#[cfg(feature = "keyring")]
pub use store::KeyringStore;
#[cfg(feature = "conformance")]
pub use store::conformance;
pub use store::{
    ChangeStream, CorruptRecord, CredentialKey, CredentialRecord, CredentialStore,
    CredentialStores, DEFAULT_LOCK_LIMIT, FileStore, FoundRecord, HostFuture, HostLease,
    HostLeaseState, HostLock, HostRecords, HostStore, Lease, LockedRecord, MemoryStore, RecordLock,
    ReplaceOutcome, StoreError, StoreFuture, StoreSelection,
};
