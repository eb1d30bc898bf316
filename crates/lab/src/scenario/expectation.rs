//! How a start must end: its state, its verdict, the requests it sends, and the credentials it leaves.

use serde::{Deserialize, Serialize};

/// How a start must end, with the values of the wire format.
///
/// ```
/// let rows = mcp_startup_lab::scenarios();
/// let row = rows.iter().find(|row| row.name == "first-sign-in").unwrap();
/// assert_eq!(row.expect.recovery.as_deref(), Some("signIn"));
/// assert_eq!(row.expect.reason, None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Expectation {
    /// `ready` or `failed`.
    pub state: String,
    /// The kind of the failure.
    #[serde(default)]
    pub kind: Option<String>,
    /// The failure reason of the notification.
    #[serde(default)]
    pub reason: Option<String>,
    /// The recovery of the failure.
    #[serde(default)]
    pub recovery: Option<String>,
    /// The tokens that the MCP endpoint receives, in order, without consecutive repetitions. Compare them with
    /// [`Lab::tokens_sent`](crate::Lab::tokens_sent). If it is absent, any tokens are correct.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_sent: Option<Vec<String>>,
    /// The refresh tokens that the token endpoint receives, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refresh_tokens_sent: Vec<String>,
    /// Whether the client requests a discovery document. If it is absent, either is correct.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discovers: Option<bool>,
    /// How the stored record differs after the start. If it is absent, nothing has changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored: Option<RenewedCredential>,
}

/// The fields that a refresh changes in the stored record.
///
/// ```
/// let json = r#"{ "accessToken": "fresh-token-1", "refreshToken": "good-refresh", "expiresInSeconds": null }"#;
/// assert_eq!(serde_json::from_str::<mcp_startup_lab::RenewedCredential>(json).unwrap().expires_in_seconds, None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RenewedCredential {
    /// The access token.
    pub access_token: String,
    /// The refresh token.
    pub refresh_token: Option<String>,
    /// When the access token expires, in seconds from when it was granted. Null means that the record has no expiry.
    pub expires_in_seconds: Option<i64>,
    /// The scopes, if they have changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenarios;

    /// Each kind allows only certain recoveries, and only one kind has a failure reason.
    #[test]
    fn expectations_agree_with_the_contract() {
        let recoveries = |kind: &str| -> &[&str] {
            match kind {
                "invalidConfiguration"
                | "programNotFound"
                | "credentialRejected"
                | "clientRequired"
                | "credentialRequired"
                | "unsupportedProtocol" => &["fixConfiguration"],
                // A message that only the author can correct.
                "notMcp" => &["fixConfiguration", "none"],
                "credentialStoreUnavailable" => &["fixCredentialStore"],
                "insufficientScope" => &["grantScope"],
                "accessDenied" | "exited" | "limitExceeded" | "other" => &["none"],
                // A key of the configuration can allow a sign-in without published PKCE.
                "authorizationMisconfigured" => &["none", "fixConfiguration"],
                "reauthenticationRequired" => &["reauthenticate"],
                "authorizationUnavailable" | "unreachable" => &["retry"],
                // More time does not help a program that uses its stdout for other things.
                "timedOut" => &["retry", "fixConfiguration"],
                "signInRequired" => &["signIn"],
                "signInHeldByClient" => &["openClient"],
                "serverError" => &["retry", "none"],
                unknown => panic!("no such kind: {unknown}"),
            }
        };
        for row in scenarios() {
            let Expectation {
                state,
                kind,
                reason,
                recovery,
                ..
            } = &row.expect;
            let name = &row.name;
            match (state.as_str(), kind, recovery) {
                ("ready", None, None) => assert_eq!(reason, &None, "{name}"),
                ("failed", Some(kind), Some(recovery)) => {
                    assert!(recoveries(kind).contains(&recovery.as_str()), "{name}");
                    let expected = (kind == "reauthenticationRequired").then(|| kind.clone());
                    assert_eq!(reason, &expected, "{name}");
                    assert!(reason.is_none() || row.stored.is_some(), "{name}");
                }
                other => panic!("{name}: {other:?}"),
            }
        }
    }
}
