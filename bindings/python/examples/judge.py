from mcp_startup import (
    AccessTokenWorth,
    CredentialEvidence,
    CredentialSent,
    CredentialSource,
    CredentialWorth,
    Evidence,
    McpServerStatusUpdatedNotification,
    RequestEvidence,
    RequestTarget,
    judge,
)

# The evidence of an application that started the server with another SDK. Every field is optional.
evidence = Evidence(
    server="linear",
    credential=CredentialEvidence(
        source=CredentialSource.STORED,
        worth=CredentialWorth(access_token=AccessTokenWorth.GOOD, refresh_token=False),
    ),
    requests=(RequestEvidence(to=RequestTarget.MCP, credential_sent=CredentialSent.STORED, status=401),),
)
failure = judge(evidence)
print(failure.kind, failure.recovery)
# The notification for clients. `from_failure` sets the reason only if the verdict requires it.
print(McpServerStatusUpdatedNotification.from_failure("linear", failure).encode())
