"""A protected MCP server for the end-to-end tests: a resource server with the OAuth support of the official Python SDK.

    python protected.py --issuer URL        streamable HTTP at http://127.0.0.1:N/mcp, N a free port

Its authorization server is `../npm/oidc.mjs` at URL. The server registers there with /test/resource. The SDK publishes the metadata and
decides which requests to reject. Each token is checked at the introspection endpoint of the authorization server (RFC 7662).

When it accepts requests, it prints one line to stderr: `listening on http://127.0.0.1:N/mcp`. It ends at SIGTERM, and when its
stdin ends, so that it does not outlive a killed test.
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
        claims = response.json()
        if not claims["active"]:
            return None
        return AccessToken(
            token=token,
            client_id=claims["client_id"],
            scopes=claims["scope"].split(),
            expires_at=claims["exp"],
            resource=claims["aud"],
            subject=claims["sub"],
        )


def end_with_stdin() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--issuer", required=True)
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)

    # Tokens are granted for the server's URL, so the port must be known first.
    listener = socket.create_server((HOST, 0))
    resource = f"http://{HOST}:{listener.getsockname()[1]}{PATH}"
    response = httpx2.post(f"{options.issuer}/test/resource", json={"resource": resource})
    response.raise_for_status()
    registration = response.json()

    server = MCPServer(
        "mcp-startup-e2e-protected",
        version="1.0.0",
        log_level="WARNING",
        token_verifier=Introspection(registration["issuer"], registration["clientId"], registration["clientSecret"]),
        auth=AuthSettings(
            issuer_url=registration["issuer"],
            resource_server_url=resource,
            required_scopes=[registration["scope"]],
            validate_token_resource=True,
        ),
    )

    @server.tool()
    def whoami() -> str:
        """Confirm that the token is valid."""
        return "a signed-in user"

    app = server.streamable_http_app(streamable_http_path=PATH, host=HOST)
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1)
    threading.Thread(target=end_with_stdin, daemon=True).start()
    print(f"listening on {resource}", file=sys.stderr, flush=True)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
