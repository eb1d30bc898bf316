// swift-tools-version: 6.0
import PackageDescription

// The folder with `libmcp_startup_ffi`. `scripts/swift` builds it, and generates the sources that are not in git.
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
            // The sources that UniFFI generates are written for Swift 5.
            swiftSettings: [.swiftLanguageMode(.v5)],
            linkerSettings: [.unsafeFlags(["-L", library, "-Xlinker", "-rpath", "-Xlinker", library])]
        ),
        .systemLibrary(name: "mcp_startup_ffiFFI"),
        .testTarget(name: "McpStartupTests", dependencies: ["McpStartup", "McpStartupFFI"]),
    ]
)
