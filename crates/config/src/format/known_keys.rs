//! The keys of a server's entry in each format, and other clients' words for them. The only place that lists them.
//!
//! Source: the documentation and the sources of the clients, as of November 2026.

use crate::error::EntryProblem;
use crate::escaping::escape_and_truncate;
use crate::shown;
use crate::spanned::Table;

use super::Warnings;

/// The keys of one format.
pub(crate) struct KnownKeys {
    /// Keys that this crate reads.
    pub read: &'static [&'static str],
    /// Keys of the format's clients that have no effect on a start.
    pub without_effect: &'static [&'static str],
    /// Words that are not read, and the key that has their meaning. Spelling variants of a key, such as `http-headers`, need no row.
    pub words: &'static [(&'static str, &'static str)],
    /// Keys that other clients read and this crate does not, and what to do.
    pub unsupported: &'static [(&'static str, &'static str)],
}

/// The keys of `[mcp_servers.NAME]` in Codex's `config.toml`.
pub(crate) const CODEX_TOML: KnownKeys = KnownKeys {
    read: &[
        "command",
        "args",
        "env",
        "env_vars",
        "cwd",
        "url",
        "bearer_token_env_var",
        "bearer_token",
        "http_headers",
        "env_http_headers",
        "http_headers_helper",
        "enabled",
        "required",
        "startup_timeout_sec",
        "startup_timeout_ms",
        "scopes",
        "oauth",
        "oauth_resource",
        "protocol_era",
    ],
    without_effect: &[
        "name",
        "description",
        // Codex derives the transport from `command` or `url`.
        "type",
        "transport",
        "tool_timeout_sec",
        "enabled_tools",
        "disabled_tools",
        "default_tools_approval_mode",
        "supports_parallel_tool_calls",
        "experimental_environment",
        "environment_id",
        "tools",
    ],
    words: &[
        ("headers", "http_headers"),
        ("header", "http_headers"),
        ("requestHeaders", "http_headers"),
        ("customHeaders", "http_headers"),
        ("environment", "env"),
        ("environmentVariables", "env"),
        ("envs", "env"),
        ("active", "enabled"),
        ("isActive", "enabled"),
        ("timeout", "startup_timeout_sec"),
        ("startup_timeout", "startup_timeout_sec"),
        ("timeout_sec", "startup_timeout_sec"),
        ("initTimeout", "startup_timeout_sec"),
        ("connectionTimeout", "startup_timeout_sec"),
        ("timeout_ms", "startup_timeout_ms"),
        ("tool_timeout", "tool_timeout_sec"),
        ("tool_timeout_ms", "tool_timeout_sec"),
        ("token", "bearer_token_env_var"),
        ("apiKey", "bearer_token_env_var"),
        ("api_token", "bearer_token_env_var"),
        ("access_token", "bearer_token_env_var"),
        ("auth_token", "bearer_token_env_var"),
        ("bearer", "bearer_token_env_var"),
        ("bearer_token_env", "bearer_token_env_var"),
        ("token_env_var", "bearer_token_env_var"),
        ("authorization", "bearer_token_env_var"),
        ("serverUrl", "url"),
        ("httpUrl", "url"),
        ("uri", "url"),
        ("endpoint", "url"),
        ("address", "url"),
        ("baseUrl", "url"),
        ("cmd", "command"),
        ("exec", "command"),
        ("executable", "command"),
        ("program", "command"),
        ("arguments", "args"),
        ("argv", "args"),
        ("params", "args"),
        ("working_directory", "cwd"),
        ("working_dir", "cwd"),
        ("workdir", "cwd"),
        ("directory", "cwd"),
        ("dir", "cwd"),
        ("autoApprove", "default_tools_approval_mode"),
        ("disabledTools", "disabled_tools"),
        ("includeTools", "enabled_tools"),
        ("excludeTools", "disabled_tools"),
        ("resource", "oauth_resource"),
        ("scope", "scopes"),
    ],
    unsupported: &[
        ("disabled", "write `enabled = false` to disable the server"),
        (
            "isDisabled",
            "write `enabled = false` to disable the server",
        ),
        ("env_file", "write its variables in `env`"),
    ],
};

/// The keys of a server in `mcpServers` JSON.
pub(crate) const MCP_SERVERS_JSON: KnownKeys = KnownKeys {
    read: &[
        "type",
        "transport",
        "transportType",
        "command",
        "args",
        "env",
        "cwd",
        "url",
        "serverUrl",
        "httpUrl",
        "headers",
        "headersHelper",
        "oauth",
        "enabled",
        "disabled",
        "isActive",
        "protocol_era",
        "protocolEra",
    ],
    without_effect: &[
        "name",
        "title",
        "description",
        "version",
        "icon",
        "iconPath",
        "logoUrl",
        "provider",
        "providerUrl",
        "tags",
        "registryUrl",
        "reference",
        "gallery",
        "metadata",
        "remoteConfigured",
        "source",
        "dev",
        "trust",
        "sandboxEnabled",
        "timeout",
        "timeoutMs",
        "initTimeout",
        "connectionTimeout",
        "toolTimeoutMs",
        "discoveryTimeoutMs",
        "slowConnectionThresholdMs",
        "request_timeout_ms",
        "longRunning",
        "alwaysLoad",
        "deferTools",
        "disableToolCache",
        "filterMapping",
        "tools",
        "enabledTools",
        "disabledTools",
        "includeTools",
        "excludeTools",
        "autoApprove",
        "alwaysAllow",
        "watchPaths",
        "versionNegotiation",
        "appResourceMaxBytes",
        "appResourceTimeoutMs",
    ],
    words: &[
        ("environment", "env"),
        ("environmentVariables", "env"),
        ("envs", "env"),
        ("http_headers", "headers"),
        ("header", "headers"),
        ("requestHeaders", "headers"),
        ("customHeaders", "headers"),
        ("bearer_token", "headers"),
        ("bearer", "headers"),
        ("token", "headers"),
        ("apiKey", "headers"),
        ("api_token", "headers"),
        ("access_token", "headers"),
        ("auth_token", "headers"),
        ("authorization", "headers"),
        ("uri", "url"),
        ("endpoint", "url"),
        ("address", "url"),
        ("baseUrl", "url"),
        ("cmd", "command"),
        ("exec", "command"),
        ("executable", "command"),
        ("program", "command"),
        ("arguments", "args"),
        ("argv", "args"),
        ("params", "args"),
        ("working_directory", "cwd"),
        ("workingDir", "cwd"),
        ("workdir", "cwd"),
        ("directory", "cwd"),
        ("dir", "cwd"),
        ("active", "enabled"),
        ("isEnabled", "enabled"),
        ("isDisabled", "disabled"),
        ("protocol", "type"),
        ("mode", "type"),
    ],
    unsupported: &[
        ("envFile", "write its variables in `env`"),
        (
            "bearer_token_env_var",
            "write `headers`: {\"Authorization\": \"Bearer ${NAME}\"}",
        ),
        (
            "env_http_headers",
            "write `headers`: {\"KEY\": \"${NAME}\"}",
        ),
        ("env_vars", "write `env`: {\"NAME\": \"${NAME}\"}"),
        ("oauthClientId", "write `oauth`: {\"clientId\": \"ID\"}"),
        ("oauthScopes", "write `oauth`: {\"scopes\": \"A B\"}"),
        ("authProviderType", "use a header or OAuth"),
        ("startup_timeout_sec", "use the option `--timeout`"),
        ("startup_timeout_ms", "use the option `--timeout`"),
        ("required", "only Codex has required servers"),
    ],
};

/// The keys of the table `oauth` of Codex's `config.toml`. `format/oauth.rs` reads most of them.
pub(crate) const OAUTH_OF_CODEX_TOML: KnownKeys = KnownKeys {
    read: &[
        "client_id",
        "client_secret",
        "client_secret_env_var",
        "client_metadata_url",
        "clientMetadataUrl",
        "callback_port",
        "callbackPort",
        "callback_url",
        "callbackUrl",
        "redirect_uri",
        "redirectUri",
        "prompt",
        "allow_unpublished_pkce",
        "allowUnpublishedPkce",
    ],
    without_effect: &[],
    words: &[
        ("id", "client_id"),
        ("secret", "client_secret"),
        ("port", "callback_port"),
        ("redirect_port", "callback_port"),
        ("redirect_url", "redirect_uri"),
    ],
    unsupported: &[
        ("scopes", "write `scopes` in the table of the server"),
        ("scope", "write `scopes` in the table of the server"),
        (
            "resource",
            "write `oauth_resource` in the table of the server",
        ),
    ],
};

/// The keys of the object `oauth` (in Cursor's file `auth`) of a server in JSON and YAML. `format/oauth.rs` reads most of them.
pub(crate) const OAUTH: KnownKeys = KnownKeys {
    read: &[
        "clientId",
        "client_id",
        "CLIENT_ID",
        "clientSecret",
        "client_secret",
        "CLIENT_SECRET",
        "scopes",
        "scope",
        "resource",
        "clientMetadataUrl",
        "client_metadata_url",
        "callbackPort",
        "callback_port",
        "callbackUrl",
        "callback_url",
        "redirectUri",
        "redirect_uri",
        "prompt",
        "allowUnpublishedPkce",
        "allow_unpublished_pkce",
    ],
    // A sign-in discovers the addresses. Some clients keep their sign-in in this object.
    without_effect: &[
        "enabled",
        "issuer",
        "authServerMetadataUrl",
        "authorizationUrl",
        "authorization_url",
        "tokenUrl",
        "token_url",
        "registrationUrl",
        "revocation_endpoint",
        "audiences",
        "tokenParamName",
        "enterpriseManaged",
        "redirectPort",
        "redirect_port",
        "type",
        "grant_types_supported",
        "response_types_supported",
        "code_challenge_methods_supported",
        "token_endpoint_auth_methods_supported",
        "token_exchange_method",
        "skip_code_challenge_check",
        "tokens",
        "clientInformation",
        "codeVerifier",
    ],
    words: &[
        ("id", "clientId"),
        ("secret", "clientSecret"),
        ("port", "callbackPort"),
        ("redirectUrl", "redirectUri"),
    ],
    unsupported: &[("token", "write it in `headers`, or remove it and sign in")],
};

/// Another spelling of the key of the servers in a file, such as `mcp-servers`. `key` is the right one.
pub(crate) fn is_variant_of(name: &str, key: &str) -> bool {
    let (name, key) = (plain(name), plain(key));
    name == key || is_misspelling(&name, &key)
}

impl KnownKeys {
    fn all(&self) -> impl Iterator<Item = &'static str> {
        self.read.iter().chain(self.without_effect).copied()
    }

    /// Returns the key that a user means by an unknown `name`.
    pub fn meant_by(&self, name: &str) -> Option<&'static str> {
        let plain_name = plain(name);
        let words = self.words.iter();
        let same_spelling = self.all().find(|key| plain(key) == plain_name);
        same_spelling
            .or_else(|| {
                let mut words = words.clone();
                let (_, key) = words.find(|(word, _)| plain(word) == plain_name)?;
                Some(*key)
            })
            .or_else(|| {
                self.all()
                    .find(|key| is_misspelling(&plain_name, &plain(key)))
            })
            .or_else(|| {
                let mut words = words.clone();
                let (_, key) = words.find(|(word, _)| is_misspelling(&plain_name, &plain(word)))?;
                Some(*key)
            })
    }

    /// Returns the problem of an entry that has neither `command` nor `url`, but another word for one of them.
    pub fn other_word_for_transport(
        &self,
        entry: &Table<'_>,
        warnings: &Warnings<'_>,
    ) -> Option<EntryProblem> {
        let unknown = entry.keys().filter(|(name, _)| !self.knows(name));
        unknown
            .take_while(|_| warnings.may_compare())
            .find_map(|(name, path)| {
                let key = self.meant_by(name);
                let is_transport =
                    |key: &&str| matches!(*key, "command" | "url" | "serverUrl" | "httpUrl");
                let key = key.filter(is_transport)?;
                Some(path.problem(format!(
                    "`{}` is not read; write `{key}`",
                    escape_and_truncate(&shown::key(name))
                )))
            })
    }

    /// Warns of keys that are not read. Only one with a known meaning is a possible cause of a failure.
    pub fn warn_of_unread_keys(&self, entry: &Table<'_>, warnings: &mut Warnings<'_>) {
        for (name, path) in entry.keys() {
            if self.knows(name) || is_comment(name) {
                continue;
            }
            if !warnings.may_compare() {
                break;
            }
            let plain_name = plain(name);
            let mut unsupported = self.unsupported.iter();
            let unsupported = unsupported.find(|(key, _)| plain(key) == plain_name);
            match (unsupported, self.meant_by(name)) {
                (Some((_, remedy)), _) => {
                    warnings.push(path.problem(format!("this key is not read; {remedy}")));
                }
                (None, Some(key)) => {
                    warnings
                        .push(path.problem(format!("this key is not read; did you mean `{key}`?")));
                }
                (None, None) => warnings.push_compatibility(
                    path.problem("this key is not known here, and is not read"),
                ),
            }
        }
    }

    fn knows(&self, name: &str) -> bool {
        self.all().any(|known| known == name)
    }
}

/// Warns of keys that have no effect because of the transport. `transport_key` is the key that decides it.
pub(crate) fn warn_of_unused_keys(
    entry: &Table<'_>,
    keys: &[&'static str],
    transport_key: &str,
    warnings: &mut Warnings<'_>,
) {
    for (_, path) in entry.paths_to(keys) {
        warnings.push(path.problem(format!(
            "this key has no effect, because the server is started by its `{transport_key}`"
        )));
    }
}

/// Whether a key is a comment. JSON has no other comments.
pub(crate) fn is_comment(name: &str) -> bool {
    name.starts_with(['_', '$', '#', '/'])
        || matches!(name, "comment" | "comments" | "note" | "notes")
}

/// A name in lower case, without the characters that separate its words.
fn plain(name: &str) -> String {
    name.chars()
        .take(MAX_COMPARED + 1)
        .filter(|character| !matches!(character, '_' | '-' | ' ' | '.'))
        .map(|character| character.to_ascii_lowercase())
        .collect()
}

/// A longer name is not compared, so that a file cannot make comparisons expensive.
const MAX_COMPARED: usize = 40;

/// Whether a name differs from a key by one insertion, removal, substitution or swap; for a long key, by two.
fn is_misspelling(name: &str, key: &str) -> bool {
    let allowed = match key.len() {
        0..=2 => return false,
        3..=6 => 1,
        _ => 2,
    };
    name.len() <= MAX_COMPARED
        && name.len().abs_diff(key.len()) <= allowed
        && strsim::osa_distance(name, key) <= allowed
}
