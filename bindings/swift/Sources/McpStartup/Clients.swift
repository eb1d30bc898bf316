// A phone has no other MCP clients.
#if os(macOS) || os(Linux) || os(Windows)
    import McpStartupFFI

    /// The MCP clients whose files are read.
    public enum Clients: Sendable, Hashable, Encodable {
        /// Every client.
        case all
        /// The clients with these IDs, such as `claude-code`. The documentation and `mcp-startup clients` list the IDs.
        case ids([String])

        public func encode(to encoder: any Encoder) throws {
            var value = encoder.singleValueContainer()
            switch self {
            case .all: try value.encode("all")
            case .ids(let ids): try value.encode(ids)
            }
        }
    }

    /// Finds the configuration files of the MCP clients on this machine, and reads each as its client does. Starts nothing.
    ///
    /// Files that do not exist are left out. A file that can't be read is part of the result, with its `error`. The result is the same
    /// as that of `mcp-startup clients --format json`.
    ///
    /// - Parameters:
    ///   - clients: The clients whose files are read.
    ///   - folder: The folder whose project files are read too. `~/` is the user's home folder. `nil` means the current folder.
    /// - Throws: ``McpStartupError/invalidArgument(message:)`` if an argument is invalid, such as an unknown ID of a client.
    public func discover(_ clients: Clients = .all, folder: String? = nil) async throws -> [ClientFile] {
        let options = try json(of: DiscoverOptions(clients: clients, folder: folder))
        return try await answer { cancellation in
            await McpStartupFFI.discover(options: options, cancellation: cancellation)
        }
    }

    private struct DiscoverOptions: Encodable {
        let clients: Clients
        let folder: String?
    }

    /// Returns the servers that a check and a watch leave out with the same options, and why: for example because only the client knows
    /// a secret, or because the user has not approved a project's file. Starts nothing. Without `.clients`, the list is empty.
    ///
    /// - Throws: ``McpStartupError/invalidArgument(message:)`` if an option is invalid, and
    ///   ``McpStartupError/configuration(kind:path:line:key:message:)`` if no client has a server with a name in the options.
    public func notChecked(_ options: StartupOptions) async throws -> [NotChecked] {
        let options = try options.encoded()
        return try await answer { cancellation in
            await McpStartupFFI.notChecked(options: options, cancellation: cancellation)
        }
    }

    /// Starts the servers of the MCP clients on this machine. See ``check(_:)`` and ``notChecked(_:)``.
    ///
    /// - Parameters:
    ///   - clients: The clients whose servers are started.
    ///   - timeout: The maximum duration of each start. Overrides the limits in the configuration.
    public func check(clients: Clients, timeout: Duration? = nil) -> StartupCheck {
        check(StartupOptions(.clients(clients), timeout: timeout))
    }

    /// One configuration file of an MCP client.
    public struct ClientFile: Sendable, Hashable, Codable {
        /// The ID of the client, such as `claude-code`.
        public let client: String
        /// Whose servers the file configures.
        public let scope: ClientScope
        /// The path of the file.
        public let path: String
        /// The syntax of the file: `json`, `jsonc`, `toml`, `yaml` or `script`.
        public let format: String
        /// Whether the user has approved the file in the client. `nil` if that is not known or not needed.
        public let approved: Bool?
        /// Why the file can't be used, or `nil`.
        public let error: ClientFileProblem?
        /// Why the file is not read, even though the client uses it: it is a script. Otherwise `nil`.
        public let notRead: String?
        /// The warnings about the file as a whole, for example about servers below a key that the client does not read.
        public let warnings: [ClientFileProblem]
        /// The servers, in the order of the file. Empty if the file can't be used.
        public let servers: [ClientServer]
    }

    /// Whose servers a file of a client configures.
    public enum ClientScope: String, Sendable, Hashable, Codable {
        /// The user, in every folder.
        case user
        /// The user, in the current folder. The file is the user's own.
        case local
        /// The project in the current folder. The file may be part of someone else's repository.
        case project
        /// The administrator, who decides which servers are used.
        case managed
        /// An extension of the client.
        case plugin
        /// All users of the machine.
        case system
    }

    /// Why a file of a client can't be used, or a warning about it.
    public struct ClientFileProblem: Sendable, Hashable, Codable {
        /// The line number, starting at 1, or `nil`.
        public let line: Int?
        /// The column in characters, starting at 1, or `nil`.
        public let column: Int?
        /// A human-readable message that names the file.
        public let message: String
    }

    /// A server in a configuration file of an MCP client.
    public struct ClientServer: Sendable, Hashable, Codable {
        /// The name of the server in the client.
        public let name: String
        /// The transport that the client uses.
        public let transport: ClientTransport
        /// Whether the server is enabled in the client.
        public let enabled: Bool
        /// Whether a check can start the server: it has no problem, and everything that it needs is known.
        public let checkable: Bool
        /// Why a check can't start the server, or `nil`.
        public let why: String?
        /// Whether the user has approved the server in the client. `nil` if that is not known or not needed.
        public let approved: Bool?
    }

    /// The transport that a client uses for a server.
    public enum ClientTransport: String, Sendable, Hashable, Codable {
        /// A program, over its standard input and output.
        case stdio
        /// Streamable HTTP.
        case http
        /// HTTP+SSE of MCP 2024-11-05.
        case sse
        /// The entry names no transport, or one that is not known here.
        case unknown
    }

    /// A server of an MCP client that a check leaves out.
    public struct NotChecked: Sendable, Hashable, Codable {
        /// The ID of the client, such as `claude-code`.
        public let client: String
        /// Whose servers the client's file configures.
        public let scope: ClientScope
        /// The path of the client's file.
        public let path: String
        /// The name of the server in the client.
        public let name: String
        /// Why the server is left out.
        public let why: String
        /// Whether a check starts the server with `trustProject`.
        public let needsApproval: Bool
    }
#endif
