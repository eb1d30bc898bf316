//! The state of a scenario while a lab serves it: which tokens and codes are valid, and which requests it has received.
//!
//! It knows no HTTP. The endpoints read and change it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde_json::Value;

use crate::scenario::{Body, Reply, Rule, Scenario, ScenarioUrls, Serves};

/// The number of requests that a scenario remembers.
const MAX_RECORDED_REQUESTS: usize = 1000;

/// Which part of a scenario received a request.
///
/// ```
/// assert_eq!(serde_json::to_string(&mcp_startup_lab::Target::Mcp).unwrap(), r#""mcp""#);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Target {
    /// The MCP endpoint.
    Mcp,
    /// A discovery document, whether it exists or not.
    Discovery,
    /// The token endpoint.
    Token,
    /// Anything else: authorization, registration, revocation or a page.
    Other,
}

/// A request that a scenario received.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), mcp_startup_lab::LabError> {
/// let lab = mcp_startup_lab::Lab::start(0).await?;
/// assert!(lab.requests("ready").is_empty());
/// # lab.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordedRequest {
    /// The part of the scenario that received it.
    pub to: Target,
    /// The HTTP method.
    pub method: String,
    /// The `Host` header, to distinguish origins.
    pub host: Option<String>,
    /// The path.
    pub path: String,
    /// The JSON-RPC method, if the MCP endpoint received the request.
    pub rpc_method: Option<String>,
    /// The bearer token. At the token endpoint, the refresh token. At the revocation endpoint, the token to revoke.
    ///
    /// The value is `none`, `blank`, the token itself if the scenario names or grants it, or `unlisted` for any other token. An unlisted token
    /// might be real, so the lab does not keep it.
    pub token: String,
    /// The parameters that are not secrets, if the authorization server received the request: `client_id`,
    /// `code_challenge_method`, `grant_type`, `prompt`, `redirect_uri`, `resource`, `response_type`, `scope`, `token_type_hint`.
    pub parameters: BTreeMap<String, String>,
}

/// A scenario of a running lab.
#[derive(Debug)]
pub(crate) struct ServedScenario {
    pub(crate) scenario: Scenario,
    pub(crate) urls: ScenarioUrls,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    requests: VecDeque<RecordedRequest>,
    /// The tokens that the scenario names or has granted. Only these appear in recorded requests.
    listed_tokens: BTreeSet<String>,
    access_tokens: BTreeSet<String>,
    refresh_tokens: BTreeSet<String>,
    used_refresh_tokens: BTreeSet<String>,
    revoked_tokens: BTreeSet<String>,
    /// The authorization codes that were issued and not yet redeemed.
    codes: BTreeMap<String, AuthorizationCode>,
    used_codes: BTreeSet<String>,
    /// The redirect URIs of the registered clients.
    redirect_uris: BTreeSet<String>,
    grants: u32,
    /// How many requests each rule has answered, by endpoint and position.
    answered: BTreeMap<(Target, usize), u32>,
}

/// The authorization request that a code was issued for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AuthorizationCode {
    pub(crate) client_id: String,
    pub(crate) redirect_uri: String,
    /// The PKCE challenge (S256).
    pub(crate) challenge: String,
    pub(crate) resource: String,
    pub(crate) scope: Option<String>,
}

/// The tokens that a refresh or a code yields.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) access_token: String,
    pub(crate) refresh_token: Option<String>,
}

impl ServedScenario {
    pub(crate) fn new(scenario: Scenario, base: &str) -> Self {
        let state = State {
            requests: VecDeque::new(),
            listed_tokens: tokens_of(&scenario),
            access_tokens: BTreeSet::new(),
            refresh_tokens: scenario.token.accepts.iter().cloned().collect(),
            used_refresh_tokens: BTreeSet::new(),
            revoked_tokens: BTreeSet::new(),
            codes: BTreeMap::new(),
            used_codes: BTreeSet::new(),
            redirect_uris: BTreeSet::new(),
            grants: 0,
            answered: BTreeMap::new(),
        };
        Self {
            urls: ScenarioUrls::new(base, &scenario.name),
            scenario,
            state: Mutex::new(state),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn requests(&self) -> Vec<RecordedRequest> {
        self.state().requests.iter().cloned().collect()
    }

    /// Records the request. The token itself is recorded only if it is listed.
    pub(crate) fn record(&self, mut request: RecordedRequest, token: Option<&str>) {
        let mut state = self.state();
        request.token = match token {
            None => "none".into(),
            Some(token) if token.trim().is_empty() => "blank".into(),
            Some(token) if state.listed_tokens.contains(token) => token.into(),
            Some(_) => "unlisted".into(),
        };
        if state.requests.len() == MAX_RECORDED_REQUESTS {
            state.requests.pop_front();
        }
        state.requests.push_back(request);
    }

    /// The reply of the first rule that matches the request. Counts as one answer of that rule.
    pub(crate) fn matching_reply<'a>(
        &self,
        target: Target,
        rules: &'a [Rule],
        token: Option<&str>,
        method: Option<&str>,
        path: &str,
    ) -> Option<&'a Reply> {
        let mut state = self.state();
        let mut matching = rules.iter().enumerate();
        let (at, rule) = matching.find(|(at, rule)| {
            let answered = state.answered.get(&(target, *at)).copied().unwrap_or(0);
            rule.when.matches(token, method, path)
                && rule.times.is_none_or(|times| answered < times)
        })?;
        *state.answered.entry((target, at)).or_default() += 1;
        Some(&rule.reply)
    }

    /// Whether the MCP endpoint accepts a request with this token.
    pub(crate) fn accepts(&self, serves: &Serves, token: Option<&str>) -> bool {
        match serves {
            Serves::Open => true,
            Serves::Tokens(tokens) => token.is_some_and(|token| {
                let state = self.state();
                let is_valid = tokens.iter().any(|listed| listed == token)
                    || state.access_tokens.contains(token);
                is_valid && !state.revoked_tokens.contains(token)
            }),
        }
    }

    /// Registers a client with these redirect URIs.
    pub(crate) fn register(&self, redirect_uris: impl IntoIterator<Item = String>) {
        self.state().redirect_uris.extend(redirect_uris);
    }

    /// Whether a client was registered with this redirect URI.
    pub(crate) fn is_registered(&self, redirect_uri: &str) -> bool {
        self.state().redirect_uris.contains(redirect_uri)
    }

    /// Issues a code for an authorization request.
    pub(crate) fn issue_code(&self, request: AuthorizationCode) -> String {
        let mut state = self.state();
        let number = state.codes.len() + state.used_codes.len() + 1;
        let code = format!("fresh-code-{number}");
        state.codes.insert(code.clone(), request);
        code
    }

    /// Redeems a code. A code that is used twice revokes all granted tokens (RFC 6749, section 4.1.2).
    pub(crate) fn redeem_code(&self, code: &str) -> Option<AuthorizationCode> {
        let mut state = self.state();
        if state.used_codes.contains(code) {
            state.refresh_tokens.clear();
            state.access_tokens.clear();
        }
        let request = state.codes.remove(code)?;
        state.used_codes.insert(code.to_owned());
        Some(request)
    }

    /// Grants a new access token and a new refresh token.
    pub(crate) fn grant(&self) -> Grant {
        let mut state = self.state();
        let access_token = state.new_access_token();
        let refresh_token = state.new_refresh_token();
        Grant {
            access_token,
            refresh_token: Some(refresh_token),
        }
    }

    /// Revokes a token. A refresh token takes all granted access tokens with it (RFC 7009, section 2.1).
    pub(crate) fn revoke(&self, token: &str) {
        let mut state = self.state();
        if state.refresh_tokens.remove(token) {
            state.access_tokens.clear();
        }
        state.revoked_tokens.insert(token.to_owned());
    }

    /// Grants a new access token for a valid refresh token. With rotation, a used refresh token revokes all granted tokens.
    pub(crate) fn refresh(&self, refresh_token: &str) -> Option<Grant> {
        let mut state = self.state();
        if state.used_refresh_tokens.contains(refresh_token) {
            state.refresh_tokens.clear();
            state.access_tokens.clear();
            return None;
        }
        if !state.refresh_tokens.contains(refresh_token) {
            return None;
        }
        let access_token = state.new_access_token();
        let new_refresh_token = self.scenario.token.rotates.then(|| {
            state.refresh_tokens.remove(refresh_token);
            state.used_refresh_tokens.insert(refresh_token.to_owned());
            state.new_refresh_token()
        });
        Some(Grant {
            access_token,
            refresh_token: new_refresh_token,
        })
    }
}

impl State {
    fn new_access_token(&mut self) -> String {
        self.grants += 1;
        let token = format!("fresh-token-{}", self.grants);
        self.listed_tokens.insert(token.clone());
        self.access_tokens.insert(token.clone());
        token
    }

    /// The refresh token that belongs to the last access token.
    fn new_refresh_token(&mut self) -> String {
        let token = format!("fresh-refresh-{}", self.grants);
        self.listed_tokens.insert(token.clone());
        self.refresh_tokens.insert(token.clone());
        token
    }
}

/// The tokens that a scenario names. They are public, so the lab can record them.
fn tokens_of(scenario: &Scenario) -> BTreeSet<String> {
    let mut named: BTreeSet<String> = scenario.token.accepts.iter().cloned().collect();
    if let Some(stored) = &scenario.stored {
        named.extend(stored.access_token.clone());
        named.extend(stored.refresh_token.clone());
    }
    named.extend(
        scenario
            .configured
            .as_ref()
            .and_then(|configured| configured.bearer.clone()),
    );
    let mut rules: Vec<&Rule> = scenario.token.respond.iter().collect();
    rules.extend(&scenario.authorization.revoke);
    if let Some(mcp) = &scenario.mcp {
        rules.extend(&mcp.respond);
        if let Serves::Tokens(tokens) = &mcp.serves {
            named.extend(tokens.iter().cloned());
        }
    }
    for rule in rules {
        let token = rule.when.token.iter().cloned();
        named.extend(token.filter(|token| token != "none" && token != "any"));
        for field in ["access_token", "refresh_token"] {
            named.extend(match &rule.reply.body {
                Body::Json(value) => value.get(field).and_then(Value::as_str).map(str::to_owned),
                Body::Form(fields) => fields.get(field).cloned(),
                _ => None,
            });
        }
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{TokenEndpoint, scenarios};

    fn served_scenario(rotates: bool) -> ServedScenario {
        let mut scenario = scenarios()[0].clone();
        scenario.token = TokenEndpoint {
            rotates,
            ..Default::default()
        };
        ServedScenario::new(scenario, "http://127.0.0.1:9")
    }

    fn is_accepted(served: &ServedScenario, token: &str) -> bool {
        served.accepts(&Serves::Tokens(vec![]), Some(token))
    }

    #[test]
    fn refresh_token_without_rotation_stays_valid() {
        let served = served_scenario(false);
        for number in 1..=2 {
            let grant = served.refresh("good-refresh").unwrap();
            assert_eq!(grant.access_token, format!("fresh-token-{number}"));
            assert_eq!(grant.refresh_token, None);
            assert!(is_accepted(&served, &grant.access_token));
        }
        assert_eq!(served.refresh("another"), None);
        assert!(
            is_accepted(&served, "fresh-token-1"),
            "an unknown refresh token revokes nothing"
        );
    }

    #[test]
    fn reused_refresh_token_revokes_everything() {
        let served = served_scenario(true);
        let first = served.refresh("good-refresh").unwrap();
        let second = served
            .refresh(first.refresh_token.as_deref().unwrap())
            .unwrap();
        assert!(is_accepted(&served, &second.access_token));
        assert_eq!(served.refresh("good-refresh"), None);
        assert!(!is_accepted(&served, &second.access_token));
        assert_eq!(
            served.refresh(second.refresh_token.as_deref().unwrap()),
            None
        );
    }

    #[test]
    fn only_the_last_thousand_requests_and_no_unlisted_tokens_are_recorded() {
        let served = served_scenario(false);
        for number in 0..1010 {
            let request = RecordedRequest {
                to: Target::Mcp,
                method: "POST".into(),
                host: None,
                path: format!("/{number}"),
                rpc_method: None,
                token: String::new(),
                parameters: BTreeMap::new(),
            };
            served.record(request, Some("a-real-token"));
        }
        let requests = served.requests();
        assert_eq!((requests.len(), requests[0].path.as_str()), (1000, "/10"));
        assert!(requests.iter().all(|request| request.token == "unlisted"));
    }

    #[test]
    fn rule_stops_matching_after_its_limit() {
        let served = served_scenario(false);
        let rules: Vec<Rule> = serde_json::from_str(
            r#"[{ "when": { "token": "any" }, "times": 2, "reply": { "status": 503 } },
                { "when": { "token": "none", "path": "/mcp" }, "reply": { "status": 401 } }]"#,
        )
        .unwrap();
        let status = |token| {
            let reply = served.matching_reply(Target::Mcp, &rules, token, None, "/mcp");
            reply.map(|reply| reply.status.unwrap())
        };
        let statuses = [
            status(Some("a")),
            status(None),
            status(Some("b")),
            status(Some("a")),
            status(None),
        ];
        assert_eq!(statuses, [Some(503), Some(401), Some(503), None, Some(401)]);
    }
}
