//! Begins a sign-in to a configured server. Its parts finish one, sign out, and read the authorization status.

mod auth_status;
mod client_choice;
mod exchange;
mod history;
mod probe;
mod sign_out;
mod transaction;

use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use mcp_startup_auth::network::bare_url;
use mcp_startup_auth::{
    CredentialRecord, Mask, RequestLog, SignInBegun, SignInError, SignInFailureKind, SignInRequest,
    StoreError, begin_sign_in,
};
use mcp_startup_config::{HttpConfig, ServerConfig, ServerEntry, TransportConfig};
use mcp_startup_core::{printable, same_issuer};

pub use self::auth_status::AuthStatus;
pub(crate) use self::auth_status::status;
pub use self::client_choice::ClientChoice;
pub(crate) use self::client_choice::client_choice;
pub(crate) use self::exchange::finish;
pub(crate) use self::history::SignInHistory;
use self::probe::{Probed, probe};
pub use self::sign_out::SignedOut;
pub(crate) use self::sign_out::sign_out;
use super::{client_settings, credential_key};
use crate::authorization;
use crate::shared_context::SharedContext;
use crate::start::masked_secrets::mask;

/// The maximum length of a scope in a message, in characters.
const SCOPE_CHARS: usize = 60;
/// How long a sign-in waits for the lock of the record before it begins. A refresh usually takes less.
const LOCK_PROOF_LIMIT: Duration = Duration::from_secs(3);
/// The maximum length of a URL in a message, in characters.
const URL_CHARS: usize = 300;

/// Options for a sign-in, for [`Startup::begin_sign_in_with`](crate::Startup::begin_sign_in_with).
///
/// ```
/// use mcp_startup::SignInOptions;
///
/// let mut options = SignInOptions::default();
/// // The `WWW-Authenticate` header of the server's answer to your own request.
/// options.challenge = Some(r#"Bearer error="insufficient_scope", scope="files:write""#.to_owned());
/// options.scopes = vec!["files:read".to_owned()];
/// ```
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct SignInOptions {
    /// The `WWW-Authenticate` header of an answer with which the server has refused your own request (RFC 9110, section 11.6.1).
    /// It can name the server's metadata (RFC 9728, section 5.1) and the required scopes (RFC 6750, section 3). With `None`, which
    /// is the default, the sign-in sends a request of its own to get one.
    pub challenge: Option<String>,
    /// Scopes to request in addition to the configured ones, or those that the server names. With one, the scopes of the challenge and
    /// those that were granted before are requested too. The default is none.
    pub scopes: Vec<String>,
    /// Where the OAuth client comes from if none is configured.
    pub client_registration: ClientRegistration,
    /// The maximum duration of the beginning: of everything before the browser is needed. It is at most the limit of a start, which is
    /// the default.
    pub limit: Option<Duration>,
}

/// Where the OAuth client of a sign-in comes from if the configuration has no client ID.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientRegistration {
    /// From the client ID metadata document if there is one and the authorization server supports it, or else from a registration.
    #[default]
    Auto,
    /// Only from the metadata document.
    MetadataDocument,
    /// Only from a dynamic client registration (RFC 7591).
    Dynamic,
}

impl fmt::Debug for SignInOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A challenge can repeat the token that was sent.
        f.debug_struct("SignInOptions")
            .field("challenge", &self.challenge.is_some())
            .field("scopes", &self.scopes)
            .field("client_registration", &self.client_registration)
            .field("limit", &self.limit)
            .finish()
    }
}

pub(crate) async fn begin(
    entry: &ServerEntry,
    shared: &SharedContext,
    redirect_uri: &str,
    options: &SignInOptions,
) -> Result<SignInBegun, SignInError> {
    let (config, http) = http_config(entry)?;
    if authorization::configured(http).is_some() {
        return Err(SignInError::new(
            SignInFailureKind::InvalidConfiguration,
            "the configuration has a token or an `Authorization` header for this server, which overrides any sign-in: remove it first",
        ));
    }
    check_scopes(&options.scopes)?;
    let mut client = client_settings(&config.oauth, shared);
    match options.client_registration {
        ClientRegistration::Auto => {}
        ClientRegistration::MetadataDocument => client.never_registers = true,
        ClientRegistration::Dynamic => client.metadata_url = None,
    }
    let progress = Progress::default();
    let begun = async {
        // Before anything is sent: a sign-in that can't be stored must not open a browser.
        let record = stored_record(shared, config, http).await?;
        let _ = progress.record.set(record.clone());
        let Probed {
            challenge,
            needs_more,
        } = match &options.challenge {
            Some(challenge) => Probed {
                needs_more: challenge.contains("insufficient_scope"),
                challenge: Some(challenge.clone()),
            },
            None => probe(shared, http, record.as_ref()).await,
        };
        let stepped_up = record.as_ref().filter(|_| needs_more);
        if let Some(record) = stepped_up {
            shared.sign_ins.check_rounds(record)?;
        }
        let keeps_granted = needs_more || !options.scopes.is_empty();
        let granted = record.as_ref().filter(|_| keeps_granted);
        let granted = granted.map(CredentialRecord::scopes);
        let request = SignInRequest {
            server_name: config.name.clone(),
            server_url: http.written_url.clone(),
            url: http.url.clone(),
            redirect_uri: redirect_uri.to_owned(),
            challenge,
            client: client.clone(),
            scopes: config.scopes.clone(),
            steps_up: keeps_granted,
            additional_scopes: [options.scopes.as_slice(), granted.unwrap_or_default()].concat(),
            resource: config.oauth.resource.clone(),
            prompt: config.oauth.prompt.clone(),
            mask: secrets(entry, record.as_ref()),
        };
        let guarded = shared.network.guarded_client(&http.url).await;
        let begun = begin_sign_in(&guarded, &request, &progress.log).await;
        // The server chooses the words of its metadata. They can repeat the stored token.
        let begun = begun.map_err(|error| masked(&error, &request.mask))?;
        check_secret(config, record.as_ref(), &begun, &request.mask)?;
        shared.sign_ins.begun(&begun.pending, request.mask);
        if let Some(record) = stepped_up {
            shared.sign_ins.begin_step_up(record, &begun)?;
        }
        Ok(begun)
    };
    let of_start = shared.limit_of(config);
    let (limit, key) = match options.limit {
        Some(limit) if limit < of_start => (limit, shared.limit_option),
        _ if shared.limit.is_some() => (of_start, shared.limit_option),
        _ => (of_start, config.startup_timeout_key),
    };
    let begun = tokio::time::timeout(limit, Box::pin(begun)).await;
    begun.unwrap_or_else(|_| {
        let record = progress.record.get().cloned().flatten();
        let mask = secrets(entry, record.as_ref());
        let error = progress.not_in_time(shared, (config, http), &mask, limit, key);
        Err(masked(&error, &mask))
    })
}

/// The progress of a beginning sign-in.
#[derive(Default)]
struct Progress {
    /// The stored record, once it was read. The server is then queried.
    record: OnceLock<Option<CredentialRecord>>,
    /// The requests after those to the server.
    log: RequestLog,
}

impl Progress {
    /// The error that names what did not respond within `limit`. `key` is the option with which the user can allow more time.
    fn not_in_time(
        &self,
        shared: &SharedContext,
        (config, http): (&ServerConfig, &HttpConfig),
        mask: &Mask,
        limit: Duration,
        key: Option<&str>,
    ) -> SignInError {
        let last = self.log.requests().pop();
        let what = match last.and_then(|request| request.url) {
            Some(url) => format!("the sign-in service at {}", shown_url(&url, mask)),
            None if self.record.get().is_some() => {
                format!("the server at {}", shown_url(&bare_url(&http.url), mask))
            }
            None => {
                let stores = shared.stores.as_ref();
                let key = credential_key(config, http);
                if let Some(error) = stores.and_then(|stores| stores.in_use(&key)) {
                    return not_begun(error);
                }
                let name = stores.and_then(|stores| stores.first_name());
                format!("the credential store `{}`", name.unwrap_or_default())
            }
        };
        let more = key.map_or_else(String::new, |key| {
            format!(", or allow more time with `{key}`")
        });
        SignInError::new(
            SignInFailureKind::Unavailable,
            format!(
                "{what} did not respond within {} s, so no sign-in was started: try again later{more}",
                limit.as_secs_f64()
            ),
        )
    }
}

/// The secrets that the server may have received: secrets of the entry and of the stored record.
fn secrets(entry: &ServerEntry, record: Option<&CredentialRecord>) -> Mask {
    let mut mask = mask(entry);
    let stored = record.into_iter().flat_map(CredentialRecord::secrets);
    stored.for_each(|secret| mask.add(secret.as_ref()));
    mask
}

/// The error with every secret masked that is left in it. The texts of the server were masked before they were cut.
fn masked(error: &SignInError, mask: &Mask) -> SignInError {
    SignInError::new(error.kind(), mask.hide(error.message()))
}

/// A URL in a message. A secret in it is masked before the URL is cut, because the rest of one would not be found.
fn shown_url(url: &str, mask: &Mask) -> String {
    printable(&mask.hide_in_url(url), URL_CHARS)
}

/// Checks that a configured secret goes to the authorization server that granted the stored record: a secret is known to one of them, and
/// the MCP server chooses it.
fn check_secret(
    config: &ServerConfig,
    record: Option<&CredentialRecord>,
    begun: &SignInBegun,
    mask: &Mask,
) -> Result<(), SignInError> {
    let (client_id, secret) = begun.pending.client();
    let configured = config.oauth.client_id.as_ref() == Some(&client_id);
    let granted_by = record.and_then(CredentialRecord::issuer);
    let (Some(granted_by), Some(issuer)) = (granted_by, begun.pending.issuer()) else {
        return Ok(());
    };
    if secret.is_none() || !configured || same_issuer(granted_by, issuer) {
        return Ok(());
    }
    Err(SignInError::new(
        SignInFailureKind::Misconfigured,
        format!(
            "the server now names the sign-in service {}, but your sign-in is from {}, which may be the only one that the configured \
             client secret is for, so it was not sent: if this change is intended, sign out first",
            shown_url(issuer, mask),
            shown_url(granted_by, mask)
        ),
    ))
}

/// The record stored for the server, if it can be read. A record that can't be read can still be replaced.
///
/// # Errors
///
/// The error of the store if a sign-in could not be saved.
async fn stored_record(
    shared: &SharedContext,
    config: &ServerConfig,
    http: &HttpConfig,
) -> Result<Option<CredentialRecord>, SignInError> {
    // Another process can finish the sign-in.
    let Some(stores) = &shared.stores else {
        return Ok(None);
    };
    let key = credential_key(config, http);
    let proving = async {
        // The sign-in is finished under this lock. The user must not consent to one that can't be.
        let limit = LOCK_PROOF_LIMIT.min(shared.limit_of(config) / 2);
        drop(stores.lock(&key, limit).await?);
        stores.prove_writable(&key).await
    };
    let proved: Result<(), StoreError> = proving.await;
    proved.map_err(not_begun)?;
    let found = stores.find(&key).await.ok().flatten();
    Ok(found.map(|found| found.record))
}

/// Checks the syntax of the scopes (RFC 6749, section 3.3).
fn check_scopes(scopes: &[String]) -> Result<(), SignInError> {
    let is_valid = |scope: &String| {
        let is_allowed = |byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        !scope.is_empty() && scope.bytes().all(is_allowed)
    };
    match scopes.iter().find(|scope| !is_valid(scope)) {
        None => Ok(()),
        Some(scope) => Err(SignInError::new(
            SignInFailureKind::InvalidConfiguration,
            format!(
                "`{}` is not a scope: a scope has no spaces, quotes, backslashes or control characters",
                printable(scope, SCOPE_CHARS)
            ),
        )),
    }
}

/// The error of a store that could not take a sign-in.
fn not_begun(error: StoreError) -> SignInError {
    let failed = store_failed(error);
    let message = format!("a sign-in could not be stored, so none was started: {failed}");
    SignInError::new(failed.kind(), message)
}

fn store_failed(error: StoreError) -> SignInError {
    let message = match error.is_in_use() {
        true => format!("{error}: try again later"),
        false => error.to_string(),
    };
    SignInError::new(SignInFailureKind::StoreFailed, message)
}

/// The configuration of a server over HTTP. A local program has no sign-in.
fn http_config(entry: &ServerEntry) -> Result<(&ServerConfig, &HttpConfig), SignInError> {
    let unusable =
        |message: String| SignInError::new(SignInFailureKind::InvalidConfiguration, message);
    let config = entry
        .config
        .as_ref()
        .map_err(|problem| unusable(problem.to_string()))?;
    match &config.transport {
        TransportConfig::Http(http) => Ok((config, http)),
        TransportConfig::Stdio(_) => Err(unusable(
            "this server is a program on this machine and has no sign-in".to_owned(),
        )),
    }
}
