// Generated from the Rust types by `cargo xtask generate`, with ts-rs. Do not edit it by hand.

/**
 * Why a start failed: a stable kind, a sentence for a person, what mends it, and the facts it was judged by.
 *
 * - `kind`: What the start comes to, as a stable value.
 * - `message`: What happened and what to do next, for a person and with the name of the server: at most 300 characters on one line, without control characters. What to do is never what is cut off.
 * - `recovery`: What mends it.
 * - `evidence`: The facts it was judged by.
 */
export type StartupFailure = { kind: StartupFailureKind, message: string, recovery: Recovery, evidence: Evidence, };

/**
 * What a failed start comes to, as a stable value.
 *
 * - `invalidConfiguration`: The entry of the configuration can't be used; the evidence has its key and line.
 * - `programNotFound`: The program is not on the PATH, or not where the configuration says.
 * - `credentialStoreUnavailable`: The start needed what is stored, and the store is locked, unreadable, corrupt, or of a kind that can't be read. It does not mean "signed out".
 * - `credentialRejected`: A token or header of the configuration, or an OAuth client of it, was refused.
 * - `insufficientScope`: The server asks for more scope than the stored credentials were granted.
 * - `accessDenied`: The server refuses access (HTTP 403), and no sign-in mends it.
 * - `reauthenticationRequired`: Credentials are stored for this name and URL, the server refuses to go on without good ones, and they are spent. The only kind whose reason on the wire is not null.
 * - `authorizationUnavailable`: The server wants authorization, and a refresh or the discovery could not be completed. What is stored stays stored.
 * - `authorizationMisconfigured`: What the server publishes about its authorization can't be right.
 * - `signInRequired`: The server wants a sign-in, and nothing is stored for this name and URL.
 * - `credentialRequired`: The server wants a key, publishes no OAuth, and nothing is configured.
 * - `unreachable`: No connection: DNS, TCP or TLS.
 * - `timedOut`: The time limit passed; the phase in the evidence says during what.
 * - `exited`: The program ended before it was ready.
 * - `serverError`: The server answered with an HTTP error.
 * - `unsupportedProtocol`: Client and server have no version of MCP in common.
 * - `notMcp`: The answer is no MCP.
 * - `other`: Anything else; the cause is in the evidence.
 */
export type StartupFailureKind = "invalidConfiguration" | "programNotFound" | "credentialStoreUnavailable" | "credentialRejected" | "insufficientScope" | "accessDenied" | "reauthenticationRequired" | "authorizationUnavailable" | "authorizationMisconfigured" | "signInRequired" | "credentialRequired" | "unreachable" | "timedOut" | "exited" | "serverError" | "unsupportedProtocol" | "notMcp" | "other";

/**
 * What mends a failure, and so what a client offers beside the message.
 *
 * - `none`: Nothing that this client could offer. Show no button: the message says whose turn it is.
 * - `retry`: Trying again, later. Offer that, or do it by yourself after a while; what is stored stays stored.
 * - `signIn`: A first sign-in. Offer it, and start none unasked.
 * - `reauthenticate`: Signing in again. Offer it, once for each server, however many threads and retries report the failure.
 * - `grantScope`: A sign-in that grants more scope. Offer it; the challenge in the evidence may name the scope.
 * - `fixConfiguration`: Changing the configuration. Offer to open it, at the key and the line if the evidence has them.
 * - `fixCredentialStore`: Unlocking or mending the place where credentials are stored. Offer to try again after that; nobody has been signed out.
 */
export type Recovery = "none" | "retry" | "signIn" | "reauthenticate" | "grantScope" | "fixConfiguration" | "fixCredentialStore";

/**
 * The facts of one start that failed: every one optional, so that a host which starts servers with another SDK hands in what it has.
 */
export type Evidence = {
  /**
   * The name of the server.
   */
  server?: string,
  /**
   * How it is reached.
   */
  transport?: Transport,
  /**
   * How far the start had come.
   */
  phase?: StartPhase,
  /**
   * The time that the start was given, in ms.
   */
  limitMs?: number,
  /**
   * The time that the start took, in ms; at least the limit means that the limit ended it.
   */
  elapsedMs?: number,
  /**
   * What is wrong with the entry of the configuration.
   */
  configuration?: ConfigurationEvidence,
  /**
   * The authorization that the start had.
   */
  credential?: CredentialEvidence,
  /**
   * Why the place where credentials are stored could not be read.
   */
  store?: StoreEvidence,
  /**
   * The HTTP requests of the start, in order.
   */
  requests?: Array<RequestEvidence>,
  /**
   * What is known of the server's authorization server.
   */
  discovered?: DiscoveryEvidence,
  /**
   * What became of the program.
   */
  process?: ProcessEvidence,
  /**
   * What became of the protocol.
   */
  protocol?: ProtocolEvidence,
  /**
   * Any other cause: the technical chain.
   */
  cause?: string, };

/**
 * How a server is reached.
 *
 * - `stdio`: A program on this machine, over its standard input and output.
 * - `http`: Streamable HTTP.
 */
export type Transport = "stdio" | "http";

/**
 * How far a start had come.
 *
 * - `configuring`: The entry of the configuration was being read.
 * - `readingCredentials`: What is stored for the server was being read.
 * - `launching`: The program was being started.
 * - `initializing`: The handshake was under way: over HTTP, connecting belongs to it.
 * - `authorizing`: The authorization server was being looked for, or a token refreshed.
 */
export type StartPhase = "configuring" | "readingCredentials" | "launching" | "initializing" | "authorizing";

/**
 * The entry of the configuration can't be used.
 */
export type ConfigurationEvidence = {
  /**
   * The key, as a path in the file.
   */
  key?: string,
  /**
   * The line, from 1.
   */
  line?: number,
  /**
   * What is wrong with it, as the rest of a sentence; never a value that may be secret.
   */
  problem?: string, };

/**
 * The authorization that the start had.
 */
export type CredentialEvidence = {
  /**
   * Where it comes from.
   */
  source?: CredentialSource,
  /**
   * For a configured one: the variable or the header it comes from; never its value.
   */
  name?: string,
  /**
   * For a stored one: what it is worth.
   */
  worth?: CredentialWorth,
  /**
   * Where the OAuth client comes from.
   */
  clientSource?: ClientSource,
  /**
   * For a stored one: the issuer that granted it, as the record says. Absent means that the record does not say, and
   * then its refresh token can't be sent to anybody.
   */
  storedIssuer?: string, };

/**
 * Where the authorization of a start comes from.
 *
 * - `none`: Nothing is stored for this name and URL, and the configuration carries none.
 * - `stored`: A record is stored for exactly this name and URL.
 * - `configuration`: The configuration carries a token or a header.
 */
export type CredentialSource = "none" | "stored" | "configuration";

/**
 * Where the OAuth client that a record was granted to comes from.
 *
 * - `configuration`: The user's configuration names it.
 * - `registration`: Dynamic client registration (RFC 7591).
 * - `metadataDocument`: A client id metadata document.
 */
export type ClientSource = "configuration" | "registration" | "metadataDocument";

/**
 * The place where credentials are stored could not be read.
 */
export type StoreEvidence = {
  /**
   * Which one: `file`, `keyring`, or as the configuration calls it.
   */
  kind?: string,
  /**
   * Why it could not be read.
   */
  trouble?: CredentialStoreTrouble,
  /**
   * What the store said, or where it is.
   */
  detail?: string, };

/**
 * Why the place where credentials are stored could not be read.
 *
 * - `locked`: It is locked, or asks for something before it opens.
 * - `unreadable`: It can't be reached or read.
 * - `corrupt`: It was read, and is not what it should be.
 * - `unsupported`: It is of a kind that this version can't read.
 */
export type CredentialStoreTrouble = "locked" | "unreadable" | "corrupt" | "unsupported";

/**
 * One HTTP request of the start and what came back.
 */
export type RequestEvidence = {
  /**
   * Whom it was for.
   */
  to?: RequestTarget,
  /**
   * Where it went: scheme, host and path.
   */
  url?: string,
  /**
   * Which credential it carried.
   */
  credentialSent?: CredentialSent,
  /**
   * The HTTP status.
   */
  status?: number,
  /**
   * The media type of the answer.
   */
  contentType?: string,
  /**
   * The `WWW-Authenticate` challenge (RFC 9110, section 11.6.1), bounded.
   */
  challenge?: string,
  /**
   * The code of an OAuth error in the body (RFC 6749, section 5.2).
   */
  oauthError?: string,
  /**
   * The `Retry-After` of the answer (RFC 9110, section 10.2.3), as it came.
   */
  retryAfter?: string,
  /**
   * Why no whole answer came.
   */
  io?: IoTrouble, };

/**
 * Whom a request was for.
 *
 * - `mcp`: The MCP server.
 * - `discovery`: A discovery document (RFC 9728, RFC 8414, OpenID Connect Discovery).
 * - `token`: The token endpoint (RFC 6749, section 3.2).
 */
export type RequestTarget = "mcp" | "discovery" | "token";

/**
 * Which credential a request carried.
 *
 * - `none`: No credential at all.
 * - `stored`: The stored access token.
 * - `refreshed`: An access token that was obtained in this very start.
 * - `configuration`: The token or header of the configuration.
 */
export type CredentialSent = "none" | "stored" | "refreshed" | "configuration";

/**
 * Why no answer came to a request, or no whole one.
 *
 * - `dns`: The name of the host could not be resolved.
 * - `connect`: No connection could be made.
 * - `tls`: TLS failed: a certificate, a version, a handshake.
 * - `closed`: The connection broke before the answer was whole.
 * - `timeout`: No answer within the time of the request.
 * - `tooLarge`: The answer, or a part of it, was larger than is taken.
 * - `malformed`: The answer was no HTTP.
 */
export type IoTrouble = "dns" | "connect" | "tls" | "closed" | "timeout" | "tooLarge" | "malformed";

/**
 * What is known of the server's authorization server.
 */
export type DiscoveryEvidence = {
  /**
   * What became of looking for it.
   */
  outcome?: DiscoveryOutcome,
  /**
   * Its issuer.
   */
  issuer?: string,
  /**
   * Why what is published can't be used.
   */
  problem?: DiscoveryProblem, };

/**
 * What became of looking for the server's authorization server.
 *
 * - `published`: Metadata that can be used was found.
 * - `notPublished`: The server answered, and publishes no OAuth.
 * - `unavailable`: It could not be completed: no answer, or 429 or 5xx.
 * - `unusable`: It was completed, and what is published can't be used; see the problem.
 */
export type DiscoveryOutcome = "published" | "notPublished" | "unavailable" | "unusable";

/**
 * Why published metadata can't be used.
 *
 * - `resourceMismatch`: The protected-resource metadata is that of another resource (RFC 9728, section 3.3).
 * - `noAuthorizationServer`: No authorization server that it names publishes usable metadata (RFC 8414).
 * - `issuerMismatch`: The metadata names another issuer than the one it was fetched for (RFC 8414, section 3.3).
 * - `invalidMetadata`: A document is not what its specification says.
 */
export type DiscoveryProblem = "resourceMismatch" | "noAuthorizationServer" | "issuerMismatch" | "invalidMetadata";

/**
 * What became of the program of a server over stdio.
 */
export type ProcessEvidence = {
  /**
   * The program, as configured.
   */
  program?: string,
  /**
   * The PATH that was searched for it.
   */
  path?: string,
  /**
   * Why it could not be started.
   */
  spawn?: SpawnFailure,
  /**
   * The code it exited with, if it ended by itself.
   */
  exit?: number,
  /**
   * The signal that ended it, if one did.
   */
  signal?: number,
  /**
   * The end of what it wrote to stderr, bounded.
   */
  stderr?: string, };

/**
 * Why a program could not be started.
 *
 * - `notFound`: There is no such program on the PATH.
 * - `failed`: It is there, and starting it failed.
 */
export type SpawnFailure = "notFound" | "failed";

/**
 * What became of the protocol itself.
 */
export type ProtocolEvidence = {
  /**
   * The versions that the server said it speaks, none of which the client does.
   */
  serverVersions?: Array<string>,
  /**
   * The beginning of an answer that is no MCP, bounded.
   */
  notMcp?: string,
  /**
   * The JSON-RPC error that the handshake was answered with.
   */
  error?: string, };

/**
 * What is known of a stored record, without any secret of it.
 */
export type CredentialFacts = {
  /**
   * An access token is there and is not blank.
   */
  accessToken: boolean,
  /**
   * A refresh token is there and is not blank.
   */
  refreshToken: boolean,
  /**
   * When the access token expires, in ms since the Unix epoch; `null` where the record does not say.
   */
  expiresAtMs: number | null, };

/**
 * What a stored credential is worth.
 */
export type CredentialWorth = {
  /**
   * What its access token is worth.
   */
  accessToken: AccessTokenWorth,
  /**
   * Whether it has a refresh token that is not blank.
   */
  refreshToken: boolean, };

/**
 * What an access token is worth, as far as its record and the clock tell.
 *
 * - `absent`: None is there, or a blank one.
 * - `good`: It expires more than 30 s (`CLOCK_SKEW_MS`) from now.
 * - `expiryUnknown`: The record does not say when it expires: it is tried.
 * - `expired`: It has expired, or will within 30 s (`CLOCK_SKEW_MS`).
 */
export type AccessTokenWorth = "absent" | "good" | "expiryUnknown" | "expired";

/**
 * What is sent first, once a record is known to be stored (or not).
 *
 * - `withoutToken`: No token: nothing usable is stored.
 * - `storedToken`: The stored access token, with no discovery before it.
 * - `refresh`: A refresh, and then the token it gave.
 * - `withoutTokenThenStored`: No token; should the server refuse that, the stored token once, because our clock may be wrong.
 */
export type FirstRequest = "withoutToken" | "storedToken" | "refresh" | "withoutTokenThenStored";
