"""A legacy MCP server over stdio that never answers a method it does not know, `server/discover` among them."""

import legacy

legacy.serve("silent-at-unknown", lambda message: None)
