import Foundation
import XCTest

/// The examples in the README are the files of `Examples`, which the tests compile and run.
final class ReadmeTests: XCTestCase {
    func testTheReadmeContainsTheExamples() throws {
        let readme = try String(contentsOf: Repository.path("bindings/swift/README.md"), encoding: .utf8)
        let folder = Repository.path("bindings/swift/Tests/McpStartupTests/Examples")
        let files = try FileManager.default.contentsOfDirectory(atPath: folder.path)
        var shown: [String] = []
        for part in readme.components(separatedBy: "<!-- Examples/").dropFirst() {
            let name = String(part.prefix { $0 != " " })
            let example = try String(contentsOf: folder.appendingPathComponent(name), encoding: .utf8)
            XCTAssertTrue(part.hasPrefix("\(name) -->\n```swift\n\(example)```\n"), "\(name) differs: copy it into README.md")
            shown.append(name)
        }
        XCTAssertEqual(shown.sorted(), files.sorted())
        // The block with the dependency is part of a manifest, and can't be compiled.
        let manifests = readme.components(separatedBy: "<!-- Package.swift -->\n```swift\n").count - 1
        let blocks = readme.components(separatedBy: "```swift\n").count - 1
        XCTAssertEqual(blocks - manifests, files.count, "a code block is not an example")
    }
}
