import Foundation
import McpStartup
import XCTest

/// The files of the MCP clients on a machine: `discover` reports them, and `check` starts their servers.
final class ClientTests: XCTestCase {
    private static let variables = ["HOME", "CODEX_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"]
    private var lab: Lab!
    private var root: URL!
    private var before: [String: String] = [:]

    private var home: URL { root.appendingPathComponent("home") }
    private var folder: URL { root.appendingPathComponent("project") }

    /// The native library reads the environment of the process.
    override func setUpWithError() throws {
        lab = try Lab()
        root = FileManager.default.temporaryDirectory.appendingPathComponent("mcp-startup-\(UUID())").resolvingSymlinksInPath()
        for name in Self.variables {
            before[name] = ProcessInfo.processInfo.environment[name]
            unsetenv(name)
        }
        setenv("HOME", home.path, 1)
        try write(home, ".codex/config.toml", "[mcp_servers.docs]\nurl = \"\(lab.url("first-sign-in"))\"\n")
        let servers = "{\"docs\": {\"url\": \"\(lab.url("ready"))\"}, \"bad\": {\"url\": \"not a URL\"}}"
        try write(home, ".cursor/mcp.json", "{\"mcpServers\": \(servers)}")
        try write(home, ".codeium/windsurf/mcp_config.json", "{\"mcpServers\": {\n")
        let shared = "{\"mcpServers\": {\"shared\": {\"url\": \"\(lab.url("server-500"))\"}}}"
        try write(folder, ".cursor/mcp.json", shared)
    }

    override func tearDownWithError() throws {
        for name in Self.variables {
            if let value = before[name] { setenv(name, value, 1) } else { unsetenv(name) }
        }
        try FileManager.default.removeItem(at: root)
        lab.stop()
    }

    private func write(_ folder: URL, _ path: String, _ text: String) throws {
        let file = folder.appendingPathComponent(path)
        try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: file)
    }

    /// Returns the output of the program in the folder of the project.
    private func printed(_ arguments: String...) throws -> Data {
        let process = Process()
        let program = ProcessInfo.processInfo.environment["MCP_STARTUP_PROGRAM"]
        process.executableURL = program.map { URL(fileURLWithPath: $0) } ?? Repository.path("target/debug/mcp-startup")
        process.arguments = arguments
        process.currentDirectoryURL = folder
        process.environment = ["HOME": home.path, "PATH": "/usr/bin:/bin"]
        let output = Pipe()
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        try process.run()
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return data
    }

    private func states(_ source: StartupOptions.Source, names: [String]? = nil) async throws -> [String: String] {
        let events = try await outcomes(check(StartupOptions(source, names: names)))
        return events.mapValues(\.notification.status.wire)
    }

    func testDiscoverReturnsWhatTheProgramPrints() async throws {
        let files = try await discover(folder: folder.path)
        XCTAssertEqual(files, try JSONDecoder().decode([ClientFile].self, from: printed("clients", "--format", "json")))
        XCTAssertEqual(files.map(\.client), ["codex", "cursor", "cursor", "windsurf"])
        XCTAssertEqual(files.map(\.scope), [.user, .user, .project, .user])
        XCTAssertEqual(files[1].servers.map(\.checkable), [true, false])
        XCTAssertEqual(files[3].error?.line, 1)
        let windsurf = try await discover(.ids(["windsurf"]))
        XCTAssertEqual(windsurf.map(\.client), ["windsurf"])
    }

    func testCheckStartsTheServersOfEveryClientOnce() async throws {
        let all = try await states(.clients(.all, folder: folder.path))
        XCTAssertEqual(all, ["bad": "failed", "codex:docs": "failed", "cursor:docs": "ready"])
        let cursor = try await states(.clients(.ids(["cursor"]), folder: folder.path, trustProject: true))
        XCTAssertEqual(cursor, ["bad": "failed", "docs": "ready", "shared": "failed"])
        let named = try await states(.clients(.all, folder: folder.path), names: ["cursor:docs"])
        XCTAssertEqual(named, ["docs": "ready"])
    }

    func testNotCheckedReturnsWhatTheProgramReports() async throws {
        struct Report: Decodable { let notChecked: [NotChecked] }
        let left = try await notChecked(StartupOptions(.clients(.all, folder: folder.path)))
        XCTAssertEqual(left.map(\.why), ["not approved in Cursor"])
        let report = try JSONDecoder().decode(Report.self, from: printed("check", "--dry-run", "--format", "json"))
        XCTAssertEqual(report.notChecked.count, 1)
        let reported = try XCTUnwrap(report.notChecked.first)
        let one = try XCTUnwrap(left.first)
        XCTAssertEqual([one.client, one.scope.rawValue, one.path, one.name], [reported.client, reported.scope.rawValue, reported.path, reported.name])
        XCTAssertTrue(one.needsApproval && reported.needsApproval)
        // The program adds what to do there.
        XCTAssertEqual(reported.why, one.why + "; if you trust the project, pass `--trust-project`")
        let trusted = try await notChecked(StartupOptions(.clients(.all, folder: folder.path, trustProject: true)))
        XCTAssertEqual(trusted, [])
        let inCode = try await notChecked(StartupOptions(.servers([])))
        XCTAssertEqual(inCode, [])
    }

    func testAnUnknownClientOrServerIsAnErrorThatNamesIt() async throws {
        do {
            _ = try await discover(.ids(["none"]))
            XCTFail("an unknown client is accepted")
        } catch let error as McpStartupError {
            let message = "the options: `clients[0]` must be the ID of a client, such as `claude-code`, not \"none\""
            XCTAssertEqual(error, .invalidArgument(message: message))
        }
        do {
            _ = try await notChecked(StartupOptions(.clients(.all, folder: folder.path), names: ["dosc"]))
            XCTFail("an unknown server is accepted")
        } catch let error as McpStartupError {
            let message = "no client has a server `dosc`; did you mean `docs`? 2 other servers are configured."
            XCTAssertEqual(error.message, message)
        }
    }

    func testTheExampleRuns() async throws {
        var shown: [String] = []
        try await showClients(folder: folder.path) { shown.append($0) }
        let file = home.appendingPathComponent(".codex/config.toml").path
        XCTAssertEqual(Array(shown.prefix(2)), ["codex: \(file) ", "  docs "])
        XCTAssertEqual(shown.last, "shared (cursor): not approved in Cursor")
        XCTAssertTrue(shown.contains("cursor:docs ready"))
    }
}
