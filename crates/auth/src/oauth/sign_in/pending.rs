//! A sign-in that has begun and is not finished.

use std::fmt;

use mcp_startup_core::{
    ClientSource,
    refusal::{self, RefusalMeaning},
};
use rmcp::transport::auth::{AuthorizationMetadata, StoredAuthorizationState};
use secrecy::SecretString;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};

use super::callback::Callback;
use super::client::Client;
use super::error::{
    SignInError, SignInFailureKind, broken, shown, shown_name, shown_refusal, shown_setting,
};
use crate::clock::now_ms;
use crate::mask::{Mask, is_word};
use crate::oauth::token_endpoint::{GrantedTokens, Reply};
use crate::store::CredentialRecord;

/// A sign-in that has begun and is not finished. It is single-use and expires after 15 minutes
/// ([`SIGN_IN_LIMIT`](super::SIGN_IN_LIMIT)). A host can store it in the meantime, in a place for secrets.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PendingSignIn {
    pub(super) server_name: String,
    pub(super) server_url: String,
    /// The resource of the authorization request, for which the code is exchanged. `None` if it named none.
    #[serde(deserialize_with = "required")]
    pub(super) resource: Option<String>,
    #[serde(default)]
    pub(super) configured_resource: Option<String>,
    #[serde(default)]
    pub(super) prompt: Option<String>,
    pub(super) redirect_uri: String,
    pub(super) client: Client,
    pub(super) scopes: Vec<String>,
    pub(super) expires_at_ms: i64,
    pub(super) metadata: AuthorizationMetadata,
    pub(super) state: StoredAuthorizationState,
}

/// Accepts null, but not an absent field: without it, the text is not a pending sign-in.
fn required<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Option::deserialize(deserializer)
}

impl fmt::Debug for PendingSignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingSignIn")
            .field("server_name", &self.server_name)
            .field("issuer", &self.metadata.issuer)
            .field("client_id", &self.client.id)
            .field("expires_at_ms", &self.expires_at_ms)
            .finish_non_exhaustive()
    }
}

impl PendingSignIn {
    /// The pending sign-in as JSON. It contains secrets.
    pub fn to_json(&self) -> SecretString {
        serde_json::to_string(self).unwrap_or_default().into()
    }

    /// Parses the JSON of [`to_json`](Self::to_json).
    ///
    /// # Errors
    ///
    /// Returns [`SignInFailureKind::InvalidPending`] for any other text.
    pub fn parse(json: &str) -> Result<Self, SignInError> {
        // A serde_json error can quote its input.
        serde_json::from_str(json).map_err(|_| {
            SignInError::new(
                SignInFailureKind::InvalidPending,
                "the pending sign-in cannot be read: start a new sign-in",
            )
        })
    }

    /// The name of the server.
    pub fn server_name(&self) -> &str {
        &self.server_name
    }

    /// The URL of the server as written in the configuration.
    pub fn server_url(&self) -> &str {
        &self.server_url
    }

    /// The `state` that identifies the callback (RFC 6749, section 10.12). It is unique to this sign-in.
    pub fn state(&self) -> &str {
        &self.state.csrf_token
    }

    /// The URI that the authorization server redirects the user to.
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// The OAuth client of the sign-in: its ID, and its secret if it has one.
    pub fn client(&self) -> (String, Option<SecretString>) {
        let secret = self.client.secret.clone().map(SecretString::from);
        (self.client.id.clone(), secret)
    }

    /// The issuer of the authorization server, as its metadata names it.
    pub fn issuer(&self) -> Option<&str> {
        self.metadata.issuer.as_deref()
    }

    /// When the sign-in expires, in ms since the Unix epoch.
    pub fn expires_at_ms(&self) -> i64 {
        self.expires_at_ms
    }

    /// Checks that `callback_url`, the complete URL that the user was redirected to, can finish this sign-in.
    /// Nothing is sent. An error shows no text of the authorization server; see [`check_with`](Self::check_with).
    ///
    /// # Errors
    ///
    /// Returns [`SignInFailureKind::InvalidCallback`] if the URL does not belong to this sign-in: the correct one
    /// can still finish it. Returns [`SignInFailureKind::Denied`] if the URL reports a refusal,
    /// [`SignInFailureKind::Misconfigured`] if it names another issuer, and [`SignInFailureKind::Expired`] if the sign-in has expired.
    pub fn check(&self, callback_url: &str) -> Result<(), SignInError> {
        self.check_with(callback_url, &Mask::withholding())
    }

    /// Checks the URL as [`check`](Self::check) does. An error shows the texts of the authorization server, in which `mask`, the
    /// [`SignInRequest::mask`](super::SignInRequest::mask), hides the secrets.
    ///
    /// # Errors
    ///
    /// See [`check`](Self::check).
    pub fn check_with(&self, callback_url: &str, mask: &Mask) -> Result<(), SignInError> {
        self.callback(callback_url, &self.with_own_secrets(mask))
            .map(|_| ())
    }

    /// The mask, which then hides the secrets of this sign-in too.
    pub(super) fn with_own_secrets(&self, mask: &Mask) -> Mask {
        let mut mask = mask.clone();
        mask.add(&self.state.pkce_verifier);
        mask.add(self.client.secret.as_deref().unwrap_or_default());
        mask
    }

    pub(super) fn callback(
        &self,
        callback_url: &str,
        mask: &Mask,
    ) -> Result<Callback, SignInError> {
        if now_ms() >= self.expires_at_ms {
            return Err(SignInError::new(
                SignInFailureKind::Expired,
                format!(
                    "the sign-in to {} has expired: start a new sign-in",
                    shown_name(self)
                ),
            ));
        }
        Callback::read(self, callback_url, mask)
    }
}

impl PendingSignIn {
    pub(super) fn record(&self, tokens: &GrantedTokens) -> Result<CredentialRecord, SignInError> {
        // If the response omits the scope, the requested one was granted (RFC 6749, section 5.1).
        let mut record: Map<String, Value> = Map::new();
        record.insert("server_name".to_owned(), json!(self.server_name));
        record.insert("server_url".to_owned(), json!(self.server_url));
        record.insert("issuer".to_owned(), json!(self.metadata.issuer));
        record.insert("client_id".to_owned(), json!(self.client.id));
        record.insert("refresh_token".to_owned(), Value::Null);
        record.insert("scopes".to_owned(), json!(self.scopes));
        record.extend(tokens.changes());
        record.extend(self.client.issued.clone());
        CredentialRecord::from_json(&Value::Object(record)).map_err(|_| broken())
    }

    /// The error for a reply of the token endpoint that has no token. It recommends another sign-in only if that can help.
    pub(super) fn refused(&self, reply: &Reply, callback: &Callback, mask: &Mask) -> SignInError {
        use RefusalMeaning as Meaning;
        use SignInFailureKind as Kind;
        let name = shown_name(self);
        let status = reply.status.as_u16();
        let code = refusal::error_code(&reply.body);
        let source = match self.client.is_configured {
            true => ClientSource::Configuration,
            false => ClientSource::Registration,
        };
        let meaning = refusal::meaning(Some(status), code.as_deref(), Some(source));
        let shown_code = code.as_deref().filter(|_| meaning != Meaning::Transient);
        let words = words(reply, shown_code, callback, mask);
        let description = reply.description().unwrap_or_default();
        let meaning = match is_about_the_resource(&description) {
            true if meaning == Meaning::Undecided => Meaning::Misconfigured,
            _ => meaning,
        };
        let (kind, happened, todo) = match meaning {
            Meaning::Transient => (
                Kind::Unavailable,
                "could not finish the sign-in",
                reply.try_again().trim_start_matches([':', ' ']).to_owned(),
            ),
            Meaning::ClientRejected => (
                Kind::InvalidConfiguration,
                "rejected the configured OAuth client",
                "check its ID and secret".to_owned(),
            ),
            _ if is_about_the_redirect_uri(&description) => (
                Kind::Denied,
                "refused the sign-in",
                format!(
                    "register the redirect URI {} for the OAuth client, or configure the registered one",
                    shown_setting(&self.redirect_uri)
                ),
            ),
            Meaning::Misconfigured => (
                Kind::Denied,
                "refused the `resource` parameter of the sign-in",
                self.resource_todo().to_owned(),
            ),
            Meaning::Undecided if code.as_deref() == Some("invalid_scope") => (
                Kind::Denied,
                "refused the scopes of the sign-in",
                "correct `scopes` in the configuration, or contact its operator".to_owned(),
            ),
            Meaning::Spent => (
                Kind::Denied,
                "refused the sign-in",
                "sign in again".to_owned(),
            ),
            Meaning::Undecided if code.is_none() && reply.status.is_success() => (
                Kind::Misconfigured,
                "responded without a token",
                "contact its operator".to_owned(),
            ),
            Meaning::Undecided if code.as_deref().is_some_and(is_about_the_code) => (
                Kind::Denied,
                "refused the sign-in",
                "sign in again".to_owned(),
            ),
            Meaning::Undecided => (
                Kind::Denied,
                "refused the sign-in",
                "contact its operator if this happens again".to_owned(),
            ),
        };
        SignInError::new(
            kind,
            format!("the sign-in service of {name} {happened} ({words}): {todo}"),
        )
    }

    /// The next step if the `resource` is refused.
    pub(super) fn resource_todo(&self) -> &'static str {
        match &self.resource {
            Some(_) => {
                "contact its operator, or leave the parameter out with a blank `oauth_resource` (in JSON, `oauth.resource`), which \
                 deviates from MCP"
            }
            None => "set `oauth_resource` (in JSON, `oauth.resource`), or contact its operator",
        }
    }
}

/// The words of a reply: its error code and its description, or its HTTP status. They can repeat a secret that was sent.
fn words(reply: &Reply, code: Option<&str>, callback: &Callback, mask: &Mask) -> String {
    let mut mask = mask.clone();
    // Some authorization servers send a word as the code, which hides nothing.
    if !is_word(callback.code.as_bytes()) {
        mask.add(&callback.code);
    }
    let description = reply.description();
    match (code, &description) {
        (Some(code), description) => shown_refusal(&mask, code, description.as_deref()),
        (None, None) => format!("HTTP {}", reply.status.as_u16()),
        (None, Some(description)) => format!(
            "HTTP {}: {}",
            reply.status.as_u16(),
            shown(&mask, description)
        ),
    }
}

/// Whether the words are about a redirect URI that is not registered, which is `invalid_grant` too (RFC 6749, section 5.2).
/// The words of that section, which many servers repeat for any invalid grant, are not.
fn is_about_the_redirect_uri(words: &str) -> bool {
    let words = words.to_ascii_lowercase();
    words.contains("redirect") && !words.contains("expired")
}

/// Whether the words of a refusal are about the parameter `resource`. Entra has general codes for it.
pub(super) fn is_about_the_resource(words: &str) -> bool {
    let words = words.to_ascii_lowercase();
    words.contains("resource") && words.contains("parameter")
}

/// Whether an error code means that the authorization code has expired or was used, so that a new one can help. RFC 6749 has
/// `invalid_grant` for this.
fn is_about_the_code(error: &str) -> bool {
    // Sources: <https://docs.slack.dev/reference/methods/oauth.v2.access>,
    // <https://docs.github.com/en/apps/oauth-apps/maintaining-oauth-apps/troubleshooting-oauth-app-access-token-request-errors>.
    matches!(
        error,
        "invalid_code" | "code_already_used" | "code_expired" | "bad_verification_code"
    )
}
