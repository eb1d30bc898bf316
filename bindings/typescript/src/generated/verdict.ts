// Generated from the Rust types by `cargo xtask generate`, with ts-rs. Do not edit it by hand.

/**
 * Why a start failed: a stable kind, a human-readable message, how to fix the failure, and the evidence.
 *
 * - `kind`: The kind of the failure, as a stable value for programs.
 * - `message`: A human-readable message with the problem, its cause and the next step for the user. It names the server, and is one line of at most 300 characters without control characters. A long message is shortened, but keeps the next step.
 * - `recovery`: How to fix the failure.
 * - `fallback`: A second recovery to offer, because only one of the two may help.

It is `reauthenticate` if the authorization server refused a refresh in a way that can't be interpreted. The recovery is then `retry`, and the message names both. Every other failure has none.
 * - `evidence`: The facts from which the failure was derived.
 */
export type StartupFailure = { kind: StartupFailureKind, message: string, recovery: Recovery, fallback: Recovery | null, evidence: Evidence, };

/**
 * The kind of a failure, as a stable value for programs.
 *
 * - `invalidConfiguration`: The server's entry in the configuration is invalid. The evidence has its key and line, if they are known.
 * - `programNotFound`: The server's program was not found on the PATH or at its configured path.
 * - `credentialStoreUnavailable`: The start needed stored credentials, but the credential store is locked, can't be read or written to, is damaged, or is not supported. The user is not signed out.
 * - `credentialRejected`: A token, header or OAuth client in the configuration was rejected.
 * - `insufficientScope`: The server requires a scope that was not granted to the stored credentials.
 * - `accessDenied`: The server denied access (HTTP 403). Signing in does not fix this.
 * - `limitExceeded`: The server exceeded a limit that every server must keep until it is ready. The evidence has the limit.
 * - `reauthenticationRequired`: Credentials are stored for this server name and URL, but they can no longer be used or refreshed, and the server requires valid ones. Only this kind has a reason on the wire.
 * - `signInHeldByClient`: The server requires a sign-in. No credentials are configured or stored for this server name and URL, but another client on this machine holds a sign-in, which can't be used from here: its access token has expired, was rejected, or may belong to another URL. Only that client can refresh it.
 * - `authorizationUnavailable`: The server requires authorization, but the token refresh or the discovery could not be completed. The stored credentials are kept.
 * - `authorizationMisconfigured`: The server requires authorization, but its OAuth metadata is missing or unusable, or its authorization server does not recognize it. Or it does not accept the kind of the token, or a proxy removes the token.
 * - `clientRequired`: The server requires a sign-in, but its authorization server does not register this client, and no client is configured.
 * - `signInRequired`: The server requires a sign-in, and no credentials are stored for this server name and URL. A sign-in can begin.
 * - `credentialRequired`: The server requires a key or token but publishes no OAuth metadata, and the configuration contains no credential. Or the server, or a gateway in front of it, requires a key or another authentication scheme, for example `Basic`, and did not read the token of the sign-in.
 * - `unreachable`: The connection to the server failed: DNS, TCP or TLS.
 * - `timedOut`: The start exceeded its time limit. The evidence has the phase that the start had reached.
 * - `exited`: The server's program exited before it was ready.
 * - `serverError`: The server responded with an HTTP error.
 * - `unsupportedProtocol`: The client and the server have no MCP version in common.
 * - `notMcp`: The server's response is not MCP.
 * - `other`: Any other failure. The evidence has the cause, if it is known.
 */
export type StartupFailureKind = "invalidConfiguration" | "programNotFound" | "credentialStoreUnavailable" | "credentialRejected" | "insufficientScope" | "accessDenied" | "limitExceeded" | "reauthenticationRequired" | "signInHeldByClient" | "authorizationUnavailable" | "authorizationMisconfigured" | "clientRequired" | "signInRequired" | "credentialRequired" | "unreachable" | "timedOut" | "exited" | "serverError" | "unsupportedProtocol" | "notMcp" | "other";

/**
 * How to fix a failure, and therefore what a client should offer with the message.
 *
 * - `none`: The client can't fix the failure. Show no button. The message tells the user who can fix it.
 * - `retry`: Try again later. Offer a button, or retry automatically after a delay. The stored credentials are kept.
 * - `signIn`: Sign in for the first time. Offer a button, and do not start a sign-in without the user.
 * - `reauthenticate`: Sign in again. Offer a button, once for each server, even if several threads or retries report the failure.
 * - `grantScope`: Sign in again to grant more scopes. Offer a button. The challenge in the evidence may name the scopes.
 * - `openClient`: Open the client that holds the sign-in, which refreshes it. Offer to open the client in the evidence, and then to try again. The message also recommends to sign in here if a sign-in can begin.
 * - `fixConfiguration`: Change the configuration. Offer to open it, at the key and line if the evidence has them.
 * - `fixCredentialStore`: Unlock or repair the credential store, or use a different one. Offer to try again after that. The user is not signed out.
 */
export type Recovery = "none" | "retry" | "signIn" | "reauthenticate" | "grantScope" | "openClient" | "fixConfiguration" | "fixCredentialStore";

/**
 * Why an MCP server requires authentication, in the words of the Agent Host Protocol (`McpAuthRequiredReason`).
 *
 * - `required`: The user has to sign in for the first time.
 * - `expired`: The stored credentials can no longer be used, and the user has to sign in again.
 * - `insufficientScope`: The user has to sign in again to grant more scopes.
 */
export type McpAuthRequiredReason = "required" | "expired" | "insufficientScope";

/**
 * A problem with a server that is ready: a stable kind, and a human-readable message.
 */
export type StartupWarning = {
  /**
   * The kind of the warning, as a stable value for programs.
   */
  kind: StartupWarningKind,
  /**
   * A human-readable message with the problem, its cause and the next step for the user. It names the server, and is one line
   * of at most 300 characters without control characters.
   */
  message: string, };

/**
 * The kind of a warning, as a stable value for programs.
 *
 * - `toolListFailed`: The server responded to the request for its tools with an error.
 * - `toolListInvalid`: The list of tools does not conform to the schema of MCP. Most clients then show no tool of this server.
 * - `toolListTimedOut`: The server did not list its tools in time.
 * - `toolListTooLong`: The server listed more than 10,000 tools, or more than 100 pages or 10 MB of them. The rest was not read.
 * - `textOnStdout`: The program wrote text to its stdout, which MCP reserves for messages (transports, stdio). Other clients may refuse the server.
 */
export type StartupWarningKind = "toolListFailed" | "toolListInvalid" | "toolListTimedOut" | "toolListTooLong" | "textOnStdout";

/**
 * The facts about one failed start.
 */
export type Evidence = {
  /**
   * The name of the server.
   */
  server?: string,
  /**
   * How the client connects to the server.
   */
  transport?: Transport,
  /**
   * The phase that the start had reached.
   */
  phase?: StartPhase,
  /**
   * The time limit of the start, in ms.
   */
  limitMs?: number,
  /**
   * The configuration key or the option that sets the time limit, for example `startup_timeout_sec`.
   */
  limitKey?: string,
  /**
   * Whether the user gave the server on a command line. It then has no entry in a configuration that a message could name.
   */
  onCommandLine?: boolean,
  /**
   * The duration of the start, in ms. The start timed out if this is at least the time limit.
   */
  elapsedMs?: number,
  /**
   * The problem with the server's entry in the configuration, if there is one.
   */
  configuration?: ConfigurationEvidence,
  /**
   * Parts of the server's entry that may be the cause: keys that have no effect, and text that looks like a variable but was
   * not replaced.
   */
  configurationWarnings?: Array<ConfigurationEvidence>,
  /**
   * The credential that the start used.
   */
  credential?: CredentialEvidence,
  /**
   * The sign-in that another client holds for this server, if there is one.
   */
  heldSignIn?: HeldSignInEvidence,
  /**
   * The problem with the credential store, if there is one, or the store that was being read when the start ended.
   */
  store?: StoreEvidence,
  /**
   * The HTTP requests of the start, in order.
   */
  requests?: Array<RequestEvidence>,
  /**
   * The result of discovering the server's authorization server.
   */
  discovered?: DiscoveryEvidence,
  /**
   * For a stdio server: the state of its program.
   */
  process?: ProcessEvidence,
  /**
   * The problems with the MCP protocol, if there are any.
   */
  protocol?: ProtocolEvidence,
  /**
   * The limit that the server exceeded, if it exceeded one.
   */
  exceeded?: ExceededLimit,
  /**
   * Any other cause, for example a chain of error messages.
   */
  cause?: string, };

/**
 * How the client connects to a server.
 *
 * - `stdio`: Standard input and output of a program on this machine.
 * - `http`: Streamable HTTP.
 */
export type Transport = "stdio" | "http";

/**
 * The phase that a start had reached.
 *
 * - `configuring`: Reading the server's entry in the configuration.
 * - `readingCredentials`: Reading the credentials that are stored for the server.
 * - `launching`: Starting the server's program.
 * - `initializing`: The MCP handshake. Over HTTP, this includes connecting.
 * - `authorizing`: Discovering the authorization server, or refreshing a token.
 * - `listingTools`: Listing the tools, after the handshake.
 */
export type StartPhase = "configuring" | "readingCredentials" | "launching" | "initializing" | "authorizing" | "listingTools";

/**
 * A problem with the server's entry in the configuration.
 */
export type ConfigurationEvidence = {
  /**
   * The key, as a path in the file, for example `mcp_servers.linear.url`.
   */
  key?: string,
  /**
   * The line number, starting at 1.
   */
  line?: number,
  /**
   * A description of the problem. It never contains a value that may be secret.
   */
  problem?: string, };

/**
 * The credential that the start used.
 */
export type CredentialEvidence = {
  /**
   * The source of the credential.
   */
  source?: CredentialSource,
  /**
   * For a credential in the configuration: the name of its environment variable or header, never its value.
   */
  name?: string,
  /**
   * For a stored credential: whether its tokens can still be used.
   */
  worth?: CredentialWorth,
  /**
   * For a stored credential: the source of the OAuth client to which it was issued.
   */
  clientSource?: ClientSource,
  /**
   * For a stored credential: the authorization server (issuer) that issued it, according to the record. If it is
   * absent, the issuer is unknown, and the refresh token must not be sent to any server.
   */
  storedIssuer?: string,
  /**
   * For a stored credential: the scopes that were granted to its access token, if they are known. The list can be incomplete.
   */
  grantedScopes?: Array<string>, };

/**
 * The source of the credential that a start used.
 *
 * - `none`: No credential: nothing is stored for this server name and URL, and the configuration contains none.
 * - `stored`: A record that is stored for exactly this server name and URL.
 * - `configuration`: A token or header in the configuration.
 */
export type CredentialSource = "none" | "stored" | "configuration";

/**
 * The source of the OAuth client to which the stored tokens were issued.
 *
 * - `configuration`: The user's configuration.
 * - `registration`: Dynamic client registration (RFC 7591).
 * - `metadataDocument`: A client ID metadata document.
 */
export type ClientSource = "configuration" | "registration" | "metadataDocument";

/**
 * A sign-in that another client on this machine holds for the server. It is only read: never written, and never refreshed.
 */
export type HeldSignInEvidence = {
  /**
   * The name of the client, for example `Claude Code`.
   */
  client?: string,
  /**
   * The state of the sign-in in the store of the client.
   */
  state?: HeldSignInState,
  /**
   * Whether the store has a refresh token, with which only the client that holds it can refresh the access token.
   */
  refreshToken?: boolean,
  /**
   * When the access token expires, in ms since the Unix epoch, if the store has enough to tell.
   */
  expiresAtMs?: number, };

/**
 * The state of a sign-in in the store of another client.
 *
 * - `valid`: The store records exactly this URL and an access token that has not expired, as far as the store shows. This is the only state in which the token is sent.
 * - `expired`: The access token has expired. Only the client that holds it refreshes it.
 * - `unknownUrl`: The store has a sign-in for the name of the server, but does not record its URL. The token is not sent, because another project could use the same name.
 */
export type HeldSignInState = "valid" | "expired" | "unknownUrl";

/**
 * A problem with a credential store.
 */
export type StoreEvidence = {
  /**
   * The kind of store: `file`, `keyring`, `secrets` (Codex's encrypted store), or another name.
   */
  kind?: string,
  /**
   * Why the store could not be used.
   */
  trouble?: CredentialStoreTrouble,
  /**
   * The error that the store reported, or the location of the store.
   */
  detail?: string, };

/**
 * Why a credential store could not be used.
 *
 * - `locked`: It is locked, and the user has to unlock it.
 * - `inUse`: Another program holds the lock of the record or of the store, and did not release it in time.
 * - `unreadable`: It can't be reached, read or written to.
 * - `corrupt`: It was read, but its contents are damaged.
 * - `unsupported`: This version does not support this kind of store.
 * - `absent`: It does not exist on this machine or in this session, so nothing is stored in it.
 */
export type CredentialStoreTrouble = "locked" | "inUse" | "unreadable" | "corrupt" | "unsupported" | "absent";

/**
 * An HTTP request of the start, and its response.
 */
export type RequestEvidence = {
  /**
   * The recipient of the request.
   */
  to?: RequestTarget,
  /**
   * The URL of the request: only scheme, host and path.
   */
  url?: string,
  /**
   * The credential that was sent with the request.
   */
  credentialSent?: CredentialSent,
  /**
   * The HTTP status of the response.
   */
  status?: number,
  /**
   * The media type of the response.
   */
  contentType?: string,
  /**
   * The content encoding of the response, if it has one (RFC 9110, section 8.4).
   */
  contentEncoding?: string,
  /**
   * The `WWW-Authenticate` header of the response (RFC 9110, section 11.6.1). Its length is limited.
   */
  challenge?: string,
  /**
   * The OAuth error code in the body of the response (RFC 6749, section 5.2).
   */
  oauthError?: string,
  /**
   * The description in the body of a refusal by the token endpoint: its `error_description`, or a similar text. Its length
   * is limited.
   */
  oauthErrorDescription?: string,
  /**
   * Why the token in a successful response of the token endpoint can't be used, for example `its type is DPoP, and only
   * bearer tokens are supported`.
   */
  unusableToken?: string,
  /**
   * The `Retry-After` header of the response, verbatim (RFC 9110, section 10.2.3): a number of seconds, or a date.
   */
  retryAfter?: string,
  /**
   * The URL to which the response redirects (RFC 9110, section 10.2.2): its scheme, host and port. If the host is that of the
   * request, also the path, unless it may contain a key.
   */
  location?: string,
  /**
   * If the request failed or was refused: the host and port of the proxy through which it was sent. The status can be that of the
   * proxy.
   */
  proxy?: string,
  /**
   * Why the request got no response, or an incomplete or unreadable one.
   */
  io?: IoTrouble,
  /**
   * Why the certificate of the server was not accepted, if `io` is `tls`.
   */
  certificate?: CertificateProblem,
  /**
   * The method of the MCP message that the request carried, for example `initialize`.
   */
  method?: string,
  /**
   * The beginning of the body of an error response, as text. Its length is limited.
   */
  body?: string,
  /**
   * For a refresh: when another program sent the same refresh token, in ms since the Unix epoch, if it did not save the
   * response. The authorization server may have replaced the token then, which explains a refusal of this request.
   */
  sentBeforeAtMs?: number,
  /**
   * For a refresh: whether another program had stored a newer record, which stays, or had removed the record. The granted
   * tokens were not saved then, or the request was refused after its program had lost the lock of the record.
   */
  superseded?: boolean, };

/**
 * The recipient of a request.
 *
 * - `mcp`: The MCP server.
 * - `discovery`: A discovery document (RFC 9728, RFC 8414, OpenID Connect Discovery).
 * - `token`: The token endpoint (RFC 6749, section 3.2).
 */
export type RequestTarget = "mcp" | "discovery" | "token";

/**
 * The credential that was sent with a request.
 *
 * - `none`: No credential.
 * - `stored`: The stored access token.
 * - `refreshed`: An access token that was obtained by a refresh during this start.
 * - `configuration`: The token or header in the configuration.
 * - `held`: The access token that another client holds for exactly this URL.
 */
export type CredentialSent = "none" | "stored" | "refreshed" | "configuration" | "held";

/**
 * Why a request got no response, or an incomplete or unreadable one.
 *
 * - `dns`: The host name could not be resolved.
 * - `connect`: The connection could not be established.
 * - `proxyRefused`: The proxy was reached, and refused to connect to the server.
 * - `tls`: TLS failed, for example because of a certificate, the TLS version or the handshake.
 * - `closed`: The connection was closed before the response was complete.
 * - `timeout`: The response did not arrive within the time limit of the request.
 * - `tooLarge`: The response, or a part of it, exceeded the size limit.
 * - `malformed`: The response was not valid HTTP.
 */
export type IoTrouble = "dns" | "connect" | "proxyRefused" | "tls" | "closed" | "timeout" | "tooLarge" | "malformed";

/**
 * Why the certificate of a server was not accepted (RFC 5280, section 6; RFC 9525 for the name).
 *
 * - `expired`: It has expired.
 * - `notYetValid`: It is not valid yet. The clock of this machine may be wrong.
 * - `wrongName`: It is for a different host name.
 * - `unknownIssuer`: It was issued by an authority that this machine does not trust.
 * - `selfSigned`: It was signed with its own key, and this machine does not trust it.
 * - `certificateOfAuthority`: It is the certificate of an authority, and must not identify a server.
 * - `revoked`: It was revoked.
 * - `invalid`: It is invalid for another reason.
 */
export type CertificateProblem = "expired" | "notYetValid" | "wrongName" | "unknownIssuer" | "selfSigned" | "certificateOfAuthority" | "revoked" | "invalid";

/**
 * The result of discovering the server's authorization server.
 */
export type DiscoveryEvidence = {
  /**
   * The outcome of the discovery.
   */
  outcome?: DiscoveryOutcome,
  /**
   * The issuer of the authorization server that was discovered, or the different one that its metadata names.
   */
  issuer?: string,
  /**
   * If the metadata names a different issuer: the one that it was fetched for.
   */
  expectedIssuer?: string,
  /**
   * Why the published metadata can't be used, or not for a sign-in.
   */
  problem?: DiscoveryProblem,
  /**
   * The URL of the metadata document that can't be used, if one was found: only scheme, host and path.
   */
  document?: string,
  /**
   * The invalid field of that document and the problem with it, for example `token_endpoint: must be a string, not 7`.
   */
  invalidField?: string, };

/**
 * The outcome of discovering the server's authorization server.
 *
 * - `published`: Usable metadata was found. If there is a `problem`, it prevents a sign-in.
 * - `notPublished`: The server responded, but publishes no OAuth metadata.
 * - `unavailable`: Discovery could not be completed: there was no response, or its HTTP status was 429 or 5xx.
 * - `unusable`: Metadata was found, but it can't be used. `problem` has the reason.
 */
export type DiscoveryOutcome = "published" | "notPublished" | "unavailable" | "unusable";

/**
 * Why the published metadata can't be used, or not for a sign-in.
 *
 * - `resourceMismatch`: The protected resource metadata is for a different resource (RFC 9728, section 3.3).
 * - `noAuthorizationServer`: None of the authorization servers that the metadata lists publishes usable metadata (RFC 8414).
 * - `issuerMismatch`: The metadata names a different issuer than the one it was fetched for (RFC 8414, section 3.3).
 * - `invalidMetadata`: A metadata document does not conform to its specification, or has no usable endpoint for a sign-in.
 * - `pkceNotPublished`: The authorization server does not publish whether it supports PKCE with S256 (RFC 7636), and the configuration does not allow a sign-in without this. Stored credentials can be refreshed anyway.
 * - `pkceNotSupported`: The authorization server does not support PKCE with S256. Stored credentials can be refreshed anyway.
 * - `unsupported`: A sign-in requires something that this client does not support, such as pushed requests (RFC 9126) or tokens with a proof of possession (RFC 9449), or the authorization server has no grant for users. Stored credentials can be refreshed anyway.
 * - `clientRequired`: The authorization server does not register this client, and none is configured. Stored credentials can be refreshed anyway.
 * - `clientDocumentRequired`: The authorization server does not register this client, but accepts a client that a metadata document describes, and neither a client nor such a document is configured. Stored credentials can be refreshed anyway.
 */
export type DiscoveryProblem = "resourceMismatch" | "noAuthorizationServer" | "issuerMismatch" | "invalidMetadata" | "pkceNotPublished" | "pkceNotSupported" | "unsupported" | "clientRequired" | "clientDocumentRequired";

/**
 * The state of the program of a stdio server.
 */
export type ProcessEvidence = {
  /**
   * The program, as it is configured.
   */
  program?: string,
  /**
   * The package that the program installs and runs, if it is a package runner such as `npx`: its name in a registry, with the
   * version that the configuration has.
   */
  package?: string,
  /**
   * The PATH that was searched for the program.
   */
  path?: string,
  /**
   * Why the program could not be started.
   */
  spawn?: SpawnFailure,
  /**
   * The exit code, if the program exited by itself.
   */
  exit?: number,
  /**
   * The number of the signal that terminated the program, if a signal did.
   */
  signal?: number,
  /**
   * The program's stderr output: the beginning and the end, if it is long. Its length is limited.
   */
  stderr?: string,
  /**
   * The beginning of the program's stdout output, without MCP messages. Its length is limited.
   */
  stdout?: string, };

/**
 * Why a program could not be started.
 *
 * - `notFound`: The program was not found.
 * - `failed`: The program was found, but could not be started.
 */
export type SpawnFailure = "notFound" | "failed";

/**
 * The problems with the MCP protocol.
 */
export type ProtocolEvidence = {
  /**
   * The MCP versions that the server reported. The client supports none of them.
   */
  serverVersions?: Array<string>,
  /**
   * The beginning of a response that is not MCP. Its length is limited.
   */
  notMcp?: string,
  /**
   * The code and message of the JSON-RPC error with which the server responded to the handshake, or the last error that it
   * logged before.
   */
  error?: string,
  /**
   * The message of that error without its code, if the server responded with it to a request.
   */
  errorMessage?: string,
  /**
   * The MCP method whose result does not conform to the schema of MCP.
   */
  invalidMethod?: string,
  /**
   * The invalid field of that result and the problem with it, for example `serverInfo: "version" is missing`.
   */
  invalidField?: string, };

/**
 * A limit that every server must keep until it is ready.
 *
 * - `requests`: More than 30 requests were necessary, not counting the pages of the tool list.
 * - `bytes`: The server sent more than 16 MB.
 * - `messages`: The server sent more than 1,000 messages.
 * - `serverRequests`: The server left more than 64 of its own requests open, because it did not read the responses.
 */
export type ExceededLimit = "requests" | "bytes" | "messages" | "serverRequests";

/**
 * The facts about a stored record. They contain no secret.
 */
export type CredentialFacts = {
  /**
   * Whether the record has an access token that is not blank.
   */
  accessToken: boolean,
  /**
   * Whether the record has a refresh token that is not blank.
   */
  refreshToken: boolean,
  /**
   * The time at which the access token expires, in ms since the Unix epoch. `null` if it is unknown.
   */
  expiresAtMs: number | null, };

/**
 * Whether the tokens of a stored credential can still be used.
 */
export type CredentialWorth = {
  /**
   * Whether the access token can still be used.
   */
  accessToken: AccessTokenWorth,
  /**
   * Whether there is a refresh token that is not blank.
   */
  refreshToken: boolean, };

/**
 * Whether a stored access token can still be used, according to its record and the current time.
 *
 * - `absent`: There is no access token, or it is blank.
 * - `good`: The access token expires in more than 30 s (`CLOCK_SKEW_MS`).
 * - `expiryUnknown`: The expiry of the access token is unknown. It is used until the server rejects it.
 * - `expired`: The access token has expired or expires within 30 s (`CLOCK_SKEW_MS`).
 */
export type AccessTokenWorth = "absent" | "good" | "expiryUnknown" | "expired";

/**
 * The first request of a start, depending on the stored credential.
 *
 * - `withoutToken`: A request to the MCP server without a token, because no token is stored.
 * - `storedToken`: A request to the MCP server with the stored access token, without discovery before it.
 * - `refresh`: A token refresh, followed by a request to the MCP server with the new access token.
 * - `withoutTokenThenStored`: A request to the MCP server without a token. If the server rejects it, the expired access token is sent once, because the local clock may be wrong.
 */
export type FirstRequest = "withoutToken" | "storedToken" | "refresh" | "withoutTokenThenStored";
