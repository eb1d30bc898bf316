package io.github.mcpstartup.examples

import io.github.mcpstartup.CredentialLock
import io.github.mcpstartup.CredentialStore
import kotlinx.coroutines.sync.Mutex
import java.util.concurrent.ConcurrentHashMap

/** A store in memory, for all coroutines of one process. */
open class MemoryStore : CredentialStore {
    val records = ConcurrentHashMap<String, String>()
    private val locks = ConcurrentHashMap<String, Mutex>()

    override suspend fun load(key: String): String? = records[key]

    override suspend fun replace(key: String, expected: String?, new: String?): Boolean = synchronized(records) {
        if (records[key] != expected) return false
        if (new == null) records.remove(key) else records[key] = new
        true
    }

    override suspend fun lock(key: String): CredentialLock {
        val mutex = locks.computeIfAbsent(key) { Mutex() }
        mutex.lock()
        return CredentialLock { mutex.unlock() }
    }
}
