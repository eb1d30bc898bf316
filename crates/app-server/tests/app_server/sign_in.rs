//! Sign-ins over the protocol. The lab's authorization server redirects at once; a plain HTTP client is the browser.

use std::time::{Duration, Instant};

use mcp_startup_app_server::AppServer;
use mcp_startup_lab::{Lab, Target};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::client::Client;
use crate::{app_of, configured, http, servers};

const COMPLETED: &str = "mcpServer/oauthLogin/completed";
const NAME: &str = "first-sign-in";

/// A client whose servers have started: one that is ready, and two that need a sign-in.
async fn started(lab: &Lab) -> (AppServer, Client) {
    let names = ["ready", NAME, "header-first-sign-in"];
    let (app, _) = app_of(configured(servers(lab, &names)));
    let mut client = Client::initialized(&app).await;
    for name in names {
        client.states(name, 1).await;
    }
    (app, client)
}

async fn login(client: &mut Client, id: u32, params: Value) -> (String, String) {
    let mut params = params;
    params["name"] = json!(NAME);
    let login = json!({ "id": id, "method": "mcpServer/oauth/login", "params": params });
    let response = client.request(login).await;
    let text = |field: &str| response["result"][field].as_str().unwrap().to_owned();
    (text("authorizationUrl"), text("loginId"))
}

/// The states of the servers that were notified until now.
async fn all_states(client: &mut Client) -> Vec<Vec<String>> {
    // Unlike the list, this sends no request to a server.
    let read =
        json!({ "id": "states", "method": "mcpStartup/failure/read", "params": { "name": NAME } });
    client.request(read).await;
    let mut states = Vec::new();
    for name in ["ready", NAME, "header-first-sign-in"] {
        states.push(client.states(name, 0).await);
    }
    states
}

/// Checks that no server has started again, and that nothing was granted.
async fn check_unchanged(lab: &Lab, client: &mut Client) {
    let failed = ["starting", "failed"];
    assert_eq!(
        all_states(client).await,
        [["starting", "ready"], failed, failed]
    );
    let list =
        json!({ "id": "auth", "method": "mcpServerStatus/list", "params": { "serverName": NAME } });
    let status = &client.request(list).await["result"]["data"][0];
    assert_eq!(status["authStatus"], "notLoggedIn");
    let requests = lab.requests(NAME);
    assert!(requests.iter().all(|request| request.to != Target::Token));
}

#[tokio::test]
async fn after_a_sign_in_only_its_server_starts_again() {
    let lab = Lab::start(0).await.unwrap();
    let (app, mut client) = started(&lab).await;
    let before = lab.requests("header-first-sign-in").len();
    let params = json!({ "threadId": "t-1", "scopes": ["mcp:more"] });
    let (url, id) = login(&mut client, 1, params).await;
    assert!(url.contains("mcp%3Amore"), "{url}");
    assert_eq!(http::browse(&url).await, 200);
    let completed = client.notified(COMPLETED, 1).await;
    let expected = json!({ "name": NAME, "threadId": "t-1", "loginId": id, "success": true });
    assert_eq!(completed, [expected]);
    client.states(NAME, 2).await;
    assert_eq!(
        all_states(&mut client).await,
        [
            vec!["starting", "ready"],
            vec!["starting", "failed", "starting", "ready"],
            vec!["starting", "failed"],
        ]
    );
    assert_eq!(lab.requests("header-first-sign-in").len(), before);

    // The start follows the end of the sign-in.
    let position =
        |matches: &dyn Fn(&Value) -> bool| client.notifications.iter().rposition(matches);
    let end = position(&|message| message["method"] == COMPLETED);
    let ready = position(&|message| {
        message["params"]["name"] == NAME && message["params"]["status"] == "ready"
    });
    assert!(end < ready);
    app.end().await;
}

#[tokio::test]
async fn a_sign_in_that_is_cancelled_changes_nothing() {
    let lab = Lab::start(0).await.unwrap();
    let (app, mut client) = started(&lab).await;
    let (url, id) = login(&mut client, 1, json!({})).await;
    let cancel = |request: &str, login: &str| json!({ "id": request, "method": "mcpStartup/login/cancel", "params": { "loginId": login } });
    for (login, status) in [("unknown", "notFound"), (&id, "canceled")] {
        let answer = client.request(cancel(login, login)).await;
        assert_eq!(answer["result"]["status"], status);
    }
    let completed = client.notified(COMPLETED, 1).await;
    assert_eq!(
        (&completed[0]["loginId"], &completed[0]["success"]),
        (&json!(id), &json!(false))
    );
    assert_eq!(
        completed[0]["error"],
        "The sign-in was cancelled, and nothing was changed."
    );
    let answer = client.request(cancel("again", &id)).await;
    assert_eq!(answer["result"]["status"], "notFound");

    // The browser comes too late.
    let redirect = http::get(&url, &[]).await.unwrap();
    let page = http::get(redirect.header("Location").unwrap(), &[]).await;
    assert!(page.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused));
    check_unchanged(&lab, &mut client).await;
    app.end().await;
}

#[tokio::test]
async fn a_second_sign_in_to_a_server_ends_the_first() {
    let lab = Lab::start(0).await.unwrap();
    let (app, mut client) = started(&lab).await;
    let (_, first) = login(&mut client, 1, json!({})).await;
    let (url, second) = login(&mut client, 2, json!({})).await;
    let completed = client.notified(COMPLETED, 1).await;
    assert_eq!(
        (&completed[0]["loginId"], &completed[0]["success"]),
        (&json!(first), &json!(false))
    );
    assert_eq!(http::browse(&url).await, 200);
    let completed = client.notified(COMPLETED, 2).await;
    assert_eq!(
        (&completed[1]["loginId"], &completed[1]["success"]),
        (&json!(second), &json!(true))
    );
    let states = client.states(NAME, 2).await;
    assert_eq!(states, ["starting", "failed", "starting", "ready"]);
    app.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_several_sign_ins_at_once_one_remains_even_with_one_port() {
    const AT_ONCE: usize = 6;
    let lab = Lab::start(0).await.unwrap();
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let mut entries = servers(&lab, &[NAME]);
    entries[0].config.as_mut().unwrap().oauth.callback_port = Some(port);
    let (app, _) = app_of(configured(entries));
    let mut client = Client::initialized(&app).await;
    client.states(NAME, 1).await;
    let login = |id: usize| json!({ "id": id, "method": "mcpServer/oauth/login", "params": { "name": NAME } });
    let logins: Vec<Value> = (1..=AT_ONCE).map(login).collect();
    let responses = client.exchange(&logins, AT_ONCE).await;
    let begun = responses
        .iter()
        .filter_map(|response| response["result"].as_object());
    let begun: Vec<_> = begun.cloned().collect();
    for response in responses
        .iter()
        .filter(|response| response.get("result").is_none())
    {
        assert_eq!(
            response["error"]["data"]["reason"], "cancelled",
            "{response}"
        );
    }
    // Those that had begun and have ended are reported.
    let completed = client.notified(COMPLETED, begun.len() - 1).await;
    assert!(
        completed
            .iter()
            .all(|completed| completed["success"] == false)
    );
    let has_ended = |login: &&serde_json::Map<String, Value>| {
        completed
            .iter()
            .any(|completed| completed["loginId"] == login["loginId"])
    };
    let remaining: Vec<_> = begun.iter().filter(|login| !has_ended(login)).collect();
    assert_eq!(remaining.len(), 1);
    let url = remaining[0]["authorizationUrl"].as_str().unwrap();
    assert_eq!(http::browse(url).await, 200);
    let states = client.states(NAME, 2).await;
    assert_eq!(states, ["starting", "failed", "starting", "ready"]);
    app.end().await;
}

#[tokio::test]
async fn a_sign_in_ends_after_its_time_limit_and_changes_nothing() {
    let lab = Lab::start(0).await.unwrap();
    let (app, mut client) = started(&lab).await;
    for seconds in [json!(0), json!(-1), json!("1")] {
        let params = json!({ "name": NAME, "timeoutSecs": seconds });
        let login = json!({ "id": 1, "method": "mcpServer/oauth/login", "params": params });
        assert_eq!(client.code(login).await, -32602, "{seconds}");
    }
    let began = Instant::now();
    let (_, id) = login(&mut client, 2, json!({ "timeoutSecs": 1 })).await;
    let completed = client.notified(COMPLETED, 1).await;
    assert!(began.elapsed() >= Duration::from_secs(1));
    assert_eq!(
        completed,
        [json!({
            "name": NAME,
            "threadId": null,
            "loginId": id,
            "success": false,
            "error": "The sign-in was not completed within 1 s, and nothing was changed: begin it again. If the sign-in page shows an error, contact the operator of the server.",
        })]
    );
    check_unchanged(&lab, &mut client).await;
    app.end().await;
}

#[tokio::test]
async fn a_sign_in_ends_with_its_client() {
    let lab = Lab::start(0).await.unwrap();
    let (app, mut client) = started(&lab).await;
    let (url, _) = login(&mut client, 1, json!({})).await;
    let redirect = http::get(&url, &[]).await.unwrap();
    drop(client);
    app.end().await;
    assert!(
        http::get(redirect.header("Location").unwrap(), &[])
            .await
            .is_err()
    );
    let requests = lab.requests(NAME);
    assert!(requests.iter().all(|request| request.to != Target::Token));
}
