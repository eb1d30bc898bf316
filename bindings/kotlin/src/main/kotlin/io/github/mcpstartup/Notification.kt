package io.github.mcpstartup

import io.github.mcpstartup.ffi.NotificationFields
import kotlinx.serialization.KSerializer
import kotlinx.serialization.Serializable
import kotlinx.serialization.SerializationException
import kotlinx.serialization.descriptors.SerialDescriptor
import kotlinx.serialization.encoding.Decoder
import kotlinx.serialization.encoding.Encoder
import kotlinx.serialization.json.JsonArray
import kotlinx.serialization.json.JsonDecoder
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonEncoder
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonPrimitive
import kotlinx.serialization.json.jsonArray
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.long
import kotlinx.serialization.json.jsonPrimitive

/** The JSON-RPC method of the notification, as Codex's app-server sends it. */
public const val METHOD: String = "mcpServer/startupStatus/updated"

/**
 * The params of the notification `mcpServer/startupStatus/updated`, which reports a change of the state of one server's start.
 *
 * Create it with the functions of the companion object. They set a failure reason only on a failed start.
 *
 * @property threadId The thread that the server belongs to, or null if it belongs to the whole app.
 * @property name The name of the server, as the user configured it.
 * @property environmentId The environment whose configuration contains the server, or null if it belongs to no environment. Codex writes
 * it since 0.171. Only a decoded notification has one, and it is encoded again where it was.
 * @property status The state of the start.
 * @property error A human-readable message. Set only on a failed start.
 * @property failureReason The reason of the failure, if a client can react to it in a specific way.
 */
@Serializable(with = NotificationSerializer::class)
public class McpServerStatusUpdatedNotification internal constructor(
    public val threadId: String?,
    public val name: String,
    public val status: McpServerStartupState,
    public val error: String?,
    public val failureReason: McpServerStartupFailureReason?,
    public val environmentId: String? = null,
    /** Whether the decoded line has an environment, also if it is null. */
    private val hasEnvironmentId: Boolean = false,
) {
    /** Returns the whole notification as one line of JSON, without a line break. */
    public fun encode(): String = unwrap(io.github.mcpstartup.ffi.encode(params().toString())).jsonPrimitive.content

    internal fun params(): JsonObject = JsonObject(
        buildMap {
            put("threadId", JsonPrimitive(threadId))
            put("name", JsonPrimitive(name))
            if (hasEnvironmentId) put("environmentId", JsonPrimitive(environmentId))
            put("status", JsonPrimitive(status.wire))
            put("error", JsonPrimitive(error))
            put("failureReason", JsonPrimitive(failureReason?.wire))
        },
    )

    override fun equals(other: Any?): Boolean =
        other is McpServerStatusUpdatedNotification && fields() == other.fields()

    override fun hashCode(): Int = fields().hashCode()

    override fun toString(): String = "McpServerStatusUpdatedNotification(threadId=$threadId, name=$name, " +
        (if (hasEnvironmentId) "environmentId=$environmentId, " else "") + "status=${status.wire}, error=$error, failureReason=${failureReason?.wire})"

    private fun fields(): List<Any?> = listOf(threadId, name, environmentId, hasEnvironmentId, status, error, failureReason)

    public companion object {
        /** Creates a notification that the start of [name] has begun. */
        public fun starting(name: String, threadId: String? = null): McpServerStatusUpdatedNotification =
            McpServerStatusUpdatedNotification(threadId, name, McpServerStartupState.Starting, null, null)

        /** Creates a notification that [name] is ready for use. */
        public fun ready(name: String, threadId: String? = null): McpServerStatusUpdatedNotification =
            McpServerStatusUpdatedNotification(threadId, name, McpServerStartupState.Ready, null, null)

        /** Creates a notification that the host has cancelled the start of [name]. */
        public fun cancelled(name: String, threadId: String? = null): McpServerStatusUpdatedNotification =
            McpServerStatusUpdatedNotification(threadId, name, McpServerStartupState.Cancelled, null, null)

        /**
         * Creates a notification that the start of [name] failed, and that signing in again does not help.
         *
         * @param error A human-readable message.
         */
        public fun failed(name: String, error: String, threadId: String? = null): McpServerStatusUpdatedNotification =
            McpServerStatusUpdatedNotification(threadId, name, McpServerStartupState.Failed, error, null)

        /**
         * Creates a notification that the start of [name] failed because the stored credential can no longer be used: the user has to
         * sign in **again**.
         *
         * Send it only if this is certain. [ofFailure] decides that for you.
         *
         * @param error A human-readable message.
         */
        public fun reauthenticationRequired(
            name: String,
            error: String,
            threadId: String? = null,
        ): McpServerStatusUpdatedNotification = McpServerStatusUpdatedNotification(
            threadId,
            name,
            McpServerStartupState.Failed,
            error,
            McpServerStartupFailureReason.ReauthenticationRequired,
        )

        /**
         * Creates the notification of a verdict: the message of the verdict is the error, and the reason is set if the verdict has one.
         *
         * Uses only the evidence of the verdict and judges it again. If you have built a verdict by hand, its other fields have no
         * effect.
         */
        public fun ofFailure(
            name: String,
            failure: StartupFailure,
            threadId: String? = null,
        ): McpServerStatusUpdatedNotification {
            val judged = judge(failure.evidence)
            return McpServerStatusUpdatedNotification(
                threadId,
                name,
                McpServerStartupState.Failed,
                judged.message,
                judged.failureReason,
            )
        }

        /** Converts the fields that the native library has decoded. */
        internal fun of(fields: NotificationFields): McpServerStatusUpdatedNotification = McpServerStatusUpdatedNotification(
            fields.threadId,
            fields.name,
            McpServerStartupState.of(fields.status),
            fields.error,
            fields.failureReason?.let(McpServerStartupFailureReason::of),
            fields.environmentId,
            fields.hasEnvironmentId,
        )
    }
}

/** Writes all five fields, nulls included, and the environment if the decoded line has it. Reads with the rules of [decode]. */
internal object NotificationSerializer : KSerializer<McpServerStatusUpdatedNotification> {
    override val descriptor: SerialDescriptor = JsonElement.serializer().descriptor

    override fun serialize(encoder: Encoder, value: McpServerStatusUpdatedNotification) {
        val json = encoder as? JsonEncoder ?: throw SerializationException("a notification can be serialized only as JSON")
        json.encodeJsonElement(value.params())
    }

    override fun deserialize(decoder: Decoder): McpServerStatusUpdatedNotification {
        val json = decoder as? JsonDecoder ?: throw SerializationException("a notification can be serialized only as JSON")
        val message = mapOf("method" to JsonPrimitive(METHOD), "params" to json.decodeJsonElement())
        val line = JsonObject(message).toString()
        return decode(line) ?: throw SerializationException("not a notification")
    }
}

/**
 * Decodes one line of an app-server.
 *
 * @return The notification, or null for a blank line or a well-formed message of another method.
 * @throws DecodeException If the line is malformed. The exception names the field.
 */
public fun decode(line: ByteArray): McpServerStatusUpdatedNotification? {
    val read = lend(line) { io.github.mcpstartup.ffi.decode(it) }
    read.error?.let(::unwrap)
    return read.notification?.let(McpServerStatusUpdatedNotification::of)
}

/**
 * Decodes one line of an app-server.
 *
 * @return The notification, or null for a blank line or a well-formed message of another method.
 * @throws DecodeException If the line is malformed. The exception names the field.
 */
public fun decode(line: String): McpServerStatusUpdatedNotification? = decode(line.encodeToByteArray())

/**
 * A line that could not be decoded.
 *
 * @property line The number of the line, counted from 1. Blank lines and lines of other messages count.
 * @property error The exception that [decode] throws for this line.
 */
@ConsistentCopyVisibility
public data class LineError internal constructor(public val line: Long, public val error: DecodeException)

/**
 * The notifications and the bad lines in many lines.
 *
 * @property notifications The notifications, in the order of their lines.
 * @property errors The bad lines, in order.
 */
@ConsistentCopyVisibility
public data class DecodedLines internal constructor(
    public val notifications: List<McpServerStatusUpdatedNotification>,
    public val errors: List<LineError>,
)

/**
 * Decodes many lines. They end with LF or CRLF; the last line needs no line break.
 *
 * A bad line is reported with its number and does not affect the other lines. Messages of other methods are ignored.
 */
public fun decodeLines(lines: ByteArray): DecodedLines {
    val read = lend(lines) { io.github.mcpstartup.ffi.decodeLines(it) }
    return DecodedLines(
        read.notifications.map(McpServerStatusUpdatedNotification::of),
        lineErrorsOf(unwrap(read.errors).jsonArray),
    )
}

internal fun lineErrorsOf(errors: JsonArray): List<LineError> = errors.map {
    val bad = it.jsonObject
    LineError(bad.getValue("line").jsonPrimitive.long, decodeExceptionOf(bad.getValue("error").jsonObject))
}
