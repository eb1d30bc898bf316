import Foundation

/// Anything that this package throws, besides `CancellationError`.
///
/// Each case has a `message` for a person. Decide by the case and its `kind`, which are stable, and never by the message.
public enum McpStartupError: Error, Sendable, Hashable {
    /// A line is no message of ours and no other well-formed message either. `field`: the one it is about, as a path such as
    /// `params.name`.
    case decode(kind: DecodeErrorKind, field: String?, message: String)
    /// There is no such configuration, it can't be read, or it has no such server. `kind`: `notFound`, `notAFile`, `unreadable`,
    /// `tooLarge`, `notUtf8`, `syntax`, `notAConfiguration` or `unknownServer`; `line`: from 1; `key`: as a path in the file.
    case configuration(kind: String, path: String, line: Int?, key: String?, message: String)
    /// A sign-in or a sign-out failed. What was stored before is stored still. `kind`: `notOffered`, `unavailable`, `misconfigured`,
    /// `pkceNotOffered`, `noClient`, `invalidCallback`, `denied`, `expired`, `used`, `invalidPending`, `storeFailed` or
    /// `invalidConfiguration`.
    case signIn(kind: String, message: String)
    /// A server can't be used: the verdict.
    case failure(StartupFailure)
    /// A credential store does not do what it must.
    case credentialStore(message: String)
    /// What was asked for makes no sense.
    case invalidArgument(message: String)
    /// No request can be sent from this process.
    case client(message: String)
    /// The process was forked from one in which the engine runs, and has none of its threads.
    case forked(message: String)
    /// An error of this package's own.
    case `internal`(message: String)

    /// A sentence for a person.
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

// MARK: - What the library below answers

/// What an answer of the library below holds: `{"ok":…}`, or its error, thrown.
func value<T: Decodable>(of answer: String, as type: T.Type = T.self) throws -> T {
    do {
        return try JSONDecoder().decode(Answer<T>.self, from: Data(answer.utf8)).result.get()
    } catch let error as DecodingError {
        // The two are of one version, so this says that they are not.
        throw McpStartupError.internal(message: "an answer of another version of the library: \(error)")
    }
}

/// The same, of a call that has no error.
func alwaysValue<T: Decodable>(of answer: @autoclosure () throws -> String) -> T {
    do {
        return try value(of: answer())
    } catch {
        preconditionFailure("\(error)")
    }
}

/// JSON for the library below.
func json(of value: some Encodable) throws -> String {
    String(decoding: try JSONEncoder().encode(value), as: UTF8.self)
}

/// An answer that says nothing but that it is done.
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

/// Why a line could not be read, as the library below writes it.
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
