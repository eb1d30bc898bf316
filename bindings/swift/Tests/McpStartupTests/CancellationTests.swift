import Foundation
import McpStartup
import McpStartupFFI
import XCTest

/// Cancels checks at random times. Memory must not grow, no check may hang, no event may follow the cancellation, and no object may remain.
final class CancellationTests: XCTestCase {
    /// The permitted growth of memory over all checks, in KiB: less than 1 KiB for each of 10,000 checks.
    private static let growthKiB = 8 * 1024

    func testTasksAreCancelledAtRandom() async throws {
        let count = ProcessInfo.processInfo.environment["MCP_STARTUP_SWIFT_CANCELLED"].flatMap(Int.init) ?? 300
        let lab = try Lab()
        defer { lab.stop() }
        let stores = SeededStore.alive.value
        // Warm up, so that one-time allocations do not count.
        for _ in 0..<100 { try await cancelOne(lab) }
        let before = try residentKiB()
        var latest = Duration.zero
        for _ in 0..<count { latest = max(latest, try await cancelOne(lab)) }
        try await eventually("the stores are deallocated") { SeededStore.alive.value == stores }
        try await eventually("no call of a store is left") { uniffiForeignFutureHandleCountMcpStartupFfi() == 0 }
        let after = try residentKiB()
        print("cancelled: \(count) checks, memory \(before) -> \(after) KiB, slowest end \(latest) after its cancellation (swift)")
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
                // A request for an event after the cancellation must return none.
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

    func testCancellingATaskCancelsItsCall() async throws {
        let lab = try Lab()
        defer { lab.stop() }
        let store = try lab.store("expired-rotates")
        let options = StartupOptions(.servers([lab.server("expired-rotates")]), store: store)
        for _ in 0..<50 {
            let calling = Task { try await authStatus(server: "expired-rotates", online: true, in: options) }
            try await Task.sleep(for: .microseconds(Int.random(in: 0...3000)))
            calling.cancel()
            switch await calling.result {
            case .success: break
            case .failure(let error): XCTAssertTrue(error is CancellationError, "\(error)")
            }
        }
    }

    /// The resident memory of this process, in KiB.
    private func residentKiB() throws -> Int {
        let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
        let line = try XCTUnwrap(status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") })
        return try XCTUnwrap(line.split(separator: " ").compactMap { Int($0) }.first)
    }
}
