//! One sign-in of a store, and how good it is.

use mcp_startup_core::{AccessTokenWorth, CredentialFacts, HeldSignInState, assess};
use secrecy::SecretString;
use url::Url;

use super::{HeldSignIn, SignInHolder};

/// One sign-in of a store. It has a name or a URL, or both.
#[derive(Debug)]
pub(super) struct Entry {
    pub holder: SignInHolder,
    pub name: Option<String>,
    /// The URL that the store records.
    pub url: Option<Url>,
    pub access_token: SecretString,
    pub refresh_token: bool,
    pub expires_at_ms: Option<i64>,
}

impl Entry {
    pub fn state(&self, now_ms: i64) -> HeldSignInState {
        if self.url.is_none() {
            return HeldSignInState::UnknownUrl;
        }
        let facts = CredentialFacts {
            access_token: true,
            refresh_token: self.refresh_token,
            expires_at_ms: self.expires_at_ms,
        };
        match assess(&facts, now_ms).access_token {
            AccessTokenWorth::Good | AccessTokenWorth::ExpiryUnknown => HeldSignInState::Valid,
            AccessTokenWorth::Expired | AccessTokenWorth::Absent => HeldSignInState::Expired,
        }
    }

    /// How good an entry is; a greater rank is better. The name is the second criterion, because one URL can have several accounts.
    pub fn rank(&self, name: Option<&str>, now_ms: i64) -> (u8, bool, Option<i64>) {
        let state = match self.state(now_ms) {
            HeldSignInState::Valid => 2,
            HeldSignInState::Expired => 1,
            HeldSignInState::UnknownUrl => 0,
        };
        let has_name = name.is_some() && self.name.as_deref() == name;
        (state, has_name, self.expires_at_ms)
    }

    /// `started_by` is the name of the client that starts `mcp-remote`.
    pub fn sign_in(&self, started_by: Option<String>, now_ms: i64) -> HeldSignIn {
        let state = self.state(now_ms);
        let is_valid = state == HeldSignInState::Valid;
        HeldSignIn {
            client: match self.holder {
                // The user can't open this program.
                SignInHolder::McpRemote => {
                    started_by.unwrap_or_else(|| "a client that uses mcp-remote".to_owned())
                }
                holder => holder.name().to_owned(),
            },
            state,
            access_token: is_valid.then(|| self.access_token.clone()),
            refresh_token: self.refresh_token,
            expires_at_ms: self.expires_at_ms.and_then(|ms| u64::try_from(ms).ok()),
        }
    }
}
