package io.github.mcpstartup

import kotlinx.serialization.json.JsonArray
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonPrimitive
import kotlin.time.Duration

/**
 * A server that you define in code, instead of in a configuration file.
 *
 * As in a `.mcp.json`, `${NAME}` in a string is replaced by that environment variable. [toString] shows none of its values, because
 * they can contain secrets.
 */
public sealed interface McpServer {
    /** The name of the server. It appears in the notifications. */
    public val name: String

    /**
     * A server at a URL, over streamable HTTP.
     *
     * @property url The URL of the MCP endpoint, `http` or `https`. The name and the URL identify the stored sign-in.
     * @property headers Headers for requests to this server. They are sent to no other server. If they contain `Authorization`, the
     * start does not use OAuth.
     */
    public class Http(
        override val name: String,
        public val url: String,
        public val headers: Map<String, String> = emptyMap(),
    ) : McpServer

    /**
     * A program to start, over stdio. Not available on phones.
     *
     * @property command The path of the program, or a name to find on the `PATH`.
     * @property args The arguments. No shell interprets them.
     * @property env Environment variables for the program, in addition to those of this process.
     */
    public class Stdio(
        override val name: String,
        public val command: String,
        public val args: List<String> = emptyList(),
        public val env: Map<String, String> = emptyMap(),
    ) : McpServer
}

/**
 * Options that select the servers and configure their starts. Every option may be omitted.
 *
 * @property config The path of the configuration: Codex's `config.toml`, or JSON with `mcpServers`. `~/` is the user's home folder.
 * Without this option, [servers] and [clients], Codex's own configuration is used.
 * @property servers The servers, instead of a file. Each needs a unique name.
 * @property names The names of the servers to start. The default is every enabled server.
 * @property timeout The maximum duration of each start, at least 1 ms. Overrides the limits in the configuration.
 * @property concurrency The maximum number of servers that start at the same time.
 * @property clientMetadataUrl The URL of your app's client ID metadata document, if you publish one.
 * @property store The store with the credentials. The default is the stores that Codex uses with this configuration.
 * @property clients The servers of the MCP clients on this machine, instead of a file. A server that several clients have in the same way
 * is started once. If servers have the same name, their names are `CLIENT:SERVER`, as in `cursor:linear`. Not available on phones.
 * @property folder Only with [clients]: the folder whose project files are read too. The default is the current folder.
 * @property trustProject Only with [clients]: whether to start the servers of project files that the user has not approved in their
 * client. These files may be part of someone else's repository, and name programs to start.
 */
public class Options(
    public val config: String? = null,
    public val servers: List<McpServer>? = null,
    public val names: List<String>? = null,
    public val timeout: Duration? = null,
    public val concurrency: Int? = null,
    public val clientMetadataUrl: String? = null,
    public val store: CredentialStore? = null,
    public val clients: Clients? = null,
    public val folder: String? = null,
    public val trustProject: Boolean = false,
) {
    /** Encodes the options for the native library. Only the start of a sign-in has a challenge and scopes. */
    internal fun json(challenge: String? = null, scopes: List<String> = emptyList()): String {
        val options = buildMap<String, JsonElement> {
            config?.let { put("config", JsonPrimitive(it)) }
            servers?.let { put("mcpServers", entriesOf(it)) }
            names?.let { put("servers", textsOf(it)) }
            timeout?.let { put("timeoutMs", JsonPrimitive(it.inWholeMilliseconds)) }
            concurrency?.let { put("concurrency", JsonPrimitive(it)) }
            clientMetadataUrl?.let { put("clientMetadataUrl", JsonPrimitive(it)) }
            clients?.let { put("clients", it.json()) }
            folder?.let { put("folder", JsonPrimitive(it)) }
            if (trustProject) put("trustProject", JsonPrimitive(true))
            challenge?.let { put("challenge", JsonPrimitive(it)) }
            if (scopes.isNotEmpty()) put("scopes", textsOf(scopes))
        }
        return JsonObject(options).toString()
    }

    internal fun bridge(): StoreBridge? = store?.let(::StoreBridge)
}

private fun entriesOf(servers: List<McpServer>): JsonObject {
    val entries = servers.associate { it.name to entryOf(it) }
    if (entries.size < servers.size) {
        throw InvalidArgumentException("the options: two servers have the same name; give each server a unique name")
    }
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

internal fun textsOf(texts: List<String>): JsonArray = JsonArray(texts.map { JsonPrimitive(it) })

private fun textsOf(texts: Map<String, String>): JsonObject = JsonObject(texts.mapValues { JsonPrimitive(it.value) })
