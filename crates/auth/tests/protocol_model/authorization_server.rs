//! A model of an authorization server: grants with access and refresh tokens, rotation, reuse detection and revocation. It knows
//! no HTTP.

use std::fmt::Write;

use serde_json::{Value, json};

/// The ways in which authorization servers differ.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Whether each refresh replaces the refresh token. The second use of a replaced token revokes the whole family (OAuth 2.1,
    /// section 4.3.1).
    pub rotates: bool,
    /// Whether the revocation of a replaced refresh token revokes its family. If not, it succeeds and has no effect
    /// (RFC 7009, section 2.2).
    pub replaced_token_revokes_family: bool,
}

pub const POLICIES: [Policy; 3] = [
    Policy {
        rotates: true,
        replaced_token_revokes_family: false,
    },
    Policy {
        rotates: true,
        replaced_token_revokes_family: true,
    },
    Policy {
        rotates: false,
        replaced_token_revokes_family: true,
    },
];

/// One issue of tokens. Grant `n` has the access token `access-n` and, if it has a refresh token, `refresh-n`.
#[derive(Clone, Debug)]
struct Grant {
    family: usize,
    /// `None` if the refresh token of an earlier grant stays valid.
    refresh: Option<RefreshToken>,
    access_is_revoked: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RefreshToken {
    Current,
    Replaced,
}

/// The state of the authorization server.
#[derive(Debug)]
pub struct AuthorizationServer {
    policy: Policy,
    grants: Vec<Grant>,
    /// Whether each family is revoked. The refreshes of a sign-in belong to its family.
    revoked_families: Vec<bool>,
    /// How often a replaced refresh token was used.
    pub reuses: usize,
}

/// The number in the name of a token.
pub fn grant_of(token: &str) -> Option<usize> {
    token.rsplit_once('-')?.1.parse().ok()
}

impl AuthorizationServer {
    /// A server that has issued one grant, whose access token has expired.
    pub fn new(policy: Policy) -> Self {
        let mut server = Self {
            policy,
            grants: Vec::new(),
            revoked_families: Vec::new(),
            reuses: 0,
        };
        server.sign_in();
        server.grants[0].access_is_revoked = true;
        server
    }

    /// Issues the grant of a new sign-in. Returns its number.
    pub fn sign_in(&mut self) -> usize {
        self.revoked_families.push(false);
        self.grants.push(Grant {
            family: self.revoked_families.len() - 1,
            refresh: Some(RefreshToken::Current),
            access_is_revoked: false,
        });
        self.grants.len() - 1
    }

    /// Answers a refresh request. Returns the number of the new grant, or `None` for `invalid_grant`.
    pub fn refresh(&mut self, token: &str) -> Option<usize> {
        let used = grant_of(token)?;
        let (family, state) = (self.grants.get(used)?.family, self.grants[used].refresh?);
        if self.revoked_families[family] {
            return None;
        }
        if state == RefreshToken::Replaced {
            self.reuses += 1;
            self.revoked_families[family] = true;
            return None;
        }
        let mut refresh = None;
        if self.policy.rotates {
            self.grants[used].refresh = Some(RefreshToken::Replaced);
            refresh = Some(RefreshToken::Current);
        }
        self.grants.push(Grant {
            family,
            refresh,
            access_is_revoked: false,
        });
        Some(self.grants.len() - 1)
    }

    /// The body of a successful reply with this grant (RFC 6749, section 5.1).
    pub fn reply(&self, grant: usize) -> Value {
        let mut reply = json!({"access_token": format!("access-{grant}"), "token_type": "Bearer"});
        if self.grants[grant].refresh.is_some() {
            reply["refresh_token"] = format!("refresh-{grant}").into();
        }
        reply
    }

    /// Revokes a token (RFC 7009). It always succeeds.
    pub fn revoke(&mut self, token: &str) {
        let Some(grant) = grant_of(token).and_then(|at| self.grants.get_mut(at)) else {
            return;
        };
        if token.starts_with("access") {
            grant.access_is_revoked = true;
            return;
        }
        let is_replaced = grant.refresh == Some(RefreshToken::Replaced);
        if !is_replaced || self.policy.replaced_token_revokes_family {
            self.revoked_families[grant.family] = true;
        }
    }

    pub fn rotates(&self) -> bool {
        self.policy.rotates
    }

    /// The number of the token's family.
    pub fn family(&self, token: &str) -> Option<usize> {
        Some(self.grants.get(grant_of(token)?)?.family)
    }

    /// Whether the server would accept this token.
    pub fn accepts(&self, token: &str) -> bool {
        let grant = grant_of(token).and_then(|at| self.grants.get(at));
        grant.is_some_and(|grant| {
            let is_valid = match token.starts_with("access") {
                true => !grant.access_is_revoked,
                false => grant.refresh == Some(RefreshToken::Current),
            };
            is_valid && !self.revoked_families[grant.family]
        })
    }

    /// Every valid token.
    pub fn valid_tokens(&self) -> impl Iterator<Item = String> {
        let names =
            (0..self.grants.len()).flat_map(|at| [format!("access-{at}"), format!("refresh-{at}")]);
        names.filter(|token| self.accepts(token))
    }

    /// Writes everything that determines the later behavior.
    pub fn describe(&self, text: &mut String) {
        for grant in &self.grants {
            let refresh = match grant.refresh {
                None => '-',
                Some(RefreshToken::Current) => 'c',
                Some(RefreshToken::Replaced) => 'r',
            };
            let access = if grant.access_is_revoked { 'x' } else { 'a' };
            let _ = write!(text, "{}{refresh}{access},", grant.family);
        }
        let _ = write!(text, "{:?} {}", self.revoked_families, self.reuses);
    }
}
