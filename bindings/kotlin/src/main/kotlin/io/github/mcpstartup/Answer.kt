package io.github.mcpstartup

import com.sun.jna.Memory
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.jsonObject
import java.nio.ByteBuffer

/** JSON as the library below reads and writes it. */
internal val wire: Json = Json {
    // What is null is left out; nulls that the wire wants are written by hand.
    explicitNulls = false
    encodeDefaults = true
}

/** What the library answers, `{"ok":…}`, or its error as an exception. */
internal fun unwrap(answer: String): JsonElement {
    val told: JsonObject = wire.parseToJsonElement(answer).jsonObject
    told["error"]?.let { throw exceptionOf(it.jsonObject) }
    return told["ok"] ?: JsonNull
}

/** Lends bytes to the library below, which reads them where they are, outside the heap: one copy. They are gone when [read] returns. */
internal inline fun <T> lend(bytes: ByteArray, read: (ByteBuffer) -> T): T {
    if (bytes.isEmpty()) return read(ByteBuffer.allocateDirect(0))
    return Memory(bytes.size.toLong()).use { memory ->
        memory.write(0, bytes, 0, bytes.size)
        read(memory.getByteBuffer(0, memory.size()))
    }
}
