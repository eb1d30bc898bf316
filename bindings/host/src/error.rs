//! Why a call failed, for every language.

#[cfg(feature = "engine")]
use mcp_startup::{ClientError, auth::SignInError, config::ConfigurationError};
use mcp_startup_core::{DecodeError, StartupFailure};
use serde::ser::{Serialize, SerializeMap, Serializer};

/// Why a call failed. A binding makes one class or code of each.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// What was asked for makes no sense: an unknown option, evidence that is none.
    #[error("{0}")]
    InvalidArgument(String),
    /// A line or a notification breaks the contract.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// There is no such configuration, or no such server in it.
    #[cfg(feature = "engine")]
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    /// No request can be sent from this process.
    #[cfg(feature = "engine")]
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A sign-in or a sign-out failed; what was stored before is stored still.
    #[cfg(feature = "engine")]
    #[error(transparent)]
    SignIn(#[from] SignInError),
    /// A server can't be used: the verdict.
    #[error("{}", .0.message())]
    Failure(Box<StartupFailure>),
    /// A credential store does not do what it must.
    #[error("{0}")]
    CredentialStore(String),
    /// The process was forked from one in which this runs, and has none of its threads.
    #[error(
        "mcp-startup was in use before this process was forked, and can't be used in it: start it with exec (in Python: \
         multiprocessing's `spawn` or `forkserver`), or use mcp-startup only after the fork"
    )]
    Forked,
    /// An error of this library's own.
    #[error("an error of mcp-startup's own: {0}")]
    Internal(String),
}

impl HostError {
    /// The stable code, the same in every language.
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidArgument(_) => "invalidArgument",
            Self::Decode(_) => "decode",
            #[cfg(feature = "engine")]
            Self::Configuration(_) => "configuration",
            #[cfg(feature = "engine")]
            Self::Client(_) => "client",
            #[cfg(feature = "engine")]
            Self::SignIn(_) => "signIn",
            Self::Failure(_) => "failure",
            Self::CredentialStore(_) => "credentialStore",
            Self::Forked => "forked",
            Self::Internal(_) => "internal",
        }
    }
}

/// `code` and `message`, and what this code has besides: `kind`, `field`, `path`, `line`, `key` or the whole `failure`.
impl Serialize for HostError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut error = serializer.serialize_map(None)?;
        error.serialize_entry("code", self.code())?;
        error.serialize_entry("message", &self.to_string())?;
        match self {
            Self::Decode(decode) => {
                error.serialize_entry("kind", &decode.kind)?;
                error.serialize_entry("field", &decode.field)?;
            }
            #[cfg(feature = "engine")]
            Self::Configuration(configuration) => {
                error.serialize_entry("kind", configuration.kind().as_str())?;
                error.serialize_entry("path", configuration.path())?;
                error.serialize_entry("line", &configuration.line())?;
                error.serialize_entry("key", &configuration.key())?;
            }
            #[cfg(feature = "engine")]
            Self::SignIn(sign_in) => error.serialize_entry("kind", &sign_in.kind())?,
            Self::Failure(failure) => error.serialize_entry("failure", failure)?,
            #[cfg(feature = "engine")]
            Self::Client(_) => {}
            Self::InvalidArgument(_)
            | Self::CredentialStore(_)
            | Self::Forked
            | Self::Internal(_) => {}
        }
        error.end()
    }
}

/// What came of a call, as one JSON text: `{"ok":…}` or `{"error":{"code":…,"message":…,…}}`.
pub fn answer<T: Serialize>(result: Result<T, HostError>) -> String {
    text(&result).unwrap_or_else(|error| {
        // A path that is no text. A sentence always can be written.
        text::<T>(&Err(HostError::Internal(error.to_string()))).unwrap_or_default()
    })
}

fn text<T: Serialize>(result: &Result<T, HostError>) -> Result<String, serde_json::Error> {
    #[derive(serde::Serialize)]
    #[serde(rename_all = "camelCase")]
    enum Answer<'a, T> {
        Ok(&'a T),
        Error(&'a HostError),
    }
    serde_json::to_string(&match result {
        Ok(value) => Answer::Ok(value),
        Err(error) => Answer::Error(error),
    })
}
