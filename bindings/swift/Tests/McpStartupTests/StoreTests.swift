import Foundation
import McpStartup
import XCTest

/// Credential stores that are written in Swift.
final class StoreTests: XCTestCase {
    func testGoodStoresPass() async throws {
        try await testCredentialStore(MemoryStore())
        let store = SeededStore()
        try await testCredentialStore(store)
        try await eventually("the locks are given back") { await store.held.isEmpty }
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID())")
        defer { try? FileManager.default.removeItem(at: folder) }
        try await testCredentialStore(FileStore(folder: folder))
    }

    func testABrokenStoreIsNamed() async throws {
        for fault in [Broken.Fault.forgets, .overwrites, .locksNothing, .mixes, .throwsOnLoad, .throwsOnReplace, .throwsOnLock] {
            do {
                try await testCredentialStore(Broken(fault))
                XCTFail("\(fault) passes")
            } catch McpStartupError.credentialStore(let message) {
                XCTAssertTrue(message.contains("the store does not do what it must"), "\(fault): \(message)")
            }
        }
    }

    func testAStoreThatThrowsDoesNotMeanSignedOut() async throws {
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

    func testALockThatSomebodyHoldsIsWaitedForAndACancelledTaskDoesNotKeepIt() async throws {
        let lab = try Lab()
        defer { lab.stop() }
        let store = try lab.store("expired-rotates")
        let options = StartupOptions(.servers([lab.server("expired-rotates")]), timeout: .seconds(600), store: store)
        // The key, as the engine asks for it.
        _ = try await authStatus(server: "expired-rotates", in: options)
        let key = try await firstKey(store)
        XCTAssertNotNil(key.range(of: #"^expired-rotates\|[0-9a-f]{16}$"#, options: .regularExpression), key)

        let theirs = try await store.lock(key)
        let starting = Task { try await outcomes(check(options)) }
        let asking = Task { try await authorization(server: "expired-rotates", in: options) }
        try await eventually("both wait for the lock") { await store.waiting >= 1 }
        XCTAssertEqual(try lab.refreshes("expired-rotates"), [])
        starting.cancel()
        asking.cancel()
        let events = try await starting.value
        XCTAssertNotEqual(events["expired-rotates"]?.notification.status, .ready)
        do {
            _ = try await asking.value
            XCTFail("cancelled")
        } catch is CancellationError {}
        await theirs.release()
        try await eventually("nobody keeps it") {
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

/// All records in one file, as the locks of the package make it possible.
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
        // A key holds characters that no file name may, and may be longer.
        let name = Data(key.utf8).map { String(format: "%02x", $0) }.joined().suffix(200)
        return try await FileLock.waiting(for: folder.appendingPathComponent("\(name).lock"))
    }

    private func stored() throws -> [String: String] {
        guard FileManager.default.fileExists(atPath: file.path) else { return [:] }
        return try JSONDecoder().decode([String: String].self, from: Data(contentsOf: file))
    }

    private var file: URL { folder.appendingPathComponent("records.json") }
}

/// A store that does one thing wrong.
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
