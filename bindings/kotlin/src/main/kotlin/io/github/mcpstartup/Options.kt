package io.github.mcpstartup

import kotlinx.serialization.json.JsonArray
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonPrimitive
import kotlin.time.Duration

/**
 * A server that stands in code, in place of a configuration. `${NAME}` in a text is that variable of the environment, as it is in an
 * `.mcp.json`.
 */
public sealed interface McpServer {
    /** Its name. */
    public val name: String

    /**
     * A server at a URL.
     *
     * @property url `http` or `https`; with the name, what a stored sign-in belongs to.
     * @property headers Headers to send to it. They do not print.
     */
    public class Http(
        override val name: String,
        public val url: String,
        public val headers: Map<String, String> = emptyMap(),
    ) : McpServer

    /**
     * A program to start. No phone has one.
     *
     * @property command A path, or a name to be found on the `PATH`.
     * @property args Its arguments. No shell takes them apart.
     * @property env Variables for it. They do not print.
     */
    public class Stdio(
        override val name: String,
        public val command: String,
        public val args: List<String> = emptyList(),
        public val env: Map<String, String> = emptyMap(),
    ) : McpServer
}

/**
 * Which servers, and how they are started. All of it may be left out.
 *
 * @property config The configuration: Codex's `config.toml` or an `mcpServers` JSON. `~/` is the user's folder. Codex's own, where neither
 * this nor [servers] is given.
 * @property servers The servers themselves, in place of a file; each has a name of its own.
 * @property names The names of those that are meant; those that are enabled, unless told otherwise.
 * @property timeout How long each start may take, over what the configuration says.
 * @property concurrency How many servers start at once.
 * @property clientMetadataUrl The URL of the app's client id metadata document, where it publishes one.
 * @property store A credential store of the app's own, in place of where Codex keeps credentials.
 */
public class Options(
    public val config: String? = null,
    public val servers: List<McpServer>? = null,
    public val names: List<String>? = null,
    public val timeout: Duration? = null,
    public val concurrency: Int? = null,
    public val clientMetadataUrl: String? = null,
    public val store: CredentialStore? = null,
) {
    internal fun json(): String {
        val options = buildMap<String, JsonElement> {
            config?.let { put("config", JsonPrimitive(it)) }
            servers?.let { put("mcpServers", entriesOf(it)) }
            names?.let { put("servers", textsOf(it)) }
            timeout?.let { put("timeoutMs", JsonPrimitive(it.inWholeMilliseconds)) }
            concurrency?.let { put("concurrency", JsonPrimitive(it)) }
            clientMetadataUrl?.let { put("clientMetadataUrl", JsonPrimitive(it)) }
        }
        return JsonObject(options).toString()
    }

    internal fun bridge(): StoreBridge? = store?.let(::StoreBridge)
}

private fun entriesOf(servers: List<McpServer>): JsonObject {
    val entries = servers.associate { it.name to entryOf(it) }
    if (entries.size < servers.size) throw InvalidArgumentException("the options: two servers have the same name")
    return JsonObject(entries)
}

private fun entryOf(server: McpServer): JsonObject = when (server) {
    is McpServer.Http -> JsonObject(
        mapOf("url" to JsonPrimitive(server.url), "headers" to textsOf(server.headers)),
    )
    is McpServer.Stdio -> JsonObject(
        mapOf(
            "command" to JsonPrimitive(server.command),
            "args" to textsOf(server.args),
            "env" to textsOf(server.env),
        ),
    )
}

private fun textsOf(texts: List<String>): JsonArray = JsonArray(texts.map { JsonPrimitive(it) })

private fun textsOf(texts: Map<String, String>): JsonObject = JsonObject(texts.mapValues { JsonPrimitive(it.value) })
