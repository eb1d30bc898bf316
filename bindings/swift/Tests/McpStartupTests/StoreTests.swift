import Foundation
import McpStartup
import XCTest

/// Custom credential stores.
final class StoreTests: XCTestCase {
    func testCorrectStoresPass() async throws {
        try await testCredentialStore(MemoryStore())
        let store = SeededStore()
        try await testCredentialStore(store)
        try await eventually("the locks are released") { await store.held.isEmpty }
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID())")
        defer { try? FileManager.default.removeItem(at: folder) }
        try await testCredentialStore(FileStore(folder: folder))
    }

    func testABrokenStoreFails() async throws {
        for fault in [Broken.Fault.forgets, .overwrites, .locksNothing, .mixes, .throwsOnLoad, .throwsOnReplace, .throwsOnLock] {
            do {
                try await testCredentialStore(Broken(fault))
                XCTFail("\(fault) passes")
            } catch McpStartupError.credentialStore(let message) {
                XCTAssertTrue(message.contains("the credential store failed the conformance test"), "\(fault): \(message)")
            }
        }
    }

    func testAStoreThatThrowsIsNotASignOut() async throws {
        let lab = try Lab()
        defer { lab.stop() }
        let options = StartupOptions(.servers([lab.server("first-sign-in")]), store: Broken(.throwsOnLoad))
        let events = try await outcomes(check(options))
        let failure = try XCTUnwrap(events["first-sign-in"]?.failure)
        XCTAssertEqual(failure.kind, .credentialStoreUnavailable)
        XCTAssertNil(events["first-sign-in"]?.notification.failureReason)
        XCTAssertEqual(failure.evidence.store?.trouble, .unreadable)
        XCTAssertTrue(try XCTUnwrap(failure.evidence.store?.detail).contains("the vault is locked"))
        let status = try await authStatus(server: "first-sign-in", in: options)
        XCTAssertNil(status.status)
        XCTAssertEqual(status.storeError?.trouble, .unreadable)
    }

    func testACallWaitsForAHeldLockAndACancelledTaskReleasesIt() async throws {
        let lab = try Lab()
        defer { lab.stop() }
        let store = try lab.store("expired-rotates")
        let options = StartupOptions(.servers([lab.server("expired-rotates")]), timeout: .seconds(600), store: store)
        // Make the engine load the record, to learn its key.
        _ = try await authStatus(server: "expired-rotates", in: options)
        let key = try await firstKey(store)
        XCTAssertNotNil(key.range(of: #"^expired-rotates\|[0-9a-f]{16}$"#, options: .regularExpression), key)

        let held = try await store.lock(key)
        let starting = Task { try await outcomes(check(options)) }
        let calling = Task { try await authorization(server: "expired-rotates", in: options) }
        try await eventually("both wait for the lock") { await store.waiting >= 1 }
        XCTAssertEqual(try lab.refreshes("expired-rotates"), [])
        starting.cancel()
        calling.cancel()
        let events = try await starting.value
        XCTAssertNotEqual(events["expired-rotates"]?.notification.status, .ready)
        do {
            _ = try await calling.value
            XCTFail("the call is not cancelled")
        } catch is CancellationError {}
        await held.release()
        try await eventually("every lock is released") {
            let (held, waiting) = await (store.held, store.waiting)
            return held.isEmpty && waiting == 0
        }
        XCTAssertEqual(try lab.refreshes("expired-rotates"), [])
    }

    private func firstKey(_ store: SeededStore) async throws -> String {
        let keys = await store.records.keys
        return try XCTUnwrap(keys.first)
    }
}

/// Keeps all records in one file, with the locks of the package.
private struct FileStore: CredentialStore {
    let folder: URL

    func load(_ key: String) async throws -> String? {
        try stored()[key]
    }

    func replace(_ key: String, expected: String?, with new: String?) async throws -> Bool {
        let writing = try FileLock.blocking(for: folder.appendingPathComponent("store.lock"))
        defer { writing.release() }
        var records = try stored()
        guard records[key] == expected else { return false }
        records[key] = new
        try JSONEncoder().encode(records).write(to: file, options: .atomic)
        return true
    }

    func lock(_ key: String) async throws -> any CredentialLock {
        // A key can contain characters that are not allowed in file names, and can be longer than a file name.
        let name = Data(key.utf8).map { String(format: "%02x", $0) }.joined().suffix(200)
        return try await FileLock.waiting(for: folder.appendingPathComponent("\(name).lock"))
    }

    private func stored() throws -> [String: String] {
        guard FileManager.default.fileExists(atPath: file.path) else { return [:] }
        return try JSONDecoder().decode([String: String].self, from: Data(contentsOf: file))
    }

    private var file: URL { folder.appendingPathComponent("records.json") }
}

/// A store with one fault.
private struct Broken: CredentialStore {
    enum Fault: Sendable {
        case forgets, overwrites, locksNothing, mixes, throwsOnLoad, throwsOnReplace, throwsOnLock
    }

    private struct Locked: LocalizedError {
        var errorDescription: String? { "the vault is locked" }
    }

    private struct NoLock: CredentialLock {
        func release() {}
    }

    private let fault: Fault
    private let good = MemoryStore()

    init(_ fault: Fault) {
        self.fault = fault
    }

    func load(_ key: String) async throws -> String? {
        if fault == .throwsOnLoad { throw Locked() }
        return await good.load(fault == .mixes ? "one" : key)
    }

    func replace(_ key: String, expected: String?, with new: String?) async throws -> Bool {
        switch fault {
        case .throwsOnReplace: throw Locked()
        case .forgets: return true
        case .overwrites: return await good.replace(key, expected: good.load(key), with: new)
        case .mixes: return await good.replace("one", expected: expected, with: new)
        default: return await good.replace(key, expected: expected, with: new)
        }
    }

    func lock(_ key: String) async throws -> any CredentialLock {
        switch fault {
        case .throwsOnLock: throw Locked()
        case .locksNothing: return NoLock()
        default: return try await good.lock(key)
        }
    }
}
