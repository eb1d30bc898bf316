package io.github.mcpstartup.examples

import io.github.mcpstartup.AccessTokenWorth
import io.github.mcpstartup.CredentialEvidence
import io.github.mcpstartup.CredentialSent
import io.github.mcpstartup.CredentialSource
import io.github.mcpstartup.CredentialWorth
import io.github.mcpstartup.Evidence
import io.github.mcpstartup.RequestEvidence
import io.github.mcpstartup.RequestTarget
import io.github.mcpstartup.StartupFailure
import io.github.mcpstartup.judge

/** Judges a start that failed in another SDK. Every field of the evidence is optional. */
fun verdict(): StartupFailure = judge(
    Evidence(
        server = "linear",
        credential = CredentialEvidence(
            source = CredentialSource.STORED,
            worth = CredentialWorth(accessToken = AccessTokenWorth.GOOD, refreshToken = false),
        ),
        requests = listOf(
            RequestEvidence(to = RequestTarget.MCP, credentialSent = CredentialSent.STORED, status = 401),
        ),
    ),
)
