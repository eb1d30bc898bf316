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

# What an application knows that has started the server with another SDK. Every field may be left out.
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
# What to say on the wire: the reason is set where it must be, and nowhere else.
print(McpServerStatusUpdatedNotification.from_failure("linear", failure).encode())
