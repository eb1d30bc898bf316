import Foundation
import McpStartup
import XCTest

/// The data files of `tests/vectors`, which every language runs: here in Swift.
///
/// Each prints how many cases it ran, names every case that failed with what it got and what was wanted, and has run as many as the file
/// holds.
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

    func testEveryFileOfVectorsIsRun() throws {
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
            XCTAssert(names.insert(name).inserted, "\(file): \(name): stands twice")
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
    if !unknown.isEmpty { throw Wrong("the case itself is wrong: \(unknown)") }
}

private func bytes(_ vector: JSON, _ text: String) throws -> Data {
    switch (vector[text]?.string, vector["hex"]?.string) {
    case (let text?, nil):
        return Data(text.utf8)
    case (nil, let hex?):
        let digits = Array(hex)
        return Data(
            try stride(from: 0, to: digits.count, by: 2).map { at in
                guard let byte = UInt8(String(digits[at..<at + 2]), radix: 16) else { throw Wrong("no hex: \(hex)") }
                return byte
            })
    default:
        throw Wrong("the case itself is wrong: either \(text) or hex")
    }
}

private func texts(_ texts: [String]) -> JSON {
    .list(texts.map(JSON.text))
}

/// The properties of a notification, read one by one, under their names on the wire.
private func params(_ notification: McpServerStatusUpdatedNotification?) -> JSON {
    guard let said = notification else { return .null }
    return .object([
        "threadId": said.threadId.map(JSON.text) ?? .null,
        "name": .text(said.name),
        "status": .text(said.status.wire),
        "error": said.error.map(JSON.text) ?? .null,
        "failureReason": said.failureReason.map { .text($0.wire) } ?? .null,
    ])
}

private func params(_ server: TrackedServer?) -> JSON {
    guard let server else { return .null }
    return .object([
        "threadId": server.threadId.map(JSON.text) ?? .null,
        "name": .text(server.name),
        "status": .text(server.status.wire),
        "error": server.error.map(JSON.text) ?? .null,
        "failureReason": server.failureReason.map { .text($0.wire) } ?? .null,
    ])
}

private func errorIs(_ got: any Error, _ wanted: JSON) throws {
    guard case McpStartupError.decode(let kind, let field, let message) = got else { throw got }
    try equal("field", field.map(JSON.text) ?? .null, wanted["field"] ?? .null)
    // Left out, or null, where the design does not tell two kinds apart.
    if let wantedKind = wanted["kind"]?.string {
        try equal("kind", .text(kind.rawValue), .text(wantedKind))
    }
    if let field = wanted["field"]?.string, !message.contains(field) {
        throw Wrong("  message does not name \(field): \(message)")
    }
}

private func errorsAre(_ got: [LineError], _ wanted: [JSON]) throws {
    let numbers = wanted.map { $0["line"] ?? .null }
    try equal("numbers of the bad lines", .list(got.map { .integer(Int64($0.line)) }), .list(numbers))
    for (error, wanted) in zip(got, wanted) { try errorIs(error.error, wanted) }
}

@Sendable private func checkDecode(_ vector: JSON) throws {
    try only(vector, "line", "hex", "notification", "encoded", "error")
    let line = try bytes(vector, "line")
    let read = Result { try decode(line) }
    switch (read, vector["notification"], vector["error"]) {
    case (.success(let got), let wanted?, nil):
        try equal("notification", params(got), wanted)
        if let encoded = vector["encoded"], let got {
            try equal("encoded", .text(got.encode()), encoded)
            // The same by its `Codable`.
            try equal("as JSON", try JSON(of: got), wanted)
            try equal("read from JSON", params(try wanted.decoded() as McpServerStatusUpdatedNotification), wanted)
        }
    case (.failure(let error), nil, let wanted?):
        try errorIs(error, wanted)
    case (_, nil, nil), (_, _?, _?):
        throw Wrong("the case itself is wrong: either a notification or an error")
    default:
        throw Wrong("     got \(read)\n  wanted \(vector.canonical)")
    }
}

@Sendable private func checkEncode(_ vector: JSON) throws {
    try only(vector, "constructor", "server", "threadId", "error", "line")
    guard let server = vector["server"]?.string, let line = vector["line"]?.string else {
        throw Wrong("the case itself is wrong")
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
        default: throw Wrong("the case itself is wrong: its constructor")
        }
    try equal("line", .text(built.encode()), .text(line))
    try equal("read again", params(try decode(line)), params(built))
}

@Sendable private func checkLines(_ vector: JSON) throws {
    try only(vector, "text", "hex", "notifications", "errors")
    let lines = try bytes(vector, "text")
    let (wanted, errors) = (vector["notifications"]?.list ?? [], vector["errors"]?.list ?? [])
    let got = decodeLines(lines)
    try equal("notifications", .list(got.notifications.map { params($0) }), .list(wanted))
    try errorsAre(got.errors, errors)
    let applied = StartupTracker().apply(lines: lines)
    try errorsAre(applied.errors, errors)
    try equal(
        "notifications that the tracker counted", .integer(Int64(applied.notifications)), .integer(Int64(wanted.count)))
}

@Sendable private func checkTracker(_ vector: JSON) throws {
    try only(vector, "limit", "steps")
    let tracker = StartupTracker(limit: try vector["limit"]?.decoded())
    for (number, step) in (vector["steps"]?.list ?? []).enumerated() {
        do {
            try take(step, tracker)
        } catch {
            throw Wrong("  step \(number + 1)\n\(error)")
        }
    }
}

private func take(_ step: JSON, _ tracker: StartupTracker) throws {
    if let lines = step["lines"] {
        try only(
            step, "lines", "notifications", "changed", "prompts", "errors", "servers", "reauthenticationRequired")
        let lines = lines.list.compactMap(\.string).joined(separator: "\n")
        let applied = tracker.apply(lines: Data(lines.utf8))
        let changed = applied.changed.map { JSON.list([$0.threadId.map(JSON.text) ?? .null, .text($0.name)]) }
        try equal("notifications", .integer(Int64(applied.notifications)), step["notifications"] ?? .null)
        try equal("changed", .list(changed), step["changed"] ?? .null)
        try equal("prompts", texts(applied.prompts), step["prompts"] ?? .null)
        try equal("errors", .list(applied.errors.map { .integer(Int64($0.line)) }), step["errors"] ?? .null)
    } else {
        try only(step, "remove", "removed", "servers", "reauthenticationRequired")
        guard let thread = step["remove"]?.string else { throw Wrong("the case itself is wrong: lines or remove") }
        try equal("removed", .integer(Int64(tracker.remove(threadId: thread))), step["removed"] ?? .null)
    }
    if let servers = step["servers"] {
        try equal("servers", .list(tracker.servers.map { params($0) }), servers)
        for server in tracker.servers {
            try equal("server", params(tracker.server(server.name, threadId: server.threadId)), params(server))
        }
    }
    if let wanted = step["reauthenticationRequired"] {
        try equal("reauthenticationRequired", texts(tracker.reauthenticationRequired), wanted)
    }
}

@Sendable private func checkAssess(_ vector: JSON) throws {
    try only(
        vector, "facts", "nowMs", "configured", "oauthPublished", "worth", "firstRequest", "authStatus")
    guard let facts = vector["facts"], let nowMs: Int64 = try vector["nowMs"]?.decoded(),
        let configured: Bool = try vector["configured"]?.decoded(), let published = vector["oauthPublished"]
    else { throw Wrong("the case itself is wrong") }
    let worth = try (facts.decoded() as CredentialFacts?).map { try assess($0, nowMs: nowMs) }
    try equal("worth", try worth.map { try JSON(of: $0) } ?? .null, vector["worth"] ?? .null)
    // Null where the configuration carries the authorization, and nobody asks.
    if let wanted = vector["firstRequest"]?.string {
        try equal("firstRequest", .text(try firstRequest(worth).rawValue), .text(wanted))
    }
    let status = try authStatus(configured: configured, stored: worth, oauthPublished: published.decoded())
    try equal("authStatus", status.map { .text($0.rawValue) } ?? .null, vector["authStatus"] ?? .null)
}

@Sendable private func checkJudge(_ vector: JSON) throws {
    try only(vector, "evidence", "kind", "recovery", "failureReason", "messageContains")
    guard let evidence = vector["evidence"] else { throw Wrong("the case itself is wrong: no evidence") }
    let failure = try judge(evidence.decoded())
    // Nothing of it was lost on the way in or out. That there were no requests is written, or left out.
    func written(_ evidence: JSON) -> JSON {
        .object(evidence.fields.filter { $0.key != "requests" || !$0.value.list.isEmpty })
    }
    try equal("evidence", written(try JSON(of: failure.evidence)), written(evidence))
    // Left out, with the recovery, where only the reason follows from the design.
    if let kind = vector["kind"] {
        try equal("kind", .text(failure.kind.rawValue), kind)
        try equal("recovery", .text(failure.recovery.rawValue), vector["recovery"] ?? .null)
    }
    let said = try McpServerStatusUpdatedNotification(name: "linear", failure: failure)
    try equal("failureReason", said.failureReason.map { .text($0.wire) } ?? .null, vector["failureReason"] ?? .null)
    try equal("error", said.error.map(JSON.text) ?? .null, .text(failure.message))
    let letters = failure.message.unicodeScalars
    if letters.isEmpty || letters.count > 300 {
        throw Wrong("  message of \(letters.count) characters: \(failure.message)")
    }
    if letters.contains(where: { $0.properties.generalCategory == .control }) {
        throw Wrong("  control characters in the message: \(failure.message)")
    }
    for part in vector["messageContains"]?.list.compactMap(\.string) ?? []
    where !failure.message.contains(part) {
        throw Wrong("  message without \(part): \(failure.message)")
    }
}
