package io.github.mcpstartup

import io.github.mcpstartup.examples.MemoryStore
import io.github.mcpstartup.ffi.uniffiForeignFutureHandleCount
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitAll
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.onEach
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import kotlinx.coroutines.withTimeoutOrNull
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.jsonObject
import org.junit.jupiter.api.AfterAll
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNotEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.BeforeAll
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.TestInstance
import org.junit.jupiter.api.assertThrows
import java.io.File
import java.net.URI
import java.net.URLDecoder
import kotlin.random.Random
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.seconds

/** Starts servers of the lab, and signs in to them. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class LiveTest {
    private lateinit var lab: Lab

    @BeforeAll
    fun start() {
        lab = Lab()
    }

    @AfterAll
    fun stop() = lab.close()

    private fun <T> test(body: suspend () -> T): T = runBlocking(Dispatchers.Default) { withTimeout(60.seconds) { body() } }

    /** Starts a server with a store, and returns the last event. */
    private suspend fun outcome(name: String, store: CredentialStore, lab: Lab = this.lab): StartupEvent =
        McpStartup.check(listOf(lab.server(name)), store).toList().last()

    @Test
    fun `every start has the outcome of its row`(): Unit = test {
        val rows = listOf(
            "ready", "ready-modern", "ready-stored-token", "first-sign-in", "expired-no-refresh", "insufficient-scope",
            "access-denied", "api-key", "server-500", "html-page", "drops",
        )
        val store = MemoryStore()
        for (row in rows) lab.record(row)?.let { store.records[keyOf(row, lab.url(row))] = it.toString() }
        val events = McpStartup.check(rows.map(lab::server), store).toList().groupBy { it.notification.name }
        assertEquals(rows.toSet(), events.keys)
        for ((name, ofOne) in events) {
            val (starting, closing) = ofOne
            assertEquals(2, ofOne.size, name)
            val expected = lab.expected(name)
            assertEquals(McpServerStartupState.Starting, starting.notification.status)
            assertEquals(expected.text("state"), closing.notification.status.wire, name)
            assertEquals(expected.text("reason"), closing.notification.failureReason?.wire, name)
            assertEquals(expected.text("kind"), closing.failure?.kind?.wire, name)
            assertEquals(expected.text("recovery")?.takeIf { closing.failure != null }, closing.failure?.recovery?.wire, name)
            assertEquals(closing.failure?.message, closing.notification.error)
        }
        val again = events.getValue("expired-no-refresh").last().notification
        assertEquals(McpServerStartupFailureReason.ReauthenticationRequired, again.failureReason)
        assertNull(events.getValue("first-sign-in").last().notification.failureReason)
    }

    @Test
    fun `signing in and out`(): Unit = test {
        val store = MemoryStore()
        val options = Options(servers = listOf(lab.server("first-sign-in")), store = store)
        val server = "first-sign-in"
        assertEquals(StartupFailureKind.SIGN_IN_REQUIRED, outcome(server, store).failure?.kind)
        assertEquals(McpAuthStatus.NOT_LOGGED_IN, McpStartup.authStatus(server, online = true, options).status)
        val begun = McpStartup.beginSignIn(server, "http://127.0.0.1:8123/callback", options)
        val wrong = assertThrows<SignInException> {
            runBlocking { McpStartup.finishSignIn(begun.pending, "http://127.0.0.1:8123/callback?code=a&state=b", options) }
        }
        assertEquals("invalidCallback", wrong.kind)
        McpStartup.finishSignIn(begun.pending, comeBack(begun.authorizationUrl), options)
        assertEquals(McpAuthStatus.OAUTH, McpStartup.authStatus(server, options = options).status)
        assertEquals(McpServerStartupState.Ready, outcome(server, store).notification.status)
        assertTrue(McpStartup.signOut(server, options).wasStored)
        assertTrue(store.records.isEmpty())
    }

    @Test
    fun `a sign-in requests the scopes of the challenge, the passed ones and the granted ones`(): Unit = test {
        val row = "ready-stored-token"
        val options = Options(servers = listOf(lab.server(row)), store = storeOf(lab, row))
        val challenge = "Bearer error=\"insufficient_scope\", scope=\"mcp:write\""
        val cases = listOf<Triple<String?, List<String>, Set<String>>>(
            Triple(null, emptyList(), setOf("mcp:tools")),
            Triple(challenge, emptyList(), setOf("mcp:tools", "mcp:write")),
            Triple(null, listOf("mcp:admin"), setOf("mcp:tools", "mcp:admin")),
            Triple(challenge, listOf("mcp:admin"), setOf("mcp:tools", "mcp:write", "mcp:admin")),
        )
        for ((challenged, scopes, requested) in cases) {
            val redirectUri = "http://127.0.0.1:8123/callback"
            val begun = McpStartup.beginSignIn(row, redirectUri, options, challenge = challenged, scopes = scopes)
            val query = URI.create(begun.authorizationUrl).rawQuery.split("&")
            val scope = URLDecoder.decode(query.single { it.startsWith("scope=") }.removePrefix("scope="), Charsets.UTF_8)
            assertEquals(requested, scope.split(" ").toSet())
        }
    }

    @Test
    fun `authorization returns the header for a request`(): Unit = test {
        val good = Options(servers = listOf(lab.server("ready-stored-token")), store = storeOf(lab, "ready-stored-token"))
        assertEquals("Bearer good-token", McpStartup.authorization("ready-stored-token", options = good))
        val row = "expired-no-refresh"
        val options = Options(servers = listOf(lab.server(row)), store = storeOf(lab, row))
        // The token has expired, so the first request is sent without it.
        assertNull(McpStartup.authorization(row, options = options))
        val sent = "Bearer " + lab.record(row)!!.text("access_token")
        val failed = assertThrows<StartupFailedException> {
            runBlocking { McpStartup.authorization(row, Rejected(sent), options) }
        }
        assertEquals(StartupFailureKind.REAUTHENTICATION_REQUIRED, failed.failure.kind)
        assertTrue(sent.removePrefix("Bearer ") !in failed.toString() + failed.failure)
    }

    @Test
    fun `the store test passes a correct store and fails a broken one`(): Unit = test {
        McpStartup.testCredentialStore(MemoryStore())
        val forgets = object : MemoryStore() {
            override suspend fun load(key: String): String? = null
        }
        assertThrows<CredentialStoreException> { runBlocking { McpStartup.testCredentialStore(forgets) } }
    }

    @Test
    fun `a custom store saves a rotated token, and one refresh serves every start`(): Unit = test {
        Lab().use { own ->
            val row = "expired-rotates"
            val store = storeOf(own, row)
            val token = { Json.parseToJsonElement(store.records.getValue(keyOf(row, own.url(row)))).jsonObject.text("refresh_token") }
            val before = token()
            val events = coroutineScope { List(8) { async { outcome(row, store, own) } }.awaitAll() }
            assertEquals(setOf<Any>(McpServerStartupState.Ready), events.map { it.notification.status }.toSet())
            assertEquals(1, own.refreshes(row).size)
            assertNotEquals(before, token())
            assertEquals(McpServerStartupState.Ready, outcome(row, store, own).notification.status)
        }
    }

    @Test
    fun `a store that throws is not a sign-out`(): Unit = test {
        // The second is an `Error`, not an `Exception`.
        for (reason in listOf(IllegalStateException("the vault is locked"), NotImplementedError("the vault is locked"))) {
            val locked = object : MemoryStore() {
                override suspend fun load(key: String): String? = throw reason
            }
            val event = outcome("ready-stored-token", locked)
            assertEquals(StartupFailureKind.CREDENTIAL_STORE_UNAVAILABLE, event.failure?.kind)
            assertTrue("the vault is locked" in event.failure.toString())
            assertTrue(event.elapsedMs < 5_000, "the start waited for $reason: ${event.elapsedMs} ms")
        }
    }

    @Test
    fun `a watch restarts a server after a sign-in and after retry`(): Unit = test {
        val server = "first-sign-in"
        val options = Options(servers = listOf(lab.server(server)), store = MemoryStore())
        val watch = McpStartup.watch(options)
        val states = mutableListOf<String>()
        watch.updates.onEach {
            states += it.notification.status.wire
            if (states.size == 2) watch.retry(server)
            if (states.size == 4) {
                val begun = McpStartup.beginSignIn(server, "http://127.0.0.1:8123/callback", options)
                McpStartup.finishSignIn(begun.pending, comeBack(begun.authorizationUrl), options)
            }
        }.first { it.notification.status == McpServerStartupState.Ready }
        assertEquals(listOf("starting", "failed", "starting", "failed", "starting", "ready"), states)
    }

    @Test
    fun `invalid options and configurations are reported`(): Unit = test {
        val missing = assertThrows<ConfigurationException> {
            runBlocking { McpStartup.check(config = "/nowhere/config.toml").toList() }
        }
        assertEquals("notFound" to "/nowhere/config.toml", missing.kind to missing.path)
        val unknown = assertThrows<ConfigurationException> {
            runBlocking { McpStartup.check(Options(servers = emptyList(), names = listOf("linear"))).toList() }
        }
        assertEquals("unknownServer", unknown.kind)
        val twice = Options(servers = listOf(lab.server("ready"), lab.server("ready")))
        assertThrows<InvalidArgumentException> { runBlocking { McpStartup.check(twice).toList() } }
        val both = Options(config = "a", servers = emptyList())
        assertThrows<InvalidArgumentException> { runBlocking { McpStartup.check(both).toList() } }
    }

    @Test
    fun `a check that is cancelled at a random time leaves nothing behind`() {
        val times = Integer.getInteger("mcp.startup.cancellations", 300)
        val random = Random(7)
        val store = storeOf(lab, "expired-no-refresh")
        val silent = McpServer.Stdio("silent", "sleep", listOf("600"))
        val servers = listOf("ready", "hangs", "expired-no-refresh", "server-500").map(lab::server) + silent
        var events = 0
        suspend fun once() = coroutineScope {
            // The collector is on the same thread, so an event after `cancel` is noticed.
            var isCancelled = false
            val collecting = launch {
                McpStartup.check(Options(servers = servers, store = store, timeout = 600.seconds)).collect {
                    assertTrue(!isCancelled, "an event after the cancellation")
                    events += 1
                }
            }
            delay(random.nextInt(12).milliseconds)
            isCancelled = true
            collecting.cancelAndJoin()
        }
        runBlocking {
            withTimeout(60.seconds + 100.milliseconds * times) {
                val programs = programs()
                repeat(times / 3) { once() }
                val before = measured()
                repeat(times - times / 3) { once() }
                waitUntil("every program has ended") { programs() <= programs }
                // The threads for blocking work end after 10 s without work.
                waitUntil("no additional thread is left") { threads() <= before.threads }
                val after = measured()
                println("cancelled $times checks after $events events: RSS ${before.rssKb / 1024} -> ${after.rssKb / 1024} MB, heap ${before.heapKb} -> ${after.heapKb} kB, ${before.threads} -> ${after.threads} threads")
                assertTrue(events > 0)
                assertTrue(after.rssKb < before.rssKb + 64 * 1024, "$before -> $after")
                assertTrue(after.heapKb < before.heapKb + 8 * 1024, "$before -> $after")
                assertEquals(0, uniffiForeignFutureHandleCount())
                assertEquals(McpServerStartupState.Ready, outcome("ready", store).notification.status)
            }
        }
    }

    private data class Measured(val rssKb: Long, val heapKb: Long, val threads: Long)

    /** The resources of this process after a garbage collection. */
    private suspend fun measured(): Measured {
        repeat(3) {
            System.gc()
            delay(200.milliseconds)
        }
        val runtime = Runtime.getRuntime()
        return Measured(status("VmRSS:"), (runtime.totalMemory() - runtime.freeMemory()) / 1024, threads())
    }

    private fun threads(): Long = status("Threads:")

    private fun programs(): Long = ProcessHandle.current().descendants().count()

    /** A number from `/proc/self/status`, or 0 on systems other than Linux. */
    private fun status(name: String): Long = File("/proc/self/status").takeIf { it.exists() }?.readLines()
        ?.first { it.startsWith(name) }?.filter(Char::isDigit)?.toLong() ?: 0

    private suspend fun waitUntil(what: String, condition: () -> Boolean) {
        val done = withTimeoutOrNull(30.seconds) {
            while (!condition()) delay(20.milliseconds)
        }
        assertTrue(done != null, "not within 30 s: $what")
    }
}
