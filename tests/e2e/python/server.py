"""An MCP server with the official Python SDK, for the end-to-end tests.

    python server.py stdio
    python server.py http --port N        streamable HTTP at http://127.0.0.1:N/mcp; 0 for a free port

When it accepts requests, it prints one line to stderr: `listening on http://127.0.0.1:N/mcp`, or `serving stdio`.

`--era` selects the protocol eras: `dual` (the SDK's default), `legacy` (only the `initialize` handshake, up to 2025-11-25) or
`modern` (only 2026-07-28: `server/discover` and a `_meta` envelope on each request).
"""

import argparse
import logging
import sys

import anyio
import uvicorn
from mcp.server import runner
from mcp.server._streamable_http_modern import handle_modern_request
from mcp.server.mcpserver import MCPServer
from mcp.server.stdio import stdio_server
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

HOST = "127.0.0.1"
PATH = "/mcp"
VERSION_HEADER = b"mcp-protocol-version"

server = MCPServer("mcp-startup-e2e-python", version="1.0.0", instructions="A server for tests.", log_level="WARNING")


@server.tool()
def echo(text: str) -> str:
    """Return the text."""
    return text


@server.tool()
def add(a: int, b: int) -> int:
    """Return the sum of two numbers."""
    return a + b


@server.tool()
async def wait(seconds: float) -> str:
    """Answer after some seconds."""
    await anyio.sleep(seconds)
    return "done"


# The SDK serves both eras and has no option to select one. The code below calls the SDK's internal functions for one era, so the
# responses are the SDK's. requirements.txt pins the exact version.
lowlevel = server._lowlevel_server


def announce(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


async def run_stdio(era: str) -> None:
    async with stdio_server() as (read_stream, write_stream):
        announce("serving stdio")
        if era == "dual":
            await lowlevel.run(read_stream, write_stream, lowlevel.create_initialization_options())
            return
        async with lowlevel.lifespan(lowlevel) as state:
            if era == "legacy":
                await runner.serve_loop(lowlevel, read_stream, write_stream, lifespan_state=state)
            else:
                await runner._serve_modern_stream(
                    lowlevel, read_stream, write_stream, lifespan_state=state, raise_exceptions=False
                )


def legacy_only(app):
    """Remove the version header of the modern era, so that the SDK selects the handshake."""

    async def wrapped(scope, receive, send):
        if scope["type"] == "http":
            modern = {version.encode() for version in MODERN_PROTOCOL_VERSIONS}
            headers = [(k, v) for k, v in scope["headers"] if not (k == VERSION_HEADER and v in modern)]
            scope = {**scope, "headers": headers}
        await app(scope, receive, send)

    return wrapped


def modern_only(app):
    """Pass every request, including the handshake, to the SDK's handler for the modern era."""

    async def wrapped(scope, receive, send):
        if scope["type"] != "http" or scope["path"] != PATH:
            await app(scope, receive, send)
            return
        state = server.session_manager._lifespan_state
        await handle_modern_request(lowlevel, None, False, state, scope, receive, send)

    return wrapped


class Announcing(uvicorn.Server):
    async def startup(self, sockets=None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            port = self.servers[0].sockets[0].getsockname()[1]
            announce(f"listening on http://{HOST}:{port}{PATH}")


def run_http(era: str, port: int) -> None:
    app = server.streamable_http_app(streamable_http_path=PATH, host=HOST)
    if era == "legacy":
        app = legacy_only(app)
    elif era == "modern":
        app = modern_only(app)
    config = uvicorn.Config(app, host=HOST, port=port, log_level="warning", timeout_graceful_shutdown=1)
    Announcing(config).run()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("transport", choices=["stdio", "http"])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--era", choices=["dual", "legacy", "modern"], default="dual")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    if options.transport == "stdio":
        anyio.run(run_stdio, options.era)
    else:
        run_http(options.era, options.port)


if __name__ == "__main__":
    main()
