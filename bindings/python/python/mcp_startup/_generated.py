# Generated from the Rust types by `cargo xtask generate`. Do not edit it by hand.
"""The types of the contract and of the verdict."""

from __future__ import annotations

import dataclasses

from ._wire import OpenWireEnum, WireEnum


class McpServerStartupState(OpenWireEnum):
    """How far the start of an MCP server has come.

    Every `starting` is followed by exactly one of the other three."""

    STARTING = "starting"
    """The start has begun."""

    READY = "ready"
    """The server has answered the handshake and can be used."""

    FAILED = "failed"
    """The server can't be used; `error` says why."""

    CANCELLED = "cancelled"
    """The start was given up by the host before it came to an end."""


class McpServerStartupFailureReason(OpenWireEnum):
    """Why a start failed, where the client can do something specific about it."""

    REAUTHENTICATION_REQUIRED = "reauthenticationRequired"
    """Credentials were stored for exactly this server, they can no longer be used or refreshed, and the start failed because of that: ask the user to sign in **again**. A first sign-in and passing trouble never carry it."""


class AccessTokenWorth(WireEnum):
    """What an access token is worth, as far as its record and the clock tell."""

    ABSENT = "absent"
    """None is there, or a blank one."""

    GOOD = "good"
    """It expires more than 30 s (`CLOCK_SKEW_MS`) from now."""

    EXPIRY_UNKNOWN = "expiryUnknown"
    """The record does not say when it expires: it is tried."""

    EXPIRED = "expired"
    """It has expired, or will within 30 s (`CLOCK_SKEW_MS`)."""


class ClientSource(WireEnum):
    """Where the OAuth client that a record was granted to comes from."""

    CONFIGURATION = "configuration"
    """The user's configuration names it."""

    REGISTRATION = "registration"
    """Dynamic client registration (RFC 7591)."""

    METADATA_DOCUMENT = "metadataDocument"
    """A client id metadata document."""


class CredentialSent(WireEnum):
    """Which credential a request carried."""

    NONE = "none"
    """No credential at all."""

    STORED = "stored"
    """The stored access token."""

    REFRESHED = "refreshed"
    """An access token that was obtained in this very start."""

    CONFIGURATION = "configuration"
    """The token or header of the configuration."""


class CredentialSource(WireEnum):
    """Where the authorization of a start comes from."""

    NONE = "none"
    """Nothing is stored for this name and URL, and the configuration carries none."""

    STORED = "stored"
    """A record is stored for exactly this name and URL."""

    CONFIGURATION = "configuration"
    """The configuration carries a token or a header."""


class CredentialStoreTrouble(WireEnum):
    """Why the place where credentials are stored could not be read."""

    LOCKED = "locked"
    """It is locked, or asks for something before it opens."""

    UNREADABLE = "unreadable"
    """It can't be reached or read."""

    CORRUPT = "corrupt"
    """It was read, and is not what it should be."""

    UNSUPPORTED = "unsupported"
    """It is of a kind that this version can't read."""


class DiscoveryOutcome(WireEnum):
    """What became of looking for the server's authorization server."""

    PUBLISHED = "published"
    """Metadata that can be used was found."""

    NOT_PUBLISHED = "notPublished"
    """The server answered, and publishes no OAuth."""

    UNAVAILABLE = "unavailable"
    """It could not be completed: no answer, or 429 or 5xx."""

    UNUSABLE = "unusable"
    """It was completed, and what is published can't be used; see the problem."""


class DiscoveryProblem(WireEnum):
    """Why published metadata can't be used."""

    RESOURCE_MISMATCH = "resourceMismatch"
    """The protected-resource metadata is that of another resource (RFC 9728, section 3.3)."""

    NO_AUTHORIZATION_SERVER = "noAuthorizationServer"
    """No authorization server that it names publishes usable metadata (RFC 8414)."""

    ISSUER_MISMATCH = "issuerMismatch"
    """The metadata names another issuer than the one it was fetched for (RFC 8414, section 3.3)."""

    INVALID_METADATA = "invalidMetadata"
    """A document is not what its specification says."""


class IoTrouble(WireEnum):
    """Why no answer came to a request, or no whole one."""

    DNS = "dns"
    """The name of the host could not be resolved."""

    CONNECT = "connect"
    """No connection could be made."""

    TLS = "tls"
    """TLS failed: a certificate, a version, a handshake."""

    CLOSED = "closed"
    """The connection broke before the answer was whole."""

    TIMEOUT = "timeout"
    """No answer within the time of the request."""

    TOO_LARGE = "tooLarge"
    """The answer, or a part of it, was larger than is taken."""

    MALFORMED = "malformed"
    """The answer was no HTTP."""


class Recovery(WireEnum):
    """What mends a failure, and so what a client offers beside the message."""

    NONE = "none"
    """Nothing that this client could offer. Show no button: the message says whose turn it is."""

    RETRY = "retry"
    """Trying again, later. Offer that, or do it by yourself after a while; what is stored stays stored."""

    SIGN_IN = "signIn"
    """A first sign-in. Offer it, and start none unasked."""

    REAUTHENTICATE = "reauthenticate"
    """Signing in again. Offer it, once for each server, however many threads and retries report the failure."""

    GRANT_SCOPE = "grantScope"
    """A sign-in that grants more scope. Offer it; the challenge in the evidence may name the scope."""

    FIX_CONFIGURATION = "fixConfiguration"
    """Changing the configuration. Offer to open it, at the key and the line if the evidence has them."""

    FIX_CREDENTIAL_STORE = "fixCredentialStore"
    """Unlocking or mending the place where credentials are stored. Offer to try again after that; nobody has been signed out."""


class RequestTarget(WireEnum):
    """Whom a request was for."""

    MCP = "mcp"
    """The MCP server."""

    DISCOVERY = "discovery"
    """A discovery document (RFC 9728, RFC 8414, OpenID Connect Discovery)."""

    TOKEN = "token"
    """The token endpoint (RFC 6749, section 3.2)."""


class SpawnFailure(WireEnum):
    """Why a program could not be started."""

    NOT_FOUND = "notFound"
    """There is no such program on the PATH."""

    FAILED = "failed"
    """It is there, and starting it failed."""


class StartPhase(WireEnum):
    """How far a start had come."""

    CONFIGURING = "configuring"
    """The entry of the configuration was being read."""

    READING_CREDENTIALS = "readingCredentials"
    """What is stored for the server was being read."""

    LAUNCHING = "launching"
    """The program was being started."""

    INITIALIZING = "initializing"
    """The handshake was under way: over HTTP, connecting belongs to it."""

    AUTHORIZING = "authorizing"
    """The authorization server was being looked for, or a token refreshed."""


class StartupFailureKind(WireEnum):
    """What a failed start comes to, as a stable value."""

    INVALID_CONFIGURATION = "invalidConfiguration"
    """The entry of the configuration can't be used; the evidence has its key and line."""

    PROGRAM_NOT_FOUND = "programNotFound"
    """The program is not on the PATH, or not where the configuration says."""

    CREDENTIAL_STORE_UNAVAILABLE = "credentialStoreUnavailable"
    """The start needed what is stored, and the store is locked, unreadable, corrupt, or of a kind that can't be read. It does not mean "signed out"."""

    CREDENTIAL_REJECTED = "credentialRejected"
    """A token or header of the configuration, or an OAuth client of it, was refused."""

    INSUFFICIENT_SCOPE = "insufficientScope"
    """The server asks for more scope than the stored credentials were granted."""

    ACCESS_DENIED = "accessDenied"
    """The server refuses access (HTTP 403), and no sign-in mends it."""

    REAUTHENTICATION_REQUIRED = "reauthenticationRequired"
    """Credentials are stored for this name and URL, the server refuses to go on without good ones, and they are spent. The only kind whose reason on the wire is not null."""

    AUTHORIZATION_UNAVAILABLE = "authorizationUnavailable"
    """The server wants authorization, and a refresh or the discovery could not be completed. What is stored stays stored."""

    AUTHORIZATION_MISCONFIGURED = "authorizationMisconfigured"
    """What the server publishes about its authorization can't be right."""

    SIGN_IN_REQUIRED = "signInRequired"
    """The server wants a sign-in, and nothing is stored for this name and URL."""

    CREDENTIAL_REQUIRED = "credentialRequired"
    """The server wants a key, publishes no OAuth, and nothing is configured."""

    UNREACHABLE = "unreachable"
    """No connection: DNS, TCP or TLS."""

    TIMED_OUT = "timedOut"
    """The time limit passed; the phase in the evidence says during what."""

    EXITED = "exited"
    """The program ended before it was ready."""

    SERVER_ERROR = "serverError"
    """The server answered with an HTTP error."""

    UNSUPPORTED_PROTOCOL = "unsupportedProtocol"
    """Client and server have no version of MCP in common."""

    NOT_MCP = "notMcp"
    """The answer is no MCP."""

    OTHER = "other"
    """Anything else; the cause is in the evidence."""


class Transport(WireEnum):
    """How a server is reached."""

    STDIO = "stdio"
    """A program on this machine, over its standard input and output."""

    HTTP = "http"
    """Streamable HTTP."""


class FirstRequest(WireEnum):
    """What is sent first, once a record is known to be stored (or not)."""

    WITHOUT_TOKEN = "withoutToken"
    """No token: nothing usable is stored."""

    STORED_TOKEN = "storedToken"
    """The stored access token, with no discovery before it."""

    REFRESH = "refresh"
    """A refresh, and then the token it gave."""

    WITHOUT_TOKEN_THEN_STORED = "withoutTokenThenStored"
    """No token; should the server refuse that, the stored token once, because our clock may be wrong."""


class McpAuthStatus(WireEnum):
    """How a client is authorized at a server, as Codex's app-server calls it."""

    UNSUPPORTED = "unsupported"
    """A sign-in has no place here: the server publishes no OAuth, or is a program (stdio)."""

    NOT_LOGGED_IN = "notLoggedIn"
    """The server publishes OAuth, and nothing usable is stored."""

    BEARER_TOKEN = "bearerToken"
    """The configuration carries the authorization."""

    OAUTH = "oAuth"
    """A stored record has a usable access or refresh token."""


class DecodeErrorKind(WireEnum):
    """Why a line could not be read."""

    INVALID_JSON = "invalidJson"
    """Not JSON (RFC 8259), or not UTF-8."""

    NOT_AN_OBJECT = "notAnObject"
    """JSON, but not an object, so no JSON-RPC message."""

    MISSING_FIELD = "missingField"
    """A required field is absent or null."""

    INVALID_TYPE = "invalidType"
    """A field has a value of another type."""

    TOO_LONG = "tooLong"
    """The line is longer than `MAX_LINE_BYTES`."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationEvidence:
    """The entry of the configuration can't be used."""

    key: str | None = None
    """The key, as a path in the file."""

    line: int | None = None
    """The line, from 1."""

    problem: str | None = None
    """What is wrong with it, as the rest of a sentence; never a value that may be secret."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CredentialEvidence:
    """The authorization that the start had."""

    source: CredentialSource | None = None
    """Where it comes from."""

    name: str | None = None
    """For a configured one: the variable or the header it comes from; never its value."""

    worth: CredentialWorth | None = None
    """For a stored one: what it is worth."""

    client_source: ClientSource | None = None
    """Where the OAuth client comes from."""

    stored_issuer: str | None = None
    """For a stored one: the issuer that granted it, as the record says. Absent means that the record does not say, and then its refresh token can't be sent to anybody."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CredentialWorth:
    """What a stored credential is worth."""

    access_token: AccessTokenWorth = AccessTokenWorth.ABSENT
    """What its access token is worth."""

    refresh_token: bool = False
    """Whether it has a refresh token that is not blank."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveryEvidence:
    """What is known of the server's authorization server."""

    outcome: DiscoveryOutcome | None = None
    """What became of looking for it."""

    issuer: str | None = None
    """Its issuer."""

    problem: DiscoveryProblem | None = None
    """Why what is published can't be used."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The facts of one start that failed: every one optional, so that a host which starts servers with another SDK hands in what it has.

    No secret is ever in it: URLs are scheme, host and path; foreign text (stderr, challenges, bodies) is bounded, freed of control characters, and every value that was given to the start is masked in it."""

    server: str | None = None
    """The name of the server."""

    transport: Transport | None = None
    """How it is reached."""

    phase: StartPhase | None = None
    """How far the start had come."""

    limit_ms: int | None = None
    """The time that the start was given, in ms."""

    elapsed_ms: int | None = None
    """The time that the start took, in ms; at least the limit means that the limit ended it."""

    configuration: ConfigurationEvidence | None = None
    """What is wrong with the entry of the configuration."""

    credential: CredentialEvidence | None = None
    """The authorization that the start had."""

    store: StoreEvidence | None = None
    """Why the place where credentials are stored could not be read."""

    requests: tuple[RequestEvidence, ...] = ()
    """The HTTP requests of the start, in order."""

    discovered: DiscoveryEvidence | None = None
    """What is known of the server's authorization server."""

    process: ProcessEvidence | None = None
    """What became of the program."""

    protocol: ProtocolEvidence | None = None
    """What became of the protocol."""

    cause: str | None = None
    """Any other cause: the technical chain."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ProcessEvidence:
    """What became of the program of a server over stdio."""

    program: str | None = None
    """The program, as configured."""

    path: str | None = None
    """The PATH that was searched for it."""

    spawn: SpawnFailure | None = None
    """Why it could not be started."""

    exit: int | None = None
    """The code it exited with, if it ended by itself."""

    signal: int | None = None
    """The signal that ended it, if one did."""

    stderr: str | None = None
    """The end of what it wrote to stderr, bounded."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolEvidence:
    """What became of the protocol itself."""

    server_versions: tuple[str, ...] | None = None
    """The versions that the server said it speaks, none of which the client does."""

    not_mcp: str | None = None
    """The beginning of an answer that is no MCP, bounded."""

    error: str | None = None
    """The JSON-RPC error that the handshake was answered with."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RequestEvidence:
    """One HTTP request of the start and what came back."""

    to: RequestTarget | None = None
    """Whom it was for."""

    url: str | None = None
    """Where it went: scheme, host and path."""

    credential_sent: CredentialSent | None = None
    """Which credential it carried."""

    status: int | None = None
    """The HTTP status."""

    content_type: str | None = None
    """The media type of the answer."""

    challenge: str | None = None
    """The `WWW-Authenticate` challenge (RFC 9110, section 11.6.1), bounded."""

    oauth_error: str | None = None
    """The code of an OAuth error in the body (RFC 6749, section 5.2)."""

    retry_after: str | None = None
    """The `Retry-After` of the answer (RFC 9110, section 10.2.3), as it came."""

    io: IoTrouble | None = None
    """Why no whole answer came."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StoreEvidence:
    """The place where credentials are stored could not be read."""

    kind: str | None = None
    """Which one: `file`, `keyring`, or as the configuration calls it."""

    trouble: CredentialStoreTrouble | None = None
    """Why it could not be read."""

    detail: str | None = None
    """What the store said, or where it is."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CredentialFacts:
    """What is known of a stored record, without any secret of it."""

    access_token: bool = False
    """An access token is there and is not blank."""

    refresh_token: bool = False
    """A refresh token is there and is not blank."""

    expires_at_ms: int | None = None
    """When the access token expires, in ms since the Unix epoch; `None` where the record does not say."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StartupFailure:
    """Why a start failed: a stable kind, a sentence for a person, what mends it, and the facts it was judged by.

    Made by `judge` alone."""

    kind: StartupFailureKind
    """What the start comes to, as a stable value."""

    message: str
    """What happened and what to do next, for a person and with the name of the server: at most 300 characters on one line, without control characters. What to do is never what is cut off."""

    recovery: Recovery
    """What mends it."""

    evidence: Evidence
    """The facts it was judged by."""
