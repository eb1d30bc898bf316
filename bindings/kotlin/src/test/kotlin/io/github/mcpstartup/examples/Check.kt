package io.github.mcpstartup.examples

import io.github.mcpstartup.CredentialStore
import io.github.mcpstartup.McpServer
import io.github.mcpstartup.McpServerStartupFailureReason
import io.github.mcpstartup.McpStartup
import io.github.mcpstartup.Recovery

suspend fun check(url: String, store: CredentialStore, show: (String, Recovery?) -> Unit) {
    McpStartup.check(servers = listOf(McpServer.Http("linear", url)), store = store).collect { event ->
        val notification = event.notification
        if (notification.failureReason == McpServerStartupFailureReason.ReauthenticationRequired) {
            show("${notification.name}: sign in again", Recovery.REAUTHENTICATE)
        } else {
            // A message for the user, and the action to offer next to it.
            event.failure?.let { show(it.message, it.recovery) }
        }
    }
}
