import Foundation
import McpStartup

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// Sends a request to an MCP server with the stored credential. An expired token is refreshed, once for all processes.
func send(_ request: URLRequest, to server: String, _ options: StartupOptions) async throws -> Data {
    do {
        let (body, _) = try await URLSession.shared.data(for: request, authorizedFor: server, in: options)
        return body
    } catch McpStartupError.failure(let failure) {
        // The verdict: no credential is left to try, or the server requires more scopes.
        print(failure.kind, failure.message)
        throw McpStartupError.failure(failure)
    }
}
