import Foundation
import McpStartupFFI

/// The params of the notification `mcpServer/startupStatus/updated`: the state of one server's start has changed.
///
/// What can be built here is what may be written: a failure reason stands on ``McpServerStartupState/failed`` and on nothing else. Only
/// reading makes one with a value that this version does not know. As `Codable` it is the wire's JSON: five fields, nulls written out.
public struct McpServerStatusUpdatedNotification: Sendable, Hashable {
    /// The method of the notification.
    public static let method = "mcpServer/startupStatus/updated"

    /// The thread whose server this is; `nil` where the server belongs to the whole app.
    public let threadId: String?
    /// The name of the server, as the user configured it.
    public let name: String
    /// The state that the start has come to.
    public let status: McpServerStartupState
    /// A sentence for a person, on a failed start.
    public let error: String?
    /// Why the start failed, where a client can do something specific about it.
    public let failureReason: McpServerStartupFailureReason?

    private init(
        _ name: String, _ status: McpServerStartupState, threadId: String?, error: String? = nil,
        failureReason: McpServerStartupFailureReason? = nil
    ) {
        self.threadId = threadId
        self.name = name
        self.status = status
        self.error = error
        self.failureReason = failureReason
    }

    /// What the library below has read.
    init(_ said: Said) {
        self.init(
            said.name, McpServerStartupState(wire: said.status), threadId: said.threadId, error: said.error,
            failureReason: said.failureReason.map(McpServerStartupFailureReason.init(wire:)))
    }

    /// The start of `name` has begun.
    public static func starting(_ name: String, threadId: String? = nil) -> Self {
        Self(name, .starting, threadId: threadId)
    }

    /// `name` can be used.
    public static func ready(_ name: String, threadId: String? = nil) -> Self {
        Self(name, .ready, threadId: threadId)
    }

    /// The start of `name` was given up by the host.
    public static func cancelled(_ name: String, threadId: String? = nil) -> Self {
        Self(name, .cancelled, threadId: threadId)
    }

    /// The start of `name` failed for a reason that no new sign-in mends. `error` is a sentence for a person.
    public static func failed(_ name: String, error: String, threadId: String? = nil) -> Self {
        Self(name, .failed, threadId: threadId, error: error)
    }

    /// The start of `name` failed because what is stored for it is spent: the user has to sign in **again**.
    ///
    /// To be said only when that is certain; ``init(name:failure:threadId:)`` says it exactly then.
    public static func reauthenticationRequired(_ name: String, error: String, threadId: String? = nil) -> Self {
        Self(name, .failed, threadId: threadId, error: error, failureReason: .reauthenticationRequired)
    }

    /// What a verdict says on the wire: its message as the error, and its reason, if it has one.
    ///
    /// It is judged anew by the evidence in it: a verdict that somebody built by hand says nothing else than ``judge(_:)`` would.
    public init(name: String, failure: StartupFailure, threadId: String? = nil) throws {
        let failure = try judge(failure.evidence)
        self.init(
            name, .failed, threadId: threadId, error: failure.message, failureReason: failure.failureReason)
    }

    /// The whole notification as one line of JSON, without the line's end.
    public func encode() -> String {
        alwaysValue(of: McpStartupFFI.encode(params: try json(of: self)))
    }
}

extension McpServerStatusUpdatedNotification: Codable {
    private enum CodingKeys: String, CodingKey {
        case threadId, name, status, error, failureReason
    }

    /// Reads the params. What they must be is decided by the one decoder that every language has.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        var params: [CodingKeys: String] = [:]
        for key in [CodingKeys.threadId, .name, .status, .error, .failureReason] {
            params[key] = try fields.decodeIfPresent(String.self, forKey: key)
        }
        let line = try json(of: Message(params: Dictionary(uniqueKeysWithValues: params.map { ($0.rawValue, $1) })))
        guard let read = try McpStartup.decode(line) else {
            throw McpStartupError.internal(message: "a notification is none")
        }
        self = read
    }

    /// Writes the five fields.
    public func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(threadId, forKey: .threadId)
        try fields.encode(name, forKey: .name)
        try fields.encode(status, forKey: .status)
        try fields.encode(error, forKey: .error)
        try fields.encode(failureReason, forKey: .failureReason)
    }

    private struct Message: Encodable {
        let method = McpServerStatusUpdatedNotification.method
        let params: [String: String]
    }
}
