//! OAuth 2.1 as MCP uses it: discovery, sign-in, refresh, and revocation.
//!
//! Every request goes through a [`GuardedClient`](crate::network::GuardedClient), because the MCP server chooses its
//! URL. Only [`refresh`] reads and writes a store, and [`revoke_replaced`] reads one; a sign-in returns the record for its caller to save. Nothing here
//! depends on an MCP transport or opens a browser.

mod client_authentication;
mod discovery;
mod endpoint;
mod field_problem;
mod refresh;
mod resource;
mod scopes;
mod sign_in;
mod sign_out;
#[cfg(test)]
mod test_pages;
#[cfg(test)]
mod tests;
pub(crate) mod token_endpoint;

pub use discovery::{Discovery, discover, discover_for, discover_issuer};
pub use refresh::{RefreshOutcome, RefreshRequest, refresh};
pub use sign_in::{
    ClientSettings, PendingSignIn, SIGN_IN_LIMIT, SignInBegun, SignInError, SignInFailureKind,
    SignInRequest, begin_sign_in, finish_sign_in, sign_in_client,
};
pub use sign_out::{Revocation, revoke, revoke_replaced};
