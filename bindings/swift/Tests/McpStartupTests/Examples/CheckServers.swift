import Foundation
import McpStartup

func showServers(url: URL, store: any CredentialStore, show: (String) -> Void) async throws {
    for try await event in McpStartup.check(servers: [.http(name: "linear", url: url)], store: store) {
        if event.notification.failureReason == .reauthenticationRequired {
            show("\(event.notification.name): you were signed in, and have to sign in again")
        }
        if let failure = event.failure {
            // A sentence for a person, with the name of the server in it; and what to offer beside it.
            show(failure.message)
            switch failure.recovery {
            case .signIn: show("[Sign in]")
            case .reauthenticate: show("[Reconnect]")
            case .grantScope: show("[Allow more]")
            case .retry, .fixCredentialStore: show("[Try again]")
            case .fixConfiguration: show("[Open the configuration]")
            case .none: break
            }
        }
    }
}
