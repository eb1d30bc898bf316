package io.github.mcpstartup

import kotlinx.serialization.encodeToString
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonArray
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonPrimitive
import kotlinx.serialization.json.boolean
import kotlinx.serialization.json.decodeFromJsonElement
import kotlinx.serialization.json.encodeToJsonElement
import kotlinx.serialization.json.jsonArray
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import kotlinx.serialization.json.long
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.params.ParameterizedTest
import org.junit.jupiter.params.provider.ValueSource
import java.io.File

/**
 * The data files in `tests/vectors`. Every language runs them. The expected values are written by hand. The runner for Rust is
 * crates/core/tests/vectors.rs.
 */
class VectorsTest {
    @ParameterizedTest
    @ValueSource(strings = ["decode.json", "encode.json", "lines.json", "tracker.json", "assess.json", "judge.json"])
    fun vectors(file: String) {
        val cases = json.parseToJsonElement(File(VECTORS, file).readText()).jsonArray.map { it.jsonObject }
        val failures = mutableListOf<String>()
        val names = mutableSetOf<String>()
        var ran = 0
        for (case in cases) {
            val (name, source) = listOf("name", "source").map { case.getValue(it).jsonPrimitive.content }
            try {
                assertTrue(names.add(name), "duplicate name")
                check(file, JsonObject(case - "name" - "source"))
            } catch (failure: Throwable) {
                failures += "$name ($source)\n  $failure"
            }
            ran += 1
        }
        println("vectors: $file $ran cases (kotlin)")
        assertEquals(cases.size, ran)
        assertTrue(ran > 0)
        assertTrue(failures.isEmpty(), "${failures.size} of $ran cases failed\n\n${failures.joinToString("\n\n")}")
    }

    @Test
    fun `every data file has a test`() {
        val run = VectorsTest::class.java.getMethod("vectors", String::class.java).getAnnotation(ValueSource::class.java)
        assertEquals(VECTORS.list()!!.sorted(), run.strings.sorted())
    }

    @Test
    fun `lines of each version of Codex are decoded and encoded unchanged`() {
        val recordings = File(ROOT, "tests/fixtures").listFiles { file -> file.name.matches(Regex("codex-app-server-.*\\.jsonl")) }!!
        assertTrue(recordings.size >= 2)
        for (line in recordings.flatMap { it.readLines() }) {
            val notification = decode(line)!!
            val params = { text: String -> json.parseToJsonElement(text).jsonObject["params"] }
            assertEquals(params(line), params(notification.encode()))
        }
    }

    @Test
    fun `values survive a round trip through JSON`() {
        val notification = McpServerStatusUpdatedNotification.reauthenticationRequired("a", "again", threadId = "t")
        val text = json.encodeToString(notification)
        assertEquals("""{"threadId":"t","name":"a","status":"failed","error":"again","failureReason":"reauthenticationRequired"}""", text)
        assertEquals(notification, json.decodeFromString(McpServerStatusUpdatedNotification.serializer(), text))
        assertEquals(notification.hashCode(), decode(notification.encode()).hashCode())
        val lines = "{}\n[]\n".encodeToByteArray()
        assertEquals(decodeLines(lines), decodeLines(lines))
        for (environment in listOf("null", "\"e\"")) {
            val decoded = decode("""{"method":"$METHOD","params":{"name":"a","environmentId":$environment,"status":"ready"}}""")!!
            val written = json.encodeToString(decoded)
            assertTrue("\"environmentId\":$environment" in written, written)
            assertEquals(decoded, json.decodeFromString(McpServerStatusUpdatedNotification.serializer(), written))
            assertTrue(decoded != McpServerStatusUpdatedNotification.ready("a"))
        }
        // An unknown value can't be created from a known text.
        val unknown = McpServerStartupState.of("queued")
        assertEquals("queued", unknown.wire)
        assertTrue(unknown.javaClass.methods.none { it.name == "copy" })
        val failure = judge(Evidence(server = "a"))
        assertEquals(failure, wire.decodeFromString(StartupFailure.serializer(), wire.encodeToString(failure)))
    }

    @Test
    fun `a hand-built verdict is judged by its evidence`() {
        val built = judge(Evidence(server = "a")).copy(
            kind = StartupFailureKind.REAUTHENTICATION_REQUIRED,
            recovery = Recovery.REAUTHENTICATE,
        )
        assertEquals(null, McpServerStatusUpdatedNotification.ofFailure("a", built).failureReason)
    }
}

internal val ROOT = File(System.getProperty("user.dir")).resolve("../..").canonicalFile
private val VECTORS = File(ROOT, "tests/vectors")
private val json = Json

private fun check(file: String, case: JsonObject) = when (file) {
    "decode.json" -> checkDecode(case)
    "encode.json" -> checkEncode(case)
    "lines.json" -> checkLines(case)
    "tracker.json" -> checkTracker(case)
    "assess.json" -> checkAssess(case)
    else -> checkJudge(case)
}

/** Fails for a field that this runner does not know, because it would silently skip a check. */
private fun knows(case: JsonObject, vararg fields: String) =
    assertTrue((case.keys - fields.toSet()).isEmpty(), "the case is invalid: unknown fields ${case.keys - fields.toSet()}")

private fun JsonObject.string(name: String): String? = text(name)

private fun bytesOf(case: JsonObject, text: String): ByteArray {
    assertTrue((text in case) != ("hex" in case), "the case is invalid: it needs either $text or hex")
    val hex = case.string("hex") ?: return case.string(text)!!.encodeToByteArray()
    return hex.chunked(2).map { it.toInt(16).toByte() }.toByteArray()
}

private fun paramsOf(notification: McpServerStatusUpdatedNotification?): JsonElement {
    if (notification == null) return JsonNull
    // Null if the line has it, and absent otherwise.
    val hasEnvironment = "environmentId" in json.encodeToJsonElement(notification).jsonObject
    return JsonObject(
        mapOf(
            "threadId" to JsonPrimitive(notification.threadId),
            "name" to JsonPrimitive(notification.name),
            "status" to JsonPrimitive(notification.status.wire),
            "error" to JsonPrimitive(notification.error),
            "failureReason" to JsonPrimitive(notification.failureReason?.wire),
        ) + if (hasEnvironment) mapOf("environmentId" to JsonPrimitive(notification.environmentId)) else mapOf(),
    )
}

private fun isError(actual: DecodeException, expected: JsonObject) {
    knows(expected, "line", "kind", "field")
    assertEquals("decode", actual.code)
    assertEquals(expected.string("field"), actual.field)
    expected.string("kind")?.let { assertEquals(it, actual.kind.wire) }
    expected.string("field")?.let { assertTrue(it in actual.message!!, "the message does not name the field: ${actual.message}") }
}

private fun areErrors(actual: List<LineError>, expected: JsonArray) {
    assertEquals(expected.map { it.jsonObject.getValue("line").jsonPrimitive.long }, actual.map { it.line })
    actual.zip(expected).forEach { (error, row) -> isError(error.error, row.jsonObject) }
}

private fun checkDecode(case: JsonObject) {
    knows(case, "line", "hex", "notification", "encoded", "error")
    val line = bytesOf(case, "line")
    val outcome = runCatching { decode(line) }
    val expected = case["error"]
    if (expected != null) {
        val error = outcome.exceptionOrNull()
        assertTrue(error is DecodeException, "decoded ${outcome.getOrNull()}")
        isError(error as DecodeException, expected.jsonObject)
        return
    }
    val notification = outcome.getOrThrow()
    assertEquals(case.getValue("notification"), paramsOf(notification))
    case.string("encoded")?.let { assertEquals(it, notification!!.encode()) }
}

private fun checkEncode(case: JsonObject) {
    knows(case, "constructor", "server", "threadId", "error", "line")
    val (server, error, threadId) = listOf("server", "error", "threadId").map { case.string(it) }
    val notification = when (val constructor = case.string("constructor")) {
        "starting" -> McpServerStatusUpdatedNotification.starting(server!!, threadId)
        "ready" -> McpServerStatusUpdatedNotification.ready(server!!, threadId)
        "cancelled" -> McpServerStatusUpdatedNotification.cancelled(server!!, threadId)
        "failed" -> McpServerStatusUpdatedNotification.failed(server!!, error!!, threadId)
        "reauthenticationRequired" -> McpServerStatusUpdatedNotification.reauthenticationRequired(server!!, error!!, threadId)
        else -> throw AssertionError("the case is invalid: unknown constructor $constructor")
    }
    assertEquals(case.string("line"), notification.encode())
    assertEquals(notification, decode(notification.encode()))
}

private fun checkLines(case: JsonObject) {
    knows(case, "text", "hex", "notifications", "errors")
    val bytes = bytesOf(case, "text")
    val (notifications, errors) = listOf("notifications", "errors").map { case.getValue(it).jsonArray }
    val decoded = decodeLines(bytes)
    assertEquals(notifications, JsonArray(decoded.notifications.map(::paramsOf)))
    areErrors(decoded.errors, errors)
    StartupTracker().use { tracker ->
        val applied = tracker.apply(bytes)
        assertEquals(notifications.size.toLong(), applied.notifications)
        areErrors(applied.errors, errors)
    }
}

private fun checkTracker(case: JsonObject) {
    knows(case, "limit", "steps")
    StartupTracker(case["limit"]?.jsonPrimitive?.long).use { tracker ->
        case.getValue("steps").jsonArray.forEachIndexed { at, step ->
            try {
                applyStep(tracker, step.jsonObject)
            } catch (failure: Throwable) {
                throw AssertionError("step ${at + 1}: $failure", failure)
            }
        }
    }
}

/** Each key as an array of the thread, the environment and the name. */
private fun keysOf(keys: List<ServerKey>) = JsonArray(
    keys.map { (threadId, environmentId, name) -> JsonArray(listOf(threadId, environmentId, name).map { JsonPrimitive(it) }) },
)

private fun applyStep(tracker: StartupTracker, step: JsonObject) {
    val shown = arrayOf("servers", "reauthenticationRequired")
    val lines = step["lines"]
    if (lines != null) {
        knows(step, "lines", "notifications", "changed", "prompts", "errors", *shown)
        val applied = tracker.apply(lines.jsonArray.joinToString("\n") { it.jsonPrimitive.content }.encodeToByteArray())
        assertEquals(step.getValue("notifications").jsonPrimitive.long, applied.notifications)
        assertEquals(step.getValue("changed"), keysOf(applied.changed))
        assertEquals(step.getValue("prompts"), keysOf(applied.prompts))
        assertEquals(step.getValue("errors"), JsonArray(applied.errors.map { JsonPrimitive(it.line) }))
    } else {
        knows(step, "remove", "removed", *shown)
        assertEquals(step.getValue("removed").jsonPrimitive.long, tracker.remove(step.string("remove")!!))
    }
    step["servers"]?.let { expected ->
        assertEquals(expected, json.encodeToJsonElement(tracker.servers()))
        for (server in tracker.servers()) assertEquals(server, tracker.server(server.name, server.threadId, server.environmentId))
    }
    step["reauthenticationRequired"]?.let { expected ->
        assertEquals(expected, keysOf(tracker.reauthenticationRequired()))
    }
}

private fun checkAssess(case: JsonObject) {
    knows(case, "facts", "nowMs", "configured", "oauthPublished", "worth", "firstRequest", "authStatus")
    val facts: CredentialFacts? = wire.decodeFromJsonElement(case.getValue("facts"))
    val worth = facts?.let { assess(it, case.getValue("nowMs").jsonPrimitive.long) }
    assertEquals(case.getValue("worth"), wire.encodeToJsonElement(worth))
    case.string("firstRequest")?.let { assertEquals(it, firstRequest(worth).wire) }
    val published = case.getValue("oauthPublished").let { if (it is JsonNull) null else it.jsonPrimitive.boolean }
    val status = authStatusOf(case.getValue("configured").jsonPrimitive.boolean, worth, published)
    assertEquals(case.string("authStatus"), status?.wire)
}

private fun checkJudge(case: JsonObject) {
    knows(case, "evidence", "kind", "recovery", "fallback", "failureReason", "authRequiredReason", "messageContains")
    val failure = judge(wire.decodeFromJsonElement(case.getValue("evidence")))
    case.string("kind")?.let {
        assertEquals(listOf(it, case.string("recovery")), listOf(failure.kind.wire, failure.recovery.wire))
        assertEquals(case.string("fallback"), failure.fallback?.wire)
    }
    val notification = McpServerStatusUpdatedNotification.ofFailure("linear", failure)
    assertEquals(case.string("failureReason"), notification.failureReason?.wire)
    assertEquals(failure.message, notification.error)
    if ("authRequiredReason" in case) assertEquals(case.string("authRequiredReason"), failure.authRequiredReason?.wire)
    assertEquals(McpServerStartupState.Failed, notification.status)
    assertEquals(case.getValue("evidence"), wire.encodeToJsonElement(failure.evidence))
    val message = failure.message
    assertTrue(message.isNotEmpty() && message.codePointCount(0, message.length) <= 300, message)
    assertTrue(message.none { it.isISOControl() }, message)
    for (part in case.getValue("messageContains").jsonArray) assertTrue(part.jsonPrimitive.content in message, message)
}
