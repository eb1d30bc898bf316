import Foundation
import McpStartup
import XCTest

final class ContractTests: XCTestCase {
    func testLinesOfEachVersionOfCodexAreDecoded() throws {
        let fixtures = Repository.path("tests/fixtures")
        let recordings = try FileManager.default.contentsOfDirectory(atPath: fixtures.path)
            .filter { $0.hasPrefix("codex-app-server-") && $0.hasSuffix(".jsonl") }
        XCTAssertGreaterThanOrEqual(recordings.count, 2)
        for recording in recordings {
            try linesAreDecoded(Data(contentsOf: fixtures.appendingPathComponent(recording)))
        }
    }

    private func linesAreDecoded(_ lines: Data) throws {
        let texts = String(decoding: lines, as: UTF8.self).split(separator: "\n")
        let decoded = decodeLines(lines)
        XCTAssertEqual(decoded.errors, [])
        XCTAssertEqual(decoded.notifications.count, texts.count)
        XCTAssertEqual(decoded.notifications, try texts.compactMap { try decode(String($0)) })
        XCTAssert(decoded.notifications.contains { $0.failureReason == .reauthenticationRequired })
        for (notification, text) in zip(decoded.notifications, texts) {
            let params = try XCTUnwrap(try JSON(line: String(text))["params"])
            try equal("params", try JSON(of: notification), params)
        }
        let tracker = StartupTracker()
        for notification in decoded.notifications { tracker.apply(notification) }
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
            try XCTUnwrap(try decode(line(#"{"name":"a","environmentId":"e","status":"ready"}"#))),
            try XCTUnwrap(try decode(line(#"{"name":"a","environmentId":null,"status":"ready"}"#))),
            .ready("a"),
        ]
        for notification in all {
            let json = try JSONEncoder().encode(notification)
            XCTAssertEqual(try JSONDecoder().decode(McpServerStatusUpdatedNotification.self, from: json), notification)
            XCTAssertEqual(try decode(notification.encode()), notification)
            let fields = try JSONDecoder().decode(JSON.self, from: json).fields.keys
            XCTAssertEqual(
                Set(fields).subtracting(["environmentId"]), ["threadId", "name", "status", "error", "failureReason"])
            XCTAssertEqual(fields.contains("environmentId"), notification == all[7] || notification == all[8])
        }
        XCTAssertEqual(Set(all).count, all.count)
        XCTAssertEqual(all[5].status, .unknown("queued"))
        XCTAssertEqual(all[6].failureReason, .unknown("newer"))
    }

    func testCodableFollowsTheRulesOfTheDecoder() throws {
        func read(_ params: String) throws -> McpServerStatusUpdatedNotification {
            try JSONDecoder().decode(McpServerStatusUpdatedNotification.self, from: Data(params.utf8))
        }
        // A reason is valid only on `failed`. The decoder drops any other.
        XCTAssertEqual(
            try read(#"{"name":"a","status":"ready","failureReason":"reauthenticationRequired"}"#), .ready("a"))
        XCTAssertThrowsError(try read(#"{"status":"ready"}"#)) { error in
            guard case McpStartupError.decode(.missingField, "params.name", _) = error else {
                return XCTFail("\(error)")
            }
        }
        XCTAssertThrowsError(try read(#"{"name":7,"status":"ready"}"#))
    }

    func testTypesOfTheVerdictAreCodable() throws {
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

    func testInvalidEvidenceIsRejected() {
        XCTAssertThrowsError(try judge(Evidence(limitMs: -1))) { error in
            guard case McpStartupError.invalidArgument(let message) = error else { return XCTFail("\(error)") }
            XCTAssertTrue(message.contains("evidence"), message)
        }
    }

    func testAHandBuiltVerdictIsJudgedByItsEvidence() throws {
        let built = StartupFailure(
            kind: .reauthenticationRequired, message: "sign in", recovery: .reauthenticate,
            evidence: Evidence(server: "linear"))
        let notification = try McpServerStatusUpdatedNotification(name: "linear", failure: built)
        XCTAssertEqual(notification.status, .failed)
        XCTAssertNil(notification.failureReason)
    }

    func testAssessUsesTheCurrentTimeByDefault() throws {
        let inAnHour = Int(Date().timeIntervalSince1970 * 1000) + 3_600_000
        let facts = CredentialFacts(accessToken: true, expiresAtMs: inAnHour)
        XCTAssertEqual(try assess(facts).accessToken, .good)
        XCTAssertEqual(try assess(facts, nowMs: Int64(inAnHour)).accessToken, .expired)
    }

    func testSecretsAreNotPrinted() throws {
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
