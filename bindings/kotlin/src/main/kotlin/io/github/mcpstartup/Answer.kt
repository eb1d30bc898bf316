package io.github.mcpstartup

import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.jsonObject

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
