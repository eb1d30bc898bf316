package io.github.mcpstartup

import kotlinx.serialization.encodeToString
import kotlinx.serialization.json.decodeFromJsonElement

/** Judges a failed start by its evidence, for a host that starts its servers with another SDK. The least evidence gives `OTHER`. */
public fun judge(evidence: Evidence): StartupFailure =
    wire.decodeFromJsonElement(unwrap(io.github.mcpstartup.ffi.judge(wire.encodeToString(evidence))))

/** Says what a stored credential is worth at [nowMs] (ms since the Unix epoch); now, unless told otherwise. */
public fun assess(facts: CredentialFacts, nowMs: Long = System.currentTimeMillis()): CredentialWorth =
    wire.decodeFromJsonElement(unwrap(io.github.mcpstartup.ffi.assess(wire.encodeToString(facts), nowMs)))

/** What to send first with a credential of this worth; null: nothing is stored. */
public fun firstRequest(worth: CredentialWorth?): FirstRequest =
    wire.decodeFromJsonElement(unwrap(io.github.mcpstartup.ffi.firstRequest(worth?.let { wire.encodeToString(it) })))

/**
 * Says how a client is authorized at a server, from what is known of it; null where that can't be told before the server is asked.
 *
 * @param configured The configuration carries authorization.
 * @param stored What is stored for exactly this server.
 * @param oauthPublished Whether the server publishes OAuth: false for stdio, null where nobody has asked it.
 */
public fun authStatusOf(configured: Boolean, stored: CredentialWorth?, oauthPublished: Boolean?): McpAuthStatus? =
    wire.decodeFromJsonElement(
        unwrap(
            io.github.mcpstartup.ffi.authStatusOf(configured, stored?.let { wire.encodeToString(it) }, oauthPublished),
        ),
    )

/** What its notification carries: set for the one kind that a sign-in *again* mends. */
public val StartupFailure.failureReason: McpServerStartupFailureReason?
    get() = McpServerStartupFailureReason.ReauthenticationRequired
        .takeIf { kind == StartupFailureKind.REAUTHENTICATION_REQUIRED }
