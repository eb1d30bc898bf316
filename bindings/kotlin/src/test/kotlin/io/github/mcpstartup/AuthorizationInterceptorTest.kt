package io.github.mcpstartup

import com.sun.net.httpserver.HttpServer
import io.github.mcpstartup.examples.MemoryStore
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonPrimitive
import okhttp3.MediaType
import okhttp3.MediaType.Companion.toMediaType
import okhttp3.OkHttpClient
import okhttp3.Request
import okhttp3.RequestBody
import okhttp3.RequestBody.Companion.toRequestBody
import okhttp3.Response
import okio.BufferedSink
import org.junit.jupiter.api.AfterAll
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.BeforeAll
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.TestInstance
import org.junit.jupiter.api.assertThrows
import java.io.IOException
import java.net.InetAddress
import java.net.InetSocketAddress
import java.util.concurrent.CopyOnWriteArrayList

/** Sends requests with OkHttp to servers of the lab. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class AuthorizationInterceptorTest {
    private lateinit var lab: Lab

    @BeforeAll
    fun start() {
        lab = Lab()
    }

    @AfterAll
    fun stop() = lab.close()

    private fun client(name: String, options: Options): OkHttpClient =
        OkHttpClient.Builder().addInterceptor(AuthorizationInterceptor(name, options)).build()

    private fun options(name: String, lab: Lab = this.lab): Options =
        Options(servers = listOf(lab.server(name)), store = storeOf(lab, name))

    private fun OkHttpClient.initialize(url: String, body: RequestBody = INITIALIZE.toRequestBody(JSON)): Response {
        val request = Request.Builder().url(url).post(body).header("Accept", "application/json, text/event-stream").build()
        return newCall(request).execute()
    }

    @Test
    fun `an expired token is refreshed before the request`() = Lab().use { own ->
        val row = "expired-rotates"
        client(row, options(row, own)).initialize(own.url(row)).use { assertEquals(200, it.code) }
        assertEquals(1, own.refreshes(row).size)
    }

    @Test
    fun `a request fails with the verdict if no credential is left to try`() {
        val cases = mapOf(
            "expired-no-refresh" to StartupFailureKind.REAUTHENTICATION_REQUIRED,
            "insufficient-scope" to StartupFailureKind.INSUFFICIENT_SCOPE,
        )
        for ((row, kind) in cases) {
            val failed = assertThrows<NotAuthorizedException> { client(row, options(row)).initialize(lab.url(row)).close() }
            assertEquals(kind, failed.failure.kind, row)
        }
    }

    @Test
    fun `a body that can be sent only once is not sent again`() {
        val row = "expired-no-refresh"
        val once = object : RequestBody() {
            override fun contentType(): MediaType = JSON

            override fun isOneShot(): Boolean = true

            override fun writeTo(sink: BufferedSink) {
                sink.writeUtf8(INITIALIZE)
            }
        }
        client(row, options(row)).initialize(lab.url(row), once).use { assertEquals(401, it.code) }
    }

    @Test
    fun `an unknown server fails as OkHttp reports errors`() {
        val failed = assertThrows<IOException> { client("missing", options("ready")).initialize(lab.url("ready")).close() }
        assertEquals("unknownServer", (failed.cause as ConfigurationException).kind)
    }

    @Test
    fun `another origin gets no credential, also after a redirect`() {
        val received = CopyOnWriteArrayList<String?>()
        val loopback = InetAddress.getLoopbackAddress()
        val other = HttpServer.create(InetSocketAddress(loopback, 0), 0)
        other.createContext("/") { exchange ->
            received += exchange.requestHeaders.getFirst("Authorization")
            exchange.sendResponseHeaders(401, -1)
            exchange.close()
        }
        val server = HttpServer.create(InetSocketAddress(loopback, 0), 0)
        val elsewhere = "http://localhost:${other.address.port}/mcp"
        server.createContext("/mcp") { exchange ->
            received += exchange.requestHeaders.getFirst("Authorization")
            exchange.responseHeaders.add("Location", elsewhere)
            exchange.sendResponseHeaders(307, -1)
            exchange.close()
        }
        other.start()
        server.start()
        try {
            val url = "http://127.0.0.1:${server.address.port}/mcp"
            val record = JsonObject(
                lab.record("ready-stored-token")!! +
                    mapOf("server_name" to JsonPrimitive("redirects"), "server_url" to JsonPrimitive(url)),
            )
            val store = MemoryStore().apply { records[keyOf("redirects", url)] = record.toString() }
            val client = client("redirects", Options(servers = listOf(McpServer.Http("redirects", url)), store = store))
            client.initialize(elsewhere).use { assertEquals(401, it.code) }
            client.initialize(url).use { assertEquals(401, it.code) }
            assertEquals(listOf(null, "Bearer good-token", null), received)
        } finally {
            server.stop(0)
            other.stop(0)
        }
    }
}

private val JSON = "application/json".toMediaType()
private const val INITIALIZE =
    """{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}"""
