//! The evidence of a failed start: the facts from which the verdict is derived. It never contains a secret.

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
        #[serde(rename_all = "camelCase", default, deny_unknown_fields)]
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
    /// How the client connects to a server.
    Transport {
        /// Standard input and output of a program on this machine.
        Stdio,
        /// Streamable HTTP.
        Http,
    }
}

evidence_enum! {
    /// The phase that a start had reached.
    StartPhase {
        /// Reading the server's entry in the configuration.
        Configuring,
        /// Reading the credentials that are stored for the server.
        ReadingCredentials,
        /// Starting the server's program.
        Launching,
        /// The MCP handshake. Over HTTP, this includes connecting.
        Initializing,
        /// Discovering the authorization server, or refreshing a token.
        Authorizing,
        /// Listing the tools, after the handshake.
        ListingTools,
    }
}

evidence_enum! {
    /// The source of the credential that a start used.
    CredentialSource {
        /// No credential: nothing is stored for this server name and URL, and the configuration contains none.
        None,
        /// A record that is stored for exactly this server name and URL.
        Stored,
        /// A token or header in the configuration.
        Configuration,
    }
}

evidence_enum! {
    /// The source of the OAuth client to which the stored tokens were issued.
    ClientSource {
        /// The user's configuration.
        Configuration,
        /// Dynamic client registration (RFC 7591).
        Registration,
        /// A client ID metadata document.
        MetadataDocument,
    }
}

evidence_enum! {
    /// Why a credential store could not be used.
    CredentialStoreTrouble {
        /// It is locked, and the user has to unlock it.
        Locked,
        /// Another program holds the lock of the record or of the store, and did not release it in time.
        InUse,
        /// It can't be reached, read or written to.
        Unreadable,
        /// It was read, but its contents are damaged.
        Corrupt,
        /// This version does not support this kind of store.
        Unsupported,
        /// It does not exist on this machine or in this session, so nothing is stored in it.
        Absent,
    }
}

evidence_enum! {
    /// The recipient of a request.
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
    /// The credential that was sent with a request.
    CredentialSent {
        /// No credential.
        None,
        /// The stored access token.
        Stored,
        /// An access token that was obtained by a refresh during this start.
        Refreshed,
        /// The token or header in the configuration.
        Configuration,
        /// The access token that another client holds for exactly this URL.
        Held,
    }
}

evidence_enum! {
    /// The state of a sign-in in the store of another client.
    HeldSignInState {
        /// The store records exactly this URL and an access token that has not expired, as far as the store shows. This is the
        /// only state in which the token is sent.
        Valid,
        /// The access token has expired. Only the client that holds it refreshes it.
        Expired,
        /// The store has a sign-in for the name of the server, but does not record its URL. The token is not sent, because another
        /// project could use the same name.
        UnknownUrl,
    }
}

evidence_enum! {
    /// Why a request got no response, or an incomplete or unreadable one.
    IoTrouble {
        /// The host name could not be resolved.
        Dns,
        /// The connection could not be established.
        Connect,
        /// The proxy was reached, and refused to connect to the server.
        ProxyRefused,
        /// TLS failed, for example because of a certificate, the TLS version or the handshake.
        Tls,
        /// The connection was closed before the response was complete.
        Closed,
        /// The response did not arrive within the time limit of the request.
        Timeout,
        /// The response, or a part of it, exceeded the size limit.
        TooLarge,
        /// The response was not valid HTTP.
        Malformed,
    }
}

evidence_enum! {
    /// Why the certificate of a server was not accepted (RFC 5280, section 6; RFC 9525 for the name).
    CertificateProblem {
        /// It has expired.
        Expired,
        /// It is not valid yet. The clock of this machine may be wrong.
        NotYetValid,
        /// It is for a different host name.
        WrongName,
        /// It was issued by an authority that this machine does not trust.
        UnknownIssuer,
        /// It was signed with its own key, and this machine does not trust it.
        SelfSigned,
        /// It is the certificate of an authority, and must not identify a server.
        CertificateOfAuthority,
        /// It was revoked.
        Revoked,
        /// It is invalid for another reason.
        Invalid,
    }
}

evidence_enum! {
    /// A limit that every server must keep until it is ready.
    ExceededLimit {
        /// More than 30 requests were necessary, not counting the pages of the tool list.
        Requests,
        /// The server sent more than 16 MB.
        Bytes,
        /// The server sent more than 1,000 messages.
        Messages,
        /// The server left more than 64 of its own requests open, because it did not read the responses.
        ServerRequests,
    }
}

evidence_enum! {
    /// The outcome of discovering the server's authorization server.
    DiscoveryOutcome {
        /// Usable metadata was found. If there is a `problem`, it prevents a sign-in.
        Published,
        /// The server responded, but publishes no OAuth metadata.
        NotPublished,
        /// Discovery could not be completed: there was no response, or its HTTP status was 429 or 5xx.
        Unavailable,
        /// Metadata was found, but it can't be used. `problem` has the reason.
        Unusable,
    }
}

evidence_enum! {
    /// Why the published metadata can't be used, or not for a sign-in.
    DiscoveryProblem {
        /// The protected resource metadata is for a different resource (RFC 9728, section 3.3).
        ResourceMismatch,
        /// None of the authorization servers that the metadata lists publishes usable metadata (RFC 8414).
        NoAuthorizationServer,
        /// The metadata names a different issuer than the one it was fetched for (RFC 8414, section 3.3).
        IssuerMismatch,
        /// A metadata document does not conform to its specification, or has no usable endpoint for a sign-in.
        InvalidMetadata,
        /// The authorization server does not publish whether it supports PKCE with S256 (RFC 7636), and the configuration does not
        /// allow a sign-in without this. Stored credentials can be refreshed anyway.
        PkceNotPublished,
        /// The authorization server does not support PKCE with S256. Stored credentials can be refreshed anyway.
        PkceNotSupported,
        /// A sign-in requires something that this client does not support, such as pushed requests (RFC 9126) or tokens with a proof of
        /// possession (RFC 9449), or the authorization server has no grant for users. Stored credentials can be refreshed anyway.
        Unsupported,
        /// The authorization server does not register this client, and none is configured. Stored credentials can be refreshed
        /// anyway.
        ClientRequired,
        /// The authorization server does not register this client, but accepts a client that a metadata document describes, and neither
        /// a client nor such a document is configured. Stored credentials can be refreshed anyway.
        ClientDocumentRequired,
    }
}

evidence_enum! {
    /// Why a program could not be started.
    SpawnFailure {
        /// The program was not found.
        NotFound,
        /// The program was found, but could not be started.
        Failed,
    }
}

evidence_struct! {
    /// A problem with the server's entry in the configuration.
    ConfigurationEvidence {
        /// The key, as a path in the file, for example `mcp_servers.linear.url`.
        key: String,
        /// The line number, starting at 1.
        line: u32,
        /// A description of the problem. It never contains a value that may be secret.
        problem: String,
    }
}

evidence_struct! {
    /// The credential that the start used.
    CredentialEvidence {
        /// The source of the credential.
        source: CredentialSource,
        /// For a credential in the configuration: the name of its environment variable or header, never its value.
        name: String,
        /// For a stored credential: whether its tokens can still be used.
        worth: CredentialWorth,
        /// For a stored credential: the source of the OAuth client to which it was issued.
        client_source: ClientSource,
        /// For a stored credential: the authorization server (issuer) that issued it, according to the record. If it is
        /// absent, the issuer is unknown, and the refresh token must not be sent to any server.
        stored_issuer: String,
        /// For a stored credential: the scopes that were granted to its access token, if they are known. The list can be incomplete.
        granted_scopes: Vec<String>,
    }
}

evidence_struct! {
    /// A sign-in that another client on this machine holds for the server. It is only read: never written, and never refreshed.
    HeldSignInEvidence {
        /// The name of the client, for example `Claude Code`.
        client: String,
        /// The state of the sign-in in the store of the client.
        state: HeldSignInState,
        /// Whether the store has a refresh token, with which only the client that holds it can refresh the access token.
        refresh_token: bool,
        /// When the access token expires, in ms since the Unix epoch, if the store has enough to tell.
        #[cfg_attr(feature = "typescript", ts(type = "number", optional))]
        expires_at_ms: u64,
    }
}

evidence_struct! {
    /// A problem with a credential store.
    StoreEvidence {
        /// The kind of store: `file`, `keyring`, `secrets` (Codex's encrypted store), or another name.
        kind: String,
        /// Why the store could not be used.
        trouble: CredentialStoreTrouble,
        /// The error that the store reported, or the location of the store.
        detail: String,
    }
}

evidence_struct! {
    /// An HTTP request of the start, and its response.
    RequestEvidence {
        /// The recipient of the request.
        to: RequestTarget,
        /// The URL of the request: only scheme, host and path.
        url: String,
        /// The credential that was sent with the request.
        credential_sent: CredentialSent,
        /// The HTTP status of the response.
        status: u16,
        /// The media type of the response.
        content_type: String,
        /// The content encoding of the response, if it has one (RFC 9110, section 8.4).
        content_encoding: String,
        /// The `WWW-Authenticate` header of the response (RFC 9110, section 11.6.1). Its length is limited.
        challenge: String,
        /// The OAuth error code in the body of the response (RFC 6749, section 5.2).
        oauth_error: String,
        /// The description in the body of a refusal by the token endpoint: its `error_description`, or a similar text. Its length
        /// is limited.
        oauth_error_description: String,
        /// Why the token in a successful response of the token endpoint can't be used, for example `its type is DPoP, and only
        /// bearer tokens are supported`.
        unusable_token: String,
        /// The `Retry-After` header of the response, verbatim (RFC 9110, section 10.2.3): a number of seconds, or a date.
        retry_after: String,
        /// The URL to which the response redirects (RFC 9110, section 10.2.2): its scheme, host and port. If the host is that of the
        /// request, also the path, unless it may contain a key.
        location: String,
        /// If the request failed or was refused: the host and port of the proxy through which it was sent. The status can be that of the
        /// proxy.
        proxy: String,
        /// Why the request got no response, or an incomplete or unreadable one.
        io: IoTrouble,
        /// Why the certificate of the server was not accepted, if `io` is `tls`.
        certificate: CertificateProblem,
        /// The method of the MCP message that the request carried, for example `initialize`.
        method: String,
        /// The beginning of the body of an error response, as text. Its length is limited.
        body: String,
        /// For a refresh: when another program sent the same refresh token, in ms since the Unix epoch, if it did not save the
        /// response. The authorization server may have replaced the token then, which explains a refusal of this request.
        #[cfg_attr(feature = "typescript", ts(type = "number", optional))]
        sent_before_at_ms: u64,
        /// For a refresh: whether another program had stored a newer record, which stays, or had removed the record. The granted
        /// tokens were not saved then, or the request was refused after its program had lost the lock of the record.
        superseded: bool,
    }
}

evidence_struct! {
    /// The result of discovering the server's authorization server.
    DiscoveryEvidence {
        /// The outcome of the discovery.
        outcome: DiscoveryOutcome,
        /// The issuer of the authorization server that was discovered, or the different one that its metadata names.
        issuer: String,
        /// If the metadata names a different issuer: the one that it was fetched for.
        expected_issuer: String,
        /// Why the published metadata can't be used, or not for a sign-in.
        problem: DiscoveryProblem,
        /// The URL of the metadata document that can't be used, if one was found: only scheme, host and path.
        document: String,
        /// The invalid field of that document and the problem with it, for example `token_endpoint: must be a string, not 7`.
        invalid_field: String,
    }
}

evidence_struct! {
    /// The state of the program of a stdio server.
    ProcessEvidence {
        /// The program, as it is configured.
        program: String,
        /// The package that the program installs and runs, if it is a package runner such as `npx`: its name in a registry, with the
        /// version that the configuration has.
        package: String,
        /// The PATH that was searched for the program.
        path: String,
        /// Why the program could not be started.
        spawn: SpawnFailure,
        /// The exit code, if the program exited by itself.
        exit: i32,
        /// The number of the signal that terminated the program, if a signal did.
        signal: i32,
        /// The program's stderr output: the beginning and the end, if it is long. Its length is limited.
        stderr: String,
        /// The beginning of the program's stdout output, without MCP messages. Its length is limited.
        stdout: String,
    }
}

evidence_struct! {
    /// The problems with the MCP protocol.
    ProtocolEvidence {
        /// The MCP versions that the server reported. The client supports none of them.
        server_versions: Vec<String>,
        /// The beginning of a response that is not MCP. Its length is limited.
        not_mcp: String,
        /// The code and message of the JSON-RPC error with which the server responded to the handshake, or the last error that it
        /// logged before.
        error: String,
        /// The message of that error without its code, if the server responded with it to a request.
        error_message: String,
        /// The MCP method whose result does not conform to the schema of MCP.
        invalid_method: String,
        /// The invalid field of that result and the problem with it, for example `serverInfo: "version" is missing`.
        invalid_field: String,
    }
}

/// The facts about one failed start.
///
/// Every field is optional, so a host that starts servers with another SDK can pass the facts that it has.
///
/// Evidence must not contain secrets. A URL has only scheme, host and path. Foreign text (stderr, challenges, response
/// bodies) is limited in length and has no control characters, and every secret value that was passed to the start is
/// masked in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
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
    /// How the client connects to the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transport: Option<Transport>,
    /// The phase that the start had reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<StartPhase>,
    /// The time limit of the start, in ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "typescript", ts(type = "number", optional))]
    pub limit_ms: Option<u64>,
    /// The configuration key or the option that sets the time limit, for example `startup_timeout_sec`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_key: Option<String>,
    /// Whether the user gave the server on a command line. It then has no entry in a configuration that a message could name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_command_line: Option<bool>,
    /// The duration of the start, in ms. The start timed out if this is at least the time limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "typescript", ts(type = "number", optional))]
    pub elapsed_ms: Option<u64>,
    /// The problem with the server's entry in the configuration, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configuration: Option<ConfigurationEvidence>,
    /// Parts of the server's entry that may be the cause: keys that have no effect, and text that looks like a variable but was
    /// not replaced.
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_is_empty"
    )]
    #[cfg_attr(
        feature = "typescript",
        ts(as = "Option<Vec<ConfigurationEvidence>>", optional)
    )]
    pub configuration_warnings: Vec<ConfigurationEvidence>,
    /// The credential that the start used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<CredentialEvidence>,
    /// The sign-in that another client holds for this server, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_sign_in: Option<HeldSignInEvidence>,
    /// The problem with the credential store, if there is one, or the store that was being read when the start ended.
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
    /// The result of discovering the server's authorization server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discovered: Option<DiscoveryEvidence>,
    /// For a stdio server: the state of its program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessEvidence>,
    /// The problems with the MCP protocol, if there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<ProtocolEvidence>,
    /// The limit that the server exceeded, if it exceeded one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exceeded: Option<ExceededLimit>,
    /// Any other cause, for example a chain of error messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

/// Accepts null, because a host may write an absent field as null.
fn null_is_empty<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
