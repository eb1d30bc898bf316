"""An MCP server made with the official Python SDK and its OAuth support, for the end-to-end tests: a resource server.

    python protected.py --issuer URL        streamable HTTP at http://127.0.0.1:N/mcp, N a free port

Its authorization server is `../npm/oidc.mjs` at URL, which it tells of itself by /test/resource. What it publishes of itself,
how it refuses and which tokens it takes is all the SDK's; what a token is worth it asks the authorization server each time
(RFC 7662).

Once it accepts requests it writes one line to stderr: `listening on http://127.0.0.1:N/mcp`. It ends when its stdin ends, so
that a killed test leaves nothing behind, and at SIGTERM.
"""

import argparse
import logging
import os
import signal
import socket
import sys
import threading

import httpx2
import uvicorn
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import MCPServer

HOST = "127.0.0.1"
PATH = "/mcp"


class Introspection:
    """The SDK's `TokenVerifier`."""

    def __init__(self, issuer: str, client_id: str, client_secret: str) -> None:
        self.url = f"{issuer}/token/introspection"
        self.client = (client_id, client_secret)

    async def verify_token(self, token: str) -> AccessToken | None:
        async with httpx2.AsyncClient() as http:
            response = await http.post(self.url, data={"token": token}, auth=self.client)
        response.raise_for_status()
        said = response.json()
        if not said["active"]:
            return None
        return AccessToken(
            token=token,
            client_id=said["client_id"],
            scopes=said["scope"].split(),
            expires_at=said["exp"],
            resource=said["aud"],
            subject=said["sub"],
        )


def end_with_stdin() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--issuer", required=True)
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)

    # Its URL is what tokens are granted for, so the port comes first.
    listener = socket.create_server((HOST, 0))
    resource = f"http://{HOST}:{listener.getsockname()[1]}{PATH}"
    response = httpx2.post(f"{options.issuer}/test/resource", json={"resource": resource})
    response.raise_for_status()
    known = response.json()

    server = MCPServer(
        "mcp-startup-e2e-protected",
        version="1.0.0",
        log_level="WARNING",
        token_verifier=Introspection(known["issuer"], known["clientId"], known["clientSecret"]),
        auth=AuthSettings(
            issuer_url=known["issuer"],
            resource_server_url=resource,
            required_scopes=[known["scope"]],
            validate_token_resource=True,
        ),
    )

    @server.tool()
    def whoami() -> str:
        """Say that the token is good."""
        return "somebody who has signed in"

    app = server.streamable_http_app(streamable_http_path=PATH, host=HOST)
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1)
    threading.Thread(target=end_with_stdin, daemon=True).start()
    print(f"listening on {resource}", file=sys.stderr, flush=True)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
