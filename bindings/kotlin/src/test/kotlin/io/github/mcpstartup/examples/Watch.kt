package io.github.mcpstartup.examples

import io.github.mcpstartup.McpServerStartupState
import io.github.mcpstartup.Recovery
import io.github.mcpstartup.Watch

/** Shows the state of each server until the coroutine is cancelled. A button next to it can call `watch.retry(name)`. */
suspend fun showStates(watch: Watch, show: (String, McpServerStartupState, Recovery?) -> Unit) {
    watch.updates.collect { event ->
        show(event.notification.name, event.notification.status, event.failure?.recovery)
    }
}
