"""A server with the Python SDK `mcp` 2.x: mcp2.py TRANSPORT VARIANT [PORT]

The variant consists of words: an era (`dual`, the default of the SDK; `legacy`, only up to 2025-11-25; `modern`, only 2026-07-28),
`stateless` and `json`. The SDK has no option for an era, so `legacy` and `modern` call its internal functions, as
tests/e2e/python/server.py does."""
import sys

import anyio
import uvicorn
from mcp.server import runner
from mcp.server._streamable_http_modern import handle_modern_request
from mcp.server.mcpserver import MCPServer
from mcp.server.stdio import stdio_server
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from sessions import count_sessions

transport, variant = sys.argv[1], sys.argv[2].split("-")
port = int(sys.argv[3]) if len(sys.argv) > 3 else 0
server = MCPServer("compatibility", version="1.0.0", log_level="WARNING")
low_level = server._lowlevel_server
modern_versions = {version.encode() for version in MODERN_PROTOCOL_VERSIONS}


@server.tool()
def echo(text: str) -> str:
    """Return the text."""
    return text


async def over_stdio():
    if not {"legacy", "modern"} & set(variant):
        await server.run_stdio_async()
        return
    async with stdio_server() as (reader, writer), low_level.lifespan(low_level) as state:
        if "legacy" in variant:
            await runner.serve_loop(low_level, reader, writer, lifespan_state=state)
        else:
            await runner._serve_modern_stream(low_level, reader, writer, lifespan_state=state, raise_exceptions=False)


def without_modern_version(app):
    """Removes the header from which the SDK recognizes the modern era."""
    async def wrapped(scope, receive, send):
        if scope["type"] == "http":
            kept = [(name, value) for name, value in scope["headers"] if name != b"mcp-protocol-version" or value not in modern_versions]
            scope = {**scope, "headers": kept}
        await app(scope, receive, send)

    return wrapped


def only_modern(app):
    async def wrapped(scope, receive, send):
        if scope["type"] == "http" and scope["path"] == "/mcp":
            state = server.session_manager._lifespan_state
            await handle_modern_request(low_level, None, "json" in variant, state, scope, receive, send)
        else:
            await app(scope, receive, send)

    return wrapped


if transport == "stdio":
    anyio.run(over_stdio)
elif transport == "sse":
    server.run("sse", host="127.0.0.1", port=port)
else:
    app = server.streamable_http_app(
        streamable_http_path="/mcp", host="127.0.0.1", json_response="json" in variant, stateless_http="stateless" in variant)
    if "legacy" in variant:
        app = without_modern_version(app)
    elif "modern" in variant:
        app = only_modern(app)
    uvicorn.run(count_sessions(app, server.session_manager), host="127.0.0.1", port=port, log_level="warning")
