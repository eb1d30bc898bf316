"""A legacy MCP server over stdio that exits with 1 when it receives an unknown method, including `server/discover`."""

import sys

import legacy


def leave(message):
    print(f"unknown method: {message['method']}", file=sys.stderr)
    sys.exit(1)


legacy.serve("exits-at-unknown", leave)
