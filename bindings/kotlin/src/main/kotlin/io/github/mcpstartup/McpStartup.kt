package io.github.mcpstartup

import io.github.mcpstartup.ffi.Events
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.flow
import kotlinx.serialization.SerialName
import kotlinx.serialization.Serializable
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.decodeFromJsonElement
import kotlinx.serialization.json.jsonPrimitive

/**
 * A change of the state of one server's start. Each start reports `Starting`, and then exactly one of `Ready`, `Failed` and `Cancelled`.
 *
 * @property notification The notification, as it is sent over the wire.
 * @property phase The phase of the start. On `Ready`, it is the last phase of the start.
 * @property elapsedMs The time since the start began, in milliseconds.
 * @property required Whether the configuration marks the server as required.
 * @property failure The failure. Set only on `Failed`.
 * @property warning What is wrong with a server that is ready; otherwise null.
 * @property tools The number of tools of a server that is ready, or null if it did not list them: then there is a [warning].
 * @property notSaved The reason why a token that was refreshed during this start could not be saved; otherwise null.
 * @property configurationWarnings Parts of the server's entry that do not have the effect that the user may expect, such as keys that
 *   are not read. Empty on `Starting`.
 */
@Serializable
public data class StartupEvent(
    public val notification: McpServerStatusUpdatedNotification,
    public val phase: StartPhase,
    public val elapsedMs: Long,
    public val required: Boolean,
    public val failure: StartupFailure?,
    public val warning: StartupWarning?,
    public val tools: Int?,
    public val notSaved: String?,
    public val configurationWarnings: List<ConfigurationEvidence>,
)

/**
 * A request that a server has answered with 401 or 403. [toString] shows none of its values, because they contain secrets.
 *
 * @property authorization The value of its `Authorization` header, or null if it had none.
 * @property challenge The value of the `WWW-Authenticate` header of the answer.
 * @property status The status of the answer: 401 or 403. After 403, nothing is refreshed, and the call throws the verdict unless another
 * sign-in is stored.
 */
public class Rejected @JvmOverloads constructor(
    public val authorization: String?,
    public val challenge: String? = null,
    public val status: Int = 401,
)

/** The authorization of a request of an adapter. [header] is null if the request needs none. */
@Serializable
internal class RequestAuthorization(val header: String? = null)

/**
 * The authorization of a client at a server, and the state of the stored credential. Contains no secrets.
 *
 * @property status How the client is authorized. Null if this is unknown: no usable credential is stored, and the server was not
 * queried or did not answer.
 * @property worth Which parts of the stored credential can be used. Null if no credential is stored for exactly this server.
 * @property expiresAtMs The time when the stored access token expires, in milliseconds since the Unix epoch, if it is known.
 * @property scopes The granted scopes.
 * @property issuer The issuer of the credential.
 * @property store The store that contains the credential: `file`, `keyring` or `host`.
 * @property storeError The error of the store, if the stored credential could not be read.
 */
@Serializable
public data class AuthStatus(
    public val status: McpAuthStatus?,
    public val worth: CredentialWorth?,
    public val expiresAtMs: Long?,
    public val scopes: List<String>,
    public val issuer: String?,
    public val store: String?,
    public val storeError: StoreError?,
)

/**
 * The reason why a store could not be read.
 *
 * @property store The store: `file`, `keyring`, or its name in the configuration.
 * @property trouble The reason, as a stable value.
 * @property detail The details, as a human-readable text.
 */
@Serializable
public data class StoreError(
    public val store: String,
    public val trouble: CredentialStoreTrouble,
    public val detail: String,
)

/**
 * A sign-in in progress. [toString] shows none of its values, because both contain secrets.
 *
 * @property authorizationUrl The URL of the sign-in page. Open it in the user's browser.
 * @property pending The state of the sign-in, for [McpStartup.finishSignIn]. Valid for one use and for 15 minutes, in any process.
 */
@Serializable
public class SignInBegun internal constructor(public val authorizationUrl: String, public val pending: String)

/** The result of revoking tokens at the authorization server. */
@Serializable
public enum class Revocation {
    /** The authorization server has confirmed the revocation. */
    @SerialName("revoked")
    REVOKED,

    /**
     * The authorization server offers no revocation, or the record does not name the server. The tokens remain valid until they
     * expire.
     */
    @SerialName("notOffered")
    NOT_OFFERED,

    /** The authorization server did not confirm the revocation. The tokens may remain valid until they expire. */
    @SerialName("failed")
    FAILED,
}

/**
 * The result of a sign-out.
 *
 * @property wasStored Whether a credential was stored.
 * @property revocation The result of the revocation at the authorization server.
 */
@Serializable
public data class SignedOut(public val wasStored: Boolean, public val revocation: Revocation)

/** A watch: starts servers, and restarts a failed server when that may help. Create it with [McpStartup.watch]. */
public class Watch internal constructor(private val options: Options) {
    private val events: Events by lazy { Events.ofWatch(options.json(), options.bridge()) }

    /**
     * The events of the starts, for one collector. The starts begin when you collect the flow. It ends when you cancel the collector
     * or call [cancel].
     */
    public val updates: Flow<StartupEvent> = eventsOf { events }

    /** Restarts a failed server now. Does nothing if the server is starting or ready. */
    public fun retry(name: String): Unit = events.retry(name)

    /** Cancels the starts under way. Each reports `Cancelled`, and then [updates] ends. */
    public fun cancel(): Unit = events.cancel()
}

/** Starts MCP servers, and signs in to them and out of them. */
public object McpStartup {
    /**
     * Starts the servers that the options select, reports the outcome of each start, and closes each server when its state is known.
     * No browser opens.
     *
     * The starts begin when you collect the flow. Each collection starts the servers again. When the collector is cancelled, every
     * start ends immediately; a refresh that has been sent is still saved.
     *
     * @throws ConfigurationException While collecting, if the configuration can't be used.
     * @throws InvalidArgumentException While collecting, if an option is invalid.
     */
    public fun check(options: Options = Options()): Flow<StartupEvent> =
        eventsOf { Events.ofCheck(options.json(), options.bridge()) }

    /**
     * Starts servers that you define in code. See [check].
     *
     * @param servers The servers to start. Each needs a unique name.
     * @param store The store with the credentials. Null means Codex's own stores.
     */
    public fun check(servers: List<McpServer>, store: CredentialStore? = null): Flow<StartupEvent> =
        check(Options(servers = servers, store = store))

    /**
     * Starts every enabled server of a configuration. See [check].
     *
     * @param config The path of Codex's `config.toml`, or of a JSON file with `mcpServers`. `~/` is the user's home folder.
     * @param store The store with the credentials. Null means the stores that Codex uses with this configuration.
     */
    public fun check(config: String, store: CredentialStore? = null): Flow<StartupEvent> =
        check(Options(config = config, store = store))

    /**
     * Starts the servers of the MCP clients on this machine. See [check] and [notChecked].
     *
     * @param clients The clients whose servers are started.
     */
    public fun check(clients: Clients): Flow<StartupEvent> = check(Options(clients = clients))

    /**
     * Starts the servers that the options select, and restarts a failed server when that may help:
     *
     * - when you call [Watch.retry];
     * - when its stored credential changes, such as after a sign-in in any process;
     * - automatically if the recovery of the failure is [Recovery.RETRY]: after a random pause of up to 1 s,
     *   then up to 2 s, 4 s and so on up to 5 min.
     *
     * As in [check], a server that is ready is closed, and no browser opens.
     */
    public fun watch(options: Options = Options()): Watch = Watch(options)

    /**
     * Finds the configuration files of the MCP clients on this machine, and reads each as its client does. Starts nothing.
     *
     * Files that do not exist are left out. A file that can't be read is part of the result, with its `error`. The result is the same as
     * that of `mcp-startup clients --format json`. Not available on phones.
     *
     * @param clients The clients whose files are read.
     * @param folder The folder whose project files are read too. `~/` is the user's home folder. The default is the current folder.
     * @throws InvalidArgumentException If an argument is invalid, such as an unknown ID of a client.
     */
    public suspend fun discover(clients: Clients = Clients.ALL, folder: String? = null): List<ClientFile> =
        wire.decodeFromJsonElement(
            unwrap(io.github.mcpstartup.ffi.discover(Options(clients = clients, folder = folder).json())),
        )

    /**
     * Returns the servers that a check and a watch leave out with the same options, and why: for example because only the client knows a
     * secret, or because the user has not approved a project's file. Starts nothing. Without [Options.clients], the list is empty.
     *
     * @throws InvalidArgumentException If an option is invalid.
     * @throws ConfigurationException If no client has a server with a name in [Options.names].
     */
    public suspend fun notChecked(options: Options): List<NotChecked> =
        wire.decodeFromJsonElement(unwrap(io.github.mcpstartup.ffi.notChecked(options.json())))

    /**
     * Returns the value of the `Authorization` header for a request that your app sends itself, with another SDK.
     *
     * Call it before a request, without [rejected]. If the server answers with 401, call it again and pass the rejected header value:
     * the function returns the value for the second attempt. Tokens are read, locked and refreshed as during a start.
     *
     * @param server The name of the server.
     * @param rejected The request that the server has rejected.
     * @return The value, or null if the request needs no such header.
     * @throws StartupFailedException With the verdict, if no credential is left to send.
     */
    public suspend fun authorization(server: String, rejected: Rejected? = null, options: Options = Options()): String? {
        val header = unwrap(
            io.github.mcpstartup.ffi.authorization(
                options.json(),
                options.bridge(),
                server,
                rejected?.status?.toUShort(),
                rejected?.authorization,
                rejected?.challenge,
            ),
        )
        return if (header is JsonNull) null else header.jsonPrimitive.content
    }

    /** Returns the header for a request of an adapter, or null if the URL has another origin than the server. */
    internal suspend fun requestAuthorization(
        server: String,
        url: String,
        rejected: Rejected?,
        options: Options,
    ): RequestAuthorization? = wire.decodeFromJsonElement(
        unwrap(
            io.github.mcpstartup.ffi.requestAuthorization(
                options.json(),
                options.bridge(),
                server,
                url,
                rejected?.status?.toUShort(),
                rejected?.authorization,
                rejected?.challenge,
            ),
        ),
    )

    /**
     * Returns how a client is authorized at a server, and the state of the stored credential.
     *
     * @param server The name of the server.
     * @param online Whether to send requests to the server to find out. Without them, the status may be unknown.
     */
    public suspend fun authStatus(server: String, online: Boolean = false, options: Options = Options()): AuthStatus =
        wire.decodeFromJsonElement(
            unwrap(io.github.mcpstartup.ffi.authStatus(options.json(), options.bridge(), server, online)),
        )

    /**
     * Begins a sign-in. The store does not change until you finish the sign-in.
     *
     * @param server The name of the server.
     * @param redirectUri The URI to which the authorization server redirects the browser: `http` on a loopback address, `https`, or a
     * custom scheme of your app.
     * @param challenge The value of the `WWW-Authenticate` header of the answer with which the server has rejected your app's own
     * request, such as a 403 with `insufficient_scope`. It can name the required scopes (RFC 6750, section 3) and the server's metadata
     * (RFC 9728, section 5.1). With null, the sign-in sends a request to get a challenge.
     * @param scopes Scopes to request in addition. The requested scopes are the union of the configured, the granted, the challenged
     * and these.
     * @return The URL of the sign-in page, and the state for [finishSignIn].
     * @throws SignInException If the sign-in can't be begun. Its `kind` is the reason.
     */
    public suspend fun beginSignIn(
        server: String,
        redirectUri: String,
        options: Options = Options(),
        challenge: String? = null,
        scopes: List<String> = emptyList(),
    ): SignInBegun =
        wire.decodeFromJsonElement(
            unwrap(
                io.github.mcpstartup.ffi.beginSignIn(
                    options.json(challenge, scopes),
                    options.bridge(),
                    server,
                    redirectUri,
                ),
            ),
        )

    /**
     * Finishes a sign-in, and stores the granted credential.
     *
     * @param pending The state of the sign-in: [SignInBegun.pending].
     * @param callbackUrl The complete URL to which the browser was redirected.
     * @throws SignInException If the sign-in failed. Its `kind` is the reason.
     */
    public suspend fun finishSignIn(pending: String, callbackUrl: String, options: Options = Options()) {
        unwrap(io.github.mcpstartup.ffi.finishSignIn(options.json(), options.bridge(), pending, callbackUrl))
    }

    /**
     * Signs out: revokes the tokens if the authorization server supports it, and removes the stored credential even if the revocation
     * fails.
     *
     * @throws SignInException If the stored credential can't be read or removed.
     */
    public suspend fun signOut(server: String, options: Options = Options()): SignedOut =
        wire.decodeFromJsonElement(
            unwrap(io.github.mcpstartup.ffi.signOut(options.json(), options.bridge(), server)),
        )

    /**
     * Waits until the new token of every refresh in flight is saved, at most 30 s for each refresh.
     *
     * Call it before the process ends if you have cancelled a check or a watch. Otherwise a new token can be lost, and the user has to
     * sign in again.
     */
    public suspend fun finish(): Unit = io.github.mcpstartup.ffi.finish()

    /**
     * Checks that a store meets every guarantee of [CredentialStore]. Call it in your app's tests.
     *
     * @param store An empty store. The test leaves records in it.
     * @throws CredentialStoreException With the first guarantee that the store does not meet.
     */
    public suspend fun testCredentialStore(store: CredentialStore) {
        unwrap(io.github.mcpstartup.ffi.testCredentialStore(StoreBridge(store)))
    }
}

/** Reads batches of events from the native library, and emits each event. */
private fun eventsOf(begin: () -> Events): Flow<StartupEvent> = flow {
    val events = begin()
    try {
        while (true) {
            val batch: List<StartupEvent> = wire.decodeFromJsonElement(unwrap(events.next()))
            if (batch.isEmpty()) break
            batch.forEach { emit(it) }
        }
    } finally {
        // Ends every start. The object stays alive until it is garbage-collected, because `retry` may still be called.
        events.end()
    }
}
