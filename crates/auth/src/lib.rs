//! What is stored for an MCP server, what it is worth, and where the server says to sign in.
//!
//! * [`CredentialRecord`] and [`CredentialKey`]: one stored sign-in, as Codex keeps it;
//! * [`CredentialStore`]: a place where records are kept, and what it must guarantee; [`FileStore`], `KeyringStore`,
//!   [`MemoryStore`] or a host's own;
//! * [`CredentialStores`]: which of them the configuration chooses, and in which order;
//! * [`discover`]: which authorization server an MCP server names (RFC 9728, RFC 8414);
//! * [`refresh`]: the refresh transaction, which loses no answer;
//! * [`begin_sign_in`] and [`finish_sign_in`]: a sign-in, in two calls; [`revoke`]: the end of one;
//! * [`network`]: what every HTTP request of this project obeys, and [`RequestLog`], which keeps what came of each;
//! * [`Mask`]: hides the secrets that a start was given in whatever text comes back.
//!
//! Nothing here knows a transport of MCP or the format of a configuration file.

mod client_authentication;
mod clock;
#[cfg(feature = "conformance")]
pub mod conformance;
mod discovery;
mod encrypted_store;
mod file_store;
mod file_system;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod host_store;
#[cfg(any(feature = "keyring", fuzzing))]
mod keyring_entry;
#[cfg(feature = "keyring")]
mod keyring_store;
mod lock_files;
mod mask;
mod memory_store;
pub mod network;
mod record;
mod refresh;
mod sign_in;
mod sign_out;
mod store;
mod stores;
mod token_endpoint;

pub use clock::now_ms;
pub use discovery::{Discovered, discover, discover_issuer};
pub use file_store::FileStore;
pub use host_store::{HostFuture, HostRecords, HostStore};
#[cfg(feature = "keyring")]
pub use keyring_store::KeyringStore;
pub use mask::Mask;
pub use memory_store::MemoryStore;
pub use network::RequestLog;
pub use record::{CorruptRecord, CredentialKey, CredentialRecord};
pub use refresh::{Refresh, Refreshed, refresh};
pub use rmcp::transport::auth::AuthorizationMetadata;
pub use sign_in::{
    PendingSignIn, SIGN_IN_LIMIT, SignIn, SignInBegun, SignInError, SignInFailureKind,
    begin_sign_in, finish_sign_in,
};
pub use sign_out::{Revocation, revoke};
pub use store::{CredentialStore, RecordLock, Replaced, StoreError, StoreFuture};
pub use stores::{CredentialStores, FoundRecord, StoreSelection};
