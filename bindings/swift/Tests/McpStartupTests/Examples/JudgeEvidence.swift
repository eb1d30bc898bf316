import McpStartup

/// What an app says that has started the server with another SDK. Every field of the evidence may be left out.
func verdict() throws -> String {
    let evidence = Evidence(
        server: "linear",
        credential: CredentialEvidence(source: .stored, worth: CredentialWorth(accessToken: .good)),
        requests: [RequestEvidence(to: .mcp, credentialSent: .stored, status: 401)])
    let failure = try judge(evidence)
    // The reason is set where it must be, and nowhere else.
    return try McpServerStatusUpdatedNotification(name: "linear", failure: failure).encode()
}
