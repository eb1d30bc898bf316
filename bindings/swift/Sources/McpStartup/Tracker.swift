import Foundation
import McpStartupFFI

/// Folds notifications into what a client shows: the state of each server, which ones want a sign-in *again*, and when to ask the user.
///
/// The user is asked once per **name** and episode, which begins at the first failure with that reason and ends at `ready`. Any thread
/// may use it.
public final class StartupTracker: Sendable {
    private let tracker: Tracker

    /// One that holds at most `limit` servers (10,000 unless told otherwise); the oldest finished is forgotten first.
    public init(limit: UInt64? = nil) {
        tracker = Tracker(limit: limit)
    }

    /// Takes one notification.
    @discardableResult
    public func apply(_ notification: McpServerStatusUpdatedNotification) -> TrackerUpdate {
        alwaysValue(of: tracker.apply(params: try json(of: notification)))
    }

    /// Takes the bytes of whole lines: what crosses the border of the languages does so once for all of them. Lines of other messages
    /// are passed over, bad ones reported by number.
    @discardableResult
    public func apply(lines: Data) -> AppliedLines {
        alwaysValue(of: tracker.applyLines(lines: lines))
    }

    /// Every server, in the order in which they were first heard of.
    public var servers: [TrackedServer] {
        alwaysValue(of: tracker.servers())
    }

    /// One server.
    public func server(_ name: String, threadId: String? = nil) -> TrackedServer? {
        alwaysValue(of: tracker.server(threadId: threadId, name: name))
    }

    /// The names of the servers that want a sign-in again, in the order in which that began.
    public var reauthenticationRequired: [String] {
        tracker.reauthenticationRequired()
    }

    /// Forgets the servers of one thread, and says how many there were. An episode goes on.
    @discardableResult
    public func remove(threadId: String) -> Int {
        Int(tracker.remove(threadId: threadId))
    }
}

/// One server as a client shows it: the latest of what was said about a ``ServerKey``.
public struct TrackedServer: Sendable, Hashable, Codable {
    /// The thread whose server it is; `nil` where it belongs to the whole app.
    public let threadId: String?
    /// Its name.
    public let name: String
    /// Its state.
    public let status: McpServerStartupState
    /// The sentence that came with a failure.
    public let error: String?
    /// Why it failed, where a client can do something about it.
    public let failureReason: McpServerStartupFailureReason?
}

/// What one notification did to the tracker.
public struct TrackerUpdate: Sendable, Hashable, Codable {
    /// Something that a client shows is different now.
    public let changed: Bool
    /// The user is to be asked, now, to sign in again to this server.
    public let prompt: Bool
}

/// Which server of a tracker.
public struct ServerKey: Sendable, Hashable {
    /// The thread whose server it is; `nil` where it belongs to the whole app.
    public let threadId: String?
    /// Its name.
    public let name: String
}

extension ServerKey: Decodable {
    /// On the wire it is a pair.
    public init(from decoder: any Decoder) throws {
        var pair = try decoder.unkeyedContainer()
        threadId = try pair.decode(String?.self)
        name = try pair.decode(String.self)
    }
}

/// What the bytes of many lines did to the tracker.
public struct AppliedLines: Sendable, Hashable, Decodable {
    /// How many lines were notifications of ours.
    public let notifications: Int
    /// The servers that are different now, each once, in the order of their first change.
    public let changed: [ServerKey]
    /// The names of the servers to ask the user about, now, in order.
    public let prompts: [String]
    /// The bad lines.
    public let errors: [LineError]
}
