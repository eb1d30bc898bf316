// Apple platforms only. NOT RUN by this project's tests, which run on Linux. Before you rely on it, run
// `testCredentialStore(KeychainStore(service: "test"))` in your app.
#if canImport(Security)
    import Foundation
    import Security

    /// A store in the user's keychain. Each record is a generic password of `service`.
    ///
    /// The keychain has no compare-and-swap and no locks, so the store uses lock files in the folder `locks`. Every process that shares
    /// the records must share this folder. On iOS, use a folder in the app's own container: the system ends a suspended app that holds a
    /// lock in the container of an app group. On macOS, the app needs the capability *Keychain Sharing*, because the store uses the data
    /// protection keychain.
    ///
    /// - Important: The tests of this package do not cover this store, because they run on Linux. Before you rely on it, run
    ///   ``testCredentialStore(_:)`` with it in your app.
    public struct KeychainStore: CredentialStore {
        private let service: String
        private let accessGroup: String?
        private let locks: URL

        /// Creates a store. It does not access the keychain.
        ///
        /// - Parameters:
        ///   - service: The service of the keychain items.
        ///   - accessGroup: The keychain access group of the items. `nil` means the app's default group.
        ///   - locks: The folder for the lock files. `nil` means a folder in the app's Application Support folder.
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
                // Available in the background, and never copied to another device.
                item[kSecAttrAccessible] = kSecAttrAccessibleAfterFirstUnlockThisDeviceOnly
                try succeed(SecItemAdd(item as CFDictionary, nil))
            case (_, let new?):
                let change = [kSecValueData: Data(new.utf8)] as CFDictionary
                try succeed(SecItemUpdate(query(key) as CFDictionary, change))
            }
            return true
        }

        public func lock(_ key: String) async throws -> any CredentialLock {
            // A key can contain characters that are not allowed in file names.
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

    /// An error of the keychain.
    public struct KeychainError: LocalizedError, Sendable, Hashable {
        /// The code, as defined in `SecBase.h`.
        public let status: OSStatus

        public var errorDescription: String? {
            SecCopyErrorMessageString(status, nil) as String? ?? "the keychain failed with status \(status)"
        }
    }
#endif
