package io.github.mcpstartup

import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.decodeFromJsonElement
import kotlinx.serialization.json.jsonPrimitive

/**
 * The exceptions of this library, except those of [AuthorizationInterceptor], which are `IOException`s. A server that fails to start is
 * not an exception: it is an event.
 *
 * In code, decide by the class and its stable values. The message is human-readable and may change.
 *
 * @property code The stable code, the same in every language.
 */
public sealed class McpStartupException(public val code: String, message: String) : Exception(message)

/**
 * A line is not a well-formed JSON-RPC message, or its notification has a missing or invalid field.
 *
 * @property kind The kind of the error, as a stable value.
 * @property field The path of the field, such as `params.name`, if the error is about a field.
 */
public class DecodeException internal constructor(
    public val kind: DecodeErrorKind,
    public val field: String?,
    message: String,
) : McpStartupException("decode", message) {
    // A data class such as `LineError` contains it, and compares it by value.
    override fun equals(other: Any?): Boolean =
        other is DecodeException && kind == other.kind && field == other.field && message == other.message

    override fun hashCode(): Int = listOf(kind, field, message).hashCode()
}

/**
 * The configuration does not exist or can't be read, or it has no server with the requested name.
 *
 * @property kind The kind of the error: `notFound`, `notAFile`, `unreadable`, `tooLarge`, `notUtf8`, `syntax`, `notAConfiguration` or
 * `unknownServer`.
 * @property path The path of the file.
 * @property line The line, counted from 1, if it is known.
 * @property key The key, as a path in the file, if the error is about a key.
 */
public class ConfigurationException internal constructor(
    public val kind: String,
    public val path: String,
    public val line: Int?,
    public val key: String?,
    message: String,
) : McpStartupException("configuration", message)

/**
 * A sign-in or a sign-out failed. The stored credentials are unchanged.
 *
 * @property kind The reason, as a stable value: `notOffered`, `unavailable`, `misconfigured`, `pkceNotOffered`, `noClient`,
 * `invalidCallback`, `denied`, `expired`, `used`, `invalidPending`, `storeFailed` or `invalidConfiguration`.
 */
public class SignInException internal constructor(
    public val kind: String,
    message: String,
) : McpStartupException("signIn", message)

/**
 * A server can't be used.
 *
 * @property failure The verdict: the kind of the failure, the recovery, and the evidence.
 */
public class StartupFailedException internal constructor(
    public val failure: StartupFailure,
    message: String,
) : McpStartupException("failure", message)

/** A credential store does not meet a guarantee of [CredentialStore]. */
public class CredentialStoreException internal constructor(message: String) :
    McpStartupException("credentialStore", message)

/** An argument is invalid. */
public class InvalidArgumentException internal constructor(message: String) :
    McpStartupException("invalidArgument", message)

/** Another error. Its [code] is `client` (this process can't send requests), `forked` or `internal` (an error in this library). */
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

/** Returns a string or a number as text, or null if the field is null or absent. */
internal fun JsonObject.text(name: String): String? {
    val value: JsonElement? = this[name]
    return if (value == null || value is JsonNull) null else value.jsonPrimitive.content
}
