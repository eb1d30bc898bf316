import Foundation
import XCTest

/// Any JSON value, for comparisons.
indirect enum JSON: Codable {
    case null
    case bool(Bool)
    case integer(Int64)
    case number(Double)
    case text(String)
    case list([JSON])
    case object([String: JSON])

    init(from decoder: any Decoder) throws {
        let value = try decoder.singleValueContainer()
        if value.decodeNil() {
            self = .null
        } else if let bool = try? value.decode(Bool.self) {
            self = .bool(bool)
        } else if let integer = try? value.decode(Int64.self) {
            self = .integer(integer)
        } else if let number = try? value.decode(Double.self) {
            self = .number(number)
        } else if let text = try? value.decode(String.self) {
            self = .text(text)
        } else if let list = try? value.decode([JSON].self) {
            self = .list(list)
        } else {
            self = .object(try value.decode([String: JSON].self))
        }
    }

    func encode(to encoder: any Encoder) throws {
        var value = encoder.singleValueContainer()
        switch self {
        case .null: try value.encodeNil()
        case .bool(let bool): try value.encode(bool)
        case .integer(let integer): try value.encode(integer)
        case .number(let number): try value.encode(number)
        case .text(let text): try value.encode(text)
        case .list(let list): try value.encode(list)
        case .object(let object): try value.encode(object)
        }
    }

    /// Encodes a value.
    init(of value: some Encodable) throws {
        self = try JSONDecoder().decode(JSON.self, from: JSONEncoder().encode(value))
    }

    init(line: String) throws {
        self = try JSONDecoder().decode(JSON.self, from: Data(line.utf8))
    }

    /// Decodes a Swift value.
    func decoded<T: Decodable>(_ type: T.Type = T.self) throws -> T {
        try JSONDecoder().decode(T.self, from: JSONEncoder().encode(self))
    }

    /// The canonical text of the value, for comparing bytes. Swift's `==` treats canonically equivalent strings as equal.
    var canonical: String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return (try? encoder.encode(self)).map { String(decoding: $0, as: UTF8.self) } ?? "?"
    }

    subscript(_ field: String) -> JSON? {
        if case .object(let fields) = self { fields[field] } else { nil }
    }

    var fields: [String: JSON] {
        if case .object(let fields) = self { fields } else { [:] }
    }

    var string: String? {
        if case .text(let text) = self { text } else { nil }
    }

    var list: [JSON] {
        if case .list(let list) = self { list } else { [] }
    }
}

/// An expectation that is not met.
struct Wrong: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}

func equal(_ what: String, _ actual: JSON, _ expected: JSON) throws {
    guard actual.canonical.utf8.elementsEqual(expected.canonical.utf8) else {
        throw Wrong("  \(what)\n    actual \(actual.canonical)\n  expected \(expected.canonical)")
    }
}
