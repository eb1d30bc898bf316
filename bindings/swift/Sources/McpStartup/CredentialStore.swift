import Foundation
import McpStartupFFI

/// A store for sign-ins that your app provides, in place of Codex's stores.
///
/// A record is a string that contains secrets. Store it unchanged, in a place for secrets. Refreshing a token relies on every guarantee
/// that is described here; ``testCredentialStore(_:)`` checks them.
///
/// * Throw an error if a call can't be completed, and never to report that nothing is stored. The message of the error is shown to users,
///   so it must not contain any part of a record.
/// * A call runs to completion even if the check that made it is cancelled: the task of the call is not cancelled with it.
public protocol CredentialStore: Sendable {
    /// Returns the record under `key`, or `nil` if no record is stored. Never return `nil` for another reason.
    func load(_ key: String) async throws -> String?

    /// Stores `new` under `key` if the stored record equals `expected`. A `new` of `nil` deletes the record.
    ///
    /// The comparison and the change are one atomic step across all processes.
    ///
    /// - Returns: `true` after the change, which must survive a crash. `false` if the stored record differs from `expected`; then nothing
    ///   changes.
    func replace(_ key: String, expected: String?, with new: String?) async throws -> Bool

    /// Waits for the lock of `key`, and acquires it. The lock excludes every other task and process that can reach the same record, until
    /// it is released.
    ///
    /// The lock is held for the duration of a refresh. Wait for it without a time limit. Locks of different keys are independent.
    func lock(_ key: String) async throws -> any CredentialLock
}

/// A lock that is currently held.
public protocol CredentialLock: Sendable {
    /// Releases the lock. Called once, from any task.
    func release() async
}

/// Checks that a store meets every guarantee of ``CredentialStore``. Call it in your app's tests.
///
/// - Parameter store: An empty store. The test leaves records in it.
/// - Throws: ``McpStartupError/credentialStore(message:)`` with the first guarantee that the store does not meet.
public func testCredentialStore(_ store: any CredentialStore) async throws {
    let _: Done = try await answer { await McpStartupFFI.testCredentialStore(calls: StoreBridge(store), cancellation: $0) }
}

/// Passes the calls of the native library to the app's store.
final class StoreBridge: StoreCalls, Sendable {
    private let store: any CredentialStore
    private let held = HeldLocks()

    init(_ store: any CredentialStore) {
        self.store = store
    }

    func load(key: String) async throws -> String? {
        try await converted { try await store.load(key) }
    }

    func replace(key: String, expected: String?, new: String?) async throws -> Bool {
        try await converted { try await store.replace(key, expected: expected, with: new) }
    }

    func lock(key: String) async throws -> String {
        let lock = try await converted { try await store.lock(key) }
        return await held.keep(lock)
    }

    func release(token: String) async throws {
        await held.take(token)?.release()
    }

    /// Converts every error to the only error type of the native library.
    private func converted<T>(_ call: () async throws -> T) async throws -> T {
        do {
            return try await call()
        } catch {
            let message = (error as? any LocalizedError)?.errorDescription
            throw StoreFailure.Failed(reason: message ?? String(describing: error))
        }
    }
}

/// The locks that are currently held, by the token that releases each.
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
