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
 * The state of one server's start has changed. For each start: one with `Starting`, and then exactly one more.
 *
 * @property notification The notification, as it goes over the wire.
 * @property phase How far the start had come; on `Ready`, the last phase it went through.
 * @property elapsedMs The time since the start began, in ms.
 * @property required Whether the configuration says that the app can't do without this server.
 * @property failure Why it failed: on `Failed`, and on nothing else.
 * @property notSaved Why a token that was refreshed in this start could not be saved.
 */
@Serializable
public data class StartupEvent(
    public val notification: McpServerStatusUpdatedNotification,
    public val phase: StartPhase,
    public val elapsedMs: Long,
    public val required: Boolean,
    public val failure: StartupFailure?,
    public val notSaved: String?,
)

/**
 * A request that a server has answered with 401.
 *
 * @property authorization The value of its `Authorization` header; null where it had none. It does not print.
 * @property challenge The `WWW-Authenticate` of the answer.
 */
public class Rejected(public val authorization: String?, public val challenge: String? = null)

/**
 * How a client is authorized at a server, and what is stored for it. No secret is in it.
 *
 * @property status Null where that can't be known: nothing usable is stored, and the server was not asked or did not answer.
 * @property worth What is stored is worth this; null where nothing is stored for exactly this server.
 * @property expiresAtMs When the stored access token expires, in ms since the Unix epoch, where the record says.
 * @property scopes The scopes that were granted.
 * @property issuer Who granted it.
 * @property store The place where it is stored: `file`, `keyring` or `host`.
 * @property storeError Why it can't be known what is stored.
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
 * Why it can't be known what is stored.
 *
 * @property store Which store: `file`, `keyring`, or as the configuration calls it.
 * @property trouble Why, as a stable value.
 * @property detail Why, as the rest of a sentence.
 */
@Serializable
public data class StoreError(
    public val store: String,
    public val trouble: CredentialStoreTrouble,
    public val detail: String,
)

/**
 * A sign-in that has begun. It does not print: both parts hold secrets.
 *
 * @property authorizationUrl Where the user signs in: to be opened in their browser.
 * @property pending What finishes it, once and within 15 minutes, in this process or another.
 */
@Serializable
public class SignInBegun internal constructor(public val authorizationUrl: String, public val pending: String)

/** What became of the tokens at the authorization server. */
@Serializable
public enum class Revocation {
    /** The authorization server says that it is done. */
    @SerialName("revoked")
    REVOKED,

    /** It offers no revocation, or the record does not say which server it was: they expire. */
    @SerialName("notOffered")
    NOT_OFFERED,

    /** It was asked, and did not say that it is done: they may be good until they expire. */
    @SerialName("failed")
    FAILED,
}

/**
 * What signing out came to.
 *
 * @property wasStored Whether anything was stored.
 * @property revocation What became of the tokens at the authorization server.
 */
@Serializable
public data class SignedOut(public val wasStored: Boolean, public val revocation: Revocation)

/** Starts that go on, and what can be asked of them. */
public class Watch internal constructor(private val options: Options) {
    private val events: Events by lazy { Events.ofWatch(options.json(), options.bridge()) }

    /** What the starts come to, for one collector. It goes on until it is cancelled, by the collector or by [cancel]. */
    public val updates: Flow<StartupEvent> = eventsOf { events }

    /** Starts the server of this name again now, if it has failed. Does nothing if it is starting or ready. */
    public fun retry(name: String): Unit = events.retry(name)

    /** Each start under way says `Cancelled`, and [updates] ends after that. */
    public fun cancel(): Unit = events.cancel()
}

/** Starting servers, and signing in and out. */
public object McpStartup {
    /**
     * Starts every enabled server, says what each start came to, and closes each when its state is known. Nothing begins before the
     * flow is collected; each collection starts anew. Where the collector is cancelled, every start ends at once.
     */
    public fun check(options: Options = Options()): Flow<StartupEvent> =
        eventsOf { Events.ofCheck(options.json(), options.bridge()) }

    /** The same for servers that stand in code. */
    public fun check(servers: List<McpServer>, store: CredentialStore? = null): Flow<StartupEvent> =
        check(Options(servers = servers, store = store))

    /** The same for the servers of a configuration: Codex's `config.toml` or an `mcpServers` JSON. */
    public fun check(config: String, store: CredentialStore? = null): Flow<StartupEvent> =
        check(Options(config = config, store = store))

    /**
     * The same as [check], and goes on: a server that failed is started again when [Watch.retry] asks for it; when what is stored for it
     * has changed, a sign-in by any process; and by itself, where the failure's recovery is `RETRY`: after 1 s, then 2 s, 4 s and so on
     * up to 5 min.
     */
    public fun watch(options: Options = Options()): Watch = Watch(options)

    /**
     * The `Authorization` header for a request that the app makes itself, with another SDK; null where it is to have none.
     *
     * Asked without [rejected], it is what to send first. Where the server answers 401 all the same, what was sent goes in as
     * [rejected], and out comes what to send once more: through the same store, lock and refresh as that of a start.
     *
     * @throws StartupFailedException With the verdict, where nothing is left to send.
     */
    public suspend fun authorization(server: String, rejected: Rejected? = null, options: Options = Options()): String? {
        val header = unwrap(
            io.github.mcpstartup.ffi.authorization(
                options.json(),
                options.bridge(),
                server,
                rejected != null,
                rejected?.authorization,
                rejected?.challenge,
            ),
        )
        return if (header is JsonNull) null else header.jsonPrimitive.content
    }

    /** How a client is authorized at a server, and what is stored for it. Without [online] nothing is sent. */
    public suspend fun authStatus(server: String, online: Boolean = false, options: Options = Options()): AuthStatus =
        wire.decodeFromJsonElement(
            unwrap(io.github.mcpstartup.ffi.authStatus(options.json(), options.bridge(), server, online)),
        )

    /**
     * Begins a sign-in: gives the URL to open in the user's browser, and what finishes it. Nothing is stored before it is finished.
     *
     * @param redirectUri Where the user comes back to: `http` on loopback, `https`, or a scheme of the app's own.
     * @throws SignInException By its kind.
     */
    public suspend fun beginSignIn(server: String, redirectUri: String, options: Options = Options()): SignInBegun =
        wire.decodeFromJsonElement(
            unwrap(io.github.mcpstartup.ffi.beginSignIn(options.json(), options.bridge(), server, redirectUri)),
        )

    /**
     * Finishes a sign-in with the whole URL that the browser came back with, and stores what is granted.
     *
     * @throws SignInException By its kind.
     */
    public suspend fun finishSignIn(pending: String, callbackUrl: String, options: Options = Options()) {
        unwrap(io.github.mcpstartup.ffi.finishSignIn(options.json(), options.bridge(), pending, callbackUrl))
    }

    /** Signs out: what was granted is revoked where that is offered, and what is stored is removed, whatever came of that. */
    public suspend fun signOut(server: String, options: Options = Options()): SignedOut =
        wire.decodeFromJsonElement(
            unwrap(io.github.mcpstartup.ffi.signOut(options.json(), options.bridge(), server)),
        )

    /** Waits until every refresh that was sent is saved: before a process ends that has cancelled a check. */
    public suspend fun finish(): Unit = io.github.mcpstartup.ffi.finish()

    /**
     * Holds a store to what every store must do. It is to be empty, and what is left in it afterwards is rubbish.
     *
     * @throws CredentialStoreException With the first thing that it does not do.
     */
    public suspend fun testCredentialStore(store: CredentialStore) {
        unwrap(io.github.mcpstartup.ffi.testCredentialStore(StoreBridge(store)))
    }
}

/** The events of a check or a watch, in batches below and one by one here. */
private fun eventsOf(begin: () -> Events): Flow<StartupEvent> = flow {
    val events = begin()
    try {
        while (true) {
            val batch: List<StartupEvent> = wire.decodeFromJsonElement(unwrap(events.next()))
            if (batch.isEmpty()) break
            batch.forEach { emit(it) }
        }
    } finally {
        // Every start ends now; the object itself goes when it is collected, for a `retry` may still come.
        events.end()
    }
}
