package io.github.mcpstartup.examples

import io.github.mcpstartup.CredentialStore
import io.github.mcpstartup.McpServer
import io.github.mcpstartup.McpServerStartupFailureReason
import io.github.mcpstartup.McpStartup
import io.github.mcpstartup.Recovery

suspend fun check(url: String, store: CredentialStore, show: (String, Recovery?) -> Unit) {
    McpStartup.check(servers = listOf(McpServer.Http("linear", url)), store = store).collect { event ->
        val said = event.notification
        if (said.failureReason == McpServerStartupFailureReason.ReauthenticationRequired) {
            show("${said.name}: you were signed in, and have to sign in again", Recovery.REAUTHENTICATE)
        } else {
            // A sentence for a person, and what to offer beside it.
            event.failure?.let { show(it.message, it.recovery) }
        }
    }
}
