//! The fields of a token reply. Each one is read separately, so that an invalid one loses no other: a reply that grants a token
//! may have replaced the old one.

use std::borrow::Cow;

use mcp_startup_core::{json_members, json_text};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

/// The maximum number of tokens that are masked besides the two that are used.
pub(super) const MAX_OTHER_TOKENS: usize = 32;

/// The JSON texts of the used fields of a reply, and its other tokens. Other fields are skipped, so their number costs
/// nothing.
#[derive(Default)]
pub(super) struct ReplyFields {
    pub access_token: Option<SecretString>,
    pub refresh_token: Option<SecretString>,
    pub expires_in: Option<SecretString>,
    pub scope: Option<SecretString>,
    pub token_type: Option<SecretString>,
    /// The tokens that are not used here, such as an ID token.
    others: Vec<SecretString>,
    /// The object with the tokens of a user.
    authed_user: Option<SecretString>,
}

/// The field in which Slack puts the tokens of a user. Source:
/// <https://docs.slack.dev/reference/methods/oauth.v2.access>.
const AUTHED_USER: &str = "authed_user";
/// The secret in the reply to a registration (RFC 7591, section 3.2.1).
const CLIENT_SECRET: &str = "client_secret";

impl ReplyFields {
    /// Parses a reply as a JSON object or as a form. Warnings of a program may precede the object, also as objects with a line each, and
    /// any text may follow it.
    pub fn parse(body: &[u8]) -> Self {
        let text = text(body);
        if !text.trim_start().starts_with('{') {
            let fields = Self::form(body);
            if fields.has_token() {
                return fields;
            }
        }
        let first = Self::object(&text);
        if first.has_token() {
            return first;
        }
        let lines = text.lines().filter(|line| line.starts_with('{'));
        let mut objects = lines.skip(1).map(Self::object);
        objects.find(Self::has_token).unwrap_or(first)
    }

    /// Parses the members of a JSON object. The beginning of an object is enough.
    pub fn object(text: &str) -> Self {
        let mut fields = Self::default();
        for (name, json) in json_members(text) {
            if Self::is_wanted(&name) {
                fields.add(&name, json.into());
            }
        }
        fields
    }

    fn form(body: &[u8]) -> Self {
        let mut fields = Self::default();
        for (name, value) in url::form_urlencoded::parse(body) {
            if Self::is_wanted(&name) {
                fields.add(&name, Value::from(value.into_owned()).to_string().into());
            }
        }
        fields
    }

    /// Whether there is an access token or a refresh token.
    pub fn has_token(&self) -> bool {
        let is_used = |fields: &Self| {
            let used = [&fields.access_token, &fields.refresh_token];
            used.into_iter().flatten().any(is_token)
        };
        is_used(self) || self.user().as_ref().is_some_and(is_used)
    }

    fn is_wanted(name: &str) -> bool {
        const USED: [&str; 4] = ["expires_in", "scope", "token_type", AUTHED_USER];
        USED.contains(&name) || name.ends_with("token") || name == CLIENT_SECRET
    }

    /// Adds a field. The last of several fields with one name is kept, but a token only gives way to another token.
    fn add(&mut self, name: &str, json: SecretString) {
        let (field, is_for_token) = match name {
            "access_token" => (&mut self.access_token, true),
            "refresh_token" => (&mut self.refresh_token, true),
            "expires_in" => (&mut self.expires_in, false),
            "scope" => (&mut self.scope, false),
            "token_type" => (&mut self.token_type, false),
            AUTHED_USER => (&mut self.authed_user, false),
            _ => {
                if self.others.len() < MAX_OTHER_TOKENS && json.expose_secret().starts_with('"') {
                    self.others.push(json);
                }
                return;
            }
        };
        if field.is_none() || !is_for_token || is_token(&json) {
            *field = Some(json);
        }
    }

    /// The fields of the user.
    pub fn user(&self) -> Option<Self> {
        let json = self.authed_user.as_ref()?.expose_secret();
        json.starts_with('{').then(|| Self::object(json))
    }

    /// Every token, including those that are not used here, and the secret of a registered client.
    pub fn into_tokens(self) -> Vec<SecretString> {
        let user = self.user().unwrap_or_default();
        let used = [
            self.access_token,
            self.refresh_token,
            user.access_token,
            user.refresh_token,
        ];
        used.into_iter()
            .flatten()
            .chain(self.others)
            .chain(user.others)
            .filter_map(|json| {
                let json = json.expose_secret();
                // A text that JSON can't represent is masked as it was sent.
                let quoted = || json.strip_prefix('"')?.strip_suffix('"').map(str::to_owned);
                json_text(json).or_else(quoted)
            })
            .map(SecretString::from)
            .collect()
    }
}

/// The text of a body. JSON is UTF-8 (RFC 8259, section 8.1), but a reply in UTF-16 may have replaced a token too.
fn text(body: &[u8]) -> Cow<'_, str> {
    let unit: fn([u8; 2]) -> u16 = match body {
        [b'{', 0, ..] | [0xff, 0xfe, ..] => u16::from_le_bytes,
        [0, b'{', ..] | [0xfe, 0xff, ..] => u16::from_be_bytes,
        _ => return String::from_utf8_lossy(body),
    };
    let (pairs, _) = body.as_chunks::<2>();
    let units: Vec<u16> = pairs.iter().map(|pair| unit(*pair)).collect();
    let text = String::from_utf16_lossy(&units);
    text.trim_start_matches('\u{feff}').to_owned().into()
}

fn is_token(json: &SecretString) -> bool {
    json_text(json.expose_secret()).is_some_and(|token| !token.trim().is_empty())
}
