import Foundation

/// A server that you define in code, instead of in a configuration file.
///
/// As in a `.mcp.json`, `${NAME}` in a string is replaced by that environment variable. Printing a server shows none of its values,
/// because they can contain secrets.
public struct Server: Sendable, Hashable, Redacted {
    /// The name of the server. It appears in the notifications. The name and the URL identify the stored sign-in.
    public let name: String
    let entry: Entry

    /// Creates a server at a URL, over streamable HTTP.
    ///
    /// - Parameters:
    ///   - name: The name of the server.
    ///   - url: The URL of the MCP endpoint, `http` or `https`.
    ///   - headers: Headers for requests to this server. They are sent to no other server. If they contain `Authorization`, the start does
    ///     not use OAuth.
    public static func http(name: String, url: URL, headers: [String: String] = [:]) -> Self {
        Self(name: name, entry: Entry(url: url.absoluteString, headers: headers.isEmpty ? nil : headers))
    }

    #if os(macOS) || os(Linux) || os(Windows)
        /// Creates a server that is a program on this machine, over stdio.
        ///
        /// - Parameters:
        ///   - name: The name of the server.
        ///   - command: The path of the program, or a name to find on the `PATH`.
        ///   - args: The arguments. No shell interprets them.
        ///   - env: Environment variables for the program, in addition to those of this process.
        public static func stdio(
            name: String, command: String, args: [String] = [], env: [String: String] = [:]
        ) -> Self {
            Self(name: name, entry: Entry(command: command, args: args, env: env))
        }
    #endif

    /// The entry in `mcpServers` of a `.mcp.json`.
    struct Entry: Sendable, Hashable, Encodable {
        var url: String?
        var headers: [String: String]?
        var command: String?
        var args: [String]?
        var env: [String: String]?

        /// An entry with a URL must have a type.
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

/// Options that select the servers and configure their starts.
public struct StartupOptions: Sendable {
    /// A place that defines servers.
    public enum Source: Sendable, Hashable {
        /// Codex's configuration: `config.toml` in `CODEX_HOME` or in `~/.codex`.
        case codex
        /// A file: Codex's `config.toml`, or JSON with `mcpServers`. `~/` is the user's home folder.
        case file(String)
        /// Servers that you define in code. Each needs a unique name.
        case servers([Server])
        #if os(macOS) || os(Linux) || os(Windows)
            /// The servers of the MCP clients on this machine. A server that several clients have in the same way is started once. If
            /// servers have the same name, their names are `CLIENT:SERVER`, as in `cursor:linear`.
            ///
            /// - Parameters:
            ///   - clients: The clients whose files are read.
            ///   - folder: The folder whose project files are read too. `nil` means the current folder.
            ///   - trustProject: Whether to start the servers of project files that the user has not approved in their client. These
            ///     files may be part of someone else's repository, and name programs to start.
            case clients(Clients, folder: String? = nil, trustProject: Bool = false)
        #endif
    }

    /// The place that defines the servers.
    public var source: Source
    /// The names of the servers to start. `nil` means every enabled server.
    public var names: [String]?
    /// The maximum duration of each start, at least 1 ms. Overrides the limits in the configuration.
    public var timeout: Duration?
    /// The maximum number of servers that start at the same time.
    public var concurrency: Int?
    /// The URL of your app's client ID metadata document, if you publish one.
    public var clientMetadataURL: URL?
    /// The store with the credentials. `nil` means the stores that Codex uses with this configuration.
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

    /// Encodes the options for the native library. Only the start of a sign-in has a challenge and scopes.
    func encoded(challenge: String? = nil, scopes: [String] = []) throws -> String {
        var wire = Wire(
            servers: names, timeoutMs: timeout.map(\.milliseconds), concurrency: concurrency,
            clientMetadataUrl: clientMetadataURL?.absoluteString, challenge: challenge,
            scopes: scopes.isEmpty ? nil : scopes)
        switch source {
        case .codex: break
        case .file(let path): wire.config = path
        case .servers(let servers):
            wire.mcpServers = try Dictionary(servers.map { ($0.name, $0.entry) }) { _, _ in
                throw McpStartupError.invalidArgument(
                    message: "the options: two servers have the same name; give each server a unique name")
            }
        #if os(macOS) || os(Linux) || os(Windows)
            case .clients(let clients, let folder, let trustProject):
                wire.clients = clients
                wire.folder = folder
                wire.trustProject = trustProject
        #endif
        }
        return try json(of: wire)
    }

    private struct Wire: Encodable {
        var config: String?
        var mcpServers: [String: Server.Entry]?
        #if os(macOS) || os(Linux) || os(Windows)
            var clients: Clients?
        #endif
        var folder: String?
        var trustProject: Bool?
        var servers: [String]?
        var timeoutMs: Int64?
        var concurrency: Int?
        var clientMetadataUrl: String?
        var challenge: String?
        var scopes: [String]?
    }
}

extension Duration {
    fileprivate var milliseconds: Int64 {
        components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
    }
}

/// A type with secrets. Printing it shows none of its values, not even in a debugger.
protocol Redacted: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {}

extension Redacted {
    public var description: String { "\(Self.self)(…)" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: []) }
}
