//! The timeline of a start: off by default, and complete for a server that is ready, that fails or that is cancelled.

#![allow(clippy::unwrap_used)]

use futures::StreamExt;
use mcp_startup::config::{ServerConfig, ServerEntry};
use mcp_startup::{
    McpServerStartupState, StartPhase, StartTimeline, Startup, StartupOptions, TimelineStep,
};
use mcp_startup_lab::Lab;

fn startup(timeline: bool) -> Startup {
    let mut options = StartupOptions::default();
    options.timeline = timeline;
    Startup::new(options).unwrap()
}

fn server(lab: &Lab, name: &str) -> ServerEntry {
    ServerConfig::http(name, &lab.url(name)).unwrap().into()
}

fn first_step(timeline: &StartTimeline) -> &TimelineStep {
    &timeline.entries[0].step
}

#[tokio::test]
async fn a_timeline_is_recorded_only_on_request() {
    let lab = Lab::start(0).await.unwrap();
    let servers = || vec![server(&lab, "ready"), server(&lab, "first-sign-in")];
    let mut check = startup(false).check(servers());
    while let Some(event) = check.next().await {
        assert_eq!(event.timeline, None);
        let json = serde_json::to_value(&event).unwrap();
        assert_eq!(json.get("timeline"), None);
    }
    let mut check = startup(true).check(servers());
    let mut ended = 0;
    while let Some(event) = check.next().await {
        let is_starting = *event.notification.status() == McpServerStartupState::Starting;
        assert_eq!(event.timeline.is_none(), is_starting);
        if let Some(timeline) = event.timeline {
            ended += 1;
            let configuring = TimelineStep::Phase {
                phase: StartPhase::Configuring,
            };
            assert_eq!(*first_step(&timeline), configuring);
            assert_eq!(timeline.omitted, 0);
        }
    }
    assert_eq!(ended, 2);
}

#[tokio::test]
async fn a_cancelled_start_has_a_timeline() {
    let lab = Lab::start(0).await.unwrap();
    let mut check = startup(true).check(vec![server(&lab, "hangs")]);
    let starting = check.next().await.unwrap();
    assert_eq!(starting.timeline, None);
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    check.cancel();
    let cancelled = check.next().await.unwrap();
    let timeline = cancelled.timeline.unwrap();
    let is_request = |step: &TimelineStep| matches!(step, TimelineStep::RequestSent { .. });
    assert!(timeline.entries.iter().any(|entry| is_request(&entry.step)));
}

/// A live server records nothing after `ready`.
#[tokio::test]
async fn a_live_server_has_the_timeline_of_its_start() {
    let lab = Lab::start(0).await.unwrap();
    let mut start = startup(true).start(vec![server(&lab, "ready")]);
    while let Some((event, live)) = start.next().await {
        let Some(live) = live else { continue };
        let timeline = event.timeline.unwrap();
        let last = timeline.entries.last().unwrap();
        let is_tool_list = matches!(
            &last.step,
            TimelineStep::MessageReceived(message) if message.tools == Some(3)
        );
        assert!(is_tool_list, "{last:?}");
        live.peer().list_all_tools().await.unwrap();
        live.close().await;
    }
}
