//! A session in which the app-server writes each kind of message that has a schema.

use mcp_startup::config::ServerConfig;
use mcp_startup_app_server::transport;
use mcp_startup_lab::Lab;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use crate::sockets::{TOKEN, authenticate, client_over, connect};
use crate::tool_server::ToolServer;
use crate::{app_of, configured, http, schemas, servers};

#[tokio::test]
async fn each_message_of_a_whole_session_conforms_to_its_schema() {
    let lab = Lab::start(0).await.unwrap();
    let tool_server = ToolServer::start().await;
    let mut configuration = servers(&lab, &["ready", "first-sign-in", "expired-no-refresh"]);
    configuration.push(
        ServerConfig::http("tools", &tool_server.url)
            .unwrap()
            .into(),
    );
    let (app, source) = app_of(configured(configuration.clone()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let served = app.clone();
    let serving = tokio::spawn(async move {
        transport::serve_websocket(&served, listener, &SecretString::from(TOKEN)).await
    });
    let stream = TcpStream::connect(&host).await.unwrap();
    let mut client = client_over(connect(stream, &host, &[]).await.unwrap());
    client.request(authenticate(TOKEN)).await;
    client.initialize().await;
    for name in ["ready", "first-sign-in", "expired-no-refresh", "tools"] {
        client.states(name, 1).await;
    }
    let mut id = 0;
    let mut request = |method: &str, params: Value| {
        id += 1;
        json!({ "id": id, "method": method, "params": params })
    };

    // The states, the tools and the resources.
    let thread = client.request(request("thread/start", json!({}))).await;
    let thread = &thread["result"]["thread"]["id"];
    for params in [
        json!({}),
        json!({ "limit": 1 }),
        json!({ "detail": "toolsAndAuthOnly", "threadId": thread }),
        json!({ "serverName": "tools", "detail": "full" }),
    ] {
        let list = client
            .request(request("mcpServerStatus/list", params))
            .await;
        assert!(!list["result"]["data"].as_array().unwrap().is_empty());
    }
    let called = json!({ "threadId": thread, "server": "tools", "tool": "echo", "arguments": { "text": "Hi" } });
    let called = client.request(request("mcpServer/tool/call", called)).await;
    assert_eq!(called["result"]["content"][0]["text"], "Hi");
    let counted = json!({ "threadId": thread, "server": "tools", "tool": "count" });
    client
        .request(request("mcpServer/tool/call", counted))
        .await;
    client.notified("mcpStartup/toolCall/progress", 3).await;
    let read = json!({ "server": "tools", "uri": "test:///a" });
    let read = client
        .request(request("mcpServer/resource/read", read))
        .await;
    assert_eq!(read["result"]["contents"][0]["text"], "Hello");
    let clients = client
        .request(request("mcpStartup/clients/list", json!({})))
        .await;
    assert_eq!(clients["result"]["files"][0]["client"], "vscode");
    let listed = client
        .request(request("mcpStartup/servers/list", json!({})))
        .await;
    let server = &listed["result"]["servers"][0];
    assert_eq!(server["path"], "/home/user/servers.toml");
    assert_eq!(
        (&server["enabled"], &server["owners"]),
        (&json!(true), &json!([]))
    );

    // A failure, a retry, and a sign-in.
    let server = json!({ "name": "first-sign-in" });
    let failure = client
        .request(request("mcpStartup/failure/read", server.clone()))
        .await;
    assert_eq!(failure["result"]["failure"]["kind"], "signInRequired");
    client
        .request(request("mcpStartup/retry", server.clone()))
        .await;
    client.states("first-sign-in", 2).await;
    let login = client
        .request(request("mcpServer/oauth/login", server.clone()))
        .await;
    let url = login["result"]["authorizationUrl"].as_str().unwrap();
    assert_eq!(http::browse(url).await, 200);
    let completed = client.notified("mcpServer/oauthLogin/completed", 1).await;
    assert_eq!(completed[0]["success"], true);
    client.states("first-sign-in", 3).await;
    let list = request(
        "mcpServerStatus/list",
        json!({ "serverName": "first-sign-in" }),
    );
    let status = client.request(list).await["result"]["data"][0].clone();
    assert_eq!(
        (&status["runtimeStatus"], &status["authStatus"]),
        (&json!("connected"), &json!("oAuth"))
    );

    // A sign-in that is not finished, and a sign-out.
    let login = client
        .request(request("mcpServer/oauth/login", server.clone()))
        .await;
    let cancel = json!({ "loginId": login["result"]["loginId"] });
    let cancelled = client
        .request(request("mcpStartup/login/cancel", cancel))
        .await;
    assert_eq!(cancelled["result"]["status"], "canceled");
    let completed = client.notified("mcpServer/oauthLogin/completed", 2).await;
    assert_eq!(completed[1]["success"], false);
    let signed_out = client
        .request(request("mcpStartup/signOut", server.clone()))
        .await;
    assert_eq!(signed_out["result"]["wasStored"], true);
    let states = client.states("first-sign-in", 4).await;
    assert_eq!(states.last().unwrap(), "failed");

    // A reload, and errors.
    let reload = request("config/mcpServer/reload", Value::Null);
    assert_eq!(
        client.request(reload).await["error"]["data"]["reason"],
        "configurationUnreadable"
    );
    configuration.pop();
    *source.0.lock().unwrap() = Some(configured(configuration));
    let reload = request("config/mcpServer/reload", Value::Null);
    assert_eq!(client.request(reload).await["result"], json!({}));
    let gone = json!({ "threadId": thread, "server": "tools", "tool": "echo" });
    assert_eq!(
        client.code(request("mcpServer/tool/call", gone)).await,
        -32602
    );
    assert_eq!(client.code(request("unknown", json!({}))).await, -32601);

    let cancel = json!({ "requestId": "none" });
    let cancelled = client
        .request(request("mcpStartup/request/cancel", cancel))
        .await;
    assert_eq!(cancelled["result"]["status"], "notFound");

    app.end().await;
    // The messages that were on their way.
    while client.next_or_end().await.is_some() {}
    serving.await.unwrap().unwrap();
    assert_eq!(client.checked, schemas::all());
}
