//! Calls of tools: their progress, and their cancellation.

use mcp_startup::config::ServerConfig;
use mcp_startup_app_server::AppServer;
use serde_json::{Value, json};

use crate::client::{Client, LIMIT};
use crate::tool_server::ToolServer;
use crate::{app_of, configured};

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
