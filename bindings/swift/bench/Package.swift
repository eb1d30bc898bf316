// swift-tools-version: 6.0
import PackageDescription

// A separate package, so that the library's package has no executable. `scripts/swift bench` builds and runs it.
let package = Package(
    name: "bench",
    platforms: [.macOS(.v13)],
    dependencies: [.package(name: "McpStartup", path: "..")],
    targets: [
        .executableTarget(name: "bench", dependencies: [.product(name: "McpStartup", package: "McpStartup")])
    ]
)
