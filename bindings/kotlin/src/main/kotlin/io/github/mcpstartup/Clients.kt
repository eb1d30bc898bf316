package io.github.mcpstartup

import kotlinx.serialization.SerialName
import kotlinx.serialization.Serializable
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonPrimitive

/** The MCP clients whose files are read. */
public class Clients private constructor(private val ids: List<String>?) {
    internal fun json(): JsonElement = ids?.let(::textsOf) ?: JsonPrimitive("all")

    public companion object {
        /** Every client. */
        public val ALL: Clients = Clients(null)

        /** Returns the clients with these IDs, such as `claude-code`. The documentation and `mcp-startup clients` list the IDs. */
        public fun of(vararg ids: String): Clients = Clients(ids.toList())
    }
}

/** Whose servers a file of a client configures. */
@Serializable
public enum class ClientScope {
    /** The user, in every folder. */
    @SerialName("user")
    USER,

    /** The user, in the current folder. The file is the user's own. */
    @SerialName("local")
    LOCAL,

    /** The project in the current folder. The file may be part of someone else's repository. */
    @SerialName("project")
    PROJECT,

    /** The administrator, who decides which servers are used. */
    @SerialName("managed")
    MANAGED,

    /** An extension of the client. */
    @SerialName("plugin")
    PLUGIN,

    /** All users of the machine. */
    @SerialName("system")
    SYSTEM,
}

/** The transport that a client uses for a server. */
@Serializable
public enum class ClientTransport {
    /** A program, over its standard input and output. */
    @SerialName("stdio")
    STDIO,

    /** Streamable HTTP. */
    @SerialName("http")
    HTTP,

    /** HTTP+SSE of MCP 2024-11-05. */
    @SerialName("sse")
    SSE,

    /** The entry names no transport, or one that is not known here. */
    @SerialName("unknown")
    UNKNOWN,
}

/**
 * One configuration file of an MCP client.
 *
 * @property client The ID of the client, such as `claude-code`.
 * @property scope Whose servers the file configures.
 * @property path The path of the file.
 * @property format The syntax of the file: `json`, `jsonc`, `toml`, `yaml` or `script`.
 * @property approved Whether the user has approved the file in the client. Null if that is not known or not needed.
 * @property error Why the file can't be used, or null.
 * @property notRead Why the file is not read, even though the client uses it: it is a script. Otherwise null.
 * @property warnings The warnings about the file as a whole, for example about servers below a key that the client does not read.
 * @property servers The servers, in the order of the file. Empty if the file can't be used.
 */
@Serializable
public data class ClientFile(
    public val client: String,
    public val scope: ClientScope,
    public val path: String,
    public val format: String,
    public val approved: Boolean?,
    public val error: ClientFileProblem?,
    public val notRead: String?,
    public val warnings: List<ClientFileProblem>,
    public val servers: List<ClientServer>,
)

/**
 * Why a file of a client can't be used, or a warning about it.
 *
 * @property line The line number, starting at 1, or null.
 * @property column The column in characters, starting at 1, or null.
 * @property message A human-readable message that names the file.
 */
@Serializable
public data class ClientFileProblem(public val line: Int?, public val column: Int?, public val message: String)

/**
 * A server in a configuration file of an MCP client.
 *
 * @property name The name of the server in the client.
 * @property transport The transport that the client uses.
 * @property enabled Whether the server is enabled in the client.
 * @property checkable Whether a check can start the server: it has no problem, and everything that it needs is known.
 * @property why Why a check can't start the server, or null.
 * @property approved Whether the user has approved the server in the client. Null if that is not known or not needed.
 */
@Serializable
public data class ClientServer(
    public val name: String,
    public val transport: ClientTransport,
    public val enabled: Boolean,
    public val checkable: Boolean,
    public val why: String?,
    public val approved: Boolean?,
)

/**
 * A server of an MCP client that a check leaves out.
 *
 * @property client The ID of the client, such as `claude-code`.
 * @property scope Whose servers the client's file configures.
 * @property path The path of the client's file.
 * @property name The name of the server in the client.
 * @property why Why the server is left out.
 * @property needsApproval Whether a check starts the server with the option `trustProject`.
 */
@Serializable
public data class NotChecked(
    public val client: String,
    public val scope: ClientScope,
    public val path: String,
    public val name: String,
    public val why: String,
    public val needsApproval: Boolean,
)
