import Foundation
import McpStartupFFI

/// Judges a failed start, for an app that starts its servers with another SDK.
///
/// - Parameter evidence: The facts about the start. Every field is optional; without any, the kind is ``StartupFailureKind/other``.
/// - Throws: ``McpStartupError/invalidArgument(message:)`` if a value is out of range, such as a negative HTTP status.
public func judge(_ evidence: Evidence) throws -> StartupFailure {
    try value(of: McpStartupFFI.judge(evidence: json(of: evidence)))
}

/// Assesses which parts of a stored credential can be used.
///
/// - Parameters:
///   - facts: The facts about the credential.
///   - nowMs: The time of the assessment, in milliseconds since the Unix epoch. `nil` means now.
public func assess(_ facts: CredentialFacts, nowMs: Int64? = nil) throws -> CredentialWorth {
    let nowMs = nowMs ?? Int64(Date().timeIntervalSince1970 * 1000)
    return try value(of: McpStartupFFI.assess(facts: json(of: facts), nowMs: nowMs))
}

/// Returns what the first request of a start contains.
///
/// - Parameter worth: The worth of the stored credential, or `nil` if no credential is stored.
public func firstRequest(_ worth: CredentialWorth?) throws -> FirstRequest {
    try value(of: McpStartupFFI.firstRequest(worth: worth.map(json)))
}

/// Returns how a client is authorized at a server, from the known facts.
///
/// - Parameters:
///   - configured: Whether the configuration contains the authorization.
///   - stored: The worth of the stored credential, or `nil` if no credential is stored.
///   - oauthPublished: Whether the server publishes OAuth metadata: `false` for stdio, `nil` if the server was not queried.
/// - Returns: The status, or `nil` if it can't be determined without a query to the server.
public func authStatus(configured: Bool, stored: CredentialWorth?, oauthPublished: Bool?) throws -> McpAuthStatus? {
    let stored = try stored.map(json)
    return try value(
        of: McpStartupFFI.authStatusOf(configured: configured, stored: stored, oauthPublished: oauthPublished))
}

extension StartupFailure {
    /// The reason for the notification of this failure. Set only for the kind that signing in *again* resolves.
    public var failureReason: McpServerStartupFailureReason? {
        kind == .reauthenticationRequired ? .reauthenticationRequired : nil
    }

    /// Why the server requires authentication, in the words of the Agent Host Protocol. It depends only on the recovery, and is `nil` if
    /// signing in is not the recovery: the server's status in that protocol is then `error`.
    public var authRequiredReason: McpAuthRequiredReason? {
        alwaysValue(of: McpStartupFFI.authRequiredReason(recovery: recovery.rawValue))
    }
}
