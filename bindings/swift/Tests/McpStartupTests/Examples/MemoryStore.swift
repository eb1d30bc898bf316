import McpStartup

/// Keeps the records in memory, for all tasks of one process.
actor MemoryStore: CredentialStore {
    private var records: [String: String]
    private var held: Set<String> = []

    init(_ records: [String: String] = [:]) {
        self.records = records
    }

    func load(_ key: String) -> String? {
        records[key]
    }

    func replace(_ key: String, expected: String?, with new: String?) -> Bool {
        guard records[key] == expected else { return false }
        records[key] = new
        return true
    }

    func lock(_ key: String) async throws -> any CredentialLock {
        while !held.insert(key).inserted {
            try await Task.sleep(for: .milliseconds(5))
        }
        return Held(store: self, key: key)
    }

    private struct Held: CredentialLock {
        let store: MemoryStore
        let key: String

        func release() async {
            await store.unlock(key)
        }
    }

    private func unlock(_ key: String) {
        held.remove(key)
    }
}
