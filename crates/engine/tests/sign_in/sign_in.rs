//! The rows of `sign_in.json`, each from `begin_sign_in` to a start, and on to the first refresh.

use std::collections::{BTreeMap, BTreeSet};

use mcp_startup::auth::SignInError;
use mcp_startup_lab::{Lab, RecordedRequest};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::secrets::{logged, secrets_of, told_by};
use crate::{Case, REDIRECT_URI, User, come_back, fill, fill_json, kind, lab_of, now_ms, row};
use crate::{run_all, same};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Expectation {
    /// Whether a client was registered. Left out, the row does not care.
    registers: Option<bool>,
    /// Parameters of the authorization request; null for one that must not be there. Scopes are a set.
    #[serde(default)]
    asked: BTreeMap<String, Option<String>>,
    /// Whether a code was sent to the token endpoint. Left out, it was, once.
    #[serde(default = "yes")]
    exchanges: bool,
    fails: Option<Failure>,
    /// Fields of the record, in place of what a good server leaves there.
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

fn yes() -> bool {
    true
}

const TABLE: &str = include_str!("sign_in.json");

#[tokio::test(flavor = "multi_thread")]
async fn every_row_comes_to_what_it_says() {
    run_all("sign-ins", TABLE, run).await;
}

async fn run(case: &Case<Expectation>, user: &User<'_>) -> Result<(), String> {
    let before = user.file();
    let redirect_uri = case.client.redirect_uri.as_deref().unwrap_or(REDIRECT_URI);
    let begun = user.startup.begin_sign_in(&user.server, redirect_uri).await;
    same("after begin, stored", user.file(), before.clone())?;
    if let Some(registers) = case.expect.registers {
        same(
            "registers",
            !user.requests_at("register").is_empty(),
            registers,
        )?;
    }
    let begun = match begun {
        Ok(begun) => begun,
        Err(error) => {
            same("requests for tokens", user.requests_at("token").len(), 0)?;
            return failed(case, "begin", &error);
        }
    };
    let secrets = secrets_of(&begun.pending);
    told_by(&begun, &secrets)?;
    logged(&secrets)?;
    if case
        .expect
        .fails
        .as_ref()
        .is_some_and(|failure| failure.at == "begin")
    {
        return Err(format!("begins: {begun:?}"));
    }

    let callback = come_back(&begun.authorization_url).await;
    let asked = user.requests_at("authorize").remove(0);
    check_request(case, user, redirect_uri, &asked)?;
    let finished = user.startup.finish_sign_in(&begun.pending, &callback).await;
    logged(&secrets)?;
    let exchanges = user.token_requests("authorization_code");
    let wanted = usize::from(case.expect.exchanges);
    same("requests with the code", exchanges.len(), wanted)?;
    for exchange in &exchanges {
        same_parameters(&asked, exchange, &["redirect_uri", "resource"])?;
    }
    if let Err(error) = &finished {
        same("after failing, stored", user.file(), before)?;
        told_by(error, &secrets)?;
        return failed(case, "finish", error);
    }
    if let Some(failure) = &case.expect.fails {
        return Err(format!("signs in, and should fail: {}", failure.kind));
    }
    let granted = stored(case, user)?;
    if !user.is_ready().await {
        return Err("the next start is not ready".to_owned());
    }
    if granted["refresh_token"].is_string() {
        refreshes(user, granted, &asked).await?;
    }
    logged(&secrets)
}

fn failed(case: &Case<Expectation>, at: &str, error: &SignInError) -> Result<(), String> {
    let Some(failure) = &case.expect.fails else {
        return Err(format!("fails at {at}: {error:?}"));
    };
    same("fails at", at, &failure.at)?;
    same("kind", kind(error), failure.kind.clone())?;
    let says = failure.says.as_deref().unwrap_or_default();
    match error.message().contains(says) && !error.message().contains(char::is_control) {
        true => Ok(()),
        false => Err(format!("it says {:?}, and not {says:?}", error.message())),
    }
}

fn check_request(
    case: &Case<Expectation>,
    user: &User<'_>,
    redirect_uri: &str,
    asked: &RecordedRequest,
) -> Result<(), String> {
    let mut wanted: BTreeMap<&str, Option<String>> = BTreeMap::new();
    for (name, value) in [
        ("response_type", "code"),
        ("code_challenge_method", "S256"),
        ("redirect_uri", redirect_uri),
    ] {
        wanted.insert(name, Some(value.to_owned()));
    }
    for (name, value) in &case.expect.asked {
        let filled = value
            .as_deref()
            .map(|value| fill(user.lab, &case.name, value));
        wanted.insert(name, filled);
    }
    let as_set = |name: &str, value: Option<&String>| -> Option<BTreeSet<String>> {
        let words = value?.split(if name == "scope" { ' ' } else { '\n' });
        Some(words.map(str::to_owned).collect())
    };
    for (name, wanted) in wanted {
        let got = as_set(name, asked.parameters.get(name));
        same(name, got, as_set(name, wanted.as_ref()))?;
    }
    Ok(())
}

fn same_parameters(
    one: &RecordedRequest,
    other: &RecordedRequest,
    names: &[&str],
) -> Result<(), String> {
    for name in names {
        let (one, other) = (one.parameters.get(*name), other.parameters.get(*name));
        same(&format!("{name} of both requests"), other, one)?;
    }
    Ok(())
}

/// The record, if it is as the row says; and the others are as they were.
fn stored(case: &Case<Expectation>, user: &User<'_>) -> Result<Value, String> {
    let mut wanted = json!({
        "server_name": case.name,
        "issuer": "{issuer}",
        "client_id": "client-1",
        "access_token": "fresh-token-1",
        "refresh_token": "fresh-refresh-1",
        "scopes": ["mcp:tools"],
        "expires_in": 3600,
    });
    for (field, value) in &case.expect.stored {
        wanted[field] = value.clone();
    }
    let wanted = &mut fill_json(user.lab, &case.name, &wanted);
    let url = case.client.url.as_deref().unwrap_or("{resource}");
    wanted["server_url"] = fill(user.lab, &case.name, url).into();
    let expires_in = wanted.as_object_mut().unwrap().remove("expires_in");
    let mut got = user.record().ok_or("nothing is stored")?;
    if let Some(seconds) = expires_in.as_ref().and_then(Value::as_i64) {
        let expiry = got["expires_at"].as_i64().ok_or("no expiry is stored")?;
        let late = now_ms() + seconds * 1000 - expiry;
        same("expires in time", (0..60_000).contains(&late), true)?;
        wanted["expires_at"] = expiry.into();
    } else {
        wanted["expires_at"] = Value::Null;
    }
    for record in [&mut got, wanted] {
        if let Some(scopes) = record["scopes"].as_array_mut() {
            scopes.sort_by_key(|scope| scope.to_string());
        }
    }
    same("stored", &got, wanted)?;
    let others = r#""big": 12345678901234567890.50"#;
    match user.file().contains(others) {
        true => Ok(got),
        false => Err(format!(
            "another record is not what it was: {}",
            user.file()
        )),
    }
}

/// The token has become old: the next start refreshes it, as the client that signed in, and for the same resource.
async fn refreshes(
    user: &User<'_>,
    mut granted: Value,
    asked: &RecordedRequest,
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
    same_parameters(asked, refresh, &["resource"])?;
    let wanted = granted["refresh_token"].as_str();
    same(
        "the token of the refresh",
        Some(refresh.token.as_str()),
        wanted,
    )?;
    let mut renewed = user.record().ok_or("nothing is stored after the refresh")?;
    for field in ["access_token", "expires_at"] {
        renewed[field] = granted[field].clone();
    }
    same("the record after the refresh", renewed, granted)
}

#[test]
fn no_case_is_told_twice() {
    let cases: Vec<Case<Expectation>> = serde_json::from_str(TABLE).unwrap();
    let different: BTreeSet<&String> = cases.iter().map(|case| &case.name).collect();
    assert_eq!(cases.len(), different.len());
    assert!(cases.len() >= 90, "{}", cases.len());
}

/// Sign-ins at once to one server and to many, finished in another order.
#[tokio::test(flavor = "multi_thread")]
async fn sign_ins_at_once_do_not_disturb_each_other() {
    let names = ["one", "two", "three"];
    let lab: Lab = lab_of(names.map(|name| row(name, &json!({}))).into()).await;
    // One home for all.
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

    // An answer is for its own sign-in alone, and a wrong one does no harm.
    for (at, (pending, _)) in begun.iter().enumerate() {
        let (_, of_another) = &begun[(at + 1) % begun.len()];
        let error = home.startup.finish_sign_in(pending, of_another).await;
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
