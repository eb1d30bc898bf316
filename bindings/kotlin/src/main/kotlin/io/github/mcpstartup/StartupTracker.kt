package io.github.mcpstartup

import io.github.mcpstartup.ffi.Tracker
import kotlinx.serialization.Serializable
import kotlinx.serialization.json.boolean
import kotlinx.serialization.json.decodeFromJsonElement
import kotlinx.serialization.json.jsonArray
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import kotlinx.serialization.json.long

/**
 * The latest state of one server.
 *
 * @property threadId The thread that the server belongs to, or null if it belongs to the whole app.
 * @property environmentId The environment whose configuration contains the server, or null if it belongs to no environment.
 * @property name The name of the server.
 * @property status The state of its start.
 * @property error The message of a failure.
 * @property failureReason The reason of the failure, if a client can react to it in a specific way.
 */
@Serializable
public data class TrackedServer(
    public val threadId: String?,
    public val environmentId: String?,
    public val name: String,
    public val status: McpServerStartupState,
    public val error: String?,
    public val failureReason: McpServerStartupFailureReason?,
)

/**
 * The identity of a server in a tracker.
 *
 * @property threadId The thread that the server belongs to, or null if it belongs to the whole app.
 * @property environmentId The environment whose configuration contains the server, or null if it belongs to no environment.
 * @property name The name of the server.
 */
@Serializable
public data class ServerKey(public val threadId: String?, public val environmentId: String?, public val name: String)

/**
 * The changes that one notification made to the tracker.
 *
 * @property changed Whether the state of the server has changed.
 * @property prompt Whether to prompt the user now to sign in to this server again.
 */
public data class TrackerUpdate(public val changed: Boolean, public val prompt: Boolean)

/**
 * The changes that many lines made to the tracker.
 *
 * @property notifications The number of lines with this notification.
 * @property changed The servers whose state has changed, each once, in the order of their first change.
 * @property prompts The servers to prompt the user for now, in order. The thread is the one whose failure led to the prompt.
 * @property errors The bad lines.
 */
@ConsistentCopyVisibility
public data class AppliedLines internal constructor(
    public val notifications: Long,
    public val changed: List<ServerKey>,
    public val prompts: List<ServerKey>,
    public val errors: List<LineError>,
)

/**
 * Collects notifications into the state that a client shows: the state of each server, the servers that require the user to sign in
 * *again*, and the prompts for the user.
 *
 * A server is identified by its thread, its environment and its name. There is one prompt for each **environment and name** and
 * episode. An episode begins with the first failure with that reason, and ends with `ready`. The tracker is safe to use from every
 * thread.
 *
 * @param limit The maximum number of servers, by default 10,000. Above the limit, the tracker removes the oldest server whose start has
 * finished.
 */
public class StartupTracker(limit: Long? = null) : AutoCloseable {
    private val tracker = Tracker(limit?.toULong())

    /** Applies one notification. */
    public fun apply(notification: McpServerStatusUpdatedNotification): TrackerUpdate {
        val update = unwrap(tracker.apply(notification.params().toString())).jsonObject
        return TrackerUpdate(
            update.getValue("changed").jsonPrimitive.boolean,
            update.getValue("prompt").jsonPrimitive.boolean,
        )
    }

    /**
     * Applies the bytes of complete lines. Ignores lines of other messages, and reports bad lines by their number.
     *
     * This is faster than applying each notification, because it calls the native library once for all lines.
     */
    public fun apply(lines: ByteArray): AppliedLines {
        val applied = unwrap(lend(lines) { tracker.applyLines(it) }).jsonObject
        return AppliedLines(
            applied.getValue("notifications").jsonPrimitive.long,
            wire.decodeFromJsonElement(applied.getValue("changed")),
            wire.decodeFromJsonElement(applied.getValue("prompts")),
            lineErrorsOf(applied.getValue("errors").jsonArray),
        )
    }

    /** Returns every server, in the order of its first notification. */
    public fun servers(): List<TrackedServer> = wire.decodeFromJsonElement(unwrap(tracker.servers()))

    /** Returns the server with this name in this thread and environment, or null if the tracker does not have it. */
    public fun server(name: String, threadId: String? = null, environmentId: String? = null): TrackedServer? =
        wire.decodeFromJsonElement(unwrap(tracker.server(threadId, environmentId, name)))

    /**
     * Returns the servers that require the user to sign in again, once for each environment and name, in the order in which they began
     * to. The thread is the one whose failure was the first.
     */
    public fun reauthenticationRequired(): List<ServerKey> =
        wire.decodeFromJsonElement(unwrap(tracker.reauthenticationRequired()))

    /** Removes the servers of one thread, and returns their number. It does not end an episode. */
    public fun remove(threadId: String): Long = tracker.remove(threadId).toLong()

    /** Frees the native memory. Without this call, the garbage collector frees it later. */
    override fun close(): Unit = tracker.close()
}
