import Foundation
import McpStartup

func follow(chunks: some AsyncSequence<Data, any Error>, ask: (String) -> Void) async throws -> [TrackedServer] {
    let tracker = StartupTracker()
    // Any chunks of whole lines; lines of other messages are passed over.
    for try await chunk in chunks {
        for name in tracker.apply(lines: chunk).prompts {
            // Once for each name, however many threads and retries repeat it, until the server was ready.
            ask("\(name) needs you to sign in again. Reconnect?")
        }
    }
    return tracker.servers
}
