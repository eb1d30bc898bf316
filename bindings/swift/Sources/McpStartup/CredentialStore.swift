import Foundation
import McpStartupFFI

/// A place of the app's own where sign-ins are kept. A record is a text, to be kept as it is, in a place for secrets.
///
/// Whoever refreshes a credential relies on each sentence here; ``testCredentialStore(_:)`` holds a store to them.
///
/// * A thrown error never means "nothing stored". Its text is shown to people; nothing of a record belongs in it.
/// * A call goes on to its end, though the check that asked may have been cancelled: its task is not cancelled with it.
public protocol CredentialStore: Sendable {
    /// The record under `key`; `nil` where nothing is stored, and only there.
    func load(_ key: String) async throws -> String?

    /// Stores `new` under `key`, or deletes what is there if `new` is `nil`, if what is stored is `expected`.
    ///
    /// Comparing and storing are one step among all processes. `false` where something else is stored: nothing is changed then. `true`
    /// means that no crash takes the record away.
    func replace(_ key: String, expected: String?, with new: String?) async throws -> Bool

    /// Excludes every other task and process that can reach the same record, until what it returns is released.
    ///
    /// It is held for as long as a refresh takes, and waited for without a limit. The lock of one key keeps nobody from another.
    func lock(_ key: String) async throws -> any CredentialLock
}

/// A lock that is held.
public protocol CredentialLock: Sendable {
    /// Gives it back: called once, from any task.
    func release() async
}

/// Holds a store to what every store must do. It is to be empty, and what is left in it afterwards is rubbish.
///
/// Throws ``McpStartupError/credentialStore(message:)`` with the first thing that it does not do.
public func testCredentialStore(_ store: any CredentialStore) async throws {
    let _: Done = try await answer { await McpStartupFFI.testCredentialStore(calls: StoreBridge(store), cancellation: $0) }
}

/// A store of the app, as the library below calls it.
final class StoreBridge: StoreCalls, Sendable {
    private let store: any CredentialStore
    private let held = HeldLocks()

    init(_ store: any CredentialStore) {
        self.store = store
    }

    func load(key: String) async throws -> String? {
        try await asked { try await store.load(key) }
    }

    func replace(key: String, expected: String?, new: String?) async throws -> Bool {
        try await asked { try await store.replace(key, expected: expected, with: new) }
    }

    func lock(key: String) async throws -> String {
        let lock = try await asked { try await store.lock(key) }
        return await held.keep(lock)
    }

    func release(token: String) async throws {
        await held.take(token)?.release()
    }

    /// The library below knows of one error only.
    private func asked<T>(_ call: () async throws -> T) async throws -> T {
        do {
            return try await call()
        } catch {
            let said = (error as? any LocalizedError)?.errorDescription
            throw StoreFailure.Failed(reason: said ?? String(describing: error))
        }
    }
}

/// The locks that are held, each under what it is released by.
private actor HeldLocks {
    private var locks: [String: any CredentialLock] = [:]
    private var granted = 0

    func keep(_ lock: any CredentialLock) -> String {
        granted += 1
        let token = String(granted)
        locks[token] = lock
        return token
    }

    func take(_ token: String) -> (any CredentialLock)? {
        locks.removeValue(forKey: token)
    }
}
