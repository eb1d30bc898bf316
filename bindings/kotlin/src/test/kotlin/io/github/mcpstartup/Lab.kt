package io.github.mcpstartup

import io.github.mcpstartup.examples.MemoryStore
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonPrimitive
import kotlinx.serialization.json.jsonArray
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import java.net.URI
import java.net.http.HttpClient
import java.net.http.HttpRequest
import java.net.http.HttpResponse
import java.security.MessageDigest
import java.util.concurrent.TimeUnit

/** The servers of `mcp-startup lab`. Each row of the atlas is one server with its own URL. */
class Lab : AutoCloseable {
    private val process: Process
    private val base: String
    private val rows: Map<String, JsonObject>

    init {
        val program = checkNotNull(System.getenv("MCP_STARTUP_PROGRAM")) { "MCP_STARTUP_PROGRAM is not set; run scripts/kotlin" }
        process = ProcessBuilder(program, "lab").redirectError(ProcessBuilder.Redirect.DISCARD).start()
        base = process.inputStream.bufferedReader().readLine().trim().trimEnd('/')
        rows = get("$base/").jsonArray.map { it.jsonObject }.associateBy { it.getValue("name").jsonPrimitive.content }
    }

    override fun close() {
        process.destroy()
        check(process.waitFor(30, TimeUnit.SECONDS))
    }

    fun url(name: String): String = "$base/$name/mcp"

    fun server(name: String): McpServer = McpServer.Http(name, url(name))

    fun requests(name: String): List<JsonObject> = get("$base/$name/requests").jsonArray.map { it.jsonObject }

    /** The refresh tokens that the token endpoint has received. */
    fun refreshes(name: String): List<String> = requests(name)
        .filter { it.text("to") == "token" && it.getValue("parameters").jsonObject.text("grant_type") == "refresh_token" }
        .map { it.text("token").orEmpty() }

    /** The expected outcome of a row. */
    fun expected(name: String): JsonObject = rows.getValue(name).getValue("expect").jsonObject

    /** The stored record of a row, or null if it has none. */
    fun record(name: String): JsonObject? {
        val stored = rows.getValue(name)["stored"]?.takeIf { it !is JsonNull }?.jsonObject ?: return null
        val filled = { field: String ->
            JsonPrimitive(stored.text(field)?.replace("{base}", base)?.replace("{issuer}", "$base/$name"))
        }
        val relative = stored.text("expiresInSeconds")?.let { System.currentTimeMillis() + it.toLong() * 1000 }
        return JsonObject(
            mapOf(
                "server_name" to JsonPrimitive(name),
                "server_url" to (filled("serverUrl").takeIf { it !is JsonNull } ?: JsonPrimitive(url(name))),
                "issuer" to filled("issuer"),
                "client_id" to filled("clientId"),
                "access_token" to filled("accessToken"),
                "expires_at" to (stored["expiresAt"]?.takeIf { it !is JsonNull } ?: JsonPrimitive(relative)),
                "refresh_token" to filled("refreshToken"),
                "scopes" to (stored["scopes"] ?: JsonNull),
            ),
        )
    }

    private fun get(url: String): JsonElement = Json.parseToJsonElement(fetch(url).body())
}

private val http: HttpClient = HttpClient.newBuilder().followRedirects(HttpClient.Redirect.NEVER).build()

private fun fetch(url: String): HttpResponse<String> =
    http.send(HttpRequest.newBuilder(URI.create(url)).build(), HttpResponse.BodyHandlers.ofString())

/** Opens the page of an authorization server that consents immediately. Returns the URL of the redirect. */
fun comeBack(authorizationUrl: String): String {
    val page = fetch(authorizationUrl)
    check(page.statusCode() == 302) { page.statusCode() }
    return page.headers().firstValue("location").get()
}

/** The key of a record, in the format of Codex. */
fun keyOf(name: String, url: String): String {
    val hashed = """{"type":"http","url":"$url","headers":{}}"""
    val digest = MessageDigest.getInstance("SHA-256").digest(hashed.encodeToByteArray())
    return name + "|" + digest.take(8).joinToString("") { "%02x".format(it) }
}

/** Returns a store with the stored record of a row. */
fun storeOf(lab: Lab, name: String): MemoryStore = MemoryStore().apply {
    records[keyOf(name, lab.url(name))] = lab.record(name).toString()
}
