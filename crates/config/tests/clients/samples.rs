use crate::fake_machine::{FakeMachine, shown};
use mcp_startup_config::clients::Client;
#[test]
fn dump() {
    let shop = "/home/sam/work/shop";
    let m = FakeMachine::linux()
        .with(&format!("{shop}/.git/HEAD"), "x")
        .with_sample("/home/sam/.claude.json", "claude-code/home/.claude.json")
        .with_sample(
            &format!("{shop}/.mcp.json"),
            "claude-code/project/.mcp.json",
        )
        .with_sample(
            &format!("{shop}/.claude/settings.local.json"),
            "claude-code/project/.claude/settings.local.json",
        )
        .with_sample(
            "/home/sam/.claude/plugins/cache/m/weather-example/1.0.0/.claude-plugin/plugin.json",
            "claude-code/plugin/.claude-plugin/plugin.json",
        )
        .with_sample(
            "/home/sam/.claude/plugins/cache/m/radar/1.0.0/.mcp.json",
            "claude-code/plugin-flat/.mcp.json",
        )
        .with_sample(
            "/home/sam/.config/Claude/claude_desktop_config.json",
            "claude-desktop/claude_desktop_config.json",
        )
        .with_sample(
            "/home/sam/.config/Claude/Claude Extensions/example.files/manifest.json",
            "claude-desktop/Claude Extensions/example.files/manifest.json",
        )
        .with_sample("/home/sam/.codex/config.toml", "codex/home/config.toml")
        .with_sample(
            "/home/sam/.codex/work.config.toml",
            "codex/home/work.config.toml",
        )
        .with_sample(
            &format!("{shop}/.codex/config.toml"),
            "codex/project/.codex/config.toml",
        )
        .with_sample(
            "/etc/codex/requirements.toml",
            "codex/etc/requirements.toml",
        )
        .with_sample("/home/sam/.cursor/mcp.json", "cursor/mcp.json")
        .with_sample(
            &format!("{shop}/.vscode/mcp.json"),
            "vscode/.vscode/mcp.json",
        )
        .with_sample(
            "/home/sam/.copilot/mcp-config.json",
            "copilot-cli/mcp-config.json",
        )
        .with_sample(
            "/home/sam/.copilot/settings.json",
            "copilot-cli/settings.json",
        )
        .with_sample(
            "/home/sam/.gemini/settings.json",
            "gemini-cli/settings.json",
        )
        .with_sample(
            "/home/sam/.gemini/mcp-server-enablement.json",
            "gemini-cli/mcp-server-enablement.json",
        )
        .with_sample("/home/sam/.qwen/settings.json", "qwen-code/settings.json")
        .with_sample(
            "/home/sam/.gemini/config/mcp_config.json",
            "antigravity/mcp_config.json",
        )
        .with_sample(
            "/home/sam/.config/opencode/opencode.jsonc",
            "opencode/v1/opencode.jsonc",
        )
        .with_sample("/home/sam/.config/kilo/kilo.jsonc", "kilo/kilo.jsonc")
        .with_sample(
            "/home/sam/.codeium/windsurf/mcp_config.json",
            "windsurf/mcp_config.json",
        )
        .with_sample(
            &format!("{shop}/.devin/config.json"),
            "devin/.devin/config.json",
        )
        .with_sample(
            "/home/sam/.cline/data/settings/cline_mcp_settings.json",
            "cline/cline_mcp_settings.json",
        )
        .with_sample(&format!("{shop}/.roo/mcp.json"), "roo-code/.roo/mcp.json")
        .with_sample("/home/sam/.config/zed/settings.json", "zed/settings.json")
        .with_sample(
            "/home/sam/.kiro/settings/mcp.json",
            "kiro/settings/mcp.json",
        )
        .with_sample(
            "/home/sam/.kiro/agents/reviewer.json",
            "kiro/agents/reviewer.json",
        )
        .with_sample("/home/sam/.aws/amazonq/mcp.json", "amazon-q/mcp.json")
        .with_sample(
            &format!("{shop}/.junie/mcp/mcp.json"),
            "junie/.junie/mcp/mcp.json",
        )
        .with_sample("/home/sam/.lmstudio/mcp.json", "lm-studio/mcp.json")
        .with_sample("/home/sam/.warp/.mcp.json", "warp/.warp/.mcp.json")
        .with_sample("/home/sam/.factory/mcp.json", "factory/.factory/mcp.json")
        .with_sample("/home/sam/.config/crush/crush.json", "crush/crush.json")
        .with_sample("/home/sam/.config/amp/settings.json", "amp/settings.json")
        .with_sample("/home/sam/.kimi-code/mcp.json", "kimi-code/mcp.json");
    for client in Client::ALL {
        println!("== {client}");
        print!("{}", shown(&m.files_of(*client, shop)));
    }
}
