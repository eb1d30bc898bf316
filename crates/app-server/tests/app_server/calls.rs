//! Calls of tools: their progress, and their cancellation.

use mcp_startup::auth::{
    CredentialKey, CredentialRecord, CredentialStore, MemoryStore, ReplaceOutcome,
};
use mcp_startup::config::ServerConfig;
use mcp_startup_app_server::AppServer;
use serde_json::{Value, json};

use crate::client::{Client, LIMIT};
use crate::tool_server::ToolServer;
use crate::{app_of, app_with_store, configured};

/// A client of a server with tools, and the ID of its thread.
async fn client_of(app: &AppServer) -> (Client, Value) {
    let mut client = Client::initialized(app).await;
    client.states("tools", 1).await;
    let thread = json!({ "id": "thread", "method": "thread/start", "params": {} });
    let thread = client.request(thread).await["result"]["thread"]["id"].clone();
    (client, thread)
}

fn call(id: Value, thread: &Value, tool: &str) -> Value {
    let params = json!({ "threadId": thread, "server": "tools", "tool": tool });
    json!({ "id": id, "method": "mcpServer/tool/call", "params": params })
}

fn app_with(tool_server: &ToolServer) -> AppServer {
    let server = ServerConfig::http("tools", &tool_server.url).unwrap();
    app_of(configured(vec![server.into()])).0
}

#[tokio::test]
async fn the_progress_of_a_call_reaches_only_its_client_and_comes_before_the_result() {
    let tool_server = ToolServer::start().await;
    let app = app_with(&tool_server);
    let (mut client, thread) = client_of(&app).await;
    let (mut other, _) = client_of(&app).await;
    let result = client.request(call(json!("call"), &thread, "count")).await;
    assert_eq!(result["result"]["content"], json!([]));
    let progress = client.notifications.iter();
    let progress = progress.filter(|message| message["method"] == "mcpStartup/toolCall/progress");
    let progress: Vec<&Value> = progress.map(|message| &message["params"]).collect();
    let count = |progress: &Value| progress["progress"].as_f64().unwrap();
    let counts: Vec<f64> = progress.iter().map(|progress| count(progress)).collect();
    assert_eq!(counts, [1.0, 2.0, 3.0]);
    assert_eq!(
        progress[2],
        &json!({ "requestId": "call", "threadId": thread, "server": "tools", "progress": 3.0, "total": 3.0, "message": "last" })
    );
    let message = |index: usize| progress[index]["message"].as_str().unwrap();
    assert!(!message(0).contains('\u{1b}'), "{}", message(0));
    assert!(message(1).chars().count() <= 1000);

    // The messages to the other client, until the response to a later request.
    other
        .request(json!({ "id": 1, "method": "mcpStartup/servers/list" }))
        .await;
    let methods = other.notifications.iter();
    let mut methods = methods.map(|message| message["method"].clone());
    assert!(methods.all(|method| method != "mcpStartup/toolCall/progress"));
    app.end().await;
}

#[tokio::test]
async fn a_call_that_is_cancelled_is_cancelled_at_the_server() {
    let mut tool_server = ToolServer::start().await;
    let app = app_with(&tool_server);
    let (mut client, thread) = client_of(&app).await;
    client.begin(&call(json!(7), &thread, "wait")).await;
    let received = tokio::time::timeout(LIMIT, tool_server.waiting.recv());
    let received = received.await.unwrap().unwrap();
    let cancel =
        json!({ "id": 8, "method": "mcpStartup/request/cancel", "params": { "requestId": 7 } });
    let responses = client.exchange(&[cancel], 2).await;
    let answer = responses.iter().find(|response| response["id"] == 7);
    assert_eq!(answer.unwrap()["error"]["data"]["reason"], "cancelled");
    let cancelled = tokio::time::timeout(LIMIT, tool_server.cancelled.recv());
    assert_eq!(cancelled.await.unwrap().unwrap(), received);
    app.end().await;
}

/// Stores a sign-in to the server.
async fn sign_in(store: &MemoryStore, tool_server: &ToolServer, token: &str, scopes: &[&str]) {
    let key = CredentialKey::new("tools", &tool_server.url);
    let record = json!({ "access_token": token, "client_id": "client-1", "scopes": scopes });
    let record = CredentialRecord::from_json(&record).unwrap();
    let before = store.load(&key).await.unwrap();
    let replaced = store.replace(&key, before.as_ref(), Some(&record)).await;
    assert!(matches!(replaced.unwrap(), ReplaceOutcome::Stored));
}

#[tokio::test]
async fn a_server_that_rejects_the_sign_in_for_good_fails_once_and_starts_after_a_sign_in() {
    let tool_server = ToolServer::start().await;
    tool_server.token.send_replace("first".to_owned());
    let store = MemoryStore::default();
    sign_in(&store, &tool_server, "first", &[]).await;
    let server = ServerConfig::http("tools", &tool_server.url).unwrap();
    let (app, _) = app_with_store(configured(vec![server.into()]), store.clone());
    let (mut client, thread) = client_of(&app).await;
    tool_server.token.send_replace("second".to_owned());

    // The first call, and those that are answered before the server has ended.
    let calls: Vec<Value> = (1..=5).map(|id| call(json!(id), &thread, "echo")).collect();
    for response in client.exchange(&calls, calls.len()).await {
        let reason = response["error"]["data"]["reason"].as_str().unwrap();
        let expected = ["authorizationRefused", "connectionLost", "notConnected"];
        assert!(expected.contains(&reason), "{response}");
    }
    let failed = ["starting", "ready", "starting", "failed"];
    assert_eq!(client.states("tools", 2).await, failed);
    let read =
        json!({ "id": "read", "method": "mcpStartup/failure/read", "params": { "name": "tools" } });
    let failure = &client.request(read).await["result"]["failure"];
    assert_eq!(failure["kind"], "reauthenticationRequired");
    let updated = client.notifications.iter();
    let updated = updated.map(|message| &message["params"]);
    let reasons: Vec<&Value> = updated
        .filter_map(|params| params.get("failureReason"))
        .collect();
    let reasons = reasons.into_iter().filter(|reason| !reason.is_null());
    assert_eq!(reasons.collect::<Vec<_>>(), ["reauthenticationRequired"]);

    sign_in(&store, &tool_server, "second", &[]).await;
    let states = client.states("tools", 3).await;
    assert_eq!(states[failed.len()..], ["starting", "ready"]);
    app.end().await;
}

#[tokio::test]
async fn a_server_that_refuses_only_one_tool_is_started_again_once() {
    let tool_server = ToolServer::start().await;
    let app = app_with(&tool_server);
    let (mut client, thread) = client_of(&app).await;
    for round in 0..3 {
        let response = client.request(call(json!(round), &thread, "private")).await;
        let data = &response["error"]["data"];
        assert_eq!(data["reason"], "authorizationRefused", "{response}");
        client.states("tools", 2).await;
    }
    let count = client.request(call(json!("count"), &thread, "count")).await;
    assert!(count.get("result").is_some(), "{count}");
    let states = client.states("tools", 0).await;
    assert_eq!(states, ["starting", "ready", "starting", "ready"]);
    // The user decides.
    let retry =
        json!({ "id": "retry", "method": "mcpStartup/retry", "params": { "name": "tools" } });
    client.request(retry).await;
    client.states("tools", 3).await;
    app.end().await;
}

#[tokio::test]
async fn the_error_of_a_call_has_its_reason() {
    let tool_server = ToolServer::start().await;
    let app = app_with(&tool_server);
    let (mut client, thread) = client_of(&app).await;
    for (tool, expected) in [
        (
            "more",
            json!({ "reason": "insufficientScope", "status": 403, "scopes": ["files:read", "files:write"] }),
        ),
        ("broken", json!({ "reason": "httpError", "status": 500 })),
        ("other-id", json!({ "reason": "invalidAnswer" })),
    ] {
        let response = client.request(call(json!(tool), &thread, tool)).await;
        assert_eq!(response["error"]["data"], expected, "{response}");
    }
    assert_eq!(client.states("tools", 1).await, ["starting", "ready"]);
    app.end().await;
}

#[tokio::test]
async fn a_call_that_requires_granted_scopes_asks_for_no_sign_in() {
    let tool_server = ToolServer::start().await;
    for (granted, reason) in [
        (&["files:read"][..], "insufficientScope"),
        (&["files:read", "files:write"], "httpError"),
    ] {
        let store = MemoryStore::default();
        sign_in(&store, &tool_server, "token", granted).await;
        let server = ServerConfig::http("tools", &tool_server.url).unwrap();
        let (app, _) = app_with_store(configured(vec![server.into()]), store);
        let (mut client, thread) = client_of(&app).await;
        let response = client.request(call(json!("more"), &thread, "more")).await;
        let error = &response["error"];
        assert_eq!(error["data"]["reason"], reason, "{response}");
        assert_eq!(error["data"]["status"], 403, "{response}");
        app.end().await;
    }
}

// The server is a shell script.
#[cfg(unix)]
#[tokio::test]
async fn an_answer_over_stdio_that_is_too_long_is_an_error_of_its_call() {
    // The call has the ID 2. The ID is before the result, or after it.
    let script = r#"
        read line
        echo '{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"t","version":"1"}}}'
        read line
        read line
        echo '{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}'
        for id in 2 3; do
            read line
            if [ $id = 2 ]; then printf '{"jsonrpc":"2.0","id":2,'; fi
            if [ $id = 3 ]; then printf '{'; fi
            printf '"result":{"content":[{"type":"text","text":"'
            head -c 17000000 /dev/zero | tr '\0' 'd'
            printf '"}]}'
            if [ $id = 3 ]; then printf ',"jsonrpc":"2.0","id":3'; fi
            echo '}'
        done
        read line
        echo '{"jsonrpc":"2.0","id":4,"result":{"content":[]}}'
        read line
        head -c 17000000 /dev/zero | tr '\0' 'd'
        echo '{"jsonrpc":"2.0","id":5,"result":{"content":[]}}'
        read line
    "#;
    let server = ServerConfig::stdio("tools", "sh", ["-c", script]).unwrap();
    let (app, _) = app_of(configured(vec![server.into()]));
    let (mut client, thread) = client_of(&app).await;
    for id in [2, 3] {
        let response = client.request(call(json!(id), &thread, "long")).await;
        let reason = &response["error"]["data"]["reason"];
        assert_eq!(reason, "invalidAnswer", "{response}");
    }
    let response = client.request(call(json!(4), &thread, "short")).await;
    assert_eq!(response["result"]["content"], json!([]));
    // An answer that can't be found in a line ends the connection.
    let response = client.request(call(json!(5), &thread, "hidden")).await;
    let reason = &response["error"]["data"]["reason"];
    assert_eq!(reason, "connectionLost", "{response}");
    app.end().await;
}
