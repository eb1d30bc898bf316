//! The error of every call, with a stable code and its JSON form.

#[cfg(feature = "engine")]
use mcp_startup::{ClientError, auth::SignInError, config::ConfigurationError};
use mcp_startup_core::{DecodeError, StartupFailure};
use serde::ser::{Serialize, SerializeMap, Serializer};

/// The error of a call. Each binding maps a variant to one exception class or error code.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// An argument is invalid, such as an unknown option or malformed evidence.
    #[error("{0}")]
    InvalidArgument(String),
    /// A line or a notification breaks the contract.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The configuration does not exist or can't be read, or it has no server with the requested name.
    #[cfg(feature = "engine")]
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    /// No request can be sent from this process.
    #[cfg(feature = "engine")]
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A sign-in or a sign-out failed. The stored credentials are unchanged.
    #[cfg(feature = "engine")]
    #[error(transparent)]
    SignIn(#[from] SignInError),
    /// A server can't be used. Contains the verdict.
    #[error("{}", .0.message())]
    Failure(Box<StartupFailure>),
    /// A credential store failed a case of the conformance suite, or its database can't be used.
    #[error("{0}")]
    CredentialStore(String),
    /// The process was forked after the runtime had started. The threads of the runtime do not exist in the child process.
    #[error(
        "mcp-startup was in use when this process was forked, and can't be used in the child process: start the child with exec \
         (in Python: multiprocessing's `spawn` or `forkserver`), or use mcp-startup only after the fork"
    )]
    Forked,
    /// A bug in mcp-startup or a failure of the system, such as no more threads.
    #[error("internal error in mcp-startup: {0}")]
    Internal(String),
}

impl HostError {
    /// Returns the stable code. Every language has the same codes.
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

/// Writes `code` and `message`, and the fields of the code: `kind`, `field`, `path`, `line`, `key` or `failure`.
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

/// Writes the result of a call as JSON: `{"ok":…}` or `{"error":{"code":…,"message":…,…}}`.
pub fn answer<T: Serialize>(result: Result<T, HostError>) -> String {
    text(&result).unwrap_or_else(|error| {
        // The value has a path that is not UTF-8. An internal error is always serializable.
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
