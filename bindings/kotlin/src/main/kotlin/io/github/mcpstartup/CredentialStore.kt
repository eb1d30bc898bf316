package io.github.mcpstartup

import io.github.mcpstartup.ffi.StoreCalls
import io.github.mcpstartup.ffi.StoreFailure
import java.util.concurrent.ConcurrentHashMap
import java.util.concurrent.atomic.AtomicLong

/**
 * A store for sign-ins that your app provides, in place of Codex's stores.
 *
 * A record is a string that contains secrets. Store it unchanged, in a place for secrets. Refreshing a token relies on every
 * guarantee that is described here; [McpStartup.testCredentialStore] checks them.
 *
 * Throw an exception if a call can't be completed, and never to report that nothing is stored. The message of the exception is shown
 * to users, so it must not contain any part of a record.
 *
 * A call runs to completion even if the check that made it is cancelled. A lock that it acquires is then released immediately.
 */
public interface CredentialStore {
    /** Returns the record under [key], or null if no record is stored. Never return null for another reason. */
    public suspend fun load(key: String): String?

    /**
     * Stores [new] under [key] if the stored record equals [expected]. If [new] is null, it deletes the record.
     *
     * The comparison and the change are one atomic step across all processes.
     *
     * @return True after the change, which must survive a crash. False if the stored record differs from [expected]; then nothing
     * changes.
     */
    public suspend fun replace(key: String, expected: String?, new: String?): Boolean

    /**
     * Waits for the lock of [key], and acquires it. The lock excludes every other coroutine and process that can reach the same
     * record, until it is released.
     *
     * The lock is held for the duration of a refresh. Wait for it without a time limit.
     */
    public suspend fun lock(key: String): CredentialLock
}

/** A lock that is currently held. */
public fun interface CredentialLock {
    /** Releases the lock. Called once. */
    public suspend fun release()
}

/** Passes the calls of the native library to the app's store. */
internal class StoreBridge(private val store: CredentialStore) : StoreCalls {
    private val held = ConcurrentHashMap<String, CredentialLock>()
    private val locks = AtomicLong()

    override suspend fun load(key: String): String? = converted { store.load(key) }

    override suspend fun replace(key: String, expected: String?, new: String?): Boolean =
        converted { store.replace(key, expected, new) }

    override suspend fun lock(key: String): String = converted {
        val lock = store.lock(key)
        val token = locks.getAndIncrement().toString()
        held[token] = lock
        token
    }

    override suspend fun release(token: String): Unit = converted { held.remove(token)?.release() ?: Unit }

    private suspend fun <T> converted(call: suspend () -> T): T = try {
        call()
    } catch (failure: Throwable) {
        // Includes every `Error`, such as that of TODO(), and a timeout in the store. The engine would wait for a call without an answer.
        throw StoreFailure.Failed(failure.message ?: failure.javaClass.simpleName)
    }
}
