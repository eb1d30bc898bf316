"""JSON-RPC lines and MCP up to 2025-11-25, for the legacy servers in this folder. Uses only the standard library."""

import json
import sys

VERSIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
TOOLS = [{"name": "noop", "description": "Does nothing.", "inputSchema": {"type": "object", "properties": {}}}]


def send(message):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def serve(name, unknown):
    """Respond to requests until stdin ends. Calls `unknown(message)` for a request with an unknown method."""
    for line in sys.stdin:
        if not line.strip():
            continue
        message = json.loads(line)
        method = message.get("method")
        if "id" not in message or method is None:
            continue  # a notification or a response
        if method == "initialize":
            version = message["params"].get("protocolVersion")
            result = {
                "protocolVersion": version if version in VERSIONS else VERSIONS[-1],
                "capabilities": {"tools": {}},
                "serverInfo": {"name": name, "version": "1.0.0"},
            }
        elif method == "tools/list":
            result = {"tools": TOOLS}
        elif method == "ping":
            result = {}
        else:
            unknown(message)
            continue
        send({"id": message["id"], "result": result})
