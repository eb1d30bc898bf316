// Measures the tracker and the decoder on lines of Codex's app-server, compared with kotlinx.serialization for each line and the same
// tracking in Kotlin. Prints one line of JSON: the median rates in lines per second, the ratios to kotlinx.serialization, and the peak of
// resident memory after the warm-up of the tracker (Linux only). Use a release build.
//
// The input is chunks of complete lines, up to 1 MiB each. The number of lines is rounded up to complete copies of the fixture.
//
// usage: scripts/kotlin bench [LINES [ROUNDS]]

package io.github.mcpstartup.bench

import io.github.mcpstartup.StartupTracker
import io.github.mcpstartup.decodeLines
import kotlinx.serialization.Serializable
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.buildJsonObject
import kotlinx.serialization.json.put
import kotlinx.serialization.json.putJsonObject
import java.io.File
import kotlin.math.roundToLong

private const val CHUNK = 1 shl 20

/** The lines in chunks: [whole] several times, and then [rest]. */
private class Lines(fixture: ByteArray, atLeast: Long) {
    private val perCopy = fixture.count { it == '\n'.code.toByte() }
    private val copies = (atLeast + perCopy - 1) / perCopy
    private val perChunk = CHUNK / fixture.size
    private val whole = repeated(fixture, perChunk)
    private val rest = repeated(fixture, (copies % perChunk).toInt())

    val count: Long = copies * perCopy

    fun forEach(take: (ByteArray) -> Unit) {
        for (chunk in 1..copies / perChunk) take(whole)
        if (rest.isNotEmpty()) take(rest)
    }

    private fun repeated(fixture: ByteArray, times: Int) =
        ByteArray(fixture.size * times) { fixture[it % fixture.size] }
}

/** The result of one side: the number of notifications and of prompts. */
private data class Found(val notifications: Long, val prompts: Int)

private fun withTracker(lines: Lines): Found {
    var notifications = 0L
    var prompts = 0
    StartupTracker().use { tracker ->
        lines.forEach { chunk ->
            val applied = tracker.apply(chunk)
            notifications += applied.notifications
            prompts += applied.prompts.size
        }
    }
    return Found(notifications, prompts)
}

private fun withDecodeLines(lines: Lines): Found {
    val fold = Fold()
    lines.forEach { chunk ->
        for (notification in decodeLines(chunk).notifications) {
            val status = notification.status.wire
            val reason = notification.failureReason?.wire
            fold.apply(Params(notification.threadId, notification.name, status, notification.error, reason))
        }
    }
    return fold.found()
}

@Serializable
private data class Message(val method: String, val params: Params)

@Serializable
private data class Params(
    val threadId: String? = null,
    val name: String,
    val status: String,
    val error: String? = null,
    val failureReason: String? = null,
)

private val json = Json { ignoreUnknownKeys = true }

private fun withSerialization(lines: Lines): Found {
    val fold = Fold()
    lines.forEach { chunk ->
        for (line in chunk.decodeToString().lineSequence()) {
            if (line.isEmpty()) continue
            val message = json.decodeFromString<Message>(line)
            if (message.method == "mcpServer/startupStatus/updated") fold.apply(message.params)
        }
    }
    return fold.found()
}

/** Tracks the state of each (threadId, name), the changed servers, and one prompt for each name and episode. */
private class Fold {
    private val servers = HashMap<Pair<String?, String>, Params>()
    private val changed = HashSet<Pair<String?, String>>()
    private val episodes = HashSet<String>()
    private var notifications = 0L
    private var prompts = 0

    fun apply(params: Params) {
        notifications += 1
        val key = Pair(params.threadId, params.name)
        if (servers[key] != params) {
            servers[key] = params
            changed.add(key)
        }
        val again = params.status == "failed" && params.failureReason == "reauthenticationRequired"
        if (again && episodes.add(params.name)) prompts += 1
        if (params.status == "ready") episodes.remove(params.name)
    }

    fun found() = Found(notifications, prompts)
}

/** The peak of resident memory so far, in KiB, if the system reports it. */
private fun peakKib(): Long? = File("/proc/self/status").takeIf { it.exists() }?.useLines { status ->
    status.first { it.startsWith("VmHWM:") }.filter { it.isDigit() }.toLong()
}

fun main(arguments: Array<String>) {
    val atLeast = arguments.getOrNull(0)?.toLong() ?: 100_000
    val rounds = arguments.getOrNull(1)?.toInt() ?: 5
    val lines = Lines(File("tests/fixtures/codex-app-server-0.169.0.jsonl").readBytes(), atLeast)

    val sides = mapOf("tracker" to ::withTracker, "decodeLines" to ::withDecodeLines, "serialization" to ::withSerialization)
    val rates = sides.mapValues { mutableListOf<Double>() }
    var peak: Long? = null
    // A JVM needs some million lines to warm up. The memory is measured after the first side, the tracker.
    for (side in sides.values) {
        repeat((3_000_000 / lines.count).toInt() + 1) { side(lines) }
        peak = peak ?: peakKib()
    }
    repeat(rounds) {
        val found = sides.map { (name, side) ->
            val began = System.nanoTime()
            val found = side(lines)
            rates.getValue(name).add(lines.count / ((System.nanoTime() - began) / 1e9))
            found
        }
        check(found.distinct().size == 1) { "the sides have different results: $found" }
    }
    val median = rates.mapValues { (_, all) -> all.sorted()[all.size / 2] }
    fun ratio(name: String) = (median.getValue(name) / median.getValue("serialization") * 100).roundToLong() / 100.0
    println(
        buildJsonObject {
            put("lines", lines.count)
            put("rounds", rounds)
            putJsonObject("linesPerSecond") { median.forEach { (name, rate) -> put(name, rate.roundToLong()) } }
            put("trackerToSerialization", ratio("tracker"))
            put("decodeLinesToSerialization", ratio("decodeLines"))
            put("peakKib", peak)
        },
    )
}
