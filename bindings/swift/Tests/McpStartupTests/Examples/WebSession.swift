// Apple platforms only. NOT RUN by this project's tests, which run on Linux.
#if canImport(AuthenticationServices)
    import AuthenticationServices
    import McpStartup

    /// Shows the system's sign-in sheet, which shares the session of the browser. Pass `browse` to `signIn`.
    @MainActor
    final class WebSession: NSObject, ASWebAuthenticationPresentationContextProviding {
        private let window: ASPresentationAnchor

        init(window: ASPresentationAnchor) {
            self.window = window
        }

        func browse(_ page: URL) async throws -> URL {
            try await withCheckedThrowingContinuation { continuation in
                // The system may call the closure on another queue. `@Sendable` keeps it from being isolated to the main actor.
                let session = ASWebAuthenticationSession(url: page, callbackURLScheme: "com.example.app") { @Sendable url, error in
                    if let url {
                        continuation.resume(returning: url)
                    } else {
                        continuation.resume(throwing: error ?? CancellationError())
                    }
                }
                session.presentationContextProvider = self
                session.start()
            }
        }

        func presentationAnchor(for session: ASWebAuthenticationSession) -> ASPresentationAnchor {
            window
        }
    }
#endif
