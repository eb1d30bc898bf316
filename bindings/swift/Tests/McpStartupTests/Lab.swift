import Foundation
import McpStartup
import XCTest

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// The servers of `mcp-startup lab`. Each row of `crates/lab/atlas` is one server with its own URL.
final class Lab {
    let base: URL
    private let process = Process()
    private let rows: [String: JSON]

    init() throws {
        let program = ProcessInfo.processInfo.environment["MCP_STARTUP_PROGRAM"]
        process.executableURL = program.map { URL(fileURLWithPath: $0) } ?? Repository.path("target/debug/mcp-startup")
        process.arguments = ["lab"]
        let output = Pipe()
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        try process.run()
        var line = Data()
        while let byte = try output.fileHandleForReading.read(upToCount: 1), !byte.isEmpty, byte != Data("\n".utf8) {
            line += byte
        }
        base = try XCTUnwrap(URL(string: String(decoding: line, as: UTF8.self)), "the lab prints its URL")
        let all = try JSONDecoder().decode([JSON].self, from: Data(contentsOf: base))
        rows = Dictionary(uniqueKeysWithValues: all.compactMap { row in row["name"]?.string.map { ($0, row) } })
    }

    func stop() {
        // The program inherits the signal mask of its thread. The threads of Swift's tasks block most signals.
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    func server(_ name: String) -> Server {
        .http(name: name, url: url(name))
    }

    func url(_ name: String) -> URL {
        base.appendingPathComponent("\(name)/mcp")
    }

    /// The refresh tokens that the token endpoint has received.
    func refreshes(_ name: String) throws -> [String] {
        try requests(name).filter {
            $0["to"]?.string == "token" && $0["parameters"]?["grant_type"]?.string == "refresh_token"
        }.compactMap { $0["token"]?.string }
    }

    func requests(_ name: String) throws -> [JSON] {
        try JSONDecoder().decode([JSON].self, from: Data(contentsOf: base.appendingPathComponent("\(name)/requests")))
    }

    /// The stored record of a row.
    func record(_ name: String) throws -> String? {
        guard let stored = rows[name]?["stored"], case .object = stored else { return nil }
        func text(_ field: String) -> JSON {
            let issuer = base.absoluteString + name
            return (stored[field]?.string?.replacingOccurrences(of: "{issuer}", with: issuer)).map(JSON.text) ?? .null
        }
        let now = Int64(Date().timeIntervalSince1970 * 1000)
        let seconds: Int64? = try stored["expiresInSeconds"]?.decoded()
        let record = JSON.object([
            "server_name": .text(name),
            "server_url": .text(url(name).absoluteString),
            "issuer": text("issuer"),
            "client_id": text("clientId"),
            "access_token": text("accessToken"),
            "expires_at": seconds.map { .integer(now + $0 * 1000) } ?? .null,
            "refresh_token": text("refreshToken"),
            "scopes": stored["scopes"] ?? .null,
        ])
        return record.canonical
    }

    /// A store with the stored records of the rows.
    func store(_ names: String...) throws -> SeededStore {
        var records: [String: String] = [:]
        for name in names { records[name] = try XCTUnwrap(try record(name), "\(name) has no stored record") }
        return SeededStore(records)
    }
}

/// Opens the page of an authorization server that consents immediately. Returns the URL of the redirect.
func comeBack(_ page: URL) async throws -> URL {
    final class Stay: NSObject, URLSessionTaskDelegate {
        func urlSession(
            _ session: URLSession, task: URLSessionTask, willPerformHTTPRedirection response: HTTPURLResponse,
            newRequest request: URLRequest, completionHandler: @escaping @Sendable (URLRequest?) -> Void
        ) {
            completionHandler(nil)
        }
    }
    let session = URLSession(configuration: .ephemeral, delegate: Stay(), delegateQueue: nil)
    defer { session.finishTasksAndInvalidate() }
    let (_, answer) = try await session.data(from: page)
    let http = try XCTUnwrap(answer as? HTTPURLResponse)
    XCTAssertEqual(http.statusCode, 302)
    return try XCTUnwrap(http.value(forHTTPHeaderField: "Location").flatMap(URL.init(string:)))
}

/// A store in memory with initial records by the name of the server. The engine decides the keys.
actor SeededStore: CredentialStore {
    private var seeds: [String: String]
    private(set) var records: [String: String] = [:]
    private(set) var held: Set<String> = []
    private(set) var waiting = 0

    /// The number of stores that exist.
    static let alive = Count()

    init(_ seeds: [String: String] = [:]) {
        self.seeds = seeds
        Self.alive.add(1)
    }

    deinit {
        Self.alive.add(-1)
    }

    func load(_ key: String) -> String? {
        if let name = key.split(separator: "|").first, let seed = seeds.removeValue(forKey: String(name)) {
            records[key] = seed
        }
        return records[key]
    }

    func replace(_ key: String, expected: String?, with new: String?) -> Bool {
        guard records[key] == expected else { return false }
        records[key] = new
        return true
    }

    func lock(_ key: String) async throws -> any CredentialLock {
        waiting += 1
        defer { waiting -= 1 }
        while !held.insert(key).inserted { try await Task.sleep(for: .milliseconds(2)) }
        return Held(store: self, key: key)
    }

    /// The record of a server.
    func record(_ name: String) throws -> JSON? {
        try records.first { $0.key.hasPrefix("\(name)|") }.map { try JSON(line: $0.value) }
    }

    struct Held: CredentialLock {
        let store: SeededStore
        let key: String

        func release() async { await store.unlock(key) }
    }

    private func unlock(_ key: String) {
        held.remove(key)
    }
}

/// A counter that is safe to use from every thread.
final class Count: @unchecked Sendable {
    private let lock = NSLock()
    private var number = 0

    func add(_ more: Int) { lock.withLock { number += more } }

    var value: Int { lock.withLock { number } }
}

/// Waits until a condition is true, at most 30 s.
func eventually(_ what: String, _ holds: () async throws -> Bool) async throws {
    for _ in 0..<3000 {
        if try await holds() { return }
        try await Task.sleep(for: .milliseconds(10))
    }
    throw Wrong("not within 30 s: \(what)")
}

/// Reads all events of a check. Returns the last event of each server by name.
func outcomes(_ check: StartupCheck) async throws -> [String: StartupEvent] {
    var last: [String: StartupEvent] = [:]
    for try await event in check {
        let status = event.notification.status
        XCTAssertEqual(last[event.notification.name] == nil, status == .starting, "the first event is `starting`, and no other")
        last[event.notification.name] = event
    }
    return last
}
