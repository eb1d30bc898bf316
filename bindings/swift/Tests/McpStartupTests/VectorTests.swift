import Foundation
import McpStartup
import XCTest

/// The data files in `tests/vectors`. Every language runs them.
///
/// Each test runs every case of its file, prints the number of cases, and reports each failed case with the actual and the expected value.
final class VectorTests: XCTestCase {
    private static let checks: [String: @Sendable (JSON) throws -> Void] = [
        "decode.json": checkDecode, "encode.json": checkEncode, "lines.json": checkLines,
        "tracker.json": checkTracker, "assess.json": checkAssess, "judge.json": checkJudge,
    ]

    func testDecode() throws { try run("decode.json") }
    func testEncode() throws { try run("encode.json") }
    func testLines() throws { try run("lines.json") }
    func testTracker() throws { try run("tracker.json") }
    func testAssess() throws { try run("assess.json") }
    func testJudge() throws { try run("judge.json") }

    func testEveryDataFileHasATest() throws {
        let files = try FileManager.default.contentsOfDirectory(atPath: Repository.path("tests/vectors").path)
        XCTAssertEqual(Set(files), Set(Self.checks.keys))
    }

    private func run(_ file: String) throws {
        let check = try XCTUnwrap(Self.checks[file])
        let text = try Data(contentsOf: Repository.path("tests/vectors/\(file)"))
        let cases = try JSONDecoder().decode([JSON].self, from: text)
        var names: Set<String> = []
        var failures: [String] = []
        var ran = 0
        for vector in cases {
            let name = try XCTUnwrap(vector["name"]?.string, "\(file): a case has no name")
            let source = try XCTUnwrap(vector["source"]?.string, "\(file): \(name): no source")
            XCTAssert(names.insert(name).inserted, "\(file): \(name): duplicate name")
            do {
                try check(vector)
            } catch {
                failures.append("\(file): \(name) (\(source))\n\(error)")
            }
            ran += 1
        }
        print("vectors: \(file) \(ran) cases (swift)")
        XCTAssertGreaterThan(ran, 0, "\(file): no cases")
        XCTAssertEqual(ran, cases.count, "\(file): not every case was run")
        XCTAssert(
            failures.isEmpty, "\(failures.count) of \(ran) cases failed\n\n\(failures.joined(separator: "\n\n"))")
    }
}

private func only(_ vector: JSON, _ fields: String...) throws {
    let unknown = Set(vector.fields.keys).subtracting(fields).subtracting(["name", "source"])
    if !unknown.isEmpty { throw Wrong("the case is invalid: unknown fields \(unknown)") }
}

private func bytes(_ vector: JSON, _ text: String) throws -> Data {
    switch (vector[text]?.string, vector["hex"]?.string) {
    case (let text?, nil):
        return Data(text.utf8)
    case (nil, let hex?):
        let digits = Array(hex)
        return Data(
            try stride(from: 0, to: digits.count, by: 2).map { at in
                guard let byte = UInt8(String(digits[at..<at + 2]), radix: 16) else { throw Wrong("not hexadecimal: \(hex)") }
                return byte
            })
    default:
        throw Wrong("the case is invalid: it needs either \(text) or hex")
    }
}

/// Each key as a list of the thread, the environment and the name.
private func keys(_ keys: [ServerKey]) -> JSON {
    .list(
        keys.map { key in
            .list([key.threadId.map(JSON.text) ?? .null, key.environmentId.map(JSON.text) ?? .null, .text(key.name)])
        })
}

/// The properties of a notification, by their names on the wire.
private func params(_ notification: McpServerStatusUpdatedNotification?) -> JSON {
    guard let notification else { return .null }
    var params: [String: JSON] = [
        "threadId": notification.threadId.map(JSON.text) ?? .null,
        "name": .text(notification.name),
        "status": .text(notification.status.wire),
        "error": notification.error.map(JSON.text) ?? .null,
        "failureReason": notification.failureReason.map { .text($0.wire) } ?? .null,
    ]
    // Null if the line has it, and absent otherwise.
    if (try? JSON(of: notification))?.fields.keys.contains("environmentId") == true {
        params["environmentId"] = notification.environmentId.map(JSON.text) ?? .null
    }
    return .object(params)
}

private func params(_ server: TrackedServer?) -> JSON {
    guard let server else { return .null }
    return .object([
        "threadId": server.threadId.map(JSON.text) ?? .null,
        "environmentId": server.environmentId.map(JSON.text) ?? .null,
        "name": .text(server.name),
        "status": .text(server.status.wire),
        "error": server.error.map(JSON.text) ?? .null,
        "failureReason": server.failureReason.map { .text($0.wire) } ?? .null,
    ])
}

private func errorIs(_ actual: any Error, _ expected: JSON) throws {
    guard case McpStartupError.decode(let kind, let field, let message) = actual else { throw actual }
    try equal("field", field.map(JSON.text) ?? .null, expected["field"] ?? .null)
    // Absent or null if the specification does not distinguish two kinds.
    if let expectedKind = expected["kind"]?.string {
        try equal("kind", .text(kind.rawValue), .text(expectedKind))
    }
    if let field = expected["field"]?.string, !message.contains(field) {
        throw Wrong("  the message does not name \(field): \(message)")
    }
}

private func errorsAre(_ actual: [LineError], _ expected: [JSON]) throws {
    let numbers = expected.map { $0["line"] ?? .null }
    try equal("numbers of the bad lines", .list(actual.map { .integer(Int64($0.line)) }), .list(numbers))
    for (error, expected) in zip(actual, expected) { try errorIs(error.error, expected) }
}

@Sendable private func checkDecode(_ vector: JSON) throws {
    try only(vector, "line", "hex", "notification", "encoded", "error")
    let line = try bytes(vector, "line")
    let read = Result { try decode(line) }
    switch (read, vector["notification"], vector["error"]) {
    case (.success(let actual), let expected?, nil):
        try equal("notification", params(actual), expected)
        if let encoded = vector["encoded"], let actual {
            try equal("encoded", .text(actual.encode()), encoded)
            // The conformance to `Codable` follows the same rules.
            try equal("as JSON", try JSON(of: actual), expected)
            try equal("read from JSON", params(try expected.decoded() as McpServerStatusUpdatedNotification), expected)
        }
    case (.failure(let error), nil, let expected?):
        try errorIs(error, expected)
    case (_, nil, nil), (_, _?, _?):
        throw Wrong("the case is invalid: it needs either a notification or an error")
    default:
        throw Wrong("    actual \(read)\n  expected \(vector.canonical)")
    }
}

@Sendable private func checkEncode(_ vector: JSON) throws {
    try only(vector, "constructor", "server", "threadId", "error", "line")
    guard let server = vector["server"]?.string, let line = vector["line"]?.string else {
        throw Wrong("the case is invalid")
    }
    let threadId = vector["threadId"]?.string
    let built: McpServerStatusUpdatedNotification =
        switch (vector["constructor"]?.string, vector["error"]?.string) {
        case ("starting", nil): .starting(server, threadId: threadId)
        case ("ready", nil): .ready(server, threadId: threadId)
        case ("cancelled", nil): .cancelled(server, threadId: threadId)
        case ("failed", let error?): .failed(server, error: error, threadId: threadId)
        case ("reauthenticationRequired", let error?):
            .reauthenticationRequired(server, error: error, threadId: threadId)
        default: throw Wrong("the case is invalid: unknown constructor")
        }
    try equal("line", .text(built.encode()), .text(line))
    try equal("read again", params(try decode(line)), params(built))
}

@Sendable private func checkLines(_ vector: JSON) throws {
    try only(vector, "text", "hex", "notifications", "errors")
    let lines = try bytes(vector, "text")
    let (expected, errors) = (vector["notifications"]?.list ?? [], vector["errors"]?.list ?? [])
    let decoded = decodeLines(lines)
    try equal("notifications", .list(decoded.notifications.map { params($0) }), .list(expected))
    try errorsAre(decoded.errors, errors)
    let applied = StartupTracker().apply(lines: lines)
    try errorsAre(applied.errors, errors)
    try equal(
        "notifications that the tracker counted", .integer(Int64(applied.notifications)), .integer(Int64(expected.count)))
}

@Sendable private func checkTracker(_ vector: JSON) throws {
    try only(vector, "limit", "steps")
    let tracker = StartupTracker(limit: try vector["limit"]?.decoded())
    for (number, step) in (vector["steps"]?.list ?? []).enumerated() {
        do {
            try apply(step, tracker)
        } catch {
            throw Wrong("  step \(number + 1)\n\(error)")
        }
    }
}

private func apply(_ step: JSON, _ tracker: StartupTracker) throws {
    if let lines = step["lines"] {
        try only(
            step, "lines", "notifications", "changed", "prompts", "errors", "servers", "reauthenticationRequired")
        let lines = lines.list.compactMap(\.string).joined(separator: "\n")
        let applied = tracker.apply(lines: Data(lines.utf8))
        try equal("notifications", .integer(Int64(applied.notifications)), step["notifications"] ?? .null)
        try equal("changed", keys(applied.changed), step["changed"] ?? .null)
        try equal("prompts", keys(applied.prompts), step["prompts"] ?? .null)
        try equal("errors", .list(applied.errors.map { .integer(Int64($0.line)) }), step["errors"] ?? .null)
    } else {
        try only(step, "remove", "removed", "servers", "reauthenticationRequired")
        guard let thread = step["remove"]?.string else { throw Wrong("the case is invalid: it needs lines or remove") }
        try equal("removed", .integer(Int64(tracker.remove(threadId: thread))), step["removed"] ?? .null)
    }
    if let servers = step["servers"] {
        try equal("servers", .list(tracker.servers.map { params($0) }), servers)
        for server in tracker.servers {
            try equal("server", params(tracker.server(server.name, threadId: server.threadId, environmentId: server.environmentId)), params(server))
        }
    }
    if let expected = step["reauthenticationRequired"] {
        try equal("reauthenticationRequired", keys(tracker.reauthenticationRequired), expected)
    }
}

@Sendable private func checkAssess(_ vector: JSON) throws {
    try only(
        vector, "facts", "nowMs", "configured", "oauthPublished", "worth", "firstRequest", "authStatus")
    guard let facts = vector["facts"], let nowMs: Int64 = try vector["nowMs"]?.decoded(),
        let configured: Bool = try vector["configured"]?.decoded(), let published = vector["oauthPublished"]
    else { throw Wrong("the case is invalid") }
    let worth = try (facts.decoded() as CredentialFacts?).map { try assess($0, nowMs: nowMs) }
    try equal("worth", try worth.map { try JSON(of: $0) } ?? .null, vector["worth"] ?? .null)
    // Null if the configuration contains the authorization, because `firstRequest` does not apply then.
    if let expected = vector["firstRequest"]?.string {
        try equal("firstRequest", .text(try firstRequest(worth).rawValue), .text(expected))
    }
    let status = try authStatus(configured: configured, stored: worth, oauthPublished: published.decoded())
    try equal("authStatus", status.map { .text($0.rawValue) } ?? .null, vector["authStatus"] ?? .null)
}

@Sendable private func checkJudge(_ vector: JSON) throws {
    try only(
        vector, "evidence", "kind", "recovery", "fallback", "failureReason", "authRequiredReason", "messageContains")
    guard let evidence = vector["evidence"] else { throw Wrong("the case is invalid: no evidence") }
    let failure = try judge(evidence.decoded())
    // The evidence survives the round trip. An empty list of requests may be omitted.
    func written(_ evidence: JSON) -> JSON {
        .object(evidence.fields.filter { !["requests", "configurationWarnings"].contains($0.key) || !$0.value.list.isEmpty })
    }
    try equal("evidence", written(try JSON(of: failure.evidence)), written(evidence))
    if let expected = vector["authRequiredReason"] {
        try equal("authRequiredReason", failure.authRequiredReason.map { .text($0.rawValue) } ?? .null, expected)
    }
    // Absent, together with the recovery, if the specification determines only the reason.
    if let kind = vector["kind"] {
        try equal("kind", .text(failure.kind.rawValue), kind)
        try equal("recovery", .text(failure.recovery.rawValue), vector["recovery"] ?? .null)
        try equal("fallback", failure.fallback.map { .text($0.rawValue) } ?? .null, vector["fallback"] ?? .null)
    }
    let notification = try McpServerStatusUpdatedNotification(name: "linear", failure: failure)
    try equal("failureReason", notification.failureReason.map { .text($0.wire) } ?? .null, vector["failureReason"] ?? .null)
    try equal("error", notification.error.map(JSON.text) ?? .null, .text(failure.message))
    let letters = failure.message.unicodeScalars
    if letters.isEmpty || letters.count > 300 {
        throw Wrong("  the message has \(letters.count) characters: \(failure.message)")
    }
    if letters.contains(where: { $0.properties.generalCategory == .control }) {
        throw Wrong("  control characters in the message: \(failure.message)")
    }
    for part in vector["messageContains"]?.list.compactMap(\.string) ?? []
    where !failure.message.contains(part) {
        throw Wrong("  the message does not contain \(part): \(failure.message)")
    }
}
