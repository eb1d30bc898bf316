import Foundation

/// The error that the functions of this package throw. The only other errors are `CancellationError`, and those of the system that
/// `URLSession`, ``FileLock`` and a ``CredentialStore`` throw.
///
/// Each case has a human-readable ``message``, which may change. In code, decide by the case and its `kind`, which are stable. A server
/// that fails to start is not an error: it is an event.
public enum McpStartupError: Error, Sendable, Hashable {
    /// A line is not a well-formed JSON-RPC message, or its notification has a missing or invalid field. `field` is the path of that
    /// field, such as `params.name`.
    case decode(kind: DecodeErrorKind, field: String?, message: String)
    /// The configuration does not exist or can't be read, or it has no server with the requested name. `kind` is `notFound`, `notAFile`,
    /// `unreadable`, `tooLarge`, `notUtf8`, `syntax`, `notAConfiguration` or `unknownServer`. `line` counts from 1. `key` is a path in
    /// the file.
    case configuration(kind: String, path: String, line: Int?, key: String?, message: String)
    /// A sign-in or a sign-out failed. The stored credentials are unchanged. `kind` is `notOffered`, `unavailable`, `misconfigured`,
    /// `pkceNotOffered`, `noClient`, `invalidCallback`, `denied`, `expired`, `used`, `invalidPending`, `storeFailed` or
    /// `invalidConfiguration`.
    case signIn(kind: String, message: String)
    /// A server can't be used. Contains the verdict.
    case failure(StartupFailure)
    /// A credential store does not meet a guarantee of ``CredentialStore``.
    case credentialStore(message: String)
    /// An argument is invalid.
    case invalidArgument(message: String)
    /// This process can't send requests.
    case client(message: String)
    /// The process was forked after mcp-startup had been used. The child process can't use it.
    case forked(message: String)
    /// An internal error in mcp-startup.
    case `internal`(message: String)

    /// A human-readable message.
    public var message: String {
        switch self {
        case .decode(_, _, let message), .configuration(_, _, _, _, let message), .signIn(_, let message),
            .credentialStore(let message), .invalidArgument(let message), .client(let message),
            .forked(let message), .internal(let message):
            message
        case .failure(let failure):
            failure.message
        }
    }
}

extension McpStartupError: LocalizedError {
    public var errorDescription: String? { message }
}

// MARK: - Answers of the native library

/// Decodes an answer of the native library. Returns the value of `{"ok":…}`, and throws the error of `{"error":…}`.
func value<T: Decodable>(of answer: String, as type: T.Type = T.self) throws -> T {
    do {
        return try JSONDecoder().decode(Answer<T>.self, from: Data(answer.utf8)).result.get()
    } catch let error as DecodingError {
        // Both parts have the same version, so this happens only if they do not match.
        throw McpStartupError.internal(message: "the native library and the Swift package have different versions: \(error)")
    }
}

/// Decodes an answer of a call that cannot fail.
func alwaysValue<T: Decodable>(of answer: @autoclosure () throws -> String) -> T {
    do {
        return try value(of: answer())
    } catch {
        preconditionFailure("\(error)")
    }
}

/// Encodes a value as JSON for the native library.
func json(of value: some Encodable) throws -> String {
    String(decoding: try JSONEncoder().encode(value), as: UTF8.self)
}

/// An answer without a value.
struct Done: Decodable {
    init(from decoder: any Decoder) {}
}

private struct Answer<T: Decodable>: Decodable {
    let result: Result<T, McpStartupError>

    private enum CodingKeys: CodingKey {
        case ok, error
    }

    init(from decoder: any Decoder) throws {
        let answer = try decoder.container(keyedBy: CodingKeys.self)
        result =
            answer.contains(.error)
            ? .failure(try answer.decode(WireError.self, forKey: .error).error)
            : .success(try answer.decode(T.self, forKey: .ok))
    }
}

/// A decode error, in the JSON form of the native library.
struct WireDecodeError: Decodable {
    let error: McpStartupError

    private enum CodingKeys: CodingKey {
        case kind, field, message
    }

    init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        error = .decode(
            kind: try fields.decode(DecodeErrorKind.self, forKey: .kind),
            field: try fields.decodeIfPresent(String.self, forKey: .field),
            message: try fields.decode(String.self, forKey: .message))
    }
}

private struct WireError: Decodable {
    let error: McpStartupError

    private enum CodingKeys: CodingKey {
        case code, message, kind, path, line, key, failure
    }

    init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        let message = try fields.decode(String.self, forKey: .message)
        switch try fields.decode(String.self, forKey: .code) {
        case "decode":
            error = try WireDecodeError(from: decoder).error
        case "configuration":
            error = .configuration(
                kind: try fields.decode(String.self, forKey: .kind),
                path: try fields.decode(String.self, forKey: .path),
                line: try fields.decodeIfPresent(Int.self, forKey: .line),
                key: try fields.decodeIfPresent(String.self, forKey: .key),
                message: message)
        case "signIn":
            error = .signIn(kind: try fields.decode(String.self, forKey: .kind), message: message)
        case "failure":
            error = .failure(try fields.decode(StartupFailure.self, forKey: .failure))
        case "credentialStore": error = .credentialStore(message: message)
        case "invalidArgument": error = .invalidArgument(message: message)
        case "client": error = .client(message: message)
        case "forked": error = .forked(message: message)
        default: error = .internal(message: message)
        }
    }
}
