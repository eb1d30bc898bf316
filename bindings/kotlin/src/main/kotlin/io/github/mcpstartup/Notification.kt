package io.github.mcpstartup

import io.github.mcpstartup.ffi.Said
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
 * The params of the notification `mcpServer/startupStatus/updated`: the state of one server's start has changed.
 *
 * Built only by the functions of its companion, so that a reason stands on nothing but a failed start.
 *
 * @property threadId The thread whose server this is; null where the server belongs to the whole app.
 * @property name The name of the server, as the user configured it.
 * @property status The state that the start has come to.
 * @property error A sentence for a person, on a failed start.
 * @property failureReason Why the start failed, where a client can do something specific about it.
 */
@Serializable(with = NotificationSerializer::class)
public class McpServerStatusUpdatedNotification internal constructor(
    public val threadId: String?,
    public val name: String,
    public val status: McpServerStartupState,
    public val error: String?,
    public val failureReason: McpServerStartupFailureReason?,
) {
    /** The whole notification as one line of JSON, without the line's end. */
    public fun encode(): String = unwrap(io.github.mcpstartup.ffi.encode(params().toString())).jsonPrimitive.content

    internal fun params(): JsonObject = JsonObject(
        mapOf(
            "threadId" to JsonPrimitive(threadId),
            "name" to JsonPrimitive(name),
            "status" to JsonPrimitive(status.wire),
            "error" to JsonPrimitive(error),
            "failureReason" to JsonPrimitive(failureReason?.wire),
        ),
    )

    override fun equals(other: Any?): Boolean =
        other is McpServerStatusUpdatedNotification && fields() == other.fields()

    override fun hashCode(): Int = fields().hashCode()

    override fun toString(): String = "McpServerStatusUpdatedNotification(threadId=$threadId, name=$name, " +
        "status=${status.wire}, error=$error, failureReason=${failureReason?.wire})"

    private fun fields(): List<Any?> = listOf(threadId, name, status, error, failureReason)

    public companion object {
        /** The start of [name] has begun. */
        public fun starting(name: String, threadId: String? = null): McpServerStatusUpdatedNotification =
            McpServerStatusUpdatedNotification(threadId, name, McpServerStartupState.Starting, null, null)

        /** [name] can be used. */
        public fun ready(name: String, threadId: String? = null): McpServerStatusUpdatedNotification =
            McpServerStatusUpdatedNotification(threadId, name, McpServerStartupState.Ready, null, null)

        /** The start of [name] was given up by the host. */
        public fun cancelled(name: String, threadId: String? = null): McpServerStatusUpdatedNotification =
            McpServerStatusUpdatedNotification(threadId, name, McpServerStartupState.Cancelled, null, null)

        /** The start of [name] failed for a reason that no new sign-in mends. [error] is a sentence for a person. */
        public fun failed(name: String, error: String, threadId: String? = null): McpServerStatusUpdatedNotification =
            McpServerStatusUpdatedNotification(threadId, name, McpServerStartupState.Failed, error, null)

        /** The start of [name] failed because what is stored for it is spent: the user has to sign in again. */
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
         * What a verdict says on the wire: its message as the error, and its reason, if it has one.
         *
         * It is judged anew by the evidence in it: a verdict that somebody built by hand says nothing else than [judge] would.
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

        /** What the library below has read. */
        internal fun of(said: Said): McpServerStatusUpdatedNotification = McpServerStatusUpdatedNotification(
            said.threadId,
            said.name,
            McpServerStartupState.of(said.status),
            said.error,
            said.failureReason?.let(McpServerStartupFailureReason::of),
        )
    }
}

/** Writes the five fields, nulls too, and reads as [decode] does. */
internal object NotificationSerializer : KSerializer<McpServerStatusUpdatedNotification> {
    override val descriptor: SerialDescriptor = JsonElement.serializer().descriptor

    override fun serialize(encoder: Encoder, value: McpServerStatusUpdatedNotification) {
        val json = encoder as? JsonEncoder ?: throw SerializationException("a notification is JSON")
        json.encodeJsonElement(value.params())
    }

    override fun deserialize(decoder: Decoder): McpServerStatusUpdatedNotification {
        val json = decoder as? JsonDecoder ?: throw SerializationException("a notification is JSON")
        val message = mapOf("method" to JsonPrimitive(METHOD), "params" to json.decodeJsonElement())
        val line = JsonObject(message).toString()
        return decode(line) ?: throw SerializationException("it is no notification")
    }
}

/**
 * Reads one line. Null is a well-formed message of another method, or a blank line.
 *
 * @throws DecodeException It names the field.
 */
public fun decode(line: ByteArray): McpServerStatusUpdatedNotification? {
    val read = lend(line) { io.github.mcpstartup.ffi.decode(it) }
    read.error?.let(::unwrap)
    return read.notification?.let(McpServerStatusUpdatedNotification::of)
}

/** The same for a text. */
public fun decode(line: String): McpServerStatusUpdatedNotification? = decode(line.encodeToByteArray())

/**
 * A bad line among many.
 *
 * @property line Its number, from 1; blank lines and lines of other messages count.
 * @property error What is wrong with it.
 */
@ConsistentCopyVisibility
public data class LineError internal constructor(public val line: Long, public val error: DecodeException)

/**
 * What the bytes of many lines are.
 *
 * @property notifications The notifications, in the order of their lines.
 * @property errors The bad lines, in order.
 */
@ConsistentCopyVisibility
public data class DecodedLines internal constructor(
    public val notifications: List<McpServerStatusUpdatedNotification>,
    public val errors: List<LineError>,
)

/** Reads many lines (LF or CRLF; the last one needs no end). A bad line is reported with its number and the others are kept. */
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
