// How fast what an app-server writes is followed and read, on lines of Codex's, beside what a Swift program would do instead:
// `JSONDecoder` for each line, and the same fold. Prints one line of JSON: rates in lines a second (medians), how many times faster, and
// the peak of resident memory after the tracker alone (Linux). Only a release build means anything.
//
// What is read stands in chunks of 1 MiB of whole lines, as a reader of a long stream has it; the lines are rounded up to whole copies of
// the fixture.
//
// usage: scripts/swift bench [LINES [ROUNDS]]

import Foundation
import McpStartup

/// The lines, as chunks: one so many times, and then the rest.
struct Lines {
    let count: Int
    private let wholeChunks: Int
    private let whole: Data
    private let rest: Data

    init(_ fixture: Data, wanted: Int) {
        let perCopy = fixture.count { $0 == UInt8(ascii: "\n") }
        let copies = (wanted + perCopy - 1) / perCopy
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

/// What a side has found: notifications of ours, and users to ask.
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
        for said in decodeLines(chunk).notifications {
            fold.apply(
                Params(
                    threadId: said.threadId, name: said.name, status: said.status.wire, error: said.error,
                    failureReason: said.failureReason?.wire))
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

/// The state of each (threadId, name), which of them changed, and one prompt for each name and episode.
struct Fold {
    struct Key: Hashable {
        let threadId: String?
        let name: String
    }

    private(set) var found = Found()
    private var servers: [Key: Params] = [:]
    private var changed: Set<Key> = []
    private var episodes: Set<String> = []

    mutating func apply(_ said: Params) {
        found.notifications += 1
        let key = Key(threadId: said.threadId, name: said.name)
        if servers[key] != said {
            servers[key] = said
            changed.insert(key)
        }
        let again = said.status == "failed" && said.failureReason == "reauthenticationRequired"
        if again && episodes.insert(said.name).inserted { found.prompts += 1 }
        if said.status == "ready" { episodes.remove(said.name) }
    }
}

/// The peak of resident memory so far, where the system says.
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
let (wanted, rounds) = (arguments.first ?? 100_000, arguments.dropFirst().first ?? 5)
let fixture = URL(fileURLWithPath: "tests/fixtures/codex-app-server-0.169.0.jsonl")
let lines = Lines(try Data(contentsOf: fixture), wanted: wanted)

let sides: [(name: String, run: (Lines) throws -> Found)] = [
    ("tracker", withTracker), ("decodeLines", withDecodeLines), ("jsonDecoder", withJSONDecoder),
]
var rates: [String: [Double]] = [:]
var peak: Int?
// The first round warms up, and what the tracker's memory comes to is known after it.
for round in 0...rounds {
    var found: Set<Found> = []
    for (name, run) in sides {
        let began = ContinuousClock.now
        found.insert(try run(lines))
        let took = (ContinuousClock.now - began) / .seconds(1)
        if round > 0 { rates[name, default: []].append(Double(lines.count) / took) }
        peak = peak ?? peakKiB()
    }
    precondition(found.count == 1, "they differ: \(found)")
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
