package io.github.mcpstartup

import com.sun.jna.Memory
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.jsonObject
import java.nio.ByteBuffer

/** The JSON format of the native library. */
internal val wire: Json = Json {
    // Omits nulls. The code writes the nulls that the wire requires explicitly.
    explicitNulls = false
    encodeDefaults = true
}

/** Returns the value of an answer, `{"ok":…}`, or throws its error, `{"error":…}`. */
internal fun unwrap(answer: String): JsonElement {
    val fields: JsonObject = wire.parseToJsonElement(answer).jsonObject
    fields["error"]?.let { throw exceptionOf(it.jsonObject) }
    return fields["ok"] ?: JsonNull
}

/**
 * Passes bytes to the native library, outside the heap. This copies them only once. The buffer is valid until [read] returns.
 */
internal inline fun <T> lend(bytes: ByteArray, read: (ByteBuffer) -> T): T {
    if (bytes.isEmpty()) return read(ByteBuffer.allocateDirect(0))
    return Memory(bytes.size.toLong()).use { memory ->
        memory.write(0, bytes, 0, bytes.size)
        read(memory.getByteBuffer(0, memory.size()))
    }
}
