//! What is stored for an MCP server, what it is worth, and where the server says to sign in.
//!
//! * [`CredentialRecord`] and [`CredentialKey`]: one stored sign-in, as Codex keeps it;
//! * [`CredentialStores`]: the places where records are kept;
//! * [`discover`]: which authorization server an MCP server names (RFC 9728, RFC 8414);
//! * [`network`]: what every HTTP request of this project obeys, and [`RequestLog`], which keeps what came of each;
//! * [`Mask`]: hides the secrets that a start was given in whatever text comes back.
//!
//! Nothing here knows a transport of MCP or the format of a configuration file.

mod discovery;
mod mask;
pub mod network;
mod record;
mod stores;

pub use discovery::discover;
pub use mask::Mask;
pub use network::RequestLog;
pub use record::{CorruptRecord, CredentialKey, CredentialRecord};
pub use stores::{CredentialStores, StoreError, StoreSelection};
