//! The shapes of the JSON stores, as data.

use super::SignInHolder;

/// A JSON file with the sign-ins of many servers.
pub(super) struct JsonStore {
    pub holder: SignInHolder,
    /// The JSON Pointer of the object or array with one item for each server.
    pub items: &'static str,
    /// The source of the name of the server.
    pub name: Source,
    /// The source of the URL of the server.
    pub url: Source,
    pub token: TokenShape,
}

/// The source of a name or a URL.
pub(super) enum Source {
    /// The store does not have it.
    Absent,
    /// The key of the item.
    Key,
    /// The first of these fields of the item.
    Fields(&'static [&'static str]),
}

/// The JSON Pointers of the parts of a token in an item.
pub(super) struct TokenShape {
    pub access_token: &'static str,
    pub refresh_token: &'static str,
    pub token_type: &'static str,
    pub expiry: &'static [Expiry],
}

/// The time when a token expires. If a shape has several, the first that the item has is used.
pub(super) enum Expiry {
    /// In ms since the Unix epoch. Zero means unknown.
    Ms(&'static str),
    /// In ms since the Unix epoch. Zero means that the item is not a sign-in.
    MsOrNothing(&'static str),
    /// In seconds since the Unix epoch. Zero means unknown.
    Seconds(&'static str),
    /// A timestamp of RFC 3339. Go writes the year 1 if it is unknown.
    Timestamp(&'static str),
    /// A number of seconds since a time in ms.
    SecondsSince(&'static str, &'static str),
    /// A number of seconds since the token was issued, which was at the latest when the file was modified.
    SecondsSinceModified(&'static str),
}

/// The token of an MCP SDK, as in RFC 6749, section 5.1, in a file for each server.
pub(super) const TOKEN_RESPONSE: TokenShape = TokenShape {
    access_token: "/access_token",
    refresh_token: "/refresh_token",
    token_type: "/token_type",
    expiry: &[
        Expiry::Ms("/expires_at"),
        Expiry::SecondsSinceModified("/expires_in"),
    ],
};

const GEMINI_TOKEN: TokenShape = TokenShape {
    access_token: "/token/accessToken",
    refresh_token: "/token/refreshToken",
    token_type: "/token/tokenType",
    expiry: &[Expiry::Ms("/token/expiresAt")],
};

const OPENCODE_TOKEN: TokenShape = TokenShape {
    access_token: "/tokens/accessToken",
    refresh_token: "/tokens/refreshToken",
    token_type: "/tokens/tokenType",
    expiry: &[Expiry::Seconds("/tokens/expiresAt")],
};

const SDK_TOKENS: TokenShape = TokenShape {
    access_token: "/tokens/access_token",
    refresh_token: "/tokens/refresh_token",
    token_type: "/tokens/token_type",
    expiry: &[Expiry::SecondsSinceModified("/tokens/expires_in")],
};

/// All JSON stores with the sign-ins of many servers.
pub(super) const JSON_STORES: &[JsonStore] = &[
    JsonStore {
        holder: SignInHolder::ClaudeCode,
        items: "/mcpOAuth",
        name: Source::Fields(&["/serverName"]),
        url: Source::Fields(&["/serverUrl"]),
        token: TokenShape {
            access_token: "/accessToken",
            refresh_token: "/refreshToken",
            token_type: "/tokenType",
            expiry: &[Expiry::MsOrNothing("/expiresAt")],
        },
    },
    JsonStore {
        holder: SignInHolder::GeminiCli,
        items: "",
        name: Source::Fields(&["/serverName"]),
        url: Source::Fields(&["/mcpServerUrl"]),
        token: GEMINI_TOKEN,
    },
    JsonStore {
        holder: SignInHolder::QwenCode,
        items: "",
        name: Source::Fields(&["/serverName"]),
        url: Source::Fields(&["/mcpServerUrl"]),
        token: GEMINI_TOKEN,
    },
    JsonStore {
        holder: SignInHolder::Opencode,
        items: "",
        name: Source::Key,
        url: Source::Fields(&["/serverUrl"]),
        token: OPENCODE_TOKEN,
    },
    JsonStore {
        holder: SignInHolder::Kilo,
        items: "",
        name: Source::Key,
        url: Source::Fields(&["/serverUrl"]),
        token: OPENCODE_TOKEN,
    },
    JsonStore {
        holder: SignInHolder::CursorCli,
        items: "",
        name: Source::Key,
        url: Source::Absent,
        token: SDK_TOKENS,
    },
    // The configuration file of the user. A project can't change it.
    JsonStore {
        holder: SignInHolder::Cline,
        items: "/mcpServers",
        name: Source::Key,
        url: Source::Fields(&["/url", "/transport/url"]),
        token: TokenShape {
            access_token: "/oauth/tokens/access_token",
            refresh_token: "/oauth/tokens/refresh_token",
            token_type: "/oauth/tokens/token_type",
            expiry: &[
                Expiry::SecondsSince("/oauth/tokens/expires_in", "/oauth/lastAuthenticatedAt"),
                Expiry::SecondsSinceModified("/oauth/tokens/expires_in"),
            ],
        },
    },
    JsonStore {
        holder: SignInHolder::Antigravity,
        items: "",
        name: Source::Absent,
        url: Source::Key,
        token: TokenShape {
            access_token: "/token/access_token",
            refresh_token: "/token/refresh_token",
            token_type: "/token/token_type",
            expiry: &[Expiry::Timestamp("/token/expiry")],
        },
    },
    JsonStore {
        holder: SignInHolder::Continue,
        items: "/mcpOauthStorage",
        name: Source::Absent,
        url: Source::Key,
        token: SDK_TOKENS,
    },
    JsonStore {
        holder: SignInHolder::Crush,
        items: "/mcp",
        name: Source::Key,
        url: Source::Absent,
        token: TokenShape {
            access_token: "/oauth_token/access_token",
            refresh_token: "/oauth_token/refresh_token",
            token_type: "/oauth_token/token_type",
            expiry: &[Expiry::Seconds("/oauth_token/expires_at")],
        },
    },
];
