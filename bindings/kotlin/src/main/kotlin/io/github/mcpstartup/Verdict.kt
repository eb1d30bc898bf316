package io.github.mcpstartup

import kotlinx.serialization.encodeToString
import kotlinx.serialization.json.decodeFromJsonElement

/**
 * Judges a failed start, for an app that starts its servers with another SDK.
 *
 * @param evidence The facts about the start. Every field is optional; without any, the kind is [StartupFailureKind.OTHER].
 * @throws InvalidArgumentException If a value is out of range, such as a negative HTTP status.
 */
public fun judge(evidence: Evidence): StartupFailure =
    wire.decodeFromJsonElement(unwrap(io.github.mcpstartup.ffi.judge(wire.encodeToString(evidence))))

/**
 * Assesses which parts of a stored credential can be used.
 *
 * @param facts The facts about the credential.
 * @param nowMs The time of the assessment, in milliseconds since the Unix epoch. The default is now.
 */
public fun assess(facts: CredentialFacts, nowMs: Long = System.currentTimeMillis()): CredentialWorth =
    wire.decodeFromJsonElement(unwrap(io.github.mcpstartup.ffi.assess(wire.encodeToString(facts), nowMs)))

/**
 * Returns what the first request of a start contains.
 *
 * @param worth The worth of the stored credential, or null if no credential is stored.
 */
public fun firstRequest(worth: CredentialWorth?): FirstRequest =
    wire.decodeFromJsonElement(unwrap(io.github.mcpstartup.ffi.firstRequest(worth?.let { wire.encodeToString(it) })))

/**
 * Returns how a client is authorized at a server, from the known facts.
 *
 * @param configured Whether the configuration contains the authorization.
 * @param stored The worth of the stored credential, or null if no credential is stored.
 * @param oauthPublished Whether the server publishes OAuth metadata: false for stdio, null if the server was not queried.
 * @return The status, or null if it can't be determined without a query to the server.
 */
public fun authStatusOf(configured: Boolean, stored: CredentialWorth?, oauthPublished: Boolean?): McpAuthStatus? =
    wire.decodeFromJsonElement(
        unwrap(
            io.github.mcpstartup.ffi.authStatusOf(configured, stored?.let { wire.encodeToString(it) }, oauthPublished),
        ),
    )

/**
 * Why the server requires authentication, in the words of the Agent Host Protocol. It depends only on the recovery, and is null if signing
 * in is not the recovery: the server's status in that protocol is then `error`.
 */
public val StartupFailure.authRequiredReason: McpAuthRequiredReason?
    get() = wire.decodeFromJsonElement(unwrap(io.github.mcpstartup.ffi.authRequiredReason(recovery.wire)))

/** The reason for the notification of this failure. Set only for the kind that signing in *again* resolves. */
public val StartupFailure.failureReason: McpServerStartupFailureReason?
    get() = McpServerStartupFailureReason.ReauthenticationRequired
        .takeIf { kind == StartupFailureKind.REAUTHENTICATION_REQUIRED }
