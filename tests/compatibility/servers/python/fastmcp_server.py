"""A server with the PyPI package `fastmcp`: fastmcp_server.py TRANSPORT VARIANT [PORT]; the variant may be `stateless` or `json`."""
import sys

from fastmcp import FastMCP

transport, variant = sys.argv[1], sys.argv[2].split("-")
port = int(sys.argv[3]) if len(sys.argv) > 3 else 0
server = FastMCP("compatibility")


@server.tool()
def echo(text: str) -> str:
    """Return the text."""
    return text


if transport == "stdio":
    server.run(transport="stdio")
elif transport == "sse":
    server.run(transport="sse", host="127.0.0.1", port=port)
elif variant == ["default"]:
    server.run(transport="streamable-http", host="127.0.0.1", port=port)
else:
    import uvicorn
    options = {name: True for word, name in (("stateless", "stateless_http"), ("json", "json_response")) if word in variant}
    app = server.http_app(transport="streamable-http", **options)
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")
