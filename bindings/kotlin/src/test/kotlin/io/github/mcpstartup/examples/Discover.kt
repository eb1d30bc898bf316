package io.github.mcpstartup.examples

import io.github.mcpstartup.Clients
import io.github.mcpstartup.McpStartup
import io.github.mcpstartup.Options

suspend fun discover(folder: String, show: (String) -> Unit) {
    // Reads files, and starts nothing.
    for (file in McpStartup.discover(folder = folder)) {
        show("${file.client}: ${file.path} ${file.error?.message.orEmpty()}")
        for (server in file.servers) show("  ${server.name} ${server.why.orEmpty()}")
    }
    val options = Options(clients = Clients.ALL, folder = folder)
    McpStartup.check(options).collect { show("${it.notification.name} ${it.notification.status.wire}") }
    for (left in McpStartup.notChecked(options)) show("${left.name} (${left.client}): ${left.why}")
}
