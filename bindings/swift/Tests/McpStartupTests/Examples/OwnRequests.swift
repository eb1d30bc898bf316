import Foundation
import McpStartup

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// Sends a request of the app's own to an MCP server, authorized with what is stored for it.
func send(_ request: URLRequest, to server: String, _ options: StartupOptions) async throws -> Data {
    var request = request
    var header = try await authorization(server: server, in: options)
    while true {
        request.setValue(header, forHTTPHeaderField: "Authorization")
        let (body, answer) = try await URLSession.shared.data(for: request)
        guard let http = answer as? HTTPURLResponse, http.statusCode == 401 else { return body }
        let challenge = http.value(forHTTPHeaderField: "WWW-Authenticate")
        let rejected = Rejected(authorization: header, challenge: challenge)
        // Refreshes what may be refreshed, once for all processes. Where nothing is left to send, it throws the verdict.
        header = try await authorization(server: server, rejected: rejected, in: options)
    }
}
