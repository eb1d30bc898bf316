//! Restarts failed servers while the host runs.

use mcp_startup::auth::MemoryStore;
use mcp_startup::auth::network::Network;
use mcp_startup::{McpServerStartupState, StartupTracker};
use mcp_startup_lab::Lab;

use crate::{host, server, store_for};

// guide: watch
use futures::StreamExt;
use mcp_startup::{LiveServer, StartupEvent, Watch};

/// Passes each event to `on_event` until the watch is cancelled. Returns the live servers.
async fn run(mut watch: Watch, mut on_event: impl FnMut(StartupEvent)) -> Vec<LiveServer> {
    let mut servers = Vec::new();
    while let Some((event, live)) = watch.next().await {
        // The live server belongs to your app now. To call its tools, use `live.peer()`.
        servers.extend(live);
        on_event(event);
    }
    servers
}
// guide end

#[tokio::test(flavor = "multi_thread")]
async fn a_server_restarts_after_a_sign_in_elsewhere() {
    let lab = Lab::start(0).await.unwrap();
    let store = MemoryStore::default();
    let name = "expired-no-refresh";
    store_for(&store, &lab, name).await;
    let mut tracker = StartupTracker::default();
    let (mut states, mut prompts) = (Vec::new(), 0);
    let (failed, has_failed) = tokio::sync::oneshot::channel();
    let mut failed = Some(failed);
    let startup = host(&store);
    let servers = vec![server(&lab, name)];
    // guide: watch-begin
    let watch = startup.watch(servers);
    // "Try again" calls `handle.retry("linear")`. To end the watch, call `handle.cancel()`.
    let handle = watch.handle();
    // guide end
    let on_event = |event: StartupEvent| {
        let status = event.notification.status().clone();
        prompts += u32::from(tracker.apply(&event.notification).prompt);
        match status {
            McpServerStartupState::Failed => {
                let _ = failed.take().map(|failed| failed.send(()));
            }
            McpServerStartupState::Ready => handle.cancel(),
            _ => {}
        }
        states.push(status.to_string());
    };
    // The user signs in from another process.
    let other = host(&store);
    let entry = server(&lab, name);
    let sign_in = async {
        has_failed.await.unwrap();
        let redirect_uri = "http://127.0.0.1:1/callback";
        let begun = other.begin_sign_in(&entry, redirect_uri).await.unwrap();
        let browser = Network::new().unwrap();
        let answer = browser.server_client().get(begun.authorization_url);
        let answer = answer.send().await.unwrap();
        let callback = answer.headers()["location"].to_str().unwrap();
        other
            .finish_sign_in(&begun.pending, callback)
            .await
            .unwrap();
    };
    let (servers, ()) = tokio::join!(run(watch, on_event), sign_in);
    assert_eq!(states, ["starting", "failed", "starting", "ready"]);
    assert_eq!(prompts, 1);
    for server in servers {
        server.close().await;
    }
}
