//! The MCP clients whose configuration this crate reads: their IDs and their names.

use std::fmt;

macro_rules! clients {
    ($($variant:ident, $id:literal, $name:literal;)*) => {
        /// An MCP client: a program that starts the MCP servers that its user has configured.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Client {
            $(#[doc = $name] $variant,)*
        }

        impl Client {
            /// All clients, in the order in which they are listed.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Returns the ID of the client in options and in JSON, for example `claude-code`.
            pub fn id(self) -> &'static str {
                match self {
                    $(Self::$variant => $id,)*
                }
            }

            /// Returns the name of the client for messages, for example `Claude Code`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

clients! {
    ClaudeCode, "claude-code", "Claude Code";
    ClaudeDesktop, "claude-desktop", "Claude Desktop";
    Codex, "codex", "Codex";
    Cursor, "cursor", "Cursor";
    VsCode, "vscode", "VS Code";
    CopilotCli, "copilot-cli", "Copilot CLI";
    GeminiCli, "gemini-cli", "Gemini CLI";
    QwenCode, "qwen-code", "Qwen Code";
    Antigravity, "antigravity", "Antigravity";
    Opencode, "opencode", "opencode";
    Kilo, "kilo", "Kilo Code";
    Windsurf, "windsurf", "Windsurf";
    Devin, "devin", "Devin CLI";
    Cline, "cline", "Cline";
    RooCode, "roo-code", "Roo Code";
    Zed, "zed", "Zed";
    Kiro, "kiro", "Kiro";
    AmazonQ, "amazon-q", "Amazon Q";
    Junie, "junie", "Junie";
    LmStudio, "lm-studio", "LM Studio";
    Warp, "warp", "Warp";
    Factory, "factory", "Factory";
    Crush, "crush", "Crush";
    Amp, "amp", "Amp";
    KimiCode, "kimi-code", "Kimi Code";
    Goose, "goose", "goose";
    Continue, "continue", "Continue";
    LibreChat, "librechat", "LibreChat";
    GrokBuild, "grok-build", "Grok Build";
    MistralVibe, "mistral-vibe", "Mistral Vibe";
}

impl Client {
    /// Returns the client with an ID.
    ///
    /// ```
    /// use mcp_startup_config::clients::Client;
    /// assert_eq!(Client::from_id("cursor"), Some(Client::Cursor));
    /// assert_eq!(Client::from_id("Cursor"), None);
    /// ```
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|client| client.id() == id)
    }
}

impl fmt::Display for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
