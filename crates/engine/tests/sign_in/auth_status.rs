//! Runs the cases of `auth_status.json`.

use mcp_startup::config::{ServerConfig, ServerEntry};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Case, User, run_all, same};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expectation {
    /// The status without the network, which is also the online status if `online` is left out.
    offline: Option<String>,
    /// The status from querying the server. If left out, the server must not be queried.
    online: Option<OnlineStatus>,
    /// Whether the stored tokens can be used; left out if no record is found.
    worth: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OnlineStatus {
    status: Option<String>,
}

#[tokio::test(flavor = "multi_thread")]
async fn auth_status_matches_the_table() {
    run_all("statuses", include_str!("auth_status.json"), run).await;
}

async fn run(case: &Case<Expectation>, user: &User<'_>) -> Result<(), String> {
    let program: ServerEntry = ServerConfig::stdio(&case.name, "true", ["x"])
        .unwrap()
        .into();
    // A null server is a local program.
    let server = match case.server {
        Value::Null => &program,
        _ => &user.server,
    };
    let before = user.file();
    for online in [false, true] {
        let status = user.startup.auth_status(server, online).await;
        let expected = match (&case.expect.online, online) {
            (Some(online), true) => &online.status,
            _ => &case.expect.offline,
        };
        let label = |field| format!("{field}, {}", if online { "online" } else { "offline" });
        same(&label("status"), json!(status.status), json!(expected))?;
        let queries = online && case.expect.online.is_some();
        same(&label("queries"), !user.requests().is_empty(), queries)?;
        same(
            &label("worth"),
            json!(status.worth),
            json!(case.expect.worth),
        )?;
        same(
            &label("store error"),
            status.store_error.is_some(),
            case.client.file.is_some(),
        )?;
        let record = status.worth.and_then(|_| user.record()).unwrap_or_default();
        same(
            &label("expiry"),
            json!(status.expires_at_ms),
            record["expires_at"].clone(),
        )?;
        same(
            &label("issuer"),
            json!(status.issuer),
            record["issuer"].clone(),
        )?;
        let store = status.worth.is_some().then_some("file");
        same(&label("store"), status.store.as_deref(), store)?;
        let scopes = record["scopes"].as_array().cloned().unwrap_or_default();
        same(&label("scopes"), json!(status.scopes), scopes.into())?;
    }
    same("stored", user.file(), before)
}
