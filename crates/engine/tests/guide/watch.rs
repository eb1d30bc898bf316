//! Servers that are started again while the host runs.

use futures::StreamExt;
use mcp_startup::auth::MemoryStore;
use mcp_startup::auth::network::Network;
use mcp_startup::{McpServerStartupState, StartupTracker};
use mcp_startup_lab::Lab;

use crate::{host, server, store_for};

// guide: watch
use mcp_startup::{LiveServer, StartupEvent, Watch};

/// Hears of each start until the watch is cancelled, and keeps the servers that are ready.
async fn run(mut watch: Watch, mut told: impl FnMut(StartupEvent)) -> Vec<LiveServer> {
    let mut servers = Vec::new();
    while let Some((event, live)) = watch.next().await {
        // A server that is ready is the host's from here on: its tools are called by `live.peer()`.
        servers.extend(live);
        told(event);
    }
    servers
}
// guide end

#[tokio::test(flavor = "multi_thread")]
async fn a_server_recovers_by_itself() {
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
    // For the buttons: `handle.retry("linear")` is what "Try again" does, `handle.cancel()` ends it all.
    let handle = watch.handle();
    // guide end
    let told = |event: StartupEvent| {
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
    // Another process of the same user, which signs in.
    let other = host(&store);
    let entry = server(&lab, name);
    let sign_in = async {
        has_failed.await.unwrap();
        let redirect_uri = "http://127.0.0.1:1/callback";
        let begun = other.begin_sign_in(&entry, redirect_uri).await.unwrap();
        let browser = Network::new().unwrap();
        let answer = browser.to_servers().get(begun.authorization_url);
        let answer = answer.send().await.unwrap();
        let back = answer.headers()["location"].to_str().unwrap();
        other.finish_sign_in(&begun.pending, back).await.unwrap();
    };
    let (servers, ()) = tokio::join!(run(watch, told), sign_in);
    assert_eq!(states, ["starting", "failed", "starting", "ready"]);
    assert_eq!(prompts, 1);
    for server in servers {
        server.close().await;
    }
}
