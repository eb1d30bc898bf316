# Generated from the Rust types by `cargo xtask generate`. Do not edit it by hand.
"""The types of the contract and of the verdict."""

from __future__ import annotations

import dataclasses

from ._wire import OpenWireEnum, WireEnum, WireObject


class McpServerStartupState(OpenWireEnum):
    """The state of the start of an MCP server.

    Each `starting` is followed by exactly one `ready`, `failed` or `cancelled`."""

    STARTING = "starting"
    """The start has begun."""

    READY = "ready"
    """The server has completed the MCP handshake and can be used."""

    FAILED = "failed"
    """The start failed, and the server can't be used. `error` describes the failure."""

    CANCELLED = "cancelled"
    """The host cancelled the start before it was complete."""


class McpServerStartupFailureReason(OpenWireEnum):
    """The reason for a failed start, if clients should handle it in a specific way."""

    REAUTHENTICATION_REQUIRED = "reauthenticationRequired"
    """Credentials are stored for exactly this server, but they can no longer be used or refreshed, and the start failed because of that. Ask the user to sign in **again**. A missing first sign-in or a temporary failure never has this reason."""


class AccessTokenWorth(WireEnum):
    """Whether a stored access token can still be used, according to its record and the current time."""

    ABSENT = "absent"
    """There is no access token, or it is blank."""

    GOOD = "good"
    """The access token expires in more than 30 s (`CLOCK_SKEW_MS`)."""

    EXPIRY_UNKNOWN = "expiryUnknown"
    """The expiry of the access token is unknown. It is used until the server rejects it."""

    EXPIRED = "expired"
    """The access token has expired or expires within 30 s (`CLOCK_SKEW_MS`)."""


class CertificateProblem(WireEnum):
    """Why the certificate of a server was not accepted (RFC 5280, section 6; RFC 9525 for the name)."""

    EXPIRED = "expired"
    """It has expired."""

    NOT_YET_VALID = "notYetValid"
    """It is not valid yet. The clock of this machine may be wrong."""

    WRONG_NAME = "wrongName"
    """It is for a different host name."""

    UNKNOWN_ISSUER = "unknownIssuer"
    """It was issued by an authority that this machine does not trust."""

    SELF_SIGNED = "selfSigned"
    """It was signed with its own key, and this machine does not trust it."""

    CERTIFICATE_OF_AUTHORITY = "certificateOfAuthority"
    """It is the certificate of an authority, and must not identify a server."""

    REVOKED = "revoked"
    """It was revoked."""

    INVALID = "invalid"
    """It is invalid for another reason."""


class ClientSource(WireEnum):
    """The source of the OAuth client to which the stored tokens were issued."""

    CONFIGURATION = "configuration"
    """The user's configuration."""

    REGISTRATION = "registration"
    """Dynamic client registration (RFC 7591)."""

    METADATA_DOCUMENT = "metadataDocument"
    """A client ID metadata document."""


class CredentialSent(WireEnum):
    """The credential that was sent with a request."""

    NONE = "none"
    """No credential."""

    STORED = "stored"
    """The stored access token."""

    REFRESHED = "refreshed"
    """An access token that was obtained by a refresh during this start."""

    CONFIGURATION = "configuration"
    """The token or header in the configuration."""

    HELD = "held"
    """The access token that another client holds for exactly this URL."""


class CredentialSource(WireEnum):
    """The source of the credential that a start used."""

    NONE = "none"
    """No credential: nothing is stored for this server name and URL, and the configuration contains none."""

    STORED = "stored"
    """A record that is stored for exactly this server name and URL."""

    CONFIGURATION = "configuration"
    """A token or header in the configuration."""


class CredentialStoreTrouble(WireEnum):
    """Why a credential store could not be used."""

    LOCKED = "locked"
    """It is locked, and the user has to unlock it."""

    IN_USE = "inUse"
    """Another program holds the lock of the record or of the store, and did not release it in time."""

    UNREADABLE = "unreadable"
    """It can't be reached, read or written to."""

    CORRUPT = "corrupt"
    """It was read, but its contents are damaged."""

    UNSUPPORTED = "unsupported"
    """This version does not support this kind of store."""

    ABSENT = "absent"
    """It does not exist on this machine or in this session, so nothing is stored in it."""


class DiscoveryOutcome(WireEnum):
    """The outcome of discovering the server's authorization server."""

    PUBLISHED = "published"
    """Usable metadata was found. If there is a `problem`, it prevents a sign-in."""

    NOT_PUBLISHED = "notPublished"
    """The server responded, but publishes no OAuth metadata."""

    UNAVAILABLE = "unavailable"
    """Discovery could not be completed: there was no response, or its HTTP status was 429 or 5xx."""

    UNUSABLE = "unusable"
    """Metadata was found, but it can't be used. `problem` has the reason."""


class DiscoveryProblem(WireEnum):
    """Why the published metadata can't be used, or not for a sign-in."""

    RESOURCE_MISMATCH = "resourceMismatch"
    """The protected resource metadata is for a different resource (RFC 9728, section 3.3)."""

    NO_AUTHORIZATION_SERVER = "noAuthorizationServer"
    """None of the authorization servers that the metadata lists publishes usable metadata (RFC 8414)."""

    ISSUER_MISMATCH = "issuerMismatch"
    """The metadata names a different issuer than the one it was fetched for (RFC 8414, section 3.3)."""

    INVALID_METADATA = "invalidMetadata"
    """A metadata document does not conform to its specification, or has no usable endpoint for a sign-in."""

    PKCE_NOT_PUBLISHED = "pkceNotPublished"
    """The authorization server does not publish whether it supports PKCE with S256 (RFC 7636), and the configuration does not allow a sign-in without this. Stored credentials can be refreshed anyway."""

    PKCE_NOT_SUPPORTED = "pkceNotSupported"
    """The authorization server does not support PKCE with S256. Stored credentials can be refreshed anyway."""

    UNSUPPORTED = "unsupported"
    """A sign-in requires something that this client does not support, such as pushed requests (RFC 9126) or tokens with a proof of possession (RFC 9449), or the authorization server has no grant for users. Stored credentials can be refreshed anyway."""

    CLIENT_REQUIRED = "clientRequired"
    """The authorization server does not register this client, and none is configured. Stored credentials can be refreshed anyway."""

    CLIENT_DOCUMENT_REQUIRED = "clientDocumentRequired"
    """The authorization server does not register this client, but accepts a client that a metadata document describes, and neither a client nor such a document is configured. Stored credentials can be refreshed anyway."""


class ExceededLimit(WireEnum):
    """A limit that every server must keep until it is ready."""

    REQUESTS = "requests"
    """More than 30 requests were necessary, not counting the pages of the tool list."""

    BYTES = "bytes"
    """The server sent more than 16 MB."""

    MESSAGES = "messages"
    """The server sent more than 1,000 messages."""

    SERVER_REQUESTS = "serverRequests"
    """The server left more than 64 of its own requests open, because it did not read the responses."""


class HeldSignInState(WireEnum):
    """The state of a sign-in in the store of another client."""

    VALID = "valid"
    """The store records exactly this URL and an access token that has not expired, as far as the store shows. This is the only state in which the token is sent."""

    EXPIRED = "expired"
    """The access token has expired. Only the client that holds it refreshes it."""

    UNKNOWN_URL = "unknownUrl"
    """The store has a sign-in for the name of the server, but does not record its URL. The token is not sent, because another project could use the same name."""


class IoTrouble(WireEnum):
    """Why a request got no response, or an incomplete or unreadable one."""

    DNS = "dns"
    """The host name could not be resolved."""

    CONNECT = "connect"
    """The connection could not be established."""

    PROXY_REFUSED = "proxyRefused"
    """The proxy was reached, and refused to connect to the server."""

    TLS = "tls"
    """TLS failed, for example because of a certificate, the TLS version or the handshake."""

    CLOSED = "closed"
    """The connection was closed before the response was complete."""

    TIMEOUT = "timeout"
    """The response did not arrive within the time limit of the request."""

    TOO_LARGE = "tooLarge"
    """The response, or a part of it, exceeded the size limit."""

    MALFORMED = "malformed"
    """The response was not valid HTTP."""


class Recovery(WireEnum):
    """How to fix a failure, and therefore what a client should offer with the message."""

    NONE = "none"
    """The client can't fix the failure. Show no button. The message tells the user who can fix it."""

    RETRY = "retry"
    """Try again later. Offer a button, or retry automatically after a delay. The stored credentials are kept."""

    SIGN_IN = "signIn"
    """Sign in for the first time. Offer a button, and do not start a sign-in without the user."""

    REAUTHENTICATE = "reauthenticate"
    """Sign in again. Offer a button, once for each server, even if several threads or retries report the failure."""

    GRANT_SCOPE = "grantScope"
    """Sign in again to grant more scopes. Offer a button. The challenge in the evidence may name the scopes."""

    OPEN_CLIENT = "openClient"
    """Open the client that holds the sign-in, which refreshes it. Offer to open the client in the evidence, and then to try again. The message also recommends to sign in here if a sign-in can begin."""

    FIX_CONFIGURATION = "fixConfiguration"
    """Change the configuration. Offer to open it, at the key and line if the evidence has them."""

    FIX_CREDENTIAL_STORE = "fixCredentialStore"
    """Unlock or repair the credential store, or use a different one. Offer to try again after that. The user is not signed out."""


class RequestTarget(WireEnum):
    """The recipient of a request."""

    MCP = "mcp"
    """The MCP server."""

    DISCOVERY = "discovery"
    """A discovery document (RFC 9728, RFC 8414, OpenID Connect Discovery)."""

    TOKEN = "token"
    """The token endpoint (RFC 6749, section 3.2)."""


class SpawnFailure(WireEnum):
    """Why a program could not be started."""

    NOT_FOUND = "notFound"
    """The program was not found."""

    FAILED = "failed"
    """The program was found, but could not be started."""


class StartPhase(WireEnum):
    """The phase that a start had reached."""

    CONFIGURING = "configuring"
    """Reading the server's entry in the configuration."""

    READING_CREDENTIALS = "readingCredentials"
    """Reading the credentials that are stored for the server."""

    LAUNCHING = "launching"
    """Starting the server's program."""

    INITIALIZING = "initializing"
    """The MCP handshake. Over HTTP, this includes connecting."""

    AUTHORIZING = "authorizing"
    """Discovering the authorization server, or refreshing a token."""

    LISTING_TOOLS = "listingTools"
    """Listing the tools, after the handshake."""


class StartupFailureKind(WireEnum):
    """The kind of a failure, as a stable value for programs."""

    INVALID_CONFIGURATION = "invalidConfiguration"
    """The server's entry in the configuration is invalid. The evidence has its key and line, if they are known."""

    PROGRAM_NOT_FOUND = "programNotFound"
    """The server's program was not found on the PATH or at its configured path."""

    CREDENTIAL_STORE_UNAVAILABLE = "credentialStoreUnavailable"
    """The start needed stored credentials, but the credential store is locked, can't be read or written to, is damaged, or is not supported. The user is not signed out."""

    CREDENTIAL_REJECTED = "credentialRejected"
    """A token, header or OAuth client in the configuration was rejected."""

    INSUFFICIENT_SCOPE = "insufficientScope"
    """The server requires a scope that was not granted to the stored credentials."""

    ACCESS_DENIED = "accessDenied"
    """The server denied access (HTTP 403). Signing in does not fix this."""

    LIMIT_EXCEEDED = "limitExceeded"
    """The server exceeded a limit that every server must keep until it is ready. The evidence has the limit."""

    REAUTHENTICATION_REQUIRED = "reauthenticationRequired"
    """Credentials are stored for this server name and URL, but they can no longer be used or refreshed, and the server requires valid ones. Only this kind has a reason on the wire."""

    SIGN_IN_HELD_BY_CLIENT = "signInHeldByClient"
    """The server requires a sign-in. No credentials are configured or stored for this server name and URL, but another client on this machine holds a sign-in, which can't be used from here: its access token has expired, was rejected, or may belong to another URL. Only that client can refresh it."""

    AUTHORIZATION_UNAVAILABLE = "authorizationUnavailable"
    """The server requires authorization, but the token refresh or the discovery could not be completed. The stored credentials are kept."""

    AUTHORIZATION_MISCONFIGURED = "authorizationMisconfigured"
    """The server requires authorization, but its OAuth metadata is missing or unusable, or its authorization server does not recognize it. Or it does not accept the kind of the token, or a proxy removes the token."""

    CLIENT_REQUIRED = "clientRequired"
    """The server requires a sign-in, but its authorization server does not register this client, and no client is configured."""

    SIGN_IN_REQUIRED = "signInRequired"
    """The server requires a sign-in, and no credentials are stored for this server name and URL. A sign-in can begin."""

    CREDENTIAL_REQUIRED = "credentialRequired"
    """The server requires a key or token but publishes no OAuth metadata, and the configuration contains no credential. Or the server, or a gateway in front of it, requires a key or another authentication scheme, for example `Basic`, and did not read the token of the sign-in."""

    UNREACHABLE = "unreachable"
    """The connection to the server failed: DNS, TCP or TLS."""

    TIMED_OUT = "timedOut"
    """The start exceeded its time limit. The evidence has the phase that the start had reached."""

    EXITED = "exited"
    """The server's program exited before it was ready."""

    SERVER_ERROR = "serverError"
    """The server responded with an HTTP error."""

    UNSUPPORTED_PROTOCOL = "unsupportedProtocol"
    """The client and the server have no MCP version in common."""

    NOT_MCP = "notMcp"
    """The server's response is not MCP."""

    OTHER = "other"
    """Any other failure. The evidence has the cause, if it is known."""


class Transport(WireEnum):
    """How the client connects to a server."""

    STDIO = "stdio"
    """Standard input and output of a program on this machine."""

    HTTP = "http"
    """Streamable HTTP."""


class StartupWarningKind(WireEnum):
    """The kind of a warning, as a stable value for programs."""

    TOOL_LIST_FAILED = "toolListFailed"
    """The server responded to the request for its tools with an error."""

    TOOL_LIST_INVALID = "toolListInvalid"
    """The list of tools does not conform to the schema of MCP. Most clients then show no tool of this server."""

    TOOL_LIST_TIMED_OUT = "toolListTimedOut"
    """The server did not list its tools in time."""

    TOOL_LIST_TOO_LONG = "toolListTooLong"
    """The server listed more than 10,000 tools, or more than 100 pages or 10 MB of them. The rest was not read."""

    TEXT_ON_STDOUT = "textOnStdout"
    """The program wrote text to its stdout, which MCP reserves for messages (transports, stdio). Other clients may refuse the server."""


class FirstRequest(WireEnum):
    """The first request of a start, depending on the stored credential."""

    WITHOUT_TOKEN = "withoutToken"
    """A request to the MCP server without a token, because no token is stored."""

    STORED_TOKEN = "storedToken"
    """A request to the MCP server with the stored access token, without discovery before it."""

    REFRESH = "refresh"
    """A token refresh, followed by a request to the MCP server with the new access token."""

    WITHOUT_TOKEN_THEN_STORED = "withoutTokenThenStored"
    """A request to the MCP server without a token. If the server rejects it, the expired access token is sent once, because the local clock may be wrong."""


class McpAuthStatus(WireEnum):
    """How a client is authorized at an MCP server. Codex's app-server uses the same values."""

    UNKNOWN = "unknown"
    """The status could not be determined, for example because the server did not answer.

    It is a value for a reader of Codex's `mcpServerStatus/list`. `auth_status` returns `None` instead."""

    UNSUPPORTED = "unsupported"
    """The server does not support a sign-in: it publishes no OAuth metadata, or it is a stdio server."""

    NOT_LOGGED_IN = "notLoggedIn"
    """The server publishes OAuth metadata, and no usable token is stored."""

    BEARER_TOKEN = "bearerToken"
    """The configuration contains a token or header for the server."""

    OAUTH = "oAuth"
    """A usable access token or refresh token is stored."""


class McpServerConnectionStatus(WireEnum):
    """The state of the connection to an MCP server, as `runtimeStatus` of Codex's `mcpServerStatus/list` reports it."""

    NOT_STARTED = "notStarted"
    """The server has not been started."""

    STARTING = "starting"
    """The start has begun."""

    CONNECTED = "connected"
    """The server is ready."""

    AUTHENTICATION_REQUIRED = "authenticationRequired"
    """The start failed, and signing in fixes the failure: for the first time, again, or to grant more scopes."""

    FAILED = "failed"
    """The start failed for any other reason."""

    CANCELLED = "cancelled"
    """The host cancelled the start."""

    DISABLED = "disabled"
    """The configuration disables the server."""


class McpAuthRequiredReason(WireEnum):
    """Why an MCP server requires authentication, in the words of the Agent Host Protocol (`McpAuthRequiredReason`)."""

    REQUIRED = "required"
    """The user has to sign in for the first time."""

    EXPIRED = "expired"
    """The stored credentials can no longer be used, and the user has to sign in again."""

    INSUFFICIENT_SCOPE = "insufficientScope"
    """The user has to sign in again to grant more scopes."""


class DecodeErrorKind(WireEnum):
    """Why a line could not be decoded."""

    INVALID_JSON = "invalidJson"
    """The line is not valid JSON (RFC 8259) or not valid UTF-8."""

    NOT_AN_OBJECT = "notAnObject"
    """The line is JSON, but not an object, and therefore not a JSON-RPC message."""

    MISSING_FIELD = "missingField"
    """A required field is missing or null."""

    INVALID_TYPE = "invalidType"
    """A field has a value of the wrong type."""

    TOO_LONG = "tooLong"
    """The line is longer than the limit, which is `MAX_LINE_BYTES` by default."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationEvidence(WireObject):
    """A problem with the server's entry in the configuration."""

    key: str | None = None
    """The key, as a path in the file, for example `mcp_servers.linear.url`."""

    line: int | None = None
    """The line number, starting at 1."""

    problem: str | None = None
    """A description of the problem. It never contains a value that may be secret."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CredentialEvidence(WireObject):
    """The credential that the start used."""

    source: CredentialSource | None = None
    """The source of the credential."""

    name: str | None = None
    """For a credential in the configuration: the name of its environment variable or header, never its value."""

    worth: CredentialWorth | None = None
    """For a stored credential: whether its tokens can still be used."""

    client_source: ClientSource | None = None
    """For a stored credential: the source of the OAuth client to which it was issued."""

    stored_issuer: str | None = None
    """For a stored credential: the authorization server (issuer) that issued it, according to the record. If it is absent, the issuer is unknown, and the refresh token must not be sent to any server."""

    granted_scopes: tuple[str, ...] | None = None
    """For a stored credential: the scopes that were granted to its access token, if they are known. The list can be incomplete."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CredentialWorth(WireObject):
    """Whether the tokens of a stored credential can still be used."""

    access_token: AccessTokenWorth = AccessTokenWorth.ABSENT
    """Whether the access token can still be used."""

    refresh_token: bool = False
    """Whether there is a refresh token that is not blank."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveryEvidence(WireObject):
    """The result of discovering the server's authorization server."""

    outcome: DiscoveryOutcome | None = None
    """The outcome of the discovery."""

    issuer: str | None = None
    """The issuer of the authorization server that was discovered, or the different one that its metadata names."""

    expected_issuer: str | None = None
    """If the metadata names a different issuer: the one that it was fetched for."""

    problem: DiscoveryProblem | None = None
    """Why the published metadata can't be used, or not for a sign-in."""

    document: str | None = None
    """The URL of the metadata document that can't be used, if one was found: only scheme, host and path."""

    invalid_field: str | None = None
    """The invalid field of that document and the problem with it, for example `token_endpoint: must be a string, not 7`."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Evidence(WireObject):
    """The facts about one failed start.

    Every field is optional, so a host that starts servers with another SDK can pass the facts that it has.

    Evidence must not contain secrets. A URL has only scheme, host and path. Foreign text (stderr, challenges, response bodies) is limited in length and has no control characters, and every secret value that was passed to the start is masked in it."""

    server: str | None = None
    """The name of the server."""

    transport: Transport | None = None
    """How the client connects to the server."""

    phase: StartPhase | None = None
    """The phase that the start had reached."""

    limit_ms: int | None = None
    """The time limit of the start, in ms."""

    limit_key: str | None = None
    """The configuration key or the option that sets the time limit, for example `startup_timeout_sec`."""

    on_command_line: bool | None = None
    """Whether the user gave the server on a command line. It then has no entry in a configuration that a message could name."""

    elapsed_ms: int | None = None
    """The duration of the start, in ms. The start timed out if this is at least the time limit."""

    configuration: ConfigurationEvidence | None = None
    """The problem with the server's entry in the configuration, if there is one."""

    configuration_warnings: tuple[ConfigurationEvidence, ...] = ()
    """Parts of the server's entry that may be the cause: keys that have no effect, and text that looks like a variable but was not replaced."""

    credential: CredentialEvidence | None = None
    """The credential that the start used."""

    held_sign_in: HeldSignInEvidence | None = None
    """The sign-in that another client holds for this server, if there is one."""

    store: StoreEvidence | None = None
    """The problem with the credential store, if there is one, or the store that was being read when the start ended."""

    requests: tuple[RequestEvidence, ...] = ()
    """The HTTP requests of the start, in order."""

    discovered: DiscoveryEvidence | None = None
    """The result of discovering the server's authorization server."""

    process: ProcessEvidence | None = None
    """For a stdio server: the state of its program."""

    protocol: ProtocolEvidence | None = None
    """The problems with the MCP protocol, if there are any."""

    exceeded: ExceededLimit | None = None
    """The limit that the server exceeded, if it exceeded one."""

    cause: str | None = None
    """Any other cause, for example a chain of error messages."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class HeldSignInEvidence(WireObject):
    """A sign-in that another client on this machine holds for the server. It is only read: never written, and never refreshed."""

    client: str | None = None
    """The name of the client, for example `Claude Code`."""

    state: HeldSignInState | None = None
    """The state of the sign-in in the store of the client."""

    refresh_token: bool | None = None
    """Whether the store has a refresh token, with which only the client that holds it can refresh the access token."""

    expires_at_ms: int | None = None
    """When the access token expires, in ms since the Unix epoch, if the store has enough to tell."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ProcessEvidence(WireObject):
    """The state of the program of a stdio server."""

    program: str | None = None
    """The program, as it is configured."""

    package: str | None = None
    """The package that the program installs and runs, if it is a package runner such as `npx`: its name in a registry, with the version that the configuration has."""

    path: str | None = None
    """The PATH that was searched for the program."""

    spawn: SpawnFailure | None = None
    """Why the program could not be started."""

    exit: int | None = None
    """The exit code, if the program exited by itself."""

    signal: int | None = None
    """The number of the signal that terminated the program, if a signal did."""

    stderr: str | None = None
    """The program's stderr output: the beginning and the end, if it is long. Its length is limited."""

    stdout: str | None = None
    """The beginning of the program's stdout output, without MCP messages. Its length is limited."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolEvidence(WireObject):
    """The problems with the MCP protocol."""

    server_versions: tuple[str, ...] | None = None
    """The MCP versions that the server reported. The client supports none of them."""

    not_mcp: str | None = None
    """The beginning of a response that is not MCP. Its length is limited."""

    error: str | None = None
    """The code and message of the JSON-RPC error with which the server responded to the handshake, or the last error that it logged before."""

    error_message: str | None = None
    """The message of that error without its code, if the server responded with it to a request."""

    invalid_method: str | None = None
    """The MCP method whose result does not conform to the schema of MCP."""

    invalid_field: str | None = None
    """The invalid field of that result and the problem with it, for example `serverInfo: "version" is missing`."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RequestEvidence(WireObject):
    """An HTTP request of the start, and its response."""

    to: RequestTarget | None = None
    """The recipient of the request."""

    url: str | None = None
    """The URL of the request: only scheme, host and path."""

    credential_sent: CredentialSent | None = None
    """The credential that was sent with the request."""

    status: int | None = None
    """The HTTP status of the response."""

    content_type: str | None = None
    """The media type of the response."""

    content_encoding: str | None = None
    """The content encoding of the response, if it has one (RFC 9110, section 8.4)."""

    challenge: str | None = None
    """The `WWW-Authenticate` header of the response (RFC 9110, section 11.6.1). Its length is limited."""

    oauth_error: str | None = None
    """The OAuth error code in the body of the response (RFC 6749, section 5.2)."""

    oauth_error_description: str | None = None
    """The description in the body of a refusal by the token endpoint: its `error_description`, or a similar text. Its length is limited."""

    unusable_token: str | None = None
    """Why the token in a successful response of the token endpoint can't be used, for example `its type is DPoP, and only bearer tokens are supported`."""

    retry_after: str | None = None
    """The `Retry-After` header of the response, verbatim (RFC 9110, section 10.2.3): a number of seconds, or a date."""

    location: str | None = None
    """The URL to which the response redirects (RFC 9110, section 10.2.2): its scheme, host and port. If the host is that of the request, also the path, unless it may contain a key."""

    proxy: str | None = None
    """If the request failed or was refused: the host and port of the proxy through which it was sent. The status can be that of the proxy."""

    io: IoTrouble | None = None
    """Why the request got no response, or an incomplete or unreadable one."""

    certificate: CertificateProblem | None = None
    """Why the certificate of the server was not accepted, if `io` is `tls`."""

    method: str | None = None
    """The method of the MCP message that the request carried, for example `initialize`."""

    body: str | None = None
    """The beginning of the body of an error response, as text. Its length is limited."""

    sent_before_at_ms: int | None = None
    """For a refresh: when another program sent the same refresh token, in ms since the Unix epoch, if it did not save the response. The authorization server may have replaced the token then, which explains a refusal of this request."""

    superseded: bool | None = None
    """For a refresh: whether another program had stored a newer record, which stays, or had removed the record. The granted tokens were not saved then, or the request was refused after its program had lost the lock of the record."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StoreEvidence(WireObject):
    """A problem with a credential store."""

    kind: str | None = None
    """The kind of store: `file`, `keyring`, `secrets` (Codex's encrypted store), or another name."""

    trouble: CredentialStoreTrouble | None = None
    """Why the store could not be used."""

    detail: str | None = None
    """The error that the store reported, or the location of the store."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CredentialFacts(WireObject):
    """The facts about a stored record. They contain no secret."""

    access_token: bool = False
    """Whether the record has an access token that is not blank."""

    refresh_token: bool = False
    """Whether the record has a refresh token that is not blank."""

    expires_at_ms: int | None = None
    """The time at which the access token expires, in ms since the Unix epoch. `None` if it is unknown."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StartupWarning(WireObject):
    """A problem with a server that is ready: a stable kind, and a human-readable message."""

    kind: StartupWarningKind
    """The kind of the warning, as a stable value for programs."""

    message: str
    """A human-readable message with the problem, its cause and the next step for the user. It names the server, and is one line of at most 300 characters without control characters."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StartupFailure(WireObject):
    """Why a start failed: a stable kind, a human-readable message, how to fix the failure, and the evidence.

    Only `judge` creates a failure, from its evidence."""

    kind: StartupFailureKind
    """The kind of the failure, as a stable value for programs."""

    message: str
    """A human-readable message with the problem, its cause and the next step for the user. It names the server, and is one line of at most 300 characters without control characters. A long message is shortened, but keeps the next step."""

    recovery: Recovery
    """How to fix the failure."""

    fallback: Recovery | None = None
    """A second recovery to offer, because only one of the two may help.

    It is `reauthenticate` if the authorization server refused a refresh in a way that can't be interpreted. The recovery is then `retry`, and the message names both. Every other failure has none."""

    evidence: Evidence
    """The facts from which the failure was derived."""
