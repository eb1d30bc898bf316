// swift-tools-version: 6.0
import PackageDescription

// A package of its own, so that the one above is its library alone. `scripts/swift bench` builds and runs it.
let package = Package(
    name: "bench",
    platforms: [.macOS(.v13)],
    dependencies: [.package(name: "McpStartup", path: "..")],
    targets: [
        .executableTarget(name: "bench", dependencies: [.product(name: "McpStartup", package: "McpStartup")])
    ]
)
