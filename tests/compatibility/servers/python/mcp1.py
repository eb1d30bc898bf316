"""A server with the Python SDK `mcp` 1.x: mcp1.py TRANSPORT VARIANT [PORT]

The variant consists of words: `low` selects the low-level server, which is the only one before 1.2; `mounted` leaves the redirect of
Starlette from /mcp to /mcp/ in place; `stateless` and `json` are options of the transport."""
import sys

transport, variant = sys.argv[1], sys.argv[2].split("-")
port = int(sys.argv[3]) if len(sys.argv) > 3 else 0
options = {}
if transport == "http":
    options = {"stateless": "stateless" in variant, "json": "json" in variant}

try:
    from mcp.server.fastmcp import FastMCP
except ImportError:
    FastMCP = None


def serve(app):
    import uvicorn
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


def high_level():
    settings = {"host": "127.0.0.1", "port": port or 8000, "log_level": "WARNING"}
    if transport == "http":
        settings.update(stateless_http=options["stateless"], json_response=options["json"])
    server = FastMCP("compatibility", **settings)

    @server.tool()
    def echo(text: str) -> str:
        """Return the text."""
        return text

    if transport == "http":
        from sessions import count_sessions
        app = server.streamable_http_app()
        serve(count_sessions(app, server.session_manager))
    else:
        server.run(transport)


def low_level():
    import anyio
    import mcp.types as types
    from mcp.server import Server
    server = Server("compatibility")

    @server.list_tools()
    async def list_tools():
        schema = {"type": "object", "properties": {"text": {"type": "string"}}}
        return [types.Tool(name="echo", description="Return the text.", inputSchema=schema)]

    async def over(streams):
        async with streams as (reader, writer):
            await server.run(reader, writer, server.create_initialization_options())

    if transport == "stdio":
        from mcp.server.stdio import stdio_server
        anyio.run(lambda: over(stdio_server()))
    elif transport == "sse":
        from mcp.server.sse import SseServerTransport
        from starlette.applications import Starlette
        from starlette.responses import Response
        from starlette.routing import Mount, Route
        sse = SseServerTransport("/messages/")

        async def open_stream(request):
            await over(sse.connect_sse(request.scope, request.receive, request._send))
            return Response()

        serve(Starlette(routes=[Route("/sse", endpoint=open_stream), Mount("/messages/", app=sse.handle_post_message)]))
    else:
        from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
        from sessions import count_sessions
        from starlette.applications import Starlette
        from starlette.routing import Mount
        manager = StreamableHTTPSessionManager(app=server, json_response=options["json"], stateless=options["stateless"])
        app = Starlette(routes=[Mount("/mcp", app=manager.handle_request)], lifespan=lambda _: manager.run())
        serve(count_sessions(app, manager))


if FastMCP is None or "low" in variant:
    low_level()
else:
    high_level()
