//! Runs the cases of `sign_in.json`, from `begin_sign_in` through a start to the first refresh.

use std::collections::{BTreeMap, BTreeSet};

use mcp_startup::auth::SignInError;
use mcp_startup_lab::{Lab, RecordedRequest, Target};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::secrets::{check_debug, check_log, secrets_of};
use crate::{Case, REDIRECT_URI, User, fill, fill_json, kind, lab_of, now_ms, redirect_target};
use crate::{row, run_all, same};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Expectation {
    /// Whether a client must be registered. If left out, it does not matter.
    registers: Option<bool>,
    /// Whether the MCP server is queried before the sign-in begins. If left out, it does not matter.
    queries: Option<bool>,
    /// The parameters of the authorization request; null for one that must be absent. Scopes are compared as a set.
    #[serde(default)]
    asked: BTreeMap<String, Option<String>>,
    /// Whether a code must be sent to the token endpoint. The default is true: once.
    #[serde(default = "exchanges_by_default")]
    exchanges: bool,
    fails: Option<Failure>,
    /// The granted tokens that must be revoked, in order.
    #[serde(default)]
    revoked: Vec<String>,
    /// The fields of the record that differ from those of a well-behaved server.
    #[serde(default)]
    stored: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Failure {
    /// `begin` or `finish`.
    at: String,
    kind: String,
    /// A part of the message.
    says: Option<String>,
}

fn exchanges_by_default() -> bool {
    true
}

const TABLE: &str = include_str!("sign_in.json");

#[tokio::test(flavor = "multi_thread")]
async fn sign_in_matches_the_table() {
    run_all("sign-ins", TABLE, run).await;
}

async fn run(case: &Case<Expectation>, user: &User<'_>) -> Result<(), String> {
    let before = user.file();
    let redirect_uri = case.client.redirect_uri.as_deref().unwrap_or(REDIRECT_URI);
    let options = user.sign_in_options();
    let beginning = user
        .startup
        .begin_sign_in_with(&user.server, redirect_uri, &options);
    let begun = beginning.await;
    same("after begin, stored", user.file(), before.clone())?;
    if let Some(registers) = case.expect.registers {
        same(
            "registers",
            !user.requests_at("register").is_empty(),
            registers,
        )?;
    }
    if let Some(queries) = case.expect.queries {
        let to_server = |request: &RecordedRequest| request.to == Target::Mcp;
        same("queries", user.requests().iter().any(to_server), queries)?;
    }
    let begun = match begun {
        Ok(begun) => begun,
        Err(error) => {
            same("requests for tokens", user.requests_at("token").len(), 0)?;
            return failed(case, "begin", &error);
        }
    };
    let secrets = secrets_of(&begun.pending);
    check_debug(&begun, &secrets)?;
    check_log(&secrets)?;
    if case
        .expect
        .fails
        .as_ref()
        .is_some_and(|failure| failure.at == "begin")
    {
        return Err(format!("begin_sign_in succeeds: {begun:?}"));
    }

    let callback = redirect_target(&begun.authorization_url).await;
    let authorize_request = user.requests_at("authorize").remove(0);
    check_request(case, user, redirect_uri, &authorize_request)?;
    let finished = user.startup.finish_sign_in(&begun.pending, &callback).await;
    check_log(&secrets)?;
    let exchanges = user.token_requests("authorization_code");
    let expected = usize::from(case.expect.exchanges);
    same("requests with the code", exchanges.len(), expected)?;
    for exchange in &exchanges {
        same_parameters(&authorize_request, exchange, &["redirect_uri", "resource"])?;
    }
    let revocations = user.requests_at("revoke");
    let revoked = revocations.iter().map(|request| &request.token);
    same(
        "revoked",
        revoked.collect(),
        case.expect.revoked.iter().collect::<Vec<_>>(),
    )?;
    if let Err(error) = &finished {
        same("after failing, stored", user.file(), before)?;
        check_debug(error, &secrets)?;
        return failed(case, "finish", error);
    }
    if let Some(failure) = &case.expect.fails {
        return Err(format!(
            "finish_sign_in succeeds, expected: {}",
            failure.kind
        ));
    }
    let granted = stored(case, user)?;
    if !user.is_ready().await {
        return Err("the next start is not ready".to_owned());
    }
    if granted["refresh_token"].is_string() {
        refreshes(user, granted, &authorize_request).await?;
    }
    check_log(&secrets)
}

fn failed(case: &Case<Expectation>, at: &str, error: &SignInError) -> Result<(), String> {
    let Some(failure) = &case.expect.fails else {
        return Err(format!("fails at {at}: {error:?}"));
    };
    same("fails at", at, &failure.at)?;
    same("kind", kind(error), failure.kind.clone())?;
    let message = failure.says.as_deref().unwrap_or_default();
    match error.message().contains(message) && !error.message().contains(char::is_control) {
        true => Ok(()),
        false => Err(format!(
            "the message is {:?}, expected {message:?}",
            error.message()
        )),
    }
}

fn check_request(
    case: &Case<Expectation>,
    user: &User<'_>,
    redirect_uri: &str,
    request: &RecordedRequest,
) -> Result<(), String> {
    let mut expected: BTreeMap<&str, Option<String>> = BTreeMap::new();
    for (name, value) in [
        ("response_type", "code"),
        ("code_challenge_method", "S256"),
        ("redirect_uri", redirect_uri),
    ] {
        expected.insert(name, Some(value.to_owned()));
    }
    for (name, value) in &case.expect.asked {
        let filled = value
            .as_deref()
            .map(|value| fill(user.lab, &case.name, value));
        expected.insert(name, filled);
    }
    let as_set = |name: &str, value: Option<&String>| -> Option<BTreeSet<String>> {
        let words = value?.split(if name == "scope" { ' ' } else { '\n' });
        Some(words.map(str::to_owned).collect())
    };
    for (name, value) in expected {
        let actual = as_set(name, request.parameters.get(name));
        same(name, actual, as_set(name, value.as_ref()))?;
    }
    Ok(())
}

fn same_parameters(
    first: &RecordedRequest,
    second: &RecordedRequest,
    names: &[&str],
) -> Result<(), String> {
    for name in names {
        let expected = first.parameters.get(*name);
        let actual = second.parameters.get(*name);
        same(&format!("{name} of both requests"), actual, expected)?;
    }
    Ok(())
}

/// Returns the stored record if it is the expected one and the other records are unchanged.
fn stored(case: &Case<Expectation>, user: &User<'_>) -> Result<Value, String> {
    let mut expected = json!({
        "server_name": case.name,
        "issuer": "{issuer}",
        "client_id": "client-1",
        "access_token": "fresh-token-1",
        "refresh_token": "fresh-refresh-1",
        "scopes": ["mcp:tools"],
        "expires_in": 3600,
    });
    for (field, value) in &case.expect.stored {
        expected[field] = value.clone();
    }
    let expected = &mut fill_json(user.lab, &case.name, &expected);
    let url = case.client.url.as_deref().unwrap_or("{resource}");
    expected["server_url"] = fill(user.lab, &case.name, url).into();
    let expires_in = expected.as_object_mut().unwrap().remove("expires_in");
    let mut actual = user.record().ok_or("nothing is stored")?;
    if let Some(seconds) = expires_in.as_ref().and_then(Value::as_i64) {
        let expiry = actual["expires_at"].as_i64().ok_or("no expiry is stored")?;
        let late = now_ms() + seconds * 1000 - expiry;
        same("expires in time", (0..60_000).contains(&late), true)?;
        expected["expires_at"] = expiry.into();
    } else {
        expected["expires_at"] = Value::Null;
    }
    for record in [&mut actual, expected] {
        if let Some(scopes) = record["scopes"].as_array_mut() {
            scopes.sort_by_key(|scope| scope.to_string());
        }
    }
    same("stored", &actual, expected)?;
    let others = r#""big": 12345678901234567890.50"#;
    match user.file().contains(others) {
        true => Ok(actual),
        false => Err(format!("another record was changed: {}", user.file())),
    }
}

/// Expires the token. The next start must refresh it, with the client of the sign-in and for the same resource.
async fn refreshes(
    user: &User<'_>,
    mut granted: Value,
    authorize_request: &RecordedRequest,
) -> Result<(), String> {
    let before = user.token_requests("refresh_token").len();
    granted["expires_at"] = json!(1);
    user.write_record(&granted);
    if !user.is_ready().await {
        return Err("the start with a refresh is not ready".to_owned());
    }
    let refreshes = user.token_requests("refresh_token");
    same("refreshes", refreshes.len() - before, 1)?;
    let refresh = refreshes.last().ok_or("no refresh")?;
    same_parameters(authorize_request, refresh, &["resource"])?;
    let expected = granted["refresh_token"].as_str();
    same(
        "the token of the refresh",
        Some(refresh.token.as_str()),
        expected,
    )?;
    let mut renewed = user.record().ok_or("nothing is stored after the refresh")?;
    for field in ["access_token", "expires_at"] {
        renewed[field] = granted[field].clone();
    }
    same("the record after the refresh", renewed, granted)
}

#[test]
fn case_names_are_unique() {
    let cases: Vec<Case<Expectation>> = serde_json::from_str(TABLE).unwrap();
    let names: BTreeSet<&String> = cases.iter().map(|case| &case.name).collect();
    assert_eq!(cases.len(), names.len());
    assert!(cases.len() >= 90, "{}", cases.len());
}

/// Begins several sign-ins to one server and to several servers, and finishes them in reverse order.
#[tokio::test(flavor = "multi_thread")]
async fn simultaneous_sign_ins_are_independent() {
    let names = ["one", "two", "three"];
    let lab: Lab = lab_of(names.map(|name| row(name, &json!({}))).into()).await;
    // All users share one home folder.
    let home = User::new(&lab, "one");
    let users = names.map(|name| User::new(&lab, name));
    let servers = || (0..4).flat_map(|_| users.iter().map(|user| &user.server));
    let begun = servers().map(|server| async {
        let (begun, callback) = crate::sign_in(&home.startup, server).await;
        (begun.pending, callback)
    });
    let begun = futures::future::join_all(begun).await;
    let states: BTreeSet<&str> = begun.iter().map(|(pending, _)| pending.state()).collect();
    assert_eq!(states.len(), 12, "no two have the same state");

    // A callback URL finishes only its own sign-in, and a wrong one has no effect.
    for (at, (pending, _)) in begun.iter().enumerate() {
        let (_, other_callback) = &begun[(at + 1) % begun.len()];
        let error = home.startup.finish_sign_in(pending, other_callback).await;
        assert_eq!(kind(&error.unwrap_err()), "invalidCallback");
    }
    let finished = begun.iter().rev();
    let finished =
        finished.map(|(pending, callback)| home.startup.finish_sign_in(pending, callback));
    for finished in futures::future::join_all(finished).await {
        finished.unwrap();
    }
    let records: Map<String, Value> = serde_json::from_str(&home.file()).unwrap();
    for user in &users {
        let record = &records[&user.key()];
        assert_eq!(record["server_name"], user.server.name);
        assert_eq!(
            record["issuer"],
            format!("{}/{}", lab.base_url(), user.server.name)
        );
        assert!(crate::is_ready(&home.startup, &user.server).await);
        assert_eq!(user.token_requests("authorization_code").len(), 4);
    }
    assert_eq!(records.len(), 4, "one for each server, and the other");
}
