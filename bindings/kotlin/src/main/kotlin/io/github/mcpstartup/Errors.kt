package io.github.mcpstartup

import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.decodeFromJsonElement
import kotlinx.serialization.json.jsonPrimitive

/**
 * Anything that this library throws. What servers come to is never one: it is an event.
 *
 * @property code What went wrong, as a stable value, the same in every language.
 */
public sealed class McpStartupException(public val code: String, message: String) : Exception(message)

/**
 * A line is no message of ours and no other well-formed message either.
 *
 * @property kind What is wrong, as a stable value.
 * @property field The field it is about, as a path such as `params.name`.
 */
public class DecodeException internal constructor(
    public val kind: DecodeErrorKind,
    public val field: String?,
    message: String,
) : McpStartupException("decode", message) {
    // What holds one, such as a bad line among many, is a value.
    override fun equals(other: Any?): Boolean =
        other is DecodeException && kind == other.kind && field == other.field && message == other.message

    override fun hashCode(): Int = listOf(kind, field, message).hashCode()
}

/**
 * There is no such configuration, it can't be read, or it has no such server.
 *
 * @property kind `notFound`, `notAFile`, `unreadable`, `tooLarge`, `notUtf8`, `syntax`, `notAConfiguration` or `unknownServer`.
 * @property path The file.
 * @property line The line, from 1.
 * @property key The key, as a path in the file.
 */
public class ConfigurationException internal constructor(
    public val kind: String,
    public val path: String,
    public val line: Int?,
    public val key: String?,
    message: String,
) : McpStartupException("configuration", message)

/**
 * A sign-in or a sign-out failed. What was stored before is stored still.
 *
 * @property kind Why, as a stable value: `notOffered`, `unavailable`, `misconfigured`, `pkceNotOffered`, `noClient`, `invalidCallback`,
 * `denied`, `expired`, `used`, `invalidPending`, `storeFailed` or `invalidConfiguration`.
 */
public class SignInException internal constructor(
    public val kind: String,
    message: String,
) : McpStartupException("signIn", message)

/**
 * A server can't be used.
 *
 * @property failure Why, what mends it, and on what evidence.
 */
public class StartupFailedException internal constructor(
    public val failure: StartupFailure,
    message: String,
) : McpStartupException("failure", message)

/** A credential store does not do what it must. */
public class CredentialStoreException internal constructor(message: String) :
    McpStartupException("credentialStore", message)

/** What was asked for makes no sense. */
public class InvalidArgumentException internal constructor(message: String) :
    McpStartupException("invalidArgument", message)

/** Anything else: `client` (no request can be sent), or an error of this library's own (`internal`). */
public class OtherMcpStartupException internal constructor(code: String, message: String) :
    McpStartupException(code, message)

internal fun exceptionOf(error: JsonObject): McpStartupException {
    val code = error.text("code").orEmpty()
    val message = error.text("message").orEmpty()
    return when (code) {
        "decode" -> decodeExceptionOf(error)
        "configuration" -> ConfigurationException(
            error.text("kind").orEmpty(),
            error.text("path").orEmpty(),
            error.text("line")?.toInt(),
            error.text("key"),
            message,
        )
        "signIn" -> SignInException(error.text("kind").orEmpty(), message)
        "failure" -> StartupFailedException(wire.decodeFromJsonElement(error.getValue("failure")), message)
        "credentialStore" -> CredentialStoreException(message)
        "invalidArgument" -> InvalidArgumentException(message)
        else -> OtherMcpStartupException(code, message)
    }
}

internal fun decodeExceptionOf(error: JsonObject): DecodeException =
    DecodeException(
        wire.decodeFromJsonElement(error.getValue("kind")),
        error.text("field"),
        error.text("message").orEmpty(),
    )

/** A field that is a text or a number; null where it is null or absent. */
internal fun JsonObject.text(name: String): String? {
    val value: JsonElement? = this[name]
    return if (value == null || value is JsonNull) null else value.jsonPrimitive.content
}
