//! The profiles of the clients whose servers are in one table of a JSON file.
//!
//! Sources: the documentation and the sources of the clients, as of November 2026. Each profile names them.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::client::Client;
use super::entry::{EntryReader, WEB_SOCKET, editor_variables};
use super::other_keys::OtherKeys;
use super::places::Places;
use super::profile::{
    EntryRules, FileFormat, MissingVariable, Place, Profile, ReplacedIn, Scope, ServersAt, Timeout,
    TransportRule, VariableForm, Variables,
};
use super::reading::{self, Contents, MAX_BYTES};
use super::{ClientFile, ClientServer, System};
use crate::escaping::escape;
use crate::format::MAX_COMPARED_KEYS;
use crate::server::{HttpSseUse, InheritedEnvironment};
use crate::spanned::{KeyPath, Spanned, toml};

const HTTP: TransportRule = TransportRule::Http(HttpSseUse::Never);
const HTTP_OR_SSE: TransportRule = TransportRule::Http(HttpSseUse::Fallback);
const SSE: TransportRule = TransportRule::Http(HttpSseUse::Always);
const STDIO: TransportRule = TransportRule::Stdio;

const NO_VARIABLES: Variables = Variables {
    forms: &[],
    missing: MissingVariable::Kept,
};

/// The rules from which most clients differ in a few points.
pub(super) const PLAIN: EntryRules = EntryRules {
    type_keys: &["type"],
    types: &[("stdio", STDIO), ("http", HTTP), ("sse", SSE)],
    ignores_unknown_types: false,
    untyped_program: STDIO,
    refuses_both: false,
    url_before_program: false,
    url_keys: &[("url", HTTP_OR_SSE)],
    without_transport: None,
    nested_transport: false,
    needs_type: None,
    command: "command",
    command_is_list: false,
    needs_args: false,
    env: "env",
    env_is_text: false,
    cwd: None,
    env_file: None,
    needs_env_file: false,
    switches: &[("disabled", true)],
    timeout: None,
    headers: &["headers"],
    bearer: None,
    oauth: &["oauth"],
    ignores_client_secret: false,
    other_keys: &[],
    variables: NO_VARIABLES,
    variables_in_env: None,
    replaced_in: ReplacedIn::Everywhere,
    without_value: ("is not set", "set it"),
    runs_commands: false,
    inherited: InheritedEnvironment::Everything,
};

/// The rules of clients whose documentation names no word for the transport, or not all of them. They infer it from the other keys.
const UNTYPED: EntryRules = EntryRules {
    types: &[
        ("stdio", STDIO),
        ("http", HTTP_OR_SSE),
        ("streamable-http", HTTP_OR_SSE),
        ("streamableHttp", HTTP_OR_SSE),
        ("sse", SSE),
    ],
    ignores_unknown_types: true,
    ..PLAIN
};

/// <https://code.claude.com/docs/en/mcp>
pub(super) const CLAUDE_CODE: EntryRules = EntryRules {
    types: &[
        ("stdio", STDIO),
        ("http", HTTP),
        ("streamable-http", HTTP),
        ("sse", SSE),
        ("ws", TransportRule::NotChecked(WEB_SOCKET)),
    ],
    url_keys: &[(
        "url",
        TransportRule::Refused(
            "skips a server with `url` that has no `type`; write \"type\": \"http\"",
        ),
    )],
    switches: &[],
    ignores_client_secret: true,
    other_keys: &["headersHelper"],
    variables: Variables {
        forms: &[VariableForm::Braces, VariableForm::Default],
        missing: MissingVariable::Kept,
    },
    ..PLAIN
};

/// <https://modelcontextprotocol.io/docs/develop/connect-local-servers>
pub(super) const CLAUDE_DESKTOP: EntryRules = EntryRules {
    types: &[
        ("stdio", STDIO),
        ("http", ONLY_PROGRAMS),
        ("streamable-http", ONLY_PROGRAMS),
        ("sse", ONLY_PROGRAMS),
    ],
    url_keys: &[("url", ONLY_PROGRAMS)],
    oauth: &[],
    switches: &[],
    ..PLAIN
};

const ONLY_PROGRAMS: TransportRule = TransportRule::Refused(
    "starts only programs from this file; add the URL as a connector in its settings, or start `npx mcp-remote URL`",
);

/// <https://cursor.com/docs/mcp>
const CURSOR: EntryRules = EntryRules {
    cwd: Some("cwd"),
    env_file: Some("envFile"),
    switches: &[],
    oauth: &["auth"],
    variables: Variables {
        forms: &[VariableForm::EnvInBraces, VariableForm::Editor],
        missing: MissingVariable::Kept,
    },
    ..UNTYPED
};

/// <https://code.visualstudio.com/docs/copilot/reference/mcp-configuration>, and for the types that it ignores
/// `src/vs/platform/mcp/common/mcpResourceScannerService.ts` in <https://github.com/microsoft/vscode>, and for the file with variables
/// `src/vs/workbench/api/node/extHostMcpNode.ts`
const VS_CODE: EntryRules = EntryRules {
    types: &[("stdio", STDIO), ("http", HTTP_OR_SSE), ("sse", SSE)],
    ignores_unknown_types: true,
    cwd: Some("cwd"),
    env_file: Some("envFile"),
    needs_env_file: true,
    switches: &[],
    variables: Variables {
        forms: &[VariableForm::EnvInBraces, VariableForm::Editor],
        missing: MissingVariable::Empty,
    },
    ..PLAIN
};

/// The files that VS Code shares with Copilot CLI: `docs/agents/reference/mcp-configuration.md` in
/// <https://github.com/microsoft/vscode-docs>.
const VS_CODE_PORTABLE: EntryRules = EntryRules {
    types: COPILOT_CLI.types,
    other_keys: COPILOT_CLI.other_keys,
    variables: Variables {
        forms: &[
            VariableForm::Braces,
            VariableForm::Default,
            VariableForm::EnvInBraces,
            VariableForm::Editor,
        ],
        missing: MissingVariable::Kept,
    },
    ..VS_CODE
};

/// `content/copilot/reference/copilot-cli-reference` in <https://github.com/github/docs>. Only `PATH` is inherited.
const COPILOT_CLI: EntryRules = EntryRules {
    types: &[
        ("local", STDIO),
        ("stdio", STDIO),
        ("http", HTTP),
        ("streamable-http", HTTP),
        ("sse", SSE),
    ],
    url_keys: &[("url", HTTP)],
    cwd: Some("cwd"),
    switches: &[],
    timeout: Some(Timeout {
        least: Duration::from_secs(60),
        ..Timeout::millis("timeout")
    }),
    oauth: &[],
    other_keys: &[
        "oauthClientId",
        "oauthScopes",
        "oauthPublicClient",
        "oauthGrantType",
        "oidc",
        "auth",
    ],
    variables: Variables {
        forms: &[
            VariableForm::Braces,
            VariableForm::Default,
            VariableForm::Dollar,
        ],
        missing: MissingVariable::Kept,
    },
    replaced_in: ReplacedIn::Env,
    inherited: InheritedEnvironment::Named(&["PATH"]),
    ..PLAIN
};

/// `docs/tools/mcp-server.md` in <https://github.com/google-gemini/gemini-cli>, and for an entry with a program and a URL
/// `packages/core/src/tools/mcp-client.ts`
pub(super) const GEMINI_CLI: EntryRules = EntryRules {
    types: &[("stdio", STDIO), ("http", HTTP), ("sse", SSE)],
    url_before_program: true,
    url_keys: &[("httpUrl", HTTP), ("url", HTTP_OR_SSE)],
    cwd: Some("cwd"),
    switches: &[],
    other_keys: &[
        "authProviderType",
        "targetAudience",
        "targetServiceAccount",
        "tcp",
    ],
    variables: Variables {
        forms: &[
            VariableForm::Braces,
            VariableForm::Default,
            VariableForm::Dollar,
        ],
        missing: MissingVariable::Kept,
    },
    // The client replaces the variables of the whole file first, and then once more those that are left in the environment of a program.
    variables_in_env: Some(Variables {
        forms: &[
            VariableForm::Braces,
            VariableForm::Default,
            VariableForm::Dollar,
            VariableForm::Percent,
        ],
        missing: MissingVariable::Empty,
    }),
    inherited: InheritedEnvironment::WithoutSecrets,
    ..PLAIN
};

/// `docs/users/features/mcp.md` in <https://github.com/QwenLM/qwen-code>. A `url` means HTTP+SSE.
const QWEN_CODE: EntryRules = EntryRules {
    type_keys: &[],
    types: &[],
    url_keys: &[("httpUrl", HTTP), ("url", SSE)],
    timeout: Some(Timeout::millis("discoveryTimeoutMs")),
    variables_in_env: None,
    inherited: InheritedEnvironment::Everything,
    ..GEMINI_CLI
};

/// Google Antigravity has no reference for its file; these are the keys that its settings write.
const ANTIGRAVITY: EntryRules = EntryRules {
    url_keys: &[
        ("serverUrl", HTTP_OR_SSE),
        ("url", HTTP_OR_SSE),
        ("httpUrl", HTTP_OR_SSE),
    ],
    other_keys: &["authProviderType"],
    ..UNTYPED
};

/// <https://docs.windsurf.com/windsurf/cascade/mcp>
const WINDSURF: EntryRules = EntryRules {
    url_keys: &[("serverUrl", HTTP_OR_SSE), ("url", HTTP_OR_SSE)],
    variables: Variables {
        forms: &[VariableForm::EnvInBraces],
        missing: MissingVariable::Kept,
    },
    ..UNTYPED
};

/// <https://docs.devin.ai/cli/extensibility/mcp/configuration>
const DEVIN: EntryRules = EntryRules {
    type_keys: &["transport"],
    ..UNTYPED
};

/// `apps/vscode/src/services/mcp/schemas.ts` in <https://github.com/cline/cline>. A `url` without a type means HTTP+SSE.
const CLINE: EntryRules = EntryRules {
    type_keys: &["type", "transportType"],
    types: &[
        ("stdio", STDIO),
        ("sse", SSE),
        ("streamableHttp", HTTP),
        ("http", HTTP),
    ],
    url_keys: &[("url", SSE)],
    nested_transport: true,
    cwd: Some("cwd"),
    timeout: Some(Timeout {
        least: Duration::from_secs(1),
        ..Timeout::secs("timeout")
    }),
    oauth: &["oauthClient"],
    // The client keeps its sign-in here.
    other_keys: &["oauth"],
    variables: Variables {
        forms: &[VariableForm::EnvInBraces],
        missing: MissingVariable::Kept,
    },
    ..PLAIN
};

/// `src/services/mcp/McpHub.ts` in <https://github.com/RooCodeInc/Roo-Code>
const ROO_CODE: EntryRules = EntryRules {
    types: &[("stdio", STDIO), ("sse", SSE), ("streamable-http", HTTP)],
    url_keys: &[(
        "url",
        TransportRule::Refused(
            "refuses a server with `url` that has no `type`; write \"type\": \"streamable-http\" or \"type\": \"sse\"",
        ),
    )],
    refuses_both: true,
    cwd: Some("cwd"),
    timeout: Some(Timeout {
        accepted: Some((1, 3600)),
        ..Timeout::secs("timeout")
    }),
    oauth: &[],
    variables: Variables {
        forms: &[VariableForm::EnvInBraces, VariableForm::Editor],
        missing: MissingVariable::Kept,
    },
    ..PLAIN
};

/// `crates/settings_content/src/project.rs` in <https://github.com/zed-industries/zed>. A server of an extension has no command here.
const ZED: EntryRules = EntryRules {
    type_keys: &[],
    types: &[],
    url_keys: &[("url", HTTP)],
    needs_args: true,
    without_transport: Some(TransportRule::NotChecked(
        "its command comes from an extension of Zed",
    )),
    switches: &[("enabled", false)],
    timeout: Some(Timeout::secs("timeout")),
    other_keys: &["settings", "source", "remote"],
    ..PLAIN
};

/// <https://kiro.dev/docs/mcp/configuration>. Kiro replaces only variables that the user has approved.
const KIRO: EntryRules = EntryRules {
    timeout: Some(Timeout::millis("timeout")),
    other_keys: &["oauthScopes"],
    variables: Variables {
        forms: &[VariableForm::ApprovedBraces],
        missing: MissingVariable::Kept,
    },
    replaced_in: ReplacedIn::EnvAndHeaders,
    ..UNTYPED
};

/// `crates/chat-cli/src/cli/chat/tools/custom_tool.rs` in <https://github.com/aws/amazon-q-developer-cli>
const AMAZON_Q: EntryRules = EntryRules {
    types: &[("stdio", STDIO), ("http", HTTP_OR_SSE)],
    ignores_unknown_types: false,
    url_keys: &[(
        "url",
        TransportRule::Refused(
            "starts a program for a server without a `type`; write \"type\": \"http\"",
        ),
    )],
    variables: Variables {
        forms: &[VariableForm::EnvInBraces],
        missing: MissingVariable::Kept,
    },
    ..KIRO
};

/// <https://lmstudio.ai/docs/app/mcp>, and Junie's <https://www.jetbrains.com/help/junie/model-context-protocol-mcp.html>
const PLAIN_PROGRAMS_AND_URLS: EntryRules = EntryRules {
    switches: &[],
    ..UNTYPED
};

/// `app/src/ai/mcp/parsing.rs` in <https://github.com/warpdotdev/warp>. A variable that is not set is an error.
const WARP: EntryRules = EntryRules {
    type_keys: &[],
    types: &[],
    cwd: Some("working_directory"),
    switches: &[],
    variables: Variables {
        forms: &[VariableForm::Braces],
        missing: MissingVariable::Refused,
    },
    ..PLAIN
};

/// `docs/cli/configuration/mcp.mdx` in <https://github.com/Factory-AI/factory>
const FACTORY: EntryRules = EntryRules {
    url_keys: &[(
        "url",
        TransportRule::Refused("needs a `type` for a server with `url`; write \"type\": \"http\""),
    )],
    timeout: Some(Timeout::millis("timeoutMs")),
    variables: Variables {
        forms: &[VariableForm::Braces, VariableForm::Default],
        missing: MissingVariable::Kept,
    },
    ..PLAIN
};

/// `internal/config` in <https://github.com/charmbracelet/crush>. Values are texts of a shell.
const CRUSH: EntryRules = EntryRules {
    url_keys: &[(
        "url",
        TransportRule::Refused("needs a `type` for each server; write \"type\": \"http\""),
    )],
    untyped_program: TransportRule::Refused(
        "needs a `type` for each server; write \"type\": \"stdio\"",
    ),
    without_transport: Some(TransportRule::NotChecked(
        "its entry has no program and no URL: it keeps a sign-in, or changes an entry of another file",
    )),
    timeout: Some(Timeout::secs("timeout")),
    oauth: &[],
    other_keys: &[
        "oauth",
        "oauth_client_id",
        "oauth_client_secret",
        "oauth_callback_port",
        "oauth_token",
        "disabled_tools",
        "enabled_tools",
    ],
    variables: Variables {
        forms: &[
            VariableForm::Braces,
            VariableForm::Default,
            VariableForm::Dollar,
        ],
        missing: MissingVariable::Empty,
    },
    runs_commands: true,
    ..PLAIN
};

/// <https://github.com/MoonshotAI/kimi-code>
const KIMI_CODE: EntryRules = EntryRules {
    type_keys: &["transport", "type"],
    ..UNTYPED
};

/// <https://docs.x.ai/build/features/mcp-servers>
const GROK_BUILD: EntryRules = EntryRules {
    type_keys: &["type", "transport"],
    types: &[
        ("stdio", STDIO),
        ("http", HTTP),
        ("streamable-http", HTTP),
        ("sse", SSE),
    ],
    env_is_text: true,
    cwd: Some("cwd"),
    switches: &[("enabled", false)],
    timeout: Some(Timeout::secs("startup_timeout_sec")),
    other_keys: &["tool_timeout_sec", "tool_timeouts"],
    variables: Variables {
        forms: &[
            VariableForm::Braces,
            VariableForm::Default,
            VariableForm::DoubleBraces,
        ],
        missing: MissingVariable::Kept,
    },
    ..PLAIN
};

const MCP_SERVERS: ServersAt = ServersAt::Key(&["mcpServers"]);

/// A file of the user, on every system.
const fn user(path: &'static str, format: FileFormat) -> Place {
    Place {
        scope: Scope::User,
        systems: &[],
        path,
        format,
        servers: MCP_SERVERS,
        unless: &[],
    }
}

/// A file of the project, on every system.
const fn project(path: &'static str, format: FileFormat) -> Place {
    Place {
        scope: Scope::Project,
        ..user(path, format)
    }
}

const fn on(systems: &'static [System], place: Place) -> Place {
    Place { systems, ..place }
}

const fn in_scope(scope: Scope, place: Place) -> Place {
    Place { scope, ..place }
}

const fn with_servers(servers: ServersAt, place: Place) -> Place {
    Place { servers, ..place }
}

/// A file that variables move elsewhere.
const fn unless(variables: &'static [&'static str], place: Place) -> Place {
    Place {
        unless: variables,
        ..place
    }
}

/// A file of all users.
const fn system(path: &'static str, format: FileFormat) -> Place {
    in_scope(Scope::System, user(path, format))
}

const UNIX: &[System] = &[System::Linux, System::MacOs];
const LINUX: &[System] = &[System::Linux];
const MACOS: &[System] = &[System::MacOs];
const WINDOWS: &[System] = &[System::Windows];

/// The `mcp.json` of VS Code and its forks.
const fn vs_code(path: &'static str) -> Place {
    with_servers(ServersAt::Key(&["servers"]), user(path, FileFormat::Jsonc))
}

/// A `devcontainer.json`.
const fn dev_container(path: &'static str) -> Place {
    with_servers(
        ServersAt::Key(&["customizations", "vscode", "mcp", "servers"]),
        project(path, FileFormat::Jsonc),
    )
}

use FileFormat::{Json, JsonWithComments};

/// The profiles. Claude Code, Codex, opencode and Kilo Code have modules of their own.
const PROFILES: &[Profile] = &[
    Profile {
        client: Client::ClaudeDesktop,
        places: &[
            on(
                LINUX,
                user("<config>/Claude/claude_desktop_config.json", Json),
            ),
            on(
                MACOS,
                user("<config>/Claude/claude_desktop_config.json", Json),
            ),
            // The application reads only one of the two: this one if it was installed as a package.
            on(
                WINDOWS,
                user(
                    "<local>/Packages/Claude_*/LocalCache/Roaming/Claude/claude_desktop_config.json",
                    Json,
                ),
            ),
            on(
                WINDOWS,
                user("<config>/Claude/claude_desktop_config.json", Json),
            ),
        ],
        rules: &CLAUDE_DESKTOP,
    },
    Profile {
        client: Client::Cursor,
        places: &[
            user("<home>/.cursor/mcp.json", Json),
            project("<folder>/.mcp.json", Json),
            project("<folder>/.cursor/mcp.json", Json),
        ],
        rules: &CURSOR,
    },
    Profile {
        client: Client::VsCode,
        places: &[
            vs_code("<config>/Code/User/mcp.json"),
            vs_code("<config>/Code/User/profiles/*/mcp.json"),
            vs_code("<config>/Code - Insiders/User/mcp.json"),
            vs_code("<config>/Code - Insiders/User/profiles/*/mcp.json"),
            vs_code("<config>/VSCodium/User/mcp.json"),
            vs_code("<config>/VSCodium/User/profiles/*/mcp.json"),
            vs_code("<$VSCODE_PORTABLE>/user-data/User/mcp.json"),
            vs_code("<$VSCODE_PORTABLE>/user-data/User/profiles/*/mcp.json"),
            vs_code("<home>/.vscode-server/data/User/mcp.json"),
            in_scope(Scope::Project, vs_code("<folder>/.vscode/mcp.json")),
            with_servers(
                ServersAt::FirstOf(&[
                    &["settings", "mcp", "servers"],
                    &["settings", "mcp.servers"],
                ]),
                project("<folder>/*.code-workspace", FileFormat::Jsonc),
            ),
            dev_container("<folder>/.devcontainer.json"),
            dev_container("<folder>/.devcontainer/devcontainer.json"),
            dev_container("<folder>/.devcontainer/*/devcontainer.json"),
        ],
        rules: &VS_CODE,
    },
    Profile {
        client: Client::VsCode,
        places: &[
            unless(
                &["COPILOT_HOME"],
                user("<home>/.copilot/mcp-config.json", FileFormat::Jsonc),
            ),
            user("<$COPILOT_HOME>/mcp-config.json", FileFormat::Jsonc),
            with_servers(
                ServersAt::KeyOrBare("mcpServers"),
                project("<folder>/.mcp.json", FileFormat::Jsonc),
            ),
        ],
        rules: &VS_CODE_PORTABLE,
    },
    Profile {
        client: Client::CopilotCli,
        places: &[
            unless(
                &["COPILOT_HOME"],
                user("<home>/.copilot/mcp-config.json", Json),
            ),
            user("<$COPILOT_HOME>/mcp-config.json", Json),
            project("<up>/.github/mcp.json", Json),
            project("<up>/.mcp.json", Json),
        ],
        rules: &COPILOT_CLI,
    },
    Profile {
        client: Client::GeminiCli,
        places: &[
            on(
                LINUX,
                unless(
                    &["GEMINI_CLI_SYSTEM_DEFAULTS_PATH"],
                    system("</>/etc/gemini-cli/system-defaults.json", JsonWithComments),
                ),
            ),
            on(
                MACOS,
                unless(
                    &["GEMINI_CLI_SYSTEM_DEFAULTS_PATH"],
                    system(
                        "</>/Library/Application Support/GeminiCli/system-defaults.json",
                        JsonWithComments,
                    ),
                ),
            ),
            on(
                WINDOWS,
                unless(
                    &["GEMINI_CLI_SYSTEM_DEFAULTS_PATH"],
                    system(
                        "</>/ProgramData/gemini-cli/system-defaults.json",
                        JsonWithComments,
                    ),
                ),
            ),
            system("<$GEMINI_CLI_SYSTEM_DEFAULTS_PATH>", JsonWithComments),
            unless(
                &["GEMINI_CLI_HOME"],
                user("<home>/.gemini/settings.json", JsonWithComments),
            ),
            user("<$GEMINI_CLI_HOME>/.gemini/settings.json", JsonWithComments),
            project("<folder>/.gemini/settings.json", JsonWithComments),
            on(
                LINUX,
                unless(
                    &["GEMINI_CLI_SYSTEM_SETTINGS_PATH"],
                    system("</>/etc/gemini-cli/settings.json", JsonWithComments),
                ),
            ),
            on(
                MACOS,
                unless(
                    &["GEMINI_CLI_SYSTEM_SETTINGS_PATH"],
                    system(
                        "</>/Library/Application Support/GeminiCli/settings.json",
                        JsonWithComments,
                    ),
                ),
            ),
            on(
                WINDOWS,
                unless(
                    &["GEMINI_CLI_SYSTEM_SETTINGS_PATH"],
                    system("</>/ProgramData/gemini-cli/settings.json", JsonWithComments),
                ),
            ),
            system("<$GEMINI_CLI_SYSTEM_SETTINGS_PATH>", JsonWithComments),
        ],
        rules: &GEMINI_CLI,
    },
    Profile {
        client: Client::QwenCode,
        places: &[
            on(
                LINUX,
                unless(
                    &["QWEN_CODE_SYSTEM_DEFAULTS_PATH"],
                    system("</>/etc/qwen-code/system-defaults.json", JsonWithComments),
                ),
            ),
            on(
                MACOS,
                unless(
                    &["QWEN_CODE_SYSTEM_DEFAULTS_PATH"],
                    system(
                        "</>/Library/Application Support/QwenCode/system-defaults.json",
                        JsonWithComments,
                    ),
                ),
            ),
            on(
                WINDOWS,
                unless(
                    &["QWEN_CODE_SYSTEM_DEFAULTS_PATH"],
                    system(
                        "</>/ProgramData/qwen-code/system-defaults.json",
                        JsonWithComments,
                    ),
                ),
            ),
            system("<$QWEN_CODE_SYSTEM_DEFAULTS_PATH>", JsonWithComments),
            user("<home>/.qwen/settings.json", JsonWithComments),
            project("<folder>/.mcp.json", JsonWithComments),
            project("<folder>/.qwen/settings.json", JsonWithComments),
            on(
                LINUX,
                unless(
                    &["QWEN_CODE_SYSTEM_SETTINGS_PATH"],
                    system("</>/etc/qwen-code/settings.json", JsonWithComments),
                ),
            ),
            on(
                MACOS,
                unless(
                    &["QWEN_CODE_SYSTEM_SETTINGS_PATH"],
                    system(
                        "</>/Library/Application Support/QwenCode/settings.json",
                        JsonWithComments,
                    ),
                ),
            ),
            on(
                WINDOWS,
                unless(
                    &["QWEN_CODE_SYSTEM_SETTINGS_PATH"],
                    system("</>/ProgramData/qwen-code/settings.json", JsonWithComments),
                ),
            ),
            system("<$QWEN_CODE_SYSTEM_SETTINGS_PATH>", JsonWithComments),
        ],
        rules: &QWEN_CODE,
    },
    Profile {
        client: Client::Antigravity,
        places: &[
            user("<home>/.gemini/antigravity/mcp_config.json", Json),
            user("<home>/.gemini/config/mcp_config.json", Json),
        ],
        rules: &ANTIGRAVITY,
    },
    Profile {
        client: Client::Windsurf,
        places: &[
            user("<home>/.codeium/mcp_config.json", Json),
            user("<home>/.codeium/windsurf/mcp_config.json", Json),
            user("<home>/.codeium/windsurf-next/mcp_config.json", Json),
            project("<folder>/.mcp.json", Json),
        ],
        rules: &WINDSURF,
    },
    Profile {
        client: Client::Devin,
        places: &[
            on(UNIX, user("<xdg-config>/devin/config.json", Json)),
            on(WINDOWS, user("<config>/devin/config.json", Json)),
            project("<folder>/.cognition/config.json", Json),
            project("<folder>/.devin/config.json", Json),
            // The file is meant only for the user, but a repository may have it too, so it is not trusted.
            project("<folder>/.devin/config.local.json", Json),
        ],
        rules: &DEVIN,
    },
    Profile {
        client: Client::Cline,
        places: &[
            user(
                "<config>/Code/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json",
                Json,
            ),
            user("<home>/Documents/Cline/MCP/cline_mcp_settings.json", Json),
            unless(
                &["CLINE_DIR", "CLINE_DATA_DIR", "CLINE_MCP_SETTINGS_PATH"],
                user("<home>/.cline/data/settings/cline_mcp_settings.json", Json),
            ),
            unless(
                &["CLINE_DATA_DIR", "CLINE_MCP_SETTINGS_PATH"],
                user("<$CLINE_DIR>/data/settings/cline_mcp_settings.json", Json),
            ),
            unless(
                &["CLINE_MCP_SETTINGS_PATH"],
                user("<$CLINE_DATA_DIR>/settings/cline_mcp_settings.json", Json),
            ),
            user("<$CLINE_MCP_SETTINGS_PATH>", Json),
        ],
        rules: &CLINE,
    },
    Profile {
        client: Client::RooCode,
        places: &[
            user(
                "<config>/Code/User/globalStorage/rooveterinaryinc.roo-cline/settings/mcp_settings.json",
                Json,
            ),
            project("<folder>/.roo/mcp.json", Json),
        ],
        rules: &ROO_CODE,
    },
    Profile {
        client: Client::Zed,
        places: &[
            on(
                LINUX,
                unless(
                    &["FLATPAK_XDG_CONFIG_HOME"],
                    zed("<xdg-config>/zed/settings.json"),
                ),
            ),
            on(LINUX, zed("<$FLATPAK_XDG_CONFIG_HOME>/zed/settings.json")),
            on(MACOS, zed("<home>/.config/zed/settings.json")),
            on(WINDOWS, zed("<config>/Zed/settings.json")),
            in_scope(Scope::Project, zed("<folder>/.zed/settings.json")),
        ],
        rules: &ZED,
    },
    Profile {
        client: Client::Kiro,
        places: &[
            with_servers(
                ServersAt::Key(&["powers", "mcpServers"]),
                user("<home>/.kiro/settings/mcp.json", Json),
            ),
            user("<home>/.kiro/powers/installed/*/mcp.json", Json),
            user("<home>/.kiro/settings/mcp.json", Json),
            project("<folder>/.kiro/settings/mcp.json", Json),
            user("<home>/.kiro/agents/*.json", Json),
            project("<folder>/.kiro/agents/*.json", Json),
        ],
        rules: &KIRO,
    },
    Profile {
        client: Client::AmazonQ,
        places: &[
            user("<home>/.aws/amazonq/mcp.json", Json),
            project("<folder>/.amazonq/mcp.json", Json),
            user("<home>/.aws/amazonq/cli-agents/*.json", Json),
            project("<folder>/.amazonq/cli-agents/*.json", Json),
        ],
        rules: &AMAZON_Q,
    },
    Profile {
        client: Client::Junie,
        places: &[
            user("<home>/.junie/mcp/mcp.json", Json),
            project("<folder>/.junie/mcp/mcp.json", Json),
        ],
        rules: &PLAIN_PROGRAMS_AND_URLS,
    },
    Profile {
        client: Client::LmStudio,
        places: &[
            user("<home>/.cache/lm-studio/mcp.json", Json),
            user("<home>/.lmstudio/mcp.json", Json),
        ],
        rules: &PLAIN_PROGRAMS_AND_URLS,
    },
    Profile {
        client: Client::Warp,
        places: &[
            warp(user("<home>/.agents/.mcp.json", Json)),
            warp(user("<home>/.warp/.mcp.json", Json)),
            warp(project("<up>/.agents/.mcp.json", Json)),
            warp(project("<up>/.warp/.mcp.json", Json)),
        ],
        rules: &WARP,
    },
    Profile {
        client: Client::Factory,
        // An entry of the user wins over one of the project.
        places: &[
            project("<up>/.factory/mcp.json", Json),
            user("<home>/.factory/mcp.json", Json),
        ],
        rules: &FACTORY,
    },
    Profile {
        client: Client::Crush,
        places: &[
            on(
                UNIX,
                in_scope(Scope::System, crush("</>/etc/crush/crush.json")),
            ),
            unless(
                &["CRUSH_GLOBAL_CONFIG"],
                crush("<xdg-config>/crush/crush.json"),
            ),
            crush("<$CRUSH_GLOBAL_CONFIG>/crush.json"),
            // The state of the client, with the sign-ins of servers.
            on(
                UNIX,
                unless(&["CRUSH_GLOBAL_DATA"], crush("<xdg-data>/crush/crush.json")),
            ),
            on(
                WINDOWS,
                unless(
                    &["CRUSH_GLOBAL_DATA", "XDG_DATA_HOME"],
                    crush("<local>/crush/crush.json"),
                ),
            ),
            on(
                WINDOWS,
                unless(
                    &["CRUSH_GLOBAL_DATA"],
                    crush("<$XDG_DATA_HOME>/crush/crush.json"),
                ),
            ),
            crush("<$CRUSH_GLOBAL_DATA>/crush.json"),
            in_scope(Scope::Project, crush("<up>/crush.json")),
            in_scope(Scope::Project, crush("<up>/.crush.json")),
        ],
        rules: &CRUSH,
    },
    Profile {
        client: Client::Amp,
        places: &[
            on(UNIX, amp("<xdg-config>/amp/settings.json")),
            on(WINDOWS, amp("<config>/amp/settings.json")),
            in_scope(Scope::Project, amp("<folder>/.amp/settings.json")),
        ],
        rules: &PLAIN_PROGRAMS_AND_URLS,
    },
    Profile {
        client: Client::KimiCode,
        places: &[
            user("<home>/.kimi/mcp.json", Json),
            user("<home>/.kimi-code/mcp.json", Json),
            project("<folder>/.mcp.json", Json),
            project("<folder>/.kimi-code/mcp.json", Json),
        ],
        rules: &KIMI_CODE,
    },
    Profile {
        client: Client::GrokBuild,
        places: &[
            grok_build("<$GROK_HOME or .grok>/config.toml"),
            in_scope(Scope::Project, grok_build("<up>/.grok/config.toml")),
        ],
        rules: &GROK_BUILD,
    },
];

const fn zed(path: &'static str) -> Place {
    with_servers(
        ServersAt::Key(&["context_servers"]),
        user(path, FileFormat::Jsonc),
    )
}

const fn warp(place: Place) -> Place {
    with_servers(
        ServersAt::FirstOf(&[&["mcpServers"], &["servers"], &["mcp", "servers"]]),
        place,
    )
}

const fn crush(path: &'static str) -> Place {
    with_servers(ServersAt::Key(&["mcp"]), user(path, Json))
}

const fn grok_build(path: &'static str) -> Place {
    with_servers(
        ServersAt::Key(&["mcp_servers"]),
        user(path, FileFormat::Toml),
    )
}

const fn amp(path: &'static str) -> Place {
    with_servers(
        ServersAt::Key(&["amp.mcpServers"]),
        user(path, FileFormat::Jsonc),
    )
}

/// Reads the files of a client with a profile.
pub(super) fn files(client: Client, places: &Places<'_>) -> Vec<ClientFile> {
    let system = places.machine.system();
    let (mut files, mut alternatives) = (Vec::new(), Vec::new());
    for profile in PROFILES.iter().filter(|profile| profile.client == client) {
        for place in profile.places {
            let is_elsewhere = !place.systems.is_empty() && !place.systems.contains(&system);
            let mut variables = place.unless.iter();
            if is_elsewhere || variables.any(|name| places.variable(name).is_some()) {
                continue;
            }
            for path in places.paths(place.path) {
                if let Some(file) = file(client, profile.rules, place, &path, places) {
                    files.push(file);
                    alternatives.push(place.path.contains('*'));
                }
            }
        }
    }
    // The user chooses one of several files such as those of agents.
    let mut alternatives = alternatives.into_iter();
    let is_alternative = |_: &&mut ClientFile| alternatives.next() == Some(true);
    let (_, mut ordered): (Vec<_>, Vec<_>) = files.iter_mut().partition(is_alternative);
    if !matches!(client, Client::VsCode) {
        mark_replaced(ordered.iter_mut().map(|file| &mut **file));
    }
    keep_newest_home(client, &mut files);
    drop_repeated(&mut files);
    files
}

/// Lists a file once that is read for several places.
fn drop_repeated(files: &mut Vec<ClientFile>) {
    // In the home folder, a file of the user has the path of a project's file.
    let of_user = files.iter().filter(|file| file.scope != Scope::Project);
    let of_user: HashSet<PathBuf> = of_user.map(|file| file.path.clone()).collect();
    files.retain(|file| file.scope != Scope::Project || !of_user.contains(&file.path));
    // A file with servers in two tables is listed for the ones that it has.
    let mut seen = HashSet::new();
    let repeats: Vec<bool> = files
        .iter()
        .rev()
        .map(|file| !seen.insert(file.path.clone()) && file.servers.is_empty())
        .collect();
    let mut repeats = repeats.into_iter().rev();
    files.retain(|_| repeats.next() != Some(true));
}

/// The client reads only the last of its places that has a file.
fn keep_newest_home(client: Client, files: &mut Vec<ClientFile>) {
    if !matches!(
        client,
        Client::Cline | Client::Antigravity | Client::LmStudio | Client::KimiCode
    ) {
        return;
    }
    let kept = files.iter().rposition(|file| file.scope == Scope::User);
    let mut at = 0;
    files.retain(|file| {
        at += 1;
        file.scope != Scope::User || kept == Some(at - 1)
    });
}

/// An entry replaces the entries of the same name in the files above it.
pub(super) fn mark_replaced<'a>(files: impl DoubleEndedIterator<Item = &'a mut ClientFile>) {
    let mut replacing: HashMap<String, String> = HashMap::new();
    for file in files.rev() {
        let mut names = Vec::new();
        for at in 0..file.servers.len() {
            // A project's entry that the client does not use without an approval replaces nothing.
            let may_start = file.may_start(&file.servers[at]);
            let server = &mut file.servers[at];
            match replacing.get(&server.entry.name) {
                Some(path) => {
                    server.not_checked.get_or_insert_with(|| {
                        format!("replaced by the entry of the same name in {path}")
                    });
                }
                None if may_start => names.push(server.entry.name.clone()),
                None => {}
            }
        }
        let path = escape(&file.path.to_string_lossy());
        replacing.extend(names.into_iter().map(|name| (name, path.clone())));
    }
}

/// Reads one file. Returns `None` if it does not exist.
fn file(
    client: Client,
    rules: &EntryRules,
    place: &Place,
    path: &Path,
    places: &Places<'_>,
) -> Option<ClientFile> {
    let result = reading::read(places.machine, path, MAX_BYTES, |text| {
        let (root, entries, repeated, other) = match (place.format, place.servers) {
            (FileFormat::Toml, ServersAt::Key(keys @ [key])) => {
                let document = toml::Document::parse(text, path)?;
                let entries = reading::entries(document.get(key), key, path)?;
                // TOML has no repeated keys.
                let none = (Vec::new(), Vec::new());
                let other = OtherKeys::of_toml(client, path, keys, &document);
                let other = other.check(!entries.is_empty())?;
                (KeyPath::new(key), entries, none, other)
            }
            _ => reading::with_json(client, place.format, path, text, |document| {
                let (root, entries) = reading::servers(document, place.servers, path)?;
                let repeated = reading::repeated_keys(document, place.servers);
                let own = servers_in_same_file(client, place);
                let other = OtherKeys::of_json(client, path, own, document);
                let other = other.check(!entries.is_empty())?;
                Ok((root, entries, repeated, other))
            })?,
        };
        let servers = read_entries(client, rules, places, &root, &entries);
        let (repeated, keys) = repeated;
        Ok(Contents::new(servers, other).with_repeated(&repeated, &keys))
    })?;
    Some(ClientFile::new(
        client,
        place.scope,
        path.to_owned(),
        place.format,
        result,
    ))
}

/// Where the client reads servers in a file: the place itself, and the other places with the same file.
fn servers_in_same_file(client: Client, place: &Place) -> impl Iterator<Item = ServersAt> {
    let profiles = PROFILES.iter().filter(move |other| other.client == client);
    let places = profiles.flat_map(|profile| profile.places);
    let others = places.filter(|other| other.path == place.path);
    std::iter::once(place.servers).chain(others.map(|other| other.servers))
}

/// Reads the entries of a table of servers.
fn read_entries(
    client: Client,
    rules: &EntryRules,
    places: &Places<'_>,
    root: &KeyPath,
    entries: &[(String, Spanned)],
) -> Vec<ClientServer> {
    places.renew_budget();
    let reader = EntryReader {
        client,
        rules,
        places,
        folder: places.folder,
        own_variables: editor_variables(places, places.folder),
        added_env: Vec::new(),
        comparisons: Cell::new(MAX_COMPARED_KEYS),
    };
    let entries = entries.iter();
    entries
        .map(|(name, entry)| reader.read(name, root.named(name, entry.line), entry))
        .collect()
}
