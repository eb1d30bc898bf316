import Foundation
import McpStartupFFI

/// Starts servers, reports the outcome of each start, and closes each server when its state is known.
///
/// The starts begin when you request the first event. No browser opens.
///
/// - Parameters:
///   - servers: The servers to start. Each needs a unique name.
///   - store: The store with the credentials. `nil` means Codex's own stores.
///   - timeout: The maximum duration of each start.
/// - Returns: The events, to read with `for try await`.
public func check(
    servers: [Server], store: (any CredentialStore)? = nil, timeout: Duration? = nil
) -> StartupCheck {
    check(StartupOptions(.servers(servers), timeout: timeout, store: store))
}

/// Starts every enabled server of a configuration, reports the outcome of each start, and closes each server when its state is known.
///
/// The starts begin when you request the first event. No browser opens.
///
/// - Parameters:
///   - path: The path of Codex's `config.toml`, or of a JSON file with `mcpServers`. `~/` is the user's home folder.
///   - store: The store with the credentials. `nil` means the stores that Codex uses with this configuration.
///   - timeout: The maximum duration of each start. Overrides the limits in the configuration.
/// - Returns: The events, to read with `for try await`.
public func check(
    config path: String, store: (any CredentialStore)? = nil, timeout: Duration? = nil
) -> StartupCheck {
    check(StartupOptions(.file(path), timeout: timeout, store: store))
}

/// Starts the servers that the options select, reports the outcome of each start, and closes each server when its state is known.
///
/// The starts begin when you request the first event. No browser opens.
public func check(_ options: StartupOptions) -> StartupCheck {
    StartupCheck(EventSource(options, begin: Events.ofCheck))
}

/// Starts the servers that the options select, and restarts a failed server when that may help:
///
/// * when you call ``StartupWatch/retry(_:)``;
/// * when its stored credential changes, such as after a sign-in in any process;
/// * automatically if the recovery of the failure is ``Recovery/retry``: after a random pause of up to 1 s, then up
///   to 2 s, 4 s and so on up to 5 min.
///
/// As in a check, a server that is ready is closed, and no browser opens.
public func watch(_ options: StartupOptions) -> StartupWatch {
    StartupWatch(EventSource(options, begin: Events.ofWatch))
}

/// Starts servers, and restarts a failed server when that may help. See ``watch(_:)``.
///
/// - Parameters:
///   - servers: The servers to start. Each needs a unique name.
///   - store: The store with the credentials. `nil` means Codex's own stores.
///   - timeout: The maximum duration of each start.
public func watch(
    servers: [Server], store: (any CredentialStore)? = nil, timeout: Duration? = nil
) -> StartupWatch {
    watch(StartupOptions(.servers(servers), timeout: timeout, store: store))
}

/// Starts every enabled server of a configuration, and restarts a failed server when that may help. See ``watch(_:)``.
///
/// - Parameters:
///   - path: The path of Codex's `config.toml`, or of a JSON file with `mcpServers`. `~/` is the user's home folder.
///   - store: The store with the credentials. `nil` means the stores that Codex uses with this configuration.
///   - timeout: The maximum duration of each start. Overrides the limits in the configuration.
public func watch(
    config path: String, store: (any CredentialStore)? = nil, timeout: Duration? = nil
) -> StartupWatch {
    watch(StartupOptions(.file(path), timeout: timeout, store: store))
}

/// The events of a check. Each start reports `starting`, and then exactly one of `ready`, `failed` and `cancelled`.
///
/// You can read the sequence once. When the reading task is cancelled, or the iterator goes away (such as after `break` in a `for` loop),
/// every start ends immediately: no program and no request remains, and no events follow. A refresh that has been sent is still saved.
public struct StartupCheck: AsyncSequence, Sendable {
    public typealias Element = StartupEvent

    private let source: EventSource

    init(_ source: EventSource) {
        self.source = source
    }

    /// Cancels the starts under way. Each reports `cancelled`, and no events follow.
    public func cancel() {
        source.events?.cancel()
    }

    public func makeAsyncIterator() -> StartupEvents {
        StartupEvents(source)
    }
}

/// The events of a watch. Each start reports `starting`, and then exactly one of `ready`, `failed` and `cancelled`.
///
/// The sequence ends when you call ``cancel()``, cancel the reading task, or leave the loop. See ``StartupCheck``.
public struct StartupWatch: AsyncSequence, Sendable {
    public typealias Element = StartupEvent

    private let source: EventSource

    init(_ source: EventSource) {
        self.source = source
    }

    /// Restarts a failed server now. Does nothing if the server is starting or ready.
    public func retry(_ name: String) {
        source.events?.retry(name: name)
    }

    /// Cancels the starts under way. Each reports `cancelled`, and no events follow.
    public func cancel() {
        source.events?.cancel()
    }

    public func makeAsyncIterator() -> StartupEvents {
        StartupEvents(source)
    }
}

/// The iterator over the events of a check or a watch.
public struct StartupEvents: AsyncIteratorProtocol {
    private let reading: Reading
    private var ready: ArraySlice<StartupEvent> = []

    init(_ source: EventSource) {
        reading = Reading(source)
    }

    /// Waits for the next event.
    ///
    /// - Returns: The event, or `nil` at the end or after the task was cancelled.
    /// - Throws: ``McpStartupError/configuration(kind:path:line:key:message:)`` or ``McpStartupError/invalidArgument(message:)`` if the
    ///   configuration or the options can't be used. A server that fails to start is an event, not an error.
    public mutating func next() async throws -> StartupEvent? {
        if ready.isEmpty {
            let events = try reading.source.begun()
            // UniFFI does not react to the cancellation of a task. After `close`, the pending call returns without events.
            let answer = await withTaskCancellationHandler {
                await events.next()
            } onCancel: {
                events.close()
            }
            ready = try value(of: answer, as: [StartupEvent].self)[...]
        }
        if Task.isCancelled {
            reading.source.events?.close()
            ready = []
        }
        return ready.popFirst()
    }

    /// Ends the starts when the iterator goes away, even if the sequence still exists.
    private final class Reading: Sendable {
        let source: EventSource

        init(_ source: EventSource) {
            self.source = source
        }

        deinit {
            source.events?.close()
        }
    }
}

/// The events of the native library, or the error from encoding the options.
final class EventSource: Sendable {
    private let result: Result<Events, any Error>

    init(_ options: StartupOptions, begin: (String, (any StoreCalls)?) -> Events) {
        result = Result { begin(try options.encoded(), options.store.map(StoreBridge.init)) }
    }

    func begun() throws -> Events {
        try result.get()
    }

    var events: Events? {
        try? result.get()
    }
}

/// A change of the state of one server's start.
public struct StartupEvent: Sendable, Hashable, Codable {
    /// The notification, as it is sent over the wire.
    public let notification: McpServerStatusUpdatedNotification
    /// The phase of the start. On `ready`, it is the last phase of the start.
    public let phase: StartPhase
    /// The time since the start began, in milliseconds.
    public let elapsedMs: Int
    /// Whether the configuration marks the server as required.
    public let required: Bool
    /// The failure. Set only on `failed`.
    public let failure: StartupFailure?
    /// The reason why a token that was refreshed during this start could not be saved; otherwise `nil`.
    public let notSaved: String?
    /// What is wrong with a server that is ready. Nil otherwise.
    public let warning: StartupWarning?
    /// The number of tools of a server that is ready, or `nil` if it did not list them: then there is a `warning`.
    public let tools: Int?
    /// Parts of the server's entry that do not have the effect that the user may expect, such as keys that are not read. Empty on
    /// `starting`.
    public let configurationWarnings: [ConfigurationEvidence]
}

/// Waits until the new token of every refresh in flight is saved, at most 30 s for each refresh.
///
/// Call it before the process ends if you have cancelled a check or a watch, or left its loop early. Otherwise a new token can be lost,
/// and the user has to sign in again.
public func finish() async {
    await McpStartupFFI.finish()
}

/// Calls the native library, and returns the decoded answer. When the task is cancelled, it cancels the call and throws
/// `CancellationError`.
func answer<T: Decodable>(_ call: (Cancellation) async throws -> String) async throws -> T {
    try Task.checkCancellation()
    let cancellation = Cancellation()
    let answer = try await withTaskCancellationHandler {
        try await call(cancellation)
    } onCancel: {
        cancellation.cancel()
    }
    try Task.checkCancellation()
    return try value(of: answer)
}
