import Foundation
import McpStartupFFI

/// Starts these servers, says what each start came to, and closes each when its state is known.
///
/// Nothing begins before the first event is asked for, and no browser is ever opened. `store`: where credentials are kept; `timeout`: how
/// long each start may take.
public func check(
    servers: [Server], store: (any CredentialStore)? = nil, timeout: Duration? = nil
) -> StartupCheck {
    check(StartupOptions(.servers(servers), timeout: timeout, store: store))
}

/// The same for the servers of a configuration: Codex's `config.toml`, or JSON with `mcpServers`. `~/` is the user's folder.
public func check(
    config path: String, store: (any CredentialStore)? = nil, timeout: Duration? = nil
) -> StartupCheck {
    check(StartupOptions(.file(path), timeout: timeout, store: store))
}

/// The same, with every option.
public func check(_ options: StartupOptions) -> StartupCheck {
    StartupCheck(EventSource(options, begin: Events.ofCheck))
}

/// The same, and goes on: a server that failed is started again
///
/// * when ``StartupWatch/retry(_:)`` asks for it;
/// * when what is stored for it has changed: a sign-in by any process;
/// * by itself, where the failure's recovery is ``Recovery/retry``: after 1 s, then 2 s, 4 s and so on up to 5 min.
public func watch(_ options: StartupOptions) -> StartupWatch {
    StartupWatch(EventSource(options, begin: Events.ofWatch))
}

/// The same for these servers.
public func watch(
    servers: [Server], store: (any CredentialStore)? = nil, timeout: Duration? = nil
) -> StartupWatch {
    watch(StartupOptions(.servers(servers), timeout: timeout, store: store))
}

/// The same for the servers of a configuration.
public func watch(
    config path: String, store: (any CredentialStore)? = nil, timeout: Duration? = nil
) -> StartupWatch {
    watch(StartupOptions(.file(path), timeout: timeout, store: store))
}

/// The events of a check: for each start one with `starting`, and then exactly one more.
///
/// Read once, like a stream. When the task that reads is cancelled, or the iterator is dropped (a `for` loop is left), every start ends at
/// once, no program and no request is left, and there are no more events. A refresh that was sent is saved all the same.
public struct StartupCheck: AsyncSequence, Sendable {
    public typealias Element = StartupEvent

    private let source: EventSource

    init(_ source: EventSource) {
        self.source = source
    }

    /// Gives up what is still starting: each such start says `cancelled`, and there are no events after that.
    public func cancel() {
        source.events?.cancel()
    }

    public func makeAsyncIterator() -> StartupEvents {
        StartupEvents(source)
    }
}

/// The events of a watch, as those of a ``StartupCheck``. It ends when it is cancelled.
public struct StartupWatch: AsyncSequence, Sendable {
    public typealias Element = StartupEvent

    private let source: EventSource

    init(_ source: EventSource) {
        self.source = source
    }

    /// Starts the server of this name again now, if it has failed. Does nothing if it is starting or ready.
    public func retry(_ name: String) {
        source.events?.retry(name: name)
    }

    /// Gives up what is still starting: each such start says `cancelled`, and there are no events after that.
    public func cancel() {
        source.events?.cancel()
    }

    public func makeAsyncIterator() -> StartupEvents {
        StartupEvents(source)
    }
}

/// Reads the events of a check or a watch.
public struct StartupEvents: AsyncIteratorProtocol {
    private let reading: Reading
    private var ready: ArraySlice<StartupEvent> = []

    init(_ source: EventSource) {
        reading = Reading(source)
    }

    /// The next event; `nil` at the end, and once the task is cancelled.
    ///
    /// Throws ``McpStartupError/configuration(kind:path:line:key:message:)`` or ``McpStartupError/invalidArgument(message:)`` where nothing
    /// can be started.
    public mutating func next() async throws -> StartupEvent? {
        if ready.isEmpty {
            let events = try reading.source.begun()
            // UniFFI does not hear that the task is cancelled; closed, it has no more events at once.
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

    /// Ends the starts when nobody reads any more, though the sequence may live on.
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

/// What the library below has begun, or why it could not.
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

/// The state of one server's start has changed.
public struct StartupEvent: Sendable, Hashable, Codable {
    /// The notification, as it goes over the wire.
    public let notification: McpServerStatusUpdatedNotification
    /// How far the start had come; on `ready`, the last phase it went through.
    public let phase: StartPhase
    /// The time since the start began, in ms.
    public let elapsedMs: Int
    /// Whether the configuration says that the app can't do without this server.
    public let required: Bool
    /// Why it failed: on `failed`, and on nothing else.
    public let failure: StartupFailure?
    /// Why a token that was refreshed in this start could not be saved.
    public let notSaved: String?
}

/// Waits until every token that an authorization server has given out is stored, at most 30 s: before a process ends whose checks were
/// cancelled.
public func finish() async {
    await McpStartupFFI.finish()
}

/// What a call of the library below comes to. The call is given up when the task is cancelled, and `CancellationError` thrown.
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
