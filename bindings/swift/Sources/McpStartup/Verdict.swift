import Foundation
import McpStartupFFI

/// Judges a failed start by its evidence: for a host that starts its servers with another SDK. The least evidence gives
/// ``StartupFailureKind/other``.
///
/// Throws ``McpStartupError/invalidArgument(message:)`` where it is no evidence, such as a negative status.
public func judge(_ evidence: Evidence) throws -> StartupFailure {
    try value(of: McpStartupFFI.judge(evidence: json(of: evidence)))
}

/// Says what a stored credential is worth at `nowMs` (ms since the Unix epoch; now, unless told otherwise).
public func assess(_ facts: CredentialFacts, nowMs: Int64? = nil) throws -> CredentialWorth {
    let nowMs = nowMs ?? Int64(Date().timeIntervalSince1970 * 1000)
    return try value(of: McpStartupFFI.assess(facts: json(of: facts), nowMs: nowMs))
}

/// What to send first with a credential of this worth; `nil`: nothing is stored.
public func firstRequest(_ worth: CredentialWorth?) throws -> FirstRequest {
    try value(of: McpStartupFFI.firstRequest(worth: worth.map(json)))
}

/// Says how a client is authorized at a server, from what is known of it.
///
/// - Parameters:
///   - configured: The configuration carries authorization.
///   - stored: What is stored is worth this; `nil`: nothing is stored.
///   - oauthPublished: Whether the server publishes OAuth; `false` for stdio, `nil` where nobody has asked it: then the answer may be
///     `nil`.
public func authStatus(configured: Bool, stored: CredentialWorth?, oauthPublished: Bool?) throws -> McpAuthStatus? {
    let stored = try stored.map(json)
    return try value(
        of: McpStartupFFI.authStatusOf(configured: configured, stored: stored, oauthPublished: oauthPublished))
}

extension StartupFailure {
    /// What its notification carries: set for the one kind that a sign-in *again* mends.
    public var failureReason: McpServerStartupFailureReason? {
        kind == .reauthenticationRequired ? .reauthenticationRequired : nil
    }
}
