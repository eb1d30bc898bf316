import Foundation
import McpStartup

func showServers(url: URL, store: any CredentialStore, show: (String) -> Void) async throws {
    for try await event in McpStartup.check(servers: [.http(name: "linear", url: url)], store: store) {
        if event.notification.failureReason == .reauthenticationRequired {
            show("\(event.notification.name): sign in again")
        }
        if let failure = event.failure {
            // A message for the user, with the name of the server, and the action to offer next to it.
            show(failure.message)
            switch failure.recovery {
            case .signIn: show("[Sign in]")
            case .reauthenticate: show("[Reconnect]")
            case .grantScope: show("[Allow more]")
            case .openClient: show("[Open the other client]")
            case .retry, .fixCredentialStore: show("[Try again]")
            case .fixConfiguration: show("[Open the configuration]")
            case .none: break
            }
        }
    }
}
