import Foundation
import McpStartupFFI

/// Returns the value of the `Authorization` header for a request that your app sends itself, with another SDK.
///
/// Call it before a request, without `rejected`. If the server answers with 401, call it again and pass the rejected header value: the
/// function returns the value for the second attempt. Tokens are read, locked and refreshed as during a start.
///
/// - Parameters:
///   - server: The name of the server.
///   - rejected: The request that the server has rejected.
///   - options: The options that define the server and the store.
/// - Returns: The value, or `nil` if the request needs no such header.
/// - Throws: ``McpStartupError/failure(_:)`` with the verdict if no credential is left to send.
public func authorization(
    server: String, rejected: Rejected? = nil, in options: StartupOptions
) async throws -> String? {
    try await answer {
        await McpStartupFFI.authorization(
            options: try options.encoded(), calls: options.bridge, server: server,
            rejectedStatus: rejected.map { UInt16(clamping: $0.status) }, sent: rejected?.authorization,
            challenge: rejected?.challenge, cancellation: $0)
    }
}

/// Returns how a client is authorized at a server, and the state of the stored credential.
///
/// - Parameters:
///   - server: The name of the server.
///   - online: Whether to send requests to the server to find out. Without them, the status may be unknown.
///   - options: The options that define the server and the store.
public func authStatus(server: String, online: Bool = false, in options: StartupOptions) async throws -> AuthStatus {
    try await answer {
        await McpStartupFFI.authStatus(
            options: try options.encoded(), calls: options.bridge, server: server, online: online, cancellation: $0)
    }
}

/// Begins a sign-in. The store does not change until you finish the sign-in.
///
/// - Parameters:
///   - server: The name of the server.
///   - redirectURI: The URI to which the authorization server redirects the browser: `http` on a loopback address, `https`, or a custom
///     scheme of your app.
///   - challenge: The value of the `WWW-Authenticate` header of the answer with which the server has rejected your app's own request,
///     such as a 403 with `insufficient_scope`. It can name the required scopes (RFC 6750, section 3) and the server's metadata
///     (RFC 9728, section 5.1). With `nil`, the sign-in sends a request to get a challenge.
///   - scopes: Scopes to request in addition. The requested scopes are the union of the configured, the granted, the challenged and
///     these.
///   - options: The options that define the server and the store.
/// - Returns: The URL of the sign-in page, and the state for ``finishSignIn(pending:callbackURL:in:)``.
/// - Throws: ``McpStartupError/signIn(kind:message:)``.
public func beginSignIn(
    server: String, redirectURI: String, challenge: String? = nil, scopes: [String] = [], in options: StartupOptions
) async throws -> SignInBegun {
    try await answer {
        await McpStartupFFI.beginSignIn(
            options: try options.encoded(challenge: challenge, scopes: scopes), calls: options.bridge, server: server,
            redirectUri: redirectURI, cancellation: $0)
    }
}

/// Finishes a sign-in, and stores the granted credential.
///
/// - Parameters:
///   - pending: The state of the sign-in: ``SignInBegun/pending``.
///   - callbackURL: The complete URL to which the browser was redirected.
///   - options: The options that define the server and the store.
/// - Throws: ``McpStartupError/signIn(kind:message:)``.
public func finishSignIn(pending: String, callbackURL: URL, in options: StartupOptions) async throws {
    let _: Done = try await answer {
        await McpStartupFFI.finishSignIn(
            options: try options.encoded(), calls: options.bridge, pending: pending,
            callbackUrl: callbackURL.absoluteString, cancellation: $0)
    }
}

/// Signs out: revokes the tokens if the authorization server supports it, and removes the stored credential even if the revocation fails.
///
/// - Throws: ``McpStartupError/signIn(kind:message:)`` if the stored credential can't be read or removed.
public func signOut(server: String, in options: StartupOptions) async throws -> SignedOut {
    try await answer {
        await McpStartupFFI.signOut(
            options: try options.encoded(), calls: options.bridge, server: server, cancellation: $0)
    }
}

extension StartupOptions {
    var bridge: (any StoreCalls)? { store.map(StoreBridge.init) }
}

/// A request that a server has answered with 401 or 403. Printing it shows none of its values, because they contain secrets.
public struct Rejected: Sendable, Hashable, Redacted {
    /// The value of its `Authorization` header, or `nil` if it had none.
    public var authorization: String?
    /// The value of the `WWW-Authenticate` header of the answer.
    public var challenge: String?
    /// The status of the answer: 401 or 403. After 403, nothing is refreshed, and ``authorization(server:rejected:in:)`` throws the verdict
    /// unless another sign-in is stored.
    public var status: Int

    public init(authorization: String?, challenge: String? = nil, status: Int = 401) {
        self.authorization = authorization
        self.challenge = challenge
        self.status = status
    }
}

/// A sign-in in progress. Printing it shows none of its values, because both contain secrets.
public struct SignInBegun: Sendable, Hashable, Decodable, Redacted {
    /// The URL of the sign-in page. Open it in the user's browser.
    public let authorizationURL: URL
    /// The state of the sign-in, for ``finishSignIn(pending:callbackURL:in:)``. Valid for one use and for 15 minutes, in any process.
    public let pending: String

    private enum CodingKeys: String, CodingKey {
        case authorizationURL = "authorizationUrl"
        case pending
    }
}

/// The authorization of a client at a server, and the state of the stored credential. Contains no secrets.
public struct AuthStatus: Sendable, Hashable, Decodable {
    /// How the client is authorized. `nil` if this is unknown: no usable credential is stored, and the server was not queried or did not
    /// answer.
    public let status: McpAuthStatus?
    /// Which parts of the stored credential can be used. `nil` if no credential is stored for exactly this server.
    public let worth: CredentialWorth?
    /// The time when the stored access token expires, in milliseconds since the Unix epoch, if it is known.
    public let expiresAtMs: Int?
    /// The granted scopes.
    public let scopes: [String]
    /// The issuer of the credential.
    public let issuer: String?
    /// The store that contains the credential: `file`, `keyring` or `host`.
    public let store: String?
    /// The error of the store, if the stored credential could not be read.
    public let storeError: StoreError?
}

/// The reason why a store could not be read.
public struct StoreError: Sendable, Hashable, Decodable {
    /// The store: `file`, `keyring`, or its name in the configuration.
    public let store: String
    /// The reason, as a stable value.
    public let trouble: CredentialStoreTrouble
    /// The details, as a human-readable text.
    public let detail: String
}

/// The result of a sign-out.
public struct SignedOut: Sendable, Hashable, Decodable {
    /// Whether a credential was stored.
    public let wasStored: Bool
    /// The result of the revocation at the authorization server.
    public let revocation: Revocation
}

/// The result of revoking tokens at the authorization server.
public enum Revocation: String, Sendable, Hashable, Decodable, CaseIterable {
    /// The authorization server has confirmed the revocation.
    case revoked
    /// The authorization server offers no revocation, or the record does not name the server. The tokens remain valid until they expire.
    case notOffered
    /// The authorization server did not confirm the revocation. The tokens may remain valid until they expire.
    case failed
}
