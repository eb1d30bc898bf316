//! The next steps that messages recommend.

use mcp_startup_core::Recovery;

/// Returns texts of which every message with this recovery contains at least one. For [`Recovery::None`], they name who can fix
/// the failure.
pub fn next_steps(recovery: Recovery) -> &'static [&'static str] {
    match recovery {
        Recovery::None => &[
            "report this",
            "ask its operator",
            "contact its operator",
            "contact its author",
        ],
        Recovery::Retry => &["try again"],
        Recovery::SignIn => &[": sign in"],
        Recovery::Reauthenticate => &[": sign in again"],
        Recovery::GrantScope => &[": sign in again and grant it"],
        Recovery::OpenClient => &[": open "],
        Recovery::FixConfiguration => &[
            ". Fix ",
            "; install it or correct `command`",
            "; correct `command`",
            "; install it or correct the command",
            "; correct the command",
            ": replace ",
            ": remove `",
            ": correct the client ID or secret",
            ": correct the type of its transport",
            "add it to the configuration",
            "add it to a configuration file",
            "ask its operator for a client ID, and set it as `oauth.client_id`",
            "or allow it with `oauth.allow_unpublished_pkce`",
            ": update the server or this client",
            "; check its ",
            "; check the command",
        ],
        Recovery::FixCredentialStore => &["try again", "sign in"],
    }
}

/// Returns whether a message recommends a next step for this recovery.
pub fn says_what_to_do(message: &str, recovery: Recovery) -> bool {
    next_steps(recovery)
        .iter()
        .any(|step| message.contains(step))
}
