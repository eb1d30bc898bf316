import Foundation
import McpStartupFFI

/// Reads one line of an app-server: `nil` for a well-formed message of another method, and for a blank line.
///
/// Throws ``McpStartupError/decode(kind:field:message:)``, which names the field.
public func decode(_ line: Data) throws -> McpServerStatusUpdatedNotification? {
    let read = McpStartupFFI.decode(line: line)
    if let error = read.error { _ = try value(of: error, as: Done.self) }
    return read.notification.map(McpServerStatusUpdatedNotification.init)
}

/// The same for a line that is a text.
public func decode(_ line: String) throws -> McpServerStatusUpdatedNotification? {
    try decode(Data(line.utf8))
}

/// Reads the bytes of many lines (LF or CRLF; the last one needs no end).
///
/// A bad line is reported with its number, and the others are kept; lines of other methods are passed over.
public func decodeLines(_ lines: Data) -> DecodedLines {
    let read = McpStartupFFI.decodeLines(lines: lines)
    return DecodedLines(
        notifications: read.notifications.map(McpServerStatusUpdatedNotification.init),
        errors: alwaysValue(of: read.errors))
}

/// What the bytes of many lines are.
public struct DecodedLines: Sendable, Hashable {
    /// The notifications, in the order of their lines.
    public let notifications: [McpServerStatusUpdatedNotification]
    /// The bad lines, in order.
    public let errors: [LineError]
}

/// A bad line among many.
public struct LineError: Sendable, Hashable, Decodable {
    /// Its number, from 1; blank lines and lines of other messages count.
    public let line: Int
    /// What is wrong with it, as the error that ``decode(_:)-(Data)`` throws for it.
    public let error: McpStartupError

    private enum CodingKeys: CodingKey {
        case line, error
    }

    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        line = try fields.decode(Int.self, forKey: .line)
        error = try fields.decode(WireDecodeError.self, forKey: .error).error
    }
}
