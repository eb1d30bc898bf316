import Foundation
import McpStartup
import XCTest

final class ContractTests: XCTestCase {
    func testTheLinesOfCodexAreRead() throws {
        let lines = try Data(contentsOf: Repository.path("tests/fixtures/codex-app-server-0.169.0.jsonl"))
        let texts = String(decoding: lines, as: UTF8.self).split(separator: "\n")
        let decoded = decodeLines(lines)
        XCTAssertEqual(decoded.errors, [])
        XCTAssertEqual(decoded.notifications.count, texts.count)
        XCTAssertEqual(decoded.notifications, try texts.compactMap { try decode(String($0)) })
        XCTAssert(decoded.notifications.contains { $0.failureReason == .reauthenticationRequired })
        for (said, text) in zip(decoded.notifications, texts) {
            let params = try XCTUnwrap(try JSON(line: String(text))["params"])
            try equal("params", try JSON(of: said), params)
        }
        let tracker = StartupTracker()
        for said in decoded.notifications { tracker.apply(said) }
        let other = StartupTracker()
        let applied = other.apply(lines: lines)
        XCTAssertEqual(applied.notifications, texts.count)
        XCTAssertEqual(tracker.servers, other.servers)
        XCTAssertEqual(tracker.reauthenticationRequired, applied.prompts)
    }

    func testANotificationIsCodable() throws {
        let all: [McpServerStatusUpdatedNotification] = [
            .starting("a"), .ready("a", threadId: "t"), .cancelled("a"), .failed("\u{0}é\u{1F600}", error: "\"\n"),
            .reauthenticationRequired("a", error: "again", threadId: "t"),
            try XCTUnwrap(try decode(line(#"{"name":"a","status":"queued"}"#))),
            try XCTUnwrap(try decode(line(#"{"name":"a","status":"failed","failureReason":"newer"}"#))),
        ]
        for said in all {
            let json = try JSONEncoder().encode(said)
            XCTAssertEqual(try JSONDecoder().decode(McpServerStatusUpdatedNotification.self, from: json), said)
            XCTAssertEqual(try decode(said.encode()), said)
            let fields = try JSONDecoder().decode(JSON.self, from: json).fields.keys
            XCTAssertEqual(Set(fields), ["threadId", "name", "status", "error", "failureReason"])
        }
        XCTAssertEqual(Set(all).count, all.count)
        XCTAssertEqual(all[5].status, .unknown("queued"))
        XCTAssertEqual(all[6].failureReason, .unknown("newer"))
    }

    func testReadingAsCodableFollowsTheRulesOfTheDecoder() throws {
        func read(_ params: String) throws -> McpServerStatusUpdatedNotification {
            try JSONDecoder().decode(McpServerStatusUpdatedNotification.self, from: Data(params.utf8))
        }
        // A reason stands on `failed` and on nothing else: reading drops it.
        XCTAssertEqual(
            try read(#"{"name":"a","status":"ready","failureReason":"reauthenticationRequired"}"#), .ready("a"))
        XCTAssertThrowsError(try read(#"{"status":"ready"}"#)) { error in
            guard case McpStartupError.decode(.missingField, "params.name", _) = error else {
                return XCTFail("\(error)")
            }
        }
        XCTAssertThrowsError(try read(#"{"name":7,"status":"ready"}"#))
    }

    func testValuesOfTheVerdictAreCodable() throws {
        let evidence = Evidence(
            server: "linear", transport: .http, limitMs: 30_000,
            credential: CredentialEvidence(source: .stored, worth: CredentialWorth(accessToken: .good)),
            requests: [RequestEvidence(to: .mcp, credentialSent: .stored, status: 401)],
            protocol: ProtocolEvidence(serverVersions: ["2024-11-05"]))
        let failure = try judge(evidence)
        XCTAssertEqual(failure.kind, .reauthenticationRequired)
        XCTAssertEqual(failure.recovery, .reauthenticate)
        XCTAssertEqual(failure.evidence, evidence)
        XCTAssertEqual(
            try JSONDecoder().decode(StartupFailure.self, from: JSONEncoder().encode(failure)), failure)
        XCTAssertEqual(try JSON(of: evidence)["protocol"]?["serverVersions"]?.list.count, 1)
    }

    func testWhatIsNoEvidenceIsRefused() {
        XCTAssertThrowsError(try judge(Evidence(limitMs: -1))) { error in
            guard case McpStartupError.invalidArgument(let message) = error else { return XCTFail("\(error)") }
            XCTAssertTrue(message.contains("evidence"), message)
        }
    }

    func testAVerdictThatSomebodyBuiltByHandSaysNoMoreThanItsEvidence() throws {
        let built = StartupFailure(
            kind: .reauthenticationRequired, message: "sign in", recovery: .reauthenticate,
            evidence: Evidence(server: "linear"))
        let said = try McpServerStatusUpdatedNotification(name: "linear", failure: built)
        XCTAssertEqual(said.status, .failed)
        XCTAssertNil(said.failureReason)
    }

    func testAssessReadsTheClockUnlessItIsTold() throws {
        let inAnHour = Int(Date().timeIntervalSince1970 * 1000) + 3_600_000
        let facts = CredentialFacts(accessToken: true, expiresAtMs: inAnHour)
        XCTAssertEqual(try assess(facts).accessToken, .good)
        XCTAssertEqual(try assess(facts, nowMs: Int64(inAnHour)).accessToken, .expired)
    }

    func testWhatHoldsSecretsDoesNotPrint() throws {
        let url = try XCTUnwrap(URL(string: "https://mcp.example.com"))
        let secrets: [Any] = [
            Server.http(name: "a", url: url, headers: ["Authorization": "Bearer secret"]),
            Rejected(authorization: "Bearer secret"),
        ]
        for value in secrets {
            var dumped = ""
            dump(value, to: &dumped)
            for text in ["\(value)", String(reflecting: value), String(describing: [value]), dumped] {
                XCTAssertFalse(text.contains("secret"), text)
            }
        }
    }

    private func line(_ params: String) -> String {
        #"{"method":"\#(McpServerStatusUpdatedNotification.method)","params":\#(params)}"#
    }
}
