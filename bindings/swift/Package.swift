// swift-tools-version: 6.0
import PackageDescription

// Where `libmcp_startup_ffi` was built: `scripts/swift` builds it there, and generates the sources that git does not have.
let library = Context.environment["MCP_STARTUP_LIBRARY_DIR"] ?? Context.packageDirectory + "/../../target/debug"

let package = Package(
    name: "McpStartup",
    platforms: [.macOS(.v13), .iOS(.v16)],
    products: [.library(name: "McpStartup", targets: ["McpStartup"])],
    targets: [
        .target(name: "McpStartup", dependencies: ["McpStartupFFI"]),
        .target(
            name: "McpStartupFFI",
            dependencies: ["mcp_startup_ffiFFI"],
            // UniFFI's sources, as it writes them.
            swiftSettings: [.swiftLanguageMode(.v5)],
            linkerSettings: [.unsafeFlags(["-L", library, "-Xlinker", "-rpath", "-Xlinker", library])]
        ),
        .systemLibrary(name: "mcp_startup_ffiFFI"),
        .testTarget(name: "McpStartupTests", dependencies: ["McpStartup", "McpStartupFFI"]),
    ]
)
