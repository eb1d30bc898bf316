//! What a message tells a person to do.

use mcp_startup_core::Recovery;

/// One of these is in every message with that recovery; where nothing can be done here, whose turn it is.
pub fn words(recovery: Recovery) -> &'static [&'static str] {
    match recovery {
        Recovery::None => &[
            "report this",
            "ask its operator",
            "tell its operator",
            "ask its maker",
        ],
        Recovery::Retry => &["try again"],
        Recovery::SignIn => &[": sign in"],
        Recovery::Reauthenticate => &[": sign in again"],
        Recovery::GrantScope => &[": sign in again and grant it"],
        Recovery::FixConfiguration => &[
            ". Mend ",
            "; install it or correct `command`",
            ": replace ",
            ": correct its client id or secret",
            "add it to the configuration",
            ": update the server or this client",
            "; check its ",
        ],
        Recovery::FixCredentialStore => &["try again", "sign in"],
    }
}

/// Whether a message with that recovery says what to do.
pub fn says_what_to_do(message: &str, recovery: Recovery) -> bool {
    words(recovery).iter().any(|words| message.contains(words))
}
