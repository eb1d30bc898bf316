import McpStartup

/// Shows the state of each server until the task is cancelled. A button next to it can call `watch.retry(name)`.
func showStates(_ watch: StartupWatch, show: (String, McpServerStartupState, Recovery?) -> Void) async throws {
    for try await event in watch {
        show(event.notification.name, event.notification.status, event.failure?.recovery)
    }
}
