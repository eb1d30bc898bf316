import Foundation
import McpStartupFFI

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

extension URLSession {
    /// Sends a request to a server with its configured or stored credentials.
    ///
    /// It refreshes an expired token before the request. If the server answers 401, it refreshes the token, and sends the request again,
    /// unless its body is a stream. It uses the same store, lock and refresh as a start. Only requests to the origin of the server get the
    /// header. If a redirect leads to another origin, the header is removed. On systems other than Apple's, the delegate of this session is
    /// not used.
    ///
    /// ```swift
    /// let (body, response) = try await URLSession.shared.data(for: request, authorizedFor: "linear", in: options)
    /// ```
    ///
    /// - Parameters:
    ///   - request: The request.
    ///   - server: The name of the server.
    ///   - options: The options that define the server and the store.
    /// - Returns: The body and the response, which is a refusal if the request can't be sent again.
    /// - Throws: ``McpStartupError/failure(_:)`` with the verdict if no credential is left to try, or if the server requires more scopes,
    ///   and the errors of `URLSession`.
    public func data(
        for request: URLRequest, authorizedFor server: String, in options: StartupOptions
    ) async throws -> (Data, URLResponse) {
        guard var url = request.url?.absoluteString else { throw URLError(.badURL) }
        var refusal: (answer: (Data, URLResponse), rejected: Rejected)?
        // A start tries at most three credentials: none, the refreshed and the stored one. Another process can store one more.
        var attempts = 4
        while true {
            let authorized: RequestAuthorization?
            do {
                authorized = try await requestAuthorization(server: server, url: url, rejected: refusal?.rejected, in: options)
            } catch McpStartupError.failure(let failure) {
                if let refusal, refusal.rejected.status == 403, failure.kind != .insufficientScope { return refusal.answer }
                throw McpStartupError.failure(failure)
            }
            guard let authorized else {
                if let refusal { return refusal.answer }
                return try await data(for: request)
            }
            var attempt = request
            if let header = authorized.header { attempt.setValue(header, forHTTPHeaderField: "Authorization") }
            let (body, response) = try await dataWithinOrigin(for: attempt)
            attempts -= 1
            guard attempts > 0, request.httpBodyStream == nil, let rejected = Rejected(of: attempt, response) else {
                return (body, response)
            }
            refusal = ((body, response), rejected)
            // After a redirect, the response may be from another origin.
            url = response.url?.absoluteString ?? url
        }
    }

    /// Sends a request whose `Authorization` header must not reach another origin.
    private func dataWithinOrigin(for request: URLRequest) async throws -> (Data, URLResponse) {
        #if canImport(FoundationNetworking)
            // Here, only the delegate of a session receives redirects.
            let session = URLSession(configuration: configuration, delegate: SameOriginAuthorization(), delegateQueue: nil)
            defer { session.finishTasksAndInvalidate() }
            return try await session.data(for: request)
        #else
            return try await data(for: request, delegate: SameOriginAuthorization())
        #endif
    }
}

extension Rejected {
    /// Returns the refusal that another credential, or more scopes, may change.
    fileprivate init?(of request: URLRequest, _ response: URLResponse) {
        guard let response = response as? HTTPURLResponse else { return nil }
        let challenge = response.value(forHTTPHeaderField: "WWW-Authenticate")
        let requiresMore = response.statusCode == 403 && challenge?.contains("insufficient_scope") == true
        guard response.statusCode == 401 || requiresMore else { return nil }
        self.init(
            authorization: request.value(forHTTPHeaderField: "Authorization"), challenge: challenge,
            status: response.statusCode)
    }
}

/// Removes the `Authorization` header if a redirect leads to another origin. `URLSession` copies it on some systems.
private final class SameOriginAuthorization: NSObject, URLSessionTaskDelegate {
    func urlSession(
        _ session: URLSession, task: URLSessionTask, willPerformHTTPRedirection response: HTTPURLResponse,
        newRequest request: URLRequest, completionHandler: @escaping @Sendable (URLRequest?) -> Void
    ) {
        var request = request
        if origin(of: response.url) != origin(of: request.url) {
            request.setValue(nil, forHTTPHeaderField: "Authorization")
        }
        completionHandler(request)
    }
}

/// The scheme, host and port of a URL (RFC 6454, section 4).
private func origin(of url: URL?) -> [String?]? {
    guard let url, let scheme = url.scheme?.lowercased(), let host = url.host?.lowercased() else { return nil }
    return [scheme, host, String(url.port ?? (scheme == "https" ? 443 : 80))]
}

/// The authorization of a request of an adapter. `header` is `nil` if the request needs none.
private struct RequestAuthorization: Decodable {
    let header: String?
}

/// Returns the header for a request to this URL, or `nil` if it has another origin than the server.
private func requestAuthorization(
    server: String, url: String, rejected: Rejected?, in options: StartupOptions
) async throws -> RequestAuthorization? {
    try await answer {
        await McpStartupFFI.requestAuthorization(
            options: try options.encoded(), calls: options.bridge, server: server, url: url,
            rejectedStatus: rejected.map { UInt16(clamping: $0.status) }, sent: rejected?.authorization,
            challenge: rejected?.challenge, cancellation: $0)
    }
}
