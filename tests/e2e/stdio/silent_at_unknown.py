"""A legacy MCP server over stdio that does not respond to unknown methods, including `server/discover`."""

import legacy

legacy.serve("silent-at-unknown", lambda message: None)
