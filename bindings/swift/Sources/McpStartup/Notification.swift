import Foundation
import McpStartupFFI

/// The params of the notification `mcpServer/startupStatus/updated`, which reports a change of the state of one server's start.
///
/// You can create only valid notifications: the failure reason is set only together with ``McpServerStartupState/failed``. A state or a
/// reason that this version does not know, and an environment, occur only in decoded notifications. The `Codable` form is the JSON of the
/// wire, with all five fields; absent values are `null`. It has `environmentId` only if the decoded line has it.
public struct McpServerStatusUpdatedNotification: Sendable, Hashable {
    /// The JSON-RPC method of the notification.
    public static let method = "mcpServer/startupStatus/updated"

    /// The thread that the server belongs to, or `nil` if it belongs to the whole app.
    public let threadId: String?
    /// The name of the server, as the user configured it.
    public let name: String
    /// The environment whose configuration contains the server, or `nil` if it belongs to no environment. Codex writes it since 0.171.
    public let environmentId: String?
    /// Whether the decoded line has an environment, also if it is null. It is then encoded again.
    private let hasEnvironmentId: Bool
    /// The state of the start.
    public let status: McpServerStartupState
    /// A human-readable message. Set only on a failed start.
    public let error: String?
    /// The reason of the failure, if a client can react to it in a specific way.
    public let failureReason: McpServerStartupFailureReason?

    private init(
        _ name: String, _ status: McpServerStartupState, threadId: String?, error: String? = nil,
        failureReason: McpServerStartupFailureReason? = nil, environmentId: String?? = .none
    ) {
        self.threadId = threadId
        self.name = name
        self.environmentId = environmentId ?? nil
        self.hasEnvironmentId = environmentId != nil
        self.status = status
        self.error = error
        self.failureReason = failureReason
    }

    /// Converts the fields that the native library has decoded.
    init(_ fields: NotificationFields) {
        self.init(
            fields.name, McpServerStartupState(wire: fields.status), threadId: fields.threadId, error: fields.error,
            failureReason: fields.failureReason.map(McpServerStartupFailureReason.init(wire:)),
            environmentId: fields.hasEnvironmentId ? .some(fields.environmentId) : .none)
    }

    /// Creates a notification that the start of `name` has begun.
    public static func starting(_ name: String, threadId: String? = nil) -> Self {
        Self(name, .starting, threadId: threadId)
    }

    /// Creates a notification that `name` is ready for use.
    public static func ready(_ name: String, threadId: String? = nil) -> Self {
        Self(name, .ready, threadId: threadId)
    }

    /// Creates a notification that the host has cancelled the start of `name`.
    public static func cancelled(_ name: String, threadId: String? = nil) -> Self {
        Self(name, .cancelled, threadId: threadId)
    }

    /// Creates a notification that the start of `name` failed, and that signing in again does not help.
    ///
    /// - Parameter error: A human-readable message.
    public static func failed(_ name: String, error: String, threadId: String? = nil) -> Self {
        Self(name, .failed, threadId: threadId, error: error)
    }

    /// Creates a notification that the start of `name` failed because the stored credential can no longer be used: the user has to sign
    /// in **again**.
    ///
    /// Send it only if this is certain. ``init(name:failure:threadId:)`` decides that for you.
    ///
    /// - Parameter error: A human-readable message.
    public static func reauthenticationRequired(_ name: String, error: String, threadId: String? = nil) -> Self {
        Self(name, .failed, threadId: threadId, error: error, failureReason: .reauthenticationRequired)
    }

    /// Creates the notification of a verdict: the message of the verdict is the error, and the reason is set if the verdict has one.
    ///
    /// Uses only the evidence of the verdict and judges it again. If you have built a verdict by hand, its other fields have no effect.
    public init(name: String, failure: StartupFailure, threadId: String? = nil) throws {
        let failure = try judge(failure.evidence)
        self.init(
            name, .failed, threadId: threadId, error: failure.message, failureReason: failure.failureReason)
    }

    /// Returns the whole notification as one line of JSON, without a line break.
    public func encode() -> String {
        alwaysValue(of: McpStartupFFI.encode(params: try json(of: self)))
    }
}

extension McpServerStatusUpdatedNotification: Codable {
    private enum CodingKeys: String, CodingKey {
        case threadId, name, environmentId, status, error, failureReason
    }

    /// Decodes the params with the same rules as ``decode(_:)-(Data)``.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        var params: [String: String?] = [:]
        for key in [CodingKeys.threadId, .name, .environmentId, .status, .error, .failureReason] where fields.contains(key) {
            params.updateValue(try fields.decodeIfPresent(String.self, forKey: key), forKey: key.rawValue)
        }
        let line = try json(of: Message(params: params))
        guard let read = try McpStartup.decode(line) else {
            throw McpStartupError.internal(message: "the params of a notification could not be decoded")
        }
        self = read
    }

    /// Encodes the five fields, and the environment if the decoded line has it.
    public func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(threadId, forKey: .threadId)
        try fields.encode(name, forKey: .name)
        if hasEnvironmentId { try fields.encode(environmentId, forKey: .environmentId) }
        try fields.encode(status, forKey: .status)
        try fields.encode(error, forKey: .error)
        try fields.encode(failureReason, forKey: .failureReason)
    }

    private struct Message: Encodable {
        let method = McpServerStatusUpdatedNotification.method
        let params: [String: String?]
    }
}
