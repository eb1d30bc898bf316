import Foundation
import McpStartupFFI

/// The `Authorization` header for a request that the app makes itself, with another SDK; `nil` where it is to have none.
///
/// Asked without `rejected`, it is what to send first. Where the server answers 401 all the same, what was sent goes in as `rejected`, and
/// out comes what to send once more: through the same store, lock and refresh as that of a start.
///
/// Throws ``McpStartupError/failure(_:)``, the verdict, where nothing is left to send.
public func authorization(
    server: String, rejected: Rejected? = nil, in options: StartupOptions
) async throws -> String? {
    try await answer {
        await McpStartupFFI.authorization(
            options: try options.encoded(), calls: options.bridge, server: server, rejected: rejected != nil,
            sent: rejected?.authorization, challenge: rejected?.challenge, cancellation: $0)
    }
}

/// How a client is authorized at a server, and what is stored for it. Without `online` nothing is sent.
public func authStatus(server: String, online: Bool = false, in options: StartupOptions) async throws -> AuthStatus {
    try await answer {
        await McpStartupFFI.authStatus(
            options: try options.encoded(), calls: options.bridge, server: server, online: online, cancellation: $0)
    }
}

/// Begins a sign-in. `redirectURI` is where the user comes back to: `http` on loopback, `https`, or a scheme of the app's own.
///
/// Nothing is stored before it is finished. Throws ``McpStartupError/signIn(kind:message:)``.
public func beginSignIn(
    server: String, redirectURI: String, in options: StartupOptions
) async throws -> SignInBegun {
    try await answer {
        await McpStartupFFI.beginSignIn(
            options: try options.encoded(), calls: options.bridge, server: server, redirectUri: redirectURI,
            cancellation: $0)
    }
}

/// Finishes a sign-in with the whole URL that the browser came back with, and stores what is granted.
///
/// `pending` is that of ``SignInBegun``. Throws ``McpStartupError/signIn(kind:message:)``.
public func finishSignIn(pending: String, callbackURL: URL, in options: StartupOptions) async throws {
    let _: Done = try await answer {
        await McpStartupFFI.finishSignIn(
            options: try options.encoded(), calls: options.bridge, pending: pending,
            callbackUrl: callbackURL.absoluteString, cancellation: $0)
    }
}

/// Signs out: what was granted is revoked where that is offered, and what is stored is removed, whatever came of that.
///
/// Throws ``McpStartupError/signIn(kind:message:)`` where what is stored can't be read or removed.
public func signOut(server: String, in options: StartupOptions) async throws -> SignedOut {
    try await answer {
        await McpStartupFFI.signOut(
            options: try options.encoded(), calls: options.bridge, server: server, cancellation: $0)
    }
}

extension StartupOptions {
    fileprivate var bridge: (any StoreCalls)? { store.map(StoreBridge.init) }
}

/// A request that a server has answered with 401. It does not print.
public struct Rejected: Sendable, Hashable, Redacted {
    /// The value of its `Authorization` header; `nil` where it had none.
    public var authorization: String?
    /// The `WWW-Authenticate` of the answer.
    public var challenge: String?

    public init(authorization: String?, challenge: String? = nil) {
        self.authorization = authorization
        self.challenge = challenge
    }
}

/// A sign-in that has begun. It does not print: both parts hold secrets.
public struct SignInBegun: Sendable, Hashable, Decodable, Redacted {
    /// Where the user signs in: to be opened in their browser.
    public let authorizationURL: URL
    /// What finishes it, once and within 15 minutes, in this process or another.
    public let pending: String

    private enum CodingKeys: String, CodingKey {
        case authorizationURL = "authorizationUrl"
        case pending
    }
}

/// How a client is authorized at a server, and what is stored for it. No secret is in it.
public struct AuthStatus: Sendable, Hashable, Decodable {
    /// `nil` where that can't be known: nothing usable is stored, and the server was not asked or did not answer.
    public let status: McpAuthStatus?
    /// What is stored is worth this; `nil` where nothing is stored for exactly this server.
    public let worth: CredentialWorth?
    /// When the stored access token expires, in ms since the Unix epoch, where the record says.
    public let expiresAtMs: Int?
    /// The scopes that were granted.
    public let scopes: [String]
    /// Who granted it.
    public let issuer: String?
    /// The place where it is stored: `file`, `keyring` or `host`.
    public let store: String?
    /// Why it can't be known what is stored.
    public let storeError: StoreError?
}

/// Why it can't be known what is stored.
public struct StoreError: Sendable, Hashable, Decodable {
    /// Which store: `file`, `keyring`, or as the configuration calls it.
    public let store: String
    /// Why, as a stable value.
    public let trouble: CredentialStoreTrouble
    /// Why, as the rest of a sentence.
    public let detail: String
}

/// What signing out came to.
public struct SignedOut: Sendable, Hashable, Decodable {
    /// Whether anything was stored.
    public let wasStored: Bool
    /// What became of the tokens at the authorization server.
    public let revocation: Revocation
}

/// What became of the tokens at the authorization server.
public enum Revocation: String, Sendable, Hashable, Decodable, CaseIterable {
    /// The authorization server says that it is done.
    case revoked
    /// It offers no revocation, or the record does not say which server it was: they expire.
    case notOffered
    /// It was asked, and did not say that it is done: they may be good until they expire.
    case failed
}
