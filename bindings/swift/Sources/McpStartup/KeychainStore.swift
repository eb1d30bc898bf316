// Apple's systems only. NOT RUN by this project's tests, which run on Linux: run `testCredentialStore(KeychainStore(service: "test"))` in an
// app of yours before you rely on it.
#if canImport(Security)
    import Foundation
    import Security

    /// Records in the user's keychain, each a generic password of `service`.
    ///
    /// The keychain compares nothing and locks nothing, so files beside it do: in `locks`, a folder that every process must share which
    /// shares the records. On iOS it belongs into the app's own container, as the system ends a suspended app that holds a lock in an app
    /// group's.
    public struct KeychainStore: CredentialStore {
        private let service: String
        private let accessGroup: String?
        private let locks: URL

        /// - Parameters:
        ///   - service: The service that the items are stored under.
        ///   - accessGroup: The keychain group that shares them; `nil`: the app's own.
        ///   - locks: The folder with the locks; `nil`: one in the app's Application Support.
        public init(service: String = "mcp-startup", accessGroup: String? = nil, locks: URL? = nil) {
            self.service = service
            self.accessGroup = accessGroup
            self.locks =
                locks
                ?? URL.applicationSupportDirectory.appending(components: "mcp-startup", "locks", service)
        }

        public func load(_ key: String) async throws -> String? {
            try stored(key)
        }

        public func replace(_ key: String, expected: String?, with new: String?) async throws -> Bool {
            let writing = try FileLock.blocking(for: locks.appending(component: "store.lock"))
            defer { writing.release() }
            guard try stored(key).map({ Data($0.utf8) }) == expected.map({ Data($0.utf8) }) else { return false }
            switch (expected, new) {
            case (nil, nil):
                break
            case (_, nil):
                try succeed(SecItemDelete(query(key) as CFDictionary))
            case (nil, let new?):
                var item = query(key)
                item[kSecValueData] = Data(new.utf8)
                // A refresh may run in the background, but never on another device.
                item[kSecAttrAccessible] = kSecAttrAccessibleAfterFirstUnlockThisDeviceOnly
                try succeed(SecItemAdd(item as CFDictionary, nil))
            case (_, let new?):
                let change = [kSecValueData: Data(new.utf8)] as CFDictionary
                try succeed(SecItemUpdate(query(key) as CFDictionary, change))
            }
            return true
        }

        public func lock(_ key: String) async throws -> any CredentialLock {
            // A key holds characters that no file name may.
            let name = Data(key.utf8).map { String(format: "%02x", $0) }.joined()
            return try await FileLock.waiting(for: locks.appending(component: "\(name.suffix(200)).lock"))
        }

        private func stored(_ key: String) throws -> String? {
            var query = query(key)
            query[kSecReturnData] = true
            var found: CFTypeRef?
            let status = SecItemCopyMatching(query as CFDictionary, &found)
            if status == errSecItemNotFound { return nil }
            try succeed(status)
            guard let data = found as? Data, let text = String(data: data, encoding: .utf8) else {
                throw KeychainError(status: errSecDecode)
            }
            return text
        }

        private func query(_ key: String) -> [CFString: Any] {
            var query: [CFString: Any] = [
                kSecClass: kSecClassGenericPassword,
                kSecAttrService: service,
                kSecAttrAccount: key,
                kSecUseDataProtectionKeychain: true,
            ]
            if let accessGroup { query[kSecAttrAccessGroup] = accessGroup }
            return query
        }

        private func succeed(_ status: OSStatus) throws {
            if status != errSecSuccess { throw KeychainError(status: status) }
        }
    }

    /// What the keychain says when it can't.
    public struct KeychainError: LocalizedError, Sendable, Hashable {
        /// Its code, as in `SecBase.h`.
        public let status: OSStatus

        public var errorDescription: String? {
            SecCopyErrorMessageString(status, nil) as String? ?? "the keychain says \(status)"
        }
    }
#endif
