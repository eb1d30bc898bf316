import McpStartup

func showClients(folder: String, show: (String) -> Void) async throws {
    // Reads files, and starts nothing.
    for file in try await discover(folder: folder) {
        show("\(file.client): \(file.path) \(file.error?.message ?? "")")
        for server in file.servers { show("  \(server.name) \(server.why ?? "")") }
    }
    let options = StartupOptions(.clients(.all, folder: folder))
    for try await event in check(options) {
        show("\(event.notification.name) \(event.notification.status.wire)")
    }
    for left in try await notChecked(options) { show("\(left.name) (\(left.client)): \(left.why)") }
}
