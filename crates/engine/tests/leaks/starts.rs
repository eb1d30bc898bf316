//! The events and the `Debug` of starts, and the verdicts on requests of the host.

use futures::StreamExt;
use mcp_startup::{Rejected, Startup, StartupOptions};

use crate::{Leaks, MARK, inspect_event, inspect_failure, lab, server};

#[tokio::test]
async fn debug_of_a_running_start_shows_no_secret() {
    let mut leaks = Leaks::default();
    let lab = lab().await;
    let servers = || ["echoes", "ready"].map(|name| server(&lab, name)).into();
    let mut options = StartupOptions::default();
    options.timeline = true;
    let startup = Startup::new(options).unwrap();
    let mut check = startup.check(servers());
    leaks.debug("Check", &check);
    while let Some(update) = check.update().await {
        leaks.debug("Update", &update);
        leaks.debug("Check", &check);
    }
    let mut start = startup.start(servers());
    while let Some((event, live)) = start.next().await {
        inspect_event(&mut leaks, "start", &event);
        leaks.debug("Start", &start);
        if let Some(live) = live {
            leaks.debug("LiveServer", &live);
            live.close().await;
        }
    }
    leaks.assert_none();
}

/// The host passes the `Authorization` header that it has sent. The challenge of the server repeats the token.
#[tokio::test]
async fn a_rejected_request_of_the_host_shows_no_secret() {
    let mut leaks = Leaks::default();
    let lab = lab().await;
    let startup = Startup::new(StartupOptions::default()).unwrap();
    for (sent, echoed) in [
        (format!("Bearer {MARK}-token"), format!("{MARK}-token")),
        (
            format!("bearer  {MARK}-token"),
            format!("bearer  {MARK}-token"),
        ),
        (format!("Basic {MARK}-token"), format!("{MARK}-token")),
        (format!("{MARK}-token"), format!("{MARK}-token")),
    ] {
        let mut rejected = Rejected::new(Some(&sent));
        leaks.debug("Rejected::new", &rejected);
        rejected.challenge = Some(format!("Bearer error_description=\"no good: {echoed}\""));
        leaks.debug(&format!("Rejected, {sent}"), &rejected);
        let authorized = startup
            .authorization(&server(&lab, "host"), Some(&rejected))
            .await;
        inspect_failure(&mut leaks, &sent, &authorized.unwrap_err());
    }
    leaks.assert_none();
}
