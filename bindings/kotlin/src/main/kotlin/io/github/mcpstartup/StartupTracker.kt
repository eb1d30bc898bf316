package io.github.mcpstartup

import io.github.mcpstartup.ffi.Tracker
import kotlinx.serialization.Serializable
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.boolean
import kotlinx.serialization.json.decodeFromJsonElement
import kotlinx.serialization.json.jsonArray
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import kotlinx.serialization.json.long

/**
 * One server as a client shows it: the latest of what was said about a (threadId, name).
 *
 * @property threadId The thread whose server it is; null where it belongs to the whole app.
 * @property name Its name.
 * @property status Its state.
 * @property error The sentence that came with a failure.
 * @property failureReason Why it failed, where a client can do something about it.
 */
@Serializable
public data class TrackedServer(
    public val threadId: String?,
    public val name: String,
    public val status: McpServerStartupState,
    public val error: String?,
    public val failureReason: McpServerStartupFailureReason?,
)

/**
 * What one notification did to the tracker.
 *
 * @property changed Something that a client shows is different now.
 * @property prompt The user is to be asked, now, to sign in again to this server.
 */
public data class TrackerUpdate(public val changed: Boolean, public val prompt: Boolean)

/**
 * What the bytes of many lines did to the tracker.
 *
 * @property notifications How many lines were notifications of ours.
 * @property changed The servers that are different now, as (threadId, name), each once, in the order of their first change.
 * @property prompts The names of the servers to ask the user about, now, in order.
 * @property errors The bad lines.
 */
@ConsistentCopyVisibility
public data class AppliedLines internal constructor(
    public val notifications: Long,
    public val changed: List<Pair<String?, String>>,
    public val prompts: List<String>,
    public val errors: List<LineError>,
)

/**
 * Folds notifications into what a client shows: the state of each server, which ones want a sign-in *again*, and when to ask the
 * user. Any thread may use it.
 *
 * The user is asked once per **name** and episode, which begins at the first failure with that reason and ends at `ready`. At most
 * `limit` servers are held (10,000 unless told otherwise), and the oldest finished is forgotten first.
 */
public class StartupTracker(limit: Long? = null) : AutoCloseable {
    private val tracker = Tracker(limit?.toULong())

    /** Takes one notification. */
    public fun apply(notification: McpServerStatusUpdatedNotification): TrackerUpdate {
        val update = unwrap(tracker.apply(notification.params().toString())).jsonObject
        return TrackerUpdate(
            update.getValue("changed").jsonPrimitive.boolean,
            update.getValue("prompt").jsonPrimitive.boolean,
        )
    }

    /** Takes the bytes of whole lines; lines of other messages are passed over, bad ones reported by number. */
    public fun apply(lines: ByteArray): AppliedLines {
        val applied = unwrap(lend(lines) { tracker.applyLines(it) }).jsonObject
        return AppliedLines(
            applied.getValue("notifications").jsonPrimitive.long,
            applied.getValue("changed").jsonArray.map {
                val (threadId, name) = it.jsonArray
                Pair(if (threadId is JsonNull) null else threadId.jsonPrimitive.content, name.jsonPrimitive.content)
            },
            applied.getValue("prompts").jsonArray.map { it.jsonPrimitive.content },
            lineErrorsOf(applied.getValue("errors").jsonArray),
        )
    }

    /** Every server, in the order in which they were first heard of. */
    public fun servers(): List<TrackedServer> = wire.decodeFromJsonElement(unwrap(tracker.servers()))

    /** One server. */
    public fun server(name: String, threadId: String? = null): TrackedServer? =
        wire.decodeFromJsonElement(unwrap(tracker.server(threadId, name)))

    /** The names of the servers that want a sign-in again, in the order in which that began. */
    public fun reauthenticationRequired(): List<String> = tracker.reauthenticationRequired()

    /** Forgets the servers of one thread, and says how many there were. An episode goes on. */
    public fun remove(threadId: String): Long = tracker.remove(threadId).toLong()

    /** Frees its memory at once; else that is done when it is collected. */
    override fun close(): Unit = tracker.close()
}
