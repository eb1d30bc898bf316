//! The places of each client's files on each system, and the variables that move them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use mcp_startup_config::clients::{Client, Scope, System, discover_on};

use crate::fake_machine::{FakeMachine, check, normal, servers};

const ENTRY: &str = r#"{"mcpServers": {"found": {"type": "stdio", "command": "found"}}}"#;

/// A file with one server in the format that belongs to its path.
fn content(path: &str) -> String {
    let entry = r#"{"found": {"type": "stdio", "command": "found"}}"#;
    let name = path.rsplit('/').next().unwrap();
    match name {
        _ if path.ends_with(".toml") => "[mcp_servers.found]\ncommand = 'found'\n".to_owned(),
        _ if path.contains("/zed/") || path.contains("/Zed/") || path.contains("/.zed/") => {
            format!(r#"{{"context_servers": {entry}}}"#)
        }
        _ if path.contains("/amp/") => format!(r#"{{"amp.mcpServers": {entry}}}"#),
        _ if path.contains("/User/") && name == "mcp.json" || path.contains("/.vscode/") => {
            format!(r#"{{"servers": {entry}}}"#)
        }
        "crush.json" | ".crush.json" => format!(r#"{{"mcp": {entry}}}"#),
        _ if name.starts_with("opencode.") || name.starts_with("kilo.") || name == "o.json" => {
            r#"{"mcp": {"found": {"type": "local", "command": ["found"]}}}"#.to_owned()
        }
        _ => ENTRY.to_owned(),
    }
}

type Case<'a> = (Client, System, &'a [(&'a str, &'a str)], &'a str, Scope);

const LINUX: System = System::Linux;
const MACOS: System = System::MacOs;
const WINDOWS: System = System::Windows;

fn home_of(system: System) -> (&'static str, &'static str, &'static str) {
    match system {
        LINUX => ("HOME", "/home/sam", "/work/shop/sub"),
        MACOS => ("HOME", "/Users/sam", "/work/shop/sub"),
        WINDOWS => ("USERPROFILE", "C:/Users/sam", "C:/work/shop/sub"),
    }
}

fn machine(system: System, variables: &[(&str, &str)]) -> FakeMachine {
    let (name, home, _) = home_of(system);
    let mut machine = FakeMachine::new(system, variables);
    machine.environment.insert(name.to_owned(), home.to_owned());
    if system == WINDOWS {
        for (name, value) in [
            ("APPDATA", "C:/Users/sam/AppData/Roaming"),
            ("LOCALAPPDATA", "C:/Users/sam/AppData/Local"),
            ("ProgramData", "C:/ProgramData"),
        ] {
            machine
                .environment
                .insert(name.to_owned(), value.to_owned());
        }
    }
    machine
}

#[test]
fn each_file_is_found_in_its_place() {
    use Scope::{Managed, Project, System as All, User};
    #[rustfmt::skip]
    let cases: &[Case<'_>] = &[
        (Client::ClaudeCode, LINUX, &[], "~/.claude.json", User),
        (Client::ClaudeCode, MACOS, &[], "~/.claude.json", User),
        (Client::ClaudeCode, WINDOWS, &[], "~/.claude.json", User),
        (Client::ClaudeCode, LINUX, &[("CLAUDE_CONFIG_DIR", "/c")], "/c/.claude.json", User),
        (Client::ClaudeCode, LINUX, &[], "/work/shop/.mcp.json", Project),
        (Client::ClaudeCode, WINDOWS, &[], "C:/work/shop/.mcp.json", Project),
        (Client::ClaudeCode, LINUX, &[], "/etc/claude-code/managed-mcp.json", Managed),
        (Client::ClaudeCode, MACOS, &[], "/Library/Application Support/ClaudeCode/managed-mcp.json", Managed),
        (Client::ClaudeCode, WINDOWS, &[], "C:/Program Files/ClaudeCode/managed-mcp.json", Managed),
        (Client::ClaudeDesktop, LINUX, &[], "~/.config/Claude/claude_desktop_config.json", User),
        (Client::ClaudeDesktop, LINUX, &[("XDG_CONFIG_HOME", "/x")], "/x/Claude/claude_desktop_config.json", User),
        (Client::ClaudeDesktop, MACOS, &[], "~/Library/Application Support/Claude/claude_desktop_config.json", User),
        (Client::ClaudeDesktop, WINDOWS, &[], "~/AppData/Roaming/Claude/claude_desktop_config.json", User),
        (Client::ClaudeDesktop, WINDOWS, &[], "~/AppData/Local/Packages/Claude_pzs8sxrjxfjjc/LocalCache/Roaming/Claude/claude_desktop_config.json", User),
        (Client::Codex, LINUX, &[], "~/.codex/config.toml", User),
        (Client::Codex, WINDOWS, &[], "~/.codex/config.toml", User),
        (Client::Codex, MACOS, &[("CODEX_HOME", "/c")], "/c/config.toml", User),
        (Client::Codex, MACOS, &[("CODEX_HOME", "/c")], "/c/work.config.toml", User),
        (Client::Codex, LINUX, &[], "/etc/codex/config.toml", All),
        (Client::Codex, WINDOWS, &[], "C:/ProgramData/OpenAI/Codex/config.toml", All),
        (Client::Codex, LINUX, &[], "/etc/codex/managed_config.toml", Managed),
        (Client::Codex, LINUX, &[], "/work/shop/.codex/config.toml", Project),
        (Client::Codex, LINUX, &[], "/work/shop/sub/.codex/config.toml", Project),
        (Client::Cursor, LINUX, &[], "~/.cursor/mcp.json", User),
        (Client::Cursor, WINDOWS, &[], "~/.cursor/mcp.json", User),
        (Client::Cursor, LINUX, &[], "/work/shop/sub/.cursor/mcp.json", Project),
        (Client::Cursor, LINUX, &[], "/work/shop/sub/.mcp.json", Project),
        (Client::VsCode, LINUX, &[], "~/.config/Code/User/mcp.json", User),
        (Client::VsCode, LINUX, &[("XDG_CONFIG_HOME", "/x")], "/x/Code/User/mcp.json", User),
        (Client::VsCode, MACOS, &[], "~/Library/Application Support/Code/User/mcp.json", User),
        (Client::VsCode, WINDOWS, &[], "~/AppData/Roaming/Code/User/mcp.json", User),
        (Client::VsCode, LINUX, &[], "~/.config/Code/User/profiles/-5a/mcp.json", User),
        (Client::VsCode, MACOS, &[], "~/Library/Application Support/Code - Insiders/User/mcp.json", User),
        (Client::VsCode, WINDOWS, &[], "~/AppData/Roaming/Code - Insiders/User/profiles/1/mcp.json", User),
        (Client::VsCode, LINUX, &[], "~/.config/VSCodium/User/mcp.json", User),
        (Client::VsCode, LINUX, &[("VSCODE_PORTABLE", "/p")], "/p/user-data/User/mcp.json", User),
        (Client::VsCode, LINUX, &[], "~/.vscode-server/data/User/mcp.json", User),
        (Client::VsCode, LINUX, &[], "/work/shop/sub/.vscode/mcp.json", Project),
        (Client::VsCode, LINUX, &[], "/work/shop/sub/.mcp.json", Project),
        (Client::VsCode, LINUX, &[], "~/.copilot/mcp-config.json", User),
        (Client::VsCode, LINUX, &[("COPILOT_HOME", "/c")], "/c/mcp-config.json", User),
        (Client::CopilotCli, LINUX, &[], "~/.copilot/mcp-config.json", User),
        (Client::CopilotCli, WINDOWS, &[], "~/.copilot/mcp-config.json", User),
        (Client::CopilotCli, WINDOWS, &[("COPILOT_HOME", "D:/c")], "D:/c/mcp-config.json", User),
        (Client::CopilotCli, LINUX, &[], "/work/shop/.mcp.json", Project),
        (Client::CopilotCli, LINUX, &[], "/work/shop/.github/mcp.json", Project),
        (Client::GeminiCli, LINUX, &[], "~/.gemini/settings.json", User),
        (Client::GeminiCli, MACOS, &[("GEMINI_CLI_HOME", "/g")], "/g/.gemini/settings.json", User),
        (Client::GeminiCli, LINUX, &[], "/etc/gemini-cli/system-defaults.json", All),
        (Client::GeminiCli, LINUX, &[("GEMINI_CLI_SYSTEM_DEFAULTS_PATH", "/d.json")], "/d.json", All),
        (Client::GeminiCli, LINUX, &[], "/etc/gemini-cli/settings.json", All),
        (Client::GeminiCli, MACOS, &[], "/Library/Application Support/GeminiCli/settings.json", All),
        (Client::GeminiCli, WINDOWS, &[], "C:/ProgramData/gemini-cli/settings.json", All),
        (Client::GeminiCli, LINUX, &[("GEMINI_CLI_SYSTEM_SETTINGS_PATH", "/s.json")], "/s.json", All),
        (Client::GeminiCli, LINUX, &[], "/work/shop/sub/.gemini/settings.json", Project),
        (Client::QwenCode, WINDOWS, &[], "~/.qwen/settings.json", User),
        (Client::QwenCode, LINUX, &[], "/etc/qwen-code/system-defaults.json", All),
        (Client::QwenCode, MACOS, &[], "/Library/Application Support/QwenCode/system-defaults.json", All),
        (Client::QwenCode, WINDOWS, &[], "C:/ProgramData/qwen-code/settings.json", All),
        (Client::QwenCode, LINUX, &[("QWEN_CODE_SYSTEM_SETTINGS_PATH", "/s.json")], "/s.json", All),
        (Client::QwenCode, LINUX, &[], "/work/shop/sub/.qwen/settings.json", Project),
        (Client::QwenCode, LINUX, &[], "/work/shop/sub/.mcp.json", Project),
        (Client::Antigravity, LINUX, &[], "~/.gemini/config/mcp_config.json", User),
        (Client::Antigravity, LINUX, &[], "~/.gemini/antigravity/mcp_config.json", User),
        (Client::Opencode, LINUX, &[], "~/.config/opencode/opencode.json", User),
        (Client::Opencode, MACOS, &[], "~/.config/opencode/opencode.jsonc", User),
        (Client::Opencode, WINDOWS, &[], "~/.config/opencode/opencode.json", User),
        (Client::Opencode, LINUX, &[("XDG_CONFIG_HOME", "/x")], "/x/opencode/opencode.json", User),
        (Client::Opencode, LINUX, &[("OPENCODE_CONFIG", "/o.json")], "/o.json", User),
        (Client::Opencode, LINUX, &[("OPENCODE_CONFIG_DIR", "/o")], "/o/opencode.jsonc", User),
        (Client::Opencode, LINUX, &[], "/work/shop/opencode.json", Project),
        (Client::Opencode, LINUX, &[], "/work/shop/.opencode/opencode.jsonc", Project),
        (Client::Opencode, LINUX, &[], "/etc/opencode/opencode.json", Managed),
        (Client::Opencode, MACOS, &[], "/Library/Application Support/opencode/opencode.json", Managed),
        (Client::Opencode, WINDOWS, &[], "C:/ProgramData/opencode/opencode.jsonc", Managed),
        (Client::Kilo, LINUX, &[], "~/.config/kilo/kilo.jsonc", User),
        (Client::Windsurf, WINDOWS, &[], "~/.codeium/windsurf/mcp_config.json", User),
        (Client::Windsurf, LINUX, &[], "~/.codeium/mcp_config.json", User),
        (Client::Windsurf, LINUX, &[], "/work/shop/sub/.mcp.json", Project),
        (Client::Devin, LINUX, &[], "~/.config/devin/config.json", User),
        (Client::Devin, WINDOWS, &[], "~/AppData/Roaming/devin/config.json", User),
        (Client::Devin, LINUX, &[], "/work/shop/sub/.devin/config.json", Project),
        // A repository can have this file as well.
        (Client::Devin, LINUX, &[], "/work/shop/sub/.devin/config.local.json", Project),
        (Client::Cline, LINUX, &[], "~/.cline/data/settings/cline_mcp_settings.json", User),
        (Client::Cline, LINUX, &[("CLINE_DIR", "/c")], "/c/data/settings/cline_mcp_settings.json", User),
        (Client::Cline, LINUX, &[("CLINE_DATA_DIR", "/c")], "/c/settings/cline_mcp_settings.json", User),
        (Client::Cline, LINUX, &[("CLINE_MCP_SETTINGS_PATH", "/c.json")], "/c.json", User),
        (Client::Cline, MACOS, &[], "~/Library/Application Support/Code/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json", User),
        (Client::Cline, WINDOWS, &[], "~/Documents/Cline/MCP/cline_mcp_settings.json", User),
        (Client::RooCode, WINDOWS, &[], "~/AppData/Roaming/Code/User/globalStorage/rooveterinaryinc.roo-cline/settings/mcp_settings.json", User),
        (Client::RooCode, LINUX, &[], "/work/shop/sub/.roo/mcp.json", Project),
        (Client::Zed, LINUX, &[], "~/.config/zed/settings.json", User),
        (Client::Zed, LINUX, &[("XDG_CONFIG_HOME", "/x")], "/x/zed/settings.json", User),
        (Client::Zed, LINUX, &[("FLATPAK_XDG_CONFIG_HOME", "/x")], "/x/zed/settings.json", User),
        (Client::Zed, MACOS, &[("XDG_CONFIG_HOME", "/x")], "~/.config/zed/settings.json", User),
        (Client::Zed, WINDOWS, &[], "~/AppData/Roaming/Zed/settings.json", User),
        (Client::Zed, LINUX, &[], "/work/shop/sub/.zed/settings.json", Project),
        (Client::Kiro, LINUX, &[], "~/.kiro/settings/mcp.json", User),
        (Client::Kiro, LINUX, &[], "~/.kiro/agents/a.json", User),
        (Client::Kiro, LINUX, &[], "~/.kiro/powers/installed/p/mcp.json", User),
        (Client::Kiro, LINUX, &[], "/work/shop/sub/.kiro/settings/mcp.json", Project),
        (Client::AmazonQ, LINUX, &[], "~/.aws/amazonq/mcp.json", User),
        (Client::AmazonQ, LINUX, &[], "/work/shop/sub/.amazonq/cli-agents/a.json", Project),
        (Client::Junie, LINUX, &[], "~/.junie/mcp/mcp.json", User),
        (Client::Junie, LINUX, &[], "/work/shop/sub/.junie/mcp/mcp.json", Project),
        (Client::LmStudio, LINUX, &[], "~/.lmstudio/mcp.json", User),
        (Client::LmStudio, LINUX, &[], "~/.cache/lm-studio/mcp.json", User),
        (Client::Warp, LINUX, &[], "~/.warp/.mcp.json", User),
        (Client::Warp, LINUX, &[], "~/.agents/.mcp.json", User),
        (Client::Warp, LINUX, &[], "/work/shop/.warp/.mcp.json", Project),
        (Client::Factory, LINUX, &[], "~/.factory/mcp.json", User),
        (Client::Factory, LINUX, &[], "/work/shop/.factory/mcp.json", Project),
        (Client::Crush, LINUX, &[], "~/.config/crush/crush.json", User),
        (Client::Crush, LINUX, &[("CRUSH_GLOBAL_CONFIG", "/c")], "/c/crush.json", User),
        (Client::Crush, LINUX, &[], "~/.local/share/crush/crush.json", User),
        (Client::Crush, LINUX, &[("CRUSH_GLOBAL_DATA", "/c")], "/c/crush.json", User),
        (Client::Crush, WINDOWS, &[], "~/AppData/Local/crush/crush.json", User),
        (Client::Crush, LINUX, &[], "/etc/crush/crush.json", All),
        (Client::Crush, LINUX, &[], "/work/shop/.crush.json", Project),
        (Client::Amp, LINUX, &[], "~/.config/amp/settings.json", User),
        (Client::Amp, WINDOWS, &[], "~/AppData/Roaming/amp/settings.json", User),
        (Client::KimiCode, LINUX, &[], "~/.kimi-code/mcp.json", User),
        (Client::KimiCode, LINUX, &[], "~/.kimi/mcp.json", User),
        (Client::KimiCode, LINUX, &[], "/work/shop/sub/.mcp.json", Project),
    ];
    for (client, system, variables, path, scope) in cases {
        let (_, home, folder) = home_of(*system);
        let path = path.replace('~', home);
        let root = folder.strip_suffix("/sub").unwrap();
        let machine = machine(*system, variables)
            .with(&format!("{root}/.git/HEAD"), "")
            .with(&path, content(&path));
        let files = machine.files_of(*client, folder);
        let case = format!("{client} {system:?} {variables:?} {path}");
        let found: Vec<_> = files
            .iter()
            .map(|file| (normal(&file.path), file.scope))
            .filter(|(_, scope)| *scope != Scope::Local)
            .collect();
        assert_eq!(found, [(path, *scope)], "{case}");
        assert!(files[0].error.is_none(), "{case}: {:?}", files[0].error);
        assert!(
            servers(&files[0])[0].starts_with("found stdio"),
            "{case}: {:?}",
            servers(&files[0])
        );
        // Only what the user or an administrator wrote may be started.
        let may_start = files[0].may_start(&files[0].servers[0]);
        assert_eq!(may_start, *scope != Project, "{case}");
    }
}

/// Clients with a variable, where the file in the home folder then no longer counts, whether or not there is another one.
#[test]
fn a_variable_replaces_the_place_in_the_home_folder() {
    let cases = [
        (
            Client::ClaudeCode,
            "CLAUDE_CONFIG_DIR",
            "/home/sam/.claude.json",
        ),
        (Client::Codex, "CODEX_HOME", "/home/sam/.codex/config.toml"),
        (
            Client::VsCode,
            "COPILOT_HOME",
            "/home/sam/.copilot/mcp-config.json",
        ),
        (
            Client::CopilotCli,
            "COPILOT_HOME",
            "/home/sam/.copilot/mcp-config.json",
        ),
        (
            Client::GeminiCli,
            "GEMINI_CLI_HOME",
            "/home/sam/.gemini/settings.json",
        ),
        (
            Client::GeminiCli,
            "GEMINI_CLI_SYSTEM_SETTINGS_PATH",
            "/etc/gemini-cli/settings.json",
        ),
        (
            Client::QwenCode,
            "QWEN_CODE_SYSTEM_DEFAULTS_PATH",
            "/etc/qwen-code/system-defaults.json",
        ),
        (
            Client::Opencode,
            "XDG_CONFIG_HOME",
            "/home/sam/.config/opencode/opencode.json",
        ),
        (
            Client::Cline,
            "CLINE_DIR",
            "/home/sam/.cline/data/settings/cline_mcp_settings.json",
        ),
        (
            Client::Cline,
            "CLINE_DATA_DIR",
            "/home/sam/.cline/data/settings/cline_mcp_settings.json",
        ),
        (
            Client::Crush,
            "CRUSH_GLOBAL_CONFIG",
            "/home/sam/.config/crush/crush.json",
        ),
        (
            Client::Crush,
            "CRUSH_GLOBAL_DATA",
            "/home/sam/.local/share/crush/crush.json",
        ),
        (
            Client::Zed,
            "FLATPAK_XDG_CONFIG_HOME",
            "/home/sam/.config/zed/settings.json",
        ),
    ];
    for (client, variable, path) in cases {
        let files = machine(LINUX, &[(variable, "/elsewhere")])
            .with(path, content(path))
            .files_of(client, "/work/shop");
        assert!(files.is_empty(), "{client} {variable}");
    }
    // A file that a client has moved away from counts only until there is a newer one.
    let new = "/home/sam/.cline/data/settings/cline_mcp_settings.json";
    let files = machine(LINUX, &[])
        .with(
            "/home/sam/Documents/Cline/MCP/cline_mcp_settings.json",
            ENTRY,
        )
        .with(new, "{}")
        .files_of(Client::Cline, "/work/shop");
    check(&files, "Cline", &format!("user {new}"));
}

#[test]
fn a_packaged_claude_desktop_ignores_the_old_folder() {
    let old = "C:/Users/sam/AppData/Roaming/Claude/claude_desktop_config.json";
    let package = "C:/Users/sam/AppData/Local/Packages/Claude_pzs8sxrjxfjjc";
    let machine = machine(WINDOWS, &[]).with(old, ENTRY).with(
        &format!("{package}/LocalCache/Roaming/Claude/other.json"),
        "{}",
    );
    let files = machine.files_of(Client::ClaudeDesktop, "C:/work");
    check(
        &files,
        "without a file",
        &format!(
            "
        user {old}
            found stdio | skipped: Claude_pzs8sxrjxfjjc"
        ),
    );
    let new = format!("{package}/LocalCache/Roaming/Claude/claude_desktop_config.json");
    let files = machine
        .with(&new, ENTRY)
        .files_of(Client::ClaudeDesktop, "C:/work");
    check(
        &files,
        "with both",
        &format!(
            "
        user {new}
            found stdio
        user {old}
            found stdio | skipped: installed as a package"
        ),
    );
}

/// The current folder is often the home folder. A file of the user there is not a project's.
#[test]
fn the_home_folder_is_no_project() {
    for client in Client::ALL {
        let mut machine = machine(LINUX, &[]).with("/home/sam/.git/HEAD", "");
        for path in [
            "/home/sam/.claude.json",
            "/home/sam/.codex/config.toml",
            "/home/sam/.cursor/mcp.json",
            "/home/sam/.gemini/settings.json",
            "/home/sam/.qwen/settings.json",
            "/home/sam/.kiro/settings/mcp.json",
            "/home/sam/.kiro/agents/a.json",
            "/home/sam/.junie/mcp/mcp.json",
            "/home/sam/.warp/.mcp.json",
            "/home/sam/.agents/.mcp.json",
            "/home/sam/.factory/mcp.json",
            "/home/sam/.kimi-code/mcp.json",
        ] {
            machine = machine.with(path, content(path));
        }
        for file in machine.files_of(*client, "/home/sam") {
            assert_eq!(file.scope, Scope::User, "{client}: {}", file.path.display());
            for server in &file.servers {
                // Two agents of Kiro, or two of Warp's files, have a server with this name.
                let is_used =
                    server.not_checked.is_none() || file.path.ends_with(".agents/.mcp.json");
                assert!(is_used, "{client}: {:?}", server.not_checked);
            }
        }
    }
}

#[test]
fn a_linked_worktree_of_claude_code_belongs_to_the_primary_checkout() {
    let state = r#"{"projects": {"/work/shop": {"hasTrustDialogAccepted": true,
        "mcpServers": {"local": {"command": "local"}}}}}"#;
    let base = || {
        machine(LINUX, &[])
            .with("/home/sam/.claude.json", state)
            .with("/work/shop/.git/HEAD", "")
            .with("/work/tree/.mcp.json", ENTRY)
            .with(
                "/work/tree/.claude/settings.json",
                r#"{"enableAllProjectMcpServers": true}"#,
            )
    };
    let worktree = "/work/shop/.git/worktrees/tree";
    for (file, back) in [
        (format!("gitdir: {worktree}\n"), "/work/tree/.git\n"),
        (
            "gitdir: ../shop/.git/worktrees/tree\n".to_owned(),
            "../../../../tree/.git\n",
        ),
    ] {
        let machine = base()
            .with("/work/tree/.git", file)
            .with(&format!("{worktree}/gitdir"), back);
        check(
            &machine.files_of(Client::ClaudeCode, "/work/tree/sub"),
            "worktree",
            "
            user /home/sam/.claude.json
            project /work/tree/.mcp.json approved
                found stdio approved
            local /home/sam/.claude.json
                local stdio",
        );
    }
    // Anyone can write such a `.git` file. Only the repository that it names knows its worktrees.
    for (file, back) in [
        (format!("gitdir: {worktree}\n"), "/elsewhere/.git\n"),
        ("gitdir: /work/shop/.git\n".to_owned(), "/work/tree/.git\n"),
        (
            "gitdir: /work/shop/.git/modules/tree\n".to_owned(),
            "/work/tree/.git\n",
        ),
        ("gitdir: /work/shop\n".to_owned(), ""),
        ("gitdir:".to_owned(), ""),
    ] {
        let machine = base()
            .with("/work/tree/.git", file)
            .with(&format!("{worktree}/gitdir"), back);
        check(
            &machine.files_of(Client::ClaudeCode, "/work/tree"),
            "forged",
            "
            user /home/sam/.claude.json
            project /work/tree/.mcp.json unapproved
                found stdio unapproved",
        );
    }
}

/// Every name in capital letters in the sources. Some of them are variables that move files.
fn capital_names() -> BTreeSet<String> {
    let mut paths = vec![PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
    let mut names = BTreeSet::new();
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            let entries = std::fs::read_dir(path).unwrap();
            paths.extend(entries.map(|entry| entry.unwrap().path()));
            continue;
        }
        let text = std::fs::read_to_string(path).unwrap();
        let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        let is_capital = |word: &&str| {
            word.len() > 3 && !word.contains(|letter: char| letter.is_ascii_lowercase())
        };
        names.extend(words.filter(is_capital).map(str::to_owned));
    }
    names
}

/// A project could bring the folder or the file, which would count as the user's.
#[test]
fn a_variable_with_a_relative_path_moves_no_file() {
    let names = capital_names();
    assert!(names.contains("CODEX_HOME") && names.contains("VSCODE_PORTABLE"));
    for system in [LINUX, MACOS, WINDOWS] {
        let (home, folder, current) = home_of(system);
        for value in [".", "sub", "sub/o.json", "./librechat.yaml"] {
            let variables = names.iter().filter(|name| *name != home);
            let mut variables: Vec<_> = variables.map(|name| (name.as_str(), value)).collect();
            variables.push((home, folder));
            let machine = FakeMachine::new(system, &variables)
                .with(&format!("{folder}/.codex/config.toml"), content(".toml"))
                .with(&format!("{folder}/.claude.json"), ENTRY);
            let files = discover_on(&machine, Path::new(current));
            let reads = machine.reads.borrow();
            let relative = reads
                .iter()
                .find(|path| !path.starts_with('/') && !path.starts_with("C:"));
            assert_eq!(relative, None, "{system:?} {value}");
            // The files are read where they are without the variables, with a warning.
            for (client, variable) in [
                (Client::Codex, "CODEX_HOME"),
                (Client::ClaudeCode, "CLAUDE_CONFIG_DIR"),
            ] {
                let mut of_client = files.iter().filter(|file| file.client == client);
                let file = of_client.next().unwrap();
                assert_eq!(file.scope, Scope::User);
                let warnings: Vec<_> = file.warnings.iter().map(ToString::to_string).collect();
                let expected = format!(
                    "the file: the variable {variable} has a relative path, so it is ignored; set it to an absolute path"
                );
                assert!(warnings.contains(&expected), "{warnings:?}");
            }
        }
    }
}
