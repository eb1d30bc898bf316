//! A scenario while it is served: the tokens that are good by now, and what has come in.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde_json::Value;

use crate::scenario::{Body, Places, Reply, Rule, Scenario, Serves};

/// How many requests are kept for each scenario.
const REQUESTS_KEPT: usize = 1000;

/// Which of a scenario's servers a request came to.
///
/// ```
/// assert_eq!(serde_json::to_string(&mcp_startup_lab::Target::Mcp).unwrap(), r#""mcp""#);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Target {
    /// The MCP endpoint.
    Mcp,
    /// A discovery document, whether there is one or not.
    Discovery,
    /// The token endpoint.
    Token,
    /// Anything else: authorization, registration, revocation, a page.
    Other,
}

/// A request that came in.
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
    /// Where it came to.
    pub to: Target,
    /// The HTTP method.
    pub method: String,
    /// The `Host` header, to tell one origin from another.
    pub host: Option<String>,
    /// The path.
    pub path: String,
    /// The JSON-RPC method, at the MCP endpoint.
    pub rpc_method: Option<String>,
    /// The bearer token; at the token endpoint the refresh token, and where tokens are revoked that token: `none`, `blank`, the
    /// lab's token, or `unlisted` for one that the row does not know, which may be real and is not kept.
    pub token: String,
    /// Those of what came to the authorization server that are no secrets: `client_id`, `code_challenge_method`, `grant_type`,
    /// `prompt`, `redirect_uri`, `resource`, `response_type`, `scope`, `token_type_hint`.
    pub parameters: BTreeMap<String, String>,
}

/// One scenario of a running lab.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) scenario: Scenario,
    pub(crate) places: Places,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    requests: VecDeque<RecordedRequest>,
    /// Every token that may be named in a record.
    known: BTreeSet<String>,
    access_tokens: BTreeSet<String>,
    refresh_tokens: BTreeSet<String>,
    used_refresh_tokens: BTreeSet<String>,
    revoked_tokens: BTreeSet<String>,
    /// The codes that were given to users.
    codes: BTreeMap<String, Code>,
    used_codes: BTreeSet<String>,
    /// Those of the clients that were registered.
    redirect_uris: BTreeSet<String>,
    grants: u32,
    /// How often each rule has answered.
    answered: BTreeMap<(Target, usize), u32>,
}

/// What a code is good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Code {
    pub(crate) client_id: String,
    pub(crate) redirect_uri: String,
    /// The PKCE challenge, by S256.
    pub(crate) challenge: String,
    pub(crate) resource: String,
    pub(crate) scope: Option<String>,
}

/// What a refresh gives, or a code.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) access_token: String,
    pub(crate) refresh_token: Option<String>,
}

impl Served {
    pub(crate) fn new(scenario: Scenario, base: &str) -> Self {
        let state = State {
            requests: VecDeque::new(),
            known: tokens_named(&scenario),
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
            places: Places::new(base, &scenario.name),
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

    /// Keeps the request, whose `token` may be one that must not be kept.
    pub(crate) fn record(&self, mut request: RecordedRequest, token: Option<&str>) {
        let mut state = self.state();
        request.token = match token {
            None => "none".into(),
            Some(token) if token.trim().is_empty() => "blank".into(),
            Some(token) if state.known.contains(token) => token.into(),
            Some(_) => "unlisted".into(),
        };
        if state.requests.len() == REQUESTS_KEPT {
            state.requests.pop_front();
        }
        state.requests.push_back(request);
    }

    /// The reply of the first rule that matches, which thereby has answered once more.
    pub(crate) fn ruled<'a>(
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

    /// Whether the MCP endpoint serves one who sends this token.
    pub(crate) fn serves(&self, serves: &Serves, token: Option<&str>) -> bool {
        match serves {
            Serves::Open => true,
            Serves::Tokens(tokens) => token.is_some_and(|token| {
                let state = self.state();
                let is_good =
                    tokens.iter().any(|good| good == token) || state.access_tokens.contains(token);
                is_good && !state.revoked_tokens.contains(token)
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

    /// A new code.
    pub(crate) fn give_code(&self, good_for: Code) -> String {
        let mut state = self.state();
        let number = state.codes.len() + state.used_codes.len() + 1;
        let code = format!("fresh-code-{number}");
        state.codes.insert(code.clone(), good_for);
        code
    }

    /// What a code is good for, once. One that comes again revokes everything (RFC 6749, section 4.1.2).
    pub(crate) fn take_code(&self, code: &str) -> Option<Code> {
        let mut state = self.state();
        if state.used_codes.contains(code) {
            state.refresh_tokens.clear();
            state.access_tokens.clear();
        }
        let good_for = state.codes.remove(code)?;
        state.used_codes.insert(code.to_owned());
        Some(good_for)
    }

    /// A new access token and a new refresh token.
    pub(crate) fn grant(&self) -> Grant {
        let mut state = self.state();
        let access_token = state.new_access_token();
        let refresh_token = state.new_refresh_token();
        Grant {
            access_token,
            refresh_token: Some(refresh_token),
        }
    }

    /// From now on the token is worth nothing, and with a refresh token no token that was granted.
    pub(crate) fn revoke(&self, token: &str) {
        let mut state = self.state();
        if state.refresh_tokens.remove(token) {
            state.access_tokens.clear();
        }
        state.revoked_tokens.insert(token.to_owned());
    }

    /// A new access token for a good refresh token.
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
        self.known.insert(token.clone());
        self.access_tokens.insert(token.clone());
        token
    }

    /// One that goes with the last access token.
    fn new_refresh_token(&mut self) -> String {
        let token = format!("fresh-refresh-{}", self.grants);
        self.known.insert(token.clone());
        self.refresh_tokens.insert(token.clone());
        token
    }
}

/// The tokens that a row names, and that are therefore no secrets.
fn tokens_named(scenario: &Scenario) -> BTreeSet<String> {
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

    fn served(rotates: bool) -> Served {
        let mut scenario = scenarios()[0].clone();
        scenario.token = TokenEndpoint {
            rotates,
            ..Default::default()
        };
        Served::new(scenario, "http://127.0.0.1:9")
    }

    fn good(served: &Served, token: &str) -> bool {
        served.serves(&Serves::Tokens(vec![]), Some(token))
    }

    #[test]
    fn a_refresh_token_that_does_not_rotate_is_good_again_and_again() {
        let served = served(false);
        for number in 1..=2 {
            let grant = served.refresh("good-refresh").unwrap();
            assert_eq!(grant.access_token, format!("fresh-token-{number}"));
            assert_eq!(grant.refresh_token, None);
            assert!(good(&served, &grant.access_token));
        }
        assert_eq!(served.refresh("another"), None);
        assert!(good(&served, "fresh-token-1"), "a guess revokes nothing");
    }

    #[test]
    fn a_used_refresh_token_that_comes_again_revokes_everything() {
        let served = served(true);
        let first = served.refresh("good-refresh").unwrap();
        let second = served
            .refresh(first.refresh_token.as_deref().unwrap())
            .unwrap();
        assert!(good(&served, &second.access_token));
        assert_eq!(served.refresh("good-refresh"), None);
        assert!(!good(&served, &second.access_token));
        assert_eq!(
            served.refresh(second.refresh_token.as_deref().unwrap()),
            None
        );
    }

    #[test]
    fn no_more_than_the_last_thousand_requests_are_kept_and_no_unknown_token() {
        let served = served(false);
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
    fn a_rule_that_has_answered_often_enough_matches_no_more() {
        let served = served(false);
        let rules: Vec<Rule> = serde_json::from_str(
            r#"[{ "when": { "token": "any" }, "times": 2, "reply": { "status": 503 } },
                { "when": { "token": "none", "path": "/mcp" }, "reply": { "status": 401 } }]"#,
        )
        .unwrap();
        let status = |token| {
            let reply = served.ruled(Target::Mcp, &rules, token, None, "/mcp");
            reply.map(|reply| reply.status.unwrap())
        };
        let got = [
            status(Some("a")),
            status(None),
            status(Some("b")),
            status(Some("a")),
            status(None),
        ];
        assert_eq!(got, [Some(503), Some(401), Some(503), None, Some(401)]);
    }
}
