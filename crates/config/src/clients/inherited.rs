//! The variables that the programs of servers inherit from clients that leave the choice to an SDK of MCP.

/// Sources: `packages/client/src/client/stdio.ts` in <https://github.com/modelcontextprotocol/typescript-sdk> and
/// `src/mcp/client/stdio` in <https://github.com/modelcontextprotocol/python-sdk>.
#[cfg(not(windows))]
pub(super) const SDK_VARIABLES: &[&str] = &["HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER"];

/// Sources: `packages/client/src/client/stdio.ts` in <https://github.com/modelcontextprotocol/typescript-sdk> and
/// `src/mcp/client/stdio` in <https://github.com/modelcontextprotocol/python-sdk>, which adds `PATHEXT`.
#[cfg(windows)]
pub(super) const SDK_VARIABLES: &[&str] = &[
    "APPDATA",
    "HOMEDRIVE",
    "HOMEPATH",
    "LOCALAPPDATA",
    "PATH",
    "PATHEXT",
    "PROCESSOR_ARCHITECTURE",
    "PROGRAMFILES",
    "SYSTEMDRIVE",
    "SYSTEMROOT",
    "TEMP",
    "USERNAME",
    "USERPROFILE",
];
