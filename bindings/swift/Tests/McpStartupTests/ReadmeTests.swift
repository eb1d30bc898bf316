import Foundation
import XCTest

/// The code blocks of the README are the files of `Examples`, which are compiled and run here.
final class ReadmeTests: XCTestCase {
    func testItsBlocksAreTheExamples() throws {
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
        XCTAssertEqual(readme.components(separatedBy: "```swift\n").count - 1, files.count, "a block that is no example")
    }
}
