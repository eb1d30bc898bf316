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
    /// Anything else: registration, revocation, a page.
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
    /// The bearer token, or at the token endpoint the refresh token: `none`, `blank`, the lab's token, or `unlisted` for one that
    /// the row does not know, which may be real and is not kept.
    pub token: String,
    /// `grant_type`, `client_id`, `resource` and `scope`, at the token endpoint.
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
    grants: u32,
    /// How often each rule has answered.
    answered: BTreeMap<(Target, usize), u32>,
}

/// What a refresh gives.
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
                tokens.iter().any(|good| good == token)
                    || self.state().access_tokens.contains(token)
            }),
        }
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
        state.grants += 1;
        let access_token = format!("fresh-token-{}", state.grants);
        state.known.insert(access_token.clone());
        state.access_tokens.insert(access_token.clone());
        let new_refresh_token = self.scenario.token.rotates.then(|| {
            let new = format!("fresh-refresh-{}", state.grants);
            state.refresh_tokens.remove(refresh_token);
            state.used_refresh_tokens.insert(refresh_token.to_owned());
            state.refresh_tokens.insert(new.clone());
            state.known.insert(new.clone());
            new
        });
        Some(Grant {
            access_token,
            refresh_token: new_refresh_token,
        })
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
