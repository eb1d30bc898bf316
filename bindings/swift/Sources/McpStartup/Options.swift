import Foundation

/// A server, in place of one from a configuration file.
///
/// As in a `.mcp.json`, `${NAME}` within a text of it stands for an environment variable. It does not print what may be secret.
public struct Server: Sendable, Hashable, Redacted {
    /// Its name: that of its notifications, and with its URL the key of what is stored for it.
    public let name: String
    let entry: Entry

    /// A server that is reached over streamable HTTP. `headers` go to it and nowhere else; with an `Authorization` among them, OAuth has
    /// no part in its start.
    public static func http(name: String, url: URL, headers: [String: String] = [:]) -> Self {
        Self(name: name, entry: Entry(url: url.absoluteString, headers: headers.isEmpty ? nil : headers))
    }

    #if os(macOS) || os(Linux) || os(Windows)
        /// A program on this machine. `env` is set besides what this process has.
        public static func stdio(
            name: String, command: String, args: [String] = [], env: [String: String] = [:]
        ) -> Self {
            Self(name: name, entry: Entry(command: command, args: args, env: env))
        }
    #endif

    /// As it stands under `mcpServers` in a `.mcp.json`.
    struct Entry: Sendable, Hashable, Encodable {
        var url: String?
        var headers: [String: String]?
        var command: String?
        var args: [String]?
        var env: [String: String]?

        /// The URL tells an `http` server only with its type.
        private var type: String? { url == nil ? "stdio" : "http" }

        private enum CodingKeys: CodingKey {
            case type, url, headers, command, args, env
        }

        func encode(to encoder: any Encoder) throws {
            var fields = encoder.container(keyedBy: CodingKeys.self)
            try fields.encodeIfPresent(type, forKey: .type)
            try fields.encodeIfPresent(url, forKey: .url)
            try fields.encodeIfPresent(headers, forKey: .headers)
            try fields.encodeIfPresent(command, forKey: .command)
            try fields.encodeIfPresent(args, forKey: .args)
            try fields.encodeIfPresent(env, forKey: .env)
        }
    }
}

/// Which servers, and how they are started.
public struct StartupOptions: Sendable {
    /// Where the servers stand.
    public enum Source: Sendable, Hashable {
        /// In Codex's own configuration: `config.toml` in `CODEX_HOME`, or in `~/.codex`.
        case codex
        /// In this file: Codex's `config.toml`, or JSON with `mcpServers`. `~/` is the user's folder.
        case file(String)
        /// Here.
        case servers([Server])
    }

    /// Where the servers stand.
    public var source: Source
    /// The names of those that are meant; `nil`: those that are enabled.
    public var names: [String]?
    /// How long each start may take, over what the configuration says. Counted in ms.
    public var timeout: Duration?
    /// How many servers start at once.
    public var concurrency: Int?
    /// The URL of the app's client id metadata document, where it publishes one.
    public var clientMetadataURL: URL?
    /// Where credentials are kept; `nil`: where the configuration says that Codex keeps them.
    public var store: (any CredentialStore)?

    public init(
        _ source: Source,
        names: [String]? = nil,
        timeout: Duration? = nil,
        concurrency: Int? = nil,
        clientMetadataURL: URL? = nil,
        store: (any CredentialStore)? = nil
    ) {
        self.source = source
        self.names = names
        self.timeout = timeout
        self.concurrency = concurrency
        self.clientMetadataURL = clientMetadataURL
        self.store = store
    }

    /// As the library below reads them.
    func encoded() throws -> String {
        var wire = Wire(
            servers: names, timeoutMs: timeout.map(\.milliseconds), concurrency: concurrency,
            clientMetadataUrl: clientMetadataURL?.absoluteString)
        switch source {
        case .codex: break
        case .file(let path): wire.config = path
        case .servers(let servers):
            wire.mcpServers = try Dictionary(servers.map { ($0.name, $0.entry) }) { _, _ in
                throw McpStartupError.invalidArgument(message: "the options: two servers have one name")
            }
        }
        return try json(of: wire)
    }

    private struct Wire: Encodable {
        var config: String?
        var mcpServers: [String: Server.Entry]?
        var servers: [String]?
        var timeoutMs: Int64?
        var concurrency: Int?
        var clientMetadataUrl: String?
    }
}

extension Duration {
    fileprivate var milliseconds: Int64 {
        components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
    }
}

/// What holds secrets, and so prints none of what is in it, in a debugger either.
protocol Redacted: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {}

extension Redacted {
    public var description: String { "\(Self.self)(…)" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: []) }
}
