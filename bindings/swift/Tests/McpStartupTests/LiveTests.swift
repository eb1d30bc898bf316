import Foundation
import McpStartup
import XCTest

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// Tests against the servers of the lab.
final class LiveTests: XCTestCase {
    nonisolated(unsafe) private static var shared: Lab?

    override class func tearDown() {
        shared?.stop()
        shared = nil
    }

    private func lab() throws -> Lab {
        if let lab = Self.shared { return lab }
        let lab = try Lab()
        Self.shared = lab
        return lab
    }

    func testEachStartHasItsExpectedOutcome() async throws {
        let lab = try lab()
        let names = ["ready-stored-token", "expired-no-refresh", "first-sign-in"]
        let store = try lab.store("ready-stored-token", "expired-no-refresh")
        let events = try await outcomes(check(servers: names.map(lab.server), store: store))
        XCTAssertEqual(Set(events.keys), Set(names))
        let ready = try XCTUnwrap(events["ready-stored-token"])
        XCTAssertEqual(ready.notification, .ready("ready-stored-token"))
        XCTAssertNil(ready.failure)
        let again = try XCTUnwrap(events["expired-no-refresh"])
        XCTAssertEqual(again.notification.failureReason, .reauthenticationRequired)
        XCTAssertEqual(again.failure?.kind, .reauthenticationRequired)
        XCTAssertEqual(again.failure?.recovery, .reauthenticate)
        let first = try XCTUnwrap(events["first-sign-in"])
        XCTAssertEqual(first.notification.status, .failed)
        XCTAssertNil(first.notification.failureReason)
        XCTAssertEqual(first.failure?.kind, .signInRequired)
        XCTAssertEqual(first.failure?.recovery, .signIn)
        for event in events.values {
            XCTAssertEqual(try JSONDecoder().decode(StartupEvent.self, from: JSONEncoder().encode(event)), event)
        }
    }

    func testAConfigurationIsRead() async throws {
        let lab = try lab()
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).mcp.json")
        defer { try? FileManager.default.removeItem(at: file) }
        let text = JSON.object([
            "mcpServers": .object(["first-sign-in": .object(["url": .text(lab.url("first-sign-in").absoluteString), "type": .text("http")])])
        ])
        try Data(text.canonical.utf8).write(to: file)
        let events = try await outcomes(check(config: file.path, store: SeededStore()))
        XCTAssertEqual(events["first-sign-in"]?.failure?.kind, .signInRequired)
        let none = check(StartupOptions(.file(file.path), names: ["missing"]))
        do {
            _ = try await outcomes(none)
            XCTFail("there is no such server")
        } catch McpStartupError.configuration(let kind, let path, _, _, _) {
            XCTAssertEqual(kind, "unknownServer")
            XCTAssertEqual(path, file.path)
        }
    }

    func testInvalidOptionsAreRejected() async throws {
        let lab = try lab()
        let server = lab.server("first-sign-in")
        for options in [
            StartupOptions(.servers([server]), timeout: .zero), StartupOptions(.servers([server, server])),
        ] {
            do {
                _ = try await outcomes(check(options))
                XCTFail("the options are accepted")
            } catch McpStartupError.invalidArgument(let message) {
                XCTAssertTrue(message.hasPrefix("the options:"), message)
            }
        }
    }

    func testAStartThatExceedsItsLimitTimesOut() async throws {
        let events = try await outcomes(
            check(servers: [try lab().server("hangs")], store: SeededStore(), timeout: .milliseconds(150)))
        XCTAssertEqual(events["hangs"]?.failure?.kind, .timedOut)
        XCTAssertEqual(events["hangs"]?.failure?.evidence.limitMs, 150)
    }

    func testSigningInAndOut() async throws {
        let lab = try lab()
        let store = SeededStore()
        let options = StartupOptions(.servers([lab.server("first-sign-in")]), store: store)
        let before = try await authStatus(server: "first-sign-in", online: true, in: options)
        XCTAssertEqual(before.status, .notLoggedIn)
        XCTAssertNil(before.worth)
        let begun = try await beginSignIn(
            server: "first-sign-in", redirectURI: "com.example.app:/callback", in: options)
        XCTAssertFalse("\(begun)".contains("code_challenge"))
        let nothing = await store.records
        XCTAssertEqual(nothing, [:])
        let callback = try await comeBack(begun.authorizationURL)
        XCTAssertEqual(callback.scheme, "com.example.app")
        try await finishSignIn(pending: begun.pending, callbackURL: callback, in: options)

        let events = try await outcomes(check(options))
        XCTAssertEqual(events["first-sign-in"]?.notification, .ready("first-sign-in"))
        let after = try await authStatus(server: "first-sign-in", in: options)
        XCTAssertEqual(after.status, .oAuth)
        XCTAssertEqual(after.store, "host")
        let header = try await authorization(server: "first-sign-in", in: options)
        XCTAssertEqual(header, "Bearer fresh-token-1")

        do {
            try await finishSignIn(pending: begun.pending, callbackURL: callback, in: options)
            XCTFail("a sign-in can be finished twice")
        } catch McpStartupError.signIn(let kind, _) {
            XCTAssertEqual(kind, "used")
        }
        let out = try await signOut(server: "first-sign-in", in: options)
        XCTAssertTrue(out.wasStored)
        let left = await store.records
        XCTAssertEqual(left, [:])
    }

    func testASignInRequestsTheChallengedThePassedAndTheGrantedScopes() async throws {
        let lab = try lab()
        let row = "ready-stored-token"
        let options = StartupOptions(.servers([lab.server(row)]), store: try lab.store(row))
        let challenge = #"Bearer error="insufficient_scope", scope="mcp:write""#
        let cases: [(challenge: String?, scopes: [String], requested: Set<String>)] = [
            (nil, [], ["mcp:tools"]),
            (challenge, [], ["mcp:tools", "mcp:write"]),
            (nil, ["mcp:admin"], ["mcp:tools", "mcp:admin"]),
            (challenge, ["mcp:admin"], ["mcp:tools", "mcp:write", "mcp:admin"]),
        ]
        for (challenge, scopes, requested) in cases {
            let begun = try await beginSignIn(
                server: row, redirectURI: "com.example.app:/callback", challenge: challenge, scopes: scopes, in: options)
            let page = try XCTUnwrap(URLComponents(url: begun.authorizationURL, resolvingAgainstBaseURL: false))
            let scope = try XCTUnwrap(page.queryItems?.first { $0.name == "scope" }?.value)
            // `URLComponents` does not decode a `+`, which is a space in a query.
            XCTAssertEqual(Set(scope.split { $0 == "+" || $0 == " " }.map(String.init)), requested)
        }
    }

    func testARotatedTokenIsSaved() async throws {
        let lab = try lab()
        let store = try lab.store("expired-rotates")
        let events = try await outcomes(check(servers: [lab.server("expired-rotates")], store: store))
        XCTAssertEqual(events["expired-rotates"]?.notification.status, .ready)
        XCTAssertNil(events["expired-rotates"]?.notSaved)
        let record = try await XCTUnwrapAsync(await store.record("expired-rotates"))
        XCTAssertEqual(record["access_token"]?.string, "fresh-token-1")
        XCTAssertEqual(record["refresh_token"]?.string, "fresh-refresh-1")
        XCTAssertEqual(try lab.refreshes("expired-rotates"), ["good-refresh"])
        try await eventually("the lock is released") { await store.held.isEmpty }
    }

    func testAuthorizationAfterA401ThrowsTheVerdict() async throws {
        let lab = try lab()
        let store = try lab.store("expired-no-refresh")
        let options = StartupOptions(.servers([lab.server("expired-no-refresh")]), store: store)
        do {
            _ = try await authorization(
                server: "expired-no-refresh", rejected: Rejected(authorization: "Bearer expired-token"), in: options)
            XCTFail("no credential is left to send")
        } catch McpStartupError.failure(let failure) {
            XCTAssertEqual(failure.kind, .reauthenticationRequired)
        }
    }

    private func initialize(_ url: URL) -> URLRequest {
        var request = URLRequest(url: url)
        request.httpMethod = "POST"
        request.setValue("application/json", forHTTPHeaderField: "Content-Type")
        request.setValue("application/json, text/event-stream", forHTTPHeaderField: "Accept")
        let version = #""protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"test","version":"1"}"#
        request.httpBody = Data(#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{\#(version)}}"#.utf8)
        return request
    }

    func testARequestIsAuthorizedAndAnExpiredTokenIsRefreshed() async throws {
        let lab = try Lab()
        defer { lab.stop() }
        let row = "expired-rotates"
        let options = StartupOptions(.servers([lab.server(row)]), store: try lab.store(row))
        let (_, response) = try await URLSession.shared.data(
            for: initialize(lab.url(row)), authorizedFor: row, in: options)
        XCTAssertEqual((response as? HTTPURLResponse)?.statusCode, 200)
        XCTAssertEqual(try lab.refreshes(row), ["good-refresh"])
    }

    func testARequestThrowsTheVerdictIfNoCredentialIsLeft() async throws {
        let lab = try lab()
        let cases: [(String, StartupFailureKind)] = [
            ("expired-no-refresh", .reauthenticationRequired), ("insufficient-scope", .insufficientScope),
        ]
        for (row, kind) in cases {
            let options = StartupOptions(.servers([lab.server(row)]), store: try lab.store(row))
            do {
                _ = try await URLSession.shared.data(for: initialize(lab.url(row)), authorizedFor: row, in: options)
                XCTFail("\(row): a credential was left")
            } catch McpStartupError.failure(let failure) {
                XCTAssertEqual(failure.kind, kind)
            }
        }
    }

    func testAnotherOriginGetsNoCredential() async throws {
        let lab = try Lab()
        defer { lab.stop() }
        let row = "ready-stored-token"
        let options = StartupOptions(.servers([lab.server(row)]), store: try lab.store(row))
        var elsewhere = try XCTUnwrap(URLComponents(url: lab.url(row), resolvingAgainstBaseURL: false))
        elsewhere.host = "localhost"
        let (_, response) = try await URLSession.shared.data(
            for: initialize(try XCTUnwrap(elsewhere.url)), authorizedFor: row, in: options)
        XCTAssertEqual((response as? HTTPURLResponse)?.statusCode, 401)
    }

    func testARedirectToAnotherOriginCarriesNoCredential() async throws {
        let lab = try Lab()
        defer { lab.stop() }
        let row = "redirect-elsewhere"
        let options = StartupOptions(.servers([lab.server(row)]), store: try lab.store(row))
        _ = try await URLSession.shared.data(for: initialize(lab.url(row)), authorizedFor: row, in: options)
        XCTAssertEqual(try lab.requests(row).map { $0["token"]?.string }, ["good-token", "none"])
    }

    func testAWatchCanBeRetriedAndCancelled() async throws {
        let lab = try lab()
        let store = SeededStore()
        let options = StartupOptions(.servers([lab.server("first-sign-in")]), store: store)
        let watch = McpStartup.watch(options)
        var seen: [McpServerStartupState] = []
        try await showStates(watch) { _, state, _ in
            seen.append(state)
            switch seen.count {
            case 2: watch.retry("first-sign-in")
            case 4: watch.cancel()
            default: break
            }
        }
        XCTAssertEqual(seen, [.starting, .failed, .starting, .failed])
    }

    func testACancelledCheckReportsIt() async throws {
        let check = check(servers: [try lab().server("hangs")], store: SeededStore(), timeout: .seconds(600))
        var seen: [McpServerStartupState] = []
        for try await event in check {
            seen.append(event.notification.status)
            if event.notification.status == .starting { check.cancel() }
        }
        XCTAssertEqual(seen, [.starting, .cancelled])
    }

    func testAProgramEndsWithTheIterator() async throws {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).pid")
        defer { try? FileManager.default.removeItem(at: file) }
        let silent = Server.stdio(
            name: "silent", command: "sh", args: ["-c", "echo $$ > \"$PID_FILE\"; exec sleep 600"],
            env: ["PID_FILE": file.path])
        let check = check(servers: [silent], timeout: .seconds(600))
        var pid: pid_t = 0
        for try await event in check {
            XCTAssertEqual(event.notification, .starting("silent"))
            try await eventually("the program runs") {
                pid = (try? String(contentsOf: file, encoding: .utf8)).flatMap { pid_t($0.dropLast()) } ?? 0
                return pid != 0
            }
            break
        }
        XCTAssertGreaterThan(pid, 0)
        try await eventually("the program has ended") { !isAlive(pid) }
        // The sequence still exists, but has no more events.
        for try await event in check { XCTFail("\(event)") }
    }

    func testTheExamplesOfTheReadmeRun() async throws {
        let lab = try lab()
        var shown: [String] = []
        let row = "first-sign-in"
        try await showServers(url: lab.url(row), store: SeededStore()) { shown.append($0) }
        XCTAssertEqual(shown.last, "[Sign in]")
        XCTAssertTrue(try XCTUnwrap(shown.first).contains("linear"))

        let store = SeededStore()
        let options = StartupOptions(.servers([lab.server(row)]), store: store)
        try await signIn(row, options, browse: comeBack)
        var request = URLRequest(url: lab.url(row))
        request.httpMethod = "POST"
        request.setValue("application/json", forHTTPHeaderField: "Content-Type")
        request.setValue("application/json, text/event-stream", forHTTPHeaderField: "Accept")
        request.httpBody = Data(
            #"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"swift","version":"1"}}}"#
                .utf8)
        let body = try await send(request, to: row, options)
        XCTAssertTrue(String(decoding: body, as: UTF8.self).contains("protocolVersion"))

        let line = try verdict()
        XCTAssertEqual(try decode(line)?.failureReason, .reauthenticationRequired)
        var prompts: [String] = []
        let chunks = AsyncThrowingStream<Data, any Error> { chunks in
            chunks.yield(Data("\(line)\n\(line)\n".utf8))
            chunks.yield(Data(line.utf8))
            chunks.finish()
        }
        let servers = try await follow(chunks: chunks) { prompts.append($0) }
        XCTAssertEqual(servers.map(\.name), ["linear"])
        XCTAssertEqual(prompts.count, 1)
    }
}

private func XCTUnwrapAsync<T>(_ value: T?) async throws -> T {
    try XCTUnwrap(value)
}

private func isAlive(_ pid: pid_t) -> Bool {
    guard kill(pid, 0) == 0 else { return false }
    // A zombie, which has ended but whose parent has not waited for it, is not alive.
    let stat = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)
    return stat?.contains(") Z ") != true
}
