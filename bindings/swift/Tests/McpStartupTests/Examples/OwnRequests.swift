import Foundation
import McpStartup

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// Sends a request to an MCP server with the stored credential.
func send(_ request: URLRequest, to server: String, _ options: StartupOptions) async throws -> Data {
    var request = request
    var header = try await authorization(server: server, in: options)
    while true {
        request.setValue(header, forHTTPHeaderField: "Authorization")
        let (body, answer) = try await URLSession.shared.data(for: request)
        guard let http = answer as? HTTPURLResponse, http.statusCode == 401 else { return body }
        let challenge = http.value(forHTTPHeaderField: "WWW-Authenticate")
        let rejected = Rejected(authorization: header, challenge: challenge)
        // Refreshes the token, once for all processes. Throws the verdict if no credential is left to send.
        header = try await authorization(server: server, rejected: rejected, in: options)
    }
}
