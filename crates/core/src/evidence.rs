//! What a start left behind: the facts that the verdict is made of. No secret is ever among them.

use serde::{Deserialize, Serialize};

use crate::credential::CredentialWorth;

macro_rules! evidence_enum {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase")]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(rename_all = "camelCase"))]
        pub enum $name {
            $($(#[$variant_meta])* $variant,)*
        }
    };
}

macro_rules! evidence_struct {
    ($(#[$meta:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(rename_all = "camelCase", optional_fields))]
        pub struct $name {
            $(
                $(#[$field_meta])*
                #[serde(skip_serializing_if = "Option::is_none")]
                pub $field: Option<$type>,
            )*
        }
    };
}

evidence_enum! {
    /// How a server is reached.
    Transport {
        /// A program on this machine, over its standard input and output.
        Stdio,
        /// Streamable HTTP.
        Http,
    }
}

evidence_enum! {
    /// How far a start had come.
    StartPhase {
        /// The entry of the configuration was being read.
        Configuring,
        /// What is stored for the server was being read.
        ReadingCredentials,
        /// The program was being started.
        Launching,
        /// The handshake was under way: over HTTP, connecting belongs to it.
        Initializing,
        /// The authorization server was being looked for, or a token refreshed.
        Authorizing,
    }
}

evidence_enum! {
    /// Where the authorization of a start comes from.
    CredentialSource {
        /// Nothing is stored for this name and URL, and the configuration carries none.
        None,
        /// A record is stored for exactly this name and URL.
        Stored,
        /// The configuration carries a token or a header.
        Configuration,
    }
}

evidence_enum! {
    /// Where the OAuth client that a record was granted to comes from.
    ClientSource {
        /// The user's configuration names it.
        Configuration,
        /// Dynamic client registration (RFC 7591).
        Registration,
        /// A client id metadata document.
        MetadataDocument,
    }
}

evidence_enum! {
    /// Why the place where credentials are stored could not be read.
    CredentialStoreTrouble {
        /// It is locked, or asks for something before it opens.
        Locked,
        /// It can't be reached or read.
        Unreadable,
        /// It was read, and is not what it should be.
        Corrupt,
        /// It is of a kind that this version can't read.
        Unsupported,
    }
}

evidence_enum! {
    /// Whom a request was for.
    RequestTarget {
        /// The MCP server.
        Mcp,
        /// A discovery document (RFC 9728, RFC 8414, OpenID Connect Discovery).
        Discovery,
        /// The token endpoint (RFC 6749, section 3.2).
        Token,
    }
}

evidence_enum! {
    /// Which credential a request carried.
    CredentialSent {
        /// No credential at all.
        None,
        /// The stored access token.
        Stored,
        /// An access token that was obtained in this very start.
        Refreshed,
        /// The token or header of the configuration.
        Configuration,
    }
}

evidence_enum! {
    /// Why no answer came to a request, or no whole one.
    IoTrouble {
        /// The name of the host could not be resolved.
        Dns,
        /// No connection could be made.
        Connect,
        /// TLS failed: a certificate, a version, a handshake.
        Tls,
        /// The connection broke before the answer was whole.
        Closed,
        /// No answer within the time of the request.
        Timeout,
        /// The answer, or a part of it, was larger than is taken.
        TooLarge,
        /// The answer was no HTTP.
        Malformed,
    }
}

evidence_enum! {
    /// What became of looking for the server's authorization server.
    DiscoveryOutcome {
        /// Metadata that can be used was found.
        Published,
        /// The server answered, and publishes no OAuth.
        NotPublished,
        /// It could not be completed: no answer, or 429 or 5xx.
        Unavailable,
        /// It was completed, and what is published can't be used; see the problem.
        Unusable,
    }
}

evidence_enum! {
    /// Why published metadata can't be used.
    DiscoveryProblem {
        /// The protected-resource metadata is that of another resource (RFC 9728, section 3.3).
        ResourceMismatch,
        /// No authorization server that it names publishes usable metadata (RFC 8414).
        NoAuthorizationServer,
        /// The metadata names another issuer than the one it was fetched for (RFC 8414, section 3.3).
        IssuerMismatch,
        /// A document is not what its specification says.
        InvalidMetadata,
    }
}

evidence_enum! {
    /// Why a program could not be started.
    SpawnFailure {
        /// There is no such program on the PATH.
        NotFound,
        /// It is there, and starting it failed.
        Failed,
    }
}

evidence_struct! {
    /// The entry of the configuration can't be used.
    ConfigurationEvidence {
        /// The key, as a path in the file.
        key: String,
        /// The line, from 1.
        line: u32,
        /// What is wrong with it, as the rest of a sentence; never a value that may be secret.
        problem: String,
    }
}

evidence_struct! {
    /// The authorization that the start had.
    CredentialEvidence {
        /// Where it comes from.
        source: CredentialSource,
        /// For a configured one: the variable or the header it comes from; never its value.
        name: String,
        /// For a stored one: what it is worth.
        worth: CredentialWorth,
        /// Where the OAuth client comes from.
        client_source: ClientSource,
        /// For a stored one: the issuer that granted it, as the record says. Absent means that the record does not say, and
        /// then its refresh token can't be sent to anybody.
        stored_issuer: String,
    }
}

evidence_struct! {
    /// The place where credentials are stored could not be read.
    StoreEvidence {
        /// Which one: `file`, `keyring`, or as the configuration calls it.
        kind: String,
        /// Why it could not be read.
        trouble: CredentialStoreTrouble,
        /// What the store said, or where it is.
        detail: String,
    }
}

evidence_struct! {
    /// One HTTP request of the start and what came back.
    RequestEvidence {
        /// Whom it was for.
        to: RequestTarget,
        /// Where it went: scheme, host and path.
        url: String,
        /// Which credential it carried.
        credential_sent: CredentialSent,
        /// The HTTP status.
        status: u16,
        /// The media type of the answer.
        content_type: String,
        /// The `WWW-Authenticate` challenge (RFC 9110, section 11.6.1), bounded.
        challenge: String,
        /// The code of an OAuth error in the body (RFC 6749, section 5.2).
        oauth_error: String,
        /// The `Retry-After` of the answer (RFC 9110, section 10.2.3), as it came.
        retry_after: String,
        /// Why no whole answer came.
        io: IoTrouble,
    }
}

evidence_struct! {
    /// What is known of the server's authorization server.
    DiscoveryEvidence {
        /// What became of looking for it.
        outcome: DiscoveryOutcome,
        /// Its issuer.
        issuer: String,
        /// Why what is published can't be used.
        problem: DiscoveryProblem,
    }
}

evidence_struct! {
    /// What became of the program of a server over stdio.
    ProcessEvidence {
        /// The program, as configured.
        program: String,
        /// The PATH that was searched for it.
        path: String,
        /// Why it could not be started.
        spawn: SpawnFailure,
        /// The code it exited with, if it ended by itself.
        exit: i32,
        /// The signal that ended it, if one did.
        signal: i32,
        /// The end of what it wrote to stderr, bounded.
        stderr: String,
    }
}

evidence_struct! {
    /// What became of the protocol itself.
    ProtocolEvidence {
        /// The versions that the server said it speaks, none of which the client does.
        server_versions: Vec<String>,
        /// The beginning of an answer that is no MCP, bounded.
        not_mcp: String,
        /// The JSON-RPC error that the handshake was answered with.
        error: String,
    }
}

/// The facts of one start that failed: every one optional, so that a host which starts servers with another SDK hands in
/// what it has.
///
/// No secret is ever in it: URLs are scheme, host and path; foreign text (stderr, challenges, bodies) is bounded, freed of
/// control characters, and every value that was given to the start is masked in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "typescript",
    derive(ts_rs::TS),
    ts(rename_all = "camelCase", optional_fields)
)]
pub struct Evidence {
    /// The name of the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// How it is reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transport: Option<Transport>,
    /// How far the start had come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<StartPhase>,
    /// The time that the start was given, in ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "typescript", ts(type = "number", optional))]
    pub limit_ms: Option<u64>,
    /// The time that the start took, in ms; at least the limit means that the limit ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "typescript", ts(type = "number", optional))]
    pub elapsed_ms: Option<u64>,
    /// What is wrong with the entry of the configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configuration: Option<ConfigurationEvidence>,
    /// The authorization that the start had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<CredentialEvidence>,
    /// Why the place where credentials are stored could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<StoreEvidence>,
    /// The HTTP requests of the start, in order.
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_is_empty"
    )]
    #[cfg_attr(
        feature = "typescript",
        ts(as = "Option<Vec<RequestEvidence>>", optional)
    )]
    pub requests: Vec<RequestEvidence>,
    /// What is known of the server's authorization server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discovered: Option<DiscoveryEvidence>,
    /// What became of the program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessEvidence>,
    /// What became of the protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<ProtocolEvidence>,
    /// Any other cause: the technical chain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

/// A host may write every absent field as null.
fn null_is_empty<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<RequestEvidence>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
