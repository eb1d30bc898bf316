"""The responses of a valid server, over every transport."""
import re

# The secrets of all cases, as @NAME@. They begin and end with text that is not a word, so that a program which also masks parts of
# a secret does not mask other text.
GIVEN = {"OLDACCESS": "9f3c-old-access-27e1", "OLDREFRESH": "5b7d-old-refresh-90c4", "NEWACCESS": "c81e-new-access-44f0",
         "NEWREFRESH": "77ab-new-refresh-02d9", "SECRET": "e2f0-secret-9b63", "CODE": "3d6e-code-71aa", "KEY": "4c1f-key-8e20",
         "BADKEY": "6a9d-bad-key-f313"}
VERSIONS = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"]


def tool(number):
    return {"name": "tool-%d" % number, "description": "Does nothing at all. " * 10, "inputSchema": {"type": "object"}}


def result_of(message, tools, version=None):
    """The response of a valid server to a message, or None for a notification."""
    method, params = message.get("method"), message.get("params") or {}
    if "id" not in message or "method" not in message:
        return None
    if method == "initialize":
        asked = params.get("protocolVersion")
        result = {"protocolVersion": version or (asked if asked in VERSIONS else VERSIONS[0]), "capabilities": {"tools": {}},
                  "serverInfo": {"name": "case", "version": "1.0.0"}}
    elif method == "tools/list":
        result = {"tools": [tool(number + 1) for number in range(tools)]}
    elif method == "ping":
        result = {}
    else:
        return {"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32601, "message": "Method not found: %s" % method}}
    return {"jsonrpc": "2.0", "id": message["id"], "result": result}


def fill(value, places):
    """Replaces @NAME@ with its value from `places`, in a text or in every text of a list or table."""
    if isinstance(value, str):
        return re.sub("@([A-Z0-9]+)@", lambda found: str(places.get(found[1], found[0])), value)
    if isinstance(value, dict):
        return {fill(name, places): fill(inner, places) for name, inner in value.items()}
    if isinstance(value, list):
        return [fill(inner, places) for inner in value]
    return value
