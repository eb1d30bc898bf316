"""A legacy MCP server over stdio that ends with status 1 at a method it does not know, `server/discover` among them."""

import sys

import legacy


def leave(message):
    print(f"unknown method: {message['method']}", file=sys.stderr)
    sys.exit(1)


legacy.serve("exits-at-unknown", leave)
