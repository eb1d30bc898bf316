//! The rows of `auth_status.json`.

use mcp_startup::config::{ServerConfig, ServerEntry};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Case, User, run_all, same};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expectation {
    /// What is known without the network; the same with it, where that is not asked.
    offline: Option<String>,
    /// What is known when the server was asked. Left out, it is not asked.
    online: Option<Asked>,
    /// What the stored record is worth; left out, none is found.
    worth: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    status: Option<String>,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_comes_to_what_it_says() {
    run_all("statuses", include_str!("auth_status.json"), run).await;
}

async fn run(case: &Case<Expectation>, user: &User<'_>) -> Result<(), String> {
    let program: ServerEntry = ServerConfig::stdio(&case.name, "true", ["x"])
        .unwrap()
        .into();
    // Null in the table: a program.
    let server = match case.server {
        Value::Null => &program,
        _ => &user.server,
    };
    let before = user.file();
    for online in [false, true] {
        let status = user.startup.auth_status(server, online).await;
        let wanted = match (&case.expect.online, online) {
            (Some(asked), true) => &asked.status,
            _ => &case.expect.offline,
        };
        let what = |what| format!("{what}, {}", if online { "online" } else { "offline" });
        same(&what("status"), json!(status.status), json!(wanted))?;
        let asks = online && case.expect.online.is_some();
        same(&what("asks"), !user.requests().is_empty(), asks)?;
        same(
            &what("worth"),
            json!(status.worth),
            json!(case.expect.worth),
        )?;
        same(
            &what("store error"),
            status.store_error.is_some(),
            case.client.file.is_some(),
        )?;
        let record = status.worth.and_then(|_| user.record()).unwrap_or_default();
        same(
            &what("expiry"),
            json!(status.expires_at_ms),
            record["expires_at"].clone(),
        )?;
        same(
            &what("issuer"),
            json!(status.issuer),
            record["issuer"].clone(),
        )?;
        let store = status.worth.is_some().then_some("file");
        same(&what("store"), status.store.as_deref(), store)?;
        let scopes = record["scopes"].as_array().cloned().unwrap_or_default();
        same(&what("scopes"), json!(status.scopes), scopes.into())?;
    }
    same("stored", user.file(), before)
}
