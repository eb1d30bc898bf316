// Measures the tracker and the decoder on lines of Codex's app-server, compared with `JSONDecoder` for each line and the same tracking in
// Swift. Prints one line of JSON: the median rates in lines per second, the ratios to `JSONDecoder`, and the peak of resident memory after
// the tracker's first run (Linux only). Use a release build.
//
// The input is chunks of complete lines, up to 1 MiB each. The number of lines is rounded up to complete copies of the fixture.
//
// usage: scripts/swift bench [LINES [ROUNDS]]

import Foundation
import McpStartup

/// The lines in chunks: the same chunk several times, and then the rest.
struct Lines {
    let count: Int
    private let wholeChunks: Int
    private let whole: Data
    private let rest: Data

    init(_ fixture: Data, atLeast: Int) {
        let perCopy = fixture.count { $0 == UInt8(ascii: "\n") }
        let copies = (atLeast + perCopy - 1) / perCopy
        let perChunk = (1 << 20) / fixture.count
        func repeated(_ times: Int) -> Data {
            var chunk = Data(capacity: fixture.count * times)
            for _ in 0..<times { chunk.append(fixture) }
            return chunk
        }
        count = copies * perCopy
        wholeChunks = copies / perChunk
        whole = repeated(perChunk)
        rest = repeated(copies % perChunk)
    }

    func forEach(_ take: (Data) throws -> Void) rethrows {
        for _ in 0..<wholeChunks { try take(whole) }
        if !rest.isEmpty { try take(rest) }
    }
}

/// The result of one side: the number of notifications and of prompts.
struct Found: Hashable {
    var notifications = 0
    var prompts = 0
}

func withTracker(_ lines: Lines) -> Found {
    let tracker = StartupTracker()
    var found = Found()
    lines.forEach { chunk in
        let applied = tracker.apply(lines: chunk)
        found.notifications += applied.notifications
        found.prompts += applied.prompts.count
    }
    return found
}

func withDecodeLines(_ lines: Lines) -> Found {
    var fold = Fold()
    lines.forEach { chunk in
        for notification in decodeLines(chunk).notifications {
            fold.apply(
                Params(
                    threadId: notification.threadId, name: notification.name, status: notification.status.wire,
                    error: notification.error, failureReason: notification.failureReason?.wire))
        }
    }
    return fold.found
}

struct Message: Decodable {
    let method: String
    let params: Params
}

struct Params: Decodable, Equatable {
    let threadId: String?
    let name: String
    let status: String
    let error: String?
    let failureReason: String?
}

func withJSONDecoder(_ lines: Lines) throws -> Found {
    let decoder = JSONDecoder()
    var fold = Fold()
    try lines.forEach { chunk in
        for line in chunk.split(separator: UInt8(ascii: "\n")) {
            let message = try decoder.decode(Message.self, from: line)
            if message.method == McpServerStatusUpdatedNotification.method { fold.apply(message.params) }
        }
    }
    return fold.found
}

/// Tracks the state of each (threadId, name), the changed servers, and one prompt for each name and episode.
struct Fold {
    struct Key: Hashable {
        let threadId: String?
        let name: String
    }

    private(set) var found = Found()
    private var servers: [Key: Params] = [:]
    private var changed: Set<Key> = []
    private var episodes: Set<String> = []

    mutating func apply(_ params: Params) {
        found.notifications += 1
        let key = Key(threadId: params.threadId, name: params.name)
        if servers[key] != params {
            servers[key] = params
            changed.insert(key)
        }
        let again = params.status == "failed" && params.failureReason == "reauthenticationRequired"
        if again && episodes.insert(params.name).inserted { found.prompts += 1 }
        if params.status == "ready" { episodes.remove(params.name) }
    }
}

/// The peak of resident memory so far, in KiB, if the system reports it.
func peakKiB() -> Int? {
    let status = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)
    let line = status?.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
    return line.flatMap { Int($0.filter(\.isNumber)) }
}

struct Report: Encodable {
    let lines: Int
    let rounds: Int
    let linesPerSecond: [String: Int]
    let trackerToJSONDecoder: Double
    let decodeLinesToJSONDecoder: Double
    let peakKib: Int?
}

let arguments = CommandLine.arguments.dropFirst().map { Int($0)! }
let (atLeast, rounds) = (arguments.first ?? 100_000, arguments.dropFirst().first ?? 5)
let fixture = URL(fileURLWithPath: "tests/fixtures/codex-app-server-0.169.0.jsonl")
let lines = Lines(try Data(contentsOf: fixture), atLeast: atLeast)

let sides: [(name: String, run: (Lines) throws -> Found)] = [
    ("tracker", withTracker), ("decodeLines", withDecodeLines), ("jsonDecoder", withJSONDecoder),
]
var rates: [String: [Double]] = [:]
var peak: Int?
// The first round warms up. The memory is measured after its first side, the tracker.
for round in 0...rounds {
    var found: Set<Found> = []
    for (name, run) in sides {
        let began = ContinuousClock.now
        found.insert(try run(lines))
        let took = (ContinuousClock.now - began) / .seconds(1)
        if round > 0 { rates[name, default: []].append(Double(lines.count) / took) }
        peak = peak ?? peakKiB()
    }
    precondition(found.count == 1, "the sides have different results: \(found)")
}
let median = rates.mapValues { $0.sorted()[$0.count / 2] }
func ratio(_ name: String) -> Double { (median[name]! / median["jsonDecoder"]! * 100).rounded() / 100 }
let report = Report(
    lines: lines.count, rounds: rounds, linesPerSecond: median.mapValues { Int($0.rounded()) },
    trackerToJSONDecoder: ratio("tracker"), decodeLinesToJSONDecoder: ratio("decodeLines"),
    peakKib: peak)
let encoder = JSONEncoder()
encoder.outputFormatting = .sortedKeys
print(String(decoding: try encoder.encode(report), as: UTF8.self))
