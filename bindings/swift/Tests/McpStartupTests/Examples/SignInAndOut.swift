import Foundation
import McpStartup

/// `browse` opens a page in the user's browser, and returns the complete URL that the browser is redirected to.
func signIn(_ server: String, _ options: StartupOptions, browse: @Sendable (URL) async throws -> URL) async throws {
    let begun = try await beginSignIn(server: server, redirectURI: "com.example.app:/callback", in: options)
    let callback = try await browse(begun.authorizationURL)
    try await finishSignIn(pending: begun.pending, callbackURL: callback, in: options)
}
