import Foundation

/// The repository that contains this package.
enum Repository {
    static func path(_ path: String) -> URL {
        var root = URL(fileURLWithPath: #filePath)
        for _ in 0..<5 { root.deleteLastPathComponent() }
        return root.appendingPathComponent(path)
    }
}
