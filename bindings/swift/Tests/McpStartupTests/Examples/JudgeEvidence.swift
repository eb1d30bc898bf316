import McpStartup

/// Judges a start that failed in another SDK. Every field of the evidence is optional.
func verdict() throws -> String {
    let evidence = Evidence(
        server: "linear",
        credential: CredentialEvidence(source: .stored, worth: CredentialWorth(accessToken: .good)),
        requests: [RequestEvidence(to: .mcp, credentialSent: .stored, status: 401)])
    let failure = try judge(evidence)
    // The failure reason is set only if the user has to sign in again.
    return try McpServerStatusUpdatedNotification(name: "linear", failure: failure).encode()
}
