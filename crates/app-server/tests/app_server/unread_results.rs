//! Clients that do not read the results of their requests. `unread_results` of `crates/cli` measures the memory.

use std::time::Duration;

use mcp_startup::config::{ServerConfig, ServerEntry};
use serde_json::{Value, json};

use crate::client::Client;
use crate::tool_server::{LARGE_BYTES, ToolServer};
use crate::{app_of, configured};

#[tokio::test]
async fn the_results_of_calls_wait_until_their_client_reads_and_delay_no_other_client() {
    let tool_server = ToolServer::start().await;
    let server = ServerConfig::http("tools", &tool_server.url).unwrap();
    let (app, _) = app_of(configured(vec![server.into()]));
    let mut unread = Client::initialized(&app).await;
    let mut other = Client::initialized(&app).await;
    let call = |id: usize, thread: &Value, tool: &str| {
        let params = json!({ "threadId": thread, "server": "tools", "tool": tool });
        json!({ "id": id, "method": "mcpServer/tool/call", "params": params })
    };
    let mut threads = Vec::new();
    for client in [&mut unread, &mut other] {
        client.states("tools", 1).await;
        let thread = json!({ "id": "thread", "method": "thread/start", "params": {} });
        let thread = client.request(thread).await["result"]["thread"]["id"].clone();
        threads.push(thread);
    }
    let calls: Vec<Value> = (0..30).map(|id| call(id, &threads[0], "large")).collect();
    for call in &calls {
        unread.begin(call).await;
    }
    // More than the other client may leave unread.
    for id in 0..10 {
        let response = other.request(call(id, &threads[1], "large")).await;
        let text = response["result"]["content"][0]["text"].as_str();
        assert_eq!(text.map(str::len), Some(LARGE_BYTES));
    }

    let mut responses = unread.exchange(&[], calls.len()).await;
    responses.sort_by_key(|response| response["id"].as_u64());
    for (id, response) in responses.iter().enumerate() {
        assert_eq!(response["id"], id);
        let text = response["result"]["content"][0]["text"].as_str();
        assert_eq!(text.map(str::len), Some(LARGE_BYTES));
    }
    app.end().await;
}

#[tokio::test(start_paused = true)]
async fn long_lists_that_are_not_read_are_refused_as_overload_until_the_client_reads() {
    let server = |number: usize| {
        let name = format!("{number}-{}", "x".repeat(190));
        let mut entry = ServerEntry::from(ServerConfig::http(name, "http://127.0.0.1:9/").unwrap());
        entry.enabled = false;
        entry
    };
    let (app, _) = app_of(configured((0..2000).map(server).collect()));
    let mut client = Client::initialized(&app).await;
    let list = |id: usize| json!({ "id": id, "method": "mcpStartup/servers/list" });
    let lists: Vec<Value> = (0..100).map(list).collect();
    for list in &lists {
        client.begin(list).await;
    }
    // The clock is paused, so it advances only when no task can continue.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let responses = client.exchange(&[], lists.len()).await;
    let bytes = |response: &Value| response["result"].to_string().len();
    let results = responses
        .iter()
        .filter(|response| response.get("result").is_some());
    let (count, total) = results.fold((0, 0), |(count, total), response| {
        (count + 1, total + bytes(response))
    });
    let limit = 8 * 1024 * 1024;
    assert!(
        total <= limit && total > limit / 2,
        "{count} results of {total} bytes"
    );
    let refused = responses
        .iter()
        .filter(|response| response["error"]["code"] == -32001);
    assert_eq!(refused.count(), lists.len() - count);
    assert!(client.request(list(100)).await.get("result").is_some());
    app.end().await;
}
