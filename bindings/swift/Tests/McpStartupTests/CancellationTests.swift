import Foundation
import McpStartup
import McpStartupFFI
import XCTest

/// Checks that are cancelled at random: memory stays, nothing hangs, no event comes after the cancellation, and no object is left.
final class CancellationTests: XCTestCase {
    /// What memory may grow by over all of them, in KiB: less than 1 KiB for each of 10,000.
    private static let growthKiB = 8 * 1024

    func testTasksAreCancelledAtRandom() async throws {
        let wanted = ProcessInfo.processInfo.environment["MCP_STARTUP_SWIFT_CANCELLED"].flatMap(Int.init) ?? 300
        let lab = try Lab()
        defer { lab.stop() }
        let stores = SeededStore.alive.value
        // What is made once is made before memory is looked at.
        for _ in 0..<100 { try await cancelOne(lab) }
        let before = try residentKiB()
        var latest = Duration.zero
        for _ in 0..<wanted { latest = max(latest, try await cancelOne(lab)) }
        try await eventually("the stores are deallocated") { SeededStore.alive.value == stores }
        try await eventually("no call of a store is left") { uniffiForeignFutureHandleCountMcpStartupFfi() == 0 }
        let after = try residentKiB()
        print("cancelled: \(wanted) checks, memory \(before) -> \(after) KiB, the last end \(latest) after its cancellation (swift)")
        XCTAssertLessThan(after - before, Self.growthKiB)
        XCTAssertLessThan(latest, .seconds(5))
    }

    /// Cancels a check after up to 25 ms, and returns how long its end took.
    @discardableResult
    private func cancelOne(_ lab: Lab) async throws -> Duration {
        let store = try lab.store("ready-stored-token", "expired-no-refresh")
        let names = ["ready-stored-token", "expired-no-refresh", "first-sign-in", "hangs"]
        let check = check(servers: names.map(lab.server), store: store, timeout: .seconds(600))
        let isCancelled = Count()
        let reading = Task {
            var events = check.makeAsyncIterator()
            while true {
                // Asked for after the cancellation, there is none.
                let late = isCancelled.value > 0
                guard let event = try await events.next() else { return }
                if late { throw Wrong("an event after the cancellation: \(event)") }
            }
        }
        try await Task.sleep(for: .microseconds(Int.random(in: 0...25_000)))
        reading.cancel()
        isCancelled.add(1)
        let clock = ContinuousClock()
        return try await clock.measure { try await reading.value }
    }

    func testACallIsGivenUpWithItsTask() async throws {
        let lab = try Lab()
        defer { lab.stop() }
        let store = try lab.store("expired-rotates")
        let options = StartupOptions(.servers([lab.server("expired-rotates")]), store: store)
        for _ in 0..<50 {
            let asking = Task { try await authStatus(server: "expired-rotates", online: true, in: options) }
            try await Task.sleep(for: .microseconds(Int.random(in: 0...3000)))
            asking.cancel()
            switch await asking.result {
            case .success: break
            case .failure(let error): XCTAssertTrue(error is CancellationError, "\(error)")
            }
        }
    }

    /// The memory that this process has, in KiB.
    private func residentKiB() throws -> Int {
        let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
        let line = try XCTUnwrap(status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") })
        return try XCTUnwrap(line.split(separator: " ").compactMap { Int($0) }.first)
    }
}
