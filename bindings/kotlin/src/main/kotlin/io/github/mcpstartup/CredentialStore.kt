package io.github.mcpstartup

import io.github.mcpstartup.ffi.StoreCalls
import io.github.mcpstartup.ffi.StoreFailure
import java.util.concurrent.ConcurrentHashMap
import java.util.concurrent.atomic.AtomicLong

/**
 * A place of the app's own where sign-ins are kept. A record is a text, to be kept as it is, in a place for secrets.
 *
 * Whoever refreshes a credential relies on each sentence here: [McpStartup.testCredentialStore] holds a store to them. An exception
 * never means "nothing stored"; its message is shown to people, and nothing of a record belongs in it. A call goes on to its end,
 * though nobody may be waiting for it any more; a lock that is granted then is released at once.
 */
public interface CredentialStore {
    /** The record under [key]; null where nothing is stored, and only there. */
    public suspend fun load(key: String): String?

    /**
     * Stores [new] under [key], or deletes what is there if [new] is null, if what is stored is [expected].
     *
     * Comparing and storing are one step among all processes. False where something else is stored: nothing is changed then. True
     * means that no crash takes the record away.
     */
    public suspend fun replace(key: String, expected: String?, new: String?): Boolean

    /**
     * Waits until nobody else holds the lock of [key], in any process that can reach the same record. It is held for as long as a
     * refresh takes, and waited for without a limit.
     */
    public suspend fun lock(key: String): CredentialLock
}

/** A lock that is held until it is released. */
public fun interface CredentialLock {
    /** Gives it back; called once. */
    public suspend fun release()
}

/** A store as the library asks for it. */
internal class StoreBridge(private val store: CredentialStore) : StoreCalls {
    private val held = ConcurrentHashMap<String, CredentialLock>()
    private val locks = AtomicLong()

    override suspend fun load(key: String): String? = told { store.load(key) }

    override suspend fun replace(key: String, expected: String?, new: String?): Boolean =
        told { store.replace(key, expected, new) }

    override suspend fun lock(key: String): String = told {
        val lock = store.lock(key)
        val token = locks.getAndIncrement().toString()
        held[token] = lock
        token
    }

    override suspend fun release(token: String): Unit = told { held.remove(token)?.release() ?: Unit }

    private suspend fun <T> told(call: suspend () -> T): T = try {
        call()
    } catch (failure: Throwable) {
        // An `Error` too, such as that of TODO(), and a time-out of the store's own: whatever is not answered here is waited for.
        throw StoreFailure.Failed(failure.message ?: failure.javaClass.simpleName)
    }
}
