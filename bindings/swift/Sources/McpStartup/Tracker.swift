import Foundation
import McpStartupFFI

/// Collects notifications into the state that a client shows: the state of each server, the servers that require the user to sign in
/// *again*, and the prompts for the user.
///
/// A server is identified by its thread, its environment and its name. There is one prompt for each **environment and name** and episode. An
/// episode begins with the first failure with that reason, and ends with `ready`. The tracker is safe to use from every thread.
public final class StartupTracker: Sendable {
    private let tracker: Tracker

    /// Creates a tracker that keeps at most `limit` servers, by default 10,000. Above the limit, it removes the oldest server whose start
    /// has finished.
    public init(limit: UInt64? = nil) {
        tracker = Tracker(limit: limit)
    }

    /// Applies one notification.
    @discardableResult
    public func apply(_ notification: McpServerStatusUpdatedNotification) -> TrackerUpdate {
        alwaysValue(of: tracker.apply(params: try json(of: notification)))
    }

    /// Applies the bytes of complete lines. Ignores lines of other messages, and reports bad lines by their number.
    ///
    /// This is faster than applying each notification, because it calls the native library once for all lines.
    @discardableResult
    public func apply(lines: Data) -> AppliedLines {
        alwaysValue(of: tracker.applyLines(lines: lines))
    }

    /// Every server, in the order of its first notification.
    public var servers: [TrackedServer] {
        alwaysValue(of: tracker.servers())
    }

    /// Returns the server with this name in this thread and environment, or `nil` if the tracker does not have it.
    public func server(_ name: String, threadId: String? = nil, environmentId: String? = nil) -> TrackedServer? {
        alwaysValue(of: tracker.server(threadId: threadId, environmentId: environmentId, name: name))
    }

    /// The servers that require the user to sign in again, once for each environment and name, in the order in which they began to. The thread
    /// is the one whose failure was the first.
    public var reauthenticationRequired: [ServerKey] {
        alwaysValue(of: tracker.reauthenticationRequired())
    }

    /// Removes the servers of one thread, and returns their number. It does not end an episode.
    @discardableResult
    public func remove(threadId: String) -> Int {
        Int(tracker.remove(threadId: threadId))
    }
}

/// The latest state of one server.
public struct TrackedServer: Sendable, Hashable, Codable {
    /// The thread that the server belongs to, or `nil` if it belongs to the whole app.
    public let threadId: String?
    /// The environment whose configuration contains the server, or `nil` if it belongs to no environment.
    public let environmentId: String?
    /// The name of the server.
    public let name: String
    /// The state of its start.
    public let status: McpServerStartupState
    /// The message of a failure.
    public let error: String?
    /// The reason of the failure, if a client can react to it in a specific way.
    public let failureReason: McpServerStartupFailureReason?
}

/// The changes that one notification made to the tracker.
public struct TrackerUpdate: Sendable, Hashable, Codable {
    /// Whether the state of the server has changed.
    public let changed: Bool
    /// Whether to prompt the user now to sign in to this server again.
    public let prompt: Bool
}

/// The key of a server in a tracker.
public struct ServerKey: Sendable, Hashable, Codable {
    /// The thread that the server belongs to, or `nil` if it belongs to the whole app.
    public let threadId: String?
    /// The environment whose configuration contains the server, or `nil` if it belongs to no environment.
    public let environmentId: String?
    /// The name of the server.
    public let name: String
}

/// The changes that many lines made to the tracker.
public struct AppliedLines: Sendable, Hashable, Decodable {
    /// The number of lines with this notification.
    public let notifications: Int
    /// The servers whose state has changed, each once, in the order of their first change.
    public let changed: [ServerKey]
    /// The servers to prompt the user for now, in order. The thread is the one whose failure led to the prompt.
    public let prompts: [ServerKey]
    /// The bad lines.
    public let errors: [LineError]
}
