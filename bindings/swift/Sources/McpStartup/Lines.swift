import Foundation
import McpStartupFFI

/// Decodes one line of an app-server.
///
/// - Returns: The notification, or `nil` for a blank line or a well-formed message of another method.
/// - Throws: ``McpStartupError/decode(kind:field:message:)``, which names the field.
public func decode(_ line: Data) throws -> McpServerStatusUpdatedNotification? {
    let read = McpStartupFFI.decode(line: line)
    if let error = read.error { _ = try value(of: error, as: Done.self) }
    return read.notification.map(McpServerStatusUpdatedNotification.init)
}

/// Decodes one line of an app-server.
///
/// - Returns: The notification, or `nil` for a blank line or a well-formed message of another method.
/// - Throws: ``McpStartupError/decode(kind:field:message:)``, which names the field.
public func decode(_ line: String) throws -> McpServerStatusUpdatedNotification? {
    try decode(Data(line.utf8))
}

/// Decodes many lines. They end with LF or CRLF; the last line needs no line break.
///
/// A bad line is reported with its number and does not affect the other lines. Messages of other methods are ignored.
public func decodeLines(_ lines: Data) -> DecodedLines {
    let read = McpStartupFFI.decodeLines(lines: lines)
    return DecodedLines(
        notifications: read.notifications.map(McpServerStatusUpdatedNotification.init),
        errors: alwaysValue(of: read.errors))
}

/// The notifications and the bad lines in many lines.
public struct DecodedLines: Sendable, Hashable {
    /// The notifications, in the order of their lines.
    public let notifications: [McpServerStatusUpdatedNotification]
    /// The bad lines, in order.
    public let errors: [LineError]
}

/// A line that could not be decoded.
public struct LineError: Sendable, Hashable, Decodable {
    /// The number of the line, counted from 1. Blank lines and lines of other messages count.
    public let line: Int
    /// The error that ``decode(_:)-(Data)`` throws for this line.
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
