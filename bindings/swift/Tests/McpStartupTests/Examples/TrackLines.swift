import Foundation
import McpStartup

func follow(chunks: some AsyncSequence<Data, any Error>, ask: (String) -> Void) async throws -> [TrackedServer] {
    let tracker = StartupTracker()
    // Each chunk has complete lines. Lines of other messages are ignored.
    for try await chunk in chunks {
        for server in tracker.apply(lines: chunk).prompts {
            // One prompt for each server until it is ready, even if threads and retries repeat the failure.
            ask("\(server.name) needs you to sign in again. Reconnect?")
        }
    }
    return tracker.servers
}
